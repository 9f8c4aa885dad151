/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cycle.c - one cycle: sample, snapshot, decide, act; then measure, publish, record.
 *
 * The part up to the commands on the wire is the one that must be quick and must work while memory is short: it
 * allocates nothing and asks nobody. Everything after "the wire" may allocate; what fails there is skipped. On a
 * pressure event guests' processes are not sampled first (1,000 of them are 40 ms): their last figures are at most a
 * period old, the host's are fresh. */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>

#include "agents.h"
#include "bytes.h"
#include "check.h"
#include "guest-limits.h"
#include "observe.h"
#include "pin-ledger.h"
#include "report.h"

/* Processes sampled in one cycle: 256 are about 10 ms of the loop. The rest follows with the next ones. */
#define SAMPLE_BATCH 256U
/* Statistics of balloons are whole seconds: asking more often under pressure tells nothing new. */
#define BUSY_POLL_USEC MA_USEC_PER_SEC
/* Fastest sampling. Faster than the kernel's own counters settle (per-cpu lists) is noise; slower loses to a bomb
 * that fills the reserve in a second. Guess. */
#define TICK_MIN_USEC (100 * MA_USEC_PER_MSEC)
/* Guests are met in this time after a start: until they are in a snapshot nothing can be decided about them. Shorter:
 * a start with 1,000 guests waits for the next second of rest; longer: a few cycles more. Measured: 0.8 s of work. */
#define MEETING_USEC (2 * MA_USEC_PER_SEC)
/* Samples wanted before memory runs out at the present slope. */
#define TICKS_TO_EXHAUSTION 16U

static bool resolve_settings(struct ma_daemon *d, uint64_t total_bytes) {
    if (d->settings_total_bytes != total_bytes) {
        struct ma_settings settings;
        struct ma_err err = {0};
        if (ma_config_settings(d->config, total_bytes, &settings, &err) < 0) {
            ma_log(MA_LOG_ERR, "the settings do not fit a host of %llu bytes, holding: %s",
                   (unsigned long long) total_bytes, err.message);
            return false;
        }
        d->settings = settings;
        d->settings_total_bytes = total_bytes;
    }
    d->settings.arm = ma_daemon_is_dry_run(d) ? MA_ARM_OBSERVE : ma_daemon_arm(d);
    return true;
}

static bool sample_host(struct ma_daemon *d, uint64_t now) {
    struct ma_err err = {0};
    if (ma_host_watch_sample(&d->host, ma_guests_used_bytes(&d->guests), now, &err) < 0) {
        ma_log(MA_LOG_ERR, "cannot read the host's memory, holding: %s", err.message);
    }
    d->guests_host.has_nodes = d->host.has_nodes;
    return d->host.sampled_usec != 0;
}

static uint64_t guest_max_age_usec(const struct ma_daemon *d) {
    bool is_calm = d->last_pressure == MA_PRESSURE_NORMAL && !d->state.in_incident;
    if (is_calm && d->host.meaning == MA_HOST_IS_MACHINE) {
        return ma_sub_floor0(d->config->host.guest_sample_usec,
                             2 * d->config->host.sample_idle_usec);
    }
    return d->tick_usec /
           2; /* each cycle; half, so that a tick that is a little early still counts */
}

/* The next sample is the first one of its trend: the step from the last sample to it is none either. */
void ma_cycle_begin_trends(struct ma_daemon *d) {
    for (size_t i = 0; i < d->state.n_pressures; i++) {
        ma_pressure_forget_trend(&d->state.pressures[i]);
        d->state.pressures[i].last_sample_usec = 0;
    }
}

/* With a budget, a guest that is met adds all it holds to what is used at once: that is no growth, and a forecast made
 * of it would call for a victim on a host where nothing happens. */
static void forget_discoveries(struct ma_daemon *d) {
    size_t measured = 0;
    for (size_t i = 0; i < d->guests.n; i++) {
        measured += d->guests.items[i]->sampled_usec != 0 ? 1 : 0;
    }
    if (measured != d->measured_guests && d->host.meaning == MA_HOST_IS_BUDGET) {
        ma_cycle_begin_trends(d);
    }
    d->measured_guests = measured;
}

