/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-give-back.c - the same ladder downwards: paused guests first, one at a time, then balloons and virtio-mem. */
#include <string.h>

#include "balanced.h"
#include "bid.h"
#include "bytes.h"
#include "loan.h"

/* A resume that is not seen within this is asked for again. */
#define RESUME_AGAIN_USEC (UINT64_C(10) * MA_USEC_PER_SEC)
/* No guest is resumed sooner than this after its pause: a grower paused and resumed every second is a vibration.
 * Too small: that; too large: an outage longer than needed. Guessed. */
#define PAUSE_AT_LEAST_USEC (UINT64_C(20) * MA_USEC_PER_SEC)

/* A guest that is not short gets its memory back out of what stays above the soft watermark, and a quarter of it besides,
 * even if every guest took all that its balloon lets it: that is not asked back. Of what is above half a soft watermark more it
 * gets some anyway, and of all the room when the state has been normal for so long: where guests do not take what they
 * have, it would else never come back. Too small: what one guest gave is given to another who fills it with cache, and
 * is asked back a minute later; too large: guests do without what nobody needs. Simulated (mix-1.3): a tenth of all turns
 * were such. */
#define CALM_USEC    (UINT64_C(300) * MA_USEC_PER_SEC)
#define KEPT_DIVISOR 4

bool balanced_is_resumable(const struct ma_study *study, const struct ma_facts *facts) {
    return facts->is_paused_by_us && facts->hold_reason == MA_REASON_NONE &&
           !ma_facts_is_pending_victim(study->input->state, facts->guest->uuid);
}

bool balanced_is_resume_under_way(const struct ma_study *study) {
    uint64_t now = study->input->snapshot->taken_at_usec;

    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_guest_memory *memory = study->facts[i].memory;

        if (memory != NULL && memory->resume_sent_usec != 0 &&
            (memory->taken & MA_TAKEN_PAUSE) != 0 &&
            ma_sub_floor0(now, memory->resume_sent_usec) < RESUME_AGAIN_USEC) {
            return true;
        }
    }
    return false;
}

uint64_t balanced_paused_for_usec(const struct ma_study *study, const struct ma_facts *facts) {
    uint64_t now = study->input->snapshot->taken_at_usec;

    return facts->memory == NULL ? MA_USEC_INFINITY
                                 : ma_sub_floor0(now, facts->memory->paused_since_usec);
}

void balanced_add_resume(struct ma_study *study, uint32_t guest, enum ma_reason reason) {
    struct ma_plan_action *action = ma_plan_add_action(study->plan);

    if (action != NULL) {
        action->has_guest = true;
        action->guest = guest;
        action->action = MA_ACTION_RESUME;
        action->reason = reason;
        action->deadline_usec = ma_options_deadline_usec(&study->facts[guest], MA_ACTION_RESUME, 0);
    }
}

/* The dearest first; a paused group comes back member by member, which is the order they were paused in reverse. */
static void resume_one(struct ma_study *study) {
    uint32_t best = UINT32_MAX;
    uint64_t best_impact = 0;

    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];
        uint64_t impact;

        if (!balanced_is_resumable(study, facts) ||
            balanced_paused_for_usec(study, facts) < PAUSE_AT_LEAST_USEC) {
            continue;
        }
        impact = ma_study_impact(study, i);
        if (best == UINT32_MAX || impact > best_impact) {
            best = i;
            best_impact = impact;
        }
    }
    if (best != UINT32_MAX) {
        balanced_add_resume(study, best, MA_REASON_GIVE_BACK);
    }
}

static bool is_any_paused(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (balanced_is_resumable(study, &study->facts[i])) {
            return true;
        }
    }
    return false;
}

/* Where its balloon belongs when nothing presses: where it stood before us; a pressed guest with a limit, there. */
static uint64_t wanted_balloon(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;
    bool has_limit = (facts->guest->config.has & MA_CONFIG_HAS_LIMIT) != 0;
    uint64_t wanted = 0;

    if (memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0) {
        wanted = memory->balloon_before_bytes;
    }
    if (has_limit && facts->is_pressed) {
        wanted = ma_max_u64(wanted, facts->ceiling_bytes);
    }
    return ma_min_u64(wanted, facts->guest->max_bytes);
}

/* Where it stands, or is growing to. */
static uint64_t growth_base(const struct ma_facts *facts) {
    return ma_max_u64(facts->guest->actual_bytes, facts->committed_bytes);
}

static uint64_t wanted_growth(const struct ma_facts *facts) {
    return ma_sub_floor0(wanted_balloon(facts), growth_base(facts));
}

