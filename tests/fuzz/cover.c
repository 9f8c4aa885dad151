/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover.c - any bytes as a problem for the planner's kernel. The first byte says whether the bytes are taken as raw
 * structures (indices and sizes of any value: refused or solved, never followed out of an array) or as a well-formed
 * problem (then the answer must hold as every answer must). */
#include "../property/cover-problems.h"

#define GUESTS_MAX  24U
#define OPTIONS_MAX 96U

struct bytes {
    const uint8_t *at;
    size_t left;
};

static uint64_t number(struct bytes *in, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n && in->left > 0; i++) {
        v = v << 8 | *in->at++;
        in->left--;
    }
    return v;
}

/* Mostly small, sometimes anything. */
static uint64_t amount(struct bytes *in) {
    uint64_t kind = number(in, 1);
    return kind < 200 ? number(in, 1) : kind < 240 ? number(in, 3) : number(in, 8);
}
static int64_t signed_amount(struct bytes *in) {
    uint64_t v = amount(in);
    return (v & 1) != 0 ? -(int64_t) (v >> 1) : (int64_t) (v >> 1);
}

static void fill_options(struct bytes *in, struct problem_box *box) {
    for (size_t o = 0; o < box->problem.n_options; o++) {
        box->options[o].cost = amount(in);
        for (size_t d = 0; d < MA_ROWS_MAX; d++) {
            box->options[o].frees_mib[d] = d < box->problem.n_rows ? signed_amount(in) : 0;
        }
    }
}

static void fill_demands(struct bytes *in, struct problem_box *box) {
    for (size_t d = 0; d < MA_ROWS_MAX; d++) {
        box->problem.demand_mib[d] = (int64_t) amount(in);
        box->problem.slack_mib[d] = (int64_t) amount(in);
    }
}

static void fill_raw(struct bytes *in, struct problem_box *box) {
    box->problem.n_rows = number(in, 1) % (MA_ROWS_MAX + 2);
    box->problem.n_clusters = number(in, 1) % (GUESTS_MAX + 1);
    box->problem.n_members = number(in, 1) % (GUESTS_MAX + 1);
    box->problem.n_options = number(in, 1) % (OPTIONS_MAX + 1);
    fill_demands(in, box);
    for (size_t k = 0; k < box->problem.n_clusters; k++) {
        box->clusters[k] = (struct ma_cover_cluster){(uint32_t) amount(in), (uint32_t) amount(in),
                                                     (uint32_t) amount(in), (uint32_t) amount(in)};
    }
    for (size_t i = 0; i < box->problem.n_members; i++) {
        box->members[i] = (struct ma_cover_member){(uint32_t) amount(in), (uint32_t) amount(in)};
    }
    fill_options(in, box);
}

static void fill_well_formed(struct bytes *in, struct problem_box *box) {
    box_clear(box, 1 + number(in, 1) % MA_ROWS_MAX);
    fill_demands(in, box);
    while (in->left > 0 && box->problem.n_members < GUESTS_MAX &&
           box->problem.n_options + 12 < OPTIONS_MAX) {
        uint64_t what = number(in, 1);
        if (what % 3 == 0 || box->problem.n_clusters == 0) {
            box_cluster(box);
            for (uint64_t j = 0; j < what / 3 % 3; j++) {
                (void) box_joint(box, 0);
            }
        }
        box_member(box);
        for (uint64_t o = 0; o < what / 16 % 6; o++) {
            (void) box_option(box, 0);
        }
    }
    fill_options(in, box);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {.at = data, .left = size};
    struct problem_box box;
    box_init(&box, GUESTS_MAX, GUESTS_MAX, OPTIONS_MAX);
    uint64_t kind = number(&in, 1);
    uint64_t operations = (kind >> 1) % 8 == 0 ? number(&in, 2) : 60000;
    if (kind % 2 == 0) {
        fill_raw(&in, &box);
    } else {
        fill_well_formed(&in, &box);
    }
    int r = box_solve(&box, operations, (uint32_t) (kind >> 4) * 4);
    if (r == 0) {
        (void) box_check(&box);
    } else if (r != -EINVAL && r != -ERANGE) {
        abort();
    }
    box_fini(&box);
    return 0;
}
