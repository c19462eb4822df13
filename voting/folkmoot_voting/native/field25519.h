/*
 * The field of 2^255 - 19 in five limbs of 51 bits, variable time, for public data only (see multiexp.h).
 *
 * Bounds. "Tight" limbs are below 2^51 + 2^13, as fe_mul, fe_sq and fe_carry leave them. "Loose" limbs are
 * below 2^54. fe_mul and fe_sq take loose and give tight: with limbs below 2^54 a column of the product is
 * below (1 + 4 * 19) * 2^108 < 2^115, so each carry fits 64 bits. fe_add and fe_sub do not carry; what they
 * may be given stands beside them, and each caller keeps to it.
 */
#ifndef FOLKMOOT_FIELD25519_H
#define FOLKMOOT_FIELD25519_H

#include <stdint.h>
#include <string.h>

#ifndef __SIZEOF_INT128__
#error "a compiler with 128-bit integers is needed; without one Folkmoot uses libsodium"
#endif

typedef unsigned __int128 fe_wide;

typedef struct {
    uint64_t v[5];
} fe;

#define FE_MASK ((UINT64_C(1) << 51) - 1)
#define FE_INLINE static inline __attribute__((always_inline))

static const fe FE_ZERO = {{0, 0, 0, 0, 0}};
static const fe FE_ONE = {{1, 0, 0, 0, 0}};
/* d = -121665/121666, the curve constant. */
static const fe FE_D = {{0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};
static const fe FE_2D = {{0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff}};
/* The even square root of -1. */
static const fe FE_SQRT_M1 = {{0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
/* 1/sqrt(-1 - d), INVSQRT_A_MINUS_D of RFC 9496 section 4.1. */
static const fe FE_INVSQRT_A_MINUS_D = {
    {0x0fdaa805d40ea, 0x2eb482e57d339, 0x007610274bc58, 0x6510b613dc8ff, 0x786c8905cfaff}};

FE_INLINE uint64_t load64(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

FE_INLINE void store64(uint8_t *bytes, uint64_t word) {
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(word >> (8 * i));
}

/* Takes the low 255 bits, whether below p or not. Tight. */
FE_INLINE void fe_load(fe *out, const uint8_t bytes[32]) {
    const uint64_t a = load64(bytes), b = load64(bytes + 8), c = load64(bytes + 16), d = load64(bytes + 24);
    out->v[0] = a & FE_MASK;
    out->v[1] = (a >> 51 | b << 13) & FE_MASK;
    out->v[2] = (b >> 38 | c << 26) & FE_MASK;
    out->v[3] = (c >> 25 | d << 39) & FE_MASK;
    out->v[4] = (d >> 12) & FE_MASK;
}

/* Loose (indeed anything below 2^63) to tight. */
FE_INLINE void fe_carry(fe *h) {
    for (int i = 0; i < 4; i++) {
        h->v[i + 1] += h->v[i] >> 51;
        h->v[i] &= FE_MASK;
    }
    h->v[0] += 19 * (h->v[4] >> 51);
    h->v[4] &= FE_MASK;
}

/* The one representative below p; loose in. */
FE_INLINE void fe_freeze(fe *out, const fe *in) {
    fe h = *in;
    fe_carry(&h);
    fe_carry(&h);
    /* Now h < 2^255 + 2^13, so q is 0 or 1: whether h >= p. */
    uint64_t q = (h.v[0] + 19) >> 51;
    for (int i = 1; i < 5; i++) q = (h.v[i] + q) >> 51;
    h.v[0] += 19 * q;
    for (int i = 0; i < 4; i++) {
        h.v[i + 1] += h.v[i] >> 51;
        h.v[i] &= FE_MASK;
    }
    h.v[4] &= FE_MASK;
    *out = h;
}

FE_INLINE void fe_store(uint8_t bytes[32], const fe *in) {
    fe h;
    fe_freeze(&h, in);
    store64(bytes, h.v[0] | h.v[1] << 51);
    store64(bytes + 8, h.v[1] >> 13 | h.v[2] << 38);
    store64(bytes + 16, h.v[2] >> 26 | h.v[3] << 25);
    store64(bytes + 24, h.v[3] >> 39 | h.v[4] << 12);
}

/* The sum of the limbs: tight + tight is below 2^52 + 2^14. */
FE_INLINE void fe_add(fe *out, const fe *a, const fe *b) {
    for (int i = 0; i < 5; i++) out->v[i] = a->v[i] + b->v[i];
}

/* a - b + 4p, for b below 2^53 - 76; below a + 2^53. Loose when a is below 2^53. */
FE_INLINE void fe_sub(fe *out, const fe *a, const fe *b) {
    out->v[0] = a->v[0] + UINT64_C(0x1fffffffffffb4) - b->v[0];
    for (int i = 1; i < 5; i++) out->v[i] = a->v[i] + UINT64_C(0x1ffffffffffffc) - b->v[i];
}

FE_INLINE void fe_reduce_wide(fe *out, fe_wide h0, fe_wide h1, fe_wide h2, fe_wide h3, fe_wide h4) {
    h1 += (uint64_t)(h0 >> 51);
    h2 += (uint64_t)(h1 >> 51);
    h3 += (uint64_t)(h2 >> 51);
    h4 += (uint64_t)(h3 >> 51);
    const uint64_t r0 = ((uint64_t)h0 & FE_MASK) + 19 * (uint64_t)(h4 >> 51);
    out->v[0] = r0 & FE_MASK;
    out->v[1] = ((uint64_t)h1 & FE_MASK) + (r0 >> 51);
    out->v[2] = (uint64_t)h2 & FE_MASK;
    out->v[3] = (uint64_t)h3 & FE_MASK;
    out->v[4] = (uint64_t)h4 & FE_MASK;
}

/* Loose times loose; tight out. */
FE_INLINE void fe_mul(fe *out, const fe *f, const fe *g) {
    const uint64_t f0 = f->v[0], f1 = f->v[1], f2 = f->v[2], f3 = f->v[3], f4 = f->v[4];
    const uint64_t g0 = g->v[0], g1 = g->v[1], g2 = g->v[2], g3 = g->v[3], g4 = g->v[4];
    const uint64_t n1 = 19 * g1, n2 = 19 * g2, n3 = 19 * g3, n4 = 19 * g4;
    fe_reduce_wide(
        out, (fe_wide)f0 * g0 + (fe_wide)f1 * n4 + (fe_wide)f2 * n3 + (fe_wide)f3 * n2 + (fe_wide)f4 * n1,
        (fe_wide)f0 * g1 + (fe_wide)f1 * g0 + (fe_wide)f2 * n4 + (fe_wide)f3 * n3 + (fe_wide)f4 * n2,
        (fe_wide)f0 * g2 + (fe_wide)f1 * g1 + (fe_wide)f2 * g0 + (fe_wide)f3 * n4 + (fe_wide)f4 * n3,
        (fe_wide)f0 * g3 + (fe_wide)f1 * g2 + (fe_wide)f2 * g1 + (fe_wide)f3 * g0 + (fe_wide)f4 * n4,
        (fe_wide)f0 * g4 + (fe_wide)f1 * g3 + (fe_wide)f2 * g2 + (fe_wide)f3 * g1 + (fe_wide)f4 * g0);
}

/* The square of loose limbs; tight out. */
FE_INLINE void fe_sq(fe *out, const fe *f) {
    const uint64_t f0 = f->v[0], f1 = f->v[1], f2 = f->v[2], f3 = f->v[3], f4 = f->v[4];
    const uint64_t d0 = 2 * f0, d1 = 2 * f1, d2 = 38 * f2, n3 = 19 * f3, n4 = 19 * f4, d4 = 38 * f4;
    fe_reduce_wide(out, (fe_wide)f0 * f0 + (fe_wide)d4 * f1 + (fe_wide)d2 * f3,
                   (fe_wide)d0 * f1 + (fe_wide)d4 * f2 + (fe_wide)f3 * n3,
                   (fe_wide)d0 * f2 + (fe_wide)f1 * f1 + (fe_wide)d4 * f3,
                   (fe_wide)d0 * f3 + (fe_wide)d1 * f2 + (fe_wide)f4 * n4,
                   (fe_wide)d0 * f4 + (fe_wide)d1 * f3 + (fe_wide)f2 * f2);
}

static inline void fe_sq_times(fe *out, const fe *in, int times) {
    fe h = *in;
    while (times-- > 0) fe_sq(&h, &h);
    *out = h;
}

/* z^((p - 5) / 8) = z^(2^252 - 3). */
static inline void fe_pow_p58(fe *out, const fe *z) {
    fe z2, z9, z11, e5, e10, e20, e50, e100, t;
    fe_sq(&z2, z);
    fe_sq_times(&t, &z2, 2);
    fe_mul(&z9, &t, z);
    fe_mul(&z11, &z9, &z2);
    fe_sq(&t, &z11);
    fe_mul(&e5, &t, &z9); /* eN is z^(2^N - 1) */
    fe_sq_times(&t, &e5, 5);
    fe_mul(&e10, &t, &e5);
    fe_sq_times(&t, &e10, 10);
    fe_mul(&e20, &t, &e10);
    fe_sq_times(&t, &e20, 20);
    fe_mul(&t, &t, &e20);
    fe_sq_times(&t, &t, 10);
    fe_mul(&e50, &t, &e10);
    fe_sq_times(&t, &e50, 50);
    fe_mul(&e100, &t, &e50);
    fe_sq_times(&t, &e100, 100);
    fe_mul(&t, &t, &e100);
    fe_sq_times(&t, &t, 50);
    fe_mul(&t, &t, &e50);
    fe_sq_times(&t, &t, 2);
    fe_mul(out, &t, z);
}

/* Frozen limbs alone may be compared. */
FE_INLINE int fe_same(const fe *a, const fe *b) { return memcmp(a->v, b->v, sizeof a->v) == 0; }

FE_INLINE int fe_is_zero(const fe *a) {
    fe h;
    fe_freeze(&h, a);
    return fe_same(&h, &FE_ZERO);
}

FE_INLINE int fe_is_one(const fe *a) {
    fe h;
    fe_freeze(&h, a);
    return fe_same(&h, &FE_ONE);
}

/* IS_NEGATIVE of RFC 9496 section 4.1: the representative below p is odd. */
FE_INLINE int fe_is_negative(const fe *a) {
    fe h;
    fe_freeze(&h, a);
    return (int)(h.v[0] & 1);
}

/* CT_ABS of RFC 9496 section 4.1, though not in constant time. Tight or loose below 2^53 - 76 in; loose out. */
FE_INLINE void fe_abs(fe *out, const fe *a) {
    if (fe_is_negative(a)) {
        fe_sub(out, &FE_ZERO, a);
    } else {
        *out = *a;
    }
}

/*
 * SQRT_RATIO_M1(1, w) of RFC 9496 section 4.2 but for the sign of the root: returns whether w is a square
 * other than 0 and writes 1/sqrt(w) then, 1/sqrt(w * sqrt(-1)) or 0 otherwise.
 */
static inline int fe_invsqrt(fe *out, const fe *w) {
    static const fe minus_one = {{FE_MASK - 19, FE_MASK, FE_MASK, FE_MASK, FE_MASK}};
    fe w3, w7, root, check, minus_root_m1;
    fe_sq(&w3, w);
    fe_mul(&w3, &w3, w);
    fe_sq(&w7, &w3);
    fe_mul(&w7, &w7, w);
    fe_pow_p58(&root, &w7);
    fe_mul(&root, &root, &w3);
    fe_sq(&check, &root);
    fe_mul(&check, &check, w);
    fe_freeze(&check, &check);
    fe_sub(&minus_root_m1, &FE_ZERO, &FE_SQRT_M1);
    fe_freeze(&minus_root_m1, &minus_root_m1);
    const int correct = fe_same(&check, &FE_ONE), flipped = fe_same(&check, &minus_one);
    if (flipped || fe_same(&check, &minus_root_m1)) fe_mul(&root, &root, &FE_SQRT_M1);
    *out = root;
    return correct || flipped;
}

#endif
