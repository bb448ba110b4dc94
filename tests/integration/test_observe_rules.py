# SPDX-License-Identifier: Apache-2.0
"""When notifications are sent and how, seen at a server: transactions and holds, conditions,
evaluation of read handlers, confirmable and not, tokens, Observe-Composite in each format. The rules
themselves are tested on virtual time (tests/unit/test_notify_rules.c)."""
import subprocess

import pytest
from dbus_fast import Variant

import formats as fm
from conftest import KIT_VALUES

MARK = "/3/0/14"


@pytest.fixture(name="client12")
def fixture_client12(make_daemon, server, client):
    """A daemon of LwM2M 1.2 with KIT_VALUES; the bus client."""
    make_daemon({"main": server.uri}, values=KIT_VALUES | {MARK: "+00:00"},
                client={"Version": "1.2"})
    server.wait_registered("urn:test:1")
    return client


def notified(server, client, tokens):
    """How many notifications each token got until now: one of a resource that is set last of all
    shows that those before it are through, since they leave in order."""
    mark = server.observe(MARK, accept="text").token
    client.set(MARK, "s", "+01:00")
    server.wait_notify(mark)
    counts = {token: 0 for token in tokens}
    for event in server.take_events("notify"):
        if event.token in counts:
            counts[event.token] += 1
    return list(counts.values())


def by_apply(client, server, ctl):
    client.call("Data", "Apply", "a(ssv)a{sv}", [
        ["set", "/26241/0/1", Variant("x", 1)], ["set", "/26241/0/0", Variant("s", "one")],
        ["create", "/3303/7", Variant("b", True)], ["set", "/3303/7/5700", Variant("d", 7.0)],
        ["set", "/3303/0/5700", Variant("d", 1.0)]], {})


def by_set_many(client, server, ctl):
    client.call("Data", "SetMany", "a(sv)a{sv}", [
        ["/26241/0/1", Variant("x", 1)], ["/26241/0/0", Variant("s", "one")],
        ["/3303/0/5700", Variant("d", 1.0)]], {})


def by_hold(client, server, ctl):
    sets = ("/26241/0/1=5", "/26241/0/1=1", "/26241/0/0=half", "/3303/0/5700=9", "/26241/0/0=one",
            "/3303/0/5700=1")
    script = "; ".join(" ".join(ctl.argv("set")) + f" {s}" for s in sets)
    run = subprocess.run(ctl.argv("lock", "--", "sh", "-c", script), capture_output=True, text=True,
                         timeout=60, check=False)
    assert run.returncode == 0, run.stderr


def by_write_composite(client, server, ctl):
    body = fm.senml_encode({"/26241/0/1": 1, "/26241/0/0": "one"})
    assert server.call("write_composite", hex=body.hex(), format="senml-json").code == "2.04"
    client.set("/3303/0/5700", "d", 1.0)


@pytest.mark.parametrize("change", [by_apply, by_set_many, by_hold])
def test_one_notification_each(client12, server, ctl, change):
    paths = ["/26241/0/1", "/3303/0/5700"]
    tokens = [server.observe("/26241/0", accept="senml-json").token,
              server.observe("/26241/0/1", accept="text").token,
              server.observe("/3303", accept="senml-cbor").token,
              server.call("observe_composite", paths=paths, format=fm.SENML_CBOR,
                          accept=fm.SENML_CBOR).token,
              server.call("observe_composite", paths=["/26241", "/26241/0/1", "/3303"],
                          format=fm.SENML_JSON, accept=fm.LWM2M_CBOR).token]
    change(client12, server, ctl)
    assert notified(server, client12, tokens) == [1] * len(tokens)
    again = server.call("read_composite", paths=paths, format=fm.SENML_JSON, accept=fm.SENML_JSON)
    assert fm.senml_decode(again.body) == {"/26241/0/1": 1, "/3303/0/5700": 1.0}


def test_write_composite_is_one_notification(client12, server, ctl):
    tokens = [server.observe("/26241/0", accept="senml-json").token,
              server.call("observe_composite", paths=["/26241/0/0", "/26241/0/1"],
                          format=fm.SENML_JSON, accept=fm.SENML_JSON).token]
    by_write_composite(client12, server, ctl)
    assert notified(server, client12, tokens) == [1, 1]


