/* Sending: copies of a table are built, encrypted in place and handed to the kernel in batches.
 *
 * Copies for one lane leave in the order of the table, and next to each other, so that runs of equal length can go
 * as one message that the kernel cuts up (UDP_SEGMENT, udp(7)). */
#include "fan.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct table {
    const struct fan_piece *pieces;
    uint32_t piece_count;
    const uint8_t *blob;
    uint32_t blob_size;
};

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value);
}

/* Find a piece; 0 when it lies inside the blob. */
static int piece(const struct table *table, uint32_t number, const uint8_t **data, uint32_t *length) {
    if (number >= table->piece_count)
        return -1;
    const struct fan_piece *found = &table->pieces[number];
    if (found->offset > table->blob_size || found->length > table->blob_size - found->offset)
        return -1;
    *data = table->blob + found->offset;
    *length = found->length;
    return 0;
}

/* Write the start of a header extension that goes on with so many words (RFC 8285), and the stamp where it is not 0. */
static void put_words(uint8_t *at, uint32_t words, uint32_t stamp) {
    uint32_t id = stamp >> 16 & 15;
    int is_short = words <= FAN_SHORT_WORDS;
    put16(at, is_short ? 0xBEDE : 0x1000);
    put16(at + 2, words + (stamp != 0));
    if (stamp != 0 && is_short)
        put32(at + 4, id << 28 | 1 << 24 | (stamp & 0xFFFF) << 8);
    else if (stamp != 0)
        put32(at + 4, id << 24 | 2 << 16 | (stamp & 0xFFFF));
}

/* Build one plain packet in a slot; its length, or -1 when the copy is malformed or too long. */
static int build(const struct table *table, const struct fan_copy *copy, uint8_t *slot) {
    const uint8_t *payload, *head;
    uint32_t length, patched;
    if (piece(table, copy->payload, &payload, &length) != 0)
        return -1;
    if (copy->word & FAN_CONTROL) {
        if (length > FAN_LARGEST_RTCP)
            return -1;
        memcpy(slot, payload, length);
        return (int)length;
    }
    if (piece(table, copy->head, &head, &patched) != 0)
        return -1;
    uint32_t rest = length > patched ? length - patched : 0;
    uint32_t words = copy->word >> FAN_WORDS_AT, start = copy->stamp ? FAN_HEADER + FAN_STAMP : FAN_HEADER;
    if (words != 0 && copy->stamp == 0)
        start = FAN_HEADER + FAN_EXTENSION;
    if (patched > FAN_LARGEST_RTP || rest > FAN_LARGEST_RTP || start + patched + rest > FAN_LARGEST_RTP ||
        4 * words > patched + rest)
        return -1;
    slot[0] = start > FAN_HEADER ? 0x90 : 0x80;
    slot[1] = (uint8_t)(copy->word >> 16);
    put16(slot + 2, copy->word);
    put32(slot + 4, copy->timestamp);
    put32(slot + 8, copy->ssrc);
    if (words != 0) {
        put_words(slot + FAN_HEADER, words, copy->stamp);
    } else if (copy->stamp) {
        put32(slot + FAN_HEADER, 0xBEDE0001);
        slot[FAN_HEADER + 4] = (uint8_t)((copy->stamp >> 16 & 15) << 4 | 1);
        put16(slot + FAN_HEADER + 5, copy->stamp);
        slot[FAN_HEADER + 7] = 0;
    }
    memcpy(slot + start, head, patched);
    memcpy(slot + start + patched, payload + (length - rest), rest);
    return (int)(start + patched + rest);
}

/* Send a message that the kernel would not cut up, datagram by datagram. */
static int64_t send_singly(struct fan *fan, const struct msghdr *message) {
    int64_t sent = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *one = &message->msg_iov[i];
        fan->counters[FAN_SEND_CALLS]++;
        if (sendto(fan->fd, one->iov_base, one->iov_len, MSG_DONTWAIT, message->msg_name, message->msg_namelen) >= 0)
            sent++;
        else
            fan->counters[FAN_SEND_FAILED]++;
    }
    return sent;
}

/* Hand everything built to the kernel; the number of datagrams that it took. */
static int64_t flush(struct fan *fan) {
    struct fan_outgoing *out = &fan->out;
    int64_t sent = 0;
    unsigned done = 0;
    while (done < out->messages) {
        fan->counters[FAN_SEND_CALLS]++;
        int taken = sendmmsg(fan->fd, out->message + done, out->messages - done, MSG_DONTWAIT);
        if (taken > 0) {
            for (int i = 0; i < taken; i++)
                sent += (int64_t)out->message[done + (unsigned)i].msg_hdr.msg_iovlen;
            done += (unsigned)taken;
            continue;
        }
        if (errno == EINTR)
            continue;
        const struct msghdr *refused = &out->message[done].msg_hdr;
        if (errno == EAGAIN || errno == ENOBUFS) {
            /* The socket is full: what cannot leave now is lost, as on any network. */
            for (; done < out->messages; done++)
                fan->counters[FAN_SEND_FAILED] += out->message[done].msg_hdr.msg_iovlen;
            break;
        }
        if (refused->msg_iovlen > 1) {
            /* A device without checksum offload cannot cut at all (EIO); a path with a small MTU not these. */
            if (errno == EIO)
                fan->segments = 0;
            sent += send_singly(fan, refused);
        } else {
            fan->counters[FAN_SEND_FAILED]++;
        }
        done++;
    }
    out->slots = out->messages = 0;
    return sent;
}

