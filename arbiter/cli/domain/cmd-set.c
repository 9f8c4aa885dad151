/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-set.c - memarbctl set DOMAIN KEY=VALUE...
 *
 * What stands there is read, changed, checked, and written back whole by one call that names both stores, so a reader
 * sees the old element or the new one.
 *
 *   S1  two memarbctl at once: one after the other, under a lock; both changes are there afterwards
 *   S2  beside any other writer (virsh, a cloud): the element is read once more just before it is written, and once
 *       afterwards. Who writes between these two wins whole, as libvirt knows no compare-and-set; memarbctl says so
 *       where it was not itself
 *   S3  live and persistent that differ beforehand are not silently made one: --from says which holds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "guest-element.h"
#include "text-diff.h"
#include "virt.h"

/* Another writer may come between reading and writing so often; more than a few is a fight that nobody wins. */
#define RETRIES_MAX 5
#define CHANGES_MAX 32
/* Between libvirt's writing of one store and the other lies saving a file. Too short: a virsh under way looks like two
 * stores that differ; too long: a person waits. Chosen. */
#define STORES_APART_NSEC 200000000L

struct stores {
    char *live; /* NULL: none, or not running */
    char *config;
};

static void stores_done(struct stores *s) {
    free(s->live);
    free(s->config);
    *s = (struct stores){0};
}

static int read_each(const struct ma_virt *v, struct stores *ret) {
    int r = 0;
    *ret = (struct stores){0};
    if (v->is_active) {
        r = ma_virt_metadata(v, VIR_DOMAIN_AFFECT_LIVE, MA_GUEST_URI, &ret->live);
    }
    if (r == 0 && v->is_persistent) {
        r = ma_virt_metadata(v, VIR_DOMAIN_AFFECT_CONFIG, MA_GUEST_URI, &ret->config);
    }
    return r;
}

/* libvirt writes live and persistent one after the other: two that differ are looked at once more. */
static int read_stores(const struct ma_virt *v, struct stores *ret) {
    const struct timespec pause = {.tv_nsec = STORES_APART_NSEC};
    int r = read_each(v, ret);
    if (r == 0 && v->is_active && v->is_persistent &&
        !ma_guest_element_same(ret->live, ret->config)) {
        stores_done(ret);
        (void) nanosleep(&pause, NULL);
        r = read_each(v, ret);
    }
    return r;
}

static unsigned flags_of(const struct ma_virt *v) {
    return (v->is_active ? VIR_DOMAIN_AFFECT_LIVE : 0U) |
           (v->is_persistent ? VIR_DOMAIN_AFFECT_CONFIG : 0U);
}

static const char *where_of(const struct ma_virt *v) {
    if (v->is_active && v->is_persistent) {
        return "live and persistent";
    }
    return v->is_active ? "live; it has no persistent definition" : "persistent; it does not run";
}

/* What the change is made on. NULL with 0: there is nothing yet. */
static int choose_base(const struct ma_domain_cli *cli,
                       const struct ma_virt *v,
                       const struct stores *s,
                       const char **ret) {
    bool has_both = v->is_active && v->is_persistent;
    if (has_both && cli->from == NULL && !ma_guest_element_same(s->live, s->config)) {
        return ma_cli_fail(MA_EXIT_REFUSED,
                           "%s says one thing live and another in its definition (memarbctl show "
                           "%s); --from=live or --from=config names the one that holds",
                           v->name, v->name);
    }
    bool is_live = v->is_active && (cli->from == NULL || strcmp(cli->from, "live") == 0);
    *ret = is_live || !v->is_persistent ? s->live : s->config;
    return 0;
}

static void print_difference(const char *what, const char *before, const char *after) {
    ma_auto_free char *plain = before != NULL ? ma_guest_element_plain(before) : NULL;
    if (!ma_guest_element_same(before, after)) {
        (void) printf("%s:\n", what);
        if (ma_text_diff(stdout, plain != NULL ? plain : "", after != NULL ? after : "") != 0) {
            (void) puts("(no memory to show the difference)");
        }
    }
}

