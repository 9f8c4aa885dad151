/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* session.h - what the agent does next: when to look, when to report, what the host asked for. Pure: no I/O, no clock; all
 * times are the guest's CLOCK_BOOTTIME in microseconds and are arguments. */

#include <stdbool.h>
#include <stdint.h>

#include "alarm.h"
#include "protocol.h"

/* A coming squeeze, in the guest's own time. */
struct mag_squeeze {
    uint64_t id;
    uint64_t target_bytes, take_bytes;
    uint64_t deadline_usec;
};

struct mag_session {
    /* this run */
    uint64_t run, seq;
    struct mag_alarm alarm;
    bool has_hook; /* the operator gave one */

    /* this connection; zeroed when the host goes */
    bool is_connected;
    uint64_t token;
    struct mag_age host_age;
    uint64_t fastest_usec, slowest_usec;
    uint64_t last_squeeze_id;
    bool has_squeeze;
    struct mag_squeeze squeeze;
    enum mag_hook hook;
    bool is_hook_wanted; /* squeeze is to be handed to the hook: mag_session_take_squeeze() */
    uint64_t hook_veto_until_usec;

    /* looking and reporting */
    bool has_sample, has_sent;
    bool is_due; /* report as soon as the rate allows */
    uint64_t sampled_usec, sent_usec;
    struct mag_report sample, sent;
};

/* run: random, 1..MAG_COUNT_MAX. alarm: stalls, triggers and page size; copied. */
void mag_session_init(struct mag_session *s,
                      uint64_t run,
                      const struct mag_alarm *alarm,
                      bool has_hook);

/* The host's side of the port was opened, or closed. */
void mag_session_on_connect(struct mag_session *s);
void mag_session_on_disconnect(struct mag_session *s);
/* A line of the host. 0, or the reader's error when it was not understood, or -ESTALE when it came too late to matter. */
int mag_session_on_line(struct mag_session *s, const char *line, size_t length, uint64_t now_usec);
void mag_session_on_trigger(struct mag_session *s,
                            enum mag_alarm_kind kind,
                            uint64_t window_usec,
                            uint64_t now_usec);
/* A trigger that fires no more, for example after PSI went away: from now on the figures decide. */
void mag_session_on_trigger_lost(struct mag_session *s, enum mag_alarm_kind kind);
void mag_session_on_sample(struct mag_session *s,
                           const struct mag_report *figures,
                           uint64_t now_usec);

/* The squeeze that the hook is to hear of, once. */
bool mag_session_take_squeeze(struct mag_session *s, struct mag_squeeze *ret);
/* What became of it; of a squeeze that is not the last one announced: nothing changes. */
void mag_session_on_hook(struct mag_session *s,
                         uint64_t id,
                         enum mag_hook outcome,
                         uint64_t now_usec);

/* Connected, and time to look. */
bool mag_session_wants_sample(const struct mag_session *s, uint64_t now_usec);
/* Connected, there is something to say, and the rate allows it. Look first when the sample is not of now. */
bool mag_session_wants_report(const struct mag_session *s, uint64_t now_usec);
void mag_session_compose(const struct mag_session *s, struct mag_report *ret, uint64_t now_usec);
/* The host's side took it. */
void mag_session_sent(struct mag_session *s, const struct mag_report *report);
/* When one of the wants_ may next become true by time alone; UINT64_MAX: never. */
uint64_t mag_session_next_usec(const struct mag_session *s);
