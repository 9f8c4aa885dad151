/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-keys.c - the table of all keys.
 *
 * Each default and its documentation stand here once. A default of "" for an amount means that it follows from other
 * values (ma_settings_resolve). The bounds keep out what would disable a promise by accident: a period of 0, a deadline
 * of a year. They are wide on purpose; what is wise stands in memarb.conf.5. */
#include "config-keys.h"

#include <ctype.h>
#include <string.h>

#include "bytes.h"
#include "config.h"

#define MS     MA_USEC_PER_MSEC
#define S      MA_USEC_PER_SEC
#define MINUTE (60 * MA_USEC_PER_SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* A line of the configuration has no room for more. */
#define EXHAUSTED_COMMAND_MAX 160

#define AT(member)       offsetof(struct ma_config, member)
#define GUEST_AT(member) offsetof(struct ma_guest_config, member)

/* clang-format off */
static const struct ma_config_key keys[] = {
    {"Arbiter", "Arm", "observe", "The highest rung that is really taken: observe (nothing), reclaim (balloon, resize, reclaim), pause (and pause, save) or kill (and shutdown, kill). Rungs above are planned and shown.",
     MA_KEY_ENUM, AT(arbiter.arm), 0, 0, "observe reclaim pause kill", MA_SETTINGS_HAS_ARM},
    {"Arbiter", "DryRun", "no", "Change nothing outside memarb's own files, whatever Arm= says.",
     MA_KEY_BOOL, AT(arbiter.is_dry_run), 0, 0, NULL, 0},
    {"Arbiter", "Policy", "balanced", "The policy that plans: balanced. With esx, kernel-badness, mom, proxmox, squeezed or systemd-oomd, which are there for comparison, memarbd only looks.",
     MA_KEY_TEXT, AT(arbiter.policy), 1, MA_POLICY_NAME_MAX - 1, NULL, MA_SETTINGS_HAS_POLICY},
    {"Arbiter", "Reserve", "5%", "Available memory that plans restore, as an amount or in percent of the host. Too small: the kernel acts first; too large: memory that nobody may use.",
     MA_KEY_AMOUNT, AT(arbiter.reserve), 0, 0, NULL, MA_SETTINGS_HAS_RESERVE},
    {"Arbiter", "SoftWatermark", "", "Available memory below which idle and cached memory is taken by balloon (default: 2 x Reserve=).",
     MA_KEY_AMOUNT, AT(arbiter.soft_watermark), 0, 0, NULL, MA_SETTINGS_HAS_SOFT},
    {"Arbiter", "HardWatermark", "", "Available memory below which guests are taken down to their guarantees (default: 1.25 x Reserve=).",
     MA_KEY_AMOUNT, AT(arbiter.hard_watermark), 0, 0, NULL, MA_SETTINGS_HAS_HARD},
    {"Arbiter", "CriticalWatermark", "", "Available memory below which victims may be chosen (default: 0.6 x Reserve=).",
     MA_KEY_AMOUNT, AT(arbiter.critical_watermark), 0, 0, NULL, MA_SETTINGS_HAS_CRITICAL},
    {"Arbiter", "Margin", "5%", "Added to each deficit for the error of estimates. Too small falls short and acts twice, too large hurts more guests than needed.",
     MA_KEY_PERCENT, AT(arbiter.margin_permyriad), 0, MA_PERMYRIAD_FULL, NULL, MA_SETTINGS_HAS_MARGIN},
    {"Arbiter", "Horizon", "5s", "How far ahead a deficit is projected: the time that gentle actions need to land.",
     MA_KEY_USEC, AT(arbiter.horizon_usec), 100 * MS, 10 * MINUTE, NULL, MA_SETTINGS_HAS_HORIZON},
    {"Arbiter", "QuietTime", "60s", "No victim so soon after start, reload, a late tick or a clock jump.",
     MA_KEY_USEC, AT(arbiter.quiet_usec), 0, HOUR, NULL, 0},
    {"Arbiter", "PauseMax", "10min", "A pause ends after this: the guest resumes, or the next rung is taken.",
     MA_KEY_USEC, AT(arbiter.pause_max_usec), S, 7 * DAY, NULL, 0},
    {"Arbiter", "MaxVictimsPerIncident", "auto", "Guests that one incident may cost (auto: 3 or 5 % of the guests, whichever is more).",
     MA_KEY_U32_AUTO, AT(arbiter.max_victims_per_incident), 1, MA_GUESTS_MAX, NULL, 0},
    {"Arbiter", "MaxVictimsPerHour", "auto", "Guests that one hour may cost (auto: 3 or 5 % of the guests, whichever is more).",
     MA_KEY_U32_AUTO, AT(arbiter.max_victims_per_hour), 1, MA_GUESTS_MAX, NULL, 0},
    {"Arbiter", "CulpritFirst", "yes", "Before a second victim in one incident the fastest grower above its guarantee goes.",
     MA_KEY_BOOL, AT(arbiter.culprit_first), 0, 0, NULL, 0},
    {"Arbiter", "StaleAfter", "15s", "Figures older than this are stale, and stale means hold.",
     MA_KEY_USEC, AT(arbiter.stale_usec), S, 10 * MINUTE, NULL, 0},
    {"Arbiter", "OnExhausted", "keep-trying", "What to do when no eligible option is left while memory is critical: keep-trying, command (run ExhaustedCommand=) or panic (of the host's kernel, through sysrq). The last two at Arm=kill only, and once an incident.",
     MA_KEY_ENUM, AT(arbiter.on_exhausted), 0, 0, "keep-trying command panic", 0},
    {"Arbiter", "ExhaustedAfter", "10s", "No option must be left for so long before OnExhausted= is done. Too short: a guest that is about to return memory ends the host; too long: the kernel's OOM killer is first.",
     MA_KEY_USEC, AT(arbiter.exhausted_after_usec), S, HOUR, NULL, 0},
    {"Arbiter", "ExhaustedCommand", "", "The program that OnExhausted=command runs (a fence), without arguments and without a shell.",
     MA_KEY_PATH, AT(arbiter.exhausted_command), 0, EXHAUSTED_COMMAND_MAX, NULL, 0},
    {"Arbiter", "ExhaustedTimeout", "30s", "It and what it started are killed after this.",
     MA_KEY_USEC, AT(arbiter.exhausted_timeout_usec), S, HOUR, NULL, 0},
    {"Arbiter", "KillMethod", "kernel", "How a guest is killed: kernel (SIGKILL through its pidfd, milliseconds; libvirt reports a crash) or libvirt (virDomainDestroy, 1-2 s; reported as destroyed).",
     MA_KEY_ENUM, AT(arbiter.kill_method), 0, 0, "kernel libvirt", 0},
    {"Arbiter", "ShutdownTimeout", "60s", "How long an ACPI shutdown may take, where the guest's own settings say nothing.",
     MA_KEY_USEC, AT(arbiter.shutdown_timeout_usec), S, HOUR, NULL, 0},
    {"Arbiter", "GiveBackOnStop", "yes", "Give everything back when memarbd is stopped.",
     MA_KEY_BOOL, AT(arbiter.should_give_back_on_stop), 0, 0, NULL, 0},

    {"Host", "Budget", "", "Memory that the guests may use together, as an amount or in percent of the machine (default: the whole machine).",
     MA_KEY_AMOUNT, AT(host.budget), 0, 0, NULL, 0},
    {"Host", "BudgetCgroup", "", "A cgroup whose limit is the host, as a path below the cgroup mount, for example /machine.slice.",
     MA_KEY_PATH, AT(host.budget_cgroup), 0, 0, NULL, 0},
    {"Host", "PinBudget", "", "What all guests together may pin (VFIO, mlock), as an amount or in percent of the host (default: all but Reserve=). Nothing takes pinned memory back: beyond it memarb warns.",
     MA_KEY_AMOUNT, AT(host.pin_budget), 0, 0, NULL, 0},
    {"Host", "NodePinBudget", "", "The same for each NUMA node, as an amount or in percent of the node (default: PinBudget='s share of the host).",
     MA_KEY_AMOUNT, AT(host.node_pin_budget), 0, 0, NULL, 0},
    {"Host", "QmpSockets", "", "Existing QMP sockets of QEMUs without libvirt: absolute globs, several between blanks.",
     MA_KEY_GLOBS, AT(host.qmp_sockets), 0, 0, NULL, 0},
    {"Host", "QmpMode", "dedicated", "dedicated keeps those monitors connected, per-command lets go at once (where other tools share them).",
     MA_KEY_ENUM, AT(host.qmp_mode), 0, 0, "dedicated per-command", 0},
    {"Host", "QmpListen", "/run/memarb/qmp.sock", "Socket that QEMUs dial in to; empty: off.",
     MA_KEY_PATH, AT(host.qmp_listen), 0, 0, NULL, 0},
    {"Host", "GuestAgent", "yes", "Listen to the guests' own agents, where they have one.",
     MA_KEY_BOOL, AT(host.has_guest_agent), 0, 0, NULL, 0},
    {"Host", "AgentListen", "/run/memarb/agent.sock", "Socket that QEMUs dial in to with a guest agent's channel; empty: off.",
     MA_KEY_PATH, AT(host.agent_listen), 0, 0, NULL, 0},
    {"Host", "AgentSockets", "", "Existing sockets of guest agents' channels of QEMUs without libvirt: absolute globs, several between blanks.",
     MA_KEY_GLOBS, AT(host.agent_sockets), 0, 0, NULL, 0},
    {"Host", "Libvirt", "auto", "Watch libvirt's guests: yes, no, or auto (when libvirt is installed).",
     MA_KEY_ENUM, AT(host.libvirt), 0, 0, "no yes auto", 0},
    {"Host", "LibvirtUri", "qemu:///system", "The libvirt connection.",
     MA_KEY_TEXT, AT(host.libvirt_uri), 1, 191, NULL, 0},
    {"Host", "LibvirtRunDir", "/run/libvirt/qemu", "Where libvirt keeps the pid files of its guests.",
     MA_KEY_PATH, AT(host.libvirt_run_dir), 1, 0, NULL, 0},
    {"Host", "PsiStall", "50ms", "Stall within PsiWindow= that raises the alarm; 0s: no trigger.",
     MA_KEY_USEC, AT(host.psi_stall_usec), 0, 10 * S, NULL, 0},
    {"Host", "PsiWindow", "500ms", "Window of the pressure trigger; the kernel takes 500ms to 10s. Without CAP_SYS_RESOURCE 2s is used.",
     MA_KEY_USEC, AT(host.psi_window_usec), 500 * MS, 10 * S, NULL, 0},
    {"Host", "SampleIdle", "1s", "Period of the host's figures at rest.",
     MA_KEY_USEC, AT(host.sample_idle_usec), 50 * MS, MINUTE, NULL, 0},
    {"Host", "SampleBusy", "250ms", "Period of the host's figures when memory is short.",
     MA_KEY_USEC, AT(host.sample_busy_usec), 20 * MS, MINUTE, NULL, 0},
    {"Host", "GuestSample", "10s", "Period of each guest's figures at rest.",
     MA_KEY_USEC, AT(host.guest_sample_usec), 500 * MS, 10 * MINUTE, NULL, 0},
    {"Host", "MaxGuests", "1024", "Guests that are watched; memory is set aside for them at start.",
     MA_KEY_U32, AT(host.max_guests), 1, MA_GUESTS_MAX, NULL, 0},

    {"Admission", "Mode", "heuristic", "Which starts are refused where libvirt's hook asks: heuristic (what the host plainly cannot give), strict (and the guarantees and pins of all guests together fit the host) or always (none but past victims).",
     MA_KEY_ENUM, AT(admission.mode), 0, 0, "heuristic always strict", 0},
    {"Admission", "ReadmitAfter", "5min", "A guest that memarb ended is not let in again before this, and then only with room. Too short: HA software restarts it into the same shortage; too long: a guest that could run does not. 0s: at once.",
     MA_KEY_USEC, AT(admission.readmit_after_usec), 0, DAY, NULL, 0},
    {"Admission", "ReserveFor", "2min", "Longest time that memory is held for a guest on its way. Too short: two starts at once are given the same memory; too long: a start that failed unseen keeps others out.",
     MA_KEY_USEC, AT(admission.reserve_usec), S, HOUR, NULL, 0},
    {"Admission", "WhenDown", "admit", "What the hook does where memarbd gives no verdict in time: admit or refuse.",
     MA_KEY_ENUM, AT(admission.when_down), 0, 0, "admit refuse", 0},

    {"Record", "Directory", "/var/lib/memarb", "Where decisions are recorded; empty: nowhere.",
     MA_KEY_PATH, AT(record.directory), 0, 0, NULL, 0},
    {"Record", "MaxSize", "256MiB", "Disk space of the record; the oldest is dropped.",
     MA_KEY_BYTES, AT(record.max_size_bytes), MA_MIB, MA_TIB, NULL, 0},
    {"Record", "IdleInterval", "60s", "At rest one cycle in this time is recorded.",
     MA_KEY_USEC, AT(record.idle_interval_usec), S, DAY, NULL, 0},

    {"Hooks", "Directory", "", "Programs in this folder, /etc/memarb/hooks.d say, are run before and after each action; empty: none.",
     MA_KEY_PATH, AT(hooks.directory), 0, 0, NULL, 0},
    {"Hooks", "Actions", "balloon resize reclaim pause save shutdown kill", "The actions that hooks are run for, or none. What a pause is followed by (resume) goes with pause, a move between NUMA nodes with reclaim.",
     MA_KEY_ACTIONS, AT(hooks.actions), 0, 0, NULL, 0},
    {"Hooks", "Veto", "none", "Actions that the hooks before them may say no to. Pause, save, shutdown and kill wait for their answer; balloon, resize and reclaim never wait: a no comes behind the first command, stops what is under way where others suffice, and stands for VetoHold=.",
     MA_KEY_ACTIONS, AT(hooks.veto), 0, 0, NULL, 0},
    {"Hooks", "Timeout", "5s", "All hooks of one action, before or after it, have this long together; then the one that runs is killed and the rest left out.",
     MA_KEY_USEC, AT(hooks.timeout_usec), 100 * MS, 5 * MINUTE, NULL, 0},
    {"Hooks", "VetoTimeout", "1s", "The same where an action waits: then it is taken without their word. Too short: a hook that asks another machine is never heard; too long: the kernel's OOM killer is first.",
     MA_KEY_USEC, AT(hooks.veto_timeout_usec), 10 * MS, 30 * S, NULL, 0},
    {"Hooks", "VetoHold", "60s", "A guest whose hook said no is held for so long, as by memarbctl hold: nothing is taken from it, it is no victim, and nothing is given back.",
     MA_KEY_USEC, AT(hooks.veto_hold_usec), S, DAY, NULL, 0},

    {"Control", "Socket", "/run/memarb/control", "The socket that memarbctl speaks to.",
     MA_KEY_PATH, AT(control.socket), 1, 107, NULL, 0},
    {"Control", "Group", "memarb", "Group that may read status; changing takes root. Empty: root alone.",
     MA_KEY_TEXT, AT(control.group), 0, 31, NULL, 0},

    {"Metrics", "Socket", "", "Metrics over HTTP on this Unix socket; readable by [Control] Group=. Empty: none.",
     MA_KEY_PATH, AT(metrics.socket), 0, 107, NULL, 0},
    {"Metrics", "Port", "0", "Metrics over HTTP on this port of 127.0.0.1, for every local user; 0: none. memarbd.service has Unix sockets alone, and a network of its own: examples/metrics/memarbd-port.conf is the drop-in that goes with it.",
     MA_KEY_U32, AT(metrics.port), 0, 65535, NULL, 0},
    {"Metrics", "File", "", "Metrics as a file for the textfile collector of node_exporter, as /var/lib/prometheus/node-exporter/memarb.prom; the unit must be allowed to write there (ReadWritePaths=). Empty: none.",
     MA_KEY_PATH, AT(metrics.file), 0, 4000, NULL, 0},
    {"Metrics", "FileInterval", "15s", "How often File= is written.",
     MA_KEY_USEC, AT(metrics.file_interval_usec), S, HOUR, NULL, 0},
};

