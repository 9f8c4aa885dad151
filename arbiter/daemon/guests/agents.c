/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* agents.c - guests' own agents: their channels in the loop, what they say in the table, what is told to them.
 *
 * An agent's figures stand beside the balloon's statistics and take their place while they are fresh
 * (build-snapshot.c). Of a guest's dirty pages and disk traffic an agent tells nothing: these raise a guest's score, and no
 * word of its own may make it a less likely victim. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "agents.h"
#include "bid.h"
#include "bytes.h"
#include "notice.h"
#include "report.h"

/* An alarm starts a cycle at once, no more often for one guest than this: relief comes in steps of 2 s. Shorter: a guest
 * that cries for ever runs the loop; longer: the second step waits. */
#define ALARM_PERIOD_USEC MA_USEC_PER_SEC
/* ... and never sooner than this after the last cycle, for all of them together. As the fastest sampling. */
#define ALARM_CYCLE_USEC (100 * MA_USEC_PER_MSEC)
/* A disagreement is told when it has stood for so long. Shorter: figures of two moments; longer: an operator waits. */
#define DISAGREES_AFTER_USEC (10 * MA_USEC_PER_SEC)
/* The same of one guest is told once in this time. */
#define TELL_PERIOD_USEC (60 * MA_USEC_PER_SEC)

static int on_resume_reading(sd_event_source *source, uint64_t usec, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) source;
    (void) usec;
    (void) ma_agent_source_dispatch(d->agents, ma_now_usec());
    (void) sd_event_source_set_enabled(d->agents_io, SD_EVENT_ON);
    return 0;
}

/* Reads what is there and looks away for a moment: many lines are one turn of the loop, not one each. */
static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    uint64_t now = ma_now_usec();
    (void) fd;
    (void) revents;
    uint64_t pause_usec = ma_agent_source_dispatch(d->agents, now);
    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    (void) sd_event_source_set_time(d->agents_timer, now + pause_usec);
    (void) sd_event_source_set_enabled(d->agents_timer, SD_EVENT_ONESHOT);
    return 0;
}

