/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* state.h - the controller's memory between two decisions: pressure states, what is in flight, what was taken and
 * must be given back, cooperation of balloons, breaker. It is the whole of what a decision depends on besides the
 * snapshot: it stands in every record (state_before), and on disk between two lives of memarbd.
 *
 * Times are CLOCK_MONOTONIC microseconds of one boot. Pure; the caller brings the guest table's memory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pressure.h"
#include "snapshot.h"

#define MA_UUID_MAX           64 /* with NUL; longer ones are refused where they enter */
#define MA_VICTIM_LOG_MAX     64
#define MA_VICTIM_MEMBERS_MAX 8
#define MA_WALK_MAX           8

enum ma_cooperation {
    MA_COOPERATION_UNKNOWN,
    MA_COOPERATION_GOOD,
    MA_COOPERATION_SLOW,
    MA_COOPERATION_STUCK,
    MA_COOPERATION_COUNT
};
const char *ma_cooperation_name(enum ma_cooperation cooperation);
int ma_cooperation_from_name(const char *name);

/* What memarb took from a guest and owes it (P6). */
enum ma_taken {
    MA_TAKEN_BALLOON = 1U << 0, /* balloon_before_bytes -> balloon_ours_bytes */
    MA_TAKEN_PAUSE = 1U << 1,
    MA_TAKEN_RESIZE = 1U << 2, /* resize_before_bytes -> resize_ours_bytes */
};

struct ma_guest_memory {
    char uuid[MA_UUID_MAX];
    /* ledger */
    uint32_t taken; /* enum ma_taken */
    uint64_t balloon_before_bytes, balloon_ours_bytes;
    uint64_t resize_before_bytes, resize_ours_bytes;
    bool balloon_is_settled, resize_is_settled; /* seen at ours since: what differs is another's */
    uint64_t paused_since_usec;
    bool pause_is_settled; /* it was seen paused since: found running, somebody else resumed it */
    uint64_t resume_sent_usec;  /* we asked for it; the ledger is cleared once it is seen running */
    uint64_t exempt_until_usec; /* the operator resumed it */
    /* what it or its host refused (reclaim without a cgroup, an ignored ACPI shutdown): not offered until then */
    uint32_t refused_actions; /* MA_ACTION_BIT()s */
    uint64_t refused_until_usec;
    uint64_t reclaim_bytes, reclaim_until_usec; /* a cgroup's: its gain is in flight until then */
    /* until then pages leave one node for another, until so much is left on the first */
    uint64_t rebalance_until_usec, rebalance_to_bytes;
    uint32_t rebalance_from_node, rebalance_to_node;
    uint64_t last_move_usec; /* of its balloon; 0: never moved */
    int32_t last_direction;  /* -1 shrink, +1 grow, 0 none */
    uint64_t last_turn_usec;
    uint64_t move_from_bytes;    /* actual when the move began */
    uint64_t balloon_told_bytes; /* the target before ours: it holds if ours fails; 0: it stood */
    uint64_t last_actual_bytes, last_progress_usec;
    uint64_t rate_bytes_per_s; /* EWMA of its progress while it had something to move */
    uint64_t rate_from_usec, rate_from_bytes; /* it is measured from there on */
    enum ma_cooperation cooperation;
    uint64_t probe_after_usec; /* STUCK: a small step may try again then */
    uint32_t probe_failures;
    uint64_t used_bytes;   /* by its last word, with the balloon as it stood then */
    uint64_t used_at_usec; /* of that word; 0: there was none */
    uint64_t used_rise_bytes_per_s;
    uint64_t working_peak_bytes, working_peak_usec; /* decayed peak of its working set */
    uint64_t usual_peak_bytes; /* the same, decayed over hours: what it comes back to */
    /* where its balloon stood in the last seconds, oldest first; none while it rests (observe-walk.c) */
    uint64_t walk_usec[MA_WALK_MAX], walk_bytes[MA_WALK_MAX];
    uint64_t resident_before_bytes; /* its last shrink: for what the host saw of it */
    uint32_t refused_count;
    uint64_t grown_from_bytes, grown_held_bytes; /* loan.h: its balloon, and what it held, then */
    bool is_grown_on_word;
    uint32_t fruitless_looks; /* in a row; none before look_again_usec */
    uint64_t look_again_usec;
    uint64_t veto_until_usec;   /* it is not squeezed where others suffice; 0: none yet */
    uint64_t veto_again_usec;   /* no other veto begins before this */
    uint64_t agent_heard_usec;  /* notice.h: its agent listens, as of then; 0: never did */
    uint64_t noticed_usec;      /* a squeeze was announced, or commanded, last; 0: never */
    uint64_t notice_until_usec; /* ... and is waited for until then; 0: commanded */
    uint64_t seen_usec;         /* last snapshot it was in */
};

