# SPDX-License-Identifier: Apache-2.0
"""Observe, notify and cancel (TS Core 1.1.1, 6.4; RFC 7641)."""
import time

import pytest
from dbus_fast import Variant

import formats as fm


@pytest.mark.parametrize("path", ["/3303", "/3303/0", "/3303/0/5700"])
def test_notify_from_the_bus(kit, server, client, path):
    answer = server.observe(path, accept="senml-json")
    assert answer.code == "2.05" and answer.seq is not None
    client.set("/3303/0/5700", "d", 22.5)
    event = server.wait_notify(answer.token)
    assert event.code == "2.05" and event.format == fm.SENML_JSON and event.seq != answer.seq
    assert fm.senml_decode(event.body)["/3303/0/5700"] == 22.5
    server.assert_quiet("notify", 0.3)


def test_notify_of_a_resource_instance(kit, server):
    token = server.observe("/26241/0/11/0", accept="text").token
    body = fm.senml_encode({"/26241/0/11/0": 42})
    assert server.call("write", "/26241/0/11", hex=body.hex(), format="senml-json",
                       mode="update").code == "2.04"
    assert server.wait_notify(token).text == "42"


def test_notify_from_a_server_write(kit, server):
    token = server.observe("/26241/0/0", accept="text").token
    assert server.write("/26241/0/0", "written").code == "2.04"
    assert server.wait_notify(token).text == "written"
    assert server.write("/26241/0/1", "3").code == "2.04"
    server.assert_quiet("notify", 0.3)


def test_sequence_grows(kit, server, client):
    token = server.observe("/3303/0/5700", accept="text").token
    seqs = []
    for i in range(5):
        client.set("/3303/0/5700", "d", 30.0 + i)
        seqs.append(server.wait_notify(token, text=f"{30 + i}").seq)
    assert all(0 < (b - a) % (1 << 24) < 1 << 23 for a, b in zip(seqs, seqs[1:]))


def test_set_many_is_one_notification(kit, server, client):
    token = server.observe("/26241/0", accept="senml-json").token
    client.call("Data", "SetMany", "a(sv)a{sv}",
                [["/26241/0/0", Variant("s", "a")], ["/26241/0/1", Variant("x", 9)],
                 ["/26241/0/3", Variant("d", 2.5)]], {})
    values = fm.senml_decode(server.wait_notify(token).body)
    assert (values["/26241/0/0"], values["/26241/0/1"], values["/26241/0/3"]) == ("a", 9, 2.5)
    server.assert_quiet("notify", 0.3)


def test_cancel_by_observe_1(kit, server, client):
    token = server.observe("/3303/0/5700", accept="text").token
    answer = server.cancel(token=token)
    assert answer.code == "2.05" and answer.seq is None
    client.set("/3303/0/5700", "d", 23.0)
    server.assert_quiet("notify", 0.3)
    server.assert_quiet("unknown", 0.1)


def test_cancel_by_reset(kit, server, client):
    token = server.observe("/3303/0/5700", accept="text").token
    server.cancel(token=token, by="rst")
    client.set("/3303/0/5700", "d", 23.0)
    assert server.wait_notify(token).answer == "rst"
    time.sleep(0.2)  # the Reset is on its way and nothing tells when it has arrived
    client.set("/3303/0/5700", "d", 24.0)
    server.assert_quiet("notify", 0.3)
    server.assert_quiet("unknown", 0.1)


def test_same_token_again_is_one_observation(kit, server, client):
    for _ in range(2):
        server.observe("/3303/0/5700", accept="text", token="0a0b")
    client.set("/3303/0/5700", "d", 25.0)
    server.wait_notify("0a0b")
    server.assert_quiet("notify", 0.3)


