/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* rows.h - the resources that can be short, as rows of one small table (contract keys: ram, swap, pin, node<N>,
 * hugepages-node<N>, each with -within-<ms>ms where only what comes back in that time counts). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum ma_row_kind {
    MA_ROW_RAM,
    MA_ROW_SWAP,
    MA_ROW_PIN,
    MA_ROW_NODE,
    MA_ROW_HUGEPAGES_NODE,
};

struct ma_row {
    enum ma_row_kind kind;
    uint16_t node;      /* for the two node kinds */
    uint32_t within_ms; /* 0: no deadline */
};

/* ram, swap, up to 12 nodes, and two deadline rows. More nodes than that: the shortest ones are planned for. */
#define MA_ROWS_MAX    16
#define MA_ROW_KEY_MAX 48

/* "node1-within-500ms"; returns buf. */
char *ma_row_key(char buf[MA_ROW_KEY_MAX], const struct ma_row *row);
bool ma_row_equal(const struct ma_row *a, const struct ma_row *b);
/* 0, or -EINVAL. */
int ma_row_from_key(const char *key, struct ma_row *ret);

/* Amounts per row of a table that stands elsewhere (ma_plan.rows), in whole MiB. */
struct ma_amounts {
    int64_t mib[MA_ROWS_MAX];
};
/* Those of a table of n_rows, and perhaps a few more: what stands behind the rows is nobody's, and with a thousand guests
 * not worth the copying. In whole cache lines, which a compiler moves without a call. */
static inline void
ma_amounts_copy(struct ma_amounts *to, const struct ma_amounts *from, size_t n_rows) {
    if (n_rows <= MA_ROWS_MAX / 2) {
        memcpy(to, from, sizeof(*to) / 2);
    } else {
        memcpy(to, from, sizeof(*to));
    }
}
