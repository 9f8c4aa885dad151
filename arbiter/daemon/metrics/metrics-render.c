/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics-render.c - memarbd itself: what is armed, what it did, what it could not prevent, how it fares. */
#include "metrics-render.h"

#include <string.h>

#include "bytes.h"

/* A guest's 13 samples, each with name, uuid and a number: some 140 bytes and the guest's name. */
#define BYTES_PER_GUEST 2600U
#define BYTES_OF_HOST   (64U * 1024)

size_t ma_metrics_size(size_t n_guests) {
    size_t n = n_guests < MA_METRICS_GUESTS_MAX ? n_guests : MA_METRICS_GUESTS_MAX;
    return BYTES_OF_HOST + n * BYTES_PER_GUEST;
}

void ma_metrics_single(struct ma_metrics_text *text,
                       const char *name,
                       const char *unit,
                       const char *help,
                       uint64_t value) {
    const struct ma_metric_family family = {name, unit, MA_METRIC_GAUGE, help};
    ma_metrics_family(text, &family);
    if (strcmp(unit, "seconds") == 0) {
        ma_metrics_usec(text, &family, NULL, 0, value);
    } else {
        ma_metrics_number(text, &family, NULL, 0, value);
    }
}

void ma_metrics_counter(struct ma_metrics_text *text,
                        const char *name,
                        const char *help,
                        uint64_t n) {
    const struct ma_metric_family family = {name, "", MA_METRIC_COUNTER, help};
    ma_metrics_family(text, &family);
    ma_metrics_number(text, &family, NULL, 0, n);
}

static void render_build(struct ma_metrics_text *text) {
    static const struct ma_metric_family family = {"memarb_build_info", "", MA_METRIC_INFO,
                                                   "Version of memarbd."};
    const struct ma_metric_label label = {"version", MEMARB_VERSION};
    ma_metrics_family(text, &family);
    ma_metrics_number(text, &family, &label, 1, 1);
}

static void render_arming(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family armed = {
        "memarb_armed", "", MA_METRIC_GAUGE,
        "1 for the highest rung that is really taken: observe, reclaim, pause or kill."};
    static const struct ma_metric_family breaker = {
        "memarb_breaker_open", "", MA_METRIC_GAUGE,
        "1 for an action that is disarmed because it brought too little; memarbctl arm closes it."};
    ma_metrics_family(text, &armed);
    for (unsigned i = MA_ARM_OBSERVE; i <= MA_ARM_KILL; i++) {
        const struct ma_metric_label label = {"rung", ma_arm_name((enum ma_arm) i)};
        ma_metrics_number(text, &armed, &label, 1, view->arm == (enum ma_arm) i);
    }
    ma_metrics_family(text, &breaker);
    for (unsigned i = MA_ACTION_PAUSE; i <= MA_ACTION_KILL; i++) {
        const struct ma_metric_label label = {"action", ma_action_name((enum ma_action) i)};
        ma_metrics_number(text, &breaker, &label, 1,
                          (view->disarmed_actions & MA_ACTION_BIT(i)) != 0);
    }
    ma_metrics_single(text, "memarb_dry_run", "",
                      "1 while nothing outside memarb's own files is changed.", view->is_dry_run);
    ma_metrics_single(text, "memarb_quiet", "",
                      "1 in the time after a start or reload when no victim is taken.",
                      view->quiet_until_usec != 0);
}

static void render_actions(struct ma_metrics_text *text, const struct ma_view_counters *counters) {
    static const struct ma_metric_family started = {
        "memarb_actions_started_total", "", MA_METRIC_COUNTER,
        "Actions handed to QEMU, libvirt or the kernel."};
    static const struct ma_metric_family ended = {
        "memarb_actions_ended_total", "", MA_METRIC_COUNTER,
        "Actions that ended, by result; done says that it was carried out."};
    ma_metrics_family(text, &started);
    for (unsigned i = 0; i < MA_ACTION_EXHAUSTED; i++) {
        const struct ma_metric_label label = {"action", ma_action_name((enum ma_action) i)};
        ma_metrics_number(text, &started, &label, 1, counters->started[i]);
    }
    ma_metrics_family(text, &ended);
    for (unsigned i = 0; i < MA_ACTION_EXHAUSTED; i++) {
        struct ma_metric_label labels[] = {{"action", ma_action_name((enum ma_action) i)},
                                           {"result", "done"}};
        ma_metrics_number(text, &ended, labels, 2, counters->done[i]);
        labels[1].value = "failed";
        ma_metrics_number(text, &ended, labels, 2, counters->failed[i]);
    }
}

/* What memarb is there to prevent. */
static void render_kills(struct ma_metrics_text *text, const struct ma_view_counters *counters) {
    static const struct ma_metric_family family = {
        "memarb_kernel_kills_total", "", MA_METRIC_COUNTER,
        "Kills by the kernel's OOM killer, by cause: a guest's own cgroup limit, the host, likely "
        "the host, a helper of a guest that runs on; elsewhere: of no guest."};
    ma_metrics_family(text, &family);
    for (unsigned i = 0; i < MA_OOM_VERDICT_COUNT; i++) {
        const char *cause =
            i == MA_OOM_NONE ? "elsewhere" : ma_oom_verdict_name((enum ma_oom_verdict) i);
        const struct ma_metric_label label = {"cause", cause};
        ma_metrics_number(text, &family, &label, 1, counters->kernel_kills[i]);
    }
}