@pytest.mark.parametrize("fmt", [fm.SENML_JSON, fm.SENML_CBOR])
def test_observe_composite(kit, server, client, fmt):
    answer = server.call("observe_composite", paths=["/26241/0/1", "/3303/0/5700"], format=fmt,
                         accept=fmt)
    assert answer.code == "2.05" and answer.seq is not None
    assert fm.senml_decode(answer.body, fmt) == {"/26241/0/1": -5, "/3303/0/5700": 21.5}
    client.set("/3303/0/5700", "d", 26.0)
    values = fm.senml_decode(server.wait_notify(answer.token).body, fmt)
    assert values == {"/26241/0/1": -5, "/3303/0/5700": 26.0}
    assert server.cancel(token=answer.token).code == "2.05"
    client.set("/3303/0/5700", "d", 27.0)
    server.assert_quiet("notify", 0.3)


@pytest.mark.parametrize("path, code", [("/9999", "4.04"), ("/26241/0/99", "4.04"),
                                        ("/26241/0/22", "4.05"), ("/0", "4.01"), ("/0/0/0", "4.01")])
def test_observe_refused(kit, server, path, code):
    answer = server.observe(path)
    assert answer.code == code and answer.seq is None


def test_pmin_holds_back(kit, server, client):
    assert server.write_attributes("/3303/0/5700", "pmin=2").code == "2.04"
    token = server.observe("/3303/0/5700", accept="text").token
    start = time.monotonic()
    for value in (31.0, 32.0, 33.0):
        client.set("/3303/0/5700", "d", value)
    assert server.wait_notify(token).text == "33"
    assert 1.5 < time.monotonic() - start < 4
    server.assert_quiet("notify", 0.5)


def test_pmax_repeats(kit, server):
    assert server.write_attributes("/3303/0/5700", "pmax=1").code == "2.04"
    token = server.observe("/3303/0/5700", accept="text").token
    first = server.wait_notify(token, timeout=4)
    second = server.wait_notify(token, timeout=4)
    assert first.text == second.text == "21.5"
    assert 700_000 < second.t - first.t < 2_500_000


def test_deleted_instance_ends_its_observation(kit, server):
    created = server.create("/26241", hex=fm.tlv(fm.RESOURCE, 0, b"x").hex()).location
    token = server.observe(f"{created}/0", accept="text").token
    assert server.delete(created).code == "2.02"
    event = server.wait_notify(token)
    assert event.code == "4.04" and event.ended


def test_notification_lost_is_sent_again(kit, server, client):
    """A confirmable notification left unanswered is retransmitted with the same message id."""
    token = server.observe("/3303/0/5700", accept="text").token
    server.rule("notify", silent=True, times=1)
    client.set("/3303/0/5700", "d", 28.0)
    event = server.wait_notify(token)
    if event.type == "con":
        assert server.wait_event("duplicate", timeout=6).mid == event.mid


def test_observers_of_two_servers(make_daemon, make_server, client):
    servers = [make_server(), make_server()]
    make_daemon({"a": servers[0].uri, "b": servers[1].uri}, values={"/3303/0/5700": "21.5"})
    tokens = []
    for server in servers:
        server.wait_registered()
        tokens.append(server.observe("/3303/0/5700", accept="text", token="01").token)
    client.set("/3303/0/5700", "d", 29.0)
    for server, token in zip(servers, tokens):
        assert server.wait_notify(token).text == "29"
    servers[0].cancel(token="01")
    client.set("/3303/0/5700", "d", 30.0)
    assert servers[1].wait_notify("01").text == "30"
    servers[0].assert_quiet("notify", 0.2)


def test_paused_client_sends_nothing(kit, server, client):
    token = server.observe("/3303/0/5700", accept="text").token
    client.call("Manager", "Pause", "a{sv}", {})
    for value in (40.0, 41.0):
        client.set("/3303/0/5700", "d", value)
    server.assert_quiet("notify", 0.3)
    client.call("Manager", "Resume", "a{sv}", {})
    assert server.wait_notify(token).text == "41"
    server.assert_quiet("notify", 0.3)
