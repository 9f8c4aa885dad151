#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""admit.py MEMARBCTL SOURCE - memarbctl admit as libvirt's hook, before peers that answer as no memarbd would."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

PROGRAM, SOURCE = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

OK, REFUSED = 0, 4
# Of what is answered at once, and of what never is.
PLENTY, SHORT = "--timeout=60s", "--timeout=300ms"
# The test's own end; nothing here takes so long.
SECONDS = 120
HEAD = "<domain type='kvm'><name>db</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory unit='MiB'>128</memory>"
DEFINITION = f"{HEAD}<devices><memballoon model='virtio'/></devices></domain>".encode()


def verdict(**of):
    return json.dumps({"parameters": {"verdict": of}}).encode() + b"\0"


REFUSAL = verdict(fits=False, refused=True, message="Guest 'db' is refused: no room.")


def read_call(peer):
    call = b""
    while not call.endswith(b"\0"):
        part = peer.recv(65536)
        if not part:
            break
        call += part
    return call


def saying(answer):
    def serve(peer):
        read_call(peer)
        peer.sendall(answer)
    return serve


def endless(part, pause):
    """Goes on until the caller hangs up."""
    def serve(peer):
        read_call(peer)
        while not pause.wait(0.01):
            peer.sendall(part)
    return serve


class Host:
    """A folder with memarb.conf, and a peer on the socket that it names (None: nobody)."""

    def __init__(self, serve, settings=""):
        self.serve, self.settings, self.calls = serve, settings, 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        path = os.path.join(folder, "socket")
        self.config = os.path.join(folder, "memarb.conf")
        with open(self.config, "w", encoding="utf-8") as text:
            text.write(f"[Control]\nSocket={path}\n{self.settings}")
        if self.serve:
            self.listener = self.stack.enter_context(socket.socket(socket.AF_UNIX))
            self.listener.bind(path)
            self.listener.listen(8)
            self.thread = threading.Thread(target=self.accept, daemon=True)
            self.thread.start()
        return self

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self.calls += 1
                with peer, contextlib.suppress(OSError):
                    self.serve(peer)

    def __exit__(self, *_):
        if self.serve:
            # Awaited: between two calls it would else accept on the next host's listener, which gets the same number.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.thread.join(SECONDS)
        self.stack.close()

    def hook(self, operation, sub="begin", definition=DEFINITION, timeout=PLENTY):
        done = subprocess.run([PROGRAM, f"--config={self.config}", "admit", timeout, "--", "db", operation, sub, "-"],
                              input=definition, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=SECONDS)
        check_equal(done.stdout, b"", f"what libvirt would take for a definition ({operation} {sub})")
        return done.returncode, done.stderr.decode(errors="replace")


def test_three_operations_decide_and_no_other():
    deciding = {("prepare", "begin"), ("restore", "begin"), ("migrate", "begin")}
    with Host(saying(REFUSAL), "[Admission]\nWhenDown=refuse\n") as host:
        for operation in ("prepare", "start", "started", "stopped", "release", "migrate", "restore", "reconnect", "attach", "Prepare",
                          "prepares", ""):
            for sub in ("begin", "end", ""):
                status, said = host.hook(operation, sub)
                decides = (operation, sub) in deciding
                check_equal(status, REFUSED if decides else OK, f"exit status of {operation!r} {sub!r}")
                check_equal("is refused" in said, decides, f"{operation!r} {sub!r} says {said!r}")


def test_what_is_no_verdict_judges_nobody():
    answers = {"nothing": b"", "an end": b"\0", "no JSON": b"\xff{\0", "half": b'{"parameters":{"verd\0', "a list": b"[]\0",
               "no verdict": b'{"parameters":{}}\0', "a text": b'{"parameters":{"verdict":"refused"}}\0',
               "texts": verdict(fits="no", refused="yes", message="x"), "half a verdict": verdict(refused=True),
               "an error": b'{"error":"io.memarb.Arbiter.NotReady","parameters":{}}\0', "depth": b"[" * 100000 + b"\0"}
    for when, expected in ("admit", OK), ("refuse", REFUSED):
        for name, answer in answers.items():
            with Host(saying(answer), f"[Admission]\nWhenDown={when}\n") as host:
                status, said = host.hook("prepare")
                check_equal((status, host.calls), (expected, 1), f"{name}, WhenDown={when}: {said}")
                check("is let in unjudged" in said if expected == OK else "WhenDown=refuse" in said, f"{name}: {said}")


