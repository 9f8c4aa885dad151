/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-domain.c - the other programs of memarb that memarbctl runs: found beside itself, never through PATH, since it is run
 * as root. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#define PATH_BYTES (2048 + 64)

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

static bool find_program(char *path, size_t size) {
    static const char *const places[] = {"../libexec/memarb/memarb-domain",
                                         "../lib/memarb/memarb-domain", "domain/memarb-domain"};
    return ma_cli_beside(places, sizeof(places) / sizeof(places[0]), path, size);
}

int ma_cmd_domain(int argc, char **argv) {
    char path[PATH_BYTES];
    (void) argc;
    if (!find_program(path, sizeof(path))) {
        return ma_cli_fail(MA_EXIT_ERROR, "cannot find memarb-domain, which does this; is memarb "
                                          "installed whole?");
    }
    (void) execv(path, argv);
    return ma_cli_fail(MA_EXIT_ERROR, "cannot run %s: %s", path, strerror(errno));
}

int ma_cli_gate(const struct ma_cli *cli) {
    char path[PATH_BYTES], socket[PATH_BYTES], config[PATH_BYTES];
    int status = 0;
    if (!find_program(path, sizeof(path))) {
        return ma_cli_fail(MA_EXIT_ERROR, "cannot find memarb-domain, which looks whether the host "
                                          "is ready; --force arms without");
    }
    (void) snprintf(socket, sizeof(socket), "--socket=%s", cli->socket);
    (void) snprintf(config, sizeof(config), "--config=%s", cli->config != NULL ? cli->config : "");
    char *const args[] = {(char *) "doctor", (char *) "--gate", socket,
                          cli->config != NULL ? config : NULL, NULL};
    (void) fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void) execv(path, args);
        _exit(MA_EXIT_ERROR);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == MA_EXIT_ERROR) {
        return ma_cli_fail(MA_EXIT_ERROR,
                           "cannot look whether the host is ready; --force arms without");
    }
    return WEXITSTATUS(status);
}
