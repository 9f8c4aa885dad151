/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hooks.c - one thread, a queue, and a few runs under way.
 *
 * A run is one order: it lists the folder, starts its programs one after another and waits for each through its pidfd. At
 * its deadline the program is killed with what it started, and its verdict, if somebody waits for one, is that nobody
 * said no; the place is free again once the program is really gone. So a program that even SIGKILL does not end (a dead
 * disk) costs a place, and nothing else.
 *
 * The lock covers queue, results and the folder's name, and is held for copies alone. */
#include "hooks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "child.h"
#include "hook-environment.h"
#include "writer.h"

#define STACK_BYTES ((size_t) 128 * 1024)
#define RUNS        (MA_HOOK_RUNS_TOLD + MA_HOOK_RUNS_ASKED)
#define RESULTS     128
/* Places among the results that only verdicts take: each has one. */
#define VERDICTS MA_HOOK_RUNS_ASKED
/* For hooks under way when memarbd ends. systemd gives the whole stop 90 s, giving back takes up to 20. Guess. */
#define END_USEC (2 * MA_USEC_PER_SEC)
/* They are no part of what must survive: in memarbd's own cgroup they go first. */
#define OOM_SCORE 500

struct run {
    bool is_busy;
    struct ma_hook_order order;
    struct ma_hook_files files;
    size_t next; /* in files */
    uint64_t deadline_usec;
    bool has_child;
    bool is_killed;
    struct ma_child child;
};
struct ma_hooks {
    pthread_t thread;
    int event_fd; /* results wait */
    int wake_fd;  /* orders wait, or the end */
    atomic_bool should_end;
    _Atomic uint64_t n_lost;
    pthread_mutex_t lock; /* what follows, up to the thread's own */
    char directory[MA_PATH_MAX];
    struct ma_hook_order queue[MA_HOOK_QUEUE];
    size_t n_queued;
    struct ma_hook_result results[RESULTS];
    size_t n_results;
    /* the thread's own */
    struct run runs[RUNS]; /* those of asked orders from MA_HOOK_RUNS_TOLD on */
    char folder[MA_PATH_MAX];
    struct ma_hook_environment environment;
};

static uint64_t now_usec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void push(struct ma_hooks *hooks, const struct ma_hook_result *result) {
    uint64_t one = 1;
    pthread_mutex_lock(&hooks->lock);
    size_t max = result->is_verdict ? RESULTS : RESULTS - VERDICTS;
    bool is_taken = hooks->n_results < max;
    if (is_taken) {
        hooks->results[hooks->n_results++] = *result;
    }
    pthread_mutex_unlock(&hooks->lock);
    hooks->n_lost += is_taken ? 0 : 1;
    (void) !write(hooks->event_fd, &one, sizeof(one)); /* full means readable already */
}

static void tell(struct ma_hooks *hooks, struct run *run, enum ma_hook_end end, int value) {
    struct ma_hook_result result = {.ask = run->order.ask,
                                    .is_verdict = end <= MA_HOOK_VETO && run->order.ask != 0,
                                    .end = end,
                                    .value = value,
                                    .is_after = run->order.is_after,
                                    .action = run->order.action};
    if (end != MA_HOOK_AGREED && run->next > 0) {
        memcpy(result.hook, run->files.names[run->next - 1], sizeof(result.hook));
    }
    memcpy(result.uuid, run->order.uuid, sizeof(result.uuid));
    push(hooks, &result);
    if (result.is_verdict) {
        run->order.ask = 0; /* one */
    }
}

static void end_run(struct ma_hooks *hooks, struct run *run) {
    if (run->order.ask != 0) {
        tell(hooks, run, MA_HOOK_AGREED, 0);
    }
    ma_hook_files_free(&run->files);
    *run = (struct run){.is_busy = false};
}

