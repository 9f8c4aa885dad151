/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* workers.c - threads that make calls which may never return, and how they are given up.
 *
 * A worker notes the guest and a deadline before each call. When the deadline passes the watch marks the guest's call
 * as hung and starts another worker in its place; the old one ends, with its connection, whenever its call returns.
 * At most LV_ABANDONED_MAX are given up at a time: then a caught worker is not replaced, and serves on when it is back. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"

/* Before a connection that could not be opened is tried again. */
#define REOPEN_USEC (500 * MA_USEC_PER_MSEC)

virDomainPtr lv_worker_dom(struct lv_worker *w, struct lv_guest *g) {
    struct ma_libvirt *lv = w->lv;
    struct lv_dom *place = &g->doms[w->slot];
    virDomainPtr dom = NULL;
    (void) pthread_mutex_lock(&lv->lock);
    if (place->serial == w->serial && place->dom != NULL && virDomainRef(place->dom) == 0) {
        dom = place->dom;
    }
    (void) pthread_mutex_unlock(&lv->lock);
    if (dom != NULL) {
        return dom;
    }
    dom = virDomainLookupByUUIDString(w->conn, g->uuid);
    if (dom == NULL || virDomainRef(dom) < 0) {
        return dom;
    }
    struct lv_dom mine = {dom, w->serial};
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_dom old = *place;
    *place = mine;
    (void) pthread_mutex_unlock(&lv->lock);
    if (old.dom != NULL) {
        (void) virDomainFree(old.dom); /* fails on an invalid pointer only */
    }
    return dom;
}

void lv_call_begin_locked(struct lv_worker *w, struct lv_guest *g, uint64_t deadline_usec) {
    lv_ref_locked(g);
    w->guest = g;
    w->deadline_usec = deadline_usec;
    if (deadline_usec < w->lv->watch_until_usec) {
        (void) pthread_cond_signal(&w->lv->watch);
    }
}

bool lv_call_end_locked(struct lv_worker *w) {
    bool is_given_up = w->is_abandoned;
    if (is_given_up) {
        w->is_abandoned = false;
        w->lv->n_abandoned--;
        w->guest->hung--;
    }
    w->guest = NULL;
    w->deadline_usec = 0;
    w->is_request = false;
    return is_given_up;
}

static bool is_connection_wanted_locked(const struct lv_worker *w) {
    const struct ma_libvirt *lv = w->lv;
    bool is_good = w->conn != NULL && !w->is_broken && w->conn_epoch == lv->epoch;
    return lv->is_connected && !is_good && lv_now_usec() >= w->retry_usec;
}

static void open_connection_locked(struct lv_worker *w) {
    struct ma_libvirt *lv = w->lv;
    uint64_t epoch = lv->epoch;
    uint64_t serial = ++lv->next_serial;
    (void) pthread_mutex_unlock(&lv->lock);
    if (w->conn != NULL) {
        (void) virConnectClose(w->conn); /* guests' domains may keep it a little longer */
    }
    w->conn = lv_open(lv, w->kind == LV_WORKER_STATS);
    w->serial = serial;
    (void) pthread_mutex_lock(&lv->lock);
    w->conn_epoch = epoch;
    w->is_broken = false;
    w->retry_usec = w->conn != NULL ? 0 : lv_now_usec() + REOPEN_USEC;
}

static bool step_locked(struct lv_worker *w) {
    if (is_connection_wanted_locked(w)) {
        open_connection_locked(w);
        return true;
    }
    if (w->conn == NULL || w->is_broken || !w->lv->is_connected || w->conn_epoch != w->lv->epoch) {
        return false;
    }
    return w->kind == LV_WORKER_STATS ? lv_stats_step_locked(w) : lv_action_step_locked(w);
}

static void wait_locked(struct lv_worker *w) {
    struct ma_libvirt *lv = w->lv;
    bool is_stats = w->kind == LV_WORKER_STATS;
    uint64_t until = MA_USEC_INFINITY;
    if (lv->is_connected && (w->conn == NULL || w->is_broken)) {
        until = w->retry_usec;
    } else if (is_stats) {
        until = lv_stats_next_locked(lv);
    }
    lv_wait_locked(lv, is_stats ? &lv->stats : &lv->actions, until);
}

void *lv_worker_main(void *opaque) {
    struct lv_worker *w = opaque;
    struct ma_libvirt *lv = w->lv;
    (void) pthread_mutex_lock(&lv->lock);
    while (!lv->is_stopping && !w->is_replaced) {
        if (lv->trash != NULL) {
            (void) pthread_mutex_unlock(&lv->lock);
            lv_empty_trash(lv);
            (void) pthread_mutex_lock(&lv->lock);
        } else if (!step_locked(w)) {
            wait_locked(w);
        }
    }
    (void) pthread_mutex_unlock(&lv->lock);
    if (w->conn != NULL) {
        (void) virConnectClose(w->conn); /* guests' domains may keep it a little longer */
    }
    (void) pthread_mutex_lock(&lv->lock);
    w->is_done = true;
    (void) pthread_cond_broadcast(&lv->done);
    (void) pthread_mutex_unlock(&lv->lock);
    return NULL;
}

static struct lv_worker *free_place_locked(struct ma_libvirt *lv) {
    for (unsigned i = 0; i < LV_WORKERS_MAX; i++) {
        struct lv_worker *w = &lv->workers[i];
        if (w->is_used && w->is_done) {
            (void) pthread_join(w->thread, NULL); /* it only has to return */
            w->is_used = false;
        }
        if (!w->is_used) {
            return w;
        }
    }
    return NULL;
}

int lv_thread_start(pthread_t *thread, void *(*body)(void *), void *argument) {
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r != 0) {
        return -r;
    }
    r = pthread_attr_setstacksize(&attr, LV_STACK_BYTES);
    if (r == 0) {
        r = pthread_create(thread, &attr, body, argument);
    }
    (void) pthread_attr_destroy(&attr);
    return -r;
}

int lv_worker_start_locked(struct ma_libvirt *lv, enum lv_worker_kind kind, unsigned slot) {
    struct lv_worker *w = free_place_locked(lv);
    if (w == NULL) {
        return -EAGAIN;
    }
    *w = (struct lv_worker){.lv = lv, .kind = kind, .slot = slot};
    int r = lv_thread_start(&w->thread, lv_worker_main, w);
    w->is_used = r == 0;
    return r;
}
