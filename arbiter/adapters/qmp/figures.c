/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* figures.c - how a guest fares: balloon, statistics, virtio-mem. Two questions a period, three with virtio-mem. */

#include <string.h>

#include "bytes.h"
#include "peer.h"

void ma_peer_send_figures(struct ma_peer *peer) {
    struct ma_source_message message = {.event = MA_SOURCE_FIGURES, .figures = peer->figures};
    message.figures.taken_usec = peer->source->now_usec;
    message.figures.virtio_mem = peer->virtio_mem;
    ma_peer_send(peer, &message);
}

/* The guest writes this figure into the device's registers: platform fact, seen as -4397241204736. */
void ma_peer_note_actual(struct ma_peer *peer, const struct qmp_balloon *balloon) {
    uint64_t max = peer->facts.max_bytes > 0 ? peer->facts.max_bytes : MA_BYTES_MAX;
    int64_t actual = balloon->actual_bytes;
    peer->figures.has_actual = true;
    peer->figures.is_actual_absurd = balloon->is_absurd || actual < 0 || (uint64_t) actual > max;
    peer->figures.actual_bytes = actual < 0 ? 0 : ma_min_u64((uint64_t) actual, max);
}

void ma_peer_note_memory_devices(struct ma_peer *peer, const struct qmp_memory_devices *devices) {
    size_t n = devices->count < QMP_LIST_MAX ? devices->count : QMP_LIST_MAX;
    struct ma_virtio_mem sum = {0};
    uint64_t dimms = 0;
    for (size_t i = 0; i < n; i++) {
        const struct qmp_memory_device *d = &devices->item[i];
        if (d->kind == QMP_MEMORY_DEVICE_VIRTIO_MEM) {
            /* several devices are one amount to the planner; a resize goes to the first */
            sum.has = MA_VIRTIO_MEM_HAS_PLUGGED | MA_VIRTIO_MEM_HAS_REQUESTED |
                      MA_VIRTIO_MEM_HAS_MAX | MA_VIRTIO_MEM_HAS_BLOCK;
            sum.plugged_bytes = ma_add_sat(sum.plugged_bytes, d->size_bytes);
            sum.requested_bytes = ma_add_sat(sum.requested_bytes, d->requested_bytes);
            sum.max_bytes = ma_add_sat(sum.max_bytes, d->max_bytes);
            sum.block_bytes = ma_max_u64(sum.block_bytes, d->block_bytes);
        } else if (d->kind == QMP_MEMORY_DEVICE_DIMM) {
            dimms = ma_add_sat(dimms, d->size_bytes);
        }
    }
    peer->dimm_bytes = ma_min_u64(dimms, MA_BYTES_MAX);
    peer->virtio_mem = sum;
}

static void got_memory_devices(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (result->outcome == QMP_DONE && result->reply != NULL) {
        ma_peer_note_memory_devices(peer, &result->reply->memory_devices);
        ma_peer_send_figures(peer);
    }
}

static void got_balloon(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (result->outcome == QMP_DONE && result->reply != NULL) {
        ma_peer_note_actual(peer, &result->reply->balloon);
        if (peer->balloon_path[0] == '\0') {
            ma_peer_send_figures(peer);
        }
    }
}

static void take(struct ma_stats *stats,
                 const struct qmp_guest_stats *from,
                 enum qmp_stat which,
                 enum ma_stats_has bit,
                 uint64_t *field) {
    if ((from->present & (1U << which)) != 0) {
        *field = from->value[which];
        stats->has |= (uint32_t) bit;
    }
}

/* The clock of the statistics is QEMU's wall clock in whole seconds, and stands still while the guest is paused or its
 * driver is dead. Their age is therefore the monotonic time since that clock last moved under our eyes. */
static void note_age(struct ma_peer *peer, const struct qmp_guest_stats *from) {
    if (from->last_update_sec != peer->last_update_sec) {
        peer->last_update_sec = from->last_update_sec;
        peer->moved_usec = peer->source->now_usec;
    }
    if (from->last_update_sec != 0 && peer->moved_usec != 0) {
        peer->figures.stats.has |= MA_STATS_HAS_AGE;
        peer->figures.stats.age_usec = ma_sub_floor0(peer->source->now_usec, peer->moved_usec);
    }
}

static void got_stats(void *userdata, const struct qmp_result *result) {
    struct ma_peer *peer = userdata;
    if (result->outcome != QMP_DONE || result->reply == NULL) {
        return;
    }
    const struct qmp_guest_stats *from = &result->reply->stats;
    struct ma_stats *stats = &peer->figures.stats;
    memset(stats, 0, sizeof(*stats));
    take(stats, from, QMP_STAT_TOTAL, MA_STATS_HAS_TOTAL, &stats->claimed_total_bytes);
    take(stats, from, QMP_STAT_FREE, MA_STATS_HAS_FREE, &stats->claimed_free_bytes);
    take(stats, from, QMP_STAT_AVAILABLE, MA_STATS_HAS_AVAILABLE, &stats->claimed_available_bytes);
    take(stats, from, QMP_STAT_DISK_CACHES, MA_STATS_HAS_CACHE, &stats->claimed_cache_bytes);
    note_age(peer, from);
    ma_peer_send_figures(peer);
}

void ma_peer_ask_figures(struct ma_peer *peer) {
    struct qmp_call call = ma_peer_call(peer, got_balloon);
    qmp_client_cork(peer->client);
    /* -EBUSY, -ENOBUFS: the peer does not answer; its figures age, which is what staleness is for */
    if (peer->facts.has_balloon) {
        (void) qmp_query_balloon(peer->client, &call);
        call.done = got_stats;
        (void) qmp_get_guest_stats(peer->client, &call, peer->balloon_path);
    }
    if (peer->virtio_mem_path[0] != '\0') {
        call.done = got_memory_devices;
        (void) qmp_query_memory_devices(peer->client, &call);
    }
    if (!peer->facts.has_balloon && peer->virtio_mem_path[0] == '\0') {
        /* a heartbeat: without it a hung QEMU that has neither would look well */
        call.done = NULL;
        (void) qmp_query_status(peer->client, &call);
    }
    qmp_client_uncork(peer->client, peer->source->now_usec);
}
