/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-client.c - one connection: bounded input, bounded output, deadlines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "control-internal.h"

void ma_control_client_open(struct ma_control *control, int fd) {
    struct ucred peer;
    socklen_t len = sizeof(peer);
    bool is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0;
    bool is_root = is_known && peer.uid == 0;
    size_t max = MA_CONTROL_CLIENTS_MAX - (is_root ? 0U : MA_CONTROL_CLIENTS_FOR_ROOT);
    if (!is_known || control->n_clients >= max) {
        (void) close(fd);
        return;
    }
    uint64_t now = ma_control_now_usec();
    control->clients[control->n_clients++] = (struct ma_control_client){
        .fd = fd,
        .uid = peer.uid,
        .is_root = is_root,
        .last_in_usec = now,
        .last_out_usec = now,
    };
}

void ma_control_client_close(struct ma_control *control, size_t index) {
    struct ma_control_client *client = &control->clients[index];
    (void) close(client->fd);
    control->pending_bytes -= client->out_size;
    free(client->in);
    free(client->out);
    *client = control->clients[--control->n_clients];
}

uint64_t ma_control_client_deadline(const struct ma_control_client *client) {
    bool is_writing = client->out_len > client->out_at;
    if (client->in_len > 0 && !is_writing) {
        return client->last_in_usec + MA_CONTROL_STALL_USEC;
    }
    if (client->is_subscribed) {
        return MA_USEC_INFINITY; /* may be slow for as long as it likes: it loses events, nothing else */
    }
    if (is_writing) {
        return client->last_out_usec + MA_CONTROL_STALL_USEC;
    }
    return ma_max_u64(client->last_in_usec, client->last_out_usec) + MA_CONTROL_IDLE_USEC;
}

bool ma_control_client_send(struct ma_control *control,
                            struct ma_control_client *client,
                            const char *text,
                            size_t len) {
    if (client->out_at > 0) {
        (void) memmove(client->out, client->out + client->out_at, client->out_len - client->out_at);
        client->out_len -= client->out_at;
        client->out_at = 0;
    }
    if (client->out_len == 0) {
        client->last_out_usec = ma_control_now_usec();
    }
    size_t need = client->out_len + len;
    if (need > client->out_size) {
        char *out = realloc(client->out, need);
        if (out == NULL) {
            return false;
        }
        control->pending_bytes += need - client->out_size;
        client->out = out;
        client->out_size = need;
    }
    (void) memcpy(client->out + client->out_len, text, len);
    client->out_len += len;
    return true;
}

bool ma_control_client_flush(struct ma_control *control, struct ma_control_client *client) {
    while (client->out_at < client->out_len) {
        ssize_t n = send(client->fd, client->out + client->out_at, client->out_len - client->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        client->out_at += (size_t) n;
        client->last_out_usec = ma_control_now_usec();
    }
    control->pending_bytes -= client->out_size;
    free(client->out);
    client->out = NULL;
    client->out_at = client->out_len = client->out_size = 0;
    return !client->is_ending;
}

/* Answers the whole messages in `in`, as long as nothing waits to be written. */
static bool answer_messages(struct ma_control *control, struct ma_control_client *client) {
    size_t at = 0;
    bool is_good = true;
    while (is_good && !client->is_ending && (client->out_len == 0 || client->is_subscribed)) {
        size_t size = ma_varlink_message_size(client->in + at, client->in_len - at);
        if (size == 0) {
            break;
        }
        is_good = ma_control_answer(control, client, client->in + at, size - 1) &&
                  ma_control_client_flush(control, client);
        at += size;
    }
    (void) memmove(client->in, client->in + at, client->in_len - at);
    client->in_len -= at;
    if (client->in_len == 0) {
        free(client->in);
        client->in = NULL;
        client->in_size = 0;
    }
    return is_good;
}

static bool grow_input(struct ma_control_client *client) {
    size_t size = client->in_size == 0 ? 1024 : client->in_size * 2;
    if (client->in_size > MA_VARLINK_IN_MAX) {
        return false;
    }
    /* One byte more than a message may have: its NUL. */
    size = size > MA_VARLINK_IN_MAX ? MA_VARLINK_IN_MAX + 1 : size;
    char *in = realloc(client->in, size);
    if (in == NULL) {
        return false;
    }
    client->in = in;
    client->in_size = size;
    return true;
}

/* true: go on; false: end of file, an error, or a message that is too long. */
static bool read_input(struct ma_control_client *client) {
    if (client->in_len == client->in_size && !grow_input(client)) {
        return false;
    }
    ssize_t n = recv(client->fd, client->in + client->in_len, client->in_size - client->in_len,
                     MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        return false;
    }
    /* The clock of a message begun is not wound up by each byte of it: a byte a second is a stall, too. */
    if (client->in_len == 0) {
        client->last_in_usec = ma_control_now_usec();
    }
    client->in_len += (size_t) n;
    return true;
}

bool ma_control_client_step(struct ma_control *control,
                            struct ma_control_client *client,
                            bool can_read) {
    if (client->out_len > 0 && !ma_control_client_flush(control, client)) {
        return false;
    }
    bool is_open = true;
    bool is_blocked = client->out_len > 0 && !client->is_subscribed;
    if (can_read && !client->is_ending && !is_blocked) {
        is_open = read_input(client);
    }
    if (is_open && client->in_len > 0) {
        size_t before = client->in_len;
        is_open = answer_messages(control, client);
        if (client->in_len > 0 && client->in_len < before) {
            client->last_in_usec = ma_control_now_usec();
        }
    }
    return is_open;
}