/* One victim at a time; a group is one. */
struct ma_pending_victim {
    bool is_pending;
    enum ma_action action;
    uint32_t n_guests;
    char uuid[MA_VICTIM_MEMBERS_MAX][MA_UUID_MAX];
    uint64_t taken_usec, deadline_usec;
    uint64_t predicted_bytes;        /* of host RAM */
    uint64_t available_before_bytes; /* host available when it was taken */
    uint64_t held_before_bytes; /* what all guests together held then: resident and huge pages */
    int64_t slope_before_bytes_per_s; /* of host available then: what going on would have cost */
    uint64_t gone_usec;               /* all members were first seen gone (or paused); 0: not yet */
};

struct ma_state {
    uint64_t seq; /* decisions made */
    uint64_t last_tick_usec;
    uint64_t last_gap_usec; /* between the last two decisions; 0: not known */
    /* memarbd's start or reload; quiet time counts from the later of these two. 0: none is asked for (`plan
     * --stream`, where another program plays the host) */
    uint64_t started_usec;
    uint64_t quiet_from_usec; /* a late tick, a clock jump */
    struct ma_pressure_state pressures[MA_ROWS_MAX];
    size_t n_pressures;
    /* incident: from leaving normal until back in it */
    bool in_incident;
    uint64_t incident_since_usec;
    uint32_t victims_in_incident;            /* guests, group members counted */
    uint64_t victim_usec[MA_VICTIM_LOG_MAX]; /* ring of times, for the hourly limit */
    uint32_t n_victims_logged;
    /* breaker: rungs disarmed until `memarbctl arm` */
    uint32_t disarmed_actions;                     /* MA_ACTION_BIT()s */
    uint32_t poor_returns[MA_ACTION_OPTION_COUNT]; /* in a row, per action */
    /* the need of a victim, in consecutive snapshots (P13) */
    uint32_t victim_need_count;
    struct ma_pending_victim pending;

    struct ma_guest_memory *guests; /* sorted by uuid */
    size_t n_guests, max_guests;
};

size_t ma_state_memory_size(size_t max_guests);
void ma_state_init(struct ma_state *state, void *memory, size_t max_guests, uint64_t now_usec);
/* The guest's entry, or NULL. O(log n). */
struct ma_guest_memory *ma_state_find(const struct ma_state *state, const char *uuid);
/* The same for a walk in the order of uuids: *next (0 at first) is moved behind what was found. O(1) in that order. */
struct ma_guest_memory *
ma_state_find_next(const struct ma_state *state, const char *uuid, size_t *next);
/* The guest's entry, made if needed; NULL when the table is full or the uuid too long. Moves entries: pointers
 * taken before are void. */
struct ma_guest_memory *ma_state_get(struct ma_state *state, const char *uuid);
/* Deep copy into a state of at least that capacity; -ENOSPC otherwise. */
int ma_state_copy(struct ma_state *to, const struct ma_state *from);
/* That action is not offered for the guest for so long. One time serves all that it has refused: the latest. */
void ma_state_refuse(struct ma_guest_memory *memory,
                     enum ma_action action,
                     uint64_t now_usec,
                     uint64_t for_usec);
/* A new life goes on from what an earlier one knew age_usec ago. Ledger, breaker, cooperation and the pending victim stand;
 * after ten seconds what the host was short of is found anew. One sample of then is none of now (P13). */
void ma_state_take_up(struct ma_state *state, uint64_t age_usec);
/* Drops guests that are in no ledger and were not seen for an hour. */
void ma_state_prune(struct ma_state *state, uint64_t now_usec);
