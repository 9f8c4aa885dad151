#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""varlink-client.py FAKE-DAEMON SOURCE - the control socket as a stranger sees it: a client that knows Varlink and nothing of
memarb learns the interface from the socket, calls what it finds, and holds each answer against the types that were declared."""
import json
import os
import re
import socket
import subprocess
import sys
import threading

DAEMON, SOURCE = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

ARBITER = "io.memarb.Arbiter"
TOKEN = re.compile(r"\s+|#[^\n]*|(->|\[\]|\[string\]|[?():,]|[A-Za-z][A-Za-z0-9_.-]*)")
PATIENCE = 60


class Interface:
    """The Varlink interface definition language (varlink.org/Interface-Definition)."""

    def __init__(self, text):
        self.tokens, self.types, self.methods, self.errors = self.split(text), {}, {}, {}
        self.take("interface")
        self.name = self.take()
        while self.tokens:
            kind, name = self.take(), self.take()
            if kind == "method":
                parameters = self.read_struct()
                self.take("->")
                self.methods[name] = (parameters, self.read_struct())
            else:
                {"type": self.types, "error": self.errors}[kind][name] = self.read_struct()

    @staticmethod
    def split(text):
        tokens, at = [], 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"no Varlink: {text[at:at + 40]!r}")
            at = match.end()
            tokens += [match.group(1)] if match.group(1) else []
        return tokens

    def take(self, wanted=None):
        token = self.tokens.pop(0)
        if wanted is not None and token != wanted:
            raise ValueError(f"{token!r} instead of {wanted!r}")
        return token

    def read_type(self):
        token = self.take()
        if token in ("?", "[]", "[string]"):
            return (token, self.read_type())
        if token == "(":
            self.tokens.insert(0, token)
            return ("struct", self.read_struct())
        return ("name", token)

    def read_struct(self):
        """Fields by name; an enumeration's have no type."""
        fields = {}
        self.take("(")
        while self.tokens[0] != ")":
            name = self.take()
            fields[name] = None
            if self.tokens[0] == ":":
                self.take()
                fields[name] = self.read_type()
            if self.tokens[0] == ",":
                self.take()
        self.take(")")
        return fields

    def check_struct(self, fields, value, where):
        check(isinstance(value, dict), f"{where} is no object: {value!r}")
        check(not set(value) - set(fields), f"{where} has members that were not declared: {set(value) - set(fields)}")
        for name, kind in fields.items():
            if name not in value or value[name] is None:
                check(kind[0] == "?", f"{where}.{name} is missing")
            else:
                self.check_type(kind, value[name], f"{where}.{name}")

    def check_type(self, kind, value, where):
        of, more = kind
        plain = {"bool": bool, "int": int, "float": float, "string": str, "object": object}
        if of == "?":
            self.check_type(more, value, where)
        elif of == "struct":
            self.check_struct(more, value, where)
        elif of in ("[]", "[string]"):
            check(isinstance(value, list if of == "[]" else dict), f"{where} is {value!r}")
            for key, item in enumerate(value) if of == "[]" else value.items():
                self.check_type(more, item, f"{where}[{key}]")
        elif more in plain:
            good = isinstance(value, plain[more]) and (more != "int" or not isinstance(value, bool))
            check(good, f"{where} is {value!r}, declared as {more}")
        else:
            self.check_struct(self.types[more], value, where)


