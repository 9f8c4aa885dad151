/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* protocol.h - lines between memarb-guest-agent (in the guest) and memarbd (on the host); docs/protocol.md has the words.
 *
 * A line is "memarb/1 KIND key=value ...\n": printable ASCII, values are unsigned decimal numbers and nothing else, so
 * that a reader needs no JSON, no quoting, no nesting and no memory. Pure: no I/O, no clock, no allocation; any thread.
 * Whatever comes in, a parsed value keeps the bound that stands beside its field. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define MAG_PROTOCOL_VERSION 1U
/* Name of the virtio-serial port. */
#define MAG_PORT_NAME "org.memarb.guest.0"
/* A line with its newline. Smaller: a full report (at most 650 bytes) does not fit; larger: memory of each guest. */
#define MAG_LINE_MAX 1024U
/* Bound of counters, times and ids: sums and differences of two fit int64_t. */
#define MAG_COUNT_MAX (UINT64_C(1) << 60)
/* What a host may ask for. Nobody reports faster than the least interval, or is silent longer than the greatest. */
#define MAG_INTERVAL_MIN_MSEC 100U
#define MAG_INTERVAL_MAX_MSEC 10000U
#define MAG_DEADLINE_MAX_MSEC 600000U

/* What became of the operator's hook for the squeeze named in the report. */
enum mag_hook {
    MAG_HOOK_NONE,    /* none is configured */
    MAG_HOOK_RUNNING, /* started, or waiting for the one before */
    MAG_HOOK_DONE,    /* ended with 0 */
    MAG_HOOK_FAILED,  /* ended otherwise, or could not be started */
    MAG_HOOK_KILLED,  /* did not end by the deadline */
    MAG_HOOK_VETO,    /* ended with 75 (EX_TEMPFAIL): asks to be spared */
    MAG_HOOK_COUNT
};

/* Which fields of a report are there; those without a bit always are. */
#define MAG_HAS_MEM_TOTAL     (1U << 0)
#define MAG_HAS_MEM_AVAILABLE (1U << 1)
#define MAG_HAS_MEM_FREE      (1U << 2)
#define MAG_HAS_SWAP_TOTAL    (1U << 3)
#define MAG_HAS_SWAP_FREE     (1U << 4)
#define MAG_HAS_SWAP_IN       (1U << 5)
#define MAG_HAS_SWAP_OUT      (1U << 6)
#define MAG_HAS_REFAULTS      (1U << 7)
#define MAG_HAS_OOM_KILLS     (1U << 8)
#define MAG_HAS_SOME_AVG10    (1U << 9)
#define MAG_HAS_SOME_TOTAL    (1U << 10)
#define MAG_HAS_FULL_AVG10    (1U << 11)
#define MAG_HAS_FULL_TOTAL    (1U << 12)
#define MAG_HAS_SQUEEZE       (1U << 13) /* squeeze and hook */

/* Guest to host. All of it is a claim of the guest. */
struct mag_report {
    uint32_t has;
    /* of the host's last request; 0: none was read yet. <= MAG_COUNT_MAX, as all up to now_usec */
    uint64_t token;
    uint64_t run;      /* random, one an agent's run: another run starts seq anew */
    uint64_t seq;      /* 1, 2, ... within a run */
    uint64_t now_usec; /* the guest's CLOCK_BOOTTIME when the figures were read */
    /* a pressure trigger fired since the report before, or has not been quiet since */
    bool is_alarm;
    /* asks for no further squeeze: all tasks stalled, an OOM kill, or the hook says so */
    bool is_veto;
    uint64_t mem_total_bytes, mem_available_bytes, mem_free_bytes; /* <= MA_BYTES_MAX */
    uint64_t swap_total_bytes, swap_free_bytes;                    /* <= MA_BYTES_MAX */
    uint64_t swap_in_bytes, swap_out_bytes;              /* since boot; <= MAG_COUNT_MAX */
    uint64_t refaults_count, oom_kills_count;            /* since boot; <= MAG_COUNT_MAX */
    uint64_t some_avg10_permyriad, full_avg10_permyriad; /* <= 10000 */
    uint64_t some_total_usec, full_total_usec;           /* since boot; <= MAG_COUNT_MAX */
    uint64_t squeeze; /* id of the last squeeze that was announced; 1..MAG_COUNT_MAX */
    uint64_t hook;    /* enum mag_hook, of that squeeze */
};

