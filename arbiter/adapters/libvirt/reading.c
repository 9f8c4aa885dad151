/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reading.c - a guest's definition and metadata, and what the loop is told of them.
 *
 * libvirt answers both without a job, so a hung QEMU delays neither (0 ms on 9.0). What cannot be read keeps what was
 * known: rules' result, last good metadata, facts. A guest seen for the first time whose definition cannot be
 * read (its metadata may be too large for libvirt's own RPC) is reported with its name and marked invalid. */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "qemu-process.h"
#include "survey.h"

#define NAMESPACE "urn:memarb:guest:1"

static void read_metadata(struct lv_reading *r) {
    char *text = virDomainGetMetadata(r->dom, VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE,
                                      VIR_DOMAIN_AFFECT_LIVE);
    if (text != NULL) {
        r->metadata_kind = LV_METADATA_TEXT;
        ma_metadata_parse(text, strlen(text), &r->metadata);
        free(text);
        return;
    }
    if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA) {
        r->metadata_kind = LV_METADATA_NONE;
        return;
    }
    r->metadata_kind = LV_METADATA_FAILED;
    r->metadata.bad = UINT32_MAX;
    (void) snprintf(r->metadata.problem, sizeof(r->metadata.problem), "metadata: %s",
                    virGetLastErrorMessage());
}

bool lv_reading_take(virDomainPtr dom, struct lv_reading *ret) {
    *ret = (struct lv_reading){.dom = dom};
    char *xml = virDomainGetXMLDesc(dom, 0);
    if (xml != NULL) {
        ret->doc = lv_domain_parse(xml);
        free(xml);
    }
    if (ret->doc != NULL) {
        lv_facts_read(ret->doc, &ret->facts);
    }
    read_metadata(ret);
    return virConnectIsAlive(virDomainGetConnect(dom)) == 1;
}

void lv_reading_done(struct lv_reading *r) {
    xmlFreeDoc(r->doc);
    r->doc = NULL;
}

static void make_guest(const struct ma_libvirt *lv,
                       const struct lv_guest *g,
                       const struct lv_reading *r,
                       struct ma_source_guest *ret) {
    const char *name = virDomainGetName(r->dom); /* kept in the object: no call */
    uint32_t seen = 0;
    memset(ret, 0, sizeof(*ret)); /* compared bytewise, padding included */
    if (g->is_announced && r->doc == NULL) {
        *ret = g->sent_guest;
    }
    (void) snprintf(ret->name, sizeof(ret->name), "%s", name != NULL ? name : "");
    ret->pid = lv_qemu_pid(lv->run_dir, name != NULL ? name : "", g->uuid, &seen);
    if (r->doc != NULL) {
        ret->vcpus = r->facts.vcpus;
        ret->max_bytes = r->facts.max_bytes;
        ret->has_balloon = r->facts.has_balloon;
        memcpy(ret->agent_path, r->facts.agent_path, sizeof(ret->agent_path));
        ret->inhibited_by = r->facts.inhibited_by | seen;
        ret->has_placement = true;
        ret->placement = r->facts.placement;
        ret->pins = r->facts.pins;
    }
}

static void make_config(struct lv_guest *g,
                        const struct lv_reading *r,
                        const struct ma_guest_rules *rules,
                        struct ma_source_config *ret) {
    struct ma_said said = {0};
    memset(ret, 0, sizeof(*ret));
    if (r->doc != NULL || !g->has_rules_said) {
        struct ma_rule_subject subject = {.uuid = g->uuid,
                                          .name = virDomainGetName(r->dom),
                                          .title = r->doc != NULL ? r->facts.title : NULL,
                                          .domain_xml_doc = r->doc};
        ma_rules_merge(rules, &subject, &said, ret->problem);
        g->has_rules_said = r->doc != NULL;
        g->rules_said = said;
    } else {
        said = g->rules_said;
    }
    if (r->doc == NULL) {
        (void) snprintf(ret->problem, sizeof(ret->problem), "its definition cannot be read");
    }
    ret->from_rules = said.config.has;
    if (r->metadata_kind == LV_METADATA_NONE) {
        g->has_last_good = false;
    } else {
        struct ma_said good;
        ma_metadata_merge(&r->metadata, g->has_last_good ? &g->last_good : NULL, &said, &good);
        g->has_last_good = g->has_last_good || r->metadata.bad != UINT32_MAX;
        g->last_good = good;
        ret->from_rules &= ~good.config.has;
        if (r->metadata.problem[0] != '\0') {
            (void) snprintf(ret->problem, sizeof(ret->problem), "%s", r->metadata.problem);
        }
    }
    if (!g->has_rules_said) {
        said.config.has |= MA_CONFIG_HAS_VALID; /* rules on title and XPath are not known */
        said.config.is_invalid = true;
    }
    ret->config = said.config;
    (void) snprintf(ret->group, sizeof(ret->group), "%s", said.group);
}

