/* Answering requests for lost packets without Python, from what rules have forwarded (RFC 4585 section 6.2.1, RFC 4588).
 *
 * A request is answered here whole or not at all: only when every packet that it names was forwarded by the rule that
 * stands, and is asked for by this receiver for the first time. Everything else (repeated requests, which depend on
 * the round trip; packets that Python has forwarded; too much asked for) is left to Python. */
#include "fan.h"

#include <stdlib.h>
#include <string.h>

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

/* -- what is kept ------------------------------------------------------------------------------------------- */

/* Keep the packet that fits the rule, if anybody may ask for it again. */
void fan_keep(struct fan_rule *rule, const uint8_t *packet, const uint8_t *payload, uint32_t length,
              const struct fan_numbers *numbers, const struct fan_mark *mark) {
    rule->octets += length;
    if (rule->askers == NULL)
        return;
    uint32_t place = rule->position % FAN_KEPT;
    struct fan_kept *kept = &rule->kept[place];
    kept->length = 0;
    if (kept->room < length) {
        uint32_t room = (length + 63) / 64 * 64;
        uint8_t *larger = realloc(kept->payload, room);
        if (larger == NULL)
            return;
        kept->payload = larger;
        kept->room = room;
    }
    memcpy(kept->payload, payload, length);
    kept->length = length;
    kept->position = rule->position;
    kept->timestamp = get32(packet + 4);
    kept->marker = packet[1] & 0x80u;
    kept->numbers = *numbers;
    kept->mark = *mark;
    memset(rule->asked + (size_t)place * rule->asked_size, 0, rule->asked_size);
}

/* Return the packet at this position if the rule has forwarded it not too long ago. */
static struct fan_kept *find_kept(const struct fan_rule *rule, uint32_t position) {
    struct fan_kept *kept = &rule->kept[position % FAN_KEPT];
    return kept->length != 0 && kept->position == position && rule->position - position <= FAN_KEPT ? kept : NULL;
}

static uint8_t *asked_byte(const struct fan_rule *rule, uint32_t position, uint32_t row) {
    return rule->asked + (size_t)(position % FAN_KEPT) * rule->asked_size + row / 8;
}

static int was_asked(const struct fan_rule *rule, uint32_t position, uint32_t row) {
    return *asked_byte(rule, position, row) >> row % 8 & 1;
}

static void note_asked(const struct fan_rule *rule, uint32_t position, uint32_t row) {
    *asked_byte(rule, position, row) |= (uint8_t)(1u << row % 8);
}

/* -- requests ----------------------------------------------------------------------------------------------- */

struct request {
    struct fan_rule *rule;
    uint32_t row, count;
    uint16_t sequence[FAN_MOST_ASKED];
};

/* Read the pairs of a generic NACK, as _parse_nacks in rtcp.py. */
static void read_sequences(const uint8_t *control, uint32_t length, struct request *request) {
    request->count = 0;
    for (uint32_t at = 0; at + 4 <= length && request->count < FAN_MOST_ASKED; at += 4) {
        uint32_t first = get16(control + at), mask = get16(control + at + 2) << 1 | 1;
        for (uint32_t bit = 0; bit < 17 && request->count < FAN_MOST_ASKED; bit++)
            if (mask >> bit & 1)
                request->sequence[request->count++] = (uint16_t)(first + bit);
    }
}

static int find_row(const struct fan *fan, uint32_t receiver, uint32_t ssrc, struct request *request) {
    uint32_t rule = fan->receivers[receiver].asker, row = fan->receivers[receiver].asker_row;
    while (rule != FAN_NONE) {
        const struct fan_asker *asker = &fan->rules[rule].askers[row];
        if (fan->rules[rule].rows[row].ssrc == ssrc) {
            request->rule = &fan->rules[rule];
            request->row = row;
            return request->rule->epoch == fan->epoch;
        }
        rule = asker->following;
        row = asker->following_row;
    }
    return 0;
}

/* Find the one NACK in a compound of reports, descriptions and estimates in which every length is possible, as
 * parse_compound in rtcp.py has it; 0 when the compound is anything else. */
