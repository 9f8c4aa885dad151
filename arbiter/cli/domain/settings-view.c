/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* settings-view.c - each matching section is merged alone, so that it is known which one said what; the last one holds. */
#include "settings-view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "domain-facts.h"

struct origins {
    const struct ma_guest_rule
        *rule[32]; /* per bit of enum ma_config_has: who said it; NULL: nobody */
    uint32_t from_metadata;
};

static const char *const match_names[] = {
    [MA_RULE_UUID] = "uuid",
    [MA_RULE_NAME] = "name",
    [MA_RULE_TITLE] = "title",
    [MA_RULE_XPATH] = "xpath",
};

char *ma_setting_origin(const struct ma_guest_rule *rule, char buf[MA_SETTING_ORIGIN_MAX]) {
    (void) snprintf(buf, MA_SETTING_ORIGIN_MAX, "[Guest %s:%s], line %u", match_names[rule->match],
                    rule->pattern, rule->line);
    return buf;
}

static void merge_rules(const struct ma_config *config,
                        const struct ma_rule_subject *subject,
                        struct ma_said *said,
                        struct origins *origins,
                        char *problem) {
    for (size_t i = 0; i < config->rules.n_rules; i++) {
        struct ma_guest_rules one = config->rules;
        struct ma_said alone = {0};
        one.rules = &config->rules.rules[i];
        one.n_rules = 1;
        ma_rules_merge(&one, subject, &alone, problem);
        ma_said_merge(said, &alone);
        for (unsigned bit = 0; bit < 32; bit++) {
            if ((alone.config.has >> bit & 1U) != 0) {
                origins->rule[bit] = one.rules;
            }
        }
    }
}

static const char *format_impact(const struct ma_guest_config *c, char *buf, size_t size) {
    static const char *const classes[] = {
        [MA_IMPACT_NEVER] = "never",
        [MA_IMPACT_FIRST] = "first",
    };
    if (c->impact_class != MA_IMPACT_WEIGHT) {
        return classes[c->impact_class];
    }
    (void) snprintf(buf, size, "%" PRIu32, c->impact);
    return buf;
}

static const char *format_actions(uint32_t actions, char *buf, size_t size) {
    size_t len = 0;
    (void) snprintf(buf, size, "none");
    for (unsigned i = 0; i < MA_ACTION_OPTION_COUNT && len < size; i++) {
        if ((actions & MA_ACTION_BIT(i)) != 0) {
            int n = snprintf(buf + len, size - len, "%s%s", len > 0 ? " " : "",
                             ma_action_name((enum ma_action) i));
            len += n > 0 ? (size_t) n : 0;
        }
    }
    return buf;
}

struct writer {
    struct ma_settings_view *view;
    size_t n;
    const struct ma_guest_config *config;
    const struct origins *origins;
};

static void
add(struct writer *w, const char *name, uint32_t has, const char *said, const char *standard) {
    struct ma_setting *s = &w->view->settings[w->n++];
    bool is_said = (w->config->has & has) != 0;
    const struct ma_guest_rule *rule = w->origins->rule[__builtin_ctz(has)];
    *s = (struct ma_setting){.name = name, .from = "default"};
    (void) snprintf(s->value, sizeof(s->value), "%s", is_said ? said : standard);
    if (is_said && (w->origins->from_metadata & has) != 0) {
        s->from = "metadata";
    } else if (is_said && rule != NULL) {
        s->from = "rule";
        s->rule = rule;
    }
}

static void
add_bytes(struct writer *w, const char *name, uint32_t has, uint64_t bytes, const char *standard) {
    char text[MA_FORMAT_MAX];
    add(w, name, has, ma_format_bytes(text, bytes), standard);
}

static void
add_usec(struct writer *w, const char *name, uint32_t has, uint64_t usec, const char *standard) {
    char text[MA_FORMAT_MAX];
    add(w, name, has, ma_format_usec(text, usec), standard);
}

static void
add_number(struct writer *w, const char *name, uint32_t has, uint64_t n, const char *unit) {
    char text[32];
    (void) snprintf(text, sizeof(text), "%" PRIu64 "%s", n, unit);
    add(w, name, has, text, "none");
}

