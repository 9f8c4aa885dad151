/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `memarbctl plan --snapshot` on what it must refuse, and on hosts at the edge of what it must accept. */
#include "offline-plan.h"

#include <errno.h>

#include "bytes.h"
#include "tap.h"

#define HEAD "{\"version\":1,\"taken_at_usec\":5,"
#define HOST "\"host\":{\"total_bytes\":68719476736,\"available_bytes\":104857600}"
#define NODES                                                                                      \
    "\"host\":{\"total_bytes\":68719476736,\"available_bytes\":104857600,\"nodes\":["              \
    "{\"id\":0,\"total_bytes\":34359738368,\"available_bytes\":1},"                                \
    "{\"id\":1,\"total_bytes\":34359738368,\"available_bytes\":1}]}"
#define GUEST(uuid, more) "{\"uuid\":\"" uuid "\",\"name\":\"n\",\"state\":\"running\"" more "}"
#define ONE(more)         HEAD HOST ",\"guests\":[" GUEST("a", more) "]}"
#define SETTINGS(more)    HEAD HOST ",\"guests\":[],\"settings\":{" more "}}"
#define HALF              "562949953421312" /* 2^49 */
#define MORE              "562949953421313"

static const struct {
    const char *text;
    const char *message; /* begins so: the path */
} refused[] = {
    {"", "line"},
    {"{", "line"},
    {"[]", "$"},
    {HEAD "\"guests\":[]}", "$: \"host\" is missing"},
    {ONE(",\"resident_bytes\":1125899906842625"), "$.guests[0].resident_bytes: "},
    {ONE(",\"resident_bytes\":-1"), "$.guests[0].resident_bytes: "},
    {ONE(",\"resident_bytes\":1.5"), "$.guests[0].resident_bytes: "},
    {ONE(",\"resident_bytes\":18446744073709551615"), "$.guests[0].resident_bytes: is beyond"},
    {HEAD HOST ",\"guests\":[" GUEST("a", ",\"resident_bytes\":" HALF) "," GUEST(
         "b", ",\"resident_bytes\":" MORE) "]}",
     "$.guests[1].resident_bytes: makes the sum"},
    {HEAD HOST
     ",\"guests\":[" GUEST("b", ",\"max_bytes\":" MORE) "," GUEST("a", ",\"max_bytes\":" HALF) "]}",
     "$.guests[0].max_bytes: makes the sum"}, /* the text's order, not the sorted one */
    {HEAD HOST ",\"guests\":[" GUEST("a", ",\"swap_bytes\":" HALF) "," GUEST(
         "b", ",\"swap_bytes\":" MORE) "]}",
     "$.guests[1].swap_bytes: makes the sum"},
    {HEAD HOST ",\"guests\":[" GUEST("same", "") "," GUEST("other", "") "," GUEST("same", "") "]}",
     "$.guests[2].uuid: names a guest twice"},
    {HEAD HOST ",\"guests\":[" GUEST("", "") "]}", "$.guests[0].uuid: is empty"},
    {HEAD NODES ",\"guests\":[" GUEST("a",
                                      ",\"nodes\":[{\"id\":1,\"resident_bytes\":1},{\"id\":7,"
                                      "\"resident_bytes\":1}]") "]}",
     "$.guests[0].nodes[1].id: names a node that the host does not have"},
    {HEAD NODES ",\"guests\":[" GUEST("a",
                                      ",\"nodes\":[{\"id\":1,\"resident_bytes\":1},{\"id\":1,"
                                      "\"resident_bytes\":1}]") "]}",
     "$.guests[0].nodes[1].id: names a node twice"},
    {HEAD NODES ",\"guests\":[" GUEST("a",
                                      ",\"nodes\":[{\"id\":1,\"resident_bytes\":1,"
                                      "\"pinned_bytes\":2}]") "]}",
     "$.guests[0].nodes[0].pinned_bytes: exceeds"},
    {HEAD NODES
     ",\"guests\":[" GUEST("a",
                           ",\"resident_bytes\":10,\"nodes\":[{\"id\":1,\"resident_bytes\":"
                           "99999999999}]") "]}",
     "$.guests[0].nodes: hold far more"},
    {ONE(",\"resident_bytes\":100,\"pinned_bytes\":101"), "$.guests[0].pinned_bytes: exceeds"},
    {ONE(",\"config\":{\"guarantee_bytes\":2,\"limit_bytes\":1}"),
     "$.guests[0].config.guarantee_bytes: exceeds limit_bytes"},
    {ONE(",\"config\":{\"impact\":0}"), "$.guests[0].config.impact: "},
    {ONE(",\"config\":{\"impact\":\"sometimes\"}"), "$.guests[0].config.impact: "},
    {ONE(",\"config\":{\"shares\":0}"), "$.guests[0].config.shares: "},
    {ONE(",\"config\":{\"group\":\"\"}"), "$.guests[0].config.group: is empty"},
    {ONE(",\"balloon\":{\"state\":\"happy\"}"), "$.guests[0].balloon.state: "},
    {ONE(",\"virtio_mem\":{\"plugged_bytes\":2,\"max_bytes\":1}"),
     "$.guests[0].virtio_mem.plugged_bytes: exceeds"},
    {ONE(",\"colour\":1"), "$.guests[0].colour: is a key that is unknown"},
    {HEAD "\"host\":{\"total_bytes\":1,\"available_bytes\":2},\"guests\":[]}",
     "$.host.available_bytes: exceeds total_bytes"},
    {HEAD "\"host\":{\"total_bytes\":9,\"available_bytes\":2,\"swap_total_bytes\":1,"
          "\"swap_free_bytes\":2},\"guests\":[]}",
     "$.host.swap_free_bytes: exceeds"},
    {HEAD "\"host\":{\"total_bytes\":9,\"available_bytes\":2,\"nodes\":[{\"id\":1024,"
          "\"total_bytes\":1,\"available_bytes\":1}]},\"guests\":[]}",
     "$.host.nodes[0].id: "},
    {SETTINGS("\"hard_watermark_bytes\":10,\"soft_watermark_bytes\":5"),
     "$.settings: hard_watermark_bytes exceeds soft_watermark_bytes"},
    {SETTINGS("\"reserve_bytes\":68719476737"), "$.settings: reserve_bytes exceeds the host's"},
    {SETTINGS("\"reserve_bytes\":10,\"critical_watermark_bytes\":11"),
     "$.settings: critical_watermark_bytes exceeds reserve_bytes"},
    {SETTINGS("\"arm\":\"everything\""), "$.settings.arm: "},
    {SETTINGS("\"policy\":\"tarot\""), "$.settings.policy: there is no policy \"tarot\""},
    {SETTINGS("\"margin_permyriad\":10001"), "$.settings.margin_permyriad: "},
};

