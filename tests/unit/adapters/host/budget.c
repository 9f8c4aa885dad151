/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "budget.h"
#include "bytes.h"
#include "tap.h"

#define G MA_GIB
static const struct ma_host machine = {.has = MA_HOST_HAS_SWAP,
                                       .total_bytes = 64 * G,
                                       .available_bytes = 20 * G,
                                       .swap_total_bytes = 8 * G,
                                       .swap_free_bytes = 6 * G};

static void budget_and_machine_the_lesser_counts(void) {
    static const struct {
        uint64_t budget, used, total, available;
    } rows[] = {
        {32 * G, 20 * G, 32 * G, 12 * G}, /* the budget binds */
        {32 * G, 4 * G, 32 * G, 20 * G},  /* the machine binds */
        {32 * G, 40 * G, 32 * G, 0},      /* overrun is not negative */
        {128 * G, 4 * G, 64 * G, 20 * G}, /* no budget makes a machine larger */
        {0, 0, 0, 0},
        {UINT64_MAX, UINT64_MAX, 64 * G, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_host host = machine;
        ma_budget_narrow_to_bytes(&host, rows[i].budget, rows[i].used);
        CHECK_U64(host.total_bytes, rows[i].total);
        CHECK_U64(host.available_bytes, rows[i].available);
        CHECK_U64(host.swap_free_bytes, 6 * G);
    }
}

static void file_pages_of_a_cgroup_are_available(void) {
    struct ma_host host = machine;
    struct ma_cgroup_sample s = {.has = MA_CGROUP_HAS_CURRENT | MA_CGROUP_HAS_MAX,
                                 .current_bytes = 15 * G,
                                 .max_bytes = 16 * G};
    s.stat_bytes[MA_CGROUP_STAT_INACTIVE_FILE] = 3 * G;
    s.stat_bytes[MA_CGROUP_STAT_ACTIVE_FILE] = 1 * G;
    s.stat_bytes[MA_CGROUP_STAT_FILE] = 9 * G; /* shmem of guests is in here: not available */
    s.stat_bytes[MA_CGROUP_STAT_SHMEM] = 5 * G;
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), 0);
    CHECK_U64(host.total_bytes, 16 * G);
    CHECK_U64(host.available_bytes, 5 * G);
    CHECK_U64(host.swap_total_bytes, 8 * G);
    s.stat_bytes[MA_CGROUP_STAT_INACTIVE_FILE] = UINT64_MAX; /* figures of different moments */
    host = machine;
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), 0);
    CHECK_U64(host.available_bytes, 16 * G);
}

static void cgroup_without_limit_is_the_machine(void) {
    struct ma_host host = machine;
    struct ma_cgroup_sample s = {.has = MA_CGROUP_HAS_CURRENT | MA_CGROUP_HAS_MAX,
                                 .current_bytes = 1 * G,
                                 .max_bytes = MA_CGROUP_UNLIMITED};
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), 0);
    CHECK_U64(host.total_bytes, 64 * G);
    CHECK_U64(host.available_bytes, 20 * G);
    s.has = 0;
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), -ENODATA);
}

static void swap_and_pressure_of_the_cgroup_count(void) {
    struct ma_host host = machine;
    struct ma_cgroup_sample s = {
        .has = MA_CGROUP_HAS_CURRENT | MA_CGROUP_HAS_SWAP_CURRENT | MA_CGROUP_HAS_SWAP_MAX,
        .swap_current_bytes = 1 * G,
        .swap_max_bytes = 2 * G,
        .pressure = {.has = MA_PSI_HAS_SOME_AVG10, .some_avg10_permyriad = 77}};
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), 0);
    CHECK_U64(host.swap_total_bytes, 2 * G);
    CHECK_U64(host.swap_free_bytes, 1 * G);
    CHECK_U64(host.pressure.some_avg10_permyriad, 77);
    host = machine;
    s.swap_max_bytes = MA_CGROUP_UNLIMITED;
    CHECK_I64(ma_budget_narrow_to_cgroup(&host, &s), 0);
    CHECK_U64(host.swap_total_bytes, 8 * G);
    CHECK_U64(host.swap_free_bytes, 6 * G);
}

/* I1..I3 of budget.c */
static void random_figures_keep_the_invariants(void) {
    uint64_t seed = 1;
    (void) fprintf(stderr, "# seed %" PRIu64 "\n", seed);
    for (int i = 0; i < 20000; i++) {
        struct ma_host host = {.total_bytes = tap_below(&seed, MA_BYTES_MAX)};
        host.available_bytes = tap_below(&seed, host.total_bytes + 1);
        struct ma_host more = host;
        struct ma_host before = host;
        uint64_t budget = tap_random(&seed) >> tap_below(&seed, 40);
        uint64_t used = tap_random(&seed) >> tap_below(&seed, 40);
        ma_budget_narrow_to_bytes(&host, budget, used);
        CHECK(host.total_bytes <= before.total_bytes &&
              host.available_bytes <= before.available_bytes);
        CHECK(host.available_bytes <= host.total_bytes);
        ma_budget_narrow_to_bytes(&more, budget, ma_add_sat(used, tap_random(&seed) >> 20));
        CHECK(more.available_bytes <= host.available_bytes);
    }
    CHECK_STR(ma_host_meaning_name(MA_HOST_IS_BUDGET), "budget");
    CHECK_STR(ma_host_meaning_name(MA_HOST_MEANING_COUNT), "unknown");
}

TAP_MAIN(TAP_CASE(budget_and_machine_the_lesser_counts),
         TAP_CASE(file_pages_of_a_cgroup_are_available),
         TAP_CASE(cgroup_without_limit_is_the_machine),
         TAP_CASE(swap_and_pressure_of_the_cgroup_count),
         TAP_CASE(random_figures_keep_the_invariants));
