/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-domain.c - the other programs of memarb that memarbctl runs: found beside itself, never through PATH, since it is run
 * as root. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

bool ma_cli_beside(const char *const *places, size_t n, char *path, size_t size) {
    char own[2048];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
    own[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (slash == NULL) {
        return false;
    }
    slash[1] = '\0';
    for (size_t i = 0; i < n; i++) {
        int written = snprintf(path, size, "%s%s", own, places[i]);
        if (written > 0 && (size_t) written < size && access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

int ma_cmd_domain(int argc, char **argv) {
    static const char *const places[] = {"../libexec/memarb/memarb-domain",
                                         "../lib/memarb/memarb-domain", "domain/memarb-domain"};
    char path[2048 + 64];
    (void) argc;
    if (!ma_cli_beside(places, sizeof(places) / sizeof(places[0]), path, sizeof(path))) {
        return ma_cli_fail(MA_EXIT_ERROR, "cannot find memarb-domain, which does this; is memarb "
                                          "installed whole?");
    }
    (void) execv(path, argv);
    return ma_cli_fail(MA_EXIT_ERROR, "cannot run %s: %s", path, strerror(errno));
}
