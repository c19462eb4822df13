/*
 * Sums of many ristretto255 points (RFC 9496), for PUBLIC data only.
 *
 * Everything here runs in variable time: branches, table look-ups and early exits depend on the points and
 * scalars. No secret key, secret scalar, vote or nonce may ever be handed to it; those belong to libsodium.
 * Checking proofs, adding up ballots and verifying bundles work on published bytes, and that is what this is for.
 *
 * Rules for every function:
 *  - Lengths are given in bytes and checked against each other; a wrong one is FM_BAD_ARGUMENT.
 *  - Nothing is kept between calls and there are no globals that change, so any number of threads may call at
 *    once, as long as no two of them write the same buffer.
 *  - On an error no result may be used; output buffers hold nothing that means anything.
 *  - Buffers of decoded points and sums start at a multiple of 8. What is inside them is private to one build
 *    on one machine: they are never stored or sent. Bytes that fm_decode did not write give a wrong answer but
 *    never touch memory outside the buffers.
 */
#ifndef FOLKMOOT_MULTIEXP_H
#define FOLKMOOT_MULTIEXP_H

#include <stddef.h>
#include <stdint.h>

#define FM_API __attribute__((visibility("default")))

/* Changes whenever a function or the meaning of its arguments changes; multiexp.py refuses any other. */
#define FM_VERSION 2u

#define FM_ENCODED_BYTES 32u
#define FM_POINT_BYTES 120u
#define FM_SUM_BYTES 10408u
/* 2^24 decoded points fill 2 GB; callers with more work in parts. */
#define FM_MAX_POINTS ((size_t)1 << 24)
#define FM_MAX_COLUMNS ((size_t)1 << 12)

enum {
    FM_OK = 0,
    FM_IDENTITY = 1,       /* fm_msm_is_identity: yes */
    FM_BAD_ARGUMENT = -1,  /* a null pointer, a length, an offset or an alignment */
    FM_BAD_POINT = -2,     /* an encoding that RFC 9496 section 4.3.1 refuses */
    FM_BAD_SCALAR = -3,    /* a scalar that is not below the group order */
    FM_NO_MEMORY = -4
};

FM_API uint32_t fm_version(void);

/*
 * Decodes encodings (32 bytes each) into points (FM_POINT_BYTES each).
 *
 * hints: NULL with length 0, or 32 bytes for each point, from whoever, never trusted. A hint is the inverse
 * square root that decoding needs (either sign); it is checked by two multiplications, and one that does not
 * fit is ignored, so that hints change the time taken and nothing else.
 * hints_out: NULL with length 0, or room for the hint of each point. It may not overlap `hints`.
 * bad: receives the index of the first refused encoding with FM_BAD_POINT.
 */
FM_API int fm_decode(void *points, size_t points_bytes, const uint8_t *encodings, size_t encodings_bytes,
                     const uint8_t *hints, size_t hints_bytes, uint8_t *hints_out, size_t hints_out_bytes, size_t *bad);

/* Encodes decoded points (32 bytes each); the inverse of fm_decode. */
FM_API int fm_encode(uint8_t *encodings, size_t encodings_bytes, const void *points, size_t points_bytes);

/*
 * Writes the encoding of sum scalar[i] * point[i] to result (32 bytes); the identity for no points.
 *
 * Scalars are 32 bytes each, little-endian, below the group order; FM_BAD_SCALAR puts the index of the first
 * that is not into bad. Long and short scalars may be mixed: one below 2^128 costs half of a full one.
 */
FM_API int fm_msm(uint8_t *result, const uint8_t *scalars, size_t scalars_bytes, const void *points,
                  size_t points_bytes, size_t *bad);

/* The same sum: FM_IDENTITY when it is the identity of the group, FM_OK when it is not, else an error. */
FM_API int fm_msm_is_identity(const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
                              size_t *bad);

/*
 * Weighted sums of columns, taken a few rows at a time: sum[j] = sum over rows r of weight[r] * point[r][j].
 *
 * sums is memory of the caller, FM_SUM_BYTES for each column. A row is `stride` points long, and column j is the
 * point at offsets[j] (below stride) in it. points holds a whole number of rows. weights is NULL with
 * length 0 (every weight is 1) or one uint64_t for each row. A weight costs as many additions as it has
 * non-zero digits in its signed binary form, so 1 costs one.
 */
FM_API int fm_sums_init(void *sums, size_t sums_bytes);
FM_API int fm_sums_update(void *sums, size_t sums_bytes, const void *points, size_t points_bytes, size_t stride,
                          const uint32_t *offsets, size_t offsets_bytes, const uint64_t *weights, size_t weights_bytes);
/* Writes the encoding of each sum so far; sums stay as they are and may be updated further. */
FM_API int fm_sums_finish(uint8_t *encodings, size_t encodings_bytes, const void *sums, size_t sums_bytes);

/*
 * Ballots as section 7 of docs/spec/voting.md spells them: words of 32 bytes, points and scalars, in one order for all
 * ballots of an election. The layout says which. It is a run of items, one for each proof, in the order of the words:
 *
 *   0, m, low                                   a cell: two points (alpha, beta) and the proof of m branches
 *   t, m, low, t times (cell, factor)           a constraint: the proof for the sum of so many cells times factors
 *
 * A proof of m branches is m pairs of points, m - 1 challenges and m responses; its branches stand for the values low,
 * low + 1, ... Cells count from 0, and a constraint names cells before it. A layout of anything else, of more than
 * FM_MAX_WORDS words, or that does not divide the ballots' bytes, is FM_BAD_ARGUMENT.
 *
 * fm_ballots_open decodes all points of all ballots and checks that they are not the identity and that all scalars are
 * canonical. good gets one byte for each ballot: 1, or 0 where something is refused, and its points mean nothing then.
 */
#define FM_MAX_WORDS ((size_t)1 << 13)
#define FM_CHALLENGE_BYTES 64u
#define FM_WEIGHT_BYTES 32u

FM_API int fm_ballots_open(void *points, size_t points_bytes, uint8_t *good, size_t good_bytes, const uint8_t *ballots,
                           size_t ballots_bytes, const uint32_t *layout, size_t layout_bytes);

/*
 * Says whether the random combination of all proofs' equations is the identity: FM_IDENTITY, or FM_OK when it is not.
 *
 * With weights f and s of a branch of value v: f*(A + c*alpha - z*G) + s*(B + c*(beta - v*G) - z*Y), added up.
 * points: of these ballots, as fm_ballots_open left them. fixed: the decoded G and Y. challenges: the 64 bytes of
 * SHA-512 of each ballot, little-endian, reduced here. weights: 32 bytes for each branch, f and s, in order.
 * FM_BAD_SCALAR names in bad the ballot whose scalar is not canonical.
 */
FM_API int fm_ballots_hold(const uint8_t *ballots, size_t ballots_bytes, const void *points, size_t points_bytes,
                           const void *fixed, size_t fixed_bytes, const uint32_t *layout, size_t layout_bytes,
                           const uint8_t *challenges, size_t challenges_bytes, const uint8_t *weights,
                           size_t weights_bytes, size_t *bad);

#endif
