/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* new-file.h - a file that appears whole or not at all, and takes no other's place unasked. */

#include <stdbool.h>
#include <stdio.h>

#include "err.h"

#define MA_NEW_FILE_PATH_MAX 1024

struct ma_new_file {
    FILE *stream; /* write here */
    const char *path;
    char temporary[MA_NEW_FILE_PATH_MAX];
    bool may_replace;
};
/* Makes PATH.XXXXXX beside it, with the permissions that the umask leaves. -EEXIST: there is such a file. */
int ma_new_file_open(struct ma_new_file *file,
                     const char *path,
                     bool may_replace,
                     struct ma_err *err);
/* All is on the disk and has its name, or nothing has changed; -EEXIST as above. */
int ma_new_file_commit(struct ma_new_file *file, struct ma_err *err);
/* What was not committed is gone. */
void ma_new_file_close(struct ma_new_file *file);