/* Where its balloon may go in one step; 0: it may not, or need not. */
static uint64_t growth_target(const struct ma_study *study, uint32_t guest) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t slew = study->input->snapshot->settings.balloon_slew_permyriad;
    uint64_t step = ma_permyriad_of(facts->guest->max_bytes, slew);
    uint64_t wanted = wanted_balloon(facts);

    if (facts->hold_reason != MA_REASON_NONE || facts->guest->state != MA_GUEST_RUNNING ||
        (facts->guest->has & MA_GUEST_HAS_ACTUAL) == 0 || wanted_growth(facts) == 0 ||
        !balanced_may_move(study, facts, 1, false)) {
        return 0;
    }
    return facts->is_pressed
               ? wanted
               : ma_min_u64(wanted, facts->guest->actual_bytes + ma_max_u64(step, MA_MIB));
}

static void grow(struct ma_study *study, uint32_t guest, uint64_t part, uint64_t *room) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t base = growth_base(facts);
    uint64_t to =
        ma_min_u64(growth_target(study, guest), ma_add_sat(base, ma_min_u64(part, *room)));
    bool is_last = to >= wanted_balloon(facts);

    to = is_last ? to : ma_round_down(to, MA_MIB);
    /* The last step may be small: all that was taken goes back. */
    if (to <= base || (!is_last && to - base < balanced_dead_band_bytes(study, facts))) {
        return;
    }
    *room -= to - base;
    balanced_add_balloon(study, guest, to,
                         facts->is_pressed ? MA_REASON_GUEST_PRESSURE : MA_REASON_GIVE_BACK);
}

static void replug(struct ma_study *study, uint32_t guest, uint64_t *room) {
    const struct ma_facts *facts = &study->facts[guest];
    const struct ma_guest_memory *memory = facts->memory;
    const struct ma_virtio_mem *device = &facts->guest->virtio_mem;
    struct ma_plan_action *action;
    uint64_t to;

    if (memory == NULL || (memory->taken & MA_TAKEN_RESIZE) == 0 || device->block_bytes == 0 ||
        facts->hold_reason != MA_REASON_NONE || facts->guest->state != MA_GUEST_RUNNING) {
        return;
    }
    to = ma_round_down(
        ma_min_u64(memory->resize_before_bytes, ma_add_sat(device->plugged_bytes, *room)),
        device->block_bytes);
    if (to <= device->plugged_bytes || to <= device->requested_bytes ||
        (action = ma_plan_add_action(study->plan)) == NULL) {
        return;
    }
    *room -= ma_min_u64(*room, to - device->plugged_bytes);
    action->has_guest = true;
    action->guest = guest;
    action->action = MA_ACTION_RESIZE;
    action->has_from_to = true;
    action->from_bytes = device->plugged_bytes;
    action->to_bytes = to;
    action->has_frees = true;
    ma_frees_of_resize(study->plan, &study->need, facts, to, &action->frees);
    action->reason = MA_REASON_GIVE_BACK;
    action->deadline_usec =
        ma_options_deadline_usec(facts, MA_ACTION_RESIZE, to - device->plugged_bytes);
}

/* What balloons were given within the period: it counts against the room, whoever's turn it is now. */
static uint64_t given_lately(const struct ma_study *study) {
    uint64_t period = study->input->snapshot->settings.balloon_period_usec;
    uint64_t sum = 0;

    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        sum += balanced_given_lately_bytes(study, &study->facts[i], period);
    }
    return sum;
}

/* What a guest may take on the host without asking: as far as its balloon lets it. Huge pages are the pool's. */
static uint64_t open_bytes(const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    uint64_t whole = guest->max_bytes;

    if (guest->hugepage_bytes > 0) {
        return 0;
    }
    if ((guest->has & MA_GUEST_HAS_ACTUAL) != 0) {
        whole = growth_base(facts) + guest->virtio_mem.plugged_bytes;
    }
    return ma_sub_floor0(whole, ma_bid_held_bytes(guest));
}

uint64_t balanced_spare_bytes(const struct ma_study *study, uint64_t room_bytes) {
    const struct ma_pressure_state *ram = &study->input->state->pressures[study->need.ram];
    uint64_t kept = study->need.resources[study->need.ram].soft_bytes / KEPT_DIVISOR;
    uint64_t open = 0;

    if (ma_sub_floor0(study->input->snapshot->taken_at_usec, ram->since_usec) >= CALM_USEC) {
        return room_bytes;
    }
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        open = ma_add_sat(open, open_bytes(&study->facts[i]));
    }
    /* The room is half of what there is above the soft watermark. */
    return ma_sub_floor0(room_bytes, ma_min_u64(kept, ma_add_sat(open, kept) / 2));
}

