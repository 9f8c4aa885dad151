/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-consumer.c SOCKET - a program of somebody else's: what is in libmemarb-qmp-dev is all that it has of memarb. It asks a
 * QEMU for its version and prints it. */
#include <memarb/qmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define DEADLINE_USEC UINT64_C(300000000) /* of a machine that has other things to do */
#define USEC_PER_MSEC UINT64_C(1000)

struct question {
    bool is_ready, is_over, is_good;
};

static uint64_t now_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void state_changed(void *userdata, enum qmp_state state, const char *reason) {
    struct question *q = userdata;
    (void) reason;
    q->is_ready = state == QMP_STATE_READY;
}

static void answered(void *userdata, const struct qmp_result *result) {
    struct question *q = userdata;
    q->is_over = true;
    q->is_good = result->outcome == QMP_DONE && result->reply->version.major > 0;
    if (q->is_good) {
        (void) printf("QEMU %u.%u\n", result->reply->version.major, result->reply->version.minor);
    }
}

static void wait_and_dispatch(struct qmp_client *client) {
    uint64_t now = now_usec(), until = qmp_client_deadline(client);
    uint64_t left = until > now ? until - now : 0;
    int timeout_msec = left < 1000 * USEC_PER_MSEC ? (int) (left / USEC_PER_MSEC) + 1 : 1000;
    struct pollfd pollfd = {.fd = qmp_client_fd(client), .events = qmp_client_events(client)};
    (void) poll(&pollfd, 1, timeout_msec);
    qmp_client_dispatch(client, pollfd.revents, now_usec());
}

int main(int argc, char **argv) {
    static const struct qmp_ops ops = {.on_state = state_changed};
    struct question q = {.is_ready = false};
    uint64_t end = now_usec() + DEADLINE_USEC;
    bool is_asked = false;
    struct qmp_client *client = argc == 2 ? qmp_client_create(NULL, &ops, &q) : NULL;
    if (client == NULL || qmp_client_connect(client, argv[1], now_usec()) != 0) {
        return 2;
    }
    while (!q.is_over && now_usec() < end) {
        wait_and_dispatch(client);
        if (q.is_ready && !is_asked) {
            struct qmp_call call = {.done = answered, .userdata = &q, .now_usec = now_usec()};
            is_asked = qmp_query_version(client, &call) == 0;
        }
    }
    qmp_client_destroy(client);
    return q.is_good ? 0 : 1;
}
