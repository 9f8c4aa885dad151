/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor.c - each judgement over made facts: what is told, how badly, and that an unknown fact is no finding. */
#include "doctor.h"

#include "bytes.h"
#include "tap.h"

/* A host with nothing to tell. */
static struct ma_doctor_facts healthy(void) {
    return (struct ma_doctor_facts){
        .is_root = true,
        .has_psi = MA_YES,
        .has_cgroup2 = MA_YES,
        .has_cgroup2_memory = MA_YES,
        .has_swap = MA_YES,
        .is_oomd_on_guests = MA_NO,
        .is_ksm_running = MA_NO,
        .wants_libvirt = true,
        .has_qmp_listen = true,
        .daemon = MA_DAEMON_ANSWERS,
        .psi_window_usec = 500000,
        .total_bytes = 256 * MA_GIB,
        .reserve_bytes = 13 * MA_GIB,
        .n_guests = 3,
        .is_libvirt_reached = MA_YES,
        .n_domains = 3,
    };
}

/* How many findings; the worst ones' checks. */
static size_t judged(const struct ma_doctor_facts *facts, const char *checks[3]) {
    struct ma_findings *findings = calloc(1, sizeof(*findings));
    CHECK(findings != NULL);
    ma_doctor_judge(facts, findings);
    for (size_t i = 0; i < 3 && checks != NULL; i++) {
        checks[i] = i < findings->n ? findings->list[i].check : "";
    }
    size_t n = findings->n;
    free(findings);
    return n;
}

static void expect(const struct ma_doctor_facts *facts,
                   const char *check,
                   enum ma_severity severity,
                   const char *word) {
    struct ma_findings *findings = calloc(1, sizeof(*findings));
    CHECK(findings != NULL);
    ma_doctor_judge(facts, findings);
    if (findings->n != 1) {
        TAP_FAIL("%s: %zu findings", check, findings->n);
    }
    CHECK_STR(findings->list[0].check, check);
    CHECK_STR(ma_severity_name(findings->list[0].severity), ma_severity_name(severity));
    if (strstr(findings->list[0].text, word) == NULL) {
        TAP_FAIL("\"%s\" does not say \"%s\"", findings->list[0].text, word);
    }
    CHECK(findings->list[0].remedy[0] != '\0');
    free(findings);
}

