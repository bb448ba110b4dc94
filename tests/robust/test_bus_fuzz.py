# SPDX-License-Identifier: Apache-2.0
"""A user of the bus who sends anything: every method with wrong types, wild values, deep variants and large
arrays, members and objects that do not exist. Each call has an answer, each refusal says what was wrong,
what is not his to change is as it was, and memory does not grow.

LWM2MD_FUZZ_SEED and LWM2MD_FUZZ_CALLS repeat or lengthen a run."""
import asyncio
import os
import pwd
import random
import socket
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal
from dbus_fast.signature import get_signature_tree

from busclient import NAME, ROOT, BusClient, plain
from conftest import KIT_VALUES
from daemon import Bus

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")

CONTRACT = Path(__file__).resolve().parents[2] / "dbus"
SEED = int(os.environ.get("LWM2MD_FUZZ_SEED", "1"))
CALLS = int(os.environ.get("LWM2MD_FUZZ_CALLS", "2000"))
WINDOW = 16
SO_SNDBUFFORCE = 32
GROWTH = 6 << 20
KEY = "f00dface5ec2e7c0ffee"  # of an account: in no answer

GOOD = ["/", "/3303", "/3303/0", "/3303/0/5700", "/3303/1", "/26241/0", "/26241/0/0", "/26241/0/1", "/26241/0/3",
        "/26241/0/5", "/26241/0/10", "/26241/0/10/0", "/26241/0/22"]
PATHS = ["/", "/3", "/3/0", "/3/0/0", "/3303", "/3303/0", "/3303/0/5700", "/26241/0", "/26241/0/0", "/26241/0/1",
         "/26241/0/5", "/26241/0/10", "/26241/0/10/0", "/26241/0/22", "/26241/3/1", "/1", "/1/0/1", "/2/0", "/0",
         "/0/0/5", "/0/1/5", "/21/0/1", "/65535", "/65534/65534/65534/65534", "/1/2/3/4/5", "//", "", "/3303/",
         "3303/0", "/-1", "/03", "/3303/0/5700?x", "/ü", "/3303/x", " /3303", "/4294967299", "/3303" * 500]
NAMES = ["persist", "cache", "cache_full", "cache_read", "create", "time", "boottime", "wait", "server", "partial",
         "depth", "samples", "min_interval_ms", "local", "read", "write", "execute", "timeout_ms", "grace_ms",
         "on_vanish", "share", "with_cache", "format", "file", "force", "max_ms", "uri", "short_id", "x-mine", "",
         "no such option", "k" * 300]
TEXTS = PATHS + ["always", "oldest", "latest", "keep", "remove", "senml-json", "set", "create", "delete", "unset",
                 "replace", "expect", "1.0", "<LWM2M/>", "0='a',1", "%s%n%d", "\x01\x7f", "\U0001f600", "a" * 70000]
OBJECTS = [ROOT, f"{ROOT}/server/101", f"{ROOT}/server/0", f"{ROOT}/server/65536", f"{ROOT}/server/bootstrap",
           f"{ROOT}/server/x", "/", "/org/freedesktop/LogControl1", "/no/such/object"]
RANGES = {"y": (0, 255), "n": (-2**15, 2**15 - 1), "q": (0, 2**16 - 1), "i": (-2**31, 2**31 - 1), "u": (0, 2**32 - 1),
          "x": (-2**63, 2**63 - 1), "t": (0, 2**64 - 1)}
# What an error may be called; anything else was not thought of.
ERRORS = ("InvalidArgs", "AccessDenied", "UnknownMethod", "UnknownInterface", "UnknownObject", "UnknownProperty",
          "PropertyReadOnly", "LimitsExceeded",
          "InconsistentMessage")  # a descriptor that was not sent along


