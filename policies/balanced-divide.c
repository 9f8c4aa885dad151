/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-divide.c - the division of what there is, and the rules that keep it from swinging. */
#include <errno.h>
#include <string.h>

#include "balanced.h"
#include "bytes.h"
#include "division.h"

/* A balloon smaller than this share of the guest's maximum is not worth a move. Too small: balloons twitch with every
 * sample; too large: small shortages are never answered. */
#define DEAD_BAND_PERMYRIAD 200U
/* The band in bytes (64 MiB by default) counts up to this share of a guest's maximum. */
#define DEAD_BAND_SMALL_PERMYRIAD 600U

uint64_t balanced_dead_band_bytes(const struct ma_study *study, const struct ma_facts *facts) {
    /* A small guest's slew step must be able to pass the band, or it would never move at all. */
    uint64_t band = ma_min_u64(study->input->snapshot->settings.balloon_dead_band_bytes,
                               ma_permyriad_of(facts->guest->max_bytes, DEAD_BAND_SMALL_PERMYRIAD));

    return ma_max_u64(band, ma_permyriad_of(facts->guest->max_bytes, DEAD_BAND_PERMYRIAD));
}

bool balanced_may_move(const struct ma_study *study, const struct ma_facts *facts, int direction) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t now = study->input->snapshot->taken_at_usec;
    bool is_turn;

    if (memory == NULL) {
        return true;
    }
    if (memory->last_move_usec != 0 &&
        ma_sub_floor0(now, memory->last_move_usec) < settings->balloon_period_usec) {
        return false;
    }
    is_turn = memory->last_turn_usec != 0 && memory->last_direction != direction;
    return !is_turn || (direction > 0 && facts->is_pressed) ||
           ma_sub_floor0(now, memory->last_turn_usec) >= settings->balloon_dwell_usec;
}

void balanced_add_balloon(struct ma_study *study,
                          uint32_t guest,
                          uint64_t to_bytes,
                          enum ma_reason reason) {
    const struct ma_facts *facts = &study->facts[guest];
    struct ma_plan_action *action = ma_plan_add_action(study->plan);
    uint64_t actual = facts->guest->actual_bytes;
    uint64_t distance = to_bytes > actual ? to_bytes - actual : actual - to_bytes;

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = MA_ACTION_BALLOON;
    action->has_from_to = true;
    action->from_bytes = actual;
    action->to_bytes = to_bytes;
    action->has_frees = true;
    ma_frees_of_balloon(study->plan, &study->need, facts, to_bytes, &action->frees);
    action->reason = reason;
    action->deadline_usec = ma_options_deadline_usec(facts, MA_ACTION_BALLOON, distance);
}

static bool has_action(const struct ma_plan *plan, uint32_t guest) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].has_guest && plan->actions[k].guest == guest) {
            return true;
        }
    }
    return false;
}

void balanced_probe_stuck(struct ma_study *study) {
    if (study->plan->pressure == MA_PRESSURE_NORMAL) {
        return;
    }
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        uint64_t to = study->facts[i].probe_to_bytes;

        if (to > 0 && !has_action(study->plan, i)) {
            balanced_add_balloon(study, i, to, MA_REASON_UNCOOPERATIVE);
        }
    }
}

/* Where its balloon stands or is heading, and no lower than the floor that is asked of it. */
static uint64_t base_of(const struct ma_facts *facts) {
    return ma_min_u64(facts->committed_bytes, facts->guest->max_bytes);
}

/* What may be asked back of a pressed guest's neighbours, for it: up to what it had, or its limit. */
static uint64_t ceiling_of(const struct ma_study *study, const struct ma_facts *facts) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    const struct ma_guest_memory *memory = facts->memory;
    uint64_t base = base_of(facts);
    uint64_t step = ma_permyriad_of(facts->guest->max_bytes, settings->balloon_slew_permyriad);
    uint64_t most = base;

    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        most = memory->balloon_before_bytes;
    }
    if ((facts->guest->config.has & MA_CONFIG_HAS_LIMIT) != 0) {
        most = facts->ceiling_bytes;
    }
    return facts->is_pressed ? ma_max_u64(base, ma_min_u64(most, base + step)) : base;
}

