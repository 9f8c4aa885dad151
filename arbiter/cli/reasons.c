/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reasons.c - what each reason code means, for people; memarbctl(1) lists the same. */
#include <string.h>

#include "cli.h"

static const struct {
    const char *reason;
    const char *text;
} texts[] = {
    {"idle-memory", "memory that the guest does not use"},
    {"cache-memory", "memory that the guest uses as page cache"},
    {"division", "its share of the memory that is there"},
    {"to-guarantee", "into its working set, not below its guarantee"},
    {"unplug", "memory unplugged from its virtio-mem device"},
    {"cold-pages", "pages that it has not touched, reclaimed by the host"},
    {"guest-pressure", "the guest is short of memory"},
    {"give-back", "pressure is gone"},
    {"least-impact", "member of the set of guests whose loss costs least"},
    {"culprit", "the fastest grower above its guarantee"},
    {"first", "its operator put it before all others"},
    {"group", "its group leaves together"},
    {"pause-expired", "its pause has lasted PauseMax="},
    {"no-eligible-option", "nothing is left that may be done"},
    {"pinned-meanwhile", "its memory is pinned now, so its balloon holds nothing back"},
    {"room-elsewhere", "another NUMA node has room for its pages"},
    {"never", "its operator said never"},
    {"stale", "its figures are too old"},
    {"missing-figures", "figures that a decision needs are missing"},
    {"held", "its operator put a hold on it"},
    {"starting", "it is starting"},
    {"migrating", "it is migrating"},
    {"saving", "it is being saved"},
    {"shutting-down", "it is shutting down"},
    {"crashed", "it has crashed"},
    {"invalid-metadata", "its metadata is bad; mend it, then it counts again"},
    {"group-ineligible", "another member of its group may not be a victim"},
    {"group-too-large", "its group has more than 8 members"},
    {"no-action-allowed", "its settings allow no such action"},
    {"resumed-by-operator", "its operator resumed it within the last half hour"},
    {"paused-by-operator", "its operator paused it"},
    {"in-flight", "an action on it is still under way"},
    {"placement", "its placement keeps its pages where they are"},
    {"not-armed", "Arm= is below this rung; memarbctl arm raises it"},
    {"breaker-incident", "this incident has cost MaxVictimsPerIncident= guests"},
    {"breaker-hour", "this hour has cost MaxVictimsPerHour= guests"},
    {"breaker-returns",
     "two in a row returned under half of what was predicted; memarbctl arm clears this"},
    {"quiet-time", "too soon after start, reload, a late tick or a clock jump"},
    {"one-sample", "the need has not stood in two samples"},
    {"late-tick", "the last cycle came late"},
    {"victim-pending", "another victim's memory is not back yet"},
    {"gentle-suffices", "gentle actions can cover in time"},
    {"below-guarantee", "it would go below its guarantee"},
    {"inhibited", "its memory is pinned, so a balloon returns nothing"},
    {"uncooperative", "its balloon does not move"},
    {"would-shorten", "another resource would become short"},
    {"no-balloon", "it has no balloon"},
    {"host-stale", "the host's own figures are too old"},
    {"no-longer-needed", "the need was gone just before acting"},
    {"announced", "its agent was told, and has two seconds to make room"},
};

const char *ma_cli_reason_text(const char *reason) {
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(texts[i].reason, reason) == 0) {
            return texts[i].text;
        }
    }
    return NULL;
}

const json_t *ma_cli_next_withheld(const json_t *trims, size_t *at) {
    while (*at < json_array_size(trims)) {
        const json_t *entry = json_array_get(trims, (*at)++);
        if (ma_cli_bool(entry, "withheld")) {
            return entry;
        }
    }
    return NULL;
}
