/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* oom.c - the verdict on one guest's end.
 *
 * memory.events counts under oom_kill each process of the group that any OOM killer took, the host's included (Linux 6.1
 * Documentation/admin-guide/cgroup-v2.rst), so a growth there is proof, and its absence is proof of the contrary. `oom`
 * grows only where the group's own limit was the reason. Without the group's word the host's counter remains, which
 * says that somebody died, not who: then only an end that nobody announced counts, and is called likely. */
#include "oom.h"

#include "names.h"

static const char *const verdicts[] = {[MA_OOM_NONE] = "none",
                                       [MA_OOM_BY_LIMIT] = "own-limit",
                                       [MA_OOM_BY_HOST] = "host",
                                       [MA_OOM_LIKELY] = "likely",
                                       [MA_OOM_HELPER] = "helper"};
static const struct ma_names verdict_names = {verdicts, MA_OOM_VERDICT_COUNT};

const char *ma_oom_verdict_name(enum ma_oom_verdict verdict) {
    return ma_names_at(&verdict_names, (unsigned) verdict);
}

enum ma_oom_verdict ma_oom_judge(const struct ma_oom_evidence *evidence) {
    const struct ma_oom_evidence *e = evidence;
    if (e->has_cgroup) {
        if (e->cgroup_oom_kills == 0) {
            return MA_OOM_NONE;
        }
        if (!e->has_ended) {
            return MA_OOM_HELPER;
        }
        return e->cgroup_ooms > 0 ? MA_OOM_BY_LIMIT : MA_OOM_BY_HOST;
    }
    bool is_unannounced = e->has_ended && !e->was_ended_by_us && !e->was_said_to_end;
    return is_unannounced && e->has_host && e->host_oom_kills > 0 ? MA_OOM_LIKELY : MA_OOM_NONE;
}
