/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* random-snapshot.h - valid snapshots from a seed: every figure of the formats' tables is there or not by a coin,
 * and what would contradict itself is mended. Good for round trips; for decisions the figures are wild. */

#include "bytes.h"
#include "fields.h"
#include "snapshot.h"
#include "tap.h"

#define RANDOM_NODES_MAX 4

struct random_guest {
    char uuid[40];
    char name[40];
    char group[16];
    struct ma_guest_node nodes[RANDOM_NODES_MAX];
};
struct random_snapshot {
    struct ma_snapshot snapshot;
    struct ma_node nodes[RANDOM_NODES_MAX];
    struct ma_guest *guests;
    struct random_guest *texts;
};

static inline void random_fields(uint64_t *seed, const struct ma_field_set *set, void *base);

static inline void random_bits(uint64_t *seed, const struct ma_field *field, void *at) {
    *(uint32_t *) at = (uint32_t) tap_below(seed, UINT64_C(1) << field->names->count);
}

/* Small ones often, and few above 64 GiB, so that sums stay possible. */
static inline uint64_t random_amount(uint64_t *seed, uint64_t min, uint64_t max) {
    uint64_t bound = tap_below(seed, 4) == 0 ? 3 : (UINT64_C(1) << (1 + tap_below(seed, 36)));
    uint64_t v = min + tap_below(seed, bound);
    return v > max ? max : v;
}

static inline void random_value(uint64_t *seed, const struct ma_field *field, char *at) {
    uint64_t v = random_amount(seed, field->min, field->max);
    switch ((int) field->type) {
    case MA_FIELD_U64:
        *(uint64_t *) (void *) at = v;
        break;
    case MA_FIELD_U32:
        *(uint32_t *) (void *) at = (uint32_t) v;
        break;
    case MA_FIELD_U16:
        *(uint16_t *) (void *) at = (uint16_t) v;
        break;
    case MA_FIELD_I64:
        *(int64_t *) (void *) at = tap_below(seed, 2) == 0 ? (int64_t) v : -(int64_t) v;
        break;
    case MA_FIELD_I32:
        *(int32_t *) (void *) at = (int32_t) tap_below(seed, 3) - 1;
        break;
    case MA_FIELD_BOOL:
    case MA_FIELD_NOT_BOOL:
        *(bool *) at = tap_below(seed, 2) == 0;
        break;
    case MA_FIELD_NAME:
        *(uint32_t *) (void *) at = (uint32_t) tap_below(seed, field->names->count);
        break;
    case MA_FIELD_BITS:
        random_bits(seed, field, at);
        break;
    case MA_FIELD_IMPACT: {
        struct ma_guest_config *c = (void *) (at - offsetof(struct ma_guest_config, impact));
        c->impact_class = (enum ma_impact_class) tap_below(seed, 3);
        c->impact = c->impact_class == MA_IMPACT_WEIGHT ? 1 + (uint32_t) tap_below(seed, 1000) : 0;
        break;
    }
    case MA_FIELD_OBJECT:
        random_fields(seed, field->sub, at);
        break;
    default:
        break;
    }
}

static inline void random_fields(uint64_t *seed, const struct ma_field_set *set, void *base) {
    uint32_t *has = (void *) ((char *) base + set->has_offset);
    uint32_t bits = (uint32_t) tap_random(seed) | (uint32_t) tap_random(seed);
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *field = &set->fields[i];
        if (field->presence == MA_FIELD_BY_BIT && (bits & field->has_bit) == 0) {
            continue;
        }
        if (field->presence == MA_FIELD_BY_BIT) {
            *has |= field->has_bit;
        }
        random_value(seed, field, (char *) base + field->offset);
    }
}

