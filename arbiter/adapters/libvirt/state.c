/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state.c - libvirt's states and reasons (libvirt-domain.h of 9.0) in the contract's words. */

#include "survey.h"

static enum ma_guest_state state_of_pause(int reason) {
    switch (reason) {
    case VIR_DOMAIN_PAUSED_MIGRATION:
    case VIR_DOMAIN_PAUSED_POSTCOPY:
    case VIR_DOMAIN_PAUSED_POSTCOPY_FAILED:
        return MA_GUEST_MIGRATING;
    case VIR_DOMAIN_PAUSED_SAVE:
    case VIR_DOMAIN_PAUSED_DUMP:
    case VIR_DOMAIN_PAUSED_SNAPSHOT:
    case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT:
        return MA_GUEST_SAVING;
    case VIR_DOMAIN_PAUSED_STARTING_UP:
        return MA_GUEST_STARTING;
    case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
        return MA_GUEST_SHUTTING_DOWN;
    case VIR_DOMAIN_PAUSED_CRASHED:
        return MA_GUEST_CRASHED;
    default: /* user, I/O error, watchdog, unknown */
        return MA_GUEST_PAUSED;
    }
}

bool lv_state_of(int state, int reason, enum ma_guest_state *ret) {
    switch (state) {
    case VIR_DOMAIN_SHUTOFF:
        return false;
    case VIR_DOMAIN_PAUSED:
        *ret = state_of_pause(reason);
        return true;
    case VIR_DOMAIN_SHUTDOWN:
        *ret = MA_GUEST_SHUTTING_DOWN;
        return true;
    case VIR_DOMAIN_CRASHED:
        *ret = MA_GUEST_CRASHED;
        return true;
    case VIR_DOMAIN_PMSUSPENDED:
        *ret = MA_GUEST_PAUSED;
        return true;
    default: /* running, blocked, and "no state" of drivers that cannot tell */
        *ret = reason == VIR_DOMAIN_RUNNING_POSTCOPY && state == VIR_DOMAIN_RUNNING
                   ? MA_GUEST_MIGRATING
                   : MA_GUEST_RUNNING;
        return true;
    }
}
