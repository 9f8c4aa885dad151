/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-check.c - contradictions between values that are each fine by themselves. Whatever does not depend on the
 * host's size is found here; the rest in ma_config_settings(). */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "config-internal.h"
#include "policy.h"

static const struct ma_config_place *
place_of(struct ma_config_load *load, const char *section, const char *name) {
    int index = ma_config_key_find(section, name);
    return index >= 0 ? &load->places[index] : NULL;
}

/* A default gives way to what is said (ma_settings_resolve), so it contradicts nothing. */
static bool is_said_in_file(struct ma_config_load *load, const char *section, const char *name) {
    const struct ma_config_place *place = place_of(load, section, name);
    return place != NULL && place->file != NULL;
}

/* The later of two places: the value said last is the one to mend. */
static const struct ma_config_place *
place_of_pair(struct ma_config_load *load, const char *section, const char *a, const char *b) {
    const struct ma_config_place *pa = place_of(load, section, a);
    const struct ma_config_place *pb = place_of(load, section, b);
    bool is_b = pb != NULL && pb->file != NULL &&
                (pa == NULL || pa->file == NULL || pa->file != pb->file || pb->line > pa->line);
    return is_b ? pb : pa;
}

/* a must not exceed b, where both are said in the same kind (bytes or percent). */
static void check_amounts(struct ma_config_load *load,
                          const char *name_a,
                          const struct ma_config_amount *a,
                          const char *name_b,
                          const struct ma_config_amount *b) {
    if (!a->is_said || !b->is_said || a->is_percent != b->is_percent ||
        !is_said_in_file(load, "Arbiter", name_a) || !is_said_in_file(load, "Arbiter", name_b)) {
        return;
    }
    if (a->is_percent ? a->permyriad > b->permyriad : a->bytes > b->bytes) {
        ma_config_report_at(
            load, place_of_pair(load, "Arbiter", name_a, name_b),
            "%s= is larger than %s=; it takes CriticalWatermark <= HardWatermark <= "
            "SoftWatermark, and CriticalWatermark <= Reserve",
            name_a, name_b);
    }
}

static void check_times(struct ma_config_load *load) {
    const struct ma_config *config = &load->owned->config;
    if (config->host.sample_busy_usec > config->host.sample_idle_usec) {
        ma_config_report_at(load, place_of_pair(load, "Host", "SampleIdle", "SampleBusy"),
                            "SampleBusy= is longer than SampleIdle=; lower SampleBusy=");
    }
    if (config->host.psi_stall_usec > config->host.psi_window_usec) {
        ma_config_report_at(load, place_of_pair(load, "Host", "PsiStall", "PsiWindow"),
                            "PsiStall= is longer than PsiWindow=; lower PsiStall=");
    }
    if (config->arbiter.stale_usec <= config->host.guest_sample_usec) {
        bool is_said = is_said_in_file(load, "Arbiter", "StaleAfter");
        ma_config_report_at(load,
                            is_said ? place_of(load, "Arbiter", "StaleAfter")
                                    : place_of(load, "Host", "GuestSample"),
                            "StaleAfter= is not longer than GuestSample=: every guest would be "
                            "stale at rest; raise StaleAfter= above it");
    }
}

static void check_sources(struct ma_config_load *load) {
    const struct ma_config_host *host = &load->owned->config.host;
    if (host->budget.is_said && host->budget_cgroup[0] != '\0') {
        ma_config_report_at(load, place_of_pair(load, "Host", "Budget", "BudgetCgroup"),
                            "Budget= and BudgetCgroup= exclude each other; keep one");
    }
    if (host->libvirt != MA_LIBVIRT_NO) {
        return;
    }
    if (host->qmp_sockets.n == 0 && host->qmp_listen[0] == '\0') {
        ma_config_report_at(
            load, place_of(load, "Host", "Libvirt"),
            "Libvirt=no without QmpListen= and QmpSockets= leaves no guest to watch; set one");
    }
    if (load->owned->config.arbiter.kill_method == MA_KILL_LIBVIRT) {
        ma_config_report_at(
            load, place_of(load, "Arbiter", "KillMethod"),
            "KillMethod=libvirt needs libvirt, but Libvirt=no; write KillMethod=kernel");
    }
}

static void check_exhaustion(struct ma_config_load *load) {
    const struct ma_config_arbiter *a = &load->owned->config.arbiter;
    if (a->on_exhausted == MA_EXHAUSTED_COMMAND && a->exhausted_command[0] == '\0') {
        ma_config_report_at(load, place_of(load, "Arbiter", "OnExhausted"),
                            "OnExhausted=command without ExhaustedCommand=; name the program");
    }
}

