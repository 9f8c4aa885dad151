/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* floors.c - how deep a guest may go (P2): its guarantee, what it uses, and a margin that is smaller where it is critical. */
#include "facts.h"
#include "tap.h"
#include "test-host.h"

/* One guest of 8192 MiB that uses 6000, after one tick. */
static uint64_t floor_mib(struct test_host *h, const struct ma_guest *guest) {
    struct ma_facts facts;

    test_host_tick(h);
    ma_facts_of_guest(&h->snapshot, &h->state, guest, ma_state_find(&h->state, guest->uuid),
                      &facts);
    return facts.floor_bytes / MA_MIB;
}

static void p2_use_and_margin_on_a_host_that_is_hard_pressed(void) {
    static struct test_host h;
    struct ma_guest *guest;

    test_host_init(&h, 64, 2500);
    guest = test_host_add(&h, "busy", 8192, 2192);
    CHECK_U64(floor_mib(&h, guest), 6000 + 128 + 480);
    CHECK_U64(h.plan.pressure, MA_PRESSURE_HARD);
    test_host_fini(&h);
}

/* ... before anybody is ended. The guarantee stands. */
static void p2_a_quarter_of_the_margin_on_a_critical_host(void) {
    static struct test_host h;
    struct ma_guest *busy, *idle;

    test_host_init(&h, 64, 100);
    busy = test_host_add(&h, "busy", 8192, 2192);
    idle = test_host_add(&h, "idle", 8192, 8000);
    CHECK_U64(floor_mib(&h, busy), 6000 + (128 + 480) / 4);
    CHECK_U64(floor_mib(&h, idle), 4096);
    CHECK_U64(h.plan.pressure, MA_PRESSURE_CRITICAL);
    test_host_fini(&h);
}

/* What it will use before its next word is kept besides, as far as the whole margin goes. */
static void p2_a_rise_keeps_its_margin_on_a_critical_host(void) {
    for (uint64_t rise_mib = 20; rise_mib <= 200; rise_mib += 180) {
        static struct test_host h;
        struct ma_guest_memory *memory;
        struct ma_guest *guest;

        test_host_init(&h, 64, 100);
        guest = test_host_add(&h, "busy", 8192, 2192);
        memory = ma_state_get(&h.state, guest->uuid);
        CHECK(memory != NULL);
        memory->used_bytes = 6000 * MA_MIB;
        memory->used_at_usec = h.snapshot.taken_at_usec + TEST_SECOND; /* of the next tick */
        memory->used_rise_bytes_per_s = rise_mib * MA_MIB;
        /* 4 s of it */
        CHECK_U64(floor_mib(&h, guest), rise_mib == 20 ? 6000 + 152 + 80 : 6000 + 608);
        test_host_fini(&h);
    }
}

/* A critical node lets guests go that deep which are bound to it, and no others. */
static void p2_a_critical_node_is_its_guests_matter(void) {
    for (uint16_t on = 0; on < 2; on++) {
        static struct test_host h;
        struct ma_guest *guest;

        test_host_init(&h, 64, 20000);
        test_host_node(&h, 32768, 19950);
        test_host_node(&h, 32768, 50);
        guest = test_host_add(&h, "busy", 8192, 2192);
        test_guest_on_node(&h, guest, on, 8192);
        CHECK_U64(floor_mib(&h, guest), on == 1 ? 6152 : 6608);
        guest->has |= MA_GUEST_HAS_PLACEMENT;
        guest->placement = MA_PLACEMENT_PREFERRED;
        CHECK_U64(floor_mib(&h, guest), 6608);
        test_host_fini(&h);
    }
}

TAP_MAIN(TAP_CASE(p2_use_and_margin_on_a_host_that_is_hard_pressed),
         TAP_CASE(p2_a_quarter_of_the_margin_on_a_critical_host),
         TAP_CASE(p2_a_rise_keeps_its_margin_on_a_critical_host),
         TAP_CASE(p2_a_critical_node_is_its_guests_matter));
