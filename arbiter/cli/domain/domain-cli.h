/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* domain-cli.h - what the commands share that go through libvirt: set, show, enable, disable, doctor. They are a program of
 * their own, memarb-domain, which memarbctl runs: loading libvirt's client takes longer than `memarbctl status` may. */

#include "cli.h"
#include "config.h"

struct ma_domain_cli {
    struct ma_cli cli; /* is_json, socket, config, args */
    const char *uri;   /* --connect; NULL: LibvirtUri= */
    const char *from;  /* "live", "config" or NULL */
    const char *xml;   /* show --xml */
    bool is_dry_run;
    bool is_live;
    bool is_yes;
    bool is_without_monitor;
    bool is_gate; /* doctor: errors alone, for arm */
};

/* Each returns the exit code. */
int ma_cmd_set(const struct ma_domain_cli *cli);
int ma_cmd_show(const struct ma_domain_cli *cli);
int ma_cmd_enable(const struct ma_domain_cli *cli);
int ma_cmd_disable(const struct ma_domain_cli *cli);
int ma_cmd_doctor(const struct ma_domain_cli *cli);
