/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define COLUMNS      900U /* samples over the width of the picture */
#define LEFT         90U
#define RIGHT        40U
#define TITLE_HEIGHT 52U
#define FREE_HEIGHT  130U
#define GUEST_HEIGHT 170U
#define MARK_HEIGHT  14U
#define MARK_ROWS    5U
#define GAP          16U
#define PANEL_HEIGHT                                                                               \
    (TITLE_HEIGHT + FREE_HEIGHT + GAP + GUEST_HEIGHT + GAP + MARK_ROWS * MARK_HEIGHT + 40U)
/* Guests apart up to so many; the rest is drawn as one. */
#define LAYERS_MAX 48U

enum mark { MARK_SHRINK, MARK_GROW, MARK_PAUSE, MARK_KILL, MARK_KERNEL };
static const char *const mark_names[MARK_ROWS] = {"balloon down", "balloon up", "pause, resume",
                                                  "save, kill", "kernel's kill"};
static const char *const mark_colors[MARK_ROWS] = {"#2f6fb5", "#5aa469", "#c98a1b", "#c23b3b",
                                                   "#000000"};
static const char *const pressure_colors[MA_PRESSURE_COUNT] = {"none", "#fff2c4", "#ffd9a8",
                                                               "#f7b5b0"};

struct column {
    bool is_seen;
    enum ma_pressure pressure;
    uint32_t available_mib; /* the least */
    uint32_t marks[MARK_ROWS];
    uint32_t guest_mib[LAYERS_MAX];
};

struct ma_picture {
    const struct sim_scenario *scenario;
    char policy[MA_POLICY_NAME_MAX];
    uint32_t host_oom_kills;
    uint32_t guest_ooms;
    char layer_uuid[LAYERS_MAX][MA_UUID_MAX];
    size_t n_layers;
    struct column columns[COLUMNS];
};

struct ma_picture *ma_picture_new(const struct sim_scenario *scenario, const char *policy) {
    struct ma_picture *picture = calloc(1, sizeof(*picture));

    if (picture != NULL) {
        picture->scenario = scenario;
        (void) snprintf(picture->policy, sizeof(picture->policy), "%s", policy);
    }
    return picture;
}

void ma_picture_free(struct ma_picture *picture) {
    free(picture);
}

static size_t layer_of(struct ma_picture *picture, const char *uuid) {
    for (size_t k = 0; k < picture->n_layers; k++) {
        if (strcmp(picture->layer_uuid[k], uuid) == 0) {
            return k;
        }
    }
    if (picture->n_layers < LAYERS_MAX) {
        (void) snprintf(picture->layer_uuid[picture->n_layers], MA_UUID_MAX, "%s", uuid);
        return picture->n_layers++;
    }
    return LAYERS_MAX - 1;
}

static enum mark mark_of(const struct ma_plan_action *action) {
    switch (action->action) {
    case MA_ACTION_PAUSE:
    case MA_ACTION_RESUME:
        return MARK_PAUSE;
    case MA_ACTION_SAVE:
    case MA_ACTION_SHUTDOWN:
    case MA_ACTION_KILL:
        return MARK_KILL;
    case MA_ACTION_BALLOON:
    case MA_ACTION_RESIZE:
        return action->to_bytes > action->from_bytes ? MARK_GROW : MARK_SHRINK;
    case MA_ACTION_RECLAIM:
    case MA_ACTION_CAP:
    case MA_ACTION_MEMLOCK:
    case MA_ACTION_OOM_ADJ:
    case MA_ACTION_REBALANCE:
    case MA_ACTION_EXHAUSTED:
    case MA_ACTION_COUNT:
        break;
    }
    return MARK_SHRINK;
}

void ma_picture_see(void *userdata, const struct sim_view *view) {
    struct ma_picture *picture = userdata;
    uint64_t at = ma_muldiv_sat(view->now_usec, COLUMNS, picture->scenario->duration_usec);
    struct column *column = &picture->columns[ma_min_u64(at, COLUMNS - 1)];
    uint32_t available = (uint32_t) ma_mib_down(view->snapshot->host.available_bytes);

    if (!column->is_seen || view->plan->pressure > column->pressure) {
        column->pressure = view->plan->pressure;
    }
    if (!column->is_seen || available < column->available_mib) {
        column->available_mib = available;
    }
    column->is_seen = true;
    for (size_t k = 0; k < view->plan->n_actions; k++) {
        const struct ma_plan_action *action = &view->plan->actions[k];

        column->marks[mark_of(action)] += action->is_armed && action->has_guest;
    }
    column->marks[MARK_KERNEL] += view->host_oom_kills - picture->host_oom_kills;
    picture->host_oom_kills = view->host_oom_kills;
    picture->guest_ooms = view->guest_ooms;
    memset(column->guest_mib, 0, sizeof(column->guest_mib));
    for (size_t i = 0; i < view->snapshot->n_guests; i++) {
        const struct ma_guest *guest = &view->snapshot->guests[i];

        column->guest_mib[layer_of(picture, guest->uuid)] +=
            (uint32_t) ma_mib_down(guest->resident_bytes);
    }
}