static void
post_guest_locked(struct ma_libvirt *lv, struct lv_guest *g, const struct ma_source_guest *guest) {
    if (g->is_announced && !g->must_send && memcmp(guest, &g->sent_guest, sizeof(*guest)) == 0) {
        return;
    }
    if (!lv_wait_room_locked(lv, g)) {
        return;
    }
    struct ma_source_message m = {.event = MA_SOURCE_GUEST, .guest = *guest};
    (void) snprintf(m.uuid, sizeof(m.uuid), "%s", g->uuid);
    memcpy(&g->sent_guest, guest, sizeof(*guest));
    g->is_announced = true; /* from here on ENDED is owed, and others may post */
    lv_put_locked(lv, &m);
}

/* Fields, not bytes: structs are copied by assignment on the way here, which need not keep padding. */
static bool is_same_config(const struct ma_source_config *a, const struct ma_source_config *b) {
    const struct ma_guest_config *x = &a->config;
    const struct ma_guest_config *y = &b->config;
    return a->from_rules == b->from_rules && x->has == y->has &&
           x->impact_class == y->impact_class && x->impact == y->impact && x->shares == y->shares &&
           x->actions == y->actions && x->is_invalid == y->is_invalid &&
           x->guarantee_bytes == y->guarantee_bytes && x->limit_bytes == y->limit_bytes &&
           x->pin_limit_bytes == y->pin_limit_bytes && x->cap_memory_bytes == y->cap_memory_bytes &&
           x->cap_swap_bytes == y->cap_swap_bytes && x->cap_pids == y->cap_pids &&
           x->cap_cpu_permyriad == y->cap_cpu_permyriad && x->restart_usec == y->restart_usec &&
           x->shutdown_timeout_usec == y->shutdown_timeout_usec &&
           strcmp(a->group, b->group) == 0 && strcmp(a->problem, b->problem) == 0;
}

static void post_config_locked(struct ma_libvirt *lv,
                               struct lv_guest *g,
                               const struct ma_source_config *config) {
    if (g->is_announced && !g->must_send && is_same_config(config, &g->sent_config)) {
        return;
    }
    if (!lv_wait_room_locked(lv, g)) {
        return;
    }
    struct ma_source_message m = {.event = MA_SOURCE_CONFIG, .config = *config};
    (void) snprintf(m.uuid, sizeof(m.uuid), "%s", g->uuid);
    g->sent_config = *config;
    lv_put_locked(lv, &m);
}

static void
take_balloon_facts_locked(struct ma_libvirt *lv, struct lv_guest *g, const struct lv_facts *f) {
    const struct ma_virtio_mem *old = &g->memory.virtio_mem;
    bool is_resized = old->plugged_bytes != f->virtio_mem.plugged_bytes ||
                      old->requested_bytes != f->virtio_mem.requested_bytes;
    g->memory.max_bytes = f->max_bytes;
    g->memory.has_balloon = f->has_balloon;
    g->memory.virtio_mem = f->virtio_mem;
    if (is_resized && g->is_announced) {
        lv_schedule_locked(lv, g, lv_now_usec());
    }
    if (f->has_balloon && f->balloon_period_s == 0 && !lv->config.leave_balloon_period &&
        !lv->is_restoring) {
        lv_want_period_locked(lv, g, lv->config.balloon_period_s);
    }
}

void lv_apply_reading_locked(struct ma_libvirt *lv,
                             struct lv_guest *g,
                             const struct lv_reading *r,
                             const struct ma_guest_rules *rules) {
    struct ma_source_guest guest;
    struct ma_source_config config;
    /* Neither touches what other threads write, and a pid file must not be read under the lock. */
    (void) pthread_mutex_unlock(&lv->lock);
    make_guest(lv, g, r, &guest);
    make_config(g, r, rules, &config);
    (void) pthread_mutex_lock(&lv->lock);
    post_guest_locked(lv, g, &guest);
    post_config_locked(lv, g, &config);
    if (r->doc != NULL) {
        take_balloon_facts_locked(lv, g, &r->facts);
    }
}
