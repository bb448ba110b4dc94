# SPDX-License-Identifier: Apache-2.0
"""What a server does with a client, over each transport: UDP, DTLS, TCP (RFC 8323) and TLS."""
import json

import pytest
from dbus_fast import Variant

import formats as fm
from conftest import KIT_VALUES
from testserver import fill, sha256

EP = "urn:test:1"


@pytest.fixture(name="server")
def fixture_server(account):
    return account.server


@pytest.fixture(name="kit")
def fixture_kit(make_daemon, account, server):
    daemon = make_daemon({"main": account.keys}, values=KIT_VALUES)
    daemon.registered = server.wait_registered(EP, timeout=20)
    return daemon


def test_registration(kit, account, server, ctl):
    assert kit.registered.params["b"] == ("T" if account.tcp else "U")
    assert server.read("/3/0/16").text == "UT"
    ctl("update")
    assert server.wait_event("updated").location == kit.registered.location
    kit.stop()
    assert server.wait_event("deregistered").endpoint == EP


def test_read_and_write(kit, server, ctl):
    assert server.read("/26241/0/1").text == "-5"
    values = fm.senml_decode(server.read("/26241/0", accept="senml-cbor").body, fm.SENML_CBOR)
    assert values["/26241/0/0"] == "hello" and values["/26241/0/8"] == 18446744073709551615
    assert server.read("/26241/9").code == "4.04"
    assert server.write("/26241/0/0", "there").code == "2.04"
    assert ctl("get", "/26241/0/0") == "/26241/0/0=there"
    assert server.write("/26241/0/2", "1000").code == "4.00"  # out of its range
    update = json.dumps([{"bn": "/26241/0/", "n": "0", "vs": "x"}, {"n": "1", "v": 7}])
    assert server.write("/26241/0", update, format="senml-json", mode="update").code == "2.04"
    assert ctl("get", "/26241/0/0", "/26241/0/1").split() == ["/26241/0/0=x", "/26241/0/1=7"]
    assert "</26241/0/0>" in server.discover("/26241/0").text
    assert server.write_attributes("/3303/0/5700", "pmin=0&pmax=100").code == "2.04"
    assert "pmax=100" in server.discover("/3303/0/5700").text


@pytest.mark.parametrize("slow", [False, True])
def test_execute(kit, server, client, slow):
    client.handle("/app")
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app", {"execute": Variant("b", True)})
    number = server.start("execute", "/26241/0/22", args="0='a'")
    call = client.wait_call("Execute")
    if slow:  # later than an acknowledgement is due; others are answered meanwhile
        assert server.read("/26241/0/0").text == "hello"
        server.assert_quiet("notify", 1.3)
    call.reply()
    assert server.finish(number).code == "2.04"


def test_create_and_delete(kit, server):
    body = json.dumps([{"bn": "/26241/5/", "n": "0", "vs": "five"}])
    assert server.create("/26241", payload=body, format="senml-json").code == "2.01"
    assert server.read("/26241/5/0").text == "five"
    assert server.delete("/26241/5").code == "2.02"
    assert server.read("/26241/5/0").code == "4.04"


def test_observe(kit, server, ctl):
    observation = server.observe("/3303/0/5700")
    assert observation.code == "2.05" and observation.seq is not None
    for value in ("22", "23.5"):
        ctl("set", f"/3303/0/5700={value}")
        assert server.wait_notify(observation.token).text == value
    assert server.cancel(token=observation.token).code == "2.05"
    ctl("set", "/3303/0/5700=24")
    server.assert_quiet("notify", 0.4)


def test_composite(kit, server, ctl):
    answer = server.call("read_composite", paths=["/3303/0/5700", "/26241/0/1"], accept="senml-json")
    assert fm.senml_decode(answer.body, fm.SENML_JSON) == {"/3303/0/5700": 21.5, "/26241/0/1": -5}
    observation = server.call("observe_composite", paths=["/3303/0/5700", "/26241/0/1"],
                              accept="senml-json")
    body = json.dumps([{"n": "/26241/0/1", "v": 8}, {"n": "/26241/0/0", "vs": "both"}])
    assert server.call("write_composite", payload=body).code == "2.04"
    notified = fm.senml_decode(server.wait_notify(observation.token).body, fm.SENML_JSON)
    assert notified["/26241/0/1"] == 8
    assert ctl("get", "/26241/0/0") == "/26241/0/0=both"


