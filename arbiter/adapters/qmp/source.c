/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* source.c - the listener, the globs, the set of peers. */

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "dial-in.h"
#include "log.h"
#include "peer.h"

/* New monitor sockets are looked for this often. Longer: a guest without libvirt is unknown for that time; shorter: a
 * readdir of somebody's folder for nothing. Guess. */
#define GLOB_PERIOD_USEC (5 * MA_USEC_PER_SEC)
/* Connections accepted in one dispatch; the rest comes with the next. Bounds the time a boot storm takes from the
 * loop: about 30 us each. */
#define ACCEPT_MAX 64
/* Peers asked for figures in one dispatch, about 20 us each. More: a pressure event waits for them (all of 1,000 at once
 * were 25 ms); fewer: more looks at all peers. */
#define POLLS_MAX 64
/* A QEMU that dials in says nothing until it has started, which takes as long as pinning its memory for a device does. It
 * must not be hung up on before: QEMU 7.2 hands its first connection from the main thread to the monitor's own while it is
 * still being set up, and one that is closed by then ends QEMU with SIGSEGV (chardev/char-socket.c update_ioc_handlers();
 * 4 of 4 in the lab after 3 s). Shorter: ends guests that start slowly, 1 TiB of pinned memory takes minutes; longer: who
 * never speaks keeps a place, two a process. A guess. */
#define DIAL_GREETING_USEC (1800 * MA_USEC_PER_SEC)
/* Connections of one process: QEMU's monitor, and its next one while the end of the last is not seen yet. More: one
 * process can take the places of all guests. */
#define PEERS_PER_PROCESS_MAX 2U
/* Shorter: a QEMU that is refused and dials again every second fills the journal; longer: an operator who looks for the
 * reason waits. Guess. */
#define COMPLAINT_PERIOD_USEC (10 * MA_USEC_PER_SEC)
#define EVENTS_MAX            64

static int watch_listener(struct ma_qmp_source *source) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, source->listen_fd, &event) < 0 ? -errno : 0;
}

int ma_qmp_source_create(const struct ma_qmp_source_config *config,
                         const struct ma_qmp_source_ops *ops,
                         struct ma_qmp_source **ret,
                         struct ma_err *err) {
    struct ma_qmp_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    source->config = *config;
    source->ops = *ops;
    source->actuator = (struct ma_actuator){"qmp", source, ma_peer_submit};
    source->listen_fd = -1;
    source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    size_t max_peers = config->max_peers > 0 ? config->max_peers : 1;
    source->peers = calloc(max_peers, sizeof(*source->peers));
    source->hashes = calloc(max_peers, sizeof(*source->hashes));
    source->dues_usec = calloc(max_peers, sizeof(*source->dues_usec));
    int r = 0;
    if (source->epoll_fd < 0 || source->peers == NULL || source->hashes == NULL ||
        source->dues_usec == NULL) {
        r = ma_err_set(err, -ENOMEM, "cannot set up the QMP source: %s", strerror(errno));
    }
    if (r == 0 && config->listen_path != NULL && config->listen_path[0] != '\0') {
        source->listen_fd =
            ma_dial_in_listen(config->listen_path, config->listen_uid, "QmpListen=", err);
        r = source->listen_fd < 0 ? source->listen_fd : watch_listener(source);
    }
    if (r < 0) {
        ma_qmp_source_destroy(source);
        return r;
    }
    *ret = source;
    return 0;
}

void ma_qmp_source_destroy(struct ma_qmp_source *source) {
    if (source == NULL) {
        return;
    }
    for (size_t i = 0; i < source->n_peers; i++) {
        ma_peer_destroy(source->peers[i]);
    }
    ma_dial_in_close(source->listen_fd, source->config.listen_path);
    if (source->epoll_fd >= 0) {
        (void) close(source->epoll_fd);
    }
    free(source->peers);
    free(source->hashes);
    free(source->dues_usec);
    free(source);
}

static void
put_at(struct ma_qmp_source *source, struct ma_peer *peer, size_t index, uint64_t due_usec) {
    source->peers[index] = peer;
    source->hashes[index] = peer->uuid_hash;
    source->dues_usec[index] = due_usec;
    peer->index = index;
}

void ma_qmp_source_set_uuid(struct ma_qmp_source *source, struct ma_peer *peer, const char *uuid) {
    (void) snprintf(peer->uuid, sizeof(peer->uuid), "%s", uuid);
    peer->uuid_hash = ma_qmp_source_hash(uuid);
    source->hashes[peer->index] = peer->uuid_hash;
}

enum ma_log_level ma_qmp_source_complaint_level(struct ma_qmp_source *source,
                                                enum ma_complaint kind) {
    if (source->now_usec < source->quiet_until_usec[kind]) {
        return MA_LOG_DEBUG;
    }
    source->quiet_until_usec[kind] = source->now_usec + COMPLAINT_PERIOD_USEC;
    return MA_LOG_WARNING;
}