enum mag_request_kind {
    MAG_REQUEST_RATE, /* first of a connection, and whenever the host wants a fresh report at once */
    MAG_REQUEST_SQUEEZE, /* memory will be taken from this guest */
    MAG_REQUEST_COUNT
};

/* Host to guest. */
struct mag_request {
    enum mag_request_kind kind;
    /* 1..MAG_COUNT_MAX; a new one a connection, and to tell fresh reports from old ones */
    uint64_t token;
    uint64_t now_usec; /* the host's monotonic time from any origin, the same within a connection */
    /* RATE: MAG_INTERVAL_MIN_MSEC <= fastest <= slowest <= MAG_INTERVAL_MAX_MSEC */
    uint64_t fastest_msec, slowest_msec;
    /* SQUEEZE */
    uint64_t id;            /* 1..MAG_COUNT_MAX, rising within a token */
    uint64_t target_bytes;  /* what the guest will have afterwards; <= MA_BYTES_MAX */
    uint64_t take_bytes;    /* what is taken of what it has now; <= MA_BYTES_MAX */
    uint64_t deadline_msec; /* from now_usec to the taking; <= MAG_DEADLINE_MAX_MSEC */
};

/* Writes a line with its newline, no NUL; values above their bound are lowered to it. Returns its length. */
size_t mag_report_format(const struct mag_report *report, char buf[MAG_LINE_MAX]);
size_t mag_request_format(const struct mag_request *request, char buf[MAG_LINE_MAX]);

/* A line without its newline, any bytes. 0, or with *ret untouched: -EBADMSG not of this form (a field missing or
 * twice included), -EPROTONOSUPPORT another version, -ENOMSG another kind, -ERANGE a value above its bound.
 * Keys of a well-formed pair that are not known are passed over. */
int mag_report_parse(const char *line, size_t length, struct mag_report *ret);
int mag_request_parse(const char *line, size_t length, struct mag_request *ret);

/* Bytes to lines in a fixed buffer. Zeroed is empty. */
struct mag_lines {
    size_t used;
    bool is_dropping; /* within a line that was too long */
    char buf[MAG_LINE_MAX];
};
/* The line is valid during the call only. false: stop here. */
typedef bool (*mag_line_fn)(void *userdata, const char *line, size_t length);
/* Hands out each line that data ends, without its newline; empty lines are passed over. A line of more than MAG_LINE_MAX
 * bytes (with its newline) is dropped whole. Returns how many bytes of data were used (all, unless fn said stop: then up
 * to and with that line); adds the lines dropped to *dropped. */
size_t mag_lines_feed(struct mag_lines *lines,
                      const char *data,
                      size_t length,
                      mag_line_fn fn,
                      void *userdata,
                      uint64_t *dropped);

/* How old a line is: how much longer it was under way than the quickest line so far. Zeroed knows nothing. A peer whose clock
 * stands still for a while (a paused guest) looks old from then on: ask it under a new token, and begin anew with the
 * first report that carries it. */
struct mag_age {
    bool has_best;
    int64_t best_offset_usec; /* own time minus the peer's, the least so far */
};
/* peer_now_usec <= MAG_COUNT_MAX is the line's now; own_now_usec <= MAG_COUNT_MAX when it was read. */
uint64_t mag_age_usec(struct mag_age *age, uint64_t peer_now_usec, uint64_t own_now_usec);
