/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* division.c - any bytes as a division of memory. Figures of any value: refused, or divided so that floors, ceilings and
 * budgets hold. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "division.h"
#include "rows.h"

#define ITEMS_MAX 24U
#define NODES_MAX 6U

struct bytes {
    const uint8_t *at;
    size_t left;
};

struct instance {
    struct ma_division_item items[ITEMS_MAX];
    uint32_t permyriad[ITEMS_MAX][NODES_MAX];
    uint64_t node_budgets[NODES_MAX];
    uint64_t budget;
    size_t n_items;
    size_t n_nodes;
    bool is_wild; /* figures of any value, not only sane ones */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t number(struct bytes *in, size_t n) {
    uint64_t v = 0;

    for (size_t i = 0; i < n && in->left > 0; i++) {
        v = v << 8 | *in->at++;
        in->left--;
    }
    return v;
}

/* Two bytes that say a size of any magnitude; now and then eight of any value. */
static uint64_t amount(struct bytes *in, bool is_wild) {
    uint64_t size = number(in, 2);

    if (is_wild && size % 8 == 7) {
        return number(in, 8);
    }
    return (size >> 5) << (size & 31U);
}

static void fill_item(struct bytes *in, struct instance *x, size_t i) {
    struct ma_division_item *item = &x->items[i];
    uint64_t shares = number(in, 2) + 1;

    item->ceiling_bytes = amount(in, x->is_wild);
    item->floor_bytes = amount(in, x->is_wild);
    item->working_bytes = amount(in, x->is_wild);
    item->shares = (uint32_t) shares;
    if (x->is_wild) {
        item->shares = shares % 16 == 0 ? 0 : item->shares;
    } else {
        item->floor_bytes = ma_min_u64(item->floor_bytes, item->ceiling_bytes);
    }
    item->node_permyriad = x->n_nodes > 0 && shares % 8 != 0 ? x->permyriad[i] : NULL;
    for (size_t k = 0, left = MA_PERMYRIAD_FULL; k < x->n_nodes; k++) {
        x->permyriad[i][k] = (uint32_t) (number(in, 2) % (left + 1));
        left -= x->permyriad[i][k];
    }
}

static void fill(struct bytes *in, struct instance *x) {
    uint64_t kind = number(in, 1);

    memset(x, 0, sizeof(*x));
    x->is_wild = kind % 2 == 1;
    x->n_nodes = kind / 2 % (NODES_MAX + 1);
    x->budget = amount(in, x->is_wild);
    for (size_t k = 0; k < x->n_nodes; k++) {
        x->node_budgets[k] = amount(in, x->is_wild);
    }
    while (in->left > 0 && x->n_items < ITEMS_MAX) {
        fill_item(in, x, x->n_items++);
    }
}

/* In bytes x permyriad, which fits: all sums are at most 2^50 bytes where the division was taken. */
static uint64_t used(const struct instance *x, size_t limit, bool is_of_floors) {
    uint64_t sum = 0;

    for (size_t i = 0; i < x->n_items; i++) {
        const struct ma_division_item *item = &x->items[i];
        uint64_t weight = limit == 0                     ? MA_PERMYRIAD_FULL
                          : item->node_permyriad == NULL ? 0
                                                         : item->node_permyriad[limit - 1];

        sum += weight * (is_of_floors ? item->floor_bytes : item->target_bytes);
    }
    return sum;
}

static void check(const struct instance *x) {
    for (size_t i = 0; i < x->n_items; i++) {
        const struct ma_division_item *item = &x->items[i];

        if (item->target_bytes < item->floor_bytes || item->target_bytes > item->ceiling_bytes) {
            abort();
        }
    }
    for (size_t k = 0; k <= x->n_nodes; k++) {
        uint64_t budget = k == 0 ? x->budget : x->node_budgets[k - 1];
        uint64_t allowed = ma_max_u64(ma_mul_sat(budget, MA_PERMYRIAD_FULL), used(x, k, true));

        if (used(x, k, false) > allowed) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {.at = data, .left = size};
    struct instance *x = malloc(sizeof(*x));
    uint64_t short_bytes = 0;
    size_t bytes;
    void *workspace;
    int r;

    if (x == NULL) {
        abort();
    }
    fill(&in, x);
    /* A block of the exact size: ASan sees one byte too many. */
    bytes = ma_division_workspace_size(x->n_items, x->n_nodes);
    workspace = malloc(bytes);
    if (workspace == NULL) {
        abort();
    }
    r = x->n_nodes > 0
            ? ma_division_solve_nodes(x->items, x->n_items, x->budget, x->node_budgets, x->n_nodes,
                                      workspace, bytes, &short_bytes)
            : ma_division_solve(x->items, x->n_items, x->budget, workspace, bytes, &short_bytes);
    if (r == 0) {
        check(x);
    } else if (r != -ERANGE) {
        abort();
    }
    free(workspace);
    free(x);
    return 0;
}
