/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virt.c - see virt.h. */
#include "virt.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bytes.h"
#include "cleanup.h"

/* Between two tries for the lock. Too short burns a core while a hung QEMU holds the other command up. */
#define LOCK_RETRY_USEC (20 * MA_USEC_PER_MSEC)

static void swallow(void *userdata, virErrorPtr error) {
    (void) userdata;
    (void) error;
}

int ma_virt_fail(enum ma_cli_exit code, const char *what) {
    return ma_cli_fail(code, "%s: %s", what, virGetLastErrorMessage());
}

int ma_virt_uri(const struct ma_domain_cli *cli, char **ret) {
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    if (cli->uri != NULL) {
        *ret = strdup(cli->uri);
    } else if (ma_config_load(cli->cli.config, &config, &err) == 0) {
        *ret = strdup(config->host.libvirt_uri);
        ma_config_destroy(config);
    } else {
        return ma_cli_fail(MA_EXIT_ERROR,
                           "%s; memarbctl check-config, or name libvirt by --connect=URI",
                           err.message);
    }
    return *ret != NULL ? 0 : ma_cli_fail(MA_EXIT_ERROR, "no memory");
}

static int look_up(struct ma_virt *v, const char *name) {
    v->dom = virDomainLookupByUUIDString(v->conn, name);
    if (v->dom == NULL) {
        v->dom = virDomainLookupByName(v->conn, name);
    }
    if (v->dom == NULL && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
        return ma_cli_fail(MA_EXIT_NOT_FOUND,
                           "%s: libvirt has no domain of this name or uuid; virsh list --all",
                           name);
    }
    if (v->dom == NULL || virDomainGetUUIDString(v->dom, v->uuid) < 0) {
        return ma_virt_fail(MA_EXIT_ERROR, name);
    }
    v->name = virDomainGetName(v->dom);
    v->is_active = virDomainIsActive(v->dom) == 1;
    v->is_persistent = virDomainIsPersistent(v->dom) == 1;
    return 0;
}

int ma_virt_open(const struct ma_domain_cli *cli, const char *name, struct ma_virt *ret) {
    ma_auto_free char *uri = NULL;
    *ret = (struct ma_virt){.lock_fd = -1};
    int r = ma_virt_uri(cli, &uri);
    if (r != 0) {
        return r;
    }
    virSetErrorFunc(NULL, swallow);
    ret->conn = virConnectOpen(uri);
    if (ret->conn == NULL) {
        return ma_virt_fail(MA_EXIT_ERROR, "cannot reach libvirt");
    }
    return look_up(ret, name);
}

void ma_virt_close(struct ma_virt *virt) {
    if (virt->dom != NULL) {
        (void) virDomainFree(virt->dom);
    }
    if (virt->conn != NULL) {
        (void) virConnectClose(virt->conn);
    }
    if (virt->lock_fd >= 0) {
        (void) close(virt->lock_fd); /* and with it the lock */
    }
    *virt = (struct ma_virt){.lock_fd = -1};
}

static int open_lock(const struct ma_domain_cli *cli) {
    char path[160];
    const char *slash = strrchr(cli->cli.socket, '/');
    int folder = slash != NULL ? (int) (slash - cli->cli.socket) : 0;
    (void) snprintf(path, sizeof(path), "%.*s", folder, cli->cli.socket);
    (void) mkdir(path, 0755); /* memarbd makes it too; it may not have run yet */
    (void) snprintf(path, sizeof(path), "%.*s/domains.lock", folder, cli->cli.socket);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void) ma_cli_fail(errno == EACCES ? MA_EXIT_REFUSED : MA_EXIT_ERROR,
                           "cannot open %s: %s%s", path, strerror(errno),
                           errno == EACCES ? "; changing a domain takes root" : "");
    }
    return fd;
}

/* One file for all domains, a byte for each: a hung one does not hold up the others. */
static off_t byte_of(const struct ma_virt *virt) {
    unsigned char raw[VIR_UUID_BUFLEN] = {0};
    uint64_t offset = 0;
    (void) virDomainGetUUID(virt->dom, raw); /* kept in the object: cannot fail */
    (void) memcpy(&offset, raw, sizeof(offset));
    return (off_t) (offset & INT64_MAX) / 2;
}

int ma_virt_lock(const struct ma_domain_cli *cli, struct ma_virt *virt) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte_of(virt), .l_len = 1};
    const struct timespec pause = {.tv_nsec = (long) (LOCK_RETRY_USEC * 1000)};
    virt->lock_fd = open_lock(cli);
    if (virt->lock_fd < 0) {
        return errno == EACCES ? MA_EXIT_REFUSED : MA_EXIT_ERROR;
    }
    for (uint64_t tries = MA_VIRT_LOCK_USEC / LOCK_RETRY_USEC; tries > 0; tries--) {
        if (fcntl(virt->lock_fd, F_OFD_SETLK, &lock) == 0) {
            return 0;
        }
        (void) nanosleep(&pause, NULL);
    }
    return ma_cli_fail(MA_EXIT_ERROR,
                       "another memarbctl has been changing %s for a minute; nothing was changed",
                       virt->name);
}

int ma_virt_metadata(const struct ma_virt *virt, unsigned flags, const char *uri, char **ret_text) {
    char *text = virDomainGetMetadata(virt->dom, VIR_DOMAIN_METADATA_ELEMENT, uri, flags);
    if (text == NULL && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA) {
        return ma_virt_fail(MA_EXIT_ERROR, "cannot read the metadata");
    }
    *ret_text = text;
    return 0;
}

int ma_virt_put_metadata(const struct ma_virt *virt,
                         unsigned flags,
                         const char *prefix,
                         const char *uri,
                         const char *text) {
    if (virDomainSetMetadata(virt->dom, VIR_DOMAIN_METADATA_ELEMENT, text,
                             text != NULL ? prefix : NULL, uri, flags) != 0) {
        return ma_virt_fail(MA_EXIT_ERROR, "libvirt did not take the metadata");
    }
    return 0;
}