#define EXPECT(change, check, severity, word)                                                      \
    do {                                                                                           \
        struct ma_doctor_facts f = healthy();                                                      \
        change;                                                                                    \
        expect(&f, check, MA_SEVERITY_##severity, word);                                           \
    } while (0)

static void a_healthy_host_and_an_unknown_one_have_no_finding(void) {
    struct ma_doctor_facts f = healthy();
    struct ma_doctor_facts nothing = {.is_root = true};
    CHECK_U64(judged(&f, NULL), 0);
    CHECK_U64(judged(&nothing, NULL), 0);
}

static void the_kernel_is_judged(void) {
    EXPECT(f.has_psi = MA_NO, "psi", WARNING, "PSI");
    EXPECT(f.psi_window_usec = 2000000, "psi", NOTE, "2 s");
    EXPECT(f.has_cgroup2 = MA_NO, "cgroup", WARNING, "cgroup v2");
    EXPECT(f.has_cgroup2_memory = MA_NO, "cgroup", WARNING, "memory controller");
    EXPECT(f.has_swap = MA_NO, "swap", NOTE, "no swap");
    EXPECT(f.is_root = false, "permissions", NOTE, "root");
}

static void other_arbiters_are_judged(void) {
    EXPECT(f.arbiters = MA_ARBITER_MOM, "mom", ERROR, "same balloons");
    EXPECT(f.arbiters = MA_ARBITER_VDSM, "vdsm", ERROR, "vdsm");
    EXPECT(f.arbiters = MA_ARBITER_PVESTATD, "pvestatd", ERROR, "every 10 s");
    EXPECT(f.arbiters = MA_ARBITER_KSMTUNED, "ksm", WARNING, "ksmtuned runs");
    EXPECT(f.is_ksm_running = MA_YES, "ksm", WARNING, "merges");
    EXPECT(f.arbiters = MA_ARBITER_EARLYOOM, "earlyoom", WARNING, "largest process");
    EXPECT(f.arbiters = MA_ARBITER_NOHANG, "nohang", WARNING, "nohang runs");
    EXPECT(f.arbiters = MA_ARBITER_FB_OOMD, "oomd", WARNING, "oomd runs");
    EXPECT(f.arbiters = MA_ARBITER_NUMAD, "numad", NOTE, "numad");
    EXPECT(f.is_oomd_on_guests = MA_YES, "systemd-oomd", ERROR, "guests' slice");
    EXPECT((f.arbiters = MA_ARBITER_OOMD, f.is_oomd_on_guests = MA_UNKNOWN), "systemd-oomd",
           WARNING, "could not be found out");
    /* It runs, and leaves the guests alone. */
    struct ma_doctor_facts g = healthy();
    g.arbiters = MA_ARBITER_OOMD;
    CHECK_U64(judged(&g, NULL), 0);
}

static void the_daemon_is_judged(void) {
    EXPECT(f.daemon = MA_DAEMON_ABSENT, "daemon", ERROR, "does not run");
    EXPECT(f.daemon = MA_DAEMON_DENIED, "daemon", WARNING, "this user");
    EXPECT(f.daemon = MA_DAEMON_SILENT, "daemon", ERROR, "does not answer");
    EXPECT((void) snprintf(f.config_problem, sizeof(f.config_problem), "x.conf:3: no"), "config",
           ERROR, "x.conf:3");
    EXPECT(f.is_libvirt_lost = true, "libvirt-lost", WARNING, "libvirt");
    EXPECT(f.n_problems = 2, "metadata", WARNING, "2 guests");
    EXPECT(f.n_stuck = 1, "stuck", WARNING, "do not answer");
    EXPECT(f.is_dry_run = true, "dry-run", NOTE, "DryRun=yes");
}

static void the_safety_condition_is_judged(void) {
    /* 1.5 GiB/s for 1.8 s: 2.7 GiB. */
    EXPECT(f.reserve_bytes = 27 * MA_GIB / 10 - 1, "reserve", NOTE, "1.5 GiB/s");
    struct ma_doctor_facts g = healthy();
    g.reserve_bytes = 27 * MA_GIB / 10 + 1;
    CHECK_U64(judged(&g, NULL), 0);
    /* What is seen outranks what is assumed: 10 GiB/s take 18 GiB. */
    EXPECT(f.fill_bytes_per_s = 10 * MA_GIB, "reserve", WARNING, "18 GiB");
    g = healthy();
    g.fill_bytes_per_s = 7 * MA_GIB; /* takes 12.6 GiB of 13 */
    CHECK_U64(judged(&g, NULL), 0);
    EXPECT(f.guaranteed_bytes = 243 * MA_GIB + 1, "guarantees", WARNING, "only victims");
    g = healthy();
    g.guaranteed_bytes = 243 * MA_GIB;
    CHECK_U64(judged(&g, NULL), 0);
}

static void guests_are_judged(void) {
    EXPECT(f.is_libvirt_reached = MA_NO, "libvirt", WARNING, "cannot be reached");
    EXPECT(ma_doctor_count(&f.without_balloon, "a"), "balloon", WARNING, "1 of 3 guests");
    EXPECT(ma_doctor_count(&f.without_statistics, "b"), "statistics", WARNING, ": b");
    EXPECT(ma_doctor_count(&f.without_channel, "a"), "agent-channel", NOTE, "no channel");
    EXPECT(ma_doctor_count(&f.silent_agent, "a"), "agent", NOTE, "nobody in them");
    EXPECT(ma_doctor_count(&f.without_reporting, "a"), "reporting", NOTE, "free pages");
    EXPECT(ma_doctor_count(&f.without_monitor, "a"), "fast-path", NOTE, "libvirt alone");
    EXPECT(ma_doctor_count(&f.inhibited, "a"), "inhibited", NOTE, "VFIO");
    struct ma_doctor_facts g = healthy();
    ma_doctor_count(&g.without_monitor, "a");
    g.has_qmp_listen = false;
    CHECK_U64(judged(&g, NULL), 0);
    g = healthy();
    g.is_libvirt_reached = MA_NO;
    g.wants_libvirt = false;
    CHECK_U64(judged(&g, NULL), 0);
}

static void errors_come_first(void) {
    struct ma_doctor_facts g = healthy();
    g.has_swap = MA_NO;
    g.has_psi = MA_NO;
    g.arbiters = MA_ARBITER_MOM;
    const char *checks[3];
    CHECK_U64(judged(&g, checks), 3);
    CHECK_STR(checks[0], "mom");
    CHECK_STR(checks[1], "psi");
    CHECK_STR(checks[2], "swap");
}

static void many_names_are_cut(void) {
    struct ma_doctor_count count = {0};
    for (int i = 0; i < 1000; i++) {
        char name[64];
        (void) snprintf(name, sizeof(name), "guest-with-quite-a-long-name-%d", i);
        ma_doctor_count(&count, name);
    }
    CHECK_U64(count.n, 1000);
    CHECK(strlen(count.names) < sizeof(count.names));
    CHECK_STR(count.names + strlen(count.names) - 5, ", ...");
}

static void programs_are_known_by_their_names(void) {
    CHECK_U64(ma_arbiter_of("pvestatd"), MA_ARBITER_PVESTATD);
    CHECK_U64(ma_arbiter_of("systemd-oomd"), MA_ARBITER_OOMD);
    CHECK_U64(ma_arbiter_of("momdx"), 0);
    CHECK_U64(ma_arbiter_of(""), 0);
}

TAP_MAIN(TAP_CASE(a_healthy_host_and_an_unknown_one_have_no_finding),
         TAP_CASE(the_kernel_is_judged),
         TAP_CASE(other_arbiters_are_judged),
         TAP_CASE(the_daemon_is_judged),
         TAP_CASE(the_safety_condition_is_judged),
         TAP_CASE(guests_are_judged),
         TAP_CASE(errors_come_first),
         TAP_CASE(many_names_are_cut),
         TAP_CASE(programs_are_known_by_their_names));
