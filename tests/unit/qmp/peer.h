/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* peer.h - a client on one end of a socket pair, the test on the other, and a clock that only the test moves. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp.h"
#include "tap.h"

#define PEER_GREETING                                                                              \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "             \
    "\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define PEER_START_USEC 1000000U

struct peer {
    struct qmp_client *client;
    int fd; /* the monitor's end */
    uint64_t now_usec;
    enum qmp_state state;
    char reason[256];
    unsigned dones, events;
    enum qmp_outcome outcome;
    enum qmp_error_class error_class;
    bool was_not_sent;
    char text[512], command[64];
    union qmp_reply reply;
    bool has_reply;
    enum qmp_event_kind event_kind;
    char event_name[64];
    struct qmp_event event;
    char order[64]; /* 'e' an event, 'd' a done, in order of arrival */
    int polled_fd;
    short polled;
};

static inline void peer_on_poll(void *userdata, int fd, short events) {
    struct peer *p = userdata;
    p->polled_fd = fd;
    p->polled = events;
}
static inline void peer_on_state(void *userdata, enum qmp_state state, const char *reason) {
    struct peer *p = userdata;
    p->state = state;
    (void) snprintf(p->reason, sizeof(p->reason), "%s", reason);
}
static inline void peer_note(struct peer *p, char c) {
    size_t n = strlen(p->order);
    if (n + 1 < sizeof(p->order)) {
        p->order[n] = c;
        p->order[n + 1] = '\0';
    }
}
static inline void peer_on_event(void *userdata, const struct qmp_event *event) {
    struct peer *p = userdata;
    p->events++;
    p->event = *event;
    p->event_kind = event->kind;
    (void) snprintf(p->event_name, sizeof(p->event_name), "%s", event->name);
    peer_note(p, 'e');
}
static inline void peer_done(void *userdata, const struct qmp_result *result) {
    struct peer *p = userdata;
    p->dones++;
    p->outcome = result->outcome;
    p->error_class = result->error_class;
    p->was_not_sent = result->was_not_sent;
    p->has_reply = result->reply != NULL;
    if (p->has_reply) {
        p->reply = *result->reply;
    }
    (void) snprintf(p->text, sizeof(p->text), "%s", result->text);
    (void) snprintf(p->command, sizeof(p->command), "%s", result->command);
    peer_note(p, 'd');
}

static const struct qmp_ops peer_ops = {
    .on_poll = peer_on_poll, .on_state = peer_on_state, .on_event = peer_on_event};

static inline struct qmp_call peer_call(struct peer *p) {
    return (struct qmp_call){.done = peer_done, .userdata = p, .now_usec = p->now_usec};
}
static inline void peer_dispatch(struct peer *p) {
    if (p->client != NULL) { /* a callback may have destroyed it */
        qmp_client_dispatch(p->client, POLLIN | POLLOUT, p->now_usec);
    }
}
static inline void peer_says_bytes(struct peer *p, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = send(p->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EPIPE) {
            return; /* the client has closed: that is what the test will see */
        }
        if (n > 0) {
            data += n;
            length -= (size_t) n;
        }
        peer_dispatch(p);
    }
    /* One dispatch reads a bounded amount; the socket's buffer holds a few times that. */
    for (unsigned i = 0; i < 8; i++) {
        peer_dispatch(p);
    }
}
static inline void peer_says(struct peer *p, const char *text) {
    peer_says_bytes(p, text, strlen(text));
}
/* What the client sent since; NUL-terminated. */
static inline const char *peer_heard(struct peer *p) {
    static char buf[65536];
    ssize_t n = recv(p->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
    buf[n > 0 ? n : 0] = '\0';
    return buf;
}
/* The id in the last command of text. */
static inline unsigned long long peer_id(const char *text) {
    const char *at = NULL;
    for (const char *s = strstr(text, "\"id\":"); s != NULL; s = strstr(s + 1, "\"id\":")) {
        at = s;
    }
    return at != NULL ? strtoull(at + 5, NULL, 10) : 0;
}
/* Answers the last command of text: format has one %llu for the id. */
#define PEER_ANSWER(p, format, id)                                                                 \
    do {                                                                                           \
        static char peer_line_[4096];                                                              \
        (void) snprintf(peer_line_, sizeof(peer_line_), format "\r\n", (unsigned long long) (id)); \
        peer_says(p, peer_line_);                                                                  \
    } while (0)

static inline void peer_open_with(struct peer *p, const struct qmp_options *options) {
    int fds[2];
    memset(p, 0, sizeof(*p));
    p->now_usec = PEER_START_USEC;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    p->fd = fds[1];
    p->client = qmp_client_create(options, &peer_ops, p);
    CHECK(p->client != NULL);
    CHECK_I64(qmp_client_adopt(p->client, fds[0], p->now_usec), 0);
}
static inline void peer_open(struct peer *p) {
    peer_open_with(p, NULL);
}
static inline void peer_get_ready(struct peer *p) {
    peer_says(p, PEER_GREETING);
    PEER_ANSWER(p, "{\"return\": {}, \"id\": %llu}", peer_id(peer_heard(p)));
    CHECK(qmp_client_state(p->client) == QMP_STATE_READY);
}
static inline void peer_open_ready(struct peer *p) {
    peer_open(p);
    peer_get_ready(p);
}
static inline void peer_shut(struct peer *p) {
    qmp_client_destroy(p->client);
    if (p->fd >= 0) {
        (void) close(p->fd);
    }
}
