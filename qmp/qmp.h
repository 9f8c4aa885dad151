/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp.h - an asynchronous client of QEMU's monitor protocol (QMP), on the caller's loop and the caller's clock.
 *
 *   static const struct qmp_ops ops = {.on_poll = poll_changed, .on_state = state_changed, .on_event = event_seen};
 *   struct qmp_client *c = qmp_client_create(NULL, &ops, self);
 *   qmp_client_connect(c, "/run/guest.qmp", now);        or   qmp_client_adopt(c, accepted_fd, now);
 *   loop:  wait for qmp_client_events(c) on qmp_client_fd(c), no longer than until qmp_client_deadline(c);
 *          qmp_client_dispatch(c, revents, now);         revents 0: only time has passed
 *   once on_state said QMP_STATE_READY:
 *          struct qmp_call call = {.done = got_balloon, .userdata = self, .now_usec = now};
 *          qmp_query_balloon(c, &call);
 *
 * No thread, no loop, no clock of its own: `now_usec` is always an argument, CLOCK_MONOTONIC, never falling.
 * One thread at a time may use a client. Different clients share nothing.
 *
 * Callbacks run inside qmp_client_dispatch(), _close() and _destroy(), on_poll also inside the functions that send;
 * never does a `done` run before the call that it belongs to has returned. A callback may issue calls, close or destroy
 * its client (after a destroy the client is not touched again). Each accepted call is completed exactly once.
 *
 * Nothing that a peer says is trusted: lines, depth, queues and the work of one dispatch are bounded; a peer that
 * breaks the protocol is closed with a reason that says what it did. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qmp-result.h"
#include "qmp-types.h"

struct qmp_client;

enum qmp_state {
    QMP_STATE_IDLE,        /* created, never connected */
    QMP_STATE_WAITING,     /* path way only: back-off before the next try */
    QMP_STATE_CONNECTING,  /* connect() under way */
    QMP_STATE_GREETING,    /* connected; a monitor that serves another client stays silent here */
    QMP_STATE_NEGOTIATING, /* qmp_capabilities sent */
    QMP_STATE_READY,       /* calls are accepted */
    QMP_STATE_CLOSED,      /* over; connect or adopt starts anew */
    QMP_STATE_COUNT
};
/* "idle" ...; "?" outside the range. */
const char *qmp_state_name(enum qmp_state state);

/* 0 in a field: its default. */
struct qmp_options {
    uint64_t connect_timeout_usec;   /* default 2 s */
    uint64_t greeting_timeout_usec;  /* default 3 s */
    uint64_t negotiate_timeout_usec; /* default 3 s */
    uint64_t command_timeout_usec;   /* default 5 s; for calls without a deadline of their own */
    uint64_t backoff_min_usec;       /* default 250 ms; doubles with each failure ... */
    uint64_t backoff_max_usec;       /* ... up to this, default 30 s */
    uint32_t line_max_bytes;         /* longest input line, default 256 KiB, at least 4 KiB */
    bool is_single_try; /* path way: do not reconnect, CLOSED after the first failure or end */
};

/* Each may be NULL. userdata is the one given to qmp_client_create(). */
struct qmp_ops {
    /* What to poll has changed. fd -1: forget the former fd now, it is closed as soon as this returns. */
    void (*on_poll)(void *userdata, int fd, short events);
    /* reason: one line for a person, "" when there is nothing to say; valid during the call. When a connection is
     * lost (to WAITING or CLOSED) this comes first, then the `done` of what was in flight. */
    void (*on_state)(void *userdata, enum qmp_state state, const char *reason);
    /* Borrowed for the call. Events arrive in every order relative to replies. */
    void (*on_event)(void *userdata, const struct qmp_event *event);
};

/* options may be NULL (copied); ops is borrowed for the client's life. NULL: no memory. */
struct qmp_client *
qmp_client_create(const struct qmp_options *options, const struct qmp_ops *ops, void *userdata);
/* Accepts NULL. Completes what is in flight with QMP_CLOSED. */
void qmp_client_destroy(struct qmp_client *client);

/* Connects to a unix stream socket and reconnects with back-off until closed. A first failure is not an error here:
 * it shows as state WAITING. -EBUSY: not IDLE or CLOSED; -ENAMETOOLONG; -EINVAL: empty; -ENOMEM. */
int qmp_client_connect(struct qmp_client *client, const char *path, uint64_t now_usec)
    __attribute__((warn_unused_result));
/* Takes over a connected stream socket (on success only) on which QEMU will send its greeting. It need not be
 * non-blocking. There is no reconnect: its end is CLOSED. -EBUSY as above; -EBADF. */
int qmp_client_adopt(struct qmp_client *client, int fd, uint64_t now_usec)
    __attribute__((warn_unused_result));
/* Ends the connection and any reconnecting; state CLOSED. No effect on an IDLE or CLOSED client. */
void qmp_client_close(struct qmp_client *client, const char *reason);

/* -1: nothing to poll now. */
int qmp_client_fd(const struct qmp_client *client);
/* POLLIN, POLLOUT as poll(2) and epoll(7) number them. */
short qmp_client_events(const struct qmp_client *client);
/* When to dispatch at the latest, 0 = at once, UINT64_MAX = never. */
uint64_t qmp_client_deadline(const struct qmp_client *client);
/* Reads at most 64 KiB; level-triggered polling brings the rest. */
void qmp_client_dispatch(struct qmp_client *client, short revents, uint64_t now_usec);

enum qmp_state qmp_client_state(const struct qmp_client *client);
/* Why the last connection ended or failed; "" if none did. Valid until the next call on the client. */
const char *qmp_client_reason(const struct qmp_client *client);
/* QEMU's version from the greeting; zeros before the first one. */
const struct qmp_version *qmp_client_version(const struct qmp_client *client);
/* Calls accepted and not completed. */
unsigned qmp_client_in_flight(const struct qmp_client *client);
/* Commands on the wire whose deadline has passed and which the peer has not answered since: > 0 means it hangs. */
unsigned qmp_client_unanswered(const struct qmp_client *client);

struct qmp_counters {
    uint64_t connections; /* that got as far as READY */
    uint64_t commands, replies, errors, timeouts, late_replies, events;
};
const struct qmp_counters *qmp_client_counters(const struct qmp_client *client);

#include "qmp-commands.h"
