/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* psi.c - the text of a pressure file: two lines, "some" and "full", of NAME=VALUE. Pure. */
#include "psi.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "ktext.h"

/* "12.34" -> 1234; exactly two decimals, as the kernel prints them (Linux 6.1 kernel/sched/psi.c psi_show). */
static bool parse_permyriad(const char *p, uint32_t *ret) {
    uint64_t whole;
    if (!ma_ktext_u64(&p, &whole) || whole > 100 || p[0] != '.') {
        return false;
    }
    if (p[1] < '0' || p[1] > '9' || p[2] < '0' || p[2] > '9' ||
        (p[3] != ' ' && p[3] != '\0' && p[3] != '\n')) {
        return false;
    }
    uint32_t v = (uint32_t) whole * 100U + (uint32_t) (p[1] - '0') * 10U + (uint32_t) (p[2] - '0');
    if (v > MA_PERMYRIAD_FULL) {
        return false;
    }
    *ret = v;
    return true;
}

static bool parse_total(const char *p, uint64_t *ret) {
    uint64_t v;
    if (!ma_ktext_u64(&p, &v) || (*p != '\n' && *p != '\0' && *p != ' ')) {
        return false;
    }
    *ret = v;
    return true;
}

/* The value behind " key" within this line, or NULL. */
static const char *find_in_line(const char *line, const char *key) {
    const char *end = strchrnul(line, '\n');
    const char *at = strstr(line, key);
    return at != NULL && at < end ? at + strlen(key) : NULL;
}

struct psi_bits {
    uint32_t avg10, avg60, total;
};

static void parse_line(const char *line, struct psi_bits bits, struct ma_psi *ret) {
    bool is_some = bits.avg10 == MA_PSI_HAS_SOME_AVG10;
    const char *p = find_in_line(line, " avg10=");
    if (p != NULL &&
        parse_permyriad(p, is_some ? &ret->some_avg10_permyriad : &ret->full_avg10_permyriad)) {
        ret->has |= bits.avg10;
    }
    p = find_in_line(line, " avg60=");
    if (p != NULL &&
        parse_permyriad(p, is_some ? &ret->some_avg60_permyriad : &ret->full_avg60_permyriad)) {
        ret->has |= bits.avg60;
    }
    p = find_in_line(line, " total=");
    if (p != NULL && parse_total(p, is_some ? &ret->some_total_usec : &ret->full_total_usec)) {
        ret->has |= bits.total;
    }
}

int ma_psi_parse(const char *text, struct ma_psi *ret) {
    static const struct psi_bits some = {MA_PSI_HAS_SOME_AVG10, MA_PSI_HAS_SOME_AVG60,
                                         MA_PSI_HAS_SOME_TOTAL};
    static const struct psi_bits full = {MA_PSI_HAS_FULL_AVG10, MA_PSI_HAS_FULL_AVG60,
                                         MA_PSI_HAS_FULL_TOTAL};
    struct ma_psi psi = {.has = 0};
    for (const char *line = text; *line != '\0';) {
        if (strncmp(line, "some ", 5) == 0) {
            parse_line(line, some, &psi);
        } else if (strncmp(line, "full ", 5) == 0) {
            parse_line(line, full, &psi);
        }
        line = strchrnul(line, '\n');
        line += *line == '\n';
    }
    if (psi.has == 0) {
        return -EINVAL;
    }
    *ret = psi;
    return 0;
}
