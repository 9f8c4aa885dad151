/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* control-reply.h - answers and what renders them; within this folder, on the control thread. */

#include "control-internal.h"

/* control-reply.c */
struct ma_control_request {
    const struct ma_varlink_call *call;
    char guest[256]; /* as asked; "": none */
    /* out */
    size_t index; /* of the guest in the view */
    char uuid[MA_UUID_MAX];
    char matches[384];
};
/* Writes the members of "parameters". 0, or the error to answer with: -ENOENT, -ENOTUNIQ. */
typedef int (*ma_control_render_fn)(struct ma_json *json,
                                    const struct ma_view *view,
                                    struct ma_control_request *request);
bool ma_control_reply(struct ma_control *control,
                      struct ma_control_client *client,
                      ma_control_render_fn render,
                      struct ma_control_request *request);
bool ma_control_reply_empty(struct ma_control *control, struct ma_control_client *client);
/* error: "io.memarb.Arbiter.NotFound"; key/value: one parameter besides "message"; both may be NULL. */
bool ma_control_reply_error(struct ma_control *control,
                            struct ma_control_client *client,
                            const char *error,
                            const char *key,
                            const char *value,
                            const char *message);
/* Finds request->guest in the view: uuid, name, or a unique prefix of either. 0, -ENOENT, -ENOTUNIQ. */
int ma_control_find_guest(const struct ma_view *view, struct ma_control_request *request);

/* control-render.c, control-explain.c */
int ma_control_render_status(struct ma_json *json,
                             const struct ma_view *view,
                             struct ma_control_request *request);
int ma_control_render_guests(struct ma_json *json,
                             const struct ma_view *view,
                             struct ma_control_request *request);
int ma_control_render_explain(struct ma_json *json,
                              const struct ma_view *view,
                              struct ma_control_request *request);
int ma_control_render_plan(struct ma_json *json,
                           const struct ma_view *view,
                           struct ma_control_request *request);
int ma_control_render_snapshot(struct ma_json *json,
                               const struct ma_view *view,
                               struct ma_control_request *request);
/* control-figures.c: more members of a guest, and of the status. */
void ma_control_render_guest_figures(struct ma_json *json,
                                     const struct ma_view *view,
                                     size_t index);
void ma_control_render_host_pressure(struct ma_json *json, const struct ma_view *view);
/* The guest's candidate in the plan, or NULL. */
const struct ma_candidate *ma_control_candidate(const struct ma_plan *plan, size_t index);
void ma_control_render_guest(struct ma_json *json,
                             const char *key,
                             const struct ma_view *view,
                             size_t index);
/* control-pins.c */
void ma_control_render_guest_pins(struct ma_json *json, const struct ma_view_guest *guest);
void ma_control_render_host_pins(struct ma_json *json, const struct ma_view *view);
void ma_control_render_limits(struct ma_json *json, const struct ma_view_guest *guest);
