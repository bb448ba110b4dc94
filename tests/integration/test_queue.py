# SPDX-License-Identifier: Apache-2.0
"""Queue mode: awake for a while, asleep until an Update or until something is to be sent."""
import time

import pytest
from dbus_fast import Variant

MODES = ["stop-polling", "listen", "close"]
VALUES = {"/3303/0/5700": "21.5"}
SERVER = "/org/lwm2md/Client1/server/101"


@pytest.fixture(name="sleeper")
def fixture_sleeper(make_daemon, server, client):
    """sleeper(mode, **keys): a daemon asleep to `server` a second after it has registered."""
    client.match("type='signal',interface='org.lwm2md.Client1.Manager',member='Event'")

    def make(socket="stop-polling", asleep=True, **keys):
        daemon = make_daemon({"main": server.uri}, values=VALUES,
                             client={"QueueMode": "true", "QueueAwakeTime": "1s",
                                     "QueueSocket": socket, **keys})
        daemon.registered = server.wait_registered()
        if asleep:
            wait_asleep(client)
        return daemon
    return make


def wait_asleep(client):
    number, details = client.wait_event("queue-mode-rx-off")
    assert number == 101
    return details


def queue_mode(client):
    return client.get("Server", "QueueMode", path=SERVER)


@pytest.mark.parametrize("socket", MODES)
def test_asleep_until_an_update(sleeper, server, client, ctl, socket):
    daemon = sleeper(socket, asleep=False)
    assert daemon.registered.params["b"] == "U" and "Q" in daemon.registered.params
    client.wait_event("registration-complete")  # the server knows it earlier
    assert queue_mode(client) == "awake"
    details = wait_asleep(client)
    assert details["socket"] == socket and int(details["next-update"]) > time.time_ns()
    assert queue_mode(client) == "asleep"
    assert client.get("Server", "State", path=SERVER) == "registered"
    assert client.get("Manager", "State") == "online"
    assert "asleep until the next update" in ctl("status")

    if socket != "listen":
        server.fail("read", "/3303/0/5700", timeout_ms=400, retransmit=False)
    ctl("update")
    updated = server.wait_event("updated")
    assert updated.params == {}
    assert updated.addr == daemon.registered.addr  # a closed socket gets its port again
    assert server.read("/3303/0/5700", accept="text").text == "21.5"
    assert queue_mode(client) == "awake"
    wait_asleep(client)


def test_listening_is_woken_by_a_request(sleeper, server, client):
    sleeper("listen")
    assert server.read("/3303/0/5700", accept="text").text == "21.5"
    assert queue_mode(client) == "awake"
    wait_asleep(client)
    assert server.take_events("updated") == []


def test_binding_of_1_0(sleeper, server, client):
    daemon = sleeper(Version="1.0")
    assert daemon.registered.params["b"] == "UQ" and "Q" not in daemon.registered.params
    assert queue_mode(client) == "asleep"


def test_server_writes_the_binding(make_daemon, server, client):
    client.match("type='signal',member='Event'")
    make_daemon({"main": server.uri}, client={"QueueAwakeTime": "1s", "UpdateInterval": "1"})
    server.wait_registered()
    assert queue_mode(client) == "none"
    assert server.write("/1/0/7", "UQ").code == "2.04"
    assert server.wait_event("updated").queries == ["b=U", "Q"]
    wait_asleep(client)


@pytest.mark.parametrize("socket", MODES)
def test_notification_follows_the_update(sleeper, server, client, socket):
    sleeper(socket, asleep=False)
    token = server.observe("/3303/0/5700", accept="text").token
    wait_asleep(client)
    server.rule("update", delay_ms=300)
    for value in (22.0, 23.0):
        client.set("/3303/0/5700", "d", value)
    updated, notified = server.wait_event("updated"), server.wait_notify(token)
    assert notified.text == "23" and notified.t - updated.t > 200_000
    assert server.take_events("notify") == []
    wait_asleep(client)


@pytest.mark.parametrize("socket", ["stop-polling", "listen"])
def test_notification_at_once(sleeper, server, client, socket):
    sleeper(socket, asleep=False, QueueAtOnce="true")
    token = server.observe("/3303/0/5700", accept="text").token
    wait_asleep(client)
    client.set("/3303/0/5700", "d", 22.0)
    notified = server.wait_notify(token)
    assert notified.text == "22"
    assert server.read("/3303/0/5700", accept="text").text == "22"
    wait_asleep(client)
    assert server.take_events("updated") == []


@pytest.mark.parametrize("socket", ["stop-polling", "close"])
def test_a_server_that_forgot_us(sleeper, server, client, socket):
    sleeper(socket, asleep=False)
    server.observe("/3303/0/5700", accept="text")
    wait_asleep(client)
    server.call("forget", ep="urn:test:1")
    client.set("/3303/0/5700", "d", 22.0)
    assert server.wait_event("refused").code_sent == "4.04"
    server.wait_registered()
    client.wait_event("observer-removed")
    client.wait_event("registration-complete")
    wait_asleep(client)
    assert server.take_events("notify") == []


