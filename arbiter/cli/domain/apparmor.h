/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* apparmor.h - the rule that lets libvirt's guests connect to memarbd's socket. libvirt's profile generator does not look at
 * QEMU's own arguments, so under AppArmor a guest with our monitor could not reach it. The rule goes into the file that
 * the profiles of all guests include and that belongs to the administrator; profiles are made when a guest starts. */

#include <stdbool.h>

#define MA_APPARMOR_FILE "/etc/apparmor.d/local/abstractions/libvirt-qemu"

/* The file's text (NULL: there is no file) with the rule for that socket, or without it where is_wanted is false; what
 * else stands in it stays. *ret is malloc'ed, NULL: it is so already. -ENOMEM; -EINVAL: the path cannot stand in a rule. */
int ma_apparmor_change(const char *text, const char *socket, bool is_wanted, char **ret)
    __attribute__((warn_unused_result));
/* Replaces the file as a whole, and makes the folders that it lies in. 0, or a negative errno. */
int ma_apparmor_write(const char *path, const char *text) __attribute__((warn_unused_result));
