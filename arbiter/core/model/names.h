/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* names.h - the contract's names as tables; the *_name() and *_from_name() functions and the formats use the same. */

#include <stddef.h>

struct ma_names {
    const char *const *names;
    unsigned count;
};

extern const struct ma_names ma_names_guest_state;
extern const struct ma_names ma_names_balloon_state;
extern const struct ma_names ma_names_placement;
extern const struct ma_names ma_names_inhibitor; /* index = bit */
extern const struct ma_names ma_names_action;
extern const struct ma_names ma_names_option_action; /* those of config.actions; index = bit */
extern const struct ma_names ma_names_arm;
extern const struct ma_names ma_names_pressure;
extern const struct ma_names ma_names_reason;
extern const struct ma_names ma_names_cooperation;
extern const struct ma_names ma_names_taken; /* index = bit */
extern const struct ma_names ma_names_impact_term;

/* NULL beyond the last. */
const char *ma_names_at(const struct ma_names *names, unsigned index);
/* Index, or -1 (also for NULL). */
int ma_names_find(const struct ma_names *names, const char *name);
