/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* hook-files.h - which programs of the hooks' folder are run: those that nobody but root (or who memarbd runs as) could
 * have put there or changed. They get memarbd's power. */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* With a longer name a file is left out. */
#define MA_HOOK_NAME_MAX 64
/* More are left out. Each start costs a millisecond, so many use a quarter of VetoTimeout='s default. */
#define MA_HOOK_FILES_MAX 256

struct ma_hook_files {
    char (*names)[MA_HOOK_NAME_MAX]; /* sorted; owned */
    size_t n;
};
/* About a file that is left out, a sentence without its full stop. */
typedef void (*ma_hook_barred_fn)(void *userdata, const char *name, const char *why);

/* Reads the folder. Left out without a word: hidden files, what package managers and editors leave behind (".dpkg-",
 * ".rpm", "~" at the end), folders. With a word (barred may be NULL): what is no plain file, is not executable, is owned
 * by somebody else or writable for others. 0 and *ret (ma_hook_files_free), or negative errno with err: the folder is
 * not there, or it or a folder above it is open to others (-EPERM). Reads the disk: not on a loop that is in a hurry. */
int ma_hook_files_list(const char *directory,
                       struct ma_hook_files *ret,
                       ma_hook_barred_fn barred,
                       void *userdata,
                       struct ma_err *err);
void ma_hook_files_free(struct ma_hook_files *files);
