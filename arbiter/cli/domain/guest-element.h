/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-element.h - the element urn:memarb:guest:1 as memarbctl set writes it. Text in, text out; no I/O. */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define MA_GUEST_URI    "urn:memarb:guest:1"
#define MA_GUEST_PREFIX "memarb"

/* "impact=300" taken apart; an empty value takes what was said away. Borrowed texts. */
struct ma_guest_change {
    const char *key;
    const char *value;
};

/* -EINVAL: no such key, or no "=": err lists the keys. text is cut at the "=". */
int ma_guest_change_parse(char *text, struct ma_guest_change *ret, struct ma_err *err)
    __attribute__((warn_unused_result));

/* Carries the changes out on `before` (as libvirt hands it out; NULL: there is none). *ret_after is malloc'ed, or NULL when
 * nothing is left to say. What memarb does not know stays as it stands.
 * -EINVAL: `before` is no element of ours, or what would come out is not valid: against the schema, or because two values
 * contradict each other; err says which. -ENOMEM. */
int ma_guest_element_change(const char *before,
                            const struct ma_guest_change *changes,
                            size_t n_changes,
                            char **ret_after,
                            struct ma_err *err) __attribute__((warn_unused_result));
/* The element without its author's blanks, a line for each child; malloc'ed. NULL: not well-formed, or no memory. */
char *ma_guest_element_plain(const char *text);
/* Do both say the same? Blanks, quotes and an element that says nothing do not count. NULL: none. */
bool ma_guest_element_same(const char *a, const char *b);
/* The last step alone: is this element valid? 0 or -EINVAL. */
int ma_guest_element_check(const char *text, struct ma_err *err)
    __attribute__((warn_unused_result));

/* arbiter/data/memarb-guest.rng, built in. */
extern const char ma_guest_schema[];
