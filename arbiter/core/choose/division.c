/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* division.c - how memory is divided among guests: one water level for all.
 *
 * Model. A guest's target is a line in the level x, held between its floor and its ceiling:
 *     x < 0 (shortage):  t = working + falls x x     falls = working in pages x 2^20 / shares
 *     x > 0 (surplus):   t = working + rises x x     rises = shares x ceiling in pages
 * so that a shortage takes from each in proportion to its working set and against its shares, and a surplus gives
 * by size and shares. A working set above the ceiling counts as the ceiling: nobody can be given more.
 *
 * Method. Every line bends where it leaves its floor, at 0, and where it meets its ceiling. These levels are
 * fractions; they are sorted once, exactly. The level rises through them from the bottom, and what all guests
 * together use - of the budget and of each node - is a straight line in between, kept as exact integers. The first
 * limit that is reached freezes its guests where they stand (progressive filling, max-min fair), and the level rises
 * on for the others. O(n log n + n x nodes).
 *
 * Numbers. sum of ceilings <= 2^50 bytes (checked), so the slopes of all guests sum up to 2^58 and, weighted by
 * permyriad, to 2^72; distances are <= 2^50: every product is below 2^124 and fits __int128.
 *
 *   I1  floor <= t <= ceiling for each guest
 *   I2  sum of t <= max(budget, sum of floors), and the same of each node, weighted
 *   I3  t is a whole page (4 KiB), or the guest's own floor or ceiling as given
 *   I4  a guest stays below its ceiling only where the budget, or a node it is on, has less than a page left
 *   I5  two guests with equal figures differ by at most one page: the last pages go by order */
#include "division.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "rows.h"
#include "snapshot.h"

#define PAGE_BYTES UINT64_C(4096)
#define PAGE_SHIFT 12
/* Fine enough that working / shares keeps its proportion (1 GiB at 1000 shares: 4e-9), coarse enough for I-numbers. */
#define FALLS_SHIFT 20
/* Passes that hand out what rounding left; the second one finds nothing but what one page each did not use. */
#define LEFTOVER_PASSES 4

/* The workspace may start anywhere. */
#define ALIGN_SPARE 16U

typedef __int128 wide;
typedef unsigned __int128 uwide;

#define LIMITS_MAX (MA_ROWS_MAX + 1) /* [0] is the budget, weight 100 % for all */

enum bend_kind {
    BEND_LEAVES_FLOOR_FALLING, /* x < 0: from here on it follows the shortage line */
    BEND_ZERO,
    BEND_LEAVES_FLOOR_RISING, /* x >= 0 */
    BEND_MEETS_CEILING,
};
/* At level distance / slope from 0, below 0 for the first kind. */
struct bend {
    uint64_t distance_bytes;
    uint64_t slope;
    uint32_t item;
    uint32_t kind;
};
struct line {
    uint64_t working_bytes;
    uint64_t slope; /* of the side where the level is; 0: it does not move now */
    bool is_frozen;
};
struct limit {
    wide budget;  /* bytes x permyriad */
    wide fixed;   /* use of all at level 0, or where they stand if they do not move */
    wide slope;   /* of all that move */
    bool is_full; /* its guests are frozen */
};
struct solver {
    struct ma_division_item *items;
    size_t n_items;
    size_t n_limits;
    struct limit limits[LIMITS_MAX];
    struct line *lines;
    struct bend *bends;
    struct bend *other; /* for sorting */
    size_t n_bends;
    bool is_below_zero; /* the level */
};

size_t ma_division_workspace_size(size_t n_items, size_t n_nodes) {
    (void) n_nodes; /* the limits' sums are few and stand on the stack */
    return n_items * (sizeof(struct line) + 4 * sizeof(struct bend)) + 2 * sizeof(struct bend) +
           ALIGN_SPARE;
}

static uint64_t rises_of(const struct ma_division_item *item) {
    return item->shares * ma_max_u64(item->ceiling_bytes >> PAGE_SHIFT, 1);
}

static uint64_t falls_of(const struct ma_division_item *item, uint64_t working_bytes) {
    return ma_max_u64(((working_bytes >> PAGE_SHIFT) << FALLS_SHIFT) / item->shares, 1);
}

static uint64_t weight_of(const struct solver *s, size_t item, size_t limit) {
    if (limit == 0) {
        return MA_PERMYRIAD_FULL;
    }
    const uint32_t *permyriad = s->items[item].node_permyriad;
    return permyriad != NULL ? permyriad[limit - 1] : 0;
}

