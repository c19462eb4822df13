/*
 * Eight inverse square roots at once with AVX-512 IFMA, where the processor has it; variable time, public data only.
 *
 * What comes out is a candidate that ristretto_finish checks with two multiplications and replaces when it does not
 * fit. A mistake here would cost time and change no outcome.
 */
#ifndef FOLKMOOT_ROOTS_IFMA_H
#define FOLKMOOT_ROOTS_IFMA_H

#include "multiply.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define IFMA static inline __attribute__((target("avx512f,avx512ifma")))

/* Eight field elements, limbs below 2^51 + 2^15: the instructions look at 52 bits of each. */
typedef struct {
    __m512i v[5];
} fe8;

static int roots_are_fast(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma"); }

/*
 * low[k] and high[k]: the lower 52 bits and what is above of the products of limbs i + j = k, added up. At most five
 * products: both below 2^55, a column below 2^55 + 2^56, and with 19 times another below 2^62.
 */
IFMA void fe8_fold(fe8 *out, const __m512i low[9], const __m512i high[9]) {
    const __m512i mask = _mm512_set1_epi64((long long)FE_MASK);
    __m512i column[10], carry[5];
    column[0] = low[0];
    for (int k = 1; k < 9; k++) column[k] = _mm512_add_epi64(low[k], _mm512_slli_epi64(high[k - 1], 1));
    column[9] = _mm512_slli_epi64(high[8], 1);
    for (int k = 0; k < 5; k++) {
        const __m512i c = column[k + 5];
        const __m512i three = _mm512_add_epi64(c, _mm512_slli_epi64(c, 1));
        column[k] = _mm512_add_epi64(column[k], _mm512_add_epi64(three, _mm512_slli_epi64(c, 4)));
        carry[k] = _mm512_srli_epi64(column[k], 51);
        column[k] = _mm512_and_si512(column[k], mask);
    }
    const __m512i three = _mm512_add_epi64(carry[4], _mm512_slli_epi64(carry[4], 1));
    out->v[0] = _mm512_add_epi64(column[0], _mm512_add_epi64(three, _mm512_slli_epi64(carry[4], 4)));
    for (int k = 1; k < 5; k++) out->v[k] = _mm512_add_epi64(column[k], carry[k - 1]);
}

IFMA void fe8_mul(fe8 *out, const fe8 *f, const fe8 *g) {
    __m512i low[9], high[9];
    for (int k = 0; k < 9; k++) low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], f->v[i], g->v[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], f->v[i], g->v[j]);
        }
    }
    fe8_fold(out, low, high);
}

IFMA void fe8_sq(fe8 *out, const fe8 *f) {
    __m512i low[9], high[9];
    for (int k = 0; k < 9; k++) low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++) {
        for (int j = i + 1; j < 5; j++) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], f->v[i], f->v[j]);
            high[i + j] = _mm512_madd52hi_epu64(high[i + j], f->v[i], f->v[j]);
        }
    }
    for (int k = 1; k < 8; k++) {
        low[k] = _mm512_slli_epi64(low[k], 1);
        high[k] = _mm512_slli_epi64(high[k], 1);
    }
    for (int i = 0; i < 5; i++) {
        low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], f->v[i], f->v[i]);
        high[2 * i] = _mm512_madd52hi_epu64(high[2 * i], f->v[i], f->v[i]);
    }
    fe8_fold(out, low, high);
}

IFMA void fe8_sq_times(fe8 *h, int times) {
    while (times-- > 0) fe8_sq(h, h);
}

/* z^((p - 5) / 8), by the chain of fe_pow_p58. */
IFMA void fe8_pow_p58(fe8 *out, const fe8 *z) {
    static const struct {
        uint8_t squares, with;
    } chain[] = {{5, 0}, {10, 1}, {20, 2}, {10, 1}, {50, 4}, {100, 5}, {50, 4}};
    fe8 power[8], z2, t;
    fe8_sq(&z2, z);
    t = z2;
    fe8_sq_times(&t, 2);
    fe8_mul(&t, &t, z);
    fe8_mul(&z2, &t, &z2);
    fe8_sq(&z2, &z2);
    fe8_mul(&power[0], &z2, &t); /* z^(2^5 - 1); then 10, 20, 40, 50, 100, 200, 250 */
    for (int i = 0; i < 7; i++) {
        t = power[i];
        fe8_sq_times(&t, chain[i].squares);
        fe8_mul(&power[i + 1], &t, &power[chain[i].with]);
    }
    t = power[7];
    fe8_sq_times(&t, 2);
    fe8_mul(out, &t, z);
}

/* Writes w^3 * (w^7)^((p - 5) / 8) for each w, tight limbs in. */
__attribute__((target("avx512f,avx512ifma"))) static void roots_of_eight(fe root[LANES], const fe w[LANES]) {
    uint64_t lanes[5][LANES];
    fe8 one, three, seven;
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < LANES; i++) lanes[k][i] = w[i].v[k];
        one.v[k] = _mm512_loadu_si512(lanes[k]);
    }
    fe8_sq(&three, &one);
    fe8_mul(&three, &three, &one);
    fe8_sq(&seven, &three);
    fe8_mul(&seven, &seven, &one);
    fe8_pow_p58(&seven, &seven);
    fe8_mul(&three, &three, &seven);
    for (int k = 0; k < 5; k++) {
        _mm512_storeu_si512(lanes[k], three.v[k]);
        for (int i = 0; i < LANES; i++) root[i].v[k] = lanes[k][i];
    }
}

#else

static int roots_are_fast(void) { return 0; }

static void roots_of_eight(fe root[LANES], const fe w[LANES]) { memcpy(root, w, LANES * sizeof *w); }

#endif

#endif
