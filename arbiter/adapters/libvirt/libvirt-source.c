/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt-source.c - starting, stopping and the small calls; internal.h has the picture of the threads. */

#include "libvirt-source.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "cleanup.h"
#include "internal.h"

/* Guest figures at most this old (design: 10 s); a call costs libvirtd some 1.5 ms. */
#define STATS_PERIOD_USEC (10 * MA_USEC_PER_SEC)
/* A call takes 1-2 ms, tens on a machine that thrashes. Too short: busy guests are taken for hung ones and cost a
 * thread each; too long: what a hung guest delays is noticed late. Chosen. */
#define CALL_DEADLINE_USEC (2 * MA_USEC_PER_SEC)
#define STATS_WORKERS      2U
#define ACTION_WORKERS     3U
/* The guest's driver answers in about 1 ms of its CPU. As the balloon's own control period. */
#define BALLOON_PERIOD_S 5U
/* Parts of MA_LIBVIRT_STOP_MAX_USEC. */
#define STOP_RESTORE_USEC (1 * MA_USEC_PER_SEC)
#define STOP_THREADS_USEC (1500 * MA_USEC_PER_MSEC)
#define STOP_EVENTS_USEC  (500 * MA_USEC_PER_MSEC)

uint64_t lv_now_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

int lv_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    int r = pthread_condattr_init(&attr);
    if (r != 0) {
        return -r;
    }
    r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (r == 0) {
        r = pthread_cond_init(cond, &attr);
    }
    (void) pthread_condattr_destroy(&attr);
    return -r;
}

void lv_wait_locked(struct ma_libvirt *lv, pthread_cond_t *cond, uint64_t until_usec) {
    if (until_usec == MA_USEC_INFINITY) {
        (void) pthread_cond_wait(cond, &lv->lock);
        return;
    }
    struct timespec t = {.tv_sec = (time_t) (until_usec / MA_USEC_PER_SEC),
                         .tv_nsec = (long) (until_usec % MA_USEC_PER_SEC) * 1000};
    (void) pthread_cond_timedwait(cond, &lv->lock, &t); /* callers look at the clock themselves */
}

static void set_defaults(struct ma_libvirt_config *c) {
    c->stats_period_usec = c->stats_period_usec > 0 ? c->stats_period_usec : STATS_PERIOD_USEC;
    c->call_deadline_usec = c->call_deadline_usec > 0 ? c->call_deadline_usec : CALL_DEADLINE_USEC;
    c->stats_workers = c->stats_workers > 0 ? c->stats_workers : STATS_WORKERS;
    c->action_workers = c->action_workers > 0 ? c->action_workers : ACTION_WORKERS;
    c->max_guests = c->max_guests > 0 ? c->max_guests : MA_GUESTS_MAX;
    c->balloon_period_s = c->balloon_period_s > 0 ? c->balloon_period_s : BALLOON_PERIOD_S;
    c->stats_workers =
        c->stats_workers < LV_STATS_WORKERS_MAX ? c->stats_workers : LV_STATS_WORKERS_MAX;
    c->action_workers =
        c->action_workers < LV_ACTION_WORKERS_MAX ? c->action_workers : LV_ACTION_WORKERS_MAX;
}

static char *default_run_dir(const char *uri) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *dir = NULL;
    if (strstr(uri, "/session") == NULL || runtime == NULL) {
        return strdup("/run/libvirt/qemu");
    }
    return asprintf(&dir, "%s/libvirt/qemu/run", runtime) < 0 ? NULL : dir;
}

static int init_sync(struct ma_libvirt *lv) {
    pthread_cond_t *conds[] = {&lv->room,    &lv->survey, &lv->stats,
                               &lv->actions, &lv->watch,  &lv->done};
    int r = -pthread_mutex_init(&lv->lock, NULL);
    for (size_t i = 0; r == 0 && i < sizeof(conds) / sizeof(conds[0]); i++) {
        r = lv_cond_init(conds[i]);
    }
    return r;
}

