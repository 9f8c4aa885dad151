/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long ma_decide() takes, certificate included, on invented hosts of common shape, and how good its plans are beside
 * plain greedy by freed bytes per impact on the same options. CPU time of this thread; the state's tables are warm, as
 * in a running daemon. Arguments: instances per line (default 200), then lines by name ("1000/1"); default all. */
#include <time.h>

#include "bytes.h"
#include "decide.h"
#include "tap.h"

#define NODES_MAX 6

struct bench_case {
    const char *name;
    size_t n_guests;
    size_t n_nodes;         /* with swap beside them */
    uint64_t budget_usec;   /* 0: none is asked for */
    unsigned share_percent; /* of the instances asked for */
};
static const struct bench_case cases[] = {
    {"100/1", 100, 0, 0, 100},
    {"1000/1", 1000, 0, 500, 100},
    {"100/8", 100, NODES_MAX, 2000, 100},
    {"1000/8", 1000, NODES_MAX, 12000, 25},
    {"16384/1", 16384, 0, 1000000, 5},
    {"16384/8", 16384, NODES_MAX, 1000000, 5},
};

struct world {
    struct ma_snapshot snapshot;
    struct ma_node nodes[NODES_MAX];
    struct ma_guest *guests;
    struct ma_guest_node (*guest_nodes)[NODES_MAX];
    char (*uuids)[48];
    struct ma_state state;
    struct ma_plan plan;
    struct ma_scratch scratch;
    uint64_t *times;
};

static uint64_t seed = 20261122;
static uint64_t below(uint64_t n) {
    return tap_below(&seed, n);
}

/* GiB of common sizes: half of all guests have 2 to 8. */
static uint64_t some_size_mib(void) {
    static const uint16_t gib[] = {1, 1, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 16, 16, 32, 64};

    return (uint64_t) gib[below(sizeof(gib) / sizeof(gib[0]))] * 1024;
}

static void place(struct world *w, size_t i, size_t n_nodes) {
    struct ma_guest *g = &w->guests[i];
    size_t first = n_nodes == 0 ? 0 : below(n_nodes);
    size_t second = n_nodes == 0 ? 0 : below(n_nodes);

    g->nodes = w->guest_nodes[i];
    if (n_nodes == 0) {
        return;
    }
    g->n_nodes = first == second || below(10) < 7 ? 1 : 2;
    if (g->n_nodes == 1) {
        w->guest_nodes[i][0] =
            (struct ma_guest_node){.id = (uint16_t) first, .resident_bytes = g->resident_bytes};
        return;
    }
    w->guest_nodes[i][0] =
        (struct ma_guest_node){.id = (uint16_t) (first < second ? first : second),
                               .resident_bytes = g->resident_bytes / 3};
    w->guest_nodes[i][1] =
        (struct ma_guest_node){.id = (uint16_t) (first < second ? second : first),
                               .resident_bytes = g->resident_bytes - g->resident_bytes / 3};
}

/* idle_percent of the guests have memory to give; the others use what they have. */
static void make_guest(struct world *w, size_t i, size_t n_nodes, unsigned idle_percent) {
    struct ma_guest *g = &w->guests[i];
    uint64_t mib = some_size_mib();
    uint64_t available = below(100) < idle_percent ? mib * (20 + below(60)) / 100 : mib / 20;

    memset(g, 0, sizeof(*g));
    (void) snprintf(w->uuids[i], sizeof(w->uuids[i]), "00000000-0000-0000-0000-%012zu", i);
    g->uuid = w->uuids[i];
    g->name = w->uuids[i];
    g->state = MA_GUEST_RUNNING;
    g->has = MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL | MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_AGE |
             MA_GUEST_HAS_SWAP | MA_GUEST_HAS_UPTIME | MA_GUEST_HAS_CPU;
    g->uptime_usec = below(90 * 86400) * MA_USEC_PER_SEC;
    g->cpu_permyriad_of_vcpus = (uint32_t) below(10000);
    g->max_bytes = mib * MA_MIB;
    g->actual_bytes = g->max_bytes;
    g->resident_bytes = mib * (60 + below(41)) / 100 * MA_MIB;
    g->swap_bytes = below(4) == 0 ? below(512) * MA_MIB : 0;
    g->config.has = MA_CONFIG_HAS_IMPACT;
    g->config.impact = (uint32_t) (1 + below(1000));
    g->config.impact_class = below(50) == 0 ? MA_IMPACT_NEVER : MA_IMPACT_WEIGHT;
    g->balloon.has = MA_BALLOON_HAS_STATE;
    g->balloon.state = below(10) == 0 ? MA_BALLOON_ABSENT : MA_BALLOON_READY;
    g->stats.has = MA_STATS_HAS_AVAILABLE | MA_STATS_HAS_FREE | MA_STATS_HAS_AGE;
    g->stats.claimed_available_bytes = available * MA_MIB;
    g->stats.claimed_free_bytes = available / 2 * MA_MIB;
    if (below(20) == 0) {
        g->has |= MA_GUEST_HAS_GROWTH;
        g->growth_bytes_per_s = (int64_t) (below(400) * MA_MIB);
    }
    place(w, i, n_nodes);
}

