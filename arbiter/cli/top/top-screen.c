/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top-screen.c - the lines of the host, the list of guests, the last decisions; 80x24 holds all of it. */
#include "top-screen.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* Decisions shown on 24 lines, and on more. */
#define EVENTS_MIN  3
#define EVENTS_MAX  6
#define TALL_LINES  36
#define LINES_LEAST 8
#define COLS_LEAST  20

enum pair { PAIR_GREEN = 1, PAIR_YELLOW, PAIR_RED };

static const struct {
    int key;
    enum ma_top_column column;
} sort_keys[] = {
    {'n', MA_TOP_GUEST},   {'s', MA_TOP_STATE},  {'a', MA_TOP_ACTUAL},   {'t', MA_TOP_TARGET},
    {'w', MA_TOP_WORKING}, {'p', MA_TOP_PINNED}, {'r', MA_TOP_PRESSURE}, {'i', MA_TOP_IMPACT},
    {'f', MA_TOP_FREES},   {'k', MA_TOP_TAKEN},
};

static const char *const help_lines[] = {
    "sort by   n guest   s state   a actual   t target   w working set   p pinned",
    "          r pressure   i impact   f what a kill would free   k what was taken",
    "          < >  the column before, behind     R or the same key: turn round",
    "move      up down PgUp PgDn Home End",
    "other     space: ask memarbd now   ? these keys   q quit",
    "",
    "ACTUAL  the guest's memory now         TARGET  where its balloon is heading",
    "WORK    what it uses, with its margin  PINNED  bytes that no balloon returns",
    "PSI%    its stalls, last 10 s          IMPACT  what its loss costs",
    "FREES   what the host gets by a kill   TAKEN   what memarb took from it",
    "A guest in yellow has a problem: memarbctl guests says which.",
};

bool ma_top_screen_open(struct ma_top_screen *screen, bool is_color) {
    *screen = (struct ma_top_screen){.should_refresh = true};
    if (initscr() == NULL) {
        return false;
    }
    (void) cbreak();
    (void) noecho();
    (void) keypad(stdscr, TRUE);
    (void) curs_set(0); /* a terminal that cannot hide it shows it */
    screen->has_color = is_color && has_colors() && start_color() == OK;
    if (screen->has_color) {
        (void) use_default_colors();
        (void) init_pair(PAIR_GREEN, COLOR_GREEN, -1);
        (void) init_pair(PAIR_YELLOW, COLOR_YELLOW, -1);
        (void) init_pair(PAIR_RED, COLOR_RED, -1);
    }
    return true;
}

void ma_top_screen_close(void) {
    (void) endwin();
}

static void put(int y, int x, int width, attr_t attributes, const char *text) {
    if (y < 0 || y >= LINES || x >= COLS || width <= 0) {
        return;
    }
    (void) attrset((int) attributes);
    (void) mvaddnstr(y, x, text, width < COLS - x ? width : COLS - x);
    (void) attrset(A_NORMAL);
}

static attr_t color(const struct ma_top_screen *screen, enum pair pair) {
    return screen->has_color ? (attr_t) COLOR_PAIR(pair) : A_NORMAL;
}

static attr_t color_of(const struct ma_top_screen *screen, const char *pressure) {
    if (strcmp(pressure, "normal") == 0) {
        return color(screen, PAIR_GREEN);
    }
    return color(screen, strcmp(pressure, "soft") == 0 ? PAIR_YELLOW : PAIR_RED) | A_BOLD;
}

static int draw_host(const struct ma_top_screen *screen, const struct ma_top *top) {
    int y = 0;
    for (size_t i = 0; i < top->n_host; i++) {
        attr_t attributes = i == 0 ? color_of(screen, top->pressure) : A_NORMAL;
        put(y++, 0, COLS, attributes, top->host[i]);
    }
    if (screen->message[0] != '\0') {
        put(y++, 0, COLS, color(screen, PAIR_RED) | A_BOLD, screen->message);
    }
    return y + 1;
}

/* One cell after the other; numbers end where their column ends. */
static void
draw_cells(int y, attr_t attributes, const struct ma_top *top, const struct ma_top_row *row) {
    char buf[MA_TOP_CELL_MAX], cell[MA_TOP_CELL_MAX + 8];
    int x = 0;
    for (int i = 0; i < MA_TOP_COLUMNS; i++) {
        enum ma_top_column column = (enum ma_top_column) i;
        int width = ma_top_width(column, COLS);
        if (width == 0) {
            continue;
        }
        const char *text = row != NULL ? ma_top_cell(row, column, buf) : ma_top_header(column);
        int pad = width - (int) strlen(text);
        bool is_right = ma_top_is_number(column) && pad > 0;
        (void) snprintf(cell, sizeof(cell), "%*s%s", is_right ? pad : 0, "", text);
        bool is_sorted = row == NULL && top->sort == column;
        put(y, x, width, attributes | (is_sorted ? A_BOLD | A_UNDERLINE : A_NORMAL), cell);
        x += width + 1;
    }
}

