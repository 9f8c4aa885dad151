/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-sort.c - bottom-up merge sort. Not qsort(): glibc's takes memory for larger arrays, and the order of equal
 * keys would be its affair; here equal keys keep the order of their slots. */
#include "cover-internal.h"

bool ma_cover_larger_key(const void *context,
                         const struct cover_key *a,
                         const struct cover_key *b) {
    (void) context;
    return a->key != b->key ? a->key > b->key : a->slot < b->slot;
}

struct order {
    cover_before *before;
    const void *context;
};

static void merge(const struct order *order,
                  const struct cover_key *from,
                  struct cover_key *to,
                  size_t middle,
                  size_t end) {
    size_t i = 0;
    size_t j = middle;
    for (size_t k = 0; k < end; k++) {
        bool left = j >= end || (i < middle && !order->before(order->context, &from[j], &from[i]));
        to[k] = left ? from[i++] : from[j++];
    }
}

void ma_cover_sort(struct cover_core *core, size_t n, cover_before *before, const void *context) {
    struct order order = {.before = before, .context = context};
    struct cover_key *from = core->keys;
    struct cover_key *to = core->keys_spare;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width) {
            size_t middle = width < n - at ? width : n - at;
            size_t end = 2 * width < n - at ? 2 * width : n - at;
            merge(&order, from + at, to + at, middle, end);
        }
        struct cover_key *t = from;
        from = to;
        to = t;
        core->operations += n;
    }
    for (size_t i = 0; from != core->keys && i < n; i++) {
        core->keys[i] = from[i];
    }
}
