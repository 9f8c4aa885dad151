/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* message-ids.h - MESSAGE_ID= of each kind of event in the journal; arbiter/data/memarb.catalog explains each to the
 * operator. Random (systemd-id128 new), fixed for ever: operators filter by them. */

#define MA_MESSAGE_STATE_CHANGE                                                                    \
    "d113c2c3c0d74f7784d94bad5a849912" /* the pressure state of the host changed */
#define MA_MESSAGE_BALLOON                                                                         \
    "13a6bc86db0449a5b88d9e8457ed525a" /* a guest's balloon target was moved */
#define MA_MESSAGE_RESIZE "13ec758138d04418a3871cfd57a72fab" /* virtio-mem of a guest was resized */
#define MA_MESSAGE_RECLAIM                                                                         \
    "1e5b5371be0245de9077a76bbd19d48b" /* cold pages of a guest's cgroup were reclaimed */
#define MA_MESSAGE_REBALANCE                                                                       \
    "dfcca4b8f9ca4b07aa971827f63b0daf" /* pages of a guest go to another NUMA node */
#define MA_MESSAGE_PAUSE    "0710fa91bd2c402e951197710d00fa2e" /* a guest was paused */
#define MA_MESSAGE_RESUME   "a772ecbc889b4521896b5b7927eef30c" /* a guest was resumed */
#define MA_MESSAGE_SAVE     "06f8e91b891d4236882e549e8c38bd65" /* a guest was saved to disk */
#define MA_MESSAGE_SHUTDOWN "0e60512da62042179e402ab71ad78a96" /* a guest was asked to shut down */
#define MA_MESSAGE_KILL     "d8181ac14d4b4a6c88256a4decbfe98f" /* a guest was killed */
#define MA_MESSAGE_OUTCOME_POOR                                                                    \
    "e18057c69b7745238a940263daa45846" /* an action returned less than half of what was predicted, or was refused */
#define MA_MESSAGE_BREAKER                                                                         \
    "65b40c6cf453481e84590d4a1aff3cd0" /* a limit of victims was reached, or poor returns disarmed a rung */
#define MA_MESSAGE_EXHAUSTED "1b5ca019900d4caba5a7b09422649a63" /* no eligible option is left */
#define MA_MESSAGE_GUEST_METADATA_BAD                                                              \
    "953529dad7724aeb8c7d569eb02855c6" /* a guest's metadata is bad */
#define MA_MESSAGE_GUEST_STUCK                                                                     \
    "04c46c758200442d958b04e5faf78713" /* calls on a guest do not return */
#define MA_MESSAGE_GUEST_UNSTUCK "46d51a4a7f1049e5b19ea7c754ed1273" /* they return again */
#define MA_MESSAGE_LIBVIRT_LOST                                                                    \
    "8984686affa747acb771c7eb7481ba8a" /* the connection to libvirt broke */
#define MA_MESSAGE_LIBVIRT_BACK "8066f2bd90194d08a753a3a8f795c3be" /* it is there again */
#define MA_MESSAGE_HOST_BUDGET                                                                     \
    "45e15bd2a4da43ceaa7d0c83ff3461ff" /* what "the host" means, or its size, changed */
#define MA_MESSAGE_START   "3bac7a4a31ec471086cd6b2927c00c51" /* memarbd is ready */
#define MA_MESSAGE_STOP    "1155166c913c4b45933103f81f5f665a" /* memarbd ends */
#define MA_MESSAGE_RELEASE "cd104b621cd94753a78c3ca7eca534b2" /* everything taken was given back */
#define MA_MESSAGE_ARM                                                                             \
    "2bdf1364c9714978b9febae8fceaae0b" /* an operator armed or disarmed a rung, or put a hold on a guest */
#define MA_MESSAGE_RELOAD_OK                                                                       \
    "c4bdf75c10a7405fa364c72f8d88c2bd" /* a new configuration is in force */
#define MA_MESSAGE_RELOAD_BAD                                                                      \
    "4a79607a2c2140b6afacd4feeb3d525b" /* a new configuration was refused, the old one stays */
#define MA_MESSAGE_REFUSED_START                                                                   \
    "f9b5b9be3adf42819a390f01eeb51271" /* a guest was not let in, or would not be at a higher Arm= */
#define MA_MESSAGE_ADMITTED "4fae3fa62f6c49199bd2df3c1956bfec" /* a guest was let in */
#define MA_MESSAGE_LATE_DEMAND                                                                     \
    "a763cd2710d24e8f871b332448e0e1ed" /* the host has no room for what a running guest was given */
#define MA_MESSAGE_LAST_RESORT                                                                     \
    "e7322400a5fa4df0bf3cbb5e23b6984f" /* OnExhausted= is done, or what came of it */
#define MA_MESSAGE_KERNEL_KILL                                                                     \
    "42ad413c70714ed09b2c281f45052be8" /* the kernel killed for want of memory */
#define MA_MESSAGE_GIVE_BACK                                                                       \
    "e5fb54f95e0b482e9cbcf791c15d2d8b" /* memory was given back to a guest */
#define MA_MESSAGE_PINS                                                                            \
    "4ae80d2f93fa478491c7fd82e0b68bbc" /* what a guest pins, or a limit of it, needs to be seen to */
#define MA_MESSAGE_PIN_BUDGET                                                                      \
    "9b79a1d43f344881afd7077982b8c21f" /* the host's or a node's budget of pinned memory was passed, or kept again */
#define MA_MESSAGE_LIMIT                                                                           \
    "819a58a2b72f4164bc5936c7004cecd9" /* a limit of a guest was set, or put back */
#define MA_MESSAGE_LIMIT_CHANGED                                                                   \
    "77e9a0cb73654eca94a6dcf796b35d74" /* somebody else changed a limit that memarb had set */
#define MA_MESSAGE_LIMIT_HELD                                                                      \
    "fe528a1a71214174b0694599e2255f94" /* a limit that is asked for is not set, or another in its place */
#define MA_MESSAGE_UNKILLABLE                                                                      \
    "c58bb0b7d33f43ce8562d99e181d2b2f" /* guests that the kernel may hardly kill hold half of the host */
#define MA_MESSAGE_AGENT_SHORT                                                                     \
    "1abae5c5d9f89c492ca6ecc33fd5fd05" /* a guest's agent says that it stalls */
#define MA_MESSAGE_AGENT_VETO                                                                      \
    "e550c92fff988a211f94871c568f41d1" /* a guest is short under a squeeze and is spared for a while */
#define MA_MESSAGE_AGENT_QUARANTINE                                                                \
    "308601eae346834510163b2af7a73b26" /* a guest's agent floods and is not listened to */
#define MA_MESSAGE_AGENT_DISAGREES                                                                 \
    "3fb61dc1735b841ca9e8b3c27141dd4c" /* what a guest says is not what the host sees */
#define MA_MESSAGE_HOOK_VETO   "dfad2f3d8e1442a4ae9c9bfd2e3ec62e" /* a hook said no to an action */
#define MA_MESSAGE_HOOK_FAILED "9bb9c880b8a04390b845a237201b440f" /* a hook failed or was killed */
#define MA_MESSAGE_HOOK_BARRED                                                                     \
    "ac86de7d3d724dc4b5ccc7067236225e" /* a file in the hooks' folder is left out */
