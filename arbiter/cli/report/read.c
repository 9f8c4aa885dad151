/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static void read_line(const struct report_reader *reader, const char *text, size_t len) {
    ma_autoptr(ma_record_line) record = NULL;
    if (ma_formats_read_record_line(text, len, 0, &record, NULL) < 0) {
        reader->on_broken(reader->userdata);
        return;
    }
    struct report_line line = {.record = record, .text = text, .len = len};
    reader->on_line(reader->userdata, &line);
}

static int read_file(const char *path, const struct report_reader *reader, struct ma_err *err) {
    ma_auto_free char *text = NULL;
    size_t size = 0;
    ssize_t len;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ma_err_set(err, -errno, "%.300s: %s", path, strerror(errno));
    }
    while ((len = getline(&text, &size, file)) >= 0) {
        if (text[len - 1] != '\n') {
            break; /* memarbd is at it */
        }
        if (len > 1) {
            read_line(reader, text, (size_t) len);
        }
    }
    int r = ferror(file) ? -EIO : 0;
    (void) fclose(file); /* it was only read */
    return r < 0 ? ma_err_set(err, r, "%.300s cannot be read", path) : 0;
}

int report_read(const struct report_options *options,
                const struct report_reader *reader,
                struct ma_err *err) {
    int result = ma_err_set(err, -ENOENT, "no record");
    for (size_t i = 0; i < 2; i++) {
        int r = options->files[i] != NULL ? read_file(options->files[i], reader, err) : -ENOENT;
        if (r < 0 && r != -ENOENT) {
            return r;
        }
        result = r == 0 ? 0 : result;
    }
    return result;
}
