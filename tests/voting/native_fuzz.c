/*
 * Holds the compiled library of folkmoot_voting.multiexp against libsodium and against itself, on hostile bytes.
 *
 * An input is read as a small programme: which points (good ones, spoiled ones, raw bytes), which hints, which
 * scalars, which weights. Every buffer has exactly the length that is passed, on the heap, so that the address
 * sanitizer sees a byte too far. Any disagreement aborts.
 *
 *   native_fuzz SODIUM SEED COUNT      seeded inputs; the last line counts what was tried
 *
 * With -DFOLKMOOT_LIBFUZZER there is no main and libFuzzer brings the inputs (tests/voting/native_fuzz.py);
 * SODIUM then comes from the environment variable FOLKMOOT_SODIUM.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../voting/folkmoot_voting/native/field25519.h"
#include "../../voting/folkmoot_voting/native/multiexp.h"

#define POOL 24
#define MOST_POINTS 320
#define NEVER SIZE_MAX

static int (*sodium_is_valid)(const uint8_t *);
static int (*sodium_mult)(uint8_t *, const uint8_t *, const uint8_t *);
static int (*sodium_mult_base)(uint8_t *, const uint8_t *);
static int (*sodium_add)(uint8_t *, const uint8_t *, const uint8_t *);
static void (*sodium_negate)(uint8_t *, const uint8_t *);
static void (*sodium_reduce)(uint8_t *, const uint8_t *);
static void (*sodium_scalar_add)(uint8_t *, const uint8_t *, const uint8_t *);
static void (*sodium_scalar_sub)(uint8_t *, const uint8_t *, const uint8_t *);
static void (*sodium_scalar_mul)(uint8_t *, const uint8_t *, const uint8_t *);

static uint8_t pool[POOL][32];
static unsigned long tried, points_good, points_bad, sums_done, identities;

static void check(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "disagreement: %s\n", what);
    abort();
}

static void *symbol(void *library, const char *name) {
    void *const found = library == NULL ? NULL : dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "libsodium cannot be used: %s\n", name);
        exit(3);
    }
    return found;
}

static void open_sodium(const char *name) {
    void *const library = name == NULL ? NULL : dlopen(name, RTLD_NOW);
    int (*init)(void);
    *(void **)&init = symbol(library, "sodium_init");
    *(void **)&sodium_is_valid = symbol(library, "crypto_core_ristretto255_is_valid_point");
    *(void **)&sodium_mult = symbol(library, "crypto_scalarmult_ristretto255");
    *(void **)&sodium_mult_base = symbol(library, "crypto_scalarmult_ristretto255_base");
    *(void **)&sodium_add = symbol(library, "crypto_core_ristretto255_add");
    *(void **)&sodium_negate = symbol(library, "crypto_core_ristretto255_scalar_negate");
    *(void **)&sodium_reduce = symbol(library, "crypto_core_ristretto255_scalar_reduce");
    *(void **)&sodium_scalar_add = symbol(library, "crypto_core_ristretto255_scalar_add");
    *(void **)&sodium_scalar_sub = symbol(library, "crypto_core_ristretto255_scalar_sub");
    *(void **)&sodium_scalar_mul = symbol(library, "crypto_core_ristretto255_scalar_mul");
    check(init() >= 0, "sodium_init");
    for (int i = 0; i < POOL; i++) {
        uint8_t wide[64] = {0}, k[32];
        for (int j = 0; j < 64; j++) wide[j] = (uint8_t)(i * (j + 7) * 37);
        sodium_reduce(k, wide);
        if (sodium_mult_base(pool[i], k) != 0) memset(pool[i], 0, 32); /* the first is the identity */
    }
}

typedef struct {
    const uint8_t *at;
    size_t left;
} input;

static uint8_t byte(input *in) {
    if (in->left == 0) return 0;
    in->left--;
    return *in->at++;
}

static void bytes(input *in, uint8_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = byte(in);
}

/* Memory of exactly this size, so that one byte beyond it is seen. */
static void *room(size_t size) {
    void *const made = malloc(size == 0 ? 1 : size);
    if (made == NULL) exit(4);
    return made;
}

