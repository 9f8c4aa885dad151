/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests' agents cost the loop: 1,000 of them at the full rate (ten reports a second each), and one that floods.
 *
 * The channels are real Unix sockets with a listener each, found by glob, as a QEMU's; a second thread plays the guests.
 * What is timed is the thread that runs the adapter, by its own CPU clock, with the pauses that memarbd makes between two
 * dispatches. Bounds of the specification: 10 % of a core; less than 1 ms of a cycle for one flood. Beside that stands what
 * the same loop costs while all are silent. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent-source.h"
#include "bytes.h"
#include "protocol.h"

#define AGENTS    1000
#define SECONDS   10
#define RATE_USEC (100 * MA_USEC_PER_MSEC)

static int guests[AGENTS];
static uint64_t tokens[AGENTS];
/* A cycle of memarbd at rest. */
#define CYCLE_USEC MA_USEC_PER_SEC

enum play { PLAY_HONEST, PLAY_SILENT, PLAY_FLOOD, PLAY_AS_MUCH_AS_ALLOWED };
static atomic_bool is_over;
static atomic_int playing;
static uint64_t n_reports, n_named, n_quarantined;

static uint64_t clock_usec(clockid_t clock) {
    struct timespec t;
    (void) clock_gettime(clock, &t);
    return (uint64_t) t.tv_sec * MA_USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_at(const char *folder, int number) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%04d", folder, number);
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0) {
        die("listen");
    }
    return fd;
}

/* The token of the last request that came; 0: none yet. */
static void read_token(int k) {
    char data[4096];
    struct mag_request request;
    ssize_t n = recv(guests[k], data, sizeof(data), MSG_DONTWAIT);
    for (char *line = data; n > 0 && line < data + n;) {
        char *end = memchr(line, '\n', (size_t) (data + n - line));
        if (end == NULL) {
            return;
        }
        if (mag_request_parse(line, (size_t) (end - line), &request) == 0) {
            tokens[k] = request.token;
        }
        line = end + 1;
    }
}