static void make_host(struct world *w, size_t n_guests, size_t n_nodes) {
    static const unsigned char idle_percents[] = {50, 10, 2, 0};
    struct ma_host *host = &w->snapshot.host;
    unsigned idle = idle_percents[below(sizeof(idle_percents))];
    uint64_t sum = 0;
    const char *problem;

    memset(&w->snapshot, 0, sizeof(w->snapshot));
    for (size_t i = 0; i < n_guests; i++) {
        make_guest(w, i, n_nodes, idle);
        sum += w->guests[i].resident_bytes;
    }
    w->snapshot.taken_at_usec = 10000 * MA_USEC_PER_SEC;
    w->snapshot.guests = w->guests;
    w->snapshot.n_guests = n_guests;
    host->total_bytes = ma_round_up(sum + sum / 50, MA_GIB);
    host->available_bytes = ma_permyriad_of(host->total_bytes, below(300));
    host->nodes = w->nodes;
    host->n_nodes = n_nodes;
    for (size_t k = 0; k < n_nodes; k++) {
        uint64_t total = host->total_bytes / n_nodes;

        w->nodes[k] = (struct ma_node){.id = (uint16_t) k,
                                       .total_bytes = total,
                                       .available_bytes = ma_permyriad_of(total, below(600))};
    }
    if (n_nodes > 0) {
        host->has |= MA_HOST_HAS_SWAP;
        host->swap_total_bytes = host->total_bytes / 8;
        host->swap_free_bytes = ma_permyriad_of(host->swap_total_bytes, below(10000));
    }
    ma_settings_init(&w->snapshot.settings);
    w->snapshot.settings.arm = MA_ARM_KILL;
    if (ma_settings_resolve(&w->snapshot.settings, host->total_bytes, &problem) < 0) {
        TAP_FAIL("%s", problem);
    }
}

static void world_init(struct world *w, size_t n) {
    memset(w, 0, sizeof(*w));
    w->guests = calloc(n, sizeof(*w->guests));
    w->guest_nodes = calloc(n, sizeof(*w->guest_nodes));
    w->uuids = calloc(n, sizeof(*w->uuids));
    w->times = calloc(100000, sizeof(*w->times));
    w->scratch.bytes = ma_scratch_size(n);
    w->scratch.memory = calloc(1, w->scratch.bytes);
    ma_state_init(&w->state, calloc(1, ma_state_memory_size(n)), n, 0);
    ma_plan_init(&w->plan, calloc(1, ma_plan_memory_size(n)), n);
}

static void world_fini(struct world *w) {
    free(w->guests);
    free(w->guest_nodes);
    free(w->uuids);
    free(w->times);
    free(w->scratch.memory);
    free(w->state.guests);
    free(w->plan.actions); /* the first of its arrays: the block */
}

