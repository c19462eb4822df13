/* Feeds the compiled fan-out back end with arbitrary tables and datagrams; built with sanitizers, which abort at the
 * first wrong access. libsrtp is replaced by a stand-in that looks at what it is given and lies about lengths.
 *
 *   native_fuzz SEED COUNT      COUNT inputs made from SEED
 *   native_fuzz FILE...         the inputs in these files
 *
 * With -DFAN_LIBFUZZER it is a libFuzzer target instead (clang -fsanitize=fuzzer,address,undefined). Everything is
 * sent on loopback. */
#include "../../media/folkmoot_media/fan/native/fan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 4, LARGEST_INPUT = 4096, MOST_COPIES = 200, MOST_PIECES = 16, NUMBERS = 80, NEVER_SET = 63 };

struct input {
    const uint8_t *data;
    size_t size;
};

static int clients[2][CLIENTS], servers[2];
static uint16_t client_ports[2][CLIENTS], server_ports[2];
static int sessions[NUMBERS];
static uint64_t copies_by_rules, copies_again;

static void require(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static uint32_t number(struct input *input, unsigned bytes) {
    uint32_t value = 0;
    while (bytes-- > 0 && input->size > 0) {
        value = value << 8 | *input->data++;
        input->size--;
    }
    return value;
}

/* Mostly small, now and then any. */
static uint32_t any_index(struct input *input) {
    uint32_t value = number(input, 1);
    return value < 240 ? value % NUMBERS : number(input, 4);
}

/* -- the stand-in for libsrtp ------------------------------------------------------------------------------- */

static int lie(uint8_t last, int honest, int *length) {
    if (last == 0xEE)
        return *length = -5, 0;
    if (last == 0xED)
        return *length = 1 << 20, 0;
    if (last == 0xEC)
        return 1;
    return *length = honest, 0;
}

static int hide(void *session, uint8_t *packet, int *length, int most, int trailer) {
    require(session != NULL, "no session, no encryption");
    require(*length >= 0 && *length <= most, "plain packets fit");
    require(((uintptr_t)packet & 3) == 0, "packets are aligned");
    /* Like SRTP, leave the first header alone. */
    for (int i = FAN_HEADER; i < *length; i++)
        packet[i] ^= 0x5A;
    uint8_t last = *length ? packet[*length - 1] : 0;
    memset(packet + *length, 0x77, (size_t)trailer);
    return lie(last, *length + trailer, length);
}

static int show(void *session, uint8_t *packet, int *length) {
    require(session != NULL, "no session, no decryption");
    require(*length > 0 && *length <= FAN_LARGEST_RECEIVED, "encrypted packets fit");
    require(((uintptr_t)packet & 3) == 0, "packets are aligned");
    uint8_t last = packet[*length - 1];
    for (int i = FAN_HEADER; i < *length; i++)
        packet[i] ^= 0x5A;
    return *length < 16 ? 1 : lie(last, *length - 16, length);
}

static int protect(void *session, void *packet, int *length) {
    const uint8_t *head = packet;
    int words = FAN_HEADER + FAN_EXTENSION;
    if (*length >= words && head[0] & 0x10)
        words += 4 * (head[FAN_HEADER + 2] << 8 | head[FAN_HEADER + 3]);
    require(!(head[0] & 0x10) || words <= *length, "header extensions end in their packets");
    return hide(session, packet, length, FAN_LARGEST_RTP, 144);
}
static int protect_rtcp(void *session, void *packet, int *length) {
    return hide(session, packet, length, FAN_LARGEST_RTCP, 148);
}
static int unprotect(void *session, void *packet, int *length) { return show(session, packet, length); }

/* -- one input ---------------------------------------------------------------------------------------------- */

static const char *any_host(struct input *input, int family) {
    static const char *const hosts[] = {"", "127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "127.0.0.1%lo", ":"};
    uint32_t choice = number(input, 1);
    if (choice < 200)
        return family ? "::1" : "127.0.0.1";
    return hosts[choice % (sizeof hosts / sizeof *hosts)];
}

static uint16_t any_port(struct input *input, int family) { return client_ports[family][number(input, 1) % CLIENTS]; }

static void send_to_server(int family, uint32_t from, const uint8_t *datagram, uint32_t size) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(server_ports[0])};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(server_ports[1])};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    struct sockaddr *to = family ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    (void)sendto(clients[family][from], datagram, size, MSG_DONTWAIT, to, family ? sizeof v6 : sizeof v4);
}

