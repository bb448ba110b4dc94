# SPDX-License-Identifier: Apache-2.0
"""The connection under CoAP over TCP and TLS: lost and made again, asleep in queue mode, half open,
the handshake, and servers that do what none should."""
import time

import pytest

from conftest import Account
from testserver import sha256, fill

EP = "urn:test:1"
VALUES = {"/3303/0/5700": "21.5"}


@pytest.fixture(name="server")
def fixture_server(tcp_account):
    return tcp_account.server


@pytest.fixture(name="plain")
def fixture_plain(make_server, make_dtls, tmp_path):
    return Account("tcp", make_server, make_dtls, tmp_path)


def connected(server, number):
    return server.wait_event("connected", number=number, timeout=20)


def wait_log(daemon, text, timeout=20):
    end = time.monotonic() + timeout
    while text not in daemon.log:
        assert time.monotonic() < end, f"no '{text}':\n{daemon.log}"
        time.sleep(0.05)


# --- lost and made again ---

@pytest.mark.parametrize("how", ["fin", "rst", "release", "abort"])
def test_server_ends_the_connection(make_daemon, tcp_account, server, ctl, how):
    """Out of queue mode a server must be able to reach the client at any time, so there is a new
    connection at once, an Update over it, and what it observes goes on."""
    make_daemon({"main": tcp_account.keys}, values=VALUES)
    registered = server.wait_registered(EP, timeout=20)
    observation = server.observe("/3303/0/5700")
    server.disconnect(how)
    connected(server, 2)
    updated = server.wait_event("updated")
    assert updated.location == registered.location and updated.addr != registered.addr
    ctl("set", "/3303/0/5700=22")
    assert server.wait_notify(observation.token, text="22")
    assert server.read("/3303/0/5700").text == "22"


def test_not_again_and_again(make_daemon, plain, ctl):
    """A server that ends each connection is not asked without a pause."""
    server = plain.server
    daemon = make_daemon({"main": plain.keys})
    server.wait_registered(EP)
    ctl("wait", "registered", "--server=101", "--timeout=10")
    server.disconnect()
    server.wait_event("updated")
    ctl("wait", "registered", "--server=101", "--timeout=10")
    server.disconnect()
    wait_log(daemon, "next attempt in")
    server.assert_quiet("connected", 1, number=3)


def test_half_open(make_daemon, plain):
    """The other side does not answer Pings: another connection."""
    server = plain.server
    server.set(pong=False)
    daemon = make_daemon({"main": plain.keys}, client={"TcpPing": "1s"}, start=False)
    daemon.start()
    server.wait_registered(EP)
    assert server.wait_event("signal", code="7.02").token
    # A Pong takes up to 93 s: what is seen here is that a Ping was sent and nothing else woke us.
    server.set(pong=True)
    server.wait_event("signal", code="7.02")


# --- queue mode ---

@pytest.fixture(name="sleeper")
def fixture_sleeper(make_daemon, tcp_account, server, client):
    client.match("type='signal',interface='org.lwm2md.Client1.Manager',member='Event'")

    def make(socket):
        daemon = make_daemon({"main": tcp_account.keys}, values=VALUES,
                             client={"QueueMode": "true", "QueueAwakeTime": "1s", "TcpPing": "1s",
                                     "QueueSocket": socket})
        daemon.registered = server.wait_registered(EP, timeout=20)
        assert daemon.registered.params["b"] == "T" and "Q" in daemon.registered.params
        return daemon
    return make


def wait_asleep(client):
    assert client.wait_event("queue-mode-rx-off")[0] == 101


@pytest.mark.parametrize("socket", ["close", "listen", "stop-polling"])
def test_asleep(sleeper, tcp_account, server, client, ctl, socket):
    daemon = sleeper(socket)
    observation = server.observe("/3303/0/5700")
    wait_asleep(client)
    if socket == "close":
        assert server.wait_event("disconnected").reason == "released by the client"
    server.take_events("signal")
    server.assert_quiet("signal", 1.5, code="7.02")  # no Ping asleep
    ctl("update")
    updated = server.wait_event("updated")
    assert updated.location == daemon.registered.location
    assert (updated.addr == daemon.registered.addr) == (socket != "close")
    assert server.read("/3303/0/5700").text == "21.5"
    wait_asleep(client)
    # Something to tell wakes it: an Update first, then the notification.
    ctl("set", "/3303/0/5700=22")
    server.wait_event("updated")
    assert server.wait_notify(observation.token).text == "22"
    if socket == "close" and tcp_account.secure:
        assert [h.resumed for h in server.take_events("handshake")] == [False, True, True]