static bool build(struct ma_daemon *d, uint64_t now) {
    struct ma_host host = d->host.host;
    host.has |= MA_HOST_HAS_AGE;
    host.sampled_age_usec = ma_sub_floor0(now, d->host.sampled_usec);
    if (!resolve_settings(d, host.total_bytes)) {
        return false;
    }
    host.pin_budget_bytes = ma_pin_ledger_said_budget(d, host.total_bytes);
    host.has |= host.pin_budget_bytes > 0 ? (uint32_t) MA_HOST_HAS_PIN_BUDGET : 0U;
    d->builder.stale_usec = d->settings.stale_usec;
    d->builder.shutdown_timeout_usec = d->config->arbiter.shutdown_timeout_usec;
    ma_snapshot_build(&d->builder, &d->guests, &host, &d->state, now, &d->snapshot);
    d->snapshot.settings = d->settings;
    struct ma_check_problem problem;
    if (ma_snapshot_check(&d->snapshot, &problem) < 0) {
        ma_log(MA_LOG_ERR, "the figures contradict themselves, holding: %s %s", problem.path,
               problem.what);
        return false;
    }
    return true;
}

static void set_victim_counts(struct ma_daemon *d) {
    uint64_t day_ago = ma_sub_floor0(ma_realtime_usec(), 86400 * MA_USEC_PER_SEC);
    for (size_t i = 0; i < d->n_victims; i++) {
        if (d->victims[i].realtime_usec < day_ago) {
            continue;
        }
        size_t at = ma_snapshot_find(&d->snapshot, d->victims[i].uuid);
        if (at != SIZE_MAX) {
            struct ma_guest *g = &d->builder.guests[at];
            g->has |= MA_GUEST_HAS_VICTIM_COUNT;
            g->victim_count_24h++;
        }
    }
}

/* Have guests come since the last cycle, or may they be on their way? */
static bool is_meeting(struct ma_daemon *d, uint64_t now) {
    bool has_met = d->snapshot.n_guests != d->met_guests;
    d->met_guests = d->snapshot.n_guests;
    return has_met || now < d->started_usec + MEETING_USEC;
}

static uint64_t next_tick_usec(struct ma_daemon *d, uint64_t now) {
    const struct ma_config_host *c = &d->config->host;
    bool is_busy = is_meeting(d, now) || d->plan.pressure > MA_PRESSURE_NORMAL ||
                   d->state.pending.is_pending || d->phase == MA_PHASE_RELEASING ||
                   d->snapshot.host.available_bytes < 3 * d->settings.reserve_bytes;
    if (!is_busy) {
        return c->sample_idle_usec;
    }
    uint64_t left = MA_USEC_INFINITY;
    for (size_t i = 0; i < d->state.n_pressures; i++) {
        left = ma_min_u64(left, ma_pressure_time_left_usec(&d->state.pressures[i]));
    }
    return ma_clamp_u64(left / TICKS_TO_EXHAUSTION, ma_min_u64(TICK_MIN_USEC, c->sample_busy_usec),
                        c->sample_busy_usec);
}

static void note_pressure(struct ma_daemon *d, uint64_t now) {
    if (d->plan.pressure == d->last_pressure) {
        return;
    }
    char available[MA_FORMAT_MAX];
    bool is_worse = d->plan.pressure > d->last_pressure;
    struct ma_report report = {.message_id = MA_MESSAGE_STATE_CHANGE,
                               .kind = "state",
                               .level = is_worse && d->plan.pressure == MA_PRESSURE_CRITICAL
                                            ? MA_LOG_WARNING
                                            : MA_LOG_NOTICE,
                               .result = ma_pressure_name(d->plan.pressure)};
    ma_report(d, &report, "Memory pressure is %s, was %s; %s available.",
              ma_pressure_name(d->plan.pressure), ma_pressure_name(d->last_pressure),
              ma_format_bytes(available, d->snapshot.host.available_bytes));
    d->last_pressure = d->plan.pressure;
    bool is_calm = d->plan.pressure == MA_PRESSURE_NORMAL;
    uint64_t period = is_calm ? d->config->host.guest_sample_usec : BUSY_POLL_USEC;
    if (d->qmp != NULL) {
        ma_qmp_source_set_poll(d->qmp, period, now);
    }
    if (d->libvirt != NULL) {
        ma_libvirt_set_stats_period(d->libvirt, period);
    }
}

static void rehearse(struct ma_daemon *d) {
    struct ma_rehearsal_stage stage = {.policy = d->policy,
                                       .state = &d->state,
                                       .copy = &d->state_before,
                                       .scratch = d->scratch,
                                       .plan = &d->plan};
    (void) ma_rehearse(&d->rehearsal, &d->snapshot, &stage);
}

