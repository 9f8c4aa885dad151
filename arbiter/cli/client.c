/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client.c - the caller's side of the control socket: one connection a call, one deadline for all of it, however slowly
 * its peer takes and answers it. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "cli.h"

/* A plan of a full host fits; a wrong peer cannot fill our memory. */
#define REPLY_BYTES_MAX (64U << 20)
/* A command may take the daemon 2 s, and others may wait before us. Too small gives up on a busy daemon. */
#define REPLY_TIMEOUT_MS 10000
#define FOR_EVER         UINT64_MAX

struct connection {
    const struct ma_cli *cli;
    int fd;
    int timeout_ms; /* for the first answer, from the first step on */
    uint64_t deadline_usec;
    char *buf;
    size_t len, size;
};

int ma_cli_fail(enum ma_cli_exit code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void) fputs("memarbctl: ", stderr);
    (void) vfprintf(stderr, format, args);
    (void) fputc('\n', stderr);
    va_end(args);
    return (int) code;
}

/* What went wrong with the daemon, unless the caller only wanted to know whether it is there. */
static int fail(const struct ma_cli *cli, enum ma_cli_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(const struct ma_cli *cli, enum ma_cli_exit code, const char *format, ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    (void) vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return cli->is_quiet ? (int) code : ma_cli_fail(code, "%s", message);
}

static int fail_to_connect(const struct ma_cli *cli, int error) {
    if (error == EACCES || error == EPERM) {
        return fail(cli, MA_EXIT_REFUSED,
                    "not allowed to open %s: join the group memarb, or use sudo", cli->socket);
    }
    if (error == ENOENT || error == ECONNREFUSED) {
        return fail(cli, MA_EXIT_NO_DAEMON,
                    "memarbd is not running: systemctl start memarbd; without it there are "
                    "release and plan --snapshot FILE");
    }
    return fail(cli, MA_EXIT_NO_DAEMON, "cannot reach memarbd at %s: %s", cli->socket,
                strerror(error));
}

/* The descriptor, or the negative errno. */
static int connect_to(const char *path, int timeout_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    (void) memcpy(address.sun_path, path, strlen(path) + 1);
    /* connect() waits for a place in the queue of a daemon that stands still, as send() does */
    struct timeval patience = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    }
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0) {
        return fd < 0 ? -errno : fd;
    }
    int error = errno;
    (void) close(fd);
    return -error;
}

