/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metadata.c - what an operator writes into a domain, good and bad. */

#include "metadata.h"

#include "bytes.h"
#include "tap.h"

#define NS " xmlns:memarb=\"urn:memarb:guest:1\""

#define HAS_IMPACT MA_CONFIG_HAS_IMPACT

struct row {
    const char *xml;
    uint32_t has;
    uint32_t bad;
    const char *problem; /* part of it; NULL: none */
};

static const struct row rows[] = {
    /* good */
    {"<guest/>", 0, 0, NULL},
    {"<memarb:guest" NS "/>", 0, 0, NULL},
    {"<guest xmlns='urn:memarb:guest:1' impact='1'/>", HAS_IMPACT, 0, NULL},
    {"<guest impact='1000'/>", HAS_IMPACT, 0, NULL},
    {"<guest impact='never'/>", HAS_IMPACT, 0, NULL},
    {"<guest impact='first'/>", HAS_IMPACT, 0, NULL},
    {"<guest shares='1'/>", MA_CONFIG_HAS_SHARES, 0, NULL},
    {"<guest shares='1000000'/>", MA_CONFIG_HAS_SHARES, 0, NULL},
    {"<guest restart='90s'/>", MA_CONFIG_HAS_RESTART, 0, NULL},
    {"<guest restart='0s'/>", MA_CONFIG_HAS_RESTART, 0, NULL},
    {"<guest><memory guarantee='2GiB' limit='2GiB'/></guest>",
     MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_LIMIT, 0, NULL},
    {"<guest><memory guarantee='0B'/></guest>", MA_CONFIG_HAS_GUARANTEE, 0, NULL},
    {"<guest><memory guarantee='1.5GiB'/></guest>", MA_CONFIG_HAS_GUARANTEE, 0, NULL},
    {"<guest><pin limit='8GiB'/></guest>", MA_CONFIG_HAS_PIN_LIMIT, 0, NULL},
    {"<guest><pin limit='0B'/></guest>", MA_CONFIG_HAS_PIN_LIMIT, 0, NULL},
    {"<guest><cap memory='10GiB' swap='0B' pids='512' cpu='400%'/></guest>",
     MA_CONFIG_HAS_CAP_MEMORY | MA_CONFIG_HAS_CAP_SWAP | MA_CONFIG_HAS_CAP_PIDS |
         MA_CONFIG_HAS_CAP_CPU,
     0, NULL},
    {"<guest><actions allow='balloon save'/></guest>", MA_CONFIG_HAS_ACTIONS, 0, NULL},
    {"<guest><actions allow=' balloon  kill '/></guest>", MA_CONFIG_HAS_ACTIONS, 0, NULL},
    {"<guest><actions allow=''/></guest>", MA_CONFIG_HAS_ACTIONS, 0, NULL},
    {"<guest><actions shutdown-timeout='60s'/></guest>", MA_CONFIG_HAS_SHUTDOWN_TIMEOUT, 0, NULL},
    {"<guest><group name='erp'/></guest>", MA_CONFIG_HAS_GROUP, 0, NULL},
    {"<guest impact='5'><!-- why --></guest>", HAS_IMPACT, 0, NULL},
    {"<?xml version='1.0'?><guest impact='5'/>", HAS_IMPACT, 0, NULL},
    {"<guest impact='&#53;'/>", HAS_IMPACT, 0, NULL},
    {"<memarb:guest" NS " memarb:impact='5'><memarb:group name='a'/></memarb:guest>",
     HAS_IMPACT | MA_CONFIG_HAS_GROUP, 0, NULL},
    /* unknown: ignored and named */
    {"<guest impact='5' imapct='7'/>", HAS_IMPACT, 0, "imapct"},
    {"<guest impact='5'><memory ceiling='1GiB'/></guest>", HAS_IMPACT, 0, "ceiling"},
    {"<guest impact='5'><disk/></guest>", HAS_IMPACT, 0, "disk"},
    {"<guest xmlns:o='urn:other' o:impact='7'/>", 0, 0, "impact"},
    {"<guest xmlns:o='urn:other'><o:group name='a'/></guest>", 0, 0, "group"},
    {"<guest><group name='a' colour='\x1b[31m'/></guest>", 0, UINT32_MAX, "well-formed"},
    /* bad values: never in `has` */
    {"<guest impact='0'/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact='1001'/>", 0, HAS_IMPACT, "1..1000"},
    {"<guest impact='-1'/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact='Never'/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact=' 5'/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact=''/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact='5e2'/>", 0, HAS_IMPACT, "impact"},
    {"<guest impact='18446744073709551616'/>", 0, HAS_IMPACT, "impact"},
    {"<guest shares='0'/>", 0, MA_CONFIG_HAS_SHARES, "shares"},
    {"<guest shares='1000001'/>", 0, MA_CONFIG_HAS_SHARES, "shares"},
    {"<guest restart='90'/>", 0, MA_CONFIG_HAS_RESTART, "restart"},
    {"<guest restart='-1s'/>", 0, MA_CONFIG_HAS_RESTART, "restart"},
    {"<guest><memory guarantee='2G'/></guest>", 0, MA_CONFIG_HAS_GUARANTEE, "guarantee"},
    {"<guest><memory guarantee='2048'/></guest>", 0, MA_CONFIG_HAS_GUARANTEE, "guarantee"},
    {"<guest><memory guarantee='9999TiB'/></guest>", 0, MA_CONFIG_HAS_GUARANTEE, "guarantee"},
    {"<guest><memory limit='0B'/></guest>", 0, MA_CONFIG_HAS_LIMIT, "limit"},
    {"<guest><memory guarantee='2GiB' limit='1GiB'/></guest>", 0,
     MA_CONFIG_HAS_GUARANTEE | MA_CONFIG_HAS_LIMIT, "exceeds"},
    {"<guest><memory limit='1GiB'/><memory limit='2GiB'/></guest>", 0, MA_CONFIG_HAS_LIMIT,
     "twice"},
    {"<guest><cap memory='0B'/></guest>", 0, MA_CONFIG_HAS_CAP_MEMORY, "cap"},
    {"<guest><cap pids='0'/></guest>", 0, MA_CONFIG_HAS_CAP_PIDS, "pids"},
    {"<guest><cap pids='4194305'/></guest>", 0, MA_CONFIG_HAS_CAP_PIDS, "pids"},
    {"<guest><cap cpu='400'/></guest>", 0, MA_CONFIG_HAS_CAP_CPU, "cpu"},
    {"<guest><cap cpu='0%'/></guest>", 0, MA_CONFIG_HAS_CAP_CPU, "cpu"},
    {"<guest><actions allow='baloon'/></guest>", 0, MA_CONFIG_HAS_ACTIONS, "baloon"},
    {"<guest><actions allow='balloon,kill'/></guest>", 0, MA_CONFIG_HAS_ACTIONS, "allow"},
    {"<guest><actions allow='resume'/></guest>", 0, MA_CONFIG_HAS_ACTIONS, "allow"},
    {"<guest><actions allow='killkillkillkillkill'/></guest>", 0, MA_CONFIG_HAS_ACTIONS, "allow"},
    {"<guest><actions shutdown-timeout='0s'/></guest>", 0, MA_CONFIG_HAS_SHUTDOWN_TIMEOUT,
     "shutdown-timeout"},
    {"<guest><group name=''/></guest>", 0, MA_CONFIG_HAS_GROUP, "group"},
    {"<guest><group name='a b'/></guest>", 0, MA_CONFIG_HAS_GROUP, "group"},
    {"<guest><group name='"
     "0123456789012345678901234567890123456789012345678901234567890123'/></guest>",
     0, MA_CONFIG_HAS_GROUP, "group"},
    /* unreadable as a whole */
    {"", 0, UINT32_MAX, "well-formed"},
    {"impact=never", 0, UINT32_MAX, "well-formed"},
    {"<guest impact='never'", 0, UINT32_MAX, "well-formed"},
    {"<guest impact='5' impact='6'/>", 0, UINT32_MAX, "well-formed"},
    {"<host impact='5'/>", 0, UINT32_MAX, "no element guest"},
    {"<guest xmlns='urn:memarb:guest:2' impact='5'/>", 0, UINT32_MAX, "no element guest"},
    {"<!DOCTYPE guest [<!ENTITY a 'never'>]><guest impact='&a;'/>", 0, UINT32_MAX, "document type"},
    {"<!DOCTYPE guest SYSTEM 'file:///etc/passwd'><guest/>", 0, UINT32_MAX, "document type"},
    {"<guest impact='&never;'/>", 0, UINT32_MAX, "well-formed"},
    {"<guest impact='\xff'/>", 0, UINT32_MAX, "well-formed"},
};

