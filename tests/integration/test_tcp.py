# SPDX-License-Identifier: Apache-2.0
"""CoAP over TCP (RFC 8323; LwM2M TS Transport 1.1.1, section 6.4)."""
import time

import pytest

from minicoap import BLOCK1, BLOCK2, GET, PUT, block, uint
from tcpserver import ABORT, CSM, PING, PONG, RELEASE, TcpServer, frame, queries

CONTENT, NOTIFY = 0x45, b"\x77"


@pytest.fixture(name="make_tcp")
def fixture_make_tcp():
    servers = []

    def make(**settings):
        servers.append(TcpServer(**settings))
        return servers[-1]
    yield make
    for server in servers:
        server.close()


@pytest.fixture(name="tcp")
def fixture_tcp(make_tcp):
    return make_tcp()


def is_notification(message):
    return message.code == CONTENT and message.token == NOTIFY


def test_registration_and_requests(tcp, make_daemon):
    daemon = make_daemon({"main": tcp.uri}, values={"/3303/0/5700": "21.5", "/26241/0/0": "x" * 3000})
    csm = tcp.wait(lambda m: m.code == CSM)[1]
    assert csm.options == [(2, uint(33 * 1024)), (4, b"")]
    assert "b=T" in queries(tcp.wait_registered()[1])
    answer = tcp.ask(GET, "/3303/0/5700")
    assert (answer.code, answer.payload) == (CONTENT, b"21.5")
    assert tcp.ask(GET, "/99").code == 0x84
    assert tcp.ask(GET, "/3/0/16").payload == b"UT"
    assert tcp.ask(GET, "/1/0/7").payload == b"T"
    text, number = b"", 0
    while True:
        part = tcp.ask(GET, "/26241/0/0", [(BLOCK2, block(number, False, 6))])
        text += part.payload
        if not part.number(BLOCK2) & 8:
            break
        number += 1
    assert text == b"x" * 3000 and number == 2
    for i in range(3):
        answer = tcp.ask(PUT, "/26241/0/0", [(BLOCK1, block(i, i < 2, 6)), (12, b"")], bytes([97 + i]) * 1024)
    assert answer.code == 0x44
    assert tcp.ask(GET, "/26241/0/0").payload[:1] == b"a"
    daemon.stop()
    tcp.wait(lambda m: m.code == 4)
    tcp.wait(lambda m: m.code == RELEASE)


def test_bindings(make_tcp, make_daemon):
    old, queue = make_tcp(), make_tcp()
    make_daemon({"old": {"Uri": old.uri, "Binding": "TQ"}}, client={"Version": "1.0"})
    assert "b=TQ" in queries(old.wait_registered()[1])
    make_daemon({"queue": {"Uri": queue.uri, "Binding": "TQ"}}, endpoint="urn:test:2", use_bus=False)
    assert {"b=T", "Q"} <= set(queries(queue.wait_registered()[1]))


def test_lost_connection_is_made_again(tcp, make_daemon, ctl):
    make_daemon({"main": tcp.uri}, values={"/3303/0/5700": "21.5"})
    tcp.wait_registered()
    assert tcp.observe("/3303/0/5700", NOTIFY).code == CONTENT
    tcp.pong = False  # not confirmed: to be sent again
    ctl("set", "/3303/0/5700=22")
    assert tcp.wait(is_notification)[1].payload == b"22"
    tcp.wait(lambda m: m.code == PING)
    tcp.pong = True
    tcp.drop()
    tcp.wait_connection(2)
    number, message = tcp.wait(is_notification)
    assert number == 2 and message.payload == b"22"
    ctl("set", "/3303/0/5700=23")
    number, message = tcp.wait(is_notification)
    assert number == 2 and message.payload == b"23"


@pytest.mark.parametrize("end", [frame(RELEASE), frame(ABORT, payload=b"maintenance"), b"\x0f\x01",
                                 b"\xf0\xff\xff\xff\xff\x01"])
def test_an_end_of_the_connection_is_not_that_of_the_registration(tcp, make_daemon, end):
    make_daemon({"main": tcp.uri})
    tcp.wait_registered()
    assert tcp.ask(GET, "/3/0/16").code == CONTENT
    tcp.connection.sendall(end)
    tcp.wait_connection(2)
    assert tcp.wait_updated()[0] == 2


def test_ping_keeps_the_connection(tcp, make_daemon):
    make_daemon({"main": tcp.uri}, client={"TcpPing": "200ms"})
    tcp.wait_registered()
    for _ in range(3):
        tcp.wait(lambda m: m.code == PING)
    tcp.connection.sendall(frame(PING, b"pp"))
    tcp.wait(lambda m: m.code == PONG and m.token == b"pp")
    assert tcp.n_connections == 1


def test_silent_server_delays_nobody(make_tcp, server, make_daemon):
    silent = make_tcp(silent=True)
    daemon = make_daemon({"silent": silent.uri, "main": server.uri}, client={"HandshakeTimeout": "1s"},
                         values={"/3303/0/5700": "21.5"})
    silent.wait_connection(1)
    server.wait_registered("urn:test:1", timeout=3)
    assert server.read("/3303/0/5700").text == "21.5"
    end = time.monotonic() + 20
    while "says nothing" not in daemon.log:
        assert time.monotonic() < end, daemon.log
        time.sleep(0.05)
