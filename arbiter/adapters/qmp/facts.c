/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* facts.c - what a guest is: its memory, its balloon, what makes a balloon useless. Asked once when its monitor is
 * there; every question may fail alone (older QEMU, no such device) without failing the rest. */

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "peer.h"

/* Given to a balloon whose statistics nobody asks for: whole seconds is all that QEMU knows. Longer: staler figures;
 * shorter: the guest is woken more often. The budget is figures at most 10 s old. */
#define STATS_INTERVAL_SEC 5U

static void finish_facts(struct ma_peer *peer) {
    peer->facts.max_bytes = ma_add_sat(peer->base_bytes, peer->dimm_bytes);
    peer->facts.pid = peer->pid;
    (void) snprintf(peer->facts.name, sizeof(peer->facts.name), "%s", peer->name);
    peer->stage = MA_PEER_KNOWN;
    peer->next_poll_usec = 0;
    struct ma_source_message message = {.event = MA_SOURCE_GUEST, .guest = peer->facts};
    ma_peer_send(peer, &message);
    ma_qmp_source_note_due(peer->source, peer);
}

static void one_answered(struct ma_peer *peer) {
    if (peer->facts_pending > 0 && --peer->facts_pending == 0 && peer->stage == MA_PEER_ASKING) {
        finish_facts(peer);
    }
}

static bool is_answer(const struct qmp_result *result) {
    return result->outcome == QMP_DONE && result->reply != NULL;
}

void ma_peer_start_statistics(struct ma_peer *peer) {
    if (!peer->is_interval_off || peer->is_interval_ours || !peer->source->config.may_touch ||
        qmp_client_state(peer->client) != QMP_STATE_READY) {
        return;
    }
    struct qmp_call call = ma_peer_call(peer, NULL);
    peer->is_interval_ours =
        qmp_set_stats_interval(peer->client, &call, peer->balloon_path, STATS_INTERVAL_SEC) == 0;
}

static void got_interval(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        peer->is_interval_off = result->reply->interval_sec == 0;
        ma_peer_start_statistics(peer);
    }
    one_answered(peer);
}

static void got_devices(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        const struct qmp_devices *d = &result->reply->devices;
        memcpy(peer->balloon_path, d->balloon_path, sizeof(peer->balloon_path));
        peer->facts.has_balloon = d->balloon_path[0] != '\0';
        peer->facts.inhibited_by |=
            ((d->inhibitors & QMP_INHIBIT_VFIO) != 0 ? MA_INHIBITOR_VFIO : 0U) |
            ((d->inhibitors & QMP_INHIBIT_VDPA) != 0 ? MA_INHIBITOR_VDPA : 0U) |
            ((d->inhibitors & QMP_INHIBIT_SEV) != 0 ? MA_INHIBITOR_CONFIDENTIAL : 0U);
        if (d->virtio_mem_count > 0) {
            memcpy(peer->virtio_mem_path, d->virtio_mem_path[0], sizeof(peer->virtio_mem_path));
        }
        struct qmp_call call = ma_peer_call(peer, got_interval);
        if (peer->facts.has_balloon &&
            qmp_get_stats_interval(peer->client, &call, peer->balloon_path) == 0) {
            peer->facts_pending++;
        }
    }
    one_answered(peer);
}

static void got_memory_size(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        peer->base_bytes = ma_min_u64(result->reply->memory_size.base_bytes, MA_BYTES_MAX);
    }
    one_answered(peer);
}

static void got_memory_devices(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        ma_peer_note_memory_devices(peer, &result->reply->memory_devices);
    }
    one_answered(peer);
}

static void got_backend(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result) && result->reply->backend.is_hugetlb == QMP_YES) {
        peer->facts.inhibited_by |= MA_INHIBITOR_HUGEPAGES;
    }
    one_answered(peer);
}

static void note_policy(struct ma_peer *peer, enum qmp_mem_policy policy) {
    static const enum ma_placement placements[] = {
        [QMP_MEM_POLICY_OTHER] = MA_PLACEMENT_DEFAULT,
        [QMP_MEM_POLICY_DEFAULT] = MA_PLACEMENT_DEFAULT,
        [QMP_MEM_POLICY_PREFERRED] = MA_PLACEMENT_PREFERRED,
        [QMP_MEM_POLICY_BIND] = MA_PLACEMENT_STRICT,
        [QMP_MEM_POLICY_INTERLEAVE] = MA_PLACEMENT_INTERLEAVE,
    };
    enum ma_placement placement = placements[policy];
    /* several backends: the strictest one binds the guest */
    if (!peer->facts.has_placement || placement < peer->facts.placement) {
        peer->facts.has_placement = true;
        peer->facts.placement = placement;
    }
}

static void got_memdevs(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        const struct qmp_memdevs *m = &result->reply->memdevs;
        size_t n = m->count < QMP_LIST_MAX ? m->count : QMP_LIST_MAX;
        for (size_t i = 0; i < n; i++) {
            note_policy(peer, m->item[i].policy);
            struct qmp_call call = ma_peer_call(peer, got_backend);
            if (m->item[i].id[0] != '\0' &&
                qmp_get_backend(peer->client, &call, m->item[i].id) == 0) {
                peer->facts_pending++;
            }
        }
    }
    one_answered(peer);
}

static void got_status(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (is_answer(result)) {
        struct ma_source_message message = {.event = MA_SOURCE_STATE};
        const struct qmp_status *s = &result->reply->status;
        message.state.state = s->is_running ? MA_GUEST_RUNNING : MA_GUEST_PAUSED;
        if (s->run_state == QMP_RUN_PRELAUNCH || s->run_state == QMP_RUN_INMIGRATE) {
            message.state.state = MA_GUEST_STARTING;
        } else if (s->run_state == QMP_RUN_FINISH_MIGRATE || s->run_state == QMP_RUN_POSTMIGRATE) {
            message.state.state = MA_GUEST_MIGRATING;
        } else if (s->run_state == QMP_RUN_SAVE_VM) {
            message.state.state = MA_GUEST_SAVING;
        } else if (s->run_state == QMP_RUN_SHUTDOWN) {
            message.state.state = MA_GUEST_SHUTTING_DOWN;
        } else if (s->run_state == QMP_RUN_GUEST_PANICKED ||
                   s->run_state == QMP_RUN_INTERNAL_ERROR) {
            message.state.state = MA_GUEST_CRASHED;
        }
        ma_peer_send(peer, &message);
    }
    one_answered(peer);
}

void ma_peer_ask_facts(struct ma_peer *peer) {
    memset(&peer->facts, 0, sizeof(peer->facts));
    peer->base_bytes = 0;
    peer->dimm_bytes = 0;
    peer->facts_pending = 1; /* held until all questions are out */
    struct qmp_client *c = peer->client;
    struct qmp_call call = ma_peer_call(peer, got_status);
    peer->facts_pending += qmp_query_status(c, &call) == 0;
    call.done = got_memory_size;
    peer->facts_pending += qmp_query_memory_size_summary(c, &call) == 0;
    call.done = got_memory_devices;
    peer->facts_pending += qmp_query_memory_devices(c, &call) == 0;
    call.done = got_memdevs;
    peer->facts_pending += qmp_query_memdev(c, &call) == 0;
    call.done = got_devices;
    peer->facts_pending += qmp_find_devices(c, &call) == 0;
    one_answered(peer);
}
