/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* book.c - which of a guest's lines count, and what they come to.
 *
 *   I1  a report counts only under the token that this connection asked with: what lay in a buffer from before does not
 *   I2  within a run of the agent number and time must move; the same line twice counts once
 *   I3  a report that was under way for LATE_USEC longer than the quickest one does not count
 *   I4  rates come from two reports that count, over the guest's own time between them; a counter that went down gives
 *       none
 *   I5  more than ALLOWANCE_BURST_BYTES at once, or ALLOWANCE_BYTES_PER_S for long, is a flood, whatever it says
 *
 * The stall. The kernel's avg10 moves every 2 s. `total` moves at once, so the same average is made of that:
 * avg += (share - avg) x dt / (10 s + dt), and the larger of the two is taken. An alarm stands for ALARM_PERMYRIAD at
 * least: its trigger saw more within its window than the average shows yet. */
#include "book.h"

#include <string.h>

#include "bytes.h"

/* Too small: a busy host drops honest lines and asks again and again; too large: decisions on what was. A dispatch comes
 * each 10 ms and a report at most each 100 ms; the rest is a host that stalls. Guessed. */
#define LATE_USEC (UINT64_C(3) * MA_USEC_PER_SEC)
/* Too small: an agent that has much to say is put in quarantine; too large: a flood is read for longer. Ten lines a second
 * of 650 bytes are 6.5 KB. */
#define ALLOWANCE_BYTES_PER_S UINT64_C(16384)
/* Too small: what an honest agent wrote while nobody read (128 buffers of the channel, one line each, and the socket's)
 * counts as a flood; too large: a flood is read for longer. */
#define ALLOWANCE_BURST_BYTES (UINT64_C(256) * 1024)
/* The window of the average, as the kernel's avg10. */
#define STALL_WINDOW_USEC (UINT64_C(10) * MA_USEC_PER_SEC)
/* What an alarm stands for. Too small: it moves nothing until the average follows; too large: it outweighs figures.
 * Twice what a bid needs. */
#define ALARM_PERMYRIAD 1000U

void ma_agent_book_open(struct ma_agent_book *book, uint64_t token, uint64_t now_usec) {
    *book = (struct ma_agent_book){
        .token = token, .allowance_bytes = ALLOWANCE_BURST_BYTES, .allowance_usec = now_usec};
}

void ma_agent_book_renew(struct ma_agent_book *book, uint64_t token) {
    book->token = token;
    book->is_answered = false;
    book->age = (struct mag_age){0};
    book->last = (struct mag_report){0};
    book->some_permyriad_x1000 = book->full_permyriad_x1000 = 0;
}

bool ma_agent_book_pay(struct ma_agent_book *book, size_t bytes, uint64_t now_usec) {
    uint64_t elapsed = ma_sub_floor0(now_usec, book->allowance_usec);
    uint64_t refill = ma_muldiv_sat(ALLOWANCE_BYTES_PER_S, elapsed, MA_USEC_PER_SEC);

    if (refill > 0) {
        book->allowance_usec = now_usec;
        book->allowance_bytes =
            ma_min_u64(ma_add_sat(book->allowance_bytes, refill), ALLOWANCE_BURST_BYTES);
    }
    if (bytes > book->allowance_bytes) {
        book->allowance_bytes = 0;
        return false;
    }
    book->allowance_bytes -= bytes;
    return true;
}

/* Neither more available than there is, nor more free, nor a stall of all that is longer than that of some. */
static bool contradicts_itself(const struct mag_report *r) {
    uint64_t total = (r->has & MAG_HAS_MEM_TOTAL) != 0 ? r->mem_total_bytes : MA_BYTES_MAX;

    return ((r->has & MAG_HAS_MEM_AVAILABLE) != 0 && r->mem_available_bytes > total) ||
           ((r->has & MAG_HAS_MEM_FREE) != 0 && r->mem_free_bytes > total) ||
           ((r->has & MAG_HAS_FULL_AVG10) != 0 && (r->has & MAG_HAS_SOME_AVG10) != 0 &&
            r->full_avg10_permyriad > r->some_avg10_permyriad);
}

