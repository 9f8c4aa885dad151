/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* actuator.h - carrying out an action. Implemented over QMP, libvirt, the kernel (pidfd, cgroup), null (dry-run) and
 * fault (tests: delays, errors).
 *
 * submit() is called on the loop thread, never blocks and allocates nothing. The outcome arrives later through
 * on_outcome on the loop thread, exactly once for each accepted request, also when the guest or its monitor goes. */

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

enum ma_outcome_result {
    MA_OUTCOME_DONE,
    MA_OUTCOME_REFUSED,
    MA_OUTCOME_TIMEOUT,
    MA_OUTCOME_GONE,
    MA_OUTCOME_DROPPED, /* not carried out: its premise was gone */
    MA_OUTCOME_COUNT
};
const char *ma_outcome_name(enum ma_outcome_result result);

#define MA_REQUEST_UUID_MAX 64
struct ma_request {
    uint64_t id; /* chosen by the caller, unique while under way */
    char uuid[MA_REQUEST_UUID_MAX];
    enum ma_action action;
    uint64_t to_bytes;  /* balloon, resize: target; reclaim, rebalance: bytes to take */
    uint16_t from_node; /* rebalance */
    uint16_t to_node;
    uint64_t submitted_usec; /* CLOCK_MONOTONIC: now */
    uint64_t deadline_usec;  /* CLOCK_MONOTONIC: when the outcome is TIMEOUT */
};
struct ma_outcome {
    uint64_t id;
    char uuid[MA_REQUEST_UUID_MAX];
    enum ma_action action;
    enum ma_outcome_result result;
    uint64_t took_usec;
    char detail[160]; /* what the other side said, for the log; "" if nothing */
};
typedef void (*ma_outcome_fn)(void *userdata, const struct ma_outcome *outcome);

struct ma_actuator {
    const char *name; /* "qmp", "libvirt", "kernel", "null" */
    void *self;
    /* 0: accepted; -EBUSY: one is under way for that guest; -ENOTCONN, -ENOENT: not reachable through this one;
     * -EOPNOTSUPP: it cannot do this action. */
    int (*submit)(void *self, const struct ma_request *request);
};
