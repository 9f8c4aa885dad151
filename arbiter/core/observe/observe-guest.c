/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* observe-guest.c - what one snapshot tells of a guest: how its balloon answers, what the host saw of it, whether
 * what we took is still ours.
 *
 * Cooperation. While a balloon has more than ARRIVED to go, its progress is averaged over RATE_WINDOW at least; one that
 * arrives sooner is GOOD. GOOD moves at least a quarter of the default rate, SLOW less, STUCK made no progress for
 * STUCK_AFTER; a stuck one may try a small step after 30 s, then 60 s, up to 10 min. `actual` is the guest's word: a shrink that it reports done while the host
 * still sees the memory resident counts as refused, and two of those as stuck.
 *
 * Ledger. A balloon that has reached what we set and later stands elsewhere was moved by somebody else (an operator,
 * deflate-on-oom, a reboot): it is struck from the ledger and left where it is. The same for a virtio-mem device whose
 * requested size is another than ours once it was seen at ours, and for a guest that we paused
 * and that is found running without our having resumed it. */
#include <string.h>

#include "bid.h"
#include "bytes.h"
#include "facts.h"
#include "observe.h"

#define STUCK_AFTER_USEC (UINT64_C(5) * MA_USEC_PER_SEC)
/* QEMU tells the size at once with the first page, and then once a second (BALLOON_CHANGE, QEMU 7.2). Too small: that
 * first word makes every balloon a slow one, and a victim is taken where it was about to cover; too large: a slow one is
 * counted on for so long. Two words of QEMU's lie in it. */
#define RATE_WINDOW_USEC (UINT64_C(2) * MA_USEC_PER_SEC)
/* Less than this a second is no progress: a guest that frees a page now and then is stuck all the same. */
#define PROGRESS_BYTES_PER_S   MA_MIB
#define GOOD_RATE_BYTES_PER_S  (MA_BALLOON_RATE_DEFAULT_BYTES_PER_S / 4)
#define PROBE_AFTER_USEC       (UINT64_C(30) * MA_USEC_PER_SEC)
#define PROBE_DOUBLINGS_MAX    5U
#define PROBE_AFTER_LIMIT_USEC (UINT64_C(600) * MA_USEC_PER_SEC)
/* A balloon this far from where we left it was moved by another. Too small: a guest's own jitter loses its ledger
 * entry; too large: an operator's small change is undone. Guessed, twice ARRIVED. */
#define MOVED_BY_OTHER_BYTES (UINT64_C(2) * MA_BALLOON_ARRIVED_BYTES)
/* QEMU's own memory beside the guest's: what resident may exceed the balloon's figure by. Too small: honest guests
 * look like liars; too large: a liar keeps that much. Seen 40-100 MiB (QEMU 7.2), the rest is headroom. */
#define OVERHEAD_BYTES     (UINT64_C(256) * MA_MIB)
#define OVERHEAD_PERMYRIAD 500U
#define REFUSALS_MAX       2U

static uint64_t distance(uint64_t a, uint64_t b) {
    return a > b ? a - b : b - a;
}

void ma_observe_stuck(struct ma_guest_memory *memory, uint64_t now_usec) {
    uint32_t doublings =
        memory->probe_failures < PROBE_DOUBLINGS_MAX ? memory->probe_failures : PROBE_DOUBLINGS_MAX;

    memory->cooperation = MA_COOPERATION_STUCK;
    memory->probe_after_usec =
        now_usec + ma_min_u64(PROBE_AFTER_USEC << doublings, PROBE_AFTER_LIMIT_USEC);
    memory->probe_failures++;
}

/* Does the host still see what the guest says it gave? */
static bool is_lying(const struct ma_guest *guest, uint64_t figure_bytes) {
    return guest->resident_bytes >
           figure_bytes + OVERHEAD_BYTES + ma_permyriad_of(figure_bytes, OVERHEAD_PERMYRIAD);
}

static void
measure_rate(const struct ma_guest *guest, struct ma_guest_memory *memory, uint64_t now_usec) {
    uint64_t window = ma_sub_floor0(now_usec, memory->rate_from_usec);
    uint64_t rate = ma_muldiv_sat(distance(guest->actual_bytes, memory->rate_from_bytes),
                                  MA_USEC_PER_SEC, ma_max_u64(window, 1));

    if (memory->rate_from_usec != 0 && window < RATE_WINDOW_USEC) {
        if (memory->cooperation == MA_COOPERATION_STUCK) { /* its history earns it no credit */
            memory->cooperation = MA_COOPERATION_SLOW;
            memory->rate_bytes_per_s = rate;
        }
        return;
    }
    if (memory->rate_from_usec != 0) {
        memory->rate_bytes_per_s =
            memory->rate_bytes_per_s == 0 ? rate : (memory->rate_bytes_per_s + rate) / 2;
        memory->cooperation = memory->rate_bytes_per_s >= GOOD_RATE_BYTES_PER_S
                                  ? MA_COOPERATION_GOOD
                                  : MA_COOPERATION_SLOW;
    }
    memory->rate_from_usec = now_usec;
    memory->rate_from_bytes = guest->actual_bytes;
}

