/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover.c - the planner's kernel on problems whose answer a reader can see, and on problems it must refuse. */
#include "../../property/cover-problems.h"

#define PLENTY UINT64_C(1000000)

static void open_box(struct problem_box *box, size_t rows) {
    box_init(box, 32, 32, 128);
    box_clear(box, rows);
}

static void solve_proven(struct problem_box *box, uint64_t cost) {
    CHECK_I64(box_solve(box, PLENTY, 200), 0);
    (void) box_check(box);
    CHECK(box->result.is_optimal);
    CHECK_U64(box->result.total_cost, cost);
    CHECK_U64(box->result.lower_bound, cost);
}

static void nothing_short_touches_nobody(void) {
    struct problem_box box;
    open_box(&box, 1);
    (void) box_guest(&box, 0, 100);
    solve_proven(&box, 0);
    CHECK_U64(box.result.member_choice[0], MA_COVER_NONE);
    CHECK_U64(box.result.cluster_choice[0], MA_COVER_NONE);
    CHECK(!box.result.has_uncovered);
    box_fini(&box);
}

static void no_guests_at_all(void) {
    struct problem_box box;
    open_box(&box, 2);
    solve_proven(&box, 0);
    box.problem.demand_mib[1] = 5;
    solve_proven(&box, 0);
    CHECK_I64(box.result.uncovered_mib[1], 5);
    CHECK(box.result.has_uncovered);
    box_fini(&box);
}

/* By ratio the large guest is first, and would be lost for 10 MiB. */
static void small_need_takes_the_small_guest(void) {
    struct problem_box box;
    open_box(&box, 1);
    (void) box_guest(&box, 100, 100000);
    (void) box_guest(&box, 5, 20);
    box.problem.demand_mib[0] = 10;
    solve_proven(&box, 5);
    CHECK_U64(box.result.member_choice[0], MA_COVER_NONE);
    CHECK_U64(box.result.member_choice[1], 1);
    box_fini(&box);
}

static void equal_cost_takes_fewer_options(void) {
    struct problem_box box;
    open_box(&box, 1);
    (void) box_guest(&box, 5, 50);
    (void) box_guest(&box, 5, 50);
    (void) box_guest(&box, 10, 100);
    box.problem.demand_mib[0] = 100;
    solve_proven(&box, 10);
    CHECK_U64(box.result.member_choice[2], 2);
    box_fini(&box);
}

static void equal_guests_take_the_lower_index(void) {
    struct problem_box box;
    open_box(&box, 2);
    for (unsigned i = 0; i < 6; i++) {
        box_guest(&box, 7, 30)->frees_mib[1] = 30;
    }
    box.problem.demand_mib[0] = 50;
    box.problem.demand_mib[1] = 40;
    solve_proven(&box, 14);
    CHECK_U64(box.result.member_choice[0], 0);
    CHECK_U64(box.result.member_choice[1], 1);
    box_fini(&box);
}

/* A free option is still an option: it is taken only where it is needed. */
static void free_of_charge_is_not_free_of_effect(void) {
    struct problem_box box;
    open_box(&box, 1);
    (void) box_guest(&box, 0, 60);
    (void) box_guest(&box, 0, 60);
    (void) box_guest(&box, 0, 60);
    box.problem.demand_mib[0] = 100;
    solve_proven(&box, 0);
    CHECK_U64(box.result.member_choice[2], MA_COVER_NONE);
    box_fini(&box);
}

static void group_goes_as_one_or_gently(void) {
    struct problem_box box;
    open_box(&box, 1);
    box_cluster(&box);
    box_joint(&box, 30)->frees_mib[0] = 100;
    box_member(&box);
    box_option(&box, 8)->frees_mib[0] = 20;
    box_member(&box);
    box_option(&box, 9)->frees_mib[0] = 20;
    box.problem.demand_mib[0] = 40;
    solve_proven(&box, 17);
    CHECK_U64(box.result.cluster_choice[0], MA_COVER_NONE);
    box.problem.demand_mib[0] = 41;
    solve_proven(&box, 30);
    CHECK_U64(box.result.cluster_choice[0], 0);
    CHECK_U64(box.result.member_choice[0], MA_COVER_NONE);
    CHECK_U64(box.result.member_choice[1], MA_COVER_NONE);
    box_fini(&box);
}

