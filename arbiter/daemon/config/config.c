/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.c - loading: defaults from the table, the main file, its drop-ins, contradictions. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bytes.h"
#include "cleanup.h"
#include "config-internal.h"

MA_DEFINE_AUTOPTR(ma_config, ma_config_destroy);

static void __attribute__((format(printf, 3, 0))) report(struct ma_config_load *load,
                                                         const struct ma_config_place *place,
                                                         const char *format,
                                                         va_list args) {
    char text[MA_ERR_MESSAGE_MAX];
    char line[MA_ERR_MESSAGE_MAX + 1400];
    (void) vsnprintf(text, sizeof(text), format, args);
    if (place == NULL || place->file == NULL) {
        (void) snprintf(line, sizeof(line), "%s", text);
    } else if (place->line == 0) {
        (void) snprintf(line, sizeof(line), "%s: %s", place->file, text);
    } else {
        (void) snprintf(line, sizeof(line), "%s:%u: %s", place->file, place->line, text);
    }
    load->n_problems++;
    if (load->n_problems == 1) {
        (void) ma_err_set(load->err, -EINVAL, "%s", line);
    }
    if (load->problem != NULL && load->n_problems <= MA_CONFIG_PROBLEMS_MAX) {
        load->problem(load->userdata, line);
    }
}

void ma_config_report(struct ma_config_load *load, const char *format, ...) {
    struct ma_config_place here = {load->file, load->line};
    va_list args;
    va_start(args, format);
    report(load, &here, format, args);
    va_end(args);
}

void ma_config_report_at(struct ma_config_load *load,
                         const struct ma_config_place *place,
                         const char *format,
                         ...) {
    va_list args;
    va_start(args, format);
    report(load, place, format, args);
    va_end(args);
}

const char *ma_config_keep(struct ma_config_load *load, const char *text) {
    struct ma_config_owned *owned = load->owned;
    char **strings = reallocarray(owned->strings, owned->n_strings + 1, sizeof(*strings));
    if (strings != NULL) {
        owned->strings = strings;
        strings[owned->n_strings] = strdup(text);
    }
    if (strings == NULL || strings[owned->n_strings] == NULL) {
        load->is_out_of_memory = true;
        return NULL;
    }
    return strings[owned->n_strings++];
}

void ma_config_destroy(struct ma_config *config) {
    if (config == NULL) {
        return;
    }
    struct ma_config_owned *owned = config->owned;
    for (size_t i = 0; i < owned->n_strings; i++) {
        free(owned->strings[i]);
    }
    free(owned->strings);
    free(owned->config.host.qmp_sockets.items);
    free(owned->config.host.agent_sockets.items);
    free(owned->rules);
    free(owned->rule_places);
    free(owned->namespaces);
    free(owned);
}

/* The whole file, bounded; *ret_text is the caller's. */
static int read_file(const char *path, char **ret_text, size_t *ret_len) {
    ma_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EISDIR;
    }
    ma_auto_free char *text = malloc(MA_CONFIG_FILE_BYTES_MAX + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, text + len, MA_CONFIG_FILE_BYTES_MAX + 1 - len);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t) n : 0;
        if (len > MA_CONFIG_FILE_BYTES_MAX) {
            return -EFBIG;
        }
    }
    *ret_text = ma_steal(&text);
    *ret_len = len;
    return 0;
}

static void load_file(struct ma_config_load *load, const char *path, bool may_be_absent) {
    ma_auto_free char *text = NULL;
    size_t len = 0;
    const char *kept = ma_config_keep(load, path);
    int r = kept != NULL ? read_file(path, &text, &len) : -ENOMEM;
    if (r == -ENOENT && may_be_absent) {
        return;
    }
    load->file = kept;
    load->line = 0;
    if (r == -EISDIR) {
        ma_config_report(load, "not a regular file; name a text file");
    } else if (r == -EFBIG) {
        ma_config_report(load, "larger than 1 MiB; this is no configuration");
    } else if (r != 0) {
        ma_config_report(load, "cannot read it: %s", strerror(-r));
    } else {
        load->owned->config.n_files++;
        ma_config_read_text(load, kept, text, len);
    }
}

