/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-branch.c - best-first branch and bound over the normal form.
 *
 * The node with the least lower bound is priced (cover-price.c), which may close it, improve the best plan, or rule
 * slots out; then the slot that pricing is least sure of splits it: one child takes the slot, the other forbids it.
 *
 *   I1  every plan better than core->best is in some node of the heap, or its bound is in `given_up`
 *   I2  core->lower = min(least bound in the heap, given_up, best) whenever the search stops
 *   I3  ties in the order of nodes: deeper first (closer to a plan), then older; never an address or a clock
 *
 * The search stops when the heap is empty (proven), or at max_nodes or max_operations. A full pool gives up the
 * node with the largest bound, the one least likely to matter. Rejected: depth-first (its bound says nothing until
 * the end, so an interrupted search has no certificate). */
#include "bytes.h"

#include "cover-internal.h"

/* Rounds of pricing. Too few: weak bounds, many nodes; too many: time spent on the last digits. Measured. */
#define ROOT_ROUNDS 40U
#define NODE_ROUNDS 20U
/* The root is priced in passes, each on what the one before has left open, until the gap is below this part of the cost or
 * a pass closes less than that part of the gap. Fewer or larger: nodes that share a bad bound; more or smaller: time. */
#define ROOT_PASSES_MAX       5U
#define ROOT_GAP_DIVISOR      64
#define ROOT_PROGRESS_DIVISOR 16
/* Scaled costs of about 2^50 (see cover-price.c); 2^32 is enough for whatever is cheap. */
#define SCALED_COST_BITS 50
#define SCALE_BITS_MAX   32

struct search {
    struct cover_core *core;
    uint32_t n_heap;
    uint32_t n_free;
    uint32_t serial;
    int64_t given_up;
};

static struct cover_node *node_at(const struct cover_core *core, uint32_t id) {
    return (struct cover_node *) (void *) (core->pool + (size_t) id * core->node_bytes);
}
static uint64_t *set_of(struct cover_node *node) {
    return (uint64_t *) (void *) (node + 1);
}

static bool comes_first(const struct cover_core *core, uint32_t a, uint32_t b) {
    const struct cover_node *x = node_at(core, a);
    const struct cover_node *y = node_at(core, b);
    if (x->lower != y->lower) {
        return x->lower < y->lower;
    }
    return x->depth != y->depth ? x->depth > y->depth : x->serial < y->serial;
}

static void swap_entries(uint32_t *heap, uint32_t i, uint32_t j) {
    uint32_t t = heap[i];
    heap[i] = heap[j];
    heap[j] = t;
}

static void sift_up(struct cover_core *core, uint32_t i) {
    while (i > 0 && comes_first(core, core->heap[i], core->heap[(i - 1) / 2])) {
        swap_entries(core->heap, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct search *search, uint32_t i) {
    struct cover_core *core = search->core;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= search->n_heap) {
            return;
        }
        if (child + 1 < search->n_heap &&
            comes_first(core, core->heap[child + 1], core->heap[child])) {
            child++;
        }
        if (!comes_first(core, core->heap[child], core->heap[i])) {
            return;
        }
        swap_entries(core->heap, i, child);
        i = child;
    }
}

static void push(struct search *search, uint32_t id) {
    node_at(search->core, id)->serial = search->serial++;
    search->core->heap[search->n_heap++] = id;
    sift_up(search->core, search->n_heap - 1);
}

static uint32_t remove_at(struct search *search, uint32_t i) {
    uint32_t *heap = search->core->heap;
    uint32_t id = heap[i];
    search->n_heap--;
    if (i < search->n_heap) {
        heap[i] = heap[search->n_heap];
        sift_up(search->core, i);
        sift_down(search, i);
    }
    return id;
}

static void release(struct search *search, uint32_t id) {
    search->core->heap_free[search->n_free++] = id;
}

/* A node's place; where there is none, that of the least promising. The heap is never empty then: the pool has at
 * least COVER_POOL_NODES_MIN places and at most one node is out of the heap. */
