/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-io.h - whether a guest's disks and network are busy, by its own measure. Loop thread only. */

#include <stdbool.h>
#include <stdint.h>

#include "process.h"
#include "rate-history.h"

struct ma_tracked_io {
    uint64_t read_usec; /* CLOCK_MONOTONIC; 0: never */
    uint64_t bytes;     /* then */
    bool has_permyriad;
    uint32_t permyriad; /* of the rate that it rarely exceeds */
    struct ma_rate_history history;
};
/* Once a minute, whenever it is called; else, and where nothing can be read, what it was stays. */
void ma_tracked_io_sample(struct ma_tracked_io *io,
                          const struct ma_process *process,
                          uint64_t now_usec);
/* What sample does with a reading. Pure. */
void ma_tracked_io_note(struct ma_tracked_io *io, uint64_t bytes, uint64_t now_usec);
