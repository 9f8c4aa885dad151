/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limit-tell.c - limits in the journal, in the event stream and in the record. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "guest-limits.h"
#include "report.h"

static bool is_bytes(enum ma_limit limit) {
    return limit == MA_LIMIT_MEMLOCK || limit == MA_LIMIT_MEMORY_MAX ||
           limit == MA_LIMIT_MEMORY_HIGH || limit == MA_LIMIT_SWAP_MAX;
}

char *ma_limit_format(char buf[MA_FORMAT_MAX], enum ma_limit limit, uint64_t value) {
    if (value == MA_LIMIT_NONE) {
        (void) snprintf(buf, MA_FORMAT_MAX, "unlimited");
    } else if (is_bytes(limit)) {
        (void) ma_format_bytes(buf, value);
    } else if (limit == MA_LIMIT_CPU_MAX) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%llu%%",
                        (unsigned long long) (value / (MA_USEC_PER_SEC / 100)));
    } else if (limit == MA_LIMIT_OOM_ADJ) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%d", (int) value - MA_OOM_ADJ_BIAS);
    } else {
        (void) snprintf(buf, MA_FORMAT_MAX, "%llu", (unsigned long long) value);
    }
    return buf;
}

static enum ma_action action_of(enum ma_limit limit) {
    return limit == MA_LIMIT_MEMLOCK   ? MA_ACTION_MEMLOCK
           : limit == MA_LIMIT_OOM_ADJ ? MA_ACTION_OOM_ADJ
                                       : MA_ACTION_CAP;
}

static void
record(struct ma_daemon *d, const char *uuid, enum ma_limit limit, enum ma_outcome_result result) {
    struct ma_outcome outcome = {.action = action_of(limit), .result = result};
    (void) snprintf(outcome.uuid, sizeof(outcome.uuid), "%s", uuid);
    ma_keep_record_outcome(d, &outcome);
}

static struct ma_report report_on(const struct ma_tracked *guest, enum ma_limit limit) {
    return (struct ma_report){.message_id = MA_MESSAGE_LIMIT,
                              .kind = "limit",
                              .level = MA_LOG_NOTICE,
                              .uuid = guest->uuid,
                              .name = guest->name,
                              .has_action = true,
                              .action = action_of(limit)};
}

static void set_from_to(struct ma_report *r, enum ma_limit limit, uint64_t from, uint64_t to) {
    /* "unlimited" has no number in the contract's sense. */
    r->has_from_to = is_bytes(limit) && from <= MA_BYTES_MAX && to <= MA_BYTES_MAX;
    r->from_bytes = from;
    r->to_bytes = to;
}

void ma_limit_tell_set(struct ma_daemon *d,
                       const struct ma_tracked *guest,
                       enum ma_limit limit,
                       uint64_t from,
                       uint64_t to) {
    char before[MA_FORMAT_MAX];
    char after[MA_FORMAT_MAX];
    const struct ma_tracked_limit *item = &guest->limits.items[limit];
    const char *note = item->is_restoring ? "" : ma_limit_note_name(item->want.note);
    struct ma_report report = report_on(guest, limit);
    report.result = item->is_restoring ? "given-back" : "done";
    /* Every guest has it: a thousand lines that no operator asked for. */
    report.level = limit == MA_LIMIT_OOM_GROUP ? MA_LOG_DEBUG : MA_LOG_NOTICE;
    set_from_to(&report, limit, from, to);
    ma_report(d, &report, "Guest '%.64s': %s from %s to %s%s%s%s.", guest->name,
              ma_limit_name(limit), ma_limit_format(before, limit, from),
              ma_limit_format(after, limit, to), item->is_restoring ? ", given back" : "",
              note[0] != '\0' ? ", " : "", note);
    record(d, guest->uuid, limit, MA_OUTCOME_DONE);
}

void ma_limit_tell_refused(struct ma_daemon *d,
                           struct ma_tracked *guest,
                           enum ma_limit limit,
                           const char *why) {
    struct ma_tracked_limit *item = &guest->limits.items[limit];
    char value[MA_FORMAT_MAX];
    bool is_gone = ma_process_is_gone(&guest->process);
    record(d, guest->uuid, limit, is_gone ? MA_OUTCOME_GONE : MA_OUTCOME_REFUSED);
    if (is_gone) {
        return; /* that is no refusal; its end is told by others */
    }
    if (item->told_note == MA_LIMIT_NOTE_FAILED) {
        return; /* told; it is tried again */
    }
    item->told_note = MA_LIMIT_NOTE_FAILED;
    struct ma_report report = report_on(guest, limit);
    report.message_id = MA_MESSAGE_LIMIT_HELD;
    report.level = MA_LOG_WARNING;
    report.result = "refused";
    ma_report(d, &report, "Guest '%.64s': %s cannot be set to %s: %.200s.", guest->name,
              ma_limit_name(limit), ma_limit_format(value, limit, item->asked), why);
}