# --- conditions ---
def test_crossings(client12, server):
    assert server.write_attributes("/3303/0/5700", "gt=25&lt=20").code == "2.04"
    token = server.observe("/3303/0/5700", accept="text").token
    told = []
    for value in (24.0, 26.0, 27.0, 25.0, 19.5, 3.0, 20.0):
        client12.set("/3303/0/5700", "d", value)
        told.append(notified(server, client12, [token])[0])
        client12.set(MARK, "s", "+00:00")
    assert told == [0, 1, 0, 1, 1, 0, 1]


def test_attributes_in_the_request(client12, server):
    token = server.observe("/3303/0/5700", accept="text", query="st=2").token
    client12.set("/3303/0/5700", "d", 23.0)
    client12.set("/3303/0/5700", "d", 23.5)
    assert server.wait_notify(token).text == "23.5"
    assert notified(server, client12, [token]) == [0]
    assert server.observe("/3303/0/5700", query="st=-1").code == "4.00"
    assert server.observe("/26241/0/0", query="gt=1").code == "4.00"


@pytest.mark.parametrize("query", ["edge=1", "con=1", "hqmax=3", "nonsense=1", "pmin=5&pmax=3",
                                   "lt=5&gt=5", "pmin=-1"])
def test_attributes_refused(kit, server, query):
    """By a client of LwM2M 1.1, to which the first three are unknown."""
    path = "/26241/0/4" if query == "edge=1" else "/3303/0/5700"
    assert server.write_attributes(path, query).code == "4.00"
    assert b"=" not in server.discover(path).body.split(b">")[1]


# --- read handlers ---
def test_handler_is_asked_between_epmin_and_epmax(kit, server, client):
    """One question serves two observations; conditions hold for what the application says."""
    value = [21.5]
    client.handle("/app", lambda call: call.reply(
        "a(svx)", [["/3303/0/5700", Variant("d", value[0]), 0]]))
    client.call("Claims", "Claim", "asoa{sv}", ["/3303/0/5700"], "/app",
                {"read": Variant("b", True)})
    assert server.write_attributes("/3303/0/5700", "epmax=1&gt=25").code == "2.04"
    tokens = [server.observe("/3303/0/5700", accept="text").token for _ in range(2)]
    client.wait_call("Read")
    client.wait_call("Read")  # by the two requests; from here on for epmax
    for _ in range(2):
        client.wait_call("Read", timeout=20)
    assert not server.take_events("notify")
    value[0] = 26.0
    for token in tokens:
        assert server.wait_notify(token, timeout=20).text == "26"
    value[0] = 27.0
    with client.changed:
        before = len([c for c in client.calls if c.member == "Read"])
        client.calls.clear()
    assert before <= 2  # not one a token and second
    for _ in range(2):
        client.wait_call("Read", timeout=20)
    assert not server.take_events("notify")


# --- confirmable or not ---
def test_non_confirmable_by_configuration(make_daemon, server, client):
    make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"},
                client={"Version": "1.2", "Notifications": "non-confirmable"})
    server.wait_registered("urn:test:1")
    token = server.observe("/3303/0/5700", accept="text").token
    for value in (1.0, 2.0):
        client.set("/3303/0/5700", "d", value)
        assert server.wait_notify(token).type == "non"
    assert server.write_attributes("/3303/0/5700", "con=1").code == "2.04"
    client.set("/3303/0/5700", "d", 3.0)
    assert server.wait_notify(token).type == "con"


def test_con_attribute(client12, server):
    token = server.observe("/3303/0/5700", accept="text").token
    for query, kind in (("con=0", "non"), ("con=1", "con"), ("con", "con")):
        assert server.write_attributes("/3303/0/5700", query).code == "2.04"
        client12.set("/3303/0/5700", "d", float(len(query)) if kind == "con" else 0.5)
        assert server.wait_notify(token).type == kind


def test_reset_of_a_non_confirmable_one(client12, server):
    client12.match("type='signal',member='Event'")
    assert server.write_attributes("/3303/0/5700", "con=0").code == "2.04"
    token = server.observe("/3303/0/5700", accept="text").token
    server.cancel(token=token, by="rst")
    client12.set("/3303/0/5700", "d", 1.0)
    assert server.wait_notify(token).answer == "rst"
    removed = client12.wait_event("observer-removed")
    assert removed[0] == 101 and "rejected" in str(removed[1])
    client12.set("/3303/0/5700", "d", 2.0)
    assert notified(server, client12, [token]) == [0]


