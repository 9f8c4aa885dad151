/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* judge-host.c - the kernel's side, and other programs that steer or kill guests. */
#include "judge.h"

static void judge_psi(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if (f->has_psi == MA_NO) {
        FIND(ret, "psi", WARNING,
             "boot with psi=1 on the kernel's command line, or a kernel with CONFIG_PSI",
             "the kernel tells no memory pressure (PSI): a shortage is only seen when memory is "
             "sampled");
    } else if (f->daemon == MA_DAEMON_ANSWERS && f->psi_window_usec >= 2000000) {
        FIND(ret, "psi", NOTE, "run memarbd by its unit, which gives it CAP_SYS_RESOURCE",
             "memarbd may use a pressure trigger with a window of 2 s only");
    }
}

static void judge_cgroup(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if (f->has_cgroup2 == MA_NO) {
        FIND(ret, "cgroup", WARNING, "boot with systemd.unified_cgroup_hierarchy=1",
             "cgroup v2 is not the only hierarchy: reclaim, caps and figures of guests' groups are "
             "missing");
    } else if (f->has_cgroup2_memory == MA_NO) {
        FIND(ret, "cgroup", WARNING, "take cgroup_disable=memory off the kernel's command line",
             "cgroup v2 has no memory controller here");
    }
}

static void judge_swap(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if (f->has_swap == MA_NO) {
        FIND(ret, "swap", NOTE, "a swap of some gigabytes gives reclaim somewhere to go",
             "the host has no swap: cold pages cannot be reclaimed, and pressure figures speak "
             "late");
    }
}

void ma_judge_host(const struct ma_doctor_facts *facts, struct ma_findings *ret) {
    judge_psi(facts, ret);
    judge_cgroup(facts, ret);
    judge_swap(facts, ret);
    if (!facts->is_root) {
        FIND(ret, "permissions", NOTE, "sudo memarbctl doctor",
             "not run as root: not everything could be looked at");
    }
}

static void judge_balloon_drivers(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if ((f->arbiters & MA_ARBITER_MOM) != 0) {
        FIND(ret, "mom", ERROR, "systemctl disable --now momd",
             "MOM runs: it sets the same balloons to its own targets every few seconds");
    }
    if ((f->arbiters & MA_ARBITER_VDSM) != 0) {
        FIND(ret, "vdsm", ERROR,
             "switch ballooning off for this cluster in oVirt's engine (memory optimization), then "
             "arm with --force",
             "vdsm runs: the MOM within it sets the same balloons");
    }
    if ((f->arbiters & MA_ARBITER_PVESTATD) != 0) {
        FIND(ret, "pvestatd", ERROR,
             "qm set VMID --balloon 0 or --shares 0 for each guest that memarb is to steer, then "
             "arm "
             "with --force",
             "Proxmox' pvestatd runs: it sets balloons of guests with shares every 10 s");
    }
}

static void judge_killers(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    static const struct {
        uint32_t bit;
        const char *check, *name, *remedy;
    } killers[] = {
        {MA_ARBITER_FB_OOMD, "oomd", "oomd", "leave machine.slice out of its rules, or stop it"},
        {MA_ARBITER_EARLYOOM, "earlyoom", "earlyoom",
         "earlyoom --ignore qemu-system (a regular expression), or systemctl disable --now "
         "earlyoom"},
        {MA_ARBITER_NOHANG, "nohang", "nohang",
         "@BADNESS_ADJ_RE_NAME -1000 /// ^qemu-system in nohang.conf, or stop it"},
    };
    if (f->is_oomd_on_guests == MA_YES) {
        FIND(ret, "systemd-oomd", ERROR,
             "systemctl set-property machine.slice ManagedOOMSwap=auto "
             "ManagedOOMMemoryPressure=auto",
             "systemd-oomd may kill in the guests' slice, by its own rule and without their "
             "settings");
    } else if ((f->arbiters & MA_ARBITER_OOMD) != 0 && f->is_oomd_on_guests == MA_UNKNOWN) {
        FIND(ret, "systemd-oomd", WARNING,
             "systemctl show machine.slice -p ManagedOOMSwap -p ManagedOOMMemoryPressure",
             "systemd-oomd runs, and whether it may kill guests could not be found out");
    }
    for (size_t i = 0; i < sizeof(killers) / sizeof(killers[0]); i++) {
        if ((f->arbiters & killers[i].bit) != 0) {
            FIND(ret, killers[i].check, WARNING, killers[i].remedy,
                 "%s runs: it kills the largest process, which on this host is a guest's QEMU",
                 killers[i].name);
        }
    }
}

void ma_judge_arbiters(const struct ma_doctor_facts *facts, struct ma_findings *ret) {
    judge_balloon_drivers(facts, ret);
    judge_killers(facts, ret);
    if ((facts->arbiters & MA_ARBITER_KSMTUNED) != 0 || facts->is_ksm_running == MA_YES) {
        FIND(ret, "ksm", WARNING,
             "systemctl disable --now ksmtuned, and echo 2 >/sys/kernel/mm/ksm/run to unshare",
             "KSM merges guests' pages%s: killing one returns less than its figures say, and a "
             "write takes memory without notice",
             (facts->arbiters & MA_ARBITER_KSMTUNED) != 0 ? " (ksmtuned runs)" : "");
    }
    if ((facts->arbiters & MA_ARBITER_NUMAD) != 0) {
        FIND(ret, "numad", NOTE, "systemctl disable --now numad, where memarb moves pages itself",
             "numad moves guests' memory between nodes");
    }
}
