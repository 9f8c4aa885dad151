/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* act.c - carries out the armed actions of a plan, in its order, and keeps count of what is under way.
 *
 *  A1  an intent is written before its command leaves (P7), and the ledger in memory holds it already (ma_decide)
 *  A2  a victim is taken only if the host, read again right now, still needs one (P13)
 *  A3  every accepted request has one outcome: from its actuator, or TIMEOUT from ma_act_expire()
 *  A4  nothing from ma_act_run() to the last submit() allocates or waits (P10); telling comes afterwards */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "rebalance.h"
#include "report.h"

/* What a monitor may take to answer: QMP answers in milliseconds, a busy QEMU in a second or two. Too short: an action
 * that was done counts as failed and is planned again; too long: one hung guest holds its turn. Guess. */
#define COMMAND_USEC (5 * MA_USEC_PER_SEC)
/* libvirt's destroy of a hung QEMU took 11.4 s; its save and a reclaim write to disk. */
#define SLOW_COMMAND_USEC (30 * MA_USEC_PER_SEC)
/* On top of an actuator's own deadline, before A3's backstop. */
#define EXPIRY_GRACE_USEC (2 * MA_USEC_PER_SEC)

/* Actions of one plan that are told one by one. A plan of more is a plan on thousands of guests. */
#define MA_ACT_TOLD_MAX 4096U

static enum ma_request_lane lane_of(enum ma_action action) {
    return action == MA_ACTION_RECLAIM || action == MA_ACTION_REBALANCE ? MA_LANE_KERNEL
                                                                        : MA_LANE_MONITOR;
}

static uint64_t command_usec(enum ma_action action) {
    bool is_slow = action == MA_ACTION_RECLAIM || action == MA_ACTION_REBALANCE ||
                   action == MA_ACTION_SAVE || action == MA_ACTION_KILL;
    return is_slow ? SLOW_COMMAND_USEC : COMMAND_USEC;
}

/* Tries the ways to do an action, best first. */
static int submit(struct ma_daemon *d, const struct ma_request *request) {
    const struct ma_actuator *ways[3];
    size_t n = 0;
    const struct ma_actuator *kernel = ma_kernel_actions_actuator(d->kernel);
    const struct ma_actuator *qmp = d->qmp != NULL ? ma_qmp_source_actuator(d->qmp) : NULL;
    const struct ma_actuator *libvirt = d->libvirt != NULL ? ma_libvirt_actuator(d->libvirt) : NULL;
    if (lane_of(request->action) == MA_LANE_KERNEL) {
        ways[n++] = kernel;
    } else if (request->action == MA_ACTION_KILL) {
        bool by_libvirt = d->config->arbiter.kill_method == MA_KILL_LIBVIRT;
        ways[n++] = by_libvirt ? libvirt : kernel;
        ways[n++] = by_libvirt ? kernel : libvirt; /* the other way if the first cannot */
    } else {
        ways[n++] = qmp;
        ways[n++] = libvirt;
    }
    int r = -ENOENT;
    for (size_t i = 0; i < n; i++) {
        if (ways[i] != NULL) {
            r = ways[i]->submit(ways[i]->self, request);
            if (r == 0 || r == -EBUSY) {
                return r;
            }
        }
    }
    return r;
}

static void
put_intent(struct ma_daemon *d, const struct ma_guest *guest, const struct ma_plan_action *action) {
    struct ma_intent intent = {.realtime_usec = ma_realtime_usec(),
                               .monotonic_usec = ma_now_usec(),
                               .action = (uint32_t) action->action,
                               .reason = (uint32_t) action->reason,
                               .from_bytes = action->from_bytes,
                               .to_bytes = action->to_bytes};
    const struct ma_guest_memory *memory = ma_state_find(&d->state, guest->uuid);
    (void) snprintf(intent.uuid, sizeof(intent.uuid), "%s", guest->uuid);
    if (memory != NULL) {
        intent.taken = memory->taken;
        intent.balloon_before_bytes = memory->balloon_before_bytes;
        intent.resize_before_bytes = memory->resize_before_bytes;
    }
    (void) ma_intent_log_put(d->intents, &intent);
}

static struct ma_tracked *tracked_of(struct ma_daemon *d, const struct ma_plan_action *action) {
    if (!action->has_guest || action->guest >= d->snapshot.n_guests) {
        return NULL;
    }
    return ma_guests_find(&d->guests, d->snapshot.guests[action->guest].uuid);
}

