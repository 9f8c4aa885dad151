/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* gather.h - facts for the doctor. Each fills its part of *facts and leaves what it cannot find out unknown. */

#include <jansson.h>

#include "cli.h"
#include "doctor.h"

/* root: "" for this host, a folder with made files in tests. */
void ma_gather_host(const char *root, struct ma_doctor_facts *facts);
/* Asks systemd, over D-Bus. */
void ma_gather_oomd(struct ma_doctor_facts *facts);
/* file: NULL for the default. */
void ma_gather_config(const char *file, struct ma_doctor_facts *facts);
void ma_gather_daemon(const struct ma_cli *cli, struct ma_doctor_facts *facts);
/* The same from the daemon's answers. */
void ma_gather_answers(const json_t *status, const json_t *snapshot, struct ma_doctor_facts *facts);
/* One running guest, by its definition as libvirt prints it. */
void ma_gather_domain(const char *name, const char *xml, struct ma_doctor_facts *facts);
void ma_gather_libvirt(const char *uri, struct ma_doctor_facts *facts);
