/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-enable.c - memarbctl enable DOMAIN and disable DOMAIN: read, change, show, ask, write.
 *
 * The definition is defined anew as a whole, as virsh edit does it; that nobody changed it meanwhile is looked at just
 * before. Passwords are in what is defined and not in what is shown. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apparmor.h"
#include "cleanup.h"
#include "domain-enable.h"
#include "live.h"
#include "read-text.h"
#include "text-diff.h"
#include "virt.h"
#include "xml-edit.h"

#define APPARMOR_MAX_BYTES ((size_t) 1 << 20)

struct change {
    bool is_adding;
    char *socket;        /* memarbd's; NULL: no monitor is added */
    char *socket_before; /* of the monitor that was added before; NULL, "": there was none */
    char *before;        /* with secrets, as libvirt gave it */
    char *after;         /* to be defined; NULL: nothing to do */
    char *shown_before;  /* without secrets */
    char *shown_after;
    uint32_t parts; /* added or undone in the definition */
    uint32_t left;  /* changed by somebody since */
    uint32_t live_parts;
    char *apparmor_before; /* NULL: no such file */
    char *apparmor_after;  /* NULL: nothing to do there */
};

static void change_done(struct change *c) {
    free(c->socket);
    free(c->socket_before);
    free(c->before);
    free(c->after);
    free(c->shown_before);
    free(c->shown_after);
    free(c->apparmor_before);
    free(c->apparmor_after);
}

static int read_socket(const struct ma_domain_cli *cli, struct change *c) {
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    if (ma_config_load(cli->cli.config, &config, &err) != 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s; memarbctl check-config", err.message);
    }
    if (!cli->is_without_monitor && config->host.qmp_listen[0] != '\0') {
        c->socket = strdup(config->host.qmp_listen);
    }
    ma_config_destroy(config);
    return 0;
}

/* One definition, changed. *ret_before and *ret_after as our own writer has them, so that they differ in the change only. */
static int change_text(struct change *c, const char *xml, char **ret_before, char **ret_after) {
    struct ma_err err = {0};
    xmlDocPtr doc = ma_xml_read(xml, strlen(xml));
    int r = -EINVAL;
    if (doc == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "libvirt's definition is not well-formed");
    }
    *ret_before = ma_xml_write(doc);
    c->socket_before = c->socket_before == NULL ? ma_enable_socket(doc) : c->socket_before;
    r = c->is_adding ? ma_enable_add(doc, c->socket, &c->parts, &err)
                     : ma_enable_undo(doc, &c->parts, &c->left, &err);
    *ret_after = r == 0 ? ma_xml_write(doc) : NULL;
    xmlFreeDoc(doc);
    if (r == -ENOENT) {
        return 0; /* nothing was added: nothing to undo */
    }
    return r == 0 ? 0
                  : ma_cli_fail(r == -EEXIST ? MA_EXIT_REFUSED : MA_EXIT_ERROR, "%s", err.message);
}

static int read_definition(const struct ma_virt *v, struct change *c) {
    ma_auto_free char *plain = virDomainGetXMLDesc(v->dom, VIR_DOMAIN_XML_INACTIVE);
    ma_auto_free char *own = NULL;
    c->before = virDomainGetXMLDesc(v->dom, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (plain == NULL || c->before == NULL) {
        return ma_virt_fail(MA_EXIT_ERROR, "cannot read the definition");
    }
    int r = change_text(c, plain, &c->shown_before, &c->shown_after);
    return r == 0 ? change_text(c, c->before, &own, &c->after) : r;
}

static bool has_secmodel(const struct ma_virt *v, const char *name) {
    ma_auto_free char *text = virConnectGetCapabilities(v->conn);
    xmlDocPtr doc = text != NULL ? ma_xml_read(text, strlen(text)) : NULL;
    const xmlNode *host =
        doc != NULL ? ma_xml_child(xmlDocGetRootElement(doc), "host", NULL) : NULL;
    bool is_found = false;
    for (xmlNodePtr n = ma_xml_child(host, "secmodel", NULL); n != NULL;
         n = ma_xml_next(n, "secmodel", NULL)) {
        const xmlNode *model = ma_xml_child(n, "model", NULL);
        xmlChar *content = model != NULL ? xmlNodeGetContent(model) : NULL;
        is_found = is_found || (content != NULL && strcmp((const char *) content, name) == 0);
        xmlFree(content);
    }
    xmlFreeDoc(doc);
    return is_found;
}

/* Does another domain's note name that socket? Then the rule is still needed. */
static bool is_rule_used(const struct ma_virt *v, const char *socket) {
    virDomainPtr *doms = NULL;
    int n = virConnectListAllDomains(v->conn, &doms, 0);
    bool is_used = n < 0;
    for (int i = 0; i < n; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN] = "";
        (void) virDomainGetUUIDString(doms[i], uuid); /* kept in the object */
        ma_auto_free char *note = virDomainGetMetadata(doms[i], VIR_DOMAIN_METADATA_ELEMENT,
                                                       MA_ENABLED_URI, VIR_DOMAIN_AFFECT_CONFIG);
        is_used =
            is_used || (strcmp(uuid, v->uuid) != 0 && note != NULL && strstr(note, socket) != NULL);
        (void) virDomainFree(doms[i]);
    }
    free(doms);
    return is_used;
}

