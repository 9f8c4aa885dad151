/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* settings.c - defaults, and what follows from the host's size and from what was said.
 *
 * Rules of ma_settings_resolve(), in this order; "said" is what has its bit in `has`, and is never changed:
 *   reserve   5 % of the host; not above what a said soft (half of it) or hard watermark (4/5 of it) is derived
 *             from, not below a said critical one
 *   soft      2 x reserve;     not above the host, not below a said hard or critical watermark
 *   hard      1.25 x reserve;  not above soft, not below a said critical watermark
 *   critical  0.6 x reserve;   not above hard, not above reserve
 * So always, afterwards: critical <= hard <= soft <= host, critical <= reserve <= host. What is not said is computed
 * from what is said and the host's size alone, never from an earlier result: resolving twice changes nothing, and a
 * host that grows (hotplug, another budget) moves the derived values along. */
#include "settings.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "bytes.h"

/* Of the host's memory. Too small: a guest that grows fast meets the kernel's OOM killer before a balloon has moved
 * (1.5 GiB/s against some 4 s of reaction need 6 GiB); too large: memory that nobody may use. Measured in the
 * simulator: 5 % at 256 GiB. */
#define DEFAULT_RESERVE_PERMYRIAD 500U
/* Watermarks in permyriad of the reserve. Nearer to each other: states flap; wider: balloons move where nobody is
 * short. Guessed; hysteresis (pressure.c) makes them uncritical. */
#define DEFAULT_SOFT_PERMYRIAD     20000U
#define DEFAULT_HARD_PERMYRIAD     12500U
#define DEFAULT_CRITICAL_PERMYRIAD 6000U

static const struct ma_settings defaults = {
    .margin_permyriad = 500,
    .horizon_usec = 5 * MA_USEC_PER_SEC,
    .arm = MA_ARM_OBSERVE,
    .policy = "balanced",
    /* Three missed statistics rounds of 5 s. Too small: a busy libvirtd makes guests untouchable; too large: a
     * decision on figures that no longer hold. Guessed. */
    .stale_usec = 15 * MA_USEC_PER_SEC,
    .guarantee_permyriad = 5000,
    .quiet_usec = 60 * MA_USEC_PER_SEC,
    .pause_max_usec = 600 * MA_USEC_PER_SEC,
    .operator_resume_usec = 1800 * MA_USEC_PER_SEC,
    .max_victims_per_incident = 0,
    .max_victims_per_hour = 0,
    .culprit_first = true,
    /* The period is longer than a balloon needs to answer (lag 1 s); shorter ones steer on figures that do not show
     * the last move yet. Simulated, as are dead band, slew and dwell: the dwell cut reversals from 65 to 16 per
     * guest and hour for 6 % more stall. */
    .balloon_period_usec = 5 * MA_USEC_PER_SEC,
    .balloon_dead_band_bytes = 64 * MA_MIB,
    .balloon_slew_permyriad = 1000,
    .balloon_dwell_usec = 30 * MA_USEC_PER_SEC,
    .balloon_margin_bytes = 128 * MA_MIB,
    .balloon_margin_permyriad = 800,
};

void ma_settings_init(struct ma_settings *settings) {
    memcpy(settings, &defaults, sizeof(*settings));
}

static bool is_said(const struct ma_settings *s, uint32_t bits) {
    return (s->has & bits) == bits;
}

