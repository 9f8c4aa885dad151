/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* merge.c - settings said in several places, one over the other.
 *
 * One rule decides all cases here: a mistake never leaves a guest less protected than before. So a bad value keeps
 * the last good one of the same attribute, and where none is known we do not guess that the default was meant: an
 * impact="nevr" would then cost the one guest that its operator tried to protect. Such a guest is marked invalid,
 * which makes it no victim until its metadata is mended, and leaves its balloon alone below its default guarantee. */

#include <stdio.h>

#include "metadata.h"

#define TAKE(bit, field)                                                                           \
    do {                                                                                           \
        if ((o->has & (bit)) != 0) {                                                               \
            s->field = o->field;                                                                   \
        }                                                                                          \
    } while (0)

void ma_said_merge(struct ma_said *said, const struct ma_said *over) {
    struct ma_guest_config *s = &said->config;
    const struct ma_guest_config *o = &over->config;
    TAKE(MA_CONFIG_HAS_IMPACT, impact_class);
    TAKE(MA_CONFIG_HAS_IMPACT, impact);
    TAKE(MA_CONFIG_HAS_SHARES, shares);
    TAKE(MA_CONFIG_HAS_GUARANTEE, guarantee_bytes);
    TAKE(MA_CONFIG_HAS_LIMIT, limit_bytes);
    TAKE(MA_CONFIG_HAS_PIN_LIMIT, pin_limit_bytes);
    TAKE(MA_CONFIG_HAS_CAP_MEMORY, cap_memory_bytes);
    TAKE(MA_CONFIG_HAS_CAP_SWAP, cap_swap_bytes);
    TAKE(MA_CONFIG_HAS_CAP_PIDS, cap_pids);
    TAKE(MA_CONFIG_HAS_CAP_CPU, cap_cpu_permyriad);
    TAKE(MA_CONFIG_HAS_ACTIONS, actions);
    TAKE(MA_CONFIG_HAS_RESTART, restart_usec);
    TAKE(MA_CONFIG_HAS_SHUTDOWN_TIMEOUT, shutdown_timeout_usec);
    if ((o->has & MA_CONFIG_HAS_GROUP) != 0) {
        (void) snprintf(said->group, sizeof(said->group), "%s", over->group);
    }
    /* Invalid in one place is invalid: the others cannot know what was meant there. */
    if ((o->has & MA_CONFIG_HAS_VALID) != 0) {
        s->is_invalid = ((s->has & MA_CONFIG_HAS_VALID) != 0 && s->is_invalid) || o->is_invalid;
    }
    s->has |= o->has;
}

/* What is left of `said` when only the attributes of `bits` count. */
static struct ma_said only(const struct ma_said *said, uint32_t bits) {
    struct ma_said r = {0};
    struct ma_said cut = *said;
    cut.config.has &= bits;
    ma_said_merge(&r, &cut);
    return r;
}

void ma_metadata_merge(const struct ma_metadata *now,
                       const struct ma_said *last_good,
                       struct ma_said *said,
                       struct ma_said *last_good_ret) {
    static const struct ma_said nothing;
    const struct ma_said *last = last_good != NULL ? last_good : &nothing;
    struct ma_said kept = only(last, now->bad);
    bool is_unreadable = now->bad == UINT32_MAX;
    bool is_unknown = is_unreadable ? last_good == NULL : (now->bad & ~last->config.has) != 0;
    struct ma_said good = now->said;
    ma_said_merge(&good, &kept);
    if (is_unknown) {
        /* Kept with the last good ones: text that becomes unreadable as well must not look like an improvement. */
        good.config.has |= MA_CONFIG_HAS_VALID;
        good.config.is_invalid = true;
    }
    ma_said_merge(said, &good);
    *last_good_ret = good;
}
