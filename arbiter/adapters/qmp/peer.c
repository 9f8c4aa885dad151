/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* peer.c - the life of one monitor connection: connect or adopt, find out whose it is, ask facts, poll figures.
 *
 * A peer that breaks the protocol is closed by the client library; here that only means that this guest's figures
 * from QMP stop. A guest is never reported as ended because its monitor went: its pidfd says that. */

#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bytes.h"
#include "log.h"

/* How often the loop is asked again whose process this is (libvirt may list the domain a moment later). */
#define IDENTIFY_PERIOD_USEC (500 * MA_USEC_PER_MSEC)

void ma_peer_send(struct ma_peer *peer, struct ma_source_message *message) {
    if (peer->uuid[0] == '\0') {
        return; /* not known yet: nobody could use it */
    }
    memcpy(message->uuid, peer->uuid, sizeof(message->uuid));
    peer->source->ops.on_message(peer->source->ops.userdata, message);
}

struct qmp_call ma_peer_call(struct ma_peer *peer,
                             void (*done)(void *userdata, const struct qmp_result *result)) {
    uint64_t now = peer->source->now_usec;
    return (struct qmp_call){.done = done,
                             .userdata = peer,
                             .now_usec = now,
                             .deadline_usec = now + peer->source->config.deadline_usec};
}

static void poll_changed(void *userdata, int fd, short events) {
    struct ma_peer *peer = userdata;
    int epoll_fd = peer->source->epoll_fd;
    if (peer->fd >= 0 && peer->fd != fd) {
        (void) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, peer->fd,
                         NULL); /* the kernel forgets a closed one itself */
    }
    if (fd >= 0) {
        struct epoll_event event = {.events = (uint32_t) (unsigned short) events, .data.ptr = peer};
        int op = peer->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (epoll_ctl(epoll_fd, op, fd, &event) < 0) {
            ma_log(MA_LOG_WARNING, "cannot watch a monitor: %s", strerror(errno));
            peer->is_dead = true;
        }
    }
    peer->fd = fd;
}

static void send_simple(struct ma_peer *peer, enum ma_source_event event) {
    struct ma_source_message message = {.event = event};
    ma_peer_send(peer, &message);
}

static void set_stuck(struct ma_peer *peer, bool is_stuck) {
    if (peer->is_stuck != is_stuck) {
        peer->is_stuck = is_stuck;
        send_simple(peer, is_stuck ? MA_SOURCE_STUCK : MA_SOURCE_UNSTUCK);
    }
}

/* The process behind a socket that we connected to: the one that listens on it. */
static pid_t pid_of_listener(int fd) {
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
        return 0;
    }
    return cred.pid;
}

static void state_changed(void *userdata, enum qmp_state state, const char *reason) {
    struct ma_peer *peer = userdata;
    if (state == QMP_STATE_READY) {
        if (peer->pid == 0) {
            peer->pid = pid_of_listener(qmp_client_fd(peer->client));
        }
        if (peer->stage == MA_PEER_CONNECTING) {
            peer->stage = MA_PEER_UNKNOWN;
            peer->next_identify_usec = 0;
        }
        ma_qmp_source_note_due(peer->source, peer);
        return;
    }
    if (state == QMP_STATE_WAITING || state == QMP_STATE_CLOSED) {
        ma_log(MA_LOG_DEBUG, "monitor of %s: %s", peer->name[0] != '\0' ? peer->name : "?", reason);
        bool keeps_facts =
            peer->stage == MA_PEER_KNOWN && peer->source->config.mode == MA_QMP_SOURCE_PER_COMMAND;
        if (!keeps_facts) {
            peer->stage = MA_PEER_CONNECTING;
        }
        if (peer->path[0] == '\0') {
            peer->is_dead = true; /* it dials in again */
        }
    }
}

