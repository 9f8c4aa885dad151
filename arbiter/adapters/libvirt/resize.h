/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* resize.h - see resize.c. */

#include <libvirt/libvirt.h>
#include <stdint.h>

/* The sum of its virtio-mem devices' requested sizes, rounded to their blocks. Blocks. -EIO: libvirt's error tells
 * why; -EOPNOTSUPP: it has none. */
int lv_resize(virDomainPtr dom, uint64_t to_bytes) __attribute__((warn_unused_result));
