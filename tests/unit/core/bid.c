/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bid.c - where a guest's word and what the host sees of it are too far apart. */
#include "bid.h"
#include "test-host.h"

static struct ma_guest guest_of(uint64_t actual_mib, uint64_t resident_mib, uint64_t free_mib) {
    return (struct ma_guest){
        .state = MA_GUEST_RUNNING,
        .has = MA_GUEST_HAS_ACTUAL | MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_GROWTH,
        .actual_bytes = actual_mib * MA_MIB,
        .resident_bytes = resident_mib * MA_MIB,
        .stats = {.has = MA_STATS_HAS_AVAILABLE,
                  .claimed_available_bytes = free_mib * MA_MIB,
                  .claimed_free_bytes = free_mib * MA_MIB},
        .pressure = {.has = MA_PSI_HAS_SOME_AVG10},
    };
}

static enum ma_disagreement of(const struct ma_guest *guest) {
    return ma_bid_disagreement(guest);
}

static void idle_and_growing_is_none_of_both(void) {
    struct ma_guest guest = guest_of(1024, 1024, 700);

    CHECK_U64(of(&guest), MA_DISAGREEMENT_NONE);
    guest.growth_bytes_per_s = (int64_t) (17 * MA_MIB);
    CHECK_U64(of(&guest), MA_DISAGREEMENT_SAYS_IDLE);
    guest.stats.claimed_free_bytes = 500 * MA_MIB; /* less than half */
    CHECK_U64(of(&guest), MA_DISAGREEMENT_NONE);
    guest.stats.claimed_free_bytes = 700 * MA_MIB;
    guest.growth_bytes_per_s = (int64_t) (-17 * (int64_t) MA_MIB);
    CHECK_U64(of(&guest), MA_DISAGREEMENT_NONE);
}

static void short_and_untouched_is_no_bid(void) {
    struct ma_guest guest = guest_of(1024, 1024, 0);

    CHECK(ma_bid_is_pressed(&guest));
    CHECK_U64(of(&guest), MA_DISAGREEMENT_NONE);
    guest.resident_bytes = 767 * MA_MIB; /* under three quarters */
    CHECK_U64(of(&guest), MA_DISAGREEMENT_SAYS_SHORT);
    CHECK(!ma_bid_is_pressed(&guest));
    guest.swap_bytes = MA_MIB;
    CHECK_U64(of(&guest), MA_DISAGREEMENT_NONE);
    CHECK(ma_bid_is_pressed(&guest));
}

static void each_has_a_name(void) {
    for (unsigned k = 0; k < MA_DISAGREEMENT_COUNT; k++) {
        CHECK(ma_disagreement_name((enum ma_disagreement) k) != NULL);
    }
    CHECK(ma_disagreement_name(MA_DISAGREEMENT_COUNT) == NULL);
}

TAP_MAIN(TAP_CASE(idle_and_growing_is_none_of_both),
         TAP_CASE(short_and_untouched_is_no_bid),
         TAP_CASE(each_has_a_name));
