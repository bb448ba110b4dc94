# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments while servers and applications change things: what was acknowledged is
there afterwards, what was not is there whole or not at all, and the daemon always starts.

LWM2MD_KILLS is the number of kills during writes (200; the other kinds take a share of it), and
LWM2MD_SEED repeats a run as far as time allows."""
import os
import random
import re
import threading
import time

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm
from busclient import ROOT

KILLS = int(os.environ.get("LWM2MD_KILLS", "200"))
GONE = (DBusError, TimeoutError, EOFError, OSError, AssertionError)


class Actor(threading.Thread):
    """Does one thing after another until it is stopped or the daemon does not answer. verify()
    holds what is there against what the actors before were told."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.rig, self.over = rig, threading.Event()

    def run(self):
        while not self.over.is_set() and self.step():
            pass


class Known:
    """What may be there: what was acknowledged, and what was asked for without an answer."""

    def __init__(self, value):
        self.values = [value]

    def asked(self, value):
        self.values = [self.values[0], value]

    def told(self):
        self.values = self.values[-1:]

    def found(self, value, what):
        assert value in self.values, f"{what}: {value}, but it can only be one of {self.values}"
        self.values = [value]


class ServerWrites(Actor):
    """A server writes two resources in one request: both or none."""

    def __init__(self, rig):
        super().__init__(rig)
        self.known = rig.memory.setdefault("server", Known((0, 0)))

    def verify(self):
        one, two = (int(self.rig.server.read(p, accept="text").text)
                    for p in ("/26241/0/1", "/26241/0/6"))
        self.known.found((one, two), "written by the server")

    def step(self):
        n = self.known.values[0][0] + 1
        self.known.asked((n, n))
        body = fm.senml_encode({"/26241/0/1": n, "/26241/0/6": n})
        if not self.rig.ask("write", "/26241/0", "2.04", hex=body.hex(), format="senml-json",
                            mode="update"):
            return False
        self.known.told()
        return True


class AppWrites(Actor):
    """An application sets a value and asks for it to be on disk."""

    def __init__(self, rig):
        super().__init__(rig)
        self.known = rig.memory.setdefault("app", [0, 0])

    def verify(self):
        value = self.rig.client.call("Data", "Get", "sa{sv}", "/26241/0/3", {})
        low, high = self.known
        assert low <= value <= high, f"{value} is not between {low} (synced) and {high} (set)"
        self.known[:] = [value, value]

    def step(self):
        self.known[1] += 1
        try:
            self.rig.client.set("/26241/0/3", "d", float(self.known[1]), persist=Variant("b", True))
            self.rig.client.call("Manager", "Sync", timeout=5)
        except GONE:
            return False
        self.known[0] = self.known[1]
        return True


class Instances(Actor):
    """Creates and deletes; each instance comes with a value of its own."""

    def __init__(self, rig, name, ids):
        super().__init__(rig)
        self.known = rig.memory.setdefault(name, {i: Known(None) for i in ids})
        self.count = rig.count

    def verify(self):
        values = dict((p, v) for p, v, _ in self.rig.client.call(
            "Data", "GetMany", "asa{sv}", ["/26241"], {}))
        nodes = {p for p, _ in self.rig.client.call("Data", "List", "sa{sv}", "/26241",
                                                    {"depth": Variant("u", 1)})}
        for i, known in self.known.items():
            here = f"/26241/{i}" in nodes
            known.found(values.get(f"/26241/{i}/1", "no value") if here else None, f"/26241/{i}")

    def step(self):
        i = self.rig.chance.choice(list(self.known))
        known = self.known[i]
        if known.values[0] is None:
            n = next(self.count)
            known.asked(n)
            done = self.create(i, n)
        else:
            known.asked(None)
            done = self.delete(i)
        if done:
            known.told()
        return done


class ServerInstances(Instances):
    def __init__(self, rig):
        super().__init__(rig, "created by the server", range(1, 12))

    def create(self, i, n):
        body = fm.senml_encode({f"/26241/{i}/1": n})
        return self.rig.ask("create", "/26241", "2.01", hex=body.hex(), format="senml-json")

    def delete(self, i):
        return self.rig.ask("delete", f"/26241/{i}", "2.02")


