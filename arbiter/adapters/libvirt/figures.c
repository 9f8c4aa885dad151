/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* figures.c - judges nothing, but lets nothing through that is no amount of memory.
 *
 * All balloon figures are written by the guest. libvirt hands them on as they come: with 7.2 and 9.0 a guest made
 * balloon.current say 18014394215563264 KiB, which is a negative 64-bit number of bytes shifted by 10. So KiB are
 * turned into signed bytes first, and then held to what the definition allows.
 *
 * The statistics' own clock is the host's wall clock in whole seconds, stands still while the guest is paused and
 * jumps with the host's time: their age is the monotonic time since we saw it move, no more. */

#include "figures.h"

#include <string.h>

#include "bytes.h"

uint64_t lv_clamp_actual(uint64_t current_kib, uint64_t max_bytes, bool *ret_is_absurd) {
    /* Multiplied modulo 2^64: gives the signed number back that was divided as an unsigned one. */
    int64_t actual = (int64_t) (current_kib * MA_KIB);
    uint64_t bound = max_bytes > 0 ? max_bytes : MA_BYTES_MAX;
    bool is_wrapped = current_kib > MA_BYTES_MAX / MA_KIB;
    *ret_is_absurd = is_wrapped || actual < 0 || (uint64_t) actual > bound;
    if (!*ret_is_absurd) {
        return (uint64_t) actual;
    }
    return actual < 0 ? 0 : bound;
}

uint64_t
lv_actual(uint64_t current_kib, const struct lv_figures_memory *memory, bool *ret_is_absurd) {
    /* Modulo 2^64 again: a wrapped number stays one. */
    uint64_t plugged_kib = memory->virtio_mem.plugged_bytes / MA_KIB;
    return lv_clamp_actual(current_kib - plugged_kib, memory->max_bytes, ret_is_absurd);
}

static bool get(const virTypedParameterPtr params, int n, const char *name, uint64_t *ret) {
    for (int i = 0; i < n; i++) {
        if (params[i].type == VIR_TYPED_PARAM_ULLONG && strcmp(params[i].field, name) == 0) {
            *ret = params[i].value.ul;
            return true;
        }
    }
    return false;
}

struct record {
    const virTypedParameterPtr params;
    int n;
};

static void take_bytes(const struct record *r,
                       const char *name,
                       uint32_t bit,
                       uint64_t *field,
                       struct ma_stats *stats) {
    uint64_t kib;
    if (get(r->params, r->n, name, &kib) && ma_bytes_from_kib(kib, field) == 0) {
        stats->has |= bit;
    }
}

/* Growth a second; a counter that fell was started anew and says nothing about the time between. */
static bool rate(uint64_t now, uint64_t before, uint64_t unit, uint64_t span_usec, uint64_t *ret) {
    if (now < before || span_usec == 0) {
        return false;
    }
    uint64_t per_s = ma_muldiv_sat(ma_mul_sat(now - before, unit), MA_USEC_PER_SEC, span_usec);
    *ret = ma_min_u64(per_s, MA_BYTES_MAX);
    return true;
}

/* Between two updates of the guest's statistics. */
static void take_rates(const struct record *r, uint64_t now_usec, struct lv_figures_memory *m) {
    uint64_t in;
    uint64_t out;
    uint64_t faults;
    struct ma_stats *s = &m->rates;
    bool has = get(r->params, r->n, "balloon.swap_in", &in);
    has = get(r->params, r->n, "balloon.swap_out", &out) && has;
    has = get(r->params, r->n, "balloon.major_fault", &faults) && has;
    s->has = 0;
    if (!has) {
        m->has_counters = false;
        return;
    }
    uint64_t span = now_usec - m->counted_usec;
    if (m->has_counters) {
        if (rate(in, m->swap_in_kib, MA_KIB, span, &s->claimed_swap_in_bytes_per_s)) {
            s->has |= MA_STATS_HAS_SWAP_IN;
        }
        if (rate(out, m->swap_out_kib, MA_KIB, span, &s->claimed_swap_out_bytes_per_s)) {
            s->has |= MA_STATS_HAS_SWAP_OUT;
        }
        if (rate(faults, m->major_faults, 1, span, &s->claimed_major_faults_per_s)) {
            s->has |= MA_STATS_HAS_MAJOR_FAULTS;
        }
    }
    m->has_counters = true;
    m->counted_usec = now_usec;
    m->swap_in_kib = in;
    m->swap_out_kib = out;
    m->major_faults = faults;
}

