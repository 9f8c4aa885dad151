/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "balanced.h"
#include "policy.h"
#include "reference.h"

static const struct ma_policy *const policies[] = {
    &ma_policy_balanced, &ma_policy_kernel_badness, &ma_policy_systemd_oomd, &ma_policy_mom,
    &ma_policy_proxmox,  &ma_policy_squeezed,       &ma_policy_esx,
};

const struct ma_policy *ma_policy_at(size_t index) {
    return index < sizeof(policies) / sizeof(policies[0]) ? policies[index] : NULL;
}

const struct ma_policy *ma_policy_find(const char *name) {
    for (size_t k = 0; k < sizeof(policies) / sizeof(policies[0]); k++) {
        if (strcmp(policies[k]->name, name) == 0) {
            return policies[k];
        }
    }
    return NULL;
}
