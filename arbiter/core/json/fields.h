/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* fields.h - which key of the formats is which member of which struct. The writer (json-fields.c) and the reader
 * (arbiter/formats) walk the same tables: what one writes the other reads, in the tables' order. */

#include <stddef.h>
#include <stdint.h>

#include "names.h"

enum ma_field_type {
    MA_FIELD_U64,
    MA_FIELD_U32,
    MA_FIELD_U16,
    MA_FIELD_I64,
    MA_FIELD_I32,
    MA_FIELD_BOOL,
    MA_FIELD_NOT_BOOL, /* the member says the opposite of the key */
    MA_FIELD_TEXT,     /* const char *, borrowed */
    MA_FIELD_CHARS,    /* char[size], NUL-terminated */
    MA_FIELD_NAME,     /* an enum, one of `names` */
    MA_FIELD_BITS,     /* uint32_t, bit i = names[i]; an array of names */
    MA_FIELD_IMPACT,   /* ma_guest_config: impact_class and impact */
    MA_FIELD_ROW,      /* struct ma_row, as its key */
    MA_FIELD_U64S,     /* uint64_t[size]; trailing zeros are left out */
    MA_FIELD_U32S,     /* uint32_t[size]; likewise */
    MA_FIELD_UUIDS,    /* char[size][MA_UUID_MAX]; trailing "" are left out */
    MA_FIELD_OBJECT,   /* a struct, by `sub` */
    MA_FIELD_ARRAY,    /* a pointer to structs, and a size_t beside it */
    MA_FIELD_TABLE, /* likewise, in memory that stands there with a capacity: struct[size] or a pointer */
};

/* When a key is written, and may be absent. */
enum ma_field_presence {
    MA_FIELD_REQUIRED,
    MA_FIELD_BY_BIT,  /* its bit in the struct's `has` */
    MA_FIELD_BY_HAS,  /* object: any bit in its own `has`; array: it is not empty */
    MA_FIELD_BY_ZERO, /* absent means 0, "" or false */
    MA_FIELD_DEFAULT, /* always written; absent means that what was there before stays */
};

struct ma_field_set;
struct ma_field {
    const char *key;
    enum ma_field_type type;
    enum ma_field_presence presence;
    uint32_t offset; /* of the member */
    /* BY_BIT; DEFAULT: set when it is read. Keys that share one are known together */
    uint32_t has_bit;
    uint32_t count_offset; /* ARRAY, TABLE: of the size_t */
    uint32_t size; /* CHARS: bytes; U64S, U32S, UUIDS, TABLE: capacity (TABLE 0: a pointer) */
    uint64_t min;  /* unsigned integers */
    uint64_t max;  /* integers: the largest allowed, in size for signed ones */
    const struct ma_names *names;
    const struct ma_field_set *sub;
};
struct ma_field_set {
    const struct ma_field *fields;
    size_t n_fields;
    uint32_t has_offset;  /* of the uint32_t of presence bits, where fields are BY_BIT */
    uint32_t struct_size; /* bytes of the struct */
};

extern const struct ma_field_set ma_fields_snapshot; /* struct ma_snapshot, without "version" */
extern const struct ma_field_set ma_fields_node;
extern const struct ma_field_set ma_fields_guest;
extern const struct ma_field_set ma_fields_guest_node;
extern const struct ma_field_set ma_fields_settings_said;  /* the contract's eight, by bit */
extern const struct ma_field_set ma_fields_settings_plan;  /* the contract's eight, all */
extern const struct ma_field_set ma_fields_settings_whole; /* everything */
extern const struct ma_field_set ma_fields_state;
extern const struct ma_field_set ma_fields_guest_memory;

struct ma_json;
/* The fields of *base as members of the object that is open. */
void ma_json_fields(struct ma_json *json, const struct ma_field_set *set, const void *base);
