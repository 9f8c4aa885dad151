/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-swarm.h - shared by the swarm's two files: sockets and time (qmp-swarm.c), answers (qmp-swarm-answers.c). */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIB           (INT64_C(1) << 20)
#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define REDIAL_NSEC   (200 * NSEC_PER_MSEC)
#define TICK_MSEC     50
#define INPUT_MAX     8192
#define ANSWER_MAX    8192
#define BALLOON_PATH  "/machine/peripheral/balloon0"
#define CHANGE_NSEC   NSEC_PER_SEC /* QEMU sends BALLOON_CHANGE at most once a second */

enum kind { GOOD, STUCK, LAZY, SLOW, GARBAGE };

struct peer {
    unsigned number;
    enum kind kind;
    int fd, listener; /* -1: none */
    bool is_ready, is_running, is_gone, is_change_due;
    int64_t actual, target;                /* bytes */
    int64_t moved_at, changed_at, wake_at; /* ns; wake_at 0 = none */
    int64_t arrived_at;                    /* ns; of what a slow peer has not answered yet */
    int64_t interval_sec;
    size_t used;
    char input[INPUT_MAX];
};

struct swarm_options {
    const char *dial, *listen, *log, *agent, *hand_over;
    unsigned count, stuck, lazy, slow, garbage;
    int64_t memory, occupied, rate, slow_ms;
    bool has_balloon, has_processes, is_fresh;
    /* agent: a socket that each process connects to; the connection goes to whoever listens at hand_over. */
};
extern struct swarm_options opt;

struct request {
    const char *name, *path, *property;
    const json_t *arguments;
    int64_t arrived;
};

/* qmp-swarm.c */
void say_event(struct peer *p, const char *name, const char *data);
/* A line in the log: a `balloon` command has arrived. */
void note_balloon(const struct peer *p, int64_t arrived, int64_t value);

/* qmp-swarm-answers.c: out (ANSWER_MAX bytes) gets what stands behind `{`: "return" or "error". */
void answer_request(struct peer *p, const struct request *r, char *out);
/* Brings the balloon to where it is by now. */
void move_balloon(struct peer *p, int64_t now);
void tell_change(struct peer *p, int64_t now);
