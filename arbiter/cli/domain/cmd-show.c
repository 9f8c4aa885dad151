/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd-show.c - memarbctl show DOMAIN: what holds for it, and who said so. Needs no memarbd, and says where a running one
 * applies something else: it keeps the last good value of a mistake, and its configuration may be older. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "guest-element.h"
#include "read-text.h"
#include "settings-view.h"
#include "table.h"
#include "virt.h"
#include "xml-edit.h"

/* libvirt's own limit of one definition. */
#define DEFINITION_MAX_BYTES ((size_t) 4 << 20)

struct subject {
    char *xml;
    char *metadata; /* NULL: none */
    char *name;
    char *uuid;
    bool is_active, is_persistent;
    bool is_in_step; /* live and persistent metadata say the same */
};

static void subject_done(struct subject *s) {
    free(s->xml);
    free(s->metadata);
    free(s->name);
    free(s->uuid);
}

static char *text_of(const xmlNode *root, const char *element) {
    xmlNodePtr node = ma_xml_child(root, element, NULL);
    xmlChar *content = node != NULL ? xmlNodeGetContent(node) : NULL;
    char *text = content != NULL ? strdup((const char *) content) : NULL;
    xmlFree(content);
    return text;
}

static char *metadata_of(xmlDocPtr doc, const xmlNode *root) {
    xmlNodePtr guest = ma_xml_child(ma_xml_child(root, "metadata", NULL), "guest", MA_GUEST_URI);
    xmlBufferPtr buffer = guest != NULL ? xmlBufferCreate() : NULL;
    char *text = NULL;
    if (buffer == NULL) {
        return NULL;
    }
    (void) xmlReconciliateNs(doc, guest); /* the element may use a prefix of further out */
    if (xmlNodeDump(buffer, doc, guest, 0, 0) >= 0) {
        text = strdup((const char *) xmlBufferContent(buffer));
    }
    xmlBufferFree(buffer);
    return text;
}

static int read_file(const struct ma_domain_cli *cli, struct subject *ret) {
    int r = ma_cli_read_text(cli->xml, DEFINITION_MAX_BYTES, &ret->xml);
    if (r != 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s: %s", cli->xml, strerror(-r));
    }
    xmlDocPtr doc = ma_xml_read(ret->xml, strlen(ret->xml));
    if (doc == NULL) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s is not well-formed XML", cli->xml);
    }
    const xmlNode *root = xmlDocGetRootElement(doc);
    ret->name = text_of(root, "name");
    ret->uuid = text_of(root, "uuid");
    ret->metadata = metadata_of(doc, root);
    ret->is_persistent = true;
    ret->is_in_step = true;
    xmlFreeDoc(doc);
    return 0;
}

static int read_domain(const struct ma_domain_cli *cli, struct subject *ret) {
    struct ma_virt virt;
    char *other = NULL;
    int r = ma_virt_open(cli, cli->cli.args[0], &virt);
    if (r == 0) {
        unsigned own = virt.is_active ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG;
        ret->name = strdup(virt.name);
        ret->uuid = strdup(virt.uuid);
        ret->is_active = virt.is_active;
        ret->is_persistent = virt.is_persistent;
        ret->xml = virDomainGetXMLDesc(virt.dom, 0);
        r = ret->xml != NULL ? 0 : ma_virt_fail(MA_EXIT_ERROR, "cannot read the definition");
        r = r == 0 ? ma_virt_metadata(&virt, own, MA_GUEST_URI, &ret->metadata) : r;
        if (r == 0 && virt.is_active && virt.is_persistent) {
            r = ma_virt_metadata(&virt, VIR_DOMAIN_AFFECT_CONFIG, MA_GUEST_URI, &other);
        }
        bool has_both = virt.is_active && virt.is_persistent;
        ret->is_in_step = !has_both || ma_guest_element_same(ret->metadata, other);
        free(other);
    }
    ma_virt_close(&virt);
    return r;
}

enum agreement { NOT_ASKED, NO_DAEMON, NOT_WATCHED, SAME, DIFFERS };
static const char *const agreements[] = {"not-asked", "no-daemon", "not-watched", "same",
                                         "differs"};

/* What memarbd says of the same settings; what differs goes to *ret_differs as {name: value}. */
static enum agreement ask_memarbd(const struct ma_domain_cli *cli,
                                  const struct subject *s,
                                  const struct ma_settings_view *view,
                                  json_t *differs) {
    struct ma_cli quiet = cli->cli;
    json_t *reply = NULL;
    size_t i;
    const json_t *row;
    if (!s->is_active || s->uuid == NULL) {
        return NOT_ASKED;
    }
    quiet.is_quiet = true;
    int r = ma_cli_call(&quiet, "io.memarb.Arbiter.Explain", json_pack("{s:s}", "guest", s->uuid),
                        &reply);
    if (r != 0) {
        return r == MA_EXIT_NOT_FOUND ? NOT_WATCHED : NO_DAEMON;
    }
    json_array_foreach(json_object_get(reply, "settings"), i, row) {
        for (size_t k = 0; k < MA_SETTING_COUNT; k++) {
            const struct ma_setting *setting = &view->settings[k];
            if (strcmp(ma_cli_text(row, "name"), setting->name) == 0 &&
                strcmp(ma_cli_text(row, "value"), setting->value) != 0) {
                (void) json_object_set_new(differs, setting->name,
                                           json_string(ma_cli_text(row, "value")));
            }
        }
    }
    json_decref(reply);
    return json_object_size(differs) > 0 ? DIFFERS : SAME;
}