static void decide_and_act(struct ma_daemon *d, uint64_t now) {
    struct ma_decide_options options = {.is_dry_run = ma_daemon_is_dry_run(d)};
    rehearse(d);
    forget_discoveries(d);
    (void) ma_state_copy(&d->state_before, &d->state); /* same capacity: cannot fail */
    int r = ma_decide(&d->snapshot, d->policy, &options, &d->state, d->scratch, &d->plan);
    if (r < 0) {
        ma_log(MA_LOG_ERR, "policy %s failed, holding: %s", d->policy->name, strerror(-r));
        return;
    }
    ma_act_stop_rebalance(d, !options.is_dry_run);
    if (!options.is_dry_run) {
        ma_act_run(d, now);
    }
}

/* A shutdown or a save that was in time and is refused now. */
static bool is_given_up(const struct ma_daemon *d, const struct ma_pending_victim *victim) {
    const struct ma_guest_memory *memory = ma_state_find(&d->state, victim->uuid[0]);
    return d->snapshot.taken_at_usec < victim->deadline_usec && memory != NULL &&
           (memory->refused_actions & MA_ACTION_BIT(victim->action)) != 0;
}

static void report_given_up(struct ma_daemon *d, const struct ma_pending_victim *victim) {
    struct ma_report report = {.message_id = MA_MESSAGE_OUTCOME_POOR,
                               .kind = "measured",
                               .level = MA_LOG_WARNING,
                               .uuid = victim->uuid[0],
                               .has_action = true,
                               .action = victim->action,
                               .result = "given-up"};
    ma_report(d, &report,
              "The %s is not waited for any longer: memory would be exhausted before its end.",
              ma_action_name(victim->action));
}

static void report_pending(struct ma_daemon *d) {
    const struct ma_pending_victim *before = &d->state_before.pending;
    const struct ma_pending_victim *after = &d->state.pending;
    /* The same cycle may have taken the next one. */
    if (!before->is_pending || (after->is_pending && after->taken_usec == before->taken_usec)) {
        return;
    }
    if (is_given_up(d, before)) {
        report_given_up(d, before);
        return;
    }
    uint64_t gained = ma_observe_gain_bytes(&d->snapshot, before);
    bool is_poor = gained < before->predicted_bytes / 2;
    ma_keep_record_measured(d, before, gained);
    char got[MA_FORMAT_MAX];
    char predicted[MA_FORMAT_MAX];
    struct ma_report report = {.message_id = is_poor ? MA_MESSAGE_OUTCOME_POOR
                                                     : ma_report_message_id(before->action),
                               .kind = "measured",
                               .level = is_poor ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .uuid = before->uuid[0],
                               .has_action = true,
                               .action = before->action,
                               .result = is_poor ? "poor" : "done"};
    ma_report(d, &report, "The %s returned %s of host memory, %s was predicted.",
              ma_action_name(before->action), ma_format_bytes(got, gained),
              ma_format_bytes(predicted, before->predicted_bytes));
    if (d->state.disarmed_actions != d->state_before.disarmed_actions) {
        report.message_id = MA_MESSAGE_BREAKER;
        report.kind = "breaker";
        report.level = MA_LOG_ERR;
        ma_report(
            d, &report,
            "Two victims in a row returned under half of what was predicted: %s is disarmed until "
            "'memarbctl arm'.",
            ma_action_name(before->action));
    }
    d->is_state_dirty = true;
}

/* What of the ledger a restart must know: what was taken and whether it has been seen to arrive. Only then is a value
 * found otherwise somebody else's doing. Moves of the figures beside it are not worth a write. */
static uint64_t ledger_digest(const struct ma_state *state) {
    uint64_t digest = 0;
    for (size_t i = 0; i < state->n_guests; i++) {
        const struct ma_guest_memory *memory = &state->guests[i];
        uint64_t bits = (uint64_t) memory->taken << 2 | (memory->balloon_is_settled ? 2U : 0U) |
                        (memory->pause_is_settled ? 1U : 0U);
        digest = digest * 31 + (memory->taken != 0 ? bits + 1 : 0);
    }
    return digest;
}

/* Lines that the disk was too slow for are said once a minute, with how many. */
#define DROPPED_PERIOD_USEC (60 * MA_USEC_PER_SEC)

