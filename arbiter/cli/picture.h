/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* picture.h - one simulated run as an SVG that a person reads at a glance: headroom against the watermarks, pressure
 * as bands, the guests' memory stacked, what was done as marks. */

#include <stdio.h>

#include "sim.h"

struct ma_picture;
/* NULL: no memory. */
struct ma_picture *ma_picture_new(const struct sim_scenario *scenario, const char *policy);
void ma_picture_free(struct ma_picture *picture); /* NULL is fine */
/* sim_watcher.see, with the picture as userdata. */
void ma_picture_see(void *userdata, const struct sim_view *view);
/* All pictures below each other. 0, or -EIO. */
int ma_pictures_write(FILE *file, struct ma_picture *const *pictures, size_t n);