class Daemon:
    def __enter__(self):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.path = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        check_equal(self.process.wait(timeout=PATIENCE), 0, "the server's end")
        self.process.stdout.close()

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(self.path)
        return sock

    def said(self):
        """The number of commands so far, and the last one."""
        self.process.stdin.write("commands\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()


def read_message(sock):
    """None: the other side closed."""
    data = b""
    while not data.endswith(b"\0"):
        try:
            piece = sock.recv(1)
        except ConnectionResetError:
            return None
        if piece == b"":
            return None
        data += piece
    return json.loads(data[:-1])


def call(sock, method, **parameters):
    sock.sendall(json.dumps({"method": method, "parameters": parameters}).encode() + b"\0")
    return read_message(sock)


def interface_of(sock, name):
    return Interface(call(sock, "org.varlink.service.GetInterfaceDescription", interface=name)["parameters"]["description"])


def test_the_socket_describes_itself():
    with Daemon() as daemon, daemon.connect() as sock:
        service = interface_of(sock, "org.varlink.service")
        info = call(sock, "org.varlink.service.GetInfo")["parameters"]
        service.check_struct(service.methods["GetInfo"][1], info, "GetInfo")
        check_equal(sorted(info["interfaces"]), [ARBITER, "org.varlink.service"], "interfaces")
        for name in info["interfaces"]:
            check_equal(interface_of(sock, name).name, name, "its name")
            text = call(sock, "org.varlink.service.GetInterfaceDescription", interface=name)["parameters"]["description"]
            with open(os.path.join(SOURCE, "arbiter", "data", f"{name}.varlink"), encoding="utf-8") as file:
                check_equal(text, file.read(), f"{name}.varlink as it is installed")


def test_what_is_declared_is_what_is_answered():
    questions = {"GetStatus": {}, "ListGuests": {}, "GetPlan": {}, "GetSnapshot": {}, "Explain": {"guest": "web-1"}}
    with Daemon() as daemon, daemon.connect() as sock:
        arbiter = interface_of(sock, ARBITER)
        asked = [name for name in questions if name in arbiter.methods]
        check(len(asked) >= 4, f"methods: {list(arbiter.methods)}")
        for name in asked:
            answer = call(sock, f"{ARBITER}.{name}", **questions[name])
            check("error" not in answer, f"{name}: {answer}")
            arbiter.check_struct(arbiter.methods[name][1], answer["parameters"], name)


def test_every_declared_method_is_there_and_no_other():
    with Daemon() as daemon:
        with daemon.connect() as sock:
            arbiter, service = interface_of(sock, ARBITER), interface_of(sock, "org.varlink.service")
        known = {f"{ARBITER}.{name}": fields for name, fields in arbiter.errors.items()}
        known.update({f"org.varlink.service.{name}": fields for name, fields in service.errors.items()})
        for name in arbiter.methods:
            with daemon.connect() as sock:
                answer = call(sock, f"{ARBITER}.{name}", **{"no-such-parameter": 1})
            error = answer.get("error")
            check(error != "org.varlink.service.MethodNotFound", f"{name} is declared and not there")
            check(error in known, f"{name}: {answer}")
            told = dict(answer.get("parameters") or {})
            if error.startswith("org.varlink.service."):
                told.pop("message", None)  # a sentence for a person, beside what that interface declares
            arbiter.check_struct(known[error], told, error)
        for method, error in {f"{ARBITER}.Nothing": "MethodNotFound", "io.memarb.Nothing.GetStatus": "InterfaceNotFound",
                              "org.varlink.service.Nothing": "MethodNotFound"}.items():
            with daemon.connect() as sock:
                check_equal(call(sock, method)["error"], f"org.varlink.service.{error}", method)


def test_messages_that_are_none_cost_their_sender_alone():
    """Half a message, a megabyte without an end, nothing at all: others are answered meanwhile."""
    with Daemon() as daemon:
        half, silent, large = daemon.connect(), daemon.connect(), daemon.connect()
        half.sendall(b'{"method":"io.memarb.Arb')
        try:
            large.sendall(b'{"method":"' + b"x" * (1 << 20))
        except OSError:
            pass  # closed before it was through
        with daemon.connect() as sock:
            check("parameters" in call(sock, f"{ARBITER}.GetStatus"), "another client is answered")
        answer = read_message(large)
        check(answer is None or "error" in answer, f"what the large one is told: {answer}")
        check(answer is None or read_message(large) is None, "it is closed")
        check(read_message(half) is None, "half a message is given up in time")
        for sock in (half, silent, large):
            sock.close()
        check_equal(daemon.said()[0], "0", "commands that came through")


def test_changes_at_once_are_whole_and_each_is_answered():
    """Clients that all change something: each is answered, and the last command is one of theirs, unmixed."""
    with Daemon() as daemon:
        daemon.connect().close()
        sockets = [daemon.connect() for _ in range(8)]
        answers = [None] * len(sockets)

        def change(index):
            guest, usec = ("web-1", 1000) if index % 2 == 0 else ("db", 2000)
            for _ in range(10):
                answers[index] = call(sockets[index], f"{ARBITER}.Hold", guest=guest, usec=usec)
        threads = [threading.Thread(target=change, args=(index,)) for index in range(len(sockets))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        for sock in sockets:
            sock.close()
        check(all(answer is not None and "error" not in answer for answer in answers), f"answers: {answers}")
        number, _, _, guest, usec = daemon.said()
        check_equal(number, "80", "commands")
        check(usec in ("1000", "2000"), f"the last one, of {guest}, is whole: {usec}")


run_tests([test_the_socket_describes_itself, test_what_is_declared_is_what_is_answered,
           test_every_declared_method_is_there_and_no_other, test_messages_that_are_none_cost_their_sender_alone,
           test_changes_at_once_are_whole_and_each_is_answered])
