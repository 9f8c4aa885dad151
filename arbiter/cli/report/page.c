/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* page.c - the page, from top to bottom. Everything a reader needs is in its tables; the script draws charts of the data
 * at its end and brings nothing that is not there. Only constants of this file and escaped text (escape.h) reach it. */
#include "page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actuator.h"
#include "bytes.h"
#include "cli.h"
#include "decision.h"
#include "escape.h"
#include "page-data.h"
#include "page-parts.h"
#include "words.h"

static uint64_t n_victims(const struct report_data *data) {
    uint64_t n = 0;
    for (unsigned action = MA_ACTION_PAUSE; action <= MA_ACTION_KILL; action++) {
        n += data->n_taken[action];
    }
    return n;
}

static uint64_t n_gentle(const struct report_data *data) {
    return data->n_taken[MA_ACTION_BALLOON] + data->n_taken[MA_ACTION_RESIZE] +
           data->n_taken[MA_ACTION_RECLAIM] + data->n_taken[MA_ACTION_REBALANCE];
}

static void write_head(const struct page *page) {
    const struct report_data *data = page->data;
    char from[REPORT_WHEN_MAX];
    char to[REPORT_WHEN_MAX];
    char zone[16] = "";
    time_t seconds = (time_t) (data->last_usec / MA_USEC_PER_SEC);
    struct tm parts;
    FILE *file = page->file;
    (void) fprintf(
        file,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"
        "Memory on ",
        report_policy);
    report_html(file, data->host[0] != '\0' ? data->host : "a host");
    (void) fprintf(file, ", %s</title>\n<style>%s</style></head>\n<body><header><h1>Memory on ",
                   report_when(from, data->first_usec), report_style);
    report_html(file, data->host[0] != '\0' ? data->host : "a host");
    if (localtime_r(&seconds, &parts) != NULL) {
        (void) strftime(zone, sizeof(zone), "UTC%z", &parts);
    }
    (void) fprintf(file, "</h1><p>%s to %s, %s <span class=\"dim\">memarb ", from,
                   report_when(to, data->last_usec), zone);
    report_html(file, data->version);
    (void) fputs("</span></p></header>\n<main>\n", file);
}

