/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* metrics-render.h - one published cycle as metrics. Pure: the view and the clock are arguments; nothing is allocated, so
 * it may run inside the read section. */

#include <stddef.h>
#include <stdint.h>

#include "metrics-text.h"
#include "view.h"

/* Guests with series of their own. All guests are in the sums; those beyond are counted in
 * memarb_metrics_omitted_guests. Too small hides guests, too large makes a scrape of a host dear for Prometheus: a guest
 * costs 13 series. */
#define MA_METRICS_GUESTS_MAX 2000U

/* Memory that a view with so many guests is sure to fit into with names of ordinary length. */
size_t ma_metrics_size(size_t n_guests);
/* All families, in the same order each time. now_usec: CLOCK_MONOTONIC, for ages. */
void ma_metrics_render(struct ma_metrics_text *text, const struct ma_view *view, uint64_t now_usec);
/* The part of it that each file writes. */
void ma_metrics_render_host(struct ma_metrics_text *text, const struct ma_view *view);
void ma_metrics_render_guests(struct ma_metrics_text *text, const struct ma_view *view);
void ma_metrics_render_pins(struct ma_metrics_text *text, const struct ma_view *view);
void ma_metrics_render_agents(struct ma_metrics_text *text, const struct ma_view *view);

/* A family of one sample without labels. unit "seconds": value is microseconds. */
void ma_metrics_single(struct ma_metrics_text *text,
                       const char *name,
                       const char *unit,
                       const char *help,
                       uint64_t value);
void ma_metrics_counter(struct ma_metrics_text *text,
                        const char *name,
                        const char *help,
                        uint64_t n);
