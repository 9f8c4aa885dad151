/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

/* A guest that left is remembered this long, so that one that a manager restarts under its uuid keeps its history
 * of cooperation. Too small: a restarted stuck balloon is trusted again at once; too large: the table fills with
 * guests that never come back. Guessed. */
#define FORGET_AFTER_USEC (UINT64_C(3600) * MA_USEC_PER_SEC)
/* A gap of this length between two lives is a restart in the middle of what goes on. Too small: hysteresis begins anew
 * with each restart, and an incident's breaker with it; too large: a shortage that is over is acted on. The time that a
 * state needs to be left (pressure.c). */
#define FRESH_USEC (UINT64_C(10) * MA_USEC_PER_SEC)

size_t ma_state_memory_size(size_t max_guests) {
    return max_guests * sizeof(struct ma_guest_memory);
}

void ma_state_init(struct ma_state *state, void *memory, size_t max_guests, uint64_t now_usec) {
    memset(state, 0, sizeof(*state));
    state->guests = memory;
    state->max_guests = max_guests;
    state->started_usec = now_usec;
}

/* Index of the first entry whose uuid is not below. */
static size_t lower_bound(const struct ma_state *state, const char *uuid) {
    size_t low = 0;
    size_t high = state->n_guests;

    /* Snapshots come sorted, so a first look at the end makes filling an empty table linear. */
    if (high > 0 && strcmp(state->guests[high - 1].uuid, uuid) < 0) {
        return high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(state->guests[middle].uuid, uuid) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct ma_guest_memory *ma_state_find(const struct ma_state *state, const char *uuid) {
    size_t at = lower_bound(state, uuid);

    if (at < state->n_guests && strcmp(state->guests[at].uuid, uuid) == 0) {
        return &state->guests[at];
    }
    return NULL;
}

struct ma_guest_memory *
ma_state_find_next(const struct ma_state *state, const char *uuid, size_t *next) {
    struct ma_guest_memory *entry;

    if (*next < state->n_guests && strcmp(state->guests[*next].uuid, uuid) == 0) {
        return &state->guests[(*next)++];
    }
    entry = ma_state_find(state, uuid);
    if (entry != NULL) {
        *next = (size_t) (entry - state->guests) + 1;
    }
    return entry;
}

struct ma_guest_memory *ma_state_get(struct ma_state *state, const char *uuid) {
    size_t at = lower_bound(state, uuid);
    size_t length = strlen(uuid);
    struct ma_guest_memory *entry;

    if (at < state->n_guests && strcmp(state->guests[at].uuid, uuid) == 0) {
        return &state->guests[at];
    }
    if (state->n_guests >= state->max_guests || length >= MA_UUID_MAX) {
        return NULL;
    }
    entry = &state->guests[at];
    memmove(entry + 1, entry, (state->n_guests - at) * sizeof(*entry));
    state->n_guests++;
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->uuid, uuid, length + 1);
    return entry;
}

void ma_state_refuse(struct ma_guest_memory *memory,
                     enum ma_action action,
                     uint64_t now_usec,
                     uint64_t for_usec) {
    if (memory->refused_until_usec <= now_usec) {
        memory->refused_actions = 0;
    }
    memory->refused_actions |= MA_ACTION_BIT(action);
    memory->refused_until_usec =
        ma_max_u64(memory->refused_until_usec, ma_add_sat(now_usec, for_usec));
}

void ma_state_take_up(struct ma_state *state, uint64_t age_usec) {
    state->victim_need_count = 0;
    if (age_usec > FRESH_USEC) {
        state->n_pressures = 0;
        state->last_tick_usec = 0;
        state->last_gap_usec = 0;
    }
}

int ma_state_copy(struct ma_state *to, const struct ma_state *from) {
    struct ma_guest_memory *guests = to->guests;
    size_t max_guests = to->max_guests;

    if (from->n_guests > max_guests) {
        return -ENOSPC;
    }
    *to = *from;
    to->guests = guests;
    to->max_guests = max_guests;
    if (from->n_guests > 0) {
        memcpy(guests, from->guests, from->n_guests * sizeof(*guests));
    }
    return 0;
}

void ma_state_prune(struct ma_state *state, uint64_t now_usec) {
    size_t kept = 0;

    for (size_t i = 0; i < state->n_guests; i++) {
        const struct ma_guest_memory *entry = &state->guests[i];
        bool is_owed = entry->taken != 0;
        bool is_recent = ma_sub_floor0(now_usec, entry->seen_usec) < FORGET_AFTER_USEC;

        if (!is_owed && !is_recent) {
            continue;
        }
        if (kept != i) {
            state->guests[kept] = *entry;
        }
        kept++;
    }
    state->n_guests = kept;
}