static int is_drop_in(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_drop_ins(struct ma_config_load *load, const char *path) {
    char folder[1024], file[1024 + 258];
    struct dirent **entries = NULL;
    if (snprintf(folder, sizeof(folder), "%s.d", path) >= (int) sizeof(folder)) {
        struct ma_config_place place = {NULL, 0};
        ma_config_report_at(load, &place, "the configuration's path is longer than 1000 bytes");
        return;
    }
    int n = scandir(folder, &entries, is_drop_in, by_name);
    if (n < 0 && errno != ENOENT && errno != ENOTDIR) {
        struct ma_config_place place = {folder, 0};
        ma_config_report_at(load, &place, "cannot read it: %s", strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        (void) snprintf(file, sizeof(file), "%s/%s", folder, entries[i]->d_name);
        if (i < (int) MA_CONFIG_FILES_MAX) {
            load_file(load, file, false);
        } else if (i == (int) MA_CONFIG_FILES_MAX) {
            struct ma_config_place place = {folder, 0};
            ma_config_report_at(load, &place, "more than %u files; join some", MA_CONFIG_FILES_MAX);
        }
        free(entries[i]);
    }
    free(entries);
}

/* All defaults; only a bug in the table can make it fail. */
static int set_defaults(struct ma_config_load *load) {
    const struct ma_config_key *key;
    for (size_t i = 0; (key = ma_config_key_at(i)) != NULL; i++) {
        if (!ma_config_set(load, key, key->standard)) {
            return load->is_out_of_memory ? -ENOMEM : -EINVAL;
        }
    }
    return 0;
}

static int begin(struct ma_config_load *load) {
    struct ma_config_owned *owned = calloc(1, sizeof(*owned));
    if (owned == NULL) {
        return ma_err_set(load->err, -ENOMEM, "out of memory");
    }
    load->owned = owned;
    owned->config.owned = owned;
    owned->config.file = "";
    owned->namespaces = calloc(MA_CONFIG_NAMESPACES_MAX, sizeof(*owned->namespaces));
    if (owned->namespaces == NULL || set_defaults(load) != 0) {
        ma_config_destroy(&owned->config);
        return ma_err_set(load->err, -ENOMEM, "out of memory");
    }
    return 0;
}

static int finish(struct ma_config_load *load, struct ma_config **ret_config) {
    struct ma_config_owned *owned = load->owned;
    ma_autoptr(ma_config) config = &owned->config;
    ma_config_check_contradictions(load);
    if (load->is_out_of_memory) {
        return ma_err_set(load->err, -ENOMEM, "out of memory while reading the configuration");
    }
    if (load->n_problems > 0 && !load->is_for_release) {
        if (load->err != NULL && load->n_problems > 1) {
            size_t len = strlen(load->err->message);
            (void) snprintf(load->err->message + len, sizeof(load->err->message) - len,
                            " (and %u more: memarbctl check-config)", load->n_problems - 1);
        }
        return -EINVAL;
    }
    config->rules = (struct ma_guest_rules){owned->rules, owned->n_rules, owned->namespaces,
                                            owned->n_namespaces};
    *ret_config = ma_steal(&config);
    return 0;
}

static int load_all(struct ma_config_load *load, const char *path, struct ma_config **ret_config) {
    const char *file = path != NULL ? path : MA_CONFIG_FILE_DEFAULT;
    int r = begin(load);
    if (r != 0) {
        return r;
    }
    load_file(load, file, path == NULL);
    load_drop_ins(load, file);
    if (load->owned->config.n_files > 0) {
        const char *kept = ma_config_keep(load, file);
        load->owned->config.file = kept != NULL ? kept : "";
    }
    return finish(load, ret_config);
}

int ma_config_check(const char *path,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err) {
    struct ma_config_load load = {.problem = problem, .userdata = userdata, .err = err};
    return load_all(&load, path, ret_config);
}

int ma_config_load_for_release(const char *path,
                               ma_config_problem_fn problem,
                               void *userdata,
                               struct ma_config **ret_config,
                               struct ma_err *err) {
    struct ma_config_load load = {
        .problem = problem, .userdata = userdata, .err = err, .is_for_release = true};
    struct ma_config *config = NULL;
    ma_autoptr(ma_config) defaults = NULL;
    int r = load_all(&load, path, &config);
    r = r < 0 ? r : ma_config_parse("defaults", "", 0, NULL, NULL, &defaults, err);
    if (r < 0) {
        ma_config_destroy(config);
        return r;
    }
    /* What others of its lines would still forbid: acting at all. */
    bool is_dry_run = config->arbiter.is_dry_run;
    config->arbiter = defaults->arbiter;
    config->arbiter.is_dry_run = is_dry_run;
    config->arbiter.policy = ma_config_keep(&load, defaults->arbiter.policy);
    config->host.budget = defaults->host.budget;
    config->host.budget_cgroup = "";
    config->record.directory = "";
    config->rules = (struct ma_guest_rules){0};
    memset(config->said, 0, sizeof(config->said));
    if (config->arbiter.policy == NULL) {
        ma_config_destroy(config);
        return ma_err_set(err, -ENOMEM, "out of memory while reading the configuration");
    }
    *ret_config = config;
    return 0;
}

int ma_config_load(const char *path, struct ma_config **ret_config, struct ma_err *err) {
    return ma_config_check(path, NULL, NULL, ret_config, err);
}

int ma_config_parse(const char *name,
                    const char *text,
                    size_t len,
                    ma_config_problem_fn problem,
                    void *userdata,
                    struct ma_config **ret_config,
                    struct ma_err *err) {
    struct ma_config_load load = {.problem = problem, .userdata = userdata, .err = err};
    int r = begin(&load);
    if (r != 0) {
        return r;
    }
    load.owned->config.n_files = 1;
    const char *kept = ma_config_keep(&load, name);
    if (kept != NULL) {
        load.owned->config.file = kept;
        ma_config_read_text(&load, kept, text, len);
    }
    return finish(&load, ret_config);
}