static void parse(const char *xml, struct ma_metadata *m) {
    ma_metadata_parse(xml, strlen(xml), m);
}

static void judges_each_text(void) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ma_metadata m;
        (void) fprintf(stderr, "#   %s\n", rows[i].xml);
        parse(rows[i].xml, &m);
        CHECK_U64(m.said.config.has, rows[i].has);
        CHECK_U64(m.bad, rows[i].bad);
        if (rows[i].problem == NULL) {
            CHECK_STR(m.problem, "");
        } else {
            CHECK(strstr(m.problem, rows[i].problem) != NULL);
        }
    }
}

static void reads_the_contracts_example(void) {
    static const char text[] =
        "<memarb:guest xmlns:memarb='urn:memarb:guest:1' impact='500' shares='2000' restart='90s'>"
        "<memarb:memory guarantee='2GiB' limit='8GiB'/><memarb:pin limit='8GiB'/>"
        "<memarb:cap memory='10GiB' swap='2GiB' pids='512' cpu='400%'/>"
        "<memarb:actions allow='balloon resize reclaim pause shutdown kill' "
        "shutdown-timeout='60s'/><memarb:group name='erp'/></memarb:guest>";
    struct ma_metadata m;
    parse(text, &m);
    const struct ma_guest_config *c = &m.said.config;
    CHECK_STR(m.problem, "");
    CHECK_U64(c->impact_class, MA_IMPACT_WEIGHT);
    CHECK_U64(c->impact, 500);
    CHECK_U64(c->shares, 2000);
    CHECK_U64(c->restart_usec, 90 * MA_USEC_PER_SEC);
    CHECK_U64(c->guarantee_bytes, 2 * MA_GIB);
    CHECK_U64(c->limit_bytes, 8 * MA_GIB);
    CHECK_U64(c->pin_limit_bytes, 8 * MA_GIB);
    CHECK_U64(c->cap_memory_bytes, 10 * MA_GIB);
    CHECK_U64(c->cap_swap_bytes, 2 * MA_GIB);
    CHECK_U64(c->cap_pids, 512);
    CHECK_U64(c->cap_cpu_permyriad, 40000);
    CHECK_U64(c->actions, MA_ACTIONS_DEFAULT);
    CHECK_U64(c->shutdown_timeout_usec, 60 * MA_USEC_PER_SEC);
    CHECK_STR(m.said.group, "erp");
}

