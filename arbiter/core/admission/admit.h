/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admit.h - may this guest start here? A demand (what its definition asks for), the host as it is and what was promised
 * to others go in; a verdict with its reasons comes out. Pure: no I/O, no clock; sizes are bytes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reserve.h"
#include "snapshot.h"
#include "state.h"

enum ma_admit_mode {
    MA_ADMIT_HEURISTIC, /* refuses what the host plainly cannot give */
    MA_ADMIT_ALWAYS, /* refuses nobody but past victims that come back too soon or without room */
    MA_ADMIT_STRICT, /* and keeps the sum of all guarantees and pins within the host */
    MA_ADMIT_MODE_COUNT
};
const char *ma_admit_mode_name(enum ma_admit_mode mode);

/* Free huge pages of one size on one node; what is true of the size as a whole stands at MA_ADMIT_POOL_ANYWHERE. */
#define MA_ADMIT_POOL_ANYWHERE UINT16_MAX
#define MA_ADMIT_POOLS_MAX     128
struct ma_admit_pool {
    uint16_t node;
    uint64_t page_bytes;
    uint64_t free_bytes;  /* of a node; ANYWHERE: what the kernel may add beyond the pools */
    uint64_t owned_bytes; /* ANYWHERE: free by the count, promised to others already */
};

struct ma_admit_input {
    const struct ma_snapshot *snapshot;
    const struct ma_state *state;
    const struct ma_reservations *reservations;
    const struct ma_admit_pool *pools; /* NULL: not known; huge pages are then not judged */
    size_t n_pools;
    enum ma_admit_mode mode;
    bool is_commit_enforced;  /* vm.overcommit_memory=2: the kernel itself refuses */
    bool was_victim;          /* memarb ended this guest within the last day */
    uint64_t victim_age_usec; /* since then */
    uint64_t readmit_after_usec;
};

enum ma_admit_reason {
    MA_ADMIT_NO_ROOM, /* host RAM: available, what gentle actions return, less promises and reserve */
    MA_ADMIT_NO_COMMITMENT,    /* strict: guarantees and pins of all guests */
    MA_ADMIT_NO_NODE,          /* the nodes it is bound to */
    MA_ADMIT_NO_HUGEPAGES,     /* pool of that page size, on its nodes where it is bound */
    MA_ADMIT_PIN_LIMIT,        /* its devices need more than its operator's PinLimit= */
    MA_ADMIT_PIN_BUDGET,       /* pins of all guests */
    MA_ADMIT_KERNEL_COMMIT,    /* CommitLimit less Committed_AS, where the kernel enforces it */
    MA_ADMIT_READMIT,          /* memarb ended it too short a time ago */
    MA_ADMIT_INCIDENT,         /* memarb ended it, and the host is short still */
    MA_ADMIT_MEMLOCK_TOO_HIGH, /* never refuses: the limit that libvirt sets exceeds the host */
    MA_ADMIT_STALE_HOST,       /* never refuses: the figures are too old to judge by */
    MA_ADMIT_REASON_COUNT
};
const char *ma_admit_reason_name(enum ma_admit_reason reason);

#define MA_ADMIT_FINDINGS_MAX 24
struct ma_admit_finding {
    enum ma_admit_reason reason;
    bool is_refusing;      /* false: told, and not counted */
    uint64_t node_mask;    /* 0: the host */
    uint64_t page_bytes;   /* of huge pages */
    uint64_t needed_bytes; /* UINT64_MAX: without bound */
    uint64_t there_bytes;
    uint64_t wait_usec; /* MA_ADMIT_READMIT: as long */
};
struct ma_admit_verdict {
    bool is_admitted;
    enum ma_admit_mode mode;
    struct ma_reservation reservation; /* what is to be held for it; times not set */
    size_t n_findings;
    struct ma_admit_finding findings[MA_ADMIT_FINDINGS_MAX];
};

/* What a start takes from the host beyond the guest's memory: QEMU's own heap, stacks and buffers (measured with QEMU
 * 7.2: 30-60 MiB resident beside the guest's pages, under TCG more) ... Too small: a host full of small guests is short
 * of what nobody counted; too large: small guests are refused that fit. */
#define MA_ADMIT_OVERHEAD_BYTES (UINT64_C(64) * MA_MIB)
/* ... and page tables of the guest's memory, in QEMU and for the CPU's second level: 8 bytes a page of 4 KiB each. */
#define MA_ADMIT_PAGE_TABLE_SHARE 256U

void ma_admit(const struct ma_admit_input *input,
              const struct ma_demand *demand,
              struct ma_admit_verdict *ret);

/* What the guests that run have been promised together (guarantees, pins, and all of what no balloon can take back), what
 * is reserved for those on their way, and what the host has for it. The figures behind `strict`. */
struct ma_commitments {
    uint64_t guests_bytes;
    uint64_t reserved_bytes;
    uint64_t capacity_bytes; /* total less reserve and what the host itself uses */
    uint64_t pinned_bytes;
};
/* except: a uuid that is left out, or NULL. */
void ma_commitments_of(const struct ma_snapshot *snapshot,
                       const struct ma_reservations *reservations,
                       const char *except,
                       struct ma_commitments *ret);
/* What one guest counts for in them. */
uint64_t ma_commitment_bytes(const struct ma_settings *settings, const struct ma_guest *guest);
