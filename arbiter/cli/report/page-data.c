/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "page-data.h"

#include <inttypes.h>
#include <time.h>

#include "bytes.h"
#include "escape.h"
#include "page-parts.h"

/* Milliseconds since the first point. */
static uint64_t since_start_ms(const struct page *page, uint64_t realtime_usec) {
    return ma_sub_floor0(realtime_usec, page->data->first_usec) / MA_USEC_PER_MSEC;
}

enum column { COLUMN_TIME, COLUMN_STATE, COLUMN_AVAILABLE, COLUMN_SWAP, COLUMN_SOME, COLUMN_FULL };

static uint64_t
value_of(const struct page *page, enum column column, const struct report_point *p) {
    switch (column) {
    case COLUMN_TIME:
        return since_start_ms(page, p->realtime_usec);
    case COLUMN_STATE:
        return (uint64_t) p->pressure;
    case COLUMN_AVAILABLE:
        return ma_mib_down(p->available_bytes);
    case COLUMN_SWAP:
        return ma_mib_down(p->swap_used_bytes);
    case COLUMN_SOME:
        return p->some_permyriad;
    case COLUMN_FULL:
        return p->full_permyriad;
    }
    return 0;
}

static void write_column(const struct page *page, const char *name, enum column column) {
    (void) fprintf(page->file, "\"%s\":[", name);
    for (size_t i = 0; i < page->series.n; i++) {
        (void) fprintf(page->file, "%s%" PRIu64, i > 0 ? "," : "",
                       value_of(page, column, &page->series.points[i]));
    }
    (void) fputs("],\n", page->file);
}

static void write_layer(const struct page *page, size_t layer, const char *name) {
    (void) fputs(layer > 0 ? ",\n{\"name\":" : "\n{\"name\":", page->file);
    report_json(page->file, name);
    (void) fputs(",\"mib\":[", page->file);
    for (size_t i = 0; i < page->series.n; i++) {
        (void) fprintf(page->file, "%s%" PRIu64, i > 0 ? "," : "",
                       ma_mib_down(page->series.points[i].layer_bytes[layer]));
    }
    (void) fputs("]}", page->file);
}

static void write_layers(const struct page *page) {
    const struct report_data *data = page->data;
    bool has_rest = data->n_guests > REPORT_LAYERS_MAX;
    (void) fprintf(page->file, "\"has_rest\":%s,\"layers\":[", has_rest ? "true" : "false");
    for (size_t layer = 0; layer < REPORT_LAYERS_MAX && layer < data->n_guests; layer++) {
        for (size_t i = 0; i < data->n_guests; i++) {
            if (data->guests[i].layer == layer) {
                write_layer(page, layer, data->guests[i].name);
            }
        }
    }
    if (has_rest) {
        write_layer(page, REPORT_LAYERS_MAX, "all others");
    }
    (void) fputs("],\n", page->file);
}

static void write_marks(const struct page *page) {
    (void) fputs("\"decisions\":[", page->file);
    for (size_t i = 0; i < page->n_marks; i++) {
        const struct page_mark *mark = &page->marks[i];
        (void) fprintf(
            page->file,
            "%s\n{\"t\":%" PRIu64 ",\"id\":\"d%u\",\"kind\":\"%s\",\"label\":", i > 0 ? "," : "",
            since_start_ms(page, mark->realtime_usec), mark->number, mark->kind);
        report_json(page->file, mark->label);
        (void) fputs("}", page->file);
    }
    (void) fputs("],\n\"incidents\":[", page->file);
    for (size_t i = 0; i < page->data->n_incidents; i++) {
        const struct report_incident *incident = &page->data->incidents[i];
        (void) fprintf(page->file, "%s[%" PRIu64 ",%" PRIu64 "]", i > 0 ? "," : "",
                       since_start_ms(page, incident->from_usec),
                       since_start_ms(page, incident->to_usec));
    }
    (void) fputs("]}", page->file);
}

/* The first point's distance from UTC, as the tables have it. A change to or from summer time within is not followed. */
static long offset_seconds(uint64_t realtime_usec) {
    time_t seconds = (time_t) (realtime_usec / MA_USEC_PER_SEC);
    struct tm parts;
    return localtime_r(&seconds, &parts) != NULL ? parts.tm_gmtoff : 0;
}

void report_page_data(const struct page *page) {
    const struct report_data *data = page->data;
    (void) fprintf(page->file,
                   "<script type=\"application/json\" id=\"data\">{\"t0\":%" PRIu64
                   ",\"offset\":%ld,\"soft\":%" PRIu64 ",\"hard\":%" PRIu64 ",\"critical\":%" PRIu64
                   ",\"has_stalls\":%s,\n",
                   data->first_usec / MA_USEC_PER_MSEC, offset_seconds(data->first_usec),
                   ma_mib_down(data->settings.soft_watermark_bytes),
                   ma_mib_down(data->settings.hard_watermark_bytes),
                   ma_mib_down(data->settings.critical_watermark_bytes),
                   page->series.has_stalls ? "true" : "false");
    write_column(page, "t", COLUMN_TIME);
    write_column(page, "state", COLUMN_STATE);
    write_column(page, "available", COLUMN_AVAILABLE);
    if (page->series.has_swap) {
        write_column(page, "swap", COLUMN_SWAP);
    }
    write_column(page, "some", COLUMN_SOME);
    write_column(page, "full", COLUMN_FULL);
    write_layers(page);
    write_marks(page);
    (void) fprintf(page->file, "</script>\n<script>%s</script>\n</body></html>\n", report_script);
}
