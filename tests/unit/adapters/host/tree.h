/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* tree.h - a made-up /proc or /sys in a temporary folder. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

struct tree {
    char root[64];
};

static inline void tree_make(struct tree *t) {
    (void) snprintf(t->root, sizeof(t->root), "/tmp/memarb-test-XXXXXX");
    CHECK(mkdtemp(t->root) != NULL);
}
static inline int tree_remove_one(const char *path, const struct stat *s, int flag, struct FTW *f) {
    (void) s;
    (void) flag;
    (void) f;
    return remove(path);
}
static inline void tree_remove(struct tree *t) {
    (void) nftw(t->root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
/* Writes ROOT/name, folders included. */
static inline void tree_write(const struct tree *t, const char *name, const char *text) {
    char path[512];
    (void) snprintf(path, sizeof(path), "%s/%s", t->root, name);
    for (char *p = path + strlen(t->root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void) mkdir(path, 0755);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}
static inline const char *tree_path(const struct tree *t, const char *name, char buf[256]) {
    (void) snprintf(buf, 256, "%s/%s", t->root, name);
    return buf;
}