/* Rows: ram, swap. Paging out is cheap and needs swap that is not there. */
static void swap_is_not_overdrawn(void) {
    struct problem_box box;
    open_box(&box, 2);
    for (unsigned i = 0; i < 2; i++) {
        box_cluster(&box);
        box_member(&box);
        struct ma_cover_option *page_out = box_option(&box, 1);
        page_out->frees_mib[0] = 100;
        page_out->frees_mib[1] = -100;
        box_option(&box, 50)->frees_mib[0] = 100;
    }
    box.problem.demand_mib[0] = 200;
    box.problem.slack_mib[1] = 200;
    solve_proven(&box, 2);
    box.problem.slack_mib[1] = 199;
    solve_proven(&box, 51);
    box.problem.slack_mib[1] = 0;
    solve_proven(&box, 100);
    box_fini(&box);
}

/* What nobody can free is reported, and nobody is touched for it. */
static void out_of_reach_takes_no_extra_victim(void) {
    struct problem_box box;
    open_box(&box, 2);
    box_guest(&box, 10, 50)->frees_mib[1] = 0;
    box_guest(&box, 99, 0)->frees_mib[1] = 0;
    box.problem.demand_mib[0] = 30;
    box.problem.demand_mib[1] = 1000;
    solve_proven(&box, 10);
    CHECK_I64(box.result.uncovered_mib[0], 0);
    CHECK_I64(box.result.uncovered_mib[1], 1000);
    CHECK(box.result.has_uncovered);
    CHECK_U64(box.result.member_choice[1], MA_COVER_NONE);
    box_fini(&box);
}

/* One guest, two options, each for one row: the row that comes first is served. */
static void rows_that_exclude_each_other(void) {
    struct problem_box box;
    open_box(&box, 2);
    box_cluster(&box);
    box_member(&box);
    box_option(&box, 10)->frees_mib[0] = 100;
    box_option(&box, 1)->frees_mib[1] = 100;
    box.problem.demand_mib[0] = 100;
    box.problem.demand_mib[1] = 100;
    solve_proven(&box, 10);
    CHECK_I64(box.result.uncovered_mib[0], 0);
    CHECK_I64(box.result.uncovered_mib[1], 100);
    box_fini(&box);
}

/* RAM could only be freed into swap that is not there. */
static void ram_that_needs_missing_swap_is_uncovered(void) {
    struct problem_box box;
    open_box(&box, 2);
    struct ma_cover_option *o = box_guest(&box, 3, 100);
    o->frees_mib[1] = -100;
    o = box_guest(&box, 4, 60);
    o->frees_mib[1] = -60;
    box.problem.demand_mib[0] = 100;
    box.problem.slack_mib[1] = 70;
    solve_proven(&box, 4);
    CHECK_I64(box.result.uncovered_mib[0], 40);
    box_fini(&box);
}

static void no_budget_still_covers(void) {
    struct problem_box box;
    open_box(&box, 3);
    for (unsigned i = 0; i < 30; i++) {
        struct ma_cover_option *o = box_guest(&box, 10 + i * 7 % 13, 100 + i * 31 % 57);
        o->frees_mib[1] = i * 17 % 41;
        o->frees_mib[2] = i * 29 % 37;
        box.problem.demand_mib[0] += 40;
        box.problem.demand_mib[1] += 9;
        box.problem.demand_mib[2] += 8;
    }
    CHECK_I64(box_solve(&box, 0, 0), 0);
    (void) box_check(&box);
    CHECK(!box.result.has_uncovered);
    CHECK(box.result.lower_bound > 0);
    box_fini(&box);
}