void ma_agents_after_event(struct ma_daemon *d) {
    int io = SD_EVENT_OFF;
    if (d->agents == NULL || sd_event_source_get_enabled(d->agents_io, &io) < 0 ||
        io == SD_EVENT_OFF) {
        return; /* its turn is set already */
    }
    uint64_t at = ma_agent_source_deadline(d->agents);
    (void) sd_event_source_set_time(d->agents_timer, at);
    (void) sd_event_source_set_enabled(d->agents_timer,
                                       at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int identify(void *userdata, pid_t pid, char uuid[MA_SOURCE_UUID_MAX]) {
    struct ma_daemon *d = userdata;
    const struct ma_tracked *guest = ma_guests_find_by_pid(&d->guests, pid);
    /* Only a process that is held by its pidfd is the guest's beyond doubt. */
    if (guest == NULL || guest->process.pid != pid) {
        return -EAGAIN;
    }
    (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "%s", guest->uuid);
    return 0;
}

static void tell_short(struct ma_daemon *d, struct ma_tracked *guest, uint64_t now) {
    if (guest->agent.told_short_usec != 0 &&
        now < guest->agent.told_short_usec + TELL_PERIOD_USEC) {
        return;
    }
    guest->agent.told_short_usec = now;
    struct ma_report report = {.message_id = MA_MESSAGE_AGENT_SHORT,
                               .kind = "agent-short",
                               .level = MA_LOG_NOTICE,
                               .uuid = guest->uuid,
                               .name = guest->name};
    ma_report(d, &report, "Guest '%.64s' says that it stalls for want of memory.", guest->name);
}

static void on_alarm(struct ma_daemon *d, struct ma_tracked *guest, uint64_t now) {
    if (guest->agent.alarm_usec != 0 && now < guest->agent.alarm_usec + ALARM_PERIOD_USEC) {
        return;
    }
    guest->agent.alarm_usec = now;
    d->counters.agent_alarms++;
    tell_short(d, guest, now);
    /* Its figures on the host's side may be ten seconds old, and they bound what it says. */
    (void) ma_tracked_sample(guest, &d->guests_host, now);
    ma_cycle_at(d, ma_max_u64(now, d->snapshot.taken_at_usec + ALARM_CYCLE_USEC));
}

/* The squeeze that it was told of may come. */
static bool is_ready(const struct ma_tracked *guest) {
    const struct ma_agent_claims *claims = &guest->agent.claims;
    return claims->is_ready && claims->squeeze_id != 0 &&
           claims->squeeze_id == guest->agent.notice_id;
}

static void on_report(void *userdata, const char *uuid, const struct ma_agent_claims *claims) {
    struct ma_daemon *d = userdata;
    struct ma_tracked *guest = ma_guests_find(&d->guests, uuid);
    if (guest == NULL) {
        return;
    }
    bool was_ready = is_ready(guest);
    guest->agent.claims = *claims;
    if (claims->is_alarm) {
        on_alarm(d, guest, ma_now_usec());
    } else if (!was_ready && is_ready(guest)) {
        ma_cycle_at(d, d->snapshot.taken_at_usec + ALARM_CYCLE_USEC);
    }
}

static void on_link(void *userdata,
                    const char *uuid,
                    enum ma_agent_link link,
                    uint64_t until_usec,
                    const char *reason) {
    struct ma_daemon *d = userdata;
    struct ma_tracked *guest = ma_guests_find(&d->guests, uuid);
    if (guest == NULL) {
        return;
    }
    guest->agent.link = link;
    guest->agent.matters = false;
    guest->agent.notice_id = guest->agent.notice_over_usec = 0; /* who hears now, heard of none */
    if (link != MA_AGENT_LINK_QUARANTINED) {
        return;
    }
    guest->agent.claims = (struct ma_agent_claims){0};
    d->counters.agent_quarantines++;
    char left[MA_FORMAT_MAX];
    struct ma_report report = {.message_id = MA_MESSAGE_AGENT_QUARANTINE,
                               .kind = "agent-quarantine",
                               .level = MA_LOG_WARNING,
                               .uuid = guest->uuid,
                               .name = guest->name};
    ma_report(d, &report, "The agent of guest '%.64s' is not listened to for %s: %s.", guest->name,
              ma_format_usec(left, ma_sub_floor0(until_usec, ma_now_usec())), reason);
}

void ma_agents_note_guest(struct ma_daemon *d, const struct ma_tracked *guest) {
    if (d->agents != NULL && guest->is_on_libvirt) {
        ma_agent_source_set_path(d->agents, guest->uuid, guest->facts.agent_path);
    }
}

void ma_agents_forget(struct ma_daemon *d, const char *uuid) {
    if (d->agents != NULL) {
        ma_agent_source_forget(d->agents, uuid);
    }
}

static bool is_fresh(const struct ma_daemon *d, const struct ma_tracked *guest, uint64_t now) {
    return guest->agent.claims.taken_usec != 0 &&
           ma_sub_floor0(now, guest->agent.claims.taken_usec) <= d->settings.stale_usec;
}

enum ma_agent_state
ma_agents_state(const struct ma_daemon *d, const struct ma_tracked *guest, uint64_t now_usec) {
    if (guest->agent.link == MA_AGENT_LINK_QUARANTINED) {
        return MA_AGENT_QUARANTINED;
    }
    if (is_fresh(d, guest, now_usec)) {
        bool disagrees = guest->agent.disagrees_usec != 0 &&
                         now_usec >= guest->agent.disagrees_usec + DISAGREES_AFTER_USEC;
        return disagrees ? MA_AGENT_DISAGREES : MA_AGENT_FRESH;
    }
    return guest->agent.claims.taken_usec != 0 ? MA_AGENT_STALE : MA_AGENT_NONE;
}

void ma_agents_before_decision(struct ma_daemon *d, uint64_t now_usec) {
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (!is_fresh(d, guest, now_usec)) {
            continue;
        }
        struct ma_guest_memory *memory = ma_state_get(&d->state, guest->uuid);
        if (memory == NULL) {
            continue;
        }
        if (guest->agent.claims.is_veto) {
            ma_bid_note_veto(memory, now_usec);
        }
        if (guest->agent.link == MA_AGENT_LINK_UP) {
            ma_notice_hear(memory, guest->agent.claims.taken_usec);
        }
        if (is_ready(guest)) {
            ma_notice_acknowledge(memory, now_usec);
        }
    }
}

/* Guests that are squeezed, or might be next, are heard often. */
static void set_rates(struct ma_daemon *d, uint64_t now) {
    bool is_calm = d->plan.pressure == MA_PRESSURE_NORMAL;
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (guest->agent.link != MA_AGENT_LINK_UP) {
            continue;
        }
        const struct ma_guest_memory *memory = ma_state_find(&d->state, guest->uuid);
        bool matters =
            !is_calm ||
            (memory != NULL && (memory->taken != 0 || memory->notice_until_usec != 0)) ||
            (guest->agent.alarm_usec != 0 && now < guest->agent.alarm_usec + TELL_PERIOD_USEC);
        if (matters != guest->agent.matters) {
            guest->agent.matters = matters;
            ma_agent_source_set_matters(d->agents, guest->uuid, matters);
        }
    }
}

