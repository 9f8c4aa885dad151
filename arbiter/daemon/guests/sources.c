/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sources.c - what the sources of guests report, into the table; and who a monitor that dials in belongs to. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "agents.h"
#include "bytes.h"
#include "guest-limits.h"
#include "metadata.h"
#include "report.h"

/* A process that libvirt does not know although it has listed all its domains: one of libvirt's that is just starting
 * (its QEMU dials in before libvirt has told of it), or a QEMU that somebody started without libvirt. So long after the
 * list and after its own start it is the latter. Too short: a guest that starts slowly is watched twice, and without its
 * settings; too long: a QEMU beside libvirt is not watched for that time. Chosen: QEMU's start takes seconds at most. */
#define FOREIGN_AFTER_USEC (15 * MA_USEC_PER_SEC)

/* What was asked of it has its outcome (P7), also where the one who carried it out finds nobody to ask any more: a kill
 * through libvirt returns after the process is gone. */
static void close_requests(struct ma_daemon *d, const struct ma_tracked *guest) {
    for (unsigned lane = 0; lane < MA_LANE_COUNT; lane++) {
        const struct ma_open_request *open = &guest->requests[lane];
        if (!open->is_open) {
            continue;
        }
        bool is_its_end = open->action == MA_ACTION_KILL || open->action == MA_ACTION_SHUTDOWN ||
                          open->action == MA_ACTION_SAVE;
        struct ma_outcome outcome = {.id = open->id,
                                     .action = open->action,
                                     .result = is_its_end ? MA_OUTCOME_DONE : MA_OUTCOME_GONE,
                                     .took_usec =
                                         ma_sub_floor0(ma_now_usec(), open->submitted_usec)};
        memcpy(outcome.uuid, guest->uuid, sizeof(outcome.uuid));
        ma_act_on_outcome(d, &outcome);
    }
}

/* It ended, and with it all that was taken from it; a guest of the same uuid starts anew. */
static void drop(struct ma_daemon *d, struct ma_tracked *guest) {
    close_requests(d, guest);
    if (guest->process.pid != 0) {
        ma_guest_limits_forget(guest);
    }
    ma_agents_forget(d, guest->uuid);
    struct ma_guest_memory *memory = ma_state_find(&d->state, guest->uuid);
    if (memory != NULL) {
        char uuid[MA_UUID_MAX];
        memcpy(uuid, memory->uuid, sizeof(uuid));
        memset(memory, 0, sizeof(*memory));
        memcpy(memory->uuid, uuid, sizeof(uuid));
        d->is_state_dirty = true;
    }
    if (guest->pidfd_watch != NULL) {
        guest->pidfd_watch = sd_event_source_unref(guest->pidfd_watch);
    }
    ma_guests_drop(&d->guests, guest);
    ma_cycle_soon(d);
}

static int on_process_end(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) revents;
    (void) source;
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (guest->process.pid != 0 && guest->process.pidfd == fd) {
            ma_log(MA_LOG_DEBUG, "guest '%.64s' ended", guest->name);
            ma_oom_watch_on_end(d, guest);
            drop(d, guest);
            return 0;
        }
    }
    return 0;
}

void ma_sources_watch_processes(struct ma_daemon *d) {
    for (size_t i = 0; i < d->guests.n; i++) {
        struct ma_tracked *guest = d->guests.items[i];
        if (guest->process.pid == 0 || guest->pidfd_watch != NULL || guest->process.pidfd < 0) {
            continue;
        }
        sd_event_source *watch = NULL;
        if (sd_event_add_io(d->event, &watch, guest->process.pidfd, EPOLLIN, on_process_end, d) >=
            0) {
            /* ends are seen before the next tick plans on a guest that is gone */
            (void) sd_event_source_set_priority(watch, SD_EVENT_PRIORITY_IMPORTANT);
            guest->pidfd_watch = watch;
        }
    }
}

