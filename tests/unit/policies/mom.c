/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps by the constants of oVirt/mom doc/balloon.rules. */
#include "reference-host.h"

static struct ma_guest *
host_with(struct test_host *host, uint64_t free_percent, uint64_t free_mib) {
    struct ma_guest *guest;

    test_host_init(host, 100, 1024 * free_percent);
    reference_use(host, "mom");
    guest = test_host_add(host, "g", 8192, free_mib);
    reference_guarantee(guest, 0);
    return guest;
}

static void below_20_percent_all_shrink_by_5_percent(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 19, 6000);

    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 8192 * MA_MIB - 8192 * MA_MIB / 20);
    test_host_fini(&host);
}

static void at_20_percent_nobody_shrinks(void) {
    static struct test_host host;

    (void) host_with(&host, 20, 6000);
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 0);
    test_host_fini(&host);
}

static void floor_is_used_and_the_hosts_free_part(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 10, 900);

    /* used 7292, 10 % of 8192 besides: 8111.2, less than 1 % below what it has, more than 0.25 %. */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 7292 * MA_MIB + 8192 * MA_MIB / 10);
    guest->stats.claimed_free_bytes = 830 * MA_MIB; /* 8181.2: too small a change */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 0);
    test_host_fini(&host);
}

static void critical_takes_what_is_used(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 3, 100);

    /* 3 % - 5 % = -2 % of 8192 below what it uses (8092). */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest) / MA_MIB, 8092 - 164);
    test_host_fini(&host);
}

static void guarantee_is_its_balloon_min(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 10, 6000);

    reference_guarantee(guest, 8000 * MA_MIB);
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 8000 * MA_MIB);
    test_host_fini(&host);
}

static void above_20_percent_it_grows_by_5_percent_or_to_its_need(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 30, 3000);

    guest->actual_bytes = 4000 * MA_MIB;
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 4200 * MA_MIB);
    guest->stats.claimed_free_bytes = 100 * MA_MIB; /* used 3900, and a fifth of 4000 */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 4700 * MA_MIB);
    guest->actual_bytes = 8191 * MA_MIB; /* 1 MiB is less than 0.25 % */
    reference_propose(&host);
    CHECK_U64(reference_target(&host, guest), 0);
    test_host_fini(&host);
}

static void acts_every_10_seconds(void) {
    static struct test_host host;

    (void) host_with(&host, 19, 6000);
    host.state.guests[0].last_move_usec = 0;
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 1);
    ma_state_get(&host.state, host.guests[0].uuid)->last_move_usec = host.snapshot.taken_at_usec;
    for (int k = 0; k < 9; k++) {
        reference_propose(&host);
        CHECK_U64(host.plan.n_actions, 0);
    }
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 1);
    test_host_fini(&host);
}

static void guest_without_figures_leaves_the_policy(void) {
    static struct test_host host;
    struct ma_guest *guest = host_with(&host, 10, 6000);

    guest->stats.has = 0;
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 0);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(below_20_percent_all_shrink_by_5_percent),
         TAP_CASE(at_20_percent_nobody_shrinks),
         TAP_CASE(floor_is_used_and_the_hosts_free_part),
         TAP_CASE(critical_takes_what_is_used),
         TAP_CASE(guarantee_is_its_balloon_min),
         TAP_CASE(above_20_percent_it_grows_by_5_percent_or_to_its_need),
         TAP_CASE(acts_every_10_seconds),
         TAP_CASE(guest_without_figures_leaves_the_policy));
