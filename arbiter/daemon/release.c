/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* release.c - giving everything back (P6): on an operator's word, on stop, or without a daemon (memarbd --release).
 *
 * Steps on the tick: plan what is owed, do it, look again, until nothing is owed or time is up. A guest that does not
 * answer keeps its entry in the ledger: the next memarbd, or the next release, owes it still. */

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "guest-limits.h"
#include "keep.h"
#include "observe.h"
#include "report.h"

/* A release ends after this, whatever is still owed: systemd gives a stopping unit 90 s, and a hung guest must not
 * hold up the stop of the rest. Deflating is quick (1 GiB/s under emulation). */
#define RELEASE_USEC (20 * MA_USEC_PER_SEC)
/* With --release: guests that the ledger speaks of may take this long to be seen (libvirtd probes its QEMU for 8 s
 * after its own start). */
#define RELEASE_FIND_USEC (15 * MA_USEC_PER_SEC)

/* What is owed is asked for once a second: figures of a balloon on its way back come about so often, and every asking is
 * a line in the journal. */
#define RELEASE_AGAIN_USEC MA_USEC_PER_SEC

/* What is owed to guests that are there. One that cannot be found has ended while nobody looked: its entry is struck
 * when a guest of that uuid is seen again. */
static size_t n_owed(const struct ma_daemon *d) {
    size_t n = 0;
    for (size_t i = 0; i < d->state.n_guests; i++) {
        const struct ma_guest_memory *memory = &d->state.guests[i];
        n += memory->taken != 0 && ma_guests_find(&d->guests, memory->uuid) != NULL ? 1 : 0;
    }
    return n;
}

static bool are_all_known(struct ma_daemon *d) {
    for (size_t i = 0; i < d->state.n_guests; i++) {
        if (d->state.guests[i].taken == 0) {
            continue;
        }
        const struct ma_tracked *guest = ma_guests_find(&d->guests, d->state.guests[i].uuid);
        if (guest == NULL || !guest->has_facts) {
            return false;
        }
    }
    return ma_guest_limits_are_all_known(d);
}

void ma_release_begin(struct ma_daemon *d, bool should_exit) {
    if (d->phase == MA_PHASE_RELEASING) {
        d->should_exit_after_release = d->should_exit_after_release || should_exit;
        return;
    }
    d->phase = MA_PHASE_RELEASING;
    d->should_exit_after_release = should_exit;
    d->release_deadline_usec = ma_now_usec() + RELEASE_USEC;
    d->release_asked_usec = 0;
    ma_hook_desk_step(d, ma_now_usec()); /* what waits for its hooks is not taken any more */
    if (d->qmp != NULL) {
        ma_qmp_source_set_poll(d->qmp, RELEASE_AGAIN_USEC, ma_now_usec());
    }
    if (d->libvirt != NULL) {
        ma_libvirt_set_stats_period(d->libvirt, RELEASE_AGAIN_USEC);
    }
    ma_cycle_soon(d);
}

static void finish(struct ma_daemon *d, size_t owed) {
    struct ma_report report = {.message_id = MA_MESSAGE_RELEASE,
                               .kind = "release",
                               .level = owed == 0 ? MA_LOG_NOTICE : MA_LOG_WARNING,
                               .result = owed == 0 ? "done" : "timeout"};
    if (owed == 0) {
        ma_report(d, &report, "Everything that was taken was given back.");
    } else {
        ma_report(d, &report, "%zu guests could not be given back what was taken; it stays noted.",
                  owed);
    }
    /* On the way out it stays releasing: the rest of this cycle would set limits again that were just put back. */
    d->phase = d->should_exit_after_release ? MA_PHASE_RELEASING : MA_PHASE_RUNNING;
    ma_persist_save(d);
    if (d->should_exit_after_release) {
        (void) sd_event_exit(d->event, d->options.is_release_only && owed > 0 ? 1 : 0);
    }
}

void ma_release_step(struct ma_daemon *d, uint64_t now_usec) {
    ma_act_stop_rebalance(d, false);
    if (d->options.is_release_only && !are_all_known(d) &&
        now_usec < d->started_usec + RELEASE_FIND_USEC) {
        return;
    }
    (void) ma_state_copy(&d->state_before, &d->state);
    bool is_dry_run = ma_daemon_is_dry_run(d);
    if (!is_dry_run && now_usec >= d->release_asked_usec + RELEASE_AGAIN_USEC) {
        d->release_asked_usec = now_usec;
        ma_decide_release(&d->snapshot, &d->state, &d->plan);
        ma_act_run(d, now_usec);
    } else {
        /* What came back since is struck from the ledger; without this everything would be owed until time is up. */
        ma_plan_reset(&d->plan);
        ma_observe(&d->snapshot, false, &d->state, &d->plan);
        d->release_deadline_usec = is_dry_run ? 0 : d->release_deadline_usec; /* P8 */
    }
    size_t owed = n_owed(d) + ma_guest_limits_n_owed(d);
    if ((owed == 0 && ma_act_is_idle(d)) || now_usec >= d->release_deadline_usec) {
        finish(d, owed);
    }
}

/* One guest's: what it is owed now, and a hold, so that it is not taken from again at once. */
int ma_release_guest(struct ma_daemon *d, struct ma_tracked *guest, struct ma_err *err) {
    size_t at = ma_snapshot_find(&d->snapshot, guest->uuid);
    if (at == SIZE_MAX) {
        return ma_err_set(err, -EAGAIN, "guest '%.64s' is not in the figures yet; try again",
                          guest->name);
    }
    (void) ma_state_copy(&d->state_before, &d->state);
    ma_decide_release_guest(&d->snapshot, (uint32_t) at, &d->state, &d->plan);
    if (d->plan.n_actions > 0) {
        ma_act_run(d, ma_now_usec());
        ma_keep_record(d, ma_now_usec());
    }
    ma_plan_reset(&d->plan);
    guest->held_until_usec = ma_add_sat(ma_now_usec(), d->settings.operator_resume_usec);
    ma_guest_limits_release(guest);
    d->is_state_dirty = true;
    return 0;
}
