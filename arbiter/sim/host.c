/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host.c - the host's kernel, much simplified: it gives pages while it has some, swaps guests out at its swap's speed
 * below 1 % free, coldest pages first, and at 0.4 % with no swap left kills the largest guest - on a node of its own
 * for guests that are bound to it. One victim at a time, as the kernel does. */
#include "sim-internal.h"

/* What the host itself takes. */
#define HOST_OWN_PERMYRIAD 200U
/* Below this free it swaps; below that it kills. Linux' watermarks are smaller on big hosts; measured: allocations
 * of several guests at once stall for seconds before the killer runs. */
#define LOW_PERMYRIAD 100U
#define OOM_PERMYRIAD 40U
/* Swap with less than this is full: the rest lies in clusters that nobody finds. */
#define SWAP_FULL_BYTES (UINT64_C(64) * MA_MIB)

static uint64_t node_total(const struct sim_world *world) {
    return world->scenario->host_bytes / world->scenario->n_nodes;
}

uint64_t
sim_node_share(const struct sim_world *world, const struct sim_guest *guest, uint16_t node) {
    if (guest->class->node == SIM_NODE_ANY) {
        return MA_PERMYRIAD_FULL / world->scenario->n_nodes;
    }
    return guest->class->node == node ? MA_PERMYRIAD_FULL : 0;
}

void sim_host_count(struct sim_world *world) {
    uint64_t swapped = 0;

    world->free_bytes = 0;
    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        uint64_t total = node_total(world);
        uint64_t taken = ma_permyriad_of(total, HOST_OWN_PERMYRIAD);

        for (size_t i = 0; i < world->n_guests; i++) {
            const struct sim_guest *guest = &world->guests[i];

            taken += ma_permyriad_of(sim_guest_resident(guest), sim_node_share(world, guest, node));
        }
        world->node_free_bytes[node] = ma_sub_floor0(total, taken);
        world->free_bytes += world->node_free_bytes[node];
    }
    for (size_t i = 0; i < world->n_guests; i++) {
        swapped += world->guests[i].swapped_bytes;
    }
    world->swap_free_bytes = ma_sub_floor0(world->scenario->swap_bytes, swapped);
}

/* Swaps out of one guest; returns what went. */
static uint64_t swap_out(struct sim_world *world, struct sim_guest *guest, uint64_t bytes) {
    uint64_t part =
        ma_min_u64(ma_min_u64(bytes, sim_guest_resident(guest)), world->swap_free_bytes);

    guest->swapped_bytes += part;
    world->swap_free_bytes -= part;
    world->result->swapped_out_bytes += part;
    return part;
}

static uint64_t cold(const struct sim_guest *guest) {
    return ma_sub_floor0(guest->touched_bytes - guest->used_bytes, guest->swapped_bytes);
}

static bool can_swap(const struct sim_guest *guest) {
    return sim_guest_is_here(guest) && guest->life != SIM_LIFE_DYING;
}

/* In proportion to what each has there: cold pages, then all. */
static void swap_node(struct sim_world *world, uint16_t node, uint64_t bytes) {
    for (int pass = 0; pass < 2 && bytes > 0; pass++) {
        uint64_t sum = 0;
        uint64_t left = bytes;

        for (size_t i = 0; i < world->n_guests; i++) {
            const struct sim_guest *guest = &world->guests[i];
            uint64_t has = pass == 0 ? cold(guest) : sim_guest_resident(guest);

            sum += can_swap(guest) ? ma_permyriad_of(has, sim_node_share(world, guest, node)) : 0;
        }
        for (size_t i = 0; i < world->n_guests && sum > 0; i++) {
            struct sim_guest *guest = &world->guests[i];
            uint64_t share = sim_node_share(world, guest, node);
            uint64_t has = pass == 0 ? cold(guest) : sim_guest_resident(guest);

            if (can_swap(guest) && share > 0) {
                uint64_t part =
                    ma_muldiv_sat(ma_permyriad_of(has, share), ma_min_u64(bytes, sum), sum);

                left -= ma_min_u64(left, swap_out(world, guest, part));
            }
        }
        bytes = left;
    }
}

/* What memarb asked of a guest's cgroup. */
static void reclaim(struct sim_world *world, uint64_t *budget) {
    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];
        uint64_t part = ma_min_u64(guest->reclaim_bytes, *budget);

        if (part == 0 || !can_swap(guest)) {
            continue;
        }
        guest->reclaim_bytes -= part;
        *budget -= swap_out(world, guest, part);
    }
}

static uint64_t node_wants(const struct sim_world *world, uint16_t node) {
    uint64_t sum = 0;

    for (size_t i = 0; i < world->n_guests; i++) {
        const struct sim_guest *guest = &world->guests[i];

        sum += ma_permyriad_of(guest->want_used_bytes + guest->want_cache_bytes,
                               sim_node_share(world, guest, node));
    }
    return sum;
}

