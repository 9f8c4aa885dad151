/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* config.h - memarb.conf, read whole or not at all. A configuration is immutable once loaded; the caller owns it and
 * may hand it to other threads for reading. Strings and arrays in it live as long as it does.
 *
 * Reload: load a new one, switch to it, destroy the old; when loading fails, *ret is untouched and the old one stays. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admit.h"
#include "err.h"
#include "guest-rules.h"
#include "settings.h"

#define MA_CONFIG_FILE_DEFAULT "/etc/memarb/memarb.conf"
/* Problems that one check reports before it gives up: more help nobody. */
#define MA_CONFIG_PROBLEMS_MAX 64

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
    struct ma_config_amount
        node_pin_budget;       /* percent of the node; is_said false: the same share */
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

struct ma_config {
    struct ma_config_arbiter arbiter;
    struct ma_config_host host;
    struct ma_config_admission admission;
    struct ma_config_record record;
    struct ma_config_control control;
    struct ma_config_metrics metrics;
    struct ma_guest_rules rules; /* [Guest ...] in the order of the files, and [Namespaces] */
    uint64_t said[2];            /* bit per key of the table, for ma_settings.has */
    const char *file;            /* main file it came from; "": defaults alone */
    unsigned n_files;            /* read, drop-ins included */
    void *owned;                 /* private */
};

/* One line a problem: "FILE:LINE: what is wrong; what to write instead". */
typedef void (*ma_config_problem_fn)(void *userdata, const char *problem);

/* Reads `path` and every `path`.d/NAME.conf (sorted by name; later wins per key). path NULL: MA_CONFIG_FILE_DEFAULT, which may
 * be absent (then defaults and drop-ins alone); a path that was named must exist. Blocks on disk: not on the loop of a
 * host under pressure. 0 and *ret_config (ma_config_destroy), or negative errno with the first problem in err. */
int ma_config_load(const char *path, struct ma_config **ret_config, struct ma_err *err);
/* What giving back needs, also from a configuration so bad that memarbd does not start with it: that is when it is
 * needed most. Lines that are good count, the others keep their defaults and go to `problem`; nothing is left of guests'
 * rules, watermarks, budget and record, which a release has no use for. Fails only without memory. */
int ma_config_load_for_release(const char *path,
                               ma_config_problem_fn problem,
                               void *userdata,
                               struct ma_config **ret_config,
                               struct ma_err *err);
/* The same as ma_config_load(), and every problem goes to `problem` (may be NULL) in the order of files and lines; err says how many. */
int ma_config_check(const char *path,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err);
/* From text instead of files (tests, fuzzing); name stands in messages. */
int ma_config_parse(const char *name,
                    const char *text,
                    size_t len,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err);
void ma_config_destroy(struct ma_config *config); /* NULL is fine */

/* The settings of decisions for a host of that size: percentages resolved, contradictions between what is said found
 * (also those that only show when the size is known). *ret is resolved (ma_settings_resolve). */
int ma_config_settings(const struct ma_config *config,
                       uint64_t host_total_bytes,
                       struct ma_settings *ret,
                       struct ma_err *err);
