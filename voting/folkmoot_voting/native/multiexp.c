/* Decoding, multi-scalar multiplication and weighted sums over ristretto255; the contract is in multiexp.h. */
#include "multiexp.h"

#include <stdlib.h>
#include <string.h>

#include "multiply.h"
#include "roots_ifma.h"
#include "scalar25519.h"

#define SCALAR_BYTES ((size_t)32)
/* Below this many points a table for each (Straus) beats sorting into buckets (Pippenger); measured. */
#define STRAUS_POINTS ((size_t)150)
/* Points in a bucket run: keeps the recoded scalars of huge sums within 5 MB. */
#define CHUNK_POINTS ((size_t)1 << 17)
#define RECODED_WORDS 5
#define MIN_WINDOW 4
#define MAX_WINDOW 13
#define NAF_WIDTH 5
#define NAF_TABLE (1 << (NAF_WIDTH - 2))
/* A scalar has at most 253 bits, and its signed form may carry into one more digit. */
#define NAF_DIGITS 256
/* A weight has 64 bits; its signed binary form 65 digits. */
#define WEIGHT_DIGITS 65

typedef struct {
    uint64_t digits; /* how many of the accumulators have been used */
    ge part[WEIGHT_DIGITS];
} column;

_Static_assert(sizeof(ge_affine) == FM_POINT_BYTES, "FM_POINT_BYTES is wrong");
_Static_assert(sizeof(column) == FM_SUM_BYTES, "FM_SUM_BYTES is wrong");

uint32_t fm_version(void) { return FM_VERSION; }

/* Says whether a buffer holds a whole number of items, at an address they can be read from. */
static int holds(const void *buffer, size_t bytes, size_t item, size_t count) {
    return count <= FM_MAX_POINTS && bytes == item * count && (buffer != NULL || bytes == 0);
}

static int aligned(const void *buffer) { return (uintptr_t)buffer % sizeof(uint64_t) == 0; }

unsigned decode_some(ge_affine *const out[], const uint8_t *const encodings[], size_t count, const uint8_t *hints,
                     uint8_t *hints_out) {
    ristretto_begun begun[LANES];
    fe root[LANES], w[LANES];
    const int draw = hints == NULL && count == LANES && roots_are_fast();
    unsigned canonical = 0, good = 0;
    for (size_t i = 0; i < count; i++) canonical |= (unsigned)ristretto_begin(&begun[i], encodings[i]) << i;
    if (draw) {
        for (size_t i = 0; i < LANES; i++) w[i] = begun[i].w;
        roots_of_eight(root, w);
    }
    for (size_t i = 0; i < count; i++) {
        if (!(canonical >> i & 1)) continue;
        if (hints != NULL) fe_load(&root[i], hints + i * FM_ENCODED_BYTES);
        const fe *const candidate = draw || hints != NULL ? &root[i] : NULL;
        uint8_t *const hint_out = hints_out == NULL ? NULL : hints_out + i * FM_ENCODED_BYTES;
        good |= (unsigned)ristretto_finish(out[i], &begun[i], candidate, hint_out) << i;
    }
    return good;
}

int fm_decode(void *points, size_t points_bytes, const uint8_t *encodings, size_t encodings_bytes,
              const uint8_t *hints, size_t hints_bytes, uint8_t *hints_out, size_t hints_out_bytes, size_t *bad) {
    const size_t n = encodings_bytes / FM_ENCODED_BYTES;
    if (!holds(encodings, encodings_bytes, FM_ENCODED_BYTES, n) || !holds(points, points_bytes, FM_POINT_BYTES, n) ||
        !aligned(points) || bad == NULL || (hints == NULL && hints_bytes != 0) ||
        (hints != NULL && hints_bytes != encodings_bytes) || (hints_out == NULL && hints_out_bytes != 0) ||
        (hints_out != NULL && hints_out_bytes != encodings_bytes)) {
        return FM_BAD_ARGUMENT;
    }
    ge_affine *const out = points;
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = i * FM_ENCODED_BYTES, count = n - i < LANES ? n - i : LANES;
        const uint8_t *some[LANES];
        ge_affine *places[LANES];
        for (size_t j = 0; j < count; j++) {
            some[j] = encodings + at + j * FM_ENCODED_BYTES;
            places[j] = out + i + j;
        }
        const unsigned good = decode_some(places, some, count, hints == NULL ? NULL : hints + at,
                                          hints_out == NULL ? NULL : hints_out + at);
        if (good != (1u << count) - 1) {
            *bad = i + (size_t)__builtin_ctz(~good);
            return FM_BAD_POINT;
        }
    }
    return FM_OK;
}

