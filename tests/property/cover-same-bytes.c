/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-same-bytes.c - the same answers, to the byte, from any compiler at any optimisation: the answers to 2,000
 * random problems are hashed, choices, bounds and counts of work included, and compared with the hash on record.
 * A change of the algorithm changes the hash: then record the new one, once every build prints it. */
#include "cover-problems.h"

#define PROBLEMS 2000U
#define RECORDED UINT64_C(0xf5152336ce059487)

static uint64_t mix(uint64_t hash, uint64_t value) {
    for (unsigned i = 0; i < 64; i += 8) {
        hash = (hash ^ ((value >> i) & 0xff)) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t mix_answer(uint64_t hash, const struct problem_box *box) {
    const struct ma_cover_result *r = &box->result;
    for (size_t i = 0; i < box->problem.n_members; i++) {
        hash = mix(hash, r->member_choice[i]);
    }
    for (size_t k = 0; k < box->problem.n_clusters; k++) {
        hash = mix(hash, r->cluster_choice[k]);
    }
    for (size_t d = 0; d < box->problem.n_rows; d++) {
        hash = mix(hash, (uint64_t) r->uncovered_mib[d]);
    }
    hash = mix(hash, r->total_cost);
    hash = mix(hash, r->lower_bound);
    hash = mix(hash, r->is_optimal);
    return mix(mix(hash, r->nodes), r->operations);
}

static uint64_t hash_of_all(void) {
    static const struct random_shape shapes[4] = {
        {.members_max = 60, .options_max = 1},
        {.members_max = 60, .options_max = 6},
        {.members_max = 60, .options_max = 4, .has_groups = true},
        {.members_max = 60, .options_max = 4, .has_groups = true, .consumes = true},
    };
    struct problem_box box;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    box_init(&box, 64, 64, 64 * 12);
    for (uint64_t r = 0; r < PROBLEMS; r++) {
        uint64_t state = r;
        random_problem(&state, &box, &shapes[r % 4], r % 3 == 0 ? 1 : 1 + tap_below(&state, 8));
        CHECK_I64(box_solve(&box, 200000, 30), 0);
        (void) box_check(&box);
        hash = mix_answer(hash, &box);
    }
    box_fini(&box);
    return hash;
}

static void answers_are_those_on_record(void) {
    uint64_t hash = hash_of_all();
    (void) fprintf(stderr, "# hash 0x%016" PRIx64 "\n", hash);
    CHECK(hash == RECORDED);
}

/* A workspace full of something else must not show. */
static void workspace_leaves_no_trace(void) {
    static const struct random_shape shape = {
        .members_max = 30, .options_max = 4, .has_groups = true, .consumes = true};
    struct problem_box box;
    box_init(&box, 64, 64, 64 * 12);
    for (uint64_t r = 0; r < 100; r++) {
        uint64_t hash[2];
        for (unsigned k = 0; k < 2; k++) {
            uint64_t state = 77000 + r;
            random_problem(&state, &box, &shape, 1 + tap_below(&state, 6));
            memset(box.workspace, k == 0 ? 0 : 0xa5, box.workspace_bytes);
            CHECK_I64(box_solve(&box, 100000, 20), 0);
            hash[k] = mix_answer(0, &box);
        }
        CHECK_U64(hash[1], hash[0]);
    }
    box_fini(&box);
}

TAP_MAIN(TAP_CASE(answers_are_those_on_record), TAP_CASE(workspace_leaves_no_trace));
