/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rows.c - the contract's keys of resources, written and read. A key is read only in the form that is written (no
 * leading zeros, no empty deadline), so that two keys of one object never mean the same row. */
#include "rows.h"

#include <errno.h>
#include <string.h>

#define NODE_MAX      1023U /* MAX_NUMNODES - 1 of Linux with NODES_SHIFT=10 */
#define WITHIN_PREFIX "-within-"

static const struct {
    const char *prefix;
    enum ma_row_kind kind;
    bool has_node;
} kinds[] = {
    {"ram", MA_ROW_RAM, false},
    {"swap", MA_ROW_SWAP, false},
    {"pin", MA_ROW_PIN, false},
    {"node", MA_ROW_NODE, true},
    {"hugepages-node", MA_ROW_HUGEPAGES_NODE, true},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char *put_text(char *at, const char *text) {
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_number(char *at, uint32_t value) {
    char digits[10];
    size_t n = 0;
    do {
        digits[n++] = (char) ('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

char *ma_row_key(char buf[MA_ROW_KEY_MAX], const struct ma_row *row) {
    /* longest: "hugepages-node65535-within-4294967295ms", 40 bytes with NUL */
    char *at = buf;
    for (size_t i = 0; i < N_KINDS; i++) {
        if (kinds[i].kind == row->kind) {
            at = put_text(at, kinds[i].prefix);
            if (kinds[i].has_node) {
                at = put_number(at, row->node);
            }
        }
    }
    if (row->within_ms > 0) {
        at = put_number(put_text(at, WITHIN_PREFIX), row->within_ms);
        at = put_text(at, "ms");
    }
    *at = '\0';
    return buf;
}

bool ma_row_equal(const struct ma_row *a, const struct ma_row *b) {
    bool has_node = a->kind == MA_ROW_NODE || a->kind == MA_ROW_HUGEPAGES_NODE;
    return a->kind == b->kind && a->within_ms == b->within_ms && (!has_node || a->node == b->node);
}

/* Moves *at past a decimal number without leading zeros, at most max. */
static int take_number(const char **at, uint32_t max, uint32_t *ret) {
    const char *p = *at;
    uint64_t value = 0;
    if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9')) {
        return -EINVAL;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t) (*p - '0');
        if (value > max) {
            return -EINVAL;
        }
    }
    *at = p;
    *ret = (uint32_t) value;
    return 0;
}

/* What follows the resource: nothing, or "-within-<ms>ms". */
static int take_deadline(const char *at, uint32_t *ret_within_ms) {
    uint32_t within_ms = 0;
    if (*at != '\0') {
        if (strncmp(at, WITHIN_PREFIX, strlen(WITHIN_PREFIX)) != 0) {
            return -EINVAL;
        }
        at += strlen(WITHIN_PREFIX);
        if (take_number(&at, UINT32_MAX, &within_ms) < 0 || within_ms == 0 ||
            strcmp(at, "ms") != 0) {
            return -EINVAL;
        }
    }
    *ret_within_ms = within_ms;
    return 0;
}

int ma_row_from_key(const char *key, struct ma_row *ret) {
    for (size_t i = 0; i < N_KINDS; i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(key, kinds[i].prefix, n) != 0) {
            continue;
        }
        const char *at = key + n;
        uint32_t node = 0;
        uint32_t within_ms = 0;
        if ((kinds[i].has_node && take_number(&at, NODE_MAX, &node) < 0) ||
            take_deadline(at, &within_ms) < 0) {
            return -EINVAL;
        }
        *ret =
            (struct ma_row){.kind = kinds[i].kind, .node = (uint16_t) node, .within_ms = within_ms};
        return 0;
    }
    return -EINVAL;
}
