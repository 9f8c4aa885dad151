/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* kernel-actions.h - what the kernel itself does for us: kill by pidfd (on the loop: it never blocks), and on worker
 * threads started beforehand process_mrelease, cgroup reclaim and moves of pages between nodes, which do. */

#include "actuator.h"
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