/* Where the level is on the axis: kinds below zero first, the farther the earlier. */
static bool is_before(const struct bend *a, const struct bend *b) {
    bool a_below = a->kind == BEND_LEAVES_FLOOR_FALLING;
    bool b_below = b->kind == BEND_LEAVES_FLOOR_FALLING;
    if (a_below != b_below) {
        return a_below;
    }
    uwide left = (uwide) a->distance_bytes * b->slope;
    uwide right = (uwide) b->distance_bytes * a->slope;
    if (left != right) {
        return a_below ? left > right : left < right;
    }
    return a->kind != b->kind ? a->kind < b->kind : a->item < b->item;
}

/* Merge sort from the bottom up: no recursion, and the fewest comparisons. */
static void sort_bends(struct solver *s) {
    for (size_t width = 1; width < s->n_bends; width *= 2) {
        for (size_t start = 0; start < s->n_bends; start += 2 * width) {
            size_t a = start;
            size_t a_end = start + width < s->n_bends ? start + width : s->n_bends;
            size_t b = a_end;
            size_t b_end = a_end + width < s->n_bends ? a_end + width : s->n_bends;
            for (size_t k = start; k < b_end; k++) {
                bool take_b = a >= a_end || (b < b_end && is_before(&s->bends[b], &s->bends[a]));
                s->other[k] = s->bends[take_b ? b : a];
                a += take_b ? 0 : 1;
                b += take_b ? 1 : 0;
            }
        }
        struct bend *swap = s->bends;
        s->bends = s->other;
        s->other = swap;
    }
}

static void add_bend(
    struct solver *s, size_t item, enum bend_kind kind, uint64_t distance_bytes, uint64_t slope) {
    s->bends[s->n_bends++] = (struct bend){
        .distance_bytes = distance_bytes, .slope = slope, .item = (uint32_t) item, .kind = kind};
}

/* All guests at their floors, and where each will bend. */
static void lay_out(struct solver *s) {
    for (size_t i = 0; i < s->n_items; i++) {
        struct ma_division_item *item = &s->items[i];
        uint64_t working = ma_min_u64(item->working_bytes, item->ceiling_bytes);
        s->lines[i] = (struct line){.working_bytes = working};
        item->target_bytes = item->floor_bytes;
        for (size_t k = 0; k < s->n_limits; k++) {
            s->limits[k].fixed += (wide) item->floor_bytes * weight_of(s, i, k);
        }
        if (item->floor_bytes < working) {
            add_bend(s, i, BEND_LEAVES_FLOOR_FALLING, working - item->floor_bytes,
                     falls_of(item, working));
        }
        if (item->floor_bytes < item->ceiling_bytes) {
            uint64_t rises = rises_of(item);
            if (item->floor_bytes >= working) {
                add_bend(s, i, BEND_LEAVES_FLOOR_RISING, item->floor_bytes - working, rises);
            }
            add_bend(s, i, BEND_MEETS_CEILING, item->ceiling_bytes - working, rises);
        }
    }
    add_bend(s, 0, BEND_ZERO, 0, 1);
    sort_bends(s);
}

/* The guest's contribution to every limit: from standing at `from` to the line through `to` with that slope. */
static void shift(struct solver *s, size_t item, wide from, wide to, wide slope_change) {
    for (size_t k = 0; k < s->n_limits; k++) {
        wide weight = (wide) weight_of(s, item, k);
        s->limits[k].fixed += weight * (to - from);
        s->limits[k].slope += weight * slope_change;
    }
}

static void set_slope(struct solver *s, size_t item, uint64_t slope) {
    struct line *line = &s->lines[item];
    shift(s, item, 0, 0, (wide) slope - (wide) line->slope);
    line->slope = slope;
}

/* From its floor onto its line, or from its line to its ceiling. */
static void pass_bend(struct solver *s, const struct bend *bend) {
    struct line *line = &s->lines[bend->item];
    struct ma_division_item *item = &s->items[bend->item];
    if (line->is_frozen) {
        return;
    }
    if (bend->kind == BEND_MEETS_CEILING) {
        shift(s, bend->item, (wide) line->working_bytes, (wide) item->ceiling_bytes,
              -(wide) line->slope);
        line->slope = 0;
        item->target_bytes = item->ceiling_bytes;
        return;
    }
    shift(s, bend->item, (wide) item->floor_bytes, (wide) line->working_bytes, (wide) bend->slope);
    line->slope = bend->slope;
}