/* Settings of a guest that libvirt does not know: host rules by uuid and name. */
static void apply_rules(struct ma_daemon *d, struct ma_tracked *guest) {
    struct ma_said said = {0};
    struct ma_rule_subject subject = {.uuid = guest->uuid, .name = guest->name};
    guest->config.problem[0] = '\0';
    ma_rules_merge(&d->config->rules, &subject, &said, guest->config.problem);
    guest->config.config = said.config;
    guest->config.from_rules = said.config.has;
    (void) snprintf(guest->config.group, sizeof(guest->config.group), "%s", said.group);
    guest->has_config = true;
}

void ma_sources_apply_rules(struct ma_daemon *d) {
    for (size_t i = 0; i < d->guests.n; i++) {
        if (d->guests.items[i]->has_facts && !d->guests.items[i]->is_on_libvirt) {
            apply_rules(d, d->guests.items[i]);
        }
    }
}

static void on_guest(struct ma_daemon *d,
                     struct ma_tracked *guest,
                     const struct ma_source_message *m,
                     enum ma_origin origin) {
    const struct ma_source_guest *facts = &m->guest;
    bool is_other_process =
        guest->process.pid != 0 && facts->pid != 0 && facts->pid != guest->process.pid;
    if (is_other_process && origin == MA_ORIGIN_LIBVIRT && d->qmp != NULL) {
        ma_qmp_source_drop(d->qmp,
                           guest->uuid); /* libvirt's word on its own domain outranks a monitor's */
    }
    if (is_other_process) {
        guest->pidfd_watch = sd_event_source_unref(guest->pidfd_watch);
        ma_guest_limits_forget(guest);
        ma_process_close(&guest->process);
        guest->process = MA_PROCESS_CLOSED;
        if (guest->cgroup.dir_fd >= 0) {
            ma_cgroup_close(&guest->cgroup);
            guest->cgroup = MA_CGROUP_CLOSED;
        }
        guest->sampled_usec = 0;
        guest->has_figures = false;
        guest->devices_checked_usec = 0;
        guest->agent = (struct ma_tracked_agent){0};
        ma_agents_forget(d, guest->uuid);
        guest->is_killed = guest->is_ending_by_us = false;
        guest->oom = (struct ma_oom_base){.is_known = false};
        guest->is_pause_unanswered = false;
    }
    struct ma_source_guest merged = *facts;
    guest->inhibited_by[origin] = facts->inhibited_by;
    if (guest->has_facts && !is_other_process) {
        merged.pid = facts->pid != 0 ? facts->pid : guest->facts.pid;
        merged.vcpus = facts->vcpus != 0 ? facts->vcpus : guest->facts.vcpus;
        merged.max_bytes = facts->max_bytes != 0 ? facts->max_bytes : guest->facts.max_bytes;
        merged.pins = facts->pins.is_known ? facts->pins : guest->facts.pins;
    }
    if (origin != MA_ORIGIN_LIBVIRT && guest->is_on_libvirt) { /* a monitor knows no channel */
        memcpy(merged.agent_path, guest->facts.agent_path, sizeof(merged.agent_path));
    }
    guest->facts = merged;
    guest->has_facts = true;
    (void) snprintf(guest->name, sizeof(guest->name), "%s", facts->name);
    guest->devices_checked_usec = 0;
    if (!guest->is_on_libvirt) {
        apply_rules(d, guest);
    }
    guest->process_retry_usec = 0;
    if (ma_tracked_sample(guest, &d->guests_host, ma_now_usec()) == 0) {
        ma_sources_watch_processes(d);
    }
    ma_agents_note_guest(d, guest);
}

/* A pause that was given up as not answered is carried out after all: ours to end (P6). */
static void note_late_pause(struct ma_daemon *d, struct ma_tracked *guest) {
    struct ma_guest_memory *memory = ma_state_get(&d->state, guest->uuid);
    if (memory != NULL && (memory->taken & MA_TAKEN_PAUSE) == 0) {
        memory->taken |= MA_TAKEN_PAUSE;
        memory->paused_since_usec = ma_now_usec();
        memory->pause_is_settled = true;
        memory->resume_sent_usec = 0;
        d->is_state_dirty = true;
    }
    guest->is_pause_unanswered = false;
}