def test_server_reaches_a_listener(sleeper, server, client):
    sleeper("listen")
    wait_asleep(client)
    assert server.read("/3303/0/5700").text == "21.5"
    wait_asleep(client)


@pytest.mark.parametrize("socket", ["listen", "stop-polling"])
def test_server_ends_an_idle_connection(sleeper, server, client, ctl, socket):
    """Nobody is woken for it; the next need makes another."""
    daemon = sleeper(socket)
    observation = server.observe("/3303/0/5700")
    wait_asleep(client)
    server.disconnect("release")
    wait_log(daemon, "the next update makes a new connection")
    server.assert_quiet("connected", 1, number=2)
    assert client.get("Server", "State", path="/org/lwm2md/Client1/server/101") == "registered"
    ctl("set", "/3303/0/5700=22")
    connected(server, 2)
    assert server.wait_event("updated").location == daemon.registered.location
    assert server.wait_notify(observation.token).text == "22"


# --- TLS ---

def test_tls_handshakes(make_daemon, make_server, make_dtls, tmp_path, ctl):
    """SNI, ALPN, the version, and sessions that are resumed, over a kill of the daemon as well."""
    tls = Account("tls", make_server, make_dtls, tmp_path)
    server = tls.server
    uri = tls.keys["Uri"].replace("127.0.0.1", "localhost")
    daemon = make_daemon({"main": {**tls.keys, "Uri": uri}}, values=VALUES)
    full = server.wait_event("handshake", timeout=20)
    assert full.alpn == "coap" and full.sni == "localhost" and full.version == "TLSv1.2"
    assert full.cipher == "TLS_PSK_WITH_AES_128_CCM_8" and full.identity == "gw-1" and not full.resumed
    registered = server.wait_registered(EP)
    ctl("wait", "registered", "--server=101", "--timeout=10")
    server.disconnect()
    short = server.wait_event("handshake", timeout=20)
    assert short.resumed and short.messages < full.messages
    server.wait_event("updated")
    ctl("wait", "registered", "--server=101", "--timeout=10")
    ctl("sync")
    daemon.kill()
    daemon.start()
    assert server.wait_event("handshake", timeout=20).resumed
    assert server.wait_event("updated").location == registered.location


@pytest.mark.parametrize("tickets", [False, True])
def test_certificates(make_daemon, make_server, pki, tickets, ctl):
    server = make_server(tcp=True, certificate=pki / "server.pem", key=pki / "server.key",
                         authority=pki / "ca.pem", **({"tickets": True} if tickets else {}))
    make_daemon({"main": {"Uri": server.uri, "SecurityMode": "x509", "CertificateFile": pki / "client.pem",
                          "KeyFile": pki / "client.key", "TrustFile": pki / "ca.pem"}}, values=VALUES)
    full = server.wait_event("handshake", timeout=20)
    assert full.sni == "" and full.identity == "/CN=client" and "ECDHE_ECDSA" in full.cipher
    server.wait_registered(EP)
    observation = server.observe("/3303/0/5700")
    ctl("wait", "registered", "--server=101", "--timeout=10")
    server.disconnect()
    short = server.wait_event("handshake", timeout=20)
    assert short.resumed and short.messages < full.messages
    server.wait_event("updated")
    ctl("set", "/3303/0/5700=23")
    assert server.wait_notify(observation.token).text == "23"


def test_unknown_authority(make_daemon, make_server, pki):
    server = make_server(tcp=True, certificate=pki / "server.pem", key=pki / "server.key")
    daemon = make_daemon({"main": {"Uri": server.uri, "SecurityMode": "x509", "CertificateFile": pki / "client.pem",
                                   "KeyFile": pki / "client.key", "TrustFile": pki / "client.pem"}})
    wait_log(daemon, "registration-failure")
    assert "certificate" in server.wait_event("disconnected").reason


