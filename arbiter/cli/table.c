/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* table.c - collects cells, measures, prints. */
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static const char *const escapes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};

/* Characters, not bytes: continuation bytes of UTF-8 take no column. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char) *text & 0xC0U) != 0x80U;
    }
    return width;
}

/* C0, DEL, and C1 (0xC2 0x80..0x9F) become '?'. */
static char *sanitized(const char *text) {
    char *copy = strdup(text);
    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        unsigned char byte = (unsigned char) *c;
        if (byte < 0x20 || byte == 0x7F) {
            *c = '?';
        } else if (byte == 0xC2 && (unsigned char) c[1] >= 0x80 && (unsigned char) c[1] < 0xA0) {
            c[0] = '?';
            c[1] = '?';
        }
    }
    return copy;
}

void ma_table_init_plain(struct ma_table *table, size_t n_columns, bool is_color) {
    *table = (struct ma_table){.n_columns = n_columns, .is_color = is_color};
}

void ma_table_init(struct ma_table *table, const char *headers, bool is_color) {
    ma_table_init_plain(table, 0, is_color);
    table->has_header = true;
    while (*headers != '\0' && table->n_columns < MA_TABLE_COLUMNS_MAX) {
        char name[32];
        size_t len = strcspn(headers, " ");
        bool is_right = *headers == '+';
        (void) snprintf(name, sizeof(name), "%.*s", (int) len - is_right, headers + is_right);
        table->is_right[table->n_columns++] = is_right;
        ma_table_add(table, MA_COLOR_BOLD, name);
        headers += len;
        headers += strspn(headers, " ");
    }
}

void ma_table_add(struct ma_table *table, enum ma_table_color color, const char *text) {
    if (table->n_cells == table->max_cells) {
        size_t max = table->max_cells == 0 ? 64 : table->max_cells * 2;
        struct ma_table_cell *cells = reallocarray(table->cells, max, sizeof(*cells));
        if (cells == NULL) {
            return; /* the row stays short; there is nothing better to do without memory */
        }
        table->cells = cells;
        table->max_cells = max;
    }
    table->cells[table->n_cells++] = (struct ma_table_cell){sanitized(text), color};
}

void ma_table_add_bytes(struct ma_table *table,
                        enum ma_table_color color,
                        bool is_known,
                        int64_t bytes) {
    char text[MA_FORMAT_MAX], amount[MA_FORMAT_MAX];
    uint64_t size = bytes < 0 ? -(uint64_t) bytes : (uint64_t) bytes;
    (void) snprintf(text, sizeof(text), "%s%s", bytes < 0 ? "-" : "",
                    ma_format_bytes(amount, size));
    ma_table_add(table, color, is_known ? text : "-");
}

void ma_table_add_number(struct ma_table *table,
                         enum ma_table_color color,
                         bool is_known,
                         int64_t number) {
    char text[MA_FORMAT_MAX];
    (void) snprintf(text, sizeof(text), "%" PRId64, number);
    ma_table_add(table, color, is_known ? text : "-");
}

static const char *text_of(const struct ma_table *table, size_t cell) {
    return table->cells[cell].text != NULL ? table->cells[cell].text : "";
}

static void print_cell(const struct ma_table *table, size_t cell, size_t width) {
    size_t column = cell % table->n_columns;
    const char *text = text_of(table, cell);
    size_t pad = width - width_of(text);
    bool is_last = column + 1 == table->n_columns;
    bool is_colored = table->is_color && table->cells[cell].color != MA_COLOR_NONE;
    if (table->is_right[column]) {
        (void) printf("%*s", (int) pad, "");
    }
    (void) printf("%s%s%s", is_colored ? escapes[table->cells[cell].color] : "", text,
                  is_colored ? "\033[0m" : "");
    if (!is_last) {
        (void) printf("%*s", (int) (table->is_right[column] ? 2 : pad + 2), "");
    }
}

void ma_table_print(struct ma_table *table, unsigned indent) {
    size_t widths[MA_TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t *width = &widths[i % table->n_columns];
        *width = ma_max_u64(*width, width_of(text_of(table, i)));
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        if (column == 0) {
            (void) printf("%*s", (int) indent, "");
        }
        print_cell(table, i, widths[column]);
        if (column + 1 == table->n_columns || i + 1 == table->n_cells) {
            (void) putchar('\n');
        }
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i].text);
    }
    free(table->cells);
    *table = (struct ma_table){.n_columns = table->n_columns};
}

enum ma_table_color ma_table_color_of_pressure(const char *pressure) {
    if (strcmp(pressure, "normal") == 0) {
        return MA_COLOR_GREEN;
    }
    return strcmp(pressure, "soft") == 0 ? MA_COLOR_YELLOW : MA_COLOR_RED;
}
