/* The proofs of many ballots as one sum; the contract is in multiexp.h. */
#include <stdlib.h>
#include <string.h>

#include "multiexp.h"
#include "multiply.h"
#include "scalar25519.h"

#define WORD_BYTES ((size_t)32)
#define WEIGHT_WORDS 2
#define MAX_FIXED 2

/* What a layout adds up to, in one ballot. */
typedef struct {
    const uint32_t *items;
    size_t length; /* of items */
    size_t cells, points, scalars, branches;
} shape;

typedef struct {
    const uint32_t *terms; /* pairs of cell and factor; none in a cell */
    size_t count, branches;
    uint32_t low;
} item;

/* Takes the item at *at, which read_shape has found whole, and goes on to the next. */
static item next_item(const shape *s, size_t *at) {
    const uint32_t *const head = s->items + *at;
    *at += 3 + 2 * (size_t)head[0];
    return (item){.terms = head + 3, .count = head[0], .branches = head[1], .low = head[2]};
}

/* Returns whether the layout is one. */
static int read_shape(shape *s, const uint32_t *layout, size_t layout_bytes) {
    const size_t length = layout_bytes / sizeof *layout;
    if (layout == NULL || (uintptr_t)layout % sizeof *layout != 0 || length * sizeof *layout != layout_bytes) return 0;
    *s = (shape){.items = layout, .length = length};
    for (size_t at = 0; at < length;) {
        if (length - at < 3) return 0;
        const size_t terms = layout[at], branches = layout[at + 1];
        if (terms > s->cells || terms > (length - at - 3) / 2 || branches == 0 || branches > FM_MAX_WORDS) return 0;
        for (size_t i = 0; i < terms; i++) {
            if (layout[at + 3 + 2 * i] >= s->cells) return 0;
        }
        s->cells += terms == 0;
        s->points += 2 * branches + (terms == 0 ? 2 : 0);
        s->scalars += 2 * branches - 1;
        s->branches += branches;
        if (s->points + s->scalars > FM_MAX_WORDS) return 0;
        at += 3 + 2 * terms;
    }
    return s->cells > 0;
}

/* Returns the number of ballots, or 0 when they do not fit the layout and the decoded points. */
static size_t count_ballots(const shape *s, const uint8_t *ballots, size_t ballots_bytes, const void *points,
                            size_t points_bytes) {
    const size_t size = (s->points + s->scalars) * WORD_BYTES, n = ballots_bytes / size;
    const int fits = ballots != NULL && points != NULL && (uintptr_t)points % sizeof(uint64_t) == 0 &&
                     n <= FM_MAX_POINTS / s->points && ballots_bytes == n * size &&
                     points_bytes == n * s->points * FM_POINT_BYTES;
    return fits ? n : 0;
}

static int is_zero(const uint8_t word[32]) {
    return (load64(word) | load64(word + 8) | load64(word + 16) | load64(word + 24)) == 0;
}

/* Points of any ballots on their way through decode_some. */
typedef struct {
    ge_affine *out[LANES];
    const uint8_t *encodings[LANES];
    uint8_t *good[LANES]; /* of the ballot that each belongs to */
    size_t count;
} waiting;

static void decode_waiting(waiting *w) {
    const unsigned fine = decode_some(w->out, w->encodings, w->count, NULL, NULL);
    for (size_t i = 0; i < w->count; i++) {
        if (!(fine >> i & 1) || is_zero(w->encodings[i])) *w->good[i] = 0;
    }
    w->count = 0;
}

static void open_points(waiting *w, ge_affine **out, const uint8_t **word, size_t count, uint8_t *good) {
    for (size_t i = 0; i < count; i++) {
        w->out[w->count] = (*out)++;
        w->encodings[w->count] = *word;
        w->good[w->count++] = good;
        *word += WORD_BYTES;
        if (w->count == LANES) decode_waiting(w);
    }
}

static int check_scalars(const uint8_t **word, size_t count) {
    int good = 1;
    for (size_t i = 0; i < count; i++) {
        scalar k;
        scalar_load(&k, *word);
        good &= scalar_is_canonical(&k);
        *word += WORD_BYTES;
    }
    return good;
}

