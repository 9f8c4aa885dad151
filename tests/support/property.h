/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* property.h - how much a property test tries and where it begins: MEMARB_PROPERTY_RUNS and MEMARB_PROPERTY_SEED, or what it
 * asks for itself. The seed is printed before anything is tried. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t property_number(const char *name, uint64_t standard) {
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : standard;
}

static inline uint64_t property_runs(uint64_t standard) {
    return property_number("MEMARB_PROPERTY_RUNS", standard);
}

static inline uint64_t property_seed(uint64_t standard, uint64_t runs) {
    uint64_t first = property_number("MEMARB_PROPERTY_SEED", standard);
    (void) fprintf(stderr, "# seed %" PRIu64 ", %" PRIu64 " runs\n", first, runs);
    return first;
}