static int plan_apparmor(const struct ma_virt *v, struct change *c) {
    const char *socket = c->is_adding ? c->socket : c->socket_before;
    bool concerns = (c->parts & MA_ENABLE_MONITOR) != 0 && socket != NULL && socket[0] != '\0';
    if (!concerns || !has_secmodel(v, "apparmor") || (!c->is_adding && is_rule_used(v, socket))) {
        return 0;
    }
    int r = ma_cli_read_text(MA_APPARMOR_FILE, APPARMOR_MAX_BYTES, &c->apparmor_before);
    r = r == -ENOENT ? 0 : r;
    r = r == 0 ? ma_apparmor_change(c->apparmor_before, socket, c->is_adding, &c->apparmor_after)
               : r;
    return r == 0 ? 0 : ma_cli_fail(MA_EXIT_ERROR, MA_APPARMOR_FILE ": %s", strerror(-r));
}

static void show(const struct ma_virt *v, const struct change *c) {
    int r = 0;
    if (c->shown_after != NULL && c->parts != 0) {
        (void) printf("definition of %s:\n", v->name);
        r = ma_text_diff(stdout, c->shown_before, c->shown_after);
    }
    if (r == 0 && c->apparmor_after != NULL) {
        (void) printf("%s:\n", MA_APPARMOR_FILE);
        r = ma_text_diff(stdout, c->apparmor_before != NULL ? c->apparmor_before : "",
                         c->apparmor_after);
    }
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        if ((c->live_parts >> i & 1U) != 0) {
            (void) printf("live: %s %s\n", c->is_adding ? "+" : "-", ma_enable_words(i));
        }
        if ((c->left >> i & 1U) != 0) {
            (void) printf("left as it is, since somebody changed it: %s\n", ma_enable_words(i));
        }
    }
    if (r != 0) {
        (void) puts("(no memory to show the difference)");
    }
}

/* 0: go on; else the exit code. */
static int confirm(const struct ma_domain_cli *cli) {
    char answer[16] = "";
    if (cli->is_yes) {
        return 0;
    }
    if (isatty(STDIN_FILENO) != 1) {
        return ma_cli_fail(MA_EXIT_REFUSED,
                           "nobody is there to ask; nothing was changed. -y does not ask");
    }
    (void) printf("Change it? [y/N] ");
    (void) fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        return ma_cli_fail(MA_EXIT_REFUSED, "nothing was changed");
    }
    return 0;
}