static const struct ma_config_key guest_keys[] = {
    {MA_CONFIG_GUEST_SECTION, "Impact", NULL, "What the loss of the guest costs: 1..1000 (default 100), never (no victim) or first (before all others).",
     MA_KEY_IMPACT, GUEST_AT(impact), 1, MA_IMPACT_MAX, NULL, MA_CONFIG_HAS_IMPACT},
    {MA_CONFIG_GUEST_SECTION, "Shares", NULL, "Its weight when memory above the guarantees is divided: 1..1000000 (default 1000).",
     MA_KEY_U32, GUEST_AT(shares), 1, MA_SHARES_MAX, NULL, MA_CONFIG_HAS_SHARES},
    {MA_CONFIG_GUEST_SECTION, "Guarantee", NULL, "Its balloon never goes below this (default: half its memory).",
     MA_KEY_BYTES, GUEST_AT(guarantee_bytes), 0, 0, NULL, MA_CONFIG_HAS_GUARANTEE},
    {MA_CONFIG_GUEST_SECTION, "Limit", NULL, "Its balloon is not given back above this (default: all its memory).",
     MA_KEY_BYTES, GUEST_AT(limit_bytes), 0, 0, NULL, MA_CONFIG_HAS_LIMIT},
    {MA_CONFIG_GUEST_SECTION, "PinLimit", NULL, "Bytes that it may pin (VFIO, mlock): RLIMIT_MEMLOCK of its QEMU, though never less than its devices need. From Arm=reclaim on.",
     MA_KEY_BYTES, GUEST_AT(pin_limit_bytes), 0, 0, NULL, MA_CONFIG_HAS_PIN_LIMIT},
    {MA_CONFIG_GUEST_SECTION, "CapMemory", NULL, "memory.max of its cgroup, whose breach kills it, with Arm=kill; else, and for Impact=never, memory.high, which throttles it. Never set below what it uses.",
     MA_KEY_BYTES, GUEST_AT(cap_memory_bytes), 0, 0, NULL, MA_CONFIG_HAS_CAP_MEMORY},
    {MA_CONFIG_GUEST_SECTION, "CapSwap", NULL, "memory.swap.max of its cgroup. From Arm=reclaim on.",
     MA_KEY_BYTES, GUEST_AT(cap_swap_bytes), 0, 0, NULL, MA_CONFIG_HAS_CAP_SWAP},
    {MA_CONFIG_GUEST_SECTION, "CapPids", NULL, "pids.max of its cgroup, though never less than its threads, its vCPUs and 128 more; not for Impact=never. From Arm=reclaim on.",
     MA_KEY_U64, GUEST_AT(cap_pids), 1, 4194304, NULL, MA_CONFIG_HAS_CAP_PIDS},
    {MA_CONFIG_GUEST_SECTION, "CapCpu", NULL, "cpu.max of its cgroup, in percent of one core (400%: four cores). From Arm=reclaim on.",
     MA_KEY_PERCENT_U64, GUEST_AT(cap_cpu_permyriad), 1, 1000000 * UINT64_C(100), NULL, MA_CONFIG_HAS_CAP_CPU},
    {MA_CONFIG_GUEST_SECTION, "Actions", NULL, "What may be done with it, between blanks: balloon resize reclaim pause save shutdown kill, or none (default: all but save).",
     MA_KEY_ACTIONS, GUEST_AT(actions), 0, 0, NULL, MA_CONFIG_HAS_ACTIONS},
    {MA_CONFIG_GUEST_SECTION, "Group", NULL, "Guests of one group (at most 8) become victims together or not at all.",
     MA_KEY_GROUP, 0, 1, MA_RULE_GROUP_MAX - 1, NULL, MA_CONFIG_HAS_GROUP},
    {MA_CONFIG_GUEST_SECTION, "Restart", NULL, "The time it needs to be back after a loss; part of what its loss costs.",
     MA_KEY_USEC, GUEST_AT(restart_usec), 0, 7 * DAY, NULL, MA_CONFIG_HAS_RESTART},
    {MA_CONFIG_GUEST_SECTION, "ShutdownTimeout", NULL, "How long its ACPI shutdown may take.",
     MA_KEY_USEC, GUEST_AT(shutdown_timeout_usec), S, HOUR, NULL, MA_CONFIG_HAS_SHUTDOWN_TIMEOUT},
};
/* clang-format on */

