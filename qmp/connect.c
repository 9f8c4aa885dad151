/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* connect.c - states.
 *
 *   IDLE --connect--> CONNECTING -> GREETING -> NEGOTIATING -> READY        adopt enters at GREETING
 *                        |  ^          |             |           |
 *                        v  +--time----+-- lost -----+-----------+--> WAITING (path way) or CLOSED
 *
 * The back-off doubles with each loss and starts afresh only after a connection that was READY for as long as the longest
 * back-off: a peer that greets well and then talks nonsense must not be dialled four times a second. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "client-internal.h"

const char *qmp_state_name(enum qmp_state state) {
    static const char *const names[] = {"idle",        "waiting", "connecting", "greeting",
                                        "negotiating", "ready",   "closed"};
    return (unsigned) state < QMP_STATE_COUNT ? names[state] : "?";
}

void qmp_client_set_state(struct qmp_client *c, enum qmp_state state, const char *reason) {
    c->state = state;
    if (c->ops->on_state != NULL) {
        c->ops->on_state(c->userdata, state, reason);
    }
}

static uint64_t next_backoff(struct qmp_client *c) {
    bool was_stable =
        c->ready_usec > 0 && c->now_usec - c->ready_usec >= c->options.backoff_max_usec;
    if (c->backoff_usec == 0 || was_stable) {
        c->backoff_usec = c->options.backoff_min_usec;
    } else {
        c->backoff_usec = ma_min_u64(ma_mul_sat(c->backoff_usec, 2), c->options.backoff_max_usec);
    }
    return c->backoff_usec;
}

/* Everything that belongs to a connection, except what is in flight. */
static void drop_connection(struct qmp_client *c) {
    int fd = c->fd;
    c->fd = -1;
    c->epoch++;
    c->send_error = 0;
    if (fd >= 0) {
        c->polled = 0;
        if (c->ops->on_poll != NULL) {
            c->ops->on_poll(c->userdata, -1, 0);
        }
        (void) close(fd); /* a socket: there is nothing to lose in it */
    }
}

static void end_connection(struct qmp_client *c, enum qmp_state state, const char *reason) {
    uint64_t sent_total = c->out.sent_total;
    (void) snprintf(c->reason, sizeof(c->reason), "%s", reason); /* cut is fine */
    c->state_deadline_usec =
        state == QMP_STATE_WAITING ? ma_add_sat(c->now_usec, next_backoff(c)) : UINT64_MAX;
    c->ready_usec = 0;
    unsigned epoch = c->epoch + 1;
    drop_connection(c);
    if (c->epoch != epoch) {
        return; /* on_poll has closed or destroyed the client: that end is the one that counts */
    }
    qmp_client_set_state(c, state, c->reason);
    qmp_inflight_fail_all(c, sent_total, c->reason);
}

void qmp_client_lose(struct qmp_client *c, const char *format, ...) {
    char text[QMP_REASON_MAX];
    char reason[QMP_REASON_MAX];
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(text, sizeof(text), format, ap); /* cut is fine */
    va_end(ap);
    qmp_text_copy(reason, sizeof(reason), text);
    bool is_final = c->path == NULL || c->options.is_single_try;
    end_connection(c, is_final ? QMP_STATE_CLOSED : QMP_STATE_WAITING, reason);
}

static void start_greeting(struct qmp_client *c) {
    c->state_deadline_usec = ma_add_sat(c->now_usec, c->options.greeting_timeout_usec);
    qmp_client_set_state(c, QMP_STATE_GREETING, "");
    qmp_client_update_poll(c);
}

/* A fresh connection: nothing of the last one is left. */
static void use_fd(struct qmp_client *c, int fd) {
    /* Nothing, unless on_state led here: then its end_connection() has not come to it yet. */
    qmp_inflight_fail_all(c, c->out.sent_total, c->reason);
    c->fd = fd;
    c->polled = 0;
    qmp_out_reset(&c->out);
    /* Its lines are empty: leave() and lose() saw to it, unless a callback of the last connection led here. */
    c->lines.used = 0;
}

