/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Busy or not, by a guest's own measure. */
#include "guest-io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bytes.h"
#include "snapshot.h"
#include "tap.h"

#define MINUTE (60 * MA_USEC_PER_SEC)

static uint64_t at_usec = MINUTE;
static uint64_t total;

static void minutes_at(struct ma_tracked_io *io, unsigned n, uint64_t bytes_per_s) {
    for (unsigned i = 0; i < n; i++) {
        at_usec += MINUTE;
        total += 60 * bytes_per_s;
        ma_tracked_io_note(io, total, at_usec);
    }
}

static void a_guest_is_its_own_measure(void) {
    struct ma_tracked_io io = {0};
    minutes_at(&io, MA_RATE_COUNT_MIN, 50 * MA_MIB);
    CHECK(!io.has_permyriad); /* the first reading gives no rate */
    minutes_at(&io, 40, 50 * MA_MIB);
    CHECK(io.has_permyriad && io.permyriad > MA_PERMYRIAD_FULL * 3 / 4);
    minutes_at(&io, 1, MA_MIB);
    CHECK(io.permyriad < MA_PERMYRIAD_FULL / 20);
    minutes_at(&io, 1, 500 * MA_MIB);
    CHECK_U64(io.permyriad, MA_PERMYRIAD_FULL); /* more than ever is no more than all */
}

static void a_guest_at_rest_is_idle(void) {
    struct ma_tracked_io io = {0};
    minutes_at(&io, 100, 2 * MA_KIB); /* what is said over its monitor */
    CHECK(io.has_permyriad);
    CHECK(io.permyriad < MA_PERMYRIAD_FULL / 20);
    minutes_at(&io, 1, 10 * MA_MIB);
    CHECK_U64(io.permyriad, MA_PERMYRIAD_FULL);
}

/* A process that came in its place begins at nothing: no rate is made of the two. */
static void a_counter_that_goes_back(void) {
    struct ma_tracked_io io = {0};
    minutes_at(&io, 60, MA_MIB);
    uint32_t before = io.permyriad;
    total = 5;
    ma_tracked_io_note(&io, total, at_usec += MINUTE);
    CHECK_U64(io.permyriad, before);
    minutes_at(&io, 1, 0);
    CHECK_U64(io.permyriad, 0);
}

static void this_process_once_a_minute(void) {
    struct ma_tracked_io io = {0};
    struct ma_process p;
    struct ma_err err = {0};
    static char some[MA_MIB];
    CHECK_I64(ma_process_open(&p, "/proc", getpid(), &err), 0);
    ma_tracked_io_sample(&io, &p, at_usec);
    if (io.read_usec == 0) {
        (void) fprintf(stderr, "# not shown here: this kernel has no /proc/PID/io\n");
    } else {
        uint64_t before = io.bytes;
        int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0 && read(fd, some, sizeof(some)) == (ssize_t) sizeof(some));
        (void) close(fd);
        ma_tracked_io_sample(&io, &p, at_usec + MINUTE / 2);
        CHECK_U64(io.bytes, before);
        ma_tracked_io_sample(&io, &p, at_usec + MINUTE);
        CHECK(io.bytes >= before + MA_MIB);
    }
    ma_process_close(&p);
}

TAP_MAIN(TAP_CASE(a_guest_is_its_own_measure),
         TAP_CASE(a_guest_at_rest_is_idle),
         TAP_CASE(a_counter_that_goes_back),
         TAP_CASE(this_process_once_a_minute));
