/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's channel can cost, by real sockets and a clock of our own; numbers are the invariants of link.c. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent-source.h"
#include "bytes.h"
#include "protocol.h"
#include "tap.h"

#define GUESTS 2
#define FLOOD  0
#define HONEST 1
#define MSEC   MA_USEC_PER_MSEC

static struct ma_agent_source *source;
static int guests[GUESTS];
static uint64_t tokens[GUESTS], now_usec;
static char folder[64], pattern[80];
static uint64_t n_named, n_reports[GUESTS], last_available[GUESTS];
static bool is_quarantined[GUESTS];

static size_t number_of(const char *uuid) {
    return (size_t) (uuid[0] - '0');
}

static int identify(void *userdata, pid_t pid, char uuid[MA_SOURCE_UUID_MAX]) {
    (void) userdata;
    (void) pid;
    (void) snprintf(uuid, MA_SOURCE_UUID_MAX, "%" PRIu64, n_named++);
    return 0;
}

static void on_report(void *userdata, const char *uuid, const struct ma_agent_claims *claims) {
    (void) userdata;
    n_reports[number_of(uuid)]++;
    last_available[number_of(uuid)] = claims->stats.claimed_available_bytes;
}

static void on_link(void *userdata,
                    const char *uuid,
                    enum ma_agent_link link,
                    uint64_t until_usec,
                    const char *reason) {
    (void) userdata;
    (void) until_usec;
    (void) reason;
    is_quarantined[number_of(uuid)] = link == MA_AGENT_LINK_QUARANTINED;
}

static int listen_at(int number) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%d", folder, number);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
    CHECK(listen(fd, 1) == 0);
    return fd;
}

static void dispatch(void) {
    (void) ma_agent_source_dispatch(source, now_usec);
}

static void hear_token(int k) {
    char data[MAG_LINE_MAX + 1];
    struct mag_request request;
    ssize_t n = recv(guests[k], data, sizeof(data), MSG_DONTWAIT);

    CHECK(n > 2 && data[0] == '\n' && data[n - 1] == '\n');
    CHECK_I64(mag_request_parse(data + 1, (size_t) n - 2, &request), 0);
    tokens[k] = request.token;
}

