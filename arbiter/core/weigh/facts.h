/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* facts.h - what follows for one guest from its figures, its operator's settings and the controller's memory: how
 * far its balloon may go, what may not be done to it and why. Pure; policies and the guard read the same facts. */

#include <stdbool.h>
#include <stdint.h>

#include "reason.h"
#include "snapshot.h"
#include "state.h"

struct ma_facts {
    const struct ma_guest *guest;
    const struct ma_guest_memory *memory; /* NULL: nothing is remembered of it */

    /* Why nothing at all may be done to it; NONE: something may. */
    enum ma_reason hold_reason;
    /* Why its balloon (and virtio-mem) cannot be shrunk; NONE: it can. */
    enum ma_reason balloon_reason;
    enum ma_reason resize_reason;
    enum ma_reason reclaim_reason;
    /* Why it can be no victim, its group not looked at; NONE: it can. */
    enum ma_reason victim_reason;
    uint32_t actions; /* what its operator allows, less what it refused lately */
    bool is_paused_by_us;
    /* it says it is short itself, in fresh figures, and the host's allow it (bid.h) */
    bool is_pressed;
    bool is_vetoing; /* it is not squeezed where others suffice */
    bool is_starved; /* ... and uses all that it has: how much more it needs cannot be seen */
    bool has_claims; /* fresh statistics of its own */

    uint64_t guarantee_bytes;
    uint64_t ceiling_bytes; /* of its balloon: max, or its limit */
    /* The amounts below hold with has_claims. "Whole" is balloon and plugged virtio-mem together. */
    uint64_t whole_bytes;
    uint64_t free_bytes;
    uint64_t available_bytes;
    uint64_t used_bytes; /* by its last word, with the balloon as it stood then */
    uint64_t rise_bytes; /* what it will use besides before anything given now arrives */
    /* what it uses with its margin, or the decayed peak of that; of the whole */
    uint64_t working_bytes;
    uint64_t usual_bytes; /* ... or what it comes back to: the peak decayed over hours */
    /* P2, of the whole: guarantee, and what it uses with its margin; while the host is critical, with a quarter of that */
    uint64_t floor_bytes;
    /* P2, of the balloon's figure; higher for one that may be pinned as a whole */
    uint64_t balloon_floor_bytes;
    /* ... of a loan that had its time (loan.h): so far; 0: there is none */
    uint64_t loan_floor_bytes;

    /* resident bytes that can come back while it lives: not shared, not pinned */
    uint64_t returnable_bytes;
    /* Those, and what it will have taken within the horizon at its present growth: a balloon stops that too. How much
     * of the growth may be believed is the need's to say (ma_need.loss_mib). */
    uint64_t projected_bytes;
    uint64_t committed_bytes; /* where its balloon is heading */
    /* Of a shrink that surely goes on: host RAM still to come, or to be kept from growing into. */
    uint64_t in_flight_bytes;
    uint64_t probe_to_bytes; /* a stuck balloon's time has come: it may be asked for this; 0: no */
    uint64_t owed_bytes;     /* of a growth that goes on: the guest may still take this */
    uint64_t rate_bytes_per_s;
};

void ma_facts_of_guest(const struct ma_snapshot *snapshot,
                       const struct ma_state *state,
                       const struct ma_guest *guest,
                       const struct ma_guest_memory *memory,
                       struct ma_facts *ret);
/* All guests of the snapshot, in its order; facts has n_guests elements. O(n). */
void ma_facts_of_all(const struct ma_snapshot *snapshot,
                     const struct ma_state *state,
                     struct ma_facts *facts);

/* Where its balloon is after moving so long towards target, at its rate. */
uint64_t ma_facts_balloon_by(const struct ma_facts *facts, uint64_t target_bytes, uint64_t usec);
/* What a shrink has surely done after moving so long. A guest gives what it never touched first, for all that is known:
 * until the balloon's figure is below what is resident nothing is sure. */
struct ma_returned {
    uint64_t held_bytes;    /* of what is resident now */
    uint64_t stopped_bytes; /* of what it would have taken within the horizon */
};
struct ma_returned
ma_facts_returned_by(const struct ma_facts *facts, uint64_t target_bytes, uint64_t usec);

/* Is the guest a member of the victim that is pending? */
bool ma_facts_is_pending_victim(const struct ma_state *state, const char *uuid);
/* The margin that P2 keeps above what a guest uses, unless the host is critical. */
uint64_t ma_facts_margin_bytes(const struct ma_settings *settings,
                               const struct ma_guest *guest,
                               uint64_t used_bytes);

/* A balloon's rate where none was measured. Too small: victims where a balloon would have done; too large: the
 * balloon is late and the kernel kills. Measured 300-500 MiB/s with QEMU 7.2 under TCG; KVM is faster. */
#define MA_BALLOON_RATE_DEFAULT_BYTES_PER_S (UINT64_C(400) * MA_MIB)
/* Before the first page of a balloon move comes back. Too small: counts on what is late; too large: wastes the
 * horizon. Measured 0.1-1 s, the larger taken. */
#define MA_BALLOON_LAG_USEC UINT64_C(1000000)
/* What a stuck balloon is asked for to see whether it answers again, or a sixteenth of the guest where that is less.
 * Too small: arrived before it has moved; too large: a guest that wakes up under a load of its own loses that much.
 * Guessed. */
#define MA_BALLOON_PROBE_BYTES     (UINT64_C(64) * MA_MIB)
#define MA_BALLOON_PROBE_MIN_BYTES (UINT64_C(2) * MA_BALLOON_ARRIVED_BYTES)
/* A balloon this near its target has arrived. Too small: guests that stop a little short look stuck; too large:
 * small moves are not followed. Guest page granularity and per-CPU lists leave a few MiB; guessed. */
#define MA_BALLOON_ARRIVED_BYTES (UINT64_C(16) * MA_MIB)
