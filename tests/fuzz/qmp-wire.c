/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-wire.c - a monitor that says anything: greeting, lines, JSON, ids, events. The first byte's bits choose how the
 * rest is cut and whether a good handshake goes before. Each accepted call must end exactly once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <poll.h>

#include "qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned accepted, completed;

static void done(void *userdata, const struct qmp_result *result) {
    (void) userdata;
    completed++;
    if (result->text == NULL || result->command == NULL) {
        abort();
    }
}
static void call_all(struct qmp_client *c, uint64_t now) {
    struct qmp_call call = {.done = done, .now_usec = now};
    accepted += qmp_query_balloon(c, &call) == 0 ? 1U : 0U;
    accepted += qmp_find_devices(c, &call) == 0 ? 1U : 0U;
    accepted += qmp_get_backend(c, &call, "ram") == 0 ? 1U : 0U;
    accepted += qmp_query_memdev(c, &call) == 0 ? 1U : 0U;
}
static void on_state(void *userdata, enum qmp_state state, const char *reason) {
    struct qmp_client *const *c = userdata;
    (void) reason;
    if (state == QMP_STATE_READY) {
        call_all(*c, 1);
    }
}
static void say(struct qmp_client *c, int fd, const char *text, size_t n) {
    if (send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return; /* the client has closed */
    }
    qmp_client_dispatch(c, POLLIN | POLLOUT, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char greeting[] = "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,"
                                   "\"micro\":0}}}}\n{\"return\":{},\"id\":1}\n";
    static const struct qmp_ops ops = {.on_state = on_state};
    static const struct qmp_options options = {.line_max_bytes = 4096};
    struct qmp_client *c = NULL;
    int fds[2];
    if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        return 0;
    }
    accepted = 0;
    completed = 0;
    c = qmp_client_create(&options, &ops, &c);
    if (c == NULL || qmp_client_adopt(c, fds[0], 1) < 0) {
        abort();
    }
    if ((data[0] & 1U) != 0) {
        /* In two pieces: the answer to what was not sent yet would be a fault. */
        const char *second = strchr(greeting, '\n') + 1;
        say(c, fds[1], greeting, (size_t) (second - greeting));
        say(c, fds[1], second, strlen(second));
    }
    size_t step = (data[0] & 2U) != 0 ? 7 : 1000;
    for (size_t at = 1; at < size && qmp_client_fd(c) >= 0; at += step) {
        say(c, fds[1], (const char *) data + at, size - at < step ? size - at : step);
    }
    qmp_client_dispatch(c, 0, UINT64_C(1) << 40);
    qmp_client_destroy(c);
    (void) close(fds[1]);
    if (accepted != completed) {
        abort();
    }
    return 0;
}
