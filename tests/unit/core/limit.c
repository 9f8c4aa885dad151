/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limit.c - which limits are wanted on which rung, and that nobody else's is overwritten. */

#include "limit.h"

#include "bytes.h"
#include "tap.h"

static struct ma_guest_config config;
static struct ma_limit_want wants[MA_LIMIT_COUNT];

static struct ma_limit_subject subject(enum ma_arm arm) {
    return (struct ma_limit_subject){.config = &config,
                                     .arm = arm,
                                     .has_group = true,
                                     .usage_bytes = MA_GIB,
                                     .tasks = 10,
                                     .vcpus = 2,
                                     .page_bytes = 4096};
}

static void with_caps(void) {
    config = (struct ma_guest_config){
        .has = MA_CONFIG_HAS_CAP_MEMORY | MA_CONFIG_HAS_CAP_SWAP | MA_CONFIG_HAS_CAP_PIDS |
               MA_CONFIG_HAS_CAP_CPU,
        .cap_memory_bytes = 2 * MA_GIB + 5,
        .cap_swap_bytes = MA_GIB,
        .cap_pids = 512,
        .cap_cpu_permyriad = 40000,
    };
}

static void caps_are_taken_as_said(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_KILL);
    ma_limits_want(&s, wants);
    CHECK(wants[MA_LIMIT_MEMORY_MAX].is_wanted && !wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].value, 2 * MA_GIB); /* as the kernel will read it back */
    CHECK_U64(wants[MA_LIMIT_SWAP_MAX].value, MA_GIB);
    CHECK_U64(wants[MA_LIMIT_PIDS_MAX].value, 512);
    CHECK_U64(wants[MA_LIMIT_CPU_MAX].value, 4 * MA_USEC_PER_SEC);
    CHECK(wants[MA_LIMIT_OOM_GROUP].is_wanted && !wants[MA_LIMIT_OOM_ADJ].is_wanted);
    CHECK(!wants[MA_LIMIT_MEMLOCK].is_wanted);
}

static void observing_wants_nothing_and_says_what_it_would(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_OBSERVE);
    ma_limits_want(&s, wants);
    for (size_t i = 0; i < MA_LIMIT_COUNT; i++) {
        CHECK(!wants[i].is_wanted);
    }
    CHECK_U64(wants[MA_LIMIT_PIDS_MAX].value, 512);
    CHECK_U64(wants[MA_LIMIT_PIDS_MAX].note, MA_LIMIT_NOTE_NOT_ARMED);
}

/* I1 */
static void what_can_kill_needs_kill_armed_and_spares_never(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_PAUSE);
    ma_limits_want(&s, wants);
    CHECK(!wants[MA_LIMIT_MEMORY_MAX].is_wanted && wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].note, MA_LIMIT_NOTE_AS_HIGH);
    config.has |= MA_CONFIG_HAS_IMPACT;
    config.impact_class = MA_IMPACT_NEVER;
    s = subject(MA_ARM_KILL);
    ma_limits_want(&s, wants);
    CHECK(!wants[MA_LIMIT_MEMORY_MAX].is_wanted && wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK(!wants[MA_LIMIT_PIDS_MAX].is_wanted);
    CHECK_U64(wants[MA_LIMIT_PIDS_MAX].note, MA_LIMIT_NOTE_WOULD_KILL);
    CHECK(wants[MA_LIMIT_OOM_ADJ].is_wanted);
    CHECK_U64(wants[MA_LIMIT_OOM_ADJ].value, 100);
    config.impact_class = MA_IMPACT_FIRST;
    ma_limits_want(&s, wants);
    CHECK_U64(wants[MA_LIMIT_OOM_ADJ].value, 2000);
}