/* One row has its own program; without a single step it must still return its starting plan. */
static void no_budget_still_covers_one_row(void) {
    struct problem_box box;
    open_box(&box, 1);
    (void) box_guest(&box, 56, 28);
    (void) box_guest(&box, 56, 28);
    box.problem.demand_mib[0] = 56;
    CHECK_I64(box_solve(&box, 0, 0), 0);
    (void) box_check(&box);
    CHECK_U64(box.result.total_cost, 112);
    CHECK(!box.result.has_uncovered);
    box_fini(&box);
}

/* The largest figures that are let in. */
static void largest_figures_do_not_wrap(void) {
    struct problem_box box;
    open_box(&box, 2);
    for (unsigned i = 0; i < 20; i++) {
        box_guest(&box, MA_COVER_COST_MAX, MA_COVER_FREES_MAX_MIB)->frees_mib[1] =
            i % 2 == 0 ? MA_COVER_FREES_MAX_MIB : -MA_COVER_FREES_MAX_MIB;
    }
    box.problem.demand_mib[0] = 15 * MA_COVER_FREES_MAX_MIB;
    box.problem.slack_mib[1] = INT64_MAX;
    solve_proven(&box, 15 * MA_COVER_COST_MAX);
    box.problem.demand_mib[0] = INT64_MAX;
    solve_proven(&box, 20 * MA_COVER_COST_MAX);
    CHECK_I64(box.result.uncovered_mib[0], INT64_MAX - 20 * MA_COVER_FREES_MAX_MIB);
    box_fini(&box);
}

static void check_refused(struct problem_box *box, int expected, const char *what) {
    int r = box_solve(box, PLENTY, 10);
    if (r != expected) {
        TAP_FAIL("%s: %d, not %d", what, r, expected);
    }
}

static void good_problem(struct problem_box *box) {
    box_clear(box, 2);
    (void) box_guest(box, 5, 10);
    box_cluster(box);
    (void) box_joint(box, 6);
    box_member(box);
    (void) box_option(box, 7);
    box->problem.demand_mib[0] = 10;
}

static void bad_indices_are_refused(void) {
    struct problem_box box;
    open_box(&box, 1);
    good_problem(&box);
    box.problem.n_rows = 0;
    check_refused(&box, -EINVAL, "no row");
    box.problem.n_rows = MA_ROWS_MAX + 1;
    check_refused(&box, -EINVAL, "too many rows");
    good_problem(&box);
    box.clusters[1].first_member = 2;
    check_refused(&box, -EINVAL, "member out of range");
    good_problem(&box);
    box.clusters[1].n_members = UINT32_MAX;
    check_refused(&box, -EINVAL, "member range that wraps");
    good_problem(&box);
    box.clusters[1].first_member = 0;
    check_refused(&box, -EINVAL, "member in two clusters");
    good_problem(&box);
    box.problem.n_clusters = 1;
    check_refused(&box, -EINVAL, "member in no cluster");
    good_problem(&box);
    box.clusters[1].first_joint_option = 3;
    check_refused(&box, -EINVAL, "joint option out of range");
    good_problem(&box);
    box.members[1].first_option = UINT32_MAX;
    check_refused(&box, -EINVAL, "option out of range");
    good_problem(&box);
    box.members[1].n_options = MA_COVER_OPTIONS_PER_MEMBER_MAX + 1;
    check_refused(&box, -EINVAL, "too many options of a member");
    good_problem(&box);
    box.members[0].n_options = 3;
    check_refused(&box, -EINVAL, "options shared");
    box_fini(&box);
}