def test_a_peer_without_end_is_given_up():
    """One that answers with a byte now and then has never answered. Which of the two deadlines says so is the machine's: both
    do as WhenDown= says."""
    for when, expected in ("admit", OK), ("refuse", REFUSED):
        for part in b" ", b"x" * 100000:
            hung_up = threading.Event()
            with Host(endless(part, hung_up), f"[Admission]\nWhenDown={when}\n") as host:
                status, said = host.hook("prepare", timeout=SHORT)
                hung_up.set()
                check_equal(status, expected, said)
                check("did not answer within" in said or "no verdict in time" in said, said)
                check("let in unjudged" in said if expected == OK else "WhenDown=refuse" in said, said)


def test_a_definition_that_takes_too_long_has_no_verdict():
    """Cells times nodes: a minute and more of reading within libvirt's 4 MiB."""
    cells = "".join(f"<cell id='{i}' memory='1'/>" for i in range(60000))
    nodes = "".join(f"<memnode cellid='{i}' mode='strict' nodeset='1'/>" for i in range(20000))
    definition = f"{HEAD}<cpu><numa>{cells}</numa></cpu><numatune>{nodes}</numatune></domain>".encode()
    for when, expected, words in ("admit", OK, "let in unjudged"), ("refuse", REFUSED, "in time and [Admission] WhenDown=refuse"):
        with Host(saying(REFUSAL), f"[Admission]\nWhenDown={when}\n") as host:
            status, said = host.hook("prepare", definition=definition, timeout=SHORT)
            check_equal((status, host.calls), (expected, 0), said)
            check(words in said, said)
    with Host(None, "[Admission]\nWhenDown=refuse\n") as host:
        status, said = host.hook("release", "end", definition=definition, timeout=SHORT)
        check_equal(status, OK, f"what decides nothing refuses nothing: {said}")


def entities(n, of):
    return "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 10 if i else of}'>" for i in range(n))


def test_garbage_refuses_nothing_and_asks_nobody():
    """Whatever WhenDown= says: it speaks of verdicts that are missing, not of guests that cannot be told."""
    whole = DEFINITION.decode()
    for name, garbage in {
            "nothing": "", "blanks": "\n \n", "half": whole[:len(whole) // 2], "no end": whole[:-1], "two": whole * 2,
            "zeros": b"\0" * 4096, "noise": bytes(range(1, 256)) * 100, "UTF-16": whole.encode("utf-16"),
            "100 MB": b"<domain>" + b"x" * 100_000_000, "depth": "<domain>" + "<a>" * 300_000,
            "no name": whole.replace("<name>db</name>", ""), "an empty name": whole.replace(">db<", "><"),
            "two names": whole.replace("<uuid>", "<name>web</name><uuid>"),
            "two sizes": whole.replace("<devices>", "<memory>1</memory><devices>"),
            "no uuid": whole.replace("uuid>", "uid>"), "another uuid": whole.replace("11111111-2222", "zzzzzzzz-2222"),
            "no size": whole.replace(">128<", "><"), "a size below nothing": whole.replace(">128<", ">-1<"),
            "a size beyond all": whole.replace(">128<", f">{'9' * 40}<"), "a network": whole.replace("domain", "network"),
            "a bomb": f"<!DOCTYPE d [{entities(10, 'x' * 10)}]>" + whole.replace(">db<", ">&e9;<"),
            "a flat bomb": f"<!DOCTYPE d [<!ENTITY e '{'x' * 100_000}'>]>" + whole.replace(">db<", f">{'&e;' * 20_000}<"),
            "a file": "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + whole.replace(">db<", ">&e;<")}.items():
        with Host(saying(REFUSAL), "[Admission]\nWhenDown=refuse\n") as host:
            status, said = host.hook("prepare", definition=garbage.encode() if isinstance(garbage, str) else garbage)
            check_equal((status, host.calls), (OK, 0), f"{name}: {said[:300]}")
            check("guest 'db' is let in unjudged: " in said and len(said) < 300, f"{name}: {said[:600]}")


def test_long_names_are_judged():
    """Cut where they must be, and not in the middle of a character."""
    for name in "\u00e4" * 100, "x" + "\u00e4" * 100, "\u20ac" * 80, "x\u20ac" * 60:
        with Host(saying(REFUSAL)) as host:
            definition = DEFINITION.decode().replace("<name>db<", f"<name>{name}<").encode()
            status, said = host.hook("prepare", definition=definition)
            check_equal((status, host.calls), (REFUSED, 1), f"{name}: {said}")


run_tests([test_three_operations_decide_and_no_other, test_what_is_no_verdict_judges_nobody, test_a_peer_without_end_is_given_up,
           test_a_definition_that_takes_too_long_has_no_verdict, test_garbage_refuses_nothing_and_asks_nobody,
           test_long_names_are_judged])
