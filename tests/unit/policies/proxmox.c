/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cases of pve-manager 9.2 test/balloontest.pl: steps and closed loops, their MB taken as MiB (100 MiB is what
 * pvestatd allows a guest and round; everything else scales with it). */
#include "reference-host.h"

#define GUESTS_MAX 3
#define TOTAL_MIB  UINT64_C(102400)

struct vm {
    uint64_t max, shares, balloon, least, free; /* MiB */
};
static const struct vm status1[] = {{2000, 2000, 1000, 1000, 0}, {2000, 1000, 1000, 1000, 0}};
static const struct vm status2[] = {{2000, 2000, 2000, 2000, 0}, {2000, 1000, 1000, 1000, 0}};
static const struct vm status3[] = {
    {2000, 2000, 2000, 2000, 0}, {2000, 1000, 1007, 1000, 0}, {2000, 1000, 1000, 1000, 512}};
/* The state that the first closed loop on status3 ends in. */
static const struct vm status4[] = {
    {2000, 2000, 2000, 2000, 0}, {2000, 1000, 1300, 1000, 293}, {2000, 1000, 1300, 1000, 812}};

struct expectation {
    const char *name;
    const struct vm *vms;
    size_t n_vms;
    bool is_loop;
    int64_t goal;
    uint64_t balloon[GUESTS_MAX]; /* 0: stays */
};
#define VMS(array) array, sizeof(array) / sizeof((array)[0])
static const struct expectation expectations[] = {
    {"T1", VMS(status1), false, 0, {0, 0}},
    {"T2", VMS(status1), false, 90, {1060, 1030}},
    {"T3", VMS(status1), false, 150, {1100, 1050}},
    {"T4", VMS(status1), false, 270, {1100, 1090}},
    {"T5", VMS(status1), true, 180, {1120, 1060}},
    {"T6", VMS(status1), true, 270, {1180, 1090}},
    {"T7", VMS(status1), true, 600, {1300, 1300}},
    {"T8", VMS(status1), true, 900, {1600, 1300}},
    {"T9", VMS(status2), false, 0, {0, 0}},
    {"T10", VMS(status2), false, 18, {0, 1018}},
    {"T11", VMS(status2), false, 500, {0, 1100}},
    {"T12", VMS(status3), false, 0, {0, 0, 0}},
    {"T13", VMS(status3), false, 11, {0, 1018, 0}},
    {"T14", VMS(status3), false, 80, {0, 1087, 0}},
    {"T15", VMS(status3), false, 200, {0, 1107, 0}},
    {"T16", VMS(status3), true, 593, {0, 1300, 1300}},
    {"T17", VMS(status4), true, -200, {0, 1200, 1200}},
    {"T18", VMS(status4), true, -400, {0, 1200, 1000}},
    {"T19", VMS(status4), true, -593, {0, 1007, 1000}},
};

static void set_up(struct test_host *host, const struct expectation *e) {
    test_host_init(host, TOTAL_MIB / 1024, TOTAL_MIB / 5);
    reference_use(host, "proxmox");
    for (size_t k = 0; k < e->n_vms; k++) {
        struct ma_guest *guest = test_host_add(host, "vm", e->vms[k].max, e->vms[k].free);

        guest->actual_bytes = e->vms[k].balloon * MA_MIB;
        guest->resident_bytes = guest->actual_bytes;
        reference_guarantee(guest, e->vms[k].least * MA_MIB);
        reference_shares(guest, (uint32_t) e->vms[k].shares);
    }
}

static int64_t apply(struct test_host *host) {
    int64_t changes = 0;

    for (size_t k = 0; k < host->plan.n_actions; k++) {
        const struct ma_plan_action *action = &host->plan.actions[k];
        struct ma_guest *guest = &host->guests[action->guest];
        int64_t change = ma_delta_i64(action->to_bytes, guest->actual_bytes);
        int64_t free = (int64_t) guest->stats.claimed_free_bytes + change;

        guest->actual_bytes = action->to_bytes;
        guest->stats.claimed_free_bytes = free > 0 ? (uint64_t) free : 0;
        changes += change;
    }
    return changes;
}

static void run(const struct expectation *e) {
    static struct test_host host;
    int64_t goal = e->goal * (int64_t) MA_MIB;
    size_t n;

    set_up(&host, e);
    do {
        host.snapshot.host.available_bytes =
            (uint64_t) ((int64_t) (host.snapshot.host.total_bytes / 5) + goal);
        reference_propose(&host);
        n = host.plan.n_actions;
        goal -= apply(&host);
    } while (e->is_loop && n > 0);
    for (size_t k = 0; k < e->n_vms; k++) {
        uint64_t expected = e->balloon[k] > 0 ? e->balloon[k] : e->vms[k].balloon;

        if (host.guests[k].actual_bytes / MA_MIB != expected) {
            TAP_FAIL("%s: guest %zu is at %" PRIu64 " MiB, not %" PRIu64, e->name, k,
                     host.guests[k].actual_bytes / MA_MIB, expected);
        }
    }
    test_host_fini(&host);
}

static void cases_of_its_own_test(void) {
    for (size_t k = 0; k < sizeof(expectations) / sizeof(expectations[0]); k++) {
        run(&expectations[k]);
    }
}

static void guest_without_driver_or_minimum_is_left_alone(void) {
    struct expectation e = {"none", VMS(status1), false, 90, {0}};
    static struct test_host host;

    set_up(&host, &e);
    host.snapshot.host.available_bytes += 90 * MA_MIB;
    host.guests[0].stats.has = 0;
    reference_guarantee(&host.guests[1], 0);
    reference_propose(&host);
    CHECK_U64(host.plan.n_actions, 0);
    test_host_fini(&host);
}

TAP_MAIN(TAP_CASE(cases_of_its_own_test), TAP_CASE(guest_without_driver_or_minimum_is_left_alone));