int fm_encode(uint8_t *encodings, size_t encodings_bytes, const void *points, size_t points_bytes) {
    const size_t n = points_bytes / FM_POINT_BYTES;
    if (!holds(points, points_bytes, FM_POINT_BYTES, n) || !aligned(points) ||
        !holds(encodings, encodings_bytes, FM_ENCODED_BYTES, n)) {
        return FM_BAD_ARGUMENT;
    }
    const ge_affine *const in = points;
    for (size_t i = 0; i < n; i++) {
        ge p;
        ge_from_affine(&p, &in[i]);
        ristretto_encode(encodings + i * FM_ENCODED_BYTES, &p);
    }
    return FM_OK;
}

static unsigned scalar_bits(const scalar *k) {
    for (unsigned i = 4; i-- > 0;) {
        if (k->v[i] != 0) return 64 * i + 64 - (unsigned)__builtin_clzll(k->v[i]);
    }
    return 0;
}

/*
 * Straus: the signed digits of all scalars (width-5 NAF) are walked down together, so the doublings are shared
 * and each point costs an addition at one digit in six.
 */
static void naf_recode(int8_t digits[NAF_DIGITS], const uint8_t bytes[32]) {
    memset(digits, 0, NAF_DIGITS);
    scalar k;
    scalar_load(&k, bytes);
    const uint64_t words[RECODED_WORDS] = {k.v[0], k.v[1], k.v[2], k.v[3], 0};
    unsigned carry = 0;
    for (unsigned at = 0; at < NAF_DIGITS;) {
        const unsigned word = at / 64, shift = at % 64;
        uint64_t bits = words[word] >> shift;
        if (shift > 64 - NAF_WIDTH) bits |= words[word + 1] << (64 - shift);
        const unsigned window = carry + (unsigned)(bits & ((1u << NAF_WIDTH) - 1));
        if ((window & 1) == 0) {
            at++;
            continue;
        }
        carry = window >> (NAF_WIDTH - 1);
        digits[at] = (int8_t)((int)window - (int)(carry << NAF_WIDTH));
        at += NAF_WIDTH;
    }
}

/* Writes P, 3P, 5P, ... */
static void odd_multiples(ge_cached table[NAF_TABLE], const ge_affine *point) {
    ge p, twice;
    ge_cached step;
    ge_from_affine(&p, point);
    ge_double(&twice, &p);
    ge_cache(&step, &twice);
    ge_cache(&table[0], &p);
    for (int i = 1; i < NAF_TABLE; i++) {
        ge_add_cached(&p, &p, &step, 0);
        ge_cache(&table[i], &p);
    }
}

static int straus(ge *sum, const uint8_t *scalars, const ge_affine *points, size_t n) {
    ge_cached *const tables = malloc(n * NAF_TABLE * sizeof *tables);
    int8_t *const digits = malloc(n * NAF_DIGITS);
    if (tables == NULL || digits == NULL) {
        free(tables);
        free(digits);
        return FM_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        odd_multiples(tables + i * NAF_TABLE, &points[i]);
        naf_recode(digits + i * NAF_DIGITS, scalars + i * SCALAR_BYTES);
    }
    ge acc = GE_IDENTITY;
    int begun = 0;
    for (size_t at = NAF_DIGITS; at-- > 0;) {
        if (begun) ge_double(&acc, &acc);
        for (size_t i = 0; i < n; i++) {
            const int digit = digits[i * NAF_DIGITS + at];
            if (digit == 0) continue;
            const int magnitude = digit < 0 ? -digit : digit;
            ge_add_cached(&acc, &acc, &tables[i * NAF_TABLE + (size_t)(magnitude >> 1)], digit < 0);
            begun = 1;
        }
    }
    *sum = acc;
    free(tables);
    free(digits);
    return FM_OK;
}

/*
 * Pippenger. A scalar is recoded once by adding half a window to each of its windows; its signed digit in a
 * window is then what stands there less that half, with no carry from its neighbours.
 */
typedef struct {
    uint64_t v[RECODED_WORDS];
} recoded;

typedef struct {
    unsigned bits, count;
} windows;

/* 2 bits beyond the longest scalar leave room for what recoding adds. */
static unsigned window_count(unsigned scalar_length, unsigned bits) { return (scalar_length + 2 + bits - 1) / bits; }

