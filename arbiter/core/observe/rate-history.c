/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rate-history.c - the bucket of a rate is its highest set bit and the two bits behind it. */
#include "rate-history.h"

#include "bytes.h"

#define LOWEST_BITS  10U
#define HIGHEST_BITS 34U

/* Bucket 0 is all below 1280 B/s, the last one all from 2^34 on. */
static unsigned bucket_of(uint64_t rate) {
    uint64_t v = ma_clamp_u64(rate, UINT64_C(1) << LOWEST_BITS, UINT64_C(1) << HIGHEST_BITS);
    unsigned bits = 63U - (unsigned) __builtin_clzll(v);
    return (bits - LOWEST_BITS) * 4 + (unsigned) (v >> (bits - 2) & 3U);
}

static uint64_t end_of(unsigned bucket) {
    unsigned bits = LOWEST_BITS + bucket / 4;
    return (UINT64_C(5) + bucket % 4) << (bits - 2);
}

void ma_rate_history_add(struct ma_rate_history *h, uint64_t bytes_per_s) {
    if (h->n >= MA_RATE_COUNT_MAX) {
        h->n = 0;
        for (unsigned i = 0; i < MA_RATE_BUCKETS; i++) {
            h->counts[i] /= 2;
            h->n = (uint16_t) (h->n + h->counts[i]);
        }
    }
    h->counts[bucket_of(bytes_per_s)]++;
    h->n++;
}

uint64_t ma_rate_history_p95(const struct ma_rate_history *h) {
    uint32_t wanted = (uint32_t) h->n * 95;
    uint32_t seen = 0;
    if (h->n < MA_RATE_COUNT_MIN) {
        return 0;
    }
    unsigned i = 0;
    while (i < MA_RATE_BUCKETS - 1 && (seen += h->counts[i]) * 100 < wanted) {
        i++;
    }
    return end_of(i);
}
