/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* settings.h - what a decision depends on besides the figures. Pure values; arbiter/daemon/config fills them from
 * memarb.conf, formats/ from a snapshot's "settings", and ma_settings_resolve() computes what was left open. */

#include <stdbool.h>
#include <stdint.h>

enum ma_arm {
    MA_ARM_OBSERVE, /* nothing is touched */
    MA_ARM_RECLAIM, /* balloon, resize, reclaim */
    MA_ARM_PAUSE,   /* and pause, save */
    MA_ARM_KILL,    /* and shutdown, kill */
    MA_ARM_COUNT
};
const char *ma_arm_name(enum ma_arm arm);
int ma_arm_from_name(const char *name);

/* Said explicitly; what is not said is derived by ma_settings_resolve(). */
enum ma_settings_has {
    MA_SETTINGS_HAS_RESERVE = 1U << 0,
    MA_SETTINGS_HAS_SOFT = 1U << 1,
    MA_SETTINGS_HAS_HARD = 1U << 2,
    MA_SETTINGS_HAS_CRITICAL = 1U << 3,
    MA_SETTINGS_HAS_MARGIN = 1U << 4,
    MA_SETTINGS_HAS_HORIZON = 1U << 5,
    MA_SETTINGS_HAS_ARM = 1U << 6,
    MA_SETTINGS_HAS_POLICY = 1U << 7,
};

#define MA_POLICY_NAME_MAX 32

struct ma_settings {
    uint32_t has; /* the eight of the contract, when said */

    /* Available host memory that memarb keeps: what a plan restores. Too small: the kernel acts first; too large:
     * memory that nobody may use. Default 5 % of the host. */
    uint64_t reserve_bytes;
    /* Available memory below which a state begins; critical <= hard <= soft. Defaults: soft 2 x reserve,
     * hard 1.25 x reserve, critical 0.6 x reserve. */
    uint64_t soft_watermark_bytes;
    uint64_t hard_watermark_bytes;
    uint64_t critical_watermark_bytes;
    /* Added to a deficit for the error of estimates: too small falls short and acts twice, too large hurts more
     * guests than needed. Default 5 % (measured: 10 % error without margin falls short in 17 % of plans). */
    uint32_t margin_permyriad;
    /* How far ahead a deficit is projected: what gentle actions need to land. Default 5 s. */
    uint64_t horizon_usec;
    enum ma_arm arm;
    char policy[MA_POLICY_NAME_MAX];

    /* Not in the snapshot's contract; in the record's header. */
    uint64_t stale_usec; /* a host-side figure older than this is stale (P5); default 15 s */
    /* default guarantee as a share of a guest's maximum; default 5000 */
    uint32_t guarantee_permyriad;
    uint64_t quiet_usec;     /* P13; default 60 s */
    uint64_t pause_max_usec; /* a pause ends after this; default 10 min */
    /* a guest the operator resumed is exempt this long; default 30 min */
    uint64_t operator_resume_usec;
    uint32_t max_victims_per_incident; /* P12; 0: 3 or 5 % of the guests, whichever is more */
    uint32_t max_victims_per_hour;     /* likewise */
    bool culprit_first;                /* default true */

    /* Balloon control (algorithms: dead band, slew, dwell). */
    uint64_t balloon_period_usec; /* between two moves of the gentle division; default 5 s */
    /* smaller moves are left out; default 64 MiB, or 2 % of max if more */
    uint64_t balloon_dead_band_bytes;
    uint32_t balloon_slew_permyriad;   /* of max, per period, shrinking; default 1000 */
    uint64_t balloon_dwell_usec;       /* before a guest's direction may turn; default 30 s */
    uint64_t balloon_margin_bytes;     /* kept above what a guest uses (P2); default 128 MiB */
    uint32_t balloon_margin_permyriad; /* and this share of what it uses; default 800 */
};

/* All defaults, nothing said. */
void ma_settings_init(struct ma_settings *settings);
/* Fills in the amounts that follow from the host's size and from each other; idempotent.
 * Returns 0, or -EINVAL when what was said contradicts itself (critical > hard, hard > soft, reserve < critical,
 * any above the host's total): *ret_problem then names the pair, e.g. "hard_watermark_bytes exceeds
 * soft_watermark_bytes". A value derived here never contradicts a said one. */
int ma_settings_resolve(struct ma_settings *settings,
                        uint64_t host_total_bytes,
                        const char **ret_problem);
/* Takes what the other says, with its bits, and keeps the rest: a snapshot's own words outrank a configuration's. */
void ma_settings_take_said(struct ma_settings *to, const struct ma_settings *from);
/* Takes the eight of the contract, with their bits, from another: a recorded snapshot carries these, the record's
 * header the rest. */
void ma_settings_adopt_contract(struct ma_settings *to, const struct ma_settings *from);