static void read_points(input *in, uint8_t *encodings, size_t n) {
    /* The first bad point ends what can be added up, so half of the inputs have none. */
    const int spoil = byte(in) & 1;
    for (size_t i = 0; i < n; i++) {
        uint8_t *const out = encodings + 32 * i;
        const uint8_t kind = spoil ? byte(in) : byte(in) % 250;
        memcpy(out, pool[kind % POOL], 32);
        if (kind < 250) continue;
        if (kind == 250) out[byte(in) % 32] ^= (uint8_t)(1 << byte(in) % 8);
        if (kind == 251) out[31] |= 0x80;
        if (kind == 252) {
            memset(out, 0xff, 32);
            out[0] = (uint8_t)(0xe4 + byte(in) % 28); /* about p itself */
            out[31] = 0x7f;
        }
        if (kind == 253) memset(out, 0, 32);
        if (kind >= 254) bytes(in, out, 32);
    }
}

/* Returns the first that libsodium refuses, or NEVER; bit 255 apart, which libsodium 1.0.18 passes over. */
static size_t first_bad(const uint8_t *encodings, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (encodings[32 * i + 31] >> 7 || !sodium_is_valid(encodings + 32 * i)) return i;
    }
    return NEVER;
}

static void spoil_hints(input *in, uint8_t *hints, size_t n) {
    const uint8_t how = byte(in);
    if (n == 0) return;
    if (how % 6 == 1) memset(hints, 0, 32 * n);
    if (how % 6 == 2) memset(hints, 0xff, 32 * n);
    if (how % 6 == 3) memmove(hints, hints + 32, 32 * (n - 1));
    if (how % 6 == 4) {
        for (int i = 0; i < 4; i++) hints[(byte(in) * 256u + byte(in)) % (32 * n)] ^= byte(in);
    }
    /* Roots of -1/w, as the code for eight at once draws them where the processor has it. */
    for (size_t i = 0; how % 6 == 5 && i < n; i++) {
        fe root;
        fe_load(&root, hints + 32 * i);
        fe_mul(&root, &root, &FE_SQRT_M1);
        fe_store(hints + 32 * i, &root);
    }
}

/* Decodes with and without hints; returns how many points are in `points` (those before the first bad one). */
static size_t try_decode(input *in, const uint8_t *encodings, size_t n, uint8_t *points) {
    uint8_t *const hints = room(32 * n), *const again = room(FM_POINT_BYTES * n);
    memset(hints, 0x5a, 32 * n);
    const size_t expected = first_bad(encodings, n);
    size_t bad = NEVER, bad_again = NEVER;
    const int code = fm_decode(points, FM_POINT_BYTES * n, encodings, 32 * n, NULL, 0, hints, 32 * n, &bad);
    check(code == (expected == NEVER ? FM_OK : FM_BAD_POINT) && bad == expected, "decoding and libsodium");
    spoil_hints(in, hints, n);
    const int code_again = fm_decode(again, FM_POINT_BYTES * n, encodings, 32 * n, hints, 32 * n, NULL, 0, &bad_again);
    check(code == code_again && bad == bad_again, "decoding with and without hints");
    const size_t good = bad == NEVER ? n : bad;
    uint8_t *const some = room(32 * good);
    memset(some, 0xaa, 32 * good);
    check(fm_encode(some, 32 * good, points, FM_POINT_BYTES * good) == FM_OK, "encoding");
    check(memcmp(some, encodings, 32 * good) == 0, "decoding and encoding again");
    check(fm_encode(some, 32 * good, again, FM_POINT_BYTES * good) == FM_OK, "encoding");
    check(memcmp(some, encodings, 32 * good) == 0, "decoding with hints and encoding again");
    points_good += good;
    points_bad += bad != NEVER;
    free(some);
    free(hints);
    free(again);
    return good;
}

static int is_canonical(const uint8_t *scalar) {
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    for (int i = 31; i >= 0; i--) {
        if (scalar[i] != order[i]) return scalar[i] < order[i];
    }
    return 0;
}

