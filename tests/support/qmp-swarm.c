/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp-swarm.c - plays N QEMU monitors, for tests and measurements that need more peers than guests would fit.
 *
 *   qmp-swarm --dial SOCKET | --listen FOLDER (FOLDER/peer-0000.sock ...)  [--count N] [--memory-mib M] [--used-mib U]
 *             [--rate-mib MIB-PER-SECOND] [--stuck N] [--lazy N] [--slow N --slow-ms MS] [--garbage N] [--no-balloon]
 *             [--processes] [--fresh] [--log FILE] [--agent SOCKET --hand-over SOCKET]
 *
 * Peer kinds are dealt from number 0 on, in this order: stuck (greets, agrees, then never answers), lazy (accepts a
 * balloon target and does not move), slow (answers late), garbage (says no JSON once asked); the rest is good.
 * --processes: one process a peer, so that SO_PEERCRED tells them apart; ended with the parent.
 * --agent: each process connects to it (so it is the peer by SO_PEERCRED) and sends the descriptor, with the peer's
 * number as text, to --hand-over: the test speaks there as that guest's agent.
 * --fresh: each new client finds the balloon empty, as if the guest had given all back meanwhile.
 * A dialling peer dials again after 200 ms, as QEMU does with reconnect=. The log gets a line for each `balloon` command:
 * CLOCK_MONOTONIC nanoseconds of its arrival, the peer's number, the target. "ready" on stdout once all is set up.
 * What it answers is checked by the same contract tests as QEMU 7.2's answers. */
#include "qmp-swarm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct swarm_options opt = {.count = 1,
                            .memory = 1024 * MIB,
                            .occupied = 256 * MIB,
                            .rate = 400 * MIB,
                            .slow_ms = 500,
                            .has_balloon = true};

static int epoll_fd, log_fd = -1;

static int64_t now_nsec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static void watch(int fd, struct peer *p) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void hang_up(struct peer *p) {
    if (p->fd >= 0) {
        (void) close(p->fd);
    }
    p->fd = -1;
    p->is_ready = false;
    p->used = 0;
    p->wake_at = opt.dial != NULL && !p->is_gone ? now_nsec() + REDIAL_NSEC : 0;
}

/* A client that does not read is its own fault. */
static void say(struct peer *p, const char *text) {
    size_t n = strlen(text);
    if (p->fd >= 0 && send(p->fd, text, n, MSG_NOSIGNAL) != (ssize_t) n) {
        hang_up(p);
    }
}

static void greet(struct peer *p, int fd) {
    p->fd = fd;
    p->wake_at = 0;
    if (opt.is_fresh) {
        p->actual = p->target = opt.memory;
    }
    watch(fd, p);
    say(p, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
           "\"package\": \"qmp-swarm\"}, \"capabilities\": [\"oob\"]}}\r\n");
}

void say_event(struct peer *p, const char *name, const char *data) {
    char line[512];
    struct timespec t;
    (void) clock_gettime(CLOCK_REALTIME, &t);
    (void) snprintf(
        line, sizeof(line),
        "{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %ld}, \"event\": \"%s\"%s%s}\r\n",
        (long long) t.tv_sec, t.tv_nsec / 1000, name, data[0] != '\0' ? ", \"data\": " : "", data);
    say(p, line);
}

void note_balloon(const struct peer *p, int64_t arrived, int64_t value) {
    char line[96];
    int n = snprintf(line, sizeof(line), "%lld %u %lld\n", (long long) arrived, p->number,
                     (long long) value);
    if (log_fd >= 0 && write(log_fd, line, (size_t) n) != n) {
        perror("log");
    }
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void handle(struct peer *p, const json_t *root, int64_t arrived) {
    static char out[ANSWER_MAX], line[ANSWER_MAX + 256];
    const json_t *arguments = json_object_get(root, "arguments");
    struct request r = {.name = text_of(root, "execute"),
                        .path = text_of(arguments, "path"),
                        .property = text_of(arguments, "property"),
                        .arguments = arguments,
                        .arrived = arrived};
    if (p->is_ready && p->kind == STUCK) {
        if (strcmp(r.name, "balloon") == 0) {
            note_balloon(p, arrived, json_integer_value(json_object_get(arguments, "value")));
        }
        return;
    }
    if (p->is_ready && p->kind == GARBAGE) {
        say(p, "}}} \xff garbage [[[\r\n");
        return;
    }
    answer_request(p, &r, out);
    char *id = json_dumps(json_object_get(root, "id"), JSON_ENCODE_ANY);
    (void) snprintf(line, sizeof(line), "{%s%s%.200s}\r\n", out, id != NULL ? ", \"id\": " : "",
                    id != NULL ? id : "");
    free(id);
    say(p, line);
    if (p->is_gone) {
        hang_up(p);
    }
}

/* Objects may follow each other with or without a newline. */
static void handle_input(struct peer *p, int64_t arrived) {
    size_t at = 0;
    while (p->fd >= 0 && at < p->used) {
        json_error_t error;
        json_t *root = json_loadb(p->input + at, p->used - at, JSON_DISABLE_EOF_CHECK, &error);
        if (root == NULL && json_error_code(&error) == json_error_premature_end_of_input) {
            break;
        }
        if (root == NULL) {
            say(p,
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n");
            at = p->used;
            break;
        }
        at += (size_t) error.position;
        handle(p, root, arrived);
        json_decref(root);
    }
    if (p->fd >= 0) {
        p->used -= at;
        memmove(p->input, p->input + at, p->used);
    }
}

static void on_readable(struct peer *p) {
    ssize_t n = recv(p->fd, p->input + p->used, sizeof(p->input) - p->used, MSG_DONTWAIT);
    int64_t arrived = now_nsec();
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        hang_up(p);
        return;
    }
    p->used += (size_t) n;
    if (p->kind == SLOW && p->is_ready) {
        p->arrived_at = arrived;
        p->wake_at = arrived + opt.slow_ms * NSEC_PER_MSEC;
        return;
    }
    handle_input(p, arrived);
}

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path)) {
        (void) fprintf(stderr, "path too long: %s\n", path);
        exit(2);
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    return a;
}

