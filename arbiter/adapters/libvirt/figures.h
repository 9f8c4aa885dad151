/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* figures.h - from libvirt's statistics record to figures in bytes. Pure; nothing the guest says can overflow. */

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "domain-facts.h"
#include "guest-source.h"

/* What must be remembered between two records of one guest. */
struct lv_figures_memory {
    uint64_t max_bytes; /* of its definition; 0: not known */
    bool has_balloon;
    struct ma_virtio_mem virtio_mem;
    uint64_t said_usec; /* CLOCK_MONOTONIC of the last BALLOON_CHANGE; 0: none yet */
    uint64_t said_kib;  /* and the amount in it */

    bool has_update;
    uint64_t last_update;  /* seconds of the host's wall clock; only its moving counts */
    uint64_t moved_usec;   /* CLOCK_MONOTONIC when we saw it move */
    uint64_t counted_usec; /* of the counters below */
    bool has_counters;
    uint64_t swap_in_kib;
    uint64_t swap_out_kib;
    uint64_t major_faults;
    struct ma_stats rates; /* the last computed, kept until the next update */
};

/* maximum - balloon as the guest says it, held to 0..max; max 0: not known, anything up to MA_BYTES_MAX. */
uint64_t lv_clamp_actual(uint64_t current_kib, uint64_t max_bytes, bool *ret_is_absurd);

/* The balloon's own part of balloon.current: libvirt adds what virtio-mem has plugged (seen with 9.0). */
uint64_t
lv_actual(uint64_t current_kib, const struct lv_figures_memory *memory, bool *ret_is_absurd);

/* `now_usec` is when the answer came. */
void lv_figures_read(const virTypedParameterPtr params,
                     int n_params,
                     uint64_t now_usec,
                     struct lv_figures_memory *memory,
                     struct ma_source_figures *ret);

/* libvirt puts balloon.current down first and then waits for QEMU, which is busy with its balloon: what an event has said since
 * the record was asked for is newer than the record. */
void lv_figures_prefer_event(const struct lv_figures_memory *memory,
                             uint64_t asked_usec,
                             struct ma_source_figures *figures);