static void free_all(struct ma_libvirt *lv) {
    if (lv == NULL) {
        return;
    }
    if (lv->event_fd >= 0) {
        (void) close(lv->event_fd);
    }
    free(lv->uri);
    free(lv->run_dir);
    free(lv->ring);
    free(lv->rules);
    free(lv->old_rules);
    free(lv);
}

static struct ma_libvirt *allocate(const struct ma_libvirt_config *config) {
    struct ma_libvirt *lv = calloc(1, sizeof(*lv));
    if (lv == NULL) {
        return NULL;
    }
    lv->config = *config;
    set_defaults(&lv->config);
    lv->stats_period_usec = lv->config.stats_period_usec;
    lv->uri = strdup(config->uri != NULL ? config->uri : "qemu:///system");
    lv->run_dir = config->run_dir != NULL ? strdup(config->run_dir)
                  : lv->uri != NULL       ? default_run_dir(lv->uri)
                                          : NULL;
    lv->ring = calloc(LV_RING_MAX, sizeof(*lv->ring));
    lv->rules = ma_rules_copy(&config->rules);
    lv->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lv->uri == NULL || lv->run_dir == NULL || lv->ring == NULL || lv->rules == NULL ||
        lv->event_fd < 0 || init_sync(lv) < 0) {
        free_all(lv);
        return NULL;
    }
    TAILQ_INIT(&lv->survey_list);
    TAILQ_INIT(&lv->due_list);
    TAILQ_INIT(&lv->action_list);
    TAILQ_INIT(&lv->period_list);
    lv->last_outcome = &lv->first_outcome;
    lv->actuator = (struct ma_actuator){.name = "libvirt", .self = lv, .submit = lv_submit};
    return lv;
}

static int start_workers_locked(struct ma_libvirt *lv) {
    int r = 0;
    for (unsigned i = 0; r == 0 && i < lv->config.stats_workers; i++) {
        r = lv_worker_start_locked(lv, LV_WORKER_STATS, i);
    }
    for (unsigned i = 0; r == 0 && i < lv->config.action_workers; i++) {
        r = lv_worker_start_locked(lv, LV_WORKER_ACTION, LV_STATS_WORKERS_MAX + i);
    }
    return r == 0 ? lv_worker_start_locked(lv, LV_WORKER_RESERVED, LV_SLOTS - 1) : r;
}

static int start_threads(struct ma_libvirt *lv) {
    lv->is_events_done = true;
    lv->is_survey_done = true;
    lv->is_watch_done = true;
    (void) pthread_mutex_lock(&lv->lock);
    int r = lv_thread_start(&lv->events_thread, lv_events_main, lv);
    if (r == 0) {
        lv->is_events_done = false;
        r = lv_thread_start(&lv->watch_thread, lv_watch_main, lv);
    }
    if (r == 0) {
        lv->is_watch_done = false;
        r = lv_thread_start(&lv->survey_thread, lv_survey_main, lv);
    }
    if (r == 0) {
        lv->is_survey_done = false;
        r = start_workers_locked(lv);
    }
    (void) pthread_mutex_unlock(&lv->lock);
    return r;
}

int ma_libvirt_start(const struct ma_libvirt_config *config,
                     struct ma_libvirt **ret,
                     struct ma_err *err) {
    if (lv_events_init_once() < 0) {
        return ma_err_set(err, -EIO, "libvirt's client library cannot be initialised: %s",
                          virGetLastErrorMessage());
    }
    struct ma_libvirt *lv = allocate(config);
    if (lv == NULL) {
        return ma_err_set(err, -ENOMEM, "no memory for the libvirt adapter");
    }
    if (lv_events_add_timer(lv) < 0) {
        free_all(lv);
        return ma_err_set(err, -ENOMEM, "no timer of libvirt's event loop");
    }
    int r = start_threads(lv);
    if (r < 0) {
        ma_libvirt_stop(lv);
        return ma_err_set(err, r, "threads of the libvirt adapter: %s", strerror(-r));
    }
    *ret = lv;
    return 0;
}

