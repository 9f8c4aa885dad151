/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* random-host.h - hosts from a seed that make sense and are mostly in trouble: for decisions, where random-snapshot.h is for
 * round trips. */

#include "test-host.h"

#define RANDOM_HOST_GUESTS_MAX 10

static uint64_t seed;
/* Do some guests say of themselves what they like? */
static bool has_hostile_claims;

static inline uint64_t below(uint64_t n) {
    return tap_below(&seed, n);
}

static inline bool chance(uint64_t percent) {
    return below(100) < percent;
}

static inline void random_node_shares(struct test_host *h, struct ma_guest *guest) {
    uint64_t mib = guest->resident_bytes / MA_MIB;

    for (uint16_t k = 0; k < h->snapshot.host.n_nodes; k++) {
        uint64_t part = k + 1U == h->snapshot.host.n_nodes ? mib : below(mib + 1);

        test_guest_on_node(h, guest, k, part);
        mib -= part;
    }
    if (chance(60)) {
        guest->has |= MA_GUEST_HAS_PLACEMENT;
        guest->placement = (enum ma_placement) below(MA_PLACEMENT_COUNT);
    }
}

static inline void random_config(struct ma_guest *guest) {
    static const char *const groups[] = {"a", "b"};
    struct ma_guest_config *config = &guest->config;

    test_guest_impact(guest, (uint32_t) (1 + below(1000)));
    if (chance(10)) {
        test_guest_class(guest, chance(50) ? MA_IMPACT_NEVER : MA_IMPACT_FIRST);
    }
    if (chance(20)) {
        test_guest_group(guest, groups[below(2)]);
    }
    if (chance(15)) {
        config->has |= MA_CONFIG_HAS_ACTIONS;
        config->actions = (uint32_t) below(1U << MA_ACTION_OPTION_COUNT);
    }
    if (chance(20)) {
        config->has |= MA_CONFIG_HAS_GUARANTEE;
        config->guarantee_bytes = below(guest->max_bytes + 1);
    }
    config->is_invalid = chance(4);
    guest->is_held = chance(4);
}

/* What a guest may say of itself, whatever is true. */
static inline void random_claims(struct ma_guest *guest) {
    struct ma_stats *stats = &guest->stats;

    guest->pressure.has = MA_PSI_HAS_SOME_AVG10 | MA_PSI_HAS_FULL_AVG10;
    guest->pressure.some_avg10_permyriad = (uint32_t) below(MA_PERMYRIAD_FULL + 1);
    guest->pressure.full_avg10_permyriad =
        (uint32_t) below(guest->pressure.some_avg10_permyriad + 1);
    stats->has |= MA_STATS_HAS_SWAP_IN | MA_STATS_HAS_MAJOR_FAULTS;
    stats->claimed_swap_in_bytes_per_s = below(MA_BYTES_MAX + 1) >> below(50);
    stats->claimed_major_faults_per_s = below(MA_BYTES_MAX + 1) >> below(50);
    stats->claimed_available_bytes = below(MA_BYTES_MAX + 1) >> below(50);
    stats->claimed_free_bytes = below(MA_BYTES_MAX + 1) >> below(50);
}

static inline void random_guest(struct test_host *h) {
    uint64_t mib = UINT64_C(256) << below(6);
    struct ma_guest *guest = test_host_add(h, "g", mib, below(mib));

    if (chance(30)) {
        guest->actual_bytes = below(mib + 1) * MA_MIB;
    }
    guest->resident_bytes = below(guest->actual_bytes / MA_MIB + 1) * MA_MIB;
    guest->stats.claimed_free_bytes = below(guest->stats.claimed_available_bytes + 1);
    guest->swap_bytes = chance(30) ? below(1024) * MA_MIB : 0;
    if (chance(12)) {
        guest->state = (enum ma_guest_state) below(MA_GUEST_STATE_COUNT);
    }
    if (chance(10)) {
        guest->has &= ~(uint32_t) (1U << below(8));
    }
    guest->pinned_bytes = chance(15) ? below(guest->resident_bytes + 1) : 0;
    guest->shared_bytes = chance(15) ? below(guest->resident_bytes + 1) : 0;
    if (chance(15)) {
        guest->balloon.state = (enum ma_balloon_state) below(MA_BALLOON_STATE_COUNT);
    }
    if (chance(40)) {
        test_guest_growth(guest, (int64_t) below(600) - 100);
    }
    guest->sampled_age_usec = chance(8) ? 60 * TEST_SECOND : below(10) * TEST_SECOND;
    guest->stats.age_usec = chance(8) ? 60 * TEST_SECOND : below(10) * TEST_SECOND;
    if (has_hostile_claims && chance(25)) {
        random_claims(guest);
    }
    random_config(guest);
    random_node_shares(h, guest);
}

/* A reserve of the operator's own, now and then above his soft watermark. */
static inline void random_reserve(struct test_host *h) {
    struct ma_settings *settings = &h->snapshot.settings;
    const char *problem = "";

    settings->has |= MA_SETTINGS_HAS_RESERVE;
    settings->reserve_bytes = below(h->snapshot.host.total_bytes / 4);
    if (chance(50)) {
        settings->has |= MA_SETTINGS_HAS_SOFT;
        settings->soft_watermark_bytes = below(h->snapshot.host.total_bytes / 4);
    }
    if (ma_settings_resolve(settings, h->snapshot.host.total_bytes, &problem) < 0) {
        TAP_FAIL("settings: %s", problem);
    }
}

static inline void random_host(struct test_host *h) {
    uint64_t total_gib = 4 + below(60);
    size_t n = 1 + below(RANDOM_HOST_GUESTS_MAX);

    test_host_init(h, total_gib, chance(70) ? below(total_gib * 64) : below(total_gib * 1024));
    h->snapshot.settings.arm = (enum ma_arm) below(MA_ARM_COUNT);
    if (chance(15)) {
        random_reserve(h);
    }
    if (chance(60)) {
        uint64_t swap = 1 + below(16384);

        test_host_swap(h, swap, below(swap + 1));
    }
    if (chance(50)) {
        test_host_slope(h, (int64_t) below(3000) - 2500);
    }
    for (size_t k = chance(50) ? 0 : 1 + below(3); k > 0; k--) {
        test_host_node(h, total_gib * 256, below(total_gib * 256));
    }
    for (size_t i = 0; i < n; i++) {
        random_guest(h);
    }
}
