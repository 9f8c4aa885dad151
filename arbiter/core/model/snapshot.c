/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* snapshot.c - finding a guest or a node in a snapshot. */
#include "snapshot.h"

#include <string.h>

size_t ma_snapshot_find(const struct ma_snapshot *snapshot, const char *uuid) {
    size_t low = 0;
    size_t high = snapshot->n_guests;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(snapshot->guests[mid].uuid, uuid);
        if (order == 0) {
            return mid;
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return SIZE_MAX;
}

const struct ma_node *ma_snapshot_node(const struct ma_snapshot *snapshot, uint16_t id) {
    const struct ma_node *nodes = snapshot->host.nodes;
    size_t low = 0;
    size_t high = snapshot->host.n_nodes;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (nodes[mid].id == id) {
            return &nodes[mid];
        }
        if (nodes[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}
