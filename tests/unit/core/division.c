/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Divisions that a reader can check by hand, and figures that are refused. */
#include <errno.h>

#include "bytes.h"
#include "division.h"
#include "tap.h"

#define G MA_GIB
static char workspace[4096];
static uint64_t short_bytes;

static int solve(struct ma_division_item *items, size_t n, uint64_t budget) {
    return ma_division_solve(items, n, budget, workspace, sizeof(workspace), &short_bytes);
}

static void surplus_goes_by_size_and_shares(void) {
    struct ma_division_item items[] = {
        {.working_bytes = G, .floor_bytes = 0, .ceiling_bytes = 10 * G, .shares = 1000},
        {.working_bytes = G, .floor_bytes = 0, .ceiling_bytes = 10 * G, .shares = 3000},
    };
    CHECK_I64(solve(items, 2, 6 * G), 0);
    CHECK_U64(items[0].target_bytes, 2 * G);
    CHECK_U64(items[1].target_bytes, 4 * G);
    CHECK_U64(short_bytes, 0);
}

static void shortage_hurts_those_with_fewer_shares_more(void) {
    struct ma_division_item items[] = {
        {.working_bytes = 8 * G, .floor_bytes = 0, .ceiling_bytes = 10 * G, .shares = 1000},
        {.working_bytes = 8 * G, .floor_bytes = 0, .ceiling_bytes = 10 * G, .shares = 3000},
    };
    CHECK_I64(solve(items, 2, 12 * G), 0);
    CHECK_U64(items[0].target_bytes, 5 * G);
    CHECK_U64(items[1].target_bytes, 7 * G);
}

static void floors_come_first_and_what_is_missing_is_said(void) {
    struct ma_division_item items[] = {
        {.working_bytes = 8 * G, .floor_bytes = 4 * G, .ceiling_bytes = 10 * G, .shares = 1},
        {.working_bytes = G, .floor_bytes = 3 * G + 1, .ceiling_bytes = 10 * G, .shares = 1},
    };
    CHECK_I64(solve(items, 2, 5 * G), 0);
    CHECK_U64(items[0].target_bytes, 4 * G);
    CHECK_U64(items[1].target_bytes, 3 * G + 1);
    CHECK_U64(short_bytes, 2 * G + 1);
}

static void plenty_fills_all_and_nobody_is_nobody(void) {
    struct ma_division_item item = {.ceiling_bytes = G + 7, .shares = 1};
    CHECK_I64(solve(&item, 1, MA_BYTES_MAX), 0);
    CHECK_U64(item.target_bytes, G + 7);
    CHECK_I64(solve(NULL, 0, G), 0);
    CHECK_U64(short_bytes, 0);
}

static void a_full_node_holds_its_guests_and_the_rest_goes_to_others(void) {
    static const uint32_t on0[] = {10000, 0};
    static const uint32_t on1[] = {0, 10000};
    static const uint64_t budgets[] = {2 * G, 100 * G};
    struct ma_division_item items[] = {
        {.ceiling_bytes = 8 * G, .shares = 1, .node_permyriad = on0},
        {.ceiling_bytes = 8 * G, .shares = 1, .node_permyriad = on1},
    };
    CHECK_I64(ma_division_solve_nodes(items, 2, 9 * G, budgets, 2, workspace, sizeof(workspace),
                                      &short_bytes),
              0);
    CHECK_U64(items[0].target_bytes, 2 * G);
    CHECK_U64(items[1].target_bytes, 7 * G);
}

static void figures_out_of_bounds_are_refused(void) {
    static const struct ma_division_item wrong[] = {
        {.ceiling_bytes = G, .shares = 0},
        {.ceiling_bytes = G, .shares = 1000001},
        {.ceiling_bytes = G, .floor_bytes = G + 1, .shares = 1},
        {.ceiling_bytes = MA_BYTES_MAX + 1, .shares = 1},
        {.ceiling_bytes = G, .working_bytes = MA_BYTES_MAX + 1, .shares = 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ma_division_item item = wrong[i];
        item.target_bytes = 77;
        CHECK_I64(solve(&item, 1, G), -ERANGE);
        CHECK_U64(item.target_bytes, 77);
    }
    struct ma_division_item two[] = {{.ceiling_bytes = MA_BYTES_MAX, .shares = 1},
                                     {.ceiling_bytes = 1, .shares = 1}};
    CHECK_I64(solve(two, 2, G), -ERANGE);
    static const uint32_t too_much[] = {10001};
    static const uint64_t budget[] = {G};
    struct ma_division_item item = {.ceiling_bytes = G, .shares = 1, .node_permyriad = too_much};
    CHECK_I64(
        ma_division_solve_nodes(&item, 1, G, budget, 1, workspace, sizeof(workspace), &short_bytes),
        -ERANGE);
    item.node_permyriad = NULL;
    CHECK_I64(ma_division_solve(&item, 1, G, workspace, 64, &short_bytes), -ENOSPC);
}

TAP_MAIN(TAP_CASE(surplus_goes_by_size_and_shares),
         TAP_CASE(shortage_hurts_those_with_fewer_shares_more),
         TAP_CASE(floors_come_first_and_what_is_missing_is_said),
         TAP_CASE(plenty_fills_all_and_nobody_is_nobody),
         TAP_CASE(a_full_node_holds_its_guests_and_the_rest_goes_to_others),
         TAP_CASE(figures_out_of_bounds_are_refused));
