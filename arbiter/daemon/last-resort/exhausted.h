/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* exhausted.h - what the loop keeps for OnExhausted=. */

#include "config.h"
#include "err.h"
#include "exhaust.h"

struct ma_daemon;
struct ma_last_resort;

struct ma_exhausted {
    struct ma_exhaustion judged;
    struct ma_last_resort *worker; /* NULL: not needed so far */
    uint64_t reported_usec;
};

/* What the configuration's last resort needs is there, or *err says what is not; at start and before a reload. */
int ma_exhausted_prepare(struct ma_daemon *d, const struct ma_config *config, struct ma_err *err);
void ma_exhausted_teardown(struct ma_daemon *d);
/* With each plan: says that nothing is left, and takes the last resort when it is due. */
void ma_exhausted_step(struct ma_daemon *d, uint64_t now_usec);
