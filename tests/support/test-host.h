/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* test-host.h - a host of a few guests, put together in a few lines, decided on with the real ma_decide(). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "decide.h"
#include "tap.h"

#define TEST_GUESTS_MAX 64
#define TEST_NODES_MAX  4
#define TEST_SECOND     MA_USEC_PER_SEC

struct test_host {
    struct ma_snapshot snapshot;
    struct ma_node nodes[TEST_NODES_MAX];
    struct ma_guest guests[TEST_GUESTS_MAX];
    struct ma_guest_node guest_nodes[TEST_GUESTS_MAX][TEST_NODES_MAX];
    char uuids[TEST_GUESTS_MAX][40];
    const struct ma_policy *policy;
    struct ma_state state;
    struct ma_plan plan;
    void *memory[3];
};

/* What the last host that ended leaves for the next one, uncleared: some megabytes, which 10^5 hosts a test would else take
 * anew and, under MALLOC_PERTURB_, fill twice. */
static void *test_host_spare[3];

static inline void *test_host_take(unsigned k, size_t bytes) {
    void *spare = test_host_spare[k];

    test_host_spare[k] = NULL;
    return spare != NULL ? spare : malloc(bytes);
}

static inline void
test_host_init(struct test_host *host, uint64_t total_gib, uint64_t available_mib) {
    const char *problem = "";

    memset(host, 0, sizeof(*host));
    host->snapshot.taken_at_usec = 10000 * TEST_SECOND;
    host->snapshot.host.total_bytes = total_gib * MA_GIB;
    host->snapshot.host.available_bytes = available_mib * MA_MIB;
    host->snapshot.host.nodes = host->nodes;
    host->snapshot.guests = host->guests;
    ma_settings_init(&host->snapshot.settings);
    host->snapshot.settings.arm = MA_ARM_KILL;
    if (ma_settings_resolve(&host->snapshot.settings, total_gib * MA_GIB, &problem) < 0) {
        TAP_FAIL("settings: %s", problem);
    }
    host->policy = ma_policy_find("balanced");
    host->memory[0] = test_host_take(0, ma_state_memory_size(2 * TEST_GUESTS_MAX));
    host->memory[1] = test_host_take(1, ma_plan_memory_size(TEST_GUESTS_MAX));
    host->memory[2] = test_host_take(2, ma_scratch_size(TEST_GUESTS_MAX));
    ma_state_init(&host->state, host->memory[0], 2 * TEST_GUESTS_MAX, 0);
    ma_plan_init(&host->plan, host->memory[1], TEST_GUESTS_MAX);
}

static inline void test_host_fini(struct test_host *host) {
    for (size_t k = 0; k < 3; k++) {
        if (test_host_spare[k] == NULL) {
            test_host_spare[k] = host->memory[k];
        } else {
            free(host->memory[k]);
        }
    }
}

static inline void test_host_swap(struct test_host *host, uint64_t total_mib, uint64_t free_mib) {
    host->snapshot.host.has |= MA_HOST_HAS_SWAP;
    host->snapshot.host.swap_total_bytes = total_mib * MA_MIB;
    host->snapshot.host.swap_free_bytes = free_mib * MA_MIB;
}

static inline void test_host_slope(struct test_host *host, int64_t mib_per_s) {
    host->snapshot.host.has |= MA_HOST_HAS_SLOPE;
    host->snapshot.host.slope_bytes_per_s = mib_per_s * (int64_t) MA_MIB;
}

static inline struct ma_node *
test_host_node(struct test_host *host, uint64_t total_mib, uint64_t available_mib) {
    size_t k = host->snapshot.host.n_nodes++;

    host->nodes[k] = (struct ma_node){.id = (uint16_t) k,
                                      .total_bytes = total_mib * MA_MIB,
                                      .available_bytes = available_mib * MA_MIB};
    return &host->nodes[k];
}

/* A running guest that is wholly resident and uses all but available_mib of its memory. */
static inline struct ma_guest *
test_host_add(struct test_host *host, const char *name, uint64_t mib, uint64_t available_mib) {
    size_t i = host->snapshot.n_guests++;
    struct ma_guest *guest = &host->guests[i];

    (void) snprintf(host->uuids[i], sizeof(host->uuids[i]), "00000000-0000-0000-0000-%012zu", i);
    guest->uuid = host->uuids[i];
    guest->name = name;
    guest->state = MA_GUEST_RUNNING;
    guest->has = MA_GUEST_HAS_MAX | MA_GUEST_HAS_ACTUAL | MA_GUEST_HAS_RESIDENT | MA_GUEST_HAS_AGE |
                 MA_GUEST_HAS_SWAP | MA_GUEST_HAS_UPTIME;
    guest->uptime_usec = 3600 * TEST_SECOND;
    guest->max_bytes = mib * MA_MIB;
    guest->actual_bytes = mib * MA_MIB;
    guest->resident_bytes = mib * MA_MIB;
    guest->config.impact_class = MA_IMPACT_WEIGHT;
    guest->config.impact = MA_IMPACT_DEFAULT;
    guest->config.shares = MA_SHARES_DEFAULT;
    guest->config.actions = MA_ACTIONS_DEFAULT;
    guest->balloon.has = MA_BALLOON_HAS_STATE;
    guest->balloon.state = MA_BALLOON_READY;
    guest->stats.has =
        MA_STATS_HAS_AVAILABLE | MA_STATS_HAS_TOTAL | MA_STATS_HAS_FREE | MA_STATS_HAS_AGE;
    guest->stats.claimed_total_bytes = mib * MA_MIB;
    guest->stats.claimed_available_bytes = available_mib * MA_MIB;
    guest->stats.claimed_free_bytes = available_mib * MA_MIB;
    guest->nodes = host->guest_nodes[i];
    return guest;
}

