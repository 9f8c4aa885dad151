/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time: greeting, commands, late answers, back-off. The clock is the test's. */
#include <sys/un.h>

#include "peer.h"

static void a_silent_monitor_is_given_up(void) {
    static struct peer p;
    struct qmp_options o = {.greeting_timeout_usec = 1000};
    peer_open_with(&p, &o);
    CHECK_U64(qmp_client_deadline(p.client), PEER_START_USEC + 1000);
    p.now_usec += 999;
    peer_dispatch(&p);
    CHECK(p.state == QMP_STATE_GREETING);
    p.now_usec += 1;
    peer_dispatch(&p);
    CHECK(p.state == QMP_STATE_CLOSED);
    CHECK(strstr(p.reason, "another client") != NULL);
    peer_shut(&p);
}
static void a_monitor_that_does_not_negotiate_is_given_up(void) {
    static struct peer p;
    struct qmp_options o = {.negotiate_timeout_usec = 1000};
    peer_open_with(&p, &o);
    peer_says(&p, PEER_GREETING);
    p.now_usec = qmp_client_deadline(p.client);
    CHECK_U64(p.now_usec, PEER_START_USEC + 1000);
    peer_dispatch(&p);
    CHECK(p.state == QMP_STATE_CLOSED);
    CHECK(strstr(p.reason, "qmp_capabilities") != NULL);
    peer_shut(&p);
}
static void a_late_answer_is_dropped(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    call.deadline_usec = p.now_usec + 10;
    CHECK_I64(qmp_query_balloon(p.client, &call), 0);
    unsigned long long id = peer_id(peer_heard(&p));
    CHECK_U64(qmp_client_deadline(p.client), p.now_usec + 10);
    p.now_usec += 10;
    peer_dispatch(&p);
    CHECK_U64(p.dones, 1);
    CHECK(p.outcome == QMP_TIMEOUT);
    CHECK(!p.was_not_sent);
    CHECK_U64(qmp_client_unanswered(p.client), 1);
    CHECK_U64(qmp_client_in_flight(p.client), 0);
    PEER_ANSWER(&p, "{\"return\": {\"actual\": 1}, \"id\": %llu}", id);
    CHECK_U64(p.dones, 1);
    CHECK_U64(qmp_client_unanswered(p.client), 0);
    CHECK_U64(qmp_client_counters(p.client)->late_replies, 1);
    CHECK(p.state == QMP_STATE_READY);
    PEER_ANSWER(&p, "{\"return\": {\"actual\": 1}, \"id\": %llu}", id);
    CHECK(p.state == QMP_STATE_CLOSED); /* twice is not late, it is wrong */
    peer_shut(&p);
}
static void an_answer_that_was_there_in_time_counts(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_query_name(p.client, &call), 0);
    unsigned long long id = peer_id(peer_heard(&p));
    p.now_usec += 60000000;
    PEER_ANSWER(&p, "{\"return\": {\"name\": \"n\"}, \"id\": %llu}", id);
    CHECK(p.outcome == QMP_DONE);
    peer_shut(&p);
}
static void a_hung_peer_is_owed_a_bounded_number(void) {
    static struct peer p;
    peer_open_ready(&p);
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        struct qmp_call call = peer_call(&p);
        CHECK_I64(qmp_query_status(p.client, &call), 0);
        p.now_usec += 5000000;
        peer_dispatch(&p);
    }
    struct qmp_call call = peer_call(&p);
    CHECK_U64(p.dones, QMP_INFLIGHT_MAX);
    CHECK_I64(qmp_query_status(p.client, &call), -EBUSY);
    CHECK_U64(qmp_client_unanswered(p.client), QMP_INFLIGHT_MAX);
    peer_shut(&p);
    CHECK_U64(p.dones, QMP_INFLIGHT_MAX);
}

