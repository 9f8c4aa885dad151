/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a division takes: median and worst of 200, thread CPU time, per number of guests and nodes. */
#include <time.h>

#include "bytes.h"
#include "division.h"
#include "rows.h"
#include "tap.h"

#define ITEMS_MAX 1000
#define NODES_MAX 8
#define ROUNDS    200
#define LIMIT_NS  1000000U /* 1,000 guests, 8 nodes */

static struct ma_division_item items[ITEMS_MAX];
static uint32_t permyriad[ITEMS_MAX][NODES_MAX];

static uint64_t now_ns(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static uint64_t fill(uint64_t *seed, size_t n, size_t n_nodes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t ceiling = (MA_GIB << tap_below(seed, 6)) + tap_below(seed, MA_GIB);
        items[i] = (struct ma_division_item){
            .working_bytes = tap_below(seed, ceiling),
            .floor_bytes = ceiling / 2 - tap_below(seed, ceiling / 3),
            .ceiling_bytes = ceiling,
            .shares = 1 + (uint32_t) tap_below(seed, 10000),
            .node_permyriad = permyriad[i],
        };
        size_t home = tap_below(seed, n_nodes);
        for (size_t k = 0; k < n_nodes; k++) {
            permyriad[i][k] = k == home ? 8000 : k == (home + 1) % n_nodes ? 2000 : 0;
        }
        sum += ceiling;
    }
    return sum;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static uint64_t measure(size_t n, size_t n_nodes) {
    static char workspace[1U << 18];
    uint64_t taken[ROUNDS];
    uint64_t node_budgets[NODES_MAX];
    uint64_t seed = 1;
    for (unsigned r = 0; r < ROUNDS; r++) {
        uint64_t sum = fill(&seed, n, n_nodes);
        uint64_t short_bytes = 0;
        for (size_t k = 0; k < n_nodes; k++) {
            node_budgets[k] = sum / n_nodes / 2 + tap_below(&seed, sum / n_nodes / 2);
        }
        uint64_t start = now_ns();
        int code = ma_division_solve_nodes(items, n, sum * 3 / 4, node_budgets, n_nodes, workspace,
                                           sizeof(workspace), &short_bytes);
        taken[r] = now_ns() - start;
        CHECK_I64(code, 0);
    }
    qsort(taken, ROUNDS, sizeof(taken[0]), compare);
    (void) printf("# division %4zu guests %zu nodes: median %" PRIu64 " us, worst %" PRIu64 " us\n",
                  n, n_nodes, taken[ROUNDS / 2] / 1000, taken[ROUNDS - 1] / 1000);
    return taken[ROUNDS / 2];
}

int main(void) {
    (void) printf("1..1\n");
    (void) measure(10, 1);
    (void) measure(100, 8);
    (void) measure(1000, 1);
    bool is_fast = measure(1000, 8) < LIMIT_NS;
    (void) printf("%sok 1 - 1000 guests and 8 nodes in under 1 ms\n", is_fast ? "" : "not ");
    return is_fast ? 0 : 1;
}
