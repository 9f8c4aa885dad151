/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed replies and events. The good lines are what QEMU 7.2 said. */
#include "decode.h"

#include <errno.h>

#include "tap.h"

static union qmp_reply reply;
static struct ma_err err;

static int decode(qmp_decode_fn fn, const char *text) {
    static char line[4096];
    (void) snprintf(line, sizeof(line), "{\"return\": %s}", text);
    json_t *root = qmp_json_parse(line, strlen(line), &err);
    CHECK(root != NULL);
    int r = fn(json_object_get(root, "return"), &reply, &err);
    json_decref(root);
    return r;
}

static void statistics_know_absent_from_absurd(void) {
    CHECK_I64(
        decode(qmp_decode_stats,
               "{\"stats\": {\"stat-htlb-pgalloc\": 18446744073709551615, \"stat-swap-out\": 0, "
               "\"stat-available-memory\": 123, \"stat-free-memory\": -5, \"stat-total-memory\": "
               "1125899906842625, \"stat-disk-caches\": \"x\", \"stat-from-the-future\": []}, "
               "\"last-update\": 1795307755}"),
        0);
    CHECK_U64(reply.stats.present, 1U << QMP_STAT_SWAP_OUT | 1U << QMP_STAT_AVAILABLE);
    CHECK_U64(reply.stats.absurd,
              1U << QMP_STAT_FREE | 1U << QMP_STAT_TOTAL | 1U << QMP_STAT_DISK_CACHES);
    CHECK_U64(reply.stats.value[QMP_STAT_AVAILABLE], 123);
    CHECK_U64(reply.stats.last_update_sec, 1795307755);
    CHECK_I64(decode(qmp_decode_stats, "{\"stats\": 7, \"last-update\": 1}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_stats, "{\"stats\": {}, \"last-update\": -1}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_stats, "[]"), -EPROTO);
}
static void a_lying_balloon_is_kept_and_flagged(void) {
    static const struct {
        const char *text;
        int64_t value;
        bool is_absurd;
    } rows[] = {
        {"{\"actual\": 67108864}", 67108864, false},
        {"{\"actual\": 0}", 0, false},
        {"{\"actual\": -4397241204736}", -INT64_C(4397241204736), true},
        {"{\"actual\": 1125899906842625}", INT64_C(1125899906842625), true},
        {"{\"actual\": 18446744073709551615}", INT64_MAX, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_I64(decode(qmp_decode_balloon, rows[i].text), 0);
        CHECK_I64(reply.balloon.actual_bytes, rows[i].value);
        CHECK(reply.balloon.is_absurd == rows[i].is_absurd);
    }
}
static void states_are_known_by_name(void) {
    CHECK_I64(decode(qmp_decode_status,
                     "{\"status\": \"prelaunch\", \"singlestep\": false, \"running\": false}"),
              0);
    CHECK(reply.status.run_state == QMP_RUN_PRELAUNCH);
    CHECK_I64(decode(qmp_decode_status, "{\"status\": \"dreaming\", \"running\": true}"), 0);
    CHECK(reply.status.run_state == QMP_RUN_OTHER);
    CHECK(reply.status.is_running);
    CHECK_STR(reply.status.text, "dreaming");
    CHECK_I64(decode(qmp_decode_status, "{\"status\": \"running\", \"running\": 1}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_status, "{\"running\": true}"), -EPROTO);
}
static void backends_and_devices_are_lists_of_whole_entries(void) {
    CHECK_I64(
        decode(qmp_decode_memdevs,
               "[{\"share\": true, \"prealloc\": false, \"host-nodes\": [0, 3, 64], \"size\": "
               "2097152, \"policy\": \"bind\", \"id\": \"mfi\"}, {\"share\": false, \"prealloc\": "
               "true, \"host-nodes\": [], \"size\": 1, \"policy\": \"preferred-many\"}]"),
        0);
    CHECK_U64(reply.memdevs.count, 2);
    CHECK_U64(reply.memdevs.item[0].host_nodes, 9);
    CHECK(reply.memdevs.item[0].has_more_nodes);
    CHECK(reply.memdevs.item[0].policy == QMP_MEM_POLICY_BIND);
    CHECK_STR(reply.memdevs.item[1].id, "");
    CHECK(reply.memdevs.item[1].policy == QMP_MEM_POLICY_OTHER);
    CHECK_I64(decode(qmp_decode_memdevs, "[{}]"), -EPROTO);
    CHECK(strstr(err.message, "entry 0") != NULL);
    CHECK_I64(decode(qmp_decode_memdevs, "{}"), -EPROTO);
    CHECK_I64(
        decode(qmp_decode_memory_devices,
               "[{\"type\": \"virtio-mem\", \"data\": {\"memdev\": \"/objects/vm0\", \"memaddr\": "
               "4294967296, \"block-size\": 2097152, \"size\": 0, \"node\": 1, \"max-size\": "
               "268435456, "
               "\"requested-size\": 4194304, \"id\": \"vmem0\"}}, {\"type\": \"sgx-epc\", "
               "\"data\": {}}]"),
        0);
    CHECK_U64(reply.memory_devices.item[0].requested_bytes, 4194304);
    CHECK_I64(reply.memory_devices.item[0].node, 1);
    CHECK(reply.memory_devices.item[1].kind == QMP_MEMORY_DEVICE_OTHER);
    CHECK_I64(decode(qmp_decode_memory_devices, "[{\"type\": \"dimm\", \"data\": {\"size\": -1}}]"),
              -EPROTO);
    CHECK_I64(decode(qmp_decode_memory_devices,
                     "[{\"type\": \"virtio-mem\", \"data\": {\"size\": 1, \"requested-size\": 1, "
                     "\"max-size\": 1, \"block-size\": 0}}]"),
              -EPROTO);
}
static void lists_longer_than_their_room_are_counted(void) {
    char text[4096] = "[";
    for (unsigned i = 0; i < 20; i++) {
        size_t n = strlen(text);
        (void) snprintf(
            text + n, sizeof(text) - n,
            "%s{\"share\": true, \"prealloc\": false, \"host-nodes\": [], \"size\": %u, "
            "\"policy\": \"default\"}",
            i > 0 ? "," : "", i);
    }
    (void) strncat(text, "]", 2);
    CHECK_I64(decode(qmp_decode_memdevs, text), 0);
    CHECK_U64(reply.memdevs.count, 20);
    CHECK_U64(reply.memdevs.item[QMP_LIST_MAX - 1].size_bytes, QMP_LIST_MAX - 1);
}
static void small_replies_and_their_bad_forms(void) {
    CHECK_I64(decode(qmp_decode_memory_size, "{\"base-memory\": 5, \"plugged-memory\": 6}"), 0);
    CHECK_U64(reply.memory_size.plugged_bytes, 6);
    CHECK_I64(decode(qmp_decode_memory_size, "{\"base-memory\": 5}"), 0);
    CHECK_U64(reply.memory_size.plugged_bytes, 0);
    CHECK_I64(decode(qmp_decode_memory_size, "{\"base-memory\": -5}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_memory_size, "{\"base-memory\": 5, \"plugged-memory\": []}"),
              -EPROTO);
    CHECK_I64(decode(qmp_decode_uuid, "{\"UUID\": 5}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_name, "[]"), -EPROTO);
    CHECK_I64(decode(qmp_decode_name, "{\"name\": []}"), -EPROTO);
    CHECK_I64(decode(qmp_decode_interval, "5"), 0);
    CHECK_U64(reply.interval_sec, 5);
    CHECK_I64(decode(qmp_decode_interval, "-5"), -EPROTO);
    CHECK_I64(decode(qmp_decode_version, "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}}"),
              0);
    CHECK_U64(reply.version.minor, 2);
    CHECK_I64(decode(qmp_decode_version, "{\"qemu\": []}"), -EPROTO);
    CHECK(qmp_decode_error_class("KVMMissingCap") == QMP_CLASS_KVM_MISSING_CAP);
    CHECK(qmp_decode_error_class(NULL) == QMP_CLASS_OTHER);
}

static struct qmp_event event_of(const char *line) {
    struct qmp_event e;
    static json_t *root;
    json_decref(root);
    root = qmp_json_parse(line, strlen(line), &err);
    CHECK(root != NULL);
    CHECK_I64(qmp_decode_event(root, line, strlen(line), &e), 0);
    return e;
}
static void events_are_typed(void) {
    struct qmp_event e = event_of("{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": -1}}");
    CHECK(e.kind == QMP_EVENT_BALLOON_CHANGE && e.balloon.is_absurd);
    CHECK_U64(e.timestamp_usec, 0);
    e = event_of(
        "{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"id\": \"vm0\", \"size\": 9, "
        "\"qom-path\": \"/machine/peripheral/vm0\"}}");
    CHECK(e.kind == QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE);
    CHECK_U64(e.size_bytes, 9);
    CHECK_STR(e.path, "/machine/peripheral/vm0");
    e = event_of("{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": "
                 "\"/machine/peripheral-anon/device[1]\"}}");
    CHECK(e.kind == QMP_EVENT_DEVICE_DELETED);
    CHECK_STR(e.id, "");
    e = event_of("{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"id\": \"c0\", \"open\": true}}");
    CHECK(e.kind == QMP_EVENT_VSERPORT_CHANGE && e.is_open);
    e = event_of("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}");
    CHECK(e.kind == QMP_EVENT_MIGRATION);
    CHECK_STR(e.text, "active");
    e = event_of(
        "{\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}");
    CHECK(e.kind == QMP_EVENT_RESET && e.by_guest);
}
static void half_an_event_is_delivered_untyped(void) {
    static const char *const lines[] = {
        "{\"event\": \"BALLOON_CHANGE\"}",
        "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": {}}}",
        "{\"event\": \"SHUTDOWN\", \"data\": []}",
        "{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {\"size\": -1, \"qom-path\": \"x\"}}",
        "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": true}}",
        "{\"event\": \"DEVICE_DELETED\", \"data\": {}}",
        "{\"event\": \"\"}",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct qmp_event e = event_of(lines[i]);
        CHECK(e.kind == QMP_EVENT_OTHER);
        CHECK_STR(e.line, lines[i]);
        CHECK_STR(e.path, "");
    }
}

TAP_MAIN(TAP_CASE(statistics_know_absent_from_absurd),
         TAP_CASE(a_lying_balloon_is_kept_and_flagged),
         TAP_CASE(states_are_known_by_name),
         TAP_CASE(backends_and_devices_are_lists_of_whole_entries),
         TAP_CASE(lists_longer_than_their_room_are_counted),
         TAP_CASE(small_replies_and_their_bad_forms),
         TAP_CASE(events_are_typed),
         TAP_CASE(half_an_event_is_delivered_untyped));
