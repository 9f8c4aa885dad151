/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listen-unix.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

/* Does somebody answer there? Then it is another memarbd's; else what lies there is left over. */
static int clear_path(const struct sockaddr_un *address, struct ma_err *err) {
    struct stat st;
    if (lstat(address->sun_path, &st) != 0) {
        return errno == ENOENT
                   ? 0
                   : ma_err_set(err, -errno, "%s: %s", address->sun_path, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return ma_err_set(err, -EEXIST,
                          "%s exists and is no socket; remove it or name another path",
                          address->sun_path);
    }
    ma_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0) {
        return ma_err_set(err, -EADDRINUSE, "another memarbd answers on %s", address->sun_path);
    }
    if (unlink(address->sun_path) != 0 && errno != ENOENT) {
        return ma_err_set(err, -errno, "cannot remove %s: %s", address->sun_path, strerror(errno));
    }
    return 0;
}

static int find_group(const char *name, gid_t *ret_gid, struct ma_err *err) {
    char buf[4096]; /* a group of hundreds of members */
    struct group group, *found = NULL;
    int r = getgrnam_r(name, &group, buf, sizeof(buf), &found);
    if (r != 0 || found == NULL) {
        return ma_err_set(err, r != 0 ? -r : -ENOENT,
                          "no group \"%s\"; run systemd-sysusers, or set Group=", name);
    }
    *ret_gid = found->gr_gid;
    return 0;
}

/* Nobody can connect before listen(), so owner and mode are right from the first moment. */
int ma_listen_unix(const char *path, const char *group, int *ret_fd, struct ma_err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool has_group = group != NULL && group[0] != '\0';
    gid_t gid = 0;
    if (strlen(path) >= sizeof(address.sun_path)) {
        return ma_err_set(err, -ENAMETOOLONG, "a socket's path is longer than 107 bytes: %s", path);
    }
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int r = has_group ? find_group(group, &gid, err) : 0;
    r = r != 0 ? r : clear_path(&address, err);
    if (r != 0) {
        return r;
    }
    ma_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) != 0) {
        return ma_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    }
    if ((has_group && chown(path, (uid_t) -1, gid) != 0) ||
        chmod(path, has_group ? 0660 : 0600) != 0 || listen(fd, 16) != 0) {
        r = ma_err_set(err, -errno, "cannot set up %s: %s", path, strerror(errno));
        (void) unlink(path);
        return r;
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}