static void deliver(struct input *input, int family) {
    static uint8_t datagram[3000];
    uint32_t from = number(input, 1) % CLIENTS, size = number(input, 2) % sizeof datagram;
    memset(datagram, (int)number(input, 1), sizeof datagram);
    for (uint32_t i = 0; i < 24 && i < size; i++)
        datagram[i] = (uint8_t)number(input, 1);
    if (size > 0 && number(input, 1) % 4)
        datagram[0] = (uint8_t)(0x80 | datagram[0] % 0x40);
    uint32_t last = number(input, 1);
    if (size > 0)
        datagram[size - 1] = (uint8_t)(last % 4 ? last : 0xEC + last / 4 % 3);
    send_to_server(family, from, datagram, size);
}

/* A packet that a rule may fit: of stream 7, in order, with an extension and a VP8 descriptor that may be cut. */
static uint16_t following;

static void deliver_media(struct input *input, int family) {
    static uint8_t datagram[FAN_SLOT];
    uint32_t at = FAN_HEADER, extended = number(input, 1), size = number(input, 1);
    memset(datagram, 0, sizeof datagram);
    datagram[0] = (uint8_t)(0x80 | (extended % 8 ? 0 : 0x10) | (extended > 250 ? 0x20 : 0));
    datagram[1] = (uint8_t)(96 | (extended & 0x80));
    uint16_t sequence = number(input, 1) % 32 != 1 ? following++ : (uint16_t)number(input, 2);
    datagram[2] = (uint8_t)(sequence >> 8);
    datagram[3] = (uint8_t)sequence;
    datagram[11] = 7;
    if (datagram[0] & 0x10) {
        uint32_t words = number(input, 1);
        words = words > 250 ? words << 8 : words % 4;
        const uint8_t head[] = {0xBE, 0xDE, (uint8_t)(words >> 8), (uint8_t)words};
        memcpy(datagram + at, head, sizeof head);
        at += 4;
        for (uint32_t i = 0; i < 4 * (words % 64); i++)
            datagram[at++] = i % 4 ? (uint8_t)number(input, 1) : (uint8_t)(0x10 + number(input, 1) % 40);
    }
    datagram[at++] = size % 4 ? 0x10 : (uint8_t)number(input, 1);
    datagram[at++] = (uint8_t)number(input, 1);
    /* Mostly a few bytes, so that descriptors are cut, now and then a whole packet. */
    at += size > 200 ? 1000 + size : size % 12;
    for (uint32_t i = FAN_HEADER; i < at; i++)
        datagram[i] ^= 0x5A;
    send_to_server(family, number(input, 1) % 32 == 0, datagram, at + 16);
}

