/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* facts.c - one guest's figures turned into what may be done with it.
 *
 * Trust: host-measured figures (resident, swap, pinned, growth) are taken as they are; `actual` and the statistics
 * are the guest's word. A guest that says it uses more than it does keeps more of its own balloon, never more than
 * its shares give it; one that says it uses less is shrunk to its guarantee and harms itself alone. So the word is
 * bounded by the size of the guest and by nothing else. Without a fresh word nothing is taken (P5): what a guest
 * uses inside its memory cannot be seen from outside.
 *
 * Used is counted from `actual` (and plugged virtio-mem) less what the guest says is available: that includes what
 * its kernel keeps for itself, and stays right under deflate-on-oom, where the guest's own total does not shrink
 * with the balloon (QEMU 7.2, Linux 6.1). */
#include "facts.h"

#include <string.h>

#include "bid.h"
#include "bytes.h"
#include "loan.h"
#include "need.h"

/* A guest whose use rises is short as soon as the rise would take all that it has within its word's age and this long. Too
 * small: memory comes after its own kernel has killed; too large: every program that starts calls for memory. The next
 * word (2 s), the way of a plan to the balloon and its lag (1 s). */
#define RISE_AHEAD_USEC (UINT64_C(4) * MA_USEC_PER_SEC)

/* The margin in bytes counts up to this share of a guest's size. Too small: little air for small guests, whose figures are
 * as old as those of big ones; too large: 128 MiB are half of a guest of 256 MiB, which then gives nothing although it
 * idles, and somebody is ended for what it holds. Guessed. */
#define MARGIN_SMALL_PERMYRIAD 1250U

/* While the host is critical, or the node that the guest is bound to, where the next step is somebody's end, one part in so many of the
 * margin is kept, and what its use rises by before anything given arrives. Too small: lives are taken for air that others
 * hold; too large: guests end programs of their own. Simulated (docs/adr/0018): 1 loses half as much again as 4, 8 as much
 * as 4. */
#define CRITICAL_MARGIN_DIVISOR 4U

uint64_t ma_facts_margin_bytes(const struct ma_settings *settings,
                               const struct ma_guest *guest,
                               uint64_t used_bytes) {
    uint64_t fixed = settings->balloon_margin_bytes;

    if ((guest->has & MA_GUEST_HAS_MAX) != 0) {
        fixed = ma_min_u64(fixed, ma_permyriad_of(guest->max_bytes, MARGIN_SMALL_PERMYRIAD));
    }
    return ma_add_sat(fixed, ma_permyriad_of(used_bytes, settings->balloon_margin_permyriad));
}

bool ma_facts_is_pending_victim(const struct ma_state *state, const char *uuid) {
    const struct ma_pending_victim *pending = &state->pending;

    if (!pending->is_pending) {
        return false;
    }
    for (uint32_t k = 0; k < pending->n_guests && k < MA_VICTIM_MEMBERS_MAX; k++) {
        if (strcmp(pending->uuid[k], uuid) == 0) {
            return true;
        }
    }
    return false;
}

/* Held, stale or without figures: nothing is done to it. */
static enum ma_reason hold_reason(const struct ma_snapshot *snapshot,
                                  const struct ma_guest *guest) {
    bool has_age = (guest->has & MA_GUEST_HAS_AGE) != 0;

    if (guest->is_held) {
        return MA_REASON_HELD;
    }
    if (has_age && guest->sampled_age_usec > snapshot->settings.stale_usec) {
        return MA_REASON_STALE;
    }
    if ((guest->has & MA_GUEST_HAS_RESIDENT) == 0) {
        return MA_REASON_MISSING_FIGURES;
    }
    switch (guest->state) {
    case MA_GUEST_STARTING:
        return MA_REASON_STARTING;
    case MA_GUEST_SAVING:
        return MA_REASON_SAVING;
    case MA_GUEST_MIGRATING:
        return MA_REASON_MIGRATING;
    case MA_GUEST_SHUTTING_DOWN:
        return MA_REASON_SHUTTING_DOWN;
    case MA_GUEST_CRASHED:
        return MA_REASON_CRASHED;
    case MA_GUEST_RUNNING:
    case MA_GUEST_PAUSED:
        return MA_REASON_NONE;
    case MA_GUEST_STATE_COUNT:
        break;
    }
    return MA_REASON_MISSING_FIGURES;
}

static bool is_exempt(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory != NULL && memory->exempt_until_usec > now_usec;
}

