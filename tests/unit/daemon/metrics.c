/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics.c - the texts, and the server over real sockets: who asks for what gets which answer. */
#include "metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control-fake.h"
#include "metrics-render.h"

#define TEXT_BYTES ((size_t) 1 << 20)

static char *text_of(const struct fake *fake, bool is_open_metrics) {
    struct ma_metrics_text text;
    char *buf = malloc(TEXT_BYTES);
    CHECK(buf != NULL);
    ma_metrics_text_init(&text, buf, TEXT_BYTES, is_open_metrics);
    ma_metrics_render(&text, &fake->view, fake_now_usec());
    CHECK(!text.is_truncated);
    CHECK_U64(strlen(buf), text.len);
    return buf;
}

static void check_has(const char *text, const char *what) {
    if (strstr(text, what) == NULL) {
        TAP_FAIL("there is no \"%s\" in %.2000s", what, text);
    }
}

static void a_view_becomes_samples(void) {
    struct fake fake;
    fake_init(&fake, 3);
    char *text = text_of(&fake, false);
    check_has(text, "# TYPE memarb_host_memory_available_bytes gauge\n"
                    "memarb_host_memory_available_bytes 1073741824\n");
    check_has(text, "memarb_armed{rung=\"pause\"} 1\n");
    check_has(text, "memarb_armed{rung=\"kill\"} 0\n");
    check_has(text, "memarb_pressure_state{resource=\"ram\"} 2\n");
    check_has(text, "memarb_missing_bytes{resource=\"ram\"} 536870912\n");
    check_has(text, "memarb_guest_resident_bytes{uuid=\"000000a1-0000-4000-8000-000000000000\","
                    "name=\"web-1\"} 2147483648\n");
    check_has(text,
              "memarb_guest_balloon_taken_bytes{uuid=\"000000a1-0000-4000-8000-000000000000\","
              "name=\"web-1\"} 1073741824\n");
    check_has(text, "memarb_balloon_taken_bytes 1073741824\n");
    check_has(text, "# TYPE memarb_cycles_total counter\nmemarb_cycles_total 0\n");
    CHECK(strstr(text, "# EOF") == NULL);
    free(text);
    fake_fini(&fake);
}

static void what_befell_the_guests_is_counted_by_cause(void) {
    static const struct ma_view_limit limits[] = {{.limit = MA_LIMIT_PIDS_MAX},
                                                  {.limit = MA_LIMIT_SWAP_MAX, .is_ours = true}};
    struct fake fake;
    fake_init(&fake, 5);
    struct ma_view_counters *c = &fake.view.counters;
    c->kernel_kills[MA_OOM_BY_HOST] = 3;
    c->kernel_kills[MA_OOM_NONE] = 4;
    c->starts[MA_START_REFUSED] = 5;
    c->agent_vetoes = 6;
    fake.view.n_reservations = 1;
    fake.view.held_bytes = MA_GIB;
    fake.view.pins = (struct ma_view_pins){.budget_bytes = 8 * MA_GIB, .pinned_bytes = MA_GIB};
    fake.view.pins.nodes[0] = (struct ma_view_pin_node){.id = 1, .pinned_bytes = MA_MIB};
    fake.view.pins.n_nodes = 1;
    fake.more[0].pins =
        (struct ma_view_guest_pins){.is_judged = true, .verdict.flags = MA_PIN_OVER_LIMIT};
    fake.more[1].pins.verdict.flags = MA_PIN_OVER_LIMIT; /* of before it was judged */
    fake.more[1].limits = limits;
    fake.more[1].n_limits = 2;
    fake.more[2].agent = MA_AGENT_QUARANTINED;
    fake.more[3].veto_until_usec = fake.view.published_usec + 1;
    fake.more[4].veto_until_usec = fake.view.published_usec; /* over */
    char *text = text_of(&fake, false);
    check_has(text, "# TYPE memarb_kernel_kills_total counter\n");
    check_has(text, "memarb_kernel_kills_total{cause=\"host\"} 3\n");
    check_has(text, "memarb_kernel_kills_total{cause=\"elsewhere\"} 4\n");
    check_has(text, "memarb_starts_judged_total{result=\"refused\"} 5\n");
    check_has(text, "memarb_vetoes_total 6\n");
    check_has(text, "memarb_reservations 1\n");
    check_has(text, "memarb_reserved_bytes 1073741824\n");
    check_has(text, "memarb_pin_budget_bytes 8589934592\n");
    check_has(text, "memarb_node_pinned_bytes{node=\"1\"} 1048576\n");
    check_has(text, "memarb_guests_pin_findings{finding=\"over-limit\"} 1\n");
    check_has(text, "memarb_guests_pin_findings{finding=\"unlimited\"} 0\n");
    check_has(text, "memarb_guests_limited 1\n");
    check_has(text, "memarb_agents{state=\"quarantined\"} 1\n");
    check_has(text, "memarb_guests_vetoing 1\n");
    check_has(text, "memarb_guests_bidding 0\n");
    free(text);
    fake_fini(&fake);
}