/* I2 */
static void memory_max_is_never_below_what_is_used(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_KILL);
    s.usage_bytes = 2 * MA_GIB - 10 * MA_MIB;
    ma_limits_want(&s, wants);
    CHECK(!wants[MA_LIMIT_MEMORY_MAX].is_wanted && wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].note, MA_LIMIT_NOTE_OVER_CAP);
    s.max_ours_bytes = 2 * MA_GIB; /* a guest that fills its cap keeps it */
    ma_limits_want(&s, wants);
    CHECK(wants[MA_LIMIT_MEMORY_MAX].is_wanted && !wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    s = subject(MA_ARM_KILL);
    s.pinned_bytes = 2 * MA_GIB + MA_MIB; /* nothing can come back: a squeeze would only throttle */
    ma_limits_want(&s, wants);
    CHECK(!wants[MA_LIMIT_MEMORY_MAX].is_wanted && !wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].note, MA_LIMIT_NOTE_PINNED);
}

/* I2, and a cap that its operator lowers while the guest uses more: the old one stays until the squeeze has made it fit. */
static void a_cap_is_lowered_only_to_what_is_used(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_KILL);
    s.max_ours_bytes = 8 * MA_GIB;
    s.usage_bytes = 6 * MA_GIB;
    ma_limits_want(&s, wants);
    CHECK(wants[MA_LIMIT_MEMORY_MAX].is_wanted && wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].value, 8 * MA_GIB);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].note, MA_LIMIT_NOTE_OVER_CAP);
    /* What it squeezes to must be what fits: at the cap itself memory.max would never follow. */
    s.usage_bytes = wants[MA_LIMIT_MEMORY_HIGH].value;
    ma_limits_want(&s, wants);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].value, 2 * MA_GIB);
    CHECK(!wants[MA_LIMIT_MEMORY_HIGH].is_wanted);
    config.cap_memory_bytes = 1; /* a slip: less than a page would squeeze it to nothing */
    ma_limits_want(&s, wants);
    CHECK(!wants[MA_LIMIT_MEMORY_HIGH].is_wanted && !wants[MA_LIMIT_MEMORY_MAX].is_wanted);
    with_caps();
    s.max_ours_bytes = MA_GIB; /* a cap that is raised is never below what is used */
    ma_limits_want(&s, wants);
    CHECK_U64(wants[MA_LIMIT_MEMORY_MAX].value, 2 * MA_GIB);
}

/* I3 */
static void pids_leave_room(void) {
    with_caps();
    config.cap_pids = 1;
    struct ma_limit_subject s = subject(MA_ARM_RECLAIM);
    for (uint64_t tasks = 1; tasks < 2000; tasks += 7) {
        s.tasks = tasks;
        ma_limits_want(&s, wants);
        CHECK(wants[MA_LIMIT_PIDS_MAX].value >= tasks + 2 + 128);
        CHECK_U64(wants[MA_LIMIT_PIDS_MAX].note, MA_LIMIT_NOTE_RAISED);
    }
}

static void without_an_own_group_caps_are_only_shown(void) {
    with_caps();
    struct ma_limit_subject s = subject(MA_ARM_KILL);
    s.has_group = false;
    ma_limits_want(&s, wants);
    for (size_t i = 0; i < MA_LIMIT_COUNT; i++) {
        CHECK(!wants[i].is_wanted);
    }
    CHECK_U64(wants[MA_LIMIT_CPU_MAX].note, MA_LIMIT_NOTE_NO_OWNER);
}

static enum ma_limit_note note;
static enum ma_limit_step step(enum ma_limit limit,
                               const struct ma_limit_entry *entry,
                               uint64_t now,
                               bool is_wanted,
                               uint64_t value) {
    struct ma_limit_look look = {.limit = limit,
                                 .want = {.is_wanted = is_wanted, .value = value},
                                 .now_value = now,
                                 .now_usec = 1000 * MA_USEC_PER_SEC,
                                 .changed_usec = 1000 * MA_USEC_PER_SEC};
    return ma_limit_step(&look, entry, &note);
}