def methods():
    """[(interface, member, signature)] of all that the daemon has."""
    found = []
    for file in sorted(CONTRACT.glob("*.xml")):
        for interface in ET.parse(file).getroot().findall("interface"):
            if interface.get("name").endswith(".Handler"):
                continue
            for method in interface.findall("method"):
                args = [a.get("type") for a in method.findall("arg") if a.get("direction") == "in"]
                found.append((interface.get("name"), method.get("name"), "".join(args)))
    assert len(found) > 40
    return found


class Wild:
    """Signatures, values and calls by chance."""

    def __init__(self, seed, fds):
        self.random, self.fds, self.methods, self.waits = random.Random(seed), fds, methods(), True

    def signature(self, depth=0):
        kind = self.random.random()
        if depth > 5 or kind < 0.7:
            return self.random.choice("ybnqiuxtdsogvh")
        if kind < 0.8:
            return "a" + self.signature(depth + 1)
        if kind < 0.9:
            return "a{" + self.random.choice("sqx") + self.signature(depth + 1) + "}"
        return "(" + "".join(self.signature(depth + 1) for _ in range(self.random.randint(1, 4))) + ")"

    def number(self, token):
        low, high = RANGES[token]
        return self.random.choice([low, high, 0, min(1, high), self.random.randint(low, high), min(high, 1700000000)])

    def options(self):
        """Some that are known, mostly of their types."""
        good = {"persist": Variant("b", True), "create": Variant("b", True), "wait": Variant("b", True),
                "cache": Variant("u", 100), "cache_full": Variant("s", "oldest"), "partial": Variant("b", True),
                "depth": Variant("u", 2), "samples": Variant("b", True), "write": Variant("b", True),
                "grace_ms": Variant("u", 100), "min_interval_ms": Variant("u", 10), "max_ms": Variant("u", 50)}
        if not self.waits:
            del good["wait"]
        names = self.random.sample(sorted(good), self.random.choice([0, 0, 0, 1, 1, 2]))
        return {name: good[name] if self.random.random() < 0.9 else self.variant(3) for name in names}

    def variant(self, depth):
        if self.random.random() < 0.5:
            return self.random.choice([Variant("s", "text"), Variant("x", 5), Variant("d", 1.5), Variant("b", True),
                                       Variant("ax", [1, 2, 3]), Variant("ad", [0.5] * 10),
                                       Variant("a{qv}", {0: Variant("s", "zero")})])
        if self.random.random() < 0.02:  # as deep as D-Bus allows
            v = Variant("u", 1)
            for _ in range(self.random.randint(10, 50)):
                v = Variant("v", v)
            return v
        signature = self.random.choice(["s", "x", "d", "b", "ay", "(qq)", "a{qv}", "u", "q", "ad", "ax", "ab",
                                        self.signature(3)])
        return Variant(signature, self.value(get_signature_tree(signature).types[0], depth + 1))

    def length(self, depth):
        if depth == 0 and self.random.random() < 0.01:
            return self.random.choice([1000, 5000])
        return self.random.choice([0, 1, 1, 2, 3]) if depth < 6 else 0

    def value(self, kind, depth=0):
        """Of a SignatureType."""
        token = kind.token
        if token in RANGES:
            return self.number(token)
        if token == "a":
            child, n = kind.children[0], self.length(depth)
            if kind.signature == "a{sv}" and depth == 0 and self.random.random() < 0.7:
                return self.options()
            if child.token == "y":
                return bytes(self.random.choice([0, 1, 100, 70000]))
            if child.token != "{":
                return [self.value(child, depth + 1) for _ in range(n)]
            keys = [self.random.choice(NAMES) if child.children[0].token == "s" else
                    self.value(child.children[0], depth + 1) for _ in range(n)]
            return {key: self.value(child.children[1], depth + 1) for key in keys}
        return {
            "b": lambda: self.random.random() < 0.5,
            "d": lambda: self.random.choice([0.0, -1.5, 1e308, float("inf"), float("nan"), 21.5]),
            "s": lambda: self.random.choice(GOOD if self.random.random() < 0.6 else TEXTS),
            "o": lambda: self.random.choice(OBJECTS),
            "g": lambda: self.random.choice(["s", "a{sv}", ""]),
            "h": lambda: 0,
            "v": lambda: self.variant(depth),
            "(": lambda: [self.value(child, depth + 1) for child in kind.children],
        }[token]()

    def message(self):
        interface, member, signature = self.random.choice(self.methods)
        if self.random.random() < 0.5:  # where he may do most
            interface, member, signature = self.random.choice([m for m in self.methods if m[0].endswith(".Data")])
        path = self.random.choice(OBJECTS) if self.random.random() < 0.15 else \
            f"{ROOT}/server/101" if interface.endswith(".Server") else ROOT
        kind = self.random.random()
        if kind < 0.15:
            signature = "".join(self.signature() for _ in range(self.random.randint(0, 4)))
        elif kind < 0.2:
            signature += self.signature()
        elif kind < 0.23:
            member = self.random.choice(["Nothing", "x" * 200, member + "s", member.lower()])
        elif kind < 0.26:
            interface = self.random.choice([f"{NAME}.Handler", f"{NAME}.Nothing", "org.example.X", None])
        elif kind < 0.32:
            interface, member, signature = self.random.choice([
                ("org.freedesktop.DBus.Properties", "Get", "ss"), ("org.freedesktop.DBus.Properties", "Set", "ssv"),
                ("org.freedesktop.DBus.Properties", "GetAll", "s"),
                ("org.freedesktop.DBus.Introspectable", "Introspect", ""),
                ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ""),
                ("org.freedesktop.DBus.Peer", "GetMachineId", "")])
        body = [self.value(t) for t in get_signature_tree(signature).types]
        return Message(destination=NAME, path=path, interface=interface, member=member, signature=signature,
                       body=body, unix_fds=[self.random.choice(self.fds)]
                       if "h" in signature or self.random.random() < 0.2 else [])


