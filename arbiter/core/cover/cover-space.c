/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-space.c - the planner's workspace, laid out in one pass.
 *
 * The same function counts and places, so the size asked for and the layout used cannot drift apart. Sizes only grow
 * with each of the four numbers: a workspace for the largest problem serves all smaller ones. A node of the search
 * holds one bit per slot; the states of the one-row program share the pool's room, as never both run. */
#include "bytes.h"

#include "cover-internal.h"

#define SPACE_ALIGN 16U

struct space {
    uint8_t *base;
    size_t used;
};

static void *take(struct space *space, size_t count, size_t size) {
    size_t at = space->used;
    space->used += (count * size + SPACE_ALIGN - 1) / SPACE_ALIGN * SPACE_ALIGN;
    return space->base != NULL ? space->base + at : NULL;
}

static void take_plan(struct space *space, struct cover_plan *plan, size_t picks, size_t groups) {
    plan->pick_slot = take(space, picks, sizeof(uint32_t));
    plan->group_slot = take(space, groups, sizeof(uint32_t));
}

static void take_local(struct space *space, struct cover_core *core, size_t rows) {
    struct cover_local *local = &core->local;
    size_t slots = core->max_slots;
    local->groups = take(space, (size_t) core->n_groups + core->n_picks, sizeof(*local->groups));
    local->picks = take(space, core->n_picks, sizeof(*local->picks));
    local->slot = take(space, slots, sizeof(uint32_t));
    local->cost = take(space, slots, sizeof(int64_t));
    local->frees = take(space, slots * rows, sizeof(int32_t));
    local->value = take(space, slots, sizeof(int64_t));
    local->pick_best = take(space, core->n_picks, sizeof(uint32_t));
    local->group_best = take(space, (size_t) core->n_groups + core->n_picks, sizeof(uint32_t));
    local->weight = take(space, slots, sizeof(uint32_t));
    local->mode_weight = take(space, (size_t) core->n_groups + core->n_picks, sizeof(uint32_t));
}

static void take_pool(struct space *space, struct cover_core *core) {
    size_t words = core->alive_words;
    size_t node = (sizeof(struct cover_node) + words * sizeof(uint64_t) + SPACE_ALIGN - 1) /
                  SPACE_ALIGN * SPACE_ALIGN;
    core->node_bytes = node;
    core->pool_bytes = ma_max_u64(COVER_POOL_BYTES, COVER_POOL_NODES_MIN * node);
    core->pool_nodes = (uint32_t) ma_min_u64(core->pool_bytes / node, COVER_POOL_NODES_MAX);
    core->pool = take(space, core->pool_bytes, 1);
    core->heap = take(space, COVER_POOL_NODES_MAX, sizeof(uint32_t));
    core->heap_free = take(space, COVER_POOL_NODES_MAX, sizeof(uint32_t));
}

size_t
ma_cover_carve(struct cover_core *core, const struct ma_cover_problem *shape, uint8_t *base) {
    struct space space = {.base = base, .used = 0};
    size_t slots = shape->n_options + shape->n_members + shape->n_clusters;
    core->n_groups = (uint32_t) shape->n_clusters;
    core->n_picks = (uint32_t) shape->n_members;
    core->max_slots = (uint32_t) slots;
    core->alive_words = slots / 64 + 1;
    core->groups = take(&space, shape->n_clusters, sizeof(*core->groups));
    core->picks = take(&space, shape->n_members, sizeof(*core->picks));
    core->cost = take(&space, slots, sizeof(int64_t));
    core->priced = take(&space, slots, sizeof(int64_t));
    core->regret = take(&space, slots, sizeof(int64_t));
    core->frees = take(&space, slots * shape->n_rows, sizeof(int32_t));
    core->option = take(&space, slots, sizeof(uint32_t));
    core->owner = take(&space, slots, sizeof(uint32_t));
    core->alive = take(&space, core->alive_words, sizeof(uint64_t));
    core->seen = take(&space, core->alive_words, sizeof(uint64_t));
    core->keys = take(&space, slots, sizeof(*core->keys));
    core->keys_spare = take(&space, slots, sizeof(*core->keys));
    core->items = take(&space, slots, sizeof(*core->items));
    core->slots = take(&space, slots, sizeof(uint32_t));
    core->joint = take(&space, shape->n_clusters, sizeof(uint32_t));
    core->open = take(&space, shape->n_clusters, sizeof(uint32_t));
    core->chosen = take(&space, shape->n_members, sizeof(uint32_t));
    take_plan(&space, &core->best, shape->n_members, shape->n_clusters);
    take_plan(&space, &core->trial, shape->n_members, shape->n_clusters);
    take_plan(&space, &core->settled, shape->n_members, shape->n_clusters);
    take_local(&space, core, shape->n_rows);
    take_pool(&space, core);
    return space.used + SPACE_ALIGN;
}
