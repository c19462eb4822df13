/*
 * The part of native_fuzz.c about whole ballots: made here with libsodium, some of them spoiled, and judged twice.
 *
 * The challenge comes from outside, so a proof of anything is made by choosing all challenges and responses first. The
 * second judge computes every scalar of the combination with libsodium, branch by branch.
 */
#ifndef FOLKMOOT_NATIVE_FUZZ_BALLOTS_H
#define FOLKMOOT_NATIVE_FUZZ_BALLOTS_H

#define MOST_ITEMS 4
#define MOST_CELLS 3
#define MOST_BRANCHES 3
#define MOST_BALLOTS 3
#define MOST_WORDS (MOST_ITEMS * (2 + 4 * MOST_BRANCHES))

static unsigned long ballots_good, ballots_bad, batches_held, batches_refused;

typedef struct {
    uint32_t items[MOST_ITEMS * (3 + 2 * MOST_CELLS)];
    size_t length, cells, points, words, branches;
} plan;

static void read_plan(input *in, plan *p) {
    memset(p, 0, sizeof *p);
    const size_t items = 1u + byte(in) % MOST_ITEMS;
    for (size_t i = 0; i < items; i++) {
        const size_t branches = 1u + byte(in) % MOST_BRANCHES;
        const size_t terms = p->cells == 0 || (p->cells < MOST_CELLS && byte(in) % 2) ? 0 : 1 + byte(in) % p->cells;
        p->items[p->length++] = (uint32_t)terms;
        p->items[p->length++] = (uint32_t)branches;
        p->items[p->length++] = terms == 0 ? 0 : byte(in) * (byte(in) % 8 == 0 ? 16777259u : 1u);
        for (size_t j = 0; j < terms; j++) {
            p->items[p->length++] = (uint32_t)(byte(in) % p->cells);
            p->items[p->length++] = byte(in) * (byte(in) % 8 == 0 ? 16777259u : 1u);
        }
        p->cells += terms == 0;
        p->points += 2 * branches + (terms == 0 ? 2 : 0);
        p->words += 4 * branches - 1 + (terms == 0 ? 2 : 0);
        p->branches += branches;
    }
}

static void small_scalar(uint8_t out[32], uint64_t number) {
    memset(out, 0, 32);
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(number >> (8 * i));
}

