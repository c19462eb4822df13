/* Addresses, and the table from an address to whose packets come from it. */
#include "fan.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Read a printed address into the family of the socket; 0 when it is one. */
int fan_read_address(const struct fan *fan, const char *host, uint16_t port, uint32_t flow, uint32_t scope,
                     union fan_address *out) {
    memset(out, 0, sizeof *out);
    if (fan->ipv6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        out->v6.sin6_flowinfo = htonl(flow);
        out->v6.sin6_scope_id = scope;
        return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1 ? 0 : -1;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1 ? 0 : -1;
}

socklen_t fan_address_length(const union fan_address *address) {
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* Print an address the way Python's socket module does. */
void fan_print_address(const union fan_address *address, char host[FAN_HOST], struct fan_result *result) {
    host[0] = '\0';
    if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, FAN_HOST);
        result->port = ntohs(address->v6.sin6_port);
        result->flow = ntohl(address->v6.sin6_flowinfo);
        result->scope = address->v6.sin6_scope_id;
    } else {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, FAN_HOST);
        result->port = ntohs(address->v4.sin_port);
        result->flow = result->scope = 0;
    }
}

struct fan_source fan_source_key(const union fan_address *address) {
    struct fan_source key;
    memset(&key, 0, sizeof key);
    if (address->any.sa_family == AF_INET6) {
        memcpy(key.ip, &address->v6.sin6_addr, sizeof key.ip);
        key.port = address->v6.sin6_port;
        key.scope = address->v6.sin6_scope_id;
    } else {
        memcpy(key.ip, &address->v4.sin_addr, sizeof address->v4.sin_addr);
        key.port = address->v4.sin_port;
    }
    return key;
}

/* The seed keeps a peer from choosing addresses that fall on one place. */
static uint64_t mixed(uint64_t value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ value >> 33;
}

static uint32_t home(const struct fan_sources *sources, const struct fan_source *key) {
    uint64_t high, low;
    memcpy(&high, key->ip, sizeof high);
    memcpy(&low, key->ip + sizeof high, sizeof low);
    uint64_t hash = mixed(sources->seed ^ high);
    hash = mixed(hash ^ low);
    hash = mixed(hash ^ ((uint64_t)key->scope << 16 | key->port));
    return (uint32_t)hash & (sources->size - 1);
}

static int same(const struct fan_source *one, const struct fan_source *other) {
    return one->port == other->port && one->scope == other->scope && memcmp(one->ip, other->ip, sizeof one->ip) == 0;
}

struct fan_source *fan_find_source(struct fan_sources *sources, const struct fan_source *key) {
    if (sources->count == 0)
        return NULL;
    for (uint32_t at = home(sources, key); sources->table[at].used; at = (at + 1) & (sources->size - 1))
        if (same(&sources->table[at], key))
            return &sources->table[at];
    return NULL;
}

static int grow(struct fan_sources *sources) {
    struct fan_sources larger = *sources;
    larger.size = sources->size ? sources->size * 2 : 64;
    if (larger.size == 0)
        return -1;
    larger.count = 0;
    larger.table = calloc(larger.size, sizeof *larger.table);
    if (larger.table == NULL)
        return -1;
    for (uint32_t at = 0; at < sources->size; at++)
        if (sources->table[at].used)
            (void)fan_put_source(&larger, &sources->table[at], sources->table[at].receiver);
    free(sources->table);
    *sources = larger;
    return 0;
}

int fan_put_source(struct fan_sources *sources, const struct fan_source *key, uint32_t receiver) {
    struct fan_source *found = fan_find_source(sources, key);
    if (found != NULL) {
        found->receiver = receiver;
        return 0;
    }
    if (sources->count >= sources->size / 2 && grow(sources) != 0)
        return -1;
    uint32_t at = home(sources, key);
    while (sources->table[at].used)
        at = (at + 1) & (sources->size - 1);
    sources->table[at] = *key;
    sources->table[at].used = 1;
    sources->table[at].receiver = receiver;
    sources->count++;
    return 0;
}

/* Remove an entry and close the gap, so that no probe stops short. */
void fan_drop_source(struct fan_sources *sources, const struct fan_source *key) {
    struct fan_source *found = fan_find_source(sources, key);
    if (found == NULL)
        return;
    uint32_t mask = sources->size - 1, gap = (uint32_t)(found - sources->table);
    for (uint32_t at = (gap + 1) & mask; sources->table[at].used; at = (at + 1) & mask) {
        uint32_t wanted = home(sources, &sources->table[at]);
        if (((at - wanted) & mask) >= ((at - gap) & mask)) {
            sources->table[gap] = sources->table[at];
            gap = at;
        }
    }
    sources->table[gap].used = 0;
    sources->count--;
}
