/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "self.h"
#include "tap.h"
#include "tree.h"

/* Sanitizers turn mlockall into nothing and make frames larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool has_sanitizer = true;
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
static const bool has_sanitizer = true;
#    else
static const bool has_sanitizer = false;
#    endif
#else
static const bool has_sanitizer = false;
#endif

#define SIZE_BYTES ((size_t) 1 << 20)

static void prefault_makes_pages_resident_and_keeps_them(void) {
    unsigned char present[SIZE_BYTES / 4096];
    char *m = mmap(NULL, SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(m != MAP_FAILED);
    m[4096] = 'x';
    ma_self_prefault(m, SIZE_BYTES);
    ma_self_prefault(m, 0);
    CHECK(mincore(m, SIZE_BYTES, present) == 0);
    for (size_t i = 0; i < SIZE_BYTES / 4096; i++) {
        CHECK((present[i] & 1) != 0);
    }
    CHECK(m[4096] == 'x');
    CHECK(munmap(m, SIZE_BYTES) == 0);
}

/* A frame of 7 KiB, and 3 more below it. */
static __attribute__((noinline)) void use_stack(int deep) {
    volatile char used[7 * 1024];
    for (size_t i = 0; i < sizeof(used); i += 1024) {
        used[i] = 1;
    }
    if (deep > 0) {
        use_stack(deep - 1);
    }
    used[0] = 2;
}

static long faults(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_minflt;
}

#define STACK_BYTES ((size_t) 256 * 1024)
#define PAGE_BYTES  4096U

static char *stack; /* the thread's own, lowest address */

/* Pages of the stack that are resident, of the `size` bytes below `top`. */
static size_t resident_below(uintptr_t top, size_t size) {
    unsigned char present[STACK_BYTES / PAGE_BYTES];
    size_t last = (top - (uintptr_t) stack) / PAGE_BYTES;
    size_t first = (top - size - (uintptr_t) stack) / PAGE_BYTES;
    size_t count = 0;
    CHECK(mincore(stack, STACK_BYTES, present) == 0);
    for (size_t i = first; i <= last; i++) {
        count += present[i] & 1U;
    }
    return count;
}

/* ASan's detection of use after return keeps frames on the heap: then there is no stack to prefault. */
static bool has_frames_elsewhere(void) {
    volatile char local[256];
    local[0] = 0;
    return (uintptr_t) &local[0] - (uintptr_t) stack >= STACK_BYTES;
}

static void *touch_stack(void *unused) {
    (void) unused;
    uintptr_t here = (uintptr_t) __builtin_frame_address(0);
    size_t pages = MA_SELF_STACK_BYTES / PAGE_BYTES;
    size_t untouched = resident_below(here, MA_SELF_STACK_BYTES);
    ma_self_prefault_stack();
    size_t touched = resident_below(here, MA_SELF_STACK_BYTES);
    long before = faults();
    use_stack(3);
    long after = faults();
    (void) fprintf(stderr, "# resident of %zu pages: %zu, then %zu; faults in use %ld\n", pages,
                   untouched, touched, after - before);
    CHECK(untouched < pages / 2);
    if (!has_frames_elsewhere()) {
        CHECK(touched >= pages);
    }
    if (!has_sanitizer) { /* a sanitizer's shadow faults by itself */
        CHECK(after - before <= 1);
    }
    return NULL;
}

static void stack_of_a_small_thread_is_touched(void) {
    pthread_t thread;
    pthread_attr_t attr;
    stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
    CHECK(pthread_create(&thread, &attr, touch_stack, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(munmap(stack, STACK_BYTES) == 0);
}

/* In a child: mlockall would hold this test's memory. */
static void lock_says_what_it_got(void) {
    for (int is_limited = 0; is_limited < 2; is_limited++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            struct rlimit none = {0, 0};
            struct ma_err err = {.code = 1};
            enum ma_self_lock lock;
            if (is_limited != 0) {
                CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
                CHECK(getuid() != 0 || setuid(65534) == 0);
            }
            CHECK_I64(ma_self_lock_memory(&lock, &err), 0);
            if (is_limited != 0 && !has_sanitizer) {
                CHECK(lock == MA_SELF_LOCK_NONE);
                CHECK_I64(err.code, 0);
                CHECK(strstr(err.message, "LimitMEMLOCK") != NULL);
            }
            char *m = malloc(SIZE_BYTES); /* whatever was locked, allocation goes on */
            CHECK(m != NULL);
            memset(m, 1, SIZE_BYTES);
            free(m);
            _exit(0);
        }
        int status = 1;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_I64(status, 0);
    }
}

static void score_set_by_others_is_left_alone(void) {
    struct tree t;
    struct ma_err err;
    int adj = 0;
    char path[256];
    char text[16] = "";
    tree_make(&t);
    tree_write(&t, "self/oom_score_adj", "-500\n");
    CHECK_I64(ma_self_protect_from_oom(t.root, -900, &adj, &err), 0);
    CHECK_I64(adj, -500);
    tree_write(&t, "self/oom_score_adj", "0\n");
    CHECK_I64(ma_self_protect_from_oom(t.root, -900, &adj, &err), 0);
    CHECK_I64(adj, -900);
    FILE *f = fopen(tree_path(&t, "self/oom_score_adj", path), "r");
    CHECK(f != NULL && fgets(text, sizeof(text), f) != NULL);
    CHECK_STR(text, "-900");
    (void) fclose(f);
    tree_write(&t, "self/oom_score_adj", "garbage\n");
    CHECK_I64(ma_self_protect_from_oom(t.root, -900, &adj, &err), -EINVAL);
    CHECK_I64(ma_self_protect_from_oom("/nowhere", -900, &adj, &err), -ENOENT);
    CHECK(strstr(err.message, "oom_score_adj") != NULL);
    tree_remove(&t);
}

TAP_MAIN(TAP_CASE(prefault_makes_pages_resident_and_keeps_them),
         TAP_CASE(stack_of_a_small_thread_is_touched),
         TAP_CASE(lock_says_what_it_got),
         TAP_CASE(score_set_by_others_is_left_alone));