int ma_libvirt_fd(const struct ma_libvirt *lv) {
    return lv->event_fd;
}

const struct ma_actuator *ma_libvirt_actuator(struct ma_libvirt *lv) {
    return &lv->actuator;
}

static void mark_all_dirty_locked(struct ma_libvirt *lv) {
    for (size_t b = 0; b < LV_BUCKETS; b++) {
        for (struct lv_guest *g = lv->buckets[b]; g != NULL; g = g->next_in_bucket) {
            lv_mark_dirty_locked(lv, g, LV_DIRTY_FACTS);
        }
    }
}

int ma_libvirt_set_rules(struct ma_libvirt *lv, const struct ma_guest_rules *rules) {
    static const struct ma_guest_rules none;
    struct ma_guest_rules *copy = ma_rules_copy(rules != NULL ? rules : &none);
    if (copy == NULL) {
        return -ENOMEM;
    }
    (void) pthread_mutex_lock(&lv->lock);
    /* A reading under way uses the first it saw; any that came and went since is used by nobody. */
    if (lv->rules_users > 0 && lv->old_rules == NULL) {
        lv->old_rules = lv->rules;
    } else {
        free(lv->rules);
    }
    lv->rules = copy;
    mark_all_dirty_locked(lv);
    (void) pthread_mutex_unlock(&lv->lock);
    return 0;
}

void ma_libvirt_set_stats_period(struct ma_libvirt *lv, uint64_t period_usec) {
    (void) pthread_mutex_lock(&lv->lock);
    if (period_usec > 0 && period_usec != lv->stats_period_usec) {
        uint64_t by = lv_now_usec() + period_usec;
        lv->stats_period_usec = period_usec;
        /* Those that would come later than one new period are the list's tail, and stay in order. */
        struct lv_guest *g;
        TAILQ_FOREACH(g, &lv->due_list, due_link) {
            g->due_usec = ma_min_u64(g->due_usec, by);
        }
        (void) pthread_cond_broadcast(&lv->stats);
    }
    (void) pthread_mutex_unlock(&lv->lock);
}

static void refresh_locked(struct ma_libvirt *lv, struct lv_guest *g) {
    if (g != NULL && g->is_announced) {
        lv_mark_dirty_locked(lv, g, LV_DIRTY_FACTS | LV_DIRTY_STATE);
        lv_schedule_locked(lv, g, lv_now_usec());
    }
}

void ma_libvirt_refresh(struct ma_libvirt *lv, const char *uuid) {
    (void) pthread_mutex_lock(&lv->lock);
    if (uuid != NULL) {
        refresh_locked(lv, lv_find_locked(lv, uuid));
    } else {
        for (size_t b = 0; b < LV_BUCKETS; b++) {
            for (struct lv_guest *g = lv->buckets[b]; g != NULL; g = g->next_in_bucket) {
                refresh_locked(lv, g);
            }
        }
    }
    (void) pthread_cond_broadcast(&lv->stats);
    (void) pthread_mutex_unlock(&lv->lock);
}

void ma_libvirt_set_leave_balloon_period(struct ma_libvirt *lv, bool should_leave) {
    (void) pthread_mutex_lock(&lv->lock);
    bool is_news = lv->config.leave_balloon_period != should_leave;
    lv->config.leave_balloon_period = should_leave;
    (void) pthread_mutex_unlock(&lv->lock);
    if (is_news && !should_leave) {
        ma_libvirt_refresh(lv, NULL); /* reads the facts anew, and with them sets the period */
    }
}

