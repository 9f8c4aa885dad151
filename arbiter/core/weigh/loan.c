/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* loan.c - who fills what he was given needed it, who does not gives it back.
 *
 * Model. From its first growth after a shrink a balloon's gifts are one: given = where it is heading - where it stood; filled =
 * what the host sees its guest hold now - what it held then. QEMU's own memory, some ten MiB beside the guest's, is in both
 * and so in neither. Once half is filled, the next gift begins anew: nobody has credit for what it filled an hour ago.
 *
 *   I1  no figure here is a guest's word but `actual`, which only tells when a balloon has arrived
 *   I2  a guest from which a loan is taken back has as much as before it, what it filled besides, and never less than its
 *       guarantee (facts.c)
 *   I3  between two looks that were for nothing lie MA_LOOK_AGAIN_USEC at least
 *
 * P2 keeps what a guest uses and a margin. Untouched pages of a loan are not used, whatever it says; and where it uses all the
 * rest, it had no margin before the loan either. Rejected: to keep what it says (each word was worth a dead band for ever);
 * to give nothing beyond shares (simulated, mix-1.3: guests that came to need more stalled twice as long). */
#include "loan.h"

#include "bid.h"
#include "bytes.h"

static uint64_t given_bytes(const struct ma_guest_memory *memory, uint64_t balloon_bytes) {
    return memory != NULL && memory->last_direction > 0
               ? ma_sub_floor0(balloon_bytes, memory->grown_from_bytes)
               : 0;
}

static uint64_t filled_bytes(const struct ma_guest *guest, const struct ma_guest_memory *memory) {
    return ma_sub_floor0(ma_bid_held_bytes(guest), memory->grown_held_bytes);
}

uint64_t ma_loan_untouched_bytes(const struct ma_guest *guest,
                                 const struct ma_guest_memory *memory,
                                 uint64_t balloon_bytes) {
    uint64_t given = given_bytes(memory, balloon_bytes);

    return given == 0 ? 0 : ma_sub_floor0(given, filled_bytes(guest, memory));
}

bool ma_loan_is_filled(const struct ma_guest *guest,
                       const struct ma_guest_memory *memory,
                       uint64_t balloon_bytes) {
    uint64_t given = given_bytes(memory, balloon_bytes);

    return given > 0 && filled_bytes(guest, memory) >= given / 2;
}

uint64_t ma_loan_rest_bytes(const struct ma_snapshot *snapshot,
                            const struct ma_guest *guest,
                            const struct ma_guest_memory *memory) {
    uint64_t now = snapshot->taken_at_usec;

    if ((guest->has & MA_GUEST_HAS_RESIDENT) == 0 ||
        given_bytes(memory, guest->actual_bytes) == 0 || !memory->is_grown_on_word ||
        !memory->balloon_is_settled ||
        ma_sub_floor0(now, memory->last_move_usec) <
            ma_mul_sat(snapshot->settings.balloon_dwell_usec, MA_GROWN_DWELLS) ||
        ma_loan_is_filled(guest, memory, guest->actual_bytes)) {
        return 0;
    }
    return ma_add_sat(memory->grown_from_bytes, filled_bytes(guest, memory));
}

bool ma_loan_may_look(const struct ma_guest_memory *memory, uint64_t now_usec) {
    return memory == NULL || now_usec >= memory->look_again_usec;
}

static void note_fruitless(struct ma_guest_memory *memory, uint64_t now_usec) {
    uint32_t doublings = memory->fruitless_looks < MA_LOOK_DOUBLINGS_MAX ? memory->fruitless_looks
                                                                         : MA_LOOK_DOUBLINGS_MAX;

    memory->look_again_usec = ma_add_sat(now_usec, MA_LOOK_AGAIN_USEC << doublings);
    memory->fruitless_looks = doublings + 1;
}

void ma_loan_note_move(const struct ma_guest *guest,
                       const struct ma_plan_action *action,
                       struct ma_guest_memory *memory,
                       uint64_t now_usec) {
    bool is_growth = action->to_bytes > action->from_bytes;
    bool is_on_word = action->reason == MA_REASON_GUEST_PRESSURE;
    bool is_filled = ma_loan_is_filled(guest, memory, memory->balloon_ours_bytes);

    if (is_filled) {
        memory->fruitless_looks = 0;
    } else if (!is_growth && memory->last_direction > 0 && memory->is_grown_on_word) {
        note_fruitless(memory, now_usec);
    }
    if (is_growth &&
        (memory->last_direction <= 0 || is_filled || is_on_word != memory->is_grown_on_word)) {
        memory->grown_from_bytes = guest->actual_bytes;
        memory->grown_held_bytes = ma_bid_held_bytes(guest);
        memory->is_grown_on_word = is_on_word;
    }
}
