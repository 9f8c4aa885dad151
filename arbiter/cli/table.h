/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* table.h - aligned text: widths by content, blanks only, colour only where asked. Bytes that could steer a terminal
 * are replaced, since guests choose their names. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MA_TABLE_COLUMNS_MAX 12

enum ma_table_color {
    MA_COLOR_NONE,
    MA_COLOR_BOLD,
    MA_COLOR_GREEN,
    MA_COLOR_YELLOW,
    MA_COLOR_RED,
    MA_COLOR_DIM
};

struct ma_table_cell {
    char *text;
    enum ma_table_color color;
};
struct ma_table {
    size_t n_columns;
    bool is_right[MA_TABLE_COLUMNS_MAX]; /* numbers */
    struct ma_table_cell *cells;         /* row after row */
    size_t n_cells, max_cells;
    bool is_color;
    bool has_header; /* the first row */
};

/* headers: blank-separated column names, "+NAME" for right-aligned ones; NULL n: no header row. */
void ma_table_init(struct ma_table *table, const char *headers, bool is_color);
/* Without a header row. */
void ma_table_init_plain(struct ma_table *table, size_t n_columns, bool is_color);
void ma_table_add(struct ma_table *table, enum ma_table_color color, const char *text);
void ma_table_add_bytes(struct ma_table *table,
                        enum ma_table_color color,
                        bool is_known,
                        int64_t bytes);
void ma_table_add_number(struct ma_table *table,
                         enum ma_table_color color,
                         bool is_known,
                         int64_t number);
/* Prints to stdout, each line after `indent` blanks, and frees. */
void ma_table_print(struct ma_table *table, unsigned indent);
enum ma_table_color ma_table_color_of_pressure(const char *pressure);
