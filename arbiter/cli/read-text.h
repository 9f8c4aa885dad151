/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* read-text.h - a small file read whole. */

#include <stddef.h>

/* "-": standard input. NUL-terminated; ownership of *ret_text goes to the caller. 0, -EFBIG above max_bytes, or the
 * error of the file. */
int ma_cli_read_text(const char *path, size_t max_bytes, char **ret_text);
