/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* virt.h - one domain of libvirt's, for one command. Functions that return int give 0 or the exit code, and have said on
 * stderr what went wrong. All block on libvirtd; libvirt itself gives a hung QEMU up after 30 s. */

#include <libvirt/libvirt.h>

#include "domain-cli.h"

struct ma_virt {
    virConnectPtr conn;
    virDomainPtr dom;
    bool is_active;
    bool is_persistent;
    char uuid[VIR_UUID_STRING_BUFLEN];
    const char *name; /* lives as long as dom */
    int lock_fd;
};

/* name: the domain's name or uuid. ma_virt_close() also after a failure. */
int ma_virt_open(const struct ma_domain_cli *cli, const char *name, struct ma_virt *ret);
void ma_virt_close(struct ma_virt *virt);

/* Until ma_virt_close() no other memarbctl changes this domain. The lock lies beside the control socket, where only root
 * can put files. Waits at most MA_VIRT_LOCK_USEC. */
#define MA_VIRT_LOCK_USEC (60 * MA_USEC_PER_SEC)
int ma_virt_lock(const struct ma_domain_cli *cli, struct ma_virt *virt);

/* flags: VIR_DOMAIN_AFFECT_LIVE or _CONFIG. *ret_text is malloc'ed, NULL: there is none. */
int ma_virt_metadata(const struct ma_virt *virt, unsigned flags, const char *uri, char **ret_text);
/* text NULL: takes it away. One call, also where flags name both stores. */
int ma_virt_put_metadata(const struct ma_virt *virt,
                         unsigned flags,
                         const char *prefix,
                         const char *uri,
                         const char *text);
/* "what: libvirt's last error" */
int ma_virt_fail(enum ma_cli_exit code, const char *what);
/* The URI that memarbd uses too, from cli or the configuration. *ret is malloc'ed. */
int ma_virt_uri(const struct ma_domain_cli *cli, char **ret);
