/* Receiving: one recvmmsg, and media from known addresses decrypted in place. */
#include "fan.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

/* The same arithmetic as TokenBucket in Python. */
static int take(struct fan_bucket *bucket, double now) {
    if (now > bucket->updated) {
        bucket->level += (now - bucket->updated) * bucket->rate;
        if (bucket->level > bucket->rate)
            bucket->level = bucket->rate;
        bucket->updated = now;
    }
    if (bucket->level < 1.0)
        return 0;
    bucket->level -= 1.0;
    return 1;
}

static int is_media(const uint8_t *data, uint32_t length) { return length > 0 && data[0] > 127 && data[0] < 192; }

/* RFC 5761 section 4. */
static int is_control(const uint8_t *data, uint32_t length) { return length > 1 && data[1] >= 192 && data[1] <= 223; }

static enum fan_kind decrypt(struct fan_receiver *receiver, uint8_t *data, uint32_t *length, double now) {
    int control = is_control(data, *length);
    if (!take(control ? &receiver->control : &receiver->media, now))
        return FAN_OVER_BUDGET;
    if (*length > FAN_LARGEST_RECEIVED)
        return FAN_REFUSED;
    int size = (int)*length;
    int failed = (control ? fan_srtp.unprotect_rtcp : fan_srtp.unprotect)(receiver->session, data, &size);
    if (failed || size < 0 || (uint32_t)size > *length)
        return FAN_REFUSED;
    *length = (uint32_t)size;
    return control ? FAN_RTCP : FAN_RTP;
}

/* Say whether what an RTCP compound tells is as good a moment later: reports and estimates (RFC 3550 section 6.4,
 * draft-alvestrand-rmcat-remb, transport-wide feedback), and nothing that asks for something. */
static int may_wait(const uint8_t *data, uint32_t length) {
    uint32_t at = 0;
    while (at + 4 <= length) {
        uint32_t format = data[at] & 31u, type = data[at + 1];
        if (type < 200 || type == 203 || type == 204 || type > 206 || (type > 204 && format != 15))
            return 0;
        at += 4 + 4 * ((uint32_t)data[at + 2] << 8 | data[at + 3]);
    }
    return 1;
}

/* Deal with decrypted media; say whether Python must see it before anything else is forwarded. */
static int take_media(struct fan *fan, struct fan_result *result, const uint8_t *data) {
    if (result->kind == FAN_RTCP) {
        if (may_wait(data, result->length))
            return 0;
        if (fan->halted || !fan_answer(fan, result->receiver, data, result->length))
            return 1;
        result->kind = FAN_ANSWERED;
        return 0;
    }
    if (result->kind != FAN_RTP)
        return 0;
    if (fan->halted || !fan_forward(fan, result->receiver, data, result->length))
        return 1;
    result->kind = FAN_FORWARDED;
    return 0;
}

/* Fill one result; say whether there is one. Python takes results in order: what comes behind something that may
 * change who may send, and is not known yet, goes to Python; what comes behind something that may change a rule is
 * not forwarded here. */
static int judge(struct fan *fan, unsigned at, struct fan_result *result, double now) {
    uint8_t *data = fan->in[at];
    uint32_t length = fan->in_message[at].msg_len;
    if (length > FAN_SLOT)
        length = FAN_SLOT;
    result->offset = at * FAN_SLOT;
    result->receiver = 0;
    if (length == 0)
        return 0;
    if (is_media(data, length)) {
        struct fan_source key = fan_source_key(&fan->in_from[at]);
        struct fan_source *source = fan_find_source(&fan->sources, &key);
        struct fan_receiver *receiver = source ? &fan->receivers[source->receiver] : NULL;
        if (receiver != NULL && receiver->session != NULL) {
            result->receiver = source->receiver;
            result->kind = decrypt(receiver, data, &length, now);
            result->length = length;
            fan->halted |= take_media(fan, result, data);
            return 1;
        }
        if (!fan->changing) {
            fan->counters[FAN_UNCHECKED] += source == NULL;
            return 0;
        }
    } else {
        fan->changing = 1;
    }
    fan->halted = 1;
    result->kind = FAN_OTHER;
    result->length = length;
    fan_print_address(&fan->in_from[at], fan->host[at], result);
    return 1;
}

/* Receive behind what waits for Python. Returns how many datagrams came. */
static int take_more(struct fan *fan, double now) {
    unsigned first = fan->came, room = FAN_BATCH - first;
    for (unsigned i = first; i < FAN_BATCH; i++)
        fan->in_message[i].msg_hdr.msg_namelen = sizeof(union fan_address);
    int came;
    do
        came = recvmmsg(fan->fd, fan->in_message + first, room, MSG_DONTWAIT, NULL);
    while (came < 0 && errno == EINTR);
    if (came <= 0)
        return 0;
    for (unsigned i = first; i < first + (unsigned)came; i++) {
        fan->when[fan->results] = now;
        fan->results += (unsigned)judge(fan, i, &fan->result[fan->results], now);
    }
    fan->came += (unsigned)came;
    fan_send_express(fan);
    return came;
}

/* Hand what has gathered to Python, after receiving a batch if nothing has. Returns how many results there are,
 * plus 65536 times how many datagrams came. */
int fan_receive(struct fan *fan, double now) {
    if (fan->came == 0)
        (void)take_more(fan, now);
    int found = (int)(fan->came << 16 | fan->results);
    fan->came = fan->results = 0;
    fan->halted = fan->changing = 0;
    return found;
}

static double clock_now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Forward what has a rule until Python must see something, `other` is readable, a signal comes or `seconds` (for
 * ever when negative) have passed. Returns FAN_MEDIA_WAITS, FAN_OTHER_WAITS, both, or neither. */
int fan_wait(struct fan *fan, int other, double seconds) {
    struct pollfd polled[2] = {{.fd = fan->fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    double end = seconds < 0 ? 0 : clock_now() + seconds;
    for (double left = seconds;;) {
        struct timespec timeout = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        int ready = ppoll(polled, 2, seconds < 0 ? NULL : &timeout, NULL);
        double now = clock_now();
        if (ready > 0 && polled[0].revents)
            (void)take_more(fan, now);
        int others = ready > 0 && polled[1].revents ? FAN_OTHER_WAITS : 0;
        left = seconds < 0 ? seconds : end - now;
        if (ready <= 0 || others || fan->halted || fan->came > FAN_BATCH - FAN_ROOM || (seconds >= 0 && left <= 0))
            return others | (fan->came ? FAN_MEDIA_WAITS : 0);
    }
}
