/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* age.c - the age of a line from two clocks that share no origin.
 *
 *     offset(line) = own time at reading - peer's time at writing = (difference of origins) + time under way
 *     age(line)    = offset(line) - min over all lines so far of offset
 *
 * The quickest line stands for "no time under way". A first line that was old already passes for fresh: that is what the
 * token is for. Drift of a guest's clock (100 ppm: 9 s a day) ages a link that is never begun anew; a host begins anew
 * whenever it sends another token. */
#include "protocol.h"

uint64_t mag_age_usec(struct mag_age *age, uint64_t peer_now_usec, uint64_t own_now_usec) {
    int64_t offset = ma_delta_i64(ma_min_u64(own_now_usec, MAG_COUNT_MAX),
                                  ma_min_u64(peer_now_usec, MAG_COUNT_MAX));
    if (!age->has_best || offset < age->best_offset_usec) {
        age->has_best = true;
        age->best_offset_usec = offset;
    }
    return (uint64_t) (offset - age->best_offset_usec);
}
