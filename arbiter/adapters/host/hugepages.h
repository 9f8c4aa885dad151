/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hugepages.h - free huge pages by size and node, and what else the kernel would refuse a starting QEMU for. Read when a
 * guest asks to start: a few dozen small files, microseconds each; no allocation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admit.h"

/* Fills ret[0..*ret_n-1]: each node's pools, then one entry per size for the system (MA_ADMIT_POOL_ANYWHERE) with pages
 * that are free but promised (resv_hugepages) and those that nr_overcommit_hugepages still allows. What does not fit capacity is
 * left out whole (-ENOBUFS). -ENOENT: a kernel without huge pages. */
int ma_hugepages_read(const char *sys_root,
                      struct ma_admit_pool *ret,
                      size_t capacity,
                      size_t *ret_n);
/* The system's default size (Hugepagesize: of meminfo); 0: not known. */
uint64_t ma_hugepages_default_bytes(const char *proc_root);
/* vm.overcommit_memory=2: the kernel refuses mappings beyond CommitLimit. */
bool ma_host_is_commit_enforced(const char *proc_root);
