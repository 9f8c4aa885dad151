/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* agent.c - one thread, one epoll: port, two pressure triggers, signals; and the session's next moment.
 *
 * Each round: what happened is told to the session, then the session is asked what it wants. Nothing here waits for
 * anybody but epoll. A report is composed from fresh figures when the port can take it; while the host does not read,
 * nothing is composed and nothing kept, and the port's own edge, or a slow retry, ends that. */
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "collect.h"
#include "hook.h"
#include "log.h"
#include "port.h"
#include "session.h"
#include "trigger.h"

/* Between two tries to open the port. Shorter at first, so that a port that was plugged again is found; longer later, so that a
 * guest without one costs nothing. */
#define REOPEN_MIN_USEC (MA_USEC_PER_SEC)
#define REOPEN_MAX_USEC (10 * MA_USEC_PER_SEC)
/* A port that did not take a line is tried again after this time even if no edge came (a kernel that lost one, a host that
 * was replaced under a restored guest). Shorter: wakes a guest whose host does not listen. */
#define RETRY_USEC (10 * MA_USEC_PER_SEC)

enum source { SOURCE_PORT, SOURCE_SOME, SOURCE_FULL, SOURCE_SIGNAL };
#define EVENTS_MAX 4

struct agent {
    int epoll_fd, signal_fd;
    struct mag_collector collector;
    struct mag_trigger triggers[MAG_ALARM_COUNT];
    struct mag_port port;
    const char *port_path; /* NULL: by name */
    struct mag_session session;
    struct mag_hook_runner hook;
    uint64_t reopen_at_usec, reopen_after_usec;
    uint64_t retry_at_usec;
    bool has_more;   /* the port was not read to its end */
    bool is_blocked; /* the host does not read */
    bool is_ended;
    int port_complaint; /* last error of opening, told once */
    int hook_complaint; /* why the hook is not run, told once */
};

static uint64_t now(void) {
    struct timespec ts;
    (void) clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail with a valid clock */
    return (uint64_t) ts.tv_sec * MA_USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static uint64_t random_run(void) {
    uint64_t v = 0;
    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != (ssize_t) sizeof(v)) {
        v = now() ^
            ((uint64_t) getpid() << 40); /* early in a boot: unlike the last run, no secret */
    }
    return v % MAG_COUNT_MAX + 1;
}

static int watch(const struct agent *a, int fd, uint32_t events, enum source source) {
    struct epoll_event event = {.events = events, .data.u32 = source};
    return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Being able to write matters while the port is stuck, and is how a host that comes shows itself. Else it would wake the loop
 * for each line that the host takes. */
static void watch_port(const struct agent *a) {
    uint32_t out = !a->port.is_host_there || a->is_blocked ? EPOLLOUT : 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | out, .data.u32 = SOURCE_PORT};
    if (a->port.fd >= 0) {
        (void) epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, a->port.fd, &event); /* it is in the set */
    }
}

static void on_hook(struct agent *a, uint64_t id, enum mag_hook outcome) {
    static const char *const words[MAG_HOOK_COUNT] = {
        [MAG_HOOK_DONE] = "ended well",
        [MAG_HOOK_FAILED] = "failed",
        [MAG_HOOK_KILLED] = "was too late",
        [MAG_HOOK_VETO] = "asks to be spared",
    };
    ma_log(outcome == MAG_HOOK_FAILED ? MA_LOG_WARNING : MA_LOG_INFO,
           "hook '%s' for squeeze %llu %s", a->hook.path, (unsigned long long) id, words[outcome]);
    mag_session_on_hook(&a->session, id, outcome, now());
}

static void announce(struct agent *a, const struct mag_squeeze *squeeze) {
    int r = mag_hook_announce(&a->hook, squeeze, now());
    if (r < 0) {
        on_hook(a, squeeze->id, r == -ETIME ? MAG_HOOK_KILLED : MAG_HOOK_FAILED);
    }
}