static void dial(struct peer *p) {
    struct sockaddr_un a = address_of(opt.dial);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *) &a, sizeof(a)) == 0) {
        greet(p, fd);
        return;
    }
    if (fd >= 0) {
        (void) close(fd);
    }
    p->wake_at = now_nsec() + REDIAL_NSEC;
}

static void listen_for(struct peer *p) {
    char path[200];
    (void) snprintf(path, sizeof(path), "%s/peer-%04u.sock", opt.listen, p->number);
    struct sockaddr_un a = address_of(path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void) unlink(path);
    if (p->listener < 0 || bind(p->listener, (const struct sockaddr *) &a, sizeof(a)) < 0 ||
        listen(p->listener, 4) < 0) {
        perror(path);
        exit(1);
    }
}

/* One client at a time: the next one waits in the backlog without a greeting, as with QEMU. */
static void accept_waiting(struct peer *p) {
    struct pollfd w = {.fd = p->listener, .events = POLLIN};
    if (p->listener < 0 || p->fd >= 0 || p->is_gone || poll(&w, 1, 0) <= 0) {
        return;
    }
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        greet(p, fd);
    }
}

static bool tick(struct peer *p, int64_t now) {
    if (p->wake_at != 0 && now >= p->wake_at) {
        p->wake_at = 0;
        if (p->fd >= 0) {
            handle_input(p, p->arrived_at);
        } else if (opt.dial != NULL) {
            dial(p);
        }
    }
    accept_waiting(p);
    move_balloon(p, now);
    tell_change(p, now);
    return !p->is_gone;
}

/* Does it do anything by itself, without being asked? */
static bool is_restless(const struct peer *p) {
    return p->wake_at != 0 || p->listener >= 0 || p->actual != p->target || p->is_change_due;
}

/* Until the last peer was told to quit. Commands are answered at once; a thousand idle processes cost no wake-ups. */
static void serve(struct peer *peers, unsigned count) {
    struct epoll_event events[64];
    int64_t next_tick = 0;
    bool is_alive = true;
    bool is_at_rest = false;
    while (is_alive) {
        int n = epoll_wait(epoll_fd, events, 64, is_at_rest ? -1 : TICK_MSEC);
        is_at_rest = false;
        for (int i = 0; i < n; i++) {
            struct peer *p = events[i].data.ptr;
            if (p->fd >= 0) {
                on_readable(p);
            }
        }
        int64_t now = now_nsec();
        if (now < next_tick) {
            continue;
        }
        next_tick = now + TICK_MSEC * NSEC_PER_MSEC;
        is_alive = false;
        is_at_rest = true;
        for (unsigned i = 0; i < count; i++) {
            is_alive = tick(&peers[i], now) || is_alive;
            is_at_rest = is_at_rest && !is_restless(&peers[i]);
        }
    }
}

static void init_peer(struct peer *p, unsigned number) {
    unsigned stuck = opt.stuck, lazy = stuck + opt.lazy, slow = lazy + opt.slow;
    *p = (struct peer){.number = number,
                       .fd = -1,
                       .listener = -1,
                       .is_running = true,
                       .actual = opt.memory,
                       .target = opt.memory};
    p->kind = number < stuck                ? STUCK
              : number < lazy               ? LAZY
              : number < slow               ? SLOW
              : number < slow + opt.garbage ? GARBAGE
                                            : GOOD;
    if (opt.listen != NULL) {
        listen_for(p);
    } else {
        p->wake_at = 1;
    }
}