static enum ma_reason victim_reason(const struct ma_snapshot *snapshot,
                                    const struct ma_state *state,
                                    const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;

    if (guest->config.impact_class == MA_IMPACT_NEVER) {
        return MA_REASON_NEVER;
    }
    if (facts->hold_reason != MA_REASON_NONE) {
        return facts->hold_reason;
    }
    if (guest->config.is_invalid) {
        return MA_REASON_INVALID_METADATA;
    }
    if (is_exempt(facts->memory, snapshot->taken_at_usec)) {
        return MA_REASON_RESUMED_BY_OPERATOR;
    }
    if (ma_facts_is_pending_victim(state, guest->uuid)) {
        return MA_REASON_IN_FLIGHT;
    }
    if (guest->state == MA_GUEST_PAUSED && !facts->is_paused_by_us) {
        return MA_REASON_PAUSED_BY_OPERATOR;
    }
    if ((facts->actions & (MA_ACTION_BIT(MA_ACTION_PAUSE) | MA_ACTION_BIT(MA_ACTION_SAVE) |
                           MA_ACTION_BIT(MA_ACTION_SHUTDOWN) | MA_ACTION_BIT(MA_ACTION_KILL))) ==
        0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    return MA_REASON_NONE;
}

/* The ways shared by balloon and virtio-mem: the guest must run and its word be fresh. */
static enum ma_reason shrink_reason(const struct ma_facts *facts) {
    if (facts->hold_reason != MA_REASON_NONE) {
        return facts->hold_reason;
    }
    if (facts->guest->state == MA_GUEST_PAUSED) {
        return facts->is_paused_by_us ? MA_REASON_IN_FLIGHT : MA_REASON_PAUSED_BY_OPERATOR;
    }
    if ((facts->guest->has & MA_GUEST_HAS_ACTUAL) == 0) {
        return MA_REASON_MISSING_FIGURES;
    }
    if (!facts->has_claims) {
        return (facts->guest->stats.has & MA_STATS_HAS_AVAILABLE) != 0 ? MA_REASON_STALE
                                                                       : MA_REASON_MISSING_FIGURES;
    }
    return MA_REASON_NONE;
}

/* As if its balloon had always answered. */
static enum ma_reason willing_balloon_reason(const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    const struct ma_balloon *balloon = &guest->balloon;
    bool has_guarantee = (guest->config.has & MA_CONFIG_HAS_GUARANTEE) != 0;
    bool has_inhibitor =
        (balloon->has & MA_BALLOON_HAS_INHIBITED_BY) != 0 && balloon->inhibited_by != 0;

    if ((balloon->has & MA_BALLOON_HAS_STATE) == 0 || balloon->state == MA_BALLOON_ABSENT) {
        return MA_REASON_NO_BALLOON;
    }
    /* Pinned and huge pages leave the guest and never reach the host, without any error: seen, not configured. */
    if (balloon->state == MA_BALLOON_INHIBITED || has_inhibitor || guest->pinned_bytes > 0 ||
        guest->hugepage_bytes > 0) {
        return MA_REASON_INHIBITED;
    }
    if ((facts->actions & MA_ACTION_BIT(MA_ACTION_BALLOON)) == 0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    if ((guest->has & MA_GUEST_HAS_MAX) == 0 && !has_guarantee) {
        return MA_REASON_MISSING_FIGURES;
    }
    return shrink_reason(facts);
}

static bool is_stuck(const struct ma_facts *facts) {
    return facts->memory != NULL && facts->memory->cooperation == MA_COOPERATION_STUCK;
}

static enum ma_reason balloon_reason(const struct ma_facts *facts) {
    enum ma_reason reason = willing_balloon_reason(facts);
    bool is_known = reason != MA_REASON_NO_BALLOON && reason != MA_REASON_INHIBITED;

    if (is_known && (facts->guest->balloon.state != MA_BALLOON_READY || is_stuck(facts))) {
        return MA_REASON_UNCOOPERATIVE;
    }
    return reason;
}

static uint64_t probe_to_bytes(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    uint64_t actual = facts->guest->actual_bytes;
    uint64_t step = ma_clamp_u64(facts->guest->max_bytes / 16, MA_BALLOON_PROBE_MIN_BYTES,
                                 MA_BALLOON_PROBE_BYTES);
    uint64_t to = ma_round_up(ma_sub_floor0(actual, step), MA_MIB);

    if (!is_stuck(facts) || facts->memory->probe_after_usec > snapshot->taken_at_usec ||
        willing_balloon_reason(facts) != MA_REASON_NONE || to < facts->balloon_floor_bytes) {
        return 0;
    }
    return to < actual ? to : 0;
}

static enum ma_reason resize_reason(const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    uint32_t needed = MA_VIRTIO_MEM_HAS_PLUGGED | MA_VIRTIO_MEM_HAS_BLOCK;

    if ((guest->virtio_mem.has & needed) != needed || guest->virtio_mem.block_bytes == 0 ||
        (guest->has & MA_GUEST_HAS_MAX) == 0) {
        return MA_REASON_MISSING_FIGURES;
    }
    /* A `never` guest gives its balloon down to its guarantee and nothing else. */
    if (guest->config.impact_class == MA_IMPACT_NEVER) {
        return MA_REASON_NEVER;
    }
    if ((facts->actions & MA_ACTION_BIT(MA_ACTION_RESIZE)) == 0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    return shrink_reason(facts);
}

static enum ma_reason reclaim_reason(const struct ma_snapshot *snapshot,
                                     const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    bool is_under_way =
        facts->memory != NULL && facts->memory->reclaim_until_usec > snapshot->taken_at_usec;

    if (facts->hold_reason != MA_REASON_NONE) {
        return facts->hold_reason;
    }
    if (guest->config.impact_class == MA_IMPACT_NEVER) {
        return MA_REASON_NEVER;
    }
    if ((facts->actions & MA_ACTION_BIT(MA_ACTION_RECLAIM)) == 0) {
        return MA_REASON_NO_ACTION_ALLOWED;
    }
    /* A pinned guest's pages cannot go out; which of them are pinned is not known, so none is counted on. */
    if (guest->pinned_bytes > 0) {
        return MA_REASON_INHIBITED;
    }
    return is_under_way ? MA_REASON_IN_FLIGHT : MA_REASON_NONE;
}

/* May all of it be pinned at any time? Only its operator knows (PinLimit=). A process's own limit tells nothing: libvirt
 * raises it in the moment of the hotplug, and a login shell has an eighth of the host. */
static bool may_be_pinned(const struct ma_guest *guest) {
    return (guest->has & MA_GUEST_HAS_MAX) != 0 &&
           (guest->config.has & MA_CONFIG_HAS_PIN_LIMIT) != 0 &&
           guest->config.pin_limit_bytes >= guest->max_bytes;
}

/* A device handed through to a ballooned guest brings the whole balloon back at once (VFIO pins all of it; QEMU 7.2,
 * measured), faster than anybody can answer. So no more is taken from such a guest than the host stands: from the
 * reserve, which is what is kept after a balloon has done its work, down to where guests are ended. */
static uint64_t shock_floor_bytes(const struct ma_settings *settings,
                                  const struct ma_guest *guest) {
    return may_be_pinned(guest)
               ? ma_sub_floor0(guest->max_bytes, ma_sub_floor0(settings->reserve_bytes,
                                                               settings->critical_watermark_bytes))
               : 0;
}

/* A word from before its balloon grew says what it lacked then. */
static bool is_answered(const struct ma_facts *facts) {
    const struct ma_guest_memory *memory = facts->memory;

    return memory != NULL && memory->last_direction > 0 && memory->used_at_usec != 0 &&
           memory->used_at_usec <= memory->last_move_usec;
}

static void set_use(const struct ma_snapshot *snapshot, struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    const struct ma_stats *stats = &guest->stats;
    const struct ma_guest_memory *memory = facts->memory;
    bool is_known = memory != NULL && memory->used_at_usec != 0;

    facts->whole_bytes = guest->actual_bytes + guest->virtio_mem.plugged_bytes;
    facts->used_bytes = is_known
                            ? memory->used_bytes
                            : ma_sub_floor0(facts->whole_bytes, stats->claimed_available_bytes);
    facts->used_bytes = ma_min_u64(facts->used_bytes, facts->whole_bytes);
    facts->available_bytes = facts->whole_bytes - facts->used_bytes;
    facts->free_bytes =
        ma_sub_floor0(facts->available_bytes,
                      ma_sub_floor0(stats->claimed_available_bytes, stats->claimed_free_bytes));
    if (is_known) {
        uint64_t ahead =
            ma_sub_floor0(snapshot->taken_at_usec, memory->used_at_usec) + RISE_AHEAD_USEC;

        facts->rise_bytes =
            ma_min_u64(ma_muldiv_sat(memory->used_rise_bytes_per_s, ahead, MA_USEC_PER_SEC),
                       ma_sub_floor0(guest->max_bytes, facts->used_bytes));
    }
}

static bool is_host_critical_for(const struct ma_state *state, const struct ma_guest *guest) {
    for (size_t d = 0; d < state->n_pressures; d++) {
        const struct ma_pressure_state *row = &state->pressures[d];

        if (row->pressure == MA_PRESSURE_CRITICAL &&
            (row->row.kind == MA_ROW_RAM ||
             (row->row.kind == MA_ROW_NODE && ma_need_is_bound(guest, row->row.node)))) {
            return true;
        }
    }
    return false;
}

/* What P2 leaves it beside its guarantee. needed_bytes: what it uses with its whole margin. */
static uint64_t
least_bytes(const struct ma_state *state, const struct ma_facts *facts, uint64_t needed_bytes) {
    uint64_t part = (needed_bytes - facts->used_bytes) / CRITICAL_MARGIN_DIVISOR;

    return is_host_critical_for(state, facts->guest)
               ? ma_min_u64(needed_bytes, facts->used_bytes + part + facts->rise_bytes)
               : needed_bytes;
}

static void set_claims(const struct ma_snapshot *snapshot,
                       const struct ma_state *state,
                       struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    uint64_t needed;

    facts->has_claims = ma_bid_has_claims(snapshot, guest);
    if (!facts->has_claims) {
        return;
    }
    set_use(snapshot, facts);
    needed = ma_add_sat(facts->used_bytes, ma_facts_margin_bytes(&snapshot->settings, facts->guest,
                                                                 facts->used_bytes));
    facts->floor_bytes = ma_max_u64(facts->guarantee_bytes, least_bytes(state, facts, needed));
    /* Plugged memory may be unplugged later: the balloon's own figure alone keeps the promise. */
    facts->balloon_floor_bytes =
        ma_max_u64(facts->floor_bytes, shock_floor_bytes(&snapshot->settings, facts->guest));
    facts->working_bytes = ma_max_u64(
        needed + facts->rise_bytes, facts->memory != NULL ? facts->memory->working_peak_bytes : 0);
    facts->usual_bytes = ma_max_u64(facts->working_bytes,
                                    facts->memory != NULL ? facts->memory->usual_peak_bytes : 0);
    facts->is_starved = ma_bid_is_pressed(guest) && !is_answered(facts);
    facts->is_pressed = facts->is_starved ||
                        (facts->available_bytes < facts->rise_bytes && ma_bid_is_touched(guest));
}

/* Where the balloon is heading, and what of that is still to come. */
static void set_motion(struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    const struct ma_guest_memory *memory = facts->memory;
    bool is_ours = memory != NULL && memory->last_move_usec != 0 && !memory->balloon_is_settled;
    uint64_t actual = guest->actual_bytes;
    uint64_t rate = memory != NULL ? memory->rate_bytes_per_s : 0;
    bool is_proven = memory != NULL && (memory->cooperation == MA_COOPERATION_GOOD ||
                                        memory->cooperation == MA_COOPERATION_SLOW);

    if (rate == 0 && (guest->balloon.has & MA_BALLOON_HAS_RATE) != 0) {
        rate = guest->balloon.rate_bytes_per_s;
    } else if (rate == 0) {
        rate = MA_BALLOON_RATE_DEFAULT_BYTES_PER_S;
    }
    facts->rate_bytes_per_s = rate;
    facts->committed_bytes = actual;
    if (is_ours) {
        facts->committed_bytes = memory->balloon_ours_bytes;
    } else if ((guest->balloon.has & MA_BALLOON_HAS_TARGET) != 0) {
        facts->committed_bytes = guest->balloon.target_bytes;
    }
    if (facts->committed_bytes > actual + MA_BALLOON_ARRIVED_BYTES) {
        facts->owed_bytes = facts->committed_bytes - actual;
    } else if (is_proven && facts->balloon_reason == MA_REASON_NONE) {
        facts->in_flight_bytes =
            ma_sub_floor0(ma_min_u64(actual, facts->projected_bytes), facts->committed_bytes);
    }
}

uint64_t ma_facts_balloon_by(const struct ma_facts *facts, uint64_t target_bytes, uint64_t usec) {
    uint64_t moved = ma_muldiv_sat(facts->rate_bytes_per_s, usec, MA_USEC_PER_SEC);

    return ma_max_u64(target_bytes, ma_sub_floor0(facts->guest->actual_bytes, moved));
}

struct ma_returned
ma_facts_returned_by(const struct ma_facts *facts, uint64_t target_bytes, uint64_t usec) {
    uint64_t actual = facts->guest->actual_bytes;
    uint64_t balloon = ma_facts_balloon_by(facts, target_bytes, usec);
    uint64_t held = ma_sub_floor0(ma_min_u64(actual, facts->returnable_bytes), balloon);
    uint64_t all = ma_sub_floor0(ma_min_u64(actual, facts->projected_bytes), balloon);

    return (struct ma_returned){.held_bytes = held, .stopped_bytes = all - held};
}

static uint64_t projected_bytes(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    int64_t growth = facts->guest->growth_bytes_per_s;
    uint64_t grown = growth <= 0 ? 0
                                 : ma_muldiv_sat((uint64_t) growth, snapshot->settings.horizon_usec,
                                                 MA_USEC_PER_SEC);

    return ma_min_u64(ma_add_sat(facts->returnable_bytes, grown), MA_BYTES_MAX);
}

/* The guarantee is for ever, the word that it uses all it has is not. */
static uint64_t loan_floor_bytes(const struct ma_snapshot *snapshot, const struct ma_facts *facts) {
    uint64_t rest = ma_loan_rest_bytes(snapshot, facts->guest, facts->memory);
    uint64_t least =
        ma_max_u64(facts->guarantee_bytes, shock_floor_bytes(&snapshot->settings, facts->guest));

    return rest == 0 || !facts->has_claims ? 0 : ma_max_u64(rest, least);
}

void ma_facts_of_guest(const struct ma_snapshot *snapshot,
                       const struct ma_state *state,
                       const struct ma_guest *guest,
                       const struct ma_guest_memory *memory,
                       struct ma_facts *ret) {
    const struct ma_guest_config *config = &guest->config;
    uint64_t max = guest->max_bytes;

    memset(ret, 0, sizeof(*ret));
    ret->guest = guest;
    ret->memory = memory;
    ret->actions =
        (config->has & MA_CONFIG_HAS_ACTIONS) != 0 ? config->actions : MA_ACTIONS_DEFAULT;
    if (memory != NULL && memory->refused_until_usec > snapshot->taken_at_usec) {
        ret->actions &= ~memory->refused_actions;
    }
    ret->is_paused_by_us =
        guest->state == MA_GUEST_PAUSED &&
        (guest->is_paused_by_memarb || (memory != NULL && (memory->taken & MA_TAKEN_PAUSE) != 0));
    ret->guarantee_bytes = (config->has & MA_CONFIG_HAS_GUARANTEE) != 0
                               ? config->guarantee_bytes
                               : ma_permyriad_of(max, snapshot->settings.guarantee_permyriad);
    ret->ceiling_bytes =
        (config->has & MA_CONFIG_HAS_LIMIT) != 0 ? ma_min_u64(max, config->limit_bytes) : max;
    ret->returnable_bytes =
        ma_sub_floor0(guest->resident_bytes, ma_add_sat(guest->shared_bytes, guest->pinned_bytes));
    ret->projected_bytes = projected_bytes(snapshot, ret);
    set_claims(snapshot, state, ret);
    ret->loan_floor_bytes = loan_floor_bytes(snapshot, ret);
    ret->is_vetoing = ma_bid_is_vetoing(memory, snapshot->taken_at_usec);
    ret->hold_reason = hold_reason(snapshot, guest);
    ret->victim_reason = victim_reason(snapshot, state, ret);
    ret->balloon_reason = balloon_reason(ret);
    ret->probe_to_bytes = probe_to_bytes(snapshot, ret);
    ret->resize_reason = resize_reason(ret);
    ret->reclaim_reason = reclaim_reason(snapshot, ret);
    set_motion(ret);
}

void ma_facts_of_all(const struct ma_snapshot *snapshot,
                     const struct ma_state *state,
                     struct ma_facts *facts) {
    size_t m = 0;

    /* Both tables are sorted by uuid: one walk through both. */
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];
        const struct ma_guest_memory *memory = NULL;
        int order = -1;

        while (m < state->n_guests && (order = strcmp(state->guests[m].uuid, guest->uuid)) < 0) {
            m++;
        }
        if (m < state->n_guests && order == 0) {
            memory = &state->guests[m++];
        }
        ma_facts_of_guest(snapshot, state, guest, memory, &facts[i]);
    }
}
