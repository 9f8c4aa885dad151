/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* collect.h - the guest's own figures, from /proc. They fill the figure fields of a struct mag_report and its `has`. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "protocol.h"

/* Pure; any bytes, also cut. What is missing, garbled or above its bound leaves its bit clear. */
void mag_collect_meminfo(const char *text, size_t length, struct mag_report *to);
void mag_collect_vmstat(const char *text,
                        size_t length,
                        uint64_t page_bytes,
                        struct mag_report *to);
void mag_collect_pressure(const char *text, size_t length, struct mag_report *to);

/* Open files of /proc; a file that this kernel does not have is -1. Owned. */
struct mag_collector {
    int meminfo_fd, vmstat_fd, pressure_fd;
    uint64_t page_bytes;
};
/* -errno and a message when there is no meminfo. proc: "/proc". */
int mag_collector_open(struct mag_collector *c, const char *proc, struct ma_err *err);
void mag_collector_close(struct mag_collector *c);
/* Reads them anew; a file that cannot be read leaves its figures out. Never blocks, allocates nothing. */
void mag_collector_read(const struct mag_collector *c, struct mag_report *ret);
