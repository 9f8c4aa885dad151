/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admission-text.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"

#define SENTENCE_MAX 320
#define NODES_MAX    96

static void append(char *buf, size_t size, const char *text) {
    size_t len = strlen(buf);
    if (len < size) {
        (void) snprintf(buf + len, size - len, "%s", text);
    }
}

char *ma_admission_nodes_text(char *buf, size_t size, uint64_t node_mask) {
    bool is_one = (node_mask & (node_mask - 1)) == 0;
    bool is_first = true;
    buf[0] = '\0';
    append(buf, size, is_one ? "node " : "nodes ");
    for (unsigned id = 0; id < MA_DEMAND_NODES_MAX; id++) {
        unsigned last = id;
        if ((node_mask >> id & 1U) == 0) {
            continue;
        }
        while (last + 1 < MA_DEMAND_NODES_MAX && (node_mask >> (last + 1) & 1U) != 0) {
            last++;
        }
        char range[24];
        if (last > id) {
            (void) snprintf(range, sizeof(range), "%s%u-%u", is_first ? "" : ",", id, last);
        } else {
            (void) snprintf(range, sizeof(range), "%s%u", is_first ? "" : ",", id);
        }
        append(buf, size, range);
        is_first = false;
        id = last;
    }
    return buf;
}

/* Amounts of one finding as text. */
struct amounts {
    char needed[MA_FORMAT_MAX], there[MA_FORMAT_MAX], missing[MA_FORMAT_MAX], page[MA_FORMAT_MAX],
        wait[MA_FORMAT_MAX], nodes[NODES_MAX];
};

static void fill(struct amounts *a, const struct ma_admit_finding *f) {
    if (f->needed_bytes == UINT64_MAX) {
        (void) snprintf(a->needed, sizeof(a->needed), "unlimited");
    } else {
        (void) ma_format_bytes(a->needed, f->needed_bytes);
    }
    (void) ma_format_bytes(a->there, f->there_bytes);
    (void) ma_format_bytes(a->missing, ma_sub_floor0(f->needed_bytes, f->there_bytes));
    (void) ma_format_bytes(a->page, f->page_bytes);
    (void) ma_format_usec(a->wait, f->wait_usec);
    (void) snprintf(a->nodes, sizeof(a->nodes), "the host");
    if (f->node_mask != 0) {
        (void) ma_admission_nodes_text(a->nodes, sizeof(a->nodes), f->node_mask);
    }
}

static void
say_room(char *buf, size_t size, const struct ma_admit_finding *f, const struct amounts *a) {
    switch ((int) f->reason) {
    case MA_ADMIT_NO_ROOM:
        (void) snprintf(buf, size,
                        "it needs %s at once, the host has %s for it above Reserve= and what is "
                        "held for others: %s missing",
                        a->needed, a->there, a->missing);
        break;
    case MA_ADMIT_NO_COMMITMENT:
        (void) snprintf(buf, size,
                        "Mode=strict: it counts for %s, guarantees and pins of the others leave %s "
                        "of the host: %s missing",
                        a->needed, a->there, a->missing);
        break;
    case MA_ADMIT_NO_NODE:
        (void) snprintf(buf, size,
                        "it is bound to %s and needs %s there, where %s is left: %s missing",
                        a->nodes, a->needed, a->there, a->missing);
        break;
    case MA_ADMIT_NO_HUGEPAGES:
        (void) snprintf(buf, size,
                        "it needs %s in huge pages of %s on %s, where %s is free: %s missing "
                        "(nr_hugepages)",
                        a->needed, a->page, a->nodes, a->there, a->missing);
        break;
    default:
        (void) snprintf(buf, size,
                        "vm.overcommit_memory=2: it maps %s, CommitLimit less Committed_AS leaves "
                        "%s: %s missing",
                        a->needed, a->there, a->missing);
        break;
    }
}

static void
say_other(char *buf, size_t size, const struct ma_admit_finding *f, const struct amounts *a) {
    switch ((int) f->reason) {
    case MA_ADMIT_PIN_LIMIT:
        (void) snprintf(buf, size,
                        "its devices and locks count for %s of pinned memory, its pin limit is %s: "
                        "%s missing",
                        a->needed, a->there, a->missing);
        break;
    case MA_ADMIT_PIN_BUDGET:
        (void) snprintf(
            buf, size,
            "it would pin %s, the host's budget of pinned memory has %s left: %s missing",
            a->needed, a->there, a->missing);
        break;
    case MA_ADMIT_READMIT:
        (void) snprintf(buf, size,
                        "memarb ended it to save the host; ReadmitAfter= lets it in again in %s "
                        "(memarbctl readmit lets it in now)",
                        a->wait);
        break;
    case MA_ADMIT_INCIDENT:
        (void) snprintf(buf, size,
                        "memarb ended it to save the host, and the host is short still (memarbctl "
                        "status)");
        break;
    case MA_ADMIT_MEMLOCK_TOO_HIGH:
        (void) snprintf(buf, size,
                        "libvirt will let it lock %s, the host has %s: its pins are bounded by "
                        "nothing",
                        a->needed, a->there);
        break;
    default:
        (void) snprintf(buf, size, "the host's figures are too old to judge by");
        break;
    }
}

char *ma_admission_finding_text(char *buf, size_t size, const struct ma_admit_finding *finding) {
    struct amounts amounts;
    fill(&amounts, finding);
    switch ((int) finding->reason) {
    case MA_ADMIT_NO_ROOM:
    case MA_ADMIT_NO_COMMITMENT:
    case MA_ADMIT_NO_NODE:
    case MA_ADMIT_NO_HUGEPAGES:
    case MA_ADMIT_KERNEL_COMMIT:
        say_room(buf, size, finding, &amounts);
        break;
    default:
        say_other(buf, size, finding, &amounts);
        break;
    }
    return buf;
}

char *ma_admission_text(char *buf, size_t size, const struct ma_admit_verdict *verdict) {
    char sentence[SENTENCE_MAX];
    buf[0] = '\0';
    for (size_t i = 0; i < verdict->n_findings; i++) {
        if (verdict->is_admitted || verdict->findings[i].is_refusing) {
            append(buf, size, buf[0] != '\0' ? "; " : "");
            append(buf, size,
                   ma_admission_finding_text(sentence, sizeof(sentence), &verdict->findings[i]));
        }
    }
    return buf;
}
