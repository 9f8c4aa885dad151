/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* alarm.c - from stalls to alarm and veto.
 *
 *     alarm: some task stalled for stall_usec[SOME] within a second        veto: all tasks did, for stall_usec[FULL]
 *
 * The kernel's trigger says so by itself. Where there is none (no PSI trigger before Linux 5.2, no right to write the
 * file) the growth of the stall totals from sample to sample says the same, up to a second later. Where there is no PSI
 * at all, memory that had to be brought back is the sign: pages swapped in, and pages read again soon after they were
 * dropped; that is an alarm, and never a veto. An OOM kill is both.
 *
 * An alarm stands for two windows after its last sign, so that it does not flicker between two events of the kernel. */
#include "alarm.h"

/* An OOM killer that ran may run again. Shorter: the host may go on squeezing before the guest's services are back;
 * longer: one kill of a greedy process protects the guest for no reason. Guess. */
#define OOM_HOLD_USEC (10 * MA_USEC_PER_SEC)
/* Without PSI: a second in which this part of the memory was brought back is an alarm. Smaller: a cold start of a program
 * is one; larger: a guest on a slow disk thrashes unheard. Guess. */
#define BROUGHT_BACK_PART 128U

static void stand(struct mag_alarm *a, enum mag_alarm_kind kind, uint64_t until_usec) {
    a->until_usec[kind] = ma_max_u64(a->until_usec[kind], until_usec);
}

void mag_alarm_on_trigger(struct mag_alarm *a,
                          enum mag_alarm_kind kind,
                          uint64_t window_usec,
                          uint64_t now_usec) {
    stand(a, kind, now_usec + 2 * window_usec + window_usec / 4);
}

/* Growth in a second, if it went on as in the time between the samples; below a second as it is. */
static uint64_t in_a_second(uint64_t before, uint64_t after, uint64_t elapsed_usec) {
    uint64_t elapsed = ma_max_u64(elapsed_usec, MA_USEC_PER_SEC);
    return ma_muldiv_sat(ma_sub_floor0(after, before), MA_USEC_PER_SEC, elapsed);
}

static bool has(const struct mag_report *before, const struct mag_report *after, uint32_t bits) {
    return (before->has & after->has & bits) == bits;
}

static bool is_bringing_back(const struct mag_alarm *a,
                             const struct mag_report *before,
                             const struct mag_report *after,
                             uint64_t elapsed_usec) {
    if (!has(before, after, MAG_HAS_MEM_TOTAL | MAG_HAS_SWAP_IN | MAG_HAS_REFAULTS)) {
        return false;
    }
    uint64_t pages = in_a_second(before->refaults_count, after->refaults_count, elapsed_usec);
    uint64_t swapped = in_a_second(before->swap_in_bytes, after->swap_in_bytes, elapsed_usec);
    return ma_add_sat(swapped, ma_mul_sat(pages, a->page_bytes)) >=
           ma_max_u64(after->mem_total_bytes / BROUGHT_BACK_PART, 1);
}

void mag_alarm_on_sample(struct mag_alarm *a,
                         const struct mag_report *before,
                         const struct mag_report *after,
                         uint64_t elapsed_usec,
                         uint64_t now_usec) {
    const uint64_t until_usec = now_usec + 2 * MAG_ALARM_WINDOW_USEC + MAG_ALARM_WINDOW_USEC / 4;
    if (has(before, after, MAG_HAS_OOM_KILLS) && after->oom_kills_count > before->oom_kills_count) {
        stand(a, MAG_ALARM_SOME, now_usec + OOM_HOLD_USEC);
        stand(a, MAG_ALARM_FULL, now_usec + OOM_HOLD_USEC);
    }
    if (!a->has_trigger[MAG_ALARM_SOME]) {
        bool has_psi = has(before, after, MAG_HAS_SOME_TOTAL);
        if (has_psi ? in_a_second(before->some_total_usec, after->some_total_usec, elapsed_usec) >=
                          a->stall_usec[MAG_ALARM_SOME]
                    : is_bringing_back(a, before, after, elapsed_usec)) {
            stand(a, MAG_ALARM_SOME, until_usec);
        }
    }
    if (!a->has_trigger[MAG_ALARM_FULL] && has(before, after, MAG_HAS_FULL_TOTAL) &&
        in_a_second(before->full_total_usec, after->full_total_usec, elapsed_usec) >=
            a->stall_usec[MAG_ALARM_FULL]) {
        stand(a, MAG_ALARM_FULL, until_usec);
    }
}