static int define(const struct ma_virt *v, const struct change *c) {
    if (c->after == NULL || (c->parts == 0 && c->is_adding)) {
        return 0;
    }
    ma_auto_free char *now =
        virDomainGetXMLDesc(v->dom, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (now == NULL || strcmp(now, c->before) != 0) {
        return ma_cli_fail(MA_EXIT_ERROR,
                           "somebody else changed the definition meanwhile; nothing was changed, "
                           "try again");
    }
    virDomainPtr dom = virDomainDefineXMLFlags(v->conn, c->after, VIR_DOMAIN_DEFINE_VALIDATE);
    if (dom == NULL) {
        return ma_virt_fail(MA_EXIT_ERROR,
                            "libvirt did not take the definition, nothing was changed");
    }
    (void) virDomainFree(dom);
    return 0;
}

static int carry_out(const struct ma_virt *v, const struct change *c) {
    int r = 0;
    if (c->apparmor_after != NULL && c->is_adding) {
        r = ma_apparmor_write(MA_APPARMOR_FILE, c->apparmor_after);
        r = r == 0 ? 0 : ma_cli_fail(MA_EXIT_ERROR, MA_APPARMOR_FILE ": %s", strerror(-r));
    }
    r = r == 0 ? define(v, c) : r;
    if (r == 0 && c->live_parts != 0) {
        r = c->is_adding ? ma_live_add(v, c->live_parts) : ma_live_take(v, c->live_parts);
    }
    if (r == 0 && c->apparmor_after != NULL && !c->is_adding) {
        r = ma_apparmor_write(MA_APPARMOR_FILE, c->apparmor_after);
        r = r == 0 ? 0 : ma_cli_fail(MA_EXIT_ERROR, MA_APPARMOR_FILE ": %s", strerror(-r));
    }
    return r;
}

static json_t *names_of(uint32_t parts) {
    json_t *list = json_array();
    for (unsigned i = 0; i < MA_ENABLE_PARTS; i++) {
        if ((parts >> i & 1U) != 0) {
            (void) json_array_append_new(list, json_string(ma_enable_name(i)));
        }
    }
    return list;
}

static int
report_json(const struct ma_domain_cli *cli, const struct ma_virt *v, const struct change *c) {
    json_t *answer =
        json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:b}", "domain", v->name, "command",
                  c->is_adding ? "enable" : "disable", "dry_run", (int) cli->is_dry_run, "changed",
                  names_of(c->parts), "live", names_of(c->live_parts), "left", names_of(c->left),
                  "apparmor", (int) (c->apparmor_after != NULL));
    int r = ma_cli_print_json(&cli->cli, answer);
    json_decref(answer);
    return r;
}

static int
report(const struct ma_domain_cli *cli, const struct ma_virt *v, const struct change *c) {
    const uint32_t at_start = c->parts & ~c->live_parts & ~(uint32_t) MA_ENABLE_GUEST;
    if (cli->cli.is_json) {
        return report_json(cli, v, c);
    }
    if (cli->is_dry_run) {
        (void) puts("a dry run: nothing was changed");
        return MA_EXIT_OK;
    }
    (void) printf("%s: %s\n", v->name, c->is_adding ? "enabled" : "disabled");
    if (v->is_active && at_start != 0) {
        (void) printf(
            "what is not live holds when it is next started: shut it down and start it; a "
            "reboot from inside is not enough\n");
    }
    if (c->is_adding && (c->parts & MA_ENABLE_MONITOR) != 0 && has_secmodel(v, "selinux")) {
        (void) printf("SELinux must allow QEMU to connect to %s; memarb brings no policy for it\n",
                      c->socket);
    }
    return MA_EXIT_OK;
}

static int run(const struct ma_domain_cli *cli, struct ma_virt *v, struct change *c) {
    int r = cli->is_dry_run ? 0 : ma_virt_lock(cli, v);
    r = r == 0 && v->is_persistent ? read_definition(v, c) : r;
    r = r == 0 && cli->is_live ? ma_live_plan(v, c->is_adding, &c->live_parts) : r;
    r = r == 0 ? plan_apparmor(v, c) : r;
    if (r != 0) {
        return r;
    }
    bool is_needed = c->parts != 0 || c->live_parts != 0 || c->left != 0;
    if (!is_needed && !cli->cli.is_json) {
        (void) printf("%s: %s\n", v->name,
                      c->is_adding ? "has everything already"
                                   : "memarbctl enable has added nothing");
        return MA_EXIT_OK;
    }
    if (!cli->cli.is_json) {
        show(v, c);
    }
    if (is_needed && !cli->is_dry_run) {
        r = confirm(cli);
        r = r == 0 ? carry_out(v, c) : r;
    }
    return r == 0 ? report(cli, v, c) : r;
}

static int enable_or_disable(const struct ma_domain_cli *cli, bool is_adding) {
    struct change change = {.is_adding = is_adding};
    struct ma_virt virt;
    int r = read_socket(cli, &change);
    if (r != 0) {
        return r;
    }
    r = ma_virt_open(cli, cli->cli.args[0], &virt);
    if (r == 0 && !virt.is_persistent && !cli->is_live) {
        r = ma_cli_fail(MA_EXIT_REFUSED,
                        "%s has no persistent definition; --live changes it while it runs",
                        virt.name);
    }
    r = r == 0 ? run(cli, &virt, &change) : r;
    ma_virt_close(&virt);
    change_done(&change);
    return r;
}

int ma_cmd_enable(const struct ma_domain_cli *cli) {
    return enable_or_disable(cli, true);
}

int ma_cmd_disable(const struct ma_domain_cli *cli) {
    return enable_or_disable(cli, false);
}