static inline void
test_guest_on_node(struct test_host *host, struct ma_guest *guest, uint16_t node, uint64_t mib) {
    size_t i = (size_t) (guest - host->guests);

    host->guest_nodes[i][guest->n_nodes++] =
        (struct ma_guest_node){.id = node, .resident_bytes = mib * MA_MIB};
}

static inline void test_guest_impact(struct ma_guest *guest, uint32_t impact) {
    guest->config.has |= MA_CONFIG_HAS_IMPACT;
    guest->config.impact = impact;
}

static inline void test_guest_class(struct ma_guest *guest, enum ma_impact_class class) {
    guest->config.has |= MA_CONFIG_HAS_IMPACT;
    guest->config.impact_class = class;
}

static inline void test_guest_group(struct ma_guest *guest, const char *group) {
    guest->config.has |= MA_CONFIG_HAS_GROUP;
    guest->config.group = group;
}

static inline void test_guest_growth(struct ma_guest *guest, int64_t mib_per_s) {
    guest->has |= MA_GUEST_HAS_GROWTH;
    guest->growth_bytes_per_s = mib_per_s * (int64_t) MA_MIB;
}

/* No balloon, so that only its death returns memory. */
static inline struct ma_guest *
test_host_add_rigid(struct test_host *host, const char *name, uint64_t mib) {
    struct ma_guest *guest = test_host_add(host, name, mib, 0);

    guest->balloon.state = MA_BALLOON_ABSENT;
    return guest;
}

static inline int test_host_decide_as(struct test_host *host, bool is_single, bool is_dry_run) {
    struct ma_decide_options options = {.is_single_snapshot = is_single, .is_dry_run = is_dry_run};
    struct ma_scratch scratch = {.memory = host->memory[2],
                                 .bytes = ma_scratch_size(TEST_GUESTS_MAX)};

    return ma_decide(&host->snapshot, host->policy, &options, &host->state, scratch, &host->plan);
}

/* The only snapshot there is. */
static inline void test_host_plan(struct test_host *host) {
    CHECK_I64(test_host_decide_as(host, true, false), 0);
}

/* One more second of a running host. */
static inline void test_host_tick(struct test_host *host) {
    host->snapshot.taken_at_usec += TEST_SECOND;
    CHECK_I64(test_host_decide_as(host, false, false), 0);
}

static inline const struct ma_plan_action *
test_host_action(const struct test_host *host, const struct ma_guest *guest, enum ma_action kind) {
    for (size_t k = 0; k < host->plan.n_actions; k++) {
        const struct ma_plan_action *action = &host->plan.actions[k];

        if (action->has_guest && &host->guests[action->guest] == guest && action->action == kind) {
            return action;
        }
    }
    return NULL;
}

/* Victims' action on the guest, or NULL. */
static inline const struct ma_plan_action *test_host_victim(const struct test_host *host,
                                                            const struct ma_guest *guest) {
    for (enum ma_action kind = MA_ACTION_PAUSE; kind <= MA_ACTION_KILL; kind++) {
        const struct ma_plan_action *action = test_host_action(host, guest, kind);

        if (action != NULL) {
            return action;
        }
    }
    return NULL;
}

static inline size_t test_host_count_victims(const struct test_host *host, bool armed_only) {
    size_t n = 0;

    for (size_t k = 0; k < host->plan.n_actions; k++) {
        n += ma_action_is_victim(host->plan.actions[k].action) &&
             (!armed_only || host->plan.actions[k].is_armed);
    }
    return n;
}

/* The reason of the first trim on that guest and action; NONE: there is none. */
static inline enum ma_reason
test_host_trim(const struct test_host *host, const struct ma_guest *guest, enum ma_action kind) {
    for (size_t k = 0; k < host->plan.n_trims; k++) {
        const struct ma_trim *trim = &host->plan.trims[k];

        if (trim->has_guest && &host->guests[trim->guest] == guest && trim->action == kind) {
            return trim->reason;
        }
    }
    return MA_REASON_NONE;
}
