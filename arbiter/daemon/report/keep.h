/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* keep.h - what is told to readers and kept after a cycle. Loop thread only; none of it waits for the disk. */

#include <stdint.h>

#include "actuator.h"
#include "state.h"

struct ma_daemon;

void ma_keep_publish(struct ma_daemon *d, uint64_t now_usec);
void ma_keep_record(struct ma_daemon *d, uint64_t now_usec);
void ma_keep_record_kernel_kill(struct ma_daemon *d, const char *uuid, const char *verdict);
void ma_keep_record_outcome(struct ma_daemon *d, const struct ma_outcome *outcome);
/* What a victim (or its group, by its first member) was to return of host RAM, and what the host had more in the end: a
 * line of its own, behind that of the command's outcome. */
void ma_keep_record_measured(struct ma_daemon *d,
                             const struct ma_pending_victim *victim,
                             uint64_t gained_bytes);
/* One with who brought it about, and why. */
void ma_keep_record_by(struct ma_daemon *d,
                       const struct ma_outcome *outcome,
                       const char *by,
                       const char *because);
