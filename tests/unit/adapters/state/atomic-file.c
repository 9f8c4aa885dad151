/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "atomic-file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "tap.h"

static char folder[] = "/tmp/memarb-atomic-XXXXXX";
static char path[128];

static void begin(void) {
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/state.json", folder);
}

static void what_was_written_is_read(void) {
    ma_auto_free char *text = NULL;
    size_t len = 0;
    CHECK_I64(ma_atomic_file_write(path, "one", 3, NULL), 0);
    CHECK_I64(ma_atomic_file_write(path, "three", 5, NULL), 0);
    CHECK_I64(ma_atomic_file_read(path, 100, &text, &len, NULL), 0);
    CHECK_U64(len, 5);
    CHECK_STR(text, "three");
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 077) == 0); /* nobody else's to read */
}

static void a_failed_write_leaves_the_old_one(void) {
    char tmp[160];
    ma_auto_free char *text = NULL;
    size_t len = 0;
    struct ma_err err = {0};
    (void) snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    CHECK(mkdir(tmp, 0700) == 0); /* in the way of the new file */
    CHECK(ma_atomic_file_write(path, "four", 4, &err) < 0);
    CHECK(strstr(err.message, path) != NULL);
    CHECK_I64(ma_atomic_file_read(path, 100, &text, &len, NULL), 0);
    CHECK_STR(text, "three");
    CHECK(rmdir(tmp) == 0);
}

static void sizes_links_and_folders_are_refused(void) {
    ma_auto_free char *text = NULL;
    size_t len = 0;
    char link[160];
    CHECK_I64(ma_atomic_file_read(path, 4, &text, &len, NULL), -EFBIG);
    CHECK(ma_atomic_file_read(folder, 100, &text, &len, NULL) < 0);
    (void) snprintf(link, sizeof(link), "%s/link", folder);
    CHECK(symlink(path, link) == 0);
    CHECK(ma_atomic_file_read(link, 100, &text, &len, NULL) < 0);
    CHECK(unlink(link) == 0 && unlink(path) == 0);
    CHECK_I64(ma_atomic_file_read(path, 100, &text, &len, NULL), -ENOENT);
    CHECK(text == NULL);
    CHECK(rmdir(folder) == 0);
}

TAP_MAIN(TAP_CASE(begin),
         TAP_CASE(what_was_written_is_read),
         TAP_CASE(a_failed_write_leaves_the_old_one),
         TAP_CASE(sizes_links_and_folders_are_refused));
