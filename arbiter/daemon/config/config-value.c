/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-value.c - one value: from text to its place, or a message that says what to write instead. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "cleanup.h"
#include "config-internal.h"

static bool bad(struct ma_config_load *load,
                const struct ma_config_key *key,
                const char *value,
                const char *instead) {
    ma_config_report(load, "%s=%.64s: %s", key->name, value, instead);
    return false;
}

/* What a person probably meant with "4G", "4GB" or "4096". */
static bool
bad_bytes(struct ma_config_load *load, const struct ma_config_key *key, const char *value) {
    size_t digits = strspn(value, "0123456789.");
    const char *unit = value + digits;
    if (digits > 0 && digits <= 20 && *unit == '\0') {
        ma_config_report(load, "%s=%s has no unit; write %s%s (B, KiB, MiB, GiB, TiB)", key->name,
                         value, value, strlen(value) > 6 ? "B" : "MiB");
        return false;
    }
    if (digits > 0 && digits <= 20 && strchr("KMGTkmgt", *unit) != NULL &&
        (unit[1] == '\0' || strcasecmp(unit + 1, "b") == 0)) {
        ma_config_report(load, "%s=%s: the unit is not exact; write %.*s%ciB", key->name, value,
                         (int) digits, value, *unit & ~0x20);
        return false;
    }
    return bad(load, key, value, "not an amount; write one with its unit, such as 512MiB or 4GiB");
}

static bool parse_bytes(struct ma_config_load *load,
                        const struct ma_config_key *key,
                        const char *value,
                        uint64_t *ret) {
    int r = ma_parse_bytes(value, ret);
    if (r == -ERANGE) {
        return bad(load, key, value, "too large; at most 1024TiB");
    }
    return r == 0 || bad_bytes(load, key, value);
}

static bool set_bytes(struct ma_config_load *load,
                      const struct ma_config_key *key,
                      const char *value,
                      uint64_t *at) {
    uint64_t bytes = 0;
    char low[MA_FORMAT_MAX], high[MA_FORMAT_MAX];
    if (!parse_bytes(load, key, value, &bytes)) {
        return false;
    }
    if (key->max > 0 && (bytes < key->min || bytes > key->max)) {
        ma_config_report(load, "%s=%s is out of bounds; write %s to %s", key->name, value,
                         ma_format_bytes(low, key->min), ma_format_bytes(high, key->max));
        return false;
    }
    *at = bytes;
    return true;
}

static bool set_amount(struct ma_config_load *load,
                       const struct ma_config_key *key,
                       const char *value,
                       struct ma_config_amount *at) {
    struct ma_config_amount amount = {.is_said = value[0] != '\0'};
    size_t len = strlen(value);
    if (len > 0 && value[len - 1] == '%') {
        amount.is_percent = true;
        if (ma_parse_percent(value, MA_PERMYRIAD_FULL, &amount.permyriad) != 0) {
            return bad(load, key, value, "not a share of the host; write 0% to 100%");
        }
    } else if (len > 0 && !parse_bytes(load, key, value, &amount.bytes)) {
        return false;
    }
    *at = amount;
    return true;
}

static bool set_usec(struct ma_config_load *load,
                     const struct ma_config_key *key,
                     const char *value,
                     uint64_t *at) {
    uint64_t usec = 0;
    char low[MA_FORMAT_MAX], high[MA_FORMAT_MAX];
    if (ma_parse_usec(value, &usec) != 0) {
        if (value[0] != '\0' && strlen(value) < 12 && value[strspn(value, "0123456789.")] == '\0') {
            ma_config_report(load, "%s=%s has no unit; write %ss (us, ms, s, min, h, d)", key->name,
                             value, value);
            return false;
        }
        return bad(load, key, value,
                   "not a time; write one with its unit, such as 250ms, 60s or 10min");
    }
    if (usec < key->min || usec > key->max) {
        ma_config_report(load, "%s=%s is out of bounds; write %s to %s", key->name, value,
                         ma_format_usec(low, key->min), ma_format_usec(high, key->max));
        return false;
    }
    *at = usec;
    return true;
}

