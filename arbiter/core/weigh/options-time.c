/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* options-time.c - which victims' options are possible, and how long they may take. What returns too late to matter
 * is no option: a shutdown that takes a minute saves no host that has ten seconds. */
#include "bytes.h"
#include "options.h"
#include "rebalance.h"

/* After these, a victim's memory counts as not coming back. Too small: a second victim while the first still dies;
 * too large: a hung one blocks all others. virDomainDestroy takes 1.2-11 s (libvirt 9.0). */
#define KILL_DEADLINE_USEC  (UINT64_C(15) * MA_USEC_PER_SEC)
#define PAUSE_DEADLINE_USEC (UINT64_C(5) * MA_USEC_PER_SEC)
/* A save writes all guest memory to disk. Guessed, a SATA disk; plus the time to begin and end. */
#define SAVE_RATE_BYTES_PER_S (UINT64_C(100) * MA_MIB)
#define SAVE_OVERHEAD_USEC    (UINT64_C(10) * MA_USEC_PER_SEC)
/* Gentle actions get twice what they should need before they count as late. */
#define GENTLE_DEADLINE_FACTOR   2
#define RESIZE_RATE_BYTES_PER_S  (UINT64_C(200) * MA_MIB)
#define RECLAIM_RATE_BYTES_PER_S (UINT64_C(100) * MA_MIB)

/* A slow way out must be through in this part of the time left, which is an estimate: a fall that steepens while a guest
 * shuts down finds the next victim barred until that one's time is over. Too small: that; too large: guests are killed
 * that could have left in order. Guessed. */
#define TIME_LEFT_DIVISOR 2

static uint64_t transfer_usec(uint64_t bytes, uint64_t rate_bytes_per_s) {
    return rate_bytes_per_s == 0 ? MA_USEC_INFINITY
                                 : ma_muldiv_sat(bytes, MA_USEC_PER_SEC, rate_bytes_per_s);
}

uint64_t
ma_options_deadline_usec(const struct ma_facts *facts, enum ma_action action, uint64_t gain_bytes) {
    const struct ma_guest *guest = facts->guest;
    uint64_t rate = facts->rate_bytes_per_s;
    uint64_t move;

    switch (action) {
    case MA_ACTION_PAUSE:
    case MA_ACTION_RESUME:
        return PAUSE_DEADLINE_USEC;
    case MA_ACTION_SAVE:
        return ma_add_sat(SAVE_OVERHEAD_USEC,
                          transfer_usec(guest->resident_bytes, SAVE_RATE_BYTES_PER_S));
    case MA_ACTION_SHUTDOWN:
        return (guest->config.has & MA_CONFIG_HAS_SHUTDOWN_TIMEOUT) != 0
                   ? guest->config.shutdown_timeout_usec
                   : MA_SHUTDOWN_TIMEOUT_USEC;
    case MA_ACTION_KILL:
        return KILL_DEADLINE_USEC;
    case MA_ACTION_RESIZE:
        rate = RESIZE_RATE_BYTES_PER_S;
        break;
    case MA_ACTION_RECLAIM:
        rate = RECLAIM_RATE_BYTES_PER_S;
        break;
    case MA_ACTION_REBALANCE:
        rate = MA_REBALANCE_RATE_BYTES_PER_S;
        break;
    case MA_ACTION_BALLOON:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
        break;
    }
    move = transfer_usec(gain_bytes, rate);
    return ma_add_sat(ma_mul_sat(move, GENTLE_DEADLINE_FACTOR), MA_BALLOON_LAG_USEC);
}

bool ma_options_victim_is_possible(const struct ma_options_context *context,
                                   const struct ma_facts *facts,
                                   enum ma_action action) {
    bool is_running = facts->guest->state == MA_GUEST_RUNNING;
    uint64_t time_left = ma_min_u64(context->need->time_left_usec, context->need->surely_left_usec);

    if (facts->victim_reason != MA_REASON_NONE || (facts->actions & MA_ACTION_BIT(action)) == 0) {
        return false;
    }
    if (action == MA_ACTION_PAUSE) {
        return is_running;
    }
    if (action == MA_ACTION_SHUTDOWN && !is_running) {
        return false;
    }
    return action == MA_ACTION_KILL ||
           ma_options_deadline_usec(facts, action, 0) <= time_left / TIME_LEFT_DIVISOR;
}
