/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* daemon.h - everything that the loop owns. One thread, no locks; other threads get copies (publish.h, writer.h). */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "act.h"
#include "admission.h"
#include "build-snapshot.h"
#include "config.h"
#include "control.h"
#include "decide.h"
#include "exhausted.h"
#include "guests.h"
#include "hook-desk.h"
#include "host-watch.h"
#include "intent-log.h"
#include "keep.h"
#include "kernel-actions.h"
#include "libvirt-source.h"
#include "log.h"
#include "metrics.h"
#include "oom-watch.h"
#include "policy.h"
#include "publish.h"
#include "qmp-source.h"
#include "rehearse.h"
#include "state.h"
#include "writer.h"

/* Victims remembered for a day, for the history term. More than a host may have by its breaker (5 % an hour of 1,000
 * guests would be 1,200 a day): the oldest are forgotten first, which only makes them cheaper again. */
#define MA_VICTIM_HISTORY 256

/* Outcomes of a plan's actions that were not carried out, until its line stands in the record. The journal tells each. */
#define MA_NOT_TAKEN_MAX 64

struct ma_victim_note {
    char uuid[MA_UUID_MAX];
    uint64_t realtime_usec;
    bool is_readmitted; /* its operator lets it start again */
};
/* Command line of memarbd. */
struct ma_daemon_options {
    const char *config_path; /* NULL: the default one */
    const char *run_dir;     /* state, intents, lock */
    const char *proc_root;
    const char *sys_root;
    const char *cgroup_root;
    bool is_dry_run;      /* --dry-run */
    bool is_release_only; /* --release: give everything back, then end */
};

enum ma_daemon_phase {
    MA_PHASE_RUNNING,
    MA_PHASE_RELEASING, /* giving everything back, then `after_release` */
};

/* A command of an operator's on its way from the control thread to the loop and back. */
struct ma_command_slot {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool is_waiting, is_done;
    uint64_t number; /* an answer that comes too late finds another number */
    struct ma_command command;
    bool is_admission; /* `request` instead of `command` */
    struct ma_admission_request request;
    struct ma_admission_answer answer;
    int result;
    struct ma_err err;
};

struct ma_daemon {
    struct ma_daemon_options options;
    struct ma_config *config;
    struct ma_config *startup_config; /* lives as long as the daemon: sockets use its strings */
    sd_event *event;
    sd_event_source *tick;
    sd_event_source *qmp_timer;
    sd_event_source *psi;
    int command_fd;
    struct ma_command_slot slot;

    struct ma_host_watch host;
    struct ma_guests guests;
    struct ma_guests_host guests_host;
    struct ma_libvirt *libvirt;
    struct ma_qmp_source *qmp;
    struct ma_kernel_actions *kernel;
    struct ma_agent_source *agents; /* NULL: GuestAgent=no */
    sd_event_source *agents_io, *agents_timer;
    bool is_libvirt_connected;
    bool is_libvirt_listed;
    uint64_t libvirt_listed_usec;

    struct ma_snapshot_builder builder;
    struct ma_snapshot snapshot;
    struct ma_settings settings;
    uint64_t settings_total_bytes; /* host size that `settings` were resolved for */
    const struct ma_policy *policy;
    struct ma_state state, state_before;
    struct ma_plan plan;
    struct ma_scratch scratch;
    struct ma_rehearsal rehearsal;
    size_t met_guests;      /* that the last cycle saw */
    size_t measured_guests; /* that the used part of a budget is made of */

    struct ma_intent_log *intents;
    struct ma_writer *writer;
    struct ma_publisher *publisher;
    struct ma_control *control;
    struct ma_metrics *metrics;
    struct ma_view_counters counters;
    struct ma_view_guest *view_guests;
    struct ma_view_limit *view_limits; /* theirs */
    char *json_buf;
    size_t json_size;
    bool is_state_dirty;
    uint64_t recorded_usec;
    uint64_t dropped_told, dropped_told_usec;
    uint64_t total_told_bytes; /* of the host */
    enum ma_pressure last_pressure;
    struct ma_exhausted exhausted;
    struct ma_hook_desk desk;
    struct ma_oom_watch oom;

