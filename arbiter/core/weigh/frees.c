/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* frees.c - what an action really returns, per row, in whole MiB rounded down.
 *
 * Balloon. A guest gives pages of its choosing; pages that it never touched return nothing. Which ones it gives is
 * not known, so only what must come back counts: before, min(actual, resident) is there; when the window ends, at most
 * where the balloon stands then. The rest of the step may return something, and is welcome. The demand is
 * projected with the growth of guests, so resident is too: a balloon stops a guest that fills its memory, as a pause
 * does. But a guest's growth is seconds old, and it may have ended since, or its swap or a neighbour may have paid for
 * it: what is stopped returns to a row at most what that row's demand was projected with.
 * Death returns what is resident and not shared, pinned bytes included; huge pages go back to their pool, not to
 * ram. A pause returns nothing: it stops the growth that the demand was projected with.
 * Rows with a deadline get what is back by then: a balloon after its lag at its rate, a pause at once, a kill at the
 * pace of an exit. Node rows get the part that lies on the node. A balloon cannot choose the node, so its gain is spread like the
 * guest's resident memory. */
#include "options.h"

#include <string.h>

#include "bytes.h"

/* How fast an action returns memory. */
struct pace {
    uint64_t lag_usec;
    uint64_t bytes_per_s;
};
static const struct pace at_once = {.lag_usec = 0, .bytes_per_s = UINT64_MAX};

/* What of it is back in time for a row with a deadline. */
static uint64_t landed(const struct ma_row *row, struct pace pace, uint64_t bytes) {
    uint64_t usec = ma_sub_floor0((uint64_t) row->within_ms * 1000, pace.lag_usec);

    if (row->within_ms == 0 || pace.bytes_per_s == UINT64_MAX) {
        return bytes;
    }
    return ma_min_u64(bytes, ma_muldiv_sat(pace.bytes_per_s, usec, MA_USEC_PER_SEC));
}

static void spread(const struct ma_plan *plan,
                   const struct ma_facts *facts,
                   uint64_t bytes,
                   struct pace pace,
                   struct ma_amounts *ret) {
    for (size_t d = 0; d < plan->n_rows; d++) {
        const struct ma_row *row = &plan->rows[d];

        ret->mib[d] =
            (int64_t) ma_mib_down(ma_need_share(facts->guest, row, landed(row, pace, bytes)));
    }
}

static uint64_t within_window(const struct ma_need *need, uint64_t rate, uint64_t bytes) {
    uint64_t usec = ma_sub_floor0(need->window_usec, MA_BALLOON_LAG_USEC);

    return ma_min_u64(bytes, ma_muldiv_sat(rate, usec, MA_USEC_PER_SEC));
}

/* What of a shrink to `to` comes back in time for the row, or is kept from being taken. */
static uint64_t shrink_bytes(const struct ma_plan *plan,
                             const struct ma_need *need,
                             const struct ma_facts *facts,
                             uint64_t to_bytes,
                             uint64_t usec) {
    struct ma_returned returned = ma_facts_returned_by(facts, to_bytes, usec);

    return returned.held_bytes + ma_need_stopped(need, plan, facts->guest, returned.stopped_bytes);
}

/* Negative when it grows. */
void ma_frees_of_balloon(const struct ma_plan *plan,
                         const struct ma_need *need,
                         const struct ma_facts *facts,
                         uint64_t to_bytes,
                         struct ma_amounts *ret) {
    uint64_t actual = facts->guest->actual_bytes;

    memset(ret, 0, sizeof(*ret));
    if (to_bytes > actual) {
        /* Everything given may be touched, and on any node where the guest is. What is pinned is there already. */
        uint64_t given = ma_sub_floor0(to_bytes, ma_max_u64(actual, facts->guest->pinned_bytes));

        for (size_t d = 0; d < plan->n_rows; d++) {
            ret->mib[d] = -(int64_t) ma_mib_up(ma_need_share(facts->guest, &plan->rows[d], given));
        }
        return;
    }
    if (facts->balloon_reason != MA_REASON_NONE) {
        return; /* a probe: what does not answer is not counted on */
    }
    for (size_t d = 0; d < plan->n_rows; d++) {
        const struct ma_row *row = &plan->rows[d];
        uint64_t bytes =
            shrink_bytes(plan, need, facts, to_bytes, ma_need_landing_usec(need, row, false));

        /* What is on its way already is counted in the need. */
        if (facts->in_flight_bytes > 0) {
            bytes = ma_sub_floor0(bytes, shrink_bytes(plan, need, facts, facts->committed_bytes,
                                                      ma_need_landing_usec(need, row, true)));
        }
        ret->mib[d] = (int64_t) ma_mib_down(ma_need_share(facts->guest, row, bytes));
    }
}