/* A challenge that is a multiple of the order leaves nothing, which is where remainders go wrong. */
static void some_challenge(input *in, uint8_t out[64]) {
    bytes(in, out, 64);
    if (byte(in) % 3) return;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    const unsigned times_order = byte(in);
    unsigned carry = 0;
    for (int i = 0; i < 64; i++) {
        carry += i < 32 ? order[i] * times_order : 0;
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void some_scalar(input *in, uint8_t out[32]) {
    uint8_t wide[64] = {0};
    bytes(in, wide, byte(in) % 3 == 0 ? 64 : byte(in) % 33);
    sodium_reduce(out, wide);
}

static void times(uint8_t out[32], const uint8_t k[32], const uint8_t point[32]) {
    if (sodium_mult(out, k, point) != 0) memset(out, 0, 32);
}

/* out = z * base - c * (left - v * right), with right NULL for none. */
static void commitment(uint8_t out[32], const uint8_t z[32], const uint8_t base[32], const uint8_t c[32],
                       const uint8_t left[32], const uint8_t v[32], const uint8_t *right) {
    uint8_t minus[32], term[32], cv[32];
    sodium_negate(minus, c);
    times(out, z, base);
    times(term, minus, left);
    check(sodium_add(out, out, term) == 0, "libsodium adds");
    if (right == NULL) return;
    sodium_scalar_mul(cv, c, v);
    times(term, cv, right);
    check(sodium_add(out, out, term) == 0, "libsodium adds");
}

/* Writes a proof for (alpha, beta) at `word` with the challenge e, and returns where the next word goes. */
static uint8_t *make_proof(input *in, uint8_t *word, size_t branches, uint32_t low, const uint8_t e[32],
                           const uint8_t alpha[32], const uint8_t beta[32], const uint8_t fixed[64]) {
    uint8_t *const splits = word + 64 * branches, *const responses = splits + 32 * (branches - 1), rest[32];
    memcpy(rest, e, 32);
    for (size_t i = 0; i < branches; i++) {
        uint8_t c[32], v[32];
        some_scalar(in, c);
        if (i + 1 == branches) memcpy(c, rest, 32);
        else memcpy(splits + 32 * i, c, 32);
        sodium_scalar_sub(rest, rest, c);
        some_scalar(in, responses + 32 * i);
        small_scalar(v, (uint64_t)low + i);
        commitment(word + 64 * i, responses + 32 * i, fixed, c, alpha, v, NULL);
        commitment(word + 64 * i + 32, responses + 32 * i, fixed + 32, c, beta, v, fixed);
    }
    return responses + 32 * branches;
}

static uint8_t *make_ballot(input *in, const plan *p, uint8_t *word, const uint8_t e[32], const uint8_t fixed[64]) {
    uint8_t pairs[MOST_CELLS][64];
    size_t cell = 0;
    for (size_t at = 0; at < p->length;) {
        const uint32_t terms = p->items[at], branches = p->items[at + 1], low = p->items[at + 2];
        uint8_t pair[64] = {0};
        at += 3;
        if (terms == 0) {
            for (int i = 0; i < 2; i++) memcpy(pair + 32 * i, pool[1 + byte(in) % (POOL - 1)], 32);
            memcpy(pairs[cell++], pair, 64);
            memcpy(word, pair, 64);
            word += 64;
        }
        for (uint32_t j = 0; j < terms; j++, at += 2) {
            for (int i = 0; i < 2; i++) {
                uint8_t factor[32], term[32];
                small_scalar(factor, p->items[at + 1]);
                times(term, factor, pairs[p->items[at]] + 32 * i);
                check(sodium_add(pair + 32 * i, pair + 32 * i, term) == 0, "libsodium adds");
            }
        }
        word = make_proof(in, word, branches, low, e, pair, pair + 32, fixed);
    }
    return word;
}

/* Adds a * b, negated when `minus`, to a scalar. */
static void add_product(uint8_t sum[32], const uint8_t a[32], const uint8_t b[32], int minus) {
    uint8_t product[32];
    sodium_scalar_mul(product, a, b);
    if (minus) sodium_scalar_sub(sum, sum, product);
    else sodium_scalar_add(sum, sum, product);
}

/* Writes the scalars of one ballot's points, and adds to those of G and Y; section 7 branch by branch. */
static uint8_t *second_opinion(const plan *p, const uint8_t *word, const uint8_t e[32], const uint8_t *weight,
                               uint8_t *out, uint8_t fixed[64]) {
    uint8_t *places[MOST_CELLS];
    size_t cell = 0;
    for (size_t at = 0; at < p->length;) {
        const uint32_t terms = p->items[at], branches = p->items[at + 1], low = p->items[at + 2];
        const uint32_t *const term = p->items + at + 3;
        uint8_t on_pair[64] = {0}, rest[32];
        at += 3 + 2 * terms;
        if (terms == 0) {
            places[cell++] = out;
            memset(out, 0, 64);
            out += 64;
            word += 64;
        }
        const uint8_t *const splits = word + 64 * branches, *const responses = splits + 32 * (branches - 1);
        memcpy(rest, e, 32);
        for (uint32_t i = 0; i < branches; i++) {
            uint8_t c[32], v[32], cv[32], both[64] = {0};
            memcpy(c, i + 1 == branches ? rest : splits + 32 * i, 32);
            sodium_scalar_sub(rest, rest, c);
            memcpy(both, weight, 16);
            memcpy(both + 32, weight + 16, 16);
            weight += FM_WEIGHT_BYTES;
            memcpy(out, both, 64);
            out += 64;
            small_scalar(v, (uint64_t)low + i);
            sodium_scalar_mul(cv, c, v);
            add_product(on_pair, both, c, 0);
            add_product(on_pair + 32, both + 32, c, 0);
            add_product(fixed, both, responses + 32 * i, 1);
            add_product(fixed, both + 32, cv, 1);
            add_product(fixed + 32, both + 32, responses + 32 * i, 1);
        }
        for (size_t j = 0; j < (terms == 0 ? 1 : terms); j++) {
            uint8_t factor[32];
            small_scalar(factor, terms == 0 ? 1 : term[2 * j + 1]);
            uint8_t *const place = places[terms == 0 ? cell - 1 : term[2 * j]];
            add_product(place, on_pair, factor, 0);
            add_product(place + 32, on_pair + 32, factor, 0);
        }
        word = responses + 32 * branches;
    }
    return out;
}

/* Says of each ballot whether its bytes are good, word by word and through libsodium. */
static int expected_good(const plan *p, const uint8_t *word) {
    static const uint8_t identity[32];
    int good = 1;
    for (size_t at = 0; at < p->length;) {
        const uint32_t terms = p->items[at], branches = p->items[at + 1];
        for (size_t i = 0; i < 2 * branches + (terms == 0 ? 2 : 0); i++, word += 32) {
            good &= first_bad(word, 1) == NEVER && memcmp(word, identity, 32) != 0;
        }
        for (size_t i = 0; i < 2 * branches - 1; i++, word += 32) good &= is_canonical(word);
        at += 3 + 2 * terms;
    }
    return good;
}

static void judge(const plan *p, size_t n, const uint8_t *ballots, const uint8_t *points, const uint8_t *fixed,
                  const uint8_t *challenges, const uint8_t *weights) {
    const size_t size = 32 * p->words, count = n * p->points;
    uint8_t *const scalars = room(32 * (count + 2)), *const all = room(FM_POINT_BYTES * (count + 2)), *out = scalars + 64;
    size_t bad = NEVER, ignored;
    memset(scalars, 0, 64);
    for (size_t i = 0; i < n; i++) {
        uint8_t e[32];
        sodium_reduce(e, challenges + 64 * i);
        out = second_opinion(p, ballots + i * size, e, weights + i * p->branches * FM_WEIGHT_BYTES, out, scalars);
    }
    check(out == scalars + 32 * (count + 2), "a scalar for each point");
    memcpy(all, fixed, 2 * FM_POINT_BYTES);
    memcpy(all + 2 * FM_POINT_BYTES, points, FM_POINT_BYTES * count);
    const int expected = fm_msm_is_identity(scalars, 32 * (count + 2), all, FM_POINT_BYTES * (count + 2), &ignored);
    const int found = fm_ballots_hold(ballots, n * size, points, count * FM_POINT_BYTES, fixed, 2 * FM_POINT_BYTES,
                                      p->items, 4 * p->length, challenges, 64 * n, weights,
                                      n * p->branches * FM_WEIGHT_BYTES, &bad);
    check(found == expected, "the combination of ballots and libsodium's scalars");
    batches_held += found == FM_IDENTITY;
    batches_refused += found == FM_OK;
    check(fm_ballots_hold(ballots, n * size, points, count * FM_POINT_BYTES, fixed, 2 * FM_POINT_BYTES, p->items,
                          4 * p->length, challenges, 64 * n, weights, n * p->branches * FM_WEIGHT_BYTES - 1,
                          &bad) == FM_BAD_ARGUMENT, "length of weights");
    free(scalars);
    free(all);
}

static void try_ballots(input *in) {
    plan p;
    read_plan(in, &p);
    const size_t n = 1u + byte(in) % MOST_BALLOTS, size = 32 * p.words, count = n * p.points;
    uint8_t *const ballots = room(n * size), *const points = room(FM_POINT_BYTES * count), *const good = room(n);
    uint8_t *const challenges = room(64 * n), *const weights = room(n * p.branches * FM_WEIGHT_BYTES);
    uint32_t *const items = room(4 * p.length);
    uint8_t encoded[64], e[32], *word = ballots;
    uint64_t fixed[2 * FM_POINT_BYTES / 8];
    size_t bad = NEVER;
    memcpy(items, p.items, 4 * p.length);
    small_scalar(e, 1);
    check(sodium_mult_base(encoded, e) == 0, "the generator");
    memcpy(encoded + 32, pool[1 + byte(in) % (POOL - 1)], 32);
    check(fm_decode(fixed, sizeof fixed, encoded, 64, NULL, 0, NULL, 0, &bad) == FM_OK, "fixed points");
    for (size_t i = 0; i < n; i++) {
        some_challenge(in, challenges + 64 * i);
        sodium_reduce(e, challenges + 64 * i);
        word = make_ballot(in, &p, word, e, encoded);
    }
    check(word == ballots + n * size, "ballots of the layout");
    bytes(in, weights, n * p.branches * FM_WEIGHT_BYTES);
    const uint8_t spoil = byte(in) % 4;
    if (spoil == 1) ballots[(byte(in) * 256u + byte(in)) % (n * size)] ^= (uint8_t)(1 << byte(in) % 8);
    if (spoil == 2) memset(ballots + 32 * (byte(in) % (n * p.words)), byte(in) % 2 ? 0xff : 0, 32);
    if (spoil == 3) challenges[byte(in) % (64 * n)] ^= 1;
    check(fm_ballots_open(points, FM_POINT_BYTES * count, good, n, ballots, n * size, items, 4 * p.length) == FM_OK, "opening");
    size_t all = 0;
    for (size_t i = 0; i < n; i++) {
        check(good[i] == expected_good(&p, ballots + i * size), "good bytes of a ballot and libsodium");
        all += good[i];
    }
    ballots_good += all;
    ballots_bad += n - all;
    if (all == n) judge(&p, n, ballots, points, (const uint8_t *)fixed, challenges, weights);
    free(ballots);
    free(points);
    free(good);
    free(challenges);
    free(weights);
    free(items);
}

/* Layouts that are none, ballots of any bytes: refused or judged, never read beyond. */
static void try_bad_layouts(input *in) {
    const size_t length = byte(in) % 12, size = (size_t)byte(in) * 4;
    uint32_t *const items = room(4 * length);
    uint8_t *const ballots = room(size), good[1];
    uint64_t *const points = room(FM_POINT_BYTES * 64);
    for (size_t i = 0; i < length; i++) items[i] = byte(in) % 5 ? byte(in) % 5 : byte(in) * 16843009u;
    bytes(in, ballots, size);
    for (size_t count = 1; count <= 64; count++) {
        const int code = fm_ballots_open(points, FM_POINT_BYTES * count, good, 1, ballots, size, items, 4 * length);
        check(code == FM_OK || code == FM_BAD_ARGUMENT, "any layout");
    }
    check(fm_ballots_open(points, FM_POINT_BYTES, good, 1, ballots, size, items, 4 * length + 1) == FM_BAD_ARGUMENT, "length");
    /* One cell, and a constraint over a cell that is not there: right in every length, and refused all the same. */
    const uint32_t beyond[8] = {0, 1, 1, 1, 1, 1, 1u + byte(in) % 60, 1};
    uint8_t *const whole = room(8 * 32);
    bytes(in, whole, 8 * 32);
    check(fm_ballots_open(points, FM_POINT_BYTES * 6, good, 1, whole, 8 * 32, beyond, sizeof beyond) == FM_BAD_ARGUMENT, "a cell that is not there");
    free(whole);
    free(items);
    free(ballots);
    free(points);
}

#endif
