/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report.c - the guest's line: what it claims of itself. */
#include <errno.h>

#include "codec-internal.h"
#include "protocol.h"

#define BYTES(name, bit)                                                                           \
    { #name, 0, MA_BYTES_MAX, offsetof(struct mag_report, name##_bytes), MAG_U64, bit }
#define TOTAL(name, member, bit)                                                                   \
    { #name, 0, MAG_COUNT_MAX, offsetof(struct mag_report, member), MAG_U64, bit }
#define SHARE(name, bit)                                                                           \
    { #name, 0, MA_PERMYRIAD_FULL, offsetof(struct mag_report, name##_permyriad), MAG_U64, bit }

static const struct mag_field fields[] = {
    TOTAL(token, token, 0),
    {"run", 1, MAG_COUNT_MAX, offsetof(struct mag_report, run), MAG_U64, 0},
    {"seq", 1, MAG_COUNT_MAX, offsetof(struct mag_report, seq), MAG_U64, 0},
    TOTAL(now, now_usec, 0),
    {"alarm", 0, 1, offsetof(struct mag_report, is_alarm), MAG_BOOL, 0},
    {"veto", 0, 1, offsetof(struct mag_report, is_veto), MAG_BOOL, 0},
    BYTES(mem_total, MAG_HAS_MEM_TOTAL),
    BYTES(mem_available, MAG_HAS_MEM_AVAILABLE),
    BYTES(mem_free, MAG_HAS_MEM_FREE),
    BYTES(swap_total, MAG_HAS_SWAP_TOTAL),
    BYTES(swap_free, MAG_HAS_SWAP_FREE),
    TOTAL(swap_in, swap_in_bytes, MAG_HAS_SWAP_IN),
    TOTAL(swap_out, swap_out_bytes, MAG_HAS_SWAP_OUT),
    TOTAL(refaults, refaults_count, MAG_HAS_REFAULTS),
    TOTAL(oom_kills, oom_kills_count, MAG_HAS_OOM_KILLS),
    SHARE(some_avg10, MAG_HAS_SOME_AVG10),
    TOTAL(some_total, some_total_usec, MAG_HAS_SOME_TOTAL),
    SHARE(full_avg10, MAG_HAS_FULL_AVG10),
    TOTAL(full_total, full_total_usec, MAG_HAS_FULL_TOTAL),
    {"squeeze", 1, MAG_COUNT_MAX, offsetof(struct mag_report, squeeze), MAG_U64, MAG_HAS_SQUEEZE},
    {"hook", 0, MAG_HOOK_COUNT - 1, offsetof(struct mag_report, hook), MAG_U64, MAG_HAS_SQUEEZE},
};

static const struct mag_form form = {"report", fields, MAG_N_ELEMENTS(fields)};

size_t mag_report_format(const struct mag_report *report, char buf[MAG_LINE_MAX]) {
    return mag_codec_write(&form, report, report->has, buf);
}

int mag_report_parse(const char *line, size_t length, struct mag_report *ret) {
    struct mag_cursor cursor = {line, line + length};
    struct mag_report report = {.has = 0};
    size_t kind;
    int r = mag_codec_open(&cursor, &form, 1, &kind);
    if (r == 0) {
        r = mag_codec_read(&cursor, &form, &report, &report.has);
    }
    if (r == 0) {
        *ret = report;
    }
    return r;
}