static struct ma_peer *add_peer(struct ma_qmp_source *source, uint64_t greeting_usec) {
    if (source->n_peers >= source->config.max_peers) {
        return NULL;
    }
    struct ma_peer *peer = ma_peer_create(source, greeting_usec);
    if (peer != NULL) {
        put_at(source, peer, source->n_peers++, 0);
    }
    return peer;
}

static bool has_too_many(const struct ma_qmp_source *source, pid_t pid) {
    unsigned n = 0;
    for (size_t i = 0; i < source->n_peers && n < PEERS_PER_PROCESS_MAX; i++) {
        n += source->peers[i]->pid == pid && !source->peers[i]->is_dead ? 1 : 0;
    }
    return n >= PEERS_PER_PROCESS_MAX;
}

static void accept_one(struct ma_qmp_source *source, int fd) {
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0) {
        (void) close(fd);
        return;
    }
    if (has_too_many(source, cred.pid)) {
        ma_log(ma_qmp_source_complaint_level(source, MA_COMPLAINT_TOO_MANY),
               "process %d dials in again and again: one monitor a guest", (int) cred.pid);
        (void) close(fd);
        return;
    }
    struct ma_peer *peer = add_peer(source, DIAL_GREETING_USEC);
    if (peer == NULL) {
        ma_log(ma_qmp_source_complaint_level(source, MA_COMPLAINT_NO_ROOM),
               "no room for the monitor of process %d: raise MaxGuests=", (int) cred.pid);
        (void) close(fd);
        return;
    }
    peer->pid = cred.pid;
    if (qmp_client_adopt(peer->client, fd, source->now_usec) < 0) {
        (void) close(fd);
        peer->is_dead = true;
    }
}

static void accept_peers(struct ma_qmp_source *source) {
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(source->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return; /* EAGAIN; EMFILE and the like: the peer's QEMU dials again */
        }
        accept_one(source, fd);
    }
}

static struct ma_peer *peer_of_path(const struct ma_qmp_source *source, const char *path) {
    for (size_t i = 0; i < source->n_peers; i++) {
        if (strcmp(source->peers[i]->path, path) == 0) {
            return source->peers[i];
        }
    }
    return NULL;
}

static void found_path(struct ma_qmp_source *source, const char *path) {
    struct ma_peer *peer = peer_of_path(source, path);
    if (peer == NULL && strlen(path) < sizeof(peer->path)) {
        peer = add_peer(source, 0);
        if (peer == NULL) {
            ma_log(ma_qmp_source_complaint_level(source, MA_COMPLAINT_NO_ROOM),
                   "no room for the monitor %s, its guest is not watched: raise MaxGuests=", path);
            return;
        }
        memcpy(peer->path, path, strlen(path) + 1);
        if (qmp_client_connect(peer->client, path, source->now_usec) < 0) {
            peer->is_dead = true;
        }
    }
    if (peer != NULL) {
        peer->is_seen = true;
    }
}

static void look_for_sockets(struct ma_qmp_source *source) {
    for (size_t i = 0; i < source->n_peers; i++) {
        source->peers[i]->is_seen = source->peers[i]->path[0] == '\0';
    }
    for (size_t i = 0; i < source->config.n_globs; i++) {
        glob_t found = {0};
        if (glob(source->config.globs[i], 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                found_path(source, found.gl_pathv[k]);
            }
        }
        globfree(&found);
    }
    for (size_t i = 0; i < source->n_peers; i++) {
        struct ma_peer *peer = source->peers[i];
        /* a socket that is gone while its connection lives says nothing about the guest */
        if (!peer->is_seen && qmp_client_state(peer->client) != QMP_STATE_READY) {
            peer->is_dead = true;
            ma_qmp_source_note_due(source, peer);
        }
    }
}

static void look_for_next_due(struct ma_qmp_source *source) {
    source->next_due_usec = UINT64_MAX;
    for (size_t i = 0; i < source->n_peers; i++) {
        source->next_due_usec = ma_min_u64(source->next_due_usec, source->dues_usec[i]);
    }
}

static void reap(struct ma_qmp_source *source) {
    size_t kept = 0;
    for (size_t i = 0; i < source->n_peers; i++) {
        if (source->peers[i]->is_dead) {
            ma_peer_destroy(source->peers[i]);
        } else {
            put_at(source, source->peers[i], kept++, source->dues_usec[i]);
        }
    }
    source->n_peers = kept;
}

int ma_qmp_source_fd(const struct ma_qmp_source *source) {
    return source->epoll_fd;
}

uint64_t ma_qmp_source_deadline(const struct ma_qmp_source *source) {
    uint64_t at = source->config.n_globs > 0 ? source->next_glob_usec : UINT64_MAX;
    return ma_min_u64(at, source->next_due_usec);
}

