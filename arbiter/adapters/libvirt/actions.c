/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* actions.c - requests from the loop, carried out on workers.
 *
 * submit() only copies the request into its guest and wakes a worker: the place was there before, so nothing is
 * allocated and there is always room. A request whose deadline passes gets its TIMEOUT from the watch, begun or not;
 * the worker in a call that does not return is left to it. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"
#include "resize.h"

/* After our own suspend returned its event may still be on the way, through another connection. Too short: our pause
 * passes for an operator's; too long: an operator's for ours. Measured: under 50 ms on a busy machine. */
#define OWN_EVENT_USEC MA_USEC_PER_SEC

static bool is_ours(enum ma_action action) {
    switch (action) {
    case MA_ACTION_BALLOON:
    case MA_ACTION_RESIZE:
    case MA_ACTION_PAUSE:
    case MA_ACTION_RESUME:
    case MA_ACTION_SAVE:
    case MA_ACTION_SHUTDOWN:
    case MA_ACTION_KILL:
        return true;
    case MA_ACTION_RECLAIM:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_REBALANCE:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
    default:
        return false;
    }
}

static bool is_urgent(enum ma_action action) {
    return action == MA_ACTION_KILL || action == MA_ACTION_RESUME;
}

static int accept_locked(struct ma_libvirt *lv, const struct ma_request *request) {
    struct lv_guest *g = lv_find_locked(lv, request->uuid);
    if (!lv->is_connected || lv->is_stopping || lv->is_restoring) {
        return -ENOTCONN;
    }
    if (g == NULL || !g->is_announced) {
        return -ENOENT;
    }
    if (g->phase != LV_ACTION_IDLE || (g->is_stuck && request->action != MA_ACTION_KILL)) {
        return -EBUSY;
    }
    g->request = *request;
    g->submitted_usec = lv_now_usec();
    g->phase = LV_ACTION_QUEUED;
    lv_ref_locked(g);
    TAILQ_INSERT_TAIL(&lv->action_list, g, action_link);
    /* All: the reserved worker may not be the one that a single signal wakes. */
    (void) pthread_cond_broadcast(&lv->actions);
    if (request->deadline_usec < lv->watch_until_usec) {
        (void) pthread_cond_signal(&lv->watch);
    }
    return 0;
}

int lv_submit(void *self, const struct ma_request *request) {
    struct ma_libvirt *lv = self;
    if (!is_ours(request->action)) {
        return -EOPNOTSUPP;
    }
    (void) pthread_mutex_lock(&lv->lock);
    int r = accept_locked(lv, request);
    (void) pthread_mutex_unlock(&lv->lock);
    return r;
}

/* What a worker needs, copied so that nothing of the guest is touched during the call. */
struct job {
    enum ma_action action;
    uint64_t to_bytes;
    bool is_shrink;
};

static int set_balloon(virDomainPtr dom, const struct job *job) {
    /* Never more taken, and never more given, than was asked. */
    uint64_t kib = (job->is_shrink ? ma_round_up(job->to_bytes, MA_KIB) : job->to_bytes) / MA_KIB;
    return virDomainSetMemoryFlags(dom, (unsigned long) kib, VIR_DOMAIN_AFFECT_LIVE);
}

