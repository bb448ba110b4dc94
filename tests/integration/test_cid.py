# SPDX-License-Identifier: Apache-2.0
"""DTLS Connection IDs (RFC 9146): the session outlives a change of our address. They take a libcoap
4.3.5 on Mbed TLS, which no Debian has: CONTRIBUTING.md says how to build with one."""
import os

import pytest

from test_security import EP, PSK, fixture_pki, psk_keys, server_of, x509_keys  # noqa: F401
from testserver import CidProxy, binary


@pytest.fixture(name="make_cid")
def fixture_make_cid():
    """make_cid(server, psk=…): the test server's DTLS side, with Connection IDs."""
    if not os.path.exists(binary(*CidProxy.program)):
        pytest.skip("no lwm2m-cidproxy: it is built where Mbed TLS 3 is")
    proxies = []

    def make(server, **settings):
        proxies.append(CidProxy(f"127.0.0.1:{server.port}", **settings))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(name="start")
def fixture_start(make_cid, make_daemon, make_proxy, server, tmp_path, ctl):
    """start(keys=…): a daemon registered with `server` through a NAT; the NAT and the DTLS side."""
    def start(keys=None, client=None, **settings):
        cid = make_cid(server, **(settings or {"psk": PSK}))
        nat = make_proxy(f"127.0.0.1:{cid.port}")
        uri = f"coaps://127.0.0.1:{nat.port}"
        daemon = make_daemon({"main": keys(uri) if keys else psk_keys(uri, tmp_path)},
                             values={"/3303/0/5700": "21.5"}, client=client or {})
        features = ctl.json("status")["Features"]
        if "connection-id" not in features:
            pytest.skip(f"this libcoap has no Connection IDs: {features}")
        server.wait_registered(EP)
        ctl("wait", "registered", "--server=101")
        return daemon, nat, cid
    return start


def test_address_that_changes(start, server, ctl):
    _, nat, cid = start()
    assert cid.wait_handshake().cid
    status = server_of(ctl, 101)
    assert status["ConnectionId"] and status["Cipher"].startswith("TLS_")
    assert "connection id  agreed" in ctl("status")
    observation = server.observe("/3303/0/5700")
    before = nat.change()
    for number in range(1, 4):
        nat.rebind()
        # A notification is the first to come from the new address, then an Update.
        ctl("set", f"/3303/0/5700={number}")
        assert server.wait_notify(observation.token).text == str(number)
        nat.rebind()
        ctl("update")
        server.wait_event("updated", endpoint=EP)
        assert server.read("/3303/0/5700").text == str(number)
    after = nat.change()
    assert after.handshake == before.handshake, "a handshake was made"
    assert after.cid > before.cid
    assert not server.take_events("registered") and not cid.take_events("handshake")
    assert server_of(ctl, 101)["State"] == "registered"


def test_server_without(start, server, ctl):
    _, nat, cid = start(psk=PSK, without_cid=True)
    assert not cid.wait_handshake().cid
    assert not server_of(ctl, 101)["ConnectionId"]
    assert "connection id  not agreed by the server" in ctl("status")
    nat.rebind()
    ctl.run("update")
    cid.wait_handshake(timeout=40)
    server.wait_event("updated", endpoint=EP)


def test_records_that_are_forged_and_repeated(start, server, ctl):
    daemon, nat, cid = start()
    assert cid.wait_handshake().cid
    before = nat.change(dup=0.5, reorder=0.2, corrupt=0.05)
    for number in range(40):
        assert server.write("/3303/0/5750", f"name {number}").code == "2.04"
    for _ in range(3):
        nat.rebind()
        ctl("update")
        server.wait_event("updated", endpoint=EP, timeout=60)
    stats = nat.change(dup=0, reorder=0, corrupt=0)
    assert stats.corrupted and stats.doubled
    assert stats.handshake == before.handshake, daemon.log
    assert server.read("/3303/0/5750").text == "name 39"
    assert not cid.take_events("handshake")


def test_queue_mode(start, server, client):
    """What is asleep wakes up at another address."""
    client.match("type='signal',interface='org.lwm2md.Client1.Manager',member='Event'")
    _, nat, cid = start(client={"QueueMode": "true", "QueueAwakeTime": "1s"})
    assert cid.wait_handshake().cid
    for _ in range(2):
        client.wait_event("queue-mode-rx-off")
        nat.rebind()
        client.call("Manager", "Update", "a{sv}", {})
        server.wait_event("updated", endpoint=EP)
        assert server.read("/3303/0/5700").text == "21.5"
    assert not cid.take_events("handshake"), "a handshake was made"


def test_certificates(start, server, pki, ctl):
    _, nat, cid = start(lambda uri: x509_keys(uri, pki), certificate=pki / "server.pem",
                        key=pki / "server.key", authority=pki / "ca.pem")
    handshake = cid.wait_handshake()
    assert handshake.cid and EP in handshake.identity
    assert server_of(ctl, 101)["ConnectionId"]
    nat.rebind()
    ctl("update")
    server.wait_event("updated", endpoint=EP)
    assert not cid.take_events("handshake")
