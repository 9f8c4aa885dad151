/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client that is destroyed, or closed, inside any of its callbacks: nothing is heard of it afterwards. */
#include <stddef.h>
#include <sys/un.h>

#include "peer.h"

enum act { ACT_DESTROY, ACT_CLOSE };

/* userdata of the client: which callback acts, and whether one came after that. */
struct watch {
    struct qmp_client *client;
    enum act act;
    unsigned calls, act_at;
    bool has_acted, is_acting;
    unsigned late;
    unsigned asked, done; /* Q1: these agree in the end */
    int listener, fd;
    uint64_t now_usec;
    char path[sizeof(((struct sockaddr_un *) 0)->sun_path)];
};

static void heard(struct watch *w) {
    if (w->has_acted && !w->is_acting) {
        w->late++;
        return;
    }
    w->calls++;
    if (w->calls == w->act_at) {
        w->is_acting = true;
        if (w->act == ACT_DESTROY) {
            qmp_client_destroy(w->client);
        } else {
            qmp_client_close(w->client, "enough");
        }
        w->has_acted = true;
        w->is_acting = false;
    }
}
static void on_poll(void *userdata, int fd, short events) {
    (void) fd;
    (void) events;
    heard(userdata);
}
static void on_state(void *userdata, enum qmp_state state, const char *reason) {
    (void) state;
    (void) reason;
    heard(userdata);
}
static void on_event(void *userdata, const struct qmp_event *event) {
    (void) event;
    heard(userdata);
}
static void on_done(void *userdata, const struct qmp_result *result) {
    struct watch *w = userdata;
    (void) result;
    w->done++;
    /* A close inside on_state(CLOSED) is none: what was in flight is completed after it, as the header says. */
    if (!w->has_acted || w->act == ACT_DESTROY) {
        heard(w);
    }
}
static const struct qmp_ops watch_ops = {
    .on_poll = on_poll, .on_state = on_state, .on_event = on_event};

static bool is_gone(const struct watch *w) {
    return w->has_acted;
}
static void dispatch(struct watch *w) {
    for (unsigned i = 0; i < 4 && !is_gone(w); i++) {
        qmp_client_dispatch(w->client, POLLIN | POLLOUT, w->now_usec);
    }
}
static void say(struct watch *w, const char *text) {
    if (!is_gone(w)) {
        CHECK(send(w->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t) strlen(text));
        dispatch(w);
    }
}
static void answer(struct watch *w) {
    char heard_text[4096];
    char line[64];
    if (is_gone(w)) {
        return;
    }
    ssize_t n = recv(w->fd, heard_text, sizeof(heard_text) - 1, MSG_DONTWAIT);
    heard_text[n > 0 ? n : 0] = '\0';
    (void) snprintf(line, sizeof(line), "{\"return\": {}, \"id\": %llu}\r\n", peer_id(heard_text));
    say(w, line);
}

static void start(struct watch *w, bool is_path_way) {
    int fds[2];
    w->client = qmp_client_create(NULL, &watch_ops, w);
    CHECK(w->client != NULL);
    if (is_path_way) {
        CHECK_I64(qmp_client_connect(w->client, w->path, w->now_usec), 0);
        w->fd = accept(w->listener, NULL, NULL);
    } else {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        w->fd = fds[1];
        CHECK_I64(qmp_client_adopt(w->client, fds[0], w->now_usec), 0);
    }
    CHECK(w->fd >= 0);
}

/* A life with every callback: greeting, answers, an event, what times out, and an end with a call in flight. */
static void live(struct watch *w) {
    struct qmp_call call = {.done = on_done, .userdata = w, .now_usec = w->now_usec};
    say(w, PEER_GREETING);
    answer(w);
    if (!is_gone(w)) {
        w->asked++;
        CHECK_I64(qmp_stop(w->client, &call), 0);
    }
    answer(w);
    say(w, "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 1}}\r\n");
    for (unsigned i = 0; i < 3 && !is_gone(w); i++) {
        call.deadline_usec = i == 0 ? w->now_usec + 1 : 0;
        w->asked++;
        CHECK_I64(qmp_cont(w->client, &call), 0);
    }
    w->now_usec += 2;
    dispatch(w);
    (void) shutdown(w->fd, SHUT_RDWR);
    dispatch(w);
}

/* false: the life has fewer callbacks than that. */
static bool act_at(struct watch *w, unsigned at, bool is_path_way) {
    w->now_usec = PEER_START_USEC;
    w->act_at = at;
    w->calls = w->late = w->asked = w->done = 0;
    w->has_acted = false;
    start(w, is_path_way);
    live(w);
    if (w->late > 0) {
        TAP_FAIL("%u callbacks after the one that ended it, callback %u", w->late, at);
    }
    bool has_acted = w->has_acted;
    if (has_acted && w->act == ACT_CLOSE) {
        CHECK_STR(qmp_state_name(qmp_client_state(w->client)), "closed");
        CHECK_U64(qmp_client_deadline(w->client), UINT64_MAX);
    }
    if (!has_acted || w->act == ACT_CLOSE) {
        w->has_acted = false;
        w->act_at = 0;
        qmp_client_destroy(w->client);
    }
    CHECK_U64(w->done, w->asked);
    (void) close(w->fd);
    return has_acted;
}

/* Returns the number of callbacks in a life. */
static unsigned act_everywhere(enum act act, bool is_path_way) {
    static char folder[] = "/tmp/memarb-destroy-XXXXXX";
    struct watch w = {.act = act, .listener = -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned at = 1;
    if (is_path_way) {
        memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
        CHECK(mkdtemp(folder) != NULL);
        (void) snprintf(w.path, sizeof(w.path), "%s/q", folder);
        memcpy(address.sun_path, w.path, sizeof(w.path));
        w.listener = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(bind(w.listener, (const struct sockaddr *) &address, sizeof(address)) == 0);
        CHECK(listen(w.listener, 1) == 0);
    }
    while (act_at(&w, at, is_path_way)) {
        at++;
    }
    if (is_path_way) {
        (void) close(w.listener);
        CHECK(unlink(w.path) == 0 && rmdir(folder) == 0);
    }
    return at - 1;
}

/* Of a life: 5 until READY, then 3 dones and an event, then what to poll, the state and the rest of the dones. */
#define CALLBACKS_LEAST 11U
static void adopted_and_destroyed_in_any_callback(void) {
    CHECK(act_everywhere(ACT_DESTROY, false) >= CALLBACKS_LEAST);
}
static void dialled_and_destroyed_in_any_callback(void) {
    CHECK(act_everywhere(ACT_DESTROY, true) >= CALLBACKS_LEAST);
}
static void adopted_and_closed_in_any_callback(void) {
    CHECK(act_everywhere(ACT_CLOSE, false) >= CALLBACKS_LEAST);
}
static void dialled_and_closed_in_any_callback(void) {
    CHECK(act_everywhere(ACT_CLOSE, true) >= CALLBACKS_LEAST);
}

TAP_MAIN(TAP_CASE(adopted_and_destroyed_in_any_callback),
         TAP_CASE(dialled_and_destroyed_in_any_callback),
         TAP_CASE(adopted_and_closed_in_any_callback),
         TAP_CASE(dialled_and_closed_in_any_callback));
