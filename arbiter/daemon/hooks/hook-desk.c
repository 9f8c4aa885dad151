/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hook-desk.c - H1 to H6 of hook-desk.h.
 *
 * What waits is committed already (ma_decide): it is the pending victim, so no other is taken meanwhile (P4), and a crash
 * finds it as one that was about to leave. Its intent is written when it does leave. */
#include "hook-desk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "bid.h"
#include "bytes.h"
#include "daemon.h"
#include "guard.h"
#include "report.h"

/* What the hooks' thread may need to start and to tell, beyond the time that hooks have. Guess. */
#define ANSWER_GRACE_USEC (500 * MA_USEC_PER_MSEC)
/* A folder of broken hooks fails with each balloon: so many are told one by one in this time, the rest as a number. */
#define TELL_PERIOD_USEC (60 * MA_USEC_PER_SEC)
#define TELL_MAX         20U

static bool is_wanted(const struct ma_daemon *d, enum ma_action action) {
    enum ma_action of = action == MA_ACTION_RESUME      ? MA_ACTION_PAUSE
                        : action == MA_ACTION_REBALANCE ? MA_ACTION_RECLAIM
                                                        : action;
    return d->desk.hooks != NULL && d->config->hooks.directory[0] != '\0' &&
           (d->config->hooks.actions & MA_ACTION_BIT(of)) != 0 && !ma_daemon_is_dry_run(d);
}

static struct ma_hook_order
make_order(const struct ma_daemon *d, const char *uuid, enum ma_action action) {
    const struct ma_tracked *guest = ma_guests_find(&d->guests, uuid);
    struct ma_hook_order order = {.action = action,
                                  .pressure = d->plan.pressure,
                                  .available_bytes = d->snapshot.host.available_bytes,
                                  .timeout_usec = d->config->hooks.timeout_usec};
    (void) snprintf(order.uuid, sizeof(order.uuid), "%s", uuid);
    (void) snprintf(order.name, sizeof(order.name), "%s", guest != NULL ? guest->name : "");
    return order;
}

static struct ma_hook_order order_before(const struct ma_daemon *d,
                                         const struct ma_plan_action *action) {
    struct ma_hook_order order =
        make_order(d, d->snapshot.guests[action->guest].uuid, action->action);
    order.reason = action->reason;
    order.has_from_to = action->has_from_to;
    order.from_bytes = action->from_bytes;
    order.to_bytes = action->to_bytes;
    return order;
}

/* Takes memory from the guest, and may be objected to. */
static bool is_objectionable(const struct ma_daemon *d, const struct ma_plan_action *action) {
    bool is_giving = action->has_from_to && action->to_bytes > action->from_bytes;
    return !ma_action_is_victim(action->action) && action->action != MA_ACTION_RESUME &&
           !is_giving && (d->config->hooks.veto & MA_ACTION_BIT(action->action)) != 0;
}

void ma_hook_desk_tell_before(struct ma_daemon *d, const struct ma_plan_action *action) {
    if (is_wanted(d, action->action)) {
        struct ma_hook_order order = order_before(d, action);
        order.is_heard = is_objectionable(d, action);
        (void) ma_hooks_submit(d->desk.hooks, &order); /* what is refused is counted */
    }
}

void ma_hook_desk_tell_after(struct ma_daemon *d, const struct ma_outcome *outcome) {
    if (is_wanted(d, outcome->action)) {
        struct ma_hook_order order = make_order(d, outcome->uuid, outcome->action);
        order.is_after = true;
        order.result = outcome->result;
        order.took_usec = outcome->took_usec;
        (void) ma_hooks_submit(d->desk.hooks, &order);
    }
}

static bool is_asked_about(const struct ma_hook_desk *desk, const char *uuid) {
    for (size_t i = 0; i < desk->n_asks; i++) {
        if (strcmp(desk->asks[i].uuid, uuid) == 0) {
            return true;
        }
    }
    return false;
}

static void begin_asking(struct ma_daemon *d, uint64_t now) {
    struct ma_hook_desk *desk = &d->desk;
    uint64_t patience = d->config->hooks.veto_timeout_usec + ANSWER_GRACE_USEC;
    desk->asked_seq = d->state.seq;
    desk->deadline_usec = ma_add_sat(now, patience);
    desk->plan = d->plan;
    desk->plan.n_actions = desk->plan.n_candidates = desk->plan.n_options = desk->plan.n_trims = 0;
    if (d->state.pending.is_pending) { /* its time begins when it leaves */
        d->state.pending.deadline_usec = ma_add_sat(d->state.pending.deadline_usec, patience);
    }
}