static void open_metrics_has_its_own_words(void) {
    struct fake fake;
    fake_init(&fake, 2);
    char *text = text_of(&fake, true);
    check_has(text, "# TYPE memarb_cycles counter\nmemarb_cycles_total 0\n");
    check_has(text, "# TYPE memarb_build info\nmemarb_build_info{version=\"");
    check_has(text, "# UNIT memarb_host_memory_bytes bytes\n");
    check_has(text, "\n# EOF\n");
    free(text);
    fake_fini(&fake);
}

static void what_is_not_known_has_no_sample(void) {
    struct fake fake;
    fake_init(&fake, 2);
    char *text = text_of(&fake, false);
    CHECK(strstr(text, "memarb_guest_swap_bytes{") == NULL);
    CHECK(strstr(text, "memarb_time_left_seconds{") == NULL);
    free(text);
    fake.view.time_left_usec[0] = 2500000;
    fake.guests[0].has |= MA_GUEST_HAS_SWAP;
    text = text_of(&fake, false);
    check_has(
        text,
        "memarb_guest_swap_bytes{uuid=\"000000a0-0000-4000-8000-000000000000\",name=\"db\"} 0\n");
    check_has(text, "memarb_time_left_seconds{resource=\"ram\"} 2.500000\n");
    free(text);
    fake_fini(&fake);
}

/* Whatever a guest calls itself, the text stays one line a sample. */
static void a_hostile_name_stays_in_its_label(void) {
    static const struct {
        const char *name, *label;
    } cases[] = {
        {"a\"} 1\nmemarb_armed{rung=\"kill", "name=\"a\\\"} 1\\nmemarb_armed{rung=\\\"kill\"}"},
        {"back\\slash", "name=\"back\\\\slash\"}"},
        {"\xff\xc0\xaf\x01", "name=\"????\"}"},
        {"caf\xc3\xa9", "name=\"caf\xc3\xa9\"}"},
        {"\xe2\x82", "name=\"??\"}"},
        {"\xed\xa0\x80", "name=\"???\"}"},
        {"\xf0\x9f\x90\x98", "name=\"\xf0\x9f\x90\x98\"}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake fake;
        fake_init(&fake, 2);
        fake.guests[0].name = cases[i].name;
        char *text = text_of(&fake, false);
        check_has(text, cases[i].label);
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
            CHECK(strncmp(line, "memarb_", 7) == 0 || strncmp(line, "# ", 2) == 0);
        }
        free(text);
        fake_fini(&fake);
    }
}

static void what_does_not_fit_is_said(void) {
    struct fake fake;
    struct ma_metrics_text text;
    char buf[512];
    fake_init(&fake, 2);
    for (size_t size = 0; size <= sizeof(buf); size += 64) {
        ma_metrics_text_init(&text, buf, size, true);
        ma_metrics_render(&text, &fake.view, 0);
        CHECK(text.is_truncated);
        CHECK(size == 0 || text.len < size);
    }
    fake_fini(&fake);
}

static void guests_beyond_the_bound_are_counted(void) {
    struct fake fake;
    fake_init(&fake, MA_METRICS_GUESTS_MAX + 7);
    size_t size = ma_metrics_size(MA_METRICS_GUESTS_MAX + 7);
    struct ma_metrics_text text;
    char *buf = malloc(size);
    CHECK(buf != NULL);
    ma_metrics_text_init(&text, buf, size, true);
    ma_metrics_render(&text, &fake.view, 0);
    CHECK(!text.is_truncated); /* the estimate suffices for ordinary names */
    check_has(buf, "memarb_metrics_omitted_guests 7\n");
    check_has(buf, "memarb_guests 2007\n");
    CHECK(strstr(buf, "name=\"web-2000\"") == NULL);
    free(buf);
    fake_fini(&fake);
}

static struct ma_metrics *
serve(struct fake *fake, const char *socket_path, uint16_t port, const char *file) {
    struct ma_metrics_options options = {.socket_path = socket_path,
                                         .group = "",
                                         .port = port,
                                         .file_path = file,
                                         .file_period_usec = 20 * MA_USEC_PER_MSEC};
    struct ma_metrics_ops ops = {
        .userdata = fake, .view_lock = fake_lock, .view_unlock = fake_unlock};
    struct ma_metrics *metrics = NULL;
    struct ma_err err = {0};
    if (ma_metrics_create(&options, &ops, &metrics, &err) != 0) {
        TAP_FAIL("no server: %s", err.message);
    }
    return metrics;
}

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
    return fd;
}

