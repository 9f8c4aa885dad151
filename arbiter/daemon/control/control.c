/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control.c - the socket, the thread and its poll loop.
 *
 * One thread, no waiting but in poll(): clients are non-blocking, each with bounded input and output. A client that
 * sends half a message, too much, nothing, or never reads costs its own connection. The only call that may take time
 * is ops.command, and that takes root. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "control-internal.h"
#include "listen-unix.h"

uint64_t ma_control_now_usec(void) {
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t) now.tv_sec * MA_USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static int bind_socket(struct ma_control *control,
                       const struct ma_control_options *options,
                       struct ma_err *err) {
    int r = ma_listen_unix(options->socket_path, options->group, &control->listen_fd, err);
    if (r == 0) {
        (void) snprintf(control->path, sizeof(control->path), "%s", options->socket_path);
    }
    return r;
}

static int start_thread(struct ma_control *control, struct ma_err *err) {
    sigset_t all, before;
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the loop */
    int r = pthread_create(&control->thread, NULL, ma_control_thread, control);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : ma_err_set(err, -r, "cannot start the control thread: %s", strerror(r));
}

static void free_control(struct ma_control *control) {
    if (control->path[0] != '\0') {
        (void) unlink(control->path);
    }
    if (control->listen_fd >= 0) {
        (void) close(control->listen_fd);
    }
    if (control->wake_fd >= 0) {
        (void) close(control->wake_fd);
    }
    ma_control_inbox_fini(&control->inbox);
    free(control->drained);
    free(control);
}

int ma_control_create(const struct ma_control_options *options,
                      const struct ma_control_ops *ops,
                      struct ma_control **ret_control,
                      struct ma_err *err) {
    struct ma_control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    control->ops = *ops;
    control->listen_fd = -1;
    control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    control->drained = malloc(MA_CONTROL_INBOX_BYTES);
    int r = ma_control_inbox_init(&control->inbox);
    if (r != 0 || control->wake_fd < 0 || control->drained == NULL) {
        r = ma_err_set(err, -ENOMEM,
                       "cannot set up the control socket: out of memory or descriptors");
    }
    r = r != 0 ? r : bind_socket(control, options, err);
    r = r != 0 ? r : start_thread(control, err);
    if (r != 0) {
        free_control(control);
        return r;
    }
    *ret_control = control;
    return 0;
}

void ma_control_destroy(struct ma_control *control) {
    if (control == NULL) {
        return;
    }
    uint64_t one = 1;
    __atomic_store_n(&control->should_stop, true, __ATOMIC_RELEASE);
    (void) !write(control->wake_fd, &one,
                  sizeof(one)); /* full means that a wake is pending already */
    (void) pthread_join(control->thread, NULL);
    free_control(control);
}

static void accept_clients(struct ma_control *control) {
    /* A bounded number a turn, so that a flood of connections leaves time for those who are in. */
    for (unsigned i = 0; i < 16; i++) {
        int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return; /* EAGAIN, a peer that is gone already, or no descriptor left: the next turn tries again */
        }
        ma_control_client_open(control, fd);
    }
}

static int poll_timeout_ms(const struct ma_control *control) {
    uint64_t nearest = MA_USEC_INFINITY;
    uint64_t now = ma_control_now_usec();
    for (size_t i = 0; i < control->n_clients; i++) {
        nearest = ma_min_u64(nearest, ma_control_client_deadline(&control->clients[i]));
    }
    if (nearest == MA_USEC_INFINITY) {
        return -1;
    }
    return (int) (ma_min_u64(ma_sub_floor0(nearest, now), MA_CONTROL_IDLE_USEC) / 1000) + 1;
}

static void fill_polls(const struct ma_control *control, struct pollfd *polls) {
    polls[0] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < control->n_clients; i++) {
        const struct ma_control_client *client = &control->clients[i];
        bool is_writing = client->out_len > client->out_at;
        /* No new call is read while an answer waits: a client that never reads cannot pile answers up. */
        bool is_reading = !client->is_ending && (!is_writing || client->is_subscribed);
        polls[i + 2] = (struct pollfd){
            .fd = client->fd,
            .events = (short) ((is_writing ? POLLOUT : 0) | (is_reading ? POLLIN : 0)),
        };
    }
}

static void serve_clients(struct ma_control *control, const struct pollfd *polls, size_t n) {
    uint64_t now = ma_control_now_usec();
    /* Backwards: closing one moves the last into its place. */
    for (size_t i = n; i-- > 0;) {
        struct ma_control_client *client = &control->clients[i];
        bool can_read = (polls[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        bool is_good = ma_control_client_deadline(client) > now;
        if (is_good && polls[i + 2].revents != 0) {
            is_good = ma_control_client_step(control, client, can_read);
        }
        if (!is_good) {
            ma_control_client_close(control, i);
        }
    }
}

void *ma_control_thread(void *userdata) {
    struct ma_control *control = userdata;
    struct pollfd polls[MA_CONTROL_CLIENTS_MAX + 2];
    if (control->ops.thread_start != NULL) {
        control->ops.thread_start(control->ops.userdata);
    }
    while (!__atomic_load_n(&control->should_stop, __ATOMIC_ACQUIRE)) {
        size_t n = control->n_clients;
        fill_polls(control, polls);
        if (poll(polls, (nfds_t) n + 2, poll_timeout_ms(control)) < 0) {
            continue; /* EINTR */
        }
        serve_clients(control, polls, n);
        if (polls[0].revents != 0) {
            ma_control_deliver_events(control);
        }
        if (polls[1].revents != 0) {
            accept_clients(control);
        }
    }
    while (control->n_clients > 0) {
        ma_control_client_close(control, control->n_clients - 1);
    }
    ma_control_forget_history(control);
    if (control->ops.thread_stop != NULL) {
        control->ops.thread_stop(control->ops.userdata);
    }
    return NULL;
}