static uint32_t obtain(struct search *search) {
    struct cover_core *core = search->core;
    if (search->n_free > 0) {
        return core->heap_free[--search->n_free];
    }
    uint32_t worst = 0;
    for (uint32_t i = 1; i < search->n_heap; i++) {
        if (comes_first(core, core->heap[worst], core->heap[i])) {
            worst = i;
        }
    }
    core->operations += search->n_heap;
    uint32_t id = remove_at(search, worst);
    search->given_up = ma_min_i64(search->given_up, node_at(core, id)->lower);
    return id;
}

/* log2 in quarters, value > 0. */
static int quarter_log(uint64_t value) {
    int bits = 63 - __builtin_clzll(value);
    uint64_t two = bits >= 2 ? value >> (bits - 2) : value << (2 - bits);
    return 4 * bits + (int) (two & 3U);
}

static int64_t quarter_power(int quarters) {
    static const int64_t mantissa[4] = {16, 20, 24, 28};
    int bits = quarters >= 0 ? quarters / 4 : -((3 - quarters) / 4);
    int64_t m = mantissa[(quarters - 4 * bits) & 3];
    if (bits - 4 >= 0) {
        return bits - 4 > 50 ? INT64_C(1) << 55 : m << (bits - 4);
    }
    return 4 - bits > 10 ? 0 : m >> (4 - bits);
}

/* A row's first price: the one at which the cheapest slots per MiB of it would just do, to a quarter of a power of
 * two. Sorting by the exact ratio finds it to the digit and takes longer than the rounds that it saves. */
static int64_t first_price(struct cover_core *core, size_t d) {
    int64_t by_class[512] = {0};
    int64_t sum = 0;
    for (uint32_t s = 0; s < core->n_slots; s++) {
        int64_t f = cover_frees(core, s)[d];
        if (f > 0 && cover_bit(core->alive, s)) {
            int at =
                quarter_log((uint64_t) core->cost[s] | 1U) - quarter_log((uint64_t) f) + 4 * 64;
            by_class[at] += ma_min_i64(f, core->need[d]);
        }
    }
    core->operations += core->n_slots;
    for (int at = 0; at < 512; at++) {
        sum += by_class[at];
        if (sum >= core->need[d]) {
            return quarter_power(at - 4 * 64 + 4 * core->scale_bits);
        }
    }
    return 0;
}

static void first_prices(struct cover_core *core, struct cover_node *root) {
    int64_t n_short = 0;
    for (size_t d = 0; d < core->m; d++) {
        n_short += core->need[d] > 0 ? 1 : 0;
    }
    for (size_t d = 0; d < core->m; d++) {
        root->price[d] = core->need[d] > 0 ? first_price(core, d) / n_short : 0;
    }
}

static void find_scale(struct cover_core *core) {
    int64_t most = core->best.cost;
    if (most == COVER_ABSENT) {
        most = 1;
        for (uint32_t s = 0; s < core->n_slots; s++) {
            most += core->cost[s];
        }
    }
    int bits = 64 - __builtin_clzll((uint64_t) most | 1U);
    core->scale_bits =
        bits < SCALED_COST_BITS - SCALE_BITS_MAX ? SCALE_BITS_MAX : SCALED_COST_BITS - bits;
}

/* What costs as much as the best plan by itself is in no better one. */
static void drop_too_dear(struct cover_core *core) {
    for (uint32_t s = 0; s < core->n_slots; s++) {
        if (core->cost[s] >= core->best.cost) {
            cover_bit_clear(core->alive, s);
        }
    }
}

struct choice {
    uint64_t score;
    uint32_t slot;
    bool is_found;
};

struct scorer {
    int64_t share[MA_ROWS_MAX]; /* 2^30 / size of the residual */
    int64_t near_by;            /* reduced cost that counts as close */
};

/* Of one row, in 1/2^20 of its residual: what meets it that often matters no more, and 16 rows of it times the rest of the
 * score fit 64 bits. */
#define SIZE_MAX_OF_ROW (UINT64_C(1) << 44)

