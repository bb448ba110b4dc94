# SPDX-License-Identifier: Apache-2.0
"""Send of samples: asked for with the cache, and of its own accord by the send scheduler; and Send
in queue mode."""
import time

import pytest
from dbus_fast import Variant

import formats as fm
from testserver import TestServer

PATH = "/3303/0/5700"
VALUES = {PATH: "21.5", "/3303/1/5700": "22.5",
          "/1/0/17": "20", "/1/0/18": "1"}  # the next attempt to register after a second
NS = 10**9


def series(event):
    """[(path, time, value)] of a Send."""
    return fm.senml_series(event.body, event.format)


def values_of(events):
    return [v for e in events for _, _, v in series(e)]


def wait_values(server, values, timeout=20):
    """The Sends that bring these values of PATH, in order, and nothing else."""
    got, end = [], time.monotonic() + timeout
    while len(got) < len(values):
        event = server.wait_event("send", timeout=max(end - time.monotonic(), 0.1))
        assert all(p == PATH and t is not None for p, t, _ in series(event))
        if event.code_sent == "2.04":
            got += [v for _, _, v in series(event)]
    assert got == values


def set_values(client, *values, path=PATH):
    for value in values:
        client.set(path, "d", float(value))


@pytest.fixture(name="scheduled")
def fixture_scheduled(make_daemon, server, ctl):
    """scheduled(MaxSamples=…, **{path: rules}): a registered daemon with that [SendScheduler]."""
    def make(uri=None, **lines):
        daemon = make_daemon({"main": uri or server.uri}, values=VALUES, SendScheduler=lines)
        ctl("wait", "registered", "--server=101", "--timeout=20")
        return daemon
    return make


# --- with the cache ---
def test_with_cache(daemon, server, client, ctl):
    ctl("wait", "registered", "--server=101", "--timeout=10")
    ctl("cache", PATH, "100")
    start = time.time()
    set_values(client, 1, 2, 3)
    assert ctl("send", PATH) == "status: acked"  # the latest value, and nothing leaves
    assert series(server.wait_event("send")) == [(PATH, None, 3)]
    server.rule("send", code="5.00", times=1)
    assert ctl.run("send", "--with-cache", "/3303").returncode == 1
    assert len(series(server.wait_event("send"))) == 3
    set_values(client, 4)
    assert ctl("send", "--with-cache", "/3303") == "status: acked"
    got = series(server.wait_event("send"))
    assert [v for _, _, v in got] == [1, 2, 3, 4]
    times = [t for _, t, _ in got]
    assert times == sorted(times) and start - 1 < times[0] and times[-1] < time.time() + 1
    assert ctl("send", "--with-cache", "/3303") == "status: acked"
    assert series(server.wait_event("send")) == [(PATH, None, 4)]  # the cache is empty


def test_a_long_cache_in_pieces(make_daemon, server, client, ctl):
    """Bodies that the server loses or refuses: each sample arrives in one that it took."""
    make_daemon({"main": server.uri}, values=VALUES, Limits={"SendBody": "2K"}, Cache={PATH: 2000})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    start = time.time_ns() - 3600 * NS
    client.call("Data", "PushSeries", "svxxa{sv}", PATH, Variant("ad", [float(i) for i in range(1500)]),
                start, NS, {})
    server.rule("send", drop=True, times=2)
    server.rule("send", code="4.13", times=1)
    assert ctl("send", "--with-cache", PATH, timeout=60) == "status: acked"
    taken = [e for e in server.take_events("send") if e.code_sent == "2.04"]
    assert values_of(taken) == list(range(1500)) and len(taken) > 5
    assert max(e["length"] for e in taken) <= 2048


def test_kept_over_a_kill(make_daemon, server, client, make_client, ctl):
    daemon = make_daemon({"main": server.uri}, values=VALUES, Cache={PATH: 100},
                         Persist={PATH: "always"})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    set_values(client, 1, 2, 3)
    daemon.kill()
    daemon.start()
    ctl("wait", "registered", "--server=101", "--timeout=20")
    assert ctl("send", "--with-cache", PATH) == "status: acked"
    assert values_of(server.take_events("send")) == [1, 2, 3]


