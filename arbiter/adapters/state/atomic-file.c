/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

int ma_write_all(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        text += n;
        len -= (size_t) n;
    }
    return 0;
}

static int write_file(const char *path, const char *text, size_t len, mode_t mode) {
    ma_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    int r = fchmod(fd, mode) < 0 ? -errno : ma_write_all(fd, text, len);
    if (r == 0 && fdatasync(fd) < 0) {
        r = -errno;
    }
    return r;
}

static int
replace(const char *path, const char *text, size_t len, mode_t mode, struct ma_err *err) {
    char tmp[4096];
    int n = snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    if (n < 0 || (size_t) n >= sizeof(tmp)) {
        return ma_err_set(err, -ENAMETOOLONG, "path too long: %s", path);
    }
    int r = write_file(tmp, text, len, mode);
    if (r == 0 && rename(tmp, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void) unlink(tmp); /* the old file is still whole */
        return ma_err_set(err, r, "cannot write %s: %s", path, strerror(-r));
    }
    return 0;
}

int ma_atomic_file_write(const char *path, const char *text, size_t len, struct ma_err *err) {
    return replace(path, text, len, 0600, err);
}

int ma_atomic_file_publish(const char *path, const char *text, size_t len, struct ma_err *err) {
    return replace(path, text, len, 0644, err);
}

int ma_atomic_file_read(
    const char *path, size_t max, char **ret, size_t *ret_len, struct ma_err *err) {
    ma_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return ma_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return ma_err_set(err, -EINVAL, "%s is no regular file", path);
    }
    if (st.st_size < 0 || (size_t) st.st_size > max) {
        return ma_err_set(err, -EFBIG, "%s is larger than %zu bytes", path, max);
    }
    size_t size = (size_t) st.st_size;
    ma_auto_free char *text = malloc(size + 1);
    if (text == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, text + got, size - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ma_err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
        }
        if (n == 0) {
            break; /* it shrank under us: what is there is what we have */
        }
        got += (size_t) n;
    }
    text[got] = '\0';
    *ret = ma_steal(&text);
    *ret_len = got;
    return 0;
}