static void bad_snapshots_are_refused_with_their_place(void) {
    static struct ma_offline offline;

    ma_offline_init(&offline);
    for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
        struct ma_err err = {0};
        const char *json = "untouched";
        int r = ma_cmd_plan_text(&offline, refused[k].text, strlen(refused[k].text), &json, &err);

        if (r != -EINVAL && r != -ERANGE) {
            TAP_FAIL("%s\n# is answered with %d", refused[k].text, r);
        }
        if (strncmp(err.message, refused[k].message, strlen(refused[k].message)) != 0) {
            TAP_FAIL("%s\n# says: %s\n# not: %s", refused[k].text, err.message, refused[k].message);
        }
        CHECK_STR(json, "untouched");
    }
    ma_offline_fini(&offline);
}

/* Cut anywhere, a snapshot is an error and nothing else. */
static void a_snapshot_cut_anywhere_is_refused(void) {
    static const char text[] = HEAD NODES ",\"guests\":[" GUEST(
        "a", ",\"resident_bytes\":100,\"nodes\":[{\"id\":1,\"resident_bytes\":1}]") "]}";
    static struct ma_offline offline;

    ma_offline_init(&offline);
    for (size_t len = 0; len + 1 < sizeof(text); len++) {
        struct ma_err err = {0};
        const char *json;

        CHECK(ma_cmd_plan_text(&offline, text, len, &json, &err) < 0);
        CHECK(err.message[0] != '\0');
    }
    ma_offline_fini(&offline);
}

static void a_host_without_guests_is_planned(void) {
    static struct ma_offline offline;

    for (int is_stream = 0; is_stream < 2; is_stream++) {
        const char *text = HEAD HOST ",\"guests\":[]}";
        struct ma_err err = {0};
        const char *json = NULL;

        ma_offline_init(&offline);
        offline.is_stream = is_stream;
        for (int k = 0; k < 3; k++) {
            if (ma_cmd_plan_text(&offline, text, strlen(text), &json, &err) < 0) {
                TAP_FAIL("%s", err.message);
            }
            CHECK(strstr(json, "\"state\":\"critical\"") != NULL);
            CHECK(strstr(json, "\"action\":\"exhausted\"") != NULL);
        }
        ma_offline_fini(&offline);
    }
}

/* Only the arming is said: the rest, the horizon first, is as if there were no settings. */
static void half_said_settings_change_nothing_else(void) {
    static const char *const texts[] = {SETTINGS("\"arm\":\"observe\""), SETTINGS("")};
    static char first[32768];
    static struct ma_offline offline;

    ma_offline_init(&offline);
    for (int k = 0; k < 2; k++) {
        struct ma_err err = {0};
        const char *json = NULL;

        CHECK(ma_cmd_plan_text(&offline, texts[k], strlen(texts[k]), &json, &err) == 0);
        CHECK(strstr(json, "\"horizon_usec\":5000000") != NULL);
        if (k == 0) {
            CHECK(strlen(json) < sizeof(first));
            memcpy(first, json, strlen(json) + 1);
        } else {
            CHECK_STR(json, first);
        }
    }
    ma_offline_fini(&offline);
}

TAP_MAIN(TAP_CASE(bad_snapshots_are_refused_with_their_place),
         TAP_CASE(a_snapshot_cut_anywhere_is_refused),
         TAP_CASE(a_host_without_guests_is_planned),
         TAP_CASE(half_said_settings_change_nothing_else));
