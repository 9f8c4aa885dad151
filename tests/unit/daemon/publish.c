/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "publish.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tap.h"

#define GUESTS 3

/* A view whose every part says the same number, so that a reader sees a mixture of two. */
struct source {
    struct ma_guest guests[GUESTS];
    struct ma_guest_node nodes[GUESTS];
    struct ma_node host_node;
    struct ma_view_guest extras[GUESTS];
    struct ma_view_limit limits[GUESTS];
    struct ma_candidate candidate;
    char names[GUESTS][16];
    struct ma_view view;
};

static void fill(struct source *s, uint64_t number) {
    memset(s, 0, sizeof(*s));
    for (int i = 0; i < GUESTS; i++) {
        (void) snprintf(s->names[i], sizeof(s->names[i]), "%" PRIu64, number);
        s->nodes[i] = (struct ma_guest_node){.resident_bytes = number};
        s->guests[i] = (struct ma_guest){.uuid = s->names[i],
                                         .name = s->names[i],
                                         .max_bytes = number,
                                         .nodes = &s->nodes[i],
                                         .n_nodes = 1};
        s->limits[i] = (struct ma_view_limit){.asked = number};
        s->extras[i].rate_bytes_per_s = number;
        s->extras[i].limits = &s->limits[i];
        s->extras[i].n_limits = 1;
        s->extras[i].problem = i == 1 ? s->names[i] : NULL;
    }
    s->host_node = (struct ma_node){.total_bytes = number};
    s->candidate = (struct ma_candidate){.impact = {.total = number}};
    s->view = (struct ma_view){.seq = number, .guests = s->extras};
    s->view.snapshot.guests = s->guests;
    s->view.snapshot.n_guests = GUESTS;
    s->view.snapshot.host.nodes = &s->host_node;
    s->view.snapshot.host.n_nodes = 1;
    s->view.plan.policy = s->names[0];
    s->view.plan.candidates = &s->candidate;
    s->view.plan.n_candidates = 1;
}

static bool is_of_one_piece(const struct ma_view *v) {
    char text[16];
    (void) snprintf(text, sizeof(text), "%" PRIu64, v->seq);
    bool is_one = v->snapshot.n_guests == GUESTS && strcmp(v->plan.policy, text) == 0 &&
                  v->plan.candidates[0].impact.total == v->seq &&
                  v->snapshot.host.nodes[0].total_bytes == v->seq;
    for (size_t i = 0; is_one && i < v->snapshot.n_guests; i++) {
        const struct ma_guest *g = &v->snapshot.guests[i];
        const struct ma_view_guest *more = &v->guests[i];
        is_one = more->n_limits == 1 && more->limits[0].asked == v->seq &&
                 (i == 1 ? strcmp(more->problem, text) == 0 : more->problem == NULL);
        is_one = is_one && strcmp(g->uuid, text) == 0 && g->max_bytes == v->seq &&
                 g->config.group == NULL && g->nodes[0].resident_bytes == v->seq &&
                 v->guests[i].rate_bytes_per_s == v->seq;
    }
    return is_one;
}

static void readers_get_a_copy_of_their_own(void) {
    struct ma_publisher *publisher = ma_publisher_create();
    static struct source s;
    CHECK(publisher != NULL);
    CHECK(ma_publish_lock(publisher) == NULL); /* nothing yet */
    ma_publish_unlock(publisher);
    fill(&s, 1);
    CHECK_I64(ma_publish(publisher, &s.view), 0);
    memset(&s, 0xff, sizeof(s)); /* the loop goes on with its own */
    CHECK(is_of_one_piece(ma_publish_lock(publisher)));
    ma_publish_unlock(publisher);
    ma_publisher_destroy(publisher);
}

static struct ma_publisher *shared;
static atomic_bool should_end;
static atomic_uint rounds, mixtures, backwards;

static void *read_for_ever(void *unused) {
    uint64_t last = 0;
    ma_publish_thread_start(shared);
    while (!atomic_load(&should_end)) {
        const struct ma_view *view = ma_publish_lock(shared);
        if (view != NULL) {
            mixtures += is_of_one_piece(view) ? 0U : 1U;
            backwards += view->seq < last ? 1U : 0U;
            last = view->seq;
            rounds++;
        }
        ma_publish_unlock(shared);
    }
    ma_publish_thread_stop(shared);
    return unused;
}

static void a_reader_never_sees_half_of_two_views(void) {
    static struct source s;
    pthread_t readers[2];
    shared = ma_publisher_create();
    CHECK(shared != NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_for_ever, NULL) == 0);
    }
    for (uint64_t n = 1; n <= 3000 || atomic_load(&rounds) < 1000; n++) {
        fill(&s, n);
        CHECK_I64(ma_publish(shared, &s.view), 0);
    }
    atomic_store(&should_end, true);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    CHECK_U64(mixtures, 0);
    CHECK_U64(backwards, 0);
    ma_publisher_destroy(shared);
}

TAP_MAIN(TAP_CASE(readers_get_a_copy_of_their_own),
         TAP_CASE(a_reader_never_sees_half_of_two_views));