static int start_program(struct ma_hooks *hooks, struct run *run) {
    char path[MA_PATH_MAX + MA_HOOK_NAME_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", hooks->folder, run->files.names[run->next++]);
    if (n < 0 || (size_t) n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    ma_hook_environment_make(&run->order, &hooks->environment);
    int r = ma_child_start(path, hooks->environment.envp, &run->child);
    if (r == 0) {
        ma_child_set_oom_score(&run->child, OOM_SCORE);
        run->has_child = true;
    }
    return r;
}

/* The next program that can be started; without one the run is over. */
static void go_on(struct ma_hooks *hooks, struct run *run) {
    while (run->next < run->files.n) {
        if (run->next > 0 && now_usec() >= run->deadline_usec) {
            tell(hooks, run, MA_HOOK_TIMEOUT, 0); /* the last one took what was left */
            break;
        }
        int r = start_program(hooks, run);
        if (r == 0) {
            return;
        }
        tell(hooks, run, MA_HOOK_NOT_STARTED, r);
    }
    end_run(hooks, run);
}

static void begin_run(struct ma_hooks *hooks, struct run *run, const struct ma_hook_order *order) {
    struct ma_err err = {0};
    *run = (struct run){.is_busy = true, .order = *order};
    run->deadline_usec = ma_add_sat(now_usec(), order->timeout_usec);
    pthread_mutex_lock(&hooks->lock);
    memcpy(hooks->folder, hooks->directory, sizeof(hooks->folder));
    pthread_mutex_unlock(&hooks->lock);
    int r = ma_hook_files_list(hooks->folder, &run->files, NULL, NULL, &err);
    if (r < 0) {
        tell(hooks, run, MA_HOOK_NO_FOLDER, r);
    }
    go_on(hooks, run);
}

static void on_end_of_program(struct ma_hooks *hooks, struct run *run) {
    ma_child_kill(&run->child); /* what it left running ends with it */
    int status = ma_child_reap(&run->child);
    run->has_child = false;
    if (run->is_killed) {
        end_run(hooks, run); /* told at the deadline */
        return;
    }
    if (WIFSIGNALED(status)) {
        tell(hooks, run, MA_HOOK_SIGNAL, WTERMSIG(status));
    } else if (WEXITSTATUS(status) == MA_HOOK_EXIT_VETO &&
               (run->order.ask != 0 || run->order.is_heard)) {
        tell(hooks, run, MA_HOOK_VETO, 0);
        end_run(hooks, run);
        return;
    } else if (WEXITSTATUS(status) != 0) {
        tell(hooks, run, MA_HOOK_STATUS, WEXITSTATUS(status));
    }
    go_on(hooks, run);
}

static void on_deadline(struct ma_hooks *hooks, struct run *run) {
    run->is_killed = true;
    ma_child_kill(&run->child);
    tell(hooks, run, MA_HOOK_TIMEOUT, 0);
    if (run->order.ask != 0) {
        tell(hooks, run, MA_HOOK_AGREED, 0);
    }
}

static bool is_guest_busy(const struct ma_hooks *hooks, const char *uuid) {
    for (size_t i = 0; i < RUNS; i++) {
        if (hooks->runs[i].is_busy && strcmp(hooks->runs[i].order.uuid, uuid) == 0) {
            return true;
        }
    }
    return false;
}

/* The lock is held. A place for it that is free, or NULL. */
static struct run *place_for(struct ma_hooks *hooks, size_t at) {
    const struct ma_hook_order *order = &hooks->queue[at];
    bool is_asked = order->ask != 0;
    /* Who is asked is told nothing else meanwhile worth waiting for: the action waits. */
    for (size_t k = 0; !is_asked && k < at; k++) {
        if (strcmp(hooks->queue[k].uuid, order->uuid) == 0) {
            return NULL;
        }
    }
    if (!is_asked && is_guest_busy(hooks, order->uuid)) {
        return NULL;
    }
    size_t end = is_asked ? RUNS : MA_HOOK_RUNS_TOLD;
    for (size_t i = is_asked ? MA_HOOK_RUNS_TOLD : 0; i < end; i++) {
        if (!hooks->runs[i].is_busy) {
            return &hooks->runs[i];
        }
    }
    return NULL;
}

static bool start_next(struct ma_hooks *hooks) {
    struct ma_hook_order order;
    struct run *run = NULL;
    pthread_mutex_lock(&hooks->lock);
    for (size_t i = 0; i < hooks->n_queued && run == NULL; i++) {
        run = place_for(hooks, i);
        if (run != NULL) {
            order = hooks->queue[i];
            hooks->n_queued--;
            memmove(&hooks->queue[i], &hooks->queue[i + 1],
                    (hooks->n_queued - i) * sizeof(hooks->queue[0]));
        }
    }
    pthread_mutex_unlock(&hooks->lock);
    if (run == NULL) {
        return false;
    }
    begin_run(hooks, run, &order);
    return true;
}

/* Until a program ends, a deadline, an order, or `until`. */
static void wait_for_something(struct ma_hooks *hooks, uint64_t until) {
    struct pollfd fds[RUNS + 1] = {{.fd = hooks->wake_fd, .events = POLLIN}};
    struct run *whose[RUNS + 1] = {NULL};
    uint64_t wakes;
    nfds_t n = 1;
    for (size_t i = 0; i < RUNS; i++) {
        struct run *run = &hooks->runs[i];
        if (run->is_busy && run->has_child) {
            until = run->is_killed ? until : ma_min_u64(until, run->deadline_usec);
            fds[n] = (struct pollfd){.fd = run->child.pidfd, .events = POLLIN};
            whose[n++] = run;
        }
    }
    uint64_t left = ma_sub_floor0(until, now_usec());
    int timeout_ms = until == MA_USEC_INFINITY
                         ? -1
                         : (int) ma_min_u64(left / MA_USEC_PER_MSEC + 1, 1000U * 3600U);
    if (poll(fds, n, timeout_ms) > 0 && fds[0].revents != 0) {
        (void) !read(hooks->wake_fd, &wakes, sizeof(wakes)); /* only resets it */
    }
    uint64_t now = now_usec();
    for (nfds_t i = 1; i < n; i++) {
        if ((fds[i].revents & POLLIN) != 0) {
            on_end_of_program(hooks, whose[i]);
        } else if (!whose[i]->is_killed && now >= whose[i]->deadline_usec) {
            on_deadline(hooks, whose[i]);
        }
    }
}

static bool is_idle(struct ma_hooks *hooks) {
    bool is_idle = true;
    for (size_t i = 0; i < RUNS; i++) {
        is_idle = is_idle && !hooks->runs[i].is_busy;
    }
    pthread_mutex_lock(&hooks->lock);
    is_idle = is_idle && hooks->n_queued == 0;
    pthread_mutex_unlock(&hooks->lock);
    return is_idle;
}

/* What still runs when memarbd's patience is over. Not awaited: a process in the kernel's hands would hold up the stop. */
static void give_up_runs(struct ma_hooks *hooks) {
    for (size_t i = 0; i < RUNS; i++) {
        struct run *run = &hooks->runs[i];
        if (run->is_busy && run->has_child) {
            ma_child_kill(&run->child);
            ma_child_forget(&run->child);
        }
        ma_hook_files_free(&run->files);
    }
}

static void *run_thread(void *userdata) {
    struct ma_hooks *hooks = userdata;
    uint64_t end_usec = MA_USEC_INFINITY;
    while (!hooks->should_end || (now_usec() < end_usec && !is_idle(hooks))) {
        if (hooks->should_end && end_usec == MA_USEC_INFINITY) {
            end_usec = now_usec() + END_USEC;
        }
        while (start_next(hooks)) {
        }
        if (!hooks->should_end || !is_idle(hooks)) {
            wait_for_something(hooks, end_usec);
        }
    }
    give_up_runs(hooks);
    return NULL;
}

int ma_hooks_set_directory(struct ma_hooks *hooks, const char *directory) {
    size_t length = strlen(directory);
    if (length >= sizeof(hooks->directory)) {
        return -ENAMETOOLONG;
    }
    pthread_mutex_lock(&hooks->lock);
    memcpy(hooks->directory, directory, length + 1);
    pthread_mutex_unlock(&hooks->lock);
    return 0;
}

int ma_hooks_create(const char *directory, struct ma_hooks **ret, struct ma_err *err) {
    struct ma_hooks *hooks = calloc(1, sizeof(*hooks));
    if (hooks == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    pthread_mutex_init(&hooks->lock, NULL);
    if (ma_hooks_set_directory(hooks, directory) < 0) {
        free(hooks);
        return ma_err_set(err, -ENAMETOOLONG, "[Hooks] Directory= is too long");
    }
    hooks->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hooks->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = hooks->event_fd < 0 || hooks->wake_fd < 0
                ? errno
                : pthread_create(&hooks->thread, &attr, run_thread, hooks);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        free(hooks);
        return ma_err_set(err, -r, "cannot start the hooks' thread: %s", strerror(r));
    }
    *ret = hooks;
    return 0;
}

static void wake(const struct ma_hooks *hooks) {
    uint64_t one = 1;
    (void) !write(hooks->wake_fd, &one, sizeof(one));
}

void ma_hooks_destroy(struct ma_hooks *hooks) {
    if (hooks == NULL) {
        return;
    }
    hooks->should_end = true;
    wake(hooks);
    pthread_join(hooks->thread, NULL);
    (void) close(hooks->event_fd);
    (void) close(hooks->wake_fd);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
}

int ma_hooks_fd(const struct ma_hooks *hooks) {
    return hooks->event_fd;
}

int ma_hooks_submit(struct ma_hooks *hooks, const struct ma_hook_order *order) {
    pthread_mutex_lock(&hooks->lock);
    /* the last places are for those that are asked: an action waits */
    size_t max = order->ask != 0 ? MA_HOOK_QUEUE : MA_HOOK_QUEUE - MA_HOOK_RUNS_ASKED;
    bool is_taken = hooks->n_queued < max;
    if (is_taken) {
        hooks->queue[hooks->n_queued++] = *order;
    }
    pthread_mutex_unlock(&hooks->lock);
    if (!is_taken) {
        hooks->n_lost++;
        return -EBUSY;
    }
    wake(hooks);
    return 0;
}

bool ma_hooks_pop(struct ma_hooks *hooks, struct ma_hook_result *ret) {
    uint64_t n;
    pthread_mutex_lock(&hooks->lock);
    bool has = hooks->n_results > 0;
    if (has) {
        *ret = hooks->results[0];
        hooks->n_results--;
        memmove(&hooks->results[0], &hooks->results[1],
                hooks->n_results * sizeof(hooks->results[0]));
    }
    if (hooks->n_results == 0) {
        (void) !read(hooks->event_fd, &n, sizeof(n));
    }
    pthread_mutex_unlock(&hooks->lock);
    return has;
}

uint64_t ma_hooks_lost(const struct ma_hooks *hooks) {
    return atomic_load(&hooks->n_lost);
}
