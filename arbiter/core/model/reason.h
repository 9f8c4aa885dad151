/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* reason.h - why something is done, left out or trimmed. The names (kebab-case) are part of the plan's contract and
 * are listed in memarbctl(1). Add at the end of a section, never rename. */

enum ma_reason {
    MA_REASON_NONE,
    /* why an action */
    MA_REASON_IDLE_MEMORY,        /* balloon: memory the guest does not use */
    MA_REASON_CACHE_MEMORY,       /* balloon: memory the guest uses as page cache */
    MA_REASON_DIVISION,           /* balloon: its share of what is there */
    MA_REASON_TO_GUARANTEE,       /* balloon: into the working set, not below the guarantee */
    MA_REASON_UNPLUG,             /* resize: virtio-mem */
    MA_REASON_COLD_PAGES,         /* reclaim: the host's cgroup reclaim */
    MA_REASON_GUEST_PRESSURE,     /* balloon up: the guest is short */
    MA_REASON_GIVE_BACK,          /* balloon up, resume: pressure is gone */
    MA_REASON_LEAST_IMPACT,       /* victim: member of the set of least total impact */
    MA_REASON_CULPRIT,            /* victim: fastest grower above its guarantee */
    MA_REASON_FIRST,              /* victim: impact="first" */
    MA_REASON_GROUP,              /* victim: its group leaves together */
    MA_REASON_PAUSE_EXPIRED,      /* resume or next rung: PauseMax= has passed */
    MA_REASON_NO_ELIGIBLE_OPTION, /* exhausted */
    MA_REASON_PINNED_MEANWHILE, /* balloon up: its memory is pinned, the balloon returns nothing */
    MA_REASON_ROOM_ELSEWHERE,   /* rebalance: another node has room for its pages */
    /* why a guest is no candidate, or an option is left out */
    MA_REASON_NEVER,
    MA_REASON_STALE,
    MA_REASON_MISSING_FIGURES,
    MA_REASON_HELD,
    MA_REASON_STARTING,
    MA_REASON_MIGRATING,
    MA_REASON_SAVING,
    MA_REASON_SHUTTING_DOWN,
    MA_REASON_CRASHED,
    MA_REASON_INVALID_METADATA,
    MA_REASON_GROUP_INELIGIBLE,
    MA_REASON_GROUP_TOO_LARGE,
    MA_REASON_NO_ACTION_ALLOWED,
    MA_REASON_RESUMED_BY_OPERATOR,
    MA_REASON_PAUSED_BY_OPERATOR,
    MA_REASON_IN_FLIGHT, /* an action on it is still under way */
    MA_REASON_PLACEMENT, /* rebalance: its placement keeps its pages where they are */
    /* why the guard or the arming took an action out or back */
    MA_REASON_NOT_ARMED,
    MA_REASON_BREAKER_INCIDENT,
    MA_REASON_BREAKER_HOUR,
    MA_REASON_BREAKER_RETURNS,
    MA_REASON_QUIET_TIME,
    MA_REASON_ONE_SAMPLE, /* the need has not stood in two snapshots */
    MA_REASON_LATE_TICK,
    MA_REASON_VICTIM_PENDING,  /* another victim's memory is not back yet */
    MA_REASON_GENTLE_SUFFICES, /* P14 */
    MA_REASON_BELOW_GUARANTEE, /* P2 */
    MA_REASON_INHIBITED,
    MA_REASON_UNCOOPERATIVE,
    MA_REASON_WOULD_SHORTEN, /* P3: it would make another resource short */
    MA_REASON_NO_BALLOON,
    MA_REASON_HOST_STALE,       /* the host's own figures are stale */
    MA_REASON_NO_LONGER_NEEDED, /* read again just before acting: the need is gone */
    MA_REASON_ANNOUNCED,        /* the guest's agent was told, and has a moment to make room */
    MA_REASON_COUNT
};
const char *ma_reason_name(enum ma_reason reason);
int ma_reason_from_name(const char *name);
