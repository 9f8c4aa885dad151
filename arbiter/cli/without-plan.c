/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* without-plan.c - a memarbctl that was built without the offline planner says so. */
#include "cli.h"

int ma_cmd_plan(int argc, char **argv) {
    (void) argc;
    (void) argv;
    return ma_cli_fail(MA_EXIT_ERROR, "this memarbctl was built without the offline planner");
}
