/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* reserve.h - what a guest's definition asks of the host, and the memory that is held for guests that were admitted and
 * do not have it yet. Pure; times are CLOCK_MONOTONIC microseconds. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"
#include "state.h"

/* Node ids that bindings are judged on, 0 to 62: a mask of them fits a signed 64-bit number, as JSON readers have it. A
 * guest bound to a higher one is judged as bound nowhere. x86 and arm64 hosts number nodes from 0 and have fewer. */
#define MA_DEMAND_NODES_MAX 63U
/* Parts of different kind (page size, nodes): cells and DIMMs that agree are one. More than a definition sensibly has;
 * what is beyond counts as ordinary memory anywhere. */
#define MA_DEMAND_PARTS_MAX 16U
#define MA_DEMAND_NAME_MAX  128

/* "The system's default size" of huge pages, where a definition names none. */
#define MA_DEMAND_PAGE_DEFAULT UINT64_C(1)

struct ma_demand_part {
    uint64_t bytes;
    uint64_t page_bytes; /* huge pages of that size; 0: ordinary memory */
    uint64_t node_mask;  /* bound to these nodes; 0: to none */
};

enum ma_demand_operation {
    MA_DEMAND_START,
    MA_DEMAND_RESTORE, /* from a file: what it had comes back at once */
    MA_DEMAND_MIGRATE, /* from another host: likewise */
    MA_DEMAND_OPERATION_COUNT
};
const char *ma_demand_operation_name(enum ma_demand_operation operation);
int ma_demand_operation_from_name(const char *name);

struct ma_demand {
    char uuid[MA_UUID_MAX];
    char name[MA_DEMAND_NAME_MAX];
    enum ma_demand_operation operation;
    bool has_guarantee;
    bool has_pin_limit;
    bool is_movable;          /* it has a balloon, and nothing keeps that from giving back */
    uint64_t guarantee_bytes; /* as its operator said */
    uint64_t pin_limit_bytes; /* likewise */
    uint64_t current_bytes;   /* its balloon's level at start; 0: not said */
    uint64_t pinned_bytes;    /* ordinary memory that nobody can take back once it runs */
    /* what is counted against RLIMIT_MEMLOCK for its devices and locks */
    uint64_t pin_account_bytes;
    uint64_t memlock_bytes; /* the limit libvirt will set; UINT64_MAX: none; 0: libvirt leaves it */
    uint32_t pin_kinds;     /* enum ma_inhibitor: why it is pinned */
    uint32_t n_parts;
    struct ma_demand_part parts[MA_DEMAND_PARTS_MAX];
};
/* Adds to the part of that kind, or makes one. */
void ma_demand_add(struct ma_demand *demand, const struct ma_demand_part *part);
/* Ordinary memory of all parts. */
uint64_t ma_demand_ordinary_bytes(const struct ma_demand *demand);

/* Guests on their way at a time: a host that boots starts all of its guests within a minute or two. Too small: the
 * earliest promises are forgotten; too large: memory (0.6 KiB each). */
#define MA_RESERVATIONS_MAX 256U

struct ma_reservation {
    char uuid[MA_UUID_MAX];
    char name[MA_DEMAND_NAME_MAX];
    uint64_t made_usec;
    uint64_t expires_usec;
    bool is_seen;       /* it was in a snapshot since */
    uint64_t hold_usec; /* ReserveFor= of then; 0: expires_usec stands */
    /* when it was last given more time, or made; 0: not known, no more is given */
    uint64_t least_left_bytes;
    uint64_t need_bytes;      /* of ordinary memory, soon: guarantee or pins, and what QEMU takes */
    uint64_t committed_bytes; /* what it counts for among the commitments */
    uint64_t pinned_bytes;
    uint32_t n_parts;
    struct ma_demand_part parts[MA_DEMAND_PARTS_MAX]; /* ordinary parts add up to need_bytes */
};
/* A guest that is restored or migrated to this host, or whose memory is pinned as it starts, may fill for longer than
 * ReserveFor=: while it does, its time is. No longer than this many times ReserveFor= (an hour by default: 1 TiB at
 * 10 Gbit/s takes a quarter of it). Too small: a slow migration's memory is given to others before it arrives; too
 * large: one that trickles keeps others out. Guess. */
#define MA_RESERVATION_MOST_TIMES 30U

struct ma_reservations {
    size_t n;
    struct ma_reservation items[MA_RESERVATIONS_MAX];
};

/* Replaces one of the same uuid, whose greater need stays if that guest was not seen yet; the oldest makes room when
 * all places are taken. */
void ma_reservations_put(struct ma_reservations *reservations,
                         const struct ma_reservation *reservation);
/* true: there was one. */
bool ma_reservations_drop(struct ma_reservations *reservations, const char *uuid);
/* Gives those more time whose guests still fill; lets go of what has expired, of guests that have what was held for them,
 * and of those that came and went. true: something changed. */
bool ma_reservations_settle(struct ma_reservations *reservations,
                            const struct ma_snapshot *snapshot);
/* All that is held at first: ordinary memory and huge pages. */
uint64_t ma_reservation_whole_bytes(const struct ma_reservation *reservation);
/* What it does not have yet: of ordinary memory, and of huge pages (all sizes). */
uint64_t ma_reservation_left_bytes(const struct ma_reservation *reservation,
                                   const struct ma_snapshot *snapshot);
uint64_t ma_reservation_left_huge_bytes(const struct ma_reservation *reservation,
                                        const struct ma_snapshot *snapshot);
