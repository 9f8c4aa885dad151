/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exhaust.c - when the last resort is due, and whose end the kernel's counters tell of. */
#include "exhaust.h"

#include "oom.h"
#include "policy.h"
#include "test-host.h"

#define AFTER (10 * TEST_SECOND)

struct bench {
    struct test_host host;
    struct ma_exhaustion judged;
};

/* Critical, and the only guest is `never` without a balloon: decided by the real policy. */
static void begin(struct bench *b) {
    memset(b, 0, sizeof(*b));
    test_host_init(&b->host, 64, 300);
    test_guest_class(test_host_add_rigid(&b->host, "db", 32768), MA_IMPACT_NEVER);
    b->host.snapshot.settings.quiet_usec = 60 * TEST_SECOND;
}

static bool tick(struct bench *b) {
    test_host_tick(&b->host);
    return ma_exhaustion_is_due(&b->judged, &b->host.snapshot, &b->host.state, &b->host.plan,
                                AFTER);
}

/* Seconds until it is due; 0: not within a minute. */
static unsigned due_after(struct bench *b) {
    for (unsigned i = 0; i < 60; i++) {
        if (tick(b)) {
            return i;
        }
    }
    return 0;
}

static void due_once_an_incident_after_its_time(void) {
    static struct bench b;
    begin(&b);
    CHECK_U64(due_after(&b), 10);
    CHECK_U64(due_after(&b), 0); /* once */
    CHECK(b.host.state.in_incident);
    b.host.snapshot.host.available_bytes = 40 * MA_GIB;
    for (unsigned i = 0; i < 120 && b.host.state.in_incident; i++) {
        CHECK(!tick(&b));
    }
    CHECK(!b.host.state.in_incident);
    CHECK(!tick(&b));
    b.host.snapshot.host.available_bytes = 300 * MA_MIB;
    CHECK_U64(due_after(&b), 10); /* the next incident */
    test_host_fini(&b.host);
}

static void one_snapshot_with_an_option_begins_anew(void) {
    static struct bench b;
    begin(&b);
    for (unsigned i = 0; i < 9; i++) {
        CHECK(!tick(&b));
    }
    b.host.snapshot.host.available_bytes = 40 * MA_GIB;
    CHECK(!tick(&b));
    b.host.snapshot.host.available_bytes = 300 * MA_MIB;
    CHECK_U64(due_after(&b), 10);
    test_host_fini(&b.host);
}

static void never_below_the_rung_that_may_kill(void) {
    for (unsigned arm = 0; arm < MA_ARM_COUNT; arm++) {
        static struct bench b;
        begin(&b);
        b.host.snapshot.settings.arm = (enum ma_arm) arm;
        CHECK_U64(due_after(&b), arm == MA_ARM_KILL ? 10 : 0);
        test_host_fini(&b.host);
    }
}

static void not_in_quiet_time_and_not_on_stale_figures(void) {
    static struct bench b;
    begin(&b);
    b.host.state.started_usec = b.host.snapshot.taken_at_usec;
    unsigned seconds = 0;
    for (; seconds < 100 && !tick(&b); seconds++) {
    }
    CHECK(seconds >= 58 && seconds <= 61);
    test_host_fini(&b.host);
    begin(&b);
    b.host.snapshot.host.has |= MA_HOST_HAS_AGE;
    b.host.snapshot.host.sampled_age_usec = 3600 * TEST_SECOND;
    CHECK_U64(due_after(&b), 0);
    test_host_fini(&b.host);
}

static void not_while_somebody_can_still_go(void) {
    static struct bench b;
    begin(&b);
    (void) test_host_add_rigid(&b.host, "batch", 8192);
    CHECK_U64(due_after(&b), 0);
    test_host_fini(&b.host);
}

static const struct {
    struct ma_oom_evidence evidence;
    enum ma_oom_verdict verdict;
} ends[] = {
    {{.has_ended = true}, MA_OOM_NONE},
    {{.has_ended = true, .has_cgroup = true, .cgroup_oom_kills = 1}, MA_OOM_BY_HOST},
    {{.has_ended = true, .has_cgroup = true, .cgroup_oom_kills = 2, .cgroup_ooms = 240},
     MA_OOM_BY_LIMIT},
    {{.has_cgroup = true, .cgroup_oom_kills = 1}, MA_OOM_HELPER},
    /* its group says no: whoever the kernel killed, it was another */
    {{.has_ended = true, .has_cgroup = true, .has_host = true, .host_oom_kills = 3}, MA_OOM_NONE},
    {{.has_ended = true, .has_host = true, .host_oom_kills = 1}, MA_OOM_LIKELY},
    {{.has_ended = true, .has_host = true}, MA_OOM_NONE},
    {{.has_ended = true, .has_host = true, .host_oom_kills = 1, .was_ended_by_us = true},
     MA_OOM_NONE},
    {{.has_ended = true, .has_host = true, .host_oom_kills = 1, .was_said_to_end = true},
     MA_OOM_NONE},
    {{.has_host = true, .host_oom_kills = 1}, MA_OOM_NONE},
    {{.has_ended = true, .host_oom_kills = 1}, MA_OOM_NONE},
};

static void whose_end_it_was(void) {
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void) fprintf(stderr, "#   case %zu\n", i);
        CHECK_STR(ma_oom_verdict_name(ma_oom_judge(&ends[i].evidence)),
                  ma_oom_verdict_name(ends[i].verdict));
    }
}

TAP_MAIN(TAP_CASE(due_once_an_incident_after_its_time),
         TAP_CASE(one_snapshot_with_an_option_begins_anew),
         TAP_CASE(never_below_the_rung_that_may_kill),
         TAP_CASE(not_in_quiet_time_and_not_on_stale_figures),
         TAP_CASE(not_while_somebody_can_still_go),
         TAP_CASE(whose_end_it_was));
