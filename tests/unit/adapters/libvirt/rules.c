/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rules.c - the host's own rules, matched against guests. */

#include <libxml/parser.h>

#include "bytes.h"
#include "metadata.h"
#include "tap.h"

static const char domain[] =
    "<domain type='kvm'><name>instance-0001</name><title>db one</title><metadata>"
    "<nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>"
    "<nova:flavor name='m1.large'/><nova:owner><nova:project uuid='p-7'>erp</nova:project>"
    "</nova:owner></nova:instance>"
    "<ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'><ovirt-vm:minGuaranteedMemoryMb "
    "type='int'>512</ovirt-vm:minGuaranteedMemoryMb></ovirt-vm:vm>"
    "<c:label xmlns:c='urn:company'>gold</c:label></metadata></domain>";

static struct ma_guest_rule rule(enum ma_rule_match match, const char *pattern, uint32_t impact) {
    struct ma_guest_rule r = {.match = match, .line = 12};
    (void) snprintf(r.pattern, sizeof(r.pattern), "%s", pattern);
    r.config.has = MA_CONFIG_HAS_IMPACT;
    r.config.impact = impact;
    return r;
}

static struct ma_said merge(const struct ma_guest_rule *list, size_t n, char *problem) {
    static const struct ma_rule_namespace company = {"c", "urn:company"};
    struct ma_guest_rules rules = {list, n, &company, 1};
    struct ma_said said = {0};
    xmlDocPtr doc = xmlReadMemory(domain, (int) strlen(domain), NULL, NULL, XML_PARSE_NONET);
    struct ma_rule_subject subject = {"6695eb01-f6a4-8304-79aa-97f2502e193f", "instance-0001",
                                      "db one", doc};
    problem[0] = '\0';
    ma_rules_merge(&rules, &subject, &said, problem);
    xmlFreeDoc(doc);
    return said;
}

static const struct {
    enum ma_rule_match match;
    const char *pattern;
    bool does;
} rows[] = {
    {MA_RULE_UUID, "6695EB01-F6A4-8304-79AA-97F2502E193F", true},
    {MA_RULE_UUID, "6695eb01-f6a4-8304-79aa-97f2502e193", false},
    {MA_RULE_UUID, "*", false},
    {MA_RULE_NAME, "instance-*", true},
    {MA_RULE_NAME, "instance", false},
    {MA_RULE_NAME, "Instance-0001", false},
    {MA_RULE_NAME, "*", true},
    {MA_RULE_TITLE, "db *", true},
    {MA_RULE_TITLE, "web *", false},
    {MA_RULE_XPATH, "//nova:flavor[@name='m1.large']", true},
    {MA_RULE_XPATH, "//nova:flavor[@name='m1.small']", false},
    {MA_RULE_XPATH, "//nova:project[@uuid='p-7']", true},
    {MA_RULE_XPATH, "string(//nova:project)", true},
    {MA_RULE_XPATH, "//nova:project='erp'", true},
    {MA_RULE_XPATH, "//ovirt-vm:minGuaranteedMemoryMb > 256", true},
    {MA_RULE_XPATH, "//ovirt-vm:minGuaranteedMemoryMb > 1024", false},
    {MA_RULE_XPATH, "//c:label='gold'", true},
    {MA_RULE_XPATH, "/domain[@type='kvm']", true},
    {MA_RULE_XPATH, "metadata/memarb:guest", false},
    {MA_RULE_XPATH, "metadata/c:label", true},
};

static void matches_as_said(void) {
    char problem[MA_SOURCE_PROBLEM_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_guest_rule r = rule(rows[i].match, rows[i].pattern, 5);
        (void) fprintf(stderr, "#   %s\n", rows[i].pattern);
        struct ma_said said = merge(&r, 1, problem);
        CHECK_U64(said.config.has, rows[i].does ? MA_CONFIG_HAS_IMPACT : 0);
        CHECK_STR(problem, "");
    }
}

