/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* admission.h - starts that ask, and what is held for those let in. Decisions and reservations belong to the loop; the
 * request and the answer cross from the control thread and back by value. */

#include <stdbool.h>
#include <stdint.h>

#include "admit.h"
#include "err.h"

struct ma_daemon;

#define MA_ADMISSION_MESSAGE_MAX 1024

struct ma_admission_request {
    struct ma_demand demand;
    bool is_dry_run; /* told, and nothing is held */
};
struct ma_admission_answer {
    struct ma_admit_verdict verdict;
    /* what is done: at Arm=observe and in a dry run everything is let in, whatever the verdict */
    bool is_refused;
    char message[MA_ADMISSION_MESSAGE_MAX]; /* a whole sentence, also when admitted */
};

/* admission.c, on the loop */
void ma_admission_decide(struct ma_daemon *d,
                         const struct ma_admission_request *request,
                         struct ma_admission_answer *ret);
void ma_admission_step(struct ma_daemon *d); /* with each snapshot */
void ma_admission_forget(struct ma_daemon *d, const char *uuid);
int ma_admission_readmit(struct ma_daemon *d, const char *uuid, struct ma_err *err);
