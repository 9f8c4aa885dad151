/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The division of memory: whatever the figures, its promises I1..I5 hold, and no page is better elsewhere. */
#include "division.h"
#include "bytes.h"
#include "rows.h"
#include "tap.h"

#define ITEMS_MAX 40
#define NODES_MAX 5
#define PAGE      UINT64_C(4096)
#define ROUNDS    3000

struct instance {
    struct ma_division_item items[ITEMS_MAX];
    uint32_t permyriad[ITEMS_MAX][NODES_MAX];
    uint64_t node_budgets[NODES_MAX];
    size_t n_items, n_nodes;
    uint64_t budget;
    uint64_t short_bytes;
};

static void make(struct instance *in, uint64_t *seed, bool has_nodes) {
    bool is_whole = tap_below(seed, 3) != 0;
    memset(in, 0, sizeof(*in));
    in->n_items = 1 + tap_below(seed, ITEMS_MAX);
    in->n_nodes = has_nodes ? 1 + tap_below(seed, NODES_MAX) : 0;
    uint64_t ceilings = 0;
    for (size_t i = 0; i < in->n_items; i++) {
        struct ma_division_item *item = &in->items[i];
        uint64_t size = (MA_MIB << tap_below(seed, 12)) + tap_below(seed, MA_MIB);
        item->ceiling_bytes = is_whole ? ma_round_up(size, PAGE) : size;
        item->floor_bytes = tap_below(seed, 4) == 0 ? 0 : tap_below(seed, item->ceiling_bytes + 1);
        if (is_whole) {
            item->floor_bytes = ma_round_down(item->floor_bytes, PAGE);
        }
        item->working_bytes = tap_below(seed, item->ceiling_bytes * 5 / 4);
        item->shares = tap_below(seed, 2) == 0 ? 1000 : 1 + (uint32_t) tap_below(seed, 1000000);
        ceilings += item->ceiling_bytes;
        size_t home = in->n_nodes > 0 ? tap_below(seed, in->n_nodes) : 0;
        for (size_t k = 0; k < in->n_nodes; k++) {
            in->permyriad[i][k] = k == home ? 10000 : 0;
        }
        if (in->n_nodes > 1 && tap_below(seed, 3) == 0) {
            uint32_t away = (uint32_t) tap_below(seed, 10001);
            in->permyriad[i][home] -= away;
            in->permyriad[i][(home + 1) % in->n_nodes] += away;
        }
        item->node_permyriad = in->n_nodes > 0 && tap_below(seed, 9) > 0 ? in->permyriad[i] : NULL;
    }
    in->budget = tap_below(seed, ceilings * 5 / 4);
    for (size_t k = 0; k < in->n_nodes; k++) {
        in->node_budgets[k] = tap_below(seed, ceilings * 3 / 2 / in->n_nodes);
    }
}

static void solve(struct instance *in) {
    static char workspace[1U << 16];
    size_t need = ma_division_workspace_size(in->n_items, in->n_nodes);
    CHECK(need <= sizeof(workspace));
    int r = in->n_nodes > 0
                ? ma_division_solve_nodes(in->items, in->n_items, in->budget, in->node_budgets,
                                          in->n_nodes, workspace, need, &in->short_bytes)
                : ma_division_solve(in->items, in->n_items, in->budget, workspace, need,
                                    &in->short_bytes);
    CHECK_I64(r, 0);
}

static uint64_t weight(const struct instance *in, size_t i, size_t limit) {
    if (limit == 0) {
        return 10000;
    }
    return in->items[i].node_permyriad != NULL ? in->items[i].node_permyriad[limit - 1] : 0;
}
static uint64_t budget_of(const struct instance *in, size_t limit) {
    return 10000 * (limit == 0 ? in->budget : in->node_budgets[limit - 1]);
}
static uint64_t used(const struct instance *in, size_t limit, bool of_floors) {
    uint64_t sum = 0;
    for (size_t i = 0; i < in->n_items; i++) {
        sum += weight(in, i, limit) *
               (of_floors ? in->items[i].floor_bytes : in->items[i].target_bytes);
    }
    return sum;
}

/* Does a limit that has less than a page left keep this guest from more? */
static bool is_held(const struct instance *in, size_t i) {
    for (size_t k = 0; k <= in->n_nodes; k++) {
        if (weight(in, i, k) > 0 && used(in, k, false) + 10000 * PAGE > budget_of(in, k)) {
            return true;
        }
    }
    return false;
}

static void check_promises(const struct instance *in) {
    for (size_t i = 0; i < in->n_items; i++) {
        const struct ma_division_item *t = &in->items[i];
        CHECK(t->target_bytes >= t->floor_bytes && t->target_bytes <= t->ceiling_bytes);
        CHECK(t->target_bytes % PAGE == 0 || t->target_bytes == t->floor_bytes ||
              t->target_bytes == t->ceiling_bytes);
        CHECK(t->ceiling_bytes - t->target_bytes < PAGE || is_held(in, i));
    }
    for (size_t k = 0; k <= in->n_nodes; k++) {
        CHECK(used(in, k, false) <= ma_max_u64(budget_of(in, k), used(in, k, true)));
    }
    uint64_t over = ma_sub_floor0(used(in, 0, true) / 10000, in->budget);
    CHECK(in->n_nodes > 0 ? in->short_bytes >= over : in->short_bytes == over);
}

