/* What the sources of the library share and do not show. */
#ifndef FOLKMOOT_MULTIPLY_H
#define FOLKMOOT_MULTIPLY_H

#include <stddef.h>

#include "ristretto255.h"

/* Points that are decoded together. */
#define LANES 8

/* Sums scalar[i] * point[i]; arguments and answers as fm_msm (multiexp.h). */
int multiply(ge *sum, const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
             size_t *bad);

/*
 * Decodes at most LANES points; returns a word with bit i set when encoding i is canonical.
 *
 * hints and hints_out as in fm_decode, for these points; LANES of them without hints cost the least.
 */
unsigned decode_some(ge_affine *const out[], const uint8_t *const encodings[], size_t count, const uint8_t *hints,
                     uint8_t *hints_out);

#endif
