/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* collect-parse.c - text of /proc/meminfo, /proc/vmstat and /proc/pressure/memory. Pure.
 *
 * Each file is lines of a key and a number; one walk hands key and rest of each whole line to a table. A line that was
 * cut has no newline and is not looked at: half a number is a wrong number. */
#include <string.h>

#include "collect.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* What is left of the line that is being read. */
struct span {
    const char *at, *end;
};

/* The next line that has its newline. */
static bool next_line(struct span *text, struct span *ret) {
    const char *newline = memchr(text->at, '\n', (size_t) (text->end - text->at));
    if (newline == NULL) {
        return false;
    }
    *ret = (struct span){text->at, newline};
    text->at = newline + 1;
    return true;
}

static bool take(struct span *line, const char *word) {
    size_t length = strlen(word);
    if ((size_t) (line->end - line->at) < length || memcmp(line->at, word, length) != 0) {
        return false;
    }
    line->at += length;
    return true;
}

static void skip_blanks(struct span *line) {
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t')) {
        line->at++;
    }
}

static bool take_number(struct span *line, uint64_t *ret) {
    const char *start = line->at;
    uint64_t v = 0;
    for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
        v = ma_add_sat(ma_mul_sat(v, 10), (uint64_t) (*line->at - '0'));
    }
    *ret = v;
    return line->at > start;
}

void mag_collect_meminfo(const char *text, size_t length, struct mag_report *to) {
    const struct {
        const char *key;
        uint64_t *value;
        uint32_t has;
    } wanted[] = {
        {"MemTotal:", &to->mem_total_bytes, MAG_HAS_MEM_TOTAL},
        {"MemFree:", &to->mem_free_bytes, MAG_HAS_MEM_FREE},
        {"MemAvailable:", &to->mem_available_bytes, MAG_HAS_MEM_AVAILABLE},
        {"SwapTotal:", &to->swap_total_bytes, MAG_HAS_SWAP_TOTAL},
        {"SwapFree:", &to->swap_free_bytes, MAG_HAS_SWAP_FREE},
    };
    struct span rest = {text, text + length}, line;
    while (next_line(&rest, &line)) {
        for (size_t i = 0; i < N_ELEMENTS(wanted); i++) {
            uint64_t kib;
            if (!take(&line, wanted[i].key)) {
                continue;
            }
            skip_blanks(&line);
            if (take_number(&line, &kib) && take(&line, " kB") &&
                ma_bytes_from_kib(kib, wanted[i].value) == 0) {
                to->has |= wanted[i].has;
            }
            break;
        }
    }
}

void mag_collect_vmstat(const char *text,
                        size_t length,
                        uint64_t page_bytes,
                        struct mag_report *to) {
    /* Before Linux 5.9 refaults of anonymous pages were not counted, and the counter had no suffix. */
    const struct {
        const char *key;
        uint64_t *value;
        uint64_t unit;
        uint32_t has;
    } wanted[] = {
        {"pswpin ", &to->swap_in_bytes, page_bytes, MAG_HAS_SWAP_IN},
        {"pswpout ", &to->swap_out_bytes, page_bytes, MAG_HAS_SWAP_OUT},
        {"workingset_refault ", &to->refaults_count, 1, MAG_HAS_REFAULTS},
        {"workingset_refault_anon ", &to->refaults_count, 1, MAG_HAS_REFAULTS},
        {"workingset_refault_file ", &to->refaults_count, 1, MAG_HAS_REFAULTS},
        {"oom_kill ", &to->oom_kills_count, 1, MAG_HAS_OOM_KILLS},
    };
    to->swap_in_bytes = to->swap_out_bytes = to->refaults_count = to->oom_kills_count = 0;
    struct span rest = {text, text + length}, line;
    while (next_line(&rest, &line)) {
        for (size_t i = 0; i < N_ELEMENTS(wanted); i++) {
            uint64_t count;
            if (!take(&line, wanted[i].key)) {
                continue;
            }
            if (take_number(&line, &count)) {
                uint64_t sum = ma_add_sat(*wanted[i].value, ma_mul_sat(count, wanted[i].unit));
                *wanted[i].value = ma_min_u64(sum, MAG_COUNT_MAX);
                to->has |= wanted[i].has;
            }
            break;
        }
    }
}

/* "12.34" -> 1234: always two decimals (Linux 6.1 kernel/sched/psi.c psi_show). */
static bool take_share(struct span *line, uint64_t *ret) {
    uint64_t whole;
    if (!take_number(line, &whole) || whole > 100 || !take(line, ".") || line->end - line->at < 2) {
        return false;
    }
    const char *p = line->at;
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') {
        return false;
    }
    line->at += 2;
    *ret = whole * 100 + (uint64_t) (p[0] - '0') * 10 + (uint64_t) (p[1] - '0');
    return *ret <= MA_PERMYRIAD_FULL;
}

/* The rest of a line after "some" or "full": " avg10=0.00 avg60=0.00 avg300=0.00 total=0". */
static void pressure_line(
    struct span *line, uint64_t *avg10, uint64_t *total, uint32_t has[2], struct mag_report *to) {
    uint64_t value;
    while (line->at < line->end) {
        if (take(line, " avg10=")) {
            if (take_share(line, &value)) {
                *avg10 = value;
                to->has |= has[0];
            }
        } else if (take(line, " total=")) {
            if (take_number(line, &value)) {
                *total = ma_min_u64(value, MAG_COUNT_MAX);
                to->has |= has[1];
            }
        } else {
            line->at++;
        }
    }
}

void mag_collect_pressure(const char *text, size_t length, struct mag_report *to) {
    uint32_t some[2] = {MAG_HAS_SOME_AVG10, MAG_HAS_SOME_TOTAL};
    uint32_t full[2] = {MAG_HAS_FULL_AVG10, MAG_HAS_FULL_TOTAL};
    struct span rest = {text, text + length}, line;
    while (next_line(&rest, &line)) {
        if (take(&line, "some")) {
            pressure_line(&line, &to->some_avg10_permyriad, &to->some_total_usec, some, to);
        } else if (take(&line, "full")) {
            pressure_line(&line, &to->full_avg10_permyriad, &to->full_total_usec, full, to);
        }
    }
}
