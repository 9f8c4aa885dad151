/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* listen-unix.h - a listening Unix socket with its owner and mode. */

#include "err.h"

/* Listens on path with mode 0660 and that group, or 0600 where group is "" or NULL. What an ended server left there is
 * removed. 0 and *ret_fd (non-blocking, close-on-exec), or negative errno with err: -EADDRINUSE when another server answers,
 * -EEXIST when something else lies there, -ENOENT when there is no such group. The caller unlinks the path at its end. */
int ma_listen_unix(const char *path, const char *group, int *ret_fd, struct ma_err *err);