static void tell_state(struct ma_peer *peer, enum ma_guest_state state, enum ma_action ours) {
    bool is_ours = peer->has_request && peer->request.action == ours;
    struct ma_source_message message = {.event = MA_SOURCE_STATE,
                                        .state = {.state = state, .is_by_other = !is_ours}};
    ma_peer_send(peer, &message);
}

static void event_seen(void *userdata, const struct qmp_event *event) {
    struct ma_peer *peer = userdata;
    switch (event->kind) {
    case QMP_EVENT_STOP:
        tell_state(peer, MA_GUEST_PAUSED, MA_ACTION_PAUSE);
        break;
    case QMP_EVENT_RESUME:
        tell_state(peer, MA_GUEST_RUNNING, MA_ACTION_RESUME);
        break;
    case QMP_EVENT_SHUTDOWN:
        tell_state(peer, MA_GUEST_SHUTTING_DOWN, MA_ACTION_SHUTDOWN);
        break;
    case QMP_EVENT_RESET:
        send_simple(peer, MA_SOURCE_RESET);
        break;
    case QMP_EVENT_BALLOON_CHANGE:
        ma_peer_note_actual(peer, &event->balloon);
        ma_peer_send_figures(peer);
        break;
    case QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE:
    case QMP_EVENT_DEVICE_DELETED:
        peer->next_poll_usec = 0;
        break;
    case QMP_EVENT_OTHER:
    case QMP_EVENT_POWERDOWN:
    case QMP_EVENT_SUSPEND:
    case QMP_EVENT_SUSPEND_DISK:
    case QMP_EVENT_WAKEUP:
    case QMP_EVENT_VSERPORT_CHANGE:
    case QMP_EVENT_MIGRATION:
    case QMP_EVENT_COUNT:
        break;
    }
}

static const struct qmp_ops ops = {
    .on_poll = poll_changed, .on_state = state_changed, .on_event = event_seen};

struct ma_peer *ma_peer_create(struct ma_qmp_source *source, uint64_t greeting_usec) {
    struct ma_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->source = source;
    peer->fd = -1;
    struct qmp_options options = {
        .greeting_timeout_usec = greeting_usec,
        .command_timeout_usec = source->config.deadline_usec,
        .is_single_try = source->config.mode == MA_QMP_SOURCE_PER_COMMAND,
    };
    peer->client = qmp_client_create(&options, &ops, peer);
    if (peer->client == NULL) {
        free(peer);
        return NULL;
    }
    return peer;
}

void ma_peer_destroy(struct ma_peer *peer) {
    if (peer->is_interval_ours && qmp_client_state(peer->client) == QMP_STATE_READY) {
        struct qmp_call call = ma_peer_call(peer, NULL);
        /* as far as the socket takes it now: we are going */
        (void) qmp_set_stats_interval(peer->client, &call, peer->balloon_path, 0);
    }
    qmp_client_destroy(peer->client);
    ma_peer_fail_request(peer, MA_OUTCOME_GONE, "the monitor was closed");
    free(peer);
}

static void identify(struct ma_peer *peer) {
    struct ma_qmp_source *source = peer->source;
    char uuid[MA_SOURCE_UUID_MAX] = "";
    int r = source->ops.identify(source->ops.userdata, peer->pid, uuid, peer->name);
    if (r == -EAGAIN) {
        peer->next_identify_usec = source->now_usec + IDENTIFY_PERIOD_USEC;
        return;
    }
    if (r == 0 && ma_qmp_source_find(source, uuid) != NULL &&
        ma_qmp_source_find(source, uuid) != peer) {
        r = -EEXIST; /* one monitor a guest; the first one serves */
    }
    if (r < 0) {
        ma_log(ma_qmp_source_complaint_level(source, MA_COMPLAINT_REFUSED),
               "the monitor of process %d is refused: %s", (int) peer->pid,
               r == -EEXIST   ? "a guest of that uuid has another one"
               : r == -ENOSPC ? "no room for its guest, raise MaxGuests="
                              : "no guest of ours");
        qmp_client_close(peer->client, "not a guest of this host");
        peer->is_dead = true;
        return;
    }
    ma_qmp_source_set_uuid(source, peer, uuid);
    peer->stage = MA_PEER_ASKING;
    ma_peer_ask_facts(peer);
}

