/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* text-diff.c - longest common subsequence over the lines between what both texts begin and end with. */
#include "text-diff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define CONTEXT 3
/* Lines that differ, per text; a definition has some hundreds. Beyond it all of them are shown as changed: the table of
 * two texts of that length takes 32 MiB. */
#define CHANGED_MAX 4000U

struct lines {
    const char **at;
    size_t n;
};
struct diff {
    struct lines a, b;
    size_t head, tail; /* equal lines at both ends */
    uint16_t *lcs;     /* (an + 1) x (bn + 1), of the middle */
    size_t an, bn;
};

static size_t length_of(const char *line) {
    return strcspn(line, "\n");
}

static int split(const char *text, struct lines *ret) {
    size_t n = 1;
    for (const char *c = text; *c != '\0'; c++) {
        n += *c == '\n';
    }
    ret->at = reallocarray(NULL, n, sizeof(*ret->at));
    ret->n = 0;
    if (ret->at == NULL) {
        return -ENOMEM;
    }
    while (*text != '\0') {
        ret->at[ret->n++] = text;
        text += length_of(text);
        text += *text == '\n';
    }
    return 0;
}

static bool is_same(const char *x, const char *y) {
    size_t n = length_of(x);
    return n == length_of(y) && memcmp(x, y, n) == 0;
}

static void trim(struct diff *d) {
    size_t most = ma_min_u64(d->a.n, d->b.n);
    while (d->head < most && is_same(d->a.at[d->head], d->b.at[d->head])) {
        d->head++;
    }
    while (d->tail < most - d->head &&
           is_same(d->a.at[d->a.n - 1 - d->tail], d->b.at[d->b.n - 1 - d->tail])) {
        d->tail++;
    }
    d->an = d->a.n - d->head - d->tail;
    d->bn = d->b.n - d->head - d->tail;
}

static uint16_t *cell(const struct diff *d, size_t i, size_t j) {
    return &d->lcs[i * (d->bn + 1) + j];
}

static int fill(struct diff *d) {
    if (d->an > CHANGED_MAX || d->bn > CHANGED_MAX) {
        return 0; /* no table: everything in between is shown as changed */
    }
    d->lcs = calloc((d->an + 1) * (d->bn + 1), sizeof(*d->lcs));
    if (d->lcs == NULL) {
        return -ENOMEM;
    }
    for (size_t i = d->an; i-- > 0;) {
        for (size_t j = d->bn; j-- > 0;) {
            bool is_match = is_same(d->a.at[d->head + i], d->b.at[d->head + j]);
            uint16_t best =
                *cell(d, i + 1, j) > *cell(d, i, j + 1) ? *cell(d, i + 1, j) : *cell(d, i, j + 1);
            *cell(d, i, j) = is_match ? (uint16_t) (*cell(d, i + 1, j + 1) + 1) : best;
        }
    }
    return 0;
}

struct printer {
    FILE *file;
    const char *kept[CONTEXT]; /* the last unchanged lines that were not printed */
    size_t n_kept;
    size_t left; /* unchanged lines still to print behind a change */
    bool has_printed, has_gap;
};

static void put(struct printer *p, char mark, const char *line) {
    (void) fprintf(p->file, "%c %.*s\n", mark, (int) length_of(line), line);
    p->has_printed = true;
}

static void unchanged(struct printer *p, const char *line) {
    if (p->left > 0) {
        p->left--;
        put(p, ' ', line);
        return;
    }
    if (p->n_kept == CONTEXT) {
        (void) memmove(p->kept, p->kept + 1, (CONTEXT - 1) * sizeof(p->kept[0]));
        p->n_kept--;
        p->has_gap = true;
    }
    p->kept[p->n_kept++] = line;
}

static void changed(struct printer *p, char mark, const char *line) {
    if (p->has_gap && p->has_printed) {
        (void) fputs("...\n", p->file);
    }
    p->has_gap = false;
    for (size_t i = 0; i < p->n_kept; i++) {
        put(p, ' ', p->kept[i]);
    }
    p->n_kept = 0;
    p->left = CONTEXT;
    put(p, mark, line);
}

static void walk(const struct diff *d, struct printer *p) {
    size_t i = 0, j = 0;
    for (size_t k = 0; k < d->head; k++) {
        unchanged(p, d->a.at[k]);
    }
    while (i < d->an || j < d->bn) {
        const char *x = i < d->an ? d->a.at[d->head + i] : NULL;
        const char *y = j < d->bn ? d->b.at[d->head + j] : NULL;
        if (x != NULL && y != NULL && d->lcs != NULL && is_same(x, y)) {
            unchanged(p, x);
            i++;
            j++;
        } else if (x != NULL &&
                   (y == NULL || d->lcs == NULL || *cell(d, i + 1, j) >= *cell(d, i, j + 1))) {
            changed(p, '-', x);
            i++;
        } else {
            changed(p, '+', y);
            j++;
        }
    }
    for (size_t k = d->a.n - d->tail; k < d->a.n; k++) {
        unchanged(p, d->a.at[k]);
    }
}

int ma_text_diff(FILE *file, const char *before, const char *after) {
    struct diff d = {0};
    struct printer printer = {.file = file};
    int r = split(before, &d.a);
    r = r == 0 ? split(after, &d.b) : r;
    if (r == 0) {
        trim(&d);
        r = fill(&d);
    }
    if (r == 0) {
        walk(&d, &printer);
        r = ferror(file) != 0 ? -EIO : 0;
    }
    free(d.a.at);
    free(d.b.at);
    free(d.lcs);
    return r;
}
