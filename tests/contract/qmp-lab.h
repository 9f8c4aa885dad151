/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-lab.h - a monitor to test against: a real QEMU or the swarm that plays one (MEMARB_CONTRACT_PEER=qemu|swarm,
 * QMP_SWARM=path of the program), and a client on a small poll loop with the real clock. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "qmp.h"
#include "tap.h"

#define LAB_ARGS_MAX 48U
#define LAB_MIB      (UINT64_C(1) << 20)
/* Nothing here takes that long; it ends a test that waits for what will not come. */
#define LAB_PATIENCE_USEC 30000000U

struct lab {
    char folder[32], path[64], balloon_path[QMP_PATH_MAX];
    pid_t pid; /* 0: none */
    const char *argv[LAB_ARGS_MAX];
    unsigned argc;
};
struct lab_client {
    struct qmp_client *client;
    unsigned dones, events;
    unsigned kinds[QMP_EVENT_COUNT];
    struct qmp_event last[QMP_EVENT_COUNT];
    enum qmp_outcome outcome;
    enum qmp_error_class error_class;
    char text[512];
    union qmp_reply reply;
};

static inline uint64_t lab_now(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000U + (uint64_t) t.tv_nsec / 1000U;
}
static inline bool lab_is_qemu(void) {
    const char *peer = getenv("MEMARB_CONTRACT_PEER");
    return peer == NULL || strcmp(peer, "qemu") == 0;
}
static inline void lab_arg(struct lab *lab, const char *arg) {
    CHECK(lab->argc + 1 < LAB_ARGS_MAX);
    lab->argv[lab->argc++] = arg;
}
static inline void lab_folder(struct lab *lab) {
    memset(lab, 0, sizeof(*lab));
    (void) snprintf(lab->folder, sizeof(lab->folder), "/tmp/qmp-lab-XXXXXX");
    CHECK(mkdtemp(lab->folder) != NULL);
    (void) snprintf(lab->path, sizeof(lab->path), "%s/peer-0000.sock", lab->folder);
}
static inline void lab_spawn(struct lab *lab) {
    pid_t parent = getpid();
    (void) fflush(stdout); /* or the child's freopen() writes it a second time */
    lab->pid = fork();
    CHECK(lab->pid >= 0);
    if (lab->pid == 0) {
        char *args[LAB_ARGS_MAX];
        memcpy(args, lab->argv, sizeof(args));
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || freopen("/dev/null", "r", stdin) == NULL ||
            freopen("/dev/null", "w", stdout) == NULL) {
            _exit(126);
        }
        (void) execvp(args[0], args);
        _exit(127);
    }
}
/* dials: the monitor connects to lab->path, which the test listens at; else it listens there itself. */
static inline void lab_args(struct lab *lab, bool dials, bool has_balloon) {
    static char chardev[128];
    if (!lab_is_qemu()) {
        const char *program = getenv("QMP_SWARM");
        lab_arg(lab, program != NULL ? program : "qmp-swarm");
        lab_arg(lab, dials ? "--dial" : "--listen");
        lab_arg(lab, dials ? lab->path : lab->folder);
        lab_arg(lab, "--memory-mib");
        lab_arg(lab, "64");
        lab_arg(lab, "--used-mib");
        lab_arg(lab, "16");
        if (!has_balloon) {
            lab_arg(lab, "--no-balloon");
        }
        return;
    }
    static const char *const fixed[] = {
        "qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel",
        "tcg,tb-size=16",     "-m",          "64M",      "-S",   "-name",
        "peer-0000"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        lab_arg(lab, fixed[i]);
    }
    (void) snprintf(chardev, sizeof(chardev), "socket,id=m,path=%s,%s", lab->path,
                    dials ? "server=off,reconnect=1" : "server=on,wait=off");
    lab_arg(lab, "-chardev");
    lab_arg(lab, chardev);
    lab_arg(lab, "-mon");
    lab_arg(lab, "chardev=m,mode=control");
    if (has_balloon) {
        lab_arg(lab, "-device");
        lab_arg(lab, "virtio-balloon-pci,id=balloon0");
    }
}
static inline void lab_kill(struct lab *lab) {
    if (lab->pid > 0) {
        (void) kill(lab->pid, SIGKILL);
        CHECK(waitpid(lab->pid, NULL, 0) == lab->pid);
        lab->pid = 0;
    }
}
static inline void lab_end(struct lab *lab) {
    lab_kill(lab);
    (void) unlink(lab->path);
    CHECK(rmdir(lab->folder) == 0);
}

