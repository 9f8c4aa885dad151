/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admit-internal.h - what the host can give to a starting guest; between admit.c and admit-room.c. */

#include "admit.h"

/* Host RAM above the reserve: free or returned by gentle actions, less what is held for others. */
struct ma_admit_room {
    uint64_t ram_bytes;
    uint64_t node_bytes[MA_DEMAND_NODES_MAX]; /* the same of each node, by id */
    uint64_t known_nodes;                     /* mask: the host has rows for these */
};
void ma_admit_room_of(const struct ma_admit_input *input,
                      const struct ma_demand *demand,
                      struct ma_admit_room *ret);
/* Of the nodes in mask together, less what is held for others that are bound within it. */
uint64_t ma_admit_node_room_bytes(const struct ma_admit_input *input,
                                  const struct ma_demand *demand,
                                  const struct ma_admit_room *room,
                                  uint64_t node_mask);
/* Huge pages of that size on these nodes (0: on any), less what is held for others. */
uint64_t ma_admit_pool_room_bytes(const struct ma_admit_input *input,
                                  const struct ma_demand *demand,
                                  uint64_t page_bytes,
                                  uint64_t node_mask);
