/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* oom_badness() and select_bad_process() of Linux 6.1 mm/oom_kill.c, guests for processes. */
#include "reference-host.h"

static void set_up(struct test_host *host) {
    test_host_init(host, 64, 100);
    reference_use(host, "kernel-badness");
}

static const struct ma_guest *victim(struct test_host *host) {
    CHECK(test_host_count_victims(host, false) <= 1);
    for (size_t i = 0; i < host->snapshot.n_guests; i++) {
        if (test_host_action(host, &host->guests[i], MA_ACTION_KILL) != NULL) {
            return &host->guests[i];
        }
    }
    return NULL;
}

static void resident_and_swap_count(void) {
    static struct test_host host;
    struct ma_guest *large, *swapped;

    set_up(&host);
    test_host_swap(&host, 16384, 0);
    large = test_host_add(&host, "large", 8192, 0);
    swapped = test_host_add(&host, "swapped", 8192, 0);
    swapped->resident_bytes = 5000 * MA_MIB;
    swapped->swap_bytes = 3191 * MA_MIB;
    reference_propose(&host);
    CHECK(victim(&host) == large);
    swapped->swap_bytes = 3193 * MA_MIB;
    reference_propose(&host);
    CHECK(victim(&host) == swapped);
    test_host_fini(&host);
}

static void of_equals_the_later_one(void) {
    static struct test_host host;
    struct ma_guest *later;

    set_up(&host);
    (void) test_host_add(&host, "a", 4096, 0);
    later = test_host_add(&host, "b", 4096, 0);
    reference_propose(&host);
    CHECK(victim(&host) == later);
    test_host_fini(&host);
}

static void never_is_minus_1000_and_first_plus_1000(void) {
    static struct test_host host;
    struct ma_guest *never, *small, *first;

    set_up(&host);
    never = test_host_add(&host, "never", 32768, 0);
    small = test_host_add(&host, "small", 1024, 0);
    test_guest_class(never, MA_IMPACT_NEVER);
    reference_propose(&host);
    CHECK(victim(&host) == small);
    first = test_host_add(&host, "first", 256, 0);
    test_guest_class(first, MA_IMPACT_FIRST);
    reference_propose(&host);
    CHECK(victim(&host) == first);
    test_guest_class(small, MA_IMPACT_NEVER);
    test_guest_class(first, MA_IMPACT_NEVER);
    reference_propose(&host);
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
}

static void weight_does_not_count(void) {
    static struct test_host host;
    struct ma_guest *precious;

    set_up(&host);
    (void) test_host_add(&host, "cheap", 4096, 0);
    precious = test_host_add(&host, "precious", 8192, 0);
    test_guest_impact(precious, 1000);
    reference_propose(&host);
    CHECK(victim(&host) == precious);
    test_host_fini(&host);
}

static void nobody_dies_while_there_is_memory_or_a_victim_on_its_way(void) {
    static struct test_host host;

    set_up(&host);
    (void) test_host_add(&host, "a", 4096, 0);
    host.snapshot.host.available_bytes = 32 * MA_GIB;
    reference_propose(&host);
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
    set_up(&host);
    (void) test_host_add(&host, "a", 4096, 0);
    (void) test_host_add(&host, "b", 4096, 0);
    host.state.pending = (struct ma_pending_victim){.is_pending = true,
                                                    .action = MA_ACTION_KILL,
                                                    .n_guests = 1,
                                                    .taken_usec = host.snapshot.taken_at_usec,
                                                    .deadline_usec = UINT64_MAX};
    (void) snprintf(host.state.pending.uuid[0], MA_UUID_MAX, "%s", host.guests[0].uuid);
    reference_propose(&host);
    CHECK(victim(&host) == NULL);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(resident_and_swap_count),
         TAP_CASE(of_equals_the_later_one),
         TAP_CASE(never_is_minus_1000_and_first_plus_1000),
         TAP_CASE(weight_does_not_count),
         TAP_CASE(nobody_dies_while_there_is_memory_or_a_victim_on_its_way));
