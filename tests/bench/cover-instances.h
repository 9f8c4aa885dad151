/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cover-instances.h - hosts in trouble, made up: what the planner's kernel is measured on.
 *
 * Guests have flavours from 0.5 GiB to 1 TiB (weights below), 30 to 100 % of it resident. The deficit is a share of
 * what is resident. Realistic classes differ in how impact goes with size; adversarial ones are the hard families
 * known for knapsack problems (Pisinger, "Where are the hard knapsack problems?", 2005) turned into covering, and
 * two traps for greedy rules. Floating point is fine here: it makes problems, not decisions. */

#include <math.h>

#include "cover-problems.h"

static inline double in_unit(uint64_t *state) {
    return (double) (tap_random(state) >> 11) / 9007199254740992.0;
}
static inline int64_t in_range(uint64_t *state, int64_t low, int64_t high) {
    return low + (int64_t) tap_below(state, (uint64_t) (high - low + 1));
}
static inline double in_normal(uint64_t *state) {
    double u = in_unit(state) + 1e-300;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * in_unit(state));
}
static inline int64_t rounded(double v, int64_t low, int64_t high) {
    return v < (double) low ? low : v > (double) high ? high : (int64_t) (v + 0.5);
}

/* MiB: 512 << class. */
static inline int64_t flavour(uint64_t *state) {
    static const uint64_t weight[12] = {60, 100, 160, 200, 180, 120, 80, 50, 30, 12, 5, 3};
    uint64_t at = tap_below(state, 1000);
    unsigned i = 0;
    while (i < 11 && at >= weight[i]) {
        at -= weight[i++];
    }
    return INT64_C(512) << i;
}

static const char *const one_row_classes[] = {"uniform",
                                              "correlated",
                                              "priority",
                                              "weakly-correlated",
                                              "flavours",
                                              "fixed-point",
                                              "strongly-correlated",
                                              "inverse-strong",
                                              "subset-sum",
                                              "greedy-trap",
                                              "cover-trap",
                                              "spanner",
                                              "ceiling"};
#define ONE_ROW_REALISTIC 6U
#define ONE_ROW_CLASSES   (sizeof(one_row_classes) / sizeof(one_row_classes[0]))

static inline void one_row_guest(uint64_t *state, unsigned cls, size_t i, int64_t *f, int64_t *c) {
    int64_t size = flavour(state);
    int64_t m = in_range(state, 1, 1000);
    static const int64_t prio[4] = {1, 10, 100, 900};
    int64_t p = prio[tap_below(state, 4)];
    *f = rounded((double) size * (0.3 + 0.7 * in_unit(state)), 1, size);
    switch (cls) {
    case 0:
        *c = m;
        break;
    case 1:
        *c = rounded(20 * sqrt((double) *f / 4096) * exp(0.8 * in_normal(state)), 1, 1000);
        break;
    case 2:
        *c = p + in_range(state, 0, p / 10);
        break;
    case 3:
        *c = rounded((double) *f / 1024 * (0.9 + 0.2 * in_unit(state)) + 1, 1, 1000000);
        break;
    case 4:
        *f = size;
        *c = in_range(state, 1, 5) * (size >= 65536 ? 20 : size >= 8192 ? 5 : 1);
        break;
    case 5:
        *c = in_range(state, 1000, 1000000);
        break;
    case 6:
        *c = *f / 64 + 100;
        break;
    case 7:
        *c = m;
        *f = m + 500;
        break;
    case 8:
        *c = *f;
        break;
    case 9:
        *f = i % 2 == 0 ? 1000 : in_range(state, 200000, 400000);
        *c = i % 2 == 0 ? 100 : *f * 101 / 1000;
        break;
    case 10:
        *f = i % 2 == 0 ? in_range(state, 90000, 100000) : 100000 + m;
        *c = i % 2 == 0 ? in_range(state, 1, 3) : in_range(state, 500, 1000);
        break;
    case 11:
        *f = (i % 2 == 0 ? 7 : 11) * m;
        *c = (i % 2 == 0 ? 5 : 13) * m;
        break;
    default:
        *f = in_range(state, 1, 100000);
        *c = (*f + 2) / 3 + 1;
        break;
    }
}

