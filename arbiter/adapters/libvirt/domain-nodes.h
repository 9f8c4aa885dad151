/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* domain-nodes.h - where a definition says a guest's memory must lie: cells, node sets, page sizes. Pure. */

#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "reserve.h"

/* "0-3,^2,7": a set of small numbers as libvirt writes it. 0 and *ret_mask; -EINVAL: not such a text; -ERANGE: a number
 * above 63. */
int lv_nodeset_parse(const char *text, uint64_t *ret_mask);
/* Cuts `ram_bytes` (what is no DIMM) into parts by the guest's cells, their nodes and their pages, and adds
 * DIMMs and requested virtio-mem. */
void lv_demand_parts(xmlDocPtr doc, uint64_t ram_bytes, struct ma_demand *demand);