class AppInstances(Instances):
    """What an application creates is on disk with its first values when the call returns."""

    def __init__(self, rig):
        super().__init__(rig, "created by an application", range(50, 60))

    def call(self, *args):
        try:
            self.rig.client.call("Data", *args, timeout=5)
            return True
        except GONE:
            return False

    def create(self, i, n):
        return self.call("Apply", "a(ssv)a{sv}", [
            ["create", f"/26241/{i}", Variant("b", True)],
            ["set", f"/26241/{i}/1", Variant("x", n)]], {"persist": Variant("b", True)}) and \
            self.sync()

    def delete(self, i):
        return self.call("Delete", "asa{sv}", [f"/26241/{i}"], {})

    def sync(self):
        try:
            self.rig.client.call("Manager", "Sync", timeout=5)
            return True
        except GONE:
            return False

    def verify(self):
        # the instance is durable before its values are: an empty one may be left by a kill
        for known in self.known.values():
            if len(known.values) == 2 and known.values[1] is not None:
                known.values.append("no value")
        super().verify()


class Accounts(Actor):
    """Servers come and go; a short id is there with its whole account or not at all."""

    def __init__(self, rig):
        super().__init__(rig)
        self.known = rig.memory.setdefault("accounts", {i: Known(None) for i in range(500, 506)})
        self.count = rig.count

    def verify(self):
        values = self.rig.client.call("Data", "GetMany", "asa{sv}", ["/1"], {})
        ids = {v: p.rsplit("/", 1)[0] for p, v, _ in values if p.endswith("/0")}
        lifetimes = {p.rsplit("/", 1)[0]: v for p, v, _ in values if p.endswith("/1")}
        for i, known in self.known.items():
            known.found(lifetimes.get(ids[i]) if i in ids else None, f"server {i}")
            if i in ids:
                uri = self.rig.client.get("Server", "Uri", f"{ROOT}/server/{i}")
                assert uri == f"coap://127.0.0.1:{self.rig.nobody}", uri
        assert set(ids) <= {101, *self.known}

    def step(self):
        i = self.rig.chance.choice(list(self.known))
        known = self.known[i]
        try:
            if known.values[0] is None:
                lifetime = 100 + next(self.count)
                known.asked(lifetime)
                self.rig.client.call("Manager", "AddServer", "a{sv}", {
                    "uri": Variant("s", f"coap://127.0.0.1:{self.rig.nobody}"),
                    "short_id": Variant("q", i), "lifetime": Variant("u", lifetime)}, timeout=5)
            else:
                known.asked(None)
                self.rig.client.call("Manager", "RemoveServer", "oa{sv}", f"{ROOT}/server/{i}", {},
                                     timeout=5)
        except GONE:
            return False
        known.told()
        return True


class Attributes(Actor):
    """Write-Attributes on three levels, each with an attribute that no other level has, since
    Discover shows inherited ones too."""

    NAMES = {"/26241": "pmin", "/26241/0": "pmax", "/26241/0/1": "gt"}

    def __init__(self, rig):
        super().__init__(rig)
        self.known = rig.memory.setdefault("attributes", {p: Known(None) for p in self.NAMES})
        self.count = rig.count

    def verify(self):
        for path, known in self.known.items():
            text = self.rig.server.discover(path).text
            link = next(t for t in text.split(",") if t.startswith(f"<{path}>"))
            found = re.search(rf";{self.NAMES[path]}=(\d+)", link)
            known.found(int(found[1]) if found else None, f"{self.NAMES[path]} of {path}")

    def step(self):
        path = self.rig.chance.choice(list(self.known))
        known = self.known[path]
        n = next(self.count) + (100000 if path == "/26241/0" else 0)
        known.asked(n)
        if not self.rig.ask("write_attributes", path, "2.04", query=[f"{self.NAMES[path]}={n}"]):
            return False
        known.told()
        return True


