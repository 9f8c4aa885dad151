/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read-text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static int read_stream(FILE *file, size_t max_bytes, char **ret_text) {
    ma_auto_free char *text = malloc(max_bytes + 2);
    size_t len;

    if (text == NULL) {
        return -ENOMEM;
    }
    len = fread(text, 1, max_bytes + 1, file);
    if (ferror(file)) {
        return -EIO;
    }
    if (len > max_bytes || memchr(text, '\0', len) != NULL) {
        return len > max_bytes ? -EFBIG : -EINVAL;
    }
    text[len] = '\0';
    *ret_text = ma_steal(&text);
    return 0;
}

int ma_cli_read_text(const char *path, size_t max_bytes, char **ret_text) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    int r;

    if (file == NULL) {
        return -errno;
    }
    r = read_stream(file, max_bytes, ret_text);
    if (file != stdin) {
        (void) fclose(file); /* it was only read */
    }
    return r;
}