#define N_KEYS       (sizeof(keys) / sizeof(keys[0]))
#define N_GUEST_KEYS (sizeof(guest_keys) / sizeof(guest_keys[0]))
_Static_assert(N_KEYS <= 64 * sizeof(((struct ma_config *) 0)->said) / sizeof(uint64_t),
               "a bit in ma_config.said for every key");

static const char *const extra_sections[] = {MA_CONFIG_NAMESPACES_SECTION, MA_CONFIG_GUEST_SECTION};

const struct ma_config_key *ma_config_key_at(size_t index) {
    return index < N_KEYS ? &keys[index] : NULL;
}
const struct ma_config_key *ma_config_guest_key_at(size_t index) {
    return index < N_GUEST_KEYS ? &guest_keys[index] : NULL;
}

int ma_config_key_find(const char *section, const char *name) {
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

int ma_config_guest_key_find(const char *name) {
    for (size_t i = 0; i < N_GUEST_KEYS; i++) {
        if (strcmp(guest_keys[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

bool ma_config_has_section(const char *section) {
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0) {
            return true;
        }
    }
    return strcmp(section, MA_CONFIG_NAMESPACES_SECTION) == 0;
}

const char *ma_config_section_of(const char *name) {
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return keys[i].section;
        }
    }
    return ma_config_guest_key_find(name) >= 0 ? "Guest ..." : NULL;
}

#define NAME_COMPARED_MAX 48U
/* More than this many edits away is another word, not a slip. A guess: every single slip of the keys above is within
 * it, and no two keys of one section are nearer to each other than 3. */
#define EDITS_MAX 3U

/* Edits (insert, delete, replace) between two names, case ignored, in one row of memory. */
static unsigned edit_distance(const char *a, const char *b) {
    size_t n = strlen(b);
    unsigned row[NAME_COMPARED_MAX + 1];
    if (n > NAME_COMPARED_MAX || strlen(a) > NAME_COMPARED_MAX) {
        return UINT32_MAX;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = (unsigned) j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned) i + 1;
        for (size_t j = 1; j <= n; j++) {
            unsigned replaced =
                diagonal + (tolower((unsigned char) a[i]) != tolower((unsigned char) b[j - 1]));
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < least ? replaced : least;
        }
    }
    return row[n];
}

struct nearest {
    const char *name;
    unsigned distance;
};
static void consider(struct nearest *best, const char *known, const char *name) {
    unsigned distance = edit_distance(name, known);
    if (distance <= EDITS_MAX && distance < best->distance) {
        *best = (struct nearest){known, distance};
    }
}

const char *ma_config_nearest_key(const char *section, const char *name) {
    struct nearest best = {NULL, UINT32_MAX};
    if (section == NULL) {
        for (size_t i = 0; i < N_GUEST_KEYS; i++) {
            consider(&best, guest_keys[i].name, name);
        }
        return best.name;
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0) {
            consider(&best, keys[i].name, name);
        }
    }
    return best.name;
}

const char *ma_config_nearest_section(const char *section) {
    struct nearest best = {NULL, UINT32_MAX};
    for (size_t i = 0; i < N_KEYS; i++) {
        consider(&best, keys[i].section, section);
    }
    for (size_t i = 0; i < sizeof(extra_sections) / sizeof(extra_sections[0]); i++) {
        consider(&best, extra_sections[i], section);
    }
    return best.name;
}