static void figures_out_of_bounds_are_refused(void) {
    struct problem_box box;
    open_box(&box, 1);
    good_problem(&box);
    box.problem.demand_mib[1] = -1;
    check_refused(&box, -ERANGE, "negative demand");
    good_problem(&box);
    box.problem.slack_mib[0] = INT64_MIN;
    check_refused(&box, -ERANGE, "negative slack");
    good_problem(&box);
    box.options[2].cost = MA_COVER_COST_MAX + 1;
    check_refused(&box, -ERANGE, "cost");
    good_problem(&box);
    box.options[0].frees_mib[1] = MA_COVER_FREES_MAX_MIB + 1;
    check_refused(&box, -ERANGE, "frees");
    good_problem(&box);
    box.options[0].frees_mib[1] = INT64_MIN;
    check_refused(&box, -ERANGE, "consumes");
    good_problem(&box);
    box.problem.n_members = 16385;
    check_refused(&box, -ERANGE, "members");
    good_problem(&box);
    box.problem.n_options = SIZE_MAX;
    check_refused(&box, -ERANGE, "options");
    good_problem(&box);
    box.problem.n_clusters = SIZE_MAX;
    check_refused(&box, -ERANGE, "clusters");
    box_fini(&box);
}

static void workspace_is_asked_for_and_checked(void) {
    struct problem_box box;
    open_box(&box, 1);
    good_problem(&box);
    size_t needed = ma_cover_workspace_size(2, 2, 3, 2);
    CHECK(needed <= box.workspace_bytes);
    box.workspace_bytes = needed - 1;
    check_refused(&box, -ENOSPC, "workspace");
    box.workspace_bytes = needed;
    check_refused(&box, 0, "workspace of the size asked for");
    CHECK(ma_cover_workspace_size(16385, 1, 1, 1) == SIZE_MAX);
    CHECK(ma_cover_workspace_size(1, SIZE_MAX, 1, 1) == SIZE_MAX);
    CHECK(ma_cover_workspace_size(1, 1, SIZE_MAX, 1) == SIZE_MAX);
    CHECK(ma_cover_workspace_size(1, 1, 1, 0) == SIZE_MAX);
    CHECK(ma_cover_workspace_size(16384, 16384, 16384 * 13, 16) < (size_t) 256 << 20);
    box_fini(&box);
}

static void workspace_of_the_largest_serves_all(void) {
    size_t largest = ma_cover_workspace_size(24, 24, 96, 16);
    for (size_t i = 0; i < 20000; i++) {
        size_t size =
            ma_cover_workspace_size(i % 25, i / 25 % 25, i / 625 * 3 % 97, 1 + i / 7 % 16);
        CHECK(size <= largest);
    }
}

/* One byte off any alignment: a caller's arena may start anywhere. */
static void workspace_may_start_anywhere(void) {
    struct problem_box box;
    open_box(&box, 1);
    good_problem(&box);
    size_t needed = ma_cover_workspace_size(2, 2, 3, 2);
    void *own = box.workspace;
    uint8_t *arena = calloc(needed + 16, 1);
    CHECK(arena != NULL);
    for (size_t skip = 0; skip < 16; skip++) {
        box.workspace = arena + skip;
        box.workspace_bytes = needed;
        solve_proven(&box, 5);
    }
    box.workspace = own;
    free(arena);
    box_fini(&box);
}

TAP_MAIN(TAP_CASE(nothing_short_touches_nobody),
         TAP_CASE(no_guests_at_all),
         TAP_CASE(small_need_takes_the_small_guest),
         TAP_CASE(equal_cost_takes_fewer_options),
         TAP_CASE(equal_guests_take_the_lower_index),
         TAP_CASE(free_of_charge_is_not_free_of_effect),
         TAP_CASE(group_goes_as_one_or_gently),
         TAP_CASE(swap_is_not_overdrawn),
         TAP_CASE(out_of_reach_takes_no_extra_victim),
         TAP_CASE(rows_that_exclude_each_other),
         TAP_CASE(ram_that_needs_missing_swap_is_uncovered),
         TAP_CASE(no_budget_still_covers),
         TAP_CASE(no_budget_still_covers_one_row),
         TAP_CASE(largest_figures_do_not_wrap),
         TAP_CASE(bad_indices_are_refused),
         TAP_CASE(figures_out_of_bounds_are_refused),
         TAP_CASE(workspace_is_asked_for_and_checked),
         TAP_CASE(workspace_of_the_largest_serves_all),
         TAP_CASE(workspace_may_start_anywhere));