/* At level 0 what followed the shortage line follows the surplus line. */
static void pass_zero(struct solver *s) {
    s->is_below_zero = false;
    for (size_t i = 0; i < s->n_items; i++) {
        if (s->lines[i].slope > 0) {
            set_slope(s, i, rises_of(&s->items[i]));
        }
    }
}

/* a/b < c/d for non-negative numerators and positive denominators, without the products: by the digits of both as
 * continued fractions. */
static bool is_less(uwide a, uwide b, uwide c, uwide d) {
    for (;;) {
        uwide left = a / b;
        uwide right = c / d;
        if (left != right) {
            return left < right;
        }
        a %= b;
        c %= d;
        if (a == 0 || c == 0) {
            return a == 0 && c != 0;
        }
        /* a/b < c/d  <=>  d/c < b/a */
        uwide old_a = a;
        uwide old_b = b;
        a = d;
        b = c;
        c = old_b;
        d = old_a;
    }
}

/* Does use pass the limit before the level of that bend? */
static bool is_passed(const struct limit *limit, const struct bend *bend) {
    if (limit->is_full || limit->slope == 0) {
        return false;
    }
    wide level = (wide) bend->distance_bytes;
    if (bend->kind == BEND_LEAVES_FLOOR_FALLING) {
        level = -level;
    }
    return limit->slope * level > (limit->budget - limit->fixed) * (wide) bend->slope;
}

/* The one of two passed limits that was met at the lower level. */
static bool is_met_earlier(const struct limit *a, const struct limit *b) {
    wide a_room = a->budget - a->fixed;
    wide b_room = b->budget - b->fixed;
    if ((a_room < 0) != (b_room < 0)) {
        return a_room < 0;
    }
    if (a_room < 0) {
        return is_less((uwide) -b_room, (uwide) b->slope, (uwide) -a_room, (uwide) a->slope);
    }
    return is_less((uwide) a_room, (uwide) a->slope, (uwide) b_room, (uwide) b->slope);
}

static size_t find_met(const struct solver *s, const struct bend *bend) {
    size_t first = SIZE_MAX;
    for (size_t k = 0; k < s->n_limits; k++) {
        if (is_passed(&s->limits[k], bend) &&
            (first == SIZE_MAX || is_met_earlier(&s->limits[k], &s->limits[first]))) {
            first = k;
        }
    }
    return first;
}

/* numerator / denominator rounded down, denominator > 0. */
static wide floor_div(wide numerator, wide denominator) {
    wide q = numerator / denominator;
    return q * denominator > numerator ? q - 1 : q;
}

/* The guests of limit k stay where they are at the level where it is full, rounded down to whole pages. */
static void freeze(struct solver *s, size_t k) {
    wide room = s->limits[k].budget - s->limits[k].fixed;
    wide slope = s->limits[k].slope;
    s->limits[k].is_full = true;
    for (size_t i = 0; i < s->n_items; i++) {
        struct line *line = &s->lines[i];
        struct ma_division_item *item = &s->items[i];
        if (line->is_frozen || weight_of(s, i, k) == 0) {
            continue;
        }
        line->is_frozen = true;
        if (line->slope == 0) {
            continue; /* at its floor or its ceiling */
        }
        wide t = (wide) line->working_bytes + floor_div((wide) line->slope * room, slope);
        uint64_t whole = t > 0 ? ma_round_down((uint64_t) t, PAGE_BYTES) : 0;
        item->target_bytes = ma_clamp_u64(whole, item->floor_bytes, item->ceiling_bytes);
        shift(s, i, (wide) line->working_bytes, (wide) item->target_bytes, -(wide) line->slope);
        line->slope = 0;
    }
}

/* Limits that the floors alone fill. */
static uint64_t freeze_floors(struct solver *s) {
    uwide most = 0;
    for (size_t k = 0; k < s->n_limits; k++) {
        struct limit *limit = &s->limits[k];
        if (limit->fixed >= limit->budget) {
            uwide over = (uwide) (limit->fixed - limit->budget) / MA_PERMYRIAD_FULL;
            most = over > most ? over : most;
            freeze(s, k);
        }
    }
    return most > UINT64_MAX ? UINT64_MAX : (uint64_t) most;
}

