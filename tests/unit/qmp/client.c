/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handshake, matching by id, events, life cycle. */
#include <fcntl.h>

#include "peer.h"

static void a_handshake_leads_to_ready(void) {
    static struct peer p;
    struct qmp_call call;
    peer_open(&p);
    call = peer_call(&p);
    CHECK(p.state == QMP_STATE_GREETING);
    CHECK_I64(p.polled, POLLIN);
    CHECK_I64(qmp_query_status(p.client, &call), -ENOTCONN);
    peer_says(&p, PEER_GREETING);
    CHECK(p.state == QMP_STATE_NEGOTIATING);
    CHECK_STR(peer_heard(&p), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
    CHECK_I64(qmp_query_status(p.client, &call), -ENOTCONN);
    PEER_ANSWER(&p, "{\"return\": {}, \"id\": %llu}", 1);
    CHECK(p.state == QMP_STATE_READY);
    CHECK_U64(qmp_client_version(p.client)->major, 7);
    CHECK_U64(qmp_client_version(p.client)->micro, 22);
    CHECK(qmp_client_deadline(p.client) == UINT64_MAX);
    peer_shut(&p);
}
static void answers_are_matched_by_id_not_by_order(void) {
    static struct peer p;
    static struct peer q = {0};
    peer_open_ready(&p);
    struct qmp_call first = peer_call(&p);
    struct qmp_call second = {.done = peer_done, .userdata = &q, .now_usec = p.now_usec};
    CHECK_I64(qmp_query_balloon(p.client, &first), 0);
    unsigned long long a = peer_id(peer_heard(&p));
    CHECK_I64(qmp_query_uuid(p.client, &second), 0);
    unsigned long long b = peer_id(peer_heard(&p));
    CHECK_U64(qmp_client_in_flight(p.client), 2);
    PEER_ANSWER(&p, "{\"return\": {\"UUID\": \"u\"}, \"id\": %llu}", b);
    CHECK_U64(q.dones, 1);
    CHECK_U64(p.dones, 0);
    CHECK_STR(q.reply.uuid, "u");
    PEER_ANSWER(&p, "{\"return\": {\"actual\": 4096}, \"id\": %llu}", a);
    CHECK_U64(p.dones, 1);
    CHECK_I64(p.reply.balloon.actual_bytes, 4096);
    peer_shut(&p);
    CHECK_U64(p.dones + q.dones, 2);
}
static void an_event_before_the_answer_is_delivered_first(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_quit(p.client, &call), 0);
    unsigned long long id = peer_id(peer_heard(&p));
    PEER_ANSWER(&p,
                "{\"timestamp\": {\"seconds\": 1795307755, \"microseconds\": 738487}, \"event\": "
                "\"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}\r\n"
                "{\"return\": {}, \"id\": %llu}",
                id);
    CHECK_STR(p.order, "ed");
    CHECK(p.event.kind == QMP_EVENT_SHUTDOWN);
    CHECK(!p.event.by_guest);
    CHECK_STR(p.event.text, "host-qmp-quit");
    CHECK_U64(p.event.timestamp_usec, UINT64_C(1795307755738487));
    CHECK(p.outcome == QMP_DONE);
    peer_shut(&p);
}
static void an_error_keeps_class_and_description(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_query_balloon(p.client, &call), 0);
    PEER_ANSWER(
        &p, "{\"id\": %llu, \"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon\"}}",
        peer_id(peer_heard(&p)));
    CHECK(p.outcome == QMP_ERROR);
    CHECK(p.error_class == QMP_CLASS_DEVICE_NOT_ACTIVE);
    CHECK_STR(p.text, "No balloon");
    CHECK(!p.has_reply);
    CHECK(p.state == QMP_STATE_READY);
    peer_shut(&p);
}
static void what_is_in_flight_ends_with_the_connection(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_stop(p.client, &call), 0);
    CHECK_I64(qmp_cont(p.client, &call), 0);
    (void) peer_heard(&p);
    (void) close(p.fd);
    p.fd = -1;
    peer_dispatch(&p);
    CHECK_U64(p.dones, 2);
    CHECK(p.outcome == QMP_CLOSED);
    CHECK(!p.was_not_sent);
    CHECK(p.state == QMP_STATE_CLOSED);
    CHECK_I64(p.polled_fd, -1);
    CHECK_STR(p.reason, "the peer closed the connection");
    CHECK_I64(qmp_stop(p.client, &call), -ENOTCONN);
    peer_shut(&p);
    CHECK_U64(p.dones, 2);
}
static void a_send_that_fails_is_told_by_dispatch_not_in_the_call(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    (void) close(p.fd);
    p.fd = -1;
    CHECK_I64(qmp_stop(p.client, &call), 0);
    CHECK_U64(p.dones, 0);
    CHECK_U64(qmp_client_deadline(p.client), 0);
    qmp_client_dispatch(p.client, 0, p.now_usec);
    CHECK_U64(p.dones, 1);
    CHECK(p.outcome == QMP_CLOSED);
    CHECK(p.was_not_sent);
    peer_shut(&p);
}
static void bad_arguments_send_nothing(void) {
    static struct peer p;
    char path[QMP_PATH_MAX + 1];
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    memset(path, 'a', QMP_PATH_MAX);
    path[QMP_PATH_MAX] = '\0';
    CHECK_I64(qmp_balloon(p.client, &call, 0), -EINVAL);
    CHECK_I64(qmp_balloon(p.client, &call, (UINT64_C(1) << 50) + 1), -EINVAL);
    CHECK_I64(qmp_get_guest_stats(p.client, &call, ""), -EINVAL);
    CHECK_I64(qmp_get_guest_stats(p.client, &call, "a\"b"), -EINVAL);
    CHECK_I64(qmp_get_guest_stats(p.client, &call, "a\\b"), -EINVAL);
    CHECK_I64(qmp_get_stats_interval(p.client, &call, "a\nb"), -EINVAL);
    CHECK_I64(qmp_set_stats_interval(p.client, &call, path, 1), -EINVAL);
    CHECK_I64(qmp_resize_virtio_mem(p.client, &call, "/x", UINT64_MAX), -EINVAL);
    CHECK_I64(qmp_get_backend(p.client, &call, "\x80"), -EINVAL);
    CHECK_I64(qmp_execute(p.client, &call, "x", "{\n}"), -EINVAL);
    call.deadline_usec = p.now_usec;
    CHECK_I64(qmp_stop(p.client, &call), -EINVAL);
    CHECK_STR(peer_heard(&p), "");
    CHECK_U64(p.dones, 0);
    peer_shut(&p);
    CHECK_U64(p.dones, 0);
}

