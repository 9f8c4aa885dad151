/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup.c - puts the parts together and takes them apart; a reload swaps what can be swapped. */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agents.h"
#include "bytes.h"
#include "guest-limits.h"
#include "json-write.h"
#include "report.h"

/* One JSON line: a cycle of a guest is about 2 KiB with all its options, its state 1 KiB. Too small: cycles are left
 * out of the record. Only what is written to is ever resident. */
#define JSON_BASE_BYTES      ((size_t) MA_MIB)
#define JSON_PER_GUEST_BYTES ((size_t) 8 * 1024)
#define QMP_DEADLINE_USEC    (5 * MA_USEC_PER_SEC)
/* A statistics call on one domain: 1.5 ms when all is well. Shorter: a busy host's guests count as stuck (2 s did, with
 * two cores and five emulated guests); longer: a hung one holds its worker that long. */
#define LIBVIRT_DEADLINE_USEC (5 * MA_USEC_PER_SEC)
/* The user that libvirt runs QEMU as on Debian; its QEMUs must be able to dial in. */
#define QEMU_USER "libvirt-qemu"

static int on_libvirt(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    struct ma_source_message message;
    (void) source;
    (void) fd;
    (void) revents;
    /* bounded: the rest is signalled again */
    for (int i = 0; i < 256 && ma_libvirt_pop(d->libvirt, &message); i++) {
        ma_sources_on_libvirt(d, &message);
    }
    return 0;
}

static int on_qmp(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) source;
    (void) fd;
    (void) revents;
    ma_qmp_source_dispatch(d->qmp, ma_now_usec());
    return 0;
}

static int on_qmp_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) source;
    (void) usec;
    ma_qmp_source_dispatch(d->qmp, ma_now_usec());
    return 0;
}

/* After every other event: when do the monitors want to be looked at next? */
static int on_post(sd_event_source *source, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) source;
    ma_agents_after_event(d);
    if (d->qmp_timer != NULL) {
        uint64_t at = ma_qmp_source_deadline(d->qmp);
        (void) sd_event_source_set_time(d->qmp_timer, at);
        (void) sd_event_source_set_enabled(d->qmp_timer,
                                           at == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
    }
    return 0;
}

static int on_kernel(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    struct ma_outcome outcome;
    (void) source;
    (void) fd;
    (void) revents;
    while (ma_kernel_actions_pop(d->kernel, &outcome)) {
        if (!ma_guest_limits_on_outcome(d, &outcome)) {
            ma_act_on_outcome(d, &outcome);
        }
    }
    return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
    struct ma_daemon *d = userdata;
    (void) source;
    (void) info;
    (void) sd_notify(0, "STOPPING=1");
    struct ma_report report = {
        .message_id = MA_MESSAGE_STOP, .kind = "stop", .level = MA_LOG_NOTICE};
    bool should_release = d->config->arbiter.should_give_back_on_stop && !ma_daemon_is_dry_run(d);
    ma_report(d, &report, "memarbd ends%s.", should_release ? " after giving everything back" : "");
    if (should_release) {
        ma_release_begin(d, true);
    } else {
        ma_persist_save(d);
        (void) sd_event_exit(d->event, 0);
    }
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
    (void) source;
    (void) info;
    (void) ma_daemon_reload(userdata, NULL); /* told by itself */
    return 0;
}

static struct ma_host_watch_options host_options(const struct ma_daemon *d,
                                                 const struct ma_config *c) {
    const struct ma_config_amount *budget = &c->host.budget;
    return (struct ma_host_watch_options){
        .proc_root = d->options.proc_root,
        .sys_root = d->options.sys_root,
        .cgroup_root = d->options.cgroup_root,
        .budget_bytes = budget->is_said && !budget->is_percent ? budget->bytes : UINT64_MAX,
        .budget_permyriad = budget->is_said && budget->is_percent ? budget->permyriad : 0,
        .budget_cgroup = c->host.budget_cgroup,
        .psi_stall_usec = c->host.psi_stall_usec,
        .psi_window_usec = c->host.psi_window_usec,
    };
}

