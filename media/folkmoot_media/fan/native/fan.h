/* The compiled fan-out back end: receives, unprotects, rewrites, protects and sends media in batches.
 *
 * What goes where is decided in Python; this code carries out tables and keeps none of the rules. The one thread
 * that owns a `struct fan` calls it without holding Python's lock. Every index, offset and length that comes from
 * outside is checked here, because it may come from a peer. */
#ifndef FOLKMOOT_FAN_H
#define FOLKMOOT_FAN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FAN_API __attribute__((visibility("default")))

/* Raised with every change of what Python sees; the loader refuses another number. */
#define FAN_ABI 4

enum {
    FAN_BATCH = 64,            /* datagrams per system call */
    FAN_SLOT = 2048,           /* bytes of one datagram's buffer */
    FAN_HEADER = 12,           /* RTP header without CSRCs, RFC 3550 section 5.1 */
    FAN_STAMP = 8,             /* the header extension of a stamp, RFC 8285 section 4.2 */
    FAN_EXTENSION = 4,         /* the start of a header extension that has no stamp, RFC 3550 section 5.3.1 */
    FAN_SHORT_WORDS = 4,       /* elements in so many words have one byte before them, those in more have two */
    FAN_LARGEST_RTP = 1356,    /* plain bytes: what pylibsrtp takes: all back ends drop the same */
    FAN_LARGEST_RTCP = 1352,
    FAN_LARGEST_RECEIVED = 1500,
    FAN_MOST_COPIES = 1 << 16, /* per call */
    FAN_MOST_LANES = 1 << 20,
    FAN_MOST_SEGMENTS = 64,    /* of one UDP_SEGMENT send; the kernel's smallest limit */
    FAN_MOST_SEGMENTED = 60000,
    FAN_HOST = 48,             /* bytes of a printed address */
    FAN_ROOM = 16,             /* datagrams to have room for in the next system call */
    FAN_MOST_RULES = 1 << 16,
    FAN_MOST_ROWS = 4096,      /* of a rule */
    FAN_MID = 16,              /* bytes of a media section's name in a header extension of one byte */
    FAN_HEAD = 16,             /* bytes of a VP8 payload descriptor or of a mark's element, rounded up */
    FAN_MARK = 15,             /* bytes of a mark that a rule forwards: as many as fit FAN_SHORT_WORDS */
    FAN_LEAST_MARK = 3,
    FAN_LARGEST_MARKED = 1334, /* bytes of payload with its mark, as ROOM in marked.py */
    FAN_LARGEST_EXPRESS = 1330, /* bytes of payload, as LARGEST_PAYLOAD in demux.py */
    FAN_EXPRESS_COPIES = 8192, /* gathered before they are sent */
    FAN_EXPRESS_PIECES = 4096 + 256,
    FAN_KEPT = 512,            /* packets kept to be sent again, as HISTORY_SIZE in reception.py */
    FAN_MOST_AGAIN = 64,       /* packets to be sent again that are gathered before they are sent */
    FAN_MOST_ASKED = 256       /* of one request, as MAXIMUM_NACKS in rtcp.py */
};

/* The word of a copy: marker and payload type in bits 16 to 23, sequence number in bits 0 to 15, and from bit 25 on
 * how many words of a header extension the payload begins with. */
#define FAN_CONTROL 0x01000000u /* the payload is a whole RTCP compound */
#define FAN_WORDS_AT 25

enum fan_kind {
    FAN_OTHER,       /* not media, or for Python to judge: the bytes as they came */
    FAN_RTP,         /* decrypted */
    FAN_RTCP,        /* decrypted */
    FAN_OVER_BUDGET, /* dropped: too many from this receiver */
    FAN_REFUSED,     /* dropped: forged, replayed or malformed */
    FAN_FORWARDED,   /* RTP, decrypted and already forwarded by a rule */
    FAN_ANSWERED     /* RTCP, decrypted; what it asks for has been sent again */
};

/* What fan_wait has found. */
enum { FAN_MEDIA_WAITS = 1, FAN_OTHER_WAITS = 2 };

enum fan_counter {
    FAN_UNCHECKED,  /* media from an address nobody has entered */
    FAN_SEND_CALLS, /* system calls to send */
    FAN_SEGMENTED,  /* messages that the kernel cut into datagrams */
    FAN_SEND_FAILED,
    FAN_EXPRESS,      /* copies made by rules */
    FAN_EXPRESS_SENT, /* of these, those that the kernel took */
    FAN_AGAIN,        /* packets sent again without Python, counted in both */
    FAN_COUNTERS
};

/* libsrtp, resolved at run time; the sessions belong to Python. */
struct fan_srtp {
    int (*protect)(void *session, void *packet, int *length);
    int (*protect_rtcp)(void *session, void *packet, int *length);
    int (*unprotect)(void *session, void *packet, int *length);
    int (*unprotect_rtcp)(void *session, void *packet, int *length);
};
extern struct fan_srtp fan_srtp;