static inline void
one_row_instance(uint64_t *state, struct problem_box *box, unsigned cls, size_t n, double share) {
    int64_t sum = 0;
    box_clear(box, 1);
    for (size_t i = 0; i < n; i++) {
        int64_t f;
        int64_t c;
        one_row_guest(state, cls, i, &f, &c);
        (void) box_guest(box, (uint64_t) c, f);
        sum += f;
    }
    int64_t demand = rounded((double) sum * share, 1, sum);
    demand = cls == 9 ? demand / 1000 * 1000 + 1 : cls == 10 && demand < 100001 ? 100001 : demand;
    box->problem.demand_mib[0] = demand < sum ? demand : sum;
}

/* Rows: ram, swap, node0..3, ram within 500 ms, ram within 5 s. Fewer rows: the first of them. */
#define OPTION_ROWS_MAX 8U

struct guest_figures {
    double resident;
    double working_set;
    double impact; /* hundredths of a point */
    double node[4];
    double swapped;
    bool is_pinned;
};

static inline void make_guest(uint64_t *state, struct guest_figures *g) {
    double size = (double) flavour(state);
    g->resident = size * (0.4 + 0.6 * in_unit(state));
    g->working_set = g->resident * (0.2 + 0.7 * in_unit(state));
    g->swapped = in_unit(state) < 0.5 ? 0 : size * 0.3 * in_unit(state);
    g->is_pinned = in_unit(state) < 0.1;
    double points = tap_below(state, 2) != 0
                        ? (double) in_range(state, 1, 1000)
                        : (double) rounded(
                              20 * sqrt(g->resident / 4096) * exp(0.8 * in_normal(state)), 1, 1000);
    g->impact = points * 100;
    unsigned home = (unsigned) tap_below(state, 4);
    double away = in_unit(state) < 0.7 ? 0 : in_unit(state);
    for (unsigned k = 0; k < 4; k++) {
        g->node[k] = k == home ? 1 - away : k == (home + 1) % 4 ? away : 0;
    }
}

struct effect {
    double ram;
    double swap;
    double cost;
    double in_500ms; /* share of ram that is back by then */
    double in_5s;
};

static inline void
add_effect(struct problem_box *box, const struct guest_figures *g, const struct effect *e) {
    struct ma_cover_option *o = box_option(box, (uint64_t) rounded(e->cost, 1, INT64_C(1) << 40));
    o->frees_mib[0] = (int64_t) e->ram;
    o->frees_mib[1] = (int64_t) e->swap;
    for (unsigned k = 0; k < 4; k++) {
        o->frees_mib[2 + k] = (int64_t) (e->ram * g->node[k]);
    }
    o->frees_mib[6] = (int64_t) (e->ram * e->in_500ms);
    o->frees_mib[7] = (int64_t) (e->ram * e->in_5s);
}

/* Balloon in three steps, reclaim into swap, pause with reclaim, save, kill: the ladder of costs is 1..4 %, 20 %, 8
 * and 50 %, 60 % and all of the guest's impact. */
static inline void option_guest(uint64_t *state, struct problem_box *box) {
    struct guest_figures g;
    make_guest(state, &g);
    box_cluster(box);
    box_member(box);
    double head = g.resident - g.working_set;
    double i = g.impact;
    if (!g.is_pinned && in_unit(state) < 0.85) {
        double rate = 0.05 + 0.3 * in_unit(state);
        add_effect(box, &g,
                   &(struct effect){head * 0.5, 0, i * 0.01 * (0.5 + in_unit(state)), rate, 1});
        add_effect(
            box, &g,
            &(struct effect){head * 0.95, 0, i * 0.04 * (0.5 + in_unit(state)), rate / 2, 0.9});
        add_effect(box, &g,
                   &(struct effect){head + 0.2 * g.working_set, 0, i * 0.2 * (0.5 + in_unit(state)),
                                    rate / 2, 0.7});
    }
    if (!g.is_pinned) {
        add_effect(
            box, &g,
            &(struct effect){head * 0.6, -head * 0.6, i * 0.08 * (0.5 + in_unit(state)), 0.1, 0.6});
        add_effect(box, &g,
                   &(struct effect){g.resident * 0.9, -g.resident * 0.9,
                                    i * 0.5 * (0.7 + 0.6 * in_unit(state)), 0.1, 0.4});
        add_effect(box, &g,
                   &(struct effect){g.resident, g.swapped, i * 0.6 * (0.8 + 0.4 * in_unit(state)),
                                    0, 0.1});
    }
    add_effect(box, &g, &(struct effect){g.resident, g.swapped, i, 1, 1});
}

