/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* codec-internal.h - a kind of line as a table of its fields; what report.c and request.c share. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

enum mag_field_type { MAG_U64, MAG_BOOL };

struct mag_field {
    const char *key;
    uint64_t min, max;
    size_t offset; /* of the member in its structure */
    enum mag_field_type type;
    uint32_t has; /* bit of an optional field; 0: must be there */
};

/* At most 32 fields: which have been seen is one word. */
struct mag_form {
    const char *kind;
    const struct mag_field *fields;
    size_t n_fields;
};

#define MAG_N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* A place in a line that is being read. */
struct mag_cursor {
    const char *at, *end;
};

/* "memarb/1 KIND" of a line: the cursor stands behind, *ret_kind is the index into forms. */
int mag_codec_open(struct mag_cursor *cursor,
                   const struct mag_form *forms,
                   size_t n_forms,
                   size_t *ret_kind);
/* The pairs. `to` is the structure of the form's offsets; it may be half filled on an error. */
int mag_codec_read(struct mag_cursor *cursor,
                   const struct mag_form *form,
                   void *to,
                   uint32_t *ret_has);
/* Fields whose `has` bit is in the mask, and those that must be there. Returns the length. */
size_t mag_codec_write(const struct mag_form *form,
                       const void *from,
                       uint32_t has,
                       char buf[MAG_LINE_MAX]);
