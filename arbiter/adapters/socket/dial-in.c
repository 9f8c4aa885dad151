/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dial-in.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

int ma_dial_in_listen(const char *path, uid_t uid, const char *key, struct ma_err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return ma_err_set(err, -ENAMETOOLONG, "%s is longer than %zu bytes: %s", key,
                          sizeof(address.sun_path) - 1, path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    ma_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ma_err_set(err, -errno, "socket: %s", strerror(errno));
    }
    /* The daemon's lock says that no other memarbd lives: what lies here is a dead one's. */
    (void) unlink(path);
    mode_t old_mask = umask(0177);
    int r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
    (void) umask(old_mask);
    if (r == 0 && listen(fd, MA_DIAL_IN_BACKLOG) < 0) {
        r = -errno;
    }
    if (r == 0 && uid != geteuid() && chown(path, uid, (gid_t) -1) < 0) {
        r = -errno;
    }
    if (r < 0) {
        return ma_err_set(err, r, "cannot listen on %s: %s", path, strerror(-r));
    }
    int listening = fd;
    fd = -1;
    return listening;
}

void ma_dial_in_close(int fd, const char *path) {
    if (fd >= 0) {
        (void) close(fd);
        (void) unlink(path);
    }
}
