# SPDX-License-Identifier: Apache-2.0
"""Who may do what: servers by object 2 and [AccessControl], users of the bus by access.d."""
import json

import pytest

from dbus_fast import Variant

VALUES = {"/26241/0/0": "hello", "/26241/0/1": "-5", "/3303/0/5700": "21.5", "/3303/1/5700": "22.5"}
RULES = {"Default": "*:R 101:RWEDC", "/3303": "owner:102 *:R", "/3303/1": "102:R"}


@pytest.fixture(name="pair")
def fixture_pair(make_daemon, make_server):
    """Two servers, 101 and 102, on a daemon with RULES."""
    first, second = make_server(), make_server()
    daemon = make_daemon({"a": first.uri, "b": second.uri}, values=VALUES, AccessControl=RULES)
    first.wait_registered()
    second.wait_registered()
    return daemon, first, second


def controls(server):
    """{(object, instance): (number, owner, {server: rights})} of all Access Control instances."""
    found = {}
    for record in json.loads(server.read("/2", accept="senml-json").text):
        if "bn" in record:
            base = record["bn"]
        _, _, number, *rest = (base + record.get("n", "")).split("/")
        found.setdefault(int(number), {})["/".join(rest)] = record["v"]
    return {(c["0"], c["1"]): (number, c["3"], {int(k.split("/")[1]): v for k, v in c.items() if "/" in k})
            for number, c in found.items()}


def test_servers_by_rule(pair):
    _, first, second = pair
    assert first.write("/26241/0/1", "7").code == "2.04"
    assert second.read("/26241/0/1", accept="text").text == "7"
    refused = second.write("/26241/0/1", "8")
    assert refused.code == "4.01" and "/26241/0" in refused.text
    assert second.execute("/26241/0/22").code == "4.01"
    assert second.delete("/26241/0").code == "4.01"
    assert second.read("/26241/0/1", accept="text").text == "7"
    # of the object what it may read, alone refused
    assert first.read("/3303/1", accept="senml-json").code == "4.01"
    assert "22.5" not in first.read("/3303", accept="senml-json").text
    assert "21.5" in first.read("/3303", accept="senml-json").text
    assert "22.5" in second.read("/3303", accept="senml-json").text
    assert first.discover("/3303/1").code == "2.05"
    for server in (first, second):
        assert server.read("/0/0/0").code == "4.01" and server.delete("/2/0").code == "4.05"


def test_owner_manages(pair):
    _, first, second = pair
    number, owner, acl = controls(first)[3303, 0]
    assert owner == 102 and acl == {0: 1}
    assert first.write("/3303/0/5750", "mine").code == "4.01"
    assert first.write(f"/2/{number}/2/101", "31", format="text").code == "4.01"
    token = first.observe("/3303/0/5700", accept="text").token
    assert second.write(f"/2/{number}/2/101", "3", format="text").code == "2.04"
    assert first.write("/3303/0/5750", "mine").code == "2.04"
    # taken back: the observation ends, without another value
    assert second.write(f"/2/{number}/2/101", "0", format="text").code == "2.04"
    end = first.wait_notify(token)
    assert end.code == "4.01" and not end.text
    assert first.read("/3303/0/5700").code == "4.01"


def test_create_and_power_cut(pair, ctl):
    daemon, first, second = pair
    body = [{"bn": "/26241/5/", "n": "0", "vs": "new"}, {"n": "2", "v": 1}]
    assert second.create("/26241", payload=json.dumps(body), format="senml-json").code == "4.01"
    assert first.create("/26241", payload=json.dumps(body), format="senml-json").code == "2.01"
    number, owner, acl = controls(first)[26241, 5]
    assert owner == 101 and acl == {0: 1}
    assert second.write("/26241/5/0", "x").code == "4.01"
    assert first.write(f"/2/{number}/2/102", "3", format="text").code == "2.04"
    daemon.kill()
    daemon.start()
    for server in (first, second):
        server.wait_event(None, lambda e: e["event"] in ("registered", "updated"))
    assert controls(first)[26241, 5] == (number, 101, {0: 1, 102: 3})
    assert second.write("/26241/5/0", "x").code == "2.04"
    assert first.delete("/26241/5").code == "2.02"
    assert (26241, 5) not in controls(first)
    # apps and users of the box are not asked
    assert ctl("get", "/3303/1/5700") == "/3303/1/5700=22.5"


def test_server_goes(pair, client):
    _, first, second = pair
    body = [{"bn": "/26241/5/", "n": "0", "vs": "new"}, {"n": "2", "v": 1}]
    assert first.create("/26241", payload=json.dumps(body), format="senml-json").code == "2.01"
    client.call("Manager", "RemoveServer", "oa{sv}", "/org/lwm2md/Client1/server/101", {})
    first.wait_event("deregistered")
    # the only one that is left may do everything; it has inherited what it may read
    assert controls(second)[26241, 5][1] == 102
    assert second.write("/26241/0/1", "8").code == "2.04"


def test_without_the_group(make_daemon, make_server):
    first, second = make_server(), make_server()
    make_daemon({"a": first.uri, "b": second.uri}, values=VALUES)
    for server in (first, second):
        server.wait_registered()
        assert server.write("/26241/0/1", "1").code == "2.04"
        assert controls(server) == {}


def test_rules_are_read_again(pair, client):
    daemon, _, second = pair
    assert second.write("/26241/0/1", "1").code == "4.01"
    daemon.config.write_text(daemon.config.read_text().replace("*:R 101:RWEDC", "*:RW"))
    client.call("Manager", "Reload")
    assert second.write("/26241/0/1", "1").code == "2.04"