/* 0 submitted, or why not; -EALREADY: an earlier one of the same kind has not ended. */
static int take(struct ma_daemon *d, const struct ma_plan_action *action, uint64_t now) {
    struct ma_tracked *guest = tracked_of(d, action);
    if (guest == NULL) {
        return -ENOENT;
    }
    struct ma_open_request *open = &guest->requests[lane_of(action->action)];
    bool is_kill = action->action == MA_ACTION_KILL;
    if (open->is_open && !is_kill) {
        return open->action == action->action ? -EALREADY : -EBUSY;
    }
    struct ma_request request = {.id = ++d->next_request_id,
                                 .action = action->action,
                                 .to_bytes = action->to_bytes,
                                 .submitted_usec = now,
                                 .deadline_usec = now + command_usec(action->action)};
    memcpy(request.uuid, guest->uuid, sizeof(request.uuid));
    if (action->action == MA_ACTION_REBALANCE) {
        request.to_bytes = ma_sub_floor0(action->from_bytes, action->to_bytes);
        if (!ma_rebalance_nodes(&d->plan, action, &request.from_node, &request.to_node)) {
            return -EINVAL;
        }
    }
    put_intent(d, &d->snapshot.guests[action->guest], action);
    int r = submit(d, &request);
    if (r == 0) {
        *open = (struct ma_open_request){
            .is_open = true,
            .id = request.id,
            .action = action->action,
            .submitted_usec = now,
            .expires_usec = request.deadline_usec + EXPIRY_GRACE_USEC,
        };
        guest->is_killed = guest->is_killed || is_kill;
        guest->is_ending_by_us = guest->is_ending_by_us || action->action == MA_ACTION_SHUTDOWN ||
                                 action->action == MA_ACTION_SAVE;
    }
    return r;
}

static bool is_victim_still_needed(struct ma_daemon *d, const struct ma_plan *plan) {
    struct ma_err err = {0};
    uint64_t now = ma_now_usec();
    if (ma_host_watch_sample(&d->host, ma_guests_used_bytes(&d->guests), now, &err) < 0) {
        return false; /* not known: hold (P5) */
    }
    return ma_victim_still_needed(plan, d->host.host.available_bytes);
}

static void tell_taken(struct ma_daemon *d, const struct ma_plan_action *a, int result) {
    const struct ma_guest *g = &d->snapshot.guests[a->guest];
    char from[MA_FORMAT_MAX];
    char to[MA_FORMAT_MAX];
    bool is_victim = ma_action_is_victim(a->action);
    bool is_growing = (a->action == MA_ACTION_BALLOON || a->action == MA_ACTION_RESIZE) &&
                      a->has_from_to && a->to_bytes > a->from_bytes;
    struct ma_report report = {.message_id = is_growing ? MA_MESSAGE_GIVE_BACK
                                                        : ma_report_message_id(a->action),
                               .kind = ma_action_name(a->action),
                               .level = is_victim || result < 0 ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .uuid = g->uuid,
                               .name = g->name,
                               .has_action = true,
                               .action = a->action,
                               .reason = a->reason,
                               .has_from_to = a->has_from_to,
                               .from_bytes = a->from_bytes,
                               .to_bytes = a->to_bytes,
                               .impact = a->impact,
                               .result = result < 0 ? "refused" : "submitted"};
    if (result == -ECANCELED) {
        report.level = MA_LOG_NOTICE;
        report.result = ma_outcome_name(MA_OUTCOME_DROPPED);
        ma_report(d, &report, "Guest '%.64s': %s dropped: read again, the host no longer needs it.",
                  g->name, ma_action_name(a->action));
    } else if (result < 0) {
        ma_report(d, &report, "Cannot %s guest '%.64s' now: %s.", ma_action_name(a->action),
                  g->name, strerror(-result));
    } else if (a->action == MA_ACTION_RECLAIM) {
        ma_report(d, &report, "Guest '%.64s': %s of cold memory asked of the host's kernel (%s).",
                  g->name, ma_format_bytes(to, a->to_bytes), ma_reason_name(a->reason));
    } else if (a->action == MA_ACTION_REBALANCE) {
        uint16_t from_node = 0;
        uint16_t to_node = 0;
        (void) ma_rebalance_nodes(&d->plan, a, &from_node, &to_node);
        ma_report(d, &report, "Guest '%.64s': %s of its memory go from node %u to node %u (%s).",
                  g->name, ma_format_bytes(to, ma_sub_floor0(a->from_bytes, a->to_bytes)),
                  from_node, to_node, ma_reason_name(a->reason));
    } else if (a->has_from_to) {
        ma_report(d, &report, "Guest '%.64s': %s from %s to %s (%s).", g->name,
                  ma_action_name(a->action), ma_format_bytes(from, a->from_bytes),
                  ma_format_bytes(to, a->to_bytes), ma_reason_name(a->reason));
    } else {
        ma_report(d, &report, "Guest '%.64s': %s (%s).", g->name, ma_action_name(a->action),
                  ma_reason_name(a->reason));
    }
}