/* A packet that fits, unless it is too long or its descriptor is cut; every second one with a mark. */
static void deliver_plain(struct input *input, int family) {
    static uint8_t datagram[FAN_SLOT];
    uint32_t kind = number(input, 1), size = FAN_HEADER + 3 + (kind % 16 ? kind : 1000 + 2 * kind);
    memset(datagram, 0x5A, sizeof datagram);
    const uint8_t head[] = {0x80, (uint8_t)(96 | (kind & 0x80)), (uint8_t)(following >> 8), (uint8_t)following, 0, 0, 0, 9,
                            0,    0,                             0,                         7,                  0xCA, 0x3A};
    const uint8_t mark[] = {0xBE ^ 0x5A, 0xDE ^ 0x5A, 0x5A, 1 ^ 0x5A, 0x32 ^ 0x5A, 0x80 ^ 0x5A, 0xFF ^ 0x5A, 0xF7 ^ 0x5A};
    memcpy(datagram, head, sizeof head);
    if (kind % 2) {
        datagram[0] |= 0x10;
        memcpy(datagram + FAN_HEADER, mark, sizeof mark);
        memcpy(datagram + FAN_HEADER + sizeof mark, head + FAN_HEADER, sizeof head - FAN_HEADER);
        size += sizeof mark;
    }
    following++;
    send_to_server(family, 0, datagram, size + 16);
}

/* A compound in which something is asked for, mostly as receivers do: of what a rule may have forwarded. */
static void deliver_request(struct input *input, int family) {
    static uint8_t datagram[FAN_SLOT];
    uint32_t at = 0, kind = number(input, 1), from = number(input, 1) % 2;
    memset(datagram, 0, sizeof datagram);
    if (kind % 4 == 0) {
        const uint8_t report[] = {0x80, 201, 0, 1, 0, 0, 0, 1};
        memcpy(datagram, report, sizeof report);
        at = sizeof report;
    }
    for (uint32_t part = 0; part <= (kind >= 250); part++) {
        uint32_t pairs = kind % 16 == 1 ? number(input, 1) % 100 : 1 + kind % 5, start = at;
        const uint8_t head[] = {0x81, 205, 0, (uint8_t)(2 + pairs), 0, 0, 0, 1, 0, 0, 0, (uint8_t)(kind % 32 ? from : 9)};
        memcpy(datagram + at, head, sizeof head);
        at += sizeof head;
        for (uint32_t i = 0; i < pairs; i++) {
            uint32_t first = following - (kind % 8 == 7 ? number(input, 2) : number(input, 1) % 16);
            uint32_t mask = number(input, 1) % 4 ? 0 : number(input, 2);
            const uint8_t pair[] = {(uint8_t)(first >> 8), (uint8_t)first, (uint8_t)(mask >> 8), (uint8_t)mask};
            memcpy(datagram + at, pair, sizeof pair);
            at += sizeof pair;
        }
        if (kind % 64 == 3)
            datagram[start + number(input, 1) % 8] = (uint8_t)number(input, 1);
    }
    for (uint32_t i = FAN_HEADER; i < at; i++)
        datagram[i] ^= 0x5A;
    send_to_server(family, from, datagram, at + 16);
}