/* How much the slot matters (share of the residuals it meets) times how undecided it is. */
static void consider(const struct cover_core *core,
                     const struct scorer *scorer,
                     uint32_t s,
                     int64_t least,
                     struct choice *choice) {
    const struct cover_local *local = &core->local;
    uint64_t size = 1;
    for (size_t d = 0; d < local->m; d++) {
        int64_t f = local->frees[d * core->max_slots + s];
        uint64_t part = (uint64_t) ((f < 0 ? -f : f) * scorer->share[d]) >> 10;
        size += ma_min_u64(part, SIZE_MAX_OF_ROW);
    }
    uint64_t sum = ma_max_u64(local->weight_sum, 1);
    uint64_t x = ((uint64_t) local->weight[s] << 16) / sum;
    uint64_t undecided = x < 65536 - x ? x : 65536 - x;
    int64_t above = ma_max_i64(0, local->value[s] - least);
    uint64_t near = ((uint64_t) scorer->near_by << 16) / (uint64_t) (scorer->near_by + above);
    uint64_t score = (size / 16 + 1) * (near / 50 + undecided + 1);
    if (!choice->is_found || score > choice->score) {
        *choice = (struct choice){.score = score, .slot = local->slot[s], .is_found = true};
    }
}

static void consider_pick(const struct cover_core *core,
                          const struct scorer *scorer,
                          const uint64_t *alive,
                          uint32_t i,
                          struct choice *choice) {
    const struct cover_local *local = &core->local;
    const struct cover_local_pick *pick = &local->picks[i];
    uint32_t n = 0;
    for (uint32_t s = pick->first; s < pick->first + pick->n; s++) {
        n += cover_bit(alive, local->slot[s]) ? 1 : 0;
    }
    for (uint32_t s = pick->first; n > 1 && s < pick->first + pick->n; s++) {
        bool is_none = core->option[local->slot[s]] == MA_COVER_NONE;
        if (!is_none && cover_bit(alive, local->slot[s])) {
            consider(core, scorer, s, local->value[local->pick_best[i]], choice);
        }
    }
}

/* An open group is decided by its joint slots first, and by its mode where no joint slot is left to ask about. */
static void consider_open(const struct cover_core *core,
                          const struct scorer *scorer,
                          const uint64_t *alive,
                          uint32_t g,
                          struct choice *choice) {
    const struct cover_local *local = &core->local;
    const struct cover_local_group *group = &local->groups[g];
    uint32_t mode = core->groups[group->group].mode_slot;
    uint32_t n = cover_bit(alive, mode) ? 1 : 0;
    int64_t least = INT64_MAX;
    for (uint32_t s = group->first_joint; s < group->first_joint + group->n_joint; s++) {
        n += cover_bit(alive, local->slot[s]) ? 1 : 0;
        least = ma_min_i64(least, local->value[s]);
    }
    for (uint32_t s = group->first_joint; n > 1 && s < group->first_joint + group->n_joint; s++) {
        if (cover_bit(alive, local->slot[s])) {
            consider(core, scorer, s, least, choice);
        }
    }
}

static struct choice choose_slot(struct cover_core *core, const uint64_t *alive, int64_t lower) {
    const struct cover_local *local = &core->local;
    struct choice choice = {.is_found = false};
    struct scorer scorer;
    int64_t gap = core->best.cost == COVER_ABSENT ? lower / 4 : core->best.cost - lower;
    scorer.near_by = ma_min_i64(INT64_C(1) << 46, cover_scaled(core, ma_max_i64(gap, 1)) / 50 + 1);
    for (size_t d = 0; d < local->m; d++) {
        int64_t residual = local->residual[d];
        scorer.share[d] = (INT64_C(1) << 30) / ((residual < 0 ? -residual : residual) + 1);
    }
    for (uint32_t g = 0; g < local->n_groups; g++) {
        const struct cover_local_group *group = &local->groups[g];
        if (group->n_joint > 0) {
            consider_open(core, &scorer, alive, g, &choice);
            continue;
        }
        for (uint32_t i = group->first_pick; i < group->first_pick + group->n_picks; i++) {
            consider_pick(core, &scorer, alive, i, &choice);
        }
    }
    core->operations += (uint64_t) local->n_slots * (local->m + 4);
    return choice;
}

static void copy_node(const struct cover_core *core, uint32_t from, uint32_t to) {
    const struct cover_node *a = node_at(core, from);
    struct cover_node *b = node_at(core, to);
    const uint64_t *x = (const uint64_t *) (const void *) (a + 1);
    *b = *a;
    for (size_t i = 0; i < core->alive_words; i++) {
        set_of(b)[i] = x[i];
    }
}

