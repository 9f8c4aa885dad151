/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim-internal.h"

uint64_t sim_random(uint64_t *state) {
    uint64_t z;

    /* Wraps around by design: the step is coprime to 2^64. */
    *state += UINT64_C(0x9e3779b97f4a7c15);
    z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_random_below(uint64_t *state, uint64_t n) {
    return ma_muldiv_sat(sim_random(state) >> 1, n, UINT64_C(1) << 63);
}

uint64_t sim_random_between(uint64_t *state, uint64_t low, uint64_t high) {
    return high <= low ? low : low + sim_random_below(state, high - low + 1);
}
