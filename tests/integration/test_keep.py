# SPDX-License-Identifier: Apache-2.0
"""What outlives the process: registrations and their observations (man lwm2md, START AND END)."""
import time

import pytest

import formats as fm

VALUES = {"/3303/0/5700": "21.5", "/3303/0/5701": "Cel"}
QUICK = {"SettleTime": "500ms"}


@pytest.fixture(name="observed")
def fixture_observed(make_daemon, server, make_client):
    """observed(**client keys): a daemon with two observations; (daemon, token, composite token)."""
    def make(**keys):
        daemon = make_daemon({"main": server.uri}, values=VALUES, client={**QUICK, **keys})
        server.wait_registered()
        token = server.observe("/3303/0/5700", accept="text").token
        composite = server.call("observe_composite", paths=["/3303/0/5700", "/3303/0/5701"],
                                format=fm.SENML_CBOR, accept=fm.SENML_CBOR).token
        make_client().call("Manager", "Sync")
        server.take_events()
        return daemon, token, composite
    return make


def set_value(make_client, value):
    make_client().set("/3303/0/5700", "d", value)


def went_on(server):
    server.wait_event("updated")
    assert not server.take_events("registered")


def test_goes_on_after_kill(observed, server, make_client):
    daemon, token, composite = observed()
    daemon.kill()
    daemon.start()
    went_on(server)
    # What was told last is not known after a kill: the state is told once more.
    assert server.wait_notify(token).text == "21.5"
    values = fm.senml_decode(server.wait_notify(composite).body, fm.SENML_CBOR)
    assert values == {"/3303/0/5700": 21.5, "/3303/0/5701": "Cel"}
    set_value(make_client, 22.5)
    assert server.wait_notify(token).text == "22.5"
    assert not server.take_events("registered")


def test_numbers_go_up_over_restarts(observed, server, make_client):
    daemon, token, _ = observed()
    seqs = []
    for i in range(3):
        set_value(make_client, 30.0 + i)
        seqs.append(server.wait_notify(token, text=f"{30 + i}").seq)
        daemon.kill()
        daemon.start()
        went_on(server)
        server.wait_notify(token)
    assert all(0 < (b - a) % (1 << 24) < 1 << 23 for a, b in zip(seqs, seqs[1:]))


def test_stop_that_keeps(observed, server, make_client):
    daemon, token, composite = observed(StopAction="keep")
    daemon.stop()
    assert not server.take_events("deregistered")
    daemon.start()
    went_on(server)
    server.assert_quiet("notify", 1)  # nothing has changed
    set_value(make_client, 23.5)
    assert server.wait_notify(token).text == "23.5"
    server.wait_notify(composite)


def test_stop_deregisters(observed, server):
    daemon, *_ = observed()
    daemon.stop()
    server.wait_event("deregistered")
    daemon.start()
    server.wait_registered()
    assert daemon.bus.busctl("call", "org.lwm2md.Client1", "/org/lwm2md/Client1/server/101",
                             "org.lwm2md.Client1.Server", "ListObservations") == [[]]


def test_killed_before_it_is_kept(observed, server, make_client):
    daemon, token, _ = observed()
    server.observe("/3303/0/5701", accept="text")
    daemon.kill()
    daemon.start()
    server.wait_registered()
    events = make_client().call("Manager", "GetEvents", "a{sv}", {})
    removed = [e for e in events if e[1] == "observer-removed"]
    assert len(removed) >= 2 and all(e[3]["error"] for e in removed)
    set_value(make_client, 24.5)
    server.assert_quiet("notify", 0.3)
    assert not server.take_events("unknown")


def test_large_notification_is_read_after_a_restart(observed, server, make_client):
    """The rest of a notification in blocks is asked for with the request of the observation."""
    daemon, *_ = observed(StopAction="keep")
    token = server.observe("/3303/0", accept="senml-json").token
    daemon.stop()
    daemon.start()
    went_on(server)
    unit = "x" * 1500
    make_client().set("/3303/0/5701", "s", unit)
    event = server.wait_notify(token)
    assert fm.senml_decode(event.body)["/3303/0/5701"] == unit


# --- notification storing ---

