/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* cleanup.h - scope-bound release. Every helper keeps errno, so that a function may return its own. */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ma_cleanup_free(void *p) {
    int saved_errno = errno;
    free(*(void **) p);
    errno = saved_errno;
}

static inline void ma_cleanup_close(int *fd) {
    int saved_errno = errno;
    if (*fd >= 0) {
        (void) close(
            *fd); /* nothing can be done about a failing close of a descriptor we only read */
    }
    errno = saved_errno;
}

#define ma_auto_free  __attribute__((cleanup(ma_cleanup_free)))
#define ma_auto_close __attribute__((cleanup(ma_cleanup_close)))

/* MA_DEFINE_AUTOPTR(type, destroy): lets `ma_autoptr(type) p = ...` call destroy(p) at scope end.
 * destroy must accept NULL. */
#define MA_DEFINE_AUTOPTR(type, destroy)                                                           \
    static inline void ma_autoptr_cleanup_##type(struct type **p) {                                \
        int saved_errno = errno;                                                                   \
        destroy(*p);                                                                               \
        errno = saved_errno;                                                                       \
    }                                                                                              \
    struct ma_swallow_semicolon
#define ma_autoptr(type) __attribute__((cleanup(ma_autoptr_cleanup_##type))) struct type *

/* Hands a pointer out of a scope that would otherwise free it. */
#define ma_steal(pp)                                                                               \
    __extension__({                                                                                \
        __typeof__(*(pp)) ma_stolen_ = *(pp);                                                      \
        *(pp) = NULL;                                                                              \
        ma_stolen_;                                                                                \
    })
