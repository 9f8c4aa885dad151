/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The defaults of systemd 252 src/oom/oomd-manager.h at their edges. */
#include "reference-host.h"

static void set_up(struct test_host *host, uint64_t available_permille, uint64_t swap_free_mib) {
    test_host_init(host, 100, 102400 * available_permille / 1000);
    test_host_swap(host, 10000, swap_free_mib);
    reference_use(host, "systemd-oomd");
}

static const struct ma_guest *victim(struct test_host *host) {
    reference_propose(host);
    CHECK(test_host_count_victims(host, false) <= 1);
    for (size_t i = 0; i < host->snapshot.n_guests; i++) {
        if (test_host_action(host, &host->guests[i], MA_ACTION_KILL) != NULL) {
            return &host->guests[i];
        }
    }
    return NULL;
}

static void swap_rule_needs_both_below_10_percent(void) {
    static const struct {
        uint64_t available_permille, swap_free_mib;
        bool is_victim;
    } cases[] = {{99, 999, true}, {100, 999, false}, {99, 1000, false}, {500, 0, false}};

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        static struct test_host host;

        set_up(&host, cases[k].available_permille, cases[k].swap_free_mib);
        test_host_add(&host, "a", 8192, 0)->swap_bytes = 2000 * MA_MIB;
        CHECK((victim(&host) != NULL) == cases[k].is_victim);
        test_host_fini(&host);
    }
}

static void most_swap_goes_if_above_5_percent(void) {
    static struct test_host host;
    struct ma_guest *more;

    set_up(&host, 50, 0);
    test_host_add(&host, "big", 32768, 0)->swap_bytes = 501 * MA_MIB;
    more = test_host_add(&host, "small", 1024, 0);
    more->swap_bytes = 700 * MA_MIB;
    CHECK(victim(&host) == more);
    host.guests[0].swap_bytes = 499 * MA_MIB;
    more->swap_bytes = 500 * MA_MIB;
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
}

static void without_swap_the_swap_rule_never_fires(void) {
    static struct test_host host;

    test_host_init(&host, 100, 10);
    reference_use(&host, "systemd-oomd");
    (void) test_host_add(&host, "a", 8192, 0);
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
}

static void pressure_must_stand_above_60_percent_for_long(void) {
    static const struct {
        uint32_t avg10, avg60;
        bool is_victim;
    } cases[] = {{6001, 4801, true}, {6000, 9000, false}, {9999, 4800, false}};

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        static struct test_host host;
        struct ma_guest *large;

        set_up(&host, 500, 10000);
        (void) test_host_add(&host, "a", 1024, 0);
        large = test_host_add(&host, "b", 8192, 0);
        host.snapshot.host.pressure =
            (struct ma_psi){.has = MA_PSI_HAS_FULL_AVG10 | MA_PSI_HAS_FULL_AVG60,
                            .full_avg10_permyriad = cases[k].avg10,
                            .full_avg60_permyriad = cases[k].avg60};
        CHECK(victim(&host) == (cases[k].is_victim ? large : NULL));
        test_host_fini(&host);
    }
}

static void rests_15_seconds_after_a_kill_and_omits_never(void) {
    static struct test_host host;
    struct ma_guest *guest;

    set_up(&host, 50, 0);
    guest = test_host_add(&host, "a", 8192, 0);
    guest->swap_bytes = 2000 * MA_MIB;
    host.state.n_victims_logged = 1;
    host.state.victim_usec[0] = host.snapshot.taken_at_usec;
    for (int k = 0; k < 14; k++) {
        CHECK(victim(&host) == NULL);
    }
    CHECK(victim(&host) == guest);
    test_guest_class(guest, MA_IMPACT_NEVER);
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(swap_rule_needs_both_below_10_percent),
         TAP_CASE(most_swap_goes_if_above_5_percent),
         TAP_CASE(without_swap_the_swap_rule_never_fires),
         TAP_CASE(pressure_must_stand_above_60_percent_for_long),
         TAP_CASE(rests_15_seconds_after_a_kill_and_omits_never));
