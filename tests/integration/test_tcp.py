# SPDX-License-Identifier: Apache-2.0
"""CoAP over TCP (RFC 8323; LwM2M TS Transport 1.1.1, section 6.4): signalling, and what is no frame.
What a server does with a client is in test_transports.py, the connection in test_tcp_link.py."""
import pytest

EP = "urn:test:1"
VALUES = {"/3303/0/5700": "21.5"}


@pytest.fixture(name="server")
def fixture_server(make_server):
    return make_server(tcp=True)


def signal(server, code, **fields):
    return server.wait_event("signal", code=code, **fields)


def test_signalling(server, make_daemon):
    daemon = make_daemon({"main": server.uri})
    csm = signal(server, "7.01")
    assert csm.option(2) == [(33 * 1024).to_bytes(2, "big")] and csm.option(4) == [b""]
    server.wait_registered(EP)
    assert server.read("/1/0/7").text == "T"
    server.call("ping")
    assert signal(server, "7.03").token == b"ping".hex()
    daemon.stop()
    server.wait_event("deregistered")
    signal(server, "7.04")


def test_bindings(make_server, make_daemon):
    old, queue = make_server(tcp=True), make_server(tcp=True)
    make_daemon({"old": {"Uri": old.uri, "Binding": "TQ"}}, client={"Version": "1.0"})
    assert "b=TQ" in old.wait_registered(EP).queries
    make_daemon({"queue": {"Uri": queue.uri, "Binding": "TQ"}}, endpoint="urn:test:2", use_bus=False)
    assert {"b=T", "Q"} <= set(queue.wait_registered("urn:test:2").queries)


def test_unconfirmed_notification_comes_again(server, make_daemon, ctl):
    """It has arrived when the Pong to a Ping behind it is here; without, it goes out again."""
    make_daemon({"main": server.uri}, values=VALUES)
    server.wait_registered(EP)
    observation = server.observe("/3303/0/5700")
    server.set(pong=False)
    ctl("set", "/3303/0/5700=22")
    assert server.wait_notify(observation.token).text == "22"
    signal(server, "7.02")
    server.set(pong=True)
    server.disconnect()
    server.wait_event("connected", number=2)
    assert server.wait_notify(observation.token).text == "22"
    ctl("set", "/3303/0/5700=23")
    assert server.wait_notify(observation.token).text == "23"


@pytest.mark.parametrize("frame, reason", [
    (b"\x0f\x01", "reserved token length"),
    (b"\xf0\xff\xff\xff\xff\x01", "message too large"),
    (b"\x10\x01\xff", "broken options"),
    (b"\x10\xe1\x10", "unknown critical option"),
    (b"\x10\xe1\x20", "Max-Message-Size is too small"),
])
def test_bad_frames(server, make_daemon, frame, reason):
    """They end the connection with an Abort that says why; the registration goes on over another."""
    daemon = make_daemon({"main": server.uri})
    registered = server.wait_registered(EP)
    assert server.read("/3/0/16").code == "2.05"
    server.datagram(frame)
    assert reason in signal(server, "7.05").text
    assert server.wait_event("updated").location == registered.location
    assert reason in daemon.log


def test_ping_keeps_the_connection(server, make_daemon):
    make_daemon({"main": server.uri}, client={"TcpPing": "200ms"})
    server.wait_registered(EP)
    for _ in range(3):
        signal(server, "7.02")
    assert [e.number for e in server.take_events("connected")] == [1]