/* 0, -1 with libvirt's error, -EOPNOTSUPP. */
static int perform(virDomainPtr dom, const struct job *job) {
    switch (job->action) {
    case MA_ACTION_BALLOON:
        return set_balloon(dom, job);
    case MA_ACTION_RESIZE:
        return lv_resize(dom, job->to_bytes);
    case MA_ACTION_PAUSE:
        return virDomainSuspend(dom);
    case MA_ACTION_RESUME:
        return virDomainResume(dom);
    case MA_ACTION_SAVE:
        return virDomainManagedSave(dom, 0);
    case MA_ACTION_SHUTDOWN:
        return virDomainShutdownFlags(dom, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
    case MA_ACTION_KILL:
        return virDomainDestroyFlags(dom, VIR_DOMAIN_DESTROY_DEFAULT);
    case MA_ACTION_RECLAIM:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_REBALANCE:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
    default:
        return -EOPNOTSUPP;
    }
}

struct verdict {
    enum ma_outcome_result result;
    bool is_alive;
    char detail[sizeof(((struct ma_outcome *) 0)->detail)];
};

static enum ma_outcome_result result_of_error(virDomainPtr dom) {
    int code = virGetLastErrorCode();
    if (code == VIR_ERR_NO_DOMAIN) {
        return MA_OUTCOME_GONE;
    }
    if (code == VIR_ERR_OPERATION_TIMEOUT || code == VIR_ERR_AGENT_UNRESPONSIVE) {
        return MA_OUTCOME_TIMEOUT;
    }
    /* "not valid" is also what libvirt says of a domain that has just ended. */
    if (code == VIR_ERR_OPERATION_INVALID && virDomainIsActive(dom) == 0) {
        return MA_OUTCOME_GONE;
    }
    return MA_OUTCOME_REFUSED;
}

static void judge(struct lv_worker *w, virDomainPtr dom, int r, struct verdict *v) {
    *v = (struct verdict){.result = MA_OUTCOME_DONE, .is_alive = true};
    if (r == 0) {
        return;
    }
    const char *why = r == -EOPNOTSUPP ? "the guest has no such device" : virGetLastErrorMessage();
    (void) snprintf(v->detail, sizeof(v->detail), "%s", why);
    v->is_alive = virConnectIsAlive(w->conn) == 1;
    if (!v->is_alive) {
        /* It may have been done or not: only time will tell. */
        v->result = dom != NULL ? MA_OUTCOME_TIMEOUT : MA_OUTCOME_DROPPED;
    } else if (r == -EOPNOTSUPP) {
        v->result = MA_OUTCOME_REFUSED;
    } else {
        v->result = dom != NULL ? result_of_error(dom) : MA_OUTCOME_GONE;
    }
}

static void own_event_locked(struct lv_guest *g, enum ma_action action, uint64_t until_usec) {
    if (action == MA_ACTION_PAUSE || action == MA_ACTION_SAVE) {
        g->own_pause_until_usec = until_usec;
    } else if (action == MA_ACTION_RESUME) {
        g->own_resume_until_usec = until_usec;
    }
}

static void run_locked(struct lv_worker *w, struct lv_guest *g) {
    struct ma_libvirt *lv = w->lv;
    struct verdict v;
    struct job job = {.action = g->request.action, .to_bytes = g->request.to_bytes};
    uint64_t id = g->request.id;
    job.is_shrink =
        g->has_figures && g->figures.has_actual && job.to_bytes < g->figures.actual_bytes;
    g->phase = LV_ACTION_RUNNING;
    w->is_request = true;
    own_event_locked(g, job.action, MA_USEC_INFINITY);
    lv_call_begin_locked(w, g, g->request.deadline_usec);
    (void) pthread_mutex_unlock(&lv->lock);
    virDomainPtr dom = lv_worker_dom(w, g);
    judge(w, dom, dom != NULL ? perform(dom, &job) : -1, &v);
    if (dom != NULL) {
        (void) virDomainFree(dom); /* fails on an invalid pointer only */
    }
    (void) pthread_mutex_lock(&lv->lock);
    bool is_given_up = lv_call_end_locked(w);
    w->is_broken = !v.is_alive;
    own_event_locked(g, job.action,
                     v.result == MA_OUTCOME_DONE ? lv_now_usec() + OWN_EVENT_USEC : 0);
    if (!is_given_up && g->phase == LV_ACTION_RUNNING && g->request.id == id) {
        lv_post_outcome_locked(lv, g, v.result, v.detail);
    }
    lv_settle_stuck_locked(lv, g);
    lv_unref_locked(lv, g); /* of the call */
}

/* With the queue's reference. */
static struct lv_guest *take_request_locked(struct lv_worker *w) {
    struct lv_guest *g;
    TAILQ_FOREACH(g, &w->lv->action_list, action_link) {
        if (w->kind == LV_WORKER_ACTION || is_urgent(g->request.action)) {
            TAILQ_REMOVE(&w->lv->action_list, g, action_link);
            return g;
        }
    }
    return NULL;
}

/* The period of a guest's balloon statistics. */
static bool period_step_locked(struct lv_worker *w) {
    struct ma_libvirt *lv = w->lv;
    struct lv_guest *g = TAILQ_FIRST(&lv->period_list);
    if (g == NULL) {
        return false;
    }
    unsigned seconds = g->period_wanted_s;
    TAILQ_REMOVE(&lv->period_list, g, period_link);
    g->wants_period = false;
    if (g->is_stuck) {
        return true; /* the survey asks again when it is back */
    }
    w->is_request = false;
    lv_call_begin_locked(w, g, lv_now_usec() + lv->config.call_deadline_usec);
    (void) pthread_mutex_unlock(&lv->lock);
    virDomainPtr dom = lv_worker_dom(w, g);
    int r = dom != NULL ? virDomainSetMemoryStatsPeriod(dom, (int) seconds, VIR_DOMAIN_AFFECT_LIVE)
                        : -1;
    bool is_alive = virConnectIsAlive(w->conn) == 1;
    if (dom != NULL) {
        (void) virDomainFree(dom); /* fails on an invalid pointer only */
    }
    (void) pthread_mutex_lock(&lv->lock);
    (void) lv_call_end_locked(w);
    w->is_broken = !is_alive;
    if (r == 0) {
        g->is_period_ours = seconds != 0;
    }
    lv_settle_stuck_locked(lv, g);
    lv_unref_locked(lv, g);
    (void) pthread_cond_broadcast(&lv->done);
    return true;
}

bool lv_action_step_locked(struct lv_worker *w) {
    struct lv_guest *g = take_request_locked(w);
    if (g != NULL) {
        run_locked(w, g);
        lv_unref_locked(w->lv, g); /* of the queue */
        return true;
    }
    return w->kind == LV_WORKER_ACTION && period_step_locked(w);
}