/* A receiver asks for so many times 17 packets from `first` on; with an empty mask for one packet each time. */
static void deliver_pairs(int family, uint32_t from, uint32_t first, uint32_t pairs, uint32_t mask) {
    enum { MOST_PAIRS = 2, NAMED = 17 };
    uint8_t datagram[FAN_HEADER + 4 * MOST_PAIRS + 16] = {0x81, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    uint32_t at = FAN_HEADER;
    datagram[3] = (uint8_t)(2 + pairs);
    datagram[11] = (uint8_t)from;
    for (uint32_t i = 0; i < pairs; i++, first += NAMED) {
        const uint8_t pair[] = {(uint8_t)(first >> 8), (uint8_t)first, (uint8_t)(mask >> 8), (uint8_t)mask};
        memcpy(datagram + at, pair, sizeof pair);
        at += sizeof pair;
    }
    for (uint32_t i = FAN_HEADER; i < at; i++)
        datagram[i] ^= 0x5A;
    send_to_server(family, from, datagram, at + 16);
}

static uint32_t epoch;

/* Who may ask for packets of a rule; now and then nobody, or nobody that is known. */
static void set_askers(struct fan *fan, struct input *input, uint32_t rule, uint32_t count) {
    uint32_t kind = number(input, 1);
    struct fan_asker *askers = malloc(count * sizeof *askers);
    require(askers != NULL, "memory for the askers");
    for (uint32_t i = 0; i < count; i++)
        askers[i] = (struct fan_asker){.receiver = i % 7 == 6 ? FAN_NONE : i % 2,
                                       .ssrc = 1000 + i,
                                       .payload_type = kind % 8 ? 97 : FAN_NONE,
                                       .sequence = i,
                                       .spare = kind % 16 == 15 ? -40 : 1 << 24};
    require(fan_set_askers(fan, rule, askers, count) == 0, "askers");
    require(fan_set_askers(fan, rule, askers, count + 1) == -1, "as many askers as rows");
    require(fan_set_askers(fan, FAN_MOST_RULES, askers, count) == -1, "askers have a rule");
    require(fan_set_askers(fan, NEVER_SET, askers, 0) == -1, "askers have rows");
    askers[count - 1].receiver = FAN_MOST_LANES;
    require(fan_set_askers(fan, rule, askers, count) == -1, "askers are known");
    (void)fan_note_again(fan, any_index(input) % 4, any_index(input), following - number(input, 1), 1000, 7);
    require(fan_note_again(fan, rule, count, following, 1, 7) == -1, "rows are known");
    require(fan_note_again(fan, FAN_MOST_RULES, 0, following, 1, 7) == -1, "rules are known");
    free(askers);
}

/* Rules of receivers 0 and 1 for stream 7, placed at what comes next; a `full` one with all rows that it may have, all
 * of them plain, of which two packets are as many copies as are gathered. */
static void set_rules(struct fan *fan, struct input *input, int family, int full) {
    uint32_t count = number(input, 1), rule = number(input, 1) % 3, shift = full ? 4 : number(input, 1);
    count = full ? FAN_MOST_ROWS : count < 200 ? 1 + count % 40 : 800 + 4 * (count % 20);
    /* Exactly as large as promised. */
    struct fan_row *rows = malloc(count * sizeof *rows);
    require(rows != NULL, "memory for the rows");
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct fan_row){.lane = shift % 8 ? i : any_index(input),
                                   .ssrc = i,
                                   .payload_type = 96,
                                   .picture = shift % 3 ? i : 0,
                                   .tl0 = shift % 5 ? 0 : i % 5,
                                   .stamp = i % 2,
                                   .mark = full ? 8 : i % 3 % 2 * (1 + shift % 15)};
    const char *host = family ? "::1" : "127.0.0.1";
    for (uint32_t i = 0; i < 6; i++)
        (void)fan_set_lane(fan, i, &sessions[i], host, client_ports[family][i % CLIENTS], 0, 0);
    for (uint32_t i = 0; i < 2; i++) {
        (void)fan_set_receiver(fan, i, &sessions[i], 50000, 5000);
        (void)fan_set_source(fan, host, client_ports[family][i], 0, i);
    }
    uint8_t *mid = malloc(FAN_MID + 1);
    require(mid != NULL, "memory for the mid");
    memset(mid, 0, FAN_MID + 1);
    uint32_t kind = 96 | (shift % 4 ? 0x100u : 0) | (1 + shift % 2) << 16 | 3 << 20;
    int made = fan_set_rule(fan, rule, shift % 16 == 0, 7, kind, mid, shift % FAN_MID, rows, count);
    require(made == 0, "a rule");
    require(fan_set_rule(fan, rule, 0, 7, kind, mid, FAN_MID + 1, rows, count) == -1, "mids are bounded");
    require(fan_set_rule(fan, rule, 0, 7, kind, mid, 0, rows, FAN_MOST_ROWS + 1) == -1, "rows are bounded");
    require(fan_set_rule(fan, FAN_MOST_RULES, 0, 7, kind, mid, 0, rows, count) == -1, "rules are bounded");
    require(fan_set_rule(fan, rule, FAN_MOST_LANES, 7, kind, mid, 0, rows, count) == -1, "receivers are known");
    if (shift % 3)
        set_askers(fan, input, rule, count);
    require(fan_place_rule(fan, rule, epoch, following, following) == 0, "a place");
    require(fan_place_rule(fan, rule, epoch + 1, following, 0) == -1, "rules have an epoch");
    fan_set_stamp(fan, any_index(input), 65535);
    free(rows);
    free(mid);
}