static void later_rules_outrank_per_attribute(void) {
    char problem[MA_SOURCE_PROBLEM_MAX];
    struct ma_guest_rule list[3] = {rule(MA_RULE_NAME, "*", 5), rule(MA_RULE_NAME, "inst*", 6),
                                    rule(MA_RULE_NAME, "none", 7)};
    list[0].config.has |= MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_GROUP;
    list[0].config.guarantee_bytes = MA_GIB;
    (void) snprintf(list[0].group, sizeof(list[0].group), "all");
    struct ma_said said = merge(list, 3, problem);
    CHECK_U64(said.config.impact, 6);
    CHECK_U64(said.config.guarantee_bytes, MA_GIB);
    CHECK_STR(said.group, "all");
    CHECK(said.config.group == NULL);
}

static void what_cannot_be_evaluated_makes_no_victim(void) {
    static const char too_deep[] = "//*[//*[//*[//*[//*[//*[//*[//*]]]]]]] and //*[//*[//*[//*["
                                   "//*[//*[//*[//*[//*[//*[//*[//*]]]]]]]]]]]";
    static const char *const bad[] = {"//nova:flavor[", "//unknown:flavor", "nosuch()", too_deep};
    char problem[MA_SOURCE_PROBLEM_MAX];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ma_guest_rule r = rule(MA_RULE_XPATH, bad[i], 5);
        struct ma_said said = merge(&r, 1, problem);
        if (i < 3) {
            CHECK(said.config.is_invalid);
            CHECK(strstr(problem, "line 12") != NULL);
            CHECK_U64(said.config.has & MA_CONFIG_HAS_IMPACT, 0);
        } /* the last one may be evaluated in time or not; it must only end */
    }
}

static void is_checked_before_it_is_used(void) {
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    struct ma_guest_rule list[2] = {rule(MA_RULE_XPATH, "//nova:flavor", 5),
                                    rule(MA_RULE_XPATH, "//nwva:flavor", 5)};
    struct ma_guest_rules rules = {.rules = list, .n_rules = 1};
    CHECK_I64(ma_rules_check(&rules, problem), 0);
    rules.n_rules = 2;
    CHECK_I64(ma_rules_check(&rules, problem), -22);
    CHECK(strstr(problem, "nwva") != NULL);
}

static void copies_are_its_own(void) {
    struct ma_guest_rule r = rule(MA_RULE_NAME, "a", 5);
    struct ma_rule_namespace ns = {"x", "urn:x"};
    struct ma_guest_rules rules = {&r, 1, &ns, 1};
    struct ma_guest_rules *copy = ma_rules_copy(&rules);
    CHECK(copy != NULL);
    r.pattern[0] = 'b';
    ns.prefix[0] = 'y';
    CHECK_STR(copy->rules[0].pattern, "a");
    CHECK_STR(copy->namespaces[0].prefix, "x");
    free(copy);
    rules = (struct ma_guest_rules){0};
    copy = ma_rules_copy(&rules);
    CHECK(copy != NULL && copy->n_rules == 0);
    free(copy);
}

static void guests_without_libvirt_have_rules_too(void) {
    struct ma_guest_rule list[2] = {rule(MA_RULE_NAME, "qemu-*", 5),
                                    rule(MA_RULE_XPATH, "true()", 6)};
    struct ma_guest_rules rules = {.rules = list, .n_rules = 2};
    struct ma_rule_subject subject = {.name = "qemu-1"};
    struct ma_said said = {0};
    char problem[MA_SOURCE_PROBLEM_MAX] = "";
    ma_rules_merge(&rules, &subject, &said, problem);
    CHECK_U64(said.config.impact, 5);
    CHECK_STR(problem, "");
}

TAP_MAIN(TAP_CASE(matches_as_said),
         TAP_CASE(later_rules_outrank_per_attribute),
         TAP_CASE(what_cannot_be_evaluated_makes_no_victim),
         TAP_CASE(is_checked_before_it_is_used),
         TAP_CASE(copies_are_its_own),
         TAP_CASE(guests_without_libvirt_have_rules_too));