static void save_only_where_named(void) {
    struct ma_metadata m;
    parse("<guest><actions allow='save'/></guest>", &m);
    CHECK_U64(m.said.config.actions, MA_ACTION_BIT(MA_ACTION_SAVE));
    CHECK_U64(MA_ACTIONS_DEFAULT & MA_ACTION_BIT(MA_ACTION_SAVE), 0);
}

static void bounds_size_and_depth(void) {
    static char text[MA_METADATA_MAX_BYTES + 2];
    struct ma_metadata m;
    memset(text, ' ', sizeof(text));
    memcpy(text, "<guest impact='5'/>", 19);
    ma_metadata_parse(text, MA_METADATA_MAX_BYTES, &m);
    CHECK_U64(m.said.config.impact, 5);
    ma_metadata_parse(text, MA_METADATA_MAX_BYTES + 1, &m);
    CHECK_U64(m.bad, UINT32_MAX);
    memcpy(text, "<guest>", 7);
    for (size_t i = 7; i + 3 < 60000; i += 3) {
        memcpy(text + i, "<a>", 3);
    }
    ma_metadata_parse(text, 60000, &m);
    CHECK_U64(m.bad, UINT32_MAX);
}

static void keeps_a_problem_printable(void) {
    struct ma_metadata m;
    parse("<guest impact='&#10;&#x7f;'/>", &m);
    for (const char *c = m.problem; *c != '\0'; c++) {
        CHECK(*c >= ' ' && *c != 0x7f);
    }
}

