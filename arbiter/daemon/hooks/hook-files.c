/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hook-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

struct listing {
    struct ma_hook_files *files;
    int fd;
    ma_hook_barred_fn barred;
    void *userdata;
};

static bool is_trusted_owner(const struct stat *st) {
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static bool is_writable_for_others(const struct stat *st) {
    return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* Whoever may rename a folder above could put another in its place. In a sticky one (/tmp) only its owner may. */
static int check_path(const char *directory, struct ma_err *err) {
    ma_auto_free char *path = strdup(directory);
    struct stat st;
    if (path == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
        slash[slash == path ? 1 : 0] = '\0';
        if (stat(path, &st) < 0) {
            return ma_err_set(err, -errno, "%.200s: %s", path, strerror(errno));
        }
        if (!is_trusted_owner(&st) ||
            (is_writable_for_others(&st) && (st.st_mode & S_ISVTX) == 0)) {
            return ma_err_set(err, -EPERM, "%.200s, above the hooks, is not root's alone", path);
        }
        if (slash == path) {
            break;
        }
    }
    return 0;
}

static int open_folder(const char *directory, struct ma_err *err) {
    struct stat st;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = -errno;
        if (fd >= 0) {
            (void) close(fd);
        }
        return ma_err_set(err, r, "hooks' folder %.200s: %s", directory, strerror(-r));
    }
    if (!is_trusted_owner(&st) || is_writable_for_others(&st)) {
        (void) close(fd);
        return ma_err_set(err, -EPERM,
                          "hooks' folder %.200s is not root's alone: chown, chmod go-w", directory);
    }
    int r = check_path(directory, err);
    if (r < 0) {
        (void) close(fd);
        return r;
    }
    return fd;
}

static bool is_left_behind(const char *name) {
    size_t length = strlen(name);
    return name[0] == '.' || name[length - 1] == '~' || strstr(name, ".dpkg-") != NULL ||
           strstr(name, ".rpm") != NULL || strstr(name, ".ucf-") != NULL;
}

/* Why it is not run; NULL: it is. */
static const char *judge(const struct listing *listing, const char *name, const struct stat *st) {
    if (!S_ISREG(st->st_mode)) {
        return "is no plain file (a link's target could be changed by others)";
    }
    if (!is_trusted_owner(st)) {
        return "is not owned by root";
    }
    if (is_writable_for_others(st)) {
        return "is writable for its group or for others";
    }
    if ((st->st_mode & S_IXUSR) == 0) {
        return "is not executable";
    }
    if (strlen(name) >= MA_HOOK_NAME_MAX) {
        return "has a name of more than 63 bytes";
    }
    return listing->files->n < MA_HOOK_FILES_MAX ? NULL : "is one too many: 256 are run";
}

static void consider(struct listing *listing, const char *name) {
    struct stat st;
    if (is_left_behind(name) || fstatat(listing->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        S_ISDIR(st.st_mode)) {
        return;
    }
    const char *why = judge(listing, name, &st);
    if (why == NULL) {
        (void) memcpy(listing->files->names[listing->files->n++], name, strlen(name) + 1);
    } else if (listing->barred != NULL) {
        listing->barred(listing->userdata, name, why);
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

int ma_hook_files_list(const char *directory,
                       struct ma_hook_files *ret,
                       ma_hook_barred_fn barred,
                       void *userdata,
                       struct ma_err *err) {
    struct ma_hook_files files = {0};
    int fd = open_folder(directory, err);
    if (fd < 0) {
        return fd;
    }
    DIR *folder = fdopendir(fd);
    files.names = calloc(MA_HOOK_FILES_MAX, sizeof(files.names[0]));
    if (folder == NULL || files.names == NULL) {
        free(files.names);
        (void) (folder != NULL ? closedir(folder) : close(fd));
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    struct listing listing = {&files, fd, barred, userdata};
    const struct dirent *entry;
    while ((entry = readdir(folder)) !=
           NULL) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        consider(&listing, entry->d_name);
    }
    (void) closedir(folder);
    qsort(files.names, files.n, sizeof(files.names[0]), compare_names);
    *ret = files;
    return 0;
}

void ma_hook_files_free(struct ma_hook_files *files) {
    free(files->names);
    *files = (struct ma_hook_files){0};
}
