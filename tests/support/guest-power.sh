#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the guest's acpid runs when the power button is pressed (system_powerdown, virsh shutdown).
exec poweroff -f