/* Picks the width that costs the fewest field multiplications. */
static windows choose_windows(size_t long_ones, size_t short_ones, unsigned longest) {
    windows best = {0, 0};
    uint64_t least = UINT64_MAX;
    for (unsigned bits = MIN_WINDOW; bits <= MAX_WINDOW; bits++) {
        const unsigned count = window_count(longest, bits);
        const unsigned short_count = window_count(128, bits) < count ? window_count(128, bits) : count;
        const uint64_t additions = (uint64_t)long_ones * count + (uint64_t)short_ones * short_count;
        const uint64_t cost = 7 * additions + (uint64_t)count * (18u << (bits - 1));
        if (cost < least) {
            least = cost;
            best = (windows){bits, count};
        }
    }
    return best;
}

static void recode(recoded *out, const uint8_t *scalars, size_t n, windows w) {
    recoded halves = {{0}};
    for (unsigned i = 0; i < w.count; i++) {
        const unsigned bit = i * w.bits + w.bits - 1;
        halves.v[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    for (size_t i = 0; i < n; i++) {
        scalar k;
        scalar_load(&k, scalars + i * SCALAR_BYTES);
        fe_wide sum = 0;
        for (int j = 0; j < RECODED_WORDS; j++) {
            sum += (fe_wide)halves.v[j] + (j < 4 ? k.v[j] : 0);
            out[i].v[j] = (uint64_t)sum;
            sum >>= 64;
        }
    }
}

FE_INLINE int window_digit(const recoded *k, unsigned at, unsigned bits) {
    const unsigned word = at / 64, shift = at % 64;
    uint64_t value = k->v[word] >> shift;
    if (shift + bits > 64) value |= k->v[word + 1] << (64 - shift);
    return (int)(value & ((UINT64_C(1) << bits) - 1)) - (1 << (bits - 1));
}

/* Returns sum of (i + 1) * bucket[i]. */
static void add_buckets(ge *sum, const ge *bucket, size_t buckets) {
    ge running = bucket[buckets - 1], total = running;
    for (size_t i = buckets - 1; i-- > 0;) {
        ge_add(&running, &running, &bucket[i]);
        ge_add(&total, &total, &running);
    }
    *sum = total;
}

static void pippenger_windows(ge *sum, ge *bucket, const recoded *k, const ge_affine *points, size_t n, windows w) {
    const size_t buckets = (size_t)1 << (w.bits - 1);
    ge acc = GE_IDENTITY;
    for (unsigned i = w.count; i-- > 0;) {
        for (unsigned j = 0; j < w.bits; j++) ge_double(&acc, &acc);
        for (size_t j = 0; j < buckets; j++) bucket[j] = GE_IDENTITY;
        for (size_t j = 0; j < n; j++) {
            const int digit = window_digit(&k[j], i * w.bits, w.bits);
            if (digit == 0) continue;
            ge *const b = &bucket[(digit < 0 ? -digit : digit) - 1];
            ge_add_affine(b, b, &points[j], digit < 0);
        }
        ge total;
        add_buckets(&total, bucket, buckets);
        ge_add(&acc, &acc, &total);
    }
    *sum = acc;
}

static int pippenger(ge *sum, const uint8_t *scalars, const ge_affine *points, size_t n) {
    size_t short_ones = 0;
    unsigned longest = 0;
    for (size_t i = 0; i < n; i++) {
        scalar k;
        scalar_load(&k, scalars + i * SCALAR_BYTES);
        const unsigned bits = scalar_bits(&k);
        if (bits > longest) longest = bits;
        if (bits <= 128) short_ones++;
    }
    const windows w = choose_windows(n - short_ones, short_ones, longest);
    recoded *const k = malloc(n * sizeof *k);
    ge *const bucket = malloc(((size_t)1 << (w.bits - 1)) * sizeof *bucket);
    const int enough = k != NULL && bucket != NULL;
    if (enough) {
        recode(k, scalars, n, w);
        pippenger_windows(sum, bucket, k, points, n, w);
    }
    free(k);
    free(bucket);
    return enough ? FM_OK : FM_NO_MEMORY;
}

int multiply(ge *sum, const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
             size_t *bad) {
    const size_t n = points_bytes / FM_POINT_BYTES;
    if (!holds(points, points_bytes, FM_POINT_BYTES, n) || !aligned(points) ||
        !holds(scalars, scalars_bytes, SCALAR_BYTES, n) || bad == NULL) {
        return FM_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < n; i++) {
        scalar k;
        scalar_load(&k, scalars + i * SCALAR_BYTES);
        if (!scalar_is_canonical(&k)) {
            *bad = i;
            return FM_BAD_SCALAR;
        }
    }
    *sum = GE_IDENTITY;
    const ge_affine *const in = points;
    for (size_t at = 0; at < n; at += CHUNK_POINTS) {
        const size_t count = n - at < CHUNK_POINTS ? n - at : CHUNK_POINTS;
        ge part;
        const int code = (count < STRAUS_POINTS ? straus : pippenger)(&part, scalars + at * SCALAR_BYTES, in + at, count);
        if (code != FM_OK) return code;
        ge_add(sum, sum, &part);
    }
    return FM_OK;
}

int fm_msm(uint8_t *result, const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
           size_t *bad) {
    ge sum;
    if (result == NULL) return FM_BAD_ARGUMENT;
    const int code = multiply(&sum, scalars, scalars_bytes, points, points_bytes, bad);
    if (code == FM_OK) ristretto_encode(result, &sum);
    return code;
}

int fm_msm_is_identity(const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
                       size_t *bad) {
    ge sum;
    const int code = multiply(&sum, scalars, scalars_bytes, points, points_bytes, bad);
    if (code != FM_OK) return code;
    return ge_is_identity(&sum) ? FM_IDENTITY : FM_OK;
}

/* Returns the number of columns, or 0 when the buffer cannot hold sums. */
static size_t columns_in(const void *sums, size_t sums_bytes) {
    const size_t n = sums_bytes / FM_SUM_BYTES;
    const int fits = sums != NULL && aligned(sums) && n <= FM_MAX_COLUMNS && sums_bytes == n * FM_SUM_BYTES;
    return fits ? n : 0;
}

int fm_sums_init(void *sums, size_t sums_bytes) {
    const size_t n = columns_in(sums, sums_bytes);
    column *const columns = sums;
    if (n == 0) return FM_BAD_ARGUMENT;
    for (size_t i = 0; i < n; i++) {
        columns[i].digits = 0;
        for (int j = 0; j < WEIGHT_DIGITS; j++) columns[i].part[j] = GE_IDENTITY;
    }
    return FM_OK;
}

/* Adds weight * point: the weight's signed binary digit at 2^j says what part[j] gets. */
static void column_add(column *sum, const ge_affine *point, uint64_t weight) {
    const fe_wide tripled = (fe_wide)3 * weight;
    fe_wide plus = (tripled & ~(fe_wide)weight) >> 1, minus = (weight & ~tripled) >> 1;
    for (uint64_t j = 0; (plus | minus) != 0; j++) {
        if ((plus | minus) & 1) {
            ge_add_affine(&sum->part[j], &sum->part[j], point, (int)(minus & 1));
            if (j >= sum->digits) sum->digits = j + 1;
        }
        plus >>= 1;
        minus >>= 1;
    }
}

int fm_sums_update(void *sums, size_t sums_bytes, const void *points, size_t points_bytes, size_t stride,
                   const uint32_t *offsets, size_t offsets_bytes, const uint64_t *weights, size_t weights_bytes) {
    const size_t width = columns_in(sums, sums_bytes), n = points_bytes / FM_POINT_BYTES;
    if (width == 0 || stride == 0 || n % stride != 0 || !holds(points, points_bytes, FM_POINT_BYTES, n) ||
        !aligned(points) || offsets == NULL || (uintptr_t)offsets % sizeof *offsets != 0 || offsets_bytes != width * sizeof *offsets ||
        (weights == NULL ? weights_bytes != 0 : weights_bytes != n / stride * sizeof *weights) || !aligned(weights)) {
        return FM_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < width; i++) {
        if (offsets[i] >= stride) return FM_BAD_ARGUMENT;
    }
    const ge_affine *const in = points;
    column *const columns = sums;
    for (size_t row = 0; row < n / stride; row++) {
        for (size_t i = 0; i < width; i++) {
            column_add(&columns[i], &in[row * stride + offsets[i]], weights == NULL ? 1 : weights[row]);
        }
    }
    return FM_OK;
}

int fm_sums_finish(uint8_t *encodings, size_t encodings_bytes, const void *sums, size_t sums_bytes) {
    const size_t width = columns_in(sums, sums_bytes);
    const column *const columns = sums;
    if (width == 0 || encodings == NULL || encodings_bytes != width * FM_ENCODED_BYTES) return FM_BAD_ARGUMENT;
    for (size_t i = 0; i < width; i++) {
        ge total = GE_IDENTITY;
        const uint64_t used = columns[i].digits < WEIGHT_DIGITS ? columns[i].digits : WEIGHT_DIGITS;
        for (uint64_t j = used; j-- > 0;) {
            ge_double(&total, &total);
            ge_add(&total, &total, &columns[i].part[j]);
        }
        ristretto_encode(encodings + i * FM_ENCODED_BYTES, &total);
    }
    return FM_OK;
}