static void note_victim(struct ma_daemon *d, const char *uuid) {
    if (d->n_victims == MA_VICTIM_HISTORY) {
        memmove(&d->victims[0], &d->victims[1], sizeof(d->victims) - sizeof(d->victims[0]));
        d->n_victims--;
    }
    struct ma_victim_note *note = &d->victims[d->n_victims++];
    note->realtime_usec = ma_realtime_usec();
    (void) snprintf(note->uuid, sizeof(note->uuid), "%s", uuid);
}

/* Its outcome stands in the record as well (P7), behind the plan that says armed. */
static void
note_not_taken(struct ma_daemon *d, const char *uuid, enum ma_action action, int result) {
    if (d->n_not_taken == MA_NOT_TAKEN_MAX) {
        return;
    }
    struct ma_outcome *outcome = &d->not_taken[d->n_not_taken++];
    *outcome = (struct ma_outcome){.action = action,
                                   .result = result == -ECANCELED ? MA_OUTCOME_DROPPED
                                             : result == -ENOENT  ? MA_OUTCOME_GONE
                                                                  : MA_OUTCOME_REFUSED};
    (void) snprintf(outcome->uuid, sizeof(outcome->uuid), "%s", uuid);
}

static bool is_node_short(const struct ma_daemon *d, uint32_t node) {
    for (size_t i = 0; i < d->plan.n_rows; i++) {
        if (d->plan.rows[i].kind == MA_ROW_NODE && d->plan.rows[i].node == node) {
            return d->plan.row_pressure[i] > MA_PRESSURE_NORMAL;
        }
    }
    return false;
}

void ma_act_stop_rebalance(struct ma_daemon *d, bool is_wanted) {
    for (size_t i = 0; i < d->guests.n; i++) {
        const struct ma_tracked *guest = d->guests.items[i];
        const struct ma_open_request *open = &guest->requests[MA_LANE_KERNEL];
        const struct ma_guest_memory *memory;
        if (!open->is_open || open->action != MA_ACTION_REBALANCE) {
            continue;
        }
        memory = ma_state_find(&d->state, guest->uuid);
        if (!is_wanted || memory == NULL || !is_node_short(d, memory->rebalance_from_node) ||
            d->settings.arm < MA_ARM_RECLAIM || ma_now_usec() < guest->held_until_usec) {
            ma_kernel_actions_stop_rebalance(d->kernel);
        }
    }
}

/* Not taken here: not armed, or it waits for its hooks. */
#define NOT_TAKEN 1

/* A4: results[i] of action i of the plan, 0 or -errno (which fits) or NOT_TAKEN. */
static void submit_all(struct ma_daemon *d,
                       const struct ma_plan *plan,
                       uint64_t now_usec,
                       int8_t results[static MA_ACT_TOLD_MAX]) {
    bool is_checked = false;
    bool is_needed = false;
    for (size_t i = 0; i < plan->n_actions; i++) {
        const struct ma_plan_action *a = &plan->actions[i];
        int r = NOT_TAKEN;
        if (a->is_armed && a->has_guest) {
            bool is_victim = ma_action_is_victim(a->action);
            if (is_victim && !is_checked) {
                is_needed = is_victim_still_needed(d, plan);
                is_checked = true;
            }
            r = is_victim && !is_needed ? -ECANCELED : 0;
            r = r < 0 || plan != &d->plan ? r : ma_hook_desk_defer(d, a, now_usec);
            r = r != 0 ? r : take(d, a, now_usec);
        }
        if (i < MA_ACT_TOLD_MAX) {
            results[i] = (int8_t) r;
        }
    }
}

static void settle(struct ma_daemon *d, const struct ma_plan_action *a, int r, uint64_t now_usec) {
    const char *uuid = d->snapshot.guests[a->guest].uuid;
    d->is_state_dirty = true;
    d->counters.started[a->action] += r == 0;
    d->counters.failed[a->action] += r < 0 && r != -EALREADY && r != -ECANCELED;
    if (r == -EALREADY) {
        /* It only takes longer than planned (swap, a slow libvirtd). As a failure it would strike from the ledger
         * what the earlier one is about to take (P6), and bar a guest's cold pages for minutes. */
        ma_state_note_earlier_stands(&d->state, uuid, a->action);
        note_not_taken(d, uuid, a->action, -ECANCELED);
        return;
    }
    if (r < 0) {
        ma_state_note_outcome(&d->state, uuid, a->action, false, now_usec);
        note_not_taken(d, uuid, a->action, r);
    } else if (a->action == MA_ACTION_KILL || a->action == MA_ACTION_SHUTDOWN ||
               a->action == MA_ACTION_SAVE) {
        note_victim(d, uuid);
    }
    tell_taken(d, a, r);
}

