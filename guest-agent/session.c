/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session.c - what the agent does next.
 *
 *                    sample                          report
 *     no host        -                               -
 *     at rest        each 1.25 s                     on change, and each slowest_usec
 *     alarm stands   each fastest_usec               each fastest_usec
 *
 * Invariants:
 *   S1  two reports are at least fastest_usec apart, whatever happens;
 *   S2  with a host that reads, they are at most slowest_usec apart;
 *   S3  nothing is queued: a report is composed when it can leave, so that the newest replaces what was not sent;
 *   S4  without a host there is no wake-up by time: next_usec is UINT64_MAX;
 *   S5  a squeeze is handed to the hook once, and only while its deadline lies ahead. */
#include "session.h"

#include <errno.h>

/* How often a guest at rest is looked at, for a report on change. Shorter: more than one wake-up a second (a report costs a
 * second one, when the host takes it); longer: the host learns later of memory that became idle. Alarms do not wait for
 * it where there is a trigger. */
#define REST_SAMPLE_USEC UINT64_C(1250000)
/* A gap between two samples that says the guest did not run: suspended, saved, stopped. Rates over it mean nothing. */
#define GAP_USEC (15 * MA_USEC_PER_SEC)
/* What counts as a change: this part of the memory, so many pages brought back or moved, so long a stall. Smaller: reports
 * about noise; larger: a report each slowest_usec only. Guesses. */
#define CHANGED_PART       100U
#define CHANGED_BYTES      (MA_MIB)
#define CHANGED_PAGES      256U
#define CHANGED_STALL_USEC UINT64_C(10000)

void mag_session_init(struct mag_session *s,
                      uint64_t run,
                      const struct mag_alarm *alarm,
                      bool has_hook) {
    *s = (struct mag_session){
        .run = ma_clamp_u64(run, 1, MAG_COUNT_MAX), .alarm = *alarm, .has_hook = has_hook};
}

void mag_session_on_connect(struct mag_session *s) {
    mag_session_on_disconnect(s);
    s->is_connected = true;
    s->is_due = true;
}

void mag_session_on_disconnect(struct mag_session *s) {
    s->is_connected = false;
    s->token = 0;
    s->host_age = (struct mag_age){0};
    s->fastest_usec = MAG_INTERVAL_MIN_MSEC * MA_USEC_PER_MSEC;
    s->slowest_usec = MAG_INTERVAL_MAX_MSEC * MA_USEC_PER_MSEC;
    s->last_squeeze_id = 0;
    s->has_squeeze = s->is_hook_wanted = false;
    s->hook_veto_until_usec = 0;
}

static void on_rate(struct mag_session *s, const struct mag_request *r, uint64_t now_usec) {
    if (r->token != s->token) {
        s->token = r->token;
        s->last_squeeze_id = 0;
        s->host_age = (struct mag_age){0};
    }
    (void) mag_age_usec(&s->host_age, r->now_usec, now_usec);
    s->fastest_usec = r->fastest_msec * MA_USEC_PER_MSEC;
    s->slowest_usec = r->slowest_msec * MA_USEC_PER_MSEC;
    s->is_due = true;
}

static int on_squeeze(struct mag_session *s, const struct mag_request *r, uint64_t now_usec) {
    if (r->token != s->token || r->id <= s->last_squeeze_id) {
        return -ESTALE;
    }
    uint64_t age_usec = mag_age_usec(&s->host_age, r->now_usec, now_usec);
    uint64_t left_usec = ma_sub_floor0(r->deadline_msec * MA_USEC_PER_MSEC, age_usec);
    s->last_squeeze_id = r->id;
    s->has_squeeze = true;
    s->squeeze = (struct mag_squeeze){.id = r->id,
                                      .target_bytes = r->target_bytes,
                                      .take_bytes = r->take_bytes,
                                      .deadline_usec = ma_add_sat(now_usec, left_usec)};
    s->is_hook_wanted = s->has_hook && left_usec > 0;
    s->hook = !s->has_hook ? MAG_HOOK_NONE : left_usec > 0 ? MAG_HOOK_RUNNING : MAG_HOOK_KILLED;
    s->is_due = true;
    return left_usec > 0 ? 0 : -ESTALE;
}

int mag_session_on_line(struct mag_session *s, const char *line, size_t length, uint64_t now_usec) {
    struct mag_request request;
    int r = mag_request_parse(line, length, &request);
    if (r < 0) {
        return r;
    }
    switch (request.kind) {
    case MAG_REQUEST_RATE:
        on_rate(s, &request, now_usec);
        return 0;
    case MAG_REQUEST_SQUEEZE:
        return on_squeeze(s, &request, now_usec);
    case MAG_REQUEST_COUNT:
        break;
    }
    return -ENOMSG;
}

void mag_session_on_trigger(struct mag_session *s,
                            enum mag_alarm_kind kind,
                            uint64_t window_usec,
                            uint64_t now_usec) {
    if (!mag_alarm_stands(&s->alarm, kind, now_usec)) {
        s->is_due = true;
    }
    mag_alarm_on_trigger(&s->alarm, kind, window_usec, now_usec);
}

void mag_session_on_trigger_lost(struct mag_session *s, enum mag_alarm_kind kind) {
    s->alarm.has_trigger[kind] = false;
}