/* Nothing else is ever readable here, and no time passes. */
static void wait_for_media(struct fan *fan) {
    int found = fan_wait(fan, clients[0][CLIENTS - 1], 0);
    require((found & ~(FAN_MEDIA_WAITS | FAN_OTHER_WAITS)) == 0, "known answers");
    require(fan->came <= FAN_BATCH && fan->results <= fan->came, "no more than there is room for");
}

static void receive(struct fan *fan, double now) {
    int found = fan_receive(fan, now), results = found & 0xFFFF;
    require(found >= 0 && results <= FAN_BATCH && results <= found >> 16, "no more results than datagrams");
    const double *when = fan_times(fan);
    const struct fan_result *result = fan_results(fan);
    const uint8_t *buffer = fan_buffer(fan);
    const char *hosts = fan_hosts(fan);
    volatile uint8_t seen = 0;
    for (int i = 0; i < results; i++) {
        require(result[i].kind <= FAN_ANSWERED, "known kinds");
        require(when[i] > 0, "every result has a time");
        require(result[i].offset <= FAN_BATCH * FAN_SLOT && result[i].length <= FAN_SLOT, "results lie in the buffer");
        require(result[i].offset + result[i].length <= FAN_BATCH * FAN_SLOT, "results end in the buffer");
        if (result[i].kind == FAN_OTHER) {
            const char *host = hosts + result[i].offset / FAN_SLOT * FAN_HOST;
            require(memchr(host, 0, FAN_HOST) != NULL && result[i].port <= 65535, "hosts are printed");
        }
        for (uint32_t at = 0; at < result[i].length; at++)
            seen = (uint8_t)(seen ^ buffer[result[i].offset + at]);
    }
}

static void send_table(struct fan *fan, struct input *input) {
    uint32_t count = number(input, 1) % MOST_COPIES, pieces = number(input, 1) % MOST_PIECES;
    uint32_t blob = number(input, 2) % 3000;
    /* Exactly as large as promised, so that the sanitizer sees the first byte too many. */
    struct fan_copy *copies = malloc(count * sizeof *copies + 1);
    struct fan_piece *piece = malloc(pieces * sizeof *piece + 1);
    uint8_t *bytes = malloc(blob + 1);
    require(copies && piece && bytes, "memory for the input");
    memset(bytes, (int)number(input, 1), blob);
    for (uint32_t i = 0; i < pieces; i++) {
        uint32_t wild = number(input, 1);
        piece[i].offset = wild > 230 ? number(input, 4) : number(input, 2) % (blob + 1);
        piece[i].length = wild % 16 == 0 ? number(input, wild % 32 ? 2 : 4) % 5000 : number(input, 2) % (blob - piece[i].offset % (blob + 1) + 1);
    }
    uint32_t stride = number(input, 1) % 5;
    for (uint32_t i = 0; i < count; i++) {
        copies[i].lane = stride ? i % stride : any_index(input);
        copies[i].payload = i % 7 && pieces ? i % pieces : number(input, 1);
        copies[i].head = i % 3 ? 0 : number(input, 1) % (MOST_PIECES + 1);
        copies[i].word = number(input, 4);
        copies[i].timestamp = number(input, 4);
        copies[i].ssrc = number(input, 4);
        copies[i].stamp = i % 2 ? 0 : number(input, 3);
    }
    int64_t sent = fan_send(fan, copies, count, piece, pieces, bytes, blob);
    require(sent >= 0 && sent <= (int64_t)count, "no more sent than asked");
    require(fan_send(fan, copies, FAN_MOST_COPIES + 1, piece, pieces, bytes, blob) == -1, "too many are refused");
    free(copies);
    free(piece);
    free(bytes);
}