static uint64_t cpu_nsec(void) {
    struct timespec t;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static uint64_t decide(struct world *w) {
    struct ma_decide_options options = {.is_single_snapshot = true, .is_dry_run = true};
    uint64_t start = cpu_nsec();

    if (ma_decide(&w->snapshot, ma_policy_find("balanced"), &options, &w->state, w->scratch,
                  &w->plan) < 0) {
        TAP_FAIL("not decided");
    }
    return cpu_nsec() - start;
}

struct greedy_key {
    int64_t frees; /* on the rows that are short, summed */
    uint64_t impact;
    uint32_t option;
};
static int by_ratio(const void *a, const void *b) {
    const struct greedy_key *x = a;
    const struct greedy_key *y = b;
    __int128 left = (__int128) x->frees * y->impact;
    __int128 right = (__int128) y->frees * x->impact;

    return left != right ? (left > right ? -1 : 1) : (x->option < y->option ? -1 : 1);
}

/* What taking options by freed per impact until all is covered costs; 0: it does not get there. Victims only where the
 * plan has some (P14). */
static uint64_t greedy_impact(const struct ma_plan *plan) {
    struct greedy_key *keys = calloc(plan->n_options + 1, sizeof(*keys));
    uint32_t *owner = calloc(plan->n_options + 1, sizeof(*owner));
    bool *is_taken = calloc(plan->n_candidates + 1, sizeof(*is_taken));
    int64_t left[MA_ROWS_MAX];
    uint64_t cost = 0;
    bool is_left = true;

    for (size_t d = 0; d < plan->n_rows; d++) {
        left[d] = ma_max_i64(0, plan->deficits.mib[d] - plan->uncovered.mib[d]);
    }
    for (uint32_t i = 0; i < plan->n_candidates; i++) {
        for (uint32_t k = 0; k < plan->candidates[i].n_options; k++) {
            owner[plan->candidates[i].first_option + k] = i;
        }
    }
    for (uint32_t k = 0; k < plan->n_options; k++) {
        keys[k] = (struct greedy_key){.impact = plan->options[k].impact, .option = k};
        for (size_t d = 0; d < plan->n_rows; d++) {
            keys[k].frees += left[d] > 0 ? plan->options[k].frees.mib[d] : 0;
        }
    }
    qsort(keys, plan->n_options, sizeof(*keys), by_ratio);
    for (size_t k = 0; k < plan->n_options && is_left; k++) {
        const struct ma_option *option = &plan->options[keys[k].option];

        if (keys[k].frees <= 0 || (option->is_victim && plan->certificate.victims == 0) ||
            is_taken[owner[keys[k].option]]) {
            continue;
        }
        is_taken[owner[keys[k].option]] = true;
        cost += option->impact;
        is_left = false;
        for (size_t d = 0; d < plan->n_rows; d++) {
            left[d] -= left[d] > 0 ? option->frees.mib[d] : 0;
            is_left = is_left || left[d] > 0;
        }
    }
    free(keys);
    free(owner);
    free(is_taken);
    return is_left ? 0 : cost;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

struct tally {
    uint64_t runs, certified, proven, within_half_percent, victims, greedy_runs, greedy_missed;
    uint64_t gap_sum_ppm, gap_max_ppm, greedy_sum_percent;
};

static void count(struct tally *t, const struct ma_plan *plan) {
    const struct ma_certificate *c = &plan->certificate;
    uint64_t gap;
    uint64_t greedy;

    t->runs++;
    if (!plan->has_certificate || c->total_impact == 0) {
        return;
    }
    gap = c->is_optimal ? 0 : (c->total_impact - c->lower_bound_impact) * 1000000 / c->total_impact;
    t->certified++;
    t->proven += c->is_optimal;
    t->within_half_percent += gap <= 5000;
    t->gap_sum_ppm += gap;
    t->gap_max_ppm = gap > t->gap_max_ppm ? gap : t->gap_max_ppm;
    t->victims += c->victims > 0;
    greedy = greedy_impact(plan);
    if (greedy > 0) {
        t->greedy_runs++;
        t->greedy_sum_percent += greedy * 100 / c->total_impact;
    } else {
        t->greedy_missed++;
    }
}

static void run(const struct bench_case *c, uint64_t n_instances) {
    struct world w;
    struct tally t = {0};

    world_init(&w, c->n_guests);
    for (uint64_t k = 0; k < n_instances; k++) {
        make_host(&w, c->n_guests, c->n_nodes);
        (void) decide(&w); /* fills the tables */
        w.state.n_pressures = 0;
        w.times[k] = decide(&w);
        count(&t, &w.plan);
    }
    qsort(w.times, n_instances, sizeof(*w.times), by_value);
    (void) printf("decide guests/rows=%s instances=%" PRIu64 " median_us=%" PRIu64
                  " p95_us=%" PRIu64 " worst_us=%" PRIu64 " target_median_us=%" PRIu64
                  " with_victims=%" PRIu64 " proven_percent=%" PRIu64
                  " within_half_percent=%" PRIu64 " gap_mean_ppm=%" PRIu64 " gap_worst_ppm=%" PRIu64
                  " greedy_cost_percent=%" PRIu64 " greedy_never_covers=%" PRIu64 "\n",
                  c->name, n_instances, w.times[n_instances / 2] / 1000,
                  w.times[n_instances * 95 / 100] / 1000, w.times[n_instances - 1] / 1000,
                  c->budget_usec, t.victims, t.certified == 0 ? 0 : t.proven * 100 / t.certified,
                  t.certified == 0 ? 0 : t.within_half_percent * 100 / t.certified,
                  t.certified == 0 ? 0 : t.gap_sum_ppm / t.certified, t.gap_max_ppm,
                  t.greedy_runs == 0 ? 0 : t.greedy_sum_percent / t.greedy_runs, t.greedy_missed);
    world_fini(&w);
}

int main(int argc, char **argv) {
    uint64_t instances = argc > 1 ? strtoull(argv[1], NULL, 10) : 200;

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        bool is_wanted = argc <= 2;

        for (int i = 2; i < argc; i++) {
            is_wanted = is_wanted || strcmp(argv[i], cases[k].name) == 0;
        }
        if (is_wanted) {
            run(&cases[k], ma_clamp_u64(instances * cases[k].share_percent / 100, 1, 100000));
        }
    }
    return 0;
}