static void add_memory(struct writer *w, uint64_t max_bytes, uint64_t guarantee_permyriad) {
    const struct ma_guest_config *c = w->config;
    char half[MA_FORMAT_MAX], all[MA_FORMAT_MAX];
    bool has_max = max_bytes > 0;
    uint64_t guarantee = ma_permyriad_of(max_bytes, guarantee_permyriad);
    add_bytes(w, "guarantee", MA_CONFIG_HAS_GUARANTEE, c->guarantee_bytes,
              has_max ? ma_format_bytes(half, guarantee) : "not known yet");
    add_bytes(w, "limit", MA_CONFIG_HAS_LIMIT, c->limit_bytes,
              has_max ? ma_format_bytes(all, max_bytes) : "not known yet");
    add_bytes(w, "pin-limit", MA_CONFIG_HAS_PIN_LIMIT, c->pin_limit_bytes, "none");
    add_bytes(w, "cap-memory", MA_CONFIG_HAS_CAP_MEMORY, c->cap_memory_bytes, "none");
    add_bytes(w, "cap-swap", MA_CONFIG_HAS_CAP_SWAP, c->cap_swap_bytes, "none");
}

static void
add_all(struct writer *w, const struct ma_said *said, const struct ma_settings *settings) {
    const struct ma_guest_config *c = &said->config;
    char text[MA_SETTING_VALUE_MAX], standard[MA_SETTING_VALUE_MAX];
    (void) snprintf(standard, sizeof(standard), "%u", MA_IMPACT_DEFAULT);
    add(w, "impact", MA_CONFIG_HAS_IMPACT, format_impact(c, text, sizeof(text)), standard);
    (void) snprintf(standard, sizeof(standard), "%u", MA_SHARES_DEFAULT);
    (void) snprintf(text, sizeof(text), "%" PRIu32, c->shares);
    add(w, "shares", MA_CONFIG_HAS_SHARES, text, standard);
    add_memory(w, w->view->max_bytes, settings->guarantee_permyriad);
    add_number(w, "cap-pids", MA_CONFIG_HAS_CAP_PIDS, c->cap_pids, "");
    add_number(w, "cap-cpu", MA_CONFIG_HAS_CAP_CPU, c->cap_cpu_permyriad / 100, "%");
    add(w, "actions", MA_CONFIG_HAS_ACTIONS, format_actions(c->actions, text, sizeof(text)),
        format_actions(MA_ACTIONS_DEFAULT, standard, sizeof(standard)));
    add(w, "group", MA_CONFIG_HAS_GROUP, said->group, "none");
    add_usec(w, "restart", MA_CONFIG_HAS_RESTART, c->restart_usec, "not said");
    add_usec(w, "shutdown-timeout", MA_CONFIG_HAS_SHUTDOWN_TIMEOUT, c->shutdown_timeout_usec,
             "ShutdownTimeout=");
}

static void
merge_metadata(const char *text, struct ma_said *said, struct origins *origins, char *problem) {
    struct ma_metadata parsed;
    struct ma_said good;
    ma_metadata_parse(text, strlen(text), &parsed);
    ma_metadata_merge(&parsed, NULL, said, &good);
    origins->from_metadata = good.config.has;
    if (parsed.problem[0] != '\0') {
        (void) snprintf(problem, MA_SOURCE_PROBLEM_MAX, "%s", parsed.problem);
    }
}

int ma_settings_view_make(const struct ma_config *config,
                          const char *uuid,
                          const char *name,
                          const char *xml,
                          const char *metadata,
                          struct ma_settings_view *ret) {
    struct ma_said said = {0};
    struct origins origins = {0};
    struct lv_facts facts = {0};
    struct ma_settings settings;
    struct writer writer = {ret, 0, &said.config, &origins};
    xmlDocPtr doc = lv_domain_parse(xml);
    if (doc == NULL) {
        return -EINVAL;
    }
    *ret = (struct ma_settings_view){0};
    lv_facts_read(doc, &facts);
    ret->max_bytes = facts.max_bytes;
    struct ma_rule_subject subject = {uuid, name, facts.title, doc};
    merge_rules(config, &subject, &said, &origins, ret->problem);
    if (metadata != NULL) {
        merge_metadata(metadata, &said, &origins, ret->problem);
    }
    xmlFreeDoc(doc);
    ret->is_invalid = (said.config.has & MA_CONFIG_HAS_VALID) != 0 && said.config.is_invalid;
    ma_settings_init(&settings);
    add_all(&writer, &said, &settings);
    return 0;
}