/* Columns that no decision fell into show what the one before showed. */
static void fill_gaps(struct ma_picture *picture) {
    for (size_t x = 1; x < COLUMNS; x++) {
        struct column *column = &picture->columns[x];

        if (!column->is_seen) {
            *column = picture->columns[x - 1];
            memset(column->marks, 0, sizeof(column->marks));
        }
    }
}

static unsigned height_of(uint64_t mib, uint64_t whole_mib, unsigned height) {
    return (unsigned) ma_muldiv_sat(ma_min_u64(mib, whole_mib), height, whole_mib);
}

static void write_text(
    FILE *file, unsigned x, unsigned y, const char *anchor, unsigned size, const char *text) {
    (void) fprintf(file, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\" font-size=\"%u\">", x, y,
                   anchor, size);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '<' || *c == '>' || *c == '&' || (unsigned char) *c < ' ') {
            (void) fputc('.', file);
        } else {
            (void) fputc(*c, file);
        }
    }
    (void) fputs("</text>\n", file);
}

static void write_line(FILE *file, unsigned y, const char *color, const char *label) {
    (void) fprintf(file,
                   "<line x1=\"%u\" x2=\"%u\" y1=\"%u\" y2=\"%u\" stroke=\"%s\" "
                   "stroke-dasharray=\"4 3\"/>\n",
                   LEFT, LEFT + COLUMNS, y, y, color);
    write_text(file, LEFT - 6, y + 4, "end", 10, label);
}

static void write_bands(FILE *file, const struct ma_picture *picture, unsigned y) {
    for (size_t x = 0; x < COLUMNS;) {
        size_t end = x + 1;
        enum ma_pressure pressure = picture->columns[x].pressure;

        while (end < COLUMNS && picture->columns[end].pressure == pressure) {
            end++;
        }
        if (pressure != MA_PRESSURE_NORMAL) {
            (void) fprintf(file,
                           "<rect x=\"%zu\" y=\"%u\" width=\"%zu\" height=\"%u\" fill=\"%s\"/>\n",
                           LEFT + x, y, end - x, FREE_HEIGHT, pressure_colors[pressure]);
        }
        x = end;
    }
}

/* Which background is which state. */
static void write_state_key(FILE *file, unsigned y) {
    unsigned x = LEFT + COLUMNS - 190;

    write_text(file, x - 8, y + 9, "end", 11, "state:");
    for (enum ma_pressure pressure = MA_PRESSURE_SOFT; pressure < MA_PRESSURE_COUNT; pressure++) {
        (void) fprintf(file, "<rect x=\"%u\" y=\"%u\" width=\"12\" height=\"10\" fill=\"%s\"/>\n",
                       x, y, pressure_colors[pressure]);
        write_text(file, x + 16, y + 9, "start", 11, ma_pressure_name(pressure));
        x += 62;
    }
}

/* Available memory, up to three times the soft watermark; what is above touches the top. */
static void write_headroom(FILE *file, const struct ma_picture *picture, unsigned y) {
    const struct ma_settings *settings = &picture->scenario->settings;
    uint64_t whole = ma_mib_down(settings->soft_watermark_bytes) * 3 + 1;
    unsigned bottom = y + FREE_HEIGHT;
    unsigned soft = height_of(ma_mib_down(settings->soft_watermark_bytes), whole, FREE_HEIGHT);
    unsigned hard = height_of(ma_mib_down(settings->hard_watermark_bytes), whole, FREE_HEIGHT);
    unsigned critical =
        height_of(ma_mib_down(settings->critical_watermark_bytes), whole, FREE_HEIGHT);

    write_bands(file, picture, y);
    write_line(file, bottom - soft, "#b59a3c", "soft");
    write_line(file, bottom - hard, "#c9761b", "hard");
    write_line(file, bottom - critical, "#c23b3b", "critical");
    write_text(file, LEFT - 6, bottom + 9, "end", 10, "0");
    (void) fputs("<polyline fill=\"none\" stroke=\"#1d4e89\" stroke-width=\"1.5\" points=\"", file);
    for (size_t x = 0; x < COLUMNS; x++) {
        (void) fprintf(file, "%zu,%u ", LEFT + x,
                       bottom - height_of(picture->columns[x].available_mib, whole, FREE_HEIGHT));
    }
    (void) fputs("\"/>\n", file);
    write_text(file, LEFT + 4, y - 5, "start", 11, "available host memory");
    write_state_key(file, y - 14);
}

