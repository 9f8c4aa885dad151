/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pin-ledger.c - what each guest pins against its limits, and all of them against the budget.
 *
 * A finding is told once, when it is new, and again when it has gone and come back: the flags that were told last stand in
 * the guest's entry. Guests that have nothing to pin with (no device, no locked memory, no limit of memarb's) are judged and
 * shown, and not told: on a host of a thousand of them an unlimited RLIMIT_MEMLOCK is a thousand lines of no use. */
#include "pin-ledger.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "guest-limits.h"
#include "report.h"

char *ma_pin_ledger_format(char buf[MA_FORMAT_MAX], uint64_t bytes) {
    if (bytes == MA_PINS_UNLIMITED) {
        (void) snprintf(buf, MA_FORMAT_MAX, "unlimited");
        return buf;
    }
    return ma_format_bytes(buf, bytes);
}

/* libvirt's own word, or what the process and its monitor say. */
static struct ma_pin_devices devices_of(const struct ma_tracked *guest) {
    if (guest->is_on_libvirt && guest->facts.pins.is_known) {
        struct ma_pin_devices devices = guest->facts.pins;
        /* one that is being plugged in is in QEMU before it is in the definition */
        if (guest->pins.n_vfio > devices.n_vfio) {
            devices.n_vfio = guest->pins.n_vfio;
        }
        return devices;
    }
    bool has_size = guest->has_facts && guest->facts.max_bytes > 0;
    uint64_t total = ma_add_sat(guest->facts.max_bytes, guest->figures.virtio_mem.max_bytes);
    return (struct ma_pin_devices){
        .is_known = has_size && !guest->is_on_libvirt,
        .is_locked = guest->is_locked_by_arguments,
        .has_viommu = guest->pins.has_viommu,
        .n_vfio = guest->pins.n_vfio,
        .n_vdpa = guest->pins.n_vdpa,
        .total_bytes = total,
        .max_bytes = guest->pins.max_memory_bytes,
    };
}

static void judge(struct ma_daemon *d, struct ma_tracked *guest) {
    const struct ma_guest_config *config = &guest->config.config;
    struct ma_pin_input in = {
        .devices = devices_of(guest),
        .pinned_bytes = guest->pinned_bytes,
        .account_bytes = guest->pins.account_bytes,
        .has_limit = (config->has & MA_CONFIG_HAS_PIN_LIMIT) != 0,
        .limit_bytes = config->pin_limit_bytes,
        .has_rlimit = guest->pins.has_memlock,
        .rlimit_bytes = guest->pins.memlock.soft_bytes,
        .is_rlimit_ours = ma_guest_limits_is_memlock_kept(guest),
        .has_ipc_lock = guest->pins.has_ipc_lock,
        .host_total_bytes = d->snapshot.host.total_bytes,
    };
    ma_pins_judge(&in, &guest->pins.verdict);
    guest->pins.devices = in.devices;
    guest->pins.is_judged = true;
}

static bool can_pin(const struct ma_tracked *guest) {
    const struct ma_pin_devices *devices = &guest->pins.devices;
    return guest->pinned_bytes > 0 || devices->n_vfio > 0 || devices->n_vdpa > 0 ||
           devices->is_locked || (guest->config.config.has & MA_CONFIG_HAS_PIN_LIMIT) != 0;
}

static void list_flags(uint32_t flags, char *buf, size_t size) {
    size_t len = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < MA_PIN_FLAG_COUNT; i++) {
        if ((flags >> i & 1U) != 0 && len < size) {
            int n =
                snprintf(buf + len, size - len, "%s%s", len > 0 ? ", " : "", ma_pin_flag_name(i));
            len += n > 0 ? (size_t) n : 0;
        }
    }
}

/* In the record beside it: PinLimit= asked for less than it pins, or may. */
static void record(struct ma_daemon *d, const struct ma_tracked *guest, const char *list) {
    struct ma_outcome outcome = {.action = MA_ACTION_MEMLOCK, .result = MA_OUTCOME_REFUSED};
    (void) snprintf(outcome.uuid, sizeof(outcome.uuid), "%s", guest->uuid);
    ma_keep_record_by(d, &outcome, "pins", list);
}

static void tell(struct ma_daemon *d, struct ma_tracked *guest) {
    uint32_t flags = guest->pins.verdict.flags;
    uint32_t told = guest->pins.told_flags;
    if (flags == told || !guest->has_facts || !can_pin(guest)) { /* nobody knows its name yet */
        return;
    }
    char list[160];
    char pinned[MA_FORMAT_MAX];
    char rlimit[MA_FORMAT_MAX];
    char libvirt[MA_FORMAT_MAX];
    const uint32_t grave = MA_PIN_OVER_LIMIT | MA_PIN_OVER_RLIMIT | MA_PIN_BELOW_LIBVIRT;
    bool is_grave = (flags & ~told & grave) != 0;
    guest->pins.told_flags = flags;
    list_flags(flags, list, sizeof(list));
    if (is_grave) {
        record(d, guest, list);
    }
    struct ma_report report = {.message_id = MA_MESSAGE_PINS,
                               .kind = "pins",
                               .level = is_grave ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .uuid = guest->uuid,
                               .name = guest->name,
                               .result = flags != 0 ? "found" : "gone"};
    const struct ma_pin_verdict *v = &guest->pins.verdict;
    ma_report(d, &report, "Guest '%.64s' pins %s, RLIMIT_MEMLOCK is %s, libvirt's figure %s: %s.",
              guest->name, ma_format_bytes(pinned, guest->pinned_bytes),
              ma_pin_ledger_format(rlimit, guest->pins.memlock.soft_bytes),
              v->libvirt_bytes != 0 ? ma_pin_ledger_format(libvirt, v->libvirt_bytes) : "none",
              flags != 0 ? list : "nothing to be seen to");
}

