/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control-pins.c - the pin ledger as JSON: of one guest, and of the host. Inside the read section. */
#include <stdio.h>

#include "control-reply.h"

/* What is unlimited has no number: it is left out and named. */
static void render_limit(struct ma_json *json, const char *key, uint64_t bytes) {
    if (bytes != MA_PINS_UNLIMITED) {
        ma_json_u64(json, key, bytes);
    }
}

void ma_control_render_guest_pins(struct ma_json *json, const struct ma_view_guest *guest) {
    const struct ma_view_guest_pins *pins = &guest->pins;
    if (!pins->is_judged) {
        return;
    }
    const struct ma_pin_verdict *v = &pins->verdict;
    ma_json_object(json, "pins");
    ma_json_u64(json, "account_bytes", pins->account_bytes);
    if (pins->has_memlock) {
        ma_json_bool(json, "memlock_unlimited", pins->memlock_soft_bytes == MA_PINS_UNLIMITED);
        render_limit(json, "memlock_limit_bytes", pins->memlock_soft_bytes);
        render_limit(json, "memlock_hard_limit_bytes", pins->memlock_hard_bytes);
    }
    if (v->libvirt_bytes != 0) {
        ma_json_bool(json, "libvirt_unlimited", v->libvirt_bytes == MA_PINS_UNLIMITED);
        render_limit(json, "libvirt_bytes", v->libvirt_bytes);
    }
    render_limit(json, "floor_bytes", v->floor_bytes);
    if (v->has_target) {
        ma_json_u64(json, "target_bytes", v->target_bytes);
    }
    ma_json_u64(json, "may_pin_bytes", v->may_pin_bytes);
    ma_json_array(json, "findings");
    for (unsigned i = 0; i < MA_PIN_FLAG_COUNT; i++) {
        if ((v->flags >> i & 1U) != 0) {
            ma_json_string(json, NULL, ma_pin_flag_name(i));
        }
    }
    ma_json_end_array(json);
    ma_json_end_object(json);
}

void ma_control_render_limits(struct ma_json *json, const struct ma_view_guest *guest) {
    ma_json_array(json, "limits");
    for (size_t i = 0; i < guest->n_limits; i++) {
        const struct ma_view_limit *limit = &guest->limits[i];
        int64_t bias = limit->limit == MA_LIMIT_OOM_ADJ ? MA_OOM_ADJ_BIAS : 0;
        ma_json_object(json, NULL);
        ma_json_string(json, "limit", ma_limit_name(limit->limit));
        ma_json_bool(json, "ours", limit->is_ours);
        if (limit->asked != 0 || limit->note == MA_LIMIT_NOTE_NONE) {
            ma_json_i64(json, "asked", (int64_t) limit->asked - bias);
        }
        if (limit->has_now && limit->now_value != MA_LIMIT_NONE) {
            ma_json_i64(json, "now", (int64_t) limit->now_value - bias);
        }
        if (limit->is_ours && limit->before != MA_LIMIT_NONE) {
            ma_json_i64(json, "before", (int64_t) limit->before - bias);
        }
        const char *note = ma_limit_note_name(limit->note);
        ma_json_string(json, "note", note[0] != '\0' ? note : NULL);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
}

void ma_control_render_host_pins(struct ma_json *json, const struct ma_view *view) {
    const struct ma_view_pins *pins = &view->pins;
    uint64_t found = 0;
    uint64_t limited = 0;
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        const struct ma_view_guest_pins *guest = &view->guests[i].pins;
        found += guest->is_judged && guest->verdict.flags != 0 ? 1 : 0;
        bool is_ours = false;
        for (size_t k = 0; k < view->guests[i].n_limits; k++) {
            is_ours = is_ours || view->guests[i].limits[k].is_ours;
        }
        limited += is_ours ? 1 : 0;
    }
    ma_json_object(json, "pins");
    ma_json_u64(json, "pinned_bytes", pins->pinned_bytes);
    ma_json_u64(json, "may_pin_bytes", pins->may_pin_bytes);
    ma_json_u64(json, "budget_bytes", pins->budget_bytes);
    ma_json_u64(json, "guests_with_findings", found);
    ma_json_u64(json, "limited_guests", limited);
    ma_json_u64(json, "unkillable_bytes", pins->unkillable_bytes);
    ma_json_array(json, "nodes");
    for (size_t i = 0; i < pins->n_nodes && i < MA_VIEW_NODES_MAX; i++) {
        ma_json_object(json, NULL);
        ma_json_u64(json, "id", pins->nodes[i].id);
        ma_json_u64(json, "pinned_bytes", pins->nodes[i].pinned_bytes);
        ma_json_u64(json, "budget_bytes", pins->nodes[i].budget_bytes);
        ma_json_end_object(json);
    }
    ma_json_end_array(json);
    ma_json_end_object(json);
}