static int report(const struct ma_domain_cli *cli,
                  const struct ma_virt *v,
                  const struct stores *s,
                  const char *after) {
    bool is_changed = (v->is_active && !ma_guest_element_same(s->live, after)) ||
                      (v->is_persistent && !ma_guest_element_same(s->config, after));
    if (cli->cli.is_json) {
        json_t *answer =
            json_pack("{s:s, s:b, s:b, s:s?, s:s?, s:s?}", "domain", v->name, "changed",
                      (int) is_changed, "dry_run", (int) cli->is_dry_run, "live_before", s->live,
                      "config_before", s->config, "after", after);
        int r = ma_cli_print_json(&cli->cli, answer);
        json_decref(answer);
        return r;
    }
    if (v->is_active) {
        print_difference("live", s->live, after);
    }
    if (v->is_persistent) {
        print_difference("persistent", s->config, after);
    }
    if (!is_changed) {
        (void) printf("%s: nothing to change\n", v->name);
    } else {
        (void) printf("%s: %s (%s)\n", v->name, cli->is_dry_run ? "would be set" : "set",
                      where_of(v));
    }
    return MA_EXIT_OK;
}

/* S2's second look. */
static int verify(const struct ma_virt *v, const char *after) {
    struct stores now;
    int r = read_stores(v, &now);
    bool is_ours = (!v->is_active || ma_guest_element_same(now.live, after)) &&
                   (!v->is_persistent || ma_guest_element_same(now.config, after));
    stores_done(&now);
    if (r == 0 && !is_ours) {
        return ma_cli_fail(
            MA_EXIT_ERROR,
            "%s: somebody else wrote its metadata at the same moment; memarbctl show "
            "%s says what holds now",
            v->name, v->name);
    }
    return r;
}

enum { AGAIN = -2 };

/* One reading, and one writing if nobody came in between: the exit code, or AGAIN. */
static int try_once(const struct ma_domain_cli *cli,
                    const struct ma_virt *v,
                    const struct ma_guest_change *changes,
                    size_t n) {
    struct stores before, now = {0};
    struct ma_err err = {0};
    const char *base = NULL;
    char *after = NULL;
    int r = read_stores(v, &before);
    r = r == 0 ? choose_base(cli, v, &before, &base) : r;
    if (r == 0 && ma_guest_element_change(base, changes, n, &after, &err) != 0) {
        r = ma_cli_fail(MA_EXIT_USAGE, "%s; nothing was changed", err.message);
    }
    bool is_needed = (v->is_active && !ma_guest_element_same(before.live, after)) ||
                     (v->is_persistent && !ma_guest_element_same(before.config, after));
    if (r == 0 && is_needed && !cli->is_dry_run) {
        r = read_stores(v, &now);
        bool is_still = ma_guest_element_same(now.live, before.live) &&
                        ma_guest_element_same(now.config, before.config);
        stores_done(&now);
        r = r == 0 && !is_still ? AGAIN : r;
        r = r == 0 ? ma_virt_put_metadata(v, flags_of(v), MA_GUEST_PREFIX, MA_GUEST_URI, after) : r;
        r = r == 0 ? verify(v, after) : r;
    }
    if (r == 0) {
        r = report(cli, v, &before, after);
    }
    stores_done(&before);
    free(after);
    return r;
}

static int
parse_changes(const struct ma_domain_cli *cli, struct ma_guest_change *ret, size_t *ret_n) {
    struct ma_err err = {0};
    for (int i = 1; i < cli->cli.n_args; i++) {
        if (i > CHANGES_MAX || ma_guest_change_parse(cli->cli.args[i], &ret[i - 1], &err) != 0) {
            return ma_cli_fail(MA_EXIT_USAGE, "%s",
                               i > CHANGES_MAX ? "too many changes at once" : err.message);
        }
    }
    *ret_n = (size_t) cli->cli.n_args - 1;
    return 0;
}

int ma_cmd_set(const struct ma_domain_cli *cli) {
    struct ma_guest_change changes[CHANGES_MAX];
    struct ma_virt virt;
    size_t n = 0;
    int r = parse_changes(cli, changes, &n);
    if (r != 0) {
        return r;
    }
    r = ma_virt_open(cli, cli->cli.args[0], &virt);
    if (r == 0 && !cli->is_dry_run) {
        r = ma_virt_lock(cli, &virt);
    }
    if (r == 0) {
        r = AGAIN;
        for (int i = 0; i < RETRIES_MAX && r == AGAIN; i++) {
            r = try_once(cli, &virt, changes, n);
        }
        if (r == AGAIN) {
            r = ma_cli_fail(MA_EXIT_ERROR,
                            "%s: somebody else keeps changing its metadata; nothing was changed",
                            virt.name);
        }
    }
    ma_virt_close(&virt);
    return r;
}
