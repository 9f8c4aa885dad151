/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The controller's memory survives its text: every member is in the tables, and comes back to the bit. */
#include "formats.h"
#include "json-write.h"
#include "random-snapshot.h"
#include "state.h"

#define GUESTS   20
#define TEXT_MAX (1U << 20)

static size_t size_of(const struct ma_field *field) {
    switch ((int) field->type) {
    case MA_FIELD_U64:
    case MA_FIELD_I64:
        return 8;
    case MA_FIELD_U32:
    case MA_FIELD_I32:
    case MA_FIELD_NAME:
    case MA_FIELD_BITS:
        return 4;
    case MA_FIELD_U16:
        return 2;
    case MA_FIELD_BOOL:
    case MA_FIELD_NOT_BOOL:
        return sizeof(bool);
    case MA_FIELD_TEXT:
        return sizeof(char *);
    case MA_FIELD_CHARS:
        return field->size;
    case MA_FIELD_IMPACT:
        return 4;
    case MA_FIELD_ROW:
        return sizeof(struct ma_row);
    case MA_FIELD_U64S:
        return (size_t) field->size * 8;
    case MA_FIELD_U32S:
        return (size_t) field->size * 4;
    case MA_FIELD_UUIDS:
        return (size_t) field->size * MA_UUID_MAX;
    case MA_FIELD_OBJECT:
        return field->sub->struct_size;
    case MA_FIELD_TABLE:
        return field->size > 0 ? (size_t) field->size * field->sub->struct_size : sizeof(void *);
    case MA_FIELD_ARRAY:
        return sizeof(void *);
    default:
        return 0;
    }
}

/* Marks what the table covers; bytes that are left may only be padding: fewer than eight in a row. */
static void check_covered(const char *what, const struct ma_field_set *set, size_t known_bytes) {
    char *seen = calloc(1, set->struct_size);
    size_t run = 0;
    CHECK(seen != NULL);
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *f = &set->fields[i];
        memset(seen + f->offset, 1, size_of(f));
        if (f->type == MA_FIELD_TABLE || f->type == MA_FIELD_ARRAY) {
            memset(seen + f->count_offset, 1, sizeof(size_t));
        }
        if (f->type == MA_FIELD_OBJECT && strncmp(what, "state", 5) == 0) {
            check_covered("state: its part", f->sub, 0);
        }
    }
    size_t missed = 0;
    for (size_t i = 0; i <= set->struct_size; i++) {
        if (i < set->struct_size && seen[i] == 0) {
            run++;
            continue;
        }
        missed += run >= sizeof(uint64_t) ? run : 0;
        if (run >= sizeof(uint64_t) && missed > known_bytes) {
            TAP_FAIL("%s: %zu bytes before offset %zu are in no table", what, run, i);
        }
        run = 0;
    }
    free(seen);
}

static void every_member_is_in_a_table(void) {
    check_covered("state", &ma_fields_state, sizeof(size_t)); /* max_guests */
    check_covered("guest memory", &ma_fields_guest_memory, 0);
    check_covered("settings", &ma_fields_settings_whole, 8); /* has */
    check_covered("guest", &ma_fields_guest, 0);
    check_covered("node", &ma_fields_node, 0);
}

static void random_text(uint64_t *seed, char *to, size_t size) {
    size_t n = 1 + tap_below(seed, size - 2);
    for (size_t i = 0; i < n; i++) {
        to[i] = (char) ('a' + tap_below(seed, 26));
    }
    to[n] = '\0';
}

/* All values that the type has, the extreme ones often. */
static void random_state_field(uint64_t *seed, const struct ma_field *f, char *at) {
    uint64_t v = tap_random(seed) >> tap_below(seed, 64);
    v = tap_below(seed, 8) == 0 ? f->max : tap_below(seed, 4) == 0 ? 0 : v > f->max ? f->max : v;
    switch ((int) f->type) {
    case MA_FIELD_U64:
        memcpy(at, &v, 8);
        break;
    case MA_FIELD_I64:
        v = tap_random(seed) >> tap_below(seed, 64);
        memcpy(at, &v, 8);
        break;
    case MA_FIELD_U64S:
    case MA_FIELD_U32S:
        for (uint32_t i = 0; i < f->size; i++) {
            v = tap_below(seed, 2) == 0 ? 0 : tap_random(seed) & f->max;
            memcpy(at + i * (f->type == MA_FIELD_U64S ? 8 : 4), &v,
                   f->type == MA_FIELD_U64S ? 8 : 4);
        }
        break;
    case MA_FIELD_UUIDS:
        for (uint32_t i = 0; i < f->size; i++) {
            if (tap_below(seed, 2) == 0) {
                random_text(seed, at + i * MA_UUID_MAX, MA_UUID_MAX);
            }
        }
        break;
    case MA_FIELD_CHARS:
        random_text(seed, at, f->size);
        break;
    case MA_FIELD_ROW:
        *(struct ma_row *) (void *) at =
            (struct ma_row){.kind = tap_below(seed, 2) == 0 ? MA_ROW_RAM : MA_ROW_SWAP,
                            .within_ms = (uint32_t) tap_random(seed)};
        break;
    case MA_FIELD_U32: {
        uint32_t v32 = (uint32_t) v;
        memcpy(at, &v32, 4);
        break;
    }
    default:
        random_value(seed, f, at);
        break;
    }
}

