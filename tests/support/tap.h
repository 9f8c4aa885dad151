/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* tap.h - a test program is one file: static void functions, and TAP_MAIN that lists them. A failing check prints
 * both values and ends the program (cleanup attributes would not run on a longjmp). A case that cannot run here says
 * TAP_SKIP_ALL: it and those after it count as skipped, each a point of the plan. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap_case {
    const char *name;
    void (*run)(void);
};

#define TAP_FAIL(...)                                                                              \
    do {                                                                                           \
        (void) fprintf(stderr, "# %s:%d: ", __FILE__, __LINE__);                                   \
        (void) fprintf(stderr, __VA_ARGS__);                                                       \
        (void) fputc('\n', stderr);                                                                \
        (void) fflush(stdout);                                                                     \
        exit(1);                                                                                   \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            TAP_FAIL("not true: %s", #condition);                                                  \
        }                                                                                          \
    } while (0)

#define CHECK_U64(actual, expected)                                                                \
    do {                                                                                           \
        uint64_t tap_a_ = (uint64_t) (actual);                                                     \
        uint64_t tap_e_ = (uint64_t) (expected);                                                   \
        if (tap_a_ != tap_e_) {                                                                    \
            TAP_FAIL("%s is %" PRIu64 ", not %" PRIu64, #actual, tap_a_, tap_e_);                  \
        }                                                                                          \
    } while (0)

#define CHECK_I64(actual, expected)                                                                \
    do {                                                                                           \
        int64_t tap_a_ = (int64_t) (actual);                                                       \
        int64_t tap_e_ = (int64_t) (expected);                                                     \
        if (tap_a_ != tap_e_) {                                                                    \
            TAP_FAIL("%s is %" PRId64 ", not %" PRId64, #actual, tap_a_, tap_e_);                  \
        }                                                                                          \
    } while (0)

#define CHECK_STR(actual, expected)                                                                \
    do {                                                                                           \
        const char *tap_a_ = (actual);                                                             \
        const char *tap_e_ = (expected);                                                           \
        if (tap_a_ == NULL || strcmp(tap_a_, tap_e_) != 0) {                                       \
            TAP_FAIL("%s is \"%s\", not \"%s\"", #actual, tap_a_ != NULL ? tap_a_ : "(null)",      \
                     tap_e_);                                                                      \
        }                                                                                          \
    } while (0)

/* The cases that are to run, and how many of them are over. */
struct tap_plan {
    const struct tap_case *cases;
    size_t count, over;
};
static inline struct tap_plan *tap_plan(void) {
    static struct tap_plan plan;
    return &plan;
}

static inline int tap_run(const struct tap_case *cases, size_t count) {
    struct tap_plan *plan = tap_plan();
    *plan = (struct tap_plan){.cases = cases, .count = count};
    (void) printf("1..%zu\n", count);
    while (plan->over < plan->count) {
        const struct tap_case *now = &cases[plan->over];
        (void) fprintf(stderr, "# %s\n", now->name);
        now->run();
        (void) printf("ok %zu - %s\n", ++plan->over, now->name);
        (void) fflush(stdout);
    }
    return 0;
}
static inline int tap_main(int argc, char **argv, const struct tap_case *cases, size_t count) {
    if (argc < 2) {
        return tap_run(cases, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            return tap_run(&cases[i], 1);
        }
    }
    (void) fprintf(stderr, "# no case %s\n", argv[1]);
    return 2;
}

#define TAP_SKIP_ALL(why)                                                                          \
    do {                                                                                           \
        struct tap_plan *tap_p_ = tap_plan();                                                      \
        while (tap_p_->over < tap_p_->count) {                                                     \
            const char *tap_name_ = tap_p_->cases[tap_p_->over].name;                              \
            (void) printf("ok %zu - %s # SKIP %s\n", ++tap_p_->over, tap_name_, why);              \
        }                                                                                          \
        exit(0);                                                                                   \
    } while (0)

/* An argument on the command line picks one case by name. */
#define TAP_MAIN(...)                                                                              \
    int main(int argc, char **argv) {                                                              \
        static const struct tap_case cases[] = {__VA_ARGS__};                                      \
        return tap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));                      \
    }                                                                                              \
    struct tap_swallow_semicolon
#define TAP_CASE(function)                                                                         \
    { #function, function }

/* splitmix64: the same numbers from the same seed everywhere; property tests print their seed. */
static inline uint64_t tap_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
/* Uniform enough in 0..bound-1; bound > 0. */
static inline uint64_t tap_below(uint64_t *state, uint64_t bound) {
    return tap_random(state) % bound;
}
