/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* qmp-commands.h - the typed calls; included by qmp.h.
 *
 * Each returns 0: accepted, call->done follows exactly once; or, with nothing sent and no `done` to come:
 *   -ENOTCONN not READY            -EBUSY   QMP_INFLIGHT_MAX commands unanswered: the peer hangs or is flooded
 *   -ENOBUFS  the output queue is full (the peer does not read)
 *   -EINVAL   an argument (empty or unprintable name, a quantity of 0 or above 2^50, a deadline that has passed)
 *   -ENOMEM   only from calls marked "several commands", and from no other
 * A single command is formatted into the client's own buffer and leaves in one send(2) if nothing is queued before it:
 * nothing is allocated and nothing is waited for. */

#include "qmp.h"

/* Commands without an answer per client, those included whose deadline has passed. Too small: a burst of samples gets
 * EBUSY; too large: a QEMU that wakes from a hang carries out a long tail of old commands. Guess. */
#define QMP_INFLIGHT_MAX 16U

/* Commands accepted between these two leave together, in one send(2): a peer that is asked several things wakes up once.
 * Neither runs a `done`. A pair stands within one function of the caller's; deadlines count from each call. */
void qmp_client_cork(struct qmp_client *c);
void qmp_client_uncork(struct qmp_client *c, uint64_t now_usec);

/* In result->reply: the member named at each call. */
int qmp_query_status(struct qmp_client *c, const struct qmp_call *call);  /* status */
int qmp_query_version(struct qmp_client *c, const struct qmp_call *call); /* version */
int qmp_query_uuid(struct qmp_client *c, const struct qmp_call *call);    /* uuid */
int qmp_query_name(struct qmp_client *c, const struct qmp_call *call); /* name; "" if it has none */

/* Balloon. qmp_balloon: value_bytes is what the guest shall keep, 1..2^50; DONE says only that QEMU took note. */
int qmp_query_balloon(struct qmp_client *c, const struct qmp_call *call); /* balloon */
int qmp_balloon(struct qmp_client *c, const struct qmp_call *call, uint64_t value_bytes);

/* Several commands. Balloon, virtio-mem and what inhibits discards, under /machine/peripheral and -anon. reply: devices.
 * Most fields can stay unknown without failing the call; a machine without a balloon has balloon_path "". */
int qmp_find_devices(struct qmp_client *c, const struct qmp_call *call);

/* device_path: qmp_devices.balloon_path. */
int qmp_get_guest_stats(struct qmp_client *c,
                        const struct qmp_call *call,
                        const char *device_path); /* stats */
int qmp_get_stats_interval(struct qmp_client *c,
                           const struct qmp_call *call,
                           const char *device_path); /* interval_sec */
/* 0 switches polling off. */
int qmp_set_stats_interval(struct qmp_client *c,
                           const struct qmp_call *call,
                           const char *device_path,
                           uint32_t interval_sec);

/* Memory. */
int qmp_query_memory_size_summary(struct qmp_client *c,
                                  const struct qmp_call *call);          /* memory_size */
int qmp_query_memdev(struct qmp_client *c, const struct qmp_call *call); /* memdevs */
int qmp_query_memory_devices(struct qmp_client *c,
                             const struct qmp_call *call); /* memory_devices */
/* Several commands. What qom tells of memory backend `id` (qmp_memdev.id). reply: backend. */
int qmp_get_backend(struct qmp_client *c, const struct qmp_call *call, const char *id);
/* device_path of a virtio-mem device; a multiple of its block size, 0 allowed. */
int qmp_resize_virtio_mem(struct qmp_client *c,
                          const struct qmp_call *call,
                          const char *device_path,
                          uint64_t requested_bytes);

/* Life cycle. DONE of system_powerdown says only that the button was pressed. After quit the peer may close before or
 * after its answer: DONE and CLOSED both mean that it went. */
int qmp_stop(struct qmp_client *c, const struct qmp_call *call);
int qmp_cont(struct qmp_client *c, const struct qmp_call *call);
int qmp_system_powerdown(struct qmp_client *c, const struct qmp_call *call);
int qmp_quit(struct qmp_client *c, const struct qmp_call *call);

/* Any other command; arguments_json: a JSON object's text, or NULL; both together at most QMP_EXECUTE_MAX bytes (else
 * -EINVAL). The arguments are sent as they are: the caller vouches for them. The answer is in result->line. */
#define QMP_EXECUTE_MAX 1024U
int qmp_execute(struct qmp_client *c,
                const struct qmp_call *call,
                const char *command,
                const char *arguments_json);
