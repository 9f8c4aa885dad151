/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guests.c - the table of guests by uuid, and who still refers to one.
 *
 * A guest that ended leaves the table at once, so that the next start under the same uuid is a new guest; calls that
 * are still under way on the old one keep it by reference and find it ended. What nobody refers to goes to the trash,
 * because releasing its domains may end a connection, which the loop must not do. */

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"

/* FNV-1a; uuids are random, nobody gains by colliding on his own host. */
static size_t bucket_of(const char *uuid) {
    uint32_t h = 2166136261U;
    for (const char *c = uuid; *c != '\0'; c++) {
        h = (h ^ (unsigned char) *c) * 16777619U;
    }
    return h % LV_BUCKETS;
}

struct lv_guest *lv_find_locked(struct ma_libvirt *lv, const char *uuid) {
    struct lv_guest *g = lv->buckets[bucket_of(uuid)];
    while (g != NULL && strcmp(g->uuid, uuid) != 0) {
        g = g->next_in_bucket;
    }
    return g;
}

struct lv_guest *lv_add_locked(struct ma_libvirt *lv, const char *uuid) {
    struct lv_guest *g = lv_find_locked(lv, uuid);
    if (g != NULL || lv->n_guests >= lv->config.max_guests || strlen(uuid) >= sizeof(g->uuid)) {
        return g;
    }
    g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return NULL;
    }
    memcpy(g->uuid, uuid, strlen(uuid) + 1);
    size_t b = bucket_of(uuid);
    g->refs = 1;
    g->must_send = true;
    g->listed_in = lv->epoch;
    g->next_in_bucket = lv->buckets[b];
    lv->buckets[b] = g;
    lv->n_guests++;
    lv_mark_dirty_locked(lv, g, LV_DIRTY_FACTS | LV_DIRTY_STATE);
    return g;
}

void lv_ref_locked(struct lv_guest *g) {
    g->refs++;
}

void lv_unref_locked(struct ma_libvirt *lv, struct lv_guest *g) {
    if (--g->refs == 0) {
        g->next_in_trash = lv->trash;
        lv->trash = g;
    }
}

void lv_mark_dirty_locked(struct ma_libvirt *lv, struct lv_guest *g, unsigned dirty) {
    if (g->is_ended) {
        return;
    }
    g->dirty |= dirty;
    if (!g->is_in_survey) {
        g->is_in_survey = true;
        TAILQ_INSERT_TAIL(&lv->survey_list, g, survey_link);
        (void) pthread_cond_signal(&lv->survey);
    }
}

static void leave_lists_locked(struct ma_libvirt *lv, struct lv_guest *g) {
    if (g->is_in_survey) {
        TAILQ_REMOVE(&lv->survey_list, g, survey_link);
        g->is_in_survey = false;
    }
    if (g->is_in_due) {
        TAILQ_REMOVE(&lv->due_list, g, due_link);
        g->is_in_due = false;
    }
    if (g->wants_period) {
        TAILQ_REMOVE(&lv->period_list, g, period_link);
        g->wants_period = false;
    }
    if (g->phase == LV_ACTION_QUEUED) {
        TAILQ_REMOVE(&lv->action_list, g, action_link);
        lv_post_outcome_locked(lv, g, MA_OUTCOME_GONE, "the guest ended before it was begun");
        lv_unref_locked(lv, g);
    }
}

void lv_end_locked(struct ma_libvirt *lv, struct lv_guest *g) {
    if (g->is_ended) {
        return;
    }
    lv_ref_locked(g); /* the wait for room lets others run */
    lv_post_event_locked(lv, g, MA_SOURCE_ENDED);
    if (!g->is_ended) {
        g->is_ended = true;
        struct lv_guest **p = &lv->buckets[bucket_of(g->uuid)];
        while (*p != g) {
            p = &(*p)->next_in_bucket;
        }
        *p = g->next_in_bucket;
        lv->n_guests--;
        leave_lists_locked(lv, g);
        lv_unref_locked(lv, g);
    }
    lv_unref_locked(lv, g);
}

void lv_schedule_locked(struct ma_libvirt *lv, struct lv_guest *g, uint64_t due_usec) {
    if (g->is_ended || g->is_asked) {
        return; /* the worker that has it schedules it again */
    }
    if (g->is_in_due) {
        TAILQ_REMOVE(&lv->due_list, g, due_link);
    }
    g->due_usec = due_usec;
    g->is_in_due = true;
    /* All periods are equal, so the place is nearly always at the end. */
    struct lv_guest *before = TAILQ_LAST(&lv->due_list, lv_guest_list);
    while (before != NULL && before->due_usec > due_usec) {
        before = TAILQ_PREV(before, lv_guest_list, due_link);
    }
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&lv->due_list, before, g, due_link);
    } else {
        TAILQ_INSERT_HEAD(&lv->due_list, g, due_link);
        (void) pthread_cond_broadcast(&lv->stats);
    }
}

void lv_want_period_locked(struct ma_libvirt *lv, struct lv_guest *g, unsigned seconds) {
    g->period_wanted_s = seconds;
    if (!g->wants_period && !g->is_ended) {
        g->wants_period = true;
        TAILQ_INSERT_TAIL(&lv->period_list, g, period_link);
        (void) pthread_cond_broadcast(&lv->actions);
    }
}

static void free_guest(struct lv_guest *g) {
    for (unsigned i = 0; i < LV_SLOTS; i++) {
        if (g->doms[i].dom != NULL) {
            (void) virDomainFree(g->doms[i].dom); /* fails on an invalid pointer only */
        }
    }
    free(g);
}

void lv_empty_trash(struct ma_libvirt *lv) {
    (void) pthread_mutex_lock(&lv->lock);
    struct lv_guest *g = ma_steal(&lv->trash);
    (void) pthread_mutex_unlock(&lv->lock);
    while (g != NULL) {
        struct lv_guest *next = g->next_in_trash;
        free_guest(g);
        g = next;
    }
}

/* Those that ended with an outcome nobody popped are in no table any more. */
static void free_ended_locked(struct ma_libvirt *lv) {
    struct lv_guest *next;
    for (struct lv_guest *g = lv->first_outcome; g != NULL; g = next) {
        next = g->next_outcome;
        if (g->is_ended) {
            g->next_in_trash = lv->trash;
            lv->trash = g;
        }
    }
}

void lv_free_all_guests(struct ma_libvirt *lv) {
    free_ended_locked(lv);
    for (size_t b = 0; b < LV_BUCKETS; b++) {
        for (struct lv_guest *g = lv->buckets[b]; g != NULL;) {
            struct lv_guest *next = g->next_in_bucket;
            free_guest(g);
            g = next;
        }
    }
    lv_empty_trash(lv);
}