static void raise_level(struct solver *s) {
    s->is_below_zero = true;
    for (size_t i = 0; i < s->n_bends; i++) {
        for (size_t k = find_met(s, &s->bends[i]); k != SIZE_MAX; k = find_met(s, &s->bends[i])) {
            freeze(s, k);
        }
        if (s->bends[i].kind == BEND_ZERO) {
            pass_zero(s);
        } else {
            pass_bend(s, &s->bends[i]);
        }
    }
}

/* Up to the next whole page for this guest, if it and all its limits have room. */
static bool give_page(struct solver *s, size_t item) {
    struct ma_division_item *it = &s->items[item];
    uint64_t step_bytes = PAGE_BYTES - it->target_bytes % PAGE_BYTES;
    if (it->ceiling_bytes - it->target_bytes < step_bytes) {
        return false;
    }
    for (size_t k = 0; k < s->n_limits; k++) {
        wide more = (wide) weight_of(s, item, k) * (wide) step_bytes;
        if (more > 0 && s->limits[k].fixed + more > s->limits[k].budget) {
            return false;
        }
    }
    it->target_bytes += step_bytes;
    shift(s, item, 0, (wide) step_bytes, 0);
    return true;
}

/* What rounding down to pages left over, a page each in order. */
static void give_leftover(struct solver *s) {
    bool has_given = true;
    for (unsigned pass = 0; has_given && pass < LEFTOVER_PASSES; pass++) {
        has_given = false;
        for (size_t i = 0; i < s->n_items; i++) {
            has_given = give_page(s, i) || has_given;
        }
    }
}

static int check_items(const struct ma_division_item *items, size_t n_items, size_t n_nodes) {
    uwide ceilings = 0;
    if (n_items > MA_GUESTS_MAX || n_nodes > MA_ROWS_MAX) {
        return -ERANGE;
    }
    for (size_t i = 0; i < n_items; i++) {
        const struct ma_division_item *item = &items[i];
        if (item->working_bytes > MA_BYTES_MAX || item->ceiling_bytes > MA_BYTES_MAX ||
            item->floor_bytes > item->ceiling_bytes || item->shares < 1 ||
            item->shares > MA_SHARES_MAX) {
            return -ERANGE;
        }
        for (size_t k = 0; item->node_permyriad != NULL && k < n_nodes; k++) {
            if (item->node_permyriad[k] > MA_PERMYRIAD_FULL) {
                return -ERANGE;
            }
        }
        ceilings += item->ceiling_bytes;
    }
    return ceilings > MA_BYTES_MAX ? -ERANGE : 0;
}

int ma_division_solve_nodes(struct ma_division_item *items,
                            size_t n_items,
                            uint64_t budget_bytes,
                            const uint64_t *node_budget_bytes,
                            size_t n_nodes,
                            void *workspace,
                            size_t workspace_bytes,
                            uint64_t *ret_short_bytes) {
    struct solver s;
    int r = check_items(items, n_items, n_nodes);
    if (r < 0) {
        return r;
    }
    size_t skip = (size_t) (-(uintptr_t) workspace & (ALIGN_SPARE - 1));
    if (workspace_bytes < skip + ma_division_workspace_size(n_items, n_nodes) - ALIGN_SPARE) {
        return -ENOSPC;
    }
    memset(&s, 0, sizeof(s));
    s.items = items;
    s.n_items = n_items;
    s.n_limits = n_nodes + 1;
    s.bends = (void *) ((char *) workspace + skip);
    s.other = s.bends + 2 * n_items + 1;
    s.lines = (void *) (s.other + 2 * n_items + 1);
    s.limits[0].budget = (wide) ma_min_u64(budget_bytes, MA_BYTES_MAX) * MA_PERMYRIAD_FULL;
    for (size_t k = 0; k < n_nodes; k++) {
        s.limits[k + 1].budget =
            (wide) ma_min_u64(node_budget_bytes[k], MA_BYTES_MAX) * MA_PERMYRIAD_FULL;
    }
    lay_out(&s);
    *ret_short_bytes = freeze_floors(&s);
    raise_level(&s);
    give_leftover(&s);
    return 0;
}

int ma_division_solve(struct ma_division_item *items,
                      size_t n_items,
                      uint64_t budget_bytes,
                      void *workspace,
                      size_t workspace_bytes,
                      uint64_t *ret_short_bytes) {
    return ma_division_solve_nodes(items, n_items, budget_bytes, NULL, 0, workspace,
                                   workspace_bytes, ret_short_bytes);
}