int ma_hook_desk_defer(struct ma_daemon *d,
                       const struct ma_plan_action *action,
                       uint64_t now_usec) {
    struct ma_hook_desk *desk = &d->desk;
    const char *uuid = d->snapshot.guests[action->guest].uuid;
    bool is_question = ma_action_is_victim(action->action) && is_wanted(d, action->action) &&
                       (d->config->hooks.veto & MA_ACTION_BIT(action->action)) != 0;
    bool is_companion = action->action == MA_ACTION_RECLAIM && is_asked_about(desk, uuid);
    if (!is_question && !is_companion) {
        return 0;
    }
    bool is_of_this_plan = desk->n_asks == 0 || desk->asked_seq == d->state.seq;
    if (!is_of_this_plan || desk->n_asks == MA_HOOK_ASKS_MAX) {
        return -EALREADY;
    }
    if (desk->n_asks == 0) {
        begin_asking(d, now_usec);
    }
    struct ma_hook_ask *ask = &desk->asks[desk->n_asks++];
    *ask = (struct ma_hook_ask){.action = *action, .is_answered = !is_question};
    (void) snprintf(ask->uuid, sizeof(ask->uuid), "%s", uuid);
    if (is_question) {
        struct ma_hook_order order = order_before(d, action);
        order.ask = ask->id = ++desk->next_id;
        order.timeout_usec = d->config->hooks.veto_timeout_usec;
        ask->is_answered = ma_hooks_submit(desk->hooks, &order) < 0; /* counted: not waited for */
    }
    return 1;
}

/* Its commitment is taken back; what it was dropped for stands in the record. */
static void drop(struct ma_daemon *d, const struct ma_hook_ask *ask, const char *because) {
    struct ma_guest_memory *memory = ma_state_find(&d->state, ask->uuid);
    if (ask->action.action != MA_ACTION_RECLAIM) {
        ma_state_note_outcome(&d->state, ask->uuid, ask->action.action, false, ma_now_usec());
    } else if (memory != NULL) {
        memory->reclaim_until_usec = 0; /* nobody refused it: it was not asked for */
    }
    struct ma_outcome outcome = {.action = ask->action.action, .result = MA_OUTCOME_DROPPED};
    memcpy(outcome.uuid, ask->uuid, sizeof(ask->uuid));
    ma_keep_record_by(d, &outcome, "hook", because);
    d->is_state_dirty = true;
}

static struct ma_report veto_report(const struct ma_tracked *guest, enum ma_action action) {
    return (struct ma_report){.message_id = MA_MESSAGE_HOOK_VETO,
                              .kind = "hook",
                              .level = MA_LOG_WARNING,
                              .uuid = guest->uuid,
                              .name = guest->name,
                              .has_action = true,
                              .action = action,
                              .result = "veto"};
}

static void hold(struct ma_daemon *d, const struct ma_hook_ask *ask, const struct ma_hook_ask *no) {
    struct ma_tracked *guest = ma_guests_find(&d->guests, ask->uuid);
    uint64_t until = ma_add_sat(ma_now_usec(), d->config->hooks.veto_hold_usec);
    char time[MA_FORMAT_MAX];
    if (guest == NULL || ask->id == 0) {
        return;
    }
    guest->held_until_usec = ma_max_u64(guest->held_until_usec, until);
    struct ma_report report = veto_report(guest, ask->action.action);
    report.reason = ask->action.reason;
    ma_report(d, &report, "Guest '%.64s': hook '%.64s' said no to %s%s; it is held for %s.",
              guest->name, no->by, ma_action_name(no->action.action),
              no == ask ? "" : " of a member of its group",
              ma_format_usec(time, d->config->hooks.veto_hold_usec));
}

static const struct ma_hook_ask *find_veto(const struct ma_hook_ask *asks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (asks[i].is_vetoed) {
            return &asks[i];
        }
    }
    return NULL;
}

/* H3. A group goes together or not at all, so one that may not go keeps all of them. */
static bool
are_all_allowed(const struct ma_daemon *d, const struct ma_hook_ask *asks, size_t n, uint64_t now) {
    for (size_t i = 0; i < n; i++) {
        const struct ma_tracked *guest = ma_guests_find(&d->guests, asks[i].uuid);
        if (guest == NULL || now < guest->held_until_usec ||
            ma_snapshot_find(&d->snapshot, asks[i].uuid) == SIZE_MAX ||
            ma_daemon_arm(d) < ma_arm_needed(asks[i].action.action) ||
            (d->state.disarmed_actions & MA_ACTION_BIT(asks[i].action.action)) != 0) {
            return false;
        }
    }
    return d->phase == MA_PHASE_RUNNING && !ma_daemon_is_dry_run(d);
}