static void report(int k, uint64_t seq) {
    char line[MAG_LINE_MAX];
    struct mag_report r = {.has = (1U << 13) - 1,
                           .token = tokens[k],
                           .run = 1,
                           .seq = seq,
                           .now_usec = clock_usec(CLOCK_MONOTONIC),
                           .mem_total_bytes = 4 * MA_GIB,
                           .mem_available_bytes = MA_GIB + seq * 4096,
                           .mem_free_bytes = MA_GIB / 2,
                           .swap_total_bytes = MA_GIB,
                           .swap_free_bytes = MA_GIB,
                           .swap_in_bytes = seq * 4096,
                           .refaults_count = seq * 3,
                           .some_avg10_permyriad = seq % 100,
                           .some_total_usec = seq * 1000};
    (void) send(guests[k], line, mag_report_format(&r, line), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void *play(void *unused) {
    static const char dear[] =
        "memarb/1 report a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1\n";
    static char flood[65536];
    (void) unused;
    for (size_t at = 0; at + sizeof(dear) - 1 <= sizeof(flood); at += sizeof(dear) - 1) {
        memcpy(flood + at, dear, sizeof(dear) - 1);
    }
    for (uint64_t seq = 1; !atomic_load(&is_over); seq++) {
        uint64_t began = clock_usec(CLOCK_MONOTONIC);
        int play = atomic_load(&playing);
        if (play == PLAY_FLOOD || play == PLAY_AS_MUCH_AS_ALLOWED) {
            (void) send(guests[0], flood, play == PLAY_FLOOD ? sizeof(flood) : 160,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
            (void) usleep(play == PLAY_FLOOD ? 100 : 10000);
            continue;
        }
        for (int k = 0; k < AGENTS && play == PLAY_HONEST; k++) {
            read_token(k);
            report(k, seq);
        }
        uint64_t took = clock_usec(CLOCK_MONOTONIC) - began;
        (void) usleep((useconds_t) ma_sub_floor0(RATE_USEC, took));
    }
    return NULL;
}

/* The channels are one process's here: each is named by its turn. */
static int identify(void *userdata, pid_t pid, char uuid[MA_SOURCE_UUID_MAX]) {
    (void) userdata;
    (void) pid;
    (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "guest-%" PRIu64, n_named++);
    return 0;
}

static void on_report(void *userdata, const char *uuid, const struct ma_agent_claims *claims) {
    (void) userdata;
    (void) uuid;
    (void) claims;
    n_reports++;
}

static void on_link(void *userdata,
                    const char *uuid,
                    enum ma_agent_link link,
                    uint64_t until_usec,
                    const char *reason) {
    (void) userdata;
    (void) uuid;
    (void) until_usec;
    (void) reason;
    n_quarantined += link == MA_AGENT_LINK_QUARANTINED;
}

/* As memarbd's loop: waits, dispatches, pauses. *ret_worst_usec: CPU time of the dearest dispatch. Returns that of all. */
static uint64_t run(struct ma_agent_source *source, uint64_t usec, uint64_t *ret_worst_usec) {
    uint64_t began = clock_usec(CLOCK_THREAD_CPUTIME_ID);
    uint64_t end = clock_usec(CLOCK_MONOTONIC) + usec;
    *ret_worst_usec = 0;
    for (uint64_t now = 0; now < end;) {
        struct pollfd wait = {.fd = ma_agent_source_fd(source), .events = POLLIN};
        uint64_t left = ma_sub_floor0(ma_min_u64(ma_agent_source_deadline(source), end),
                                      clock_usec(CLOCK_MONOTONIC));
        (void) poll(&wait, 1, (int) (left / MA_USEC_PER_MSEC) + 1);
        uint64_t cpu = clock_usec(CLOCK_THREAD_CPUTIME_ID);
        now = clock_usec(CLOCK_MONOTONIC);
        uint64_t pause = ma_agent_source_dispatch(source, now);
        *ret_worst_usec = ma_max_u64(*ret_worst_usec, clock_usec(CLOCK_THREAD_CPUTIME_ID) - cpu);
        (void) usleep((useconds_t) pause);
    }
    return clock_usec(CLOCK_THREAD_CPUTIME_ID) - began;
}

/* One guest, for some cycles: what the dearest of them costs. */
static void measure(struct ma_agent_source *source, const char *name, enum play play, int cycles) {
    uint64_t dearest = 0;
    uint64_t dispatch = 0;
    uint64_t worst;
    atomic_store(&playing, play);
    for (int k = 0; k < cycles; k++) {
        dearest = ma_max_u64(dearest, run(source, CYCLE_USEC, &worst));
        dispatch = ma_max_u64(dispatch, worst);
    }
    (void) printf("one=%s quarantined=%" PRIu64 " worst_cycle_usec=%" PRIu64
                  " worst_dispatch_usec=%" PRIu64 " target_cycle_usec=1000\n",
                  name, n_quarantined, dearest, dispatch);
}

static struct ma_agent_source *open_all(char *folder) {
    static char pattern[128];
    static const char *globs[] = {pattern};
    struct ma_agent_source_config config = {.globs = globs, .n_globs = 1, .max_agents = AGENTS};
    struct ma_agent_source_ops ops = {NULL, identify, on_report, on_link};
    struct ma_agent_source *source = NULL;
    struct ma_err err = {0};
    static int listeners[AGENTS];
    uint64_t now = clock_usec(CLOCK_MONOTONIC);

    (void) snprintf(pattern, sizeof(pattern), "%s/*", folder);
    for (int k = 0; k < AGENTS; k++) {
        listeners[k] = listen_at(folder, k);
    }
    if (ma_agent_source_create(&config, &ops, &source, &err) < 0) {
        die(err.message);
    }
    (void) ma_agent_source_dispatch(source, now);
    (void) ma_agent_source_dispatch(source, now + 1);
    for (int k = 0; k < AGENTS; k++) {
        guests[k] = accept(listeners[k], NULL, NULL);
        if (guests[k] < 0) {
            die("accept");
        }
        char path[160];
        (void) snprintf(path, sizeof(path), "%s/%04d", folder, k);
        (void) unlink(path);
    }
    (void) rmdir(folder);
    return source;
}

int main(void) {
    char folder[] = "/tmp/memarb-agents-XXXXXX";
    struct rlimit files = {8192, 8192};
    pthread_t thread;
    uint64_t worst;

    (void) setrlimit(RLIMIT_NOFILE, &files);
    if (mkdtemp(folder) == NULL) {
        die("mkdtemp");
    }
    struct ma_agent_source *source = open_all(folder);
    if (pthread_create(&thread, NULL, play, NULL) != 0) {
        die("thread");
    }
    (void) run(source, MA_USEC_PER_SEC, &worst); /* all have answered */
    uint64_t before = n_reports;
    uint64_t cpu = run(source, SECONDS * MA_USEC_PER_SEC, &worst);
    (void) printf("agents=%d reports_per_s=%" PRIu64 " cpu_permyriad=%" PRIu64
                  " worst_dispatch_usec=%" PRIu64 " target_cpu_permyriad=1000\n",
                  AGENTS, (n_reports - before) / SECONDS, cpu / SECONDS / 100, worst);
    atomic_store(&playing, PLAY_SILENT);
    (void) run(source, MA_USEC_PER_SEC, &worst); /* what was still under way */
    measure(source, "silent", PLAY_SILENT, 3);
    measure(source, "as-much-as-allowed", PLAY_AS_MUCH_AS_ALLOWED, 5);
    measure(source, "flood", PLAY_FLOOD, 12);
    atomic_store(&is_over, true);
    (void) pthread_join(thread, NULL);
    ma_agent_source_destroy(source);
    return 0;
}