static void tell_dropped(struct ma_daemon *d, uint64_t now) {
    uint64_t dropped = ma_writer_dropped(d->writer);
    if (dropped != d->dropped_told && now >= d->dropped_told_usec + DROPPED_PERIOD_USEC) {
        ma_log(
            MA_LOG_WARNING,
            "%llu lines for the record or the journal were dropped: the disk is full or too slow",
            (unsigned long long) (dropped - d->dropped_told));
        d->dropped_told = dropped;
        d->dropped_told_usec = now;
    }
}

/* A budget's limit was moved, or memory was plugged in. */
static void tell_host_size(struct ma_daemon *d) {
    uint64_t before = d->total_told_bytes;
    d->total_told_bytes = d->snapshot.host.total_bytes;
    if (before == 0 || before == d->total_told_bytes) {
        return;
    }
    char now_text[MA_FORMAT_MAX];
    char before_text[MA_FORMAT_MAX];
    struct ma_report report = {
        .message_id = MA_MESSAGE_HOST_BUDGET, .kind = "host", .level = MA_LOG_NOTICE};
    ma_report(d, &report, "The host is the %s of %s now, was %s.",
              ma_host_meaning_name(d->host.meaning), ma_format_bytes(now_text, d->total_told_bytes),
              ma_format_bytes(before_text, before));
}

/* A /run that was full is tried again after this; until then the intents stand in for the state. Shorter: work for
 * nothing; longer: an operator's hold or the breaker is lost with a crash. Guess. */
#define STATE_RETRY_USEC (5 * MA_USEC_PER_SEC)

static void after_the_wire(struct ma_daemon *d, uint64_t now) {
    d->counters.cycles++;
    d->counters.lines_dropped = ma_writer_dropped(d->writer);
    ma_admission_step(d);
    note_pressure(d, now);
    tell_host_size(d);
    ma_agents_after_decision(d, now);
    ma_exhausted_step(d, now);
    ma_hook_desk_step(d, now);
    ma_oom_watch_step(d, now);
    report_pending(d);
    tell_dropped(d, now);
    ma_pin_ledger_watch(d);
    ma_guest_limits_watch(d, now);
    ma_keep_publish(d, now);
    ma_keep_record(d, now);
    bool is_incident_edge = d->state.in_incident != d->state_before.in_incident;
    bool is_ledger_other = ledger_digest(&d->state) != ledger_digest(&d->state_before);
    bool is_retry =
        ma_writer_has_state_failed(d->writer) && now >= d->state_written_usec + STATE_RETRY_USEC;
    if (d->is_state_dirty || is_incident_edge || is_ledger_other || is_retry) {
        ma_persist_save(d);
    }
}

void ma_cycle_run(struct ma_daemon *d, enum ma_wake why) {
    uint64_t now = ma_now_usec();
    if (why == MA_WAKE_TICK) {
        ma_guests_sample_due(&d->guests, &d->guests_host, now, guest_max_age_usec(d), SAMPLE_BATCH);
        ma_sources_watch_processes(d);
        ma_act_expire(d, now);
    }
    if (sample_host(d, now) && build(d, now)) {
        set_victim_counts(d);
        if (d->phase == MA_PHASE_RELEASING) {
            ma_release_step(d, now);
        } else {
            ma_agents_before_decision(d, now);
            decide_and_act(d, now);
        }
        after_the_wire(d, now);
    }
    d->tick_usec = next_tick_usec(d, now);
    (void) sd_event_source_set_time(d->tick, now + d->tick_usec);
    (void) sd_event_source_set_enabled(d->tick, SD_EVENT_ONESHOT);
    if (!d->is_ready && !d->options.is_release_only) {
        d->is_ready = true;
        (void) sd_notify(0, "READY=1");
    }
}

void ma_cycle_soon(struct ma_daemon *d) {
    ma_cycle_at(d, ma_now_usec());
}

void ma_cycle_at(struct ma_daemon *d, uint64_t usec) {
    uint64_t next = 0;
    if (sd_event_source_get_time(d->tick, &next) >= 0 && next > usec) {
        (void) sd_event_source_set_time(d->tick, usec);
    }
    (void) sd_event_source_set_enabled(d->tick, SD_EVENT_ONESHOT);
}

int ma_cycle_on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
    (void) source;
    (void) usec;
    ma_cycle_run(userdata, MA_WAKE_TICK);
    return 0;
}

int ma_cycle_on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) fd;
    if ((revents & EPOLLERR) != 0) {
        ma_log(MA_LOG_WARNING,
               "the pressure trigger is gone (its cgroup was removed); sampling alone");
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    ma_cycle_run(d, MA_WAKE_PRESSURE);
    return 0;
}
