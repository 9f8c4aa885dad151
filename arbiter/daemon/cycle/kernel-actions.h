/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* kernel-actions.h - what the kernel itself does for us: kill by pidfd (on the loop: it never blocks), and on worker
 * threads started beforehand process_mrelease, cgroup reclaim, moves of pages between nodes and limits of cgroups, which
 * do. */

#include "actuator.h"
#include "cgroup-limits.h"
#include "err.h"
#include "guests.h"

struct ma_kernel_actions;

/* Outcomes are queued; fd is readable while some wait. */
int ma_kernel_actions_create(const struct ma_guests *guests,
                             struct ma_kernel_actions **ret,
                             struct ma_err *err);
void ma_kernel_actions_destroy(struct ma_kernel_actions *actions);
int ma_kernel_actions_fd(const struct ma_kernel_actions *actions);
bool ma_kernel_actions_pop(struct ma_kernel_actions *actions, struct ma_outcome *ret);
/* The move of pages that is under way, if there is one, ends with its present batch; its outcome comes as ever. */
void ma_kernel_actions_stop_rebalance(struct ma_kernel_actions *actions);
/* kill, reclaim and rebalance; -EOPNOTSUPP for the rest. Looks the guest up in the table given at creation. */
const struct ma_actuator *ma_kernel_actions_actuator(struct ma_kernel_actions *actions);
/* A limit of a cgroup, by its owner: unit "" means the file below dir_fd (borrowed), otherwise systemd's unit. The outcome's
 * id is `id`. -EBUSY: too much is under way. */
struct ma_limit_request {
    uint64_t id;
    char uuid[MA_REQUEST_UUID_MAX];
    enum ma_limit limit;
    uint64_t value;
    char unit[MA_UNIT_NAME_MAX];
    int dir_fd;
};
int ma_kernel_actions_limit(struct ma_kernel_actions *actions,
                            const struct ma_limit_request *request);
