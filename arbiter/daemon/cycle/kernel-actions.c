/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kernel-actions.c - a small ring of jobs and two workers.
 *
 * A worker owns its copies of the descriptors (dup): the guest may be dropped from the table meanwhile, and a pid that
 * is reused cannot be meant by a pidfd. One reclaim at a time may sit in a slow swap device without holding up the
 * release of a victim's memory, hence two. Pages of one guest move between nodes at a time: the core plans no more, and
 * there is one set of buffers. */

#include "kernel-actions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "node-move.h"
#include "unit-limits.h"

#define WORKERS 2U
/* Jobs that wait. More than one plan's reclaims: the rest is planned again in the next cycle. */
#define JOBS 64U
/* sd-bus needs more than the kernel's own files do. */
#define STACK_BYTES ((size_t) 256 * 1024)

struct job {
    struct ma_request request;
    struct ma_process process;     /* kill, rebalance: own copies */
    struct ma_cgroup cgroup;       /* reclaim */
    struct ma_limit_request limit; /* cap: dir_fd is its own */
};
struct ma_kernel_actions {
    struct ma_actuator actuator;
    const struct ma_guests *guests;
    pthread_t threads[WORKERS];
    unsigned n_threads;
    int event_fd;
    atomic_bool should_end;
    atomic_bool should_stay; /* pages that are being moved: stop */
    struct ma_node_move_buffers *buffers;
    pthread_mutex_t lock; /* the two rings, is_moving */
    pthread_cond_t wake;
    struct job jobs[JOBS];
    unsigned n_jobs;
    struct ma_outcome outcomes[JOBS + WORKERS + 1];
    unsigned n_outcomes;
    bool is_moving;
    unsigned n_under_way; /* accepted and not yet among the outcomes: each has its place there */
};

static uint64_t now_usec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void push_outcome(struct ma_kernel_actions *a,
                         const struct ma_request *request,
                         enum ma_outcome_result result,
                         const char *detail) {
    struct ma_outcome o = {.id = request->id, .action = request->action, .result = result};
    memcpy(o.uuid, request->uuid, sizeof(o.uuid));
    o.took_usec = ma_sub_floor0(now_usec(), request->submitted_usec);
    (void) snprintf(o.detail, sizeof(o.detail), "%s", detail);
    pthread_mutex_lock(&a->lock);
    a->outcomes[a->n_outcomes++] = o;
    a->n_under_way--;
    pthread_mutex_unlock(&a->lock);
    uint64_t one = 1;
    (void) !write(a->event_fd, &one, sizeof(one)); /* full means readable already */
}

static void run_reclaim(struct ma_kernel_actions *a, struct job *job) {
    struct ma_cgroup_reclaim_request want = {.want_bytes = job->request.to_bytes,
                                             .stop = &a->should_end};
    struct ma_cgroup_reclaim got = {0};
    struct ma_err err = {0};
    int r = ma_cgroup_reclaim_worker(&job->cgroup, &want, &got, &err);
    ma_cgroup_close(&job->cgroup);
    if (r < 0) {
        push_outcome(a, &job->request, r == -ENODEV ? MA_OUTCOME_GONE : MA_OUTCOME_REFUSED,
                     err.message);
        return;
    }
    char detail[96];
    (void) snprintf(detail, sizeof(detail), "asked for %llu MiB, %llu MiB came back",
                    (unsigned long long) (got.asked_bytes / MA_MIB),
                    (unsigned long long) (got.returned_bytes / MA_MIB));
    push_outcome(a, &job->request, MA_OUTCOME_DONE, detail);
}

/* The signal is sent by submit() already; this only helps the memory back sooner. */
static void run_release(struct ma_kernel_actions *a, struct job *job) {
    enum ma_release_result released = MA_RELEASE_UNSUPPORTED;
    struct ma_err err = {0};
    int r = ma_process_release_memory_worker(&job->process, &released, &err);
    ma_process_close(&job->process);
    push_outcome(a, &job->request, MA_OUTCOME_DONE, r < 0 ? err.message : "");
}

static void run_rebalance(struct ma_kernel_actions *a, struct job *job) {
    const struct ma_request *request = &job->request;
    struct ma_node_move_request want = {.want_bytes = request->to_bytes,
                                        .from_node = request->from_node,
                                        .to_node = request->to_node,
                                        .stop = &a->should_stay};
    struct ma_node_moved got = {0};
    struct ma_err err = {0};
    int r = ma_node_move_worker(&job->process, &want, a->buffers, &got, &err);
    ma_process_close(&job->process);
    bool is_vain = r == 0 && got.moved_bytes == 0 && !got.was_stopped;
    enum ma_outcome_result result = r == -ESRCH        ? MA_OUTCOME_GONE
                                    : r < 0 || is_vain ? MA_OUTCOME_REFUSED
                                                       : MA_OUTCOME_DONE;
    char detail[sizeof(((struct ma_outcome *) 0)->detail)];
    (void) snprintf(detail, sizeof(detail), "%llu of %llu MiB moved from node %u to node %u%s",
                    (unsigned long long) (got.moved_bytes / MA_MIB),
                    (unsigned long long) (want.want_bytes / MA_MIB), want.from_node, want.to_node,
                    got.is_full       ? ", which is full"
                    : got.was_stopped ? ", stopped"
                    : got.is_barred   ? ": its memory policy binds them"
                                      : "");
    pthread_mutex_lock(&a->lock);
    a->is_moving = false;
    pthread_mutex_unlock(&a->lock);
    push_outcome(a, request, result, r < 0 ? err.message : detail);
}