/* I4 */
static void only_what_is_looser_is_replaced(void) {
    const struct ma_limit_entry none = {.is_ours = false};
    CHECK_U64(step(MA_LIMIT_MEMORY_MAX, &none, MA_LIMIT_NONE, true, 100), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &none, 16384, true, 512), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_MEMORY_MAX, &none, 100, true, 100), MA_LIMIT_STEP_NONE);
    CHECK_U64(step(MA_LIMIT_MEMORY_MAX, &none, 99, true, 100), MA_LIMIT_STEP_NONE);
    CHECK_U64(note, MA_LIMIT_NOTE_TIGHTER);
    CHECK_U64(step(MA_LIMIT_OOM_ADJ, &none, 1000, true, 100), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_OOM_ADJ, &none, 1000, true, 2000), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_OOM_ADJ, &none, 1300, true, 2000), MA_LIMIT_STEP_NONE);
    CHECK_U64(step(MA_LIMIT_OOM_GROUP, &none, 0, true, 1), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_OOM_GROUP, &none, 1, true, 1), MA_LIMIT_STEP_NONE);
    CHECK_U64(step(MA_LIMIT_MEMORY_MAX, &none, 50, false, 0), MA_LIMIT_STEP_NONE);
}

static void ours_is_put_back_when_it_is_of_no_more_use(void) {
    const struct ma_limit_entry ours = {.is_ours = true, .before = 1000, .prev = 1000, .ours = 100};
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 100, true, 100), MA_LIMIT_STEP_NONE);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 100, true, 200), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 100, false, 0), MA_LIMIT_STEP_RESTORE);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 100, true, 1000), MA_LIMIT_STEP_RESTORE);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 1000, false, 0), MA_LIMIT_STEP_FORGET);
}

/* I5 */
static void what_others_change_is_theirs(void) {
    struct ma_limit_entry ours = {.is_ours = true, .before = 1000, .prev = 1000, .ours = 100};
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 300, true, 100), MA_LIMIT_STEP_FORGET);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 300, false, 0), MA_LIMIT_STEP_FORGET);
    struct ma_limit_entry left = {.is_left = true, .before = 1000, .ours = 100};
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &left, 300, true, 100), MA_LIMIT_STEP_NONE);
    CHECK_U64(note, MA_LIMIT_NOTE_LEFT);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &left, 300, true, 200), MA_LIMIT_STEP_SET); /* asked anew */
    /* a device that came meanwhile has to do with RLIMIT_MEMLOCK alone */
    struct ma_limit_look look = {.limit = MA_LIMIT_MEMORY_MAX,
                                 .want = {.is_wanted = true, .value = 100},
                                 .now_value = 300,
                                 .is_about_devices = true};
    CHECK_U64(ma_limit_step(&look, &ours, &note), MA_LIMIT_STEP_FORGET);
    /* on its way through systemd: not undone yet */
    ours.set_usec = 995 * MA_USEC_PER_SEC;
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 1000, true, 100), MA_LIMIT_STEP_WAIT);
    ours.set_usec = 900 * MA_USEC_PER_SEC;
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 1000, true, 100), MA_LIMIT_STEP_FORGET);
    /* killed between noting a new value and setting it: the old one is ours all the same */
    ours.prev = 200;
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 200, true, 100), MA_LIMIT_STEP_SET);
    CHECK_U64(step(MA_LIMIT_PIDS_MAX, &ours, 200, false, 0), MA_LIMIT_STEP_RESTORE);
}

