/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before a second victim a bomb goes, however important it looks; where everybody grows a little, nobody is a bomb. */
#include "test-host.h"

/* 64 GiB with 1 GiB left, one victim behind it; two cheap guests and a dear one that grows. */
static struct ma_guest *set_up(struct test_host *host, int64_t dear_growth, int64_t cheap_growth) {
    struct ma_guest *dear;

    test_host_init(host, 64, 1024);
    for (int k = 0; k < 2; k++) {
        struct ma_guest *cheap = test_host_add_rigid(host, "cheap", 8192);

        test_guest_impact(cheap, 20);
        test_guest_growth(cheap, cheap_growth);
    }
    dear = test_host_add_rigid(host, "dear", 16384);
    test_guest_impact(dear, 900);
    test_guest_growth(dear, dear_growth);
    test_host_tick(host);
    host->state.victims_in_incident = 1;
    test_host_tick(host);
    return dear;
}

static void bomb_goes_before_a_second_victim(void) {
    static struct test_host host;
    struct ma_guest *dear = set_up(&host, 1500, 40);

    CHECK(test_host_victim(&host, dear) != NULL);
    CHECK(test_host_victim(&host, dear)->reason == MA_REASON_CULPRIT);
    test_host_fini(&host);
}

static void fastest_of_many_growing_caches_is_no_bomb(void) {
    static struct test_host host;
    struct ma_guest *dear = set_up(&host, 110, 90);

    CHECK(test_host_count_victims(&host, false) > 0);
    CHECK(test_host_victim(&host, dear) == NULL);
    test_host_fini(&host);
}

static void half_of_all_growth_is_enough(void) {
    static struct test_host host;
    struct ma_guest *dear = set_up(&host, 100, 50);

    CHECK(test_host_victim(&host, dear) != NULL);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(bomb_goes_before_a_second_victim),
         TAP_CASE(fastest_of_many_growing_caches_is_no_bomb),
         TAP_CASE(half_of_all_growth_is_enough));