static bool set_percent(struct ma_config_load *load,
                        const struct ma_config_key *key,
                        const char *value,
                        uint64_t *at) {
    uint64_t permyriad = 0;
    if (ma_parse_percent(value, key->max, &permyriad) != 0 || permyriad < key->min) {
        ma_config_report(load, "%s=%.64s: not a percentage; write %s%" PRIu64 "%%, such as 5%%",
                         key->name, value, key->min > 0 ? "more than 0% and at most " : "0% to ",
                         key->max / 100);
        return false;
    }
    *at = permyriad;
    return true;
}

static bool set_number(struct ma_config_load *load,
                       const struct ma_config_key *key,
                       const char *value,
                       uint64_t *at) {
    uint64_t number = 0;
    if (ma_parse_u64(value, key->max, &number) != 0 || number < key->min) {
        ma_config_report(
            load, "%s=%.64s: not a number within bounds; write %" PRIu64 " to %" PRIu64 "%s",
            key->name, value, key->min, key->max, key->type == MA_KEY_U32_AUTO ? ", or auto" : "");
        return false;
    }
    *at = number;
    return true;
}

static bool set_bool(struct ma_config_load *load,
                     const struct ma_config_key *key,
                     const char *value,
                     bool *at) {
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *at = strcmp(value, yes[i]) == 0;
            return true;
        }
    }
    return bad(load, key, value, "write yes or no");
}

/* The index of the word in a blank-separated list, or -1. */
static int index_of_word(const char *words, const char *word) {
    size_t len = strlen(word);
    int index = 0;
    for (const char *w = words; *w != '\0'; index++) {
        size_t n = strcspn(w, " ");
        if (n == len && strncmp(w, word, n) == 0) {
            return index;
        }
        w += n;
        w += strspn(w, " ");
    }
    return -1;
}

static bool
set_enum(struct ma_config_load *load, const struct ma_config_key *key, const char *value, int *at) {
    int index = index_of_word(key->choices, value);
    if (index < 0) {
        ma_config_report(load, "%s=%.64s: not known; write one of: %s", key->name, value,
                         key->choices);
        return false;
    }
    *at = index;
    return true;
}

static bool set_text(struct ma_config_load *load,
                     const struct ma_config_key *key,
                     const char *value,
                     const char **at) {
    size_t len = strlen(value);
    if (len < key->min) {
        ma_config_report(load, "%s= must not be empty; the default is %s", key->name,
                         key->standard);
        return false;
    }
    if (key->max > 0 && len > key->max) {
        ma_config_report(load, "%s= is too long; at most %" PRIu64 " bytes", key->name, key->max);
        return false;
    }
    if (key->type == MA_KEY_PATH && len > 0 && value[0] != '/') {
        return bad(load, key, value, "not an absolute path; begin it with /");
    }
    const char *kept = ma_config_keep(load, value);
    if (kept == NULL) {
        return false;
    }
    *at = kept;
    return true;
}

/* Several globs between blanks; a later file's value replaces the earlier one whole. */
static bool set_globs(struct ma_config_load *load,
                      const struct ma_config_key *key,
                      const char *value,
                      struct ma_config_globs *at) {
    const char **globs = calloc(MA_CONFIG_GLOBS_MAX, sizeof(*globs));
    ma_auto_free char *copy = strdup(value);
    size_t n = 0;
    if (globs == NULL || copy == NULL) {
        free(globs);
        load->is_out_of_memory = true;
        return false;
    }
    char *save = NULL;
    for (char *word = strtok_r(copy, " \t", &save); word != NULL;
         word = strtok_r(NULL, " \t", &save)) {
        if (word[0] != '/' || n == MA_CONFIG_GLOBS_MAX) {
            free(globs);
            return bad(load, key, word,
                       word[0] != '/' ? "not an absolute path; begin each glob with /"
                                      : "too many globs; at most 64");
        }
        globs[n++] = ma_config_keep(load, word);
    }
    free(at->items);
    *at = (struct ma_config_globs){globs, n};
    return !load->is_out_of_memory;
}

static bool set_impact(struct ma_config_load *load,
                       const struct ma_config_key *key,
                       const char *value,
                       struct ma_guest_config *config) {
    uint64_t impact = 0;
    if (strcmp(value, "never") == 0) {
        config->impact_class = MA_IMPACT_NEVER;
    } else if (strcmp(value, "first") == 0) {
        config->impact_class = MA_IMPACT_FIRST;
    } else if (ma_parse_u64(value, key->max, &impact) == 0 && impact >= key->min) {
        config->impact_class = MA_IMPACT_WEIGHT;
        config->impact = (uint32_t) impact;
    } else {
        return bad(load, key, value, "write 1 to 1000, never or first");
    }
    return true;
}

