/* Receiving: one recvmmsg, and media from known addresses decrypted in place. */
#include "fan.h"

#include <errno.h>
#include <string.h>

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

/* Fill one result; say whether Python must see it. `changing`: something earlier in this batch may change who may
 * send, so what is not known yet goes to Python, which takes the datagrams in order. */
static int judge(struct fan *fan, unsigned at, struct fan_result *result, int *changing, double now) {
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
            return 1;
        }
        if (!*changing) {
            fan->counters[FAN_UNCHECKED] += source == NULL;
            return 0;
        }
    } else {
        *changing = 1;
    }
    result->kind = FAN_OTHER;
    result->length = length;
    fan_print_address(&fan->in_from[at], fan->host[at], result);
    return 1;
}

/* Receive at most one batch. Returns how many results there are, plus 65536 times how many datagrams came. */
int fan_receive(struct fan *fan, double now) {
    for (unsigned i = 0; i < FAN_BATCH; i++)
        fan->in_message[i].msg_hdr.msg_namelen = sizeof(union fan_address);
    int came;
    do
        came = recvmmsg(fan->fd, fan->in_message, FAN_BATCH, MSG_DONTWAIT, NULL);
    while (came < 0 && errno == EINTR);
    if (came <= 0)
        return 0;
    int results = 0, changing = 0;
    for (int i = 0; i < came; i++)
        if (judge(fan, (unsigned)i, &fan->result[results], &changing, now))
            results++;
    return came << 16 | results;
}
