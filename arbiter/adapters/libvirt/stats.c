/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stats.c - one guest's figures, on a worker.
 *
 * Asked one guest at a time: in libvirt's bulk call one stopped QEMU holds up the answer for all, NOWAIT or not.
 * virDomainGetControlInfo, which takes no job, comes first: where somebody else's call already hangs it says so, and
 * this worker is not caught as well. Measured for both together on five guests: 0.3 ms of
 * our CPU and 0.6 to 0.75 ms of libvirtd's. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"

/* A job held for shorter is an ordinary call of somebody else, which ours will wait for. */
#define OCCUPIED_AFTER_MS 1000U

struct answer {
    bool is_alive; /* the connection is */
    bool is_occupied;
    bool is_in_job;
    bool has_record;
    virDomainStatsRecordPtr *records;
    uint64_t asked_usec;
    uint64_t taken_usec;
};

/* A background job that moves or saves the guest's memory; a backup does not. */
static bool is_moving(virDomainPtr dom) {
    int type = 0;
    int n = 0;
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    virTypedParameterPtr params = NULL;
    if (virDomainGetJobStats(dom, &type, &params, &n, 0) < 0 || type == VIR_DOMAIN_JOB_NONE) {
        return false;
    }
    if (virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation) != 1) {
        operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    }
    virTypedParamsFree(params, n);
    return operation != VIR_DOMAIN_JOB_OPERATION_BACKUP;
}

static void ask(struct lv_worker *w, virDomainPtr dom, struct answer *a) {
    virDomainControlInfo control = {0};
    virDomainPtr doms[2] = {dom, NULL};
    /* A driver without it (test) has no QEMU that could hang. */
    if (virDomainGetControlInfo(dom, &control, 0) == 0) {
        a->is_occupied = (control.state == VIR_DOMAIN_CONTROL_OCCUPIED ||
                          control.state == VIR_DOMAIN_CONTROL_ERROR) &&
                         control.stateTime >= OCCUPIED_AFTER_MS;
        a->is_in_job = control.state == VIR_DOMAIN_CONTROL_JOB;
    }
    if (!a->is_occupied) {
        a->is_in_job = a->is_in_job && is_moving(dom);
        a->asked_usec = lv_now_usec();
        int n = virDomainListGetStats(doms, VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_CPU_TOTAL,
                                      &a->records, 0);
        a->has_record = n == 1;
    }
    a->is_alive = virConnectIsAlive(w->conn) == 1;
    a->taken_usec = lv_now_usec();
}

static void ask_guest(struct lv_worker *w, struct lv_guest *g, struct answer *a) {
    *a = (struct answer){.is_alive = true};
    virDomainPtr dom = lv_worker_dom(w, g);
    if (dom == NULL) {
        a->is_alive = virConnectIsAlive(w->conn) == 1;
        return;
    }
    ask(w, dom, a);
    (void) virDomainFree(dom); /* fails on an invalid pointer only */
}

static void take_job_locked(struct ma_libvirt *lv, struct lv_guest *g, bool is_in_job) {
    if (g->is_in_job == is_in_job) {
        return;
    }
    g->is_in_job = is_in_job;
    lv_mark_dirty_locked(lv, g, LV_DIRTY_STATE);
}

static void take_answer_locked(struct ma_libvirt *lv, struct lv_guest *g, const struct answer *a) {
    struct ma_source_figures figures;
    if (a->is_alive) {
        g->is_occupied = a->is_occupied;
        if (!a->is_occupied) {
            take_job_locked(lv, g, a->is_in_job);
        }
    }
    lv_settle_stuck_locked(lv, g);
    if (a->has_record && g->is_announced) {
        lv_figures_read(a->records[0]->params, a->records[0]->nparams, a->taken_usec, &g->memory,
                        &figures);
        lv_figures_prefer_event(&g->memory, a->asked_usec, &figures);
        lv_post_figures_locked(lv, g, &figures);
    }
}

bool lv_stats_step_locked(struct lv_worker *w) {
    struct ma_libvirt *lv = w->lv;
    struct lv_guest *g = TAILQ_FIRST(&lv->due_list);
    struct answer a;
    uint64_t now = lv_now_usec();
    if (!lv->is_connected || g == NULL || g->due_usec > now) {
        return false;
    }
    TAILQ_REMOVE(&lv->due_list, g, due_link);
    g->is_in_due = false;
    g->is_asked = true;
    lv->stats_calls++;
    lv_call_begin_locked(w, g, now + lv->config.call_deadline_usec);
    (void) pthread_mutex_unlock(&lv->lock);
    ask_guest(w, g, &a);
    (void) pthread_mutex_lock(&lv->lock);
    (void) lv_call_end_locked(w);
    g->is_asked = false;
    if (!g->is_ended) {
        take_answer_locked(lv, g, &a);
        uint64_t next = g->due_usec + lv->stats_period_usec;
        lv_schedule_locked(lv, g, ma_max_u64(next, now + lv->stats_period_usec / 2));
    }
    lv_unref_locked(lv, g);
    w->is_broken = !a.is_alive;
    (void) pthread_mutex_unlock(&lv->lock);
    if (a.records != NULL) {
        virDomainStatsRecordListFree(a.records);
    }
    (void) pthread_mutex_lock(&lv->lock);
    return true;
}

uint64_t lv_stats_next_locked(const struct ma_libvirt *lv) {
    const struct lv_guest *g = TAILQ_FIRST(&lv->due_list);
    return g != NULL && lv->is_connected ? g->due_usec : MA_USEC_INFINITY;
}