static bool set_actions(struct ma_config_load *load,
                        const struct ma_config_key *key,
                        const char *value,
                        uint32_t *ret_actions) {
    ma_auto_free char *copy = strdup(value);
    char *save = NULL;
    uint32_t actions = 0;
    if (copy == NULL) {
        load->is_out_of_memory = true;
        return false;
    }
    if (value[0] == '\0') {
        return bad(load, key, value, "empty; write the actions between blanks, or none");
    }
    if (strcmp(value, "none") == 0) {
        *ret_actions = 0;
        return true;
    }
    for (char *word = strtok_r(copy, " \t", &save); word != NULL;
         word = strtok_r(NULL, " \t", &save)) {
        int action = index_of_word("balloon resize reclaim pause save shutdown kill", word);
        if (action < 0) {
            return bad(load, key, word,
                       "no action; write some of: balloon resize reclaim pause save shutdown kill");
        }
        actions |= MA_ACTION_BIT(action);
    }
    *ret_actions = actions;
    return true;
}

static bool set_group(struct ma_config_load *load,
                      const struct ma_config_key *key,
                      const char *value,
                      struct ma_guest_rule *rule) {
    size_t len = strlen(value);
    if (len < key->min || len > key->max) {
        return bad(load, key, value, "write a name of 1 to 63 bytes");
    }
    (void) memcpy(rule->group, value, len + 1);
    return true;
}

/* Values that both tables have. */
static bool set_scalar(struct ma_config_load *load,
                       const struct ma_config_key *key,
                       const char *value,
                       char *at) {
    uint64_t number = 0;
    bool is_number32 = key->type == MA_KEY_U32 || key->type == MA_KEY_U32_AUTO;
    switch ((int) key->type) {
    case MA_KEY_BYTES:
        return set_bytes(load, key, value, (uint64_t *) (void *) at);
    case MA_KEY_USEC:
        return set_usec(load, key, value, (uint64_t *) (void *) at);
    case MA_KEY_PERCENT_U64:
        return set_percent(load, key, value, (uint64_t *) (void *) at);
    case MA_KEY_U64:
        return set_number(load, key, value, (uint64_t *) (void *) at);
    default:
        break;
    }
    bool is_auto = key->type == MA_KEY_U32_AUTO && strcmp(value, "auto") == 0;
    if (!is_auto && !(is_number32 ? set_number(load, key, value, &number)
                                  : set_percent(load, key, value, &number))) {
        return false;
    }
    *(uint32_t *) (void *) at = (uint32_t) number;
    return true;
}

bool ma_config_set(struct ma_config_load *load,
                   const struct ma_config_key *key,
                   const char *value) {
    char *at = (char *) &load->owned->config + key->offset;
    switch ((int) key->type) {
    case MA_KEY_AMOUNT:
        return set_amount(load, key, value, (struct ma_config_amount *) (void *) at);
    case MA_KEY_BOOL:
        return set_bool(load, key, value, (bool *) at);
    case MA_KEY_ENUM:
        return set_enum(load, key, value, (int *) (void *) at);
    case MA_KEY_TEXT:
    case MA_KEY_PATH:
        return set_text(load, key, value, (const char **) (void *) at);
    case MA_KEY_GLOBS:
        return set_globs(load, key, value, (struct ma_config_globs *) (void *) at);
    case MA_KEY_ACTIONS:
        return set_actions(load, key, value, (uint32_t *) (void *) at);
    default:
        return set_scalar(load, key, value, at);
    }
}

bool ma_config_set_guest(struct ma_config_load *load,
                         const struct ma_config_key *key,
                         const char *value,
                         struct ma_guest_rule *rule) {
    bool is_good = false;
    switch ((int) key->type) {
    case MA_KEY_IMPACT:
        is_good = set_impact(load, key, value, &rule->config);
        break;
    case MA_KEY_ACTIONS:
        is_good = set_actions(load, key, value, &rule->config.actions);
        break;
    case MA_KEY_GROUP:
        is_good = set_group(load, key, value, rule);
        break;
    default:
        is_good = set_scalar(load, key, value, (char *) &rule->config + key->offset);
        break;
    }
    if (is_good) {
        rule->config.has |= key->has;
    }
    return is_good;
}
