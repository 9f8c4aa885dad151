/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-element.c - KEY=VALUE into the element: what is kept, what is refused, that nothing bad comes out. */
#include "guest-element.h"

#include <errno.h>
#include <libxml/parser.h>

#include "metadata.h"
#include "tap.h"

/* Changes in one line, blank-separated; '_' stands for a blank in a value. */
static int change(const char *before, const char *line, char **ret_after, struct ma_err *err) {
    static char words[8][64];
    struct ma_guest_change changes[8];
    size_t n = 0;
    *err = (struct ma_err){0};
    for (size_t len = 0; *line != '\0' && n < 8; line += len, n++) {
        line += strspn(line, " ");
        len = strcspn(line, " ");
        (void) snprintf(words[n], sizeof(words[n]), "%.*s", (int) len, line);
        for (char *c = words[n]; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        int r = ma_guest_change_parse(words[n], &changes[n], err);
        if (r != 0) {
            return r;
        }
    }
    return ma_guest_element_change(before, changes, n, ret_after, err);
}

static void expect(const char *before, const char *line, const char *after) {
    struct ma_err err;
    char *got = NULL;
    int r = change(before, line, &got, &err);
    if (r != 0) {
        TAP_FAIL("%s: %s", line, err.message);
    }
    if (after == NULL) {
        CHECK(got == NULL);
    } else {
        CHECK_STR(got, after);
    }
    free(got);
}

static void refuse(const char *before, const char *line, const char *word) {
    struct ma_err err;
    char *got = NULL;
    if (change(before, line, &got, &err) == 0) {
        TAP_FAIL("%s was taken: %s", line, got != NULL ? got : "nothing left");
    }
    if (strstr(err.message, word) == NULL) {
        TAP_FAIL("%s: \"%s\" does not say \"%s\"", line, err.message, word);
    }
    CHECK(got == NULL);
}

static void values_find_their_places(void) {
    expect(NULL, "impact=300", "<guest impact=\"300\"/>");
    expect(NULL, "guarantee=2GiB limit=4GiB",
           "<guest>\n  <memory guarantee=\"2GiB\" limit=\"4GiB\"/>\n</guest>");
    expect("<guest impact=\"1\"><memory guarantee=\"2GiB\"/></guest>", "limit=4GiB impact=never",
           "<guest impact=\"never\">\n  <memory guarantee=\"2GiB\" limit=\"4GiB\"/>\n</guest>");
    expect(NULL, "actions=balloon_pause shutdown-timeout=5s",
           "<guest>\n  <actions allow=\"balloon pause\" shutdown-timeout=\"5s\"/>\n</guest>");
    expect(NULL, "actions=none", "<guest>\n  <actions allow=\"\"/>\n</guest>");
    expect(NULL, "pin-limit=1GiB cap-memory=2GiB cap-swap=0B cap-pids=9 cap-cpu=150%",
           "<guest>\n  <pin limit=\"1GiB\"/>\n  <cap memory=\"2GiB\" swap=\"0B\" pids=\"9\" "
           "cpu=\"150%\"/>\n</guest>");
}

static void an_empty_value_takes_away(void) {
    expect("<guest impact=\"5\" shares=\"7\"/>", "impact=", "<guest shares=\"7\"/>");
    expect("<guest impact=\"5\"/>", "impact=", NULL);
    expect("<guest><memory guarantee=\"2GiB\"/></guest>", "guarantee=", NULL);
    expect("<guest>\n  <memory guarantee=\"2GiB\" limit=\"3GiB\"/>\n</guest>",
           "guarantee=", "<guest>\n  <memory limit=\"3GiB\"/>\n</guest>");
    expect(NULL, "impact=", NULL);
    expect("<guest><group name=\"a\"/><pin limit=\"1B\"/></guest>",
           "group=", "<guest>\n  <pin limit=\"1B\"/>\n</guest>");
}

static void a_bad_value_is_refused_by_name(void) {
    refuse(NULL, "impact=nevr", "never, first or 1..1000");
    refuse(NULL, "impact=0", "impact");
    refuse(NULL, "guarantee=2G", "2GiB");
    refuse(NULL, "limit=0B", "limit");
    refuse(NULL, "guarantee=3GiB limit=2GiB", "exceeds");
    refuse("<guest><memory limit=\"1GiB\"/></guest>", "guarantee=2GiB", "exceeds");
    refuse(NULL, "group=a_b", "no blank");
    refuse(NULL, "actions=shoot", "names of");
    refuse(NULL, "restart=90", "90s");
    refuse(NULL, "cap-cpu=1.234%", "schema");
    refuse(NULL, "impct=5", "keys: impact, shares");
    refuse(NULL, "impact", "KEY=VALUE");
    refuse(NULL, "=5", "KEY=VALUE");
}

static void what_is_not_known_is_neither_dropped_nor_passed(void) {
    refuse("<guest impct=\"5\"/>", "shares=5", "impct");
    refuse("<guest><membory guarantee=\"5GiB\"/></guest>", "shares=5", "membory");
    refuse("<domain/>", "shares=5", "--edit");
    refuse("not xml", "shares=5", "--edit");
    refuse("<!DOCTYPE guest [<!ENTITY a \"1\">]><guest impact=\"&a;\"/>", "shares=5", "--edit");
}

static void a_mistake_is_mended_by_its_own_key(void) {
    expect("<guest impact=\"sometimes\"/>", "impact=5", "<guest impact=\"5\"/>");
    expect("<guest impact=\"sometimes\" shares=\"5\"/>", "impact=", "<guest shares=\"5\"/>");
    refuse("<guest impact=\"sometimes\"/>", "shares=5", "impact");
    /* Said in two elements: one is left. */
    expect("<guest><memory guarantee=\"1GiB\"/><memory guarantee=\"2GiB\"/></guest>",
           "guarantee=3GiB", "<guest>\n  <memory guarantee=\"3GiB\"/>\n</guest>");
}

static void prefixed_elements_stay_so(void) {
    expect("<memarb:guest xmlns:memarb=\"urn:memarb:guest:1\" impact=\"5\"/>", "guarantee=1GiB",
           "<memarb:guest xmlns:memarb=\"urn:memarb:guest:1\" impact=\"5\">\n"
           "  <memarb:memory guarantee=\"1GiB\"/>\n</memarb:guest>");
}

/* Any two changes on any start: refused, or memarbd takes it whole. */
static void nothing_bad_comes_out(void) {
    static const char *const starts[] = {
        NULL, "<guest/>", "<guest impact=\"never\"><cap pids=\"5\"/></guest>",
        "<guest><memory guarantee=\"1GiB\" limit=\"2GiB\"/><actions/></guest>"};
    static const char *const keys[] = {"impact",   "shares",  "restart", "guarantee", "limit",
                                       "cap-pids", "cap-cpu", "actions", "group",     "bogus"};
    static const char *const values[] = {"",
                                         "never",
                                         "5",
                                         "-1",
                                         "2GiB",
                                         "0B",
                                         "1.5GiB",
                                         "5s",
                                         "a\"<b",
                                         "balloon",
                                         "18446744073709551616",
                                         "3%",
                                         "\xc3\xa4",
                                         "&amp;"};
    uint64_t seed = 20260101;
    for (int i = 0; i < 3000; i++) {
        char line[160];
        struct ma_err err;
        struct ma_metadata parsed;
        char *got = NULL;
        (void) snprintf(line, sizeof(line), "%s=%s %s=%s", keys[tap_below(&seed, 10)],
                        values[tap_below(&seed, 14)], keys[tap_below(&seed, 10)],
                        values[tap_below(&seed, 14)]);
        if (change(starts[tap_below(&seed, 4)], line, &got, &err) != 0) {
            CHECK(err.message[0] != '\0');
        } else if (got != NULL) {
            ma_metadata_parse(got, strlen(got), &parsed);
            CHECK_STR(parsed.problem, "");
            CHECK_U64(parsed.bad, 0);
        }
        free(got);
    }
    xmlCleanupParser();
}

TAP_MAIN(TAP_CASE(values_find_their_places),
         TAP_CASE(an_empty_value_takes_away),
         TAP_CASE(a_bad_value_is_refused_by_name),
         TAP_CASE(what_is_not_known_is_neither_dropped_nor_passed),
         TAP_CASE(a_mistake_is_mended_by_its_own_key),
         TAP_CASE(prefixed_elements_stay_so),
         TAP_CASE(nothing_bad_comes_out));