/* All of the answer; closes fd. */
static char *ask(int fd, const char *request) {
    size_t len = strlen(request), n = 0;
    char *answer = malloc(TEXT_BYTES);
    CHECK(answer != NULL);
    CHECK_I64(send(fd, request, len, MSG_NOSIGNAL), (int64_t) len);
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        CHECK_I64(poll(&poll_fd, 1, 20000), 1);
        ssize_t got = recv(fd, answer + n, TEXT_BYTES - 1 - n, 0);
        if (got <= 0) {
            break;
        }
        n += (size_t) got;
    }
    answer[n] = '\0';
    (void) close(fd);
    return answer;
}

static void
check_answer(const char *path, const char *request, const char *status, const char *words) {
    char *answer = ask(connect_unix(path), request);
    check_has(answer, status);
    check_has(answer, words);
    free(answer);
}

#define END "Host: x\r\nConnection: close\r\n\r\n"

static void the_socket_answers(void) {
    struct fake fake;
    struct stat st;
    fake_init(&fake, 3);
    struct ma_metrics *metrics = serve(&fake, fake.path, 0, "");
    CHECK(stat(fake.path, &st) == 0 && (st.st_mode & 0777) == 0600);
    check_answer(fake.path, "GET /metrics HTTP/1.1\r\n" END, "HTTP/1.1 200 OK\r\n",
                 "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    check_answer(
        fake.path,
        "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0\r\n" END,
        "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n", "# EOF\n");
    check_answer(fake.path, "GET /other HTTP/1.1\r\n" END, "HTTP/1.1 404",
                 "there is only /metrics");
    check_answer(fake.path, "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n" END, "HTTP/1.1 405",
                 "Allow: GET, HEAD\r\n");
    char *answer = ask(connect_unix(fake.path), "HEAD /metrics HTTP/1.1\r\n" END);
    check_has(answer, "HTTP/1.1 200 OK\r\n");
    CHECK(strstr(answer, "memarb_armed") == NULL);
    free(answer);
    ma_metrics_destroy(metrics);
    CHECK(access(fake.path, F_OK) != 0);
    fake_fini(&fake);
}

static void before_the_first_cycle_it_says_so(void) {
    struct fake fake;
    fake_init(&fake, 2);
    fake.has_view = false;
    struct ma_metrics *metrics = serve(&fake, fake.path, 0, "");
    check_answer(fake.path, "GET /metrics HTTP/1.1\r\n" END, "HTTP/1.1 503",
                 "not seen its guests yet");
    ma_metrics_destroy(metrics);
    fake_fini(&fake);
}

static void bad_clients_cost_themselves_alone(void) {
    struct fake fake;
    fake_init(&fake, 2);
    struct ma_metrics *metrics = serve(&fake, fake.path, 0, "");
    int silent = connect_unix(fake.path);
    int half = connect_unix(fake.path);
    CHECK(send(half, "GET /metr", 9, MSG_NOSIGNAL) == 9);
    check_answer(fake.path, "GET /metrics HTTP/1.1\r\n" END, "HTTP/1.1 200", "memarb_guests 2\n");
    char *answer = ask(connect_unix(fake.path), "\x01\x02 garbage\r\n\r\n");
    CHECK(answer[0] == '\0' || strncmp(answer, "HTTP/1.", 7) == 0);
    free(answer);
    size_t size = 1 << 20; /* a header that never ends */
    char *large = malloc(size);
    CHECK(large != NULL);
    memset(large, 'x', size);
    memcpy(large, "GET /metrics HTTP/1.1\r\nA: ", 26);
    int flood = connect_unix(fake.path);
    (void) !send(flood, large, size, MSG_NOSIGNAL); /* as much of it as it takes */
    (void) close(flood);
    free(large);
    check_answer(fake.path, "GET /metrics HTTP/1.1\r\n" END, "HTTP/1.1 200", "memarb_guests 2\n");
    ma_metrics_destroy(metrics); /* with two connections still open */
    char byte;
    CHECK_I64(recv(silent, &byte, 1, 0), 0);
    (void) close(silent);
    (void) close(half);
    fake_fini(&fake);
}

