/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same cases on a real QEMU and on the swarm: what the library expects of a monitor, and what both must do. */
#include "qmp-lab.h"

static struct lab lab;
static struct lab_client c, second;

static void it_says_who_it_is(void) {
    lab_start(&lab, &c, true);
    CHECK_U64(qmp_client_version(c.client)->major, 7);
    LAB_DONE(&c, qmp_query_version);
    CHECK_U64(c.reply.version.minor, 2);
    LAB_DONE(&c, qmp_query_name);
    CHECK_STR(c.reply.name, "peer-0000");
    LAB_DONE(&c, qmp_query_uuid);
    CHECK_U64(strlen(c.reply.uuid), 36);
    LAB_DONE(&c, qmp_query_status);
    CHECK(c.reply.status.run_state != QMP_RUN_OTHER);
    lab_stop(&lab, &c);
}
static void its_balloon_is_found_and_asked(void) {
    char path[QMP_PATH_MAX];
    lab_start(&lab, &c, true);
    LAB_DONE(&c, qmp_find_devices);
    CHECK_STR(c.reply.devices.balloon_path, "/machine/peripheral/balloon0");
    CHECK_STR(c.reply.devices.balloon_type, "virtio-balloon-pci");
    CHECK_U64(c.reply.devices.inhibitors, 0);
    CHECK_U64(c.reply.devices.unknown, 0);
    memcpy(path, c.reply.devices.balloon_path, sizeof(path));
    LAB_DONE(&c, qmp_query_balloon);
    CHECK_I64(c.reply.balloon.actual_bytes, 64 * LAB_MIB);
    LAB_DONE(&c, qmp_get_guest_stats, path);
    CHECK_U64(c.reply.stats.present, 0);
    CHECK_U64(c.reply.stats.absurd, 0);
    CHECK_U64(c.reply.stats.last_update_sec, 0);
    LAB_DONE(&c, qmp_set_stats_interval, path, 7);
    LAB_DONE(&c, qmp_get_stats_interval, path);
    CHECK_U64(c.reply.interval_sec, 7);
    LAB_DONE(&c, qmp_balloon, 48 * LAB_MIB);
    lab_stop(&lab, &c);
}
static void what_it_refuses_has_a_class(void) {
    lab_start(&lab, &c, true);
    LAB_CALL(&c, qmp_execute, "balloon", "{\"value\":0}");
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_GENERIC);
    LAB_CALL(&c, qmp_execute, "balloon", "{\"value\":-4096}");
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_GENERIC);
    LAB_CALL(&c, qmp_execute, "no-such-command", NULL);
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_COMMAND_NOT_FOUND);
    LAB_CALL(&c, qmp_execute, "qmp_capabilities", NULL);
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_COMMAND_NOT_FOUND);
    LAB_CALL(&c, qmp_get_guest_stats, "/machine/peripheral/nothing");
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_DEVICE_NOT_FOUND);
    LAB_CALL(&c, qmp_get_backend, "nothing");
    CHECK(c.outcome == QMP_BAD_REPLY);
    lab_stop(&lab, &c);
}
static void without_a_balloon_it_says_so(void) {
    lab_start(&lab, &c, false);
    LAB_DONE(&c, qmp_find_devices);
    CHECK_STR(c.reply.devices.balloon_path, "");
    LAB_CALL(&c, qmp_query_balloon);
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_DEVICE_NOT_ACTIVE);
    LAB_CALL(&c, qmp_balloon, 48 * LAB_MIB);
    CHECK(c.outcome == QMP_ERROR && c.error_class == QMP_CLASS_DEVICE_NOT_ACTIVE);
    lab_stop(&lab, &c);
}
static void its_memory_is_described(void) {
    lab_start(&lab, &c, true);
    LAB_DONE(&c, qmp_query_memory_size_summary);
    CHECK_U64(c.reply.memory_size.base_bytes, 64 * LAB_MIB);
    CHECK_U64(c.reply.memory_size.plugged_bytes, 0);
    LAB_DONE(&c, qmp_query_memory_devices);
    CHECK_U64(c.reply.memory_devices.count, 0);
    LAB_DONE(&c, qmp_query_memdev);
    CHECK_U64(c.reply.memdevs.count, 1);
    CHECK_STR(c.reply.memdevs.item[0].id, "pc.ram");
    CHECK_U64(c.reply.memdevs.item[0].size_bytes, 64 * LAB_MIB);
    CHECK(c.reply.memdevs.item[0].policy == QMP_MEM_POLICY_DEFAULT);
    LAB_DONE(&c, qmp_get_backend, "pc.ram");
    CHECK_STR(c.reply.backend.type, "memory-backend-ram");
    CHECK(c.reply.backend.is_shared == QMP_NO && c.reply.backend.is_reserved == QMP_YES);
    CHECK(c.reply.backend.is_merged == QMP_YES && c.reply.backend.is_preallocated == QMP_NO);
    CHECK(c.reply.backend.is_hugetlb == QMP_NO);
    lab_stop(&lab, &c);
}
static void stop_and_cont_are_events(void) {
    lab_start(&lab, &c, true);
    LAB_DONE(&c, qmp_cont);
    LAB_DONE(&c, qmp_stop);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_STOP] == 1);
    CHECK(c.last[QMP_EVENT_STOP].timestamp_usec > UINT64_C(1600000000000000));
    LAB_DONE(&c, qmp_query_status);
    CHECK(c.reply.status.run_state == QMP_RUN_PAUSED && !c.reply.status.is_running);
    c.kinds[QMP_EVENT_RESUME] = 0;
    LAB_DONE(&c, qmp_cont);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_RESUME] == 1);
    LAB_DONE(&c, qmp_query_status);
    CHECK(c.reply.status.run_state == QMP_RUN_RUNNING && c.reply.status.is_running);
    LAB_DONE(&c, qmp_system_powerdown);
    LAB_UNTIL(&c, c.kinds[QMP_EVENT_POWERDOWN] == 1);
    lab_stop(&lab, &c);
}
static void quit_ends_it_with_an_event(void) {
    lab_start(&lab, &c, true);
    LAB_CALL(&c, qmp_quit);
    CHECK(c.outcome == QMP_DONE || c.outcome == QMP_CLOSED);
    LAB_UNTIL(&c, qmp_client_state(c.client) == QMP_STATE_WAITING);
    CHECK_U64(c.kinds[QMP_EVENT_SHUTDOWN], 1);
    CHECK(!c.last[QMP_EVENT_SHUTDOWN].by_guest);
    lab_stop(&lab, &c);
}
static void a_second_client_waits_for_the_first(void) {
    struct qmp_options o = {
        .greeting_timeout_usec = 300000, .backoff_min_usec = 20000, .backoff_max_usec = 20000};
    lab_start(&lab, &c, true);
    lab_dial(&lab, &second, &o);
    LAB_UNTIL(&second, qmp_client_state(second.client) == QMP_STATE_WAITING);
    CHECK(strstr(qmp_client_reason(second.client), "no greeting") != NULL);
    qmp_client_destroy(c.client);
    LAB_UNTIL(&second, qmp_client_state(second.client) == QMP_STATE_READY);
    LAB_DONE(&second, qmp_query_status);
    lab_stop(&lab, &second);
}
static void a_stopped_one_times_out_and_its_late_answer_is_dropped(void) {
    lab_start(&lab, &c, true);
    CHECK(kill(lab.pid, SIGSTOP) == 0);
    struct qmp_call call = lab_call(&c, 300000);
    CHECK_I64(qmp_query_balloon(c.client, &call), 0);
    LAB_UNTIL(&c, c.dones == 1);
    CHECK(c.outcome == QMP_TIMEOUT);
    CHECK_U64(qmp_client_unanswered(c.client), 1);
    CHECK(qmp_client_state(c.client) == QMP_STATE_READY);
    CHECK(kill(lab.pid, SIGCONT) == 0);
    LAB_UNTIL(&c, qmp_client_unanswered(c.client) == 0);
    CHECK_U64(c.dones, 1);
    CHECK_U64(qmp_client_counters(c.client)->late_replies, 1);
    LAB_DONE(&c, qmp_query_balloon);
    lab_stop(&lab, &c);
}
static void one_that_is_killed_in_mid_command_completes_it(void) {
    lab_start(&lab, &c, true);
    CHECK(kill(lab.pid, SIGSTOP) == 0);
    struct qmp_call call = lab_call(&c, LAB_PATIENCE_USEC);
    CHECK_I64(qmp_stop(c.client, &call), 0);
    lab_kill(&lab);
    LAB_UNTIL(&c, c.dones == 1);
    CHECK(c.outcome == QMP_CLOSED);
    CHECK(qmp_client_state(c.client) == QMP_STATE_WAITING);
    lab_spawn(&lab); /* and it is found again */
    LAB_UNTIL(&c, qmp_client_state(c.client) == QMP_STATE_READY);
    lab_stop(&lab, &c);
}
static int accept_one(int listener) {
    struct pollfd p = {.fd = listener, .events = POLLIN};
    CHECK(poll(&p, 1, (int) (LAB_PATIENCE_USEC / 1000)) == 1);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    return fd;
}
static void it_dials_in_and_dials_again(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    lab_folder(&lab);
    memcpy(a.sun_path, lab.path, sizeof(lab.path));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (const struct sockaddr *) &a, sizeof(a)) == 0 && listen(listener, 8) == 0);
    lab_args(&lab, true, true);
    lab_spawn(&lab);
    memset(&c, 0, sizeof(c));
    c.client = qmp_client_create(NULL, &lab_ops, &c);
    for (unsigned i = 0; i < 2; i++) {
        struct ucred peer;
        socklen_t length = sizeof(peer);
        int fd = accept_one(listener);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0);
        CHECK_I64(peer.pid, lab.pid);
        CHECK_I64(qmp_client_adopt(c.client, fd, lab_now()), 0);
        LAB_UNTIL(&c, qmp_client_state(c.client) == QMP_STATE_READY);
        LAB_DONE(&c, qmp_query_balloon);
        qmp_client_close(c.client, "once more");
    }
    (void) close(listener);
    lab_stop(&lab, &c);
}
static void many_commands_at_once_are_all_answered(void) {
    lab_start(&lab, &c, true);
    struct qmp_call call = lab_call(&c, LAB_PATIENCE_USEC);
    for (unsigned i = 0; i < QMP_INFLIGHT_MAX; i++) {
        CHECK_I64(
            i % 2 == 0 ? qmp_query_balloon(c.client, &call) : qmp_query_memdev(c.client, &call), 0);
    }
    CHECK_I64(qmp_query_balloon(c.client, &call), -EBUSY);
    LAB_UNTIL(&c, c.dones == QMP_INFLIGHT_MAX);
    CHECK(c.outcome == QMP_DONE);
    lab_stop(&lab, &c);
}

TAP_MAIN(TAP_CASE(it_says_who_it_is),
         TAP_CASE(its_balloon_is_found_and_asked),
         TAP_CASE(what_it_refuses_has_a_class),
         TAP_CASE(without_a_balloon_it_says_so),
         TAP_CASE(its_memory_is_described),
         TAP_CASE(stop_and_cont_are_events),
         TAP_CASE(quit_ends_it_with_an_event),
         TAP_CASE(a_second_client_waits_for_the_first),
         TAP_CASE(a_stopped_one_times_out_and_its_late_answer_is_dropped),
         TAP_CASE(one_that_is_killed_in_mid_command_completes_it),
         TAP_CASE(it_dials_in_and_dials_again),
         TAP_CASE(many_commands_at_once_are_all_answered));
