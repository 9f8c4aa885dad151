/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* atomic-file.h - a small file that is either the old one or the new one, never half of one. */

#include <stddef.h>

#include "err.h"

/* All of it, or a negative errno; how much was written by then is not said. Blocking. */
int ma_write_all(int fd, const char *text, size_t len);
/* Writes PATH.tmp, syncs it where the file system is a disk's, renames. Mode 0600. Blocking. */
int ma_atomic_file_write(const char *path, const char *text, size_t len, struct ma_err *err);
/* The same for everybody to read, whatever the umask. */
int ma_atomic_file_publish(const char *path, const char *text, size_t len, struct ma_err *err);
/* Reads all of a regular file of at most max bytes into a NUL-terminated heap block, *ret (caller frees).
 * -ENOENT when there is none, -EFBIG beyond max. */
int ma_atomic_file_read(
    const char *path, size_t max, char **ret, size_t *ret_len, struct ma_err *err);
