/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "new-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const struct ma_new_file *file, int error, struct ma_err *err) {
    if (error == EEXIST) {
        return ma_err_set(err, -EEXIST, "%.300s is there already; --force replaces it", file->path);
    }
    return ma_err_set(err, -error, "%.300s: %s", file->path, strerror(error));
}

int ma_new_file_open(struct ma_new_file *file,
                     const char *path,
                     bool may_replace,
                     struct ma_err *err) {
    struct stat st;
    *file = (struct ma_new_file){.path = path, .may_replace = may_replace};
    int n = snprintf(file->temporary, sizeof(file->temporary), "%s.XXXXXX", path);
    if (n < 0 || (size_t) n >= sizeof(file->temporary)) {
        return fail(file, ENAMETOOLONG, err);
    }
    if (!may_replace && lstat(path, &st) == 0) { /* before the work; again, surely, at its end */
        return fail(file, EEXIST, err);
    }
    int fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        return fail(file, errno, err);
    }
    mode_t mask = umask(0);
    (void) umask(mask);
    (void) fchmod(fd, 0666 & ~mask); /* of mkostemp's 0600; a file system without modes: as it is */
    file->stream = fdopen(fd, "w");
    if (file->stream == NULL) {
        int error = errno;
        (void) close(fd);
        (void) unlink(file->temporary);
        return fail(file, error, err);
    }
    return 0;
}

int ma_new_file_commit(struct ma_new_file *file, struct ma_err *err) {
    if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) < 0) {
        return fail(file, errno, err);
    }
    if (ferror(file->stream)) { /* an earlier write failed; errno is another's by now */
        return fail(file, EIO, err);
    }
    unsigned flags = file->may_replace ? 0 : RENAME_NOREPLACE;
    int r = renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, flags);
    if (r < 0 && errno == EINVAL && flags != 0) { /* not on this file system */
        r = link(file->temporary, file->path);
        r = r < 0 ? r : unlink(file->temporary);
    }
    if (r < 0) {
        return fail(file, errno, err);
    }
    file->temporary[0] = '\0';
    return 0;
}

void ma_new_file_close(struct ma_new_file *file) {
    (void) fclose(file->stream); /* flushed by the commit, or not wanted */
    if (file->temporary[0] != '\0') {
        (void) unlink(file->temporary);
    }
}