static void
on_state(struct ma_daemon *d, struct ma_tracked *guest, const struct ma_source_message *m) {
    bool was_paused = guest->has_state && guest->state == MA_GUEST_PAUSED;
    guest->has_state = true;
    guest->state = m->state.state;
    if (guest->state == MA_GUEST_PAUSED && guest->is_pause_unanswered) {
        note_late_pause(d, guest);
    }
    const struct ma_guest_memory *memory = ma_state_find(&d->state, guest->uuid);
    bool is_ours = memory != NULL && (memory->taken & MA_TAKEN_PAUSE) != 0;
    if (was_paused && m->state.state == MA_GUEST_RUNNING && m->state.is_by_other && is_ours &&
        memory->resume_sent_usec == 0) {
        ma_state_note_operator_resume(&d->state, guest->uuid, ma_now_usec(),
                                      d->settings.operator_resume_usec);
        d->is_state_dirty = true;
        ma_log(MA_LOG_NOTICE,
               "guest '%.64s' was resumed by somebody else; it is left alone for a while",
               guest->name);
    }
}

static void
on_config(struct ma_daemon *d, struct ma_tracked *guest, const struct ma_source_message *m) {
    bool is_new_problem =
        m->config.problem[0] != '\0' && strcmp(m->config.problem, guest->config.problem) != 0;
    guest->config = m->config;
    guest->has_config = true;
    if (is_new_problem) {
        struct ma_report report = {.message_id = MA_MESSAGE_GUEST_METADATA_BAD,
                                   .kind = "metadata",
                                   .level = MA_LOG_WARNING,
                                   .uuid = guest->uuid,
                                   .name = guest->name};
        ma_report(d, &report, "Settings of guest '%.64s': %s", guest->name, guest->config.problem);
    }
}

/* libvirt's balloon figure is its last event, at most one a second and sometimes late; a monitor of the guest's own
 * says what is. Mixing the two would make a balloon seem to move back, as if somebody else had moved it. */
#define MONITOR_WORD_STANDS_USEC (15 * MA_USEC_PER_SEC)

static bool
is_monitor_fresher(const struct ma_tracked *guest, enum ma_origin origin, uint64_t now) {
    return origin == MA_ORIGIN_LIBVIRT && guest->monitor_figures_usec != 0 &&
           now < guest->monitor_figures_usec + MONITOR_WORD_STANDS_USEC;
}

static void
on_figures(struct ma_tracked *guest, const struct ma_source_message *m, enum ma_origin origin) {
    const struct ma_source_figures *fresh = &m->figures;
    if (is_monitor_fresher(guest, origin, fresh->taken_usec) ||
        (guest->has_figures && fresh->taken_usec < guest->figures.taken_usec)) {
        return;
    }
    struct ma_stats stats = guest->figures.stats;
    guest->figures = *fresh;
    if (fresh->stats.has == 0) {
        guest->figures.stats = stats; /* a balloon event alone: the statistics stay, and age */
    } else {
        guest->stats_taken_usec = fresh->taken_usec;
    }
    if (origin == MA_ORIGIN_QMP) {
        guest->monitor_figures_usec = fresh->taken_usec;
    }
    guest->has_figures = true;
}

static void on_stuck(struct ma_daemon *d, struct ma_tracked *guest, bool is_stuck) {
    if (guest->is_stuck == is_stuck) {
        return;
    }
    guest->is_stuck = is_stuck;
    struct ma_report report = {.message_id =
                                   is_stuck ? MA_MESSAGE_GUEST_STUCK : MA_MESSAGE_GUEST_UNSTUCK,
                               .kind = is_stuck ? "stuck" : "unstuck",
                               .level = is_stuck ? MA_LOG_WARNING : MA_LOG_NOTICE,
                               .uuid = guest->uuid,
                               .name = guest->name};
    ma_report(d, &report,
              is_stuck ? "Calls on guest '%.64s' do not return; it is left out until they do."
                       : "Guest '%.64s' answers again.",
              guest->name);
}