uint64_t ma_cli_now_usec(void) {
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * MA_USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static int open_connection(const struct ma_cli *cli, struct connection *connection) {
    connection->timeout_ms =
        cli->timeout_usec > 0 ? (int) (cli->timeout_usec / 1000) + 1 : REPLY_TIMEOUT_MS;
    connection->deadline_usec =
        ma_cli_now_usec() + (uint64_t) connection->timeout_ms * MA_USEC_PER_MSEC;
    connection->fd = connect_to(cli->socket, connection->timeout_ms);
    if (connection->fd == -ENAMETOOLONG) {
        return fail(cli, MA_EXIT_USAGE, "the socket's path is longer than 107 bytes");
    }
    return connection->fd < 0 ? fail_to_connect(cli, -connection->fd) : 0;
}

bool ma_cli_is_daemon_gone(const struct ma_cli *cli) {
    int fd = connect_to(cli->socket, REPLY_TIMEOUT_MS);
    if (fd >= 0) {
        (void) close(fd);
    }
    return fd == -ENOENT || fd == -ECONNREFUSED;
}

static void close_connection(struct connection *connection) {
    if (connection->fd >= 0) {
        (void) close(connection->fd);
    }
    free(connection->buf);
}

static int send_call(const struct connection *connection,
                     const char *method,
                     json_t *parameters,
                     bool is_more) {
    json_t *call = json_pack("{s:s, s:b}", "method", method, "more", (int) is_more);
    if (call != NULL && parameters != NULL) {
        (void) json_object_set_new(call, "parameters", parameters);
    }
    ma_auto_free char *text = call != NULL ? json_dumps(call, JSON_COMPACT) : NULL;
    json_decref(call);
    if (text == NULL) {
        return fail(connection->cli, MA_EXIT_ERROR,
                    "cannot build the call: is the name valid UTF-8?");
    }
    size_t len = strlen(text) + 1;
    for (size_t at = 0; at < len;) {
        ssize_t n = send(connection->fd, text + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return fail(connection->cli, MA_EXIT_ERROR,
                        "memarbd closed the connection: too many clients? try again");
        }
        at += n > 0 ? (size_t) n : 0;
    }
    return 0;
}

/* For poll(): -1, or what is left; none is left 0. */
static int left_ms(const struct connection *connection) {
    uint64_t left = ma_sub_floor0(connection->deadline_usec, ma_cli_now_usec());
    return connection->deadline_usec == FOR_EVER ? -1 : (int) (left / MA_USEC_PER_MSEC);
}

static int read_more(struct connection *connection) {
    struct pollfd poll_fd = {.fd = connection->fd, .events = POLLIN};
    if (connection->len == connection->size) {
        size_t size = connection->size == 0 ? 16384 : connection->size * 2;
        char *buf = size <= REPLY_BYTES_MAX ? realloc(connection->buf, size) : NULL;
        if (buf == NULL) {
            return fail(connection->cli, MA_EXIT_ERROR,
                        "the answer is larger than 64 MiB, or memory is short");
        }
        connection->buf = buf;
        connection->size = size;
    }
    int ready = poll(&poll_fd, 1, left_ms(connection));
    if (ready == 0) {
        return fail(connection->cli, MA_EXIT_ERROR,
                    "memarbd did not answer within %d.%03d s: journalctl -u memarbd",
                    connection->timeout_ms / 1000, connection->timeout_ms % 1000);
    }
    ssize_t n = ready > 0 ? recv(connection->fd, connection->buf + connection->len,
                                 connection->size - connection->len, 0)
                          : -1;
    if (n < 0 && errno == EINTR) {
        return 0;
    }
    if (n <= 0) {
        return fail(connection->cli, MA_EXIT_ERROR,
                    "memarbd closed the connection: it stopped, or has too many clients");
    }
    connection->len += (size_t) n;
    return 0;
}

static int next_reply(struct connection *connection, json_t **ret_reply) {
    const char *end = NULL;
    json_error_t problem;
    while ((end = connection->len > 0 ? memchr(connection->buf, '\0', connection->len) : NULL) ==
           NULL) {
        int r = read_more(connection);
        if (r != 0) {
            return r;
        }
    }
    size_t size = (size_t) (end - connection->buf) + 1;
    json_t *reply = json_loadb(connection->buf, size - 1, 0, &problem);
    (void) memmove(connection->buf, connection->buf + size, connection->len - size);
    connection->len -= size;
    if (!json_is_object(reply)) {
        json_decref(reply);
        return fail(connection->cli, MA_EXIT_ERROR,
                    "the answer is no Varlink message; is this memarbd's socket?");
    }
    *ret_reply = reply;
    return 0;
}

/* A Varlink error as a sentence and an exit code. */
static int fail_as_told(const struct ma_cli *cli, const json_t *reply) {
    static const struct {
        const char *error;
        enum ma_cli_exit code;
    } codes[] = {
        {"io.memarb.Arbiter.NotFound", MA_EXIT_NOT_FOUND},
        {"io.memarb.Arbiter.Ambiguous", MA_EXIT_NOT_FOUND},
        {"io.memarb.Arbiter.NotAllowed", MA_EXIT_REFUSED},
        {"io.memarb.Arbiter.Refused", MA_EXIT_REFUSED},
        {"org.varlink.service.InvalidParameter", MA_EXIT_USAGE},
    };
    const char *error = ma_cli_text(reply, "error");
    const json_t *parameters = json_object_get(reply, "parameters");
    const char *message = ma_cli_text(parameters, "message");
    enum ma_cli_exit code = MA_EXIT_ERROR;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        code = strcmp(codes[i].error, error) == 0 ? codes[i].code : code;
    }
    const char *about = ma_cli_has(parameters, "guest") ? "guest" : "matches";
    about = ma_cli_has(parameters, "parameter") ? "parameter" : about;
    const char *value = ma_cli_text(parameters, about);
    return fail(cli, code, "%s%s%s", value, value[0] != '\0' ? ": " : "",
                message[0] != '\0' ? message : error);
}

int ma_cli_stream(const struct ma_cli *cli,
                  const char *method,
                  json_t *parameters,
                  ma_cli_reply_fn on_reply,
                  void *userdata) {
    struct connection connection = {.cli = cli, .fd = -1};
    int r = open_connection(cli, &connection);
    if (r == 0) {
        r = send_call(&connection, method, parameters, true);
    } else {
        json_decref(parameters);
    }
    while (r == 0) {
        json_t *reply = NULL;
        r = next_reply(&connection, &reply);
        if (r != 0) {
            break;
        }
        r = ma_cli_has(reply, "error") ? fail_as_told(cli, reply)
                                       : on_reply(userdata, json_object_get(reply, "parameters"));
        json_decref(reply);
        if (r != MA_CLI_GO_ON) {
            break;
        }
        connection.deadline_usec = FOR_EVER; /* the next come when something happens */
        r = 0;
    }
    close_connection(&connection);
    return r;
}

int ma_cli_call(const struct ma_cli *cli,
                const char *method,
                json_t *parameters,
                json_t **ret_parameters) {
    struct connection connection = {.cli = cli, .fd = -1};
    json_t *reply = NULL;
    int r = open_connection(cli, &connection);
    if (r == 0) {
        r = send_call(&connection, method, parameters, false);
    } else {
        json_decref(parameters);
    }
    r = r != 0 ? r : next_reply(&connection, &reply);
    if (r == 0 && ma_cli_has(reply, "error")) {
        r = fail_as_told(cli, reply);
    } else if (r == 0) {
        *ret_parameters = json_incref(json_object_get(reply, "parameters"));
    }
    json_decref(reply);
    close_connection(&connection);
    return r;
}
