/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* notice.c - when a squeeze waits for its announcement.
 *
 *     none --(a squeeze is planned)--> runs until notice_until_usec --(the next plan)--> commanded
 *
 *   I1  only a guest whose agent was heard lately is waited for, and for MA_NOTICE_USEC at most, whatever it says
 *   I2  nothing waits while the host is hard or critical: announcement and command go together
 *   I3  one notice serves all steps of a squeeze that follow one another within MA_NOTICE_STANDS_USEC
 *   I4  what gives memory to a guest, or leaves it more than was commanded, never waits
 *
 * Rejected: waiting in the daemon, behind the decision. A plan would say armed and nothing would move, and a record would
 * not replay. */
#include "notice.h"

#include "bytes.h"

static bool listens(const struct ma_guest_memory *memory, const struct ma_snapshot *snapshot) {
    return memory->agent_heard_usec != 0 &&
           ma_sub_floor0(snapshot->taken_at_usec, memory->agent_heard_usec) <=
               snapshot->settings.stale_usec;
}

/* It was announced, and the squeeze has come or is still to come. */
static bool is_announced(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory->noticed_usec != 0 &&
           ma_sub_floor0(now_usec, memory->noticed_usec) <= MA_NOTICE_STANDS_USEC;
}

bool ma_notice_is_due(const struct ma_plan *plan,
                      const struct ma_plan_action *action,
                      const struct ma_guest_memory *memory,
                      const struct ma_snapshot *snapshot) {
    bool is_squeeze = action->action == MA_ACTION_BALLOON &&
                      action->to_bytes < action->from_bytes &&
                      action->reason != MA_REASON_GUEST_PRESSURE;

    return is_squeeze && plan->pressure < MA_PRESSURE_HARD && memory != NULL &&
           listens(memory, snapshot) &&
           (!is_announced(memory, snapshot->taken_at_usec) ||
            snapshot->taken_at_usec < memory->notice_until_usec);
}

void ma_notice_begin(struct ma_guest_memory *memory, uint64_t now_usec) {
    if (!is_announced(memory, now_usec)) {
        memory->noticed_usec = ma_max_u64(now_usec, 1);
        memory->notice_until_usec = ma_add_sat(now_usec, MA_NOTICE_USEC);
    }
}

void ma_notice_end(struct ma_guest_memory *memory, uint64_t now_usec) {
    memory->noticed_usec = ma_max_u64(now_usec, 1);
    memory->notice_until_usec = 0;
}

bool ma_notice_has_begun(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory->noticed_usec == now_usec && memory->notice_until_usec > now_usec;
}

void ma_notice_hear(struct ma_guest_memory *memory, uint64_t now_usec) {
    memory->agent_heard_usec = now_usec;
}

void ma_notice_acknowledge(struct ma_guest_memory *memory, uint64_t now_usec) {
    memory->notice_until_usec = ma_min_u64(memory->notice_until_usec, now_usec);
}
