/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* unit-limits.h - limits of a unit's cgroup, through systemd, which owns it. */

#include "err.h"
#include "limit.h"

/* A call that is not answered in this time has failed. systemd answers in milliseconds; under shortage its pages come from
 * disk. Too short: a limit that is set counts as refused, and is found set later; too long: holds up a worker. Guess. */
#define MA_UNIT_CALL_USEC UINT64_C(10000000)

/* SetUnitProperties with runtime: it ends with the unit. Blocks: for a worker. MA_LIMIT_NONE: "infinity". -EOPNOTSUPP: not a
 * property; otherwise what systemd or the bus said. */
int ma_unit_set_limit_worker(const char *unit,
                             enum ma_limit limit,
                             uint64_t value,
                             struct ma_err *err);