/* Demands as shares of what each row can reach; swap may be used up to 2..22 % of what is resident. */
static inline void
option_instance(uint64_t *state, struct problem_box *box, size_t rows, size_t n, double share) {
    box_clear(box, rows);
    for (size_t i = 0; i < n; i++) {
        option_guest(state, box);
    }
    for (size_t d = 0; d < rows; d++) {
        double most = 0;
        for (size_t m = 0; m < n; m++) {
            int64_t best = 0;
            for (uint32_t o = 0; o < box->members[m].n_options; o++) {
                int64_t f = box->options[box->members[m].first_option + o].frees_mib[d];
                best = f > best ? f : best;
            }
            most += (double) best;
        }
        double part = share * (0.5 + in_unit(state)) * (d >= 6 ? 0.5 : 1);
        box->problem.demand_mib[d] = d == 1 ? 0 : (int64_t) (most * (part < 0.95 ? part : 0.95));
        box->problem.slack_mib[d] =
            d == 1 ? (int64_t) (most * 2 * (0.02 + 0.2 * in_unit(state))) : 0;
    }
}

/* Kill only, several rows. */
static const char *const rows_classes[] = {
    "nodes2", "ram+swap", "nodes4+ram", "nodes4+ram+huge2+swap",
    "dense2", "dense4",   "dense8",     "dense-correlated4"};
#define ROWS_CLASSES 8U

static inline size_t rows_of_class(unsigned cls) {
    static const size_t rows[ROWS_CLASSES] = {2, 2, 5, 8, 2, 4, 8, 4};
    return rows[cls];
}

static inline void rows_frees(uint64_t *state, unsigned cls, int64_t size, int64_t *f) {
    size_t rows = rows_of_class(cls);
    size_t nodes = cls == 0 ? 2 : cls == 2 || cls == 3 ? 4 : 0;
    size_t home = tap_below(state, 4) % (nodes > 0 ? nodes : 1);
    double away = in_unit(state) < 0.7 ? 0 : in_unit(state);
    for (size_t d = 0; d < rows; d++) {
        f[d] = cls >= 4 ? (int64_t) ((double) size * in_unit(state)) : 0;
    }
    if (nodes > 0) {
        f[home] = (int64_t) ((double) size * (1 - away));
        f[(home + 1) % nodes] = size - f[home];
    }
    if (cls >= 1 && cls <= 3) {
        f[cls == 1 ? 0 : 4] = size;
        f[cls == 1 ? 1 : 4] += cls == 1 ? (int64_t) ((double) size * 0.4 * in_unit(state)) : 0;
    }
    if (cls == 3) {
        bool is_huge = in_unit(state) < 0.3;
        f[5 + tap_below(state, 2)] = is_huge ? size : 0;
        f[7] = (int64_t) ((double) size * 0.3 * in_unit(state));
    }
}

static inline void
rows_instance(uint64_t *state, struct problem_box *box, unsigned cls, size_t n, double share) {
    size_t rows = rows_of_class(cls);
    double sum[MA_ROWS_MAX] = {0};
    box_clear(box, rows);
    for (size_t i = 0; i < n; i++) {
        int64_t size = rounded((double) flavour(state) * (0.3 + 0.7 * in_unit(state)), 1, 1 << 20);
        struct ma_cover_option *o = box_guest(box, (uint64_t) in_range(state, 1, 1000), 0);
        rows_frees(state, cls, size, o->frees_mib);
        if (cls == 7) {
            double mean = 0;
            for (size_t d = 0; d < rows; d++) {
                mean += (double) o->frees_mib[d] / (double) rows;
            }
            o->cost = (uint64_t) rounded(mean / 64 * (0.9 + 0.2 * in_unit(state)) + 10, 1, 1 << 20);
        }
        for (size_t d = 0; d < rows; d++) {
            sum[d] += (double) o->frees_mib[d];
        }
    }
    for (size_t d = 0; d < rows; d++) {
        box->problem.demand_mib[d] = (int64_t) (sum[d] * share * (0.5 + in_unit(state)));
    }
}