/* Swaps where a node is about to fall below its mark; then how much of what is wanted each node can give. */
static void balance_nodes(struct sim_world *world, uint64_t permyriad[SIM_NODES_MAX]) {
    uint64_t budget = world->scenario->swap_bytes_per_s * SIM_TICK_USEC / MA_USEC_PER_SEC;

    reclaim(world, &budget);
    sim_host_count(world);
    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        uint64_t low = ma_permyriad_of(node_total(world), LOW_PERMYRIAD);
        uint64_t wants = node_wants(world, node);
        uint64_t missing = ma_sub_floor0(low + wants, world->node_free_bytes[node]);
        uint64_t part = ma_min_u64(ma_min_u64(missing, budget), world->swap_free_bytes);

        swap_node(world, node, part);
        budget -= part;
        world->stall_permyriad = ma_max_u64(world->stall_permyriad, part > 0 ? 2000 : 0);
    }
    sim_host_count(world);
    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        /* While there is swap, allocations wait for it instead of taking the last pages. */
        uint64_t kept = world->swap_free_bytes > SWAP_FULL_BYTES
                            ? ma_permyriad_of(node_total(world), OOM_PERMYRIAD)
                            : 0;
        uint64_t wants = node_wants(world, node);
        uint64_t can = ma_sub_floor0(world->node_free_bytes[node], kept);

        permyriad[node] =
            wants <= can ? MA_PERMYRIAD_FULL : ma_muldiv_sat(can, MA_PERMYRIAD_FULL, wants);
        world->stall_permyriad =
            ma_max_u64(world->stall_permyriad, MA_PERMYRIAD_FULL - permyriad[node]);
    }
}

/* The guest waits for the node that gives least. */
static uint64_t grant_permyriad(const struct sim_world *world,
                                const struct sim_guest *guest,
                                const uint64_t permyriad[SIM_NODES_MAX]) {
    uint64_t least = MA_PERMYRIAD_FULL;

    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        if (sim_node_share(world, guest, node) > 0) {
            least = ma_min_u64(least, permyriad[node]);
        }
    }
    return least;
}

static void page_in(struct sim_world *world) {
    uint64_t budget = world->scenario->swap_bytes_per_s * SIM_TICK_USEC / MA_USEC_PER_SEC;
    uint64_t low = ma_permyriad_of(world->scenario->host_bytes, LOW_PERMYRIAD);

    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];
        uint64_t room = ma_sub_floor0(world->free_bytes, low);
        uint64_t part = ma_min_u64(ma_min_u64(sim_guest_hot_swapped(guest), budget), room);

        if (guest->life == SIM_LIFE_RUNNING && part > 0) {
            guest->swapped_bytes -= part;
            budget -= part;
            world->free_bytes -= part;
            world->stall_permyriad = ma_max_u64(world->stall_permyriad, 1000);
        }
    }
}

static struct sim_guest *largest(struct sim_world *world, uint16_t node) {
    struct sim_guest *found = NULL;

    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];

        if (guest->life == SIM_LIFE_DYING) {
            return NULL; /* one at a time */
        }
        if (sim_guest_is_here(guest) && (node == SIM_NODE_ANY || guest->class->node == node) &&
            (found == NULL || guest->touched_bytes > found->touched_bytes)) {
            found = guest;
        }
    }
    return found;
}

static void kill_when_out(struct sim_world *world) {
    for (uint16_t node = 0; node < world->scenario->n_nodes; node++) {
        uint64_t least = ma_permyriad_of(node_total(world), OOM_PERMYRIAD);
        uint64_t free = world->node_free_bytes[node];
        struct sim_guest *guest;

        if (free >= least || world->swap_free_bytes > SWAP_FULL_BYTES) {
            continue;
        }
        guest = largest(world, world->scenario->n_nodes > 1 ? node : SIM_NODE_ANY);
        if (guest != NULL) {
            world->result->host_oom_kills++;
            sim_note_loss(world, guest, MA_RUNG_KILL);
            sim_guest_die(world, guest);
        }
    }
}

void sim_host_tick(struct sim_world *world) {
    uint64_t permyriad[SIM_NODES_MAX] = {0};

    world->stall_permyriad = 0;
    balance_nodes(world, permyriad);
    for (size_t i = 0; i < world->n_guests; i++) {
        struct sim_guest *guest = &world->guests[i];
        uint64_t wants = guest->want_used_bytes + guest->want_cache_bytes;

        if (wants > 0) {
            sim_guest_grant(guest,
                            ma_permyriad_of(wants, grant_permyriad(world, guest, permyriad)));
        }
    }
    sim_host_count(world);
    page_in(world);
    sim_host_count(world);
    kill_when_out(world);
}