union fan_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Where copies may be sent. */
struct fan_lane {
    void *session; /* NULL: nowhere */
    union fan_address to;
    uint32_t first, last; /* copies of the call in hand; FAN_NONE between calls */
    uint16_t stamp;       /* the number after that of the last stamped copy */
};
#define FAN_NONE UINT32_MAX

/* Whose packets may come in; budgets are token buckets. */
struct fan_bucket {
    double rate, level, updated;
};
struct fan_receiver {
    void *session; /* NULL: no key yet */
    struct fan_bucket media, control;
    uint32_t rule;  /* the first of its rules, or FAN_NONE */
    uint32_t asker; /* what it may ask for: the first of its askers, as rule, and row of that rule; or FAN_NONE */
    uint32_t asker_row;
};

/* One receiver of a stream with a rule. `sequence` and `timestamp` are added to a packet's position and timestamp,
 * `picture` and `tl0` to the numbers in its VP8 descriptor or mark; `stamp` is the id of the extension, or 0, and so is
 * `mark`: who has one gets marks. */
struct fan_row {
    uint32_t lane, ssrc, payload_type, sequence, timestamp, picture, tl0, stamp, mark;
};
/* The AV1 dependency descriptor of a packet; `length` 0: none. */
struct fan_mark {
    uint32_t length;
    uint8_t data[FAN_MARK];
};
/* Who may ask for packets of a row again, and how they leave then: with their own numbers when `payload_type` is
 * FAN_NONE. `spare` are the bytes that may be sent again, times four. The last two: the receiver's next asker. */
struct fan_asker {
    uint32_t receiver, ssrc, payload_type, sequence;
    int64_t spare;
    uint32_t following, following_row;
};
/* Where the numbers of a VP8 payload descriptor stand; -1 where one is absent. */
struct fan_numbers {
    uint32_t length;
    int picture_at, wide, tl0_at;
};
/* A packet that a rule has forwarded; `length` 0: none. */
struct fan_kept {
    uint32_t position, timestamp, length, room;
    uint32_t marker;
    struct fan_numbers numbers;
    struct fan_mark mark;
    uint8_t *payload;
};
struct fan_rule {
    struct fan_row *rows; /* NULL: no such rule */
    uint32_t count, receiver, ssrc, epoch;
    uint32_t following; /* rule of the same receiver */
    uint32_t position;  /* of the packet that fits */
    uint16_t expected;
    uint8_t payload_type, vp8, mark_id, mid_id, mid_length, mid[FAN_MID];
    struct fan_asker *askers; /* one for each row; NULL: nobody may ask */
    struct fan_kept *kept;    /* FAN_KEPT of them */
    uint8_t *asked;           /* for each of them a bit for each row: it has been sent again */
    uint32_t asked_size;      /* bytes of them for one packet */
    int64_t octets;           /* of payload, forwarded by the rule */
};

/* Address to receiver: open addressing, linear probing. */
struct fan_source {
    uint8_t ip[16];
    uint32_t scope;
    uint16_t port;
    uint16_t used;
    uint32_t receiver;
};
struct fan_sources {
    struct fan_source *table;
    uint32_t size, count; /* size is a power of two */
    uint64_t seed;
};

/* One copy to send, as it comes from Python. `payload` and `head` are numbers of pieces; `head` takes the place of
 * the payload's first bytes. `stamp` is 0, or id << 16 | number: a header extension of eight bytes. */
struct fan_copy {
    uint32_t lane, payload, head, word, timestamp, ssrc, stamp;
};
struct fan_piece {
    uint32_t offset, length;
};

/* One datagram received, as Python reads it. */
struct fan_result {
    uint32_t kind, receiver, offset, length, port, flow, scope;
};

/* What one call has built but not yet handed to the kernel. */
struct fan_outgoing {
    uint8_t slot[FAN_BATCH][FAN_SLOT] __attribute__((aligned(16)));
    struct iovec piece[FAN_BATCH];
    struct mmsghdr message[FAN_BATCH];
    char control[FAN_BATCH][CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8)));
    unsigned slots, messages;
    uint32_t lane; /* of the last message */
};

/* Copies made by rules and not sent yet. */
struct fan_express {
    struct fan_copy copy[FAN_EXPRESS_COPIES];
    struct fan_piece piece[FAN_EXPRESS_PIECES];
    uint32_t count, pieces, heads, again;
};