static int print_json(const struct ma_domain_cli *cli,
                      const struct subject *s,
                      const struct ma_settings_view *view,
                      enum agreement agreement,
                      json_t *differs) {
    json_t *settings = json_array();
    char rule[MA_SETTING_ORIGIN_MAX];
    for (size_t i = 0; i < MA_SETTING_COUNT; i++) {
        const struct ma_setting *x = &view->settings[i];
        json_t *row =
            json_pack("{s:s, s:s, s:s}", "name", x->name, "value", x->value, "from", x->from);
        if (x->rule != NULL) {
            (void) json_object_set_new(row, "rule", json_string(ma_setting_origin(x->rule, rule)));
        }
        (void) json_array_append_new(settings, row);
    }
    json_t *answer = json_pack(
        "{s:s?, s:s?, s:b, s:b, s:b, s:b, s:s?, s:s, s:O, s:o}", "domain", s->name, "uuid", s->uuid,
        "running", (int) s->is_active, "persistent", (int) s->is_persistent, "in_step",
        (int) s->is_in_step, "invalid", (int) view->is_invalid, "problem",
        view->problem[0] != '\0' ? view->problem : NULL, "memarbd", agreements[agreement],
        "memarbd_applies", differs, "settings", settings);
    int r = ma_cli_print_json(&cli->cli, answer);
    json_decref(answer);
    return r;
}

static void print_notes(const struct subject *s, const struct ma_settings_view *view) {
    if (view->problem[0] != '\0') {
        (void) printf("problem: %s\n", view->problem);
    }
    if (view->is_invalid) {
        (void) printf(
            "It is no victim until that is mended; memarbd keeps a value that was good before.\n");
    }
    if (!s->is_in_step) {
        (void) printf(
            "Live metadata and those of the definition differ: the live ones hold until it "
            "is shut down.\n");
    }
}

static void print_agreement(enum agreement agreement, const json_t *differs) {
    const char *name;
    const json_t *value;
    switch (agreement) {
    case SAME:
        (void) puts("memarbd applies these.");
        break;
    case DIFFERS:
        json_object_foreach((json_t *) (uintptr_t) differs, name, value) {
            (void) printf("memarbd applies %s=%s at the moment\n", name, json_string_value(value));
        }
        break;
    case NO_DAEMON:
        (void) puts("memarbd does not answer: nobody applies these now.");
        break;
    case NOT_WATCHED:
        (void) puts("memarbd does not watch this guest.");
        break;
    case NOT_ASKED:
    default:
        break;
    }
}

static int print_text(const struct ma_domain_cli *cli,
                      const struct subject *s,
                      const struct ma_settings_view *view,
                      enum agreement agreement,
                      const json_t *differs) {
    struct ma_table table;
    char rule[MA_SETTING_ORIGIN_MAX];
    (void) printf("%s, %s%s\n\n", s->name != NULL ? s->name : "a domain without a name",
                  s->is_active ? "running" : "not running", s->is_persistent ? "" : ", transient");
    ma_table_init(&table, "SETTING VALUE FROM", cli->cli.is_color);
    for (size_t i = 0; i < MA_SETTING_COUNT; i++) {
        const struct ma_setting *x = &view->settings[i];
        bool is_said = strcmp(x->from, "default") != 0;
        ma_table_add(&table, MA_COLOR_NONE, x->name);
        ma_table_add(&table, is_said ? MA_COLOR_BOLD : MA_COLOR_NONE, x->value);
        ma_table_add(&table, MA_COLOR_NONE,
                     x->rule != NULL ? ma_setting_origin(x->rule, rule) : x->from);
    }
    ma_table_print(&table, 0);
    (void) putchar('\n');
    print_notes(s, view);
    print_agreement(agreement, differs);
    return MA_EXIT_OK;
}

int ma_cmd_show(const struct ma_domain_cli *cli) {
    struct subject subject = {0};
    struct ma_settings_view view;
    struct ma_config *config = NULL;
    struct ma_err err = {0};
    if ((cli->xml != NULL) == (cli->cli.n_args > 0)) {
        return ma_cli_fail(MA_EXIT_USAGE, "show takes either a domain or --xml=FILE");
    }
    if (ma_config_load(cli->cli.config, &config, &err) != 0) {
        return ma_cli_fail(MA_EXIT_ERROR, "%s; memarbctl check-config", err.message);
    }
    int r = cli->xml != NULL ? read_file(cli, &subject) : read_domain(cli, &subject);
    if (r == 0 && ma_settings_view_make(config, subject.uuid, subject.name, subject.xml,
                                        subject.metadata, &view) != 0) {
        r = ma_cli_fail(MA_EXIT_ERROR, "the definition cannot be read");
    }
    if (r == 0) {
        json_t *differs = json_object();
        enum agreement agreement = ask_memarbd(cli, &subject, &view, differs);
        r = cli->cli.is_json ? print_json(cli, &subject, &view, agreement, differs)
                             : print_text(cli, &subject, &view, agreement, differs);
        json_decref(differs);
    }
    subject_done(&subject);
    ma_config_destroy(config);
    return r;
}
