/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* metrics.h - metrics for Prometheus: over HTTP on a Unix socket and on a port of the loopback, and as a file for node_exporter.
 * One thread of its own, which reads the published view and never holds up the loop. */

#include <stdint.h>

#include "err.h"
#include "view.h"

struct ma_metrics;

struct ma_metrics_options {
    const char *socket_path;   /* "": none; made anew, removed by destroy */
    const char *group;         /* who may open the socket besides root; "": root alone */
    uint16_t port;             /* of 127.0.0.1; 0: none */
    const char *file_path;     /* "": none; replaced atomically, removed by destroy */
    uint64_t file_period_usec; /* how often */
};

/* Called on the metrics thread alone; as in control.h. */
struct ma_metrics_ops {
    void *userdata;
    const struct ma_view *(*view_lock)(void *userdata);
    void (*view_unlock)(void *userdata);
    void (*thread_start)(void *userdata); /* may be NULL */
    void (*thread_stop)(void *userdata);  /* likewise */
};

/* 0 and *ret_metrics; NULL in it where the options ask for nothing. Negative errno with err: -EADDRINUSE where somebody
 * else answers on the path or the port. ops is copied, its userdata must outlive destroy; so must the options' strings. */
int ma_metrics_create(const struct ma_metrics_options *options,
                      const struct ma_metrics_ops *ops,
                      struct ma_metrics **ret_metrics,
                      struct ma_err *err);
/* Ends connections and the thread, and waits for it: a scrape that was being read is cut off. NULL is fine. */
void ma_metrics_destroy(struct ma_metrics *metrics);
