/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admission.c - starts that ask (libvirt's hook, an operator by hand), and demands that nobody asked for.
 *
 * The judgement is core/admission/admit.c; here are its inputs from outside the snapshot (huge page pools, the kernel's overcommit
 * mode, past victims), what is held for those let in, and what is said. Refusing a start is an action on somebody's
 * guest: in a dry run and at Arm=observe it is told and not done (P8, P11).
 *
 * A hotplug or a start past the hook asks nobody. Its guest counts for more in one snapshot than in the one before;
 * where the host has no room for the difference, that is told at once. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admission-text.h"
#include "bytes.h"
#include "hugepages.h"
#include "report.h"

#define DAY_USEC (UINT64_C(86400) * MA_USEC_PER_SEC)
/* What a running guest may count for more without a word: rounding of figures, a DIMM has 128 MiB. Guess. */
#define LATE_DEMAND_MIN_BYTES (UINT64_C(64) * MA_MIB)

/* The last time that memarb ended it within the day, or NULL. */
static struct ma_victim_note *victim_note_of(struct ma_daemon *d, const char *uuid) {
    uint64_t day_ago = ma_sub_floor0(ma_realtime_usec(), DAY_USEC);
    for (size_t i = d->n_victims; i > 0; i--) {
        struct ma_victim_note *note = &d->victims[i - 1];
        if (note->realtime_usec >= day_ago && strcmp(note->uuid, uuid) == 0) {
            return note;
        }
    }
    return NULL;
}

static void name_default_pages(struct ma_daemon *d, struct ma_demand *demand) {
    uint64_t standard = 0;
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        if (demand->parts[i].page_bytes == MA_DEMAND_PAGE_DEFAULT) {
            standard = standard != 0 ? standard : ma_hugepages_default_bytes(d->options.proc_root);
            demand->parts[i].page_bytes = standard != 0 ? standard : MA_DEMAND_PAGE_DEFAULT;
        }
    }
}

static bool has_huge_part(const struct ma_demand *demand) {
    for (uint32_t i = 0; i < demand->n_parts; i++) {
        if (demand->parts[i].page_bytes != 0) {
            return true;
        }
    }
    return false;
}

static void judge(struct ma_daemon *d, struct ma_demand *demand, struct ma_admit_verdict *ret) {
    struct ma_admit_pool pools[MA_ADMIT_POOLS_MAX];
    const struct ma_victim_note *note = victim_note_of(d, demand->uuid);
    struct ma_admit_input input = {.snapshot = &d->snapshot,
                                   .state = &d->state,
                                   .reservations = &d->reservations,
                                   .mode = d->config->admission.mode,
                                   .is_commit_enforced =
                                       ma_host_is_commit_enforced(d->options.proc_root),
                                   .was_victim = note != NULL && !note->is_readmitted,
                                   .readmit_after_usec = d->config->admission.readmit_after_usec};
    name_default_pages(d, demand);
    if (input.was_victim) {
        input.victim_age_usec = ma_sub_floor0(ma_realtime_usec(), note->realtime_usec);
    }
    if (has_huge_part(demand) &&
        ma_hugepages_read(d->options.sys_root, pools, MA_ADMIT_POOLS_MAX, &input.n_pools) == 0) {
        input.pools = pools;
    }
    ma_admit(&input, demand, ret);
}

static void write_message(const struct ma_admission_request *request,
                          bool is_only_told,
                          struct ma_admission_answer *answer) {
    const struct ma_admit_verdict *verdict = &answer->verdict;
    char why[MA_ADMISSION_MESSAGE_MAX - 256];
    const char *what = "is let in";
    (void) ma_admission_text(why, sizeof(why), verdict);
    if (!verdict->is_admitted) {
        what = request->is_dry_run ? "would be refused"
               : is_only_told      ? "would be refused, and is let in at Arm=observe or DryRun=yes"
                                   : "is refused";
    } else if (request->is_dry_run) {
        what = "would be let in";
    }
    (void) snprintf(answer->message, sizeof(answer->message), "Guest '%.64s' %s%s%s.",
                    request->demand.name, what, why[0] != '\0' ? ": " : "", why);
}

static void tell(struct ma_daemon *d,
                 const struct ma_demand *demand,
                 const struct ma_admission_answer *answer) {
    bool is_good = answer->verdict.is_admitted;
    struct ma_report report = {.message_id =
                                   is_good ? MA_MESSAGE_ADMITTED : MA_MESSAGE_REFUSED_START,
                               .kind = is_good ? "admitted" : "refused-start",
                               .level = is_good ? MA_LOG_INFO : MA_LOG_WARNING,
                               .uuid = demand->uuid,
                               .name = demand->name,
                               .result = answer->is_refused ? "refused" : "admitted"};
    ma_report(d, &report, "%.480s", answer->message);
}

void ma_admission_decide(struct ma_daemon *d,
                         const struct ma_admission_request *request,
                         struct ma_admission_answer *ret) {
    struct ma_demand demand = request->demand;
    bool is_only_told =
        request->is_dry_run || ma_daemon_is_dry_run(d) || ma_daemon_arm(d) == MA_ARM_OBSERVE;
    memset(ret, 0, sizeof(*ret));
    judge(d, &demand, &ret->verdict);
    ret->is_refused = !ret->verdict.is_admitted && !is_only_told;
    write_message(request, is_only_told, ret);
    if (request->is_dry_run) {
        return;
    }
    tell(d, &demand, ret);
    d->counters.starts[ret->is_refused            ? MA_START_REFUSED
                       : ret->verdict.is_admitted ? MA_START_ADMITTED
                                                  : MA_START_ONLY_TOLD]++;
    if (!ret->is_refused) {
        struct ma_reservation *r = &ret->verdict.reservation;
        r->made_usec = ma_now_usec();
        r->hold_usec = d->config->admission.reserve_usec;
        r->expires_usec = ma_add_sat(r->made_usec, r->hold_usec);
        ma_reservations_put(&d->reservations, r);
        d->is_state_dirty = true;
    }
}