static bool on_line(void *userdata, const char *line, size_t length) {
    struct agent *a = userdata;
    struct mag_squeeze squeeze;
    int r = mag_session_on_line(&a->session, line, length, now());
    if (r < 0) {
        ma_log(MA_LOG_DEBUG, "a line of the host is passed over: %s", strerror(-r));
    } else if (mag_session_take_squeeze(&a->session, &squeeze)) {
        announce(a, &squeeze);
    }
    return true;
}

static void lose_port(struct agent *a) {
    mag_session_on_disconnect(&a->session);
    mag_port_close(&a->port); /* leaves the epoll by itself */
    a->has_more = false;
    a->reopen_at_usec = now() + a->reopen_after_usec;
    a->reopen_after_usec = ma_min_u64(2 * a->reopen_after_usec, REOPEN_MAX_USEC);
}

static void open_port(struct agent *a) {
    struct ma_err err = {.code = 0};
    int r = mag_port_open(&a->port, a->port_path, &err);
    if (r == 0) {
        r = watch(a, a->port.fd, EPOLLIN | EPOLLOUT | EPOLLET, SOURCE_PORT);
    }
    if (r < 0) {
        if (r != a->port_complaint) {
            ma_log(MA_LOG_WARNING, "%s; trying again", err.code != 0 ? err.message : strerror(-r));
        }
        a->port_complaint = r;
        lose_port(a);
        return;
    }
    ma_log(MA_LOG_INFO, "the port is open");
    a->port_complaint = 0;
    a->has_more = true;
}

/* Looked at again each time: it may come, go or be mended while this runs. None at all is no mistake. */
static bool has_hook(struct agent *a) {
    int r = a->hook.path != NULL ? mag_hook_check(a->hook.path) : -ENOENT;
    if (r < 0 && r != -ENOENT && r != a->hook_complaint) {
        ma_log(MA_LOG_WARNING, "hook '%s' is not run: %s", a->hook.path,
               r == -EPERM    ? "somebody else than root and this user may write it"
               : r == -EACCES ? "it is no executable file"
                              : strerror(-r));
    }
    a->hook_complaint = r;
    return r == 0;
}

static void read_port(struct agent *a) {
    bool was_there = a->port.is_host_there;
    a->session.has_hook = has_hook(a);
    if (!was_there) {
        mag_session_on_connect(
            &a->session); /* before its first line; undone when nobody is there */
    }
    enum mag_port_state state = mag_port_read(&a->port, on_line, a);
    a->has_more = state == MAG_PORT_MORE;
    if (state == MAG_PORT_LOST) {
        ma_log(MA_LOG_WARNING, "the port is gone; trying again");
        lose_port(a);
    } else if (state == MAG_PORT_NO_HOST) {
        mag_session_on_disconnect(&a->session);
    } else if (!was_there) {
        a->is_blocked = false;
        a->reopen_after_usec = REOPEN_MIN_USEC;
    }
    if (was_there != a->port.is_host_there && state != MAG_PORT_LOST) {
        watch_port(a);
        ma_log(MA_LOG_INFO, was_there ? "the host's side was closed" : "the host's side is open");
    }
}

static void on_port(struct agent *a, uint32_t events) {
    if ((events & EPOLLOUT) != 0 && a->is_blocked) {
        a->is_blocked = false;
        watch_port(a);
    }
    a->has_more = true;
}

