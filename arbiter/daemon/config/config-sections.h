/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* config-sections.h - the values of memarb.conf, a struct a section. Strings and arrays live as long as the struct
 * ma_config that they stand in (config.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admit.h"
#include "guest-rules.h"
#include "settings.h"

/* "4GiB" or "5%" of the host, kept as said until the host's size is known. */
struct ma_config_amount {
    bool is_said; /* false: derived by ma_settings_resolve() */
    bool is_percent;
    uint64_t bytes;
    uint64_t permyriad; /* of the host */
};

enum ma_config_exhausted { MA_EXHAUSTED_KEEP_TRYING, MA_EXHAUSTED_COMMAND, MA_EXHAUSTED_PANIC };
enum ma_config_kill { MA_KILL_KERNEL, MA_KILL_LIBVIRT };
enum ma_config_qmp_mode { MA_QMP_DEDICATED, MA_QMP_PER_COMMAND };
enum ma_config_libvirt { MA_LIBVIRT_NO, MA_LIBVIRT_YES, MA_LIBVIRT_AUTO };

struct ma_config_arbiter {
    enum ma_arm arm;
    bool is_dry_run;
    const char *policy; /* one that ma_policy_find() finds */
    struct ma_config_amount reserve;
    struct ma_config_amount soft_watermark, hard_watermark, critical_watermark;
    uint32_t margin_permyriad;
    uint64_t horizon_usec;
    uint64_t quiet_usec;
    uint64_t pause_max_usec;
    uint32_t max_victims_per_incident; /* 0: 3 or 5 % of the guests, whichever is more */
    uint32_t max_victims_per_hour;     /* likewise */
    bool culprit_first;
    uint64_t stale_usec;
    enum ma_config_exhausted on_exhausted;
    uint64_t exhausted_after_usec;
    const char *exhausted_command; /* absolute; "": none */
    uint64_t exhausted_timeout_usec;
    enum ma_config_kill kill_method;
    uint64_t shutdown_timeout_usec; /* where the guest's own settings say nothing */
    bool should_give_back_on_stop;
};
/* Absolute globs. */
struct ma_config_globs {
    const char **items; /* owned by the configuration */
    size_t n;
};

struct ma_config_host {
    struct ma_config_amount budget;     /* is_said false: the whole machine */
    struct ma_config_amount pin_budget; /* is_said false: all but the reserve */
    /* percent of the node; is_said false: the same share */
    struct ma_config_amount node_pin_budget;
    const char *budget_cgroup; /* path below the cgroup mount, "/machine.slice"; "": none */
    struct ma_config_globs qmp_sockets;
    enum ma_config_qmp_mode qmp_mode;
    const char *qmp_listen; /* "": off */
    bool has_guest_agent;
    const char *agent_listen; /* "": off */
    struct ma_config_globs agent_sockets;
    enum ma_config_libvirt libvirt;
    const char *libvirt_uri;
    const char *libvirt_run_dir;
    uint64_t psi_stall_usec; /* 0: no trigger */
    uint64_t psi_window_usec;
    uint64_t sample_idle_usec;
    uint64_t sample_busy_usec;
    uint64_t guest_sample_usec;
    uint32_t max_guests;
};
struct ma_config_record {
    const char *directory; /* "": no record is kept */
    uint64_t max_size_bytes;
    uint64_t idle_interval_usec; /* at rest one cycle in so long is recorded */
};
enum ma_config_when_down { MA_WHEN_DOWN_ADMIT, MA_WHEN_DOWN_REFUSE };
struct ma_config_admission {
    enum ma_admit_mode mode;
    uint64_t readmit_after_usec; /* 0: at once */
    uint64_t reserve_usec;
    enum ma_config_when_down when_down; /* of memarbctl: memarbd does not answer */
};
struct ma_config_hooks {
    const char *directory;      /* "": none */
    uint32_t actions;           /* MA_ACTION_BIT()s that hooks are run for */
    uint32_t veto;              /* those that wait for their hooks' word: victims' alone */
    uint64_t timeout_usec;      /* for all hooks of one action, before or after it */
    uint64_t veto_timeout_usec; /* the same where the action waits */
    uint64_t veto_hold_usec;    /* a vetoed guest is held for so long */
};
struct ma_config_control {
    const char *socket;
    const char *group; /* "": root only */
};
struct ma_config_metrics {
    const char *socket; /* "": none */
    uint32_t port;      /* of the loopback; 0: none */
    const char *file;   /* "": none */
    uint64_t file_interval_usec;
};
