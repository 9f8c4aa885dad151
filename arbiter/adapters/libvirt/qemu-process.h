/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qemu-process.h - which process is a domain's QEMU, since libvirt has no call for it. */

#include <stdint.h>
#include <sys/types.h>

/* RUN_DIR/NAME.pid, believed only if that process was started with "-uuid UUID". 0: not known. The pid can be
 * reused later: whoever keeps it opens a pidfd and calls this again. *ret_inhibited_by: enum ma_inhibitor bits that its
 * command line shows and its definition may hide (a VFIO interface out of a network's pool). */
pid_t lv_qemu_pid(const char *run_dir,
                  const char *name,
                  const char *uuid,
                  uint32_t *ret_inhibited_by);