static void render_starts(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family family = {
        "memarb_starts_judged_total", "", MA_METRIC_COUNTER,
        "Starts that asked for room, by result; only-told: would be refused if memarb were armed."};
    static const char *const results[MA_START_COUNT] = {[MA_START_ADMITTED] = "admitted",
                                                        [MA_START_REFUSED] = "refused",
                                                        [MA_START_ONLY_TOLD] = "only-told"};
    ma_metrics_family(text, &family);
    for (unsigned i = 0; i < MA_START_COUNT; i++) {
        const struct ma_metric_label label = {"result", results[i]};
        ma_metrics_number(text, &family, &label, 1, view->counters.starts[i]);
    }
    ma_metrics_counter(text, "memarb_late_demands_total",
                       "Guests that were given more than the host had room for, past the hook.",
                       view->counters.late_demands);
    ma_metrics_single(text, "memarb_reservations", "",
                      "Guests that were let in and do not have all their memory yet.",
                      view->n_reservations);
    ma_metrics_single(text, "memarb_reserved_bytes", "bytes", "Memory that is held for them.",
                      view->held_bytes);
}

static void render_guest_sums(struct ma_metrics_text *text, const struct ma_view *view) {
    uint64_t taken = 0, ballooned = 0, paused = 0, held = 0, stuck = 0, problems = 0;
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        const struct ma_view_guest *guest = &view->guests[i];
        if ((guest->taken & MA_TAKEN_BALLOON) != 0) {
            ballooned++;
            taken = ma_add_sat(
                taken, ma_sub_floor0(guest->balloon_before_bytes, guest->balloon_ours_bytes));
        }
        paused += (guest->taken & MA_TAKEN_PAUSE) != 0;
        held += view->snapshot.guests[i].is_held;
        stuck += guest->is_stuck;
        problems += guest->problem != NULL;
    }
    ma_metrics_single(text, "memarb_guests", "", "Guests that memarbd knows.",
                      view->snapshot.n_guests);
    ma_metrics_single(text, "memarb_guests_ballooned", "",
                      "Guests whose balloon memarb moved and owes.", ballooned);
    ma_metrics_single(text, "memarb_guests_paused", "", "Guests that memarb keeps paused.", paused);
    ma_metrics_single(text, "memarb_guests_held", "",
                      "Guests that an operator told memarb to leave alone.", held);
    ma_metrics_single(text, "memarb_guests_stuck", "", "Guests whose QEMU does not answer.", stuck);
    ma_metrics_single(text, "memarb_guests_with_problems", "",
                      "Guests whose metadata has a mistake.", problems);
    ma_metrics_single(text, "memarb_balloon_taken_bytes", "bytes",
                      "Memory that memarb took by balloon and owes.", taken);
}

static void
render_self(struct ma_metrics_text *text, const struct ma_view *view, uint64_t now_usec) {
    uint64_t age = ma_sub_floor0(now_usec, view->published_usec);
    uint64_t up = ma_sub_floor0(view->published_usec, view->started_usec);
    ma_metrics_single(text, "memarb_start_time_seconds", "seconds",
                      "When memarbd started, as Unix time.",
                      ma_sub_floor0(view->published_realtime_usec, up));
    ma_metrics_single(text, "memarb_cycle_age_seconds", "seconds", "Time since the last cycle.",
                      age);
    ma_metrics_single(text, "memarb_cycle_period_seconds", "seconds",
                      "Present time between cycles.", view->tick_usec);
    ma_metrics_counter(text, "memarb_cycles_total", "Cycles that were decided.",
                       view->counters.cycles);
    ma_metrics_counter(text, "memarb_record_lines_dropped_total",
                       "Lines for the record or the journal that the disk was too slow for.",
                       view->counters.lines_dropped);
    ma_metrics_single(text, "memarb_libvirt_connected", "",
                      "1 while libvirt answers; 0 also where it is not used.",
                      view->is_libvirt_connected);
    ma_metrics_single(text, "memarb_qmp_peers", "",
                      "Monitors of QEMUs that memarbd speaks to itself.", view->n_qmp_peers);
}

void ma_metrics_render(struct ma_metrics_text *text,
                       const struct ma_view *view,
                       uint64_t now_usec) {
    render_build(text);
    render_self(text, view, now_usec);
    render_arming(text, view);
    ma_metrics_single(text, "memarb_incident", "",
                      "1 from leaving the state normal until it is back.", view->in_incident);
    ma_metrics_single(text, "memarb_incident_victims", "",
                      "Victims of the present or last incident.", view->victims_in_incident);
    render_actions(text, &view->counters);
    render_kills(text, &view->counters);
    render_starts(text, view);
    ma_metrics_render_host(text, view);
    ma_metrics_render_pins(text, view);
    ma_metrics_render_agents(text, view);
    render_guest_sums(text, view);
    ma_metrics_render_guests(text, view);
    ma_metrics_end(text);
}
