/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* survey.c - connects, and keeps the table of guests like libvirt's.
 *
 *   1 open; register for events; list; what the table has and the list lacks has ended
 *   2 read each guest that is dirty: new, changed by an event, or touched by new rules
 *   3 LIST_DONE; then 2 again whenever an event marks a guest, until the connection breaks
 *
 * Registering comes before listing: an event in between marks a guest that the list brings anyway, while the other
 * order would lose it. A guest is only announced after a look at its state that follows its entry into the table: one
 * that ended before it was entered is seen there, one that ends later is seen by the event. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "survey.h"

/* Between two attempts to connect. Too short: a libvirtd that starts under load is hammered; too long: blind for so
 * long after it is back. Chosen. */
#define BACKOFF_MIN_USEC (200 * MA_USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (5 * MA_USEC_PER_SEC)
/* Before a guest is read again whose reading failed although the connection lives. */
#define REREAD_USEC MA_USEC_PER_SEC

/* true: gone or not running. */
static bool is_gone(void) {
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
}

static const struct ma_guest_rules *use_rules_locked(struct ma_libvirt *lv) {
    lv->rules_users++;
    return lv->rules;
}

static void drop_rules_locked(struct ma_libvirt *lv) {
    if (--lv->rules_users == 0) {
        free(ma_steal(&lv->old_rules));
    }
}

/* What events tell by themselves, with who did it. */
static bool is_plain(enum ma_guest_state state) {
    return state == MA_GUEST_RUNNING || state == MA_GUEST_PAUSED;
}

/* Posts the state just read, unless an event has told a newer one meanwhile. */
static void apply_state_locked(struct ma_libvirt *lv,
                               struct lv_guest *g,
                               enum ma_guest_state state,
                               uint64_t events_before) {
    if (!lv_wait_room_locked(lv, g) || !g->is_announced) {
        return;
    }
    bool is_old = g->state_events != events_before;
    if (is_old) {
        lv_mark_dirty_locked(lv, g, LV_DIRTY_STATE);
    }
    if (g->is_in_job && state == MA_GUEST_RUNNING) {
        state = MA_GUEST_MIGRATING;
    }
    bool is_news =
        g->sent_state.state != state && !(is_plain(state) && is_plain(g->sent_state.state));
    if (!is_old && (g->must_send || is_news)) {
        lv_post_state_locked(lv, g, (struct ma_source_state){.state = state});
    }
    g->must_send = g->must_send && is_old;
    if (!g->is_in_due) {
        lv_schedule_locked(lv, g, lv_now_usec());
    }
}

/* false: the connection is of no use any more. */
static bool
survey_domain_locked(struct ma_libvirt *lv, struct lv_guest *g, virDomainPtr dom, unsigned dirty) {
    int state = 0;
    int reason = 0;
    enum ma_guest_state said;
    struct lv_reading reading;
    uint64_t events_before = g->state_events;
    bool wants_facts = (dirty & LV_DIRTY_FACTS) != 0 || !g->is_announced || g->must_send;
    const struct ma_guest_rules *rules = use_rules_locked(lv);
    (void) pthread_mutex_unlock(&lv->lock);
    int r = virDomainGetState(dom, &state, &reason, 0);
    bool is_ended = r < 0 ? is_gone() : !lv_state_of(state, reason, &said);
    bool is_alive = r == 0;
    if (r == 0 && !is_ended && wants_facts) {
        is_alive = lv_reading_take(dom, &reading);
    }
    (void) pthread_mutex_lock(&lv->lock);
    if (is_ended) {
        lv_end_locked(lv, g);
    } else if (r == 0 && wants_facts && is_alive) {
        lv_apply_reading_locked(lv, g, &reading, rules);
    }
    if (!is_ended && is_alive) {
        apply_state_locked(lv, g, said, events_before);
    }
    drop_rules_locked(lv);
    if (r == 0 && !is_ended && wants_facts) {
        lv_reading_done(&reading);
    }
    return is_alive || is_ended;
}

static bool survey_one_locked(struct ma_libvirt *lv, virConnectPtr conn, struct lv_guest *g) {
    unsigned dirty = g->dirty;
    char uuid[VIR_UUID_STRING_BUFLEN];
    memcpy(uuid, g->uuid, sizeof(uuid));
    TAILQ_REMOVE(&lv->survey_list, g, survey_link);
    g->is_in_survey = false;
    g->dirty = 0;
    lv_ref_locked(g);
    (void) pthread_mutex_unlock(&lv->lock);
    virDomainPtr dom = virDomainLookupByUUIDString(conn, uuid);
    bool is_missing = dom == NULL && is_gone();
    (void) pthread_mutex_lock(&lv->lock);
    bool is_fine = true;
    if (is_missing) {
        lv_end_locked(lv, g);
    } else {
        is_fine = dom != NULL && survey_domain_locked(lv, g, dom, dirty);
    }
    if (!is_fine) {
        lv_mark_dirty_locked(lv, g, dirty);
    }
    lv_unref_locked(lv, g);
    if (dom != NULL) {
        (void) pthread_mutex_unlock(&lv->lock);
        (void) virDomainFree(dom); /* fails on an invalid pointer only */
        (void) pthread_mutex_lock(&lv->lock);
    }
    return is_fine;
}

