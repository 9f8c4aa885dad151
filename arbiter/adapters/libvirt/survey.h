/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* survey.h - one guest as read from libvirt, and what is made of it. Survey thread only. */

#include "internal.h"

enum lv_metadata_kind {
    LV_METADATA_NONE, /* libvirt says: there is none */
    LV_METADATA_TEXT,
    LV_METADATA_FAILED,
};

struct lv_reading {
    virDomainPtr dom;
    xmlDocPtr doc; /* NULL: could not be read */
    struct lv_facts facts;
    enum lv_metadata_kind metadata_kind;
    struct ma_metadata metadata; /* of TEXT; of FAILED with bad = UINT32_MAX */
};
/* false: the connection broke or the guest is gone (*ret_is_gone). */
bool lv_reading_take(virDomainPtr dom, struct lv_reading *ret);
void lv_reading_done(struct lv_reading *r);

/* Posts GUEST and CONFIG of it where they changed. Lock held before and after. */
void lv_apply_reading_locked(struct ma_libvirt *lv,
                             struct lv_guest *g,
                             const struct lv_reading *r,
                             const struct ma_guest_rules *rules);
/* virDomainState and its reason. false: not running. */
bool lv_state_of(int state, int reason, enum ma_guest_state *ret);
