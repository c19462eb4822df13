/* Forwarding without Python: the next packet of a stream that has a rule leaves in the call that received it.
 *
 * A rule fits one packet: the next one in order of one stream. Everything else (loss, another order, padding, other
 * extensions, a payload that cannot be read) is left to Python, which puts the rule in its place again. */
#include "fan.h"

#include <stdlib.h>
#include <string.h>

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

/* Take the descriptor of an AV1 packet; 0 when Python must look at it: it is long, or has a structure in it. */
static int take_mark(struct fan_mark *mark, const uint8_t *data, uint32_t length) {
    if (length > FAN_MARK || (length > FAN_LEAST_MARK && data[FAN_LEAST_MARK] & 0x80))
        return 0;
    mark->length = length < FAN_LEAST_MARK ? 0 : length;
    memcpy(mark->data, data, length);
    return 1;
}

/* Read one-byte header extensions (RFC 8285 section 4.2); 0 when something in them speaks against the rule. */
static int of_section(const struct fan_rule *rule, const uint8_t *data, uint32_t length, struct fan_mark *mark) {
    uint32_t at = 0;
    while (at < length) {
        uint32_t id = data[at] >> 4, size = (data[at] & 15u) + 1;
        if (data[at] == 0) {
            at++;
            continue;
        }
        if (id == 15 || size > length - at - 1)
            return 0;
        if (rule->mid_id != 0 && id == rule->mid_id &&
            (size != rule->mid_length || memcmp(data + at + 1, rule->mid, size) != 0))
            return 0;
        if (rule->mark_id != 0 && id == rule->mark_id && !take_mark(mark, data + at + 1, size))
            return 0;
        at += 1 + size;
    }
    return 1;
}

/* Find where the payload begins; 0 when the packet is not of the plainest kind. */
static uint32_t payload_start(const struct fan_rule *rule, const uint8_t *data, uint32_t length,
                              struct fan_mark *mark) {
    if ((data[0] & 0xEF) != 0x80)
        return 0;
    if ((data[0] & 0x10) == 0)
        return FAN_HEADER;
    if (length < FAN_HEADER + 4 || get16(data + FAN_HEADER) != 0xBEDE)
        return 0;
    uint32_t size = 4 * get16(data + FAN_HEADER + 2), start = FAN_HEADER + 4 + size;
    if (start > length || !of_section(rule, data + FAN_HEADER + 4, size, mark))
        return 0;
    return start;
}

/* RFC 7741 section 4.2, as parse_vp8 in codecs.py; 0 when it is not cut. */
static int read_vp8(const uint8_t *data, uint32_t size, struct fan_numbers *found) {
    uint32_t at = 1;
    *found = (struct fan_numbers){.picture_at = -1, .tl0_at = -1};
    if (size < 2)
        return -1;
    if (data[0] & 0x80) {
        uint8_t flags = data[1];
        at = 2;
        if (flags & 0x80) {
            if (at >= size)
                return -1;
            found->picture_at = (int)at;
            found->wide = data[at] >> 7;
            at += 1u + (uint32_t)found->wide;
        }
        if (flags & 0x40) {
            if (at >= size)
                return -1;
            found->tl0_at = (int)at++;
        }
        if (flags & 0x30)
            at++;
    }
    found->length = at;
    return at < size ? 0 : -1;
}

void fan_patch_vp8(uint8_t *head, const struct fan_numbers *numbers, uint32_t picture_shift, uint32_t tl0_shift) {
    if (numbers->picture_at >= 0 && numbers->wide) {
        uint32_t picture = ((get16(head + numbers->picture_at) & 0x7FFF) + picture_shift) & 0x7FFF;
        head[numbers->picture_at] = (uint8_t)(0x80 | picture >> 8);
        head[numbers->picture_at + 1] = (uint8_t)picture;
    } else if (numbers->picture_at >= 0) {
        head[numbers->picture_at] = (uint8_t)((head[numbers->picture_at] + picture_shift) & 0x7F);
    }
    if (numbers->tl0_at >= 0)
        head[numbers->tl0_at] = (uint8_t)(head[numbers->tl0_at] + tl0_shift);
}

/* Write a mark as the element of a header extension that a row gets, as extension in marked.py; its words. */
uint32_t fan_write_mark(uint8_t *head, const struct fan_row *row, const struct fan_mark *mark) {
    uint32_t words = (1 + mark->length + 3) / 4, number = get16(mark->data + 1) + row->picture;
    memset(head, 0, 4 * words);
    head[0] = (uint8_t)(row->mark << 4 | (mark->length - 1));
    memcpy(head + 1, mark->data, mark->length);
    head[2] = (uint8_t)(number >> 8);
    head[3] = (uint8_t)number;
    return words;
}