/* Nothing that memarb did: its limit is gone, and by whom. */
static void record_changed(struct ma_daemon *d, const char *uuid, enum ma_limit limit) {
    struct ma_outcome outcome = {.action = action_of(limit), .result = MA_OUTCOME_DROPPED};
    (void) snprintf(outcome.uuid, sizeof(outcome.uuid), "%s", uuid);
    ma_keep_record_by(d, &outcome, "others", ma_limit_name(limit));
}

void ma_limit_tell_changed(struct ma_daemon *d,
                           struct ma_tracked *guest,
                           enum ma_limit limit,
                           uint64_t ours) {
    char before[MA_FORMAT_MAX];
    char after[MA_FORMAT_MAX];
    uint64_t now_value = guest->limits.items[limit].now_value;
    struct ma_report report = report_on(guest, limit);
    report.message_id = MA_MESSAGE_LIMIT_CHANGED;
    report.level = MA_LOG_WARNING;
    report.result = "changed-by-others";
    set_from_to(&report, limit, ours, now_value);
    record_changed(d, guest->uuid, limit);
    ma_report(d, &report,
              "Guest '%.64s': %s was changed from memarb's %s to %s by somebody else%s.",
              guest->name, ma_limit_name(limit), ma_limit_format(before, limit, ours),
              ma_limit_format(after, limit, now_value),
              limit == MA_LIMIT_MEMLOCK ? "; libvirt does so before it plugs a device in" : "");
}

static const char *sentence_of(enum ma_limit_note note, enum ma_cgroup_lack lack) {
    switch (note) {
    case MA_LIMIT_NOTE_AS_HIGH:
        return "memory.high stands in for it, since its breach would kill the guest";
    case MA_LIMIT_NOTE_OVER_CAP:
        return "the guest uses more; memory.high squeezes it first";
    case MA_LIMIT_NOTE_PINNED:
        return "the guest pins more, and nothing of that can come back";
    case MA_LIMIT_NOTE_WOULD_KILL:
        return "its breach would end a guest that must not end";
    case MA_LIMIT_NOTE_UNBOUNDED:
        return "no limit is safe: its memory is locked, and libvirt sets none";
    case MA_LIMIT_NOTE_NO_OWNER:
        return ma_cgroup_lack_text(lack);
    case MA_LIMIT_NOTE_LEFT:
        return "somebody else changed it, and it is left to them";
    case MA_LIMIT_NOTE_NONE:
    case MA_LIMIT_NOTE_NOT_ARMED:
    case MA_LIMIT_NOTE_RAISED:
    case MA_LIMIT_NOTE_TIGHTER:
    case MA_LIMIT_NOTE_FAILED:
    case MA_LIMIT_NOTE_COUNT:
        break;
    }
    return NULL;
}

void ma_limit_tell_note(struct ma_daemon *d, struct ma_tracked *guest, enum ma_limit limit) {
    struct ma_tracked_limit *item = &guest->limits.items[limit];
    const char *sentence = sentence_of(item->note, guest->limits.lack);
    if (item->note == item->told_note || item->note == MA_LIMIT_NOTE_FAILED) {
        return;
    }
    item->told_note = item->note;
    if (sentence == NULL || ma_daemon_is_dry_run(d)) {
        return;
    }
    char value[MA_FORMAT_MAX];
    struct ma_report report = report_on(guest, limit);
    report.message_id = MA_MESSAGE_LIMIT_HELD;
    report.level = MA_LOG_WARNING;
    report.result = ma_limit_note_name(item->note);
    ma_report(d, &report, "Guest '%.64s': %s is not set to %s: %s.", guest->name,
              ma_limit_name(limit), ma_limit_format(value, limit, item->want.value), sentence);
}

void ma_limit_tell_unkillable(struct ma_daemon *d) {
    uint64_t held = 0;
    for (size_t i = 0; i < d->guests.n; i++) {
        const struct ma_tracked *guest = d->guests.items[i];
        if (guest->limits.has_adj && guest->limits.oom_score_adj <= MA_OOM_ADJ_NEVER) {
            held = ma_add_sat(held, ma_add_sat(guest->resident_bytes, guest->hugepage_bytes));
        }
    }
    bool is_over = held > d->snapshot.host.total_bytes / 2;
    d->pins.totals.unkillable_bytes = held;
    if (is_over == d->pins.is_unkillable_told) {
        return;
    }
    char amount[MA_FORMAT_MAX];
    d->pins.is_unkillable_told = is_over;
    struct ma_report report = {.message_id = MA_MESSAGE_UNKILLABLE,
                               .kind = "unkillable",
                               .level = is_over ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .result = is_over ? "over" : "within"};
    ma_report(
        d, &report,
        "Guests that the kernel may hardly kill (oom_score_adj %d and below) hold %s, %s than half "
        "of the host.",
        MA_OOM_ADJ_NEVER, ma_format_bytes(amount, held), is_over ? "more" : "less");
}