static enum ma_agent_verdict
judge(struct ma_agent_book *book, const struct mag_report *r, uint64_t now_usec) {
    if (contradicts_itself(r)) {
        return MA_AGENT_BAD;
    }
    if (r->token != book->token) {
        return MA_AGENT_UNASKED;
    }
    if (book->last.seq != 0 && r->run == book->last.run &&
        (r->seq <= book->last.seq || r->now_usec <= book->last.now_usec)) {
        return MA_AGENT_REPLAYED;
    }
    if (r->run != book->last.run) {
        book->age = (struct mag_age){0};
    }
    return mag_age_usec(&book->age, r->now_usec, now_usec) > LATE_USEC ? MA_AGENT_LATE
                                                                       : MA_AGENT_COUNTS;
}

/* Per second, between the last report that counted and this one; false: cannot be told. */
static bool rate_of(uint64_t before, uint64_t now, uint64_t elapsed_usec, uint64_t *ret) {
    if (now < before || elapsed_usec == 0) {
        return false;
    }
    *ret = ma_muldiv_sat(now - before, MA_USEC_PER_SEC, elapsed_usec);
    return true;
}

/* Both reports are of one run, and have these fields. */
static uint64_t
elapsed_usec(const struct ma_agent_book *book, const struct mag_report *r, uint32_t fields) {
    bool is_comparable = book->last.seq != 0 && book->last.run == r->run &&
                         (book->last.has & r->has & fields) == fields;

    return is_comparable ? r->now_usec - book->last.now_usec : 0;
}

static void set_levels(const struct mag_report *r, struct ma_stats *stats) {
    if ((r->has & MAG_HAS_MEM_TOTAL) != 0) {
        stats->has |= MA_STATS_HAS_TOTAL;
        stats->claimed_total_bytes = r->mem_total_bytes;
    }
    if ((r->has & MAG_HAS_MEM_AVAILABLE) != 0) {
        stats->has |= MA_STATS_HAS_AVAILABLE;
        stats->claimed_available_bytes = r->mem_available_bytes;
    }
    if ((r->has & MAG_HAS_MEM_FREE) != 0) {
        stats->has |= MA_STATS_HAS_FREE;
        stats->claimed_free_bytes = r->mem_free_bytes;
    }
}

static void
set_rates(const struct ma_agent_book *book, const struct mag_report *r, struct ma_stats *stats) {
    if (rate_of(book->last.swap_in_bytes, r->swap_in_bytes, elapsed_usec(book, r, MAG_HAS_SWAP_IN),
                &stats->claimed_swap_in_bytes_per_s)) {
        stats->has |= MA_STATS_HAS_SWAP_IN;
    }
    if (rate_of(book->last.swap_out_bytes, r->swap_out_bytes,
                elapsed_usec(book, r, MAG_HAS_SWAP_OUT), &stats->claimed_swap_out_bytes_per_s)) {
        stats->has |= MA_STATS_HAS_SWAP_OUT;
    }
    /* A refault is a page that was read again because there was no room to keep it: what a major fault stands for. */
    if (rate_of(book->last.refaults_count, r->refaults_count,
                elapsed_usec(book, r, MAG_HAS_REFAULTS), &stats->claimed_major_faults_per_s)) {
        stats->has |= MA_STATS_HAS_MAJOR_FAULTS;
    }
    stats->claimed_swap_in_bytes_per_s =
        ma_min_u64(stats->claimed_swap_in_bytes_per_s, MA_BYTES_MAX);
    stats->claimed_swap_out_bytes_per_s =
        ma_min_u64(stats->claimed_swap_out_bytes_per_s, MA_BYTES_MAX);
    stats->claimed_major_faults_per_s = ma_min_u64(stats->claimed_major_faults_per_s, MA_BYTES_MAX);
}

