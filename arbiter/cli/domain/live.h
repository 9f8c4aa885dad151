/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* live.h - what of enable and disable a running guest can be given: channel and statistics period. */

#include "virt.h"

/* The parts (enum ma_enable_part) that the running guest lacks and can be given (is_adding), or that its note names and
 * can be taken. 0, or the exit code. */
int ma_live_plan(const struct ma_virt *virt, bool is_adding, uint32_t *ret_parts);
/* Does it, and notes it in the live metadata. 0, or the exit code with what went wrong said. */
int ma_live_add(const struct ma_virt *virt, uint32_t parts);
int ma_live_take(const struct ma_virt *virt, uint32_t parts);