def test_a_handler_that_takes_its_time_keeps_awake(sleeper, server, client):
    sleeper(asleep=False)
    client.handle("/app")
    client.call("Claims", "Claim", "asoa{sv}", ["/3303/0/5605"], "/app",
                {"execute": Variant("b", True)})
    number = server.start("execute", "/3303/0/5605")
    call = client.wait_call("Execute")
    with pytest.raises(AssertionError):
        client.wait_event("queue-mode-rx-off", timeout=2.5)
    assert queue_mode(client) == "awake"
    call.reply()
    assert server.finish(number).code == "2.04"
    wait_asleep(client)


def test_send_follows_the_update(sleeper, server, client, ctl):
    sleeper()
    server.rule("update", delay_ms=300)
    assert ctl("send", "/3303/0/5700") == "status: acked"
    updated, sent = server.wait_event("updated"), server.wait_event("send")
    assert sent.t - updated.t > 200_000
    wait_asleep(client)
    assert ctl("send", "--now", "/3303/0/5700") == "status: acked"
    server.wait_event("send")
    wait_asleep(client)
    assert server.take_events("updated") == []


@pytest.mark.parametrize("socket", ["stop-polling", "close"])
def test_the_secure_session_outlives_the_sleep(make_daemon, make_dtls, server, client, tmp_path, socket):
    """Kept as it is, or resumed with a short handshake."""
    client.match("type='signal',member='Event'")
    key = tmp_path / "psk"
    key.write_text("hex:000102030405060708090a0b0c0d0e0f\n")
    key.chmod(0o600)
    dtls = make_dtls(server, psk="me:000102030405060708090a0b0c0d0e0f")
    make_daemon({"main": {"Uri": dtls.uri(), "Identity": "me", "KeyFile": key,
                          "SecurityMode": "psk"}}, values=VALUES,
                client={"QueueMode": "true", "QueueAwakeTime": "1s", "QueueSocket": socket})
    server.wait_registered()
    full = dtls.wait_handshake()
    token = server.observe("/3303/0/5700", accept="text").token
    wait_asleep(client)
    client.set("/3303/0/5700", "d", 22.0)
    server.wait_event("updated")
    assert server.wait_notify(token).text == "22"
    assert server.read("/3303/0/5700", accept="text").text == "22"
    wait_asleep(client)
    if socket == "close":
        short = dtls.wait_handshake()
        assert short.resumed and short.messages < full.messages
    assert dtls.take_events("handshake") == [] and server.take_events("registered") == []


def test_several_servers_each_in_its_mode(make_daemon, make_server, client):
    """... and an app's value reaches each as its mode says."""
    client.match("type='signal',member='Event'")
    servers = [make_server() for _ in range(4)]
    keys = [{}, {"QueueSocket": "close"}, {"QueueMode": "false"}, {"QueueAtOnce": "true"}]
    make_daemon({f"s{i}": {"Uri": s.uri, **k} for i, (s, k) in enumerate(zip(servers, keys))},
                values=VALUES, client={"QueueMode": "true", "QueueAwakeTime": "1s"})
    tokens = []
    for server in servers:
        server.wait_registered()
        tokens.append(server.observe("/3303/0/5700", accept="text").token)
    for _ in range(3):
        client.wait_event("queue-mode-rx-off")
    modes = [client.get("Server", "QueueMode", path=f"{SERVER[:-3]}{101 + i}") for i in range(4)]
    assert modes == ["asleep", "asleep", "none", "asleep"]
    client.set("/3303/0/5700", "d", 22.0)
    for server, token in zip(servers, tokens):
        assert server.wait_notify(token).text == "22"
    assert [len(s.take_events("updated")) for s in servers] == [1, 1, 0, 0]


@pytest.mark.parametrize("socket", MODES)
def test_stop_while_asleep_deregisters(sleeper, server, socket):
    daemon = sleeper(socket)
    daemon.stop()
    assert server.wait_event("deregistered").location == daemon.registered.location


@pytest.mark.parametrize("socket", ["stop-polling", "close"])
def test_pause_and_resume_while_asleep(sleeper, server, client, socket):
    sleeper(socket)
    client.call("Manager", "Pause", "a{sv}", {})
    assert queue_mode(client) == "none"
    client.call("Manager", "Resume", "a{sv}", {})
    server.wait_event("updated")
    wait_asleep(client)


@pytest.mark.parametrize("socket", ["stop-polling", "close"])
def test_killed_while_asleep(sleeper, server, client, socket):
    daemon = sleeper(socket)
    daemon.kill()
    daemon.start()
    assert server.wait_event("updated").location == daemon.registered.location
    wait_asleep(client)


def test_asleep_nothing_runs(make_daemon, make_server, client):
    """Not a timer, nor a packet to a deaf socket, wakes the process for ten seconds."""
    client.match("type='signal',member='Event'")
    servers = [make_server() for _ in MODES]
    daemon = make_daemon({m: {"Uri": s.uri, "QueueSocket": m} for m, s in zip(MODES, servers)},
                         values=VALUES, client={"QueueMode": "true", "QueueAwakeTime": "1s"})
    for server in servers:
        server.wait_registered()
    for _ in MODES:
        client.wait_event("queue-mode-rx-off")
    time.sleep(2.5)  # what follows a registration

    def switches():
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    before = switches()
    for _ in range(10):
        for mode, server in zip(MODES, servers):
            if mode == "stop-polling":
                server.start("read", "/3303/0/5700", timeout_ms=100, retransmit=False)
        time.sleep(1)
    assert switches() - before <= 1