@pytest.mark.parametrize("optional", [False, True])
def test_no_alpn(make_daemon, make_server, make_dtls, tmp_path, optional):
    """RFC 8323, section 8.2: but for port 5684 the server must choose "coap"."""
    tls = Account("tls", lambda **stream: make_server(no_alpn=True, **stream), make_dtls, tmp_path)
    daemon = make_daemon({"main": tls.keys}, client={"AlpnOptional": str(optional).lower()})
    assert tls.server.wait_event("handshake", timeout=20).alpn == ""
    if optional:
        tls.server.wait_registered(EP)
    else:
        wait_log(daemon, "by ALPN")


def test_wrong_key(make_daemon, make_server, make_dtls, tmp_path):
    tls = Account("tls", make_server, make_dtls, tmp_path)
    (tmp_path / "gw.psk").write_text("hex:ffffffff")
    daemon = make_daemon({"main": tls.keys})
    wait_log(daemon, "registration-failure")
    tls.server.wait_event("disconnected", timeout=20)


# --- bodies ---

def test_no_blocks(make_daemon, make_server, ctl, tmp_path):
    """What does not fit into a message of a server without blocks is an error that says so."""
    server = make_server(tcp=True, no_blocks=True, max_message=2000)
    daemon = make_daemon({"main": server.uri}, values={"/26241/0/5": "hex:00"})
    server.wait_registered(EP)
    file = tmp_path / "body"
    file.write_bytes(fill(1800))
    ctl("put", "/26241/0/5", file)
    assert server.read("/26241/0/5", accept="opaque").sha256 == sha256(fill(1800))
    file.write_bytes(fill(3000))
    ctl("put", "/26241/0/5", file)
    answer = server.read("/26241/0/5", accept="opaque")
    assert answer.code == "5.00" and "does not fit" in answer.text
    ctl("wait", "registered", "--server=101", "--timeout=10")
    sent = ctl.run("send", "/26241/0/5")
    assert sent.returncode == 1 and "status: failed" in sent.stdout
    assert "3000 bytes does not fit: the server takes messages of 2000 bytes and offers no block-wise" in daemon.log
    assert server.read("/26241/0/5", accept="opaque", block2=1024).sha256 == sha256(fill(3000))


def test_many_objects_in_a_small_message(make_daemon, make_server):
    """A Register that does not fit is no reason to hang: it fails with a reason."""
    server = make_server(tcp=True, no_blocks=True, max_message=200)
    daemon = make_daemon({"main": server.uri}, values={f"/3303/{i}/5700": "1" for i in range(50)})
    wait_log(daemon, "registration-failure")
    assert "does not fit" in daemon.log
    server = make_server(tcp=True, max_message=200)
    make_daemon({"main": server.uri}, endpoint="urn:test:2", use_bus=False,
                values={f"/3303/{i}/5700": "1" for i in range(50)})
    assert server.wait_registered("urn:test:2", timeout=20).links.count("</3303/") == 50


# --- one bad server delays nobody ---

def test_bad_servers_delay_nobody(make_daemon, make_server, plain):
    """Without a CSM, with half a message, with a CSM of nonsense: beside them a good one works."""
    no_csm, half, nonsense = (make_server(tcp=True, no_csm=True) for _ in range(3))
    daemon = make_daemon({"a": no_csm.uri, "b": half.uri, "c": nonsense.uri, "main": plain.keys},
                         client={"HandshakeTimeout": "2s"}, values=VALUES)
    half.datagram(b"\xe1\x10\x00\xe1", to=connected(half, 1).addr)
    nonsense.datagram(b"\x10\xe1\x20", to=connected(nonsense, 1).addr)
    plain.server.wait_registered(EP, timeout=5)
    assert plain.server.read("/3303/0/5700").text == "21.5"
    abort = nonsense.wait_event("signal", code="7.05")
    assert "Max-Message-Size" in abort.text
    for text in ("Max-Message-Size is too small", "message too large", "says nothing"):
        wait_log(daemon, text)
    assert plain.server.read("/3303/0/5700").text == "21.5"