/* It asks for all and reads nothing: an answer of 500 guests is more than a socket holds. */
static void a_reader_that_stops_holds_up_nobody(void) {
    struct fake fake;
    fake_init(&fake, 500);
    struct ma_metrics *metrics = serve(&fake, fake.path, 0, "");
    int stalled = connect_unix(fake.path);
    const char request[] = "GET /metrics HTTP/1.1\r\n" END;
    CHECK(send(stalled, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0);
    struct pollfd poll_fd = {.fd = stalled, .events = POLLIN};
    CHECK_I64(poll(&poll_fd, 1, 20000), 1); /* its answer has begun */
    char *whole = ask(connect_unix(fake.path), "GET /metrics HTTP/1.1\r\n" END);
    check_has(whole, "memarb_guests 500\n");
    ma_metrics_destroy(metrics); /* in the middle of the other's */
    size_t n = 0;
    char buf[4096];
    for (ssize_t got = 1; got > 0; n += got > 0 ? (size_t) got : 0) {
        got = recv(stalled, buf, sizeof(buf), 0);
    }
    CHECK(n > 0 && n < strlen(whole)); /* the end of its connection, not of the answer */
    (void) close(stalled);
    free(whole);
    fake_fini(&fake);
}

/* A free port of the loopback, found by binding one and letting it go. */
static uint16_t free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *) &address, len) == 0);
    CHECK_I64(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    (void) close(fd);
    return ntohs(address.sin_port);
}

static void the_port_answers_on_the_loopback_alone(void) {
    struct fake fake;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fake_init(&fake, 2);
    uint16_t port = free_port();
    struct ma_metrics *metrics = serve(&fake, "", port, "");
    address.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
    char *answer = ask(fd, "GET /metrics HTTP/1.1\r\n" END);
    check_has(answer, "memarb_guests 2\n");
    free(answer);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0);
    (void) close(fd);
    struct ma_metrics *second = NULL;
    struct ma_metrics_options options = {
        .socket_path = "", .group = "", .port = port, .file_path = ""};
    struct ma_metrics_ops ops = {
        .userdata = &fake, .view_lock = fake_lock, .view_unlock = fake_unlock};
    struct ma_err err = {0};
    CHECK_I64(ma_metrics_create(&options, &ops, &second, &err), -EADDRINUSE);
    CHECK(second == NULL && strstr(err.message, "127.0.0.1:") != NULL);
    ma_metrics_destroy(metrics);
    fake_fini(&fake);
}

static unsigned mode_of(const char *path) {
    struct stat st;
    CHECK_I64(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void the_file_is_whole_and_goes_with_the_daemon(void) {
    struct fake fake;
    char path[128];
    fake_init(&fake, 3);
    (void) snprintf(path, sizeof(path), "%s/memarb.prom", fake.folder);
    struct ma_metrics *metrics = serve(&fake, "", 0, path);
    FILE *file = NULL;
    for (int i = 0; i < 2000 && (file = fopen(path, "re")) == NULL; i++) {
        (void) poll(NULL, 0, 10);
    }
    CHECK(file != NULL);
    char *text = calloc(1, TEXT_BYTES);
    CHECK_U64(mode_of(path), 0644); /* node_exporter is another user */
    CHECK(text != NULL && fread(text, 1, TEXT_BYTES - 1, file) > 0);
    (void) fclose(file);
    check_has(text, "memarb_metrics_omitted_guests 0\n"); /* the last family */
    free(text);
    ma_metrics_destroy(metrics);
    CHECK(access(path, F_OK) != 0);
    fake_fini(&fake);
}

static void nothing_asked_for_is_nothing_started(void) {
    struct fake fake;
    fake_init(&fake, 2);
    CHECK(serve(&fake, "", 0, "") == NULL);
    ma_metrics_destroy(NULL);
    fake_fini(&fake);
}

TAP_MAIN(TAP_CASE(a_view_becomes_samples),
         TAP_CASE(what_befell_the_guests_is_counted_by_cause),
         TAP_CASE(open_metrics_has_its_own_words),
         TAP_CASE(what_is_not_known_has_no_sample),
         TAP_CASE(a_hostile_name_stays_in_its_label),
         TAP_CASE(what_does_not_fit_is_said),
         TAP_CASE(guests_beyond_the_bound_are_counted),
         TAP_CASE(the_socket_answers),
         TAP_CASE(before_the_first_cycle_it_says_so),
         TAP_CASE(bad_clients_cost_themselves_alone),
         TAP_CASE(a_reader_that_stops_holds_up_nobody),
         TAP_CASE(the_port_answers_on_the_loopback_alone),
         TAP_CASE(the_file_is_whole_and_goes_with_the_daemon),
         TAP_CASE(nothing_asked_for_is_nothing_started));
