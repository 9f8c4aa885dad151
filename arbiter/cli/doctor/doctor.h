/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* doctor.h - what is missing on this host for memarb to do its work, what fights it, and what to do about each.
 *
 * Facts are gathered first (gather-*.c, the only ones that read anything), then judged by small functions that look at
 * nothing else. An unknown fact is no finding: only what is seen is told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ma_known { MA_UNKNOWN, MA_NO, MA_YES };

/* Programs that steer guests' memory or kill for it. Bits of ma_doctor_facts.arbiters. */
enum ma_arbiter {
    MA_ARBITER_MOM = 1U << 0,
    MA_ARBITER_VDSM = 1U << 1, /* runs MOM within itself */
    MA_ARBITER_PVESTATD = 1U << 2,
    MA_ARBITER_KSMTUNED = 1U << 3,
    MA_ARBITER_OOMD = 1U << 4, /* systemd-oomd */
    MA_ARBITER_FB_OOMD = 1U << 5,
    MA_ARBITER_EARLYOOM = 1U << 6,
    MA_ARBITER_NOHANG = 1U << 7,
    MA_ARBITER_NUMAD = 1U << 8,
};
/* The bit of a process of that name (as /proc/PID/comm has it, cut at 15 bytes), or 0. */
uint32_t ma_arbiter_of(const char *comm);

#define MA_DOCTOR_NAMES_MAX 160
/* Guests that lack something: how many, and the first names. */
struct ma_doctor_count {
    unsigned n;
    char names[MA_DOCTOR_NAMES_MAX];
};
void ma_doctor_count(struct ma_doctor_count *count, const char *name);

enum ma_doctor_daemon {
    MA_DAEMON_UNKNOWN, /* not asked */
    MA_DAEMON_ABSENT,
    MA_DAEMON_DENIED,
    MA_DAEMON_SILENT, /* its socket is there; no answer that could be read came in time */
    MA_DAEMON_ANSWERS
};

struct ma_doctor_facts {
    /* gather-host.c */
    bool is_root;
    enum ma_known has_psi;
    enum ma_known has_cgroup2;        /* mounted as the only hierarchy */
    enum ma_known has_cgroup2_memory; /* its memory controller */
    enum ma_known has_swap;
    enum ma_known is_oomd_on_guests; /* systemd-oomd may kill in machine.slice */
    enum ma_known is_ksm_running;
    uint32_t arbiters;        /* enum ma_arbiter */
    char config_problem[200]; /* "": none */
    bool wants_libvirt;
    bool has_qmp_listen;
    /* gather-daemon.c; the figures only with MA_DAEMON_ANSWERS */
    enum ma_doctor_daemon daemon;
    bool is_dry_run;
    bool is_libvirt_lost;
    uint64_t psi_window_usec; /* 0: no trigger */
    uint64_t total_bytes, reserve_bytes;
    uint64_t fill_bytes_per_s; /* the fastest growth seen now, of one guest or of all together */
    /* sum over guests: guarantees, or what is pinned where that is more */
    uint64_t guaranteed_bytes;
    uint64_t n_guests, n_problems, n_stuck;
    /* gather-libvirt.c */
    enum ma_known is_libvirt_reached;
    char libvirt_problem[160];
    unsigned n_domains; /* running */
    struct ma_doctor_count without_balloon, without_statistics, without_channel, silent_agent,
        without_reporting, without_monitor, inhibited;
};

enum ma_severity { MA_SEVERITY_NOTE, MA_SEVERITY_WARNING, MA_SEVERITY_ERROR };
const char *ma_severity_name(enum ma_severity severity);

#define MA_FINDINGS_MAX 32
struct ma_finding {
    const char *check; /* stable name, for scripts */
    enum ma_severity severity;
    const char *remedy;
    char text[320];
};
struct ma_findings {
    struct ma_finding list[MA_FINDINGS_MAX];
    size_t n;
};
/* Worst first, each in the order of the checks. */
void ma_doctor_judge(const struct ma_doctor_facts *facts, struct ma_findings *ret);
size_t ma_findings_count(const struct ma_findings *findings, enum ma_severity severity);
/* Parts of the judgement; judge-*.c. */
void ma_judge_host(const struct ma_doctor_facts *facts, struct ma_findings *ret);
void ma_judge_arbiters(const struct ma_doctor_facts *facts, struct ma_findings *ret);
void ma_judge_daemon(const struct ma_doctor_facts *facts, struct ma_findings *ret);
void ma_judge_guests(const struct ma_doctor_facts *facts, struct ma_findings *ret);
/* Appends one; NULL: there is no room. */
struct ma_finding *
ma_finding_add(struct ma_findings *findings, const char *check, enum ma_severity severity);
