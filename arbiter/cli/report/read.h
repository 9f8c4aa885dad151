/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* read.h - a record's lines, one after another, within a time. */

#include "report-data.h"

struct report_line {
    const struct ma_record_line *record; /* as read and checked (formats.h) */
    const char *text;
    size_t len;
};
struct report_reader {
    void (*on_line)(void *userdata, const struct report_line *line);
    void (*on_broken)(void *userdata);
    void *userdata;
};
/* Every line of both files; the reader judges times. 0, -ENOENT: there is no file, or negative errno. */
int report_read(const struct report_options *options,
                const struct report_reader *reader,
                struct ma_err *err);
