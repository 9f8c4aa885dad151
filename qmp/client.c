/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client.c - a client's life, and one round of its work.
 *
 * Model: connect.c moves the client through its states, inflight.c knows what was asked and not answered, wire.c has the
 * bytes. This file reads, hands each line to whom it concerns, and lets time pass.
 *
 *   Q1  each accepted call is completed exactly once, and never before the call has returned
 *   Q2  a command is formatted into the client's own buffer: sending allocates nothing
 *   Q3  an answer is matched by id alone; an id that is in no slot was never asked for (or is answered twice), and ends
 *       the connection. What timed out keeps its slot until its late answer comes, so Q3 needs no guessing, and a peer
 *       that hangs can be owed no more than QMP_INFLIGHT_MAX commands
 *   Q4  a callback may close or destroy the client: memory goes when the outermost public function returns
 *   Q5  one dispatch reads at most DISPATCH_MAX_BYTES; what a peer can make us hold is line_max_bytes plus its JSON tree
 *
 * Rejected: a buffer of one line per client kept for ever (memory at rest is what limits the number of guests); ids that
 * carry the slot's number (a guessed id would then hit a slot); writing commands with a JSON library (it allocates). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "client-internal.h"

/* One read. On the stack, so well below the frame limit; answers to typed calls are 60 to 700 bytes. Measured. */
#define READ_BYTES 4096U
/* Too small: a burst of events takes many rounds; too large: a flooding peer delays the others (64 KiB are
 * 980 STOPs and took 3 to 4 ms on a busy core). Measured. */
#define DISPATCH_MAX_BYTES 65536U

#define DEFAULT_CONNECT_USEC   (2 * MA_USEC_PER_SEC)
#define DEFAULT_GREETING_USEC  (3 * MA_USEC_PER_SEC)
#define DEFAULT_NEGOTIATE_USEC (3 * MA_USEC_PER_SEC)
/* A healthy QEMU answers within 1 ms, one that flushes a disk within a second or two. Too small: a slow one counts as
 * hung; too large: a hung one is noticed late. Guess. */
#define DEFAULT_COMMAND_USEC     (5 * MA_USEC_PER_SEC)
#define DEFAULT_BACKOFF_MIN_USEC (250 * MA_USEC_PER_MSEC)
#define DEFAULT_BACKOFF_MAX_USEC (30 * MA_USEC_PER_SEC)
/* query-qmp-schema of QEMU 7.2 is the longest honest line. */
#define DEFAULT_LINE_MAX_BYTES (256U * 1024U)
#define LOWEST_LINE_MAX_BYTES  4096U

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value > 0 ? value : otherwise;
}

static struct qmp_options complete_options(const struct qmp_options *given) {
    struct qmp_options o = given != NULL ? *given : (struct qmp_options){0};
    o.connect_timeout_usec = or_default(o.connect_timeout_usec, DEFAULT_CONNECT_USEC);
    o.greeting_timeout_usec = or_default(o.greeting_timeout_usec, DEFAULT_GREETING_USEC);
    o.negotiate_timeout_usec = or_default(o.negotiate_timeout_usec, DEFAULT_NEGOTIATE_USEC);
    o.command_timeout_usec = or_default(o.command_timeout_usec, DEFAULT_COMMAND_USEC);
    o.backoff_min_usec = or_default(o.backoff_min_usec, DEFAULT_BACKOFF_MIN_USEC);
    o.backoff_max_usec =
        ma_max_u64(o.backoff_min_usec, or_default(o.backoff_max_usec, DEFAULT_BACKOFF_MAX_USEC));
    o.line_max_bytes = o.line_max_bytes == 0                      ? DEFAULT_LINE_MAX_BYTES
                       : o.line_max_bytes < LOWEST_LINE_MAX_BYTES ? LOWEST_LINE_MAX_BYTES
                                                                  : o.line_max_bytes;
    return o;
}

struct qmp_client *
qmp_client_create(const struct qmp_options *options, const struct qmp_ops *ops, void *userdata) {
    struct qmp_client *c = calloc(1, sizeof(*c));
    if (c != NULL) {
        c->ops = ops;
        c->userdata = userdata;
        c->options = complete_options(options);
        c->fd = -1;
        c->state_deadline_usec = UINT64_MAX;
        c->next_id = 1;
        qmp_lines_init(&c->lines, c->options.line_max_bytes);
    }
    return c;
}

void qmp_client_enter(struct qmp_client *c, uint64_t now_usec) {
    c->depth++;
    c->now_usec = ma_max_u64(c->now_usec, now_usec);
}

void qmp_client_leave(struct qmp_client *c) {
    if (--c->depth > 0) {
        return;
    }
    if (c->fd < 0) {
        qmp_lines_fini(&c->lines);
    }
    if (c->is_doomed) {
        free(c->path);
        free(c);
    }
}

void qmp_client_destroy(struct qmp_client *client) {
    if (client == NULL || client->is_doomed) {
        return;
    }
    qmp_client_enter(client, 0);
    client->is_doomed = true; /* first: a callback of this end cannot connect it anew */
    qmp_client_close(client, "the client is done");
    /* Inside on_state(CLOSED) these are still to come, and nobody must hear them after this. */
    qmp_inflight_fail_all(client, client->out.sent_total, client->reason);
    qmp_client_leave(client);
}

void qmp_client_update_poll(struct qmp_client *c) {
    short wanted = qmp_client_events(c);
    if (wanted != c->polled) {
        c->polled = wanted;
        if (c->ops->on_poll != NULL) {
            c->ops->on_poll(c->userdata, c->fd, wanted);
        }
    }
}

