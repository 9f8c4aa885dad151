/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a peer can say and must not achieve anything with: it is closed, with a reason that names what it did. */
#include <malloc.h>

#include "peer.h"

static void check_closed(struct peer *p, const char *reason_part) {
    CHECK(qmp_client_state(p->client) == QMP_STATE_CLOSED);
    if (strstr(p->reason, reason_part) == NULL) {
        TAP_FAIL("reason \"%s\" does not say \"%s\"", p->reason, reason_part);
    }
    CHECK_I64(p->polled_fd, -1);
}

static void nonsense_instead_of_a_greeting(void) {
    static const struct {
        const char *says, *reason;
    } rows[] = {
        {"SSH-2.0-OpenSSH\r\n", "not JSON"},
        {"{\"return\": {}}\r\n", "did not greet"},
        {"{\"QMP\": 7}\r\n", "bad greeting"},
        {"{\"QMP\": {\"version\": {\"qemu\": {\"major\": -7, \"minor\": 1, \"micro\": 1}}}}\r\n",
         "major"},
        {"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 1}}}}\r\n", "micro"},
        {"[]\r\n", "not a JSON object"},
        {"{\"event\": \"STOP\"}\r\n", "did not greet"},
        {"\xff\xfe\r\n", "not JSON"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct peer p;
        peer_open(&p);
        peer_says(&p, rows[i].says);
        check_closed(&p, rows[i].reason);
        peer_shut(&p);
    }
}
static void nonsense_when_ready(void) {
    static const struct {
        const char *says, *reason;
    } rows[] = {
        {PEER_GREETING, "second greeting"},
        {"{\"return\": {}, \"id\": 77}\r\n", "id 77"},
        {"{\"return\": {}, \"id\": \"x\"}\r\n", "not a number"},
        {"{\"return\": {}, \"id\": -1}\r\n", "not a number"},
        {"{\"return\": {}, \"id\": 18446744073709551615}\r\n", "not a number"},
        {"{\"return\": {}}\r\n", "without an id"},
        {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n",
         "JSON parse error"},
        {"{\"return\": {}, \"error\": {}, \"id\": 2}\r\n", "both"},
        {"{\"event\": 7}\r\n", "without a name"},
        {"{\"hello\": \"you\"}\r\n", "neither reply nor event"},
        {"}\r\n", "not JSON"},
        {"{\"event\": \"STOP\"} {\"event\": \"STOP\"}\r\n", "not JSON"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct peer p;
        peer_open_ready(&p);
        struct qmp_call call = peer_call(&p);
        CHECK_I64(qmp_stop(p.client, &call), 0);
        peer_says(&p, rows[i].says);
        check_closed(&p, rows[i].reason);
        CHECK_U64(p.dones, 1);
        CHECK(p.outcome == QMP_CLOSED);
        peer_shut(&p);
    }
}
static void a_negotiation_that_is_refused(void) {
    static struct peer p;
    peer_open(&p);
    peer_says(&p, PEER_GREETING);
    peer_says(&p, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 1}\r\n");
    check_closed(&p, "refused: no");
    peer_shut(&p);
}
static void answers_of_a_wrong_shape_fail_the_command_alone(void) {
    static const char *const says[] = {
        "{\"return\": {}, \"id\": %llu}",
        "{\"return\": 7, \"id\": %llu}",
        "{\"return\": null, \"id\": %llu}",
        "{\"return\": {\"actual\": \"many\"}, \"id\": %llu}",
        "{\"return\": {\"actual\": 0.5}, \"id\": %llu}",
        "{\"error\": 7, \"id\": %llu}",
        "{\"error\": {}, \"id\": %llu}",
        "{\"error\": {\"class\": 7, \"desc\": 8}, \"id\": %llu}",
    };
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        static struct peer p;
        char line[256];
        peer_open_ready(&p);
        struct qmp_call call = peer_call(&p);
        CHECK_I64(qmp_query_balloon(p.client, &call), 0);
        const char *at = strstr(says[i], "%llu");
        (void) snprintf(line, sizeof(line), "%.*s%llu}\r\n", (int) (at - says[i]), says[i],
                        peer_id(peer_heard(&p)));
        peer_says(&p, line);
        CHECK_U64(p.dones, 1);
        CHECK(p.outcome == (i < 5 ? QMP_BAD_REPLY : QMP_ERROR));
        CHECK(i < 5 || p.error_class == QMP_CLASS_OTHER);
        CHECK(p.text[0] != '\0');
        CHECK(p.state == QMP_STATE_READY);
        peer_shut(&p);
    }
}
static void a_line_without_end_is_cut_at_the_bound(void) {
    static struct peer p;
    static char chunk[4096];
    peer_open_ready(&p);
    memset(chunk, 'x', sizeof(chunk));
    for (unsigned i = 0; i < 1024 && qmp_client_fd(p.client) >= 0; i++) {
        peer_says_bytes(&p, chunk, sizeof(chunk));
    }
    check_closed(&p, "more than 262144 bytes");
    peer_shut(&p);
}
static void deep_nesting_is_refused(void) {
    static struct peer p;
    static char text[200001];
    peer_open_ready(&p);
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 2] = '\n';
    peer_says(&p, text);
    check_closed(&p, "nested too deeply");
    peer_shut(&p);
}
static void thousands_of_events_pass_through_without_growth(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct mallinfo2 before = mallinfo2();
    for (unsigned i = 0; i < 20000; i++) {
        peer_says(&p, "{\"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 1}}\r\n");
    }
    struct mallinfo2 after = mallinfo2();
    CHECK_U64(p.events, 20000);
    CHECK(p.event_kind == QMP_EVENT_OTHER);
    CHECK_STR(p.event_name, "RTC_CHANGE");
    CHECK(after.uordblks <= before.uordblks + 1024);
    peer_shut(&p);
}
static void one_dispatch_reads_a_bounded_amount(void) {
    static struct peer p;
    int size = 1 << 20;
    unsigned sent = 0;
    static const char event[] = "{\"event\": \"STOP\"}\r\n";
    peer_open_ready(&p);
    CHECK(setsockopt(p.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    static char batch[2048];
    size_t n = 0;
    for (; n + sizeof(event) < sizeof(batch); n += sizeof(event) - 1) {
        memcpy(batch + n, event, sizeof(event) - 1);
    }
    while (send(p.fd, batch, n, MSG_DONTWAIT) == (ssize_t) n) {
        sent += (unsigned) n;
    }
    CHECK(sent > 2 * 65536);
    peer_dispatch(&p);
    CHECK(p.events > 0 && p.events <= (65536 + 4096) / (sizeof(event) - 1));
    peer_shut(&p);
}
static void empty_lines_say_nothing(void) {
    static struct peer p;
    peer_open_ready(&p);
    peer_says(&p, "\r\n\n\r\n");
    CHECK(p.state == QMP_STATE_READY);
    peer_shut(&p);
}
/* Random bytes and random cuts of honest lines: whatever comes, a call ends exactly once. */
static void noise_never_breaks_the_once(void) {
    uint64_t seed = 20231;
    (void) printf("# seed %" PRIu64 "\n", seed);
    static const char *const parts[] = {"{\"return\": {}, \"id\": ",
                                        "2}",
                                        "\r\n",
                                        "{\"event\": \"STOP\"",
                                        "}",
                                        "{\"error\": {\"class\": \"X\"}",
                                        ", \"id\": 3}",
                                        "\"",
                                        "\\",
                                        "[",
                                        "\x80"};
    for (unsigned round = 0; round < 2000; round++) {
        static struct peer p;
        peer_open_ready(&p);
        struct qmp_call call = peer_call(&p);
        CHECK_I64(qmp_stop(p.client, &call), 0);
        CHECK_I64(qmp_query_memdev(p.client, &call), 0);
        for (unsigned i = 0; i < 12 && qmp_client_fd(p.client) >= 0; i++) {
            peer_says(&p, parts[tap_below(&seed, sizeof(parts) / sizeof(parts[0]))]);
        }
        peer_shut(&p);
        CHECK_U64(p.dones, 2);
    }
}

TAP_MAIN(TAP_CASE(nonsense_instead_of_a_greeting),
         TAP_CASE(nonsense_when_ready),
         TAP_CASE(a_negotiation_that_is_refused),
         TAP_CASE(answers_of_a_wrong_shape_fail_the_command_alone),
         TAP_CASE(a_line_without_end_is_cut_at_the_bound),
         TAP_CASE(deep_nesting_is_refused),
         TAP_CASE(thousands_of_events_pass_through_without_growth),
         TAP_CASE(one_dispatch_reads_a_bounded_amount),
         TAP_CASE(empty_lines_say_nothing),
         TAP_CASE(noise_never_breaks_the_once));
