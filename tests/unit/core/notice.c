/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A squeeze waits for its announcement; numbers are the invariants of notice.c. */
#include "notice.h"

#include "test-host.h"

static struct test_host host;
static struct ma_guest *guest;

static struct ma_guest_memory *memory_of_guest(void) {
    struct ma_guest_memory *memory = ma_state_get(&host.state, guest->uuid);

    CHECK(memory != NULL);
    return memory;
}

/* 64 GiB: reserve 3277 MiB, soft 6554 MiB. An idle guest on a host with so much left. */
static void start(uint64_t available_mib, bool has_agent) {
    test_host_init(&host, 64, available_mib);
    guest = test_host_add(&host, "idle", 32768, 30000);
    if (has_agent) {
        ma_notice_hear(memory_of_guest(), host.snapshot.taken_at_usec);
    }
}

static const struct ma_plan_action *squeeze(void) {
    const struct ma_plan_action *action;

    test_host_tick(&host);
    action = test_host_action(&host, guest, MA_ACTION_BALLOON);
    CHECK(action != NULL && action->to_bytes < action->from_bytes);
    CHECK(action->is_armed || action->withheld_because == MA_REASON_ANNOUNCED);
    return action;
}

static void i1_a_guest_with_an_agent_has_two_seconds(void) {
    start(5000, true);
    CHECK(!squeeze()->is_armed);
    CHECK(ma_notice_has_begun(memory_of_guest(), host.snapshot.taken_at_usec));
    CHECK(memory_of_guest()->taken == 0);
    CHECK(!squeeze()->is_armed);
    CHECK(!ma_notice_has_begun(memory_of_guest(), host.snapshot.taken_at_usec));
    CHECK(squeeze()->is_armed);
    CHECK(memory_of_guest()->taken == MA_TAKEN_BALLOON);
    test_host_fini(&host);
}

static void i1_one_that_is_ready_is_not_waited_for(void) {
    start(5000, true);
    CHECK(!squeeze()->is_armed);
    ma_notice_acknowledge(memory_of_guest(), host.snapshot.taken_at_usec);
    CHECK(squeeze()->is_armed);
    test_host_fini(&host);
}

static void i1_nor_one_without_an_agent_or_whose_agent_is_silent(void) {
    start(5000, false);
    CHECK(squeeze()->is_armed);
    test_host_fini(&host);
    start(5000, true);
    memory_of_guest()->agent_heard_usec -= host.snapshot.settings.stale_usec;
    CHECK(squeeze()->is_armed);
    test_host_fini(&host);
}

/* It says for ever that it is not ready, and is heard each second. */
static void i1_whatever_it_says_it_waits_no_longer(void) {
    int waited = 0;

    start(5000, true);
    while (!squeeze()->is_armed) {
        ma_notice_hear(memory_of_guest(), host.snapshot.taken_at_usec);
        CHECK(++waited <= 2);
    }
    test_host_fini(&host);
}

static void i2_where_it_is_hard_nothing_waits(void) {
    start(2500, true);
    CHECK(squeeze()->is_armed);
    CHECK(host.plan.pressure == MA_PRESSURE_HARD);
    test_host_fini(&host);
    start(5000, true);
    CHECK(!squeeze()->is_armed);
    host.snapshot.host.available_bytes = 2500 * MA_MIB;
    test_host_slope(&host, 0);
    CHECK(squeeze()->is_armed);
    CHECK(host.plan.pressure >= MA_PRESSURE_HARD);
    test_host_fini(&host);
}

static void i3_one_notice_serves_all_steps(void) {
    struct ma_guest_memory memory = {.agent_heard_usec = 1};
    struct ma_snapshot snapshot = {0};
    struct ma_plan plan = {.pressure = MA_PRESSURE_SOFT};
    struct ma_plan_action action = {
        .action = MA_ACTION_BALLOON, .from_bytes = MA_GIB, .to_bytes = MA_GIB / 2};
    uint64_t now = 1000 * TEST_SECOND;

    ma_settings_init(&snapshot.settings);
    for (uint64_t step = 0; step < 10; step++, now += MA_NOTICE_STANDS_USEC) {
        snapshot.taken_at_usec = now;
        ma_notice_hear(&memory, now);
        CHECK(ma_notice_is_due(&plan, &action, &memory, &snapshot) == (step == 0));
        ma_notice_end(&memory, now);
    }
    snapshot.taken_at_usec = ++now;
    ma_notice_hear(&memory, now);
    CHECK(ma_notice_is_due(&plan, &action, &memory, &snapshot));
}

static void i4_what_gives_never_waits(void) {
    struct ma_guest_memory memory = {.agent_heard_usec = 1000 * TEST_SECOND};
    struct ma_snapshot snapshot = {.taken_at_usec = 1000 * TEST_SECOND};
    struct ma_plan plan = {.pressure = MA_PRESSURE_NORMAL};
    struct ma_plan_action action = {
        .action = MA_ACTION_BALLOON, .from_bytes = MA_GIB / 2, .to_bytes = MA_GIB};

    ma_settings_init(&snapshot.settings);
    CHECK(!ma_notice_is_due(&plan, &action, &memory, &snapshot));
    action.to_bytes = MA_GIB / 4;
    CHECK(ma_notice_is_due(&plan, &action, &memory, &snapshot));
    action.reason = MA_REASON_GUEST_PRESSURE; /* a squeeze that is stopped */
    CHECK(!ma_notice_is_due(&plan, &action, &memory, &snapshot));
}

TAP_MAIN(TAP_CASE(i1_a_guest_with_an_agent_has_two_seconds),
         TAP_CASE(i1_one_that_is_ready_is_not_waited_for),
         TAP_CASE(i1_nor_one_without_an_agent_or_whose_agent_is_silent),
         TAP_CASE(i1_whatever_it_says_it_waits_no_longer),
         TAP_CASE(i2_where_it_is_hard_nothing_waits),
         TAP_CASE(i3_one_notice_serves_all_steps),
         TAP_CASE(i4_what_gives_never_waits));