static inline void random_mend_guest(uint64_t *seed,
                                     const struct random_snapshot *r,
                                     struct ma_guest *g,
                                     struct random_guest *t,
                                     size_t index) {
    (void) snprintf(t->uuid, sizeof(t->uuid), "%08zx-%04x-4000-8000-%012zx", index,
                    (unsigned) tap_below(seed, 0xffff), index);
    (void) snprintf(t->name, sizeof(t->name), "guest \"%zu\"\t\xc3\xa4\\", index);
    (void) snprintf(t->group, sizeof(t->group), "group-%u", (unsigned) tap_below(seed, 9));
    g->uuid = t->uuid;
    g->name = t->name;
    g->config.group = (g->config.has & MA_CONFIG_HAS_GROUP) != 0 ? t->group : NULL;
    if ((g->has & MA_GUEST_HAS_MAX) != 0) {
        g->actual_bytes = ma_min_u64(g->actual_bytes, g->max_bytes);
    }
    g->pinned_bytes = ma_min_u64(g->pinned_bytes, g->resident_bytes + g->hugepage_bytes);
    if ((g->config.has & MA_CONFIG_HAS_LIMIT) != 0) {
        g->config.guarantee_bytes = ma_min_u64(g->config.guarantee_bytes, g->config.limit_bytes);
    }
    if ((g->virtio_mem.has & MA_VIRTIO_MEM_HAS_MAX) != 0) {
        g->virtio_mem.plugged_bytes =
            ma_min_u64(g->virtio_mem.plugged_bytes, g->virtio_mem.max_bytes);
    }
    g->n_nodes = tap_below(seed, r->snapshot.host.n_nodes + 1);
    g->nodes = g->n_nodes > 0 ? t->nodes : NULL;
    for (size_t k = 0; k < g->n_nodes; k++) {
        random_fields(seed, &ma_fields_guest_node, &t->nodes[k]);
        t->nodes[k].id = r->nodes[k].id;
        t->nodes[k].resident_bytes = g->resident_bytes / RANDOM_NODES_MAX;
        t->nodes[k].pinned_bytes = ma_min_u64(
            t->nodes[k].pinned_bytes, t->nodes[k].resident_bytes + t->nodes[k].hugepage_bytes);
    }
}

static inline void random_mend_host(uint64_t *seed, struct random_snapshot *r) {
    struct ma_host *h = &r->snapshot.host;
    h->total_bytes = ma_max_u64(h->total_bytes, 1);
    h->available_bytes = ma_min_u64(h->available_bytes, h->total_bytes);
    h->swap_free_bytes = ma_min_u64(h->swap_free_bytes, h->swap_total_bytes);
    h->n_nodes = tap_below(seed, RANDOM_NODES_MAX + 1);
    h->nodes = h->n_nodes > 0 ? r->nodes : NULL;
    for (size_t k = 0; k < h->n_nodes; k++) {
        struct ma_node *n = &r->nodes[k];
        random_fields(seed, &ma_fields_node, n);
        n->id = (uint16_t) (k * 7 + tap_below(seed, 7));
        n->available_bytes = ma_min_u64(n->available_bytes, n->total_bytes);
        n->hugepage_free_bytes = ma_min_u64(n->hugepage_free_bytes, n->hugepage_total_bytes);
    }
}

static inline void random_mend_settings(struct ma_settings *s, uint64_t total_bytes) {
    const char *problem = NULL;
    struct ma_settings copy = *s;
    s->policy[0] = '\0';
    (void) snprintf(s->policy, sizeof(s->policy), "balanced");
    if (ma_settings_resolve(&copy, total_bytes, &problem) < 0) {
        const uint32_t marks = MA_SETTINGS_HAS_RESERVE | MA_SETTINGS_HAS_SOFT |
                               MA_SETTINGS_HAS_HARD | MA_SETTINGS_HAS_CRITICAL;
        s->has &= ~marks;
        s->reserve_bytes = 0;
        s->soft_watermark_bytes = 0;
        s->hard_watermark_bytes = 0;
        s->critical_watermark_bytes = 0;
    }
}

static inline struct random_snapshot *random_snapshot_create(uint64_t *seed, size_t n_guests) {
    struct random_snapshot *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        abort();
    }
    r->guests = calloc(n_guests + 1, sizeof(*r->guests));
    r->texts = calloc(n_guests + 1, sizeof(*r->texts));
    if (r->guests == NULL || r->texts == NULL) {
        abort();
    }
    ma_settings_init(&r->snapshot.settings);
    random_fields(seed, &ma_fields_snapshot, &r->snapshot);
    random_mend_host(seed, r);
    for (size_t i = 0; i < n_guests; i++) {
        random_fields(seed, &ma_fields_guest, &r->guests[i]);
        random_mend_guest(seed, r, &r->guests[i], &r->texts[i], i);
    }
    r->snapshot.guests = r->guests;
    r->snapshot.n_guests = n_guests;
    random_mend_settings(&r->snapshot.settings, r->snapshot.host.total_bytes);
    return r;
}

static inline void random_snapshot_free(struct random_snapshot *r) {
    free(r->guests);
    free(r->texts);
    free(r);
}
