/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-protocol.c - any bytes from a guest, or to one: lines in pieces, both kinds of reader on each line. What is
 * understood keeps its bounds, and says the same when it is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) {
        abort();
    }
}

static void check_report(const char *line, size_t length) {
    struct mag_report report, again;
    char first[MAG_LINE_MAX], second[MAG_LINE_MAX];
    if (mag_report_parse(line, length, &report) < 0) {
        return;
    }
    must(report.mem_total_bytes <= MA_BYTES_MAX && report.mem_available_bytes <= MA_BYTES_MAX);
    must(report.some_avg10_permyriad <= MA_PERMYRIAD_FULL && report.hook < MAG_HOOK_COUNT);
    must(report.now_usec <= MAG_COUNT_MAX && report.seq > 0 && report.seq <= MAG_COUNT_MAX);
    must((report.has & MAG_HAS_REFAULTS) != 0 || report.refaults_count == 0);
    size_t n = mag_report_format(&report, first);
    must(n < MAG_LINE_MAX && mag_report_parse(first, n - 1, &again) == 0);
    must(mag_report_format(&again, second) == n && memcmp(first, second, n) == 0);
}

static void check_request(const char *line, size_t length) {
    struct mag_request request, again;
    char buf[MAG_LINE_MAX];
    if (mag_request_parse(line, length, &request) < 0) {
        return;
    }
    must(request.token > 0 && request.fastest_msec <= request.slowest_msec);
    must(request.slowest_msec <= MAG_INTERVAL_MAX_MSEC &&
         request.deadline_msec <= MAG_DEADLINE_MAX_MSEC);
    size_t n = mag_request_format(&request, buf);
    must(n < MAG_LINE_MAX && mag_request_parse(buf, n - 1, &again) == 0 &&
         again.kind == request.kind);
}

static bool on_line(void *userdata, const char *line, size_t length) {
    size_t *lines = userdata;
    must(length > 0 && length < MAG_LINE_MAX);
    check_report(line, length);
    check_request(line, length);
    return ++*lines % 5 != 0;
}

/* The first byte says how the reads cut the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mag_lines buffer = {0};
    struct mag_age age = {0};
    size_t lines = 0, at = 1;
    uint64_t dropped = 0;
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *) data;
    size_t step = (size_t) data[0] * 8 + 1;
    while (at < size) {
        size_t piece = step < size - at ? step : size - at;
        size_t used = mag_lines_feed(&buffer, text + at, piece, on_line, &lines, &dropped);
        must(used > 0 && used <= piece && buffer.used < MAG_LINE_MAX);
        at += used;
    }
    must(dropped * MAG_LINE_MAX <= size);
    (void) mag_age_usec(&age, dropped, size);
    check_report(text, size);
    return 0;
}
