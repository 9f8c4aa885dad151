/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* tap.h - a test program is one file: static void functions, and TAP_MAIN that lists them. A failing check prints
 * both values and ends the program (cleanup attributes would not run on a longjmp). Skipped: "1..0 # SKIP why" and exit 0, as TAP has it. */

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

#define TAP_SKIP_ALL(why)                                                                          \
    do {                                                                                           \
        (void) printf("1..0 # SKIP %s\n", why);                                                    \
        exit(0);                                                                                  \
    } while (0)

/* A second argument on the command line picks one case by name. */
#define TAP_MAIN(...)                                                                              \
    int main(int argc, char **argv) {                                                              \
        static const struct tap_case cases[] = {__VA_ARGS__};                                      \
        size_t n = sizeof(cases) / sizeof(cases[0]);                                               \
        (void) printf("1..%zu\n", argc > 1 ? (size_t) 1 : n);                                      \
        for (size_t i = 0, k = 0; i < n; i++) {                                                    \
            if (argc > 1 && strcmp(argv[1], cases[i].name) != 0) {                                 \
                continue;                                                                          \
            }                                                                                      \
            (void) fprintf(stderr, "# %s\n", cases[i].name);                                       \
            cases[i].run();                                                                        \
            (void) printf("ok %zu - %s\n", ++k, cases[i].name);                                    \
            (void) fflush(stdout);                                                                 \
        }                                                                                          \
        return 0;                                                                                  \
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
