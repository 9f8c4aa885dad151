/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guests.c - who lives on the host: population from the classes, start, death, return. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim-internal.h"

/* A guest that was there already has been up for some time: up to a week, by chance. */
#define AGE_MAX_USEC (UINT64_C(7) * 86400 * MA_USEC_PER_SEC)
/* exit_mmap() of 4 KiB pages: measured 30 GiB/s with SIGKILL on a virtual machine; a big host with others at work is
 * slower. */
#define EXIT_RATE_BYTES_PER_S (UINT64_C(10) * MA_GIB)
#define EXIT_LEAST_USEC       (UINT64_C(200) * MA_USEC_PER_MSEC)

static void choose_driver(struct sim_world *world, struct sim_guest *guest) {
    uint64_t dice = sim_random_below(&world->random, MA_PERMYRIAD_FULL);
    const struct sim_scenario *scenario = world->scenario;

    guest->driver = guest->class->driver;
    if (guest->class->has_driver) {
        return;
    }
    if (dice < scenario->dead_permyriad) {
        guest->driver = SIM_DRIVER_DEAD;
    } else if (dice < (uint64_t) scenario->dead_permyriad + scenario->slow_permyriad) {
        guest->driver = SIM_DRIVER_SLOW;
    }
}

static int add_guest(struct sim_world *world, const struct sim_class *class) {
    struct sim_guest *guest = &world->guests[world->n_guests];
    uint64_t spread = class->spread_usec;

    if (world->n_guests >= SIM_GUESTS_MAX) {
        return -EINVAL;
    }
    memset(guest, 0, sizeof(*guest));
    guest->class = class;
    guest->random = sim_random(&world->random);
    (void) snprintf(guest->uuid, sizeof(guest->uuid), "00000000-0000-4000-8000-%012zx",
                    world->n_guests + 1);
    (void) snprintf(guest->name, sizeof(guest->name), "%s-%zu", class->name, world->n_guests + 1);
    guest->max_bytes = class->size_bytes[sim_random_below(&world->random, class->n_sizes)];
    guest->level_permyriad = (uint32_t) sim_random_below(&world->random, MA_PERMYRIAD_FULL + 1);
    guest->phase = (uint32_t) sim_random_below(&world->random, 0x10000);
    guest->life_until_usec = SIM_EPOCH_USEC + sim_random_below(&world->random, spread + 1);
    if (class->demand == SIM_DEMAND_BOOT) {
        guest->life_until_usec += class->start_usec;
    } else {
        guest->age_before_usec = sim_random_below(&world->random, AGE_MAX_USEC);
    }
    for (uint32_t k = 0; k < SIM_BURSTS_MAX; k++) {
        guest->burst_usec[k] =
            SIM_EPOCH_USEC +
            sim_random_between(&world->random, class->start_usec,
                               ma_max_u64(class->start_usec, world->scenario->duration_usec));
    }
    choose_driver(world, guest);
    world->n_guests++;
    return 0;
}

static const struct sim_class *draw(struct sim_world *world, uint64_t weights) {
    uint64_t dice = sim_random_below(&world->random, weights);
    const struct sim_scenario *scenario = world->scenario;

    for (uint32_t k = 0; k + 1 < scenario->n_classes; k++) {
        if (dice < scenario->classes[k].weight) {
            return &scenario->classes[k];
        }
        dice -= scenario->classes[k].weight;
    }
    return &scenario->classes[scenario->n_classes - 1];
}

int sim_populate(struct sim_world *world) {
    const struct sim_scenario *scenario = world->scenario;
    uint64_t wanted = ma_permyriad_of(scenario->host_bytes, scenario->overcommit_permyriad);
    uint64_t weights = 0;
    uint64_t sum = 0;
    int r = 0;

    for (uint32_t k = 0; k < scenario->n_classes && r == 0; k++) {
        weights += scenario->classes[k].weight;
        for (uint32_t n = 0; n < scenario->classes[k].count && r == 0; n++) {
            r = add_guest(world, &scenario->classes[k]);
        }
    }
    for (size_t i = 0; i < world->n_guests; i++) {
        sum += world->guests[i].max_bytes;
    }
    while (r == 0 && weights > 0 && sum < wanted) {
        r = add_guest(world, draw(world, weights));
        sum += r == 0 ? world->guests[world->n_guests - 1].max_bytes : 0;
    }
    return r < 0 || world->n_guests == 0 ? -EINVAL : 0;
}

void sim_guest_start(struct sim_world *world, struct sim_guest *guest) {
    guest->life = SIM_LIFE_RUNNING;
    guest->life_until_usec = 0;
    guest->booted_usec = world->now_usec;
    guest->origin_usec = world->now_usec;
    guest->room_bytes = guest->max_bytes;
    guest->actual_bytes = guest->max_bytes;
    guest->target_bytes = guest->max_bytes;
    guest->target_usec = world->now_usec;
    guest->used_bytes = 0;
    guest->cache_bytes = 0;
    guest->touched_bytes = 0;
    guest->swapped_bytes = 0;
    guest->reclaim_bytes = 0;
    guest->demand_bytes = 0;
    guest->short_since_usec = 0;
    guest->has_growth = false;
    guest->growth_bytes_per_s = 0;
    guest->last_resident_bytes = 0;
    guest->direction = 0;
    memset(&guest->stats, 0, sizeof(guest->stats));
    memset(&guest->stats_on_way, 0, sizeof(guest->stats_on_way));
}

void sim_guest_die(struct sim_world *world, struct sim_guest *guest) {
    guest->life = SIM_LIFE_DYING;
    guest->life_until_usec =
        world->now_usec + EXIT_LEAST_USEC +
        ma_muldiv_sat(sim_guest_resident(guest), MA_USEC_PER_SEC, EXIT_RATE_BYTES_PER_S);
    guest->age_before_usec = 0;
}

static void end(struct sim_world *world, struct sim_guest *guest) {
    guest->life = SIM_LIFE_AWAY;
    guest->touched_bytes = 0;
    guest->swapped_bytes = 0;
    guest->used_bytes = 0;
    guest->cache_bytes = 0;
    guest->life_until_usec =
        guest->class->restart_usec > 0 ? world->now_usec + guest->class->restart_usec : 0;
}

void sim_guest_lives(struct sim_world *world) {
    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];
        bool is_due = guest->life_until_usec != 0 && world->now_usec >= guest->life_until_usec;

        if (!is_due) {
            continue;
        }
        switch (guest->life) {
        case SIM_LIFE_AWAY:
            sim_guest_start(world, guest);
            break;
        case SIM_LIFE_STOPPING:
        case SIM_LIFE_SAVING:
            sim_guest_die(world, guest);
            break;
        case SIM_LIFE_DYING:
            end(world, guest);
            break;
        case SIM_LIFE_RUNNING:
        case SIM_LIFE_PAUSED:
            break;
        }
    }
}