static void serve_range(unsigned first, unsigned count) {
    struct peer *peers = calloc(count, sizeof(*peers));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (peers == NULL || epoll_fd < 0) {
        perror("qmp-swarm");
        exit(1);
    }
    for (unsigned i = 0; i < count; i++) {
        init_peer(&peers[i], first + i);
    }
    if (!opt.has_processes) {
        (void) puts("ready");
        (void) fflush(stdout);
    }
    serve(peers, count);
    free(peers);
    (void) close(epoll_fd);
}

static int connected_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void hand_over_agent(unsigned number) {
    char text[16];
    union {
        struct cmsghdr align;
        char data[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {text, (size_t) snprintf(text, sizeof(text), "%u", number)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.data,
                             .msg_controllen = sizeof(control.data)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int agent = connected_to(opt.agent);
    int to = connected_to(opt.hand_over);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &agent, sizeof(agent));
    if (sendmsg(to, &message, MSG_NOSIGNAL) < 0) {
        perror("sendmsg");
        exit(1);
    }
    (void) close(to);
    (void) close(agent);
}

static void serve_processes(void) {
    pid_t parent = getpid();
    for (unsigned i = 0; i < opt.count; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            exit(1); /* the children end with us */
        }
        if (pid == 0) {
            (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) {
                _exit(1);
            }
            if (opt.agent != NULL) {
                hand_over_agent(i);
            }
            serve_range(i, 1);
            _exit(0);
        }
    }
    (void) puts("ready");
    (void) fflush(stdout);
    while (wait(NULL) > 0) {
    }
}

static unsigned number_of(const char *text) {
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n > 1U << 24) {
        (void) fprintf(stderr, "bad number: %s\n", text);
        exit(2);
    }
    return (unsigned) n;
}

static void take_option(int c) {
    switch (c) {
    case 'd':
        opt.dial = optarg;
        break;
    case 'l':
        opt.listen = optarg;
        break;
    case 'n':
        opt.count = number_of(optarg);
        break;
    case 'm':
        opt.memory = number_of(optarg) * MIB;
        break;
    case 'u':
        opt.occupied = number_of(optarg) * MIB;
        break;
    case 'r':
        opt.rate = number_of(optarg) * MIB;
        break;
    case 's':
        opt.stuck = number_of(optarg);
        break;
    case 'z':
        opt.lazy = number_of(optarg);
        break;
    case 'w':
        opt.slow = number_of(optarg);
        break;
    case 'W':
        opt.slow_ms = number_of(optarg);
        break;
    case 'g':
        opt.garbage = number_of(optarg);
        break;
    case 'b':
        opt.has_balloon = false;
        break;
    case 'p':
        opt.has_processes = true;
        break;
    case 'f':
        opt.is_fresh = true;
        break;
    case 'o':
        opt.log = optarg;
        break;
    case 'a':
        opt.agent = optarg;
        break;
    case 'h':
        opt.hand_over = optarg;
        break;
    default:
        exit(2);
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"dial", 1, NULL, 'd'},       {"listen", 1, NULL, 'l'},    {"count", 1, NULL, 'n'},
        {"memory-mib", 1, NULL, 'm'}, {"used-mib", 1, NULL, 'u'},  {"rate-mib", 1, NULL, 'r'},
        {"stuck", 1, NULL, 's'},      {"lazy", 1, NULL, 'z'},      {"slow", 1, NULL, 'w'},
        {"slow-ms", 1, NULL, 'W'},    {"garbage", 1, NULL, 'g'},   {"no-balloon", 0, NULL, 'b'},
        {"processes", 0, NULL, 'p'},  {"fresh", 0, NULL, 'f'},     {"log", 1, NULL, 'o'},
        {"agent", 1, NULL, 'a'},      {"hand-over", 1, NULL, 'h'}, {NULL, 0, NULL, 0},
    };
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        take_option(c);
    }
    if ((opt.dial == NULL) == (opt.listen == NULL) ||
        (opt.agent == NULL) != (opt.hand_over == NULL) || optind != argc || opt.count == 0) {
        (void) fprintf(stderr, "usage: qmp-swarm --dial SOCKET | --listen FOLDER [options]\n");
        return 2;
    }
    struct rlimit files = {65536, 65536};
    (void) setrlimit(RLIMIT_NOFILE, &files); /* without the right to: the limit as it is must do */
    if (opt.log != NULL) {
        log_fd = open(opt.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log_fd < 0) {
            perror(opt.log);
            return 1;
        }
    }
    if (opt.has_processes) {
        serve_processes();
    } else {
        serve_range(0, opt.count);
    }
    return 0;
}