static int read_request(const struct fan *fan, uint32_t receiver, const uint8_t *data, uint32_t length,
                        struct request *request) {
    int found = 0;
    for (uint32_t at = 0; at < length;) {
        if (length - at < 4 || (data[at] & 0xE0) != 0x80)
            return 0;
        uint32_t format = data[at] & 31u, type = data[at + 1], size = 4 * get16(data + at + 2);
        const uint8_t *body = data + at + 4;
        if (size > length - at - 4)
            return 0;
        if (type == 200 || type == 201) {
            if (size < (type == 200 ? 24 : 4) + 24 * format)
                return 0;
        } else if (type == 205 && format == 1) {
            if (found || size < 8 || !find_row(fan, receiver, get32(body + 4), request))
                return 0;
            found = 1;
            read_sequences(body + 8, size - 8, request);
        } else if (type != 202 && (type != 206 || format != 15 || size < 8)) {
            return 0;
        }
        at += 4 + size;
    }
    return found;
}

/* How far a packet is from the newest, whose position is one less than that of the packet that fits. */
static int32_t distance(const struct request *request, uint32_t i) {
    const struct fan_rule *rule = request->rule;
    return (int16_t)(uint16_t)(request->sequence[i] - rule->rows[request->row].sequence - (rule->position - 1));
}

/* Say whether it can be told here what becomes of every packet that is asked for. */
static int is_certain(const struct request *request) {
    const struct fan_rule *rule = request->rule;
    int64_t octets = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        int32_t from_newest = distance(request, i);
        if (from_newest > 0)
            continue;
        uint32_t position = rule->position - 1 + (uint32_t)from_newest;
        const struct fan_kept *kept = find_kept(rule, position);
        if (kept == NULL || was_asked(rule, position, request->row))
            return 0;
        octets += kept->length;
    }
    return 4 * octets <= rule->askers[request->row].spare + rule->octets;
}

/* Gather one packet again, in the retransmission format where there is one. */
static void send_again(struct fan *fan, const struct request *request, const struct fan_kept *kept,
                       uint16_t sequence) {
    struct fan_express *express = &fan->express;
    const struct fan_row *row = &request->rule->rows[request->row];
    struct fan_asker *asker = &request->rule->askers[request->row];
    if (express->count + 1 > FAN_EXPRESS_COPIES || express->pieces + 2 > FAN_EXPRESS_PIECES ||
        express->again == FAN_MOST_AGAIN)
        fan_send_express(fan);
    if (express->count == 0)
        express->heads = 0;
    uint32_t place = express->again++, start = 0, ssrc = row->ssrc, payload_type = row->payload_type;
    uint8_t *made = fan->again[place];
    uint32_t number = sequence, words = 0;
    if (row->mark && kept->mark.length) {
        words = fan_write_mark(made, row, &kept->mark);
        made += 4 * words;
    }
    if (asker->payload_type != FAN_NONE) {
        made[0] = (uint8_t)(sequence >> 8);
        made[1] = (uint8_t)sequence;
        start = 2;
        number = asker->sequence = (asker->sequence + 1) & 0xFFFF;
        ssrc = asker->ssrc;
        payload_type = asker->payload_type & 0x7F;
    }
    memcpy(made + start, kept->payload, kept->length);
    if (kept->numbers.length)
        fan_patch_vp8(made + start, &kept->numbers, row->picture, row->tl0);
    struct fan_lane *lane = row->lane < fan->lane_count ? &fan->lanes[row->lane] : NULL;
    uint32_t offset = (uint32_t)(sizeof fan->in + sizeof fan->heads + place * sizeof fan->again[0]);
    uint32_t payload = fan_add_piece(fan, offset, 4 * words + start + kept->length), nothing = fan_add_piece(fan, 0, 0);
    express->copy[express->count++] = (struct fan_copy){.lane = row->lane,
                                                        .payload = payload,
                                                        .head = nothing,
                                                        .word = words << FAN_WORDS_AT |
                                                                (kept->marker | payload_type) << 16 | number,
                                                        .timestamp = kept->timestamp + row->timestamp,
                                                        .ssrc = ssrc,
                                                        .stamp = row->stamp && lane ? row->stamp << 16 | lane->stamp++ : 0};
    asker->spare -= 4 * (int64_t)kept->length;
    fan->counters[FAN_AGAIN]++;
}

/* Send again what a decrypted RTCP compound asks for, if that can be done here; say whether it was. */
int fan_answer(struct fan *fan, uint32_t receiver, const uint8_t *data, uint32_t length) {
    struct request request;
    if (!read_request(fan, receiver, data, length, &request) || !is_certain(&request))
        return 0;
    for (uint32_t i = 0; i < request.count; i++) {
        int32_t from_newest = distance(&request, i);
        if (from_newest > 0)
            continue;
        uint32_t position = request.rule->position - 1 + (uint32_t)from_newest;
        const struct fan_kept *kept = find_kept(request.rule, position);
        /* Else it is named a second time in the same request. */
        if (kept == NULL || was_asked(request.rule, position, request.row))
            continue;
        note_asked(request.rule, position, request.row);
        send_again(fan, &request, kept, request.sequence[i]);
    }
    return 1;
}

