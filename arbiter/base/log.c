/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_BYTES 1024

static void stderr_sink(enum ma_log_level level, const char *message) {
    (void) fprintf(stderr, "<%d>%s\n", (int) level, message); /* nobody to tell if stderr is gone */
}

static ma_log_sink_fn current_sink = stderr_sink;
static enum ma_log_level max_level = MA_LOG_INFO;

void ma_log_set_sink(ma_log_sink_fn sink) {
    current_sink = sink != NULL ? sink : stderr_sink;
}

void ma_log_set_max_level(enum ma_log_level level) {
    max_level = level;
}

void ma_log(enum ma_log_level level, const char *format, ...) {
    if (level > max_level) {
        return;
    }
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, format);
    (void) vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    current_sink(level, line);
}

const char *ma_log_level_name(enum ma_log_level level) {
    static const char *const names[] = {"err", "warning", "notice", "info", "debug"};
    return level >= MA_LOG_ERR && level <= MA_LOG_DEBUG ? names[level - MA_LOG_ERR] : "notice";
}