static void random_part(uint64_t *seed, const struct ma_field_set *set, char *base) {
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *f = &set->fields[i];
        if (f->type == MA_FIELD_OBJECT) {
            random_part(seed, f->sub, base + f->offset);
        } else if (f->type == MA_FIELD_TABLE) {
            size_t n = tap_below(seed, 1 + (f->size > 0 ? f->size : GUESTS));
            char *items = f->size > 0 ? base + f->offset : *(char **) (void *) (base + f->offset);
            for (size_t k = 0; k < n; k++) {
                random_part(seed, f->sub, items + k * f->sub->struct_size);
            }
            *(size_t *) (void *) (base + f->count_offset) = n;
        } else {
            random_state_field(seed, f, base + f->offset);
        }
    }
}

static int compare_uuids(const void *a, const void *b) {
    return strcmp(((const struct ma_guest_memory *) a)->uuid,
                  ((const struct ma_guest_memory *) b)->uuid);
}

/* Field by field: padding is nobody's. */
static void check_same(const struct ma_field_set *set, const char *a, const char *b) {
    for (size_t i = 0; i < set->n_fields; i++) {
        const struct ma_field *f = &set->fields[i];
        if (f->type == MA_FIELD_OBJECT) {
            check_same(f->sub, a + f->offset, b + f->offset);
        } else if (f->type == MA_FIELD_TABLE) {
            size_t n = *(const size_t *) (const void *) (a + f->count_offset);
            CHECK_U64(*(const size_t *) (const void *) (b + f->count_offset), n);
            for (size_t k = 0; k < n; k++) {
                const char *x =
                    f->size > 0 ? a + f->offset : *(char *const *) (const void *) (a + f->offset);
                const char *y =
                    f->size > 0 ? b + f->offset : *(char *const *) (const void *) (b + f->offset);
                check_same(f->sub, x + k * f->sub->struct_size, y + k * f->sub->struct_size);
            }
        } else if (f->type == MA_FIELD_ROW) {
            CHECK(ma_row_equal((const void *) (a + f->offset), (const void *) (b + f->offset)));
        } else if (memcmp(a + f->offset, b + f->offset, size_of(f)) != 0) {
            TAP_FAIL("\"%s\" differs", f->key);
        }
    }
}

static void what_is_written_is_read_to_the_bit(void) {
    uint64_t seed = 20271;
    char *text = malloc(TEXT_MAX);
    char *again = malloc(TEXT_MAX);
    CHECK(text != NULL && again != NULL);
    (void) printf("# seed %" PRIu64 "\n", seed);
    for (unsigned round = 0; round < 300; round++) {
        static struct ma_state before, after;
        void *memory[2] = {calloc(1, ma_state_memory_size(GUESTS)),
                           calloc(1, ma_state_memory_size(GUESTS))};
        struct ma_json json;
        struct ma_err err = {0};
        CHECK(memory[0] != NULL && memory[1] != NULL);
        memset(&before, 0, sizeof(before));
        memset(&after, 0, sizeof(after));
        ma_state_init(&before, memory[0], GUESTS, 0);
        ma_state_init(&after, memory[1], GUESTS, 77);
        random_part(&seed, &ma_fields_state, (char *) &before);
        qsort(before.guests, before.n_guests, sizeof(before.guests[0]), compare_uuids);
        for (size_t i = 1; i < before.n_guests; i++) { /* a random uuid of one letter may repeat */
            if (strcmp(before.guests[i].uuid, before.guests[i - 1].uuid) == 0) {
                before.n_guests = i;
            }
        }
        ma_json_init(&json, text, TEXT_MAX);
        ma_json_state(&json, NULL, &before);
        CHECK(!json.is_truncated);
        if (ma_formats_read_state(text, json.len, &after, &err) < 0) {
            TAP_FAIL("%s\n%s", err.message, text);
        }
        check_same(&ma_fields_state, (const char *) &before, (const char *) &after);
        ma_json_init(&json, again, TEXT_MAX);
        ma_json_state(&json, NULL, &after);
        CHECK_STR(again, text);
        CHECK_I64(ma_formats_count_state_guests(text, json.len, &err), (int64_t) before.n_guests);
        free(memory[0]);
        free(memory[1]);
    }
    free(text);
    free(again);
}

TAP_MAIN(TAP_CASE(every_member_is_in_a_table), TAP_CASE(what_is_written_is_read_to_the_bit));