/* libvirt raises the limit, then plugs in, then tells: lowering it in between would abort QEMU. */
static void memlock_is_lowered_again_only_after_a_hotplug_has_settled(void) {
    const struct ma_limit_entry ours = {
        .is_ours = true, .before = 5000, .prev = 5000, .ours = 1000};
    struct ma_limit_look look = {.limit = MA_LIMIT_MEMLOCK,
                                 .want = {.is_wanted = true, .value = 2000},
                                 .now_value = 4000,
                                 .is_about_devices = true,
                                 .changed_usec = 1000 * MA_USEC_PER_SEC};
    look.now_usec = look.changed_usec + MA_LIMIT_SETTLE_USEC - 1;
    CHECK_U64(ma_limit_step(&look, &ours, &note), MA_LIMIT_STEP_WAIT);
    look.now_usec++;
    CHECK_U64(ma_limit_step(&look, &ours, &note), MA_LIMIT_STEP_SET);
    look.is_about_devices = false; /* a person's prlimit */
    CHECK_U64(ma_limit_step(&look, &ours, &note), MA_LIMIT_STEP_FORGET);
    look.is_about_devices = true;
    look.want.value = 4000; /* all of it is needed */
    CHECK_U64(ma_limit_step(&look, &ours, &note), MA_LIMIT_STEP_FORGET);
    const struct ma_limit_entry none = {.is_ours =
                                            false}; /* nor is it lowered at first in between */
    look.want.value = 2000;
    look.now_usec = look.changed_usec + 1;
    CHECK_U64(ma_limit_step(&look, &none, &note), MA_LIMIT_STEP_WAIT);
}

/* Theirs is known as such half a minute after it was seen; what an operator asks for meanwhile is another question. */
static void what_is_asked_for_after_others_changed_it_is_not_left_to_them(void) {
    static const struct {
        uint64_t asked;
        bool is_about_devices;
        enum ma_limit_step then;
        enum ma_limit_note note;
    } rows[] = {{1000, false, MA_LIMIT_STEP_NONE, MA_LIMIT_NOTE_LEFT},
                {500, false, MA_LIMIT_STEP_SET, MA_LIMIT_NOTE_NONE},
                {1000, true, MA_LIMIT_STEP_SET, MA_LIMIT_NOTE_NONE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_limit_entry entry = {.is_ours = true, .before = 5000, .prev = 5000, .ours = 1000};
        struct ma_limit_look look = {.limit = MA_LIMIT_MEMLOCK,
                                     .want = {.is_wanted = true, .value = 1000},
                                     .change_want = 1000,
                                     .now_value = 4000,
                                     .now_usec = 1000 * MA_USEC_PER_SEC,
                                     .changed_usec = 1000 * MA_USEC_PER_SEC};
        CHECK_U64(ma_limit_step(&look, &entry, &note), MA_LIMIT_STEP_WAIT);
        look.want.value = rows[i].asked;
        look.is_about_devices = rows[i].is_about_devices;
        look.now_usec += MA_LIMIT_SETTLE_USEC;
        if (!look.is_about_devices) {
            CHECK_U64(ma_limit_step(&look, &entry, &note), MA_LIMIT_STEP_FORGET);
        }
        ma_limit_forget(&look, &entry);
        CHECK_U64(ma_limit_step(&look, &entry, &note), rows[i].then);
        CHECK_U64(note, rows[i].note);
    }
}

static void names_are_complete(void) {
    for (unsigned i = 0; i < MA_LIMIT_COUNT; i++) {
        CHECK(ma_limit_name((enum ma_limit) i) != NULL);
    }
    for (unsigned i = 1; i < MA_LIMIT_NOTE_COUNT; i++) {
        CHECK(ma_limit_note_name((enum ma_limit_note) i)[0] != '\0');
    }
}

TAP_MAIN(TAP_CASE(caps_are_taken_as_said),
         TAP_CASE(observing_wants_nothing_and_says_what_it_would),
         TAP_CASE(what_can_kill_needs_kill_armed_and_spares_never),
         TAP_CASE(memory_max_is_never_below_what_is_used),
         TAP_CASE(a_cap_is_lowered_only_to_what_is_used),
         TAP_CASE(pids_leave_room),
         TAP_CASE(without_an_own_group_caps_are_only_shown),
         TAP_CASE(only_what_is_looser_is_replaced),
         TAP_CASE(ours_is_put_back_when_it_is_of_no_more_use),
         TAP_CASE(what_others_change_is_theirs),
         TAP_CASE(memlock_is_lowered_again_only_after_a_hotplug_has_settled),
         TAP_CASE(what_is_asked_for_after_others_changed_it_is_not_left_to_them),
         TAP_CASE(names_are_complete));
