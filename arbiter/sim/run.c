/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run.c - the simulated hours.
 *
 * Each tick of 250 ms: guests are born, die and come back (guests.c); each wants memory (demand.c, memory.c); the
 * host gives it, swaps or kills (host.c); balloons move (memory.c); what may be seen of all that is noted (figures.c).
 * Once a second, or every tick while the host is under pressure, the policy decides on what is seen, and its armed
 * actions start at once (act.c).
 *
 * memarb's own policy decides as in the daemon, guard included, armed to kill, without a quiet time at start. A
 * reference policy stands for a program that has no guard: its proposal is carried out as it is.
 *
 * What is left out: the host's page cache, KSM, huge pages, pinned memory, migration, memory that a guest frees and
 * reports free, a balloon's choice of pages, and the time that the controller itself takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "observe.h"
#include "sim-internal.h"

static void destroy(struct sim_world *world) {
    free(world->guests);
    free(world->figures);
    free(world->figure_nodes);
    free(world->figure_guest);
    free(world->state_memory);
    free(world->plan_memory);
    free(world->scratch.memory);
}

static int make_tables(struct sim_world *world) {
    size_t n = world->n_guests;

    world->figures = calloc(n, sizeof(*world->figures));
    world->figure_nodes = calloc(n * SIM_NODES_MAX, sizeof(*world->figure_nodes));
    world->figure_guest = calloc(n, sizeof(*world->figure_guest));
    world->state_memory = calloc(1, ma_state_memory_size(n));
    world->plan_memory = calloc(1, ma_plan_memory_size(n));
    world->scratch.bytes = ma_scratch_size(n);
    world->scratch.memory = malloc(world->scratch.bytes);
    if (world->figures == NULL || world->figure_nodes == NULL || world->figure_guest == NULL ||
        world->state_memory == NULL || world->plan_memory == NULL ||
        world->scratch.memory == NULL) {
        return -ENOMEM;
    }
    ma_state_init(&world->state, world->state_memory, n, 0);
    ma_plan_init(&world->plan, world->plan_memory, n);
    return 0;
}

/* As the original would: nobody between its proposal and the host. */
static int decide_alone(struct sim_world *world) {
    struct ma_policy_input input = {
        .snapshot = &world->snapshot, .state = &world->state, .scratch = world->scratch};
    int r;

    ma_plan_reset(&world->plan);
    world->plan.policy = world->policy->name;
    ma_observe(&world->snapshot, false, &world->state, &world->plan);
    r = world->policy->propose(&input, &world->plan);
    if (r < 0) {
        world->plan.n_actions = 0;
        return r;
    }
    for (size_t k = 0; k < world->plan.n_actions; k++) {
        world->plan.actions[k].is_armed = true;
    }
    ma_commit(&world->snapshot, &world->plan, &world->state);
    return 0;
}

/* Nobody looks after the host; the figures are worked out for the one who watches. */
static void decide_nothing(struct sim_world *world) {
    ma_plan_reset(&world->plan);
    world->plan.policy = "none";
    ma_observe(&world->snapshot, false, &world->state, &world->plan);
}

static void decide(struct sim_world *world, const struct sim_watcher *watcher) {
    struct ma_decide_options options = {0};
    int r = 0;

    sim_figures_take(world);
    if (world->policy == NULL) {
        decide_nothing(world);
    } else if (world->policy->is_reference) {
        r = decide_alone(world);
    } else {
        r = ma_decide(&world->snapshot, world->policy, &options, &world->state, world->scratch,
                      &world->plan);
    }
    world->result->policy_errors += r < 0;
    world->result->decisions++;
    sim_act(world);
    world->decide_at_usec =
        world->now_usec +
        (world->plan.pressure == MA_PRESSURE_NORMAL ? MA_USEC_PER_SEC : SIM_TICK_USEC);
    if (watcher != NULL) {
        struct sim_view view = {.now_usec = world->now_usec - SIM_EPOCH_USEC,
                                .snapshot = &world->snapshot,
                                .plan = &world->plan,
                                .host_oom_kills = world->result->host_oom_kills,
                                .guest_ooms = world->result->guest_ooms};

        watcher->see(watcher->userdata, &view);
    }
}

static void tick(struct sim_world *world) {
    sim_guest_lives(world);
    for (size_t i = 0; i < world->n_guests; i++) {
        sim_guest_want(world, &world->guests[i]);
    }
    sim_host_tick(world);
    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];

        sim_guest_balloon(world, guest);
        sim_guest_judge(world, guest);
        if (guest->life == SIM_LIFE_RUNNING || guest->life == SIM_LIFE_PAUSED) {
            world->result->guest_usec += SIM_TICK_USEC;
            world->max_usec_sum += ma_mib_down(guest->max_bytes);
        }
    }
    sim_host_count(world);
    sim_figures_tick(world);
    world->result->least_available_bytes =
        ma_min_u64(world->result->least_available_bytes, world->free_bytes);
    world->n_ticks++;
}

int sim_run(const struct sim_scenario *scenario,
            const struct ma_policy *policy,
            uint64_t seed,
            const struct sim_watcher *watcher,
            struct sim_result *ret) {
    struct sim_result result = {.least_available_bytes = scenario->host_bytes,
                                .duration_usec = scenario->duration_usec};
    struct sim_world world = {.scenario = scenario,
                              .policy = policy,
                              .result = &result,
                              .now_usec = SIM_EPOCH_USEC,
                              .random = seed,
                              .decide_at_usec = SIM_EPOCH_USEC};
    int r;

    world.guests = calloc(SIM_GUESTS_MAX, sizeof(*world.guests));
    r = world.guests == NULL ? -ENOMEM : sim_populate(&world);
    if (r == 0) {
        r = make_tables(&world);
    }
    result.n_guests = (uint32_t) world.n_guests;
    while (r == 0 && world.now_usec < SIM_EPOCH_USEC + scenario->duration_usec) {
        tick(&world);
        if (world.now_usec >= world.decide_at_usec) {
            decide(&world, watcher);
        }
        world.now_usec += SIM_TICK_USEC;
    }
    if (r == 0) {
        result.average_max_bytes =
            world.n_ticks > 0 ? world.max_usec_sum / world.n_ticks * MA_MIB : 0;
        *ret = result;
    }
    destroy(&world);
    return r;
}