static bool is_squeeze(const struct ma_plan_action *action) {
    return action->has_guest && action->action == MA_ACTION_BALLOON &&
           action->to_bytes < action->from_bytes && action->reason != MA_REASON_GUEST_PRESSURE;
}

static void announce(struct ma_daemon *d,
                     struct ma_tracked *guest,
                     const struct ma_plan_action *action,
                     uint64_t deadline_usec) {
    struct ma_agent_squeeze squeeze = {
        .now_usec = ma_now_usec(),
        .target_bytes = action->to_bytes,
        .take_bytes = action->from_bytes - action->to_bytes,
        .deadline_usec = deadline_usec,
    };
    struct ma_tracked_agent *agent = &guest->agent;
    agent->notice_id = ma_agent_source_announce(d->agents, guest->uuid, &squeeze);
    agent->notice_target_bytes = squeeze.target_bytes;
    agent->notice_over_usec =
        agent->notice_id != 0 ? ma_add_sat(squeeze.now_usec, deadline_usec) : 0;
}

/* A plan says again each cycle what is under way: a hook hears of it once. */
static bool is_announced(const struct ma_tracked *guest, const struct ma_plan_action *action) {
    return ma_now_usec() < guest->agent.notice_over_usec &&
           action->to_bytes >= guest->agent.notice_target_bytes;
}

/* A squeeze that waits is announced as its notice begins; one that goes at once with its command; one whose notice has run
 * out was announced before. */
static void announce_squeezes(struct ma_daemon *d) {
    if (ma_daemon_is_dry_run(d)) {
        return;
    }
    for (size_t k = 0; k < d->plan.n_actions; k++) {
        const struct ma_plan_action *action = &d->plan.actions[k];
        if (!is_squeeze(action)) {
            continue;
        }
        const char *uuid = d->snapshot.guests[action->guest].uuid;
        const struct ma_guest_memory *memory = ma_state_find(&d->state, uuid);
        const struct ma_guest_memory *before = ma_state_find(&d->state_before, uuid);
        struct ma_tracked *guest = ma_guests_find(&d->guests, uuid);
        bool is_begun = action->withheld_because == MA_REASON_ANNOUNCED && memory != NULL &&
                        ma_notice_has_begun(memory, d->snapshot.taken_at_usec);
        bool is_at_once = action->is_armed && (before == NULL || before->notice_until_usec == 0);
        if (guest != NULL && (is_begun || (is_at_once && !is_announced(guest, action)))) {
            announce(d, guest, action, is_begun ? MA_NOTICE_USEC : action->deadline_usec);
        }
    }
}

