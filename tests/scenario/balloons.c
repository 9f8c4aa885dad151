/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small closed loop: a host of 32 GiB, guests whose demand changes, balloons that move at their own pace, minutes in
 * milliseconds. Converges, does not swing, and gives everything back; also through a killed and restarted controller
 * whose state went through its JSON text. */
#include "formats.h"
#include "json-write.h"
#include "test-host.h"

#define N_GUESTS 10

struct sim_guest {
    uint64_t demand_bytes; /* what it uses */
    uint64_t target_bytes;
    uint64_t rate_bytes_per_s;
    uint64_t moved_usec;
    int last_direction;
    unsigned n_reversals;
    bool is_dead_driver;
};
struct sim {
    struct test_host h;
    struct sim_guest guests[N_GUESTS];
    uint64_t base_bytes; /* the host's own */
    uint64_t least_available_bytes;
    unsigned n_victims;
    bool is_settling; /* count no reversals */
};

static struct sim sim;

static void sim_start(uint64_t guest_mib) {
    memset(&sim, 0, sizeof(sim));
    test_host_init(&sim.h, 32, 32768);
    sim.base_bytes = MA_GIB;
    sim.least_available_bytes = UINT64_MAX;
    for (size_t i = 0; i < N_GUESTS; i++) {
        struct ma_guest *guest = test_host_add(&sim.h, "sim", guest_mib, guest_mib / 2);

        guest->resident_bytes = 0;
        sim.guests[i] = (struct sim_guest){.demand_bytes = guest->max_bytes / 4,
                                           .target_bytes = guest->max_bytes,
                                           .rate_bytes_per_s = 400 * MA_MIB};
    }
}

/* A tenth of the distance to what it wants a second, in pages touched; caches fill half of what is free. */
static void live(struct ma_guest *guest, struct sim_guest *s) {
    uint64_t wants = s->demand_bytes + (ma_sub_floor0(guest->actual_bytes, s->demand_bytes)) / 2;
    uint64_t step = 200 * MA_MIB;

    if (guest->state != MA_GUEST_RUNNING) {
        return;
    }
    wants = ma_min_u64(wants, guest->actual_bytes);
    if (guest->resident_bytes < wants) {
        guest->resident_bytes += ma_min_u64(step, wants - guest->resident_bytes);
    }
    guest->stats.claimed_available_bytes = ma_sub_floor0(guest->actual_bytes, s->demand_bytes);
    guest->stats.claimed_free_bytes = guest->stats.claimed_available_bytes / 2;
}

static void move_balloon(struct ma_guest *guest, struct sim_guest *s) {
    uint64_t step = s->is_dead_driver ? 0 : s->rate_bytes_per_s;

    if (guest->state != MA_GUEST_RUNNING) {
        return;
    }
    if (guest->actual_bytes > s->target_bytes) {
        guest->actual_bytes -= ma_min_u64(step, guest->actual_bytes - s->target_bytes);
        guest->resident_bytes = ma_min_u64(guest->resident_bytes, guest->actual_bytes);
    } else {
        guest->actual_bytes += ma_min_u64(step, s->target_bytes - guest->actual_bytes);
    }
}

static void act(const struct ma_plan_action *action) {
    struct ma_guest *guest = &sim.h.guests[action->guest];
    struct sim_guest *s = &sim.guests[action->guest];
    int direction = action->to_bytes > s->target_bytes ? 1 : -1;

    if (!action->is_armed) {
        return;
    }
    if (action->action == MA_ACTION_BALLOON) {
        if (s->last_direction != 0 && direction != s->last_direction && !sim.is_settling) {
            s->n_reversals++;
        }
        s->last_direction = direction;
        s->target_bytes = action->to_bytes;
    } else if (action->action == MA_ACTION_PAUSE) {
        guest->state = MA_GUEST_PAUSED;
        guest->growth_bytes_per_s = 0;
        sim.n_victims++;
    } else if (action->action == MA_ACTION_RESUME) {
        guest->state = MA_GUEST_RUNNING;
    } else if (ma_action_is_victim(action->action)) {
        guest->state = MA_GUEST_CRASHED;
        guest->resident_bytes = 0;
        sim.n_victims++;
    }
}

static void sim_second(void) {
    uint64_t used = sim.base_bytes;
    uint64_t total = sim.h.snapshot.host.total_bytes;

    for (size_t i = 0; i < N_GUESTS; i++) {
        uint64_t before = sim.h.guests[i].resident_bytes;

        move_balloon(&sim.h.guests[i], &sim.guests[i]);
        live(&sim.h.guests[i], &sim.guests[i]);
        used += sim.h.guests[i].resident_bytes;
        test_guest_growth(&sim.h.guests[i],
                          ma_delta_i64(sim.h.guests[i].resident_bytes, before) / (int64_t) MA_MIB);
    }
    sim.h.snapshot.host.available_bytes = ma_sub_floor0(total, used);
    sim.least_available_bytes =
        ma_min_u64(sim.least_available_bytes, sim.h.snapshot.host.available_bytes);
    test_host_tick(&sim.h);
    for (size_t k = 0; k < sim.h.plan.n_actions; k++) {
        if (sim.h.plan.actions[k].has_guest) {
            act(&sim.h.plan.actions[k]);
        }
    }
}

static void sim_run(unsigned seconds) {
    for (unsigned k = 0; k < seconds; k++) {
        sim_second();
    }
}

static unsigned count_reversals(void) {
    unsigned n = 0;

    for (size_t i = 0; i < N_GUESTS; i++) {
        n += sim.guests[i].n_reversals;
    }
    return n;
}

static uint64_t sum_targets(void) {
    uint64_t sum = 0;

    for (size_t i = 0; i < N_GUESTS; i++) {
        sum += sim.guests[i].target_bytes;
    }
    return sum;
}