static void write_layers(FILE *file, const struct ma_picture *picture, unsigned y) {
    uint64_t whole = ma_mib_down(picture->scenario->host_bytes);
    uint64_t below[COLUMNS];
    char text[MA_FORMAT_MAX];

    memset(below, 0, sizeof(below));
    for (size_t k = 0; k < picture->n_layers; k++) {
        /* Neighbours differ: the hue goes round by the golden angle. */
        (void) fprintf(file, "<polygon fill=\"hsl(%zu,45%%,%u%%)\" points=\"", k * 137 % 360,
                       k % 2 == 0 ? 62U : 74U);
        for (size_t x = 0; x < COLUMNS; x++) {
            (void) fprintf(file, "%zu,%u ", LEFT + x,
                           y + GUEST_HEIGHT - height_of(below[x], whole, GUEST_HEIGHT));
        }
        for (size_t x = COLUMNS; x-- > 0;) {
            below[x] += picture->columns[x].guest_mib[k];
            (void) fprintf(file, "%zu,%u ", LEFT + x,
                           y + GUEST_HEIGHT - height_of(below[x], whole, GUEST_HEIGHT));
        }
        (void) fputs("\"/>\n", file);
    }
    write_line(file, y, "#444444", ma_format_bytes(text, picture->scenario->host_bytes));
    write_text(file, LEFT + 4, y - 4, "start", 11, "guests' resident memory, up to the host's");
}

static void write_marks(FILE *file, const struct ma_picture *picture, unsigned y) {
    for (unsigned row = 0; row < MARK_ROWS; row++) {
        unsigned top = y + row * MARK_HEIGHT;

        write_text(file, LEFT - 6, top + 10, "end", 10, mark_names[row]);
        for (size_t x = 0; x < COLUMNS; x++) {
            uint32_t n = picture->columns[x].marks[row];
            unsigned height = n > 4 ? MARK_HEIGHT - 2 : n * 2 + 4;

            if (n > 0) {
                (void) fprintf(
                    file, "<rect x=\"%zu\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n",
                    LEFT + x, top + MARK_HEIGHT - 2 - height, row >= MARK_PAUSE ? 3U : 1U, height,
                    mark_colors[row]);
            }
        }
    }
}

static void write_times(FILE *file, const struct ma_picture *picture, unsigned y) {
    for (unsigned k = 0; k <= 5; k++) {
        char text[MA_FORMAT_MAX];
        uint64_t usec = picture->scenario->duration_usec / 5 * k;

        write_text(file, LEFT + COLUMNS * k / 5, y, "middle", 10,
                   k == 0 ? "0" : ma_format_usec(text, usec));
    }
}

static void write_panel(FILE *file, struct ma_picture *picture, unsigned y) {
    char title[256];

    fill_gaps(picture);
    (void) snprintf(
        title, sizeof(title), "%s, policy %s: %u killed by the host's kernel, %u guest OOMs",
        picture->scenario->name, picture->policy, picture->host_oom_kills, picture->guest_ooms);
    write_text(file, LEFT, y + 24, "start", 15, title);
    y += TITLE_HEIGHT;
    write_headroom(file, picture, y);
    y += FREE_HEIGHT + GAP;
    write_layers(file, picture, y);
    y += GUEST_HEIGHT + GAP;
    write_marks(file, picture, y);
    write_times(file, picture, y + MARK_ROWS * MARK_HEIGHT + 14);
}

int ma_pictures_write(FILE *file, struct ma_picture *const *pictures, size_t n) {
    (void) fprintf(file,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%zu\" "
                   "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" "
                   "fill=\"white\"/>\n",
                   LEFT + COLUMNS + RIGHT, n * PANEL_HEIGHT);
    for (size_t k = 0; k < n; k++) {
        write_panel(file, pictures[k], (unsigned) k * PANEL_HEIGHT);
    }
    (void) fputs("</svg>\n", file);
    return ferror(file) || fflush(file) != 0 ? -EIO : 0;
}