int fm_ballots_open(void *points, size_t points_bytes, uint8_t *good, size_t good_bytes, const uint8_t *ballots,
                    size_t ballots_bytes, const uint32_t *layout, size_t layout_bytes) {
    shape s;
    if (!read_shape(&s, layout, layout_bytes)) return FM_BAD_ARGUMENT;
    const size_t n = count_ballots(&s, ballots, ballots_bytes, points, points_bytes);
    if (n == 0 || good == NULL || good_bytes != n) return FM_BAD_ARGUMENT;
    ge_affine *out = points;
    const uint8_t *word = ballots;
    waiting queue = {.count = 0};
    memset(out, 0, points_bytes);
    memset(good, 1, n);
    for (size_t i = 0; i < n; i++) {
        for (size_t at = 0; at < s.length;) {
            const item one = next_item(&s, &at);
            open_points(&queue, &out, &word, 2 * one.branches + (one.count == 0 ? 2 : 0), &good[i]);
            if (!check_scalars(&word, 2 * one.branches - 1)) good[i] = 0;
        }
    }
    decode_waiting(&queue);
    return FM_OK;
}

/* The scalars of a sum in the making. */
typedef struct {
    wide_scalar on_base, on_key; /* what G and Y are taken away with, of all ballots */
    wide_scalar *cells;          /* two for each cell of one ballot: of alpha and of beta */
    uint8_t **places;            /* where in the output those go */
    uint8_t *out;                /* where the next scalars of points go */
    const uint8_t *weight;
} combination;

static void store_wide(uint8_t *out, const wide_scalar *sum) {
    scalar k;
    scalar_reduce(&k, sum);
    scalar_store(out, &k);
}

/*
 * Adds a proof at `word` (past its points): to G and Y, to `alpha` and `beta`, and writes its commitments' scalars.
 *
 * All sums stay below 2^512: a weight has 128 bits, a scalar 253, a value 33, and there are at most 2^24 branches.
 */
static void add_proof(combination *sum, const item *one, const uint8_t *word, const scalar *e, wide_scalar *alpha,
                      wide_scalar *beta) {
    scalar rest = *e, c, z;
    for (size_t v = 0; v < one->branches; v++) {
        if (v + 1 < one->branches) {
            scalar_load(&c, word + v * WORD_BYTES);
            scalar_subtract(&rest, &rest, &c);
        } else {
            c = rest;
        }
        scalar_load(&z, word + (one->branches - 1 + v) * WORD_BYTES);
        uint64_t f[WEIGHT_WORDS], s[WEIGHT_WORDS];
        for (int i = 0; i < WEIGHT_WORDS; i++) {
            f[i] = load64(sum->weight + 8 * i);
            s[i] = load64(sum->weight + 16 + 8 * i);
        }
        memset(sum->out, 0, 2 * WORD_BYTES);
        memcpy(sum->out, sum->weight, 16);
        memcpy(sum->out + WORD_BYTES, sum->weight + 16, 16);
        sum->out += 2 * WORD_BYTES;
        sum->weight += FM_WEIGHT_BYTES;
        wide_add_product(alpha, f, WEIGHT_WORDS, &c);
        wide_add_product(beta, s, WEIGHT_WORDS, &c);
        wide_add_product(&sum->on_base, f, WEIGHT_WORDS, &z);
        wide_add_product(&sum->on_key, s, WEIGHT_WORDS, &z);
        const fe_wide low = (fe_wide)s[0] * (one->low + (uint64_t)v), high = (fe_wide)s[1] * (one->low + (uint64_t)v) + (uint64_t)(low >> 64);
        const uint64_t valued[3] = {(uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64)};
        wide_add_product(&sum->on_base, valued, 3, &c);
    }
}

/* Adds one ballot; returns 0 when one of its scalars is not canonical. */
static int add_ballot(combination *sum, const shape *s, const uint8_t **word, const scalar *e) {
    size_t cell = 0;
    int good = 1;
    memset(sum->cells, 0, 2 * s->cells * sizeof *sum->cells);
    for (size_t at = 0; at < s->length;) {
        const item one = next_item(s, &at);
        const uint8_t *proof = *word + (2 * one.branches + (one.count == 0 ? 2 : 0)) * WORD_BYTES;
        *word = proof;
        good &= check_scalars(word, 2 * one.branches - 1);
        if (one.count == 0) {
            sum->places[cell] = sum->out;
            sum->out += 2 * WORD_BYTES;
            add_proof(sum, &one, proof, e, &sum->cells[2 * cell], &sum->cells[2 * cell + 1]);
            cell++;
            continue;
        }
        wide_scalar both[2] = {{{0}}, {{0}}};
        add_proof(sum, &one, proof, e, &both[0], &both[1]);
        for (int i = 0; i < 2; i++) {
            scalar k;
            scalar_reduce(&k, &both[i]);
            for (size_t j = 0; j < one.count; j++) {
                const uint64_t factor = one.terms[2 * j + 1];
                wide_add_product(&sum->cells[2 * one.terms[2 * j] + (uint32_t)i], &factor, 1, &k);
            }
        }
    }
    for (size_t i = 0; i < s->cells; i++) {
        store_wide(sum->places[i], &sum->cells[2 * i]);
        store_wide(sum->places[i] + WORD_BYTES, &sum->cells[2 * i + 1]);
    }
    return good;
}