static void questions_asked_together_leave_together(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    qmp_client_cork(p.client);
    CHECK_I64(qmp_query_balloon(p.client, &call), 0);
    CHECK_I64(qmp_query_status(p.client, &call), 0);
    CHECK_STR(peer_heard(&p), "");
    CHECK_I64(p.polled, POLLIN); /* nothing waits for the socket */
    qmp_client_uncork(p.client, p.now_usec);
    const char *heard = peer_heard(&p);
    CHECK(strstr(heard, "query-balloon") != NULL && strstr(heard, "query-status") != NULL);
    CHECK_I64(p.polled, POLLIN);
    CHECK_I64(qmp_query_name(p.client, &call), 0);
    CHECK(strstr(peer_heard(&p), "query-name") != NULL); /* alone again: at once */
    peer_shut(&p);
    CHECK_U64(p.dones, 3);
}

static void what_a_closed_peer_does_not_take_together_is_told_by_dispatch(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    (void) close(p.fd);
    p.fd = -1;
    qmp_client_cork(p.client);
    CHECK_I64(qmp_query_balloon(p.client, &call), 0);
    qmp_client_uncork(p.client, p.now_usec);
    CHECK_U64(p.dones, 0);
    CHECK_U64(qmp_client_deadline(p.client), 0);
    qmp_client_dispatch(p.client, 0, p.now_usec);
    CHECK_U64(p.dones, 1);
    CHECK(p.outcome == QMP_CLOSED && p.was_not_sent);
    peer_shut(&p);
}