/* Send what has gathered. */
void fan_send_express(struct fan *fan) {
    struct fan_express *express = &fan->express;
    if (express->count == 0)
        return;
    const uint8_t *blob = (const uint8_t *)fan + offsetof(struct fan, in);
    int64_t sent = fan_send(fan, express->copy, express->count, express->piece, express->pieces, blob,
                            sizeof fan->in + sizeof fan->heads + sizeof fan->again);
    fan->counters[FAN_EXPRESS] += express->count;
    fan->counters[FAN_EXPRESS_SENT] += sent > 0 ? (uint64_t)sent : 0;
    express->count = express->pieces = express->again = 0;
}

uint32_t fan_add_piece(struct fan *fan, uint32_t offset, uint32_t length) {
    fan->express.piece[fan->express.pieces] = (struct fan_piece){offset, length};
    return fan->express.pieces++;
}

/* A packet that fits a rule, as it lies in `in`; `length` is that of its payload, which begins at `start`. */
struct fitting {
    const uint8_t *packet;
    uint32_t start, length;
    struct fan_numbers numbers;
    struct fan_mark mark;
};

/* What stands before the payload of those who get marks: `words` of a header extension, in the piece `head`. They take
 * the place of the end of the packet's own extensions, which are as long at least, in the piece `body`. */
struct marked {
    uint32_t words, head, body, picture;
};

static void mark_row(struct fan *fan, const struct fitting *found, const struct fan_row *row, struct marked *last) {
    struct fan_express *express = &fan->express;
    if (last->words != 0 && last->picture == row->picture)
        return;
    int is_first = last->words == 0;
    last->words = fan_write_mark(fan->heads[express->heads], row, &found->mark);
    last->head = fan_add_piece(fan, (uint32_t)(sizeof fan->in + express->heads++ * FAN_HEAD), 4 * last->words);
    last->picture = row->picture;
    if (is_first) {
        uint32_t offset = (uint32_t)(found->packet - fan->in[0]) + found->start - 4 * last->words;
        last->body = fan_add_piece(fan, offset, found->length + 4 * last->words);
    }
}

/* Gather the copies of one packet: its payload, and before it the descriptor's bytes as each receiver needs them. */
static void copy_rows(struct fan *fan, const struct fan_rule *rule, const struct fitting *found) {
    const struct fan_numbers *numbers = &found->numbers;
    const uint8_t *packet = found->packet;
    uint32_t start = found->start;
    struct marked marked = {.words = 0};
    struct fan_express *express = &fan->express;
    /* A row needs at most one head, a packet three pieces more. */
    if (express->count + rule->count > FAN_EXPRESS_COPIES || express->pieces + rule->count + 3 > FAN_EXPRESS_PIECES)
        fan_send_express(fan);
    if (express->count == 0)
        express->heads = 0;
    uint32_t payload = fan_add_piece(fan, (uint32_t)(packet - fan->in[0]) + start, found->length);
    uint32_t nothing = fan_add_piece(fan, 0, 0), head = nothing, picture = 0, tl0 = 0;
    uint32_t word = ((uint32_t)packet[1] & 0x80) << 16;
    uint32_t timestamp = get32(packet + 4);
    for (uint32_t i = 0; i < rule->count; i++) {
        const struct fan_row *row = &rule->rows[i];
        if (numbers->length && (row->picture != picture || row->tl0 != tl0)) {
            picture = row->picture, tl0 = row->tl0;
            head = nothing;
            if (picture || tl0) {
                uint8_t *made = fan->heads[express->heads];
                memcpy(made, packet + start, numbers->length);
                fan_patch_vp8(made, numbers, picture, tl0);
                head = fan_add_piece(fan, (uint32_t)(sizeof fan->in + express->heads++ * FAN_HEAD), numbers->length);
            }
        }
        struct fan_lane *lane = row->lane < fan->lane_count ? &fan->lanes[row->lane] : NULL;
        uint32_t stamp = row->stamp && lane ? row->stamp << 16 | lane->stamp++ : 0;
        struct fan_copy *copy = &express->copy[express->count++];
        *copy = (struct fan_copy){.lane = row->lane,
                                  .payload = payload,
                                  .head = head,
                                  .word = word | row->payload_type << 16 | ((rule->position + row->sequence) & 0xFFFF),
                                  .timestamp = timestamp + row->timestamp,
                                  .ssrc = row->ssrc,
                                  .stamp = stamp};
        if (row->mark && found->mark.length) {
            mark_row(fan, found, row, &marked);
            copy->payload = marked.body;
            copy->head = marked.head;
            copy->word |= marked.words << FAN_WORDS_AT;
        }
    }
}

static struct fan_rule *find_rule(struct fan *fan, uint32_t receiver, uint32_t ssrc) {
    for (uint32_t at = fan->receivers[receiver].rule; at != FAN_NONE; at = fan->rules[at].following)
        if (fan->rules[at].ssrc == ssrc)
            return &fan->rules[at];
    return NULL;
}

