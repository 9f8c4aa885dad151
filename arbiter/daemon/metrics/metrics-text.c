/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ma_metrics_text_init(struct ma_metrics_text *text,
                          char *buf,
                          size_t size,
                          bool is_open_metrics) {
    *text = (struct ma_metrics_text){.buf = buf, .size = size, .is_open_metrics = is_open_metrics};
    if (size > 0) {
        buf[0] = '\0';
    }
}

static void put(struct ma_metrics_text *text, const char *what, size_t len) {
    if (text->is_truncated || len >= text->size - text->len) {
        text->is_truncated = true;
        return;
    }
    memcpy(text->buf + text->len, what, len);
    text->len += len;
    text->buf[text->len] = '\0';
}

static void put_text(struct ma_metrics_text *text, const char *what) {
    put(text, what, strlen(what));
}

/* Length of the UTF-8 character at p, 0 where there is none. The NUL that ends the text stops every look ahead. */
static size_t utf8_length(const unsigned char *p) {
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (p[0] >= 0xf0 && p[0] < 0xf5) {
        n = 4;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool is_no_character = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return is_overlong || is_no_character ? 0 : n;
}

/* A guest's name is somebody else's word: it must not end the label, the line, or the scrape. */
static void put_label_value(struct ma_metrics_text *text, const char *value) {
    const unsigned char *p = (const unsigned char *) value;
    while (*p != '\0') {
        size_t n = utf8_length(p);
        if (n == 0 || (n == 1 && (*p < 0x20 || *p == 0x7f))) {
            put(text, *p == '\n' ? "\\n" : "?", *p == '\n' ? 2 : 1);
            n = 1;
        } else if (*p == '"' || *p == '\\') {
            put(text, *p == '"' ? "\\\"" : "\\\\", 2);
        } else {
            put(text, (const char *) p, n);
        }
        p += n;
    }
}

static bool ends_with(const char *name, size_t len, const char *end) {
    size_t n = strlen(end);
    return len >= n && memcmp(name + len - n, end, n) == 0;
}

static size_t family_name_length(const struct ma_metrics_text *text,
                                 const struct ma_metric_family *family) {
    size_t len = strlen(family->name);
    if (!text->is_open_metrics) {
        return len;
    }
    if (family->type == MA_METRIC_COUNTER && ends_with(family->name, len, "_total")) {
        return len - strlen("_total");
    }
    return family->type == MA_METRIC_INFO && ends_with(family->name, len, "_info")
               ? len - strlen("_info")
               : len;
}

static const char *type_name(const struct ma_metrics_text *text, enum ma_metric_type type) {
    switch (type) {
    case MA_METRIC_COUNTER:
        return "counter";
    case MA_METRIC_INFO:
        return text->is_open_metrics ? "info" : "gauge";
    case MA_METRIC_GAUGE:
        break;
    }
    return "gauge";
}

static void put_line(struct ma_metrics_text *text,
                     const char *kind,
                     const struct ma_metric_family *family,
                     const char *what) {
    put_text(text, kind);
    put(text, family->name, family_name_length(text, family));
    put_text(text, " ");
    put_text(text, what);
    put_text(text, "\n");
}

void ma_metrics_family(struct ma_metrics_text *text, const struct ma_metric_family *family) {
    put_line(text, "# HELP ", family, family->help);
    put_line(text, "# TYPE ", family, type_name(text, family->type));
    if (text->is_open_metrics && family->unit[0] != '\0') {
        put_line(text, "# UNIT ", family, family->unit);
    }
}

static void put_sample(struct ma_metrics_text *text,
                       const struct ma_metric_family *family,
                       const struct ma_metric_label *labels,
                       size_t n_labels,
                       const char *value) {
    put_text(text, family->name);
    for (size_t i = 0; i < n_labels; i++) {
        put_text(text, i == 0 ? "{" : ",");
        put_text(text, labels[i].name);
        put_text(text, "=\"");
        put_label_value(text, labels[i].value);
        put_text(text, i + 1 == n_labels ? "\"}" : "\"");
    }
    put_text(text, " ");
    put_text(text, value);
    put_text(text, "\n");
}

void ma_metrics_number(struct ma_metrics_text *text,
                       const struct ma_metric_family *family,
                       const struct ma_metric_label *labels,
                       size_t n_labels,
                       uint64_t value) {
    char buf[32];
    (void) snprintf(buf, sizeof(buf), "%" PRIu64, value);
    put_sample(text, family, labels, n_labels, buf);
}

void ma_metrics_usec(struct ma_metrics_text *text,
                     const struct ma_metric_family *family,
                     const struct ma_metric_label *labels,
                     size_t n_labels,
                     uint64_t usec) {
    char buf[40];
    (void) snprintf(buf, sizeof(buf), "%" PRIu64 ".%06" PRIu64, usec / 1000000, usec % 1000000);
    put_sample(text, family, labels, n_labels, buf);
}

void ma_metrics_permyriad(struct ma_metrics_text *text,
                          const struct ma_metric_family *family,
                          const struct ma_metric_label *labels,
                          size_t n_labels,
                          uint64_t permyriad) {
    char buf[40];
    (void) snprintf(buf, sizeof(buf), "%" PRIu64 ".%04" PRIu64, permyriad / 10000,
                    permyriad % 10000);
    put_sample(text, family, labels, n_labels, buf);
}

void ma_metrics_end(struct ma_metrics_text *text) {
    if (text->is_open_metrics) {
        put_text(text, "# EOF\n");
    }
}