static void run(struct ma_daemon *d, const struct ma_plan *plan, uint64_t now_usec) {
    /* what is beyond is done and not told one by one */
    int8_t results[MA_ACT_TOLD_MAX];
    submit_all(d, plan, now_usec, results);
    for (size_t i = 0; i < plan->n_actions && i < MA_ACT_TOLD_MAX; i++) {
        const struct ma_plan_action *a = &plan->actions[i];
        if (results[i] == NOT_TAKEN) {
            continue;
        }
        settle(d, a, results[i], now_usec);
        if (results[i] == 0 && plan == &d->plan) {
            ma_hook_desk_tell_before(d, a); /* H1; those that have waited were asked */
        }
    }
}

void ma_act_run(struct ma_daemon *d, uint64_t now_usec) {
    run(d, &d->plan, now_usec);
}

void ma_act_run_asked(struct ma_daemon *d, const struct ma_plan *plan, uint64_t now_usec) {
    run(d, plan, now_usec);
}

static void
tell_outcome(struct ma_daemon *d, const struct ma_tracked *guest, const struct ma_outcome *o) {
    struct ma_report report = {.message_id = MA_MESSAGE_OUTCOME_POOR,
                               .kind = "outcome",
                               .level =
                                   o->result == MA_OUTCOME_DONE ? MA_LOG_DEBUG : MA_LOG_WARNING,
                               .uuid = o->uuid,
                               .name = guest != NULL ? guest->name : "",
                               .has_action = true,
                               .action = o->action,
                               .result = ma_outcome_name(o->result)};
    if (o->result != MA_OUTCOME_DONE) {
        ma_report(d, &report, "Guest '%.64s': %s ended as %s%s%.120s.", report.name,
                  ma_action_name(o->action), report.result, o->detail[0] != '\0' ? ": " : "",
                  o->detail);
    }
}

/* Not answered is not refused: the command lies in the guest's socket, and a QEMU that comes back to life carries it
 * out. So what it takes stays in the ledger (P6), and a victim keeps its turn until its deadline (P4). */
static bool is_open_ended(enum ma_outcome_result result) {
    return result == MA_OUTCOME_TIMEOUT || result == MA_OUTCOME_GONE;
}

void ma_act_on_outcome(struct ma_daemon *d, const struct ma_outcome *outcome) {
    struct ma_tracked *guest = ma_guests_find(&d->guests, outcome->uuid);
    bool is_ours = false;
    for (unsigned lane = 0; guest != NULL && lane < MA_LANE_COUNT; lane++) {
        if (guest->requests[lane].is_open && guest->requests[lane].id == outcome->id) {
            guest->requests[lane].is_open = false;
            is_ours = true;
        }
    }
    if (!is_ours) {
        return; /* it was given up as timed out before, or the guest ended and that was its outcome */
    }
    if (outcome->result == MA_OUTCOME_DONE) {
        d->counters.done[outcome->action]++;
    } else if (outcome->result != MA_OUTCOME_DROPPED) {
        d->counters.failed[outcome->action]++;
    }
    if (outcome->action == MA_ACTION_KILL) {
        guest->is_killed = outcome->result == MA_OUTCOME_DONE;
    }
    if (outcome->action == MA_ACTION_PAUSE) {
        guest->is_pause_unanswered = is_open_ended(outcome->result);
    }
    ma_state_note_outcome(&d->state, outcome->uuid, outcome->action,
                          outcome->result == MA_OUTCOME_DONE || is_open_ended(outcome->result),
                          ma_now_usec());
    d->is_state_dirty = true;
    tell_outcome(d, guest, outcome);
    ma_keep_record_outcome(d, outcome);
    ma_hook_desk_tell_after(d, outcome);
}

void ma_act_expire(struct ma_daemon *d, uint64_t now_usec) {
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        for (unsigned lane = 0; lane < MA_LANE_COUNT; lane++) {
            const struct ma_open_request *open = &guest->requests[lane];
            if (!open->is_open || now_usec < open->expires_usec) {
                continue;
            }
            if (open->action == MA_ACTION_REBALANCE) {
                ma_kernel_actions_stop_rebalance(d->kernel);
            }
            struct ma_outcome outcome = {.id = open->id,
                                         .action = open->action,
                                         .result = MA_OUTCOME_TIMEOUT,
                                         .took_usec =
                                             ma_sub_floor0(now_usec, open->submitted_usec)};
            memcpy(outcome.uuid, guest->uuid, sizeof(outcome.uuid));
            ma_act_on_outcome(d, &outcome);
        }
    }
}

bool ma_act_is_idle(const struct ma_daemon *d) {
    for (size_t i = 0; i < d->guests.n; i++) {
        for (unsigned lane = 0; lane < MA_LANE_COUNT; lane++) {
            if (d->guests.items[i]->requests[lane].is_open) {
                return false;
            }
        }
    }
    return true;
}
