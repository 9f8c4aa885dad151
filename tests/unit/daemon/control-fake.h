/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* control-fake.h - a view of three guests (or many) and recorded commands, for tests of the control socket. The server
 * is the real one. */

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "control.h"
#include "tap.h"

struct fake {
    pthread_mutex_t lock;
    struct ma_view view;
    bool has_view;
    struct ma_guest *guests;
    struct ma_view_guest *more;
    char (*names)[2][40];
    size_t n_guests;
    void *plan_memory;
    struct ma_command last;
    unsigned n_commands;
    unsigned locks_held;
    int answer; /* of commands */
    char folder[64];
    char path[96];
};

static inline uint64_t fake_now_usec(void) {
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * MA_USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static inline const struct ma_view *fake_lock(void *userdata) {
    struct fake *fake = userdata;
    fake->locks_held++;
    CHECK_U64(fake->locks_held, 1);
    return fake->has_view ? &fake->view : NULL;
}
static inline void fake_unlock(void *userdata) {
    struct fake *fake = userdata;
    fake->locks_held--;
}
static inline int
fake_command(void *userdata, const struct ma_command *command, struct ma_err *err) {
    struct fake *fake = userdata;
    (void) pthread_mutex_lock(&fake->lock);
    CHECK_U64(fake->locks_held, 0);
    fake->last = *command;
    fake->n_commands++;
    int answer = fake->answer;
    (void) pthread_mutex_unlock(&fake->lock);
    return answer == 0 ? 0 : ma_err_set(err, answer, "the loop said no; try something else");
}

static inline void fake_fill_guest(struct fake *fake, size_t i) {
    struct ma_guest *guest = &fake->guests[i];
    (void) snprintf(fake->names[i][0], 40, "%08zx-0000-4000-8000-000000000000", i + 0xa0);
    (void) snprintf(fake->names[i][1], 40, i == 0 ? "db" : "web-%zu", i);
    *guest = (struct ma_guest){
        .uuid = fake->names[i][0],
        .name = fake->names[i][1],
        .state = MA_GUEST_RUNNING,
        .has = MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL | MA_GUEST_HAS_RESIDENT,
        .max_bytes = 4 * MA_GIB,
        .actual_bytes = 3 * MA_GIB,
        .resident_bytes = 2 * MA_GIB,
    };
    if (i == 0) {
        static const struct ma_guest_node nodes[] = {{.id = 0, .resident_bytes = MA_GIB},
                                                     {.id = 1, .resident_bytes = MA_GIB}};
        guest->has |= MA_GUEST_HAS_PLACEMENT;
        guest->placement = MA_PLACEMENT_PREFERRED;
        guest->nodes = nodes;
        guest->n_nodes = 2;
    }
    fake->more[i] = (struct ma_view_guest){.pid = 100 + (pid_t) i, .is_on_qmp = true};
    struct ma_candidate *candidate = &fake->view.plan.candidates[i];
    *candidate = (struct ma_candidate){.guest = (uint32_t) i,
                                       .is_eligible = true,
                                       .has_impact = true,
                                       .impact = {.total = 1000 * (i + 1)}};
    fake->view.plan.n_candidates = i + 1;
}

static inline void fake_fill_plan(struct fake *fake) {
    struct ma_plan *plan = &fake->view.plan;
    plan->policy = "balanced";
    plan->pressure = MA_PRESSURE_HARD;
    plan->n_rows = 1;
    plan->rows[0] = (struct ma_row){.kind = MA_ROW_RAM};
    plan->row_pressure[0] = MA_PRESSURE_HARD;
    plan->deficits.mib[0] = 512;
    struct ma_plan_action *action = ma_plan_add_action(plan);
    *action = (struct ma_plan_action){.has_guest = true,
                                      .guest = 1,
                                      .action = MA_ACTION_BALLOON,
                                      .has_from_to = true,
                                      .from_bytes = 3 * MA_GIB,
                                      .to_bytes = 2 * MA_GIB,
                                      .impact = 7,
                                      .reason = MA_REASON_IDLE_MEMORY,
                                      .withheld_because = MA_REASON_NOT_ARMED};
    static const struct ma_node nodes[] = {
        {.id = 0, .total_bytes = 8 * MA_GIB, .available_bytes = MA_GIB},
        {.has = MA_NODE_HAS_HUGEPAGES,
         .id = 1,
         .total_bytes = 8 * MA_GIB,
         .available_bytes = 3 * MA_GIB,
         .hugepage_total_bytes = 2 * MA_GIB,
         .hugepage_free_bytes = 512 * MA_MIB}};
    fake->view.snapshot.host.nodes = nodes;
    fake->view.snapshot.host.n_nodes = 2;
    struct ma_option *option = ma_plan_add_option(plan);
    *option = (struct ma_option){
        .steps = {{.action = MA_ACTION_BALLOON, .has_to = true, .to_bytes = 2 * MA_GIB}},
        .n_steps = 1,
        .frees = {.mib = {1024}},
        .impact = 7,
        .reason = MA_REASON_IDLE_MEMORY,
        .is_chosen = true};
    plan->candidates[1].n_options = 1;
    plan->candidates[0].excluded_because = MA_REASON_NEVER;
}

static inline void fake_init(struct fake *fake, size_t n_guests) {
    *fake = (struct fake){
        .has_view = true, .n_guests = n_guests, .folder = "/tmp/memarb-control-XXXXXX"};
    CHECK(mkdtemp(fake->folder) != NULL);
    (void) snprintf(fake->path, sizeof(fake->path), "%s/control", fake->folder);
    (void) pthread_mutex_init(&fake->lock, NULL);
    fake->guests = calloc(n_guests, sizeof(*fake->guests));
    fake->more = calloc(n_guests, sizeof(*fake->more));
    fake->names = calloc(n_guests, sizeof(*fake->names));
    size_t size = ma_plan_memory_size(n_guests);
    fake->plan_memory = aligned_alloc(16, ma_round_up(size, 16));
    CHECK(fake->guests != NULL && fake->more != NULL && fake->names != NULL &&
          fake->plan_memory != NULL);
    ma_plan_init(&fake->view.plan, fake->plan_memory, n_guests);
    for (size_t i = 0; i < n_guests; i++) {
        fake_fill_guest(fake, i);
    }
    fake_fill_plan(fake);
    fake->guests[0].config =
        (struct ma_guest_config){.has = MA_CONFIG_HAS_IMPACT, .impact_class = MA_IMPACT_NEVER};
    fake->more[1].taken = MA_TAKEN_BALLOON;
    fake->more[1].balloon_before_bytes = 4 * MA_GIB;
    fake->more[1].balloon_ours_bytes = 3 * MA_GIB;
    struct ma_view *view = &fake->view;
    ma_settings_init(&view->plan.settings);
    ma_settings_init(&view->snapshot.settings);
    view->snapshot.guests = fake->guests;
    view->snapshot.n_guests = n_guests;
    view->snapshot.host.total_bytes = 16 * MA_GIB;
    view->snapshot.host.available_bytes = MA_GIB;
    view->guests = fake->more;
    view->arm = MA_ARM_PAUSE;
    view->host_meaning = "machine";
    view->cgroup_layout = "v2";
    view->started_usec = view->published_usec = fake_now_usec();
    view->time_left_usec[0] = MA_USEC_INFINITY;
}

static inline void fake_fini(struct fake *fake) {
    (void) rmdir(fake->folder);
    free(fake->guests);
    free(fake->more);
    free(fake->names);
    free(fake->plan_memory);
}

static inline struct ma_control *fake_serve(struct fake *fake) {
    struct ma_control_options options = {.socket_path = fake->path};
    struct ma_control_ops ops = {.userdata = fake,
                                 .view_lock = fake_lock,
                                 .view_unlock = fake_unlock,
                                 .command = fake_command};
    struct ma_control *control = NULL;
    struct ma_err err = {0};
    if (ma_control_create(&options, &ops, &control, &err) != 0) {
        TAP_FAIL("no server: %s", err.message);
    }
    return control;
}
