/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lines.c - what the codec makes of a stream on stdin that comes in pieces of argv[1] bytes: for each line handed out,
 * how the host reads it and how the guest does (written again), or a "-"; at last how many were too long. */
#include <stdio.h>
#include <stdlib.h>

#include "protocol.h"

static bool on_line(void *userdata, const char *line, size_t length) {
    struct mag_report report;
    struct mag_request request;
    char buf[MAG_LINE_MAX];
    size_t n;
    (void) userdata;
    if (mag_report_parse(line, length, &report) == 0) {
        n = mag_report_format(&report, buf);
    } else if (mag_request_parse(line, length, &request) == 0) {
        n = mag_request_format(&request, buf);
    } else {
        buf[0] = '-';
        buf[1] = '\n';
        n = 2;
    }
    return fwrite(buf, 1, n, stdout) == n;
}

int main(int argc, char **argv) {
    struct mag_lines lines = {0};
    char buf[4096];
    uint64_t dropped = 0;
    size_t step = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (step == 0 || step > sizeof(buf)) {
        return 2;
    }
    for (size_t n = fread(buf, 1, step, stdin); n > 0; n = fread(buf, 1, step, stdin)) {
        if (mag_lines_feed(&lines, buf, n, on_line, NULL, &dropped) != n) {
            return 1;
        }
    }
    (void) printf("dropped %llu\n", (unsigned long long) dropped);
    return 0;
}
