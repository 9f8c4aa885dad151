/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* publish.c - deep copy of a view into one heap block, exchanged behind an RCU pointer (memb flavour).
 *
 * A mutex and a reference count would do for the rate at which this happens; RCU is here because a reader that is
 * preempted, swapped out or stuck must never be able to hold up the loop, which runs when memory is short. For the
 * same reason the old view is freed by call_rcu and not after synchronize_rcu. */

#define URCU_API_MAP
#define _LGPL_SOURCE
#include "publish.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-memb.h>

/* ThreadSanitizer cannot see a grace period (liburcu is not instrumented): it is told that a reader's leaving comes
 * before the free that waited for it. Nothing outside its builds. */
#if defined(__SANITIZE_THREAD__)
#    include <sanitizer/tsan_interface.h>
static char grace_period;
#    define READER_LEAVES() __tsan_release(&grace_period)
#    define READERS_LEFT()  __tsan_acquire(&grace_period)
#else
#    define READER_LEAVES() ((void) 0)
#    define READERS_LEFT()  ((void) 0)
#endif

struct published {
    struct ma_view view; /* first: readers get a pointer to it */
    struct rcu_head rcu;
    void *block;
};

struct ma_publisher {
    struct published *_Atomic current;
};

/* A bump allocator over one block; in the first pass (base NULL) it only adds up. */
struct bump {
    char *base;
    size_t used;
};

static void *bump_take(struct bump *bump, size_t size) {
    size_t at = (bump->used + 15U) & ~(size_t) 15U;
    bump->used = at + size;
    return bump->base != NULL ? bump->base + at : NULL;
}

static void *bump_copy(struct bump *bump, const void *from, size_t size) {
    void *to = bump_take(bump, size);
    if (to != NULL && size > 0) {
        memcpy(to, from, size);
    }
    return to;
}

static const char *bump_string(struct bump *bump, const char *text) {
    return text != NULL ? bump_copy(bump, text, strlen(text) + 1) : NULL;
}

static void copy_guests(struct bump *bump, const struct ma_snapshot *from, struct ma_snapshot *to) {
    struct ma_guest *guests = bump_copy(bump, from->guests, from->n_guests * sizeof(*guests));
    for (size_t i = 0; i < from->n_guests; i++) {
        const struct ma_guest *g = &from->guests[i];
        const char *uuid = bump_string(bump, g->uuid);
        const char *name = bump_string(bump, g->name);
        const char *group = bump_string(bump, g->config.group);
        const struct ma_guest_node *nodes = bump_copy(bump, g->nodes, g->n_nodes * sizeof(*nodes));
        if (guests != NULL) {
            guests[i].uuid = uuid;
            guests[i].name = name;
            guests[i].config.group = group;
            guests[i].nodes = nodes;
        }
    }
    to->guests = guests;
}

static void copy_extras(struct bump *bump, const struct ma_view *from, struct ma_view *to) {
    size_t n = from->snapshot.n_guests;
    struct ma_view_guest *guests = bump_copy(bump, from->guests, n * sizeof(*guests));
    for (size_t i = 0; i < n; i++) {
        const struct ma_view_guest *v = &from->guests[i];
        const char *problem = bump_string(bump, v->problem);
        const struct ma_view_limit *limits =
            bump_copy(bump, v->limits, v->n_limits * sizeof(*limits));
        if (guests != NULL) {
            guests[i].problem = problem;
            guests[i].limits = limits;
        }
    }
    to->guests = guests;
}

static void copy_plan(struct bump *bump, const struct ma_plan *from, struct ma_plan *to) {
    to->policy = bump_string(bump, from->policy);
    to->actions = bump_copy(bump, from->actions, from->n_actions * sizeof(*from->actions));
    to->candidates =
        bump_copy(bump, from->candidates, from->n_candidates * sizeof(*from->candidates));
    to->options = bump_copy(bump, from->options, from->n_options * sizeof(*from->options));
    to->trims = bump_copy(bump, from->trims, from->n_trims * sizeof(*from->trims));
    to->max_actions = from->n_actions;
    to->max_candidates = from->n_candidates;
    to->max_options = from->n_options;
    to->max_trims = from->n_trims;
}

/* One pass over all of it; run twice, to measure and to copy. */
static void copy_all(struct bump *bump, const struct ma_view *from, struct ma_view *to) {
    *to = *from;
    copy_guests(bump, &from->snapshot, &to->snapshot);
    to->snapshot.host.nodes = bump_copy(bump, from->snapshot.host.nodes,
                                        from->snapshot.host.n_nodes * sizeof(struct ma_node));
    copy_plan(bump, &from->plan, &to->plan);
    copy_extras(bump, from, to);
}

static void free_published(struct published *published) {
    if (published != NULL) {
        free(published->block);
        free(published);
    }
}

static void free_rcu(struct rcu_head *head) {
    READERS_LEFT();
    free_published(caa_container_of(head, struct published, rcu));
}

struct ma_publisher *ma_publisher_create(void) {
    rcu_register_thread();
    return calloc(1, sizeof(struct ma_publisher));
}

void ma_publisher_destroy(struct ma_publisher *publisher) {
    if (publisher == NULL) {
        return;
    }
    struct published *old = atomic_exchange(&publisher->current, NULL);
    synchronize_rcu();
    READERS_LEFT();
    free_published(old);
    rcu_barrier(); /* views handed to call_rcu earlier */
    free(publisher);
    rcu_unregister_thread();
}

int ma_publish(struct ma_publisher *publisher, const struct ma_view *view) {
    struct published *fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return -ENOMEM;
    }
    struct bump bump = {0};
    copy_all(&bump, view, &fresh->view);
    fresh->block = malloc(bump.used > 0 ? bump.used : 1);
    if (fresh->block == NULL) {
        free(fresh);
        return -ENOMEM;
    }
    bump = (struct bump){.base = fresh->block};
    copy_all(&bump, view, &fresh->view);
    /* acq_rel: what was written to the view is seen by whoever sees the pointer */
    struct published *old =
        atomic_exchange_explicit(&publisher->current, fresh, memory_order_acq_rel);
    if (old != NULL) {
        call_rcu(&old->rcu, free_rcu);
    }
    return 0;
}

void ma_publish_thread_start(struct ma_publisher *publisher) {
    (void) publisher;
    rcu_register_thread();
}

void ma_publish_thread_stop(struct ma_publisher *publisher) {
    (void) publisher;
    rcu_unregister_thread();
}

const struct ma_view *ma_publish_lock(struct ma_publisher *publisher) {
    rcu_read_lock();
    const struct published *current =
        atomic_load_explicit(&publisher->current, memory_order_acquire);
    return current != NULL ? &current->view : NULL;
}

void ma_publish_unlock(struct ma_publisher *publisher) {
    (void) publisher;
    READER_LEAVES();
    rcu_read_unlock();
}