static void destroy_in_done(void *userdata, const struct qmp_result *result) {
    struct peer *p = userdata;
    (void) result;
    p->dones++;
    qmp_client_destroy(p->client);
    p->client = NULL;
}
static void a_callback_may_destroy_its_client(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_stop(p.client, &call), 0);
    call.done = destroy_in_done;
    CHECK_I64(qmp_cont(p.client, &call), 0);
    PEER_ANSWER(&p, "{\"return\": {}, \"id\": %llu}\r\n{\"event\": \"STOP\"}",
                peer_id(peer_heard(&p)));
    CHECK_U64(p.dones, 2);
    CHECK_U64(p.events, 0);
    CHECK(p.outcome == QMP_CLOSED);
    (void) close(p.fd);
}
static void call_again(void *userdata, const struct qmp_result *result) {
    struct peer *p = userdata;
    struct qmp_call call = peer_call(p);
    (void) result;
    p->dones++;
    CHECK_I64(qmp_query_name(p->client, &call), 0);
}
static void a_callback_may_call(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    call.done = call_again;
    CHECK_I64(qmp_stop(p.client, &call), 0);
    PEER_ANSWER(&p, "{\"return\": {}, \"id\": %llu}", peer_id(peer_heard(&p)));
    PEER_ANSWER(&p, "{\"return\": {}, \"id\": %llu}", peer_id(peer_heard(&p)));
    CHECK_U64(p.dones, 2);
    CHECK_STR(p.reply.name, "");
    peer_shut(&p);
}
static void a_closed_client_can_be_used_anew(void) {
    static struct peer p;
    int fds[2];
    peer_open_ready(&p);
    CHECK_I64(qmp_client_connect(p.client, "/x", 1), -EBUSY);
    qmp_client_close(p.client, "enough");
    CHECK_STR(p.reason, "enough");
    CHECK_STR(qmp_client_reason(p.client), "enough");
    CHECK_I64(qmp_client_adopt(p.client, -1, 1), -EBADF);
    CHECK_I64(qmp_client_connect(p.client, "", 1), -EINVAL);
    (void) close(p.fd);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    p.fd = fds[1];
    CHECK_I64(qmp_client_adopt(p.client, fds[0], p.now_usec), 0);
    peer_get_ready(&p);
    CHECK_U64(qmp_client_counters(p.client)->connections, 2);
    peer_shut(&p);
}
static void devices_are_found_through_qom(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_find_devices(p.client, &call), 0);
    PEER_ANSWER(
        &p,
        "{\"return\": [{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"hd0\", \"type\": "
        "\"child<vfio-pci>\"}, {\"name\": \"vm\", \"type\": \"child<virtio-mem-pci>\"}, 7], "
        "\"id\": %llu}",
        peer_id(peer_heard(&p)));
    const char *heard = peer_heard(&p);
    CHECK(strstr(heard, "/machine/peripheral-anon") != NULL);
    PEER_ANSWER(&p,
                "{\"return\": [{\"name\": \"device[0]\", \"type\": "
                "\"child<virtio-balloon-pci-transitional>\"}], \"id\": %llu}",
                peer_id(heard));
    heard = peer_heard(&p);
    CHECK(strstr(heard, "info network") != NULL);
    PEER_ANSWER(&p, "{\"return\": \"n: index=0,type=vhost-vdpa,\\r\\n\", \"id\": %llu}",
                peer_id(heard));
    PEER_ANSWER(&p,
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no SEV\"}, \"id\": %llu}",
                peer_id(peer_heard(&p)));
    CHECK_U64(p.dones, 1);
    CHECK(p.outcome == QMP_DONE);
    CHECK_STR(p.reply.devices.balloon_path, "/machine/peripheral-anon/device[0]");
    CHECK_STR(p.reply.devices.balloon_type, "virtio-balloon-pci-transitional");
    CHECK_U64(p.reply.devices.inhibitors, QMP_INHIBIT_VFIO | QMP_INHIBIT_VDPA);
    CHECK_U64(p.reply.devices.unknown, 0);
    CHECK_U64(p.reply.devices.virtio_mem_count, 1);
    CHECK_STR(p.reply.devices.virtio_mem_path[0], "/machine/peripheral/vm");
    peer_shut(&p);
}
static void a_search_that_meets_nonsense_fails_and_says_where(void) {
    static struct peer p;
    peer_open_ready(&p);
    struct qmp_call call = peer_call(&p);
    CHECK_I64(qmp_find_devices(p.client, &call), 0);
    PEER_ANSWER(&p, "{\"return\": {}, \"id\": %llu}", peer_id(peer_heard(&p)));
    CHECK(p.outcome == QMP_BAD_REPLY);
    CHECK(strstr(p.text, "/machine/peripheral") != NULL);
    CHECK_I64(qmp_get_backend(p.client, &call, "ram"), 0);
    PEER_ANSWER(&p,
                "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"gone\"}, \"id\": %llu}",
                peer_id(peer_heard(&p)));
    CHECK_U64(p.dones, 2);
    CHECK(strstr(p.text, "gone") != NULL);
    peer_shut(&p);
    CHECK_U64(p.dones, 2);
}

TAP_MAIN(TAP_CASE(a_handshake_leads_to_ready),
         TAP_CASE(answers_are_matched_by_id_not_by_order),
         TAP_CASE(an_event_before_the_answer_is_delivered_first),
         TAP_CASE(an_error_keeps_class_and_description),
         TAP_CASE(what_is_in_flight_ends_with_the_connection),
         TAP_CASE(a_send_that_fails_is_told_by_dispatch_not_in_the_call),
         TAP_CASE(bad_arguments_send_nothing),
         TAP_CASE(questions_asked_together_leave_together),
         TAP_CASE(what_a_closed_peer_does_not_take_together_is_told_by_dispatch),
         TAP_CASE(a_callback_may_destroy_its_client),
         TAP_CASE(a_callback_may_call),
         TAP_CASE(a_closed_client_can_be_used_anew),
         TAP_CASE(devices_are_found_through_qom),
         TAP_CASE(a_search_that_meets_nonsense_fails_and_says_where));
