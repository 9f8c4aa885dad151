/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* sim.h - a host and its guests, simulated: hours in seconds, to try a policy on before it is trusted (run.c has the
 * model). Integers throughout and one seed: the same scenario, seed and policy give the same run to the byte, with
 * any compiler. No clock, no file; a run allocates at its start and frees at its end. Any thread; nothing is shared. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "plan.h"
#include "policy.h"
#include "snapshot.h"

#define SIM_NAME_MAX    48
#define SIM_CLASSES_MAX 32
#define SIM_SIZES_MAX   8
#define SIM_GUESTS_MAX  2048
#define SIM_NODES_MAX   8
#define SIM_NODE_ANY    UINT16_MAX
#define SIM_BURSTS_MAX  32
/* A scenario is a page of text. */
#define SIM_TEXT_MAX_BYTES (256U * 1024U)

enum sim_demand {
    SIM_DEMAND_IDLE,
    SIM_DEMAND_STEADY,
    SIM_DEMAND_DIURNAL,
    SIM_DEMAND_LEAK,
    SIM_DEMAND_BURSTS,
    SIM_DEMAND_BOOT,
    SIM_DEMAND_BOMB,
    SIM_DEMAND_COUNT
};
/* How the guest's balloon driver behaves. */
enum sim_driver {
    SIM_DRIVER_GOOD,
    SIM_DRIVER_DEAD,  /* never moves, never reports */
    SIM_DRIVER_SLOW,  /* a tenth of the speed */
    SIM_DRIVER_LYING, /* says that it moved and keeps its memory; says that all of it is in use */
    SIM_DRIVER_STUCK, /* good until StuckAt=, then as dead, its figures growing old */
    SIM_DRIVER_COUNT
};

/* A [Guests NAME] section: guests of one kind. examples/scenarios/README.md describes each key. */
struct sim_class {
    char name[SIM_NAME_MAX];
    enum sim_demand demand;
    enum sim_driver driver;
    bool has_driver;
    uint32_t count;  /* so many */
    uint32_t weight; /* or that part of what fills the overcommitment */
    uint64_t size_bytes[SIM_SIZES_MAX];
    uint32_t n_sizes;
    uint32_t base_permyriad; /* of the guest's memory */
    uint32_t peak_permyriad;
    uint64_t rate_bytes_per_s;
    uint64_t start_usec;
    uint64_t spread_usec; /* starts lie within so much after start */
    uint64_t period_usec;
    uint64_t stuck_at_usec;
    uint64_t restart_usec; /* by a HA manager; 0: stays away */
    uint32_t bursts;
    uint32_t cpu_permyriad;
    uint32_t io_permyriad;
    uint16_t node;
    struct ma_guest_config config;
};

struct sim_scenario {
    char name[SIM_NAME_MAX];
    char about[160];
    uint64_t duration_usec;
    uint64_t seed;
    uint64_t host_bytes;
    uint64_t swap_bytes;
    uint64_t swap_bytes_per_s;
    uint32_t n_nodes;
    uint32_t overcommit_permyriad; /* 0: only what Count= says */
    uint32_t dead_permyriad;       /* of the guests whose class names no driver */
    uint32_t slow_permyriad;
    struct ma_settings settings; /* of the policy; the [Policy] section's */
    struct sim_class classes[SIM_CLASSES_MAX];
    uint32_t n_classes;
};
/* Text of a scenario file, NUL-terminated; name stands for it in messages and tables. 0; -EINVAL, -ERANGE with the
 * line in *err; *ret is then undefined. */
int sim_scenario_read(const char *name,
                      const char *text,
                      struct sim_scenario *ret,
                      struct ma_err *err);
const char *sim_demand_name(enum sim_demand demand); /* NULL beyond the last */
const char *sim_driver_name(enum sim_driver driver);

/* What one run came to. */
struct sim_result {
    uint64_t duration_usec;
    uint64_t guest_usec; /* running guests x time */
    uint32_t n_guests;
    uint32_t host_oom_kills;
    uint32_t victims;   /* guests that the policy paused, saved, shut down or killed */
    uint32_t pauses;    /* of these, only paused */
    uint32_t innocents; /* lost (also to the kernel) or paused, and no bomb */
    uint32_t repeats;   /* victims that had been one before in this run */
    uint32_t guest_ooms;
    uint32_t reversals; /* a balloon target turned */
    uint32_t moves;
    uint64_t impact_lost; /* micro-points, the kernel's kills included */
    uint64_t lost_bytes;  /* maxima of guests that were lost */
    uint64_t stall_usec; /* weight/100 x part of its demand that a guest had to do without x time */
    uint64_t moved_bytes;
    uint64_t swapped_out_bytes;
    uint64_t least_available_bytes;
    uint64_t average_max_bytes; /* of the running guests' maxima together */
    uint64_t decisions;
    uint32_t policy_errors;
};

/* Shown to whoever watches a run, after each decision. Borrowed for the call. */
struct sim_view {
    uint64_t now_usec; /* since the start */
    const struct ma_snapshot *snapshot;
    const struct ma_plan *plan;
    uint32_t host_oom_kills; /* so far */
    uint32_t guest_ooms;
};
struct sim_watcher {
    void (*see)(void *userdata, const struct sim_view *view);
    void *userdata;
};

/* policy NULL: nobody looks after the host but its kernel. memarb's own policy decides through the guard, armed to
 * kill; a reference policy as its original would, with nobody above it. watcher may be NULL. 0, -ENOMEM, or -EINVAL
 * (a scenario that makes no guest or too many). */
int sim_run(const struct sim_scenario *scenario,
            const struct ma_policy *policy,
            uint64_t seed,
            const struct sim_watcher *watcher,
            struct sim_result *ret);