/* Room for what it counts for more; its own uuid left out, as for a start. */
static uint64_t room_for(struct ma_daemon *d, const struct ma_guest *guest) {
    struct ma_demand demand = {.n_parts = 0};
    struct ma_admit_verdict verdict;
    struct ma_admit_input input = {.snapshot = &d->snapshot,
                                   .state = &d->state,
                                   .reservations = &d->reservations,
                                   .mode = MA_ADMIT_HEURISTIC};
    (void) snprintf(demand.uuid, sizeof(demand.uuid), "%s", guest->uuid);
    /* asks for more than any host has, and is told what there is */
    struct ma_demand_part all = {.bytes = MA_BYTES_MAX};
    ma_demand_add(&demand, &all);
    ma_admit(&input, &demand, &verdict);
    for (size_t i = 0; i < verdict.n_findings; i++) {
        if (verdict.findings[i].reason == MA_ADMIT_NO_ROOM) {
            return verdict.findings[i].there_bytes;
        }
    }
    return UINT64_MAX; /* not to be judged: the host's figures are stale */
}

static void tell_late_demand(struct ma_daemon *d, const struct ma_guest *guest, uint64_t more) {
    uint64_t room = room_for(d, guest);
    char asked[MA_FORMAT_MAX], there[MA_FORMAT_MAX];
    if (more <= room) {
        return;
    }
    d->counters.late_demands++;
    struct ma_report report = {.message_id = MA_MESSAGE_LATE_DEMAND,
                               .kind = "late-demand",
                               .level = MA_LOG_WARNING,
                               .uuid = guest->uuid,
                               .name = guest->name};
    ma_report(d, &report,
              "Guest '%.64s' runs and was given %s more than it can be made to return (a hotplug, "
              "or another guarantee); the host has %s for it.",
              guest->name, ma_format_bytes(asked, more), ma_format_bytes(there, room));
}

static void look_at_guests(struct ma_daemon *d) {
    size_t next = 0;
    for (size_t i = 0; i < d->snapshot.n_guests; i++) {
        const struct ma_guest *guest = &d->snapshot.guests[i];
        struct ma_tracked *tracked = ma_guests_find_next(&d->guests, guest->uuid, &next);
        if (tracked == NULL || (guest->has & MA_GUEST_HAS_MAX) == 0) {
            continue;
        }
        uint64_t now = ma_commitment_bytes(&d->settings, guest);
        uint64_t more = ma_sub_floor0(now, tracked->committed_bytes);
        if (tracked->committed_bytes != 0 && more >= LATE_DEMAND_MIN_BYTES) {
            tell_late_demand(d, guest, more);
        }
        tracked->committed_bytes = now;
    }
}

/* In strict mode the sum must hold, also where somebody started past the hook. */
static void look_at_sum(struct ma_daemon *d) {
    struct ma_commitments sum;
    char promised[MA_FORMAT_MAX], capacity[MA_FORMAT_MAX];
    ma_commitments_of(&d->snapshot, &d->reservations, NULL, &sum);
    uint64_t all = ma_add_sat(sum.guests_bytes, sum.reserved_bytes);
    bool is_over = d->config->admission.mode == MA_ADMIT_STRICT && all > sum.capacity_bytes;
    if (is_over && !d->is_overcommitted) {
        struct ma_report report = {
            .message_id = MA_MESSAGE_LATE_DEMAND, .kind = "overcommitted", .level = MA_LOG_WARNING};
        ma_report(d, &report,
                  "Guarantees and pins of the guests that run add up to %s, the host has %s for "
                  "them: Mode=strict does not hold.",
                  ma_format_bytes(promised, all), ma_format_bytes(capacity, sum.capacity_bytes));
    }
    d->is_overcommitted = is_over;
}

void ma_admission_step(struct ma_daemon *d) {
    if (ma_reservations_settle(&d->reservations, &d->snapshot)) {
        d->is_state_dirty = true;
    }
    look_at_guests(d);
    look_at_sum(d);
}

void ma_admission_forget(struct ma_daemon *d, const char *uuid) {
    if (ma_reservations_drop(&d->reservations, uuid)) {
        d->is_state_dirty = true;
    }
}

int ma_admission_readmit(struct ma_daemon *d, const char *uuid, struct ma_err *err) {
    struct ma_victim_note *note = victim_note_of(d, uuid);
    if (note == NULL) {
        return ma_err_set(err, -ENOENT, "memarb ended no guest of this uuid within the last day");
    }
    note->is_readmitted = true;
    d->is_state_dirty = true;
    struct ma_report report = {.message_id = MA_MESSAGE_ARM,
                               .kind = "readmit",
                               .level = MA_LOG_NOTICE,
                               .uuid = note->uuid,
                               .name = ""};
    ma_report(d, &report, "Guest %.64s may start again, says its operator.", note->uuid);
    return 0;
}
