/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* figures.c - what a controller gets to see: host figures at once, a guest's own words up to 4 s old, nothing from a
 * dead driver, nonsense from a lying one. */
#include <string.h>

#include "sim-internal.h"

/* Guests' statistics are asked for this often, each at its own time; they are on the way for up to as much. */
#define STATS_PERIOD_USEC (UINT64_C(2) * MA_USEC_PER_SEC)
#define STATS_DELAY_TICKS 8U
/* Averages of growth: 0.3 a second, as the daemon's. */
#define GROWTH_PERMYRIAD_PER_S 3000
/* A lying guest says that it uses this much of what it has. */
#define LIE_PERMYRIAD 9500U

static void average(uint64_t *avg, uint64_t now_permyriad, uint64_t window_s) {
    uint64_t window = window_s * MA_USEC_PER_SEC;

    *avg = (*avg * (window - SIM_TICK_USEC) + now_permyriad * 100 * SIM_TICK_USEC) / window;
}

static void tick_psi(struct sim_world *world) {
    uint64_t some = world->stall_permyriad;
    uint64_t full = some / 2;

    average(&world->psi_some_avg10, some, 10);
    average(&world->psi_some_avg60, some, 60);
    average(&world->psi_full_avg10, full, 10);
    average(&world->psi_full_avg60, full, 60);
    world->psi_some_total_usec += ma_permyriad_of(SIM_TICK_USEC, some);
    world->psi_full_total_usec += ma_permyriad_of(SIM_TICK_USEC, full);
}

static bool has_word(const struct sim_world *world, const struct sim_guest *guest) {
    return guest->life == SIM_LIFE_RUNNING && guest->driver != SIM_DRIVER_DEAD &&
           !(guest->driver == SIM_DRIVER_STUCK &&
             world->now_usec >= SIM_EPOCH_USEC + guest->class->stuck_at_usec);
}

static void arrive(const struct sim_world *world, struct sim_guest *guest) {
    uint64_t delay = guest->phase % STATS_DELAY_TICKS * SIM_TICK_USEC;

    if (guest->stats_on_way.taken_usec != 0 &&
        world->now_usec >= guest->stats_on_way.taken_usec + delay) {
        guest->stats = guest->stats_on_way;
        guest->stats_on_way.taken_usec = 0;
    }
}

static void tick_stats(const struct sim_world *world, struct sim_guest *guest, size_t index) {
    uint64_t tick = world->now_usec / SIM_TICK_USEC;
    uint64_t period = STATS_PERIOD_USEC / SIM_TICK_USEC;
    struct sim_stats *stats = &guest->stats_on_way;

    if (!has_word(world, guest) || (tick + index) % period != 0) {
        return;
    }
    stats->taken_usec = world->now_usec;
    stats->available_bytes = guest->room_bytes - guest->used_bytes;
    stats->free_bytes = guest->room_bytes - guest->used_bytes - guest->cache_bytes;
    stats->cache_bytes = guest->cache_bytes;
    stats->page_in_bytes_per_s = guest->page_in_bytes_per_s;
    if (guest->driver == SIM_DRIVER_LYING) {
        stats->available_bytes =
            ma_permyriad_of(guest->actual_bytes, MA_PERMYRIAD_FULL - LIE_PERMYRIAD);
        stats->free_bytes = stats->available_bytes;
        stats->cache_bytes = 0;
    }
}

static void tick_growth(struct sim_guest *guest) {
    int64_t now = (int64_t) guest->touched_bytes;
    int64_t rate =
        (now - (int64_t) guest->last_resident_bytes) * (int64_t) (MA_USEC_PER_SEC / SIM_TICK_USEC);
    int64_t part = GROWTH_PERMYRIAD_PER_S / (int64_t) (MA_USEC_PER_SEC / SIM_TICK_USEC);

    if (guest->has_growth) {
        guest->growth_bytes_per_s += (rate - guest->growth_bytes_per_s) / 10000 * part;
    }
    guest->has_growth = true;
    guest->last_resident_bytes = guest->touched_bytes;
}

void sim_figures_tick(struct sim_world *world) {
    tick_psi(world);
    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];

        if (guest->life == SIM_LIFE_RUNNING) {
            tick_stats(world, guest, i);
            arrive(world, guest);
        }
        if (sim_guest_is_here(guest)) {
            tick_growth(guest);
        }
    }
}

static enum ma_guest_state state_of(const struct sim_guest *guest) {
    switch (guest->life) {
    case SIM_LIFE_PAUSED:
        return MA_GUEST_PAUSED;
    case SIM_LIFE_SAVING:
        return MA_GUEST_SAVING;
    case SIM_LIFE_STOPPING:
        return MA_GUEST_SHUTTING_DOWN;
    case SIM_LIFE_DYING:
        return MA_GUEST_CRASHED;
    case SIM_LIFE_RUNNING:
    case SIM_LIFE_AWAY:
        break;
    }
    return MA_GUEST_RUNNING;
}

