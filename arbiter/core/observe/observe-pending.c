/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* observe-pending.c - is the victim's memory back (P4)? Measured on the host's side: what available gained since it
 * was taken, plus what the others would have taken meanwhile at the pace of then. Two victims in a row whose return is
 * under half of what was predicted disarm that rung (P12).
 *
 * A budget that was overdrawn when the victim was taken said 0 available, and may still say 0 after a real return: there
 * available is blind. Then what all guests together hold is compared, before and now, with what the others' growth has
 * added since. A pause returns nothing that is held; where it is blind, that the guest stands still is the proof.
 *
 * A shutdown and a save were chosen because there was time for them. Where that has changed and only the last moment is
 * left, they are given up, so that the next rung is free. That is no verdict on what they would have returned. */
#include <string.h>

#include "bytes.h"
#include "observe.h"

/* The kernel gives a large process's pages back after it is gone from every list. Too small: good victims count as
 * poor; too large: the next one waits. 30 GiB/s measured, so a second covers 30 GiB. */
#define RETURN_TAKES_USEC (UINT64_C(2) * MA_USEC_PER_SEC)
#define POOR_RETURNS_MAX  2U
/* What the next rung needs: a decision, a kill, the kernel's freeing of it. Too small: the kernel kills first; too large:
 * guests die that would have left in order. Guessed. */
#define LAST_MOMENT_USEC (UINT64_C(3) * MA_USEC_PER_SEC)
#define REFUSED_FOR_USEC (UINT64_C(600) * MA_USEC_PER_SEC)

static bool is_member_through(const struct ma_snapshot *snapshot,
                              const struct ma_pending_victim *pending,
                              const char *uuid) {
    size_t at = ma_snapshot_find(snapshot, uuid);

    if (at == SIZE_MAX) {
        return true;
    }
    return pending->action == MA_ACTION_PAUSE && snapshot->guests[at].state == MA_GUEST_PAUSED;
}

static bool is_through(const struct ma_snapshot *snapshot,
                       const struct ma_pending_victim *pending) {
    for (uint32_t k = 0; k < pending->n_guests && k < MA_VICTIM_MEMBERS_MAX; k++) {
        if (!is_member_through(snapshot, pending, pending->uuid[k])) {
            return false;
        }
    }
    return true;
}

uint64_t ma_observe_held_bytes(const struct ma_snapshot *snapshot) {
    uint64_t sum = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        sum = ma_add_sat(sum, snapshot->guests[i].resident_bytes);
        sum = ma_add_sat(sum, snapshot->guests[i].hugepage_bytes);
    }
    return sum;
}

/* What guests that still run have grown by since, at the pace that the host measures. */
static uint64_t grown_bytes(const struct ma_snapshot *snapshot, uint64_t elapsed_usec) {
    uint64_t sum = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        uint64_t pace = guest->growth_bytes_per_s > 0 ? (uint64_t) guest->growth_bytes_per_s : 0;

        sum = ma_add_sat(sum, ma_min_u64(ma_muldiv_sat(pace, elapsed_usec, MA_USEC_PER_SEC),
                                         guest->resident_bytes));
    }
    return sum;
}

/* The gain by what guests hold, where available said 0. */
static uint64_t gain_of_held(const struct ma_snapshot *snapshot,
                             const struct ma_pending_victim *pending,
                             uint64_t elapsed_usec) {
    if (pending->action == MA_ACTION_PAUSE) {
        return is_through(snapshot, pending) ? pending->predicted_bytes : 0;
    }
    return ma_sub_floor0(
        ma_add_sat(pending->held_before_bytes, grown_bytes(snapshot, elapsed_usec)),
        ma_observe_held_bytes(snapshot));
}

uint64_t ma_observe_gain_bytes(const struct ma_snapshot *snapshot,
                               const struct ma_pending_victim *pending) {
    uint64_t elapsed = ma_sub_floor0(snapshot->taken_at_usec, pending->taken_usec);
    uint64_t before = pending->available_before_bytes;
    uint64_t lost = 0;

    if (before == 0 && pending->held_before_bytes > 0) {
        return ma_max_u64(snapshot->host.available_bytes, gain_of_held(snapshot, pending, elapsed));
    }
    if (pending->slope_before_bytes_per_s < 0) {
        lost = ma_muldiv_sat((uint64_t) 0 - (uint64_t) pending->slope_before_bytes_per_s, elapsed,
                             MA_USEC_PER_SEC);
    }
    /* Had it gone on, available would have ended at 0, not below. */
    return ma_sub_floor0(snapshot->host.available_bytes, ma_sub_floor0(before, lost));
}

/* An ignored shutdown is not asked for again at once; the next rung is. */
static void note_refusals(const struct ma_snapshot *snapshot, struct ma_state *state) {
    struct ma_pending_victim *pending = &state->pending;

    for (uint32_t k = 0; k < pending->n_guests && k < MA_VICTIM_MEMBERS_MAX; k++) {
        struct ma_guest_memory *memory = ma_state_find(state, pending->uuid[k]);

        if (memory != NULL && !is_member_through(snapshot, pending, pending->uuid[k]) &&
            pending->action != MA_ACTION_KILL) {
            ma_state_refuse(memory, pending->action, snapshot->taken_at_usec, REFUSED_FOR_USEC);
        }
    }
}

static void judge(struct ma_state *state, enum ma_action action, bool is_poor) {
    if ((unsigned) action >= MA_ACTION_OPTION_COUNT) {
        return;
    }
    if (!is_poor) {
        state->poor_returns[action] = 0;
        return;
    }
    if (++state->poor_returns[action] >= POOR_RETURNS_MAX) {
        state->disarmed_actions |= MA_ACTION_BIT(action);
    }
}

static bool is_given_up(const struct ma_pending_victim *pending, uint64_t time_left_usec) {
    return (pending->action == MA_ACTION_SHUTDOWN || pending->action == MA_ACTION_SAVE) &&
           pending->gone_usec == 0 && time_left_usec <= LAST_MOMENT_USEC;
}

void ma_observe_pending(const struct ma_snapshot *snapshot,
                        struct ma_state *state,
                        uint64_t time_left_usec) {
    struct ma_pending_victim *pending = &state->pending;
    uint64_t now = snapshot->taken_at_usec;
    bool is_late;
    bool is_poor;

    if (!pending->is_pending) {
        return;
    }
    is_late = now >= pending->deadline_usec;
    is_poor = ma_observe_gain_bytes(snapshot, pending) < pending->predicted_bytes / 2;
    if (is_through(snapshot, pending) && pending->gone_usec == 0) {
        pending->gone_usec = ma_max_u64(now, 1);
    }
    if (!is_late && is_given_up(pending, time_left_usec)) {
        note_refusals(snapshot, state);
        memset(pending, 0, sizeof(*pending));
        return;
    }
    if (!is_late && pending->gone_usec == 0) {
        return;
    }
    /* Gone but not yet returned: the kernel gets a moment. */
    if (!is_late && is_poor && ma_sub_floor0(now, pending->gone_usec) < RETURN_TAKES_USEC) {
        return;
    }
    note_refusals(snapshot, state);
    judge(state, pending->action, is_poor);
    memset(pending, 0, sizeof(*pending));
}