static void note_progress(const struct ma_guest *guest,
                          struct ma_guest_memory *memory,
                          uint64_t moved_bytes,
                          uint64_t elapsed_usec,
                          uint64_t now_usec) {
    uint64_t rate = ma_muldiv_sat(moved_bytes, MA_USEC_PER_SEC, elapsed_usec);

    if (rate < PROGRESS_BYTES_PER_S) {
        if (now_usec - ma_min_u64(memory->last_progress_usec, now_usec) >= STUCK_AFTER_USEC &&
            memory->cooperation != MA_COOPERATION_STUCK) {
            ma_observe_stuck(memory, now_usec);
        }
        return;
    }
    memory->last_progress_usec = now_usec;
    /* A probe that moves the figure and nothing else is no proof. */
    if (memory->cooperation == MA_COOPERATION_STUCK && is_lying(guest, guest->actual_bytes)) {
        return;
    }
    memory->probe_failures = 0;
    measure_rate(guest, memory, now_usec);
}

/* All of the move, and sooner than a rate can be told: the rate stands, unless this was faster. */
static void
note_arrival(const struct ma_guest *guest, struct ma_guest_memory *memory, uint64_t now_usec) {
    uint64_t window = ma_sub_floor0(now_usec, memory->rate_from_usec);
    bool is_short = memory->rate_from_usec != 0 && window < RATE_WINDOW_USEC;
    uint64_t moved = distance(guest->actual_bytes, memory->rate_from_bytes);

    if (!is_short || moved <= MA_BALLOON_ARRIVED_BYTES ||
        (memory->cooperation == MA_COOPERATION_STUCK && is_lying(guest, guest->actual_bytes))) {
        return;
    }
    if (memory->rate_bytes_per_s != 0 && window > 0) {
        memory->rate_bytes_per_s =
            ma_max_u64(memory->rate_bytes_per_s, ma_muldiv_sat(moved, MA_USEC_PER_SEC, window));
    }
    memory->cooperation =
        memory->rate_bytes_per_s == 0 || memory->rate_bytes_per_s >= GOOD_RATE_BYTES_PER_S
            ? MA_COOPERATION_GOOD
            : MA_COOPERATION_SLOW;
}

/* The move has arrived: did the host see of it what it had to? */
static void
judge_shrink(const struct ma_guest *guest, struct ma_guest_memory *memory, uint64_t now_usec) {
    uint64_t allowed = memory->balloon_ours_bytes + OVERHEAD_BYTES +
                       ma_permyriad_of(memory->balloon_ours_bytes, OVERHEAD_PERMYRIAD);
    bool is_shrink = memory->move_from_bytes > memory->balloon_ours_bytes;
    bool was_above = memory->resident_before_bytes > allowed;

    if (!is_shrink || !was_above) {
        return;
    }
    if (!is_lying(guest, memory->balloon_ours_bytes)) {
        memory->refused_count = 0;
        return;
    }
    memory->refused_count++;
    if (memory->refused_count >= REFUSALS_MAX) {
        memory->refused_count = 0;
        ma_observe_stuck(memory, now_usec);
    }
}

static void strike_balloon(struct ma_guest_memory *memory, uint64_t now_usec) {
    memory->taken &= ~(uint32_t) MA_TAKEN_BALLOON;
    /* As if it had just been moved: dwell keeps us from answering at once. */
    memory->last_turn_usec = now_usec;
    memory->last_direction = 0;
}

static void
observe_balloon(const struct ma_guest *guest, struct ma_guest_memory *memory, uint64_t now_usec) {
    uint64_t actual = guest->actual_bytes;
    uint64_t left = distance(actual, memory->balloon_ours_bytes);
    uint64_t elapsed = ma_sub_floor0(now_usec, memory->seen_usec);
    bool was_ahead = memory->last_actual_bytes > memory->balloon_ours_bytes;
    uint64_t moved = was_ahead ? ma_sub_floor0(memory->last_actual_bytes, actual)
                               : ma_sub_floor0(actual, memory->last_actual_bytes);

    if (memory->last_move_usec == 0 || memory->seen_usec == 0) {
        return;
    }
    if (!memory->balloon_is_settled) {
        if (elapsed > 0 && distance(memory->last_actual_bytes, memory->balloon_ours_bytes) >
                               MA_BALLOON_ARRIVED_BYTES) {
            note_progress(guest, memory, moved, elapsed, now_usec);
        }
        if (left <= MA_BALLOON_ARRIVED_BYTES) {
            memory->balloon_is_settled = true;
            note_arrival(guest, memory, now_usec);
            judge_shrink(guest, memory, now_usec);
        }
    } else if ((memory->taken & MA_TAKEN_BALLOON) != 0 && left > MOVED_BY_OTHER_BYTES) {
        strike_balloon(memory, now_usec);
    }
    if (memory->balloon_is_settled && memory->balloon_ours_bytes >= memory->balloon_before_bytes) {
        memory->taken &= ~(uint32_t) MA_TAKEN_BALLOON;
    }
}

