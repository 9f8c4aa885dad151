/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* watch.c - deadlines. Makes no call into libvirt, so nothing can hold it up but a full ring. */

#include <stdio.h>

#include "cleanup.h"
#include "internal.h"

static void give_up_locked(struct ma_libvirt *lv, struct lv_worker *w) {
    struct lv_guest *g = w->guest;
    w->is_abandoned = true;
    lv->n_abandoned++;
    g->hung++;
    if (w->is_request) {
        lv_post_outcome_locked(lv, g, MA_OUTCOME_TIMEOUT, "the call has not returned");
    }
    /* Without a replacement this worker serves on when its call returns. */
    if (lv->n_abandoned <= LV_ABANDONED_MAX && lv_worker_start_locked(lv, w->kind, w->slot) == 0) {
        w->is_replaced = true;
    }
    lv_settle_stuck_locked(lv, g); /* the last: it may wait */
}

/* true: something was done, and the state may have changed meanwhile. */
static bool look_at_workers_locked(struct ma_libvirt *lv, uint64_t now, uint64_t *next) {
    for (unsigned i = 0; i < LV_WORKERS_MAX; i++) {
        struct lv_worker *w = &lv->workers[i];
        if (!w->is_used || w->deadline_usec == 0 || w->is_abandoned) {
            continue;
        }
        if (w->deadline_usec <= now) {
            give_up_locked(lv, w);
            return true;
        }
        *next = ma_min_u64(*next, w->deadline_usec);
    }
    return false;
}

static bool look_at_queue_locked(struct ma_libvirt *lv, uint64_t now, uint64_t *next) {
    struct lv_guest *g;
    TAILQ_FOREACH(g, &lv->action_list, action_link) {
        if (g->request.deadline_usec <= now) {
            TAILQ_REMOVE(&lv->action_list, g, action_link);
            lv_post_outcome_locked(lv, g, MA_OUTCOME_TIMEOUT, "no worker was free to begin it");
            lv_unref_locked(lv, g);
            return true;
        }
        *next = ma_min_u64(*next, g->request.deadline_usec);
    }
    return false;
}

void *lv_watch_main(void *opaque) {
    struct ma_libvirt *lv = opaque;
    (void) pthread_mutex_lock(&lv->lock);
    while (!lv->is_stopping) {
        uint64_t now = lv_now_usec();
        uint64_t next = MA_USEC_INFINITY;
        lv->watch_until_usec = 0; /* awake */
        if (look_at_workers_locked(lv, now, &next) || look_at_queue_locked(lv, now, &next)) {
            continue;
        }
        lv->watch_until_usec = next;
        lv_wait_locked(lv, &lv->watch, next);
    }
    lv->is_watch_done = true;
    (void) pthread_cond_broadcast(&lv->done);
    (void) pthread_mutex_unlock(&lv->lock);
    return NULL;
}
