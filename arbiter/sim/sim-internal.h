/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* sim-internal.h - what the parts of a run share. */

#include "bytes.h"
#include "decide.h"
#include "sim.h"

/* One step of the world. Too small: slow; too large: a bomb of 1.5 GiB/s jumps over the watermarks. */
#define SIM_TICK_USEC (UINT64_C(250) * MA_USEC_PER_MSEC)
/* The clock starts here, so that no time is 0. */
#define SIM_EPOCH_USEC (UINT64_C(1000) * MA_USEC_PER_SEC)

enum sim_life {
    SIM_LIFE_AWAY, /* not started yet, or gone */
    SIM_LIFE_RUNNING,
    SIM_LIFE_PAUSED,
    SIM_LIFE_SAVING,
    SIM_LIFE_STOPPING, /* ACPI shutdown under way */
    SIM_LIFE_DYING,    /* its memory is on the way back */
};

/* What the guest's statistics last said. */
struct sim_stats {
    uint64_t taken_usec; /* 0: never */
    uint64_t available_bytes;
    uint64_t free_bytes;
    uint64_t cache_bytes;
    uint64_t page_in_bytes_per_s;
};

struct sim_guest {
    const struct sim_class *class;
    char uuid[40];
    char name[SIM_NAME_MAX + 16];
    uint64_t random; /* its own sequence */
    enum sim_driver driver;
    enum sim_life life;
    uint64_t life_until_usec; /* saving, stopping, dying; away: starts then (0: never) */
    uint64_t booted_usec;
    uint64_t age_before_usec; /* uptime that it brought along */
    uint64_t origin_usec;     /* its demand is counted from here */
    uint64_t calm_until_usec; /* after its own OOM killer ran */
    uint32_t level_permyriad; /* steady, boot: its level between base and peak */
    uint32_t phase;           /* diurnal, 0..65535 */
    uint64_t burst_usec[SIM_BURSTS_MAX];

    uint64_t max_bytes;
    /* used + cache <= touched <= room; touched = resident + swapped */
    uint64_t demand_bytes;
    uint64_t used_bytes;
    uint64_t cache_bytes;
    uint64_t touched_bytes;
    uint64_t swapped_bytes;
    uint64_t room_bytes;   /* its memory without what its balloon holds */
    uint64_t actual_bytes; /* what its balloon says of that */
    uint64_t target_bytes;
    uint64_t target_usec; /* when it was set */
    uint64_t want_used_bytes;
    uint64_t want_cache_bytes;
    uint64_t reclaim_bytes; /* asked of its cgroup, still to do */
    uint64_t short_since_usec;
    uint64_t page_in_bytes_per_s;

    struct sim_stats stats;        /* as the controller sees them */
    struct sim_stats stats_on_way; /* spoken, not arrived */
    uint64_t last_resident_bytes;
    int64_t growth_bytes_per_s;
    bool has_growth;
    int direction; /* of its last balloon move */
    uint32_t losses;
    uint32_t times_victim;
};

struct sim_world {
    const struct sim_scenario *scenario;
    const struct ma_policy *policy;
    struct sim_result *result;
    uint64_t now_usec; /* SIM_EPOCH_USEC + time of the run */
    uint64_t random;
    struct sim_guest *guests;
    size_t n_guests;
    uint64_t node_free_bytes[SIM_NODES_MAX];
    uint64_t free_bytes;
    uint64_t swap_free_bytes;
    uint64_t stall_permyriad; /* of this tick */
    uint64_t psi_some_avg10, psi_some_avg60;
    uint64_t psi_full_avg10, psi_full_avg60;
    uint64_t psi_some_total_usec, psi_full_total_usec;
    uint64_t max_usec_sum; /* running maxima in MiB x ticks */
    uint64_t n_ticks;

    /* the controller's side */
    struct ma_snapshot snapshot;
    struct ma_guest *figures;
    struct ma_guest_node *figure_nodes;
    uint32_t *figure_guest; /* index in guests */
    struct ma_node nodes[SIM_NODES_MAX];
    struct ma_state state;
    void *state_memory;
    struct ma_plan plan;
    void *plan_memory;
    struct ma_scratch scratch;
    uint64_t decide_at_usec;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t sim_random(uint64_t *state);
uint64_t sim_random_below(uint64_t *state, uint64_t n);                    /* n > 0 */
uint64_t sim_random_between(uint64_t *state, uint64_t low, uint64_t high); /* inclusive */

/* guests.c: population and life */
int sim_populate(struct sim_world *world);
void sim_guest_start(struct sim_world *world, struct sim_guest *guest);
/* Its memory comes back, then it is away, and comes again where a HA manager looks after it. */
void sim_guest_die(struct sim_world *world, struct sim_guest *guest);
void sim_guest_lives(struct sim_world *world);
static inline bool sim_guest_is_here(const struct sim_guest *guest) {
    return guest->life != SIM_LIFE_AWAY;
}
static inline uint64_t sim_guest_resident(const struct sim_guest *guest) {
    return guest->touched_bytes - guest->swapped_bytes;
}

/* demand.c */
uint64_t sim_demand_bytes(const struct sim_world *world, struct sim_guest *guest);

/* memory.c: one tick inside a guest, before and after the host had its say */
void sim_guest_want(struct sim_world *world, struct sim_guest *guest);
void sim_guest_grant(struct sim_guest *guest, uint64_t granted_bytes);
void sim_guest_balloon(const struct sim_world *world, struct sim_guest *guest);
void sim_guest_shrink_room(struct sim_guest *guest, uint64_t room_bytes);
/* Swapped pages that it needs. */
uint64_t sim_guest_hot_swapped(const struct sim_guest *guest);
void sim_guest_judge(struct sim_world *world, struct sim_guest *guest);

/* host.c */
void sim_host_count(struct sim_world *world);
void sim_host_tick(struct sim_world *world);
/* Its part on that node, permyriad. */
uint64_t
sim_node_share(const struct sim_world *world, const struct sim_guest *guest, uint16_t node);

/* figures.c */
void sim_figures_tick(struct sim_world *world);
void sim_figures_of(const struct sim_world *world,
                    const struct sim_guest *guest,
                    struct ma_guest *ret,
                    struct ma_guest_node *nodes);
void sim_figures_take(struct sim_world *world);

/* act.c */
void sim_act(struct sim_world *world);
/* Counts what a guest's loss costs, by that rung. */
void sim_note_loss(struct sim_world *world, struct sim_guest *guest, enum ma_rung rung);