/* Say whether the datagram in the newest slot may join the last message. */
static int joins(const struct fan *fan, uint32_t lane, size_t length) {
    const struct fan_outgoing *out = &fan->out;
    if (!fan->segments || out->messages == 0 || out->lane != lane)
        return 0;
    const struct msghdr *last = &out->message[out->messages - 1].msg_hdr;
    size_t first = last->msg_iov[0].iov_len, count = last->msg_iovlen;
    /* Every segment but the last one has the length of the first. */
    return length <= first && last->msg_iov[count - 1].iov_len == first && count < FAN_MOST_SEGMENTS &&
           (count + 1) * first <= FAN_MOST_SEGMENTED;
}

static void segment(struct fan *fan, struct msghdr *message, char *control, size_t length) {
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = (uint16_t)length;
    memcpy(CMSG_DATA(header), &size, sizeof size);
    fan->counters[FAN_SEGMENTED]++;
}

/* Put the datagram in the newest slot into the last message or into one of its own. */
static void enqueue(struct fan *fan, uint32_t lane, size_t length) {
    struct fan_outgoing *out = &fan->out;
    out->piece[out->slots].iov_len = length;
    if (joins(fan, lane, length)) {
        struct msghdr *last = &out->message[out->messages - 1].msg_hdr;
        if (last->msg_iovlen == 1)
            segment(fan, last, out->control[out->messages - 1], last->msg_iov[0].iov_len);
        last->msg_iovlen++;
    } else {
        struct msghdr *fresh = &out->message[out->messages].msg_hdr;
        memset(fresh, 0, sizeof *fresh);
        fresh->msg_name = &fan->lanes[lane].to;
        fresh->msg_namelen = fan_address_length(&fan->lanes[lane].to);
        fresh->msg_iov = &out->piece[out->slots];
        fresh->msg_iovlen = 1;
        out->lane = lane;
        out->messages++;
    }
    out->slots++;
}

/* Send the copies of one lane, in their order. */
static int64_t send_lane(struct fan *fan, const struct table *table, const struct fan_copy *copies, uint32_t lane) {
    int64_t sent = 0;
    for (uint32_t at = fan->lanes[lane].first; at != FAN_NONE; at = fan->next[at]) {
        if (fan->out.slots == FAN_BATCH)
            sent += flush(fan);
        uint8_t *slot = fan->out.slot[fan->out.slots];
        int length = build(table, &copies[at], slot);
        if (length < 0)
            continue;
        void *session = fan->lanes[lane].session;
        int failed = copies[at].word & FAN_CONTROL ? fan_srtp.protect_rtcp(session, slot, &length)
                                                   : fan_srtp.protect(session, slot, &length);
        if (failed || length <= 0 || length > FAN_SLOT)
            continue;
        enqueue(fan, lane, (size_t)length);
    }
    fan->lanes[lane].first = fan->lanes[lane].last = FAN_NONE;
    return sent;
}

static int make_scratch(struct fan *fan, uint32_t count) {
    if (count <= fan->scratch)
        return 0;
    uint32_t *next = realloc(fan->next, count * sizeof *next);
    if (next == NULL)
        return -1;
    fan->next = next;
    uint32_t *order = realloc(fan->order, count * sizeof *order);
    if (order == NULL)
        return -1;
    fan->order = order;
    fan->scratch = count;
    return 0;
}

/* Send a table of copies. Returns how many the kernel took, or -1 when there are too many to try. */
int64_t fan_send(struct fan *fan, const struct fan_copy *copies, uint32_t count, const struct fan_piece *pieces,
                 uint32_t piece_count, const uint8_t *blob, uint32_t blob_size) {
    if (count > FAN_MOST_COPIES || make_scratch(fan, count) != 0)
        return -1;
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = copies[i].lane;
        if (number >= fan->lane_count || fan->lanes[number].session == NULL)
            continue;
        struct fan_lane *lane = &fan->lanes[number];
        fan->next[i] = FAN_NONE;
        if (copies[i].stamp)
            lane->stamp = (uint16_t)(copies[i].stamp + 1);
        if (lane->first == FAN_NONE) {
            lane->first = i;
            fan->order[lanes++] = number;
        } else {
            fan->next[lane->last] = i;
        }
        lane->last = i;
    }
    const struct table table = {pieces, piece_count, blob, blob_size};
    int64_t sent = 0;
    fan->out.slots = fan->out.messages = 0;
    for (uint32_t i = 0; i < lanes; i++)
        sent += send_lane(fan, &table, copies, fan->order[i]);
    return sent + flush(fan);
}
