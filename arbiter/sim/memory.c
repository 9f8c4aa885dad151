/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory.c - one tick inside a guest.
 *
 * What its programs give up stays resident on the host: resident memory falls by balloon, by the host's swapping and
 * by death alone. New demand takes free memory first, touched before untouched, then page cache; the cache fills
 * what is free again at 100 MiB/s. A balloon begins a second after it was told and takes free memory at 2 GiB/s,
 * page cache at 400 MiB/s and the working set at 60 MiB/s; which free pages it takes is not known, so the untouched
 * ones go first. */
#include "sim-internal.h"

#define CACHE_RATE_BYTES_PER_S   (UINT64_C(100) * MA_MIB)
#define BALLOON_LAG_USEC         MA_USEC_PER_SEC
#define FREE_RATE_BYTES_PER_S    (UINT64_C(2) * MA_GIB)
#define DROP_RATE_BYTES_PER_S    (UINT64_C(400) * MA_MIB)
#define WORKING_RATE_BYTES_PER_S (UINT64_C(60) * MA_MIB)
#define SLOW_DIVISOR             10U
/* A guest's kernel keeps this free of cache. */
#define KEPT_FREE_PERMYRIAD 200U
/* A guest that lacks this much of its demand for that long runs its own OOM killer, and is calm for a while. */
#define OOM_SHORT_PERMYRIAD 1500U
#define OOM_AFTER_USEC      (UINT64_C(5) * MA_USEC_PER_SEC)
#define OOM_CALM_USEC       (UINT64_C(60) * MA_USEC_PER_SEC)
/* A guest that lacks memory reads what it threw away again, at most so fast. */
#define PAGE_IN_MAX_BYTES_PER_S (UINT64_C(200) * MA_MIB)

static uint64_t per_tick(uint64_t bytes_per_s) {
    return bytes_per_s * SIM_TICK_USEC / MA_USEC_PER_SEC;
}

static void take_free_and_cache(struct sim_guest *guest, uint64_t *need_bytes) {
    uint64_t idle = guest->touched_bytes - guest->used_bytes - guest->cache_bytes;
    uint64_t part = ma_min_u64(*need_bytes, idle);

    guest->used_bytes += part;
    *need_bytes -= part;
    guest->want_used_bytes = ma_min_u64(*need_bytes, guest->room_bytes - guest->touched_bytes);
    *need_bytes -= guest->want_used_bytes;
    part = ma_min_u64(*need_bytes, guest->cache_bytes);
    guest->cache_bytes -= part;
    guest->used_bytes += part;
}

static void fill_cache(struct sim_guest *guest) {
    uint64_t kept = ma_permyriad_of(guest->max_bytes, KEPT_FREE_PERMYRIAD);
    uint64_t taken = guest->used_bytes + guest->want_used_bytes + guest->cache_bytes;
    uint64_t more = ma_min_u64(per_tick(CACHE_RATE_BYTES_PER_S),
                               ma_sub_floor0(guest->room_bytes, taken + kept));
    uint64_t idle = guest->touched_bytes - guest->used_bytes - guest->cache_bytes;
    uint64_t part = ma_min_u64(more, idle);

    guest->cache_bytes += part;
    guest->want_cache_bytes =
        ma_min_u64(more - part, guest->room_bytes - guest->touched_bytes - guest->want_used_bytes);
}

void sim_guest_want(struct sim_world *world, struct sim_guest *guest) {
    uint64_t goal;

    guest->want_used_bytes = 0;
    guest->want_cache_bytes = 0;
    if (guest->life != SIM_LIFE_RUNNING && guest->life != SIM_LIFE_STOPPING) {
        return;
    }
    guest->demand_bytes = sim_demand_bytes(world, guest);
    goal = ma_min_u64(guest->demand_bytes, guest->room_bytes);
    if (goal <= guest->used_bytes) {
        guest->used_bytes = goal;
    } else {
        uint64_t need = goal - guest->used_bytes;

        take_free_and_cache(guest, &need);
    }
    fill_cache(guest);
}

void sim_guest_grant(struct sim_guest *guest, uint64_t granted_bytes) {
    uint64_t used = ma_min_u64(granted_bytes, guest->want_used_bytes);
    uint64_t cache = ma_min_u64(granted_bytes - used, guest->want_cache_bytes);

    guest->used_bytes += used;
    guest->cache_bytes += cache;
    guest->touched_bytes += used + cache;
}

uint64_t sim_guest_hot_swapped(const struct sim_guest *guest) {
    return ma_sub_floor0(guest->swapped_bytes, guest->touched_bytes - guest->used_bytes);
}

