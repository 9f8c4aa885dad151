/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-io.c - a guest's rate against its own 95th percentile, as the score's term io wants it.
 *
 * Of /proc/PID/io, since a busy host has to be asked nothing: block and interface statistics are a call to QEMU's
 * monitor for each guest, at the moment when monitors hang. */
#include "guest-io.h"

#include "bytes.h"
#include "snapshot.h"

/* Between two readings. Too small: a burst is the measure, and 10 us a guest each time; too large: a service that has
 * come to rest is rated busy for as long. Guess. */
#define IO_PERIOD_USEC (60 * MA_USEC_PER_SEC)
/* A guest that never does more is idle: without it the monitor's own traffic would be an idle guest's measure. Too
 * small: that; too large: a small service counts as idle. Guess. */
#define IO_FLOOR_BYTES_PER_S (256 * MA_KIB)

void ma_tracked_io_note(struct ma_tracked_io *io, uint64_t bytes, uint64_t now_usec) {
    if (io->read_usec != 0 && now_usec > io->read_usec && bytes >= io->bytes) {
        uint64_t rate = ma_muldiv_sat(bytes - io->bytes, MA_USEC_PER_SEC, now_usec - io->read_usec);
        ma_rate_history_add(&io->history, rate);
        uint64_t p95 = ma_rate_history_p95(&io->history);
        io->has_permyriad = p95 != 0;
        io->permyriad = (uint32_t) ma_min_u64(
            ma_muldiv_sat(rate, MA_PERMYRIAD_FULL, ma_max_u64(p95, IO_FLOOR_BYTES_PER_S)),
            MA_PERMYRIAD_FULL);
    }
    io->bytes = bytes;
    io->read_usec = now_usec;
}

void ma_tracked_io_sample(struct ma_tracked_io *io,
                          const struct ma_process *process,
                          uint64_t now_usec) {
    uint64_t bytes;
    struct ma_err err = {0};
    if (io->read_usec != 0 && now_usec < io->read_usec + IO_PERIOD_USEC) {
        return;
    }
    if (ma_process_read_io(process, &bytes, &err) == 0) {
        ma_tracked_io_note(io, bytes, now_usec);
    }
}
