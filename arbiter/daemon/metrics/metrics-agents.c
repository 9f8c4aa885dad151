/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics-agents.c - what is heard of the guests' own agents, and what their words moved. */
#include "bid.h"
#include "metrics-render.h"

static void render_states(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family family = {
        "memarb_agents", "", MA_METRIC_GAUGE,
        "Guests whose agent was heard, by what its figures are: fresh, stale, in quarantine for a "
        "flood, or in disagreement with the host's."};
    static const char *const states[MA_AGENT_STATE_COUNT] = {[MA_AGENT_FRESH] = "fresh",
                                                             [MA_AGENT_STALE] = "stale",
                                                             [MA_AGENT_QUARANTINED] = "quarantined",
                                                             [MA_AGENT_DISAGREES] = "disagrees"};
    uint64_t n[MA_AGENT_STATE_COUNT] = {0};
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        n[view->guests[i].agent]++;
    }
    ma_metrics_family(text, &family);
    for (unsigned i = MA_AGENT_NONE + 1; i < MA_AGENT_STATE_COUNT; i++) {
        const struct ma_metric_label label = {"state", states[i]};
        ma_metrics_number(text, &family, &label, 1, n[i]);
    }
}

void ma_metrics_render_agents(struct ma_metrics_text *text, const struct ma_view *view) {
    uint64_t bidding = 0;
    uint64_t vetoing = 0;
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        const struct ma_guest *guest = &view->snapshot.guests[i];
        bidding += ma_bid_has_claims(&view->snapshot, guest) && ma_bid_is_pressed(guest) ? 1 : 0;
        vetoing += view->guests[i].veto_until_usec > view->published_usec ? 1 : 0;
    }
    render_states(text, view);
    ma_metrics_single(text, "memarb_guests_bidding", "",
                      "Guests that say they are short, and the host's figures allow it.", bidding);
    ma_metrics_single(text, "memarb_guests_vetoing", "",
                      "Guests that are not squeezed for the moment, where others suffice.",
                      vetoing);
    ma_metrics_counter(text, "memarb_agent_alarms_total", "Alarms of agents that started a cycle.",
                       view->counters.agent_alarms);
    ma_metrics_counter(text, "memarb_vetoes_total",
                       "Squeezes that a guest's stall or its agent's word stopped for 30 s.",
                       view->counters.agent_vetoes);
    ma_metrics_counter(text, "memarb_agent_quarantines_total",
                       "Times that an agent was not listened to any more, for a flood.",
                       view->counters.agent_quarantines);
}