static int watch_psi(struct ma_daemon *d) {
    d->psi = sd_event_source_unref(d->psi);
    if (d->host.trigger.fd < 0) {
        return 0;
    }
    int r =
        sd_event_add_io(d->event, &d->psi, d->host.trigger.fd, EPOLLPRI, ma_cycle_on_pressure, d);
    if (r >= 0) {
        /* before everything else that may be ready at the same moment */
        r = sd_event_source_set_priority(d->psi, SD_EVENT_PRIORITY_IMPORTANT - 10);
    }
    return r;
}

static int setup_memory(struct ma_daemon *d, struct ma_err *err) {
    size_t max = d->config->host.max_guests;
    void *state = calloc(1, ma_state_memory_size(max));
    void *before = calloc(1, ma_state_memory_size(max));
    void *plan = calloc(1, ma_plan_memory_size(max));
    d->scratch.bytes = ma_scratch_size(max);
    d->scratch.memory = calloc(1, d->scratch.bytes);
    d->json_size = JSON_BASE_BYTES + max * JSON_PER_GUEST_BYTES;
    d->json_buf = malloc(d->json_size);
    d->view_guests = calloc(max, sizeof(*d->view_guests));
    d->view_limits = calloc(max, MA_LIMIT_COUNT * sizeof(*d->view_limits));
    bool has_all = state != NULL && before != NULL && plan != NULL && d->scratch.memory != NULL &&
                   d->json_buf != NULL && d->view_guests != NULL && d->view_limits != NULL;
    if (!has_all || ma_guests_init(&d->guests, max) < 0 ||
        ma_snapshot_builder_init(&d->builder, max) < 0) {
        return ma_err_set(err, -ENOMEM, "no memory for MaxGuests=%zu", max);
    }
    ma_state_init(&d->state, state, max, d->started_usec);
    ma_state_init(&d->state_before, before, max, d->started_usec);
    ma_plan_init(&d->plan, plan, max);
    return 0;
}

static char *record_header(struct ma_daemon *d) {
    char host[64] = "";
    struct ma_json json;
    (void) gethostname(host, sizeof(host) - 1);
    struct ma_settings settings;
    ma_settings_init(&settings);
    struct ma_err err = {0};
    (void) ma_config_settings(d->config, d->host.host.total_bytes, &settings, &err);
    ma_json_init(&json, d->json_buf, d->json_size);
    ma_json_object(&json, NULL);
    ma_json_u64(&json, "record", 1);
    ma_json_string(&json, "memarb", MEMARB_VERSION);
    ma_json_string(&json, "host", host);
    ma_json_u64(&json, "started_realtime_usec", ma_realtime_usec());
    ma_json_settings(&json, "settings", &settings);
    ma_json_end_object(&json);
    return d->json_buf;
}

static struct ma_writer *log_writer; /* set while the writer's thread runs */

/* The journal's stream may stand still while the host is short; only the writer's thread may wait for it. */
static void log_through_writer(enum ma_log_level level, const char *message) {
    char *fields = NULL;
    int n = asprintf(&fields, "MESSAGE=%s%cPRIORITY=%d", message, '\0', (int) level);
    if (n > 0) {
        ma_writer_journal(log_writer, fields, (size_t) n + 1);
    }
}

