/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ring.c - messages from the threads to the loop.
 *
 *   I1  a message once put is popped, or replaced in its place by a newer FIGURES of the same guest
 *   I2  outcomes need no room: each has its place in its guest, which takes no request until it is popped
 *   I3  before GUEST nothing is put for a guest, after ENDED nothing but its outcome
 *   I4  the eventfd is readable whenever something waits
 *
 * Threads that find the ring full wait for the loop. The loop waits for no thread (stop excepted, which wakes all),
 * so this cannot turn into a circle. Rejected: growing the ring (a stuck loop would then fill memory just when there
 * is none), dropping state changes (the loop would act on a guest that is no more what it believes). */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "internal.h"

static void signal_loop_locked(struct ma_libvirt *lv) {
    const uint64_t one = 1;
    if (!lv->is_signalled) {
        lv->is_signalled = true;
        /* An eventfd that is not at its limit takes the write whole; nothing else can happen to it. */
        (void) !write(lv->event_fd, &one, sizeof(one));
    }
}

bool lv_wait_room_locked(struct ma_libvirt *lv, const struct lv_guest *g) {
    while (lv->ring_tail - lv->ring_head >= LV_RING_MAX && !lv->is_stopping) {
        lv_wait_locked(lv, &lv->room, MA_USEC_INFINITY);
    }
    return !lv->is_stopping && (g == NULL || !g->is_ended);
}

void lv_put_locked(struct ma_libvirt *lv, const struct ma_source_message *m) {
    lv->ring[lv->ring_tail % LV_RING_MAX] = *m;
    lv->ring_tail++;
    signal_loop_locked(lv);
}

void lv_post_event_locked(struct ma_libvirt *lv, struct lv_guest *g, enum ma_source_event event) {
    if (!lv_wait_room_locked(lv, g) || (g != NULL && !g->is_announced)) {
        return;
    }
    struct ma_source_message m = {.event = event};
    if (g != NULL) {
        (void) snprintf(m.uuid, sizeof(m.uuid), "%s", g->uuid);
    }
    lv_put_locked(lv, &m);
}

void lv_post_state_locked(struct ma_libvirt *lv, struct lv_guest *g, struct ma_source_state state) {
    if (!lv_wait_room_locked(lv, g) || !g->is_announced) {
        return;
    }
    struct ma_source_message m = {.event = MA_SOURCE_STATE, .state = state};
    (void) snprintf(m.uuid, sizeof(m.uuid), "%s", g->uuid);
    g->sent_state = state;
    lv_put_locked(lv, &m);
}

void lv_post_figures_locked(struct ma_libvirt *lv,
                            struct lv_guest *g,
                            const struct ma_source_figures *figures) {
    g->figures = *figures;
    g->has_figures = true;
    if (g->has_posted_figures && g->figures_seq >= lv->ring_head) {
        lv->ring[g->figures_seq % LV_RING_MAX].figures = *figures;
        lv->figures_coalesced++;
        return;
    }
    if (!lv_wait_room_locked(lv, g) || !g->is_announced) {
        return;
    }
    struct ma_source_message m = {.event = MA_SOURCE_FIGURES, .figures = *figures};
    (void) snprintf(m.uuid, sizeof(m.uuid), "%s", g->uuid);
    g->figures_seq = lv->ring_tail;
    g->has_posted_figures = true;
    lv_put_locked(lv, &m);
}

void lv_post_outcome_locked(struct ma_libvirt *lv,
                            struct lv_guest *g,
                            enum ma_outcome_result result,
                            const char *detail) {
    struct ma_outcome *o = &g->outcome;
    *o = (struct ma_outcome){.id = g->request.id,
                             .action = g->request.action,
                             .result = result,
                             .took_usec = lv_now_usec() - g->submitted_usec};
    (void) snprintf(o->uuid, sizeof(o->uuid), "%s", g->uuid);
    (void) snprintf(o->detail, sizeof(o->detail), "%s", detail);
    g->phase = LV_ACTION_OUTCOME;
    g->next_outcome = NULL;
    lv_ref_locked(g);
    *lv->last_outcome = g;
    lv->last_outcome = &g->next_outcome;
    signal_loop_locked(lv);
}

void lv_settle_stuck_locked(struct ma_libvirt *lv, struct lv_guest *g) {
    bool is_stuck = g->hung > 0 || g->is_occupied;
    if (is_stuck == g->is_stuck) {
        return;
    }
    g->is_stuck = is_stuck;
    lv_post_event_locked(lv, g, is_stuck ? MA_SOURCE_STUCK : MA_SOURCE_UNSTUCK);
}

static bool pop_outcome_locked(struct ma_libvirt *lv, struct ma_source_message *ret) {
    struct lv_guest *g = lv->first_outcome;
    if (g == NULL) {
        return false;
    }
    lv->first_outcome = g->next_outcome;
    if (lv->first_outcome == NULL) {
        lv->last_outcome = &lv->first_outcome;
    }
    g->next_outcome = NULL;
    g->phase = LV_ACTION_IDLE;
    *ret = (struct ma_source_message){.event = MA_SOURCE_OUTCOME, .outcome = g->outcome};
    (void) snprintf(ret->uuid, sizeof(ret->uuid), "%s", g->uuid);
    lv_unref_locked(lv, g);
    return true;
}

static bool pop_ring_locked(struct ma_libvirt *lv, struct ma_source_message *ret) {
    if (lv->ring_head == lv->ring_tail) {
        return false;
    }
    *ret = lv->ring[lv->ring_head % LV_RING_MAX];
    if (lv->ring_tail - lv->ring_head == LV_RING_MAX) {
        (void) pthread_cond_broadcast(&lv->room);
    }
    lv->ring_head++;
    return true;
}

bool ma_libvirt_pop(struct ma_libvirt *lv, struct ma_source_message *ret) {
    uint64_t count;
    (void) pthread_mutex_lock(&lv->lock);
    bool has = pop_outcome_locked(lv, ret) || pop_ring_locked(lv, ret);
    if (!has && lv->is_signalled) {
        lv->is_signalled = false;
        /* Non-blocking; it can only be readable here. */
        (void) !read(lv->event_fd, &count, sizeof(count));
    }
    (void) pthread_mutex_unlock(&lv->lock);
    return has;
}