static void check_hooks(struct ma_config_load *load) {
    const struct ma_config_hooks *h = &load->owned->config.hooks;
    if ((h->veto & ~h->actions) != 0) {
        ma_config_report_at(load, place_of(load, "Hooks", "Veto"),
                            "Veto= names an action that Actions= leaves out; add it there");
    }
}

/* As metadata has it: what would squeeze a guest to nothing is a slip. */
static void check_zeros(struct ma_config_load *load,
                        const struct ma_guest_rule *rule,
                        const struct ma_config_place *place) {
    const struct ma_guest_config *c = &rule->config;
    if ((c->has & MA_CONFIG_HAS_LIMIT) != 0 && c->limit_bytes == 0) {
        ma_config_report_at(load, place, "[Guest %.64s]: Limit= is 0; raise it or leave it out",
                            rule->pattern);
    }
    if ((c->has & MA_CONFIG_HAS_CAP_MEMORY) != 0 && c->cap_memory_bytes == 0) {
        ma_config_report_at(load, place, "[Guest %.64s]: CapMemory= is 0; raise it or leave it out",
                            rule->pattern);
    }
}

static void check_rule(struct ma_config_load *load,
                       const struct ma_guest_rule *rule,
                       const struct ma_config_place *place) {
    const struct ma_guest_config *c = &rule->config;
    uint32_t guarantee_and_limit = MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_LIMIT;
    bool has_cap = (c->has & MA_CONFIG_HAS_CAP_MEMORY) != 0;
    check_zeros(load, rule, place);
    if ((c->has & guarantee_and_limit) == guarantee_and_limit &&
        c->guarantee_bytes > c->limit_bytes) {
        ma_config_report_at(load, place,
                            "[Guest %.64s]: Guarantee= is larger than Limit=; lower it",
                            rule->pattern);
    }
    if (has_cap && (c->has & MA_CONFIG_HAS_GUARANTEE) != 0 &&
        c->cap_memory_bytes < c->guarantee_bytes) {
        ma_config_report_at(load, place, "[Guest %.64s]: CapMemory= is below Guarantee=; raise it",
                            rule->pattern);
    }
    if (has_cap && (c->has & MA_CONFIG_HAS_LIMIT) != 0 && c->cap_memory_bytes < c->limit_bytes) {
        ma_config_report_at(load, place, "[Guest %.64s]: CapMemory= is below Limit=; raise it",
                            rule->pattern);
    }
    if (c->has == 0) {
        ma_config_report_at(load, place, "[Guest %.64s] sets nothing; give it a key or remove it",
                            rule->pattern);
    }
}

static void check_policy(struct ma_config_load *load) {
    const char *name = load->owned->config.arbiter.policy;
    if (ma_policy_find(name) == NULL) {
        ma_config_report_at(load, place_of(load, "Arbiter", "Policy"),
                            "Policy=%s: there is no such policy; memarb.conf(5) lists them", name);
    }
}

void ma_config_check_contradictions(struct ma_config_load *load) {
    const struct ma_config_owned *owned = load->owned;
    const struct ma_config_arbiter *a = &owned->config.arbiter;
    check_amounts(load, "HardWatermark", &a->hard_watermark, "SoftWatermark", &a->soft_watermark);
    check_amounts(load, "CriticalWatermark", &a->critical_watermark, "HardWatermark",
                  &a->hard_watermark);
    if (!a->hard_watermark.is_said) {
        check_amounts(load, "CriticalWatermark", &a->critical_watermark, "SoftWatermark",
                      &a->soft_watermark);
    }
    check_amounts(load, "CriticalWatermark", &a->critical_watermark, "Reserve", &a->reserve);
    if (a->max_victims_per_hour != 0 && a->max_victims_per_incident > a->max_victims_per_hour) {
        ma_config_report_at(
            load, place_of_pair(load, "Arbiter", "MaxVictimsPerHour", "MaxVictimsPerIncident"),
            "MaxVictimsPerIncident= is larger than MaxVictimsPerHour=; lower it");
    }
    check_policy(load);
    check_times(load);
    check_sources(load);
    check_exhaustion(load);
    check_hooks(load);
    for (size_t i = 0; i < owned->n_rules; i++) {
        check_rule(load, &owned->rules[i], &owned->rule_places[i]);
    }
}