/* What is little enough to be no bid is given all the same, but not again and again for nothing. */
static bool is_believed(const struct ma_study *study, uint32_t guest) {
    const struct ma_facts *facts = &study->facts[guest];

    return facts->is_pressed && !balanced_is_doubted(facts) &&
           ma_loan_may_look(facts->memory, study->input->snapshot->taken_at_usec);
}

/* Those that are short first, each its part of the room by what it wants, so that none waits behind another's wish. */
static void grow_pressed(struct ma_study *study, uint64_t *room) {
    uint32_t n = (uint32_t) study->input->snapshot->n_guests;
    uint64_t there = *room;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        sum += is_believed(study, i) ? wanted_growth(&study->facts[i]) : 0;
    }
    for (uint32_t i = 0; i < n && sum > 0; i++) {
        uint64_t wanted = wanted_growth(&study->facts[i]);

        if (is_believed(study, i) && wanted > 0) {
            grow(study, i, ma_muldiv_sat(wanted, ma_min_u64(there, sum), sum), room);
        }
    }
}

/* Those that are not short and may grow now, as the division would have them: from where they stand, to what one step
 * brings. One that only says that it is short gets its shares. */
static size_t
collect_calm(struct ma_study *study, struct ma_division_item *items, uint32_t *guests) {
    const uint64_t *parts = balanced_doubted_parts(study);
    size_t n = 0;

    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];
        uint64_t to = growth_target(study, i);
        uint64_t base = growth_base(facts);

        to = parts == NULL ? to : ma_min_u64(to, parts[i]);
        if (!facts->is_pressed && to > base) {
            items[n] = (struct ma_division_item){
                .working_bytes = ma_min_u64(facts->usual_bytes, facts->guest->max_bytes),
                .floor_bytes = base,
                .ceiling_bytes = to,
                .shares = balanced_shares(facts),
            };
            guests[n++] = i;
        }
    }
    return n;
}

/* The one that is furthest below its part, where nobody's part is worth a move: it gets what is. */
static void grow_furthest(struct ma_study *study,
                          const struct ma_division_item *items,
                          const uint32_t *guests,
                          size_t n,
                          uint64_t *room) {
    size_t best = n;
    uint64_t most = 0;

    for (size_t k = 0; k < n; k++) {
        uint64_t gain = items[k].target_bytes - items[k].floor_bytes;

        if (gain > most) {
            most = gain;
            best = k;
        }
    }
    if (best < n) {
        grow(study, guests[best],
             ma_min_u64(*room, items[best].ceiling_bytes - items[best].floor_bytes), room);
    }
}

/* Headroom by shares, as it was taken: whoever has least above its working set for its size and shares is first. */
static void grow_calm(struct ma_study *study, uint64_t *room) {
    size_t mark = study->arena.used;
    size_t max = study->input->snapshot->n_guests;
    struct ma_division_item *items = ma_arena_take(&study->arena, max, sizeof(*items));
    uint32_t *guests = ma_arena_take(&study->arena, max, sizeof(*guests));
    size_t n = items == NULL || guests == NULL ? 0 : collect_calm(study, items, guests);
    size_t bytes = ma_division_workspace_size(n, 0);
    void *workspace = n == 0 ? NULL : ma_arena_take(&study->arena, bytes, 1);
    uint64_t before = *room;
    uint64_t budget = *room;
    uint64_t ignored;

    for (size_t k = 0; k < n; k++) {
        budget += items[k].floor_bytes;
    }
    if (workspace != NULL && ma_division_solve(items, n, budget, workspace, bytes, &ignored) == 0) {
        for (size_t k = 0; k < n; k++) {
            grow(study, guests[k], items[k].target_bytes - items[k].floor_bytes, room);
        }
        if (*room == before) {
            grow_furthest(study, items, guests, n, room);
        }
    }
    study->arena.used = mark;
}

void balanced_give_back(struct ma_study *study, bool is_for_word) {
    uint64_t room;

    if (study->need.ram < 0) {
        return;
    }
    if (is_any_paused(study)) {
        if (!balanced_is_resume_under_way(study)) {
            resume_one(study);
        }
        return;
    }
    /* Never more than half of what is above the soft watermark at a time: what is given is touched later than it is
     * seen. */
    room = ma_sub_floor0((uint64_t) study->need.slack_mib[study->need.ram] * MA_MIB / 2,
                         given_lately(study));
    if (is_for_word) {
        grow_pressed(study, &room);
    }
    room = balanced_spare_bytes(study, room);
    grow_calm(study, &room);
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        replug(study, i, &room);
    }
}
