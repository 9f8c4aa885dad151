/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vanish.c - loaded into memarbd (LD_PRELOAD) by a test: a guest ends in the very moment in which it is acted on, after
 * everything was read and decided.
 *
 * VANISH is "CALL PID": before the first such call the process is killed, and waited for until its number is free, which takes
 * a parent that looks. CALL: "status" (its figures are opened), "adj" (oom_score_adj is opened for writing), "signal"
 * (pidfd_send_signal), "powerdown" (that command leaves for any monitor). Said on stderr. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Far more than a parent needs to look. */
#define WAIT_SECONDS     60
#define WAITS_PER_SECOND 200

static char call[16];
static pid_t victim;
static bool has_vanished;

static void __attribute__((constructor)) begin(void) {
    const char *text = getenv("VANISH");
    const char *blank = text != NULL ? strchr(text, ' ') : NULL;
    if (blank != NULL && (size_t) (blank - text) < sizeof(call)) {
        memcpy(call, text, (size_t) (blank - text));
        victim = (pid_t) strtol(blank + 1, NULL, 10);
    }
}

static void vanish(const char *now) {
    int saved_errno = errno;
    if (has_vanished || victim <= 0 || strcmp(now, call) != 0) {
        return;
    }
    has_vanished = true;
    (void) kill(victim, SIGKILL);
    for (int i = 0; i < WAIT_SECONDS * WAITS_PER_SECOND && kill(victim, 0) == 0; i++) {
        (void) usleep(1000000 / WAITS_PER_SECOND);
    }
    (void) fprintf(stderr, "vanished: %s\n", kill(victim, 0) == 0 ? "not at all" : call);
    errno = saved_errno;
}

static bool is_victims(int dir_fd) {
    char link[64], path[64] = "", expected[64];
    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
    (void) snprintf(expected, sizeof(expected), "/proc/%d", (int) victim);
    return readlink(link, path, sizeof(path) - 1) > 0 && strcmp(path, expected) == 0;
}

/* Looked up at each call: a library may call before anything here has begun. */
#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

int openat64(int dir_fd, const char *name, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!has_vanished && strcmp(name, "status") == 0 && is_victims(dir_fd)) {
        vanish("status");
    } else if (!has_vanished && strcmp(name, "oom_score_adj") == 0 &&
               (flags & O_ACCMODE) == O_WRONLY && is_victims(dir_fd)) {
        vanish("adj");
    }
    return REAL(openat64)(dir_fd, name, flags, mode);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    if (memmem(data, size, "system_powerdown", 16) != NULL) {
        vanish("powerdown");
    }
    return REAL(send)(fd, data, size, flags);
}

long syscall(long number, ...) {
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(args, long);
    }
    va_end(args);
    if (number == SYS_pidfd_send_signal) {
        vanish("signal");
    }
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
