/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* observe-use.c - what a guest uses, by its own words, which are seconds old when they are read.
 *
 * Used = the balloon's figure less what the guest says is available, both of one moment. A balloon moves hundreds of
 * MiB a second: yesterday's available taken from today's figure says that a shrinking guest uses less and less, and
 * would be shrunk on and on; and that a growing one uses all that it was given. So used is worked out once for each
 * word, with the balloon as it stood when the word was spoken (observe-walk.c), and held until the next.
 *
 * From word to word follows how fast it rises: up at once, down by half a word. */
#include "bid.h"
#include "bytes.h"
#include "facts.h"
#include "observe.h"

/* Words nearer to each other in time than this are one. Too small: clock noise makes a new word, and a rate of nothing
 * over nothing; too large: a word is missed. QEMU speaks once a second at the most. */
#define SAME_WORD_USEC (UINT64_C(300) * MA_USEC_PER_MSEC)

/* The peak of the working set falls this slowly. Too small: the peak of yesterday's backup holds memory; too large:
 * a sawtooth is followed up and down. */
#define PEAK_DECAY_PERMYRIAD_PER_S 15U
/* The peak that it comes back to falls to half in an hour. Too small: what a guest needed once it keeps from others for
 * ever; too large: a wave of some minutes is followed up and down. Simulated: 1 to 5 are alike, without it a tenth more
 * turns. */
#define USUAL_DECAY_PERMYRIAD_PER_S 2U

static void note_word(const struct ma_snapshot *snapshot,
                      const struct ma_guest *guest,
                      struct ma_guest_memory *memory,
                      uint64_t at_usec) {
    uint64_t whole = ma_walk_at(memory, guest->actual_bytes, snapshot->taken_at_usec, at_usec) +
                     guest->virtio_mem.plugged_bytes;
    uint64_t used = ma_sub_floor0(whole, guest->stats.claimed_available_bytes);
    uint64_t elapsed = ma_sub_floor0(at_usec, memory->used_at_usec);
    uint64_t rise = 0;

    if (memory->used_at_usec != 0 && elapsed > 0 && elapsed <= snapshot->settings.stale_usec) {
        rise = ma_min_u64(
            ma_muldiv_sat(ma_sub_floor0(used, memory->used_bytes), MA_USEC_PER_SEC, elapsed),
            MA_BYTES_MAX);
        rise = ma_max_u64(rise, (rise + memory->used_rise_bytes_per_s) / 2);
    }
    memory->used_rise_bytes_per_s = rise;
    memory->used_bytes = used;
    memory->used_at_usec = ma_max_u64(at_usec, 1);
}

static uint64_t decayed(uint64_t peak_bytes, uint64_t permyriad_per_s, uint64_t usec) {
    return ma_sub_floor0(peak_bytes, ma_muldiv_sat(ma_permyriad_of(peak_bytes, permyriad_per_s),
                                                   usec, MA_USEC_PER_SEC));
}

static void note_peaks(const struct ma_snapshot *snapshot,
                       const struct ma_guest *guest,
                       struct ma_guest_memory *memory) {
    uint64_t whole = guest->actual_bytes + guest->virtio_mem.plugged_bytes;
    uint64_t elapsed = ma_sub_floor0(snapshot->taken_at_usec, memory->working_peak_usec);
    uint64_t needed = ma_add_sat(
        memory->used_bytes, ma_facts_margin_bytes(&snapshot->settings, guest, memory->used_bytes));

    needed = ma_min_u64(needed, whole);
    memory->working_peak_bytes = ma_max_u64(
        needed, decayed(memory->working_peak_bytes, PEAK_DECAY_PERMYRIAD_PER_S, elapsed));
    memory->usual_peak_bytes =
        ma_max_u64(needed, decayed(memory->usual_peak_bytes, USUAL_DECAY_PERMYRIAD_PER_S, elapsed));
    memory->working_peak_usec = snapshot->taken_at_usec;
}

void ma_observe_use(const struct ma_snapshot *snapshot,
                    const struct ma_guest *guest,
                    struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;
    uint64_t age = (guest->stats.has & MA_STATS_HAS_AGE) != 0 ? guest->stats.age_usec : 0;
    uint64_t at = ma_sub_floor0(now, age);

    /* No fresh word: the last one is kept as it stands. */
    if (!ma_bid_has_claims(snapshot, guest) || guest->state != MA_GUEST_RUNNING) {
        return;
    }
    if (memory->used_at_usec == 0 || memory->used_at_usec > now ||
        at > memory->used_at_usec + SAME_WORD_USEC) {
        note_word(snapshot, guest, memory, at);
    }
    note_peaks(snapshot, guest, memory);
}
