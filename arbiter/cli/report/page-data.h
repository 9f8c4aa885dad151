/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* page-data.h - what the page's script draws, as JSON at the page's end, with the script. */

#include <stdio.h>

#include "report-data.h"
#include "series.h"

#define REPORT_LABEL_MAX 200

struct page_mark { /* a decision on the chart */
    uint64_t realtime_usec;
    const char *kind;
    unsigned number; /* its element is "d<number>" */
    char label[REPORT_LABEL_MAX];
};
struct page {
    FILE *file;
    struct report_data *data;
    struct report_series series;
    struct page_mark marks[REPORT_DECISIONS_MAX];
    size_t n_marks;
    uint64_t places[REPORT_WEIGHTS]; /* left for decisions of that weight */
    uint64_t n_left_out;
};
void report_page_data(const struct page *page);