/* Hosts whose own tools share the monitor: connect only for an exchange, let go when nothing is under way. */
static bool may_let_go(const struct ma_peer *peer) {
    return qmp_client_state(peer->client) == QMP_STATE_READY && peer->stage == MA_PEER_KNOWN &&
           qmp_client_in_flight(peer->client) == 0 && !peer->has_request &&
           peer->source->now_usec < peer->next_poll_usec;
}

static void tick_per_command(struct ma_peer *peer) {
    enum qmp_state state = qmp_client_state(peer->client);
    uint64_t now = peer->source->now_usec;
    if (may_let_go(peer)) {
        qmp_client_close(peer->client, "");
    } else if (state == QMP_STATE_CLOSED && now >= peer->next_poll_usec) {
        if (qmp_client_connect(peer->client, peer->path, now) < 0) {
            peer->next_poll_usec = now + peer->source->config.poll_usec;
        }
    }
}

/* Asking a little early lets one look at all peers serve many of them. Larger: figures are asked more often than
 * wanted; smaller: with 1,000 peers the looking costs as much as the asking (measured: 8 % of the work). */
#define SLACK_DIVISOR 20U

uint64_t ma_peer_slack_usec(const struct ma_qmp_source *source) {
    return source->config.poll_usec / SLACK_DIVISOR;
}

uint64_t ma_peer_phase_usec(const struct ma_peer *peer, uint64_t period_usec) {
    return period_usec > 0 ? 1 + peer->uuid_hash % period_usec : 0;
}

void ma_peer_tick(struct ma_peer *peer) {
    uint64_t now = peer->source->now_usec;
    if (now >= qmp_client_deadline(peer->client)) {
        qmp_client_dispatch(peer->client, 0, now);
    }
    if (peer->is_dead) {
        return;
    }
    bool is_ready = qmp_client_state(peer->client) == QMP_STATE_READY;
    if (is_ready && peer->stage == MA_PEER_UNKNOWN && now >= peer->next_identify_usec) {
        identify(peer);
    }
    bool is_first = peer->next_poll_usec == 0;
    if (is_ready && peer->stage == MA_PEER_KNOWN && peer->source->polls_left > 0 &&
        now + ma_peer_slack_usec(peer->source) >= peer->next_poll_usec) {
        uint64_t poll_usec = peer->source->config.poll_usec;
        peer->next_poll_usec = now + (is_first ? ma_peer_phase_usec(peer, poll_usec) : poll_usec);
        peer->source->polls_left--;
        set_stuck(peer, qmp_client_unanswered(peer->client) > 0);
        if (!peer->is_stuck) {
            ma_peer_ask_figures(peer);
        }
    }
    if (peer->path[0] != '\0' && peer->source->config.mode == MA_QMP_SOURCE_PER_COMMAND) {
        tick_per_command(peer);
    }
}

uint64_t ma_peer_deadline(const struct ma_peer *peer) {
    uint64_t at = qmp_client_deadline(peer->client);
    enum qmp_state state = qmp_client_state(peer->client);
    if (state == QMP_STATE_READY && peer->stage == MA_PEER_UNKNOWN) {
        at = ma_min_u64(at, peer->next_identify_usec);
    }
    bool is_shared =
        peer->path[0] != '\0' && peer->source->config.mode == MA_QMP_SOURCE_PER_COMMAND;
    if (is_shared && may_let_go(peer)) {
        return 0;
    }
    if ((state == QMP_STATE_READY && peer->stage == MA_PEER_KNOWN) ||
        (is_shared && state == QMP_STATE_CLOSED)) {
        at = ma_min_u64(at, peer->next_poll_usec);
    }
    return at;
}
