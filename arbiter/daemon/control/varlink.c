/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* varlink.c - decoding a call. What a client says is bounded (size, depth, duplicate keys, types) before anybody acts
 * on it; unknown keys of the envelope are passed over, as the protocol asks, unknown parameters are refused. */
#include "varlink.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

size_t ma_varlink_message_size(const char *buf, size_t len) {
    const char *nul = memchr(buf, '\0', len);
    return nul != NULL ? (size_t) (nul - buf) + 1 : 0;
}

/* Nesting of brackets outside strings; cheap, and exact for text that is JSON at all. */
static bool is_too_deep(const char *text, size_t len) {
    unsigned depth = 0;
    bool is_in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (is_in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                is_in_string = false;
            }
        } else if (c == '"') {
            is_in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MA_VARLINK_DEPTH_MAX) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static int take_envelope(struct ma_varlink_call *call, struct ma_err *err) {
    const json_t *method = json_object_get(call->root, "method");
    const json_t *more = json_object_get(call->root, "more");
    const json_t *oneway = json_object_get(call->root, "oneway");
    size_t len = json_string_length(method);
    if (!json_is_string(method) || len == 0 || len >= sizeof(call->method) ||
        strlen(json_string_value(method)) != len) {
        return ma_err_set(err, -EBADMSG, "\"method\" is missing or no method's name");
    }
    if ((more != NULL && !json_is_boolean(more)) || (oneway != NULL && !json_is_boolean(oneway))) {
        return ma_err_set(err, -EBADMSG, "\"more\" and \"oneway\" are booleans");
    }
    (void) memcpy(call->method, json_string_value(method), len + 1);
    call->is_more = json_is_true(more);
    call->is_oneway = json_is_true(oneway);
    call->parameters = json_object_get(call->root, "parameters");
    if (json_is_null(call->parameters)) {
        call->parameters = NULL;
    }
    if (call->parameters != NULL && !json_is_object(call->parameters)) {
        return ma_err_set(err, -EBADMSG, "\"parameters\" is no object");
    }
    return 0;
}

int ma_varlink_parse_call(const char *text,
                          size_t len,
                          struct ma_varlink_call *ret_call,
                          struct ma_err *err) {
    struct ma_varlink_call call = {.root = NULL};
    json_error_t problem;
    if (len > MA_VARLINK_IN_MAX) {
        return ma_err_set(err, -EBADMSG, "the message is longer than %u bytes", MA_VARLINK_IN_MAX);
    }
    if (is_too_deep(text, len)) {
        return ma_err_set(err, -EBADMSG, "the message nests deeper than %u", MA_VARLINK_DEPTH_MAX);
    }
    call.root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
    if (call.root == NULL) {
        return ma_err_set(err, -EBADMSG, "no JSON: %s at byte %d", problem.text, problem.position);
    }
    int r = json_is_object(call.root) ? take_envelope(&call, err)
                                      : ma_err_set(err, -EBADMSG, "the message is no object");
    if (r != 0) {
        json_decref(call.root);
        return r;
    }
    *ret_call = call;
    return 0;
}

void ma_varlink_call_fini(struct ma_varlink_call *call) {
    json_decref(call->root);
    call->root = NULL;
    call->parameters = NULL;
}

int ma_varlink_get_text(const struct ma_varlink_call *call,
                        const char *name,
                        char *ret,
                        size_t size) {
    const json_t *value = json_object_get(call->parameters, name);
    if (value == NULL || json_is_null(value)) {
        return -ENOENT;
    }
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len >= size || strlen(json_string_value(value)) != len) {
        return -EINVAL;
    }
    (void) memcpy(ret, json_string_value(value), len + 1);
    return 0;
}

int ma_varlink_get_u64(const struct ma_varlink_call *call,
                       const char *name,
                       uint64_t max,
                       uint64_t *ret) {
    const json_t *value = json_object_get(call->parameters, name);
    if (value == NULL || json_is_null(value)) {
        return -ENOENT;
    }
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || (uint64_t) number > max) {
        return -EINVAL;
    }
    *ret = (uint64_t) number;
    return 0;
}

static bool is_word_of(const char *words, const char *word) {
    size_t len = strlen(word);
    for (const char *w = words; *w != '\0'; w += strspn(w, " ")) {
        size_t n = strcspn(w, " ");
        if (n == len && strncmp(w, word, n) == 0) {
            return true;
        }
        w += n;
    }
    return false;
}

const char *ma_varlink_unknown_parameter(const struct ma_varlink_call *call, const char *names) {
    for (void *it = json_object_iter(call->parameters); it != NULL;
         it = json_object_iter_next(call->parameters, it)) {
        if (!is_word_of(names, json_object_iter_key(it))) {
            return json_object_iter_key(it);
        }
    }
    return NULL;
}