static void take_all(struct ma_daemon *d, const struct ma_hook_ask *asks, size_t n, uint64_t now) {
    struct ma_plan_action *actions = d->desk.leaving;
    for (size_t i = 0; i < n; i++) {
        actions[i] = asks[i].action;
        actions[i].guest = (uint32_t) ma_snapshot_find(&d->snapshot, asks[i].uuid);
    }
    d->desk.plan.actions = actions;
    d->desk.plan.n_actions = n;
    ma_act_run_asked(d, &d->desk.plan, now);
    d->desk.plan.actions = NULL;
    d->desk.plan.n_actions = 0;
}

/* All that was asked is answered, or nobody waits any longer. */
static void settle(struct ma_daemon *d, uint64_t now) {
    struct ma_hook_ask asks[MA_HOOK_ASKS_MAX];
    size_t n = d->desk.n_asks;
    memcpy(asks, d->desk.asks, n * sizeof(asks[0]));
    d->desk.n_asks = 0;
    const struct ma_hook_ask *veto = find_veto(asks, n);
    if (veto == NULL && are_all_allowed(d, asks, n, now)) {
        take_all(d, asks, n, now);
    } else {
        for (size_t i = 0; i < n; i++) {
            drop(d, &asks[i], veto != NULL ? veto->by : "not wanted any more");
        }
    }
    for (size_t i = 0; veto != NULL && i < n; i++) {
        hold(d, &asks[i], veto);
    }
    ma_cycle_soon(d);
}

static bool is_anyone_asked(const struct ma_hook_desk *desk) {
    for (size_t i = 0; i < desk->n_asks; i++) {
        if (!desk->asks[i].is_answered && !desk->asks[i].is_vetoed) {
            return true;
        }
    }
    return false;
}

static void settle_if_due(struct ma_daemon *d, uint64_t now) {
    const struct ma_hook_desk *desk = &d->desk;
    if (desk->n_asks > 0 &&
        (!is_anyone_asked(desk) || now >= desk->deadline_usec ||
         find_veto(desk->asks, desk->n_asks) != NULL || d->phase != MA_PHASE_RUNNING)) {
        settle(d, now);
    }
}

static void describe(const struct ma_hook_result *result, char text[static 96]) {
    switch (result->end) {
    case MA_HOOK_STATUS:
        (void) snprintf(text, 96, "ended with %d", result->value);
        break;
    case MA_HOOK_SIGNAL:
        (void) snprintf(text, 96, "ended by signal %d", result->value);
        break;
    case MA_HOOK_TIMEOUT:
        (void) snprintf(text, 96, "was killed: the hooks' time is over");
        break;
    case MA_HOOK_NOT_STARTED:
    case MA_HOOK_NO_FOLDER:
        (void) snprintf(text, 96, "cannot be run: %s", strerror(-result->value));
        break;
    case MA_HOOK_AGREED:
    case MA_HOOK_VETO:
        text[0] = '\0';
        break;
    }
}

static void tell_failure(struct ma_daemon *d, const struct ma_hook_result *result) {
    struct ma_hook_desk *desk = &d->desk;
    uint64_t now = ma_now_usec();
    if (now >= desk->told_usec + TELL_PERIOD_USEC) {
        desk->told_usec = now;
        desk->n_told = 0;
    }
    if (desk->n_told == TELL_MAX) {
        desk->n_untold++;
        return;
    }
    desk->n_told++;
    const struct ma_tracked *guest = ma_guests_find(&d->guests, result->uuid);
    char how[96];
    describe(result, how);
    struct ma_report report = {.message_id = MA_MESSAGE_HOOK_FAILED,
                               .kind = "hook",
                               .level = MA_LOG_WARNING,
                               .uuid = result->uuid,
                               .name = guest != NULL ? guest->name : "",
                               .has_action = true,
                               .action = result->action,
                               .result = result->end == MA_HOOK_TIMEOUT ? "timeout" : "failed"};
    ma_report(d, &report, "Guest '%.64s': hook '%.64s' %s %s %s.", report.name,
              result->hook[0] != '\0' ? result->hook : d->config->hooks.directory,
              result->is_after ? "after" : "before", ma_action_name(result->action), how);
}

/* H6. Not held at once: nothing at all is done to a guest that is held, and what is under way would go on to its end. */
static void take_objection(struct ma_daemon *d, const struct ma_hook_result *result) {
    struct ma_tracked *guest = ma_guests_find(&d->guests, result->uuid);
    struct ma_guest_memory *memory = ma_state_find(&d->state, result->uuid);
    char time[MA_FORMAT_MAX];
    if (guest == NULL) {
        return;
    }
    if (memory != NULL) {
        ma_bid_begin_veto(memory, ma_now_usec());
        guest->agent.told_veto_usec = memory->veto_until_usec; /* it is none of its agent's */
        d->is_state_dirty = true;
    }
    guest->hold_from_seq = d->desk.objected_seq = d->state.seq + 1;
    struct ma_report report = veto_report(guest, result->action);
    ma_report(d, &report,
              "Guest '%.64s': hook '%.64s' said no to %s, which had left; it is held for %s.",
              guest->name, result->hook, ma_action_name(result->action),
              ma_format_usec(time, d->config->hooks.veto_hold_usec));
    ma_cycle_soon(d);
}