static uint64_t resolve(const struct ma_config_amount *amount, uint64_t of, uint64_t otherwise) {
    if (!amount->is_said) {
        return otherwise;
    }
    return amount->is_percent ? ma_permyriad_of(of, amount->permyriad) : amount->bytes;
}

uint64_t ma_pin_ledger_said_budget(const struct ma_daemon *d, uint64_t total_bytes) {
    return resolve(&d->config->host.pin_budget, total_bytes, 0);
}

static void begin_totals(const struct ma_daemon *d, struct ma_view_pins *pins) {
    const struct ma_host *host = &d->snapshot.host;
    const struct ma_config_host *config = &d->config->host;
    *pins = (struct ma_view_pins){
        .budget_bytes = resolve(&config->pin_budget, host->total_bytes,
                                ma_sub_floor0(host->total_bytes, d->settings.reserve_bytes))};
    for (size_t i = 0; i < host->n_nodes && i < MA_VIEW_NODES_MAX; i++) {
        const struct ma_node *node = &host->nodes[i];
        uint64_t share =
            host->total_bytes == 0
                ? 0
                : ma_muldiv_sat(node->total_bytes, pins->budget_bytes, host->total_bytes);
        pins->nodes[pins->n_nodes++] = (struct ma_view_pin_node){
            .id = node->id,
            .budget_bytes = resolve(&config->node_pin_budget, node->total_bytes, share)};
    }
}

static void add_to_nodes(const struct ma_tracked *guest, struct ma_view_pins *pins) {
    uint64_t whole = 0;
    for (size_t i = 0; i < guest->n_nodes; i++) {
        whole = ma_add_sat(whole, guest->nodes[i].resident_bytes);
    }
    for (size_t i = 0; i < guest->n_nodes; i++) {
        for (size_t k = 0; k < pins->n_nodes; k++) {
            if (pins->nodes[k].id == guest->nodes[i].id) {
                pins->nodes[k].pinned_bytes = ma_add_sat(
                    pins->nodes[k].pinned_bytes,
                    ma_pins_on_node(guest->pinned_bytes, guest->nodes[i].resident_bytes, whole));
            }
        }
    }
}

static void tell_budget(struct ma_daemon *d,
                        const char *where,
                        bool *was_over,
                        bool is_over,
                        uint64_t pinned_bytes,
                        uint64_t budget_bytes) {
    if (is_over == *was_over) {
        return;
    }
    char pinned[MA_FORMAT_MAX];
    char budget[MA_FORMAT_MAX];
    *was_over = is_over;
    struct ma_report report = {.message_id = MA_MESSAGE_PIN_BUDGET,
                               .kind = "pin-budget",
                               .level = is_over ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .result = is_over ? "over" : "within"};
    ma_report(d, &report, "Guests pin %s of %s, %s its budget of %s.",
              ma_format_bytes(pinned, pinned_bytes), where, is_over ? "over" : "within",
              ma_format_bytes(budget, budget_bytes));
}

static void tell_budgets(struct ma_daemon *d) {
    const struct ma_view_pins *pins = &d->pins.totals;
    bool is_over = pins->pinned_bytes > pins->budget_bytes;
    tell_budget(d, "the host", &d->pins.is_budget_over, is_over, pins->pinned_bytes,
                pins->budget_bytes);
    for (size_t i = 0; i < pins->n_nodes; i++) {
        char where[24];
        const struct ma_view_pin_node *node = &pins->nodes[i];
        (void) snprintf(where, sizeof(where), "node %u", (unsigned) node->id);
        tell_budget(d, where, &d->pins.is_node_over[i], node->pinned_bytes > node->budget_bytes,
                    node->pinned_bytes, node->budget_bytes);
    }
}

void ma_pin_ledger_watch(struct ma_daemon *d) {
    struct ma_view_pins pins;
    begin_totals(d, &pins);
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (guest->sampled_usec == 0) {
            continue;
        }
        judge(d, guest);
        tell(d, guest);
        pins.pinned_bytes = ma_add_sat(pins.pinned_bytes, guest->pinned_bytes);
        pins.may_pin_bytes = ma_add_sat(pins.may_pin_bytes, guest->pins.verdict.may_pin_bytes);
        add_to_nodes(guest, &pins);
    }
    pins.unkillable_bytes = d->pins.totals.unkillable_bytes;
    d->pins.totals = pins;
    tell_budgets(d);
}
