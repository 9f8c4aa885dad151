/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* persist-reservations.h - what is held for guests on their way, in the state file. */

#include <jansson.h>

#include "json-write.h"
#include "reserve.h"

void ma_reservations_write(struct ma_json *json,
                           const char *key,
                           const struct ma_reservations *reservations);
/* Takes what makes sense; a broken entry is left out: its guest is judged as if nothing were held for it. None counts as
 * seen: the first snapshots of a new life lack guests that are merely not met yet. */
void ma_reservations_read(const json_t *array, struct ma_reservations *ret);