/* Forward a decrypted packet if its stream has a rule that fits; say whether it did. */
int fan_forward(struct fan *fan, uint32_t receiver, const uint8_t *packet, uint32_t length) {
    if (length <= FAN_HEADER)
        return 0;
    struct fan_rule *rule = find_rule(fan, receiver, get32(packet + 8));
    if (rule == NULL || rule->epoch != fan->epoch || get16(packet + 2) != rule->expected ||
        (packet[1] & 0x7F) != rule->payload_type)
        return 0;
    struct fitting found = {.packet = packet};
    uint32_t start = payload_start(rule, packet, length, &found.mark);
    if (start == 0 || start >= length || length - start > FAN_LARGEST_EXPRESS)
        return 0;
    found.start = start;
    found.length = length - start;
    /* Python decides what becomes of a mark for which there is no room. */
    if (found.mark.length && found.length + FAN_HEAD > FAN_LARGEST_MARKED)
        return 0;
    if (rule->vp8 && read_vp8(packet + start, found.length, &found.numbers) != 0)
        return 0;
    copy_rows(fan, rule, &found);
    fan_keep(rule, packet, packet + start, found.length, &found.numbers, &found.mark);
    rule->expected++;
    rule->position++;
    return 1;
}

/* -- what Python does with rules ---------------------------------------------------------------------------- */

static int make_room(struct fan *fan, uint32_t number) {
    if (number < fan->rule_count)
        return 0;
    uint32_t wanted = fan->rule_count ? fan->rule_count : 64;
    while (wanted <= number)
        wanted *= 2;
    struct fan_rule *larger = realloc(fan->rules, wanted * sizeof *larger);
    if (larger == NULL)
        return -1;
    memset(larger + fan->rule_count, 0, (wanted - fan->rule_count) * sizeof *larger);
    fan->rules = larger;
    fan->rule_count = wanted;
    return 0;
}

/* Put a rule in the place of one with the same number. `rows` may be in `FAN_MOST_ROWS` at most. */
int fan_set_rule(struct fan *fan, uint32_t number, uint32_t receiver, uint32_t ssrc, uint32_t kind,
                 const uint8_t *mid, uint32_t mid_length, const struct fan_row *rows, uint32_t count) {
    if (number >= FAN_MOST_RULES || receiver >= fan->receiver_count || count == 0 || count > FAN_MOST_ROWS ||
        mid_length > FAN_MID || make_room(fan, number) != 0)
        return -1;
    fan_clear_rule(fan, number);
    struct fan_rule *rule = &fan->rules[number];
    rule->rows = malloc(count * sizeof *rows);
    if (rule->rows == NULL)
        return -1;
    memcpy(rule->rows, rows, count * sizeof *rows);
    rule->octets = 0;
    rule->count = count;
    rule->receiver = receiver;
    rule->ssrc = ssrc;
    rule->payload_type = (uint8_t)(kind & 0x7F);
    rule->vp8 = kind >> 8 & 1;
    rule->mid_id = (uint8_t)(kind >> 16 & 15);
    /* A row has one head, for numbers or for a mark. */
    rule->mark_id = rule->vp8 ? 0 : (uint8_t)(kind >> 20 & 15);
    rule->mid_length = (uint8_t)mid_length;
    memcpy(rule->mid, mid, mid_length);
    /* Fits nothing until it is placed. */
    rule->epoch = fan->epoch - 1;
    rule->following = fan->receivers[receiver].rule;
    fan->receivers[receiver].rule = number;
    return 0;
}

/* Let a rule fit the packet with this sequence number and position; 0, or -1 when the rule was made before a path
 * changed, and must be made anew. */
int fan_place_rule(struct fan *fan, uint32_t number, uint32_t epoch, uint32_t expected, uint32_t position) {
    if (number >= fan->rule_count || fan->rules[number].rows == NULL || epoch != fan->epoch)
        return -1;
    struct fan_rule *rule = &fan->rules[number];
    rule->epoch = epoch;
    rule->expected = (uint16_t)expected;
    rule->position = position;
    return 0;
}

void fan_clear_rule(struct fan *fan, uint32_t number) {
    if (number >= fan->rule_count || fan->rules[number].rows == NULL)
        return;
    struct fan_rule *rule = &fan->rules[number];
    uint32_t *at = &fan->receivers[rule->receiver].rule;
    while (*at != number)
        at = &fan->rules[*at].following;
    *at = rule->following;
    fan_clear_askers(fan, rule);
    free(rule->rows);
    rule->rows = NULL;
}

/* Nothing fits any rule until it is placed with the new epoch, which is returned: a path has changed. */
uint32_t fan_new_epoch(struct fan *fan) { return ++fan->epoch; }

void fan_set_stamp(struct fan *fan, uint32_t lane, uint32_t number) {
    if (lane < fan->lane_count)
        fan->lanes[lane].stamp = (uint16_t)number;
}