/* false: the guest has not reported anything yet. */
static bool take_age(const struct record *r,
                     uint64_t now_usec,
                     struct lv_figures_memory *m,
                     struct ma_stats *stats) {
    uint64_t update;
    if (!get(r->params, r->n, "balloon.last-update", &update) || update == 0) {
        m->has_update = false;
        m->has_counters = false;
        m->rates.has = 0;
        return false;
    }
    /* The first sight of a report says nothing of its age (it may be from the guest's boot), so it is as old as can
     * be until it moves. */
    bool is_first = !m->has_update;
    bool has_moved = !is_first && update != m->last_update;
    if (is_first) {
        m->moved_usec = 0;
    }
    if (has_moved) {
        m->moved_usec = now_usec;
    }
    if (is_first || has_moved) {
        take_rates(r, now_usec, m);
    }
    m->has_update = true;
    m->last_update = update;
    if (m->moved_usec > 0) {
        stats->age_usec = now_usec - m->moved_usec;
        stats->has |= MA_STATS_HAS_AGE;
    }
    return true;
}

static void take_stats(const struct record *r,
                       uint64_t now_usec,
                       struct lv_figures_memory *m,
                       struct ma_stats *s) {
    if (!take_age(r, now_usec, m, s)) {
        return;
    }
    take_bytes(r, "balloon.available", MA_STATS_HAS_TOTAL, &s->claimed_total_bytes, s);
    take_bytes(r, "balloon.unused", MA_STATS_HAS_FREE, &s->claimed_free_bytes, s);
    take_bytes(r, "balloon.usable", MA_STATS_HAS_AVAILABLE, &s->claimed_available_bytes, s);
    take_bytes(r, "balloon.disk_caches", MA_STATS_HAS_CACHE, &s->claimed_cache_bytes, s);
    s->claimed_swap_in_bytes_per_s = m->rates.claimed_swap_in_bytes_per_s;
    s->claimed_swap_out_bytes_per_s = m->rates.claimed_swap_out_bytes_per_s;
    s->claimed_major_faults_per_s = m->rates.claimed_major_faults_per_s;
    s->has |= m->rates.has;
}

void lv_figures_read(const virTypedParameterPtr params,
                     int n_params,
                     uint64_t now_usec,
                     struct lv_figures_memory *memory,
                     struct ma_source_figures *ret) {
    const struct record r = {params, n_params};
    uint64_t v;
    *ret = (struct ma_source_figures){.taken_usec = now_usec, .virtio_mem = memory->virtio_mem};
    if (memory->has_balloon && get(params, n_params, "balloon.current", &v)) {
        ret->has_actual = true;
        ret->actual_bytes = lv_actual(v, memory, &ret->is_actual_absurd);
    }
    take_stats(&r, now_usec, memory, &ret->stats);
    if (get(params, n_params, "cpu.time", &v)) {
        ret->has_cpu_time = true;
        ret->cpu_time_usec = v / 1000; /* it is in nanoseconds */
    }
}

void lv_figures_prefer_event(const struct lv_figures_memory *memory,
                             uint64_t asked_usec,
                             struct ma_source_figures *figures) {
    if (figures->has_actual && memory->said_usec != 0 && memory->said_usec >= asked_usec) {
        figures->actual_bytes = lv_actual(memory->said_kib, memory, &figures->is_actual_absurd);
    }
}
