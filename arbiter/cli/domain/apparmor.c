/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* apparmor.c - two lines in a file of somebody else's: a comment by which they are found again, and the rule. */
#include "apparmor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

#define COMMENT        "# memarb: a guest's monitor dials in to memarbd (memarbctl enable)\n"
#define RULE_MAX       256
#define PATH_MAX_BYTES 256

/* What AppArmor reads as a pattern, a quote or a variable would allow more than this one socket. */
static bool is_plain_path(const char *path) {
    for (const char *c = path; *c != '\0'; c++) {
        if (!isalnum((unsigned char) *c) && strchr("/._-+:", *c) == NULL) {
            return false;
        }
    }
    return path[0] == '/' && strlen(path) <= 107;
}

static int add(const char *text, const char *rule, char **ret) {
    size_t len = strlen(text);
    bool is_ended = len == 0 || text[len - 1] == '\n';
    return asprintf(ret, "%s%s%s%s", text, is_ended ? "" : "\n", COMMENT, rule) < 0 ? -ENOMEM : 0;
}

static int cut(const char *text, const char *at, size_t len, char **ret) {
    return asprintf(ret, "%.*s%s", (int) (at - text), text, at + len) < 0 ? -ENOMEM : 0;
}

/* A line that is this rule, and no comment or deny rule that ends like it. */
static bool has_rule(const char *text, const char *rule) {
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += strspn(line, " \t\n");
        if (strncmp(line, rule, strlen(rule)) == 0) {
            return true;
        }
    }
    return false;
}

int ma_apparmor_change(const char *text, const char *socket, bool is_wanted, char **ret) {
    char rule[RULE_MAX], both[sizeof(COMMENT) + RULE_MAX];
    const char *old = text != NULL ? text : "";
    if (!is_plain_path(socket)) {
        return -EINVAL;
    }
    (void) snprintf(rule, sizeof(rule), "%s rw,\n", socket);
    (void) snprintf(both, sizeof(both), "%s%s", COMMENT, rule);
    const char *ours = strstr(old, both);
    *ret = NULL;
    if (is_wanted) {
        return has_rule(old, rule) ? 0 : add(old, rule, ret);
    }
    return ours == NULL ? 0 : cut(old, ours, strlen(both), ret);
}

static void make_folders(const char *path) {
    char folder[PATH_MAX_BYTES];
    (void) snprintf(folder, sizeof(folder), "%s", path);
    for (char *c = folder + 1; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void) mkdir(folder, 0755); /* most exist; the open below tells */
            *c = '/';
        }
    }
}

int ma_apparmor_write(const char *path, const char *text) {
    char temporary[PATH_MAX_BYTES + 8];
    size_t len = strlen(text);
    make_folders(path);
    int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (n < 0 || (size_t) n >= sizeof(temporary)) {
        return -ENAMETOOLONG;
    }
    ma_auto_close int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    bool is_good = write(fd, text, len) == (ssize_t) len && fchmod(fd, 0644) == 0 &&
                   fsync(fd) == 0 && rename(temporary, path) == 0;
    int r = is_good ? 0 : -errno;
    if (!is_good) {
        (void) unlink(temporary);
    }
    return r;
}