@pytest.fixture(name="away")
def fixture_away(make_daemon, make_server, make_proxy, make_client):
    """A daemon behind a proxy that can be made to drop everything; (daemon, server, proxy, token)."""
    def make(accept, values=None, **limits):
        server = make_server()
        proxy = make_proxy(f"127.0.0.1:{server.port}")
        daemon = make_daemon({"main": f"coap://127.0.0.1:{proxy.port}"}, values=values or VALUES,
                             client={**QUICK, "StopAction": "keep"}, Limits=limits)
        server.wait_registered()
        token = server.observe("/3303/0/5700", accept=accept).token
        make_client().call("Manager", "Sync")
        # From here on the daemon goes on with its registration, and hears nothing.
        daemon.stop()
        proxy.change(drop=1)
        daemon.start()
        return daemon, server, proxy, token
    return make


def queued(client, name="QueuedNotifications"):
    return client.get("Server", name, path="/org/lwm2md/Client1/server/101")


def count_stored(client):
    stats = client.get("Manager", "Stats")
    return stats["notifications-stored"] + stats["notifications-stored-dropped"]


def store(client, values):
    """Sets them one by one, each in a turn of its own: what is set in one turn is one change."""
    for value in values:
        before, end = count_stored(client), time.monotonic() + 10
        client.set("/3303/0/5700", "d", float(value))
        while count_stored(client) == before:
            assert time.monotonic() < end, f"{value} was not stored"


def test_stored_and_sent_in_order(away, make_client):
    daemon, server, proxy, token = away("senml-cbor")
    client = make_client()
    before = time.time()
    store(client, range(30, 35))
    assert queued(client) == 5
    proxy.change(drop=0)
    server.wait_event("updated", timeout=30)
    client.set("/3303/0/5700", "d", 40.0)
    records = [fm.cbor_decode(server.wait_notify(token).body)[0] for _ in range(5)]
    assert [r[2] for r in records] == [30, 31, 32, 33, 34]
    times = [r[-3] for r in records]  # base time
    assert times == sorted(times) and all(before - 1 < t < time.time() + 1 for t in times)
    assert fm.cbor_decode(server.wait_notify(token).body)[0][2] == 40
    end = time.monotonic() + 10
    while queued(client) > 0:  # the acknowledgement is on its way
        assert time.monotonic() < end


def test_stored_over_a_kill(away, make_client):
    """What has reached the file is there after kill -9, in order and without a gap."""
    daemon, server, proxy, token = away("text", StoredMemory=4096)
    client = make_client()
    store(client, range(1000, 1200))
    assert queued(client) == 200
    daemon.kill()
    daemon.start()
    n = queued(client)
    assert 100 < n < 200
    proxy.change(drop=0)
    values = [server.wait_notify(token, timeout=30).text for _ in range(n)]
    assert values == [str(1000 + i) for i in range(n)]
    assert server.wait_notify(token).text == "21.5"  # the state, as it is after the restart
    end = time.monotonic() + 10
    while list(daemon.state.glob("notifications-*")):  # as above
        assert time.monotonic() < end
        time.sleep(0.01)


def test_stored_over_a_stop(away, make_client):
    daemon, server, proxy, token = away("text")
    client = make_client()
    store(client, range(1000, 1020))
    daemon.stop()
    daemon.start()
    assert queued(client) == 20
    proxy.change(drop=0)
    values = [server.wait_notify(token, timeout=30).text for _ in range(20)]
    assert values == [str(1000 + i) for i in range(20)]


def test_oldest_are_dropped(away, make_client, ctl):
    daemon, server, proxy, token = away("text", StoredMemory=4096, StoredFile=0)
    client = make_client()
    store(client, range(1000, 1100))
    n = queued(client)
    assert 10 < n < 60
    assert queued(client, "DroppedNotifications") == 100 - n
    assert client.get("Manager", "Stats")["notifications-stored-dropped"] == 100 - n
    assert f"{100 - n} stored notifications" in ctl("status")
    proxy.change(drop=0)
    assert [server.wait_notify(token, timeout=30).text for _ in range(n)] == [
        str(1000 + i) for i in range(100 - n, 100)]


def test_not_stored(away, make_client):
    daemon, server, proxy, token = away("text", values={**VALUES, "/1/0/6": "false"})
    client = make_client()
    for i in range(5):
        client.set("/3303/0/5700", "d", 30.0 + i)
    proxy.change(drop=0)
    assert server.wait_notify(token, timeout=30).text == "34"
    server.assert_quiet("notify", 0.5)
    assert queued(client, "DroppedNotifications") == 0