static void on_connection(struct ma_daemon *d, enum ma_source_event event) {
    bool is_there = event == MA_SOURCE_CONNECTED;
    if (is_there != d->is_libvirt_connected) {
        struct ma_report report = {.message_id =
                                       is_there ? MA_MESSAGE_LIBVIRT_BACK : MA_MESSAGE_LIBVIRT_LOST,
                                   .kind = is_there ? "libvirt-back" : "libvirt-lost",
                                   .level = is_there ? MA_LOG_NOTICE : MA_LOG_WARNING};
        ma_report(d, &report,
                  is_there ? "libvirt answers."
                           : "The connection to libvirt broke; its figures age.");
    }
    d->is_libvirt_connected = is_there;
    d->is_libvirt_listed = false;
    for (size_t i = 0; is_there && i < d->guests.n; i++) {
        d->guests.items[i]->is_listed = false;
    }
}

/* What libvirt no longer lists and no process stands for, is gone; a process that lives says that it is not. */
static void on_list_done(struct ma_daemon *d) {
    d->is_libvirt_listed = true;
    d->libvirt_listed_usec = ma_now_usec();
    for (size_t i = d->guests.n; i > 0; i--) {
        struct ma_tracked *guest = d->guests.items[i - 1];
        if (guest->is_on_libvirt && !guest->is_listed && guest->process.pid == 0) {
            drop(d, guest);
        }
    }
    ma_cycle_soon(d);
}

static void on_ended(struct ma_daemon *d, struct ma_tracked *guest) {
    guest->is_said_ended = true;
    if (guest->process.pid == 0) {
        drop(d, guest);
    }
}

static void on_guest_message(struct ma_daemon *d,
                             struct ma_tracked *guest,
                             const struct ma_source_message *m,
                             enum ma_origin origin) {
    switch (m->event) {
    case MA_SOURCE_GUEST:
        on_guest(d, guest, m, origin);
        break;
    case MA_SOURCE_STATE:
        on_state(d, guest, m);
        break;
    case MA_SOURCE_CONFIG:
        on_config(d, guest, m);
        break;
    case MA_SOURCE_FIGURES:
        on_figures(guest, m, origin);
        break;
    case MA_SOURCE_RESET:
        guest->reset_usec = ma_now_usec();
        break;
    case MA_SOURCE_STUCK:
    case MA_SOURCE_UNSTUCK:
        on_stuck(d, guest, m->event == MA_SOURCE_STUCK);
        break;
    case MA_SOURCE_ENDED:
        on_ended(d, guest);
        break;
    case MA_SOURCE_CONNECTED:
    case MA_SOURCE_DISCONNECTED:
    case MA_SOURCE_LIST_DONE:
    case MA_SOURCE_OUTCOME:
        break;
    }
}

static void
handle(struct ma_daemon *d, const struct ma_source_message *message, enum ma_origin origin) {
    if (message->event == MA_SOURCE_CONNECTED || message->event == MA_SOURCE_DISCONNECTED) {
        on_connection(d, message->event);
        return;
    }
    if (message->event == MA_SOURCE_LIST_DONE) {
        on_list_done(d);
        return;
    }
    if (message->event == MA_SOURCE_OUTCOME) {
        ma_act_on_outcome(d, &message->outcome);
        return;
    }
    bool is_news = message->event == MA_SOURCE_GUEST || message->event == MA_SOURCE_STATE;
    struct ma_tracked *guest = is_news ? ma_guests_get(&d->guests, message->uuid)
                                       : ma_guests_find(&d->guests, message->uuid);
    if (guest == NULL) {
        if (is_news) {
            ma_log(MA_LOG_WARNING, "guest %.64s is not watched: raise MaxGuests=", message->uuid);
        }
        return;
    }
    if (message->event == MA_SOURCE_GUEST && origin == MA_ORIGIN_LIBVIRT) {
        guest->is_on_libvirt = true;
        guest->is_listed = true;
    }
    on_guest_message(d, guest, message, origin);
}