/* The first contradiction among what was said, or NULL. */
static const char *find_contradiction(const struct ma_settings *s, uint64_t total_bytes) {
    const struct {
        uint32_t bits;
        bool is_wrong;
        const char *problem;
    } rules[] = {
        {MA_SETTINGS_HAS_RESERVE, s->reserve_bytes > total_bytes,
         "reserve_bytes exceeds the host's total_bytes"},
        {MA_SETTINGS_HAS_SOFT, s->soft_watermark_bytes > total_bytes,
         "soft_watermark_bytes exceeds the host's total_bytes"},
        {MA_SETTINGS_HAS_HARD, s->hard_watermark_bytes > total_bytes,
         "hard_watermark_bytes exceeds the host's total_bytes"},
        {MA_SETTINGS_HAS_CRITICAL, s->critical_watermark_bytes > total_bytes,
         "critical_watermark_bytes exceeds the host's total_bytes"},
        {MA_SETTINGS_HAS_CRITICAL | MA_SETTINGS_HAS_HARD,
         s->critical_watermark_bytes > s->hard_watermark_bytes,
         "critical_watermark_bytes exceeds hard_watermark_bytes"},
        {MA_SETTINGS_HAS_HARD | MA_SETTINGS_HAS_SOFT,
         s->hard_watermark_bytes > s->soft_watermark_bytes,
         "hard_watermark_bytes exceeds soft_watermark_bytes"},
        {MA_SETTINGS_HAS_CRITICAL | MA_SETTINGS_HAS_SOFT,
         s->critical_watermark_bytes > s->soft_watermark_bytes,
         "critical_watermark_bytes exceeds soft_watermark_bytes"},
        {MA_SETTINGS_HAS_CRITICAL | MA_SETTINGS_HAS_RESERVE,
         s->critical_watermark_bytes > s->reserve_bytes,
         "critical_watermark_bytes exceeds reserve_bytes"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (is_said(s, rules[i].bits) && rules[i].is_wrong) {
            return rules[i].problem;
        }
    }
    return NULL;
}

static uint64_t said_or(const struct ma_settings *s, uint32_t bit, uint64_t said, uint64_t other) {
    return is_said(s, bit) ? said : other;
}

int ma_settings_resolve(struct ma_settings *settings,
                        uint64_t host_total_bytes,
                        const char **ret_problem) {
    struct ma_settings *s = settings;
    const char *problem = find_contradiction(s, host_total_bytes);
    if (problem != NULL) {
        *ret_problem = problem;
        return -EINVAL;
    }
    uint64_t from_soft =
        ma_muldiv_sat(said_or(s, MA_SETTINGS_HAS_SOFT, s->soft_watermark_bytes, UINT64_MAX),
                      MA_PERMYRIAD_FULL, DEFAULT_SOFT_PERMYRIAD);
    uint64_t from_hard =
        ma_muldiv_sat(said_or(s, MA_SETTINGS_HAS_HARD, s->hard_watermark_bytes, UINT64_MAX),
                      MA_PERMYRIAD_FULL, DEFAULT_HARD_PERMYRIAD);
    uint64_t said_critical = said_or(s, MA_SETTINGS_HAS_CRITICAL, s->critical_watermark_bytes, 0);
    uint64_t hard_floor = said_or(s, MA_SETTINGS_HAS_HARD, s->hard_watermark_bytes, said_critical);
    if (!is_said(s, MA_SETTINGS_HAS_RESERVE)) {
        uint64_t share = ma_permyriad_of(host_total_bytes, DEFAULT_RESERVE_PERMYRIAD);
        s->reserve_bytes = ma_clamp_u64(share, said_critical, ma_min_u64(from_soft, from_hard));
    }
    if (!is_said(s, MA_SETTINGS_HAS_SOFT)) {
        s->soft_watermark_bytes =
            ma_clamp_u64(ma_permyriad_of(s->reserve_bytes, DEFAULT_SOFT_PERMYRIAD), hard_floor,
                         host_total_bytes);
    }
    if (!is_said(s, MA_SETTINGS_HAS_HARD)) {
        s->hard_watermark_bytes =
            ma_clamp_u64(ma_permyriad_of(s->reserve_bytes, DEFAULT_HARD_PERMYRIAD), said_critical,
                         s->soft_watermark_bytes);
    }
    if (!is_said(s, MA_SETTINGS_HAS_CRITICAL)) {
        s->critical_watermark_bytes =
            ma_min_u64(ma_permyriad_of(s->reserve_bytes, DEFAULT_CRITICAL_PERMYRIAD),
                       ma_min_u64(s->hard_watermark_bytes, s->reserve_bytes));
    }
    return 0;
}

void ma_settings_adopt_contract(struct ma_settings *to, const struct ma_settings *from) {
    to->has = from->has;
    to->reserve_bytes = from->reserve_bytes;
    to->soft_watermark_bytes = from->soft_watermark_bytes;
    to->hard_watermark_bytes = from->hard_watermark_bytes;
    to->critical_watermark_bytes = from->critical_watermark_bytes;
    to->margin_permyriad = from->margin_permyriad;
    to->horizon_usec = from->horizon_usec;
    to->arm = from->arm;
    memcpy(to->policy, from->policy, sizeof(to->policy));
}

void ma_settings_take_said(struct ma_settings *to, const struct ma_settings *from) {
    struct ma_settings said = *to;

#define TAKE(bit, field)                                                                           \
    if ((from->has & (bit)) != 0) {                                                                \
        said.field = from->field;                                                                  \
    }
    TAKE(MA_SETTINGS_HAS_RESERVE, reserve_bytes)
    TAKE(MA_SETTINGS_HAS_SOFT, soft_watermark_bytes)
    TAKE(MA_SETTINGS_HAS_HARD, hard_watermark_bytes)
    TAKE(MA_SETTINGS_HAS_CRITICAL, critical_watermark_bytes)
    TAKE(MA_SETTINGS_HAS_MARGIN, margin_permyriad)
    TAKE(MA_SETTINGS_HAS_HORIZON, horizon_usec)
    TAKE(MA_SETTINGS_HAS_ARM, arm)
#undef TAKE
    if ((from->has & MA_SETTINGS_HAS_POLICY) != 0) {
        memcpy(said.policy, from->policy, sizeof(said.policy));
    }
    said.has |= from->has;
    *to = said;
}