static void on_signal(struct agent *a) {
    struct signalfd_siginfo info;
    while (read(a->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
        if (info.ssi_signo != SIGCHLD) {
            a->is_ended = true;
        }
    }
    uint64_t id;
    enum mag_hook outcome;
    if (mag_hook_on_child(&a->hook, &id, &outcome)) {
        on_hook(a, id, outcome);
    }
    struct mag_squeeze next;
    if (mag_hook_take_next(&a->hook, &next)) {
        announce(a, &next);
    }
}

static void on_trigger(struct agent *a, enum mag_alarm_kind kind, uint32_t events) {
    struct mag_trigger *t = &a->triggers[kind];
    if ((events & EPOLLERR) != 0) {
        ma_log(MA_LOG_WARNING, "a pressure trigger is gone; alarms come from the figures now");
        mag_trigger_close(t);
        mag_session_on_trigger_lost(&a->session, kind);
        return;
    }
    mag_session_on_trigger(&a->session, kind, t->window_usec, now());
}

static void look(struct agent *a) {
    struct mag_report figures;
    mag_collector_read(&a->collector, &figures);
    mag_session_on_sample(&a->session, &figures, now());
}

static void report(struct agent *a) {
    struct mag_report report;
    char line[MAG_LINE_MAX];
    uint64_t now_usec = now();
    if (!mag_session_wants_report(&a->session, now_usec)) {
        return;
    }
    mag_session_compose(&a->session, &report, now_usec);
    int r = mag_port_write(&a->port, line, mag_report_format(&report, line));
    if (r < 0) {
        ma_log(MA_LOG_WARNING, "the port is gone (%s); trying again", strerror(-r));
        lose_port(a);
    } else if (r == 0) {
        ma_log(MA_LOG_DEBUG, "the host does not read");
        a->is_blocked = true;
        watch_port(a);
        a->retry_at_usec = now_usec + RETRY_USEC;
    } else {
        mag_session_sent(&a->session, &report);
    }
}

static void act(struct agent *a) {
    uint64_t now_usec = now();
    mag_hook_on_time(&a->hook, now_usec);
    if (a->port.fd < 0 && now_usec >= a->reopen_at_usec) {
        open_port(a);
    }
    if (a->has_more) {
        read_port(a);
    }
    if (a->is_blocked && now_usec >= a->retry_at_usec) {
        a->is_blocked = false;
        watch_port(a);
    }
    if (a->port.fd < 0 || a->is_blocked) {
        return;
    }
    if (mag_session_wants_sample(&a->session, now_usec) ||
        mag_session_wants_report(&a->session, now_usec)) {
        look(a);
        report(a);
    }
}

/* Milliseconds for epoll_wait, rounded up; -1: until something happens. */
static int timeout_of(const struct agent *a) {
    uint64_t next = mag_hook_next_usec(&a->hook);
    if (a->has_more) {
        return 0;
    }
    if (a->port.fd < 0) {
        next = ma_min_u64(next, a->reopen_at_usec);
    } else if (a->is_blocked) {
        next = ma_min_u64(next, a->retry_at_usec);
    } else {
        next = ma_min_u64(next, mag_session_next_usec(&a->session));
    }
    if (next == UINT64_MAX) {
        return -1;
    }
    uint64_t left_usec = ma_sub_floor0(next, now());
    return (int) (ma_min_u64(left_usec + MA_USEC_PER_MSEC - 1, 3600 * MA_USEC_PER_SEC) /
                  MA_USEC_PER_MSEC);
}

static int turn(struct agent *a) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(a->epoll_fd, events, EVENTS_MAX, timeout_of(a));
    if (n < 0 && errno != EINTR) {
        return -errno;
    }
    for (int i = 0; i < n; i++) {
        switch ((enum source) events[i].data.u32) {
        case SOURCE_PORT:
            on_port(a, events[i].events);
            break;
        case SOURCE_SOME:
            on_trigger(a, MAG_ALARM_SOME, events[i].events);
            break;
        case SOURCE_FULL:
            on_trigger(a, MAG_ALARM_FULL, events[i].events);
            break;
        case SOURCE_SIGNAL:
            on_signal(a);
            break;
        }
    }
    act(a);
    return 0;
}

static void open_triggers(struct agent *a, const char *proc, struct mag_alarm *alarm) {
    static const char *const kinds[MAG_ALARM_COUNT] = {"some", "full"};
    for (int i = 0; i < MAG_ALARM_COUNT; i++) {
        struct mag_trigger *t = &a->triggers[i];
        int r = mag_trigger_open(t, proc, kinds[i], alarm->stall_usec[i], MAG_ALARM_WINDOW_USEC);
        if (r == 0) {
            r = watch(a, t->fd, EPOLLPRI, i == 0 ? SOURCE_SOME : SOURCE_FULL);
        }
        alarm->has_trigger[i] = r == 0;
        if (r < 0) {
            mag_trigger_close(t);
            ma_log(MA_LOG_INFO, "no pressure trigger \"%s\" (%s): alarms come up to a second later",
                   kinds[i], strerror(-r));
        }
    }
}