/* All that is dirty. Returns when to try again what failed, or MA_USEC_INFINITY. */
static uint64_t survey_dirty_locked(struct ma_libvirt *lv, virConnectPtr conn) {
    while (!lv->is_stopping && !lv->is_closed) {
        struct lv_guest *g = TAILQ_FIRST(&lv->survey_list);
        if (g == NULL) {
            return MA_USEC_INFINITY;
        }
        if (!survey_one_locked(lv, conn, g)) {
            return lv_now_usec() + REREAD_USEC;
        }
    }
    return MA_USEC_INFINITY;
}

static void enter_list_locked(struct ma_libvirt *lv, virDomainPtr *doms, int n) {
    char uuid[VIR_UUID_STRING_BUFLEN];
    for (int i = 0; i < n; i++) {
        if (virDomainGetUUIDString(doms[i], uuid) < 0) {
            continue;
        }
        struct lv_guest *g = lv_add_locked(lv, uuid);
        if (g != NULL) {
            g->listed_in = lv->epoch;
            g->must_send = true;
            lv_mark_dirty_locked(lv, g, LV_DIRTY_FACTS | LV_DIRTY_STATE);
        }
    }
}

/* Ending may wait for room and let others change the table, so the walk starts anew after each. */
static struct lv_guest *find_unlisted_locked(struct ma_libvirt *lv) {
    for (size_t b = 0; b < LV_BUCKETS; b++) {
        for (struct lv_guest *g = lv->buckets[b]; g != NULL; g = g->next_in_bucket) {
            if (g->listed_in != lv->epoch) {
                return g;
            }
        }
    }
    return NULL;
}

static bool list_locked(struct ma_libvirt *lv, virConnectPtr conn) {
    virDomainPtr *doms = NULL;
    (void) pthread_mutex_unlock(&lv->lock);
    int n = virConnectListAllDomains(conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    (void) pthread_mutex_lock(&lv->lock);
    if (n >= 0) {
        enter_list_locked(lv, doms, n);
        for (struct lv_guest *g = find_unlisted_locked(lv); g != NULL && !lv->is_stopping;
             g = find_unlisted_locked(lv)) {
            lv_end_locked(lv, g);
        }
    }
    (void) pthread_mutex_unlock(&lv->lock);
    for (int i = 0; i < n; i++) {
        (void) virDomainFree(doms[i]); /* fails on an invalid pointer only */
    }
    free(doms);
    (void) pthread_mutex_lock(&lv->lock);
    return n >= 0;
}

static void serve_locked(struct ma_libvirt *lv, virConnectPtr conn) {
    lv->is_connected = true;
    (void) pthread_cond_broadcast(&lv->stats);
    (void) pthread_cond_broadcast(
        &lv->actions); /* workers open their connections now, not when asked */
    lv_post_event_locked(lv, NULL, MA_SOURCE_CONNECTED);
    if (list_locked(lv, conn)) {
        uint64_t retry = survey_dirty_locked(lv, conn);
        if (!lv->is_closed) {
            lv_post_event_locked(lv, NULL, MA_SOURCE_LIST_DONE);
        }
        while (!lv->is_stopping && !lv->is_closed) {
            if (retry != MA_USEC_INFINITY || TAILQ_EMPTY(&lv->survey_list)) {
                lv_wait_locked(lv, &lv->survey, retry);
            }
            (void) pthread_mutex_unlock(&lv->lock);
            lv_empty_trash(lv);
            (void) pthread_mutex_lock(&lv->lock);
            retry = survey_dirty_locked(lv, conn);
        }
    }
    lv->is_connected = false;
    lv->reconnects++;
    lv_post_event_locked(lv, NULL, MA_SOURCE_DISCONNECTED);
}

/* One connection from its opening to its end. false: there was none. */
static bool connect_once_locked(struct ma_libvirt *lv) {
    int ids[LV_EVENTS_MAX];
    lv->epoch++;
    lv->is_closed = false;
    (void) pthread_mutex_unlock(&lv->lock);
    virConnectPtr conn = lv_open(lv, true);
    bool is_good = conn != NULL && lv_events_register(lv, conn, ids) == 0;
    (void) pthread_mutex_lock(&lv->lock);
    if (is_good) {
        serve_locked(lv, conn);
    }
    (void) pthread_mutex_unlock(&lv->lock);
    if (conn != NULL) {
        lv_events_deregister(conn, ids);
        (void) virConnectClose(conn); /* what is left of it ends with its last reference */
    }
    (void) pthread_mutex_lock(&lv->lock);
    return is_good;
}

void *lv_survey_main(void *opaque) {
    struct ma_libvirt *lv = opaque;
    uint64_t backoff = BACKOFF_MIN_USEC;
    (void) pthread_mutex_lock(&lv->lock);
    while (!lv->is_stopping) {
        backoff =
            connect_once_locked(lv) ? BACKOFF_MIN_USEC : ma_min_u64(2 * backoff, BACKOFF_MAX_USEC);
        uint64_t until = lv_now_usec() + backoff;
        while (!lv->is_stopping && lv_now_usec() < until) {
            lv_wait_locked(lv, &lv->survey, until);
        }
    }
    lv->is_survey_done = true;
    (void) pthread_cond_broadcast(&lv->done);
    (void) pthread_mutex_unlock(&lv->lock);
    return NULL;
}