static void set_item(const struct ma_study *study,
                     const struct ma_facts *facts,
                     struct ma_division_item *item) {
    bool is_soft = study->plan->pressure == MA_PRESSURE_SOFT;
    uint64_t floor = is_soft ? ma_max_u64(facts->working_bytes, facts->balloon_floor_bytes)
                             : facts->balloon_floor_bytes;
    const struct ma_guest_config *config = &facts->guest->config;

    memset(item, 0, sizeof(*item));
    item->ceiling_bytes = ceiling_of(study, facts);
    item->floor_bytes = ma_min_u64(floor, item->ceiling_bytes);
    item->working_bytes = ma_min_u64(facts->working_bytes, facts->guest->max_bytes);
    item->shares = (config->has & MA_CONFIG_HAS_SHARES) != 0 ? config->shares : MA_SHARES_DEFAULT;
}

/* How far ahead the division looks: balloons that are slewed and dead-banded need longer than the planner's. Too small:
 * the first move comes when it is an emergency; too large: a burst moves everybody. The gentle stage's half. */
#define LOOK_AHEAD_USEC (UINT64_C(10) * MA_USEC_PER_SEC)

/* Below its soft watermark by this much, now or when the present slope goes on; the rest of the hysteresis included. */
static uint64_t wanted_bytes(const struct ma_study *study) {
    const struct ma_resource *ram = &study->need.resources[study->need.ram];
    uint64_t flight = 0;
    uint64_t loss = 0;

    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        flight += study->facts[i].in_flight_bytes;
    }
    if (ram->has_slope && ram->slope_bytes_per_s < 0) {
        loss = ma_muldiv_sat((uint64_t) 0 - (uint64_t) ram->slope_bytes_per_s, LOOK_AHEAD_USEC,
                             MA_USEC_PER_SEC);
    }
    return ma_sub_floor0(ma_add_sat(ram->soft_bytes + ram->soft_bytes / 16, loss),
                         ma_add_sat(ram->available_bytes, flight));
}

static void move(struct ma_study *study, uint32_t guest, uint64_t target) {
    const struct ma_settings *settings = &study->input->snapshot->settings;
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t base = base_of(facts);
    uint64_t step = ma_permyriad_of(facts->guest->max_bytes, settings->balloon_slew_permyriad);
    bool is_idle = target >= facts->working_bytes;

    if (target < base) {
        target = ma_max_u64(ma_round_up(target, MA_MIB), ma_sub_floor0(base, step));
        if (base - ma_min_u64(target, base) >= balanced_dead_band_bytes(study, facts) &&
            target < facts->guest->actual_bytes && balanced_may_move(study, facts, -1)) {
            balanced_add_balloon(study, guest, target,
                                 is_idle ? MA_REASON_DIVISION : MA_REASON_TO_GUARANTEE);
        }
    } else if (target > base) {
        target = ma_round_down(target, MA_MIB);
        if (ma_sub_floor0(target, base) >= balanced_dead_band_bytes(study, facts) &&
            target > facts->guest->actual_bytes && balanced_may_move(study, facts, 1)) {
            balanced_add_balloon(study, guest, target, MA_REASON_GUEST_PRESSURE);
        }
    }
}

int balanced_divide(struct ma_study *study) {
    size_t n = study->input->snapshot->n_guests;
    size_t mark = study->arena.used;
    struct ma_division_item *items = ma_arena_take(&study->arena, n, sizeof(*items));
    uint32_t *guests = ma_arena_take(&study->arena, n, sizeof(*guests));
    size_t n_items = 0;
    uint64_t sum = 0;
    uint64_t short_bytes = 0;
    size_t bytes;
    void *workspace;
    int r;

    if (items == NULL || guests == NULL || study->need.ram < 0) {
        return -ENOSPC;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (study->facts[i].balloon_reason == MA_REASON_NONE) {
            set_item(study, &study->facts[i], &items[n_items]);
            sum += base_of(&study->facts[i]);
            guests[n_items++] = i;
        }
    }
    bytes = ma_division_workspace_size(n_items, 0);
    workspace = ma_arena_take(&study->arena, bytes, 1);
    if (workspace == NULL) {
        return -ENOSPC;
    }
    r = n_items == 0 ? 0
                     : ma_division_solve(items, n_items, ma_sub_floor0(sum, wanted_bytes(study)),
                                         workspace, bytes, &short_bytes);
    for (size_t k = 0; k < n_items && r == 0; k++) {
        move(study, guests[k], items[k].target_bytes);
    }
    study->arena.used = mark;
    return r;
}
