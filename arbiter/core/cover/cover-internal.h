/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cover-internal.h - what the files of the planner's kernel share; nobody else includes it.
 *
 * Normal form. The caller's clusters become groups, its members picks, its options slots:
 *
 *   group   one mode slot ("the members decide", free of charge), then its joint slots, then its picks
 *   pick    one none slot (cost 0, frees 0), then the member's own slots
 *
 * so "nothing" is a choice like any other, and a node of the search is one bit per slot: still allowed or not. Only
 * rows that can bind are kept (m of them); need[] is what the sum must reach and is negative where a row may be
 * consumed.
 *
 * Costs inside (c') are cost * 2^cost_shift + 1 per option, 2^cost_shift being more than the number of options any
 * plan can choose: the least c' is the least cost and, among those, the fewest options. Where the sum of all costs
 * leaves no room for that (beyond 2^61 >> cost_shift, with costs near the bound), cost_shift is 0 and c' is the
 * cost: the number of options is then left to the order of the search. */

#include "cover.h"

/* Nodes wait in a pool of this size, or of the least number of nodes where they are large; when it is full the least
 * promising is given up, with its bound kept in the certificate. Too small: proofs fail on large problems. Too
 * large: memory that is pinned for ever. */
#define COVER_POOL_BYTES     (UINT64_C(4) << 20)
#define COVER_POOL_NODES_MAX 4096U
#define COVER_POOL_NODES_MIN 64U
/* States of the one-row dynamic program, 24 bytes each. Realistic problems of 1,000 guests use some thousands;
 * subset-sum-like ones any number, and 10^5 of them take about 5 ms (measured by tests/bench/cover-bench). */
#define COVER_STATES_MAX 100000U
/* The caller's bounds; options beyond 12 a member are joint ones. */
#define COVER_OPTIONS_MAX (UINT32_C(1) << 18)

#define COVER_ABSENT INT64_MAX /* cost of a plan that is none */

struct cover_group {
    uint32_t first_pick;
    uint32_t n_picks;
    uint32_t mode_slot; /* joint slots follow it */
    uint32_t n_joint;
};
struct cover_pick {
    uint32_t first_slot; /* its none slot; own slots follow */
    uint32_t n_slots;    /* with the none slot */
    uint32_t group;
};
/* A complete choice. pick_slot[] of a group whose joint slot is chosen are none slots. */
struct cover_plan {
    uint32_t *pick_slot;
    uint32_t *group_slot;
    int64_t cost; /* c', or COVER_ABSENT */
    int64_t got[MA_ROWS_MAX];
};
struct cover_key {
    uint64_t key;
    uint32_t slot;
};
/* One state of the dynamic program: a partial change against the start prefix. */
struct cover_state {
    int64_t got;
    int64_t cost;
    uint32_t parent;
    uint32_t slot; /* changed against the parent; MA_COVER_NONE: the start */
};
struct cover_node {
    int64_t lower; /* c' */
    uint32_t depth;
    uint32_t serial;
    int64_t price[MA_ROWS_MAX];
};

/* What is left of the problem at a node: fixed picks are gone, frees cut at what can still matter, rows that hold
 * anyway dropped. Frees by row, so that a row with price 0 costs nothing. */
struct cover_local_pick {
    uint32_t first;
    uint32_t n;
    uint32_t pick;
};
struct cover_local_group {
    uint32_t first_pick;
    uint32_t n_picks;
    uint32_t first_joint;
    uint32_t n_joint; /* 0: nothing but its picks */
    uint32_t group;
    bool may_be_members; /* false: a joint slot it must be */
    int64_t mode_cost;   /* scaled */
};
struct cover_local {
    size_t m;
    uint8_t row[MA_ROWS_MAX];       /* in the core */
    int64_t residual[MA_ROWS_MAX];  /* still needed */
    int64_t frees_max[MA_ROWS_MAX]; /* largest |frees| left, at least 1 */
    int64_t base;                   /* c' of what is fixed */
    uint32_t n_groups;
    uint32_t n_picks;
    uint32_t n_slots;
    struct cover_local_group *groups;
    struct cover_local_pick *picks;
    uint32_t *slot; /* in the core */
    int64_t *cost;  /* scaled */
    int32_t *frees; /* [row * core->n_slots + local slot] */
    /* Filled by pricing. */
    int64_t *value;        /* reduced cost */
    uint32_t *pick_best;   /* local slot */
    uint32_t *group_best;  /* local joint slot, or MA_COVER_NONE: members */
    uint32_t *weight;      /* how much of the run chose this slot */
    uint32_t *mode_weight; /* the same of "members" by local group */
    uint32_t weight_sum;
};

struct cover_core {
    const struct ma_cover_problem *problem;
    size_t m;
    uint8_t row[MA_ROWS_MAX]; /* of the problem */
    int64_t need[MA_ROWS_MAX];
    bool is_soft[MA_ROWS_MAX]; /* its demand may be lowered if it cannot be met */
    unsigned cost_shift;
    uint32_t n_groups;
    uint32_t n_picks;
    uint32_t n_slots;
    uint32_t max_slots; /* room */
    struct cover_group *groups;
    struct cover_pick *picks;
    int64_t *cost;   /* c' by slot */
    int64_t *priced; /* scaled reduced cost by slot of the node that is priced, for repair */
    bool uses_prices;
    int64_t *regret;   /* cost by slot while reach is looked for */
    int64_t idle_cost; /* c' of choosing nothing: 0 but while reach is looked for */
    int32_t *frees;    /* [slot * m + row] */
    uint32_t *option;  /* of the problem, MA_COVER_NONE for none and mode slots */
    uint32_t *owner;   /* pick, or group | COVER_OWNER_JOINT */
    uint64_t *alive;   /* slots worth looking at: the root's set */
    uint64_t *seen;    /* classes of the one-row program that are in, by their none or mode slot */
    size_t alive_words;

    uint64_t operations;
    uint64_t max_operations;
    uint32_t nodes;
    uint32_t max_nodes;
    struct cover_plan best;
    struct cover_plan trial;
    int64_t lower;               /* c', proven */
    int scale_bits;              /* scaled cost = c' * 2^scale_bits; may be negative */
    int64_t weight[MA_ROWS_MAX]; /* of a missing MiB, in repair */
    int64_t range[MA_ROWS_MAX];

    struct cover_local local;
    struct cover_key *keys;
    struct cover_key *keys_spare;
    struct cover_key *items; /* steps of the one-row program, in its order */
    uint32_t *slots;         /* scratch list */
    uint32_t *joint;         /* groups that have joint slots */
    uint32_t n_joint;
    /* Groups in which the root of a search leaves something to decide; what the others choose is summed up. */
    uint32_t *open;
    uint32_t n_open; /* n_groups, but between a search's root and its end */
    int64_t settled_cost;
    int64_t settled_frees[MA_ROWS_MAX];
    struct cover_plan settled; /* their slots; those of open groups say nothing */
    /* Picks that a plan may have chosen a slot for: the first n_settled those of settled groups that have. */
    uint32_t *chosen;
    uint32_t n_settled;
    /* Pool of nodes, or states of the dynamic program: never both. */
    uint8_t *pool;
    size_t pool_bytes;
    uint32_t *heap;
    uint32_t *heap_free;
    uint32_t pool_nodes;
    size_t node_bytes;
};
#define COVER_OWNER_JOINT (UINT32_C(1) << 31)

static inline bool cover_bit(const uint64_t *set, uint32_t i) {
    return ((set[i >> 6] >> (i & 63U)) & 1U) != 0;
}
static inline void cover_bit_set(uint64_t *set, uint32_t i) {
    set[i >> 6] |= UINT64_C(1) << (i & 63U);
}
static inline void cover_bit_clear(uint64_t *set, uint32_t i) {
    set[i >> 6] &= ~(UINT64_C(1) << (i & 63U));
}
static inline const int32_t *cover_frees(const struct cover_core *core, uint32_t slot) {
    return core->frees + (size_t) slot * core->m;
}
static inline bool cover_is_mode(const struct cover_core *core, uint32_t group, uint32_t slot) {
    return core->groups[group].mode_slot == slot;
}
/* What is dearer than the best plan, scaled, need only stay dearer. */
#define COVER_SCALED_MAX (INT64_C(1) << 60)
/* c' to the units of pricing, rounded down: a bound from rounded costs is a bound. Costs up to the best plan's fit, dearer
 * ones saturate. */
static inline int64_t cover_scaled(const struct cover_core *core, int64_t cost) {
    if (core->scale_bits < 0) {
        return cost >> -core->scale_bits;
    }
    int64_t most = COVER_SCALED_MAX >> core->scale_bits;
    int64_t fits = cost > most ? most : cost < -most ? -most : cost;
    return fits * (INT64_C(1) << core->scale_bits);
}
/* Bits first..first+n-1, n <= 64, lowest first. */
static inline uint64_t cover_bits(const uint64_t *set, uint32_t first, uint32_t n) {
    uint32_t at = first & 63U;
    uint64_t low = set[first >> 6] >> at;
    uint64_t high = at + n > 64 ? set[(first >> 6) + 1] << (64 - at) : 0;
    return (low | high) & (n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX);
}
/* A plan better than the best known costs at most this, scaled; what is proven to cost more is of no use. */
static inline __int128 cover_scaled_limit(const struct cover_core *core) {
    __int128 most = (__int128) core->best.cost - 1;
    return core->scale_bits >= 0 ? most * ((__int128) 1 << core->scale_bits)
                                 : most >> -core->scale_bits;
}

/* cover-space.c: lays the workspace out; with base NULL only its size is counted. */
size_t ma_cover_carve(struct cover_core *core, const struct ma_cover_problem *shape, uint8_t *base);
/* cover-check.c: 0, -EINVAL, -ERANGE. seen: one bit per member; NULL: only the shape is
 * looked at. */
int ma_cover_check(const struct ma_cover_problem *problem, uint64_t *seen);
/* cover-rows.c: need, by reach row by row, and which rows can bind. */
void ma_cover_rows(struct cover_core *core);
/* cover-build.c */
void ma_cover_build(struct cover_core *core);
void ma_cover_all_alive(struct cover_core *core);
void ma_cover_reduce(struct cover_core *core);
/* cover-plan.c */
void ma_cover_plan_clear(const struct cover_core *core, struct cover_plan *plan);
void ma_cover_plan_sum(const struct cover_core *core, struct cover_plan *plan);
/* Sets core->idle_cost, after costs have changed. */
void ma_cover_plan_sum_idle(struct cover_core *core);
/* plan's cost and frees, where the groups that are not open stand as settled. */
void ma_cover_plan_sum_open(const struct cover_core *core, struct cover_plan *plan);
bool ma_cover_plan_covers(const struct cover_core *core, const struct cover_plan *plan);
int64_t ma_cover_delta(const struct cover_core *core,
                       const struct cover_plan *plan,
                       uint32_t slot,
                       int64_t *frees);
void ma_cover_plan_switch(const struct cover_core *core, struct cover_plan *plan, uint32_t slot);
void ma_cover_plan_copy(const struct cover_core *core,
                        const struct cover_plan *from,
                        struct cover_plan *to);
bool ma_cover_keep_if_better(struct cover_core *core, const struct cover_plan *plan);
/* cover-sort.c: the first n of core->keys, without allocation. before() is strict and decides every tie. */
typedef bool
cover_before(const void *context, const struct cover_key *a, const struct cover_key *b);
cover_before ma_cover_larger_key; /* then the lower slot */
void ma_cover_sort(struct cover_core *core, size_t n, cover_before *before, const void *context);
/* cover-repair.c: makes core->trial cover, using the slots of the list; keeps it if it is better. */
/* Before repair or prune, and whenever needs have changed. */
void ma_cover_repair_init(struct cover_core *core);
void ma_cover_repair(struct cover_core *core, const uint32_t *slots, size_t n);
void ma_cover_prune(struct cover_core *core);
/* cover-swap.c: exchanges of two on core->best; then of equals for a lower index. */
void ma_cover_swap(struct cover_core *core, uint64_t max_steps);
void ma_cover_settle_ties(struct cover_core *core, uint64_t max_steps);
/* cover-local.c: false: nothing better can be in this node. */
bool ma_cover_localise(struct cover_core *core, uint64_t *alive);
void ma_cover_all_open(struct cover_core *core);
/* From the root's set: nodes below it only ever allow less. */
void ma_cover_find_open(struct cover_core *core, const uint64_t *alive);
/* cover-price.c; goes_far: the bound is worth any effort. */
bool ma_cover_price(struct cover_core *core,
                    struct cover_node *node,
                    uint64_t *alive,
                    unsigned rounds,
                    bool goes_far);
/* cover-branch.c: improves core->best, sets core->lower. */
void ma_cover_branch(struct cover_core *core);
/* cover-one.c: true where the one-row program applies (and it was run). */
bool ma_cover_one(struct cover_core *core);
/* cover-reach.c: lowers needs that cannot be met together; leaves core->best covering the rest. */
void ma_cover_reach(struct cover_core *core);