/* As many copies and pieces as are gathered, and requests for as many packets, and for one that never was. */
static void ask_for_all(struct fan *fan, struct input *input, int family) {
    /* Now and then back to numbers that were used, or not yet: what is kept has its place by the number. */
    uint32_t back = number(input, 1), many = 1 + number(input, 1) % 20, pairs = 1 + number(input, 1) % 2;
    following = back % 4 ? following : back % 8 ? (uint16_t)(following - back) : (uint16_t)(back / 8 % 4);
    uint32_t before = following - 1u;
    if (number(input, 1) % 64 == 0) {
        set_rules(fan, input, family, 1);
        many = 9, pairs = 1;
    }
    for (uint32_t rule = 0; rule < 3; rule++)
        (void)fan_place_rule(fan, rule, epoch, following, following);
    for (uint32_t i = 0; i < many; i++) {
        deliver_plain(input, family);
        deliver_plain(input, family);
    }
    deliver_pairs(family, 0, before, 1, 0);
    for (uint32_t from = 0; from < 2; from++)
        deliver_pairs(family, from, following - 17 * pairs, pairs, 0xFFFF);
    wait_for_media(fan);
}

static void empty(int socket) {
    static uint8_t waste[FAN_SLOT];
    while (recv(socket, waste, sizeof waste, MSG_DONTWAIT) >= 0)
        continue;
}

