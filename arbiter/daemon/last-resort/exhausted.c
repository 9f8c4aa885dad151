/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exhausted.c - nothing eligible is left: it is told, and after a while OnExhausted= is done, once an incident.
 *
 * The judgement is core/exhaustion/exhaust.c, the doing last-resort.c. A fence program or a panic ends every guest, so it is taken at
 * Arm=kill alone, never in a dry run, and is in the journal and the record before. */

#include "exhausted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "last-resort.h"
#include "report.h"

/* A year of exhaustion is one message each 30 s, not four a second. */
#define EXHAUSTED_PERIOD_USEC (30 * MA_USEC_PER_SEC)

static int open_trigger(const struct ma_daemon *d) {
    char path[MA_PATH_MAX];
    (void) snprintf(path, sizeof(path), "%s/sysrq-trigger", d->options.proc_root);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* As an outcome in the record: "exhausted", by whom. */
static void record(struct ma_daemon *d, enum ma_outcome_result result, uint64_t took_usec) {
    struct ma_outcome outcome = {
        .action = MA_ACTION_EXHAUSTED, .result = result, .took_usec = took_usec};
    ma_keep_record_outcome(d, &outcome);
}

static void tell_result(struct ma_daemon *d, const struct ma_last_resort_result *result) {
    char took[MA_FORMAT_MAX], how[96];
    int status = result->exit_status;
    bool is_good = result->error == 0 && !result->is_timeout && status == 0;
    const char *what = result->kind == MA_LAST_RESORT_PANIC ? "panic" : "ExhaustedCommand=";
    if (result->error < 0) {
        (void) snprintf(how, sizeof(how), "cannot be done: %s", strerror(-result->error));
    } else if (result->is_timeout) {
        (void) snprintf(how, sizeof(how), "was killed after %s: ExhaustedTimeout=",
                        ma_format_usec(took, result->took_usec));
    } else if (WIFSIGNALED(status)) {
        (void) snprintf(how, sizeof(how), "ended by signal %d", WTERMSIG(status));
    } else {
        (void) snprintf(how, sizeof(how), "ended with %d after %s", WEXITSTATUS(status),
                        ma_format_usec(took, result->took_usec));
    }
    struct ma_report report = {.message_id = MA_MESSAGE_LAST_RESORT,
                               .kind = "last-resort",
                               .level = is_good ? MA_LOG_WARNING : MA_LOG_ERR,
                               .result = is_good ? "done" : "failed"};
    ma_report(d, &report, "The last resort, %s, %s.", what, how);
    record(d,
           is_good              ? MA_OUTCOME_DONE
           : result->is_timeout ? MA_OUTCOME_TIMEOUT
                                : MA_OUTCOME_REFUSED,
           result->took_usec);
}

static int on_result(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct ma_daemon *d = userdata;
    struct ma_last_resort_result result;
    (void) source;
    (void) fd;
    (void) revents;
    if (ma_last_resort_pop(d->exhausted.worker, &result)) {
        tell_result(d, &result);
    }
    return 0;
}

/* Now, and not when nothing else is left. */
static int check_program(const char *path) {
    struct stat info;
    if (stat(path, &info) < 0 || access(path, X_OK) < 0) {
        return -errno;
    }
    return S_ISREG(info.st_mode) ? 0 : -EACCES; /* as execve() has it of a folder */
}

int ma_exhausted_prepare(struct ma_daemon *d, const struct ma_config *config, struct ma_err *err) {
    const struct ma_config_arbiter *c = &config->arbiter;
    if (c->on_exhausted == MA_EXHAUSTED_KEEP_TRYING || d->options.is_release_only) {
        return 0;
    }
    int runs = c->on_exhausted == MA_EXHAUSTED_COMMAND ? check_program(c->exhausted_command) : 0;
    if (runs < 0) {
        return ma_err_set(err, runs, "ExhaustedCommand=%s: %s", c->exhausted_command,
                          strerror(-runs));
    }
    if (c->on_exhausted == MA_EXHAUSTED_PANIC) {
        ma_auto_close int fd = open_trigger(d);
        if (fd < 0) {
            int r = fd;
            fd = -1;
            return ma_err_set(err, r,
                              "OnExhausted=panic: cannot open %s/sysrq-trigger: %s; see "
                              "memarb.conf(5) for the unit",
                              d->options.proc_root, strerror(-r));
        }
    }
    if (d->exhausted.worker != NULL) {
        return 0;
    }
    int r = ma_last_resort_create(d->writer, &d->exhausted.worker, err);
    if (r == 0) {
        r = sd_event_add_io(d->event, NULL, ma_last_resort_fd(d->exhausted.worker), EPOLLIN,
                            on_result, d);
    }
    return r < 0 ? r : 0;
}

void ma_exhausted_teardown(struct ma_daemon *d) {
    ma_last_resort_destroy(d->exhausted.worker);
    d->exhausted.worker = NULL;
}

static void tell_exhausted(struct ma_daemon *d, uint64_t now) {
    if (d->exhausted.reported_usec != 0 &&
        now < d->exhausted.reported_usec + EXHAUSTED_PERIOD_USEC) {
        return;
    }
    d->exhausted.reported_usec = now;
    char available[MA_FORMAT_MAX];
    struct ma_report report = {.message_id = MA_MESSAGE_EXHAUSTED,
                               .kind = "exhausted",
                               .level = MA_LOG_ERR,
                               .has_action = true,
                               .action = MA_ACTION_EXHAUSTED,
                               .reason = MA_REASON_NO_ELIGIBLE_OPTION};
    ma_report(d, &report,
              "No eligible option is left and %s is available: see 'memarbctl plan' for what each "
              "guest is "
              "excluded for.",
              ma_format_bytes(available, d->snapshot.host.available_bytes));
}

static struct ma_last_resort_order make_order(struct ma_daemon *d, uint64_t now) {
    const struct ma_config_arbiter *c = &d->config->arbiter;
    int ram = ma_plan_row(&d->plan, MA_ROW_RAM, 0);
    struct ma_last_resort_order order = {
        .kind =
            c->on_exhausted == MA_EXHAUSTED_PANIC ? MA_LAST_RESORT_PANIC : MA_LAST_RESORT_COMMAND,
        .timeout_usec = c->exhausted_timeout_usec,
        .trigger_fd = -1,
        .available_bytes = d->snapshot.host.available_bytes,
        .missing_bytes = ram >= 0 ? d->plan.measured_deficit_bytes[ram] : 0,
        .incident_usec = ma_sub_floor0(now, d->state.incident_since_usec),
        .guests = d->snapshot.n_guests,
    };
    (void) snprintf(order.command, sizeof(order.command), "%s", c->exhausted_command);
    return order;
}

static void take_last_resort(struct ma_daemon *d, uint64_t now) {
    struct ma_last_resort_order order = make_order(d, now);
    bool is_panic = order.kind == MA_LAST_RESORT_PANIC;
    char missing[MA_FORMAT_MAX];
    struct ma_report report = {.message_id = MA_MESSAGE_LAST_RESORT,
                               .kind = "last-resort",
                               .level = MA_LOG_ERR,
                               .has_action = true,
                               .action = MA_ACTION_EXHAUSTED,
                               .reason = MA_REASON_NO_ELIGIBLE_OPTION,
                               .result = "submitted"};
    ma_report(d, &report, "Nothing is left to do and %s are missing: %s%s.",
              ma_format_bytes(missing, order.missing_bytes),
              is_panic ? "the host panics" : "running ", is_panic ? "" : order.command);
    d->is_state_dirty = true;
    order.trigger_fd = is_panic ? open_trigger(d) : -1;
    int r = is_panic && order.trigger_fd < 0 ? order.trigger_fd : 0;
    r = r < 0 ? r : ma_last_resort_submit(d->exhausted.worker, &order);
    if (r < 0) {
        struct ma_last_resort_result failed = {.kind = order.kind, .error = r};
        if (order.trigger_fd >= 0) {
            (void) close(order.trigger_fd);
        }
        tell_result(d, &failed);
    }
}

void ma_exhausted_step(struct ma_daemon *d, uint64_t now_usec) {
    bool was_done = d->exhausted.judged.is_done;
    if (d->phase != MA_PHASE_RUNNING) {
        return; /* the plan is an old one */
    }
    for (size_t i = 0; i < d->plan.n_actions; i++) {
        if (d->plan.actions[i].action == MA_ACTION_EXHAUSTED) {
            tell_exhausted(d, now_usec);
        }
    }
    if (d->config->arbiter.on_exhausted == MA_EXHAUSTED_KEEP_TRYING ||
        d->exhausted.worker == NULL || ma_daemon_is_dry_run(d)) {
        return;
    }
    if (ma_exhaustion_is_due(&d->exhausted.judged, &d->snapshot, &d->state, &d->plan,
                             d->config->arbiter.exhausted_after_usec)) {
        take_last_resort(d, now_usec);
    }
    d->is_state_dirty = d->is_state_dirty || was_done != d->exhausted.judged.is_done;
}
