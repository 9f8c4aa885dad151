/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* top-screen.h - memarbctl top on a terminal: drawing and keys; what is shown is top-model's. */

#include "top-model.h"

struct ma_top_screen {
    size_t first;  /* row at the top of the list */
    bool has_help; /* the keys instead of the list */
    bool has_color;
    bool should_quit;
    bool should_refresh;
    char message[MA_TOP_LINE_MAX]; /* "": all is well */
};

/* false: this terminal can do nothing of the kind. */
bool ma_top_screen_open(struct ma_top_screen *screen, bool is_color);
void ma_top_screen_close(void);
void ma_top_screen_draw(struct ma_top_screen *screen, const struct ma_top *top);
/* Waits for a key so long, and obeys it. true: something is to be drawn anew. */
bool ma_top_screen_key(struct ma_top_screen *screen, struct ma_top *top, int timeout_ms);