# --- Observe-Composite ---
@pytest.mark.parametrize("asked", [fm.SENML_JSON, fm.SENML_CBOR, fm.LWM2M_CBOR])
@pytest.mark.parametrize("answered", [fm.SENML_JSON, fm.SENML_CBOR, fm.LWM2M_CBOR])
def test_composite_formats(client12, server, asked, answered):
    """Order, duplicates and overlaps of the list do not matter."""
    paths = ["/3303/0/5700", "/26241/0/1", "/3303", "/26241/0/1", "/9999"]
    if asked == fm.LWM2M_CBOR:
        lists = [[int(i) for i in p.strip("/").split("/")] for p in paths]
        body = fm.cbor_head(4, len(lists)) + b"".join(
            fm.cbor_head(4, len(p)) + b"".join(fm.cbor_head(0, i) for i in p) for p in lists)
        answer = server.request("FETCH", "/", hex=body.hex(), format=asked, accept=answered,
                                observe=0)
    else:
        answer = server.call("observe_composite", paths=paths, format=asked, accept=answered)
    assert answer.code == "2.05" and answer.format == answered
    client12.set("/3303/0/5700", "d", 26.5)
    event = server.wait_event("notify" if asked != fm.LWM2M_CBOR else None,
                              predicate=lambda e: e.token == answer.token)
    assert event.format == answered
    if answered == fm.LWM2M_CBOR:
        assert fm.cbor_decode(event.body) == {3303: {0: {5700: 26.5}}, 26241: {0: {1: -5}}}
    else:
        assert fm.senml_decode(event.body, answered) == {"/3303/0/5700": 26.5, "/26241/0/1": -5}


def test_composite_cancelled_by_reset(client12, server):
    token = server.call("observe_composite", paths=["/3303/0/5700", "/26241/0/1"],
                        format=fm.SENML_JSON, accept=fm.SENML_JSON).token
    server.cancel(token=token, by="rst")
    client12.match("type='signal',member='Event'")
    client12.set("/3303/0/5700", "d", 1.0)
    assert server.wait_notify(token).answer == "rst"
    client12.wait_event("observer-removed")
    client12.set("/3303/0/5700", "d", 2.0)
    assert notified(server, client12, [token]) == [0]


def test_composite_create_and_delete(client12, server):
    token = server.call("observe_composite", paths=["/3303", "/26241/0/1"], format=fm.SENML_JSON,
                        accept=fm.SENML_JSON).token
    client12.call("Data", "Apply", "a(ssv)a{sv}", [
        ["create", "/3303/4", Variant("b", True)], ["set", "/3303/4/5700", Variant("d", 4.5)]], {})
    values = fm.senml_decode(server.wait_notify(token).body)
    assert values == {"/3303/0/5700": 21.5, "/3303/4/5700": 4.5, "/26241/0/1": -5}
    client12.call("Data", "Delete", "asa{sv}", ["/3303/4"], {})
    values = fm.senml_decode(server.wait_notify(token).body)
    assert values == {"/3303/0/5700": 21.5, "/26241/0/1": -5}


# --- tokens ---
@pytest.mark.parametrize("token", ["", "00", "0102", "ffffffffffffffff"])
def test_token_lengths(kit, server, client, token):
    assert server.observe("/3303/0/5700", accept="text", token=token).seq is not None
    client.set("/3303/0/5700", "d", 25.0)
    assert server.wait_notify(token).text == "25"
    assert server.cancel(token=token).code == "2.05"


def test_many_tokens_of_one_path(kit, server, client):
    tokens = [server.observe("/3303/0/5700", accept="text", token=f"{i:04x}").token
              for i in range(20)]
    client.set("/3303/0/5700", "d", 25.0)
    for token in tokens:
        assert server.wait_notify(token).text == "25"
    assert server.cancel(token=tokens[7]).code == "2.05"
    client.set("/3303/0/5700", "d", 26.0)
    for token in tokens[:7] + tokens[8:]:
        assert server.wait_notify(token).text == "26"
    assert not server.take_events("notify")
