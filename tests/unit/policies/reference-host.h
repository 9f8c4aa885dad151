/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* reference-host.h - what a reference policy proposes by itself, without the guard that the daemon puts above it. */

#include "observe.h"
#include "test-host.h"

static inline void reference_use(struct test_host *host, const char *policy) {
    host->policy = ma_policy_find(policy);
    CHECK(host->policy != NULL && host->policy->is_reference && host->policy->source != NULL);
}

static inline void reference_propose(struct test_host *host) {
    struct ma_policy_input input = {
        .snapshot = &host->snapshot,
        .state = &host->state,
        .scratch = {.memory = host->memory[2], .bytes = ma_scratch_size(TEST_GUESTS_MAX)}};

    ma_plan_reset(&host->plan);
    host->snapshot.taken_at_usec += TEST_SECOND;
    ma_observe(&host->snapshot, true, &host->state, &host->plan);
    CHECK_I64(host->policy->propose(&input, &host->plan), 0);
}

/* Where the guest's balloon is to go; 0: it is left alone. */
static inline uint64_t reference_target(const struct test_host *host,
                                        const struct ma_guest *guest) {
    const struct ma_plan_action *action = test_host_action(host, guest, MA_ACTION_BALLOON);

    return action != NULL ? action->to_bytes : 0;
}

static inline void reference_guarantee(struct ma_guest *guest, uint64_t bytes) {
    guest->config.has |= MA_CONFIG_HAS_GUARANTEE;
    guest->config.guarantee_bytes = bytes;
}

static inline void reference_shares(struct ma_guest *guest, uint32_t shares) {
    guest->config.has |= MA_CONFIG_HAS_SHARES;
    guest->config.shares = shares;
}