static uint64_t
run(const char *what, bool has_nodes, void (*check)(struct instance *, uint64_t *)) {
    uint64_t seed = 20265;
    (void) printf("# %s: seed %" PRIu64 "\n", what, seed);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct instance in;
        make(&in, &seed, has_nodes);
        solve(&in);
        check(&in, &seed);
    }
    return seed;
}

static void promises(struct instance *in, uint64_t *seed) {
    (void) seed;
    check_promises(in);
}
static void floors_ceilings_and_budgets_hold(void) {
    (void) run("one budget", false, promises);
    (void) run("nodes", true, promises);
}

/* How much a guest minds one more byte, as the fraction of the model: (working - t) x shares / working below its
 * working set, (t - working) / (shares x ceiling) above. Level of a, less than level of b, with room on both? */
static double level_of(const struct ma_division_item *t) {
    double working = (double) ma_min_u64(t->working_bytes, t->ceiling_bytes);
    double at = (double) t->target_bytes;
    if (at >= working) {
        return (at - working) / ((double) t->shares * (double) (t->ceiling_bytes / PAGE));
    }
    return (at - working) * t->shares / (working / 4096 * 1048576);
}
/* What two pages are on that scale: the rounding that is allowed. */
static double slack_of(const struct ma_division_item *t) {
    double working = (double) ma_min_u64(t->working_bytes, t->ceiling_bytes);
    double up = 2 * 4096.0 / ((double) t->shares * (double) (t->ceiling_bytes / PAGE));
    double down = working >= 4096 ? 2 * 4096.0 * t->shares / (working / 4096 * 1048576) : 1e30;
    return up > down ? up : down;
}

/* No pair could trade: whoever can give stands no higher than whoever can take (but for rounding). */
static void no_better_pair(struct instance *in, uint64_t *seed) {
    (void) seed;
    for (size_t a = 0; a < in->n_items; a++) {
        const struct ma_division_item *giver = &in->items[a];
        if (giver->target_bytes < giver->floor_bytes + 2 * PAGE) {
            continue;
        }
        for (size_t b = 0; b < in->n_items; b++) {
            const struct ma_division_item *taker = &in->items[b];
            if (taker->ceiling_bytes < taker->target_bytes + 2 * PAGE) {
                continue;
            }
            double slack = slack_of(giver) + slack_of(taker);
            if (level_of(giver) >
                level_of(taker) + slack +
                    1e-6 * (level_of(giver) > 0 ? level_of(giver) : -level_of(giver))) {
                TAP_FAIL("guest %zu at %g could give to guest %zu at %g", a, level_of(giver), b,
                         level_of(taker));
            }
        }
    }
}
static void no_transfer_improves(void) {
    (void) run("transfers", false, no_better_pair);
}

static void more_shares_or_budget_never_less(struct instance *in, uint64_t *seed) {
    struct instance more = *in;
    size_t who = tap_below(seed, in->n_items);
    for (size_t i = 0; i < in->n_items; i++) {
        if (more.items[i].node_permyriad != NULL) {
            more.items[i].node_permyriad = more.permyriad[i];
        }
    }
    more.items[who].shares = (uint32_t) ma_min_u64(1000000, (uint64_t) more.items[who].shares *
                                                                (2 + tap_below(seed, 9)));
    solve(&more);
    CHECK(more.items[who].target_bytes + PAGE >= in->items[who].target_bytes);
    more = *in;
    more.budget += tap_below(seed, MA_GIB);
    solve(&more);
    for (size_t i = 0; i < in->n_items && in->n_nodes == 0; i++) {
        CHECK(more.items[i].target_bytes + PAGE >= in->items[i].target_bytes);
    }
}
static void monotone_in_shares_and_budget(void) {
    (void) run("monotone", false, more_shares_or_budget_never_less);
}

static void order_does_not_matter(struct instance *in, uint64_t *seed) {
    struct instance turned = *in;
    size_t by = tap_below(seed, in->n_items);
    for (size_t i = 0; i < in->n_items; i++) {
        turned.items[i] = in->items[(i + by) % in->n_items];
    }
    solve(&turned);
    for (size_t i = 0; i < in->n_items; i++) {
        uint64_t a = turned.items[i].target_bytes;
        uint64_t b = in->items[(i + by) % in->n_items].target_bytes;
        CHECK(a <= b + 2 * PAGE && b <= a + 2 * PAGE);
    }
    CHECK_U64(turned.short_bytes, in->short_bytes);
}
static void any_order_gives_the_same(void) {
    (void) run("order", false, order_does_not_matter);
}

TAP_MAIN(TAP_CASE(floors_ceilings_and_budgets_hold),
         TAP_CASE(no_transfer_improves),
         TAP_CASE(monotone_in_shares_and_budget),
         TAP_CASE(any_order_gives_the_same));