static void start(void) {
    static const char *const globs[] = {pattern};
    struct ma_agent_source_config config = {.globs = globs, .n_globs = 1, .max_agents = GUESTS};
    struct ma_agent_source_ops ops = {NULL, identify, on_report, on_link};
    struct ma_err err = {0};
    int listeners[GUESTS];

    (void) snprintf(folder, sizeof(folder), "/tmp/memarb-link-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(pattern, sizeof(pattern), "%s/*", folder);
    now_usec = 1000 * MA_USEC_PER_SEC;
    n_named = 0;
    memset(n_reports, 0, sizeof(n_reports));
    for (int k = 0; k < GUESTS; k++) {
        listeners[k] = listen_at(k);
    }
    CHECK_I64(ma_agent_source_create(&config, &ops, &source, &err), 0);
    dispatch();
    dispatch();
    for (int k = 0; k < GUESTS; k++) {
        char path[96];

        guests[k] = accept(listeners[k], NULL, NULL);
        CHECK(guests[k] >= 0);
        (void) close(listeners[k]);
        (void) snprintf(path, sizeof(path), "%s/%d", folder, k);
        (void) unlink(path);
        hear_token(k);
    }
    (void) rmdir(folder);
}

static void end(void) {
    for (int k = 0; k < GUESTS; k++) {
        (void) close(guests[k]);
    }
    ma_agent_source_destroy(source);
}

static size_t format(int k, uint64_t seq, char line[MAG_LINE_MAX]) {
    struct mag_report r = {.has = MAG_HAS_MEM_AVAILABLE,
                           .token = tokens[k],
                           .run = 1,
                           .seq = seq,
                           .now_usec = seq * 100 * MSEC,
                           .mem_available_bytes = seq * MA_MIB};

    return mag_report_format(&r, line);
}

static void report(int k, uint64_t seq) {
    char line[MAG_LINE_MAX];
    size_t length = format(k, seq, line);

    CHECK_I64(send(guests[k], line, length, MSG_DONTWAIT | MSG_NOSIGNAL), (int64_t) length);
}

/* Writes until nothing more fits. The bytes that did. */
static size_t fill(int k, const char *text, size_t length) {
    size_t sum = 0;
    ssize_t n;

    while ((n = send(guests[k], text, length, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
        sum += (size_t) n;
    }
    CHECK(n < 0 && (errno == EAGAIN || errno == EPIPE));
    return sum;
}

static bool is_readable(void) {
    struct pollfd wait = {.fd = ma_agent_source_fd(source), .events = POLLIN};
    return poll(&wait, 1, 0) > 0;
}

/* Twenty seconds, a dispatch each millisecond, of a guest that writes such text whenever there is room. */
static void flood_with(const char *line) {
    static char text[32 * MA_KIB];
    size_t length = 0;
    uint64_t n_reads = 0, last_read_usec = 0, n_awake = 0, seq = 0;

    for (; length + strlen(line) <= sizeof(text); length += strlen(line)) {
        memcpy(text + length, line, strlen(line));
    }
    start();
    (void) fill(FLOOD, text, length);
    for (int msec = 0; msec < 20000; msec++, now_usec += MSEC) {
        if (msec % 100 == 0) {
            report(HONEST, ++seq);
        }
        n_awake += is_readable();
        dispatch();
        size_t read = fill(FLOOD, text, length);
        if (read > 0) {
            CHECK(n_reads == 0 || now_usec - last_read_usec >= 50 * MSEC); /* L1 */
            CHECK(read <= 64 * MA_KIB); /* L2: 32 KiB, and what the kernel frees with it */
            n_reads++;
            last_read_usec = now_usec;
        }
    }
    CHECK(is_quarantined[FLOOD]); /* L3 */
    CHECK(n_reads >= 2 && n_reads <= 40);
    CHECK(n_awake <= seq + 4); /* the other one's first read, its haste, the end */
    CHECK_U64(n_reports[HONEST], seq);
    CHECK_U64(n_reports[FLOOD], 0);
    end();
}

static void a_flood_is_read_seldom_and_then_no_more(void) {
    flood_with(
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    flood_with("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
    flood_with("memarb/1 report a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1\n");
    flood_with("memarb/1 report token=1 run=1 seq=1 now=1 alarm=1 veto=1 mem_available=0\n");
}

static void the_newest_word_stands_for_those_before(void) {
    start();
    for (uint64_t seq = 1; seq <= 200; seq++) {
        report(HONEST, seq);
    }
    dispatch();
    CHECK_U64(last_available[HONEST], 200 * MA_MIB);
    CHECK(n_reports[HONEST] <= 2 * MAG_LINE_MAX / 64);
    end();
}

static void a_line_cut_by_a_read_is_whole_with_the_next(void) {
    char line[MAG_LINE_MAX];
    size_t length;

    start();
    for (uint64_t seq = 1; seq <= 100; seq++) {
        report(HONEST, seq);
    }
    length = format(HONEST, 101, line);
    CHECK_I64(send(guests[HONEST], line, 20, MSG_NOSIGNAL), 20);
    dispatch();
    CHECK_U64(last_available[HONEST], 100 * MA_MIB);
    CHECK_I64(send(guests[HONEST], line + 20, length - 20, MSG_NOSIGNAL), (int64_t) length - 20);
    dispatch(); /* too soon */
    CHECK_U64(last_available[HONEST], 100 * MA_MIB);
    CHECK(!is_readable());
    CHECK(ma_agent_source_deadline(source) <= now_usec + 50 * MSEC);
    now_usec += 50 * MSEC;
    dispatch();
    dispatch();
    CHECK_U64(last_available[HONEST], 101 * MA_MIB);
    end();
}

static void a_guest_that_leaves_while_it_is_not_read_is_gone(void) {
    start();
    report(HONEST, 1);
    dispatch();
    report(HONEST, 2);
    dispatch();
    CHECK(!is_readable());
    (void) close(guests[HONEST]);
    guests[HONEST] = -1;
    for (int k = 0; k < 4; k++) {
        now_usec += 200 * MSEC;
        dispatch();
    }
    CHECK_U64(n_reports[HONEST], 2);
    CHECK(!is_readable());
    end();
}

/* A guest that knows one token knows no other: neither its own next one nor a neighbour's. */
static void a_token_says_nothing_of_the_next(void) {
    uint64_t seen[4 * GUESTS];

    for (size_t n = 0; n < 4 * GUESTS; n++) {
        if (n % GUESTS == 0) {
            start();
        }
        seen[n] = tokens[n % GUESTS];
        for (size_t k = 0; k < n; k++) {
            uint64_t apart = seen[n] > seen[k] ? seen[n] - seen[k] : seen[k] - seen[n];
            CHECK(apart > MA_GIB);
        }
        if (n % GUESTS == GUESTS - 1) {
            end();
        }
    }
}

TAP_MAIN(TAP_CASE(a_token_says_nothing_of_the_next),
         TAP_CASE(a_flood_is_read_seldom_and_then_no_more),
         TAP_CASE(the_newest_word_stands_for_those_before),
         TAP_CASE(a_line_cut_by_a_read_is_whole_with_the_next),
         TAP_CASE(a_guest_that_leaves_while_it_is_not_read_is_gone));
