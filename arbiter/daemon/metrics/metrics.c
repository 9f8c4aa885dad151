/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics.c - the thread: libmicrohttpd's sockets and the file's timer in one poll loop.
 *
 * The view is rendered into memory that was got beforehand, inside the read section; what does not fit is rendered again
 * with more. A client that is slow, silent or gone costs its own connection. */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "atomic-file.h"
#include "bytes.h"
#include "cleanup.h"
#include "listen-unix.h"
#include "log.h"
#include "metrics-render.h"

/* Scrapes at a time. Too small: two Prometheus servers and a person keep each other out; too large: each may hold a text of
 * some 2 MiB on a host with 1,000 guests. A guess. */
#define CONNECTIONS_MAX 4U
/* A client that sends nothing, or does not read. Too small cuts a slow scrape off, too large lets it keep its place. A guess. */
#define CONNECTION_TIMEOUT_S 10U
/* A request is a line and a few headers. */
#define CONNECTION_BYTES ((size_t) 16 * 1024)
/* Guests' names may be long: the text is rendered again with twice the memory until it fits, or is given up. */
#define TEXT_BYTES_MAX ((size_t) 32 << 20)

enum server { SERVER_SOCKET, SERVER_PORT, SERVER_COUNT };

struct ma_metrics {
    struct ma_metrics_ops ops;
    struct ma_metrics_options options;
    struct MHD_Daemon *servers[SERVER_COUNT];
    int listen_fd[SERVER_COUNT];
    int wake_fd;
    pthread_t thread;
    bool should_stop;
    uint64_t file_due_usec;
    bool has_file_failed; /* said once, until it works again */
};

static uint64_t now_usec(void) {
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t) now.tv_sec * MA_USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

/* What a text takes; 0: nothing is published yet. */
static size_t size_now(struct ma_metrics *metrics) {
    const struct ma_view *view = metrics->ops.view_lock(metrics->ops.userdata);
    size_t size = view != NULL ? ma_metrics_size(view->snapshot.n_guests) : 0;
    metrics->ops.view_unlock(metrics->ops.userdata);
    return size;
}

/* *ret belongs to the caller (free). -EAGAIN: nothing is published yet. */
static int render(struct ma_metrics *metrics, bool is_open_metrics, char **ret, size_t *ret_len) {
    size_t size = size_now(metrics);
    if (size == 0) {
        return -EAGAIN;
    }
    for (; size <= TEXT_BYTES_MAX; size *= 2) {
        struct ma_metrics_text text;
        char *buf = malloc(size);
        if (buf == NULL) {
            return -ENOMEM;
        }
        ma_metrics_text_init(&text, buf, size, is_open_metrics);
        const struct ma_view *view = metrics->ops.view_lock(metrics->ops.userdata);
        if (view != NULL) {
            ma_metrics_render(&text, view, now_usec());
        }
        metrics->ops.view_unlock(metrics->ops.userdata);
        if (view != NULL && !text.is_truncated) {
            *ret = buf;
            *ret_len = text.len;
            return 0;
        }
        free(buf);
    }
    return -EFBIG;
}

static enum MHD_Result
answer_text(struct MHD_Connection *connection, unsigned status, const char *say) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(say), (void *) (uintptr_t) say, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    (void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                   "text/plain; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_metrics(struct ma_metrics *metrics,
                                      struct MHD_Connection *connection) {
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool is_open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    char *buf = NULL;
    size_t len = 0;
    int r = render(metrics, is_open, &buf, &len);
    if (r < 0) {
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                           r == -EAGAIN ? "memarbd has not seen its guests yet\n"
                                        : "no memory for the metrics now\n");
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, buf, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(buf);
        return MHD_NO;
    }
    (void) MHD_add_response_header(
        response, MHD_HTTP_HEADER_CONTENT_TYPE,
        is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                : "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *userdata,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_size,
                                  void **state) {
    (void) version;
    (void) upload;
    (void) state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *upload_size = 0;
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    if (strcmp(url, "/metrics") != 0) {
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics\n");
    }
    return answer_metrics(userdata, connection);
}

/* One that cannot be written (a disk that is full, a folder that the unit may not write to) is said once. */
static void write_file(struct ma_metrics *metrics) {
    ma_auto_free char *buf = NULL;
    size_t len = 0;
    struct ma_err err = {0};
    int r = render(metrics, false, &buf, &len);
    if (r == -EAGAIN) {
        return;
    }
    r = r == 0 ? ma_atomic_file_publish(metrics->options.file_path, buf, len, &err)
               : ma_err_set(&err, r, "no memory for the metrics now");
    if (r < 0 && !metrics->has_file_failed) {
        ma_log(MA_LOG_WARNING, "the metrics file %s is not written: %s", metrics->options.file_path,
               err.message);
    }
    metrics->has_file_failed = r < 0;
}

/* Milliseconds until something is due by time; -1: nothing. */
static int timeout_ms(const struct ma_metrics *metrics) {
    uint64_t due = MA_USEC_INFINITY;
    uint64_t now = now_usec();
    if (metrics->options.file_path[0] != '\0') {
        due = metrics->file_due_usec;
    }
    for (size_t i = 0; i < SERVER_COUNT; i++) {
        MHD_UNSIGNED_LONG_LONG ms = 0;
        if (metrics->servers[i] != NULL && MHD_get_timeout(metrics->servers[i], &ms) == MHD_YES) {
            due = ma_min_u64(due, ma_add_sat(now, ma_mul_sat(ms, MA_USEC_PER_MSEC)));
        }
    }
    if (due == MA_USEC_INFINITY) {
        return -1;
    }
    return (int) (ma_min_u64(ma_sub_floor0(due, now), 60 * MA_USEC_PER_SEC) / MA_USEC_PER_MSEC) + 1;
}

