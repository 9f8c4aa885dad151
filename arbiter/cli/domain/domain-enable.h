/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* domain-enable.h - what memarbctl enable puts into a domain's definition, and how disable takes exactly that out again.
 * Works on the parsed definition; no libvirt, no I/O.
 *
 * What was added is noted in the definition itself (an element of its own in <metadata>), so that disable knows it from
 * what stood there before, also on another host. */

#include <libxml/tree.h>
#include <stdint.h>

#include "err.h"

#define MA_ENABLED_URI    "urn:memarb:enabled:1"
#define MA_ENABLED_PREFIX "memarb-enabled"
#define MA_CHANNEL_NAME   "org.memarb.guest.0"
/* Balloon statistics every so many seconds, as memarbd itself would set them. The guest's driver answers in about 1 ms. */
#define MA_ENABLED_PERIOD_S 5U

enum ma_enable_part {
    MA_ENABLE_GUEST = 1U << 0,      /* an empty element urn:memarb:guest:1, for memarbctl set */
    MA_ENABLE_CONTROLLER = 1U << 1, /* virtio-serial, where there was none */
    MA_ENABLE_CHANNEL = 1U << 2,    /* for the guest's agent */
    MA_ENABLE_PERIOD = 1U << 3,     /* of balloon statistics */
    MA_ENABLE_REPORTING = 1U << 4,  /* of free pages */
    MA_ENABLE_MONITOR = 1U << 5,    /* that dials in to memarbd */
};
#define MA_ENABLE_PARTS 6

/* "channel" ...; in words for a person. index: of the bit. */
const char *ma_enable_name(unsigned index);
const char *ma_enable_words(unsigned index);

/* Adds what is not there yet. socket: memarbd's, for the monitor; NULL or "": none. A monitor that it added for another
 * socket takes that one instead. *ret_added: parts added by this call. -EINVAL: no definition of a domain; -EEXIST: its
 * arguments for QEMU stand in the way; -ENOMEM. */
int ma_enable_add(xmlDocPtr doc, const char *socket, uint32_t *ret_added, struct ma_err *err)
    __attribute__((warn_unused_result));
/* Takes out what the note says was added, where it still stands as it was put there. *ret_left: parts that somebody has
 * changed since, which therefore stay. -ENOENT: there is no note; -EINVAL. */
int ma_enable_undo(xmlDocPtr doc, uint32_t *ret_undone, uint32_t *ret_left, struct ma_err *err)
    __attribute__((warn_unused_result));
/* The parts that the definition's note names. */
uint32_t ma_enable_noted(xmlDocPtr doc);
/* The socket of the monitor that the note names, malloc'ed; "": it names none; NULL: there is no note. */
char *ma_enable_socket(xmlDocPtr doc);
/* The agent's channel as the definition has it, for detaching it; malloc'ed. NULL: there is none. */
char *ma_enable_channel(xmlDocPtr doc);
