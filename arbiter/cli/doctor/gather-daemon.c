/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gather-daemon.c - the configuration's file, and what memarbd says of itself and its guests. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "config.h"
#include "gather.h"

void ma_gather_config(const char *file, struct ma_doctor_facts *facts) {
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    facts->wants_libvirt = true;
    facts->has_qmp_listen = true;
    if (ma_config_load(file, &config, &err) != 0) {
        (void) snprintf(facts->config_problem, sizeof(facts->config_problem), "%.195s",
                        err.message);
        return;
    }
    facts->wants_libvirt = config->host.libvirt != MA_LIBVIRT_NO;
    facts->has_qmp_listen = config->host.qmp_listen[0] != '\0';
    ma_config_destroy(config);
}

static uint64_t positive(const json_t *object, const char *name) {
    int64_t value = ma_cli_number(object, name);
    return value > 0 ? (uint64_t) value : 0;
}

/* What no balloon takes: the guarantee, or what is pinned. */
static uint64_t guaranteed(const json_t *guest, uint64_t half_permyriad) {
    const json_t *config = json_object_get(guest, "config");
    uint64_t max = positive(guest, "max_bytes");
    uint64_t said =
        ma_cli_has(config, "guarantee_bytes")
            ? ma_min_u64(positive(config, "guarantee_bytes"), max > 0 ? max : MA_BYTES_MAX)
            : ma_permyriad_of(max, half_permyriad);
    return ma_max_u64(said, positive(guest, "pinned_bytes"));
}

void ma_gather_answers(const json_t *status,
                       const json_t *snapshot,
                       struct ma_doctor_facts *facts) {
    struct ma_settings settings;
    size_t i;
    const json_t *guest;
    int64_t slope = ma_cli_number(status, "slope_bytes_per_s");
    ma_settings_init(&settings);
    facts->daemon = MA_DAEMON_ANSWERS;
    facts->is_dry_run = ma_cli_bool(status, "dry_run");
    facts->is_libvirt_lost = strcmp(ma_cli_text(status, "libvirt"), "lost") == 0;
    facts->psi_window_usec = positive(status, "psi_window_usec");
    facts->total_bytes = positive(status, "total_bytes");
    facts->reserve_bytes = positive(status, "reserve_bytes");
    facts->n_guests = positive(status, "guests");
    facts->n_problems = positive(status, "problems");
    facts->n_stuck = positive(status, "stuck");
    facts->fill_bytes_per_s = slope < 0 ? -(uint64_t) slope : 0;
    json_array_foreach(json_object_get(snapshot, "guests"), i, guest) {
        facts->guaranteed_bytes =
            ma_add_sat(facts->guaranteed_bytes, guaranteed(guest, settings.guarantee_permyriad));
        facts->fill_bytes_per_s =
            ma_max_u64(facts->fill_bytes_per_s, positive(guest, "growth_bytes_per_s"));
    }
}

void ma_gather_daemon(const struct ma_cli *cli, struct ma_doctor_facts *facts) {
    struct ma_cli quiet = *cli;
    json_t *status = NULL, *snapshot = NULL;
    quiet.is_quiet = true;
    int r = ma_cli_call(&quiet, "io.memarb.Arbiter.GetStatus", NULL, &status);
    if (r == 0) {
        (void) ma_cli_call(&quiet, "io.memarb.Arbiter.GetSnapshot", NULL, &snapshot);
        ma_gather_answers(json_object_get(status, "status"), json_object_get(snapshot, "snapshot"),
                          facts);
    } else {
        facts->daemon = r == MA_EXIT_NO_DAEMON ? MA_DAEMON_ABSENT
                        : r == MA_EXIT_REFUSED ? MA_DAEMON_DENIED
                                               : MA_DAEMON_SILENT;
    }
    json_decref(status);
    json_decref(snapshot);
}
