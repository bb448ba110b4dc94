# SPDX-License-Identifier: Apache-2.0
"""CoAP over TCP and TLS with a peer that others have written: aiocoap."""
import ssl

import pytest

from testserver import fill

try:
    from aiocoap import CHANGED, CONTENT, GET, NOT_FOUND, PUT
    from aioserver import AioServer
except ImportError:
    AioServer = None

pytestmark = pytest.mark.skipif(AioServer is None, reason="aiocoap is missing")

VALUES = {"/3303/0/5700": "21.5", "/26241/0/5": "hex:00"}
TEXT, OPAQUE = 0, 42


@pytest.fixture(name="peer", params=["tcp", "tls"])
def fixture_peer(request, make_daemon, pki):
    """A server, and a daemon that has registered with it."""
    context, keys = None, {}
    if request.param == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        context.load_verify_locations(pki / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["coap"])
        keys = {"SecurityMode": "x509", "CertificateFile": pki / "client.pem", "KeyFile": pki / "client.key",
                "TrustFile": pki / "ca.pem"}
    server = AioServer(context)
    server.daemon = make_daemon({"main": {"Uri": server.uri, **keys}}, values=VALUES)
    server.registered = server.wait("registered")
    yield server
    server.daemon.stop()
    server.close()


def test_registration(peer, ctl):
    query = peer.registered.opt.uri_query
    assert "b=T" in query and "ep=urn:test:1" in query and b"</3303/0>" in peer.registered.payload
    ctl("update")
    peer.wait("updated")
    peer.daemon.stop()
    peer.wait("deregistered")


def test_requests(peer, ctl):
    assert peer.ask(GET, "/3303/0/5700").payload == b"21.5"
    assert peer.ask(GET, "/99").code == NOT_FOUND
    assert peer.ask(PUT, "/26241/0/0", b"there", content_format=TEXT).code == CHANGED
    assert ctl("get", "/26241/0/0") == "/26241/0/0=there"


@pytest.mark.parametrize("length", [1100, 5000, 300_000])
def test_large_bodies(peer, ctl, tmp_path, length):
    assert peer.ask(PUT, "/26241/0/5", fill(length), content_format=OPAQUE).code == CHANGED
    assert peer.ask(GET, "/26241/0/5", accept=OPAQUE).payload == fill(length)
    file = tmp_path / "body"
    ctl("fetch", "/26241/0/5", file)
    assert file.read_bytes() == fill(length)
    ctl("wait", "registered", "--server=101", "--timeout=10")
    assert ctl("send", "/26241/0/5") == "status: acked"
    assert len(peer.wait("sent").payload) > length


def test_observe_and_reconnect(peer, ctl):
    answer, notifications = peer.observe("/3303/0/5700")
    assert answer.code == CONTENT and answer.opt.observe is not None
    for value in ("22", "23"):
        ctl("set", f"/3303/0/5700={value}")
        assert notifications.get(timeout=10).payload.decode() == value
    peer.drop()
    peer.wait("updated")
    assert peer.ask(GET, "/3303/0/5700").payload == b"23"