static bool is_all_given_back(void) {
    for (size_t i = 0; i < N_GUESTS; i++) {
        if (sim.guests[i].target_bytes < sim.h.guests[i].max_bytes ||
            sim.h.guests[i].state != MA_GUEST_RUNNING) {
            return false;
        }
    }
    return true;
}

static void idle_guests_shrink_and_nobody_is_hurt(void) {
    uint64_t settled;

    sim_start(5120); /* 50 GiB of guests on 32 GiB, 12 GiB in use, caches besides */
    sim_run(180);
    CHECK_U64(sim.n_victims, 0);
    CHECK(sim.h.snapshot.host.available_bytes >= sim.h.snapshot.settings.reserve_bytes);
    CHECK(sim.least_available_bytes > 0);
    CHECK(sum_targets() < N_GUESTS * 5120 * MA_MIB);
    settled = sum_targets();
    sim_run(120);
    CHECK(sum_targets() >= settled - settled / 10 && sum_targets() <= settled + settled / 10);
    (void) fprintf(stderr, "# reversals in 5 min of %d guests: %u\n", N_GUESTS, count_reversals());
    CHECK(count_reversals() <= N_GUESTS); /* 12 an hour and guest */
    test_host_fini(&sim.h);
}

static void what_was_taken_is_given_back(void) {
    sim_start(5120);
    sim_run(180);
    CHECK(!is_all_given_back());
    /* The host's need is over: most guests stop using what they had. */
    for (size_t i = 0; i < N_GUESTS; i++) {
        sim.guests[i].demand_bytes = 64 * MA_MIB;
        sim.h.guests[i].resident_bytes = 256 * MA_MIB;
    }
    sim.base_bytes = 0;
    for (unsigned k = 0; k < 900 && !is_all_given_back(); k++) {
        for (size_t i = 0; i < N_GUESTS; i++) { /* and their caches do not fill again */
            sim.h.guests[i].resident_bytes =
                ma_min_u64(sim.h.guests[i].resident_bytes, 512 * MA_MIB);
        }
        sim_second();
    }
    CHECK(is_all_given_back());
    for (int k = 0; k < 30; k++) {
        sim_second();
    }
    for (size_t i = 0; i < sim.h.state.n_guests; i++) {
        CHECK_U64(sim.h.state.guests[i].taken & MA_TAKEN_PAUSE, 0);
    }
    test_host_fini(&sim.h);
}

static void restart_through_json(void) {
    size_t size = 1 << 20;
    char *text = malloc(size);
    struct ma_json json;
    struct ma_err err = {0};

    CHECK(text != NULL);
    ma_json_init(&json, text, size);
    ma_json_state(&json, NULL, &sim.h.state);
    CHECK(!json.is_truncated);
    ma_state_init(&sim.h.state, sim.h.memory[0], 2 * TEST_GUESTS_MAX, 0);
    if (ma_formats_read_state(text, json.len, &sim.h.state, &err) < 0) {
        TAP_FAIL("state: %s", err.message);
    }
    sim.h.state.started_usec = sim.h.snapshot.taken_at_usec;
    free(text);
}

static void restarted_controller_gives_back_too(void) {
    sim_start(5120);
    sim_run(180);
    CHECK(!is_all_given_back());
    restart_through_json();
    sim.h.snapshot.taken_at_usec += 20 * TEST_SECOND; /* it was away */
    for (unsigned k = 0; k < 900 && !is_all_given_back(); k++) {
        for (size_t i = 0; i < N_GUESTS; i++) {
            sim.guests[i].demand_bytes = 64 * MA_MIB;
            sim.h.guests[i].resident_bytes =
                ma_min_u64(sim.h.guests[i].resident_bytes, 512 * MA_MIB);
        }
        sim_second();
    }
    CHECK(is_all_given_back());
    CHECK_U64(sim.n_victims, 0);
    test_host_fini(&sim.h);
}

static void dead_driver_is_found_and_the_others_give(void) {
    struct ma_guest_memory *memory;

    sim_start(5120);
    sim.guests[0].is_dead_driver = true;
    sim_run(240);
    memory = ma_state_find(&sim.h.state, sim.h.guests[0].uuid);
    CHECK(memory != NULL && memory->cooperation == MA_COOPERATION_STUCK);
    CHECK_U64(sim.n_victims, 0);
    CHECK(sim.h.snapshot.host.available_bytes >= sim.h.snapshot.settings.reserve_bytes);
    test_host_fini(&sim.h);
}

static void bomb_pays_for_itself(void) {
    sim_start(3072); /* 30 GiB of guests, all of it could be used */
    sim_run(60);
    sim.h.guests[3].max_bytes = 24 * MA_GIB;
    sim.h.guests[3].actual_bytes = 24 * MA_GIB;
    sim.h.guests[3].balloon.state = MA_BALLOON_ABSENT;
    sim.guests[3].target_bytes = 24 * MA_GIB;
    sim.guests[3].demand_bytes = 24 * MA_GIB;
    sim_run(300);
    CHECK(sim.least_available_bytes > 0); /* the kernel had no reason to kill */
    CHECK(sim.h.guests[3].state != MA_GUEST_RUNNING);
    for (size_t i = 0; i < N_GUESTS; i++) {
        CHECK(i == 3 || sim.h.guests[i].state == MA_GUEST_RUNNING);
    }
    test_host_fini(&sim.h);
}

TAP_MAIN(TAP_CASE(idle_guests_shrink_and_nobody_is_hurt),
         TAP_CASE(what_was_taken_is_given_back),
         TAP_CASE(restarted_controller_gives_back_too),
         TAP_CASE(dead_driver_is_found_and_the_others_give),
         TAP_CASE(bomb_pays_for_itself));
