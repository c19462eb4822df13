/* Loading libsrtp, and the tables that Python keeps up to date. */
#include "fan.h"

#include <dlfcn.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct fan_srtp fan_srtp;

int fan_abi(void) { return FAN_ABI; }

/* Resolve libsrtp from `library`, which the process has loaded already; NULL, or why not. */
const char *fan_load(const char *library, const char *const *versions, uint32_t count) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return "the shared object cannot be opened";
    /* POSIX gives function addresses as object pointers; a union is how C spells that. */
    union {
        void *object;
        const char *(*text)(void);
        int (*call)(void *, void *, int *);
    } found;
    found.object = dlsym(handle, "srtp_get_version_string");
    if (found.object == NULL)
        return "the shared object has no libsrtp inside";
    const char *version = found.text();
    uint32_t known = 0;
    while (known < count && strcmp(version, versions[known]) != 0)
        known++;
    if (known == count)
        return "its libsrtp is of an unknown version";
    static const char *const names[] = {"srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp"};
    struct fan_srtp calls;
    int (**const places[])(void *, void *, int *) = {&calls.protect, &calls.protect_rtcp, &calls.unprotect,
                                                     &calls.unprotect_rtcp};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        found.object = dlsym(handle, names[i]);
        if (found.object == NULL)
            return "its libsrtp lacks a function";
        *places[i] = found.call;
    }
    fan_srtp = calls;
    return NULL;
}

struct fan *fan_new(int fd, int ipv6, int segments, uint64_t seed) {
    struct fan *fan = aligned_alloc(64, (sizeof *fan + 63) / 64 * 64);
    if (fan == NULL)
        return NULL;
    memset(fan, 0, sizeof *fan);
    fan->fd = fd;
    fan->ipv6 = ipv6;
    fan->sources.seed = seed;
    int off = 0;
    fan->segments = segments && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off) == 0;
    for (unsigned i = 0; i < FAN_BATCH; i++) {
        fan->in_piece[i].iov_base = fan->in[i];
        fan->in_piece[i].iov_len = FAN_SLOT;
        fan->in_message[i].msg_hdr.msg_iov = &fan->in_piece[i];
        fan->in_message[i].msg_hdr.msg_iovlen = 1;
        fan->in_message[i].msg_hdr.msg_name = &fan->in_from[i];
        fan->out.piece[i].iov_base = fan->out.slot[i];
    }
    return fan;
}

void fan_free(struct fan *fan) {
    if (fan == NULL)
        return;
    for (uint32_t i = 0; i < fan->rule_count; i++)
        fan_clear_rule(fan, i);
    free(fan->lanes);
    free(fan->receivers);
    free(fan->sources.table);
    free(fan->next);
    free(fan->order);
    free(fan->rules);
    free(fan);
}

int fan_has_segments(const struct fan *fan) { return fan->segments; }
void *fan_buffer(struct fan *fan) { return fan->in; }
void *fan_hosts(struct fan *fan) { return fan->host; }
void *fan_results(struct fan *fan) { return fan->result; }
void *fan_times(struct fan *fan) { return fan->when; }
void *fan_counters(struct fan *fan) { return fan->counters; }

static uint32_t room_for(uint32_t index, uint32_t have) {
    uint32_t wanted = have ? have : 64;
    while (wanted <= index)
        wanted *= 2;
    return wanted;
}

int fan_set_lane(struct fan *fan, uint32_t lane, void *session, const char *host, uint16_t port, uint32_t flow,
                 uint32_t scope) {
    union fan_address to;
    if (lane >= FAN_MOST_LANES || session == NULL || fan_read_address(fan, host, port, flow, scope, &to) != 0)
        return -1;
    if (lane >= fan->lane_count) {
        uint32_t wanted = room_for(lane, fan->lane_count);
        struct fan_lane *larger = realloc(fan->lanes, wanted * sizeof *larger);
        if (larger == NULL)
            return -1;
        fan->lanes = larger;
        for (uint32_t i = fan->lane_count; i < wanted; i++)
            fan->lanes[i] = (struct fan_lane){.session = NULL, .first = FAN_NONE, .last = FAN_NONE};
        fan->lane_count = wanted;
    }
    fan->lanes[lane].session = session;
    fan->lanes[lane].to = to;
    return 0;
}

void fan_clear_lane(struct fan *fan, uint32_t lane) {
    if (lane < fan->lane_count)
        fan->lanes[lane].session = NULL;
}

/* A receiver without a session may be entered: its packets are dropped until it has one. */
int fan_set_receiver(struct fan *fan, uint32_t receiver, void *session, double media, double control) {
    if (receiver >= FAN_MOST_LANES)
        return -1;
    if (receiver >= fan->receiver_count) {
        uint32_t wanted = room_for(receiver, fan->receiver_count);
        struct fan_receiver *larger = realloc(fan->receivers, wanted * sizeof *larger);
        if (larger == NULL)
            return -1;
        fan->receivers = larger;
        for (uint32_t i = fan->receiver_count; i < wanted; i++)
            fan->receivers[i] = (struct fan_receiver){.session = NULL, .rule = FAN_NONE, .asker = FAN_NONE};
        fan->receiver_count = wanted;
    }
    fan->receivers[receiver].session = session;
    fan->receivers[receiver].media = (struct fan_bucket){.rate = media, .level = media, .updated = -1e9};
    fan->receivers[receiver].control = (struct fan_bucket){.rate = control, .level = control, .updated = -1e9};
    return 0;
}

void fan_clear_receiver(struct fan *fan, uint32_t receiver) {
    if (receiver >= fan->receiver_count)
        return;
    fan->receivers[receiver].session = NULL;
    while (fan->receivers[receiver].rule != FAN_NONE)
        fan_clear_rule(fan, fan->receivers[receiver].rule);
    fan_drop_asking(fan, receiver);
}

int fan_set_source(struct fan *fan, const char *host, uint16_t port, uint32_t scope, uint32_t receiver) {
    union fan_address from;
    if (receiver >= fan->receiver_count || fan_read_address(fan, host, port, 0, scope, &from) != 0)
        return -1;
    struct fan_source key = fan_source_key(&from);
    return fan_put_source(&fan->sources, &key, receiver);
}

void fan_clear_source(struct fan *fan, const char *host, uint16_t port, uint32_t scope) {
    union fan_address from;
    if (fan_read_address(fan, host, port, 0, scope, &from) != 0)
        return;
    struct fan_source key = fan_source_key(&from);
    fan_drop_source(&fan->sources, &key);
}