    bool has_arm_override; /* memarbctl arm, disarm, release: stands until the next one */
    enum ma_arm arm_override;
    enum ma_daemon_phase phase;
    bool should_exit_after_release;
    uint64_t release_deadline_usec;
    uint64_t release_asked_usec; /* when what is owed was asked for last */
    uint64_t started_usec;
    uint64_t tick_usec;
    uint64_t next_request_id;
    uint64_t state_written_usec;
    bool is_ready; /* sd_notify READY was sent */
    struct ma_daemon_pins pins;
    struct ma_victim_note victims[MA_VICTIM_HISTORY];
    size_t n_victims;
    struct ma_outcome not_taken[MA_NOT_TAKEN_MAX];
    size_t n_not_taken;
    struct ma_reservations reservations;
    bool is_overcommitted; /* told */
};

uint64_t ma_now_usec(void);                           /* CLOCK_MONOTONIC */
uint64_t ma_realtime_usec(void);                      /* CLOCK_REALTIME */
enum ma_arm ma_daemon_arm(const struct ma_daemon *d); /* in force */
/* P8: nothing outside memarb's own files changes, not even to give back. */
bool ma_daemon_is_dry_run(const struct ma_daemon *d);
/* May settings of guests that help to see (the balloon's statistics period) be made? */
bool ma_daemon_may_touch(const struct ma_daemon *d);

/* setup.c */
int ma_daemon_setup(struct ma_daemon *d, struct ma_err *err);
void ma_daemon_teardown(struct ma_daemon *d);
int ma_daemon_reload(struct ma_daemon *d, struct ma_err *err);
/* cycle.c */
enum ma_wake { MA_WAKE_TICK, MA_WAKE_PRESSURE };
void ma_cycle_run(struct ma_daemon *d, enum ma_wake why);
int ma_cycle_on_tick(sd_event_source *source, uint64_t usec, void *userdata);
int ma_cycle_on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata);
/* What is available has just changed by another meaning of it (a guest met, a new configuration): no trend of that. */
void ma_cycle_begin_trends(struct ma_daemon *d);
void ma_cycle_soon(struct ma_daemon *d);              /* runs the next cycle now */
void ma_cycle_at(struct ma_daemon *d, uint64_t usec); /* then at the latest */
/* sources.c */
void ma_sources_on_qmp(void *userdata, const struct ma_source_message *message);
void ma_sources_on_libvirt(struct ma_daemon *d, const struct ma_source_message *message);
int ma_sources_identify(void *userdata,
                        pid_t pid,
                        char uuid[MA_SOURCE_UUID_MAX],
                        char name[MA_SOURCE_NAME_MAX]);
void ma_sources_watch_processes(struct ma_daemon *d);
/* The configuration's [Guest] sections, to guests that libvirt does not know (its own it tells itself). */
void ma_sources_apply_rules(struct ma_daemon *d);
/* release.c */
void ma_release_begin(struct ma_daemon *d, bool should_exit);
void ma_release_step(struct ma_daemon *d, uint64_t now_usec);
int ma_release_guest(struct ma_daemon *d, struct ma_tracked *guest, struct ma_err *err);
/* commands.c */
void ma_daemon_apply_arming(struct ma_daemon *d);
int ma_commands_post(void *userdata, const struct ma_command *command, struct ma_err *err);
int ma_commands_admit(void *userdata,
                      const struct ma_admission_request *request,
                      struct ma_admission_answer *ret,
                      struct ma_err *err);
int ma_commands_on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata);
/* persist.c */
int ma_persist_load(struct ma_daemon *d, struct ma_err *err);
void ma_persist_save(struct ma_daemon *d);