bool qmp_client_is_same(const struct qmp_client *c, unsigned epoch) {
    return c->epoch == epoch && c->fd >= 0;
}

/* The greeting, or what should have been one. */
static void handle_greeting(struct qmp_client *c, const json_t *root) {
    struct ma_err err;
    const json_t *greeting = json_object_get(root, "QMP");
    if (greeting == NULL) {
        qmp_client_lose(c, "the peer did not greet as a QMP monitor does");
        return;
    }
    if (c->state != QMP_STATE_GREETING) {
        qmp_client_lose(c, "a second greeting");
        return;
    }
    if (qmp_decode_greeting(greeting, &c->version, &err) < 0) {
        qmp_client_lose(c, "bad greeting: %s", err.message);
        return;
    }
    struct qmp_slot *slot = qmp_inflight_take(c);
    slot->command = QMP_COMMAND_CAPABILITIES;
    slot->deadline_usec = UINT64_MAX; /* the state has one */
    (void) qmp_command_send(c, slot,
                            "\"qmp_capabilities\""); /* the queue is empty: there is room */
    c->state_deadline_usec = ma_add_sat(c->now_usec, c->options.negotiate_timeout_usec);
    qmp_client_set_state(c, QMP_STATE_NEGOTIATING, "");
}

static void
handle_event(struct qmp_client *c, const json_t *root, const char *line, size_t length) {
    struct qmp_event event;
    if (qmp_decode_event(root, line, length, &event) < 0) {
        qmp_client_lose(c, "an event without a name");
        return;
    }
    c->counters.events++;
    if (c->ops->on_event != NULL) {
        c->ops->on_event(c->userdata, &event);
    }
}

static void
handle_object(struct qmp_client *c, const json_t *root, const char *line, size_t length) {
    if (c->state == QMP_STATE_GREETING || json_object_get(root, "QMP") != NULL) {
        handle_greeting(c, root);
    } else if (json_object_get(root, "event") != NULL) {
        handle_event(c, root, line, length);
    } else if (json_object_get(root, "return") != NULL || json_object_get(root, "error") != NULL) {
        qmp_inflight_reply(c, root, line, length);
    } else {
        qmp_client_lose(c, "neither reply nor event: \"%.80s\"", line);
    }
}

static bool handle_line(void *userdata, char *line, size_t length) {
    struct qmp_client *c = userdata;
    struct ma_err err;
    unsigned epoch = c->epoch;
    if (length == 0) {
        return true; /* an empty line says nothing, and JSON allows it between objects */
    }
    json_t *root = qmp_json_parse(line, length, &err);
    if (root == NULL) {
        qmp_client_lose(c, "%s", err.message);
        return false;
    }
    handle_object(c, root, line, length);
    json_decref(root);
    return qmp_client_is_same(c, epoch);
}

/* false: nothing more to read now, or the connection is gone. */
static bool read_once(struct qmp_client *c, size_t *done) {
    char data[READ_BYTES];
    ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        qmp_client_lose(c, "%s", n == 0 ? "the peer closed the connection" : strerror(errno));
        return false;
    }
    *done += (size_t) n;
    int r = qmp_lines_feed(&c->lines, data, (size_t) n, handle_line, c);
    if (r == -EMSGSIZE) {
        qmp_client_lose(c, "a line of more than %u bytes", c->options.line_max_bytes);
    } else if (r == -ENOMEM) {
        qmp_client_lose(c, "no memory for a line of input");
    }
    return r == 0 && (size_t) n == sizeof(data) && *done < DISPATCH_MAX_BYTES;
}

static void do_input(struct qmp_client *c, short revents) {
    size_t done = 0;
    if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0 || c->state == QMP_STATE_CONNECTING) {
        return;
    }
    while (c->fd >= 0 && read_once(c, &done)) {
    }
}

static void do_output(struct qmp_client *c, short revents) {
    if (c->state == QMP_STATE_CONNECTING) {
        if (revents != 0) {
            qmp_client_finish_connect(c);
        }
    } else if (c->fd >= 0 && c->out.used > 0 && c->send_error == 0) {
        c->send_error = qmp_out_flush(&c->out, c->fd);
    }
}

static void state_timed_out(struct qmp_client *c) {
    switch (c->state) {
    case QMP_STATE_WAITING:
        qmp_client_try_connect(c);
        break;
    case QMP_STATE_CONNECTING:
        qmp_client_lose(c, "connecting took too long");
        break;
    case QMP_STATE_GREETING:
        qmp_client_lose(c, "no greeting: another client holds this monitor, or QEMU hangs");
        break;
    case QMP_STATE_NEGOTIATING:
        qmp_client_lose(c, "no answer to qmp_capabilities");
        break;
    case QMP_STATE_IDLE:
    case QMP_STATE_READY:
    case QMP_STATE_CLOSED:
    case QMP_STATE_COUNT:
    default:
        c->state_deadline_usec = UINT64_MAX;
        break;
    }
}

void qmp_client_dispatch(struct qmp_client *client, short revents, uint64_t now_usec) {
    if (client->depth > 0) {
        return; /* from inside a callback: what is under way goes on after it */
    }
    qmp_client_enter(client, now_usec);
    do_output(client, revents);
    unsigned epoch = client->epoch;
    do_input(client, revents);
    /* Input first: the answer to a `quit` may be there although sending fails. */
    if (client->send_error != 0 && qmp_client_is_same(client, epoch)) {
        qmp_client_lose(client, "cannot send: %s", strerror(-client->send_error));
    }
    qmp_inflight_expire(client);
    if (client->now_usec >= client->state_deadline_usec) {
        state_timed_out(client);
    }
    qmp_client_update_poll(client);
    qmp_client_leave(client);
}
