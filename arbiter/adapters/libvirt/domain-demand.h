/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* domain-demand.h - a domain's definition, as a hook is given it, into what it asks of the host. No libvirt here. The
 * text is a stranger's: bounded, no document type, nothing fetched. */

#include <stddef.h>

#include "guest-rules.h"
#include "guest-source.h"
#include "reserve.h"

/* Largest definition that is read; libvirt's own limit. */
#define LV_DEFINITION_MAX_BYTES ((size_t) 4 * 1024 * 1024)

/* Reads xml (len bytes, NUL behind them) and lays rules (may be NULL) and the definition's own metadata over it.
 * operation stays the caller's. 0; -EINVAL: no definition of a domain with a uuid, a name and memory, and `problem` (MA_SOURCE_PROBLEM_MAX) says
 * what is missing. With 0 problem may name what was passed over. */
int lv_demand_read(const char *xml,
                   size_t len,
                   const struct ma_guest_rules *rules,
                   struct ma_demand *ret,
                   char *problem);