void qmp_client_finish_connect(struct qmp_client *c) {
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
        error = errno;
    }
    if (error != 0) {
        qmp_client_lose(c, "cannot connect to %s: %s", c->path, strerror(error));
        return;
    }
    start_greeting(c);
}

void qmp_client_try_connect(struct qmp_client *c) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, c->path, strlen(c->path) + 1); /* connect() checked its length */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        qmp_client_lose(c, "no socket: %s", strerror(errno));
        return;
    }
    int r = connect(fd, (const struct sockaddr *) &address, sizeof(address));
    /* EAGAIN of a unix socket: its backlog is full. It will not finish by itself: that is a failure. */
    if (r < 0 && errno != EINPROGRESS) {
        int error = errno;
        (void) close(fd);
        qmp_client_lose(c, "cannot connect to %s: %s", c->path, strerror(error));
        return;
    }
    use_fd(c, fd);
    if (r == 0) {
        start_greeting(c);
        return;
    }
    c->state_deadline_usec = ma_add_sat(c->now_usec, c->options.connect_timeout_usec);
    qmp_client_set_state(c, QMP_STATE_CONNECTING, "");
    qmp_client_update_poll(c);
}

static bool is_at_rest(const struct qmp_client *c) {
    return !c->is_doomed && (c->state == QMP_STATE_IDLE || c->state == QMP_STATE_CLOSED);
}

int qmp_client_connect(struct qmp_client *client, const char *path, uint64_t now_usec) {
    if (!is_at_rest(client)) {
        return -EBUSY;
    }
    if (path[0] == '\0') {
        return -EINVAL;
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *) 0)->sun_path)) {
        return -ENAMETOOLONG;
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        return -ENOMEM;
    }
    qmp_client_enter(client, now_usec);
    free(client->path);
    client->path = copy;
    client->backoff_usec = 0;
    qmp_client_try_connect(client);
    qmp_client_leave(client);
    return 0;
}

int qmp_client_adopt(struct qmp_client *client, int fd, uint64_t now_usec) {
    if (!is_at_rest(client)) {
        return -EBUSY;
    }
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
        return -EBADF;
    }
    qmp_client_enter(client, now_usec);
    free(client->path);
    client->path = NULL;
    use_fd(client, fd);
    start_greeting(client);
    qmp_client_leave(client);
    return 0;
}

void qmp_client_become_ready(struct qmp_client *c) {
    c->state_deadline_usec = UINT64_MAX;
    c->ready_usec = c->now_usec;
    c->counters.connections++;
    qmp_client_set_state(c, QMP_STATE_READY, "");
}

void qmp_client_close(struct qmp_client *client, const char *reason) {
    if (client->state == QMP_STATE_IDLE || client->state == QMP_STATE_CLOSED) {
        return;
    }
    qmp_client_enter(client, 0);
    end_connection(client, QMP_STATE_CLOSED, reason);
    qmp_client_leave(client);
}

int qmp_client_fd(const struct qmp_client *client) {
    return client->fd;
}

short qmp_client_events(const struct qmp_client *client) {
    if (client->fd < 0) {
        return 0;
    }
    if (client->state == QMP_STATE_CONNECTING) {
        return POLLOUT;
    }
    bool has_more = client->out.used > 0 && client->send_error == 0 && !client->is_corked;
    return has_more ? POLLIN | POLLOUT : POLLIN;
}

uint64_t qmp_client_deadline(const struct qmp_client *client) {
    if (client->send_error != 0) {
        return 0;
    }
    return ma_min_u64(client->state_deadline_usec, qmp_inflight_deadline(client));
}

enum qmp_state qmp_client_state(const struct qmp_client *client) {
    return client->state;
}

const char *qmp_client_reason(const struct qmp_client *client) {
    return client->reason;
}

const struct qmp_version *qmp_client_version(const struct qmp_client *client) {
    return &client->version;
}

const struct qmp_counters *qmp_client_counters(const struct qmp_client *client) {
    return &client->counters;
}