@pytest.mark.parametrize("by_server", [False, True])
def test_cache_of_a_rule_is_kept_over_a_kill(make_daemon, server, client, ctl, by_server):
    """The resource has no cache but that of its rule."""
    daemon = make_daemon({"main": server.uri}, values=VALUES, Persist={PATH: "always"},
                         **{} if by_server else {"SendScheduler": {PATH: ""}})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    if by_server:
        body = f'[{{"bn":"/10524/3/","n":"0","vs":"{PATH}"}}]'
        assert server.create("/10524", payload=body, format="senml-json").code == "2.01"
        (_, node), = client.call("Data", "List", "sa{sv}", PATH, {})
        assert node["cache"] == 1000
    server.rule("send", code="5.00")
    set_values(client, 1, 2, 3)
    client.call("Manager", "Sync")
    daemon.kill()
    server.clear_rules()
    server.take_events()
    daemon.start()
    wait_values(server, [1, 2, 3], timeout=30)
    # it goes with its rule
    assert server.delete("/10524/3" if by_server else "/10524/10000").code == "2.02"
    end = time.monotonic() + 10
    while "cache" in client.call("Data", "List", "sa{sv}", PATH, {})[0][1]:
        assert time.monotonic() < end
        time.sleep(0.02)


# --- the scheduler ---
def test_rules_and_max_samples(scheduled, server, client):
    scheduled(MaxSamples=3, **{PATH: "gt=30 st=10"})
    set_values(client, 20, 25, 31, 33, 29)  # 20, 31 and 29
    set_values(client, 1, 2, 3, 4, path="/3303/1/5700")  # no rule
    wait_values(server, [20, 31, 29])
    set_values(client, 39, 49)
    server.assert_quiet("send", 0.3)
    set_values(client, 59)
    wait_values(server, [39, 49, 59])


def test_max_age(scheduled, server, client):
    scheduled(MaxAge="1s", **{PATH: ""})
    set_values(client, 1, 2)
    sent = time.monotonic()
    wait_values(server, [1, 2])
    assert 0.7 < time.monotonic() - sent < 10


def test_pmin_and_pmax(scheduled, server, client):
    scheduled(MaxSamples=3, **{PATH: "pmin=1 pmax=2"})
    set_values(client, 1, 2, 3)  # 1 at once, 3 after a second, and again two seconds later
    event = server.wait_event("send", timeout=20)
    (_, first, a), (_, second, b), (_, third, c) = series(event)
    assert (a, b, c) == (1, 3, 3)
    assert second - first < 0.9 and third - second > 1.5


def test_update_and_registration(scheduled, server, client, ctl):
    scheduled(**{PATH: ""})
    set_values(client, 1, 2)
    server.assert_quiet("send", 0.3)
    ctl("update")
    wait_values(server, [1, 2])
    assert server.write("/10523/0/4", "0").code == "2.04"
    set_values(client, 3)
    ctl("update")
    server.wait_event("updated")
    server.assert_quiet("send", 0.3)
    ctl("server", "register", "101")
    wait_values(server, [3])


