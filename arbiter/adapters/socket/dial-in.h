/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* dial-in.h - the listening Unix sockets that QEMUs dial in to: monitors and agents' channels. */

#include <sys/types.h>

#include "err.h"

/* Connections that wait to be accepted. Fewer: of 1,000 QEMUs that dial again at once some are refused. */
#define MA_DIAL_IN_BACKLOG 1024

/* Listens on path, which belongs to uid alone (mode 0600). What lies there is removed: the daemon's lock says that no other
 * memarbd lives. key names the setting in messages ("QmpListen="). Non-blocking, close-on-exec. The descriptor, or negative errno with err. Before threads that make files: it sets the umask. */
int ma_dial_in_listen(const char *path, uid_t uid, const char *key, struct ma_err *err);
/* Closes it and removes the path; -1 is fine. */
void ma_dial_in_close(int fd, const char *path);