static int setup_writer(struct ma_daemon *d, struct ma_err *err) {
    char state_path[MA_PATH_MAX];
    char record_path[MA_PATH_MAX] = "";
    (void) snprintf(state_path, sizeof(state_path), "%s/state.json", d->options.run_dir);
    const char *dir = d->config->record.directory;
    if (dir[0] != '\0' && !d->options.is_release_only) {
        if (strlen(dir) + sizeof("/record.jsonl.1") > sizeof(record_path)) {
            return ma_err_set(err, -ENAMETOOLONG, "[Record] Directory= is too long: %s", dir);
        }
        if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
            ma_log(MA_LOG_WARNING, "no record is kept: cannot make %s: %s", dir, strerror(errno));
        } else {
            (void) snprintf(record_path, sizeof(record_path), "%s/record.jsonl", dir);
        }
    }
    struct ma_writer_options options = {.state_path = state_path,
                                        .record_path = record_path,
                                        .record_max_bytes = d->config->record.max_size_bytes,
                                        .record_header = record_header(d)};
    int r = ma_writer_create(&options, &d->writer, err);
    if (r == 0) {
        log_writer = d->writer;
        ma_log_set_sink(log_through_writer);
    }
    return r;
}

static bool is_libvirt_wanted(const struct ma_daemon *d) {
    if (d->config->host.libvirt == MA_LIBVIRT_AUTO) {
        return access("/run/libvirt/libvirt-sock", F_OK) == 0 ||
               access("/run/libvirt/virtqemud-sock", F_OK) == 0;
    }
    return d->config->host.libvirt == MA_LIBVIRT_YES;
}

static int setup_libvirt(struct ma_daemon *d, struct ma_err *err) {
    if (!is_libvirt_wanted(d)) {
        return 0;
    }
    struct ma_libvirt_config config = {
        .uri = d->config->host.libvirt_uri,
        .run_dir = d->config->host.libvirt_run_dir,
        .stats_period_usec = d->config->host.guest_sample_usec,
        .call_deadline_usec = LIBVIRT_DEADLINE_USEC,
        .max_guests = d->config->host.max_guests,
        .leave_balloon_period = !ma_daemon_may_touch(d),
        .keep_balloon_period = !d->config->arbiter.should_give_back_on_stop,
        .rules = d->config->rules,
    };
    int r = ma_libvirt_start(&config, &d->libvirt, err);
    if (r == 0) {
        r = sd_event_add_io(d->event, NULL, ma_libvirt_fd(d->libvirt), EPOLLIN, on_libvirt, d);
    }
    return r;
}

static uid_t qemu_uid(void) {
    const struct passwd *user = getpwnam(QEMU_USER);
    return user != NULL && geteuid() == 0 ? user->pw_uid : geteuid();
}

static int setup_qmp(struct ma_daemon *d, struct ma_err *err) {
    const struct ma_config_host *host = &d->config->host;
    if (host->qmp_listen[0] == '\0' && host->qmp_sockets.n == 0) {
        return 0;
    }
    struct ma_qmp_source_config config = {
        .listen_path = host->qmp_listen,
        .listen_uid = qemu_uid(),
        .globs = host->qmp_sockets.items,
        .n_globs = host->qmp_sockets.n,
        .mode = host->qmp_mode == MA_QMP_PER_COMMAND ? MA_QMP_SOURCE_PER_COMMAND
                                                     : MA_QMP_SOURCE_DEDICATED,
        .max_peers = host->max_guests,
        .poll_usec = host->guest_sample_usec,
        .deadline_usec = QMP_DEADLINE_USEC,
        .may_touch = ma_daemon_may_touch(d),
    };
    struct ma_qmp_source_ops ops = {d, ma_sources_on_qmp, ma_sources_identify};
    int r = ma_qmp_source_create(&config, &ops, &d->qmp, err);
    if (r == 0) {
        r = sd_event_add_io(d->event, NULL, ma_qmp_source_fd(d->qmp), EPOLLIN, on_qmp, d);
    }
    if (r >= 0) {
        r = sd_event_add_time(d->event, &d->qmp_timer, CLOCK_MONOTONIC, 0, 1000, on_qmp_timer, d);
    }
    return r < 0 ? r : 0;
}