static void *run(void *userdata) {
    struct ma_metrics *metrics = userdata;
    struct pollfd polls[SERVER_COUNT + 1] = {{.fd = metrics->wake_fd, .events = POLLIN}};
    for (size_t i = 0; i < SERVER_COUNT; i++) {
        const union MHD_DaemonInfo *info =
            metrics->servers[i] != NULL
                ? MHD_get_daemon_info(metrics->servers[i], MHD_DAEMON_INFO_EPOLL_FD)
                : NULL;
        polls[i + 1] = (struct pollfd){.fd = info != NULL ? info->epoll_fd : -1, .events = POLLIN};
    }
    if (metrics->ops.thread_start != NULL) {
        metrics->ops.thread_start(metrics->ops.userdata);
    }
    while (!__atomic_load_n(&metrics->should_stop, __ATOMIC_ACQUIRE)) {
        if (poll(polls, SERVER_COUNT + 1, timeout_ms(metrics)) < 0 && errno != EINTR) {
            break;
        }
        for (size_t i = 0; i < SERVER_COUNT; i++) {
            if (metrics->servers[i] != NULL) {
                (void) MHD_run(metrics->servers[i]);
            }
        }
        if (metrics->options.file_path[0] != '\0' && now_usec() >= metrics->file_due_usec) {
            metrics->file_due_usec = now_usec() + metrics->options.file_period_usec;
            write_file(metrics);
        }
    }
    if (metrics->ops.thread_stop != NULL) {
        metrics->ops.thread_stop(metrics->ops.userdata);
    }
    return NULL;
}

static int listen_on_port(uint16_t port, int *ret_fd, struct ma_err *err) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    ma_auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ma_err_set(
            err, -errno,
            "no socket for the metrics' port: %s; memarbd.service allows Unix sockets "
            "alone, see memarb.conf(5)",
            strerror(errno));
    }
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) != 0 ||
        listen(fd, (int) CONNECTIONS_MAX) != 0) {
        return ma_err_set(err, -errno, "cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int serve(struct ma_metrics *metrics, enum server which, struct ma_err *err) {
    /* No thread of its own: ours runs it. */
    metrics->servers[which] = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, metrics, MHD_OPTION_LISTEN_SOCKET,
        metrics->listen_fd[which], MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_BYTES, MHD_OPTION_END);
    if (metrics->servers[which] == NULL) {
        return ma_err_set(err, -EIO, "cannot start the metrics' HTTP server");
    }
    metrics->listen_fd[which] = -1; /* its own now */
    return 0;
}

static int open_servers(struct ma_metrics *metrics, struct ma_err *err) {
    const struct ma_metrics_options *options = &metrics->options;
    int r = 0;
    if (options->socket_path[0] != '\0') {
        r = ma_listen_unix(options->socket_path, options->group, &metrics->listen_fd[SERVER_SOCKET],
                           err);
        r = r < 0 ? r : serve(metrics, SERVER_SOCKET, err);
    }
    if (r == 0 && options->port != 0) {
        r = listen_on_port(options->port, &metrics->listen_fd[SERVER_PORT], err);
        r = r < 0 ? r : serve(metrics, SERVER_PORT, err);
    }
    return r;
}

static int start_thread(struct ma_metrics *metrics, struct ma_err *err) {
    sigset_t all, before;
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the loop */
    int r = pthread_create(&metrics->thread, NULL, run, metrics);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : ma_err_set(err, -r, "cannot start the metrics thread: %s", strerror(r));
}

static void free_metrics(struct ma_metrics *metrics) {
    bool has_socket =
        metrics->servers[SERVER_SOCKET] != NULL || metrics->listen_fd[SERVER_SOCKET] >= 0;
    for (size_t i = 0; i < SERVER_COUNT; i++) {
        if (metrics->servers[i] != NULL) {
            MHD_stop_daemon(metrics->servers[i]);
        }
        if (metrics->listen_fd[i] >= 0) {
            (void) close(metrics->listen_fd[i]);
        }
    }
    if (has_socket) {
        (void) unlink(metrics->options.socket_path);
    }
    if (metrics->options.file_path[0] != '\0') {
        (void) unlink(metrics->options.file_path); /* figures of a daemon that is gone are none */
    }
    if (metrics->wake_fd >= 0) {
        (void) close(metrics->wake_fd);
    }
    free(metrics);
}

int ma_metrics_create(const struct ma_metrics_options *options,
                      const struct ma_metrics_ops *ops,
                      struct ma_metrics **ret_metrics,
                      struct ma_err *err) {
    *ret_metrics = NULL;
    if (options->socket_path[0] == '\0' && options->port == 0 && options->file_path[0] == '\0') {
        return 0;
    }
    struct ma_metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    metrics->ops = *ops;
    metrics->options = *options;
    metrics->listen_fd[SERVER_SOCKET] = metrics->listen_fd[SERVER_PORT] = -1;
    metrics->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = metrics->wake_fd >= 0 ? 0 : ma_err_set(err, -errno, "eventfd: %s", strerror(errno));
    r = r < 0 ? r : open_servers(metrics, err);
    r = r < 0 ? r : start_thread(metrics, err);
    if (r < 0) {
        free_metrics(metrics);
        return r;
    }
    *ret_metrics = metrics;
    return 0;
}

void ma_metrics_destroy(struct ma_metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    uint64_t one = 1;
    __atomic_store_n(&metrics->should_stop, true, __ATOMIC_RELEASE);
    (void) !write(metrics->wake_fd, &one, sizeof(one)); /* full: a wake is pending already */
    (void) pthread_join(metrics->thread, NULL);
    free_metrics(metrics);
}
