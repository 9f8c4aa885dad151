/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* settings.c - guest-agent.conf: what is understood, and that a mistake is named with its line. */
#include "settings.h"

#include <errno.h>

#include "tap.h"

static int parse(const char *text, struct mag_settings *s, struct ma_err *err) {
    mag_settings_init(s);
    return mag_settings_parse(s, "conf", text, strlen(text), err);
}

static void all_keys_are_taken(void) {
    struct mag_settings s;
    struct ma_err err;
    CHECK_I64(parse("# a comment\n\n; another\n Port = /dev/vport1p2 "
                    "\r\nHook=\nAlarmStall=50ms\nVetoStall=0.25s",
                    &s, &err),
              0);
    CHECK_STR(s.port, "/dev/vport1p2");
    CHECK_STR(s.hook, "");
    CHECK_U64(s.alarm_stall_usec, 50000);
    CHECK_U64(s.veto_stall_usec, 250000);
}

static void defaults_stand_where_nothing_is_said(void) {
    struct mag_settings s;
    struct ma_err err;
    CHECK_I64(parse("", &s, &err), 0);
    CHECK_STR(s.port, "");
    CHECK_STR(s.hook, MAG_HOOK_DEFAULT);
    CHECK_U64(s.alarm_stall_usec, 100000);
}

static void mistakes_are_named_with_file_and_line(void) {
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"\nPrt=/dev/x\n", "conf:2: unknown key \"Prt\""},
        {"Port\n", "conf:1: must be Key=value"},
        {"#\n#\nPort=vport\n", "conf:3: Port=vport: must be an absolute path"},
        {"AlarmStall=100\n", "conf:1: AlarmStall=100: must be a time with its unit"},
        {"AlarmStall=0s\n", "conf:1: AlarmStall=0s: must be above 0"},
        {"VetoStall=1001ms\n", "conf:1: VetoStall=1001ms: must be above 0 and at most 1s"},
        {"Port=/dev/\001\n", "conf:1: must be Key=value"},
        {"a-key-that-is-longer-than-any-of-ours=1\n", "conf:1: must be Key=value"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mag_settings s;
        struct ma_err err;
        CHECK(parse(bad[i].text, &s, &err) < 0);
        if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0) {
            TAP_FAIL("\"%s\", not \"%s\"", err.message, bad[i].message);
        }
    }
}

static void a_path_that_does_not_fit_is_refused(void) {
    struct mag_settings s;
    struct ma_err err;
    char text[MAG_PATH_MAX + 32];
    for (int length = MAG_PATH_MAX - 1; length <= (int) MAG_PATH_MAX + 4; length++) {
        (void) snprintf(text, sizeof(text), "Port=/%0*d", length - 1, 0);
        CHECK_U64(parse(text, &s, &err) == 0, length < (int) MAG_PATH_MAX);
    }
}

TAP_MAIN(TAP_CASE(all_keys_are_taken),
         TAP_CASE(defaults_stand_where_nothing_is_said),
         TAP_CASE(mistakes_are_named_with_file_and_line),
         TAP_CASE(a_path_that_does_not_fit_is_refused));
