/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "last-resort.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "child.h"
#include "writer.h"

#define STACK_BYTES ((size_t) 128 * 1024)
/* Before a panic. Too short: the reason is not on the disk; too long: a host that has nothing left waits for its disk. */
#define FLUSH_USEC   (2 * MA_USEC_PER_SEC)
#define N_VARIABLES  6
#define VARIABLE_MAX 64

struct ma_last_resort {
    struct ma_writer *writer;
    pthread_t thread;
    int event_fd; /* a result waits */
    int end_fd;   /* the thread is to end */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool has_order, has_result;
    atomic_bool should_end;
    struct ma_last_resort_order order;
    struct ma_last_resort_result result;
};

static uint64_t now_usec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

/* Until it ends, its time is over, or we end. true: it ended. */
static bool wait_for_end(const struct ma_last_resort *resort,
                         const struct ma_child *child,
                         uint64_t timeout_usec) {
    struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN},
                           {.fd = resort->end_fd, .events = POLLIN}};
    uint64_t deadline = now_usec() + timeout_usec;
    int r = 0;
    do {
        uint64_t left = ma_sub_floor0(deadline, now_usec());
        r = poll(fds, 2, (int) (left / MA_USEC_PER_MSEC) + 1);
    } while (r < 0 && errno == EINTR);
    return r > 0 && (fds[0].revents & POLLIN) != 0;
}

static void run_command(const struct ma_last_resort *resort,
                        const struct ma_last_resort_order *order,
                        struct ma_last_resort_result *result) {
    char text[N_VARIABLES][VARIABLE_MAX];
    char *envp[N_VARIABLES + 1] = {NULL};
    struct ma_child child;
    (void) snprintf(text[0], VARIABLE_MAX, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    (void) snprintf(text[1], VARIABLE_MAX, "MEMARB_REASON=exhausted");
    (void) snprintf(text[2], VARIABLE_MAX, "MEMARB_AVAILABLE_BYTES=%" PRIu64,
                    order->available_bytes);
    (void) snprintf(text[3], VARIABLE_MAX, "MEMARB_MISSING_BYTES=%" PRIu64, order->missing_bytes);
    (void) snprintf(text[4], VARIABLE_MAX, "MEMARB_INCIDENT_USEC=%" PRIu64, order->incident_usec);
    (void) snprintf(text[5], VARIABLE_MAX, "MEMARB_GUESTS=%" PRIu64, order->guests);
    for (size_t i = 0; i < N_VARIABLES; i++) {
        envp[i] = text[i];
    }
    result->error = ma_child_start(order->command, envp, &child);
    if (result->error < 0) {
        return;
    }
    if (!wait_for_end(resort, &child, order->timeout_usec)) {
        if (resort->should_end) {
            ma_child_forget(&child);
            return;
        }
        result->is_timeout = true;
        ma_child_kill(&child);
    }
    result->exit_status = ma_child_reap(&child);
}

static void run_panic(const struct ma_last_resort *resort,
                      const struct ma_last_resort_order *order,
                      struct ma_last_resort_result *result) {
    (void) ma_writer_flush(resort->writer, FLUSH_USEC);
    if (write(order->trigger_fd, "c", 1) != 1) {
        result->error = -errno;
    }
    (void) close(order->trigger_fd);
}

static void *run(void *userdata) {
    struct ma_last_resort *resort = userdata;
    pthread_mutex_lock(&resort->lock);
    while (true) {
        while (!resort->has_order && !resort->should_end) {
            pthread_cond_wait(&resort->wake, &resort->lock);
        }
        if (resort->should_end) {
            break;
        }
        struct ma_last_resort_order order = resort->order;
        struct ma_last_resort_result result = {.kind = order.kind};
        pthread_mutex_unlock(&resort->lock);
        uint64_t began = now_usec();
        if (order.kind == MA_LAST_RESORT_PANIC) {
            run_panic(resort, &order, &result);
        } else {
            run_command(resort, &order, &result);
        }
        result.took_usec = now_usec() - began;
        pthread_mutex_lock(&resort->lock);
        resort->result = result;
        resort->has_result = true;
        resort->has_order = false;
        uint64_t one = 1;
        (void) !write(resort->event_fd, &one, sizeof(one));
    }
    pthread_mutex_unlock(&resort->lock);
    return NULL;
}

int ma_last_resort_create(struct ma_writer *writer,
                          struct ma_last_resort **ret,
                          struct ma_err *err) {
    struct ma_last_resort *resort = calloc(1, sizeof(*resort));
    if (resort == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    resort->writer = writer;
    pthread_mutex_init(&resort->lock, NULL);
    pthread_cond_init(&resort->wake, NULL);
    resort->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    resort->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = resort->event_fd < 0 || resort->end_fd < 0
                ? errno
                : pthread_create(&resort->thread, &attr, run, resort);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        free(resort);
        return ma_err_set(err, -r, "cannot start the last resort's thread: %s", strerror(r));
    }
    *ret = resort;
    return 0;
}

void ma_last_resort_destroy(struct ma_last_resort *resort) {
    uint64_t one = 1;
    if (resort == NULL) {
        return;
    }
    pthread_mutex_lock(&resort->lock);
    resort->should_end = true;
    pthread_cond_signal(&resort->wake);
    pthread_mutex_unlock(&resort->lock);
    (void) !write(resort->end_fd, &one, sizeof(one));
    pthread_join(resort->thread, NULL);
    (void) close(resort->event_fd);
    (void) close(resort->end_fd);
    free(resort);
}

int ma_last_resort_fd(const struct ma_last_resort *resort) {
    return resort->event_fd;
}

int ma_last_resort_submit(struct ma_last_resort *resort, const struct ma_last_resort_order *order) {
    int r = 0;
    pthread_mutex_lock(&resort->lock);
    if (resort->has_order) {
        r = -EBUSY;
    } else {
        resort->order = *order;
        resort->has_order = true;
        pthread_cond_signal(&resort->wake);
    }
    pthread_mutex_unlock(&resort->lock);
    return r;
}

bool ma_last_resort_pop(struct ma_last_resort *resort, struct ma_last_resort_result *ret) {
    uint64_t n;
    pthread_mutex_lock(&resort->lock);
    bool has = resort->has_result;
    if (has) {
        *ret = resort->result;
        resort->has_result = false;
    }
    (void) !read(resort->event_fd, &n, sizeof(n));
    pthread_mutex_unlock(&resort->lock);
    return has;
}
