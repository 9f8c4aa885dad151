/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the contract: each value has one, none has two, and what is no name is refused. */
#include "names.h"
#include "impact.h"
#include "pressure.h"
#include "reason.h"
#include "settings.h"
#include "snapshot.h"
#include "state.h"
#include "tap.h"

static const struct ma_names *const tables[] = {
    &ma_names_guest_state, &ma_names_balloon_state, &ma_names_placement, &ma_names_inhibitor,
    &ma_names_action,      &ma_names_option_action, &ma_names_arm,       &ma_names_pressure,
    &ma_names_reason,      &ma_names_cooperation,   &ma_names_taken,     &ma_names_impact_term,
};

static void every_value_has_its_own_name(void) {
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (unsigned i = 0; i < tables[t]->count; i++) {
            const char *name = ma_names_at(tables[t], i);
            CHECK(name != NULL && name[0] != '\0');
            CHECK_I64(ma_names_find(tables[t], name), i);
            CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name));
        }
        CHECK(ma_names_at(tables[t], tables[t]->count) == NULL);
        CHECK(ma_names_at(tables[t], UINT32_MAX) == NULL);
    }
}

static void what_is_no_name_is_refused(void) {
    static const char *const wrong[] = {"",    " ", "Running",      "running ",
                                        "run", "-", "none of these"};
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            CHECK_I64(ma_names_find(tables[t], wrong[i]), -1);
        }
        CHECK_I64(ma_names_find(tables[t], NULL), -1);
    }
}

static void the_functions_use_the_tables(void) {
    CHECK_STR(ma_guest_state_name(MA_GUEST_SHUTTING_DOWN), "shutting-down");
    CHECK_I64(ma_guest_state_from_name("crashed"), MA_GUEST_CRASHED);
    CHECK_STR(ma_balloon_state_name(MA_BALLOON_UNCOOPERATIVE), "uncooperative");
    CHECK_I64(ma_balloon_state_from_name("ready"), MA_BALLOON_READY);
    CHECK_STR(ma_placement_name(MA_PLACEMENT_DEFAULT), "default");
    CHECK_I64(ma_placement_from_name("strict"), MA_PLACEMENT_STRICT);
    CHECK_STR(ma_inhibitor_name(7), "other");
    CHECK_I64(ma_inhibitor_index_from_name("vdpa"), 1);
    CHECK_STR(ma_action_name(MA_ACTION_OOM_ADJ), "oom-adj");
    CHECK_I64(ma_action_from_name("exhausted"), MA_ACTION_EXHAUSTED);
    CHECK_STR(ma_arm_name(MA_ARM_RECLAIM), "reclaim");
    CHECK_I64(ma_arm_from_name("kill"), MA_ARM_KILL);
    CHECK_STR(ma_pressure_name(MA_PRESSURE_CRITICAL), "critical");
    CHECK_I64(ma_pressure_from_name("soft"), MA_PRESSURE_SOFT);
    CHECK_STR(ma_reason_name(MA_REASON_NO_ELIGIBLE_OPTION), "no-eligible-option");
    CHECK_I64(ma_reason_from_name("resumed-by-operator"), MA_REASON_RESUMED_BY_OPERATOR);
    CHECK_STR(ma_cooperation_name(MA_COOPERATION_STUCK), "stuck");
    CHECK_I64(ma_cooperation_from_name("slow"), MA_COOPERATION_SLOW);
    CHECK_STR(ma_impact_term_name(MA_TERM_HISTORY), "history");
}

TAP_MAIN(TAP_CASE(every_value_has_its_own_name),
         TAP_CASE(what_is_no_name_is_refused),
         TAP_CASE(the_functions_use_the_tables));
