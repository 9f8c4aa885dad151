/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* requests.c - actions over the monitor. The path from submit() to the socket allocates nothing: the request is kept
 * in the peer, the command is formatted into the client's own buffer and leaves in one send(2). */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "peer.h"

/* A balloon target is whole pages: a shrink rounds up, so that an error never hurts the guest. */
#define PAGE_BYTES UINT64_C(4096)

bool ma_peer_can_act(const struct ma_peer *peer) {
    return peer->stage == MA_PEER_KNOWN && !peer->has_request &&
           qmp_client_state(peer->client) == QMP_STATE_READY;
}

static void send_outcome(struct ma_peer *peer, enum ma_outcome_result result, const char *detail) {
    struct ma_source_message message = {.event = MA_SOURCE_OUTCOME};
    message.outcome.id = peer->request.id;
    memcpy(message.outcome.uuid, peer->request.uuid, sizeof(message.outcome.uuid));
    message.outcome.action = peer->request.action;
    message.outcome.result = result;
    message.outcome.took_usec = ma_sub_floor0(peer->source->now_usec, peer->request_usec);
    (void) snprintf(message.outcome.detail, sizeof(message.outcome.detail), "%s", detail);
    peer->has_request = false;
    ma_peer_send(peer, &message);
}

void ma_peer_fail_request(struct ma_peer *peer, enum ma_outcome_result result, const char *detail) {
    if (peer->has_request) {
        send_outcome(peer, result, detail);
    }
}

static void answered(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (!peer->has_request) {
        return;
    }
    bool is_quit = peer->request.action == MA_ACTION_KILL;
    switch (result->outcome) {
    case QMP_DONE:
        send_outcome(peer, MA_OUTCOME_DONE, "");
        break;
    case QMP_ERROR:
    case QMP_BAD_REPLY:
        send_outcome(peer, MA_OUTCOME_REFUSED, result->text);
        break;
    case QMP_TIMEOUT:
        send_outcome(peer, MA_OUTCOME_TIMEOUT, result->text);
        break;
    case QMP_CLOSED:
        send_outcome(peer, is_quit ? MA_OUTCOME_DONE : MA_OUTCOME_GONE, result->text);
        break;
    }
}

static int start(struct ma_peer *peer, const struct ma_request *request) {
    struct qmp_call call = ma_peer_call(peer, answered);
    call.now_usec = request->submitted_usec;
    call.deadline_usec = request->deadline_usec;
    switch (request->action) {
    case MA_ACTION_BALLOON:
        return qmp_balloon(peer->client, &call, ma_round_up(request->to_bytes, PAGE_BYTES));
    case MA_ACTION_RESIZE:
        return peer->virtio_mem_path[0] == '\0'
                   ? -EOPNOTSUPP
                   : qmp_resize_virtio_mem(peer->client, &call, peer->virtio_mem_path,
                                           request->to_bytes);
    case MA_ACTION_PAUSE:
        return qmp_stop(peer->client, &call);
    case MA_ACTION_RESUME:
        return qmp_cont(peer->client, &call);
    case MA_ACTION_SHUTDOWN:
        return qmp_system_powerdown(peer->client, &call);
    case MA_ACTION_KILL:
        return qmp_quit(peer->client, &call);
    case MA_ACTION_RECLAIM:
    case MA_ACTION_SAVE:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_REBALANCE:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
        break;
    }
    return -EOPNOTSUPP;
}

int ma_peer_submit(void *self, const struct ma_request *request) {
    struct ma_qmp_source *source = self;
    struct ma_peer *peer = ma_qmp_source_find(source, request->uuid);
    if (peer == NULL || peer->stage != MA_PEER_KNOWN) {
        return -ENOENT;
    }
    if (peer->has_request) {
        return -EBUSY;
    }
    if (qmp_client_state(peer->client) != QMP_STATE_READY) {
        return -ENOTCONN;
    }
    peer->request = *request;
    peer->request_usec = request->submitted_usec;
    peer->has_request = true;
    int r = start(peer, request);
    if (r < 0) {
        peer->has_request = false;
        return r;
    }
    ma_qmp_source_note_due(source, peer);
    return 0;
}
