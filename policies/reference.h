/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* reference.h - what the reference policies share. Each follows another program's rules on our snapshot, so that
 * they can be compared; none of them is memarb's, and memarbd takes no action for them. */

#include "policy.h"
#include "study.h"

extern const struct ma_policy ma_policy_kernel_badness;
extern const struct ma_policy ma_policy_systemd_oomd;
extern const struct ma_policy ma_policy_mom;
extern const struct ma_policy ma_policy_proxmox;
extern const struct ma_policy ma_policy_squeezed;
extern const struct ma_policy ma_policy_esx;

/* Facts, need and candidates without options. 0 or -ENOSPC. */
int reference_begin(struct ma_study *study,
                    const struct ma_policy_input *input,
                    struct ma_plan *plan);
/* Programs that act once in a while: has nobody's balloon been moved for so long? */
bool reference_is_due(const struct ma_study *study, uint64_t period_usec);
/* Is there a driver that answers? None of the programs looks further (pinned memory, age of figures). */
bool reference_has_driver(const struct ma_guest *guest);
void reference_add_balloon(struct ma_study *study, uint32_t guest, uint64_t to_bytes);
void reference_add_kill(struct ma_study *study, uint32_t guest);