/* Lower than what is used, memory.max kills at once: so that is looked at again, for this job has waited its turn. */
static int check_limit(const struct ma_limit_request *limit, struct ma_err *err) {
    const struct ma_cgroup group = {.dir_fd = limit->dir_fd, .layout = MA_CGROUP_V2};
    uint64_t used = 0;
    if (limit->limit != MA_LIMIT_MEMORY_MAX || limit->value == MA_LIMIT_NONE) {
        return 0;
    }
    int r = ma_cgroup_read_current(&group, &used, err);
    return r < 0 ? r : used > limit->value ? ma_err_set(err, -EBUSY, "more is used by now") : 0;
}

static int set_limit(const struct ma_limit_request *limit, struct ma_err *err) {
    int r = check_limit(limit, err);
    if (r < 0) {
        return r;
    }
    return limit->unit[0] != '\0'
               ? ma_unit_set_limit_worker(limit->unit, limit->limit, limit->value, err)
               : ma_cgroup_write_limit_worker(limit->dir_fd, limit->limit, limit->value, err);
}

static void run_limit(struct ma_kernel_actions *a, struct job *job) {
    struct ma_limit_request *limit = &job->limit;
    struct ma_err err = {0};
    int r = set_limit(limit, &err);
    ma_cleanup_close(&limit->dir_fd);
    push_outcome(a, &job->request, r < 0 ? MA_OUTCOME_REFUSED : MA_OUTCOME_DONE, err.message);
}

static void run_job(struct ma_kernel_actions *a, struct job *job) {
    if (job->request.action == MA_ACTION_RECLAIM) {
        run_reclaim(a, job);
    } else if (job->request.action == MA_ACTION_REBALANCE) {
        run_rebalance(a, job);
    } else if (job->request.action == MA_ACTION_CAP) {
        run_limit(a, job);
    } else {
        run_release(a, job);
    }
}