def test_send(kit, server, ctl):
    ctl("wait", "registered", "--server=101", "--timeout=10")
    assert ctl("send", "/3303/0/5700") == "status: acked"
    event = server.wait_event("send")
    assert fm.senml_decode(event.body, fm.SENML_CBOR) == {"/3303/0/5700": 21.5}


@pytest.mark.parametrize("length", [1100, 40_000, 1_000_000])
def test_large_bodies(kit, account, server, ctl, tmp_path, length):
    answer = server.write("/26241/0/5", fill=length, format="opaque")
    assert answer.code == "2.04"
    if length == 1_000_000:  # in messages of 32 KiB, where there is BERT
        assert answer.blocks == (31 if account.tcp else 977)
    answer = server.read("/26241/0/5", accept="opaque")
    assert answer.length == length and answer.sha256 == sha256(fill(length))
    if length == 1_000_000:
        assert answer.blocks == (31 if account.tcp else 977)
    file = tmp_path / "big"
    ctl("fetch", "/26241/0/5", file)
    assert file.read_bytes() == fill(length)


@pytest.mark.parametrize("block", [64, 1024])
def test_small_blocks(kit, server, block):
    assert server.write("/26241/0/5", fill=5000, format="opaque", block=block).code == "2.04"
    answer = server.read("/26241/0/5", accept="opaque", block2=block)
    assert answer.sha256 == sha256(fill(5000)) and answer.blocks == -(-5000 // block)


def test_large_notification_and_send(kit, server, ctl, tmp_path):
    file = tmp_path / "big"
    file.write_bytes(fill(100_000))
    observation = server.observe("/26241/0/5", accept="opaque")
    ctl("put", "/26241/0/5", file)
    notified = server.wait_notify(observation.token)
    assert notified.sha256 == sha256(fill(100_000)) and notified.blocks > 1
    ctl("wait", "registered", "--server=101", "--timeout=10")
    assert ctl("send", "/26241/0/5") == "status: acked"
    assert server.wait_event("send").length > 100_000


def test_restarted_daemon_is_known(kit, server, ctl):
    """The registration and the observation go on, with an Update, over another connection."""
    observation = server.observe("/3303/0/5700")
    ctl("wait", "registered", "--server=101", "--timeout=10")
    ctl("sync")
    kit.kill()
    kit.start()
    updated = server.wait_event("updated", timeout=20)
    assert updated.location == kit.registered.location
    ctl("wait", "registered", "--server=101", "--timeout=10")
    ctl("set", "/3303/0/5700=30")
    assert server.wait_notify(observation.token, text="30").text == "30"
    assert server.read("/3303/0/5700").text == "30"


def test_bootstrap(make_daemon, account, server):
    """By this server, which then is that of the account as well."""
    make_daemon({"bs": {**account.keys, "Bootstrap": "true", "ShortId": None, "Lifetime": None}},
                values={"/3303/0/5700": "21.5"})
    server.wait_event("bootstrap", timeout=20)
    identity, key = account.PSK.split(":") if account.secure else ("", "")
    security = {"/0/1/0": account.keys["Uri"], "/0/1/1": False, "/0/1/2": 0 if account.secure else 3,
                "/0/1/3": identity.encode(), "/0/1/4": b"", "/0/1/5": bytes.fromhex(key), "/0/1/10": 101}
    own = {"/1/0/0": 101, "/1/0/1": 300, "/1/0/6": True, "/1/0/7": "T" if account.tcp else "U"}
    for path, values in ("/0", security), ("/1", own):
        answer = server.write(path, hex=fm.senml_encode(values).hex(), format="senml-json")
        assert answer.code == "2.04", answer
    assert server.call("finish").code == "2.04"
    registered = server.wait_registered(EP, timeout=20)
    assert registered.params["b"] == ("T" if account.tcp else "U")
    assert server.read("/3303/0/5700").text == "21.5"