class Observations(Actor):
    """A server observes. Goes the daemon on with the registration, then with every observation that
    was acknowledged; else it registers anew and has none."""

    def __init__(self, rig):
        super().__init__(rig)
        self.told, self.asked = rig.memory.setdefault("observations", (set(), set()))
        self.count = rig.count

    def verify(self):
        listed = self.rig.client.call("Server", "ListObservations", path=f"{ROOT}/server/101")
        there = {options["token"] for _, options in listed or []}
        self.rig.seen[self.rig.how] += 1
        if self.rig.how == "registered":
            assert not there
            self.told.clear()
            self.asked.clear()
        assert self.told <= there <= self.told | self.asked, self.rig.how
        self.told |= there

    def step(self):
        token = f"{next(self.count):08x}"
        self.asked.add(token)
        if not self.rig.ask("observe", "/26241/0/1", "2.05", token=token):
            return False
        self.told.add(token)
        time.sleep(self.rig.chance.choice((0, 0, 0.02)))
        return True


class Rig:
    def __init__(self, make_daemon, server, make_client, nobody, kinds, persist):
        seed = int(os.environ.get("LWM2MD_SEED", random.randrange(1 << 30)))
        print("LWM2MD_SEED =", seed)
        self.chance = random.Random(seed)
        self.server, self.make_client, self.nobody, self.kinds = server, make_client, nobody, kinds
        self.memory, self.client = {}, None
        self.how, self.seen = None, {"registered": 0, "updated": 0}
        self.count = iter(range(1, 1 << 60))
        self.daemon = make_daemon({"main": server.uri}, start=False, client={"UpdateInterval": 0},
                                  Persist=persist, values={"/26241/0/1": "0", "/26241/0/3": "0",
                                                           "/26241/0/6": "0"})

    def ask(self, op, path, code, **fields):
        """Whether the server got that answer; another answer than none is a failure."""
        answer = self.server.finish(self.server.start(op, path, timeout_ms=150, retransmit=False,
                                                      **fields))
        assert not answer["ok"] or answer.code == code, answer
        return answer["ok"]

    def begin(self):
        self.server.take_events()
        self.daemon.start()
        self.how = self.server.wait_event(
            None, lambda e: e.event in ("registered", "updated")).event
        self.client = self.make_client()

    def end(self):
        self.client.close()

    def rounds(self, n):
        for _ in range(n):
            self.begin()
            actors = [kind(self) for kind in self.kinds]
            for actor in actors:
                actor.verify()
            for actor in actors:
                actor.start()
            time.sleep(self.chance.uniform(0, 0.08))
            self.daemon.kill()
            for actor in actors:
                actor.over.set()
            for actor in actors:
                actor.join(20)
            self.end()
        self.begin()
        for kind in self.kinds:
            kind(self).verify()
        self.end()
        for word in ("set aside", "damaged", "is lost", "are lost"):
            assert word not in self.daemon.log, self.daemon.log


@pytest.fixture(name="rig")
def fixture_rig(make_daemon, server, make_client, refusing_port):
    def make(kinds, **persist):
        return Rig(make_daemon, server, make_client, refusing_port, kinds, persist)
    return make


# In parts, so that they run side by side.
@pytest.mark.parametrize("part", range(4))
def test_writes(rig, part):
    rig([ServerWrites, AppWrites]).rounds(KILLS // 4)


@pytest.mark.parametrize("part", range(2))
def test_writes_while_the_journal_is_compacted(rig, part):
    """With a journal of 4 KiB every few writes end in new files."""
    test = rig([ServerWrites, AppWrites, ServerInstances], Journal=4096)
    test.rounds(KILLS // 5)
    assert KILLS < 100 or (test.daemon.state / "object-26241.cbor").exists()


@pytest.mark.parametrize("journal", [4096, 1 << 20])
def test_creates_and_deletes(rig, journal):
    rig([ServerInstances, AppInstances], Journal=journal).rounds(KILLS // 8)


def test_accounts(rig):
    rig([Accounts, ServerWrites], Journal=4096).rounds(KILLS // 8)


def test_attributes(rig):
    rig([Attributes, AppWrites], Journal=4096).rounds(KILLS // 8)


@pytest.mark.parametrize("journal", [4096, 1 << 20])
def test_observations(rig, journal):
    test = rig([Observations, AppWrites], Journal=journal)
    test.rounds(KILLS // 8)
    assert KILLS < 100 or min(test.seen.values()) > 0, test.seen
