/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* act.c - the plan's armed actions, carried out on the simulated guests. */
#include "sim-internal.h"

/* A guest's own shutdown, unless it ignores the button. */
#define SHUTDOWN_USEC (UINT64_C(15) * MA_USEC_PER_SEC)
/* Guest memory to a disk that others use too. */
#define SAVE_RATE_BYTES_PER_S (UINT64_C(500) * MA_MIB)

void sim_note_loss(struct sim_world *world, struct sim_guest *guest, enum ma_rung rung) {
    struct ma_guest_node nodes[SIM_NODES_MAX];
    struct ma_guest figures;
    struct ma_impact impact;

    sim_figures_of(world, guest, &figures, nodes);
    if (figures.config.impact_class == MA_IMPACT_NEVER) {
        /* It has no score of its own; its loss is the dearest there is. */
        figures.config.impact_class = MA_IMPACT_WEIGHT;
        figures.config.impact = MA_IMPACT_MAX;
    }
    ma_impact_score(&figures, &impact);
    world->result->impact_lost += ma_impact_of_rung(impact.total, rung);
    world->result->innocents += guest->class->demand != SIM_DEMAND_BOMB;
    if (rung != MA_RUNG_PAUSE) {
        world->result->lost_bytes += guest->max_bytes;
        guest->losses++;
    }
}

static void set_balloon(struct sim_world *world, struct sim_guest *guest, uint64_t to_bytes) {
    uint64_t from = guest->target_bytes;
    int direction = to_bytes > from ? 1 : -1;
    bool is_idle = guest->actual_bytes == guest->target_bytes;

    if (to_bytes == from || guest->life != SIM_LIFE_RUNNING) {
        return;
    }
    world->result->moves++;
    world->result->reversals += guest->direction != 0 && guest->direction != direction;
    world->result->moved_bytes += to_bytes > from ? to_bytes - from : from - to_bytes;
    /* A driver at work takes the new figure as it goes. */
    if (is_idle || guest->direction != direction) {
        guest->target_usec = world->now_usec;
    }
    guest->direction = direction;
    guest->target_bytes = ma_min_u64(to_bytes, guest->max_bytes);
}

static void note_victim(struct sim_world *world, struct sim_guest *guest, enum ma_rung rung) {
    world->result->victims++;
    world->result->repeats += guest->times_victim > 0;
    guest->times_victim++;
    sim_note_loss(world, guest, rung);
}

static void
act_on(struct sim_world *world, struct sim_guest *guest, const struct ma_plan_action *action) {
    bool is_alive = guest->life == SIM_LIFE_RUNNING || guest->life == SIM_LIFE_PAUSED;

    if (!is_alive) {
        return;
    }
    if (action->action == MA_ACTION_BALLOON) {
        set_balloon(world, guest, action->to_bytes);
    } else if (action->action == MA_ACTION_RECLAIM) {
        guest->reclaim_bytes = ma_min_u64(action->to_bytes, sim_guest_resident(guest));
    } else if (action->action == MA_ACTION_PAUSE && guest->life == SIM_LIFE_RUNNING) {
        guest->life = SIM_LIFE_PAUSED;
        world->result->pauses++;
        note_victim(world, guest, MA_RUNG_PAUSE);
    } else if (action->action == MA_ACTION_RESUME && guest->life == SIM_LIFE_PAUSED) {
        guest->life = SIM_LIFE_RUNNING;
    } else if (action->action == MA_ACTION_SAVE) {
        note_victim(world, guest, MA_RUNG_SAVE);
        guest->life = SIM_LIFE_SAVING;
        guest->life_until_usec =
            world->now_usec +
            ma_muldiv_sat(guest->touched_bytes, MA_USEC_PER_SEC, SAVE_RATE_BYTES_PER_S);
    } else if (action->action == MA_ACTION_SHUTDOWN) {
        note_victim(world, guest, MA_RUNG_SHUTDOWN);
        guest->life = SIM_LIFE_STOPPING;
        guest->life_until_usec = world->now_usec + SHUTDOWN_USEC;
    } else if (action->action == MA_ACTION_KILL) {
        note_victim(world, guest, MA_RUNG_KILL);
        sim_guest_die(world, guest);
    }
}

void sim_act(struct sim_world *world) {
    for (size_t k = 0; k < world->plan.n_actions; k++) {
        const struct ma_plan_action *action = &world->plan.actions[k];

        if (action->is_armed && action->has_guest) {
            act_on(world, &world->guests[world->figure_guest[action->guest]], action);
        }
    }
}
