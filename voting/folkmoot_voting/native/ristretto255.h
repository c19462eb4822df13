/*
 * ristretto255 (RFC 9496) on the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, variable time, for public
 * data only (see multiexp.h). All additions are complete: they are right for every pair of points.
 */
#ifndef FOLKMOOT_RISTRETTO255_H
#define FOLKMOOT_RISTRETTO255_H

#include "field25519.h"

/* Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z; tight. */
typedef struct {
    fe x, y, z, t;
} ge;

/* A point with z = 1 as an addition wants it, and the persistent decoded form: y + x, y - x, 2dxy; tight. */
typedef struct {
    fe plus, minus, t2d;
} ge_affine;

/* A point with any z as an addition wants it: y + x, y - x (loose), 2z (below 2^53), 2dt (tight). */
typedef struct {
    fe plus, minus, z2, t2d;
} ge_cached;

static const ge GE_IDENTITY = {{{0, 0, 0, 0, 0}}, {{1, 0, 0, 0, 0}}, {{1, 0, 0, 0, 0}}, {{0, 0, 0, 0, 0}}};

/* In ristretto255 the four points with x = 0 or y = 0, E[4], are all the identity (RFC 9496 section 4.5). */
FE_INLINE int ge_is_identity(const ge *p) { return fe_is_zero(&p->x) || fe_is_zero(&p->y); }

FE_INLINE void ge_cache(ge_cached *out, const ge *p) {
    fe_add(&out->plus, &p->y, &p->x);
    fe_sub(&out->minus, &p->y, &p->x);
    fe_add(&out->z2, &p->z, &p->z);
    fe_mul(&out->t2d, &p->t, &FE_2D);
}

/* The second half of both additions (Hisil et al. 2008, a = -1): a, b, c tight; z2 below 2^53. */
FE_INLINE void ge_join(ge *out, const fe *a, const fe *b, const fe *c, const fe *z2, int negative) {
    fe e, f[2], h;
    fe_sub(&e, b, a);
    fe_add(&h, b, a);
    fe_sub(&f[0], z2, c);
    fe_add(&f[1], z2, c);
    /* Minus a point is y - x, y + x, -2dxy: the first two were exchanged by the caller, this is the third. */
    const fe *const ff = &f[negative], *const gg = &f[!negative];
    fe_mul(&out->x, &e, ff);
    fe_mul(&out->y, gg, &h);
    fe_mul(&out->z, ff, gg);
    fe_mul(&out->t, &e, &h);
}

/* out = p + q, or p - q. */
FE_INLINE void ge_add_affine(ge *out, const ge *p, const ge_affine *q, int negative) {
    fe a, b, c, z2;
    fe_sub(&a, &p->y, &p->x);
    fe_add(&b, &p->y, &p->x);
    fe_mul(&a, &a, negative ? &q->plus : &q->minus);
    fe_mul(&b, &b, negative ? &q->minus : &q->plus);
    fe_mul(&c, &p->t, &q->t2d);
    fe_add(&z2, &p->z, &p->z);
    ge_join(out, &a, &b, &c, &z2, negative);
}

/* out = p + q, or p - q. */
FE_INLINE void ge_add_cached(ge *out, const ge *p, const ge_cached *q, int negative) {
    fe a, b, c, z2;
    fe_sub(&a, &p->y, &p->x);
    fe_add(&b, &p->y, &p->x);
    fe_mul(&a, &a, negative ? &q->plus : &q->minus);
    fe_mul(&b, &b, negative ? &q->minus : &q->plus);
    fe_mul(&c, &p->t, &q->t2d);
    fe_mul(&z2, &p->z, &q->z2);
    ge_join(out, &a, &b, &c, &z2, negative);
}

static inline void ge_add(ge *out, const ge *p, const ge *q) {
    ge_cached cached;
    ge_cache(&cached, q);
    ge_add_cached(out, p, &cached, 0);
}

/* out = 2p (Hisil et al. 2008, a = -1, with all signs turned, which changes no coordinate's quotient). */
FE_INLINE void ge_double(ge *out, const ge *p) {
    fe a, b, e, f, g, h;
    fe_sq(&a, &p->x);
    fe_sq(&b, &p->y);
    fe_add(&h, &a, &b); /* below 2^52 + 2^14 */
    fe_add(&e, &p->x, &p->y);
    fe_sq(&e, &e);
    fe_sub(&e, &h, &e); /* below 2^53 + 2^52 + 2^14 */
    fe_sub(&g, &a, &b); /* below 2^53 + 2^51 + 2^13 */
    fe_sq(&f, &p->z);
    fe_add(&f, &f, &f);
    fe_add(&f, &f, &g); /* below 2^53 + 2^52 + 2^51 + 2^15, so loose */
    fe_mul(&out->x, &e, &f);
    fe_mul(&out->y, &g, &h);
    fe_mul(&out->z, &f, &g);
    fe_mul(&out->t, &e, &h);
}

FE_INLINE void ge_from_affine(ge *out, const ge_affine *p) {
    /* plus - minus = 2x and plus + minus = 2y, so with z = 4 everything is a product away. */
    fe x2, y2;
    fe_sub(&x2, &p->plus, &p->minus);
    fe_add(&y2, &p->plus, &p->minus);
    fe_mul(&out->t, &x2, &y2);
    fe_add(&out->x, &x2, &x2);
    fe_carry(&out->x);
    fe_add(&out->y, &y2, &y2);
    fe_carry(&out->y);
    out->z = FE_ONE;
    out->z.v[0] = 4;
}

