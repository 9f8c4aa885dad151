/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings.h"

#include <errno.h>
#include <string.h>

#include "alarm.h"

/* A second in which some task waited this long for memory is an alarm. Shorter: every burst of file reading; longer: a guest
 * is slow before it says so. What systemd-oomd and others take for pressure is a tenth and more. */
#define ALARM_STALL_USEC UINT64_C(100000)
/* The same for all tasks at once: nothing else ran, so that even a little of it means a guest that stands still. Guess. */
#define VETO_STALL_USEC UINT64_C(100000)

void mag_settings_init(struct mag_settings *s) {
    *s = (struct mag_settings){.hook = MAG_HOOK_DEFAULT,
                               .alarm_stall_usec = ALARM_STALL_USEC,
                               .veto_stall_usec = VETO_STALL_USEC};
}

static int set_path(char to[MAG_PATH_MAX], const char *key, const char *value, struct ma_err *err) {
    size_t length = strlen(value);
    if (length > 0 && value[0] != '/') {
        return ma_err_set(err, -EINVAL, "%s=%s: must be an absolute path, or empty", key, value);
    }
    if (length >= MAG_PATH_MAX) {
        return ma_err_set(err, -ERANGE, "%s=: longer than %u bytes", key, MAG_PATH_MAX - 1);
    }
    memcpy(to, value, length + 1);
    return 0;
}

static int set_stall(uint64_t *to, const char *key, const char *value, struct ma_err *err) {
    uint64_t usec;
    if (ma_parse_usec(value, &usec) < 0) {
        return ma_err_set(err, -EINVAL, "%s=%s: must be a time with its unit, such as 100ms", key,
                          value);
    }
    if (usec == 0 || usec > MAG_ALARM_WINDOW_USEC) {
        return ma_err_set(err, -ERANGE, "%s=%s: must be above 0 and at most 1s", key, value);
    }
    *to = usec;
    return 0;
}

int mag_settings_set(struct mag_settings *s,
                     const char *key,
                     const char *value,
                     struct ma_err *err) {
    if (strcmp(key, "Port") == 0) {
        return set_path(s->port, key, value, err);
    }
    if (strcmp(key, "Hook") == 0) {
        return set_path(s->hook, key, value, err);
    }
    if (strcmp(key, "AlarmStall") == 0) {
        return set_stall(&s->alarm_stall_usec, key, value, err);
    }
    if (strcmp(key, "VetoStall") == 0) {
        return set_stall(&s->veto_stall_usec, key, value, err);
    }
    return ma_err_set(err, -EINVAL,
                      "unknown key \"%.64s\": there are Port, Hook, AlarmStall and VetoStall", key);
}

/* Blanks at both ends of [*at, *end). */
static void trim(const char **at, const char **end) {
    while (*at < *end && (**at == ' ' || **at == '\t')) {
        ++*at;
    }
    while (*end > *at && ((*end)[-1] == ' ' || (*end)[-1] == '\t' || (*end)[-1] == '\r')) {
        --*end;
    }
}

/* A copy with its NUL; false: does not fit, or holds a NUL or a control character. */
static bool copy(char *to, size_t size, const char *at, const char *end) {
    trim(&at, &end);
    size_t length = (size_t) (end - at);
    if (length >= size) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char) at[i] < ' ' || at[i] == 0x7f) {
            return false;
        }
        to[i] = at[i];
    }
    to[length] = '\0';
    return true;
}

static int parse_line(struct mag_settings *s, const char *at, const char *end, struct ma_err *err) {
    char key[32], value[MAG_PATH_MAX + 1];
    trim(&at, &end);
    if (at == end || *at == '#' || *at == ';') {
        return 0;
    }
    const char *equals = memchr(at, '=', (size_t) (end - at));
    if (equals == NULL || !copy(key, sizeof(key), at, equals) ||
        !copy(value, sizeof(value), equals + 1, end)) {
        return ma_err_set(err, -EINVAL, "must be Key=value");
    }
    return mag_settings_set(s, key, value, err);
}

int mag_settings_parse(
    struct mag_settings *s, const char *name, const char *text, size_t length, struct ma_err *err) {
    const char *at = text, *end = text + length;
    for (unsigned number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        const char *line_end = newline != NULL ? newline : end;
        int r = parse_line(s, at, line_end, err);
        if (r < 0) {
            return ma_err_prefix(err, "%s:%u", name, number);
        }
        at = newline != NULL ? newline + 1 : end;
    }
    return 0;
}
