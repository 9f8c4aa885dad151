/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* top-model.h - what memarbctl top shows, without a screen: rows from the daemon's answers, sorted, and the texts of
 * cells and lines. Pure: no I/O, no clock. Foreign texts (guests choose their names) come out printable. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ma_top_column {
    MA_TOP_GUEST,
    MA_TOP_STATE,
    MA_TOP_ACTUAL,
    MA_TOP_TARGET,
    MA_TOP_WORKING,
    MA_TOP_PINNED,
    MA_TOP_PRESSURE,
    MA_TOP_IMPACT,
    MA_TOP_FREES,
    MA_TOP_TAKEN,
    MA_TOP_COLUMNS
};

#define MA_TOP_NAME_MAX  64
#define MA_TOP_LINE_MAX  256
#define MA_TOP_HOST_MAX  5
#define MA_TOP_EVENT_MAX 8
#define MA_TOP_CELL_MAX  64

struct ma_top_row {
    char text[MA_TOP_NAME_MAX]; /* of MA_TOP_GUEST */
    char state[16];
    char taken[24];
    char impact[8];                /* "never", "100" */
    int64_t value[MA_TOP_COLUMNS]; /* of the columns of numbers; INT64_MIN: not known */
    bool is_odd;                   /* something to look at: memarbctl guests says what */
};
struct ma_top {
    struct ma_top_row *rows;
    size_t n_rows, max_rows;
    enum ma_top_column sort;
    bool is_ascending;
    char host[MA_TOP_HOST_MAX][MA_TOP_LINE_MAX];
    size_t n_host;
    char pressure[16];                              /* of the host, for its colour */
    char events[MA_TOP_EVENT_MAX][MA_TOP_LINE_MAX]; /* oldest first */
    size_t n_events;
};

void ma_top_init(struct ma_top *top);
void ma_top_fini(struct ma_top *top);
/* The daemon's ListGuests and GetStatus, and one event; whatever shape they have. false: no memory, the old rows stay. */
bool ma_top_take_guests(struct ma_top *top, const json_t *guests);
void ma_top_take_status(struct ma_top *top, const json_t *status);
void ma_top_clear_events(struct ma_top *top);
void ma_top_take_event(struct ma_top *top, const json_t *event);

/* By that column, the larger ones first (texts: from a to z); the same column again turns the order round. */
void ma_top_sort_by(struct ma_top *top, enum ma_top_column column);
void ma_top_sort(struct ma_top *top);

const char *ma_top_header(enum ma_top_column column);
/* Columns it takes on a screen of that width, at least the width of its header; the guest's name takes what is left. */
int ma_top_width(enum ma_top_column column, int screen_width);
/* Numbers are written to the right. */
bool ma_top_is_number(enum ma_top_column column);
/* Returns buf. "-" where it is not known. */
const char *
ma_top_cell(const struct ma_top_row *row, enum ma_top_column column, char buf[MA_TOP_CELL_MAX]);