struct fan {
    int fd;
    int ipv6;
    int segments; /* the kernel has UDP_SEGMENT */
    struct fan_lane *lanes;
    uint32_t lane_count;
    struct fan_receiver *receivers;
    uint32_t receiver_count;
    struct fan_sources sources;
    uint32_t *next, *order;
    uint32_t scratch;
    uint64_t counters[FAN_COUNTERS];
    struct fan_outgoing out;
    struct fan_rule *rules;
    uint32_t rule_count, epoch;
    struct fan_express express;
    unsigned came, results; /* since Python last took results */
    int halted;             /* a result waits for Python: rules rest, because it may change them */
    int changing;           /* a result may change who may send */
    uint8_t in[FAN_BATCH][FAN_SLOT] __attribute__((aligned(16)));
    uint8_t heads[FAN_EXPRESS_PIECES][FAN_HEAD]; /* right behind `in`, and `again` behind it: they are one blob */
    uint8_t again[FAN_MOST_AGAIN][FAN_LARGEST_RTP];
    double when[FAN_BATCH];
    char host[FAN_BATCH][FAN_HOST];
    struct fan_result result[FAN_BATCH];
    struct mmsghdr in_message[FAN_BATCH];
    struct iovec in_piece[FAN_BATCH];
    union fan_address in_from[FAN_BATCH];
};

/* address.c */
int fan_read_address(const struct fan *fan, const char *host, uint16_t port, uint32_t flow, uint32_t scope,
                     union fan_address *out);
socklen_t fan_address_length(const union fan_address *address);
void fan_print_address(const union fan_address *address, char host[FAN_HOST], struct fan_result *result);
struct fan_source fan_source_key(const union fan_address *address);
struct fan_source *fan_find_source(struct fan_sources *sources, const struct fan_source *key);
int fan_put_source(struct fan_sources *sources, const struct fan_source *key, uint32_t receiver);
void fan_drop_source(struct fan_sources *sources, const struct fan_source *key);

/* express.c */
int fan_forward(struct fan *fan, uint32_t receiver, const uint8_t *packet, uint32_t length);
void fan_send_express(struct fan *fan);
uint32_t fan_add_piece(struct fan *fan, uint32_t offset, uint32_t length);
void fan_patch_vp8(uint8_t *head, const struct fan_numbers *numbers, uint32_t picture_shift, uint32_t tl0_shift);
uint32_t fan_write_mark(uint8_t *head, const struct fan_row *row, const struct fan_mark *mark);

/* again.c */
void fan_keep(struct fan_rule *rule, const uint8_t *packet, const uint8_t *payload, uint32_t length,
              const struct fan_numbers *numbers, const struct fan_mark *mark);
int fan_answer(struct fan *fan, uint32_t receiver, const uint8_t *data, uint32_t length);
void fan_clear_askers(struct fan *fan, struct fan_rule *rule);
void fan_drop_asking(struct fan *fan, uint32_t receiver);

/* What Python calls: table.c, receive.c, express.c, again.c, send.c. */
FAN_API int fan_abi(void);
FAN_API const char *fan_load(const char *library, const char *const *versions, uint32_t count);
FAN_API struct fan *fan_new(int fd, int ipv6, int segments, uint64_t seed);
FAN_API void fan_free(struct fan *fan);
FAN_API int fan_has_segments(const struct fan *fan);
FAN_API void *fan_buffer(struct fan *fan);
FAN_API void *fan_hosts(struct fan *fan);
FAN_API void *fan_results(struct fan *fan);
FAN_API void *fan_counters(struct fan *fan);
FAN_API int fan_set_lane(struct fan *fan, uint32_t lane, void *session, const char *host, uint16_t port,
                         uint32_t flow, uint32_t scope);
FAN_API void fan_clear_lane(struct fan *fan, uint32_t lane);
FAN_API int fan_set_receiver(struct fan *fan, uint32_t receiver, void *session, double media, double control);
FAN_API void fan_clear_receiver(struct fan *fan, uint32_t receiver);
FAN_API int fan_set_source(struct fan *fan, const char *host, uint16_t port, uint32_t scope, uint32_t receiver);
FAN_API void fan_clear_source(struct fan *fan, const char *host, uint16_t port, uint32_t scope);
FAN_API void *fan_times(struct fan *fan);
FAN_API int fan_receive(struct fan *fan, double now);
FAN_API int fan_wait(struct fan *fan, int other, double seconds);
FAN_API int fan_set_rule(struct fan *fan, uint32_t number, uint32_t receiver, uint32_t ssrc, uint32_t kind,
                         const uint8_t *mid, uint32_t mid_length, const struct fan_row *rows, uint32_t count);
FAN_API int fan_set_askers(struct fan *fan, uint32_t number, const struct fan_asker *askers, uint32_t count);
FAN_API int fan_note_again(struct fan *fan, uint32_t number, uint32_t row, uint32_t position, uint32_t octets,
                           uint32_t sequence);
FAN_API int fan_place_rule(struct fan *fan, uint32_t number, uint32_t epoch, uint32_t expected, uint32_t position);
FAN_API void fan_clear_rule(struct fan *fan, uint32_t number);
FAN_API uint32_t fan_new_epoch(struct fan *fan);
FAN_API void fan_set_stamp(struct fan *fan, uint32_t lane, uint32_t number);
FAN_API int64_t fan_send(struct fan *fan, const struct fan_copy *copies, uint32_t count,
                         const struct fan_piece *pieces, uint32_t piece_count, const uint8_t *blob,
                         uint32_t blob_size);
#endif
