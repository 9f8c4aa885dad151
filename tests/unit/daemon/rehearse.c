/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rehearsal leaves in memory what a decision touches: the kernel is asked which pages are there (mincore). */
#include "rehearse.h"

#include <sys/mman.h>
#include <unistd.h>

#include "test-host.h"

#define GUESTS 60

/* Memory that nobody has touched yet, behind one another: state's copy, plan, scratch. */
struct stage {
    unsigned char *memory;
    size_t bytes;
    struct ma_state copy;
    struct ma_plan plan;
    struct ma_rehearsal_stage tools;
};

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t) sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

static void stage_init(struct stage *stage, const struct test_host *h) {
    size_t state_bytes = whole_pages(ma_state_memory_size(2 * TEST_GUESTS_MAX));
    size_t plan_bytes = whole_pages(ma_plan_memory_size(TEST_GUESTS_MAX));
    size_t scratch_bytes = whole_pages(ma_scratch_size(TEST_GUESTS_MAX));
    void *memory;

    stage->bytes = state_bytes + plan_bytes + scratch_bytes;
    memory = mmap(NULL, stage->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    (void) madvise(memory, stage->bytes, MADV_NOHUGEPAGE); /* where the kernel knows huge pages */
    stage->memory = memory;
    ma_state_init(&stage->copy, stage->memory, 2 * TEST_GUESTS_MAX, 0);
    ma_plan_init(&stage->plan, stage->memory + state_bytes, TEST_GUESTS_MAX);
    stage->tools = (struct ma_rehearsal_stage){
        .policy = h->policy,
        .state = &h->state,
        .copy = &stage->copy,
        .scratch = {.memory = stage->memory + state_bytes + plan_bytes, .bytes = scratch_bytes},
        .plan = &stage->plan,
    };
}

static size_t count_resident(const struct stage *stage) {
    static unsigned char is_there[1U << 16];
    size_t pages = stage->bytes / (size_t) sysconf(_SC_PAGESIZE);
    size_t n = 0;

    CHECK(pages <= sizeof(is_there));
    CHECK_I64(mincore(stage->memory, stage->bytes, is_there), 0);
    for (size_t i = 0; i < pages; i++) {
        n += is_there[i] & 1U;
    }
    return n;
}

static void meet_guests(struct test_host *h) {
    test_host_init(h, 512, 400 * 1024);
    for (unsigned i = 0; i < GUESTS; i++) {
        struct ma_guest *guest = test_host_add(h, "guest", 4096 + 64 * i, 1000);

        guest->has &= ~(uint32_t) MA_GUEST_HAS_RESIDENT;
        guest->stats.has = 0;
    }
}

static void learn_figures(struct test_host *h) {
    for (unsigned i = 0; i < GUESTS; i++) {
        h->guests[i].has |= MA_GUEST_HAS_RESIDENT;
        h->guests[i].stats.has = MA_STATS_HAS_AVAILABLE | MA_STATS_HAS_FREE | MA_STATS_HAS_AGE;
    }
}

static void decide_on_shortage(struct test_host *h, struct stage *stage) {
    struct ma_decide_options options = {.is_single_snapshot = true, .is_dry_run = true};

    h->snapshot.host.available_bytes = 0;
    CHECK_I64(ma_state_copy(&stage->copy, &h->state), 0);
    CHECK_I64(ma_decide(&h->snapshot, h->policy, &options, &stage->copy, stage->tools.scratch,
                        &stage->plan),
              0);
    CHECK(stage->plan.n_actions > 0);
}

/* Guests are known before their figures are: what was rehearsed then is next to nothing. */
static void is_done_again_when_figures_come(void) {
    static struct test_host h;
    struct ma_rehearsal rehearsal = {0};
    struct stage stage;
    size_t without;

    meet_guests(&h);
    stage_init(&stage, &h);
    CHECK(ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    CHECK(!ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    without = count_resident(&stage);
    learn_figures(&h);
    CHECK(ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    CHECK(count_resident(&stage) > without);
    CHECK(!ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    CHECK_U64(stage.plan.n_actions, 0);
    (void) munmap(stage.memory, stage.bytes);
    test_host_fini(&h);
}

static void decision_finds_its_pages(void) {
    static struct test_host h;
    struct ma_rehearsal rehearsal = {0};
    struct stage stage;
    size_t before;

    meet_guests(&h);
    learn_figures(&h);
    stage_init(&stage, &h);
    CHECK(ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    before = count_resident(&stage);
    decide_on_shortage(&h, &stage);
    CHECK_U64(count_resident(&stage), before);
    (void) munmap(stage.memory, stage.bytes);
    test_host_fini(&h);
}

static void not_where_memory_is_short(void) {
    static struct test_host h;
    struct ma_rehearsal rehearsal = {0};
    struct stage stage;

    meet_guests(&h);
    stage_init(&stage, &h);
    h.snapshot.host.available_bytes = 0;
    CHECK(!ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    h.snapshot.host.available_bytes = h.snapshot.host.total_bytes;
    CHECK(ma_rehearse(&rehearsal, &h.snapshot, &stage.tools));
    (void) munmap(stage.memory, stage.bytes);
    test_host_fini(&h);
}

TAP_MAIN(TAP_CASE(is_done_again_when_figures_come),
         TAP_CASE(decision_finds_its_pages),
         TAP_CASE(not_where_memory_is_short));