/* virtio-mem unplugs in blocks of migrated-away memory. Too small: victims instead; too large: late. Measured
 * 384 MiB in 1.1 s (QEMU 7.2, TCG). */
#define RESIZE_RATE_BYTES_PER_S (UINT64_C(200) * MA_MIB)

void ma_frees_of_resize(const struct ma_plan *plan,
                        const struct ma_need *need,
                        const struct ma_facts *facts,
                        uint64_t to_bytes,
                        struct ma_amounts *ret) {
    const struct ma_guest *guest = facts->guest;
    uint64_t plugged = guest->virtio_mem.plugged_bytes;
    uint64_t whole = guest->actual_bytes + plugged;
    /* Unplugging unpins: with VFIO it returns memory where a balloon cannot. */
    uint64_t basis = ma_min_u64(whole, ma_sub_floor0(guest->resident_bytes, guest->shared_bytes));

    memset(ret, 0, sizeof(*ret));
    if (to_bytes > plugged) {
        for (size_t d = 0; d < plan->n_rows; d++) {
            ret->mib[d] =
                -(int64_t) ma_mib_up(ma_need_share(guest, &plan->rows[d], to_bytes - plugged));
        }
        return;
    }
    spread(plan, facts,
           within_window(need, RESIZE_RATE_BYTES_PER_S,
                         ma_sub_floor0(basis, guest->actual_bytes + to_bytes)),
           (struct pace){.lag_usec = MA_BALLOON_LAG_USEC, .bytes_per_s = RESIZE_RATE_BYTES_PER_S},
           ret);
}

/* Cold pages go out at a disk's pace. Too small: victims instead; too large: late. Guessed, as in options.c. */
#define RECLAIM_RATE_BYTES_PER_S (UINT64_C(100) * MA_MIB)
/* A killed QEMU's pages: the first after this, at this pace. Too small a lag or too large a rate: counted on while the
 * kernel's own killer is at work; the reverse: more victims than needed. SIGKILL to reaped measured at 9 ms and 30 GiB/s
 * with 4 KiB pages (QEMU 7.2, Linux 6.1); a third of that, as libvirt is slower to send it. */
#define KILL_LAG_USEC         UINT64_C(100000)
#define EXIT_RATE_BYTES_PER_S (UINT64_C(10) * MA_GIB)

void ma_frees_of_reclaim(const struct ma_plan *plan,
                         const struct ma_facts *facts,
                         uint64_t bytes,
                         struct ma_amounts *ret) {
    memset(ret, 0, sizeof(*ret));
    spread(plan, facts, ma_min_u64(bytes, facts->returnable_bytes),
           (struct pace){.lag_usec = MA_BALLOON_LAG_USEC, .bytes_per_s = RECLAIM_RATE_BYTES_PER_S},
           ret);
    for (size_t d = 0; d < plan->n_rows; d++) {
        if (plan->rows[d].kind == MA_ROW_SWAP) {
            ret->mib[d] = -(int64_t) ma_mib_up(bytes);
        }
    }
}

/* A shutdown or a save returns nothing before its end. */
static struct pace pace_of_death(const struct ma_facts *facts, enum ma_action action) {
    if (action == MA_ACTION_KILL) {
        return (struct pace){.lag_usec = KILL_LAG_USEC, .bytes_per_s = EXIT_RATE_BYTES_PER_S};
    }
    return (struct pace){.lag_usec = ma_options_deadline_usec(facts, action, 0),
                         .bytes_per_s = EXIT_RATE_BYTES_PER_S};
}

void ma_frees_of_victim(const struct ma_plan *plan,
                        const struct ma_need *need,
                        const struct ma_facts *facts,
                        enum ma_action action,
                        struct ma_amounts *ret) {
    const struct ma_guest *guest = facts->guest;
    uint64_t growth = guest->growth_bytes_per_s > 0 ? (uint64_t) guest->growth_bytes_per_s : 0;

    memset(ret, 0, sizeof(*ret));
    if (action == MA_ACTION_PAUSE) {
        uint64_t stopped = ma_muldiv_sat(growth, need->horizon_usec, MA_USEC_PER_SEC);

        spread(plan, facts, ma_need_stopped(need, plan, guest, stopped), at_once, ret);
        return;
    }
    spread(plan, facts, ma_sub_floor0(guest->resident_bytes, guest->shared_bytes),
           pace_of_death(facts, action), ret);
    for (size_t d = 0; d < plan->n_rows; d++) {
        if (plan->rows[d].kind == MA_ROW_SWAP) {
            ret->mib[d] = (int64_t) ma_mib_down(guest->swap_bytes);
        }
    }
}