/* Metadata after metadata, as the adapter does it. */
struct history {
    struct ma_said last;
    bool has_last;
    struct ma_said said;
};

static void then(struct history *h, const char *xml) {
    struct ma_metadata m;
    struct ma_said good;
    parse(xml, &m);
    h->said = (struct ma_said){0};
    ma_metadata_merge(&m, h->has_last ? &h->last : NULL, &h->said, &good);
    h->has_last = h->has_last || m.bad != UINT32_MAX;
    h->last = good;
}

static void a_mistake_never_protects_less(void) {
    struct history h = {0};
    then(&h, "<guest impact='never'><memory guarantee='2GiB'/></guest>");
    then(&h, "<guest impact='nevr'><memory guarantee='3GiB'/></guest>");
    CHECK_U64(h.said.config.impact_class, MA_IMPACT_NEVER);
    CHECK_U64(h.said.config.guarantee_bytes, 3 * MA_GIB); /* the good part counts */
    CHECK(!h.said.config.is_invalid);
    then(&h, "<guest impact='never'");
    CHECK_U64(h.said.config.impact_class, MA_IMPACT_NEVER);
    CHECK_U64(h.said.config.guarantee_bytes, 3 * MA_GIB);
    then(&h, "<guest impact='1'/>");
    CHECK_U64(h.said.config.impact, 1);
    CHECK_U64(h.said.config.has, MA_CONFIG_HAS_IMPACT); /* what was taken away is gone */
}

static void without_a_good_value_it_is_no_victim(void) {
    struct history h = {0};
    then(&h, "<guest impact='nevr'/>");
    CHECK(h.said.config.is_invalid);
    CHECK((h.said.config.has & MA_CONFIG_HAS_VALID) != 0);
    then(&h, "<guest impact='nevr' shares='5'/>"); /* still none known */
    CHECK(h.said.config.is_invalid);
    then(&h, "<guest impact='nevr'"); /* and now not even XML */
    CHECK(h.said.config.is_invalid);
    then(&h, "<guest impact='never'/>");
    CHECK(!h.said.config.is_invalid);
    struct history g = {0};
    then(&g, "not xml");
    CHECK(g.said.config.is_invalid);
    then(&g, "not xml either");
    CHECK(g.said.config.is_invalid);
    /* The last good one said nothing of the impact, so there is no good value of it. */
    struct history i = {0};
    then(&i, "<guest shares='5'/>");
    then(&i, "<guest shares='5' impact='nevr'/>");
    CHECK(i.said.config.is_invalid);
    CHECK_U64(i.said.config.shares, 5);
}

static void metadata_outranks_rules(void) {
    struct ma_metadata m;
    struct ma_said said = {0};
    struct ma_said good;
    said.config.has = MA_CONFIG_HAS_IMPACT | MA_CONFIG_HAS_SHARES;
    said.config.impact = 7;
    said.config.shares = 70;
    parse("<guest impact='8'/>", &m);
    ma_metadata_merge(&m, NULL, &said, &good);
    CHECK_U64(said.config.impact, 8);
    CHECK_U64(said.config.shares, 70);
    CHECK_U64(good.config.has, MA_CONFIG_HAS_IMPACT); /* what rules said is not the metadata's */
}

TAP_MAIN(TAP_CASE(judges_each_text),
         TAP_CASE(reads_the_contracts_example),
         TAP_CASE(save_only_where_named),
         TAP_CASE(bounds_size_and_depth),
         TAP_CASE(keeps_a_problem_printable),
         TAP_CASE(a_mistake_never_protects_less),
         TAP_CASE(without_a_good_value_it_is_no_victim),
         TAP_CASE(metadata_outranks_rules));
