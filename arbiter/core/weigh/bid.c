/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bid.c - a guest's word (balloon statistics or its agent), and how much of it counts.
 *
 * Model. A guest that stalls, pages in or has next to nothing available is "pressed": a bid. The policy answers a bid with
 * more memory, inside the guest's part by shares and with what others have above theirs (balanced-divide.c). A guest
 * that is pressed while we squeeze it has a veto: for MA_VETO_USEC others are squeezed instead, where they suffice.
 *
 *   I1  a claim that is stale, absent or out of its bounds is none: no bid, no veto, no disagreement
 *   I2  a bid stands only while the host sees the guest hold what it has: what it was given and does not touch, it did
 *       not need
 *   I3  a veto lasts MA_VETO_USEC at most and begins MA_VETO_AGAIN_USEC after the last one began, at the earliest
 *   I4  nothing here is in a guest's score: no word of its own makes it a less likely victim
 *
 * Trust: pressure and statistics are the guest's, resident, swap and growth the host's. Rejected: an average of a bid over
 * time (a burst is over by then); believing a bid for as long as it is repeated (a liar repeats it for ever). */
#include "bid.h"

#include "bytes.h"

/* Guest PSI, page-ins and available memory from which a guest counts as short. Too small: every cache miss calls
 * for memory; too large: a guest thrashes unheard. Guessed. */
#define PRESSED_SOME_PERMYRIAD      500U
#define PRESSED_PAGE_IN_BYTES_PER_S (UINT64_C(8) * MA_MIB)
#define PRESSED_AVAILABLE_PERMYRIAD 500U
#define GUEST_PAGE_BYTES            UINT64_C(4096)

/* A guest that holds less than this of its memory on the host has untouched pages left, whatever it says. Too small: a
 * liar is given step upon step; too large: an honest one waits until it has used its last step up. Guessed. */
#define TOUCHED_PERMYRIAD 7500U
/* Growth that an idle guest does not have. Too small: a log file is a disagreement; too large: a slow leak is none. As
 * the policy's own bound of a culprit. */
#define IDLE_GROWTH_BYTES_PER_S (UINT64_C(16) * MA_MIB)

static const char *const disagreement_names[MA_DISAGREEMENT_COUNT] = {"none", "says-idle",
                                                                      "says-short"};

const char *ma_disagreement_name(enum ma_disagreement disagreement) {
    return (unsigned) disagreement < MA_DISAGREEMENT_COUNT ? disagreement_names[disagreement]
                                                           : NULL;
}

static uint64_t whole_bytes(const struct ma_guest *guest) {
    return ma_add_sat(guest->actual_bytes, guest->virtio_mem.plugged_bytes);
}

bool ma_bid_has_claims(const struct ma_snapshot *snapshot, const struct ma_guest *guest) {
    const struct ma_stats *stats = &guest->stats;
    bool is_old =
        (stats->has & MA_STATS_HAS_AGE) != 0 && stats->age_usec > snapshot->settings.stale_usec;

    return (stats->has & MA_STATS_HAS_AVAILABLE) != 0 && !is_old &&
           (guest->has & MA_GUEST_HAS_ACTUAL) != 0;
}

static bool says_short(const struct ma_guest *guest) {
    const struct ma_stats *stats = &guest->stats;
    uint64_t page_in = ma_max_u64(stats->claimed_swap_in_bytes_per_s,
                                  ma_mul_sat(stats->claimed_major_faults_per_s, GUEST_PAGE_BYTES));

    return guest->pressure.some_avg10_permyriad > PRESSED_SOME_PERMYRIAD ||
           page_in > PRESSED_PAGE_IN_BYTES_PER_S ||
           stats->claimed_available_bytes <
               ma_permyriad_of(whole_bytes(guest), PRESSED_AVAILABLE_PERMYRIAD);
}

uint64_t ma_bid_held_bytes(const struct ma_guest *guest) {
    return ma_add_sat(ma_add_sat(guest->resident_bytes, guest->hugepage_bytes), guest->swap_bytes);
}

bool ma_bid_is_touched(const struct ma_guest *guest) {
    return (guest->has & MA_GUEST_HAS_RESIDENT) != 0 &&
           ma_bid_held_bytes(guest) >= ma_permyriad_of(whole_bytes(guest), TOUCHED_PERMYRIAD);
}

enum ma_disagreement ma_bid_disagreement(const struct ma_guest *guest) {
    bool is_growing = (guest->has & MA_GUEST_HAS_GROWTH) != 0 &&
                      guest->growth_bytes_per_s > (int64_t) IDLE_GROWTH_BYTES_PER_S;

    if (says_short(guest)) {
        return ma_bid_is_touched(guest) ? MA_DISAGREEMENT_NONE : MA_DISAGREEMENT_SAYS_SHORT;
    }
    return is_growing && guest->stats.claimed_free_bytes >= whole_bytes(guest) / 2
               ? MA_DISAGREEMENT_SAYS_IDLE
               : MA_DISAGREEMENT_NONE;
}

bool ma_bid_is_pressed(const struct ma_guest *guest) {
    return says_short(guest) && ma_bid_is_touched(guest);
}

static bool is_squeezed(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory->last_direction < 0 && memory->last_move_usec != 0 &&
           ma_sub_floor0(now_usec, memory->last_move_usec) <= MA_VETO_AFTER_USEC;
}

void ma_bid_observe_veto(const struct ma_snapshot *snapshot,
                         const struct ma_guest *guest,
                         struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;

    if (guest->state == MA_GUEST_RUNNING && is_squeezed(memory, now) &&
        ma_bid_has_claims(snapshot, guest) && ma_bid_is_pressed(guest)) {
        ma_bid_note_veto(memory, now);
    }
}

void ma_bid_begin_veto(struct ma_guest_memory *memory, uint64_t now_usec) {
    memory->veto_until_usec = ma_add_sat(now_usec, MA_VETO_USEC);
}

void ma_bid_note_veto(struct ma_guest_memory *memory, uint64_t now_usec) {
    if (now_usec >= memory->veto_again_usec) {
        ma_bid_begin_veto(memory, now_usec);
        memory->veto_again_usec = ma_add_sat(now_usec, MA_VETO_AGAIN_USEC);
    }
}

bool ma_bid_is_vetoing(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory != NULL && now_usec < memory->veto_until_usec;
}