static inline void lab_on_event(void *userdata, const struct qmp_event *event) {
    struct lab_client *c = userdata;
    c->events++;
    c->kinds[event->kind]++;
    c->last[event->kind] = *event;
}
static inline void lab_done(void *userdata, const struct qmp_result *result) {
    struct lab_client *c = userdata;
    c->dones++;
    c->outcome = result->outcome;
    c->error_class = result->error_class;
    (void) snprintf(c->text, sizeof(c->text), "%s: %s", result->command, result->text);
    if (result->reply != NULL) {
        c->reply = *result->reply;
    }
}
static const struct qmp_ops lab_ops = {.on_event = lab_on_event};

static inline struct qmp_call lab_call(struct lab_client *c, uint64_t timeout_usec) {
    uint64_t now = lab_now();
    return (struct qmp_call){
        .done = lab_done, .userdata = c, .now_usec = now, .deadline_usec = now + timeout_usec};
}
static inline void lab_turn(struct lab_client *c) {
    struct pollfd p = {.fd = qmp_client_fd(c->client), .events = qmp_client_events(c->client)};
    (void) poll(&p, 1, 5);
    qmp_client_dispatch(c->client, p.revents, lab_now());
}
/* Dispatches until condition; names it if it does not come. */
#define LAB_UNTIL(c, condition)                                                                    \
    do {                                                                                           \
        uint64_t lab_end_ = lab_now() + LAB_PATIENCE_USEC;                                         \
        while (!(condition)) {                                                                     \
            if (lab_now() > lab_end_) {                                                            \
                TAP_FAIL("did not come: %s (state %s: %s)", #condition,                            \
                         qmp_state_name(qmp_client_state((c)->client)),                            \
                         qmp_client_reason((c)->client));                                          \
            }                                                                                      \
            lab_turn(c);                                                                           \
        }                                                                                          \
    } while (0)
#define LAB_CALL(c, function, ...)                                                                 \
    do {                                                                                           \
        struct qmp_call lab_call_ = lab_call((c), LAB_PATIENCE_USEC);                              \
        unsigned lab_before_ = (c)->dones;                                                         \
        CHECK_I64(function((c)->client, &lab_call_, ##__VA_ARGS__), 0);                            \
        LAB_UNTIL((c), (c)->dones > lab_before_);                                                  \
    } while (0)
#define LAB_DONE(c, function, ...)                                                                 \
    do {                                                                                           \
        LAB_CALL(c, function, ##__VA_ARGS__);                                                      \
        if ((c)->outcome != QMP_DONE) {                                                            \
            TAP_FAIL("%s", (c)->text);                                                             \
        }                                                                                          \
    } while (0)

static inline void
lab_dial(struct lab *lab, struct lab_client *c, const struct qmp_options *options) {
    memset(c, 0, sizeof(*c));
    c->client = qmp_client_create(options, &lab_ops, c);
    CHECK(c->client != NULL);
    CHECK_I64(qmp_client_connect(c->client, lab->path, lab_now()), 0);
}
static inline void lab_start(struct lab *lab, struct lab_client *c, bool has_balloon) {
    lab_folder(lab);
    lab_args(lab, false, has_balloon);
    lab_spawn(lab);
    lab_dial(lab, c, &(struct qmp_options){.backoff_min_usec = 20000, .backoff_max_usec = 100000});
    LAB_UNTIL(c, qmp_client_state(c->client) == QMP_STATE_READY);
}
static inline void lab_stop(struct lab *lab, struct lab_client *c) {
    qmp_client_destroy(c->client);
    lab_end(lab);
}