def test_servers_steer_it(make_daemon, server, client, ctl):
    """Objects 10523 and 10524, made and filled by a server."""
    make_daemon({"main": server.uri}, values=VALUES)
    ctl("wait", "registered", "--server=101", "--timeout=10")

    def create(path, values):
        body = fm.senml_encode(values)
        return server.call("create", path, hex=body.hex(), format="senml-json").code
    assert create("/10523", {"/10523/0/0": False, "/10523/0/1": 100, "/10523/0/2": 0,
                             "/10523/0/4": False}) == "2.01"
    assert create("/10524", {"/10524/7/0": "/3303/0"}) == "4.00"
    assert create("/10524", {"/10524/7/0": PATH, "/10524/7/1/0": "gt=30",
                             "/10524/7/1/1": "gt=40"}) == "4.00"
    assert create("/10524", {"/10524/7/0": PATH, "/10524/7/1/0": "st=5"}) == "2.01"
    assert server.write("/10524/7/1/0", "step=5").code == "4.00"
    assert create("/10524", {"/10524/8/0": PATH}) == "4.00"  # has rules already
    assert "</10524/7/1>;dim=1" in server.discover("/10524").text
    set_values(client, 20, 22, 26)
    assert server.execute("/10523/0/3").code == "2.04"
    wait_values(server, [20, 26])
    assert server.write("/10524/7/1/0", "st=2").code == "2.04"
    set_values(client, 27, 28)
    assert server.execute("/10523/0/3").code == "2.04"
    wait_values(server, [28])
    assert server.delete("/10523/0").code == "4.05"
    assert server.delete("/10524/7").code == "2.02"
    set_values(client, 90)
    assert server.execute("/10523/0/3").code == "2.04"
    server.assert_quiet("send", 0.3)


def test_paused(scheduled, server, client, ctl):
    scheduled(MaxSamples=2, Paused="yes", **{PATH: ""})
    set_values(client, 1, 2, 3)
    ctl("update")
    server.wait_event("updated")
    server.assert_quiet("send", 0.3)
    assert server.write("/10523/0/0", "0").code == "2.04"
    wait_values(server, [1, 2, 3])


def test_an_outage_loses_no_sample(scheduled, make_server, client, ctl):
    first = TestServer()
    scheduled(first.uri, MaxSamples=2, **{PATH: ""})
    set_values(client, 1, 2)
    wait_values(first, [1, 2])
    port = first.port
    first.close()
    set_values(client, 3, 4, 5)
    ctl.run("update")  # fails when the Send has shown already that the server is away
    second = make_server(bind=f"127.0.0.1:{port}")
    second.wait_registered(timeout=60)
    wait_values(second, [3, 4, 5], timeout=60)
    set_values(client, 6, 7)
    wait_values(second, [6, 7])


def test_losses(scheduled, server, make_proxy, client):
    """Three of ten datagrams are lost, either way: each sample arrives, once and in order."""
    proxy = make_proxy(f"127.0.0.1:{server.port}", seed=3, drop=0.3)
    scheduled(proxy.uri, MaxSamples=5, **{PATH: ""})
    for first in range(0, 15, 5):
        set_values(client, *range(first, first + 5))
    wait_values(server, list(range(15)), timeout=120)
    server.assert_quiet("send", 3)


# --- queue mode ---
@pytest.fixture(name="sleeper")
def fixture_sleeper(make_daemon, server, client):
    client.match("type='signal',interface='org.lwm2md.Client1.Manager',member='Event'")

    def make(socket):
        make_daemon({"main": server.uri}, values=VALUES,
                    client={"QueueMode": "true", "QueueAwakeTime": "1s", "QueueSocket": socket})
        server.wait_registered()
        client.wait_event("queue-mode-rx-off", timeout=20)
    return make


@pytest.mark.parametrize("socket", ["stop-polling", "listen", "close"])
def test_asleep_an_update_comes_first(sleeper, server, client, ctl, socket):
    sleeper(socket)
    server.rule("update", delay_ms=200)
    assert ctl("send", PATH) == "status: acked"
    updated, sent = server.wait_event("updated"), server.wait_event("send")
    assert sent.t - updated.t > 150_000
    client.wait_event("queue-mode-rx-off", timeout=20)


@pytest.mark.parametrize("socket", ["stop-polling", "listen"])
def test_asleep_at_once(sleeper, server, ctl, socket):
    sleeper(socket)
    assert ctl("send", "--now", PATH) == "status: acked"
    server.wait_event("send")
    assert server.take_events("updated") == []