static void step(struct fan *fan, struct input *input, int family, double now) {
    uint32_t what = number(input, 1) % 26, index = any_index(input);
    void *session = &sessions[index % NUMBERS];
    const char *host;
    switch (what) {
    case 0:
    case 1:
        host = any_host(input, family);
        (void)fan_set_lane(fan, index % FAN_MOST_LANES % 5000, session, host, any_port(input, family), number(input, 1), 0);
        require(fan_set_lane(fan, FAN_MOST_LANES, session, host, 1, 0, 0) == -1, "lanes are bounded");
        break;
    case 2:
        fan_clear_lane(fan, index);
        break;
    case 3:
    case 4:
        (void)fan_set_receiver(fan, index % 5000, number(input, 1) % 4 ? session : NULL, 50, 20);
        require(fan_set_receiver(fan, FAN_MOST_LANES, session, 1, 1) == -1, "receivers are bounded");
        break;
    case 5:
        fan_clear_receiver(fan, index);
        break;
    case 6:
    case 7:
    case 8:
        host = any_host(input, family);
        (void)fan_set_source(fan, host, any_port(input, family), number(input, 1) % 2, index);
        break;
    case 9:
        host = any_host(input, family);
        fan_clear_source(fan, host, any_port(input, family), number(input, 1) % 2);
        break;
    case 10:
        for (uint32_t more = number(input, 1) % 8; more < 8; more++)
            deliver(input, family);
        receive(fan, now);
        break;
    case 11:
        deliver(input, family);
        receive(fan, now);
        break;
    case 12: /* many addresses, so that the table grows and closes gaps */
        (void)fan_set_receiver(fan, 1, session, 50, 20);
        for (uint16_t port = 1; port < 200; port++)
            (void)fan_set_source(fan, family ? "::1" : "127.0.0.1", port, 0, 1);
        for (uint16_t port = 1; port < 200; port = (uint16_t)(port + 1 + index % 3))
            fan_clear_source(fan, family ? "::1" : "127.0.0.1", port, 0);
        break;
    case 13:
    case 14:
        set_rules(fan, input, family, 0);
        break;
    case 15:
    case 16:
    case 17:
    case 18:
        for (uint32_t rule = 0; rule < 3; rule++)
            (void)fan_place_rule(fan, rule, epoch, following, following);
        for (uint32_t more = number(input, 1) % 64; more < 64; more++)
            deliver_media(input, family);
        if (what % 2)
            wait_for_media(fan);
        receive(fan, now);
        break;
    case 19:
        for (uint32_t rule = 0; rule < 3; rule++)
            (void)fan_place_rule(fan, rule, epoch, following, following);
        for (uint32_t more = number(input, 1) % 32; more < 32; more++)
            deliver_plain(input, family);
        for (uint32_t more = number(input, 1) % 16; more < 16; more++)
            deliver_request(input, family);
        wait_for_media(fan);
        receive(fan, now);
        break;
    case 20:
        ask_for_all(fan, input, family);
        receive(fan, now);
        break;
    case 21:
        if (index % 3)
            fan_clear_rule(fan, index % 4);
        else
            epoch = fan_new_epoch(fan);
        break;
    default:
        send_table(fan, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    int family = (int)number(&input, 1) & 1;
    struct fan *fan = fan_new(servers[family], family, (int)number(&input, 1) & 1, number(&input, 4));
    require(fan != NULL, "a fan");
    epoch = 0;
    for (double now = 1000; input.size > 0; now += 0.01)
        step(fan, &input, family, now);
    receive(fan, 2000);
    copies_by_rules += ((const uint64_t *)fan_counters(fan))[FAN_EXPRESS];
    copies_again += ((const uint64_t *)fan_counters(fan))[FAN_AGAIN];
    fan_free(fan);
    empty(servers[family]);
    for (int i = 0; i < CLIENTS; i++)
        empty(clients[family][i]);
    return 0;
}

static int open_socket(int family, uint16_t *port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    struct sockaddr *address = family ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t length = family ? sizeof v6 : sizeof v4;
    int opened = socket(family ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    require(opened >= 0 && bind(opened, address, length) == 0, "a socket on loopback");
    require(getsockname(opened, address, &length) == 0, "the socket's port");
    *port = ntohs(family ? v6.sin6_port : v4.sin_port);
    return opened;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fan_srtp = (struct fan_srtp){protect, protect_rtcp, unprotect, unprotect};
    for (int family = 0; family < 2; family++) {
        servers[family] = open_socket(family, &server_ports[family]);
        for (int i = 0; i < CLIENTS; i++)
            clients[family][i] = open_socket(family, &client_ports[family][i]);
    }
    return 0;
}

#ifndef FAN_LIBFUZZER
static uint64_t state;

static uint8_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint8_t)(state >> 24);
}

static int run_file(const char *name) {
    static uint8_t data[LARGEST_INPUT];
    FILE *file = fopen(name, "rb");
    if (file == NULL)
        return 1;
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv) {
    LLVMFuzzerInitialize(&argc, &argv);
    char *end = NULL;
    unsigned long long seed = argc == 3 ? strtoull(argv[1], &end, 10) : 0;
    if (argc != 3 || end == argv[1] || *end != '\0') {
        for (int i = 1; i < argc; i++)
            if (run_file(argv[i]) != 0)
                return 1;
        return 0;
    }
    static uint8_t data[LARGEST_INPUT];
    unsigned long count = strtoul(argv[2], NULL, 10);
    for (unsigned long i = 0; i < count; i++) {
        state = (seed << 32 | i) * 0x9E3779B97F4A7C15ULL + 1;
        size_t size = 16 + (size_t)(draw() << 4 | draw() % 16) % (LARGEST_INPUT - 16);
        for (size_t at = 0; at < size; at++)
            data[at] = draw();
        LLVMFuzzerTestOneInput(data, size);
    }
    require(count < 1000 || copies_by_rules > count, "rules make copies");
    require(count < 1000 || copies_again > count / 40, "packets are sent again");
    printf("%lu inputs\n", count);
    return 0;
}
#endif
