/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor.c - the judgement as a whole, and what its parts share. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *comm;
    uint32_t bit;
} programs[] = {
    {"momd", MA_ARBITER_MOM},          {"vdsmd", MA_ARBITER_VDSM},
    {"pvestatd", MA_ARBITER_PVESTATD}, {"ksmtuned", MA_ARBITER_KSMTUNED},
    {"systemd-oomd", MA_ARBITER_OOMD}, {"oomd", MA_ARBITER_FB_OOMD},
    {"earlyoom", MA_ARBITER_EARLYOOM}, {"nohang", MA_ARBITER_NOHANG},
    {"numad", MA_ARBITER_NUMAD},
};

uint32_t ma_arbiter_of(const char *comm) {
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (strcmp(programs[i].comm, comm) == 0) {
            return programs[i].bit;
        }
    }
    return 0;
}

void ma_doctor_count(struct ma_doctor_count *count, const char *name) {
    size_t len = strlen(count->names);
    if (len + strlen(name) + 8 < sizeof(count->names)) {
        (void) snprintf(count->names + len, sizeof(count->names) - len, "%s%s", len > 0 ? ", " : "",
                        name);
    } else if (len >= 3 && strcmp(count->names + len - 3, "...") != 0) {
        (void) snprintf(count->names + len, sizeof(count->names) - len, ", ...");
    }
    count->n++;
}

const char *ma_severity_name(enum ma_severity severity) {
    static const char *const names[] = {
        [MA_SEVERITY_NOTE] = "note",
        [MA_SEVERITY_WARNING] = "warning",
        [MA_SEVERITY_ERROR] = "error",
    };
    return names[severity];
}

struct ma_finding *
ma_finding_add(struct ma_findings *findings, const char *check, enum ma_severity severity) {
    if (findings->n == MA_FINDINGS_MAX) {
        return NULL;
    }
    struct ma_finding *finding = &findings->list[findings->n++];
    *finding = (struct ma_finding){.check = check, .severity = severity};
    return finding;
}

size_t ma_findings_count(const struct ma_findings *findings, enum ma_severity severity) {
    size_t n = 0;
    for (size_t i = 0; i < findings->n; i++) {
        n += findings->list[i].severity == severity;
    }
    return n;
}

/* Insertion: stable, and there are few. */
static void sort_worst_first(struct ma_findings *findings) {
    for (size_t i = 1; i < findings->n; i++) {
        struct ma_finding moving = findings->list[i];
        size_t at = i;
        while (at > 0 && findings->list[at - 1].severity < moving.severity) {
            findings->list[at] = findings->list[at - 1];
            at--;
        }
        findings->list[at] = moving;
    }
}

void ma_doctor_judge(const struct ma_doctor_facts *facts, struct ma_findings *ret) {
    ret->n = 0;
    ma_judge_daemon(facts, ret);
    ma_judge_arbiters(facts, ret);
    ma_judge_host(facts, ret);
    ma_judge_guests(facts, ret);
    sort_worst_first(ret);
}
