/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-settings.c - from what was said to what a decision depends on, once the host's size is known. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "config-internal.h"

static uint64_t amount_bytes(const struct ma_config_amount *amount, uint64_t total_bytes) {
    return amount->is_percent ? ma_permyriad_of(total_bytes, amount->permyriad) : amount->bytes;
}

/* The contract's bits: what stands in a file, not what is a default. */
static uint32_t said_bits(const struct ma_config *config) {
    const struct ma_config_key *key;
    uint32_t has = 0;
    for (size_t i = 0; (key = ma_config_key_at(i)) != NULL; i++) {
        if ((config->said[i / 64] >> (i % 64) & 1U) != 0) {
            has |= key->has;
        }
    }
    return has;
}

/* A watermark said as "" is derived again, as if nobody had spoken. So is a default: where it would contradict what
 * was said, ma_settings_resolve() finds another. */
static void take_amount(struct ma_settings *settings,
                        const struct ma_config_amount *amount,
                        uint32_t bit,
                        uint64_t total_bytes,
                        uint64_t *at) {
    if (!amount->is_said) {
        settings->has &= ~bit;
    } else if ((settings->has & bit) != 0) {
        *at = amount_bytes(amount, total_bytes);
    }
}

int ma_config_settings(const struct ma_config *config,
                       uint64_t host_total_bytes,
                       struct ma_settings *ret,
                       struct ma_err *err) {
    const struct ma_config_arbiter *a = &config->arbiter;
    struct ma_settings s;
    const char *problem = NULL;
    char total[MA_FORMAT_MAX];
    ma_settings_init(&s);
    s.has = said_bits(config);
    take_amount(&s, &a->reserve, MA_SETTINGS_HAS_RESERVE, host_total_bytes, &s.reserve_bytes);
    take_amount(&s, &a->soft_watermark, MA_SETTINGS_HAS_SOFT, host_total_bytes,
                &s.soft_watermark_bytes);
    take_amount(&s, &a->hard_watermark, MA_SETTINGS_HAS_HARD, host_total_bytes,
                &s.hard_watermark_bytes);
    take_amount(&s, &a->critical_watermark, MA_SETTINGS_HAS_CRITICAL, host_total_bytes,
                &s.critical_watermark_bytes);
    s.margin_permyriad = a->margin_permyriad;
    s.horizon_usec = a->horizon_usec;
    s.arm = a->arm;
    (void) snprintf(s.policy, sizeof(s.policy), "%s", a->policy);
    s.stale_usec = a->stale_usec;
    s.quiet_usec = a->quiet_usec;
    s.pause_max_usec = a->pause_max_usec;
    s.max_victims_per_incident = a->max_victims_per_incident;
    s.max_victims_per_hour = a->max_victims_per_hour;
    s.culprit_first = a->culprit_first;
    if (ma_settings_resolve(&s, host_total_bytes, &problem) != 0) {
        return ma_err_set(err, -EINVAL,
                          "%s%son a host of %s: %s; amend Reserve= and the watermarks",
                          config->file, config->file[0] != '\0' ? ": " : "",
                          ma_format_bytes(total, host_total_bytes),
                          problem != NULL ? problem : "the settings contradict each other");
    }
    *ret = s;
    return 0;
}