static void *run(void *userdata) {
    struct ma_kernel_actions *a = userdata;
    pthread_mutex_lock(&a->lock);
    while (true) {
        while (a->n_jobs == 0 && !atomic_load(&a->should_end)) {
            pthread_cond_wait(&a->wake, &a->lock);
        }
        if (a->n_jobs == 0) {
            break;
        }
        struct job job = a->jobs[0];
        a->n_jobs--;
        memmove(&a->jobs[0], &a->jobs[1], a->n_jobs * sizeof(a->jobs[0]));
        pthread_mutex_unlock(&a->lock);
        run_job(a, &job);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static int enqueue(struct ma_kernel_actions *a, const struct job *job) {
    int r = 0;
    pthread_mutex_lock(&a->lock);
    if (a->n_jobs >= JOBS || a->n_under_way + a->n_outcomes >= JOBS + WORKERS) {
        r = -EBUSY;
    } else {
        a->jobs[a->n_jobs++] = *job;
        a->n_under_way++;
        pthread_cond_signal(&a->wake);
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

static int submit_reclaim(struct ma_kernel_actions *a,
                          const struct ma_tracked *guest,
                          const struct ma_request *request) {
    if (guest->cgroup.dir_fd < 0 || guest->cgroup.is_shared ||
        guest->cgroup.layout != MA_CGROUP_V2) {
        return -EOPNOTSUPP;
    }
    struct job job = {.request = *request, .cgroup = guest->cgroup};
    job.cgroup.dir_fd = fcntl(guest->cgroup.dir_fd, F_DUPFD_CLOEXEC, 3);
    if (job.cgroup.dir_fd < 0) {
        return -errno;
    }
    int r = enqueue(a, &job);
    if (r < 0) {
        ma_cgroup_close(&job.cgroup);
    }
    return r;
}

static int own_process(const struct ma_tracked *guest, struct ma_process *ret) {
    if (guest->process.pid == 0) {
        return -ENOENT;
    }
    *ret = guest->process;
    ret->pidfd = fcntl(guest->process.pidfd, F_DUPFD_CLOEXEC, 3);
    ret->dir_fd = fcntl(guest->process.dir_fd, F_DUPFD_CLOEXEC, 3);
    return 0;
}

static int submit_rebalance(struct ma_kernel_actions *a,
                            const struct ma_tracked *guest,
                            const struct ma_request *request) {
    struct job job = {.request = *request};
    int r = own_process(guest, &job.process);
    if (r < 0) {
        return r;
    }
    pthread_mutex_lock(&a->lock);
    bool is_free = !a->is_moving && job.process.pidfd >= 0 && job.process.dir_fd >= 0;
    if (is_free) {
        a->is_moving = true;
        atomic_store(&a->should_stay, false);
    }
    pthread_mutex_unlock(&a->lock);
    r = is_free ? enqueue(a, &job) : -EBUSY;
    if (r < 0) {
        ma_process_close(&job.process);
    }
    if (r < 0 && is_free) {
        pthread_mutex_lock(&a->lock);
        a->is_moving = false;
        pthread_mutex_unlock(&a->lock);
    }
    return r;
}

void ma_kernel_actions_stop_rebalance(struct ma_kernel_actions *a) {
    atomic_store(&a->should_stay, true);
}

static int submit_kill(struct ma_kernel_actions *a,
                       const struct ma_tracked *guest,
                       const struct ma_request *request) {
    struct ma_err err = {0};
    struct job job = {.request = *request};
    int r = own_process(guest, &job.process);
    if (r < 0) {
        return r;
    }
    r = ma_process_kill(&guest->process, &err);
    if (r == 0 || r == -ESRCH) {
        if (enqueue(a, &job) == 0) {
            return 0;
        }
        r = 0; /* dead all the same; only nobody helps its memory back */
    }
    ma_process_close(&job.process);
    return r;
}

int ma_kernel_actions_limit(struct ma_kernel_actions *a, const struct ma_limit_request *request) {
    struct job job = {
        .request = {.id = request->id, .action = MA_ACTION_CAP, .submitted_usec = now_usec()},
        .limit = *request,
    };
    memcpy(job.request.uuid, request->uuid, sizeof(job.request.uuid));
    job.limit.dir_fd = fcntl(request->dir_fd, F_DUPFD_CLOEXEC, 3);
    if (job.limit.dir_fd < 0) {
        return -errno;
    }
    int r = enqueue(a, &job);
    if (r < 0) {
        ma_cleanup_close(&job.limit.dir_fd);
    }
    return r;
}

static int submit(void *self, const struct ma_request *request) {
    struct ma_kernel_actions *a = self;
    const struct ma_tracked *guest = ma_guests_find(a->guests, request->uuid);
    if (guest == NULL) {
        return -ENOENT;
    }
    if (request->action == MA_ACTION_RECLAIM) {
        return submit_reclaim(a, guest, request);
    }
    if (request->action == MA_ACTION_KILL) {
        return submit_kill(a, guest, request);
    }
    if (request->action == MA_ACTION_REBALANCE) {
        return submit_rebalance(a, guest, request);
    }
    return -EOPNOTSUPP;
}

int ma_kernel_actions_create(const struct ma_guests *guests,
                             struct ma_kernel_actions **ret,
                             struct ma_err *err) {
    struct ma_kernel_actions *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    a->guests = guests;
    a->buffers = malloc(sizeof(*a->buffers));
    a->actuator = (struct ma_actuator){"kernel", a, submit};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = a->event_fd < 0 ? errno : a->buffers == NULL ? ENOMEM : 0;
    while (r == 0 && a->n_threads < WORKERS) {
        r = pthread_create(&a->threads[a->n_threads], &attr, run, a);
        a->n_threads += r == 0 ? 1 : 0;
    }
    pthread_attr_destroy(&attr);
    if (r != 0) {
        ma_kernel_actions_destroy(a);
        return ma_err_set(err, -r, "cannot start the kernel workers: %s", strerror(r));
    }
    *ret = a;
    return 0;
}

void ma_kernel_actions_destroy(struct ma_kernel_actions *a) {
    if (a == NULL) {
        return;
    }
    pthread_mutex_lock(&a->lock);
    atomic_store(&a->should_end, true);
    atomic_store(&a->should_stay, true);
    pthread_cond_broadcast(&a->wake);
    pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < a->n_threads; i++) {
        pthread_join(a->threads[i], NULL);
    }
    if (a->event_fd >= 0) {
        (void) close(a->event_fd);
    }
    free(a->buffers);
    free(a);
}

int ma_kernel_actions_fd(const struct ma_kernel_actions *a) {
    return a->event_fd;
}

bool ma_kernel_actions_pop(struct ma_kernel_actions *a, struct ma_outcome *ret) {
    bool has = false;
    pthread_mutex_lock(&a->lock);
    if (a->n_outcomes > 0) {
        *ret = a->outcomes[0];
        a->n_outcomes--;
        memmove(&a->outcomes[0], &a->outcomes[1], a->n_outcomes * sizeof(a->outcomes[0]));
        has = true;
    } else {
        uint64_t n;
        (void) !read(a->event_fd, &n, sizeof(n));
    }
    pthread_mutex_unlock(&a->lock);
    return has;
}

const struct ma_actuator *ma_kernel_actions_actuator(struct ma_kernel_actions *a) {
    return &a->actuator;
}
