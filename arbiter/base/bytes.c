/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bytes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ma_bytes_from_kib(uint64_t kib, uint64_t *ret_bytes) {
    if (kib > MA_BYTES_MAX / MA_KIB) {
        return -ERANGE;
    }
    *ret_bytes = kib * MA_KIB;
    return 0;
}

int ma_bytes_from_pages(uint64_t pages, uint64_t page_size_bytes, uint64_t *ret_bytes) {
    uint64_t bytes = ma_mul_sat(pages, page_size_bytes);
    if (bytes > MA_BYTES_MAX) {
        return -ERANGE;
    }
    *ret_bytes = bytes;
    return 0;
}

/* A decimal number with up to three decimals, kept as thousandths; *ret_rest points behind it. */
static int parse_milli(const char *text, uint64_t *ret_milli, const char **ret_rest) {
    const char *p = text;
    uint64_t whole = 0;
    if (*p < '0' || *p > '9') {
        return -EINVAL;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        whole = ma_add_sat(ma_mul_sat(whole, 10), (uint64_t) (*p - '0'));
    }
    uint64_t fraction = 0;
    if (*p == '.') {
        uint64_t place = 100;
        p++;
        if (*p < '0' || *p > '9') {
            return -EINVAL;
        }
        for (; *p >= '0' && *p <= '9'; p++) {
            if (place == 0) {
                return -EINVAL; /* a fourth decimal would be dropped in silence */
            }
            fraction += (uint64_t) (*p - '0') * place;
            place /= 10;
        }
    }
    if (whole > UINT64_MAX / 2000) {
        return -ERANGE;
    }
    *ret_milli = whole * 1000 + fraction;
    *ret_rest = p;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static int parse_with_units(
    const char *text, const struct unit *units, size_t n_units, uint64_t max, uint64_t *ret) {
    uint64_t milli;
    const char *rest;
    int r = parse_milli(text, &milli, &rest);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(rest, units[i].name) == 0) {
            uint64_t v = ma_muldiv_sat(milli, units[i].factor, 1000);
            if (v > max) {
                return -ERANGE;
            }
            *ret = v;
            return 0;
        }
    }
    return -EINVAL;
}

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

int ma_parse_bytes(const char *text, uint64_t *ret_bytes) {
    static const struct unit units[] = {
        {"B", 1}, {"KiB", MA_KIB}, {"MiB", MA_MIB}, {"GiB", MA_GIB}, {"TiB", MA_TIB},
    };
    return parse_with_units(text, units, N_ELEMENTS(units), MA_BYTES_MAX, ret_bytes);
}

int ma_parse_percent(const char *text, uint64_t max_permyriad, uint64_t *ret_permyriad) {
    static const struct unit units[] = {{"%", 100}};
    return parse_with_units(text, units, N_ELEMENTS(units), max_permyriad, ret_permyriad);
}

int ma_parse_usec(const char *text, uint64_t *ret_usec) {
    static const struct unit units[] = {
        {"us", 1},
        {"ms", MA_USEC_PER_MSEC},
        {"s", MA_USEC_PER_SEC},
        {"min", 60 * MA_USEC_PER_SEC},
        {"h", 3600 * MA_USEC_PER_SEC},
        {"d", 86400 * MA_USEC_PER_SEC},
    };
    const uint64_t ten_years_usec = UINT64_C(3650) * 86400 * MA_USEC_PER_SEC;
    return parse_with_units(text, units, N_ELEMENTS(units), ten_years_usec, ret_usec);
}

int ma_parse_u64(const char *text, uint64_t max, uint64_t *ret) {
    uint64_t v = 0;
    if (*text == '\0') {
        return -EINVAL;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') {
            return -EINVAL;
        }
        v = ma_add_sat(ma_mul_sat(v, 10), (uint64_t) (*p - '0'));
    }
    if (v > max) {
        return -ERANGE;
    }
    *ret = v;
    return 0;
}

char *ma_format_bytes(char buf[MA_FORMAT_MAX], uint64_t bytes) {
    static const struct unit units[] = {
        {"TiB", MA_TIB},
        {"GiB", MA_GIB},
        {"MiB", MA_MIB},
        {"KiB", MA_KIB},
    };
    for (size_t i = 0; i < N_ELEMENTS(units); i++) {
        if (bytes >= units[i].factor) {
            uint64_t tenths = ma_muldiv_sat(bytes, 10, units[i].factor);
            unsigned whole = (unsigned) (tenths / 10);
            unsigned tenth = (unsigned) (tenths % 10);
            if (tenth == 0) {
                (void) snprintf(buf, MA_FORMAT_MAX, "%u %s", whole, units[i].name);
            } else {
                (void) snprintf(buf, MA_FORMAT_MAX, "%u.%u %s", whole, tenth, units[i].name);
            }
            return buf;
        }
    }
    (void) snprintf(buf, MA_FORMAT_MAX, "%u B", (unsigned) bytes);
    return buf;
}

char *ma_format_usec(char buf[MA_FORMAT_MAX], uint64_t usec) {
    uint64_t sec = usec / MA_USEC_PER_SEC;
    if (usec == MA_USEC_INFINITY) {
        (void) snprintf(buf, MA_FORMAT_MAX, "never");
    } else if (sec >= 3600) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%uh %umin", (unsigned) (sec / 3600),
                        (unsigned) (sec % 3600 / 60));
    } else if (sec >= 60) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%umin %us", (unsigned) (sec / 60),
                        (unsigned) (sec % 60));
    } else if (sec > 0) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%u.%us", (unsigned) sec,
                        (unsigned) (usec % MA_USEC_PER_SEC / 100000));
    } else if (usec >= MA_USEC_PER_MSEC) {
        (void) snprintf(buf, MA_FORMAT_MAX, "%ums", (unsigned) (usec / MA_USEC_PER_MSEC));
    } else {
        (void) snprintf(buf, MA_FORMAT_MAX, "%uus", (unsigned) usec);
    }
    return buf;
}
