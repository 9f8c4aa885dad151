/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* varlink.c - framing and calls: what is good arrives, what is not is refused before anybody acts on it. */
#include "varlink.h"

#include <errno.h>

#include "tap.h"

static void a_message_ends_at_its_nul(void) {
    CHECK_U64(ma_varlink_message_size("{}", 3), 3);
    CHECK_U64(ma_varlink_message_size("{}\0{}", 6), 3);
    CHECK_U64(ma_varlink_message_size("{}", 2), 0);
    CHECK_U64(ma_varlink_message_size("", 1), 1);
}

static void good_calls_arrive(void) {
    static const char text[] =
        "{\"method\":\"a.b.C\",\"parameters\":{\"guest\":\"web\",\"usec\":5,\"none\":null},"
        "\"more\":true,\"unknown\":[1]}";
    struct ma_varlink_call call;
    struct ma_err err;
    char guest[16];
    uint64_t usec = 0;
    CHECK_I64(ma_varlink_parse_call(text, sizeof(text) - 1, &call, &err), 0);
    CHECK_STR(call.method, "a.b.C");
    CHECK(call.is_more && !call.is_oneway);
    CHECK_I64(ma_varlink_get_text(&call, "guest", guest, sizeof(guest)), 0);
    CHECK_STR(guest, "web");
    CHECK_I64(ma_varlink_get_u64(&call, "usec", 10, &usec), 0);
    CHECK_U64(usec, 5);
    CHECK_I64(ma_varlink_get_u64(&call, "usec", 4, &usec), -EINVAL);
    CHECK_I64(ma_varlink_get_text(&call, "none", guest, sizeof(guest)), -ENOENT);
    CHECK_I64(ma_varlink_get_text(&call, "absent", guest, sizeof(guest)), -ENOENT);
    CHECK_I64(ma_varlink_get_text(&call, "usec", guest, sizeof(guest)), -EINVAL);
    CHECK_I64(ma_varlink_get_text(&call, "guest", guest, 3), -EINVAL);
    CHECK_STR(ma_varlink_unknown_parameter(&call, "guest none"), "usec");
    CHECK(ma_varlink_unknown_parameter(&call, "none usec guest") == NULL);
    ma_varlink_call_fini(&call);
    CHECK_I64(ma_varlink_parse_call("{\"method\":\"x\",\"parameters\":null}", 32, &call, &err), 0);
    CHECK(ma_varlink_unknown_parameter(&call, "") == NULL);
    CHECK_I64(ma_varlink_get_u64(&call, "usec", 4, &usec), -ENOENT);
    ma_varlink_call_fini(&call);
}

static const char *const bad[] = {
    "",
    "{",
    "[]",
    "1",
    "null",
    "{}",
    "{\"method\":1}",
    "{\"method\":\"\"}",
    "{\"method\":\"a\\u0000b\"}",
    "{\"method\":\"a\",\"method\":\"b\"}",
    "{\"method\":\"a\",\"parameters\":[]}",
    "{\"method\":\"a\",\"more\":1}",
    "{\"method\":\"a\",\"oneway\":\"yes\"}",
    "{\"method\":\"a\"} x",
    "{\"method\":\"\xff\"}",
    "{\"method\":\"a\",\"parameters\":{\"n\":99999999999999999999999}}",
    "{\"method\":\"a\",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
};

static void bad_calls_are_refused(void) {
    struct ma_varlink_call call;
    struct ma_err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.message[0] = '\0';
        CHECK_I64(ma_varlink_parse_call(bad[i], strlen(bad[i]), &call, &err), -EBADMSG);
        CHECK(err.message[0] != '\0');
    }
}

static void sizes_and_depths_are_bounded(void) {
    size_t size = MA_VARLINK_IN_MAX + 1;
    char *text = malloc(size);
    struct ma_varlink_call call;
    struct ma_err err;
    CHECK(text != NULL);
    (void) memset(text, '[', size);
    CHECK_I64(ma_varlink_parse_call(text, size, &call, &err), -EBADMSG);
    CHECK_I64(ma_varlink_parse_call(text, size - 1, &call, &err), -EBADMSG);
    CHECK(strstr(err.message, "deeper") != NULL);
    free(text);
    /* Brackets within a string are no nesting. */
    static const char quoted[] = "{\"method\":\"[[[[[[[[[[[[[[[[[[\\\"[[[[\"}";
    CHECK_I64(ma_varlink_parse_call(quoted, sizeof(quoted) - 1, &call, &err), 0);
    ma_varlink_call_fini(&call);
}

static void numbers_out_of_bounds_are_refused(void) {
    static const char text[] =
        "{\"method\":\"a\",\"parameters\":{\"n\":-1,\"r\":1.5,\"s\":\"1\",\"z\":0}}";
    struct ma_varlink_call call;
    struct ma_err err;
    uint64_t n = 7;
    CHECK_I64(ma_varlink_parse_call(text, sizeof(text) - 1, &call, &err), 0);
    CHECK_I64(ma_varlink_get_u64(&call, "n", 10, &n), -EINVAL);
    CHECK_I64(ma_varlink_get_u64(&call, "r", 10, &n), -EINVAL);
    CHECK_I64(ma_varlink_get_u64(&call, "s", 10, &n), -EINVAL);
    CHECK_U64(n, 7);
    CHECK_I64(ma_varlink_get_u64(&call, "z", 10, &n), 0);
    CHECK_U64(n, 0);
    ma_varlink_call_fini(&call);
}

TAP_MAIN(TAP_CASE(a_message_ends_at_its_nul),
         TAP_CASE(good_calls_arrive),
         TAP_CASE(bad_calls_are_refused),
         TAP_CASE(sizes_and_depths_are_bounded),
         TAP_CASE(numbers_out_of_bounds_are_refused));
