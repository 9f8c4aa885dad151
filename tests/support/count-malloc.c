/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* count-malloc.c - loaded into memarbd (LD_PRELOAD) by a test of P10: counts what its main thread allocates from the
 * return of epoll_wait to each balloon command that leaves, which is the whole of its alarm path.
 *
 * COUNT_MALLOC_FILE gets a line for each balloon command: how many allocations there were since epoll_wait returned, and
 * how many commands. Nothing here allocates. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

static unsigned long n_allocations, n_commands;
static int out_fd = -1;
static int (*real_wait)(int, struct epoll_event *, int, int);
static int (*real_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
static int (*real_pwait2)(
    int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
static ssize_t (*real_send)(int, const void *, size_t, int);

static void __attribute__((constructor)) begin(void) {
    const char *path = getenv("COUNT_MALLOC_FILE");
    real_wait = (__typeof__(real_wait)) dlsym(RTLD_NEXT, "epoll_wait");
    real_pwait = (__typeof__(real_pwait)) dlsym(RTLD_NEXT, "epoll_pwait");
    real_pwait2 = (__typeof__(real_pwait2)) dlsym(RTLD_NEXT, "epoll_pwait2");
    real_send = (__typeof__(real_send)) dlsym(RTLD_NEXT, "send");
    /* This is worth nothing where malloc is somebody else's. */
    void *volatile block = malloc(1);
    if (block == NULL || n_allocations == 0) {
        abort();
    }
    free(block);
    if (path != NULL) {
        out_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static bool is_main_thread(void) {
    return gettid() == getpid();
}

static void begin_count(void) {
    if (is_main_thread()) {
        n_allocations = 0;
        n_commands = 0;
    }
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout) {
    int n = real_wait(fd, events, max, timeout);
    begin_count();
    return n;
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout, const sigset_t *mask) {
    int n = real_pwait(fd, events, max, timeout, mask);
    begin_count();
    return n;
}

int epoll_pwait2(int fd,
                 struct epoll_event *events,
                 int max,
                 const struct timespec *timeout,
                 const sigset_t *mask) {
    int n = real_pwait2(fd, events, max, timeout, mask);
    begin_count();
    return n;
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    static const char command[] = "\"balloon\"";
    char line[96];
    if (is_main_thread() && memmem(data, size, command, sizeof(command) - 1) != NULL) {
        n_commands++;
        int n = snprintf(line, sizeof(line), "%lu %lu\n", n_allocations, n_commands);
        if (out_fd >= 0 && write(out_fd, line, (size_t) n) != n) {
            abort();
        }
    }
    return real_send(fd, data, size, flags);
}

void *malloc(size_t size) {
    n_allocations += is_main_thread() ? 1 : 0;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    n_allocations += is_main_thread() ? 1 : 0;
    return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size) {
    n_allocations += is_main_thread() ? 1 : 0;
    return __libc_realloc(block, size);
}