/* Leaves the slot as the only one of its owner. */
static void take_only(const struct cover_core *core, uint64_t *alive, uint32_t slot) {
    uint32_t owner = core->owner[slot];
    uint32_t first;
    uint32_t n;
    if ((owner & COVER_OWNER_JOINT) != 0) {
        const struct cover_group *group = &core->groups[owner & ~COVER_OWNER_JOINT];
        first = group->mode_slot;
        n = group->n_joint + 1;
    } else {
        first = core->picks[owner].first_slot;
        n = core->picks[owner].n_slots;
    }
    for (uint32_t s = first; s < first + n; s++) {
        if (s != slot) {
            cover_bit_clear(alive, s);
        }
    }
}

static void split(struct search *search, uint32_t id, struct choice choice) {
    struct cover_core *core = search->core;
    struct cover_node *node = node_at(core, id);
    node->depth++;
    if (!choice.is_found) {
        /* Ruling out has left one slot everywhere: once more, as it stands. */
        push(search, id);
        return;
    }
    uint32_t taken = obtain(search);
    copy_node(core, id, taken);
    take_only(core, set_of(node_at(core, taken)), choice.slot);
    cover_bit_clear(set_of(node), choice.slot);
    core->operations += core->alive_words;
    push(search, taken);
    push(search, id);
}

static void start(struct search *search) {
    struct cover_core *core = search->core;
    find_scale(core);
    drop_too_dear(core);
    for (uint32_t i = core->pool_nodes; i-- > 1;) {
        release(search, i);
    }
    struct cover_node *root = node_at(core, 0);
    *root = (struct cover_node){.lower = 0};
    for (size_t i = 0; i < core->alive_words; i++) {
        set_of(root)[i] = core->alive[i];
    }
    first_prices(core, root);
    for (uint32_t s = 0; s < core->n_slots; s++) {
        core->priced[s] = cover_scaled(core, core->cost[s]);
    }
    push(search, 0);
}

static bool price_node(struct cover_core *core, struct cover_node *node) {
    return ma_cover_price(core, node, set_of(node), NODE_ROUNDS, false) &&
           node->lower < core->best.cost;
}

/* In passes: what one of them rules out is not priced any more. */
static bool price_root(struct cover_core *core, struct cover_node *node) {
    for (unsigned pass = 0; pass < ROOT_PASSES_MAX; pass++) {
        int64_t before = node->lower;
        if (!ma_cover_price(core, node, set_of(node), ROOT_ROUNDS, pass > 0) ||
            node->lower >= core->best.cost) {
            return false;
        }
        ma_cover_find_open(core, set_of(node));
        int64_t gap = core->best.cost - node->lower; /* of no plan: never small */
        bool is_enough = gap < core->best.cost / ROOT_GAP_DIVISOR ||
                         (pass > 0 && node->lower - before < gap / ROOT_PROGRESS_DIVISOR);
        if (is_enough || core->operations > core->max_operations) {
            break;
        }
    }
    return true;
}

void ma_cover_branch(struct cover_core *core) {
    struct search search = {.core = core, .given_up = COVER_ABSENT};
    uint32_t first_node = core->nodes;
    start(&search);
    while (search.n_heap > 0) {
        uint32_t id = core->heap[0];
        struct cover_node *node = node_at(core, id);
        if (node->lower >= core->best.cost) {
            break;
        }
        /* The root is priced whatever was spent before it: a plan without any certificate helps nobody. */
        bool is_spent = core->nodes >= core->max_nodes || core->operations > core->max_operations;
        if (is_spent && core->nodes > first_node) {
            search.given_up = ma_min_i64(search.given_up, node->lower);
            break;
        }
        (void) remove_at(&search, 0);
        bool is_root = core->nodes++ == first_node;
        if (!(is_root ? price_root(core, node) : price_node(core, node))) {
            release(&search, id);
            continue;
        }
        split(&search, id, choose_slot(core, set_of(node), node->lower));
    }
    ma_cover_all_open(core);
    core->lower = ma_max_i64(core->lower, ma_min_i64(search.given_up, core->best.cost));
}
