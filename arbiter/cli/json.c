/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json.c - reading the daemon's answers without trusting their shape. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const char *ma_cli_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}
int64_t ma_cli_number(const json_t *object, const char *name) {
    return json_integer_value(json_object_get(object, name));
}
bool ma_cli_has(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return value != NULL && !json_is_null(value);
}
bool ma_cli_bool(const json_t *object, const char *name) {
    return json_is_true(json_object_get(object, name));
}

int ma_cli_print_json(const struct ma_cli *cli, const json_t *value) {
    size_t flags = isatty(STDOUT_FILENO) == 1 && !cli->is_follow ? JSON_INDENT(2) : JSON_COMPACT;
    if (json_dumpf(value, stdout, flags | JSON_ENCODE_ANY) != 0 || putchar('\n') == EOF ||
        fflush(stdout) != 0) {
        return MA_EXIT_ERROR;
    }
    return MA_EXIT_OK;
}

char *ma_cli_join(char *buf, size_t size, const json_t *array) {
    size_t len = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < json_array_size(array) && len < size; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        int n = snprintf(buf + len, size - len, "%s%s", i > 0 ? " " : "", text != NULL ? text : "");
        len += n > 0 ? (size_t) n : 0;
    }
    return buf;
}