static void
tell_veto(struct ma_daemon *d, struct ma_tracked *guest, const struct ma_guest_memory *memory) {
    if (memory == NULL || memory->veto_until_usec == 0 ||
        memory->veto_until_usec <= guest->agent.told_veto_usec) {
        return;
    }
    guest->agent.told_veto_usec = memory->veto_until_usec;
    if (memory->veto_until_usec < ma_add_sat(d->started_usec, MA_VETO_USEC)) {
        return; /* of the life before, which told it */
    }
    d->is_state_dirty = true; /* a crash must not give it the next one sooner */
    d->counters.agent_vetoes++;
    struct ma_report report = {.message_id = MA_MESSAGE_AGENT_VETO,
                               .kind = "veto",
                               .level = MA_LOG_NOTICE,
                               .uuid = guest->uuid,
                               .name = guest->name};
    ma_report(
        d, &report,
        "Guest '%.64s' is short under a squeeze: for 30 s others are asked, where they suffice.",
        guest->name);
}

static void note_disagreement(struct ma_daemon *d,
                              struct ma_tracked *guest,
                              const struct ma_guest *g,
                              uint64_t now) {
    enum ma_disagreement disagreement =
        ma_bid_has_claims(&d->snapshot, g) ? ma_bid_disagreement(g) : MA_DISAGREEMENT_NONE;
    if (disagreement != guest->agent.disagreement) {
        guest->agent.disagreement = disagreement;
        guest->agent.disagrees_usec = disagreement != MA_DISAGREEMENT_NONE ? now : 0;
    }
    if (guest->agent.disagrees_usec == 0 ||
        now < guest->agent.disagrees_usec + DISAGREES_AFTER_USEC ||
        (guest->agent.told_disagrees_usec != 0 &&
         now < guest->agent.told_disagrees_usec + 10 * TELL_PERIOD_USEC)) {
        return;
    }
    guest->agent.told_disagrees_usec = now;
    struct ma_report report = {.message_id = MA_MESSAGE_AGENT_DISAGREES,
                               .kind = "agent-disagrees",
                               .level = MA_LOG_WARNING,
                               .uuid = guest->uuid,
                               .name = guest->name,
                               .result = ma_disagreement_name(disagreement)};
    ma_report(d, &report, "Guest '%.64s' says that it %s.", guest->name,
              disagreement == MA_DISAGREEMENT_SAYS_IDLE
                  ? "is idle, and the host sees it grow"
                  : "is short, and the host sees memory that it never touched");
}

void ma_agents_after_decision(struct ma_daemon *d, uint64_t now_usec) {
    if (d->agents != NULL) {
        announce_squeezes(d);
        set_rates(d, now_usec);
    }
    size_t next_guest = 0;
    size_t next_memory = 0;
    for (size_t i = 0; i < d->snapshot.n_guests; i++) {
        const struct ma_guest *g = &d->snapshot.guests[i];
        struct ma_tracked *guest = ma_guests_find_next(&d->guests, g->uuid, &next_guest);
        if (guest != NULL) {
            tell_veto(d, guest, ma_state_find_next(&d->state, g->uuid, &next_memory));
            note_disagreement(d, guest, g, now_usec);
        }
    }
}

int ma_agents_setup(struct ma_daemon *d, uid_t qemu_uid, struct ma_err *err) {
    const struct ma_config_host *host = &d->config->host;
    if (!host->has_guest_agent) {
        return 0;
    }
    struct ma_agent_source_config config = {
        .listen_path = host->agent_listen,
        .listen_uid = qemu_uid,
        .globs = host->agent_sockets.items,
        .n_globs = host->agent_sockets.n,
        .max_agents = host->max_guests,
    };
    struct ma_agent_source_ops ops = {d, identify, on_report, on_link};
    int r = ma_agent_source_create(&config, &ops, &d->agents, err);
    if (r == 0) {
        r = sd_event_add_io(d->event, &d->agents_io, ma_agent_source_fd(d->agents), EPOLLIN,
                            on_readable, d);
    }
    if (r >= 0) {
        r = sd_event_add_time(d->event, &d->agents_timer, CLOCK_MONOTONIC, 0, 1000,
                              on_resume_reading, d);
    }
    return r < 0 ? r : 0;
}

void ma_agents_teardown(struct ma_daemon *d) {
    (void) sd_event_source_unref(d->agents_io);
    (void) sd_event_source_unref(d->agents_timer);
    ma_agent_source_destroy(d->agents);
}