static void
set_stats(const struct sim_world *world, const struct sim_guest *guest, struct ma_stats *ret) {
    if (guest->stats.taken_usec == 0) {
        return;
    }
    ret->has = MA_STATS_HAS_AGE | MA_STATS_HAS_TOTAL | MA_STATS_HAS_FREE | MA_STATS_HAS_AVAILABLE |
               MA_STATS_HAS_CACHE | MA_STATS_HAS_SWAP_IN;
    ret->age_usec = world->now_usec - guest->stats.taken_usec;
    ret->claimed_total_bytes = guest->actual_bytes;
    ret->claimed_free_bytes = guest->stats.free_bytes;
    ret->claimed_available_bytes = guest->stats.available_bytes;
    ret->claimed_cache_bytes = guest->stats.cache_bytes;
    ret->claimed_swap_in_bytes_per_s = guest->stats.page_in_bytes_per_s;
}

static size_t set_nodes(const struct sim_world *world,
                        const struct sim_guest *guest,
                        struct ma_guest_node *nodes) {
    size_t n = 0;

    if (world->scenario->n_nodes < 2) {
        return 0;
    }
    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        uint64_t share = sim_node_share(world, guest, node);

        if (share > 0) {
            nodes[n++] = (struct ma_guest_node){
                .id = node, .resident_bytes = ma_permyriad_of(sim_guest_resident(guest), share)};
        }
    }
    return n;
}

void sim_figures_of(const struct sim_world *world,
                    const struct sim_guest *guest,
                    struct ma_guest *ret,
                    struct ma_guest_node *nodes) {
    memset(ret, 0, sizeof(*ret));
    ret->uuid = guest->uuid;
    ret->name = guest->name;
    ret->state = state_of(guest);
    ret->has = MA_GUEST_HAS_UPTIME | MA_GUEST_HAS_AGE | MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL |
               MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_SWAP | MA_GUEST_HAS_PINNED |
               MA_GUEST_HAS_PLACEMENT | MA_GUEST_HAS_CPU | MA_GUEST_HAS_IO |
               MA_GUEST_HAS_VICTIM_COUNT | MA_GUEST_HAS_GROWTH;
    ret->uptime_usec = guest->age_before_usec + (world->now_usec - guest->booted_usec);
    ret->placement =
        guest->class->node == SIM_NODE_ANY ? MA_PLACEMENT_DEFAULT : MA_PLACEMENT_STRICT;
    ret->config = guest->class->config;
    ret->max_bytes = guest->max_bytes;
    ret->actual_bytes = guest->actual_bytes;
    ret->resident_bytes = sim_guest_resident(guest);
    ret->swap_bytes = guest->swapped_bytes;
    ret->growth_bytes_per_s = guest->growth_bytes_per_s;
    ret->cpu_permyriad_of_vcpus = guest->class->cpu_permyriad;
    ret->io_permyriad_of_p95 = guest->class->io_permyriad;
    ret->victim_count_24h = guest->losses;
    ret->balloon.has = MA_BALLOON_HAS_STATE | MA_BALLOON_HAS_TARGET;
    ret->balloon.state = MA_BALLOON_READY;
    ret->balloon.target_bytes = guest->target_bytes;
    set_stats(world, guest, &ret->stats);
    ret->nodes = nodes;
    ret->n_nodes = set_nodes(world, guest, nodes);
}

static void take_host(struct sim_world *world) {
    struct ma_host *host = &world->snapshot.host;
    uint32_t n = world->scenario->n_nodes;

    host->has = world->scenario->swap_bytes > 0 ? MA_HOST_HAS_SWAP : 0;
    host->total_bytes = world->scenario->host_bytes;
    host->available_bytes = world->free_bytes;
    host->swap_total_bytes = world->scenario->swap_bytes;
    host->swap_free_bytes = world->swap_free_bytes;
    host->pressure = (struct ma_psi){
        .has = MA_PSI_HAS_SOME_AVG10 | MA_PSI_HAS_FULL_AVG10 | MA_PSI_HAS_SOME_AVG60 |
               MA_PSI_HAS_FULL_AVG60 | MA_PSI_HAS_SOME_TOTAL | MA_PSI_HAS_FULL_TOTAL,
        .some_avg10_permyriad = (uint32_t) (world->psi_some_avg10 / 100),
        .full_avg10_permyriad = (uint32_t) (world->psi_full_avg10 / 100),
        .some_avg60_permyriad = (uint32_t) (world->psi_some_avg60 / 100),
        .full_avg60_permyriad = (uint32_t) (world->psi_full_avg60 / 100),
        .some_total_usec = world->psi_some_total_usec,
        .full_total_usec = world->psi_full_total_usec,
    };
    host->nodes = world->nodes;
    host->n_nodes = n > 1 ? n : 0;
    for (uint32_t k = 0; k < host->n_nodes; k++) {
        world->nodes[k] = (struct ma_node){.id = (uint16_t) k,
                                           .total_bytes = world->scenario->host_bytes / n,
                                           .available_bytes = world->node_free_bytes[k]};
    }
}

void sim_figures_take(struct sim_world *world) {
    size_t n = 0;

    take_host(world);
    for (size_t i = 0; i < world->n_guests; i++) {
        if (sim_guest_is_here(&world->guests[i])) {
            sim_figures_of(world, &world->guests[i], &world->figures[n],
                           &world->figure_nodes[n * SIM_NODES_MAX]);
            world->figure_guest[n++] = (uint32_t) i;
        }
    }
    world->snapshot.taken_at_usec = world->now_usec;
    world->snapshot.guests = world->figures;
    world->snapshot.n_guests = n;
    world->snapshot.settings = world->scenario->settings;
}