void sim_guest_shrink_room(struct sim_guest *guest, uint64_t room_bytes) {
    guest->room_bytes = room_bytes;
    guest->touched_bytes = ma_min_u64(guest->touched_bytes, room_bytes);
    guest->used_bytes = ma_min_u64(guest->used_bytes, room_bytes);
    guest->cache_bytes = ma_min_u64(guest->cache_bytes, guest->touched_bytes - guest->used_bytes);
    guest->swapped_bytes = ma_min_u64(guest->swapped_bytes, guest->touched_bytes);
}

/* How far a good driver gets in one tick: what is left of the tick goes to the next, slower kind of memory. */
static uint64_t shrink_step(const struct sim_guest *guest, uint64_t wish) {
    const uint64_t kinds[] = {guest->room_bytes - guest->used_bytes - guest->cache_bytes,
                              guest->cache_bytes, guest->used_bytes};
    const uint64_t rates[] = {FREE_RATE_BYTES_PER_S, DROP_RATE_BYTES_PER_S,
                              WORKING_RATE_BYTES_PER_S};
    uint64_t left_usec = SIM_TICK_USEC;
    uint64_t done = 0;

    if (guest->driver == SIM_DRIVER_SLOW) {
        left_usec /= SLOW_DIVISOR;
    }
    for (size_t k = 0; k < 3 && left_usec > 0 && done < wish; k++) {
        uint64_t can = ma_muldiv_sat(rates[k], left_usec, MA_USEC_PER_SEC);
        uint64_t part = ma_min_u64(ma_min_u64(kinds[k], wish - done), can);

        done += part;
        left_usec -= ma_min_u64(left_usec, ma_muldiv_sat(part, MA_USEC_PER_SEC, rates[k]));
    }
    return done;
}

static bool is_stopped(const struct sim_world *world, const struct sim_guest *guest) {
    return guest->driver == SIM_DRIVER_DEAD ||
           (guest->driver == SIM_DRIVER_STUCK &&
            world->now_usec >= SIM_EPOCH_USEC + guest->class->stuck_at_usec);
}

void sim_guest_balloon(const struct sim_world *world, struct sim_guest *guest) {
    uint64_t divisor = guest->driver == SIM_DRIVER_SLOW ? SLOW_DIVISOR : 1;
    uint64_t room = guest->room_bytes;

    if (guest->life != SIM_LIFE_RUNNING || is_stopped(world, guest) ||
        world->now_usec < guest->target_usec + BALLOON_LAG_USEC) {
        return;
    }
    if (guest->driver == SIM_DRIVER_LYING) {
        guest->actual_bytes = guest->target_bytes;
        return;
    }
    if (guest->target_bytes < room) {
        sim_guest_shrink_room(guest, room - shrink_step(guest, room - guest->target_bytes));
    } else {
        guest->room_bytes +=
            ma_min_u64(guest->target_bytes - room, per_tick(FREE_RATE_BYTES_PER_S) / divisor);
    }
    guest->actual_bytes = guest->room_bytes;
}

static void note_own_oom(struct sim_world *world, struct sim_guest *guest, uint64_t lacking) {
    if (lacking <= ma_permyriad_of(guest->demand_bytes, OOM_SHORT_PERMYRIAD)) {
        guest->short_since_usec = 0;
        return;
    }
    if (guest->short_since_usec == 0) {
        guest->short_since_usec = world->now_usec;
        return;
    }
    if (world->now_usec - guest->short_since_usec >= OOM_AFTER_USEC) {
        world->result->guest_ooms++;
        guest->short_since_usec = 0;
        guest->calm_until_usec = world->now_usec + OOM_CALM_USEC;
        guest->origin_usec = world->now_usec;
    }
}

void sim_guest_judge(struct sim_world *world, struct sim_guest *guest) {
    uint64_t weight = guest->class->config.impact_class == MA_IMPACT_NEVER ? MA_IMPACT_MAX
                      : (guest->class->config.has & MA_CONFIG_HAS_IMPACT) != 0
                          ? guest->class->config.impact
                          : MA_IMPACT_DEFAULT;
    uint64_t lacking = ma_sub_floor0(guest->demand_bytes, guest->used_bytes);
    uint64_t stalled = lacking + sim_guest_hot_swapped(guest);

    if (guest->life == SIM_LIFE_PAUSED) {
        world->result->stall_usec += SIM_TICK_USEC * weight / MA_IMPACT_DEFAULT;
        return;
    }
    if (guest->life != SIM_LIFE_RUNNING) {
        return;
    }
    guest->page_in_bytes_per_s = ma_min_u64(lacking, PAGE_IN_MAX_BYTES_PER_S);
    world->result->stall_usec +=
        ma_muldiv_sat(SIM_TICK_USEC * weight / MA_IMPACT_DEFAULT,
                      ma_min_u64(stalled, guest->demand_bytes), guest->demand_bytes + 1);
    /* Only what its balloon withholds makes its kernel kill; a host that swaps just stalls it. */
    note_own_oom(world, guest, ma_sub_floor0(guest->demand_bytes, guest->room_bytes));
}