/* A peer that reads nothing: the socket is filled until the queue keeps what follows. */
static unsigned fill(struct peer *p) {
    char argument[900];
    unsigned sent = 0;
    (void) snprintf(argument, sizeof(argument), "{\"a\":\"%0800d\"}", 7);
    for (; (p->polled & POLLOUT) == 0 && sent < QMP_INFLIGHT_MAX; sent++) {
        struct qmp_call call = peer_call(p);
        CHECK_I64(qmp_execute(p->client, &call, "x", argument), 0);
    }
    return sent;
}
static void shrink_buffers(struct peer *p) {
    int size = 1; /* the kernel's least, about 4 KiB */
    CHECK(setsockopt(qmp_client_fd(p->client), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
}
static void a_command_that_never_left_is_taken_back(void) {
    static struct peer p;
    peer_open_ready(&p);
    shrink_buffers(&p);
    unsigned sent = fill(&p);
    CHECK(sent < QMP_INFLIGHT_MAX);
    struct qmp_call call = peer_call(&p);
    call.deadline_usec = p.now_usec + 10;
    CHECK_I64(qmp_balloon(p.client, &call, 4096), 0);
    call.deadline_usec = 0;
    CHECK_I64(qmp_cont(p.client, &call), 0);
    p.now_usec += 10;
    qmp_client_dispatch(p.client, 0, p.now_usec);
    CHECK_U64(p.dones, 1);
    CHECK(p.outcome == QMP_TIMEOUT);
    CHECK(p.was_not_sent);
    CHECK_STR(p.command, "balloon");
    CHECK_U64(qmp_client_unanswered(p.client), 0);
    unsigned conts = 0;
    for (unsigned i = 0; i < 100; i++) {
        const char *heard = peer_heard(&p);
        CHECK(strstr(heard, "balloon") == NULL);
        conts += strstr(heard, "\"cont\"") != NULL ? 1U : 0U;
        peer_dispatch(&p);
    }
    CHECK_U64(conts, 1);
    CHECK_I64(p.polled, POLLIN);
    peer_shut(&p);
}
static void a_full_queue_refuses_and_recovers(void) {
    static struct peer p;
    char argument[900];
    peer_open_ready(&p);
    shrink_buffers(&p);
    (void) fill(&p);
    (void) snprintf(argument, sizeof(argument), "{\"a\":\"%0800d\"}", 7);
    int r = 0;
    struct qmp_call call = peer_call(&p);
    for (unsigned i = 0; i < 5 && r == 0; i++) {
        r = qmp_execute(p.client, &call, "x", argument);
    }
    CHECK_I64(r, -ENOBUFS);
    for (unsigned i = 0; i < 100; i++) {
        (void) peer_heard(&p);
        peer_dispatch(&p);
    }
    CHECK_I64(qmp_execute(p.client, &call, "x", argument), 0);
    peer_shut(&p);
}

static int listen_at(const char *path, int backlog) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    CHECK(bind(fd, (const struct sockaddr *) &a, sizeof(a)) == 0);
    CHECK(listen(fd, backlog) == 0);
    return fd;
}
static void dialling_backs_off_to_a_bound_and_comes_back(void) {
    char folder[] = "/tmp/qmp-unit-XXXXXX";
    char path[64];
    static struct peer p = {.now_usec = 1, .fd = -1};
    struct qmp_options o = {.backoff_min_usec = 100, .backoff_max_usec = 450};
    static const uint64_t waits[] = {100, 200, 400, 450, 450};
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/s", folder);
    p.client = qmp_client_create(&o, &peer_ops, &p);
    CHECK_I64(qmp_client_connect(p.client, path, p.now_usec), 0);
    for (unsigned i = 0; i < 5; i++) {
        CHECK(p.state == QMP_STATE_WAITING);
        CHECK(strstr(p.reason, path) != NULL);
        CHECK_I64(qmp_client_fd(p.client), -1);
        CHECK_U64(qmp_client_deadline(p.client) - p.now_usec, waits[i]);
        p.now_usec = qmp_client_deadline(p.client);
        qmp_client_dispatch(p.client, 0, p.now_usec);
    }
    int fd = listen_at(path, 1);
    p.now_usec = qmp_client_deadline(p.client);
    qmp_client_dispatch(p.client, 0, p.now_usec);
    CHECK(p.state == QMP_STATE_GREETING);
    p.fd = accept(fd, NULL, NULL);
    peer_get_ready(&p);
    (void) close(p.fd);
    p.fd = -1;
    p.now_usec += 450; /* it was good for long enough */
    peer_dispatch(&p);
    CHECK(p.state == QMP_STATE_WAITING);
    CHECK_U64(qmp_client_deadline(p.client) - p.now_usec, 100);
    peer_shut(&p);
    (void) close(fd);
    (void) unlink(path);
    (void) rmdir(folder);
}
static void a_single_try_does_not_dial_again(void) {
    static struct peer p = {.now_usec = 1, .fd = -1};
    struct qmp_options o = {.is_single_try = true};
    p.client = qmp_client_create(&o, &peer_ops, &p);
    CHECK_I64(qmp_client_connect(p.client, "/nonexistent/s", 1), 0);
    CHECK(p.state == QMP_STATE_CLOSED);
    CHECK(qmp_client_deadline(p.client) == UINT64_MAX);
    peer_shut(&p);
}
static void a_path_too_long_for_a_socket_is_refused(void) {
    static struct peer p = {.fd = -1};
    char path[200];
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    p.client = qmp_client_create(NULL, &peer_ops, &p);
    CHECK_I64(qmp_client_connect(p.client, path, 1), -ENAMETOOLONG);
    CHECK(qmp_client_state(p.client) == QMP_STATE_IDLE);
    peer_shut(&p);
}

TAP_MAIN(TAP_CASE(a_silent_monitor_is_given_up),
         TAP_CASE(a_monitor_that_does_not_negotiate_is_given_up),
         TAP_CASE(a_late_answer_is_dropped),
         TAP_CASE(an_answer_that_was_there_in_time_counts),
         TAP_CASE(a_hung_peer_is_owed_a_bounded_number),
         TAP_CASE(a_command_that_never_left_is_taken_back),
         TAP_CASE(a_full_queue_refuses_and_recovers),
         TAP_CASE(dialling_backs_off_to_a_bound_and_comes_back),
         TAP_CASE(a_single_try_does_not_dial_again),
         TAP_CASE(a_path_too_long_for_a_socket_is_refused));
