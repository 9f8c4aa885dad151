/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* book.h - what has come over one channel, and what of it counts. Pure: no I/O, no clock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent-source.h"
#include "protocol.h"

enum ma_agent_verdict {
    MA_AGENT_COUNTS,
    MA_AGENT_BAD,      /* not of this protocol or version, or it contradicts itself */
    MA_AGENT_UNASKED,  /* not under the token of this connection: written before it was read */
    MA_AGENT_REPLAYED, /* its number or its time did not move */
    MA_AGENT_LATE,     /* under way for too long: ask under a new token */
};

struct ma_agent_book {
    uint64_t token;   /* asked under */
    bool is_answered; /* a report carried it */
    struct mag_age age;
    struct mag_report last;        /* that counted, under this token; seq 0: none */
    uint64_t some_permyriad_x1000; /* average of the stall over 10 s, as last and now */
    uint64_t full_permyriad_x1000;
    /* What may still be read: a bucket that refills. */
    uint64_t allowance_bytes;
    uint64_t allowance_usec; /* as of then */
};

/* Begins a connection. */
void ma_agent_book_open(struct ma_agent_book *book, uint64_t token, uint64_t now_usec);
/* Asks anew, under another token; what was said before counts no more. */
void ma_agent_book_renew(struct ma_agent_book *book, uint64_t token);
/* Pays for so many bytes. false: more than any agent has to say. */
bool ma_agent_book_pay(struct ma_agent_book *book, size_t bytes, uint64_t now_usec);
/* One line without its newline. *ret is set where it counts. */
enum ma_agent_verdict ma_agent_book_line(struct ma_agent_book *book,
                                         const char *line,
                                         size_t length,
                                         uint64_t now_usec,
                                         struct ma_agent_claims *ret);
