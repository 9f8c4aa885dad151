/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guest-source.h - what a source of guests (libvirt, QMP) reports to the loop. Values are bytes and microseconds
 * already, text is cut and bounded, nothing is judged here. Messages are copied by value; no pointer in them outlives
 * the callback or the pop. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "actuator.h"
#include "pins.h"
#include "snapshot.h"

#define MA_SOURCE_UUID_MAX    64
#define MA_SOURCE_NAME_MAX    128
#define MA_SOURCE_GROUP_MAX   64
#define MA_SOURCE_PROBLEM_MAX 192
#define MA_SOURCE_PATH_MAX    108 /* of a socket */

enum ma_source_event {
    MA_SOURCE_CONNECTED,    /* the source can be asked (again: libvirtd came back) */
    MA_SOURCE_DISCONNECTED, /* its figures grow stale from now on; guests are not gone for it */
    MA_SOURCE_LIST_DONE,    /* all guests that the source knows were reported since CONNECTED */
    MA_SOURCE_GUEST,        /* a guest is there, or facts of it changed: `guest` */
    MA_SOURCE_STATE,        /* its run state changed: `state` */
    MA_SOURCE_CONFIG,       /* the operator's settings for it: `config` */
    MA_SOURCE_FIGURES,      /* balloon, statistics, virtio-mem: `figures` */
    MA_SOURCE_RESET,        /* the guest rebooted: its balloon is empty until its driver is back */
    MA_SOURCE_ENDED,        /* the source says it ended; its pidfd has the last word */
    MA_SOURCE_OUTCOME,      /* of a submitted action: `outcome` */
    MA_SOURCE_STUCK,        /* calls on this guest do not return: quarantine */
    MA_SOURCE_UNSTUCK,
};

struct ma_source_guest {
    char name[MA_SOURCE_NAME_MAX];
    pid_t pid;             /* 0: not known */
    uint32_t vcpus;        /* 0: not known */
    uint64_t max_bytes;    /* RAM + DIMMs, without virtio-mem; 0: not known */
    bool has_balloon;      /* a balloon device exists */
    uint32_t inhibited_by; /* enum ma_inhibitor bits seen in its definition or in its QEMU */
    bool has_placement;
    enum ma_placement placement;
    struct ma_pin_devices pins;          /* is_known false: this source does not tell */
    char agent_path[MA_SOURCE_PATH_MAX]; /* socket of its agent's channel, "": none */
};
struct ma_source_state {
    enum ma_guest_state state;
    bool is_by_other; /* known not to be our doing (an operator's suspend or resume) */
};
struct ma_source_config {
    struct ma_guest_config config; /* config.group is NULL; the name is in `group` */
    uint32_t from_rules; /* enum ma_config_has: said by the host\'s rules, not by its metadata */
    char group[MA_SOURCE_GROUP_MAX]; /* "": none */
    char problem
        [MA_SOURCE_PROBLEM_MAX]; /* "" or what is wrong with its metadata, for the operator */
};
struct ma_source_figures {
    uint64_t taken_usec; /* CLOCK_MONOTONIC of the answer */
    bool has_actual;
    uint64_t actual_bytes; /* clamped to 0..max where max is known */
    bool is_actual_absurd; /* the guest said something outside 0..max */
    struct ma_stats stats; /* age_usec as of taken_usec: monotonic time since last-update moved */
    struct ma_virtio_mem virtio_mem;
    bool has_cpu_time;
    uint64_t cpu_time_usec; /* sum over vCPUs, growing */
};

struct ma_source_message {
    enum ma_source_event event;
    char uuid[MA_SOURCE_UUID_MAX]; /* "" for the source's own events */
    union {
        struct ma_source_guest guest;
        struct ma_source_state state;
        struct ma_source_config config;
        struct ma_source_figures figures;
        struct ma_outcome outcome;
    };
};