static void read_scalars(input *in, uint8_t *scalars, size_t n) {
    const int spoil = byte(in) & 1;
    for (size_t i = 0; i < n; i++) {
        uint8_t *const out = scalars + 32 * i, kind = byte(in);
        memset(out, 0, 32);
        bytes(in, out, kind < 100 ? 32 : kind < 180 ? 16 : kind < 230 ? 1 : 0);
        if (kind < 96 || !spoil) out[31] &= 0x0f; /* the rest may be above the order */
        if (spoil && kind >= 245) { /* about the order itself */
            static const uint8_t near[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                             0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                             0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
            memcpy(out, near, 32);
            out[0] = (uint8_t)(out[0] - 3 + kind % 5);
        }
    }
}

static void slow_sum(uint8_t *sum, const uint8_t *scalars, const uint8_t *encodings, size_t n) {
    memset(sum, 0, 32);
    for (size_t i = 0; i < n; i++) {
        uint8_t term[32];
        if (sodium_mult(term, scalars + 32 * i, encodings + 32 * i) != 0) memset(term, 0, 32);
        check(sodium_add(sum, sum, term) == 0, "libsodium adds");
    }
}

/* The sum of everything and of everything's opposite is the identity; with one unit more it is not. */
static void try_opposites(const uint8_t *scalars, const uint8_t *encodings, const uint8_t *points, size_t n) {
    static const uint8_t identity[32];
    uint8_t *const both = room(64 * n), *const twice = room(2 * FM_POINT_BYTES * n);
    size_t bad = NEVER;
    memcpy(both, scalars, 32 * n);
    for (size_t i = 0; i < n; i++) sodium_negate(both + 32 * (n + i), scalars + 32 * i);
    memcpy(twice, points, FM_POINT_BYTES * n);
    memcpy(twice + FM_POINT_BYTES * n, points, FM_POINT_BYTES * n);
    const size_t whole = 2 * FM_POINT_BYTES * n;
    check(fm_msm_is_identity(both, 64 * n, twice, whole, &bad) == FM_IDENTITY, "opposites");
    if (n > 0 && memcmp(encodings, identity, 32) != 0 && both[0] < 0xec) {
        both[0]++;
        check(fm_msm_is_identity(both, 64 * n, twice, whole, &bad) == FM_OK, "opposites but one");
    }
    identities++;
    free(both);
    free(twice);
}

static void try_msm(input *in, const uint8_t *encodings, const uint8_t *points, size_t n) {
    uint8_t *const scalars = room(32 * n), sum[32], expected[32];
    size_t bad = NEVER, wanted = NEVER;
    read_scalars(in, scalars, n);
    for (size_t i = n; i-- > 0;) {
        if (!is_canonical(scalars + 32 * i)) wanted = i;
    }
    const int code = fm_msm(sum, scalars, 32 * n, points, FM_POINT_BYTES * n, &bad);
    check(code == (wanted == NEVER ? FM_OK : FM_BAD_SCALAR) && bad == wanted, "canonical scalars");
    check(fm_msm(sum, scalars, 32 * n + 1, points, FM_POINT_BYTES * n, &bad) == FM_BAD_ARGUMENT, "length of scalars");
    const size_t good = wanted == NEVER ? n : wanted;
    /* All that is before the first bad scalar; copied, so that the lengths are exact. */
    uint8_t *const some = room(FM_POINT_BYTES * good);
    memcpy(some, points, FM_POINT_BYTES * good);
    check(fm_msm(sum, scalars, 32 * good, some, FM_POINT_BYTES * good, &bad) == FM_OK, "sum");
    slow_sum(expected, scalars, encodings, good);
    check(memcmp(sum, expected, 32) == 0, "sum and libsodium");
    try_opposites(scalars, encodings, some, good);
    sums_done++;
    free(some);
    free(scalars);
}

/* Weighted sums of columns against the multi-scalar sum of each column. */
static void try_sums(input *in, const uint8_t *points, size_t n) {
    const size_t stride = 1u + byte(in) % 7, columns = 1u + byte(in) % 4, rows = n / stride;
    uint64_t *const weights = room(8 * rows);
    uint32_t *const offsets = room(4 * columns);
    uint8_t *const sums = room(FM_SUM_BYTES * columns), *const out = room(32 * columns);
    uint8_t *const scalars = room(32 * rows), *const column = room(FM_POINT_BYTES * rows);
    const int plain = byte(in) & 1;
    memset(scalars, 0, 32 * rows);
    for (size_t i = 0; i < columns; i++) offsets[i] = byte(in) % (uint32_t)stride;
    for (size_t i = 0; i < rows; i++) {
        weights[i] = 1;
        if (!plain) bytes(in, (uint8_t *)&weights[i], byte(in) % 9);
        for (int j = 0; j < 8; j++) scalars[32 * i + (size_t)j] = (uint8_t)(weights[i] >> (8 * j));
    }
    check(fm_sums_init(sums, FM_SUM_BYTES * columns) == FM_OK, "beginning sums");
    const size_t half = rows / 2;
    for (int part = 0; part < 2; part++) {
        const size_t from = part ? half : 0, count = part ? rows - half : half, size = count * stride * FM_POINT_BYTES;
        uint8_t *const exact = room(size);
        memcpy(exact, points + from * stride * FM_POINT_BYTES, size);
        check(fm_sums_update(sums, FM_SUM_BYTES * columns, exact, size, stride, offsets, 4 * columns,
                             plain ? NULL : weights + from, plain ? 0 : 8 * count) == FM_OK, "updating sums");
        free(exact);
    }
    check(fm_sums_finish(out, 32 * columns, sums, FM_SUM_BYTES * columns) == FM_OK, "finishing sums");
    for (size_t i = 0; i < columns; i++) {
        uint8_t expected[32];
        size_t bad = NEVER;
        for (size_t r = 0; r < rows; r++) {
            memcpy(column + FM_POINT_BYTES * r, points + FM_POINT_BYTES * (r * stride + offsets[i]), FM_POINT_BYTES);
        }
        check(fm_msm(expected, scalars, 32 * rows, column, FM_POINT_BYTES * rows, &bad) == FM_OK, "column");
        check(memcmp(out + 32 * i, expected, 32) == 0, "weighted and multi-scalar sums");
    }
    offsets[0] = (uint32_t)stride;
    check(fm_sums_update(sums, FM_SUM_BYTES * columns, points, rows * stride * FM_POINT_BYTES, stride, offsets, 4 * columns,
                         NULL, 0) == FM_BAD_ARGUMENT, "a column outside the row");
    free(weights);
    free(offsets);
    free(sums);
    free(out);
    free(scalars);
    free(column);
}

/* Bytes that were never decoded: any answer will do, as long as it comes. */
static void try_garbage(input *in, size_t n) {
    uint8_t *const points = room(FM_POINT_BYTES * n), *const sums = room(FM_SUM_BYTES), *const scalars = room(32 * n);
    uint8_t out[32];
    const uint32_t offset = 0;
    size_t bad;
    memset(sums, byte(in), FM_SUM_BYTES);
    memset(points, byte(in), FM_POINT_BYTES * n);
    bytes(in, points, FM_POINT_BYTES * n < 600 ? FM_POINT_BYTES * n : 600);
    memset(scalars, 3, 32 * n);
    check(fm_msm(out, scalars, 32 * n, points, FM_POINT_BYTES * n, &bad) == FM_OK, "garbage in a sum");
    (void)fm_sums_update(sums, FM_SUM_BYTES, points, FM_POINT_BYTES * n, 1, &offset, 4, NULL, 0);
    (void)fm_sums_finish(out, 32, sums, FM_SUM_BYTES);
    free(points);
    free(sums);
    free(scalars);
}

static void try_bad_arguments(void) {
    uint64_t memory[2 * FM_POINT_BYTES / 8 + 1];
    uint8_t *const points = (uint8_t *)memory, scalars[64] = {0}, out[64];
    uint64_t sums[FM_SUM_BYTES / 8 + 1];
    const uint32_t offset = 0;
    size_t bad = NEVER;
    const size_t two = (size_t)2 * FM_POINT_BYTES;
    check(fm_decode(points, two, pool[1], 64, NULL, 0, NULL, 0, &bad) == FM_OK, "two points");
    check(fm_decode(points + 1, two, pool[1], 64, NULL, 0, NULL, 0, &bad) == FM_BAD_ARGUMENT, "alignment");
    check(fm_decode(points, two - 1, pool[1], 64, NULL, 0, NULL, 0, &bad) == FM_BAD_ARGUMENT, "short room");
    check(fm_decode(points, two, pool[1], 63, NULL, 0, NULL, 0, &bad) == FM_BAD_ARGUMENT, "length");
    check(fm_decode(points, two, NULL, 64, NULL, 0, NULL, 0, &bad) == FM_BAD_ARGUMENT, "no encodings");
    check(fm_decode(NULL, two, pool[1], 64, NULL, 0, NULL, 0, &bad) == FM_BAD_ARGUMENT, "no room");
    check(fm_decode(points, two, pool[1], 64, out, 32, NULL, 0, &bad) == FM_BAD_ARGUMENT, "short hints");
    check(fm_decode(points, two, pool[1], 64, NULL, 64, NULL, 0, &bad) == FM_BAD_ARGUMENT, "no hints");
    check(fm_decode(points, two, pool[1], 64, NULL, 0, out, 63, &bad) == FM_BAD_ARGUMENT, "short room for hints");
    check(fm_decode(points, two, pool[1], 64, NULL, 0, NULL, 0, NULL) == FM_BAD_ARGUMENT, "nowhere for the index");
    check(fm_encode(out, 32, points, two) == FM_BAD_ARGUMENT, "short encodings");
    check(fm_encode(NULL, 64, points, two) == FM_BAD_ARGUMENT, "no encodings");
    check(fm_encode(out, 64, points + 4, two) == FM_BAD_ARGUMENT, "alignment");
    check(fm_msm(NULL, scalars, 64, points, two, &bad) == FM_BAD_ARGUMENT, "no result");
    check(fm_msm(out, NULL, 64, points, two, &bad) == FM_BAD_ARGUMENT, "no scalars");
    check(fm_msm(out, scalars, 32, points, two, &bad) == FM_BAD_ARGUMENT, "too few scalars");
    check(fm_msm_is_identity(scalars, 64, points, two - 8, &bad) == FM_BAD_ARGUMENT, "length of points");
    check(fm_sums_init(sums, FM_SUM_BYTES - 8) == FM_BAD_ARGUMENT, "short sums");
    check(fm_sums_init(sums, 0) == FM_BAD_ARGUMENT, "no column");
    check(fm_sums_init((uint8_t *)sums + 1, FM_SUM_BYTES) == FM_BAD_ARGUMENT, "alignment of sums");
    check(fm_sums_init(sums, FM_SUM_BYTES) == FM_OK, "one column");
    check(fm_sums_update(sums, FM_SUM_BYTES, points, two, 0, &offset, 4, NULL, 0) == FM_BAD_ARGUMENT, "no stride");
    check(fm_sums_update(sums, FM_SUM_BYTES, points, two, 3, &offset, 4, NULL, 0) == FM_BAD_ARGUMENT, "part of a row");
    check(fm_sums_update(sums, FM_SUM_BYTES, points, two, 1, NULL, 4, NULL, 0) == FM_BAD_ARGUMENT, "no offsets");
    check(fm_sums_update(sums, FM_SUM_BYTES, points, two, 1, &offset, 4, sums, 8) == FM_BAD_ARGUMENT, "too few weights");
    check(fm_sums_finish(out, 64, sums, FM_SUM_BYTES) == FM_BAD_ARGUMENT, "room for two");
    check(fm_sums_finish(NULL, 32, sums, FM_SUM_BYTES) == FM_BAD_ARGUMENT, "no room for sums");
}

#include "native_fuzz_ballots.h"

static void try_all(input *in) {
    if (byte(in) % 4 == 0) {
        try_ballots(in);
        try_bad_layouts(in);
    }
    /* Mostly few points; some inputs have enough of them for the other algorithm. */
    const uint8_t size = byte(in);
    const size_t n = size < 245 ? size % 24 : 140 + (size_t)byte(in) % (MOST_POINTS - 140);
    uint8_t *const encodings = room(32 * n), *const points = room(FM_POINT_BYTES * n);
    read_points(in, encodings, n);
    const size_t good = try_decode(in, encodings, n, points);
    try_msm(in, encodings, points, good);
    try_sums(in, points, good);
    try_garbage(in, n);
    tried++;
    free(encodings);
    free(points);
}

#ifdef FOLKMOOT_LIBFUZZER

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    open_sodium(getenv("FOLKMOOT_SODIUM"));
    try_bad_arguments();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    try_all(&in);
    return 0;
}

#else

/* xorshift64*, seeded: the same inputs every time. */
static uint8_t next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint8_t)(*state * UINT64_C(2685821657736338717) >> 56);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    open_sodium(arguments[1]);
    try_bad_arguments();
    uint64_t state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    const unsigned long runs = strtoul(arguments[3], NULL, 10);
    static uint8_t data[1 << 14];
    for (unsigned long run = 0; run < runs; run++) {
        for (size_t i = 0; i < sizeof data; i++) data[i] = next(&state);
        input in = {data, sizeof data};
        try_all(&in);
    }
    printf("inputs=%lu good=%lu bad=%lu sums=%lu identities=%lu ", tried, points_good, points_bad, sums_done, identities);
    printf("ballots=%lu spoiled=%lu held=%lu refused=%lu\n", ballots_good, ballots_bad, batches_held, batches_refused);
    return 0;
}

#endif