static const struct ma_view *lock_view(void *userdata) {
    return ma_publish_lock(((struct ma_daemon *) userdata)->publisher);
}
static void unlock_view(void *userdata) {
    ma_publish_unlock(((struct ma_daemon *) userdata)->publisher);
}
static void reader_starts(void *userdata) {
    ma_publish_thread_start(((struct ma_daemon *) userdata)->publisher);
}
static void reader_stops(void *userdata) {
    ma_publish_thread_stop(((struct ma_daemon *) userdata)->publisher);
}

static int setup_control(struct ma_daemon *d, struct ma_err *err) {
    if (d->options.is_release_only) {
        return 0;
    }
    struct ma_control_options options = {d->config->control.socket, d->config->control.group};
    if (options.group[0] != '\0' && getgrnam(options.group) == NULL) {
        ma_log(MA_LOG_WARNING, "there is no group '%s': the control socket is for root alone",
               options.group);
        options.group = "";
    }
    struct ma_control_ops ops = {.userdata = d,
                                 .view_lock = lock_view,
                                 .view_unlock = unlock_view,
                                 .command = ma_commands_post,
                                 .admit = ma_commands_admit,
                                 .thread_start = reader_starts,
                                 .thread_stop = reader_stops};
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&d->slot.lock, NULL);
    pthread_cond_init(&d->slot.answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    d->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->command_fd < 0) {
        return ma_err_set(err, -errno, "eventfd: %s", strerror(errno));
    }
    int r = sd_event_add_io(d->event, NULL, d->command_fd, EPOLLIN, ma_commands_on_event, d);
    return r < 0 ? r : ma_control_create(&options, &ops, &d->control, err);
}

static int setup_metrics(struct ma_daemon *d, struct ma_err *err) {
    const struct ma_config_metrics *config = &d->config->metrics;
    struct ma_metrics_options options = {.socket_path = config->socket,
                                         .group = d->config->control.group,
                                         .port = (uint16_t) config->port,
                                         .file_path = config->file,
                                         .file_period_usec = config->file_interval_usec};
    struct ma_metrics_ops ops = {.userdata = d,
                                 .view_lock = lock_view,
                                 .view_unlock = unlock_view,
                                 .thread_start = reader_starts,
                                 .thread_stop = reader_stops};
    if (d->options.is_release_only) {
        return 0;
    }
    if (options.group[0] != '\0' && getgrnam(options.group) == NULL) {
        options.group = ""; /* said already, of the control socket */
    }
    return ma_metrics_create(&options, &ops, &d->metrics, err);
}