static int open_signals(struct agent *a) {
    static const int wanted[] = {SIGTERM, SIGINT, SIGCHLD};
    sigset_t set;
    (void) sigemptyset(&set);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        (void) sigaddset(&set, wanted[i]);
    }
    (void) sigprocmask(SIG_BLOCK, &set, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    a->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return a->signal_fd < 0 ? -errno : watch(a, a->signal_fd, EPOLLIN, SOURCE_SIGNAL);
}

/* A guest that thrashes drops the pages of programs: the agent must not wait for its own. What was used so far stays, and
 * what is used from now on; a first look has made the usual path part of it. */
static void stay_resident(void) {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0) {
        ma_log(MA_LOG_DEBUG, "memory is not locked: %s", strerror(errno));
    }
}

static int
begin(struct agent *a, const struct mag_settings *settings, const char *proc, struct ma_err *err) {
    struct mag_alarm alarm = {
        .stall_usec = {settings->alarm_stall_usec, settings->veto_stall_usec}};
    int r = mag_collector_open(&a->collector, proc, err);
    if (r < 0) {
        return r;
    }
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r = a->epoll_fd < 0 ? -errno : open_signals(a);
    if (r < 0) {
        return ma_err_set(err, r, "cannot set up the loop: %s", strerror(-r));
    }
    a->port_path = settings->port[0] != '\0' ? settings->port : NULL;
    a->hook.path = settings->hook[0] != '\0' ? settings->hook : NULL;
    a->reopen_after_usec = REOPEN_MIN_USEC;
    alarm.page_bytes = a->collector.page_bytes;
    open_triggers(a, proc, &alarm);
    mag_session_init(&a->session, random_run(), &alarm, has_hook(a));
    look(a);
    stay_resident();
    return 0;
}

static void end(struct agent *a) {
    mag_hook_stop(&a->hook);
    mag_port_close(&a->port);
    for (int i = 0; i < MAG_ALARM_COUNT; i++) {
        mag_trigger_close(&a->triggers[i]);
    }
    mag_collector_close(&a->collector);
    ma_cleanup_close(&a->signal_fd);
    ma_cleanup_close(&a->epoll_fd);
}

int mag_agent_run(const struct mag_settings *settings, const char *proc, struct ma_err *err) {
    static struct agent agent; /* some KiB that are no business of the stack's */
    struct agent *a = &agent;
    *a = (struct agent){.epoll_fd = -1,
                        .signal_fd = -1,
                        .port.fd = -1,
                        .collector = {-1, -1, -1, 0},
                        .triggers = {{.fd = -1}, {.fd = -1}}};
    int r = begin(a, settings, proc, err);
    while (r == 0 && !a->is_ended) {
        r = turn(a);
        if (r < 0) {
            (void) ma_err_set(err, r, "waiting for events: %s", strerror(-r));
        }
    }
    end(a);
    return r;
}

int mag_agent_print(const struct mag_settings *settings, const char *proc, struct ma_err *err) {
    struct mag_alarm alarm = {
        .stall_usec = {settings->alarm_stall_usec, settings->veto_stall_usec}};
    struct mag_collector collector;
    struct mag_session session;
    struct mag_report figures, said;
    char line[MAG_LINE_MAX];
    int r = mag_collector_open(&collector, proc, err);
    if (r < 0) {
        return r;
    }
    mag_collector_read(&collector, &figures);
    mag_collector_close(&collector);
    mag_session_init(&session, random_run(), &alarm, false);
    mag_session_on_sample(&session, &figures, now());
    mag_session_compose(&session, &said, now());
    if (fwrite(line, mag_report_format(&said, line), 1, stdout) != 1 || fflush(stdout) != 0) {
        return ma_err_set(err, -EIO, "cannot write to stdout");
    }
    return 0;
}
