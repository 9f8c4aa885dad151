/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waldspurger 2002: the level in closed form against taking memory MiB by MiB from whoever pays least for it. */
#include "reference-host.h"

#define TAX_FACTOR 4U /* 1 / (1 - 75 %): what an idle page costs in active ones */
#define TOTAL_GIB  100U

static uint64_t random_state = 20261;

static uint64_t draw(uint64_t low, uint64_t high) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (random_state >> 33) % (high - low + 1);
}

static struct ma_guest *
add(struct test_host *host, uint64_t size, uint64_t active, uint32_t shares, uint64_t least) {
    struct ma_guest *guest = test_host_add(host, "vm", size, size - active);

    reference_shares(guest, shares);
    reference_guarantee(guest, least * MA_MIB);
    return guest;
}

/* Free memory such that the guests together have to give so much. */
static void set_deficit(struct test_host *host, uint64_t mib) {
    uint64_t high = TOTAL_GIB * MA_GIB * 6 / 100;

    host->snapshot.host.available_bytes = high - ma_min_u64(high, mib * MA_MIB);
}

/* From whom the next MiB goes: the fewest shares for what its memory costs. */
static size_t poorest(const struct test_host *host, const uint64_t *held) {
    size_t chosen = SIZE_MAX;
    uint64_t most = 0, its_shares = 1;

    for (size_t i = 0; i < host->snapshot.n_guests; i++) {
        const struct ma_guest *guest = &host->guests[i];
        uint64_t active = (guest->actual_bytes - guest->stats.claimed_available_bytes) / MA_MIB;
        uint64_t cost = ma_min_u64(held[i], active) + TAX_FACTOR * ma_sub_floor0(held[i], active);

        if (held[i] > guest->config.guarantee_bytes / MA_MIB &&
            cost * its_shares > most * guest->config.shares) {
            most = cost;
            its_shares = guest->config.shares;
            chosen = i;
        }
    }
    return chosen;
}

static void check_against_revocation(struct test_host *host, uint64_t deficit) {
    uint64_t held[8];

    for (size_t i = 0; i < host->snapshot.n_guests; i++) {
        held[i] = host->guests[i].actual_bytes / MA_MIB;
    }
    for (uint64_t k = 0; k < deficit; k++) {
        size_t i = poorest(host, held);

        if (i == SIZE_MAX) {
            break;
        }
        held[i]--;
    }
    for (size_t i = 0; i < host->snapshot.n_guests; i++) {
        uint64_t target = reference_target(host, &host->guests[i]) / MA_MIB;

        if (target == 0) { /* too small a change to be made */
            target = host->guests[i].actual_bytes / MA_MIB;
            CHECK(target - held[i] <= host->guests[i].actual_bytes / MA_MIB / 200 + 2);
        } else if (target > held[i] + 2 || held[i] > target + 2) {
            TAP_FAIL("guest %zu: %" PRIu64 " MiB, by revocation %" PRIu64, i, target, held[i]);
        }
    }
}

static void level_is_what_revocation_comes_to(void) {
    (void) fprintf(stderr, "# seed %" PRIu64 "\n", random_state);
    for (int n = 0; n < 60; n++) {
        static struct test_host host;
        uint64_t deficit = draw(2500, 5000);

        test_host_init(&host, TOTAL_GIB, 0);
        reference_use(&host, "esx");
        for (uint64_t k = draw(2, 8); k > 0; k--) {
            uint64_t size = draw(1000, 6000);

            (void) add(&host, size, draw(0, size), (uint32_t) draw(200, 4000), draw(0, size / 4));
        }
        set_deficit(&host, deficit);
        reference_propose(&host);
        check_against_revocation(&host, deficit);
        test_host_fini(&host);
    }
}

/* Section 5.4: two guests of equal shares, one idle, one at work; the tax takes the idle one's memory. */
static void idle_memory_pays_for_a_busy_neighbour(void) {
    static struct test_host host;
    struct ma_guest *idle, *busy;

    test_host_init(&host, TOTAL_GIB, 0);
    reference_use(&host, "esx");
    idle = add(&host, 8000, 800, 1000, 0);
    busy = add(&host, 8000, 8000, 1000, 0);
    set_deficit(&host, 4800);
    reference_propose(&host);
    /* Equal price: 8000 = 800 + 4 x (P - 800) at P = 2600, and 3200 is left for it. */
    CHECK_U64(reference_target(&host, idle) / MA_MIB, 3200);
    CHECK_U64(reference_target(&host, busy), 0);
    test_host_fini(&host);
}

static void above_soft_with_empty_balloons_nothing_is_done(void) {
    static struct test_host host;

    test_host_init(&host, TOTAL_GIB, TOTAL_GIB * 1024 * 41 / 1000);
    reference_use(&host, "esx");
    (void) add(&host, 8000, 800, 1000, 0);
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 0);
    host.snapshot.host.available_bytes = TOTAL_GIB * MA_GIB * 39 / 1000;
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 1);
    test_host_fini(&host);
}

static void below_hard_it_pages_too(void) {
    static struct test_host host;
    struct ma_guest *guest;

    test_host_init(&host, TOTAL_GIB, TOTAL_GIB * 1024 * 19 / 1000);
    test_host_swap(&host, 16384, 16384);
    reference_use(&host, "esx");
    guest = add(&host, 8000, 800, 1000, 0);
    reference_propose(&host);
    CHECK(test_host_action(&host, guest, MA_ACTION_RECLAIM) != NULL);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(level_is_what_revocation_comes_to),
         TAP_CASE(idle_memory_pays_for_a_busy_neighbour),
         TAP_CASE(above_soft_with_empty_balloons_nothing_is_done),
         TAP_CASE(below_hard_it_pages_too));