class Stranger(BusClient):
    """A client whose socket another user has opened."""

    async def _connect(self, address):
        nobody = pwd.getpwnam("nobody")
        os.seteuid(nobody.pw_uid)
        try:
            bus = await MessageBus(bus_address=address, negotiate_unix_fd=True,
                                   auth=AuthExternal(nobody.pw_uid)).connect()
        finally:
            os.seteuid(0)
        # dbus-fast takes a full socket for an error
        bus._sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)  # pylint: disable=protected-access
        return bus

    def storm(self, wild, n, check):
        """n calls, a window of them at a time; check(message, answer)."""
        async def one(message, places):
            async with places:
                check(message, await asyncio.wait_for(self.bus.call(message), 60))

        async def run():
            places = asyncio.Semaphore(WINDOW)
            for start in range(0, n, 500):  # messages are made in time, not all before
                await asyncio.gather(*(one(wild.message(), places) for _ in range(min(500, n - start))))
        self.run(run(), timeout=600)


def text_of(message):
    return f"{message.path} {message.interface}.{message.member} {message.signature} {message.body}"[:600]


def check_answer(message, answer):
    assert KEY not in str(answer.body), text_of(message)
    if answer.message_type != MessageType.ERROR:
        return None
    name, text = answer.error_name, answer.body[0] if answer.body else ""
    known = name.startswith(f"{NAME}.Error.") or name.removeprefix("org.freedesktop.DBus.Error.") in ERRORS
    assert known and len(text) > 8, f"{text_of(message)}\n=> {name}: {text}"
    return name


def refuses(client, method, signature, *args):
    answer = client.start("Data", method, signature, *args).result(30)
    assert answer.message_type == MessageType.ERROR and answer.error_name.endswith("AccessDenied"), answer.body


@pytest.fixture(name="bus")
def fixture_bus(sockets):
    bus = Bus(sockets, users=["nobody"])
    yield bus
    bus.stop()


