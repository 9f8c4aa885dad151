/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* mapped-file.h - a file of one fixed layout, mapped and shared with whoever opens it next: what is stored in it outlives the
 * process, without a system call for each store. */

#include <stddef.h>
#include <stdint.h>

/* Opens or makes PATH, size bytes, and maps it for reading and writing. It begins with the n_head numbers of head; the first
 * of them, which is not 0, is stored last. A file of another size or another head is set aside as PATH.bad and made anew. 0, or
 * negative errno (-EINVAL: no regular file). The mapping is the caller's, who unmaps it. Thread: any, one a path. */
int ma_mapped_file_open(
    const char *path, size_t size, const uint64_t *head, size_t n_head, void **ret);