void ma_libvirt_health(struct ma_libvirt *lv, struct ma_libvirt_health *ret) {
    (void) pthread_mutex_lock(&lv->lock);
    *ret = (struct ma_libvirt_health){.is_connected = lv->is_connected,
                                      .n_guests = lv->n_guests,
                                      .threads_abandoned = lv->n_abandoned,
                                      .stats_calls = lv->stats_calls,
                                      .figures_coalesced = lv->figures_coalesced,
                                      .reconnects = lv->reconnects};
    (void) pthread_mutex_unlock(&lv->lock);
}

/* Guests whose period is still ours and could be put back. */
static size_t count_periods_locked(struct ma_libvirt *lv, bool is_asking) {
    size_t n = 0;
    for (size_t b = 0; b < LV_BUCKETS; b++) {
        for (struct lv_guest *g = lv->buckets[b]; g != NULL; g = g->next_in_bucket) {
            if (g->is_period_ours && !g->is_stuck) {
                n++;
                if (is_asking) {
                    lv_want_period_locked(lv, g, 0);
                }
            }
        }
    }
    return n;
}

static void restore_locked(struct ma_libvirt *lv) {
    uint64_t until = lv_now_usec() + STOP_RESTORE_USEC;
    lv->is_restoring = true;
    if (lv->config.keep_balloon_period || !lv->is_connected) {
        return;
    }
    size_t n = count_periods_locked(lv, true);
    while (n > 0 && lv->is_connected && lv_now_usec() < until) {
        lv_wait_locked(lv, &lv->done, until);
        n = count_periods_locked(lv, false);
    }
}

static bool are_workers_done_locked(const struct ma_libvirt *lv) {
    for (unsigned i = 0; i < LV_WORKERS_MAX; i++) {
        if (lv->workers[i].is_used && !lv->workers[i].is_done) {
            return false;
        }
    }
    return lv->is_survey_done && lv->is_watch_done;
}

static void wake_all_locked(struct ma_libvirt *lv) {
    lv->is_stopping = true;
    (void) pthread_cond_broadcast(&lv->room);
    (void) pthread_cond_broadcast(&lv->survey);
    (void) pthread_cond_broadcast(&lv->stats);
    (void) pthread_cond_broadcast(&lv->actions);
    (void) pthread_cond_broadcast(&lv->watch);
}

/* All that run libvirt calls first; the event loop serves them until then. */
static bool end_threads_locked(struct ma_libvirt *lv) {
    uint64_t until = lv_now_usec() + STOP_THREADS_USEC;
    while (!are_workers_done_locked(lv) && lv_now_usec() < until) {
        lv_wait_locked(lv, &lv->done, until);
    }
    bool is_clean = are_workers_done_locked(lv);
    until = lv_now_usec() + STOP_EVENTS_USEC;
    atomic_store(&lv->stop_events, true);
    lv_events_wake(lv);
    while (!lv->is_events_done && lv_now_usec() < until) {
        lv_wait_locked(lv, &lv->done, until);
    }
    return is_clean && lv->is_events_done;
}

static void join_if(pthread_t thread, bool is_started) {
    if (is_started) {
        (void) pthread_join(thread, NULL); /* it only has to return */
    }
}

void ma_libvirt_stop(struct ma_libvirt *lv) {
    if (lv == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&lv->lock);
    restore_locked(lv);
    wake_all_locked(lv);
    bool is_clean = end_threads_locked(lv);
    (void) pthread_mutex_unlock(&lv->lock);
    if (!is_clean) {
        return; /* what hangs may return at any time and must find its memory */
    }
    for (unsigned i = 0; i < LV_WORKERS_MAX; i++) {
        join_if(lv->workers[i].thread, lv->workers[i].is_used);
    }
    join_if(lv->survey_thread, lv->survey_thread != 0);
    join_if(lv->watch_thread, lv->watch_thread != 0);
    join_if(lv->events_thread, lv->events_thread != 0);
    lv_free_all_guests(lv);
    (void) virEventRemoveTimeout(lv->wake_timer); /* it was added */
    free_all(lv);
}
