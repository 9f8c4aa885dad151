# SPDX-License-Identifier: LGPL-2.1-or-later
"""swarmstage.py - guests played by qmp-swarm, a process each, whose balloons do as they are told, the memarbd that has them, and the
agent's end of each guest's channel. The host is what the pool leaves of them, so that what memarbd has to do is the same in
each run."""
import contextlib
import os
import socket
import struct
import threading

from arbiter import BUILD, Arbiter, ForgedProc
from tinyguest import MIB, wait_for

SWARM = os.path.join(BUILD, "tests/contract/qmp-swarm")
SECONDS = 60
COUNT, GUEST_MIB, FLOOR_MIB = 4, 1024, 512
BAD = "peer-0000"
SETTINGS = {"Arm": "reclaim", "PsiStall": "0s", "QuietTime": "0s", "Reserve": "512MiB", "SoftWatermark": "1GiB",
            "HardWatermark": "768MiB", "CriticalWatermark": "64MiB", "StaleAfter": "5s"}
# What guests and host have together: more than enough; so little that the host is short of its reserve with all of them at
# their floor, so that no dead band leaves one above it.
PLENTY, SHORT = COUNT * GUEST_MIB + 4096, COUNT * FLOOR_MIB + 300


class Stage:
    """with Stage(lab, name) as stage: the guests, their memarbd (with these settings besides), and the agent's end of each guest's
    channel."""

    def __init__(self, lab, name, **settings):
        self.proc = ForgedProc(lab, name)
        self.arbiter = Arbiter(lab, {**SETTINGS, **settings}, name=name, args=["--proc-root", self.proc.root],
                               guests={"name:*": {"Guarantee": f"{FLOOR_MIB}MiB", "Actions": "balloon"}})
        self.lab, self.name, self.pool, self.agents, self.holders, self.pids = lab, name, PLENTY, {}, {}, {}
        self.is_untouched = False  # the bad guest touches nothing beyond its floor
        self.end, self.thread = threading.Event(), threading.Thread(target=self.be_host, daemon=True)

    def be_host(self):
        """Host and guests' processes hold what the balloons leave."""
        while not self.end.is_set():
            with contextlib.suppress(Exception):  # memarbd may not be up, or be gone, at either end of the test
                sizes = {name: guest["actual_bytes"] for name, guest in self.guests().items()}
                for name, holder in self.holders.items():
                    most = FLOOR_MIB if name == BAD and self.is_untouched else GUEST_MIB
                    holder.more_kib = min(sizes.get(name, most * MIB), most * MIB) // 1024
                    holder.write()
                if len(sizes) == COUNT:
                    self.proc.available(max(self.pool - sum(sizes.values()) // MIB, 16))
            self.end.wait(0.05)

    def __enter__(self):
        self.proc.available(4096)
        self.arbiter.start()
        path = os.path.join(self.lab.path(self.name), "hand-over")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(COUNT)
            listener.settimeout(SECONDS)
            self.swarm = self.lab.process(f"{self.name}-swarm", [
                SWARM, "--dial", self.arbiter.dial, "--count", str(COUNT), "--processes", "--memory-mib", str(GUEST_MIB),
                "--used-mib", "256", "--agent", self.arbiter.agent_dial, "--hand-over", path])
            for _ in range(COUNT):
                with listener.accept()[0] as peer:
                    text, fds, _, _ = socket.recv_fds(peer, 16, 1)
                    name, self.pids[name] = f"peer-{int(text):04}", peer_pid(peer)
                    self.agents[name], self.holders[name] = socket.socket(fileno=fds[0]), self.proc.add_growing(self.pids[name])
                    self.agents[name].settimeout(SECONDS)
        self.thread.start()
        self.arbiter.wait_guests(COUNT, SECONDS)
        wait_for(lambda: all(guest["state"] == "running" for guest in self.guests().values()), SECONDS, "the guests' start to be over")
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        for agent in self.agents.values():
            agent.close()
        self.swarm.kill()
        self.arbiter.end()

    def guests(self):
        """By the peer's name; memarbd names a process without -name by its pid."""
        names = {pid: name for name, pid in self.pids.items()}
        return {names[int(name.split("-")[1])]: guest for name, guest in self.arbiter.guests().items()}

    def sizes(self):
        return {name: guest["actual_bytes"] // MIB for name, guest in self.guests().items()}

    def wait_sizes(self, size_mib, what):
        """Until every balloon has exactly that size."""
        try:
            wait_for(lambda: set(self.sizes().values()) == {size_mib}, SECONDS, what)
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}: {self.sizes()}, {self.arbiter.plan()}") from None

    def moves(self):
        """What the neighbours' balloons were told, so far."""
        uuids = {guest["uuid"] for name, guest in self.guests().items() if name != BAD}
        return [(move["guest"], move["to_bytes"]) for move in self.arbiter.actions("balloon") if move["guest"] in uuids]

    def cycles(self, count):
        """So many decisions pass."""
        def taken():
            return self.arbiter.snapshot()["taken_at_usec"]

        for _ in range(count):
            before = taken()
            wait_for(lambda before=before: taken() != before, SECONDS, "a decision")


def peer_pid(sock):
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
