/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admit-demand.h - the input of memarbctl admit: a definition within a time, and a demand as memarbd takes it. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "reserve.h"

/* All of fd up to max_bytes and until deadline_usec (CLOCK_MONOTONIC). 0 and *ret_text (free(), NUL behind *ret_len bytes);
 * -ETIME, -EFBIG, -ENOMEM or of read(). */
int ma_admit_read_input(
    int fd, size_t max_bytes, uint64_t deadline_usec, char **ret_text, size_t *ret_len);
/* Parameter "demand" of io.memarb.Arbiter.Admit; NULL: no memory, or text that is no UTF-8. */
json_t *ma_admit_demand_json(const struct ma_demand *demand);