/* Says whether an encoding is a number below p and even (RFC 9496 section 4.3.1, steps 1 and 2). */
static inline int is_canonical(const uint8_t s[32]) {
    const uint64_t top = load64(s + 24);
    if ((s[0] & 1) || top >> 63) return 0;
    const int all_ones = top == UINT64_MAX >> 1 && load64(s + 16) == UINT64_MAX && load64(s + 8) == UINT64_MAX;
    return !(all_ones && load64(s) >= UINT64_MAX - 18);
}

/* What decoding computes of an encoding before the root: the letters of RFC 9496 section 4.3.1; w = v * u2^2. */
typedef struct {
    fe s, u1, u2, v, w;
} ristretto_begun;

/* Returns 0 for an encoding that is not canonical; then w is 1, so that a root can be drawn along with others. */
static inline int ristretto_begin(ristretto_begun *d, const uint8_t encoding[32]) {
    fe ss, u2_sq;
    if (!is_canonical(encoding)) {
        d->w = FE_ONE;
        return 0;
    }
    fe_load(&d->s, encoding);
    fe_sq(&ss, &d->s);
    fe_sub(&d->u1, &FE_ONE, &ss);
    fe_add(&d->u2, &FE_ONE, &ss);
    fe_sq(&u2_sq, &d->u2);
    fe_sq(&d->v, &d->u1);
    fe_mul(&d->v, &d->v, &FE_D);
    fe_add(&d->v, &d->v, &u2_sq);
    fe_sub(&d->v, &FE_ZERO, &d->v); /* -(d * u1^2) - u2^2, below 2^53 */
    fe_mul(&d->w, &d->v, &u2_sq);
    return 1;
}

/*
 * Decode of RFC 9496 section 4.3.1; returns 0 where that fails.
 *
 * candidate: NULL, or what may be the root of 1/w or of -1/w, from wherever; it is checked. hint_out may be NULL. The
 * root enters x through an absolute value and y through its square, so that either sign of it gives the same point and
 * a hint needs no sign.
 */
static inline int ristretto_finish(ge_affine *out, const ristretto_begun *d, const fe *candidate, uint8_t *hint_out) {
    fe root, x, y, t;
    int is_square = 0;
    if (candidate != NULL) {
        root = *candidate;
        fe_sq(&t, &root);
        fe_mul(&t, &t, &d->w);
        is_square = fe_is_one(&t);
        if (!is_square) {
            fe_add(&t, &t, &FE_ONE);
            is_square = fe_is_zero(&t);
            if (is_square) fe_mul(&root, &root, &FE_SQRT_M1);
        }
    }
    if (!is_square) is_square = fe_invsqrt(&root, &d->w);
    if (!is_square) return 0;
    if (hint_out != NULL) fe_store(hint_out, &root);
    fe_mul(&x, &root, &d->u2);
    fe_mul(&y, &root, &x);
    fe_mul(&y, &y, &d->v);
    fe_mul(&y, &y, &d->u1);
    fe_mul(&x, &x, &d->s);
    fe_add(&x, &x, &x);
    fe_abs(&x, &x);
    fe_carry(&x);
    fe_mul(&t, &x, &y);
    if (fe_is_negative(&t) || fe_is_zero(&y)) return 0;
    fe_add(&out->plus, &y, &x);
    fe_carry(&out->plus);
    fe_sub(&out->minus, &y, &x);
    fe_carry(&out->minus);
    fe_mul(&out->t2d, &t, &FE_2D);
    return 1;
}

/* Encode of RFC 9496 section 4.3.2. */
static inline void ristretto_encode(uint8_t encoding[32], const ge *p) {
    fe u1, u2, root, den1, den2, z_inv, x, y, den_inv, s, t;
    fe_add(&u1, &p->z, &p->y);
    fe_sub(&t, &p->z, &p->y);
    fe_mul(&u1, &u1, &t);
    fe_mul(&u2, &p->x, &p->y);
    fe_sq(&t, &u2);
    fe_mul(&t, &t, &u1);
    (void)fe_invsqrt(&root, &t); /* a square, or 0 for the identity, whose root is 0 */
    fe_mul(&den1, &u1, &root);
    fe_mul(&den2, &u2, &root);
    fe_mul(&z_inv, &den1, &den2);
    fe_mul(&z_inv, &z_inv, &p->t);
    fe_mul(&t, &p->t, &z_inv);
    if (fe_is_negative(&t)) {
        fe_mul(&x, &p->y, &FE_SQRT_M1);
        fe_mul(&y, &p->x, &FE_SQRT_M1);
        fe_mul(&den_inv, &den1, &FE_INVSQRT_A_MINUS_D);
    } else {
        x = p->x;
        y = p->y;
        den_inv = den2;
    }
    fe_mul(&t, &x, &z_inv);
    if (fe_is_negative(&t)) fe_sub(&y, &FE_ZERO, &y);
    fe_carry(&y);
    fe_sub(&s, &p->z, &y);
    fe_mul(&s, &s, &den_inv);
    fe_abs(&s, &s);
    fe_store(encoding, &s);
}

#endif
