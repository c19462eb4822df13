/* What the sources of the library share and do not show. */
#ifndef FOLKMOOT_MULTIPLY_H
#define FOLKMOOT_MULTIPLY_H

#include <stddef.h>

#include "ristretto255.h"

/* Sums scalar[i] * point[i]; arguments and answers as fm_msm (multiexp.h). */
int multiply(ge *sum, const uint8_t *scalars, size_t scalars_bytes, const void *points, size_t points_bytes,
             size_t *bad);

#endif