static int setup_loop(struct ma_daemon *d, struct ma_err *err) {
    int r = sd_event_default(&d->event);
    if (r >= 0) {
        r = sd_event_add_signal(d->event, NULL, SIGTERM, on_stop, d);
    }
    if (r >= 0) {
        r = sd_event_add_signal(d->event, NULL, SIGINT, on_stop, d);
    }
    if (r >= 0) {
        r = sd_event_add_signal(d->event, NULL, SIGHUP, on_reload, d);
    }
    if (r >= 0) {
        /* exact: the default accuracy of 250 ms would be the whole busy period */
        r = sd_event_add_time(d->event, &d->tick, CLOCK_MONOTONIC, 0, 1000, ma_cycle_on_tick, d);
    }
    if (r >= 0) {
        r = sd_event_add_post(d->event, NULL, on_post, d);
    }
    if (r >= 0) {
        r = sd_event_add_io(d->event, NULL, ma_kernel_actions_fd(d->kernel), EPOLLIN, on_kernel, d);
    }
    if (r >= 0) {
        r = watch_psi(d);
    }
    if (r >= 0) {
        r = sd_event_set_watchdog(d->event, true);
    }
    return r < 0 ? ma_err_set(err, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

static int setup_host(struct ma_daemon *d, struct ma_err *err) {
    struct ma_host_watch_options options = host_options(d, d->config);
    int r = ma_host_watch_open(&d->host, &options, err);
    if (r == 0) {
        r = ma_host_watch_sample(&d->host, 0, ma_now_usec(), err);
    }
    if (r == 0) {
        r = ma_config_settings(d->config, d->host.host.total_bytes, &d->settings, err);
    }
    d->guests_host = (struct ma_guests_host){.proc_root = d->options.proc_root,
                                             .cgroup_root = &d->host.cgroup_root,
                                             .has_nodes = d->host.has_nodes};
    return r;
}

int ma_daemon_setup(struct ma_daemon *d, struct ma_err *err) {
    d->started_usec = ma_now_usec();
    d->tick_usec = d->config->host.sample_idle_usec;
    d->pins.can_raise_limits = ma_process_can_raise_limits(d->options.proc_root);
    d->policy = ma_policy_find(d->config->arbiter.policy);
    int r = setup_memory(d, err);
    r = r < 0 ? r : ma_persist_load(d, err);
    r = r < 0 ? r : setup_host(d, err);
    r = r < 0 ? r : ma_kernel_actions_create(&d->guests, &d->kernel, err);
    r = r < 0 ? r : setup_writer(d, err);
    r = r < 0 ? r : setup_loop(d, err);
    if (r < 0) {
        return r;
    }
    d->state.started_usec = d->started_usec; /* quiet time counts from this life's start (P13) */
    d->publisher = ma_publisher_create();
    if (d->publisher == NULL) {
        return ma_err_set(err, -ENOMEM, "out of memory");
    }
    r = setup_qmp(d, err);
    r = r < 0 ? r : ma_agents_setup(d, qemu_uid(), err);
    r = r < 0 ? r : setup_libvirt(d, err);
    r = r < 0 ? r : ma_exhausted_prepare(d, d->config, err);
    r = r < 0 ? r : ma_hook_desk_prepare(d, d->config, err);
    r = r < 0 ? r : setup_control(d, err);
    r = r < 0 ? r : setup_metrics(d, err);
    if (r < 0) {
        return err->code != 0 ? r : ma_err_set(err, r, "cannot start: %s", strerror(-r));
    }
    struct ma_report report = {
        .message_id = MA_MESSAGE_START, .kind = "start", .level = MA_LOG_NOTICE};
    char total[MA_FORMAT_MAX];
    ma_report(d, &report, "memarbd %s is ready: host is the %s of %s, armed: %s%s, policy %s.",
              MEMARB_VERSION, ma_host_meaning_name(d->host.meaning),
              ma_format_bytes(total, d->host.host.total_bytes), ma_arm_name(ma_daemon_arm(d)),
              ma_daemon_may_touch(d) ? "" : " (nothing is touched)", d->policy->name);
    if (d->host.cgroup_root.layout != MA_CGROUP_V2) {
        ma_log(MA_LOG_NOTICE,
               "the host's cgroups are %s, not v2 alone: guests are not capped and not reclaimed "
               "from; balloons and all other ways work",
               ma_cgroup_layout_name(d->host.cgroup_root.layout));
    }
    if (d->options.is_release_only) {
        ma_release_begin(d, true);
        d->release_deadline_usec += 15 * MA_USEC_PER_SEC;
    }
    return 0;
}

void ma_daemon_teardown(struct ma_daemon *d) {
    ma_metrics_destroy(d->metrics);
    ma_control_destroy(d->control);
    ma_libvirt_stop(d->libvirt);
    ma_qmp_source_destroy(d->qmp);
    ma_agents_teardown(d);
    ma_kernel_actions_destroy(d->kernel);
    ma_exhausted_teardown(d);
    ma_hook_desk_teardown(d);
    ma_log_set_sink(NULL);
    ma_writer_destroy(d->writer);
    ma_publisher_destroy(d->publisher);
    if (d->host.sampled_usec != 0) { /* opened */
        ma_host_watch_close(&d->host);
    }
    ma_intent_log_close(d->intents);
    ma_limit_log_close(d->pins.limit_log);
    for (size_t i = 0; i < d->guests.n; i++) {
        (void) sd_event_source_unref(d->guests.items[i]->pidfd_watch);
    }
    ma_guests_fini(&d->guests);
    ma_snapshot_builder_fini(&d->builder);
    (void) sd_event_source_unref(d->psi);
    (void) sd_event_source_unref(d->tick);
    (void) sd_event_source_unref(d->qmp_timer);
    (void) sd_event_unref(d->event);
    free(d->scratch.memory);
    free(d->json_buf);
    free(d->view_guests);
    free(d->view_limits);
    if (d->config != d->startup_config) {
        ma_config_destroy(d->config);
    }
    ma_config_destroy(d->startup_config);
}

/* The whole new configuration is tried against this host before anything of the old one is let go. */
static int try_config(struct ma_daemon *d,
                      const struct ma_config *fresh,
                      struct ma_host_watch *host,
                      struct ma_err *err) {
    struct ma_host_watch_options options = host_options(d, fresh);
    int r = ma_host_watch_open(host, &options, err);
    if (r < 0) {
        return r;
    }
    struct ma_settings settings;
    r = ma_host_watch_sample(host, ma_guests_used_bytes(&d->guests), ma_now_usec(), err);
    r = r < 0 ? r : ma_config_settings(fresh, host->host.total_bytes, &settings, err);
    r = r < 0 ? r : ma_exhausted_prepare(d, fresh, err);
    r = r < 0 ? r : ma_hook_desk_prepare(d, fresh, err);
    r = r < 0 || d->libvirt == NULL ? r : ma_libvirt_set_rules(d->libvirt, &fresh->rules);
    if (r < 0) {
        ma_host_watch_close(host);
    }
    return r;
}

int ma_daemon_reload(struct ma_daemon *d, struct ma_err *caller_err) {
    struct ma_config *fresh = NULL;
    struct ma_host_watch *host = calloc(1, sizeof(*host));
    struct ma_err err = {0};
    (void) sd_notify(0, "RELOADING=1");
    int r = host == NULL ? ma_err_set(&err, -ENOMEM, "out of memory")
                         : ma_config_load(d->options.config_path, &fresh, &err);
    r = r < 0 ? r : try_config(d, fresh, host, &err);
    struct ma_report report = {.message_id = r < 0 ? MA_MESSAGE_RELOAD_BAD : MA_MESSAGE_RELOAD_OK,
                               .kind = "reload",
                               .level = r < 0 ? MA_LOG_ERR : MA_LOG_NOTICE,
                               .result = r < 0 ? "refused" : "done"};
    if (r < 0) {
        ma_report(d, &report, "The new configuration is refused, the old one stays: %s",
                  err.message);
        ma_config_destroy(fresh);
    } else {
        d->psi = sd_event_source_unref(d->psi);
        ma_host_watch_close(&d->host);
        d->host = *host;
        (void) watch_psi(d);
        (void) ma_host_watch_sample(&d->host, ma_guests_used_bytes(&d->guests), ma_now_usec(),
                                    &err);
        struct ma_config *old = d->config;
        d->config = fresh;
        ma_hook_desk_adopt(d);
        d->policy = ma_policy_find(fresh->arbiter.policy);
        d->settings_total_bytes = 0;
        ma_cycle_begin_trends(d);
        ma_sources_apply_rules(d);
        d->guests_host.cgroup_root = &d->host.cgroup_root;
        d->state.started_usec = ma_now_usec(); /* quiet time after a reload (P13) */
        ma_daemon_apply_arming(d);
        ma_report(
            d, &report,
            "A new configuration is in force; sockets, folders and MaxGuests= need a restart.");
        if (old != d->startup_config) { /* whose strings the sockets still use */
            ma_config_destroy(old);
        }
    }
    free(host);
    if (caller_err != NULL) {
        *caller_err = err;
    }
    (void) sd_notify(0, "READY=1");
    return r;
}