void ma_qmp_source_note_due(struct ma_qmp_source *source, const struct ma_peer *peer) {
    uint64_t due = peer->is_dead ? 0 : ma_peer_deadline(peer);
    source->dues_usec[peer->index] = due;
    source->next_due_usec = ma_min_u64(source->next_due_usec, due);
}

/* Peers that are due, or almost: asking a little early lets one look serve many of them. The others' memory is not touched:
 * with 1,000 peers that are asked each 10 s, looking at all of them three times a second was a fifth of the work here. */
static void tick_peers(struct ma_qmp_source *source) {
    uint64_t until = ma_add_sat(source->now_usec, ma_peer_slack_usec(source));
    bool has_dead = false;
    source->next_due_usec = UINT64_MAX;
    source->polls_left = POLLS_MAX;
    for (size_t i = 0; i < source->n_peers; i++) {
        struct ma_peer *peer = source->peers[i];
        if (source->dues_usec[i] > until) {
            source->next_due_usec = ma_min_u64(source->next_due_usec, source->dues_usec[i]);
            continue;
        }
        if (!peer->is_dead) {
            ma_peer_tick(peer);
        }
        has_dead = has_dead || peer->is_dead;
        ma_qmp_source_note_due(source, peer);
    }
    if (has_dead) {
        reap(source);
        look_for_next_due(source);
    }
}

static void dispatch_peer(struct ma_qmp_source *source, struct ma_peer *peer, uint32_t revents) {
    /* epoll's and poll's bits are the same numbers for IN, OUT, ERR, HUP */
    qmp_client_dispatch(peer->client, (short) (revents & 0x7fffU), source->now_usec);
    ma_qmp_source_note_due(source, peer);
}

void ma_qmp_source_dispatch(struct ma_qmp_source *source, uint64_t now_usec) {
    source->now_usec = now_usec;
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(source->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        struct ma_peer *peer = events[i].data.ptr;
        if (peer == NULL) {
            accept_peers(source);
            source->next_due_usec = 0;
        } else if (!peer->is_dead) {
            dispatch_peer(source, peer, events[i].events);
        }
    }
    if (source->config.n_globs > 0 && now_usec >= source->next_glob_usec) {
        source->next_glob_usec = now_usec + GLOB_PERIOD_USEC;
        look_for_sockets(source);
        source->next_due_usec = 0;
    }
    if (now_usec >= source->next_due_usec) {
        tick_peers(source);
    }
}

void ma_qmp_source_set_poll(struct ma_qmp_source *source, uint64_t poll_usec, uint64_t now_usec) {
    if (source->config.poll_usec == poll_usec) {
        return;
    }
    source->config.poll_usec = poll_usec;
    for (size_t i = 0; i < source->n_peers; i++) {
        struct ma_peer *peer = source->peers[i];
        peer->next_poll_usec =
            ma_min_u64(peer->next_poll_usec, now_usec + ma_peer_phase_usec(peer, poll_usec));
        ma_qmp_source_note_due(source, peer);
    }
}

void ma_qmp_source_set_may_touch(struct ma_qmp_source *source, bool may_touch, uint64_t now_usec) {
    source->config.may_touch = may_touch;
    source->now_usec = now_usec;
    for (size_t i = 0; may_touch && i < source->n_peers; i++) {
        ma_peer_start_statistics(source->peers[i]);
        ma_qmp_source_note_due(source, source->peers[i]);
    }
}

size_t ma_qmp_source_n_peers(const struct ma_qmp_source *source) {
    size_t n = 0;
    for (size_t i = 0; i < source->n_peers; i++) {
        n += source->peers[i]->stage == MA_PEER_KNOWN ? 1 : 0;
    }
    return n;
}

uint64_t ma_qmp_source_hash(const char *uuid) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *p = uuid; *p != '\0'; p++) {
        hash = (hash ^ (uint64_t) (unsigned char) *p) * UINT64_C(1099511628211);
    }
    return hash | 1U;
}

struct ma_peer *ma_qmp_source_find(const struct ma_qmp_source *source, const char *uuid) {
    uint64_t hash = ma_qmp_source_hash(uuid);
    for (size_t i = 0; i < source->n_peers; i++) {
        if (source->hashes[i] != hash) {
            continue;
        }
        struct ma_peer *peer = source->peers[i];
        if (!peer->is_dead && strcmp(peer->uuid, uuid) == 0) {
            return peer;
        }
    }
    return NULL;
}

void ma_qmp_source_drop(struct ma_qmp_source *source, const char *uuid) {
    struct ma_peer *peer = ma_qmp_source_find(source, uuid);
    if (peer != NULL) {
        qmp_client_close(peer->client, "it is not the process of that guest");
        peer->is_dead = true;
        ma_qmp_source_note_due(source, peer);
    }
}

const struct ma_actuator *ma_qmp_source_actuator(struct ma_qmp_source *source) {
    return &source->actuator;
}
