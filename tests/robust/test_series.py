# SPDX-License-Identifier: Apache-2.0
"""Samples on their way to a server: three datagrams in ten are lost, the daemon is killed and the
server is started anew, and the server has each sample once.

What a server has is what it took: a notification whose Observe value is not newer than that of one
before is no news to it (RFC 7641, section 3.4), and a retransmission is the same message. There is
one thing nobody can know: when all five acknowledgements of a notification are lost, or the server
ends before it was heard, its samples may be with the server and go out again to its next
observation. Those, and no others, may come twice; they are counted apart."""
import os
import random
import time

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm
from busclient import NAME, ROOT

BAD = {"drop": 0.3, "dup": 0.1, "reorder": 0.2}
PATH = "/3303/0/5700"
KILLS = int(os.environ.get("LWM2MD_SERIES_KILLS", "6"))
GONE = (DBusError, TimeoutError, EOFError, OSError, AssertionError)


def is_newer(new, last):
    return last is None or 0 < (new - last) % (1 << 24) < 1 << 23


class Rig:
    def __init__(self, seed, make_daemon, make_proxy, make_server, make_client):
        self.chance = random.Random(seed)
        self.make_server = make_server
        self.server = make_server()
        self.port = self.server.port
        self.proxy = make_proxy(f"127.0.0.1:{self.port}", seed=seed)
        self.daemon = make_daemon({"main": {"Uri": self.proxy.uri, "Lifetime": 3600}},
                                  values={PATH: "0"}, client={"SettleTime": "200ms"},
                                  Cache={"/3303": "100000"}, Persist={"/3303": "always"})
        self.server.wait_registered()
        self.client = make_client()
        self.client.match(f"type='signal',interface='{NAME}.Manager',member='Event'")
        self.value, self.sent, self.unsure = 0, set(), set()
        self.got, self.last, self.token = [], None, None
        self.message, self.doubt = [], set()
        self.observe()

    def calm(self):
        self.proxy.change(drop=0, dup=0, reorder=0)

    def observe(self):
        """Asked for without loss: whether an answer got through is not what this is about. What the
        former observation told last is in doubt."""
        self.calm()
        self.take_all()
        self.doubt.update(self.message)
        self.server.set(ack_timeout_ms=100, max_retransmit=8)
        self.token, self.last = self.server.observe(PATH, accept="senml-cbor").token, None
        self.client.call("Manager", "Sync")
        self.proxy.change(**BAD)

    def push(self):
        """A few samples; in doubt are those of a call without an answer."""
        n = self.chance.randint(1, 20)
        values = [float(self.value + i) for i in range(n)]
        self.value += n
        try:
            self.client.call("Data", "PushSeries", "svxxa{sv}", PATH, Variant("ad", values), 0, 1000,
                             {}, timeout=5)
            self.sent.update(values)
        except GONE:
            self.unsure.update(values)

    def take(self, event):
        if event.token != self.token or not is_newer(event.seq, self.last):
            return
        self.last = event.seq
        self.message = [v for _, t, v in fm.senml_series(event.body, fm.SENML_CBOR) if t]
        self.got += self.message

    def take_all(self):
        for event in self.server.take_events("notify"):
            self.take(event)

    def is_observed(self):
        return self.client.call("Server", "ListObservations", path=f"{ROOT}/server/101") != []

    def cached(self):
        return self.client.call("Data", "List", "sa{sv}", PATH, {})[0][1]["cached"]

    def drain(self, timeout=150):
        """Until the server has acknowledged everything."""
        end = time.monotonic() + timeout
        while self.cached() > 0:
            assert time.monotonic() < end, f"{self.cached()} samples are still there"
            if not self.is_observed():  # five acknowledgements were lost
                self.observe()
            try:
                self.take(self.server.wait_notify(timeout=0.2))
            except AssertionError:
                pass
        self.take_all()

    def restart_daemon(self):
        self.daemon.kill()
        self.take_all()
        self.calm()
        self.server.take_events("registered")
        self.daemon.start()
        self.server.wait_event("updated", timeout=60)
        assert not self.server.take_events("registered")
        self.proxy.change(**BAD)

    def restart_server(self):
        """One that knows nothing any more, at the same address. Meanwhile samples are pushed."""
        self.server.close()
        for _ in range(5):
            self.push()
        self.server = self.make_server(bind=f"127.0.0.1:{self.port}")
        self.calm()
        self.client.call("Manager", "Update", "a{sv}", {})
        self.server.wait_registered(timeout=120)
        self.observe()

    def check(self):
        twice = {v for v in self.got if self.got.count(v) > 1}
        assert twice <= self.doubt, f"came twice: {sorted(twice - self.doubt)}"
        assert self.sent <= set(self.got), f"lost: {sorted(self.sent - set(self.got))}"
        assert set(self.got) <= self.sent | self.unsure, "some were never pushed"


@pytest.fixture(name="make_rig")
def fixture_make_rig(make_daemon, make_proxy, make_server, make_client):
    rigs = []

    def make(seed):
        rigs.append(Rig(seed, make_daemon, make_proxy, make_server, make_client))
        return rigs[-1]
    yield make
    for rig in rigs:
        rig.calm()


@pytest.mark.parametrize("seed", (1, 2))
def test_loss(make_rig, seed):
    rig = make_rig(seed)
    for _ in range(20):
        rig.push()
        rig.take_all()
    rig.drain()
    rig.check()
    assert set(rig.got) == {float(i) for i in range(rig.value)}


@pytest.mark.parametrize("seed", (3, 4))
def test_kills(make_rig, seed):
    """At any moment, also with a notification on its way whose acknowledgement is lost."""
    rig = make_rig(seed)
    for _ in range(KILLS):
        for _ in range(rig.chance.randint(1, 4)):
            rig.push()
        end = time.monotonic() + rig.chance.uniform(0, 0.5)
        while (left := end - time.monotonic()) > 0:
            try:
                rig.take(rig.server.wait_notify(timeout=left))
            except AssertionError:
                pass
        rig.restart_daemon()
    rig.push()
    rig.drain()
    rig.check()


@pytest.mark.parametrize("seed", (5,))
def test_restarts_of_the_server(make_rig, seed):
    """While it is away samples gather. It had acknowledged what it got: otherwise nobody could know
    whether it had it."""
    rig = make_rig(seed)
    for turn in range(3):
        for _ in range(5):
            rig.push()
        rig.drain()
        rig.restart_server()
        if turn == 1:
            rig.restart_daemon()
    rig.drain()
    rig.check()
    assert set(rig.got) == {float(i) for i in range(rig.value)}
