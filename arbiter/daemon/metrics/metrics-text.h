/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* metrics-text.h - the two text formats of Prometheus, written into memory that the caller brings.
 *
 * Sources: OpenMetrics 1.0 (a counter's samples end in _total, its family's name does not; a unit is the end of the
 * name; "# EOF" ends the text) and the text format 0.0.4, which node_exporter's textfile collector reads. Values are
 * written from integers: no figure is rounded on the way. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ma_metric_type { MA_METRIC_GAUGE, MA_METRIC_COUNTER, MA_METRIC_INFO };

struct ma_metric_family {
    const char *name; /* as its samples are called, with unit and _total or _info */
    const char *unit; /* "" where it has none */
    enum ma_metric_type type;
    const char *help; /* one sentence, without line breaks */
};

struct ma_metric_label {
    const char *name;
    const char *value; /* any bytes: what is no UTF-8 or a control character is replaced */
};

struct ma_metrics_text {
    char *buf;
    size_t size, len; /* len never beyond size; NUL-terminated when size > 0 */
    bool is_open_metrics;
    bool is_truncated; /* something did not fit: the text is of no use, try with more memory */
};

void ma_metrics_text_init(struct ma_metrics_text *text,
                          char *buf,
                          size_t size,
                          bool is_open_metrics);
/* HELP, TYPE and (OpenMetrics) UNIT. All samples of a family follow it before the next one begins. */
void ma_metrics_family(struct ma_metrics_text *text, const struct ma_metric_family *family);
/* One sample each: a whole number, microseconds as seconds, permyriad as a ratio. */
void ma_metrics_number(struct ma_metrics_text *text,
                       const struct ma_metric_family *family,
                       const struct ma_metric_label *labels,
                       size_t n_labels,
                       uint64_t value);
void ma_metrics_usec(struct ma_metrics_text *text,
                     const struct ma_metric_family *family,
                     const struct ma_metric_label *labels,
                     size_t n_labels,
                     uint64_t usec);
void ma_metrics_permyriad(struct ma_metrics_text *text,
                          const struct ma_metric_family *family,
                          const struct ma_metric_label *labels,
                          size_t n_labels,
                          uint64_t permyriad);
void ma_metrics_end(struct ma_metrics_text *text);
