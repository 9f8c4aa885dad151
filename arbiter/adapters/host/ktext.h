/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* ktext.h - reading the kernel's text files (/proc, /sys, cgroups): whole lines, bounded, without allocation.
 *
 * Everything here is total: any bytes may come, also cut or without an end. Thread: any, nothing is shared. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Called once per line, without its end. 0: go on; 1: enough, stop; negative errno: stop with this error. */
typedef int (*ma_ktext_line_fn)(void *userdata, const char *line);

/* A buffer for each_line: holds the longest line that is looked at whole. Too small: long lines (the list of cpus,
 * a QEMU's argument) are cut; too large: memory per context. 4 KiB holds every line that is parsed here (guess). */
#define MA_KTEXT_BUFFER_BYTES 4096

/* Reads fd from offset 0 to its end with pread and hands out each line. A line that does not fit is handed out cut,
 * its rest is dropped. `separator` is '\n', or '\0' for cmdline. Returns 0 or negative errno (of read or of fn). */
int ma_ktext_each_line(
    int fd, char separator, char buf[MA_KTEXT_BUFFER_BYTES], ma_ktext_line_fn fn, void *userdata);
/* The same on text in memory, for tests and fuzzing. */
int ma_ktext_each_line_of(const char *text,
                          size_t len,
                          char buf[MA_KTEXT_BUFFER_BYTES],
                          ma_ktext_line_fn fn,
                          void *userdata);
/* A whole small file, cut at size - 1, NUL-terminated. Returns its length or negative errno. The first is for files of one
 * record, relative to dir_fd (seq_file's single_open, attributes of sysfs and cgroups): these come in one read as far as there
 * is room, so one that ends a line and leaves room is the last (Linux 6.1 fs/seq_file.c, seq_read_iter). The second for any. */
int ma_ktext_read_at(int dir_fd, const char *name, char *buf, size_t size);
int ma_ktext_read_fd(int fd, char *buf, size_t size);

/* Decimal digits at *text; moves it behind them. False: no digit, or above UINT64_MAX. */
bool ma_ktext_u64(const char **text, uint64_t *ret);
/* `line` begins with `key` followed by ':', '=', blank or tab: returns what follows, blanks skipped; else NULL. */
const char *ma_ktext_field(const char *line, const char *key);
/* "123 kB" or "123" (KiB) -> bytes. False: form, or above MA_BYTES_MAX. */
bool ma_ktext_kib(const char *text, uint64_t *ret_bytes);
/* "123" bytes, nothing behind but blanks. "max" gives MA_KTEXT_UNLIMITED. False: form, or above MA_BYTES_MAX. */
#define MA_KTEXT_UNLIMITED UINT64_MAX
bool ma_ktext_bytes(const char *text, uint64_t *ret_bytes);
