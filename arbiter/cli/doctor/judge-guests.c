/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* judge-guests.c - what running guests lack, by libvirt's own view of them. */
#include "judge.h"

static void judge_lacks(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    const unsigned all = f->n_domains;
    if (f->without_balloon.n > 0) {
        FIND(ret, "balloon", WARNING, "<memballoon model='virtio'/> in their definition",
             "%u of %u guests have no balloon, so their idle memory cannot be taken: %s",
             f->without_balloon.n, all, f->without_balloon.names);
    }
    if (f->without_statistics.n > 0) {
        FIND(ret, "statistics", WARNING,
             "memarbctl enable GUEST --live; memarbd switches them on by itself once it is armed",
             "%u of %u guests have no balloon statistics, so their idle memory is not known: %s",
             f->without_statistics.n, all, f->without_statistics.names);
    }
    if (f->inhibited.n > 0) {
        FIND(ret, "inhibited", NOTE,
             "virtio-mem is what such guests can give back; else they are pause and kill only",
             "%u of %u guests have memory that a balloon cannot return (VFIO, locked, huge pages): "
             "%s",
             f->inhibited.n, all, f->inhibited.names);
    }
    if (f->without_reporting.n > 0) {
        FIND(ret, "reporting", NOTE, "memarbctl enable GUEST, and a fresh start of it",
             "%u of %u guests do not report free pages, so what they free stays with them: %s",
             f->without_reporting.n, all, f->without_reporting.names);
    }
    if (f->has_qmp_listen && f->without_monitor.n > 0) {
        FIND(ret, "fast-path", NOTE, "memarbctl enable GUEST, and a fresh start of it",
             "%u of %u guests are steered through libvirt alone, which takes longer: %s",
             f->without_monitor.n, all, f->without_monitor.names);
    }
}

static void judge_agent(const struct ma_doctor_facts *f, struct ma_findings *ret) {
    if (f->without_channel.n > 0) {
        FIND(ret, "agent-channel", NOTE, "memarbctl enable GUEST --live",
             "%u of %u guests have no channel for memarb's guest agent: %s", f->without_channel.n,
             f->n_domains, f->without_channel.names);
    }
    if (f->silent_agent.n > 0) {
        FIND(ret, "agent", NOTE, "install and start memarb-guest-agent in them",
             "%u of %u guests have the channel, and nobody in them has opened it: %s",
             f->silent_agent.n, f->n_domains, f->silent_agent.names);
    }
}

void ma_judge_guests(const struct ma_doctor_facts *facts, struct ma_findings *ret) {
    if (facts->wants_libvirt && facts->is_libvirt_reached == MA_NO) {
        FIND(ret, "libvirt", WARNING,
             "systemctl status libvirtd; Libvirt=no in memarb.conf on a host without it",
             "libvirt cannot be reached: %s", facts->libvirt_problem);
    }
    judge_lacks(facts, ret);
    judge_agent(facts, ret);
}