@pytest.fixture(name="fds")
def fixture_fds(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100000)
    memory = os.memfd_create("unsealed")
    ends = os.pipe()
    fds = [os.open("/dev/null", os.O_RDWR), os.open(tmp_path / "file", os.O_RDONLY), os.open(tmp_path, os.O_RDONLY),
           memory, *ends]
    yield fds
    for fd in fds:
        os.close(fd)


def accounts(client):
    return plain(client.call("Data", "GetMany", "asa{sv}", ["/1", "/2"], {}))


def test_anything(make_daemon, server, client, bus, fds, tmp_path):
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    account = {"Uri": "coaps://127.0.0.1:9", "SecurityMode": "psk", "Identity": "x", "KeyFile": str(key)}
    daemon = make_daemon({"main": server.uri, "other": account}, values=KIT_VALUES,
                         Limits={"Instances": 2000, "CacheBytes": "1M"})
    server.wait_registered()
    before = accounts(client)
    names, answered = {}, [0]  # of errors; of all

    def check(message, answer):
        answered[0] += 1
        name = check_answer(message, answer)
        if name:
            names[name] = names.get(name, 0) + 1

    def run():
        stranger = Stranger(bus.address)
        stranger.storm(Wild(SEED, fds), CALLS, check)
        stranger.close()

    run()
    run()
    rss = daemon.rss
    run()
    assert answered[0] == 3 * CALLS
    # what is held ends with the connection
    end = time.monotonic() + 30
    while client.call("Claims", "List") and time.monotonic() < end:
        time.sleep(0.1)
    assert daemon.sanitized or daemon.rss - rss < GROWTH, f"{daemon.rss - rss} bytes more"
    assert accounts(client) == before
    assert client.get("Manager", "State") == "online"
    assert server.read("/1/0/0", accept="text").text == "101"
    stranger = Stranger(bus.address)
    for path in ("/0", "/0/0", "/0/0/5", "/21", "/21/0/1"):
        refuses(stranger, "GetMany", "asa{sv}", [path], {})
        if path.count("/") == 3:
            refuses(stranger, "Get", "sa{sv}", path, {})
            refuses(stranger, "GetFd", "sa{sv}", path, {})
        refuses(stranger, "List", "sa{sv}", path, {})
        refuses(stranger, "Subscribe", "asa{sv}", [path], {})
        refuses(stranger, "Send", "asa{sv}", [path], {})
    assert not any(p.startswith(("/0/", "/21/")) for p, *_ in stranger.call("Data", "GetMany", "asa{sv}", ["/"], {}))
    stranger.close()
    # it was about something
    print(names)
    assert CALLS < sum(names.values()) < 2.9 * CALLS and len(names) > 8, names


def test_anything_of_an_administrator(make_daemon, server, client, bus, fds):
    """What is for administrators is refused to others before it is looked at: so here by one of them."""
    daemon = make_daemon({"main": server.uri}, values=KIT_VALUES, start=False,
                         Limits={"Instances": 2000, "CacheBytes": "1M"})
    (daemon.config.parent / "access.d").mkdir()
    (daemon.config.parent / "access.d" / "boss.conf").write_text("[boss]\nuser=nobody\npaths=/\nallow=all,admin\n")
    daemon.start()
    server.wait_registered()
    done = [0]

    def check(message, answer):
        done[0] += not check_answer(message, answer)

    def run():
        wild = Wild(SEED, fds)
        wild.waits = False  # an Update that waits while the client is paused has no answer for minutes
        wild.methods = [m for m in wild.methods if m[0].rpartition(".")[2] in ("Manager", "Server", "Model")
                        and m[1] not in ("FactoryReset", "Test")] + [(f"{NAME}.Data", "Get", "sa{sv}")]
        stranger = Stranger(bus.address)
        stranger.storm(wild, CALLS, check)
        stranger.close()

    run()
    run()
    rss = daemon.rss
    run()
    assert done[0] > CALLS / 10
    assert daemon.sanitized or daemon.rss - rss < GROWTH, f"{daemon.rss - rss} bytes more"
    client.call("Manager", "Sync")
    client.call("Claims", "List")