/* -- what Python does with askers --------------------------------------------------------------------------- */

static void unlink_asker(struct fan *fan, const struct fan_rule *rule, uint32_t row) {
    const struct fan_asker *gone = &rule->askers[row];
    struct fan_receiver *receiver = &fan->receivers[gone->receiver];
    uint32_t *at = &receiver->asker, *at_row = &receiver->asker_row;
    while (*at != FAN_NONE && &fan->rules[*at].askers[*at_row] != gone) {
        struct fan_asker *next = &fan->rules[*at].askers[*at_row];
        at = &next->following;
        at_row = &next->following_row;
    }
    if (*at != FAN_NONE) {
        *at_row = gone->following_row;
        *at = gone->following;
    }
}

/* Nobody may ask for packets of this rule any longer, and none is kept. */
void fan_clear_askers(struct fan *fan, struct fan_rule *rule) {
    if (rule->askers == NULL)
        return;
    for (uint32_t row = 0; row < rule->count; row++)
        if (rule->askers[row].receiver != FAN_NONE)
            unlink_asker(fan, rule, row);
    for (uint32_t i = 0; i < FAN_KEPT; i++)
        free(rule->kept[i].payload);
    free(rule->askers);
    free(rule->kept);
    free(rule->asked);
    rule->askers = NULL;
    rule->kept = NULL;
    rule->asked = NULL;
}

/* A receiver is gone: nothing that comes under its number asks for anything. */
void fan_drop_asking(struct fan *fan, uint32_t receiver) {
    uint32_t rule = fan->receivers[receiver].asker, row = fan->receivers[receiver].asker_row;
    while (rule != FAN_NONE) {
        struct fan_asker *asker = &fan->rules[rule].askers[row];
        asker->receiver = FAN_NONE;
        rule = asker->following;
        row = asker->following_row;
    }
    fan->receivers[receiver].asker = FAN_NONE;
}

/* Let receivers ask for packets of a rule again from now on: one asker for each row, in order; FAN_NONE as its
 * receiver: nobody. Nothing is kept yet. */
int fan_set_askers(struct fan *fan, uint32_t number, const struct fan_asker *askers, uint32_t count) {
    if (number >= fan->rule_count || fan->rules[number].rows == NULL || count != fan->rules[number].count)
        return -1;
    for (uint32_t row = 0; row < count; row++)
        if (askers[row].receiver != FAN_NONE && askers[row].receiver >= fan->receiver_count)
            return -1;
    struct fan_rule *rule = &fan->rules[number];
    fan_clear_askers(fan, rule);
    rule->asked_size = (count + 7) / 8;
    rule->askers = malloc(count * sizeof *askers);
    rule->kept = calloc(FAN_KEPT, sizeof *rule->kept);
    rule->asked = calloc(FAN_KEPT, rule->asked_size);
    if (rule->askers == NULL || rule->kept == NULL || rule->asked == NULL) {
        free(rule->askers);
        free(rule->kept);
        free(rule->asked);
        rule->askers = NULL;
        return -1;
    }
    memcpy(rule->askers, askers, count * sizeof *askers);
    for (uint32_t row = 0; row < count; row++) {
        struct fan_asker *asker = &rule->askers[row];
        if (asker->receiver == FAN_NONE)
            continue;
        struct fan_receiver *receiver = &fan->receivers[asker->receiver];
        asker->following = receiver->asker;
        asker->following_row = receiver->asker_row;
        receiver->asker = number;
        receiver->asker_row = row;
    }
    return 0;
}

/* Python has sent a packet of `octets` again to a row, or has used a retransmission number (`octets` is 0 and the
 * position none that is kept). */
int fan_note_again(struct fan *fan, uint32_t number, uint32_t row, uint32_t position, uint32_t octets,
                   uint32_t sequence) {
    if (number >= fan->rule_count || fan->rules[number].askers == NULL || row >= fan->rules[number].count)
        return -1;
    struct fan_rule *rule = &fan->rules[number];
    rule->askers[row].sequence = sequence & 0xFFFF;
    rule->askers[row].spare -= 4 * (int64_t)octets;
    if (find_kept(rule, position) != NULL)
        note_asked(rule, position, row);
    return 0;
}