void mag_session_on_sample(struct mag_session *s,
                           const struct mag_report *figures,
                           uint64_t now_usec) {
    uint64_t elapsed_usec = ma_sub_floor0(now_usec, s->sampled_usec);
    if (s->has_sample && elapsed_usec >= GAP_USEC) {
        s->is_due = true;
    } else if (s->has_sample && elapsed_usec > 0) {
        mag_alarm_on_sample(&s->alarm, &s->sample, figures, elapsed_usec, now_usec);
    }
    s->sample = *figures;
    s->sampled_usec = now_usec;
    s->has_sample = true;
}

bool mag_session_take_squeeze(struct mag_session *s, struct mag_squeeze *ret) {
    bool is_wanted = s->is_hook_wanted;
    if (is_wanted) {
        *ret = s->squeeze;
        s->is_hook_wanted = false;
    }
    return is_wanted;
}

void mag_session_on_hook(struct mag_session *s,
                         uint64_t id,
                         enum mag_hook outcome,
                         uint64_t now_usec) {
    if (!s->has_squeeze || s->squeeze.id != id) {
        return;
    }
    s->hook = outcome;
    s->is_due = true;
    if (outcome == MAG_HOOK_VETO) {
        /* The squeeze that it asks to be spared begins at its deadline; without a word the host would go on then. */
        s->hook_veto_until_usec =
            ma_max_u64(s->squeeze.deadline_usec, now_usec) + 2 * MAG_ALARM_WINDOW_USEC;
    }
}

static bool is_alarm(const struct mag_session *s, uint64_t now_usec) {
    return mag_alarm_stands(&s->alarm, MAG_ALARM_SOME, now_usec);
}

static bool is_veto(const struct mag_session *s, uint64_t now_usec) {
    return mag_alarm_stands(&s->alarm, MAG_ALARM_FULL, now_usec) ||
           now_usec < s->hook_veto_until_usec;
}

static uint64_t sample_period(const struct mag_session *s, uint64_t now_usec) {
    return is_alarm(s, now_usec) || is_veto(s, now_usec)
               ? s->fastest_usec
               : ma_max_u64(REST_SAMPLE_USEC, s->fastest_usec);
}

bool mag_session_wants_sample(const struct mag_session *s, uint64_t now_usec) {
    return s->is_connected && (!s->has_sample || now_usec < s->sampled_usec ||
                               now_usec - s->sampled_usec >= sample_period(s, now_usec));
}

static bool differs(uint64_t a, uint64_t b, uint64_t by) {
    return (a > b ? a - b : b - a) >= by;
}

/* The figures, since the last report. */
static bool is_changed(const struct mag_report *a, const struct mag_report *b) {
    uint64_t part = ma_max_u64(b->mem_total_bytes / CHANGED_PART, CHANGED_BYTES);
    return a->has != b->has || a->oom_kills_count != b->oom_kills_count ||
           differs(a->mem_total_bytes, b->mem_total_bytes, part) ||
           differs(a->mem_available_bytes, b->mem_available_bytes, part) ||
           differs(a->mem_free_bytes, b->mem_free_bytes, part) ||
           differs(a->swap_total_bytes, b->swap_total_bytes, CHANGED_BYTES) ||
           differs(a->swap_in_bytes, b->swap_in_bytes, CHANGED_BYTES) ||
           differs(a->swap_out_bytes, b->swap_out_bytes, CHANGED_BYTES) ||
           differs(a->refaults_count, b->refaults_count, CHANGED_PAGES) ||
           differs(a->some_total_usec, b->some_total_usec, CHANGED_STALL_USEC);
}

bool mag_session_wants_report(const struct mag_session *s, uint64_t now_usec) {
    if (!s->is_connected || !s->has_sample) {
        return false;
    }
    if (!s->has_sent || now_usec < s->sent_usec) {
        return true;
    }
    uint64_t since_usec = now_usec - s->sent_usec;
    if (since_usec < s->fastest_usec) {
        return false;
    }
    if (s->is_due || since_usec >= s->slowest_usec) {
        return true;
    }
    struct mag_report report;
    mag_session_compose(s, &report, now_usec);
    report.has &= ~MAG_HAS_SQUEEZE;
    struct mag_report sent = s->sent;
    sent.has &= ~MAG_HAS_SQUEEZE;
    return report.is_alarm || report.is_alarm != sent.is_alarm || report.is_veto != sent.is_veto ||
           is_changed(&sent, &report);
}

void mag_session_compose(const struct mag_session *s, struct mag_report *ret, uint64_t now_usec) {
    *ret = s->sample;
    ret->token = s->token;
    ret->run = s->run;
    ret->seq = s->seq + 1;
    ret->now_usec = ma_min_u64(s->sampled_usec, MAG_COUNT_MAX);
    ret->is_alarm = is_alarm(s, now_usec);
    ret->is_veto = is_veto(s, now_usec);
    if (s->has_squeeze) {
        ret->has |= MAG_HAS_SQUEEZE;
        ret->squeeze = s->squeeze.id;
        ret->hook = (uint64_t) s->hook;
    }
}

void mag_session_sent(struct mag_session *s, const struct mag_report *report) {
    s->sent = *report;
    s->sent_usec = report->now_usec;
    s->seq = report->seq;
    s->has_sent = true;
    s->is_due = false;
}

uint64_t mag_session_next_usec(const struct mag_session *s) {
    if (!s->is_connected) {
        return UINT64_MAX;
    }
    if (!s->has_sample || !s->has_sent) {
        return 0;
    }
    uint64_t next = ma_min_u64(s->sampled_usec + sample_period(s, s->sampled_usec),
                               s->sent_usec + s->slowest_usec);
    if (s->is_due) {
        next = ma_min_u64(next, s->sent_usec + s->fastest_usec);
    }
    return next;
}
