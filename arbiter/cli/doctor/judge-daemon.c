/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* judge-daemon.c - configuration and daemon, and the safety condition: the reserve must last for the time that memarb needs
 * to answer, reserve >= fill rate x reaction time. */
#include "judge.h"

#include "bytes.h"

/* From the first byte missing to a victim's memory coming back: 0.25 s sample, 0.5 s confirmation, 1 s lag of the slope,
 * 0.02 s plan and kill. Too small calls a reserve safe that is not; too large wants memory that nobody may use. Computed
 * from the periods' defaults. */
#define REACT_KILL_USEC UINT64_C(1800000)
/* What one guest fills that touches memory as fast as it can: 1.5 GiB/s, as measured for 4 KiB pages. */
#define FILL_BYTES_PER_S (MA_GIB + MA_GIB / 2)

static uint64_t needed(uint64_t fill_bytes_per_s) {
    return ma_muldiv_sat(fill_bytes_per_s, REACT_KILL_USEC, MA_USEC_PER_SEC);
}

static void judge_reserve(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    char reserve[MA_FORMAT_MAX], need[MA_FORMAT_MAX], fill[MA_FORMAT_MAX];
    (void) ma_format_bytes(reserve, f->reserve_bytes);
    if (f->reserve_bytes < needed(f->fill_bytes_per_s)) {
        /* No error: who arms in a shortage must not be kept from it by the shortage. */
        FIND(ret, "reserve", WARNING, "raise Reserve= in memarb.conf to that, and memarbctl reload",
             "the reserve of %s is smaller than what guests take before a victim's memory is back: "
             "they grow by %s/s right now, which takes %s",
             reserve, ma_format_bytes(fill, f->fill_bytes_per_s),
             ma_format_bytes(need, needed(f->fill_bytes_per_s)));
    } else if (f->reserve_bytes < needed(FILL_BYTES_PER_S)) {
        FIND(ret, "reserve", NOTE, "a larger Reserve= where one guest can fill memory that fast",
             "a guest that touches memory as fast as it can (%s/s) is faster than the reserve of "
             "%s; "
             "that takes %s",
             ma_format_bytes(fill, FILL_BYTES_PER_S), reserve,
             ma_format_bytes(need, needed(FILL_BYTES_PER_S)));
    }
}

static void judge_guarantees(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    char sum[MA_FORMAT_MAX], room[MA_FORMAT_MAX];
    uint64_t left = ma_sub_floor0(f->total_bytes, f->reserve_bytes);
    if (f->guaranteed_bytes > left) {
        FIND(ret, "guarantees", WARNING,
             "lower guarantees (memarbctl show GUEST says whose they are), or move guests away",
             "guarantees and pinned memory add up to %s, more than the %s beside the reserve: "
             "balloons cannot end a shortage, only victims can",
             ma_format_bytes(sum, f->guaranteed_bytes), ma_format_bytes(room, left));
    }
}

static void judge_running(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if (f->is_libvirt_lost) {
        FIND(ret, "libvirt-lost", WARNING, "systemctl status libvirtd; journalctl -u memarbd",
             "memarbd has no connection to libvirt: it hears of no guest and no change");
    }
    if (f->n_problems > 0) {
        FIND(ret, "metadata", WARNING, "memarbctl guests names them, memarbctl set mends them",
             "%llu guests have metadata with mistakes", (unsigned long long) f->n_problems);
    }
    if (f->n_stuck > 0) {
        FIND(ret, "stuck", WARNING, "memarbctl guests names them; look at their QEMUs",
             "the QEMUs of %llu guests do not answer", (unsigned long long) f->n_stuck);
    }
    if (f->is_dry_run) {
        FIND(ret, "dry-run", NOTE, "DryRun=no in memarb.conf, when it is to act",
             "DryRun=yes: nothing is done, whatever is armed");
    }
    judge_reserve(f, ret);
    judge_guarantees(f, ret);
}

void ma_judge_daemon(const struct ma_doctor_facts *facts, struct ma_findings *ret) {
    if (facts->config_problem[0] != '\0') {
        FIND(ret, "config", ERROR, "memarbctl check-config",
             "the configuration is bad, and a running memarbd goes on with an older one: %s",
             facts->config_problem);
    }
    switch (facts->daemon) {
    case MA_DAEMON_ABSENT:
        FIND(ret, "daemon", ERROR, "systemctl enable --now memarbd", "memarbd does not run");
        break;
    case MA_DAEMON_DENIED:
        FIND(ret, "daemon", WARNING, "join the group memarb, or use sudo",
             "memarbd may not be asked by this user");
        break;
    case MA_DAEMON_SILENT:
        FIND(ret, "daemon", ERROR, "journalctl -u memarbd; systemctl restart memarbd",
             "memarbd does not answer, or what answers at its socket is something else");
        break;
    case MA_DAEMON_ANSWERS:
        judge_running(facts, ret);
        break;
    case MA_DAEMON_UNKNOWN:
    default:
        break;
    }
}
