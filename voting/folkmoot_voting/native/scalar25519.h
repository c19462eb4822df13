/*
 * Integers modulo the group order L = 2^252 + 27742317777372353535851937790883648493, in variable time, for public
 * data only (see multiexp.h).
 *
 * Sums of products are kept as they are, in 512 bits, and reduced once; whoever adds says why they stay below 2^512.
 */
#ifndef FOLKMOOT_SCALAR25519_H
#define FOLKMOOT_SCALAR25519_H

#include "field25519.h"

typedef struct {
    uint64_t v[4];
} scalar;

/* A sum of products, below 2^512. */
typedef struct {
    uint64_t v[8];
} wide_scalar;

static const uint64_t SCALAR_ORDER[5] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000, 0};
/* The greatest integer not above 2^512 / L. */
static const uint64_t SCALAR_MU[5] = {0xed9ce5a30a2c131b, 0x2106215d086329a7, 0xffffffffffffffeb, 0xffffffffffffffff,
                                      0x000000000000000f};

FE_INLINE void scalar_load(scalar *out, const uint8_t *bytes) {
    for (int i = 0; i < 4; i++) out->v[i] = load64(bytes + 8 * i);
}

FE_INLINE void scalar_store(uint8_t *bytes, const scalar *k) {
    for (int i = 0; i < 4; i++) store64(bytes + 8 * i, k->v[i]);
}

/* Says whether a scalar is below the group order. */
FE_INLINE int scalar_is_canonical(const scalar *k) {
    for (int i = 3; i >= 0; i--) {
        if (k->v[i] != SCALAR_ORDER[i]) return k->v[i] < SCALAR_ORDER[i];
    }
    return 0;
}

/* a -= b over five words; returns 1 when that goes below 0, and a is then 2^320 too great. */
FE_INLINE int words_subtract(uint64_t a[5], const uint64_t b[5]) {
    uint64_t borrow = 0;
    for (int i = 0; i < 5; i++) {
        const fe_wide difference = (fe_wide)a[i] - b[i] - borrow;
        a[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    return (int)borrow;
}

/* The remainder modulo L (Barrett; Handbook of Applied Cryptography, algorithm 14.42, base 2^64, k = 4). */
static inline void scalar_reduce(scalar *out, const wide_scalar *x) {
    uint64_t product[10] = {0}, rest[5], multiple[5] = {0};
    for (int i = 0; i < 5; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 5; j++) {
            const fe_wide sum = (fe_wide)x->v[3 + i] * SCALAR_MU[j] + product[i + j] + carry;
            product[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        product[i + 5] = carry;
    }
    const uint64_t *const quotient = product + 5;
    for (int i = 0; i < 5; i++) {
        uint64_t carry = 0;
        for (int j = 0; i + j < 5; j++) {
            const fe_wide sum = (fe_wide)quotient[i] * SCALAR_ORDER[j] + multiple[i + j] + carry;
            multiple[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
    }
    memcpy(rest, x->v, sizeof rest);
    (void)words_subtract(rest, multiple); /* modulo 2^320; the true rest is below 3L */
    for (int i = 0; i < 2; i++) {
        uint64_t less[5];
        memcpy(less, rest, sizeof less);
        if (!words_subtract(less, SCALAR_ORDER)) memcpy(rest, less, sizeof rest);
    }
    memcpy(out->v, rest, sizeof out->v);
}

/* sum += a * b for a of `count` words, at most four. */
FE_INLINE void wide_add_product(wide_scalar *sum, const uint64_t *a, int count, const scalar *b) {
    uint64_t top = 0;
    for (int i = 0; i < count; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 4; j++) {
            const fe_wide part = (fe_wide)a[i] * b->v[j] + sum->v[i + j] + carry;
            sum->v[i + j] = (uint64_t)part;
            carry = (uint64_t)(part >> 64);
        }
        const fe_wide last = (fe_wide)sum->v[i + 4] + carry + top;
        sum->v[i + 4] = (uint64_t)last;
        top = (uint64_t)(last >> 64);
    }
    for (int i = count + 4; i < 8 && top != 0; i++) {
        sum->v[i] += top;
        top = sum->v[i] == 0;
    }
}

/* a - b modulo L, both canonical. */
FE_INLINE void scalar_subtract(scalar *out, const scalar *a, const scalar *b) {
    uint64_t borrow = 0, carry = 0;
    for (int i = 0; i < 4; i++) {
        const fe_wide difference = (fe_wide)a->v[i] - b->v[i] - borrow;
        out->v[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    if (!borrow) return;
    for (int i = 0; i < 4; i++) {
        const fe_wide sum = (fe_wide)out->v[i] + SCALAR_ORDER[i] + carry;
        out->v[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
}

#endif
