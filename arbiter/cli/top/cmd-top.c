/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-top.c - memarbctl top: asks memarbd every two seconds, and less often where that costs more than a percent of a core.
 * --once prints the same as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cli.h"
#include "table.h"
#include "top-screen.h"

/* Between two looks. Too short: costs for figures that change once in a second; too long: a shortage is over before it is
 * seen. Chosen. */
#define PERIOD_USEC (2 * MA_USEC_PER_SEC)
/* Times the processor time of a look: the period is at least so long, which makes a percent of a core the most that
 * this program takes, whatever the number of guests. Keys are answered at once all the same. */
#define COST_FACTOR UINT64_C(125)

static uint64_t now_usec(clockid_t clock) {
    struct timespec t;
    (void) clock_gettime(clock, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static int on_event(void *userdata, const json_t *parameters) {
    const json_t *event = json_object_get(parameters, "event");
    if (strcmp(ma_cli_text(event, "kind"), "subscribed") == 0) {
        return MA_EXIT_OK;
    }
    ma_top_take_event(userdata, event);
    return MA_CLI_GO_ON;
}

/* 0, or the exit code. */
static int look(const struct ma_cli *cli, struct ma_top *top) {
    json_t *status = NULL, *guests = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.GetStatus", NULL, &status);
    r = r == 0 ? ma_cli_call(cli, "io.memarb.Arbiter.ListGuests", NULL, &guests) : r;
    if (r == 0) {
        ma_top_take_status(top, json_object_get(status, "status"));
        r = ma_top_take_guests(top, json_object_get(guests, "guests")) ? 0 : MA_EXIT_ERROR;
    }
    if (r == 0) {
        ma_top_clear_events(top);
        r = ma_cli_stream(cli, "io.memarb.Arbiter.Subscribe",
                          json_pack("{s:i}", "last", MA_TOP_EVENT_MAX), on_event, top);
    }
    json_decref(status);
    json_decref(guests);
    return r;
}

static int print_once(const struct ma_cli *cli, const struct ma_top *top) {
    struct ma_table table;
    char headers[256] = "", buf[MA_TOP_CELL_MAX];
    for (int i = 0; i < MA_TOP_COLUMNS; i++) {
        size_t len = strlen(headers);
        enum ma_top_column column = (enum ma_top_column) i;
        (void) snprintf(headers + len, sizeof(headers) - len, "%s%s%s", i > 0 ? " " : "",
                        ma_top_is_number(column) ? "+" : "", ma_top_header(column));
    }
    for (size_t i = 0; i < top->n_host; i++) {
        (void) puts(top->host[i]);
    }
    (void) putchar('\n');
    ma_table_init(&table, headers, cli->is_color);
    for (size_t i = 0; i < top->n_rows; i++) {
        for (int k = 0; k < MA_TOP_COLUMNS; k++) {
            ma_table_add(&table, MA_COLOR_NONE,
                         ma_top_cell(&top->rows[i], (enum ma_top_column) k, buf));
        }
    }
    ma_table_print(&table, 0);
    (void) printf("\nlast decisions\n");
    for (size_t i = 0; i < top->n_events; i++) {
        (void) puts(top->events[i]);
    }
    return MA_EXIT_OK;
}

/* The daemon's own answers, for programs. */
static int print_json(const struct ma_cli *cli) {
    json_t *status = NULL, *guests = NULL;
    int r = ma_cli_call(cli, "io.memarb.Arbiter.GetStatus", NULL, &status);
    r = r == 0 ? ma_cli_call(cli, "io.memarb.Arbiter.ListGuests", NULL, &guests) : r;
    if (r == 0) {
        json_t *both = json_pack("{s:O, s:O}", "status", json_object_get(status, "status"),
                                 "guests", json_object_get(guests, "guests"));
        r = ma_cli_print_json(cli, both);
        json_decref(both);
    }
    json_decref(status);
    json_decref(guests);
    return r;
}

static void refresh(const struct ma_cli *cli, struct ma_top *top, struct ma_top_screen *screen) {
    int r = look(cli, top);
    screen->message[0] = '\0';
    if (r != 0) {
        (void) snprintf(screen->message, sizeof(screen->message), "%s",
                        r == MA_EXIT_NO_DAEMON ? "memarbd does not run; these figures are old"
                                               : "memarbd does not answer; these figures are old");
    }
}

static void run(const struct ma_cli *cli, struct ma_top *top, struct ma_top_screen *screen) {
    uint64_t next_usec = 0;
    while (!screen->should_quit) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        uint64_t before = now_usec(CLOCK_PROCESS_CPUTIME_ID);
        if (now >= next_usec || screen->should_refresh) {
            screen->should_refresh = false;
            refresh(cli, top, screen);
            ma_top_screen_draw(screen, top);
            uint64_t cost = now_usec(CLOCK_PROCESS_CPUTIME_ID) - before;
            next_usec = now + ma_max_u64(PERIOD_USEC, cost * COST_FACTOR);
        }
        uint64_t left = ma_sub_floor0(next_usec, now_usec(CLOCK_MONOTONIC));
        if (ma_top_screen_key(screen, top, (int) (left / 1000) + 1)) {
            ma_top_screen_draw(screen, top);
        }
    }
}

int ma_cmd_top(const struct ma_cli *cli) {
    struct ma_top top;
    struct ma_top_screen screen;
    struct ma_cli quiet = *cli;
    if (cli->is_json) {
        return print_json(cli);
    }
    ma_top_init(&top);
    int r = look(cli, &top); /* what is wrong is said before the screen is taken */
    if (r == 0 && cli->is_once) {
        r = print_once(cli, &top);
    } else if (r == 0 && (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)) {
        r = ma_cli_fail(MA_EXIT_USAGE, "top takes a terminal; --once prints it");
    } else if (r == 0) {
        quiet.is_quiet = true;
        if (ma_top_screen_open(&screen, cli->is_color)) {
            run(&quiet, &top, &screen);
            ma_top_screen_close();
        }
    }
    ma_top_fini(&top);
    return r;
}