static void observe_resize(const struct ma_guest *guest, struct ma_guest_memory *memory) {
    bool has_plugged = (guest->virtio_mem.has & MA_VIRTIO_MEM_HAS_PLUGGED) != 0;
    bool has_requested = (guest->virtio_mem.has & MA_VIRTIO_MEM_HAS_REQUESTED) != 0;
    uint64_t requested = guest->virtio_mem.requested_bytes;

    if ((memory->taken & MA_TAKEN_RESIZE) == 0 || !has_plugged) {
        return;
    }
    if (memory->resize_ours_bytes >= memory->resize_before_bytes &&
        guest->virtio_mem.plugged_bytes >= memory->resize_before_bytes) {
        memory->taken &= ~(uint32_t) MA_TAKEN_RESIZE;
    }
    if (!has_requested) {
        return;
    }
    /* Asked for by somebody else since: theirs now. Before it was seen at our figure, it is older than our last word. */
    if (requested == memory->resize_ours_bytes) {
        memory->resize_is_settled = true;
    } else if (memory->resize_is_settled && requested != memory->resize_before_bytes) {
        memory->taken &= ~(uint32_t) MA_TAKEN_RESIZE;
    }
}

/* Before this, a guest that we paused may still be seen running: the command is on its way. */
#define PAUSE_SETTLES_WITHIN_USEC (UINT64_C(10) * MA_USEC_PER_SEC)

/* Its pause lasted as long as one may: for a while it is not paused again, only the next rungs are left. */
static void refuse_pause(const struct ma_snapshot *snapshot, struct ma_guest_memory *memory) {
    ma_state_refuse(memory, MA_ACTION_PAUSE, snapshot->taken_at_usec,
                    snapshot->settings.operator_resume_usec);
}

static void observe_pause(const struct ma_snapshot *snapshot,
                          const struct ma_guest *guest,
                          struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;

    if ((memory->taken & MA_TAKEN_PAUSE) == 0) {
        return;
    }
    if (guest->state == MA_GUEST_PAUSED) {
        memory->pause_is_settled = true;
        return;
    }
    if (guest->state != MA_GUEST_RUNNING) {
        return;
    }
    if (memory->pause_is_settled && memory->resume_sent_usec == 0) {
        memory->exempt_until_usec = ma_add_sat(now, snapshot->settings.operator_resume_usec);
    } else if (memory->resume_sent_usec != 0 &&
               ma_sub_floor0(memory->resume_sent_usec, memory->paused_since_usec) >=
                   snapshot->settings.pause_max_usec) {
        refuse_pause(snapshot, memory);
    } else if (!memory->pause_is_settled &&
               ma_sub_floor0(now, memory->paused_since_usec) < PAUSE_SETTLES_WITHIN_USEC) {
        return;
    }
    memory->taken &= ~(uint32_t) MA_TAKEN_PAUSE;
    memory->resume_sent_usec = 0;
}

void ma_observe_guest(const struct ma_snapshot *snapshot,
                      const struct ma_guest *guest,
                      struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;
    bool is_stale = (guest->has & MA_GUEST_HAS_AGE) != 0 &&
                    guest->sampled_age_usec > snapshot->settings.stale_usec;

    /* After a pause by us a record without the ledger (another state file) still tells whose pause it is. */
    if (guest->is_paused_by_memarb && guest->state == MA_GUEST_PAUSED &&
        (memory->taken & MA_TAKEN_PAUSE) == 0) {
        memory->taken |= MA_TAKEN_PAUSE;
        memory->paused_since_usec = now;
        memory->pause_is_settled = true;
        memory->resume_sent_usec = 0;
    }
    if (!is_stale) {
        observe_pause(snapshot, guest, memory);
    }
    ma_observe_use(snapshot, guest, memory);
    if (!is_stale && (guest->has & MA_GUEST_HAS_ACTUAL) != 0 && guest->state == MA_GUEST_RUNNING) {
        observe_balloon(guest, memory, now);
        ma_walk_note(memory, guest->actual_bytes);
        memory->last_actual_bytes = guest->actual_bytes;
    }
    observe_resize(guest, memory);
    ma_bid_observe_veto(snapshot, guest, memory);
    memory->seen_usec = now;
}