/* One step of the average towards the share of this time that was stalled. */
static uint64_t
averaged(uint64_t average_x1000, uint64_t before, uint64_t now, uint64_t elapsed_usec) {
    uint64_t share;

    if (elapsed_usec == 0 || now < before) {
        return average_x1000;
    }
    share = ma_muldiv_sat(ma_min_u64(now - before, elapsed_usec),
                          UINT64_C(1000) * MA_PERMYRIAD_FULL, elapsed_usec);
    return share >= average_x1000
               ? average_x1000 + ma_muldiv_sat(share - average_x1000, elapsed_usec,
                                               STALL_WINDOW_USEC + elapsed_usec)
               : average_x1000 - ma_muldiv_sat(average_x1000 - share, elapsed_usec,
                                               STALL_WINDOW_USEC + elapsed_usec);
}

static void
set_pressure(struct ma_agent_book *book, const struct mag_report *r, struct ma_psi *psi) {
    uint64_t some = 0;
    uint64_t full = 0;

    book->some_permyriad_x1000 =
        averaged(book->some_permyriad_x1000, book->last.some_total_usec, r->some_total_usec,
                 elapsed_usec(book, r, MAG_HAS_SOME_TOTAL));
    book->full_permyriad_x1000 =
        averaged(book->full_permyriad_x1000, book->last.full_total_usec, r->full_total_usec,
                 elapsed_usec(book, r, MAG_HAS_FULL_TOTAL));
    if ((r->has & (MAG_HAS_SOME_AVG10 | MAG_HAS_SOME_TOTAL)) != 0 || r->is_alarm) {
        some = ma_max_u64(r->some_avg10_permyriad, book->some_permyriad_x1000 / 1000);
        some = r->is_alarm ? ma_max_u64(some, ALARM_PERMYRIAD) : some;
        psi->has |= MA_PSI_HAS_SOME_AVG10;
        psi->some_avg10_permyriad = (uint32_t) ma_min_u64(some, MA_PERMYRIAD_FULL);
    }
    if ((r->has & (MAG_HAS_FULL_AVG10 | MAG_HAS_FULL_TOTAL)) != 0) {
        full = ma_max_u64(r->full_avg10_permyriad, book->full_permyriad_x1000 / 1000);
        psi->has |= MA_PSI_HAS_FULL_AVG10;
        psi->full_avg10_permyriad = (uint32_t) ma_min_u64(full, MA_PERMYRIAD_FULL);
    }
}

enum ma_agent_verdict ma_agent_book_line(struct ma_agent_book *book,
                                         const char *line,
                                         size_t length,
                                         uint64_t now_usec,
                                         struct ma_agent_claims *ret) {
    struct mag_report report;
    enum ma_agent_verdict verdict;
    uint64_t under_way;

    if (mag_report_parse(line, length, &report) < 0) {
        return MA_AGENT_BAD;
    }
    verdict = judge(book, &report, now_usec);
    if (verdict != MA_AGENT_COUNTS) {
        return verdict;
    }
    if (book->last.run != report.run) {
        book->some_permyriad_x1000 = book->full_permyriad_x1000 = 0;
    }
    under_way = mag_age_usec(&book->age, report.now_usec, now_usec);
    *ret = (struct ma_agent_claims){.taken_usec = ma_max_u64(ma_sub_floor0(now_usec, under_way), 1),
                                    .is_alarm = report.is_alarm,
                                    .is_veto = report.is_veto};
    if ((report.has & MAG_HAS_SQUEEZE) != 0) {
        ret->squeeze_id = report.squeeze;
        ret->is_ready = report.hook != MAG_HOOK_RUNNING;
    }
    set_levels(&report, &ret->stats);
    set_rates(book, &report, &ret->stats);
    set_pressure(book, &report, &ret->pressure);
    book->last = report;
    book->is_answered = true;
    return MA_AGENT_COUNTS;
}