static void hold_objected(struct ma_daemon *d, uint64_t now) {
    if (d->desk.objected_seq == 0 || d->state.seq < d->desk.objected_seq) {
        return;
    }
    d->desk.objected_seq = 0;
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (guest->hold_from_seq != 0) {
            guest->hold_from_seq = 0;
            guest->held_until_usec = ma_max_u64(guest->held_until_usec,
                                                ma_add_sat(now, d->config->hooks.veto_hold_usec));
            d->is_state_dirty = true;
        }
    }
}

static void tell_lost(struct ma_daemon *d, uint64_t now) {
    struct ma_hook_desk *desk = &d->desk;
    uint64_t lost = ma_hooks_lost(desk->hooks);
    if ((lost == desk->lost_told && desk->n_untold == 0) ||
        now < desk->told_usec + TELL_PERIOD_USEC) {
        return;
    }
    struct ma_report report = {.message_id = MA_MESSAGE_HOOK_FAILED,
                               .kind = "hook",
                               .level = MA_LOG_WARNING,
                               .result = "dropped"};
    ma_report(d, &report, "Hooks: %llu more failed, %llu were left out, too many waited.",
              (unsigned long long) desk->n_untold, (unsigned long long) (lost - desk->lost_told));
    desk->n_untold = 0;
    desk->lost_told = lost;
    desk->told_usec = now;
    desk->n_told = 0;
}

static void take_verdict(struct ma_hook_desk *desk, const struct ma_hook_result *result) {
    for (size_t i = 0; i < desk->n_asks; i++) {
        if (desk->asks[i].id == result->ask && result->ask != 0) {
            desk->asks[i].is_answered = true;
            desk->asks[i].is_vetoed = result->end == MA_HOOK_VETO;
            memcpy(desk->asks[i].by, result->hook, sizeof(desk->asks[i].by));
        }
    }
}

static int on_result(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    struct ma_hook_result result;
    (void) source;
    (void) fd;
    (void) revents;
    while (ma_hooks_pop(d->desk.hooks, &result)) {
        if (result.is_verdict) {
            take_verdict(&d->desk, &result);
        } else if (result.end == MA_HOOK_VETO) {
            take_objection(d, &result);
        } else {
            tell_failure(d, &result);
        }
    }
    settle_if_due(d, ma_now_usec());
    return 0;
}

void ma_hook_desk_step(struct ma_daemon *d, uint64_t now_usec) {
    if (d->desk.hooks != NULL) {
        settle_if_due(d, now_usec);
        hold_objected(d, now_usec);
        tell_lost(d, now_usec);
    }
}

static void tell_barred(void *userdata, const char *name, const char *why) {
    struct ma_report report = {.message_id = MA_MESSAGE_HOOK_BARRED,
                               .kind = "hook",
                               .level = MA_LOG_WARNING,
                               .result = "refused"};
    ma_report(userdata, &report, "Hook '%.200s' is left out: it %s.", name, why);
}

int ma_hook_desk_prepare(struct ma_daemon *d, const struct ma_config *config, struct ma_err *err) {
    const char *directory = config->hooks.directory;
    struct ma_hook_files files;
    if (directory[0] == '\0' || d->options.is_release_only) {
        return 0;
    }
    int r = ma_hook_files_list(directory, &files, tell_barred, d, err);
    if (r < 0) {
        return r;
    }
    ma_hook_files_free(&files);
    if (d->desk.hooks != NULL) {
        return 0;
    }
    r = ma_hooks_create(directory, &d->desk.hooks, err);
    if (r == 0) {
        r = sd_event_add_io(d->event, NULL, ma_hooks_fd(d->desk.hooks), EPOLLIN, on_result, d);
    }
    return r < 0 ? r : 0;
}

void ma_hook_desk_adopt(struct ma_daemon *d) {
    if (d->desk.hooks != NULL && d->config->hooks.directory[0] != '\0') {
        (void) ma_hooks_set_directory(d->desk.hooks,
                                      d->config->hooks.directory); /* checked before */
    }
}

void ma_hook_desk_teardown(struct ma_daemon *d) {
    ma_hooks_destroy(d->desk.hooks);
    d->desk.hooks = NULL;
}