static void write_tile(FILE *file, const char *name, const char *value) {
    (void) fprintf(file, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void write_number(FILE *file, const char *name, uint64_t value) {
    char text[24];
    (void) snprintf(text, sizeof(text), "%" PRIu64, value);
    write_tile(file, name, text);
}

static void write_tiles(const struct page *page) {
    const struct report_data *data = page->data;
    char text[MA_FORMAT_MAX];
    (void) fputs("<dl class=\"tiles\">\n", page->file);
    write_tile(page->file, "Memory", ma_format_bytes(text, data->total_bytes));
    write_tile(page->file, "Least available", ma_format_bytes(text, data->least_available_bytes));
    write_number(page->file, "Incidents", data->n_incidents);
    write_number(page->file, "Victims", n_victims(data));
    write_number(page->file, "Gentle actions", n_gentle(data));
    write_number(page->file, "Guests", data->n_guests);
    (void) fputs(
        "</dl>\n"
        "<section id=\"charts\" hidden><div id=\"bar\"></div><div id=\"plot\"><div id=\"tip\" "
        "hidden></div></div><div id=\"keys\"></div><div id=\"picked\" hidden></div></section>\n",
        page->file);
}

static void write_incidents(const struct page *page) {
    const struct report_data *data = page->data;
    FILE *file = page->file;
    (void) fputs("<section><h2>Incidents</h2>\n", file);
    if (data->n_incidents == 0) {
        (void) fputs("<p>None: pressure was normal all the time.</p></section>\n", file);
        return;
    }
    (void) fputs(
        "<div class=\"scroll\"><table><thead><tr><th>From<th>Lasted<th>Worst state<th "
        "class=\"number\">Least available<th class=\"number\">Gentle actions<th class=\"number\">"
        "Victims</tr></thead><tbody>\n",
        file);
    for (size_t i = 0; i < data->n_incidents; i++) {
        const struct report_incident *incident = &data->incidents[i];
        char when[REPORT_WHEN_MAX];
        char lasted[MA_FORMAT_MAX];
        char least[MA_FORMAT_MAX];
        const char *state = ma_pressure_name(incident->worst);
        (void) fprintf(file,
                       "<tr><td class=\"time\">%s<td>%s%s<td><span class=\"state %s\">%s</span><td "
                       "class=\"number\">%s<td class=\"number\">%u<td class=\"number\">%u</tr>\n",
                       report_when(when, incident->from_usec),
                       ma_format_usec(lasted, (incident->to_usec - incident->from_usec) /
                                                  MA_USEC_PER_MSEC * MA_USEC_PER_MSEC),
                       incident->is_open ? ", not over" : "", state, state,
                       ma_format_bytes(least, incident->least_available_bytes), incident->n_gentle,
                       incident->n_victims);
    }
    (void) fputs("</tbody></table></div>\n", file);
    if (data->n_cycles_left_out > 0) {
        (void) fputs("<p class=\"dim\">Later incidents are left out: choose a shorter time.</p>\n",
                     file);
    }
    (void) fputs("</section>\n", file);
}

static void add_mark(struct page *page, const struct report_cycle *cycle) {
    struct page_mark *mark = &page->marks[page->n_marks];
    *mark = (struct page_mark){.realtime_usec = cycle->realtime_usec,
                               .kind = report_kind_of(cycle),
                               .number = (unsigned) page->n_marks};
    (void) report_summary(mark->label, sizeof(mark->label), cycle);
    page->n_marks++;
}

static void on_cycle(void *userdata, const struct report_cycle *cycle) {
    struct page *page = userdata;
    char id[16];
    report_series_see(&page->series, cycle);
    if (!cycle->is_new) {
        return;
    }
    if (page->places[cycle->weight] == 0) {
        page->n_left_out++;
        return;
    }
    page->places[cycle->weight]--;
    (void) snprintf(id, sizeof(id), "d%zu", page->n_marks);
    report_decision(page->file, page->data, cycle, id);
    add_mark(page, cycle);
}

static int write_decisions(struct page *page, struct ma_err *err) {
    (void) fputs(
        "<section><h2>Decisions</h2>\n<p class=\"dim\">Each with its candidates, the terms of "
        "their impact in points, and the options that were weighed. A plan that repeats the one "
        "before and is not taken stands here once.</p>\n",
        page->file);
    report_deal_places(page->data, page->places);
    int r = report_each_cycle(page->data, on_cycle, page, err);
    if (page->n_marks == 0) {
        (void) fputs("<p>None: there was nothing to do.</p>\n", page->file);
    }
    if (page->n_left_out > 0) {
        (void) fprintf(page->file,
                       "<p class=\"dim\">%" PRIu64
                       " lighter ones are left out: choose a shorter time."
                       "</p>\n",
                       page->n_left_out);
    }
    (void) fputs("</section>\n", page->file);
    return r;
}

static void write_guest(FILE *file, const struct report_guest *guest) {
    char peak[MA_FORMAT_MAX];
    char last[MA_FORMAT_MAX];
    char when[REPORT_WHEN_MAX];
    (void) fputs("<tr><td class=\"name\">", file);
    report_html(file, guest->name);
    (void) fputs("<td class=\"dim\">", file);
    report_html(file, guest->uuid);
    (void) fprintf(file, "<td class=\"number\">%s<td class=\"number\">%s<td class=\"time\">%s<td>",
                   ma_format_bytes(peak, guest->peak_bytes),
                   ma_format_bytes(last, guest->last_bytes), report_when(when, guest->last_usec));
    for (unsigned action = 0, n = 0; action < MA_ACTION_COUNT; action++) {
        if (guest->n_actions[action] > 0) {
            (void) fprintf(file, "%s%s &#215;%u", n++ > 0 ? ", " : "",
                           ma_action_name((enum ma_action) action), guest->n_actions[action]);
        }
    }
    (void) fputs("</tr>\n", file);
}

/* Rows of tables that are not decisions. More make a page that no browser likes. */
#define ROWS_MAX 2000U

static void write_guests(const struct page *page) {
    const struct report_data *data = page->data;
    (void) fputs(
        "<section><h2>Guests</h2>\n<div class=\"scroll\"><table><thead><tr><th>Name<th>UUID<th "
        "class=\"number\">Most held<th class=\"number\">Held last<th>Seen last<th>Actions taken"
        "</tr></thead><tbody>\n",
        page->file);
    for (size_t i = 0; i < data->n_guests && i < ROWS_MAX; i++) {
        write_guest(page->file, &data->guests[i]);
    }
    (void) fputs("</tbody></table></div></section>\n", page->file);
}

/* Those beside which no decision stands: of hooks and the kernel, and of decisions before the time of the report. */
static void write_outcomes(const struct page *page) {
    const struct report_data *data = page->data;
    FILE *file = page->file;
    size_t n = 0;
    for (size_t i = 0; i < data->n_outcomes && n < ROWS_MAX; i++) {
        const struct report_outcome *outcome = &data->outcomes[i];
        uint32_t guest = report_find_guest(data, outcome->uuid);
        char when[REPORT_WHEN_MAX];
        if (outcome->is_used) {
            continue;
        }
        if (n++ == 0) {
            (void) fputs(
                "<section><h2>Other outcomes</h2>\n<div class=\"scroll\"><table><thead><tr>"
                "<th>Time<th>Guest<th>Action<th>Outcome<th>By</tr></thead><tbody>\n",
                file);
        }
        (void) fprintf(file, "<tr><td class=\"time\">%s<td>",
                       report_when(when, outcome->realtime_usec));
        report_html(file, guest != REPORT_NO_GUEST ? data->guests[guest].name : outcome->uuid);
        (void) fprintf(file, "<td>%s<td>%s<td>", ma_action_name(outcome->action),
                       ma_outcome_name((enum ma_outcome_result) outcome->result));
        report_html(file, outcome->by);
        (void) fputs("</tr>\n", file);
    }
    (void) fputs(n > 0 ? "</tbody></table></div></section>\n" : "", file);
}

static void write_timeline(const struct page *page) {
    const struct report_series *series = &page->series;
    FILE *file = page->file;
    (void) fprintf(
        file,
        "<section><h2>Timeline</h2><details><summary>%zu of %" PRIu64
        " samples as a table</summary><div class=\"scroll\"><table><thead><tr><th>Time<th>"
        "State<th class=\"number\">Available<th class=\"number\">Swap in use<th "
        "class=\"number\">Stalls, some<th class=\"number\">full<th class=\"number\">Guests"
        "</tr></thead><tbody>\n",
        series->n, page->data->n_cycles);
    for (size_t i = 0; i < series->n; i++) {
        const struct report_point *p = &series->points[i];
        const char *state = ma_pressure_name(p->pressure);
        char when[REPORT_WHEN_MAX];
        char available[MA_FORMAT_MAX];
        char swap[MA_FORMAT_MAX];
        char guests[MA_FORMAT_MAX];
        uint64_t sum = 0;
        for (size_t k = 0; k <= REPORT_LAYERS_MAX; k++) {
            sum = ma_add_sat(sum, p->layer_bytes[k]);
        }
        (void) fprintf(
            file,
            "<tr><td class=\"time\">%s<td><span class=\"state %s\">%s</span><td "
            "class=\"number\">%s<td class=\"number\">%s<td class=\"number\">%u.%02u %%<td "
            "class=\"number\">%u.%02u %%<td class=\"number\">%s</tr>\n",
            report_when(when, p->realtime_usec), state, state,
            ma_format_bytes(available, p->available_bytes),
            ma_format_bytes(swap, p->swap_used_bytes), p->some_permyriad / 100,
            p->some_permyriad % 100, p->full_permyriad / 100, p->full_permyriad % 100,
            ma_format_bytes(guests, sum));
    }
    (void) fputs("</tbody></table></div></details></section>\n", file);
}

static void write_footer(const struct page *page) {
    (void) fprintf(
        page->file,
        "</main>\n<footer class=\"dim\"><p>%" PRIu64 " cycles of the record, %" PRIu64
        " lines that cannot be read; memarbd started %" PRIu64
        " times. Where a chart has fewer points than samples, a point is the sample with the "
        "least memory available, with the worst state and the highest stall of its group."
        "</p></footer>\n",
        page->data->n_cycles, page->data->n_broken, page->data->n_starts);
}

static int write_page(struct page *page, struct ma_err *err) {
    write_head(page);
    write_tiles(page);
    write_incidents(page);
    int r = write_decisions(page, err);
    write_guests(page);
    write_outcomes(page);
    write_timeline(page);
    write_footer(page);
    report_page_data(page);
    return r;
}

int report_page(FILE *file, struct report_data *data, struct ma_err *err) {
    struct page *page = calloc(1, sizeof(*page));
    int r = page == NULL ? -ENOMEM : report_series_init(&page->series, data);
    if (r == 0) {
        page->file = file;
        page->data = data;
        r = write_page(page, err);
        report_series_fini(&page->series);
    } else {
        (void) ma_err_set(err, r, "out of memory");
    }
    free(page);
    return r;
}