/* Writes the scalars of all points to `scalars`, those of G and Y first; returns FM_OK or FM_BAD_SCALAR. */
static int combine(combination *sum, const shape *s, uint8_t *scalars, const uint8_t *ballots, size_t n,
                   const uint8_t *challenges, size_t *bad) {
    sum->out = scalars + MAX_FIXED * WORD_BYTES;
    for (size_t i = 0; i < n; i++) {
        wide_scalar hashed;
        scalar e;
        for (size_t j = 0; j < 8; j++) hashed.v[j] = load64(challenges + i * FM_CHALLENGE_BYTES + 8 * j);
        scalar_reduce(&e, &hashed);
        if (!add_ballot(sum, s, &ballots, &e)) {
            *bad = i;
            return FM_BAD_SCALAR;
        }
    }
    const scalar zero = {{0}};
    const wide_scalar *const taken[MAX_FIXED] = {&sum->on_base, &sum->on_key};
    for (int i = 0; i < MAX_FIXED; i++) {
        scalar k;
        scalar_reduce(&k, taken[i]);
        scalar_subtract(&k, &zero, &k);
        scalar_store(scalars + (size_t)i * WORD_BYTES, &k);
    }
    return FM_OK;
}

static int add_up(ge *sum, const uint8_t *scalars, const void *points, size_t count, const void *fixed) {
    size_t bad;
    ge more;
    const uint8_t *const own = scalars + MAX_FIXED * WORD_BYTES;
    int code = multiply(sum, own, count * WORD_BYTES, points, count * FM_POINT_BYTES, &bad);
    if (code == FM_OK) code = multiply(&more, scalars, MAX_FIXED * WORD_BYTES, fixed, MAX_FIXED * FM_POINT_BYTES, &bad);
    if (code == FM_OK) ge_add(sum, sum, &more);
    return code;
}

int fm_ballots_hold(const uint8_t *ballots, size_t ballots_bytes, const void *points, size_t points_bytes,
                    const void *fixed, size_t fixed_bytes, const uint32_t *layout, size_t layout_bytes,
                    const uint8_t *challenges, size_t challenges_bytes, const uint8_t *weights, size_t weights_bytes,
                    size_t *bad) {
    shape s;
    if (!read_shape(&s, layout, layout_bytes)) return FM_BAD_ARGUMENT;
    const size_t n = count_ballots(&s, ballots, ballots_bytes, points, points_bytes);
    if (n == 0 || bad == NULL || challenges == NULL || challenges_bytes != n * FM_CHALLENGE_BYTES || weights == NULL ||
        weights_bytes != n * s.branches * FM_WEIGHT_BYTES || fixed == NULL || (uintptr_t)fixed % sizeof(uint64_t) != 0 ||
        fixed_bytes != MAX_FIXED * FM_POINT_BYTES) {
        return FM_BAD_ARGUMENT;
    }
    const size_t count = n * s.points;
    uint8_t *const scalars = malloc((MAX_FIXED + count) * WORD_BYTES);
    combination sum = {.weight = weights};
    sum.cells = malloc(2 * s.cells * sizeof *sum.cells);
    sum.places = malloc(s.cells * sizeof *sum.places);
    int code = FM_NO_MEMORY;
    if (scalars != NULL && sum.cells != NULL && sum.places != NULL) {
        ge total;
        code = combine(&sum, &s, scalars, ballots, n, challenges, bad);
        if (code == FM_OK) code = add_up(&total, scalars, points, count, fixed);
        if (code == FM_OK && ge_is_identity(&total)) code = FM_IDENTITY;
    }
    free(scalars);
    free(sum.cells);
    free(sum.places);
    return code;
}