void ma_sources_on_qmp(void *userdata, const struct ma_source_message *message) {
    handle(userdata, message, MA_ORIGIN_QMP);
}

void ma_sources_on_libvirt(struct ma_daemon *d, const struct ma_source_message *message) {
    handle(d, message, MA_ORIGIN_LIBVIRT);
}

/* From its first word on the place in the table lasts as long as the process: one that dials in, says nothing of itself
 * and ends would keep it for ever. */
static int hold_process(struct ma_daemon *d, struct ma_tracked *guest, pid_t pid) {
    guest->facts.pid = pid;
    guest->process_retry_usec = 0;
    if (ma_tracked_open_process(guest, &d->guests_host, ma_now_usec()) < 0) {
        drop(d, guest);
        return -ESRCH;
    }
    ma_sources_watch_processes(d);
    return 0;
}

static bool is_libvirts_host(const struct ma_daemon *d) {
    return d->config->host.libvirt == MA_LIBVIRT_YES || d->is_libvirt_connected;
}

/* A QEMU that libvirt does not know, held by its process and named by its own command line. Beside libvirt it gets no
 * uuid by that: it could claim the one of a domain that has not started yet, and stand in its way. */
static int identify_foreign(struct ma_daemon *d, pid_t pid, char *uuid, char *name) {
    struct ma_err err = {0};
    struct ma_process process = MA_PROCESS_CLOSED;
    struct ma_process_identity identity = {0};
    struct ma_process_sample sample;
    if (ma_process_open(&process, d->options.proc_root, pid, &err) < 0) {
        return -ESRCH;
    }
    int r = ma_process_read_identity(&process, &identity, &err);
    r = r == 0 ? ma_process_read(&process, &sample, &err) : r;
    uint64_t ticks = process.start_ticks;
    ma_process_close(&process);
    if (r < 0) {
        return r;
    }
    if (is_libvirts_host(d) &&
        ma_now_usec() < ma_process_started_usec(ticks) + FOREIGN_AFTER_USEC) {
        return -EAGAIN;
    }
    if (identity.uuid[0] != '\0' && !is_libvirts_host(d)) {
        (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "%s", identity.uuid);
    } else {
        (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "pid-%d-%llu", (int) pid,
                        (unsigned long long) ticks);
    }
    (void) snprintf(name, MA_SOURCE_NAME_MAX, "%s",
                    identity.name[0] != '\0' ? identity.name : uuid);
    struct ma_tracked *guest = ma_guests_get(&d->guests, uuid);
    if (guest == NULL) {
        return -ENOSPC;
    }
    bool is_anothers = guest->facts.pid != 0 && guest->facts.pid != pid;
    if (is_anothers) {
        return -EEXIST;
    }
    guest->is_on_qmp = true;
    return hold_process(d, guest, pid);
}

int ma_sources_identify(void *userdata,
                        pid_t pid,
                        char uuid[MA_SOURCE_UUID_MAX],
                        char name[MA_SOURCE_NAME_MAX]) {
    struct ma_daemon *d = userdata;
    struct ma_tracked *guest = ma_guests_find_by_pid(&d->guests, pid);
    if (guest != NULL) {
        (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "%s", guest->uuid);
        (void) snprintf(name, MA_SOURCE_NAME_MAX, "%s", guest->name);
        guest->is_on_qmp = true;
        return 0;
    }
    uint64_t now = ma_now_usec();
    bool may_be_libvirts =
        is_libvirts_host(d) &&
        (!d->is_libvirt_listed || now < d->libvirt_listed_usec + FOREIGN_AFTER_USEC);
    if (may_be_libvirts) {
        return -EAGAIN;
    }
    return identify_foreign(d, pid, uuid, name);
}
