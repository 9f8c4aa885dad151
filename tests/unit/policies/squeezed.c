/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gamma = (free + sum of (actual - min - 2 x 4 KiB) - wanted) / sum of (max - min), as squeeze.ml divides. */
#include "reference-host.h"

#define RESERVE_MIB 1024

static void set_up(struct test_host *host, uint64_t free_mib) {
    test_host_init(host, 64, free_mib);
    host->snapshot.settings.reserve_bytes = RESERVE_MIB * MA_MIB;
    reference_use(host, "squeezed");
}

static struct ma_guest *
add(struct test_host *host, uint64_t least, uint64_t most, uint64_t actual) {
    struct ma_guest *guest = test_host_add(host, "dom", most, most / 2);

    guest->actual_bytes = actual * MA_MIB;
    guest->resident_bytes = actual * MA_MIB;
    reference_guarantee(guest, least * MA_MIB);
    return guest;
}

static void check_near(uint64_t actual, uint64_t expected_mib) {
    uint64_t difference = actual > expected_mib * MA_MIB ? actual - expected_mib * MA_MIB
                                                         : expected_mib * MA_MIB - actual;

    if (difference > MA_MIB) { /* expectations are whole MiB */
        TAP_FAIL("target %" PRIu64 " is not %" PRIu64 " MiB", actual, expected_mib);
    }
}

static void every_guest_at_the_same_part_of_its_range(void) {
    static struct test_host host;
    struct ma_guest *a, *b;

    set_up(&host, 0);
    a = add(&host, 1000, 2000, 2000); /* frees 1000 at most */
    b = add(&host, 2000, 5096, 4096); /* frees 2096 at most: 3096 - 1024 of 4096 */
    reference_propose(&host);
    check_near(reference_target(&host, a), 1000 + 1000 * 2072 / 4096);
    check_near(reference_target(&host, b), 2000 + 3096 * 2072 / 4096);
    test_host_fini(&host);
}

static void frees_first_and_allocates_afterwards(void) {
    static struct test_host host;
    struct ma_guest *full, *empty;

    set_up(&host, RESERVE_MIB);
    full = add(&host, 1000, 3000, 3000);
    empty = add(&host, 1000, 3000, 1000);
    reference_propose(&host); /* gamma 1/2 */
    check_near(reference_target(&host, full), 2000);
    CHECK_U64(reference_target(&host, empty), 0);
    full->actual_bytes = 2000 * MA_MIB - 40 * MA_KIB;
    full->balloon.target_bytes = full->actual_bytes;
    full->balloon.has |= MA_BALLOON_HAS_TARGET;
    host.snapshot.host.available_bytes = (RESERVE_MIB + 1000) * MA_MIB;
    reference_propose(&host);
    check_near(reference_target(&host, empty), 2000);
    test_host_fini(&host);
}

static void gamma_stays_within_0_and_1(void) {
    static struct test_host host;
    struct ma_guest *guest;

    set_up(&host, 0);
    guest = add(&host, 1000, 1500, 1500); /* 500 is less than the 1024 wanted */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 1000 * MA_MIB);
    host.snapshot.host.available_bytes = 32 * MA_GIB;
    guest->actual_bytes = 1200 * MA_MIB;
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 1500 * MA_MIB);
    test_host_fini(&host);
}

static void the_others_carry_a_stuck_guests_load(void) {
    static struct test_host host;
    struct ma_guest *good, *stuck;

    set_up(&host, 0);
    good = add(&host, 1000, 4000, 4000);
    stuck = add(&host, 1000, 4000, 4000);
    reference_propose(&host);
    check_near(reference_target(&host, good), 1000 + 3000 * (6000 - 1024) / 6000);
    ma_state_get(&host.state, stuck->uuid)->cooperation = MA_COOPERATION_STUCK;
    reference_propose(&host);
    check_near(reference_target(&host, good), 4000 - 1024);
    CHECK_U64(reference_target(&host, stuck), 0);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(every_guest_at_the_same_part_of_its_range),
         TAP_CASE(frees_first_and_allocates_afterwards),
         TAP_CASE(gamma_stays_within_0_and_1),
         TAP_CASE(the_others_carry_a_stuck_guests_load));