static void
draw_list(const struct ma_top_screen *screen, const struct ma_top *top, int y, int end) {
    (void) attrset(A_REVERSE);
    (void) mvhline(y, 0, ' ', COLS);
    (void) attrset(A_NORMAL);
    draw_cells(y++, A_REVERSE, top, NULL);
    for (size_t i = screen->first; i < top->n_rows && y < end; i++, y++) {
        attr_t attributes = top->rows[i].is_odd ? color(screen, PAIR_YELLOW) : A_NORMAL;
        draw_cells(y, attributes, top, &top->rows[i]);
    }
}

static void draw_help(int y, int end) {
    for (size_t i = 0; i < sizeof(help_lines) / sizeof(help_lines[0]) && y < end; i++) {
        put(y++, 0, COLS, A_NORMAL, help_lines[i]);
    }
}

static void draw_events(const struct ma_top *top, int first, int end) {
    char title[64];
    size_t room = end > first ? (size_t) (end - first) : 0;
    size_t skip = top->n_events > room ? top->n_events - room : 0;
    (void) snprintf(title, sizeof(title), "last decisions");
    put(first - 1, 0, COLS, A_BOLD, title);
    put(first - 1, COLS - 16, 16, A_DIM, "? keys    q quit");
    for (size_t i = skip; i < top->n_events; i++) {
        put(first + (int) (i - skip), 0, COLS, A_NORMAL, top->events[i]);
    }
    if (top->n_events == 0) {
        put(first, 0, COLS, A_DIM, "none");
    }
}

static int list_end(void) {
    return LINES - 1 - (LINES >= TALL_LINES ? EVENTS_MAX : EVENTS_MIN);
}

void ma_top_screen_draw(struct ma_top_screen *screen, const struct ma_top *top) {
    (void) erase();
    if (LINES < LINES_LEAST || COLS < COLS_LEAST) {
        put(0, 0, COLS, A_NORMAL, "too small");
        (void) refresh();
        return;
    }
    int y = draw_host(screen, top);
    int end = list_end();
    if (screen->first >= top->n_rows) {
        screen->first = top->n_rows > 0 ? top->n_rows - 1 : 0;
    }
    if (screen->has_help) {
        draw_help(y, end);
    } else {
        draw_list(screen, top, y, end);
    }
    draw_events(top, end + 1, LINES);
    (void) refresh();
}

static bool sort_key(struct ma_top *top, int key) {
    for (size_t i = 0; i < sizeof(sort_keys) / sizeof(sort_keys[0]); i++) {
        if (sort_keys[i].key == key) {
            ma_top_sort_by(top, sort_keys[i].column);
            return true;
        }
    }
    int step = key == '<' ? MA_TOP_COLUMNS - 1 : key == '>' ? 1 : 0;
    if (step != 0) {
        ma_top_sort_by(top, (enum ma_top_column)(((int) top->sort + step) % MA_TOP_COLUMNS));
    } else if (key == 'R') {
        ma_top_sort_by(top, top->sort);
    }
    return step != 0 || key == 'R';
}

static size_t last_first(const struct ma_top *top, size_t page) {
    return top->n_rows > page ? top->n_rows - page : 0;
}

static void move_key(struct ma_top_screen *screen, const struct ma_top *top, int key) {
    int room = list_end() - (int) top->n_host - 2;
    size_t page = room > 1 ? (size_t) room : 1;
    size_t last = last_first(top, page);
    switch (key) {
    case KEY_UP:
        screen->first -= screen->first > 0;
        break;
    case KEY_DOWN:
        screen->first += screen->first < last;
        break;
    case KEY_PPAGE:
        screen->first -= ma_min_u64(screen->first, page);
        break;
    case KEY_NPAGE:
        screen->first = ma_min_u64(screen->first + page, last);
        break;
    case KEY_HOME:
        screen->first = 0;
        break;
    case KEY_END:
        screen->first = last;
        break;
    default:
        break;
    }
}

bool ma_top_screen_key(struct ma_top_screen *screen, struct ma_top *top, int timeout_ms) {
    timeout(timeout_ms);
    int key = getch();
    if (key == ERR) {
        return false;
    }
    if (key == 'q' || key == 'Q') {
        screen->should_quit = true;
    } else if (key == '?' || key == 'h') {
        screen->has_help = !screen->has_help;
    } else if (key == ' ') {
        screen->should_refresh = true;
    } else if (!sort_key(top, key)) {
        move_key(screen, top, key);
    }
    return true;
}
