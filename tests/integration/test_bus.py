# SPDX-License-Identifier: Apache-2.0
"""The D-Bus interfaces: contract, values, claims and handlers, rights, signals, life with the bus."""
import os
import pwd
import shutil
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from dbus_fast import MessageType, Variant
from dbus_fast.errors import DBusError

from busclient import plain
from testserver import binary

NAME, ROOT = "org.lwm2md.Client1", "/org/lwm2md/Client1"
CONTRACT = Path(__file__).resolve().parents[2] / "dbus"
ERROR = NAME + ".Error."


def fails(error, call, *args, text="", **kwargs):
    with pytest.raises(DBusError) as caught:
        call(*args, **kwargs)
    assert caught.value.type == (error if "." in error else ERROR + error), caught.value.text
    assert text in caught.value.text, caught.value.text


# --- the contract ---

def shape(interface):
    """What callers depend on: members with their arguments, properties with their rights."""
    members = set()
    for member in interface:
        name = member.get("name")
        if member.tag == "property":
            members.add(("property", name, member.get("type"), member.get("access")))
        elif member.tag in ("method", "signal"):
            args = tuple((a.get("name"), a.get("type"),
                          a.get("direction", "in" if member.tag == "method" else "out"))
                         for a in member.findall("arg"))
            members.add((member.tag, name, args))
    return members


@pytest.mark.parametrize("name", ["Manager", "Data", "Claims", "Model", "Server"])
def test_contract_is_what_the_daemon_offers(daemon, client, name):
    path = f"{ROOT}/server/101" if name == "Server" else ROOT
    text = client.call("org.freedesktop.DBus.Introspectable", "Introspect", path=path)
    offered = {i.get("name"): shape(i) for i in ET.fromstring(text).findall("interface")}
    contract = ET.parse(CONTRACT / f"{NAME}.{name}.xml").getroot().find("interface")
    assert contract.get("name") == f"{NAME}.{name}"
    assert offered[contract.get("name")] == shape(contract)


def test_contract_is_what_lwm2mctl_implements(kit, client, ctl):
    running = ctl.start("handle", "/26241/0/22", "--", "true")
    try:
        end = time.monotonic() + 10
        while not (claims := client.call("Claims", "List")):
            assert time.monotonic() < end
            time.sleep(0.02)
        _, owner, path, *_ = claims[0]
        text = client.call("org.freedesktop.DBus.Introspectable", "Introspect", name=owner, path=path)
    finally:
        running.terminate()
        running.wait(10)
    offered = {i.get("name"): shape(i) for i in ET.fromstring(text).findall("interface")}
    contract = ET.parse(CONTRACT / f"{NAME}.Handler.xml").getroot().find("interface")
    assert offered[f"{NAME}.Handler"] == shape(contract)


def test_servers_are_objects(daemon, client):
    nodes = client.call("org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    server = nodes[f"{ROOT}/server/101"][f"{NAME}.Server"]
    assert server["ShortId"] == 101 and server["State"] == "registered"
    assert server["LwM2MVersion"] == "1.1" and server["Location"].startswith("/")


# --- values; the lines of the manual ---

@pytest.mark.parametrize("path, signature, value, back", [
    ("/26241/0/0", "s", "text", "text"), ("/26241/0/1", "x", -7, -7), ("/26241/0/1", "y", 7, 7),
    ("/26241/0/1", "d", 3.0, 3), ("/26241/0/3", "d", -3.25, -3.25), ("/26241/0/3", "i", -3, -3.0),
    ("/26241/0/4", "b", False, False), ("/26241/0/5", "ay", b"\0\1", b"\0\1"),
    ("/26241/0/6", "x", 5, 5), ("/26241/0/7", "(qq)", [1, 2], [1, 2]),
    ("/26241/0/8", "t", 2**64 - 1, 2**64 - 1), ("/26241/0/9", "s", "</1>", "</1>"),
    ("/26241/0/10/3", "s", "three", "three"),
    ("/26241/0/10", "a{qv}", {1: Variant("s", "a"), 4: Variant("s", "b")}, {1: "a", 4: "b"}),
])
def test_set_and_get(kit, client, path, signature, value, back):
    client.set(path, signature, value)
    assert client.call("Data", "Get", "sa{sv}", path, {}) == back


@pytest.mark.parametrize("path, signature, value, error", [
    ("/26241/0/1", "d", 1.5, "InvalidValue"), ("/26241/0/1", "s", "1", "InvalidValue"),
    ("/26241/0/1", "t", 2**63, "InvalidValue"), ("/26241/0/2", "x", 101, "InvalidValue"),
    ("/26241/0/4", "x", 1, "InvalidValue"), ("/26241/0/0", "as", ["x"], "InvalidValue"),
    ("/26241/0/10", "s", "x", "InvalidPath"), ("/26241/0/1/0", "x", 1, "InvalidPath"),
    ("/26241/0/99", "x", 1, "NotFound"), ("/26241/7/1", "x", 1, "NotFound"),
    ("/26241/0", "x", 1, "InvalidPath"), ("26241/0/1", "x", 1, "InvalidPath"),
    ("/26241/0/1/", "x", 1, "InvalidPath"), ("/26241/0/65535", "x", 1, "InvalidPath"),
    ("/0/0/0", "s", "x", "org.freedesktop.DBus.Error.AccessDenied"),
    ("/21/0/0", "ay", b"x", "org.freedesktop.DBus.Error.AccessDenied"),
])
def test_set_refused_changes_nothing(kit, client, path, signature, value, error):
    before = client.call("Data", "GetMany", "asa{sv}", ["/26241"], {})
    fails(error, client.set, path, signature, value, text=path if error.startswith("I") else "")
    assert client.call("Data", "GetMany", "asa{sv}", ["/26241"], {}) == before


def test_unknown_options_are_told(kit, client):
    fails("InvalidOption", client.set, "/26241/0/1", "x", 1, speed=Variant("u", 1), text="speed")
    fails("InvalidOption", client.set, "/26241/0/1", "x", 1, create=Variant("u", 1), text="create")
    client.set("/26241/0/1", "x", 1, **{"x-vendor": Variant("u", 1)})


def test_set_many_is_atomic(kit, client):
    values = [["/26241/0/1", Variant("x", 11)], ["/26241/0/2", Variant("x", 500)]]
    fails("InvalidValue", client.call, "Data", "SetMany", "a(sv)a{sv}", values, {}, text="/26241/0/2")
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == -5
    failed = client.call("Data", "SetMany", "a(sv)a{sv}", values, {"partial": Variant("b", True)})
    assert [(f[0], f[1]) for f in failed] == [(1, ERROR + "InvalidValue")]
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == 11


def test_apply(kit, client):
    def apply(*ops):
        return client.call("Data", "Apply", "a(ssv)a{sv}", [list(o) for o in ops], {})
    yes = Variant("b", True)
    apply(("create", "/3303/4", yes), ("set", "/3303/4/5700", Variant("d", 20.1)),
          ("set", "/3303/4/5701", Variant("s", "Cel")))
    assert client.call("Data", "Get", "sa{sv}", "/3303/4/5701", {}) == "Cel"
    fails("ExpectFailed", apply, ("expect", "/3303/4/5700", Variant("d", 1.0)),
          ("set", "/3303/4/5700", Variant("d", 2.0)), text="/3303/4/5700")
    apply(("expect", "/3303/4/5700", Variant("d", 20.1)), ("set", "/3303/4/5700", Variant("d", 2.0)))
    fails("Exists", apply, ("set", "/3303/4/5700", Variant("d", 3.0)), ("create", "/3303/4", yes))
    assert client.call("Data", "Get", "sa{sv}", "/3303/4/5700", {}) == 2.0
    apply(("unset", "/3303/4/5701", yes))
    fails("NotFound", client.call, "Data", "Get", "sa{sv}", "/3303/4/5701", {})
    apply(("delete", "/3303/4", yes))
    fails("NotFound", client.call, "Data", "Get", "sa{sv}", "/3303/4/5700", {})
    fails("InvalidValue", apply, ("frobnicate", "/3303/4", yes), text="frobnicate")


def test_create_delete_list(kit, client, server):
    path = client.call("Data", "Create", "sa(sv)a{sv}", "/3303", [["/5700", Variant("d", 1.0)]], {})
    assert path == "/3303/1"
    server.wait_event("updated", lambda e: "</3303/1>" in (e.links or ""))
    fails("Exists", client.call, "Data", "Create", "sa(sv)a{sv}", "/3303/1", [], {})
    nodes = dict(client.call("Data", "List", "sa{sv}", "/3303/1", {}))
    assert nodes["/3303/1/5700"]["type"] == "Float" and nodes["/3303/1/5700"]["ops"] == "R"
    assert "/3303/1" in dict(client.call("Data", "List", "sa{sv}", "/3303", {"depth": Variant("u", 1)}))
    client.call("Data", "Delete", "asa{sv}", ["/3303/1"], {})
    fails("NotFound", client.call, "Data", "Delete", "asa{sv}", ["/3303/1"], {})
    fails("NotDefined", client.call, "Data", "Get", "sa{sv}", "/31999/0/0", {}, text="31999")
    fails("NotDefined", client.call, "Data", "List", "sa{sv}", "/31999", {}, text="31999")
    fails("NotDefined", client.call, "Data", "GetMany", "asa{sv}", ["/31999"], {}, text="31999")
    assert client.call("Data", "GetMany", "asa{sv}", ["/3305"], {}) == [], "known, and empty"


def test_secrets_are_not_on_the_bus(kit, client):
    for method, signature, args in (("Get", "sa{sv}", ("/0/0/0", {})), ("List", "sa{sv}", ("/0", {})),
                                    ("GetMany", "asa{sv}", (["/0"], {}))):
        fails("org.freedesktop.DBus.Error.AccessDenied", client.call, "Data", method, signature, *args)
    values = client.call("Data", "GetMany", "asa{sv}", ["/"], {})
    assert values and not [v for v in values if v[0].startswith(("/0/", "/21/"))]


def test_accounts_that_come_and_go_are_not_told(kit, client, make_client, ctl):
    """A subscription and a monitor of everything hear nothing of objects 0 and 21, numbers included."""
    (kit.state / "secrets").mkdir(exist_ok=True)
    key = kit.state / "secrets" / "key"
    key.write_text("c0ffee11c0ffee11")
    key.chmod(0o600)
    everything = make_client()
    everything.match(f"type='signal',sender='{NAME}'")
    everything.call("Data", "Subscribe", "asa{sv}", ["/"], {"local": Variant("b", True)})
    monitor = ctl.start("--json", "monitor", "--values")
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(monitor.stdout.readline, "")), daemon=True)
    reader.start()
    try:
        account = {"uri": Variant("s", "coaps://127.0.0.1:9"), "identity": Variant("s", "someone"),
                   "psk_file": Variant("s", "key")}
        end = time.monotonic() + 30
        while not any("/1/" in line for line in list(lines)):  # until it listens
            server = client.call("Manager", "AddServer", "a{sv}", account)
            client.call("Manager", "RemoveServer", "oa{sv}", server, {})
            assert time.monotonic() < end, lines
            time.sleep(0.1)
        for op in ("expect", "set", "unset", "create", "delete", "replace"):
            for path in ("/0/1/5", "/0/1", "/21/0/1"):
                with pytest.raises(DBusError, match="hold keys"):
                    client.call("Data", "Apply", "a(ssv)a{sv}", [[op, path, Variant("s", "x")]], {})
        everything.wait_signal("Changed", lambda b: any(p.startswith("/1/") for p in b[2].get("deleted", [])))
    finally:
        monitor.terminate()
        monitor.wait(10)
    reader.join(10)
    text = "".join(lines) + "".join(str(plain(m.body)) for m in everything.signals)
    for word in ("'/0", '"/0', "'/21", "someone", "c0ffee"):
        assert word not in text, text
    assert "c0ffee" not in kit.log


def test_big_values_by_descriptor(kit, ctl, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(os.urandom(300_000))
    with image.open("rb") as f:
        subprocess.run(ctl.argv("put", "/26241/0/5"), stdin=f, check=True, timeout=30)
    back = subprocess.run(ctl.argv("fetch", "/26241/0/5"), capture_output=True, check=True, timeout=30)
    assert back.stdout == image.read_bytes()


def persisted(client, path):
    return dict(client.call("Data", "List", "sa{sv}", path, {}))[path]["persisted"]


def test_persist_is_of_values_that_were_taken(kit, client):
    yes = Variant("b", True)
    fails("InvalidValue", client.set, "/26241/0/2", "x", 500, persist=yes)
    client.set("/26241/0/2", "x", 7)
    fails("InvalidValue", client.call, "Data", "SetMany", "a(sv)a{sv}",
          [["/26241/0/1", Variant("x", 1)], ["/26241/0/2", Variant("x", 500)]], {"persist": yes})
    client.call("Data", "SetMany", "a(sv)a{sv}", [["/26241/0/0", Variant("s", "kept")],
                                                 ["/26241/0/11", Variant("a{qv}", {3: Variant("x", 4)})]], {"persist": yes})
    failed = client.call("Data", "SetMany", "a(sv)a{sv}", [["/26241/0/3", Variant("d", 8.0)], ["/26241/0/2", Variant("x", 500)]],
                         {"persist": yes, "partial": yes})
    assert [f[0] for f in failed] == [1]
    client.call("Manager", "Sync")
    assert [persisted(client, f"/26241/0/{r}") for r in ("0", "11/3", "3", "1", "2")] == [True, True, True, False, False]
    client.set("/26241/0/3", "d", 9.0)
    client.call("Manager", "Sync")
    kit.kill()
    kit.start()
    values = {v[0]: v[1] for v in client.call("Data", "GetMany", "asa{sv}", ["/26241/0"], {})}
    assert (values["/26241/0/0"], values["/26241/0/11/3"], values["/26241/0/3"]) == ("kept", 4, 9.0)
    assert values["/26241/0/2"] == 50 and values["/26241/0/1"] == -5, "the configuration's again"


def test_create_with_many_values(kit, client):
    """Each instance is made once, and soon."""
    values = [[f"/3303/{i}/{r}", Variant("d", 1.0)] for i in range(1, 5001) for r in (5601, 5700)]
    start = time.monotonic()
    client.call("Data", "SetMany", "a(sv)a{sv}", values, {"create": Variant("b", True)})
    assert time.monotonic() - start < 5
    assert len(client.call("Data", "GetMany", "asa{sv}", ["/3303"], {})) == 10001


def test_computed_values_are_values(kit, client):
    values = {v[0]: v[1] for v in client.call("Data", "GetMany", "asa{sv}", ["/3"], {})}
    assert abs(values["/3/0/13"] - time.time()) < 10 and values["/3/0/16"] == "UT"
    ((path, now, _),) = client.call("Data", "GetMany", "asa{sv}", ["/3/0/13"], {})
    assert path == "/3/0/13" and abs(now - time.time()) < 10
    nodes = dict(client.call("Data", "List", "sa{sv}", "/3", {}))
    assert nodes["/3/0/13"]["type"] == "Time" and nodes["/3/0/4"]["ops"] == "E"
    assert list(nodes) == sorted(nodes, key=lambda p: [int(i) for i in p.split("/")[1:]])
    claim(client, "/26241/0/1", "/26241/0/20", "/26241/1", read=True)
    client.handle("/app")
    values = {v[0]: v[1] for v in client.call("Data", "GetMany", "asa{sv}", ["/26241"], {})}
    assert values["/26241/0/1"] == -5, "the value that is stored; the application is not asked"
    assert not client.calls
    client.call("Data", "Delete", "asa{sv}", ["/26241/0/20"], {})
    assert dict(client.call("Data", "List", "sa{sv}", "/26241/0", {}))["/26241/0/20"]["owner"] == client.unique_name


@pytest.mark.parametrize("operation, path, text", [
    ("create", "/26241/0/10/3", "comes into being with set"), ("create", "/26241/0/1", "Object Instance"),
    ("delete", "/26241/0/10/0", "unset removes"), ("unset", "/26241/0", "delete removes"),
    ("replace", "/26241/0/10/0", "multiple resource"), ("set", "/26241/0", "takes the path of a resource"),
    ("expect", "/26241/0", "takes the path of a resource"), ("expect", "/26241/0/10", "one value"),
    ("create", "/26241", "/26241"),
])
def test_apply_tells_the_level(kit, client, operation, path, text):
    value = Variant("a{qv}", {1: Variant("s", "x")}) if path.endswith("/10") else Variant("b", True)
    fails("InvalidPath", client.call, "Data", "Apply", "a(ssv)a{sv}", [[operation, path, value]], {}, text=text)


def test_values_too_big_for_a_message(kit, client, server, ctl, tmp_path):
    """More than the bus carries at once would end the daemon's connection."""
    image, copy = tmp_path / "image", tmp_path / "copy"
    with image.open("wb") as f:
        f.truncate(40 << 20)
    ctl("put", "/26241/0/5", image)
    fails("LimitReached", client.call, "Data", "Get", "sa{sv}", "/26241/0/5", {}, text="/26241/0/5: too big")
    fails("LimitReached", client.call, "Data", "GetMany", "asa{sv}", ["/26241"], {}, text="GetFd")
    ctl("fetch", "/26241/0/5", copy)
    assert copy.stat().st_size == 40 << 20
    number = client.call("Data", "Subscribe", "asa{sv}", ["/26241"], {"local": Variant("b", True)})
    ctl("put", "/26241/0/5", image)
    body = client.wait_signal("Changed")
    assert body[0] == number and body[1] == [] and body[2]["lost"] == 1
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == -5, "the connection is still there"


def test_text_that_is_no_text(kit, client, server):
    """The bus ends the connection of whoever sends text that is not UTF-8."""
    assert server.write("/26241/0/0", hex="ff00fe", format="text").code == "4.00"
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/0", {}) == "hello"


# --- observing ---

def test_one_notification_for_a_transaction(kit, server, client):
    note = server.observe("/26241/0")
    assert note.code == "2.05"
    client.call("Data", "SetMany", "a(sv)a{sv}", [[f"/26241/0/{r}", v] for r, v in (
        (1, Variant("x", 1)), (3, Variant("d", 2.0)), (0, Variant("s", "x")))], {})
    server.wait_event("notify")
    server.assert_quiet("notify", 0.5)


def test_hold(kit, server, client, ctl):
    server.observe("/3303/0/5700")
    held = subprocess.run(ctl.argv("lock", "--", "sh", "-c", "for i in 1 2 3; do "
                                   + " ".join(ctl.argv("set")) + " /3303/0/5700=$i; done"),
                          capture_output=True, text=True, timeout=60, check=False)
    assert held.returncode == 0, held.stderr
    assert server.wait_event("notify").text is not None
    server.assert_quiet("notify", 0.5)
    assert client.call("Data", "Get", "sa{sv}", "/3303/0/5700", {}) == 3.0


def test_subscribe(kit, server, make_client):
    one, other = make_client(), make_client()
    number = one.call("Data", "Subscribe", "asa{sv}", ["/26241"], {})
    assert server.write("/26241/0/1", payload="42", format="text").code == "2.04"
    body = one.wait_signal("Changed")
    assert body[0] == number and body[1][0][:2] == ["/26241/0/1", 42] and body[2]["server"] == 101
    other.set("/26241/0/1", "x", 43)
    assert not [m for m in other.signals if m.member == "Changed"]
    fails("NotFound", other.call, "Data", "Unsubscribe", "u", number)
    one.call("Data", "Unsubscribe", "u", number)


def test_touched_has_no_value(kit, server, client):
    client.match(f"type='signal',sender='{NAME}',member='Touched',arg0path='/26241/'")
    server.write("/26241/0/1", payload="42", format="text")
    assert client.wait_signal("Touched") == ["/26241/0/1", "write", 101]


# --- claims and handlers ---

def claim(client, *prefixes, handler="/app", **options):
    signatures = {"timeout_ms": "u", "grace_ms": "u", "on_vanish": "s"}
    return client.call("Claims", "Claim", "asoa{sv}", list(prefixes), handler,
                       {k: Variant(signatures.get(k, "b"), v) for k, v in options.items()})


def test_claim_conflicts(kit, make_client):
    one, two = make_client(), make_client()
    number = claim(one, "/26241/0", execute=True)
    fails("AlreadyClaimed", claim, two, "/26241/0", execute=True, text=one.unique_name)
    claim(two, "/26241/0/22", execute=True)  # longer: another claim
    fails("NotOwner", two.call, "Claims", "Release", "u", number)
    fails("NotFound", two.call, "Claims", "Release", "u", 99999)
    assert [c[0] for c in two.call("Claims", "List")][0] == number
    one.call("Claims", "Release", "u", number)
    claim(two, "/26241/0", execute=True)
    fails("InvalidOption", claim, two, "/26241/0/1", on_vanish="explode")
    fails("InvalidOption", claim, two, "/26241/0/1", share=True, read=True)
    fails("org.freedesktop.DBus.Error.AccessDenied", claim, two, "/0/0", read=True)


def test_claims_have_a_quota(kit, client):
    for i in range(64):
        claim(client, f"/3303/{i}", execute=True)
    fails("LimitReached", claim, client, "/3303/64", execute=True, text="64")


def test_execute_is_the_applications(kit, server, client):
    claim(client, "/26241/0/22", execute=True)
    client.handle("/app", lambda call: call.reply())
    assert server.execute("/26241/0/22", "0='a',1,2='b'").code == "2.04"
    call = client.wait_call("Execute")
    assert call.args[0] == "/26241/0/22" and call.args[1] == [[0, "a"], [1, ""], [2, "b"]]
    assert call.args[2]["server"] == 101 and call.args[2]["raw"] == "0='a',1,2='b'"
    assert call.args[2]["deadline"] > time.time_ns()


@pytest.mark.parametrize("error, code", [
    ("NotFound", "4.04"), ("NotAllowed", "4.05"), ("InvalidValue", "4.00"), ("Busy", "5.03"),
    ("Timeout", "5.03"), ("NotSupported", "5.01"), ("Failed", "5.00"),
    ("org.freedesktop.DBus.Error.AccessDenied", "4.01"), ("com.acme.Error.Odd", "5.00"),
])
def test_handler_errors(kit, server, client, error, code):
    claim(client, "/26241/0/22", execute=True)
    client.handle("/app", lambda call: call.fail(error))
    assert server.execute("/26241/0/22").code == code


def test_nobody_handles(kit, server, client):
    assert server.execute("/26241/0/22").code in ("5.01", "4.05")
    fails("NoHandler", client.call, "Data", "Execute", "ssa{sv}", "/26241/0/22", "", {}, text="/26241/0/22")
    claim(client, "/26241/0/22", execute=True)  # no object there
    assert server.execute("/26241/0/22").code == "5.01"


def test_slow_handler_is_answered_separately(kit, server, client):
    claim(client, "/26241/0/22", execute=True)
    client.handle("/app")
    number = server.start("execute", "/26241/0/22")
    call = client.wait_call("Execute")
    time.sleep(1.5)
    call.reply()
    answer = server.finish(number)
    assert answer.code == "2.04" and answer.separate


def test_handler_deadline(kit, server, client):
    claim(client, "/26241/0/22", execute=True, timeout_ms=300)
    client.handle("/app")
    assert server.execute("/26241/0/22").code == "5.03"


def test_vanishing_during_execute(kit, server, make_client):
    app = make_client()
    claim(app, "/26241/0/22", execute=True, grace_ms=60000)
    app.handle("/app")
    number = server.start("execute", "/26241/0/22")
    app.wait_call("Execute")
    start = time.monotonic()
    app.close()
    assert server.finish(number).code == "5.03"
    assert time.monotonic() - start < 2
    assert server.execute("/26241/0/22").code == "5.03"  # in the grace
    again = make_client()
    claim(again, "/26241/0/22", execute=True)
    again.handle("/app", lambda call: call.reply())
    assert server.execute("/26241/0/22").code == "2.04"


def test_vanished_removes_when_asked(make_daemon, server, make_client):
    make_daemon({"main": server.uri}, client={"UpdateInterval": 0})
    server.wait_registered()
    app, other = make_client(), make_client()
    app.call("Data", "Create", "sa(sv)a{sv}", "/3303/8", [["/5700", Variant("d", 1.0)]], {})
    claim(app, "/3303/8", write=True, grace_ms=200, on_vanish="remove")
    server.wait_event("updated", lambda e: e.links and "</3303/8>" in e.links)
    app.close()
    server.wait_event("updated", lambda e: e.links and "</3303/8>" not in e.links)
    fails("NotFound", other.call, "Data", "Get", "sa{sv}", "/3303/8/5700", {})


def test_what_can_be_created_is_registered(make_daemon, server, make_client):
    """Objects without instances that the configuration or an application offers, as long as it
    does."""
    make_daemon({"main": server.uri}, client={"UpdateInterval": 0}, Objects={"Offer": "16;19"})
    links = server.wait_registered().links
    assert "</16>" in links and "</19>" in links and "</3304" not in links
    app = make_client()
    number = claim(app, "/3304", "/3305/1", create=True)
    links = server.wait_event("updated", lambda e: e.links).links
    assert "</3304>" in links and "</3305" not in links and "</16>" in links
    app.call("Claims", "Release", "u", number)
    assert "</3304>" not in server.wait_event("updated", lambda e: e.links).links


def test_read_is_the_applications(kit, server, client):
    claim(client, "/26241/0/1", read=True)
    client.handle("/app", lambda call: call.reply("a(svx)", [[p, Variant("x", 99), 0] for p in call.args[0]]))
    assert server.read("/26241/0/1", accept="text").text == "99"
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == 99
    values = server.read("/26241/0", accept="senml-json")
    assert '"v":99' in values.text


def test_write_is_asked(kit, server, client):
    claim(client, "/26241/0/1", write=True)
    client.handle("/app", lambda c: c.reply() if c.args[1][0][2] < 100 else c.fail("InvalidValue"))
    assert server.write("/26241/0/1", payload="100", format="text").code == "4.00"
    assert server.read("/26241/0/1", accept="text").text == "-5"
    assert server.write("/26241/0/1", payload="99", format="text").code == "2.04"
    call = client.wait_call("Prepare")
    call = client.wait_call("Prepare")
    assert call.args[1] == [["set", "/26241/0/1", 99]] and call.args[2]["final"] is True
    client.set("/26241/0/1", "x", 500)  # the owner itself is not asked
    assert server.read("/26241/0/1", accept="text").text == "500"


@pytest.mark.parametrize("agrees", [True, False])
def test_two_owners_commit_or_abort(kit, server, make_client, agrees):
    one, two = make_client(), make_client()
    claim(one, "/26241/0/1", write=True)
    claim(two, "/26241/0/0", write=True)
    one.handle("/app", lambda c: c.reply())
    two.handle("/app", lambda c: c.reply() if c.member != "Prepare" or agrees else c.fail("NotAllowed"))
    answer = server.call("write_composite", format="senml-json",
                         payload='[{"n":"/26241/0/1","v":5},{"n":"/26241/0/0","vs":"K"}]')
    member = "Commit" if agrees else "Abort"
    prepared = one.wait_call("Prepare")
    assert one.wait_call(member).args == [prepared.args[0]]
    assert answer.code == ("2.04" if agrees else "4.05")
    assert server.read("/26241/0/1", accept="text").text == ("5" if agrees else "-5")


def test_shared_claims_ask_in_turn(kit, server, make_client):
    one, two = make_client(), make_client()
    claim(one, "/26241/0/22", execute=True, share=True)
    claim(two, "/26241/0/22", execute=True, share=True)
    one.handle("/app", lambda c: c.fail("NotMine"))
    two.handle("/app", lambda c: c.reply())
    assert server.execute("/26241/0/22").code == "2.04"


def test_many_calls_at_once(kit, server, client):
    """More than the bus lets one connection have pending."""
    claim(client, "/26241/0/22", execute=True, timeout_ms=20000)
    client.handle("/app")
    results = []
    starts = [client.start("Data", "Execute", "ssa{sv}", "/26241/0/22", str(i % 10), {}) for i in range(100)]
    for _ in range(100):
        client.wait_call("Execute").reply()
    for s in starts:
        results.append(s.result(20).message_type)
    assert results == [MessageType.METHOD_RETURN] * 100


def test_many_executes_of_servers_at_once(kit, server, client):
    claim(client, "/26241/0/22", execute=True, timeout_ms=20000)
    client.handle("/app")
    numbers = [server.start("execute", "/26241/0/22", args=str(i % 10)) for i in range(30)]
    calls = [client.wait_call("Execute", timeout=30) for _ in numbers]
    for call in reversed(calls):
        call.reply()
    assert [server.finish(n).code for n in numbers] == ["2.04"] * 30


def test_application_restarts_with_calls_pending(kit, client, make_client):
    """All of them fail at once, and the next one has the path to itself."""
    app = make_client()
    claim(app, "/26241/0/22", execute=True, timeout_ms=60000, grace_ms=60000)
    app.handle("/app")
    def start():
        return client.start("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {})
    pending = [start() for _ in range(80)]
    for _ in range(64):
        app.wait_call("Execute")
    app.close()
    again = make_client()
    claim(again, "/26241/0/22", execute=True)
    again.handle("/app", lambda call: call.reply())
    begin = time.monotonic()
    assert {p.result(10).error_name for p in pending} == {ERROR + "NoReply"}
    assert time.monotonic() - begin < 5
    assert [p.result(10).message_type for p in [start() for _ in range(80)]] == [MessageType.METHOD_RETURN] * 80


def test_many_prefixes_cost_little(kit, client, make_client):
    """What one subscriber asks for is not looked through at every change."""
    values = [[f"/26241/0/10/{n}", Variant("s", "x")] for n in range(10000)]

    def seconds():
        begin = time.monotonic()
        client.call("Data", "SetMany", "a(sv)a{sv}", values, {})
        return time.monotonic() - begin
    before = min(seconds() for _ in range(3))
    other = make_client()
    for n in range(64):
        other.call("Data", "Subscribe", "asa{sv}", [f"/{1000 + n}/{k}" for k in range(256)],
                   {"local": Variant("b", True)})
    after = min(seconds() for _ in range(3))
    assert after < 10 * before + 0.1, (before, after)


def test_get_many_has_an_end(kit, client):
    client.call("Data", "GetMany", "asa{sv}", ["/26241/0/10"] * 10000, {})
    fails("LimitReached", client.call, "Data", "GetMany", "asa{sv}", ["/26241/0/10"] * 10001, {}, text="10000")


def test_connections_have_a_quota(kit, make_client):
    """Each one that holds something takes a match rule of our connection, of which the bus has 512."""
    clients = [make_client() for _ in range(130)]
    refused = []
    for number, one in enumerate(clients):
        try:
            claim(one, f"/3303/{number}", execute=True) if number < 60 else \
                one.call("Data", "Subscribe", "asa{sv}", ["/3"], {}) if number < 120 else \
                one.call("Data", "Hold", "a{sv}", {})
        except DBusError as error:
            assert error.type == ERROR + "LimitReached", error
            refused.append((number, str(error)))
    assert refused and all(number >= 128 or "128" not in text for number, text in refused), refused
    assert "128 of one user" in refused[-1][1]


def test_one_that_hangs_hangs_alone(kit, client, make_client):
    """An application with all places of calls, and more waiting, does not keep another from its own."""
    hung, other = make_client(), make_client()
    claim(hung, "/26241/0/22", execute=True, timeout_ms=60000)
    hung.handle("/app")
    pending = [client.start("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {}) for _ in range(100)]
    for _ in range(64):
        hung.wait_call("Execute")
    claim(other, "/3303/0", execute=True)
    other.handle("/app", lambda call: call.reply())
    for _ in range(10):
        client.call("Data", "Execute", "ssa{sv}", "/3303/0/5605", "", {}, timeout=5)
    assert not any(p.done() for p in pending)
    hung.close()
    assert {p.result(10).error_name for p in pending} == {ERROR + "NoReply"}


def test_caller_leaves_before_the_answer(kit, client, make_client):
    app, caller = make_client(), make_client()
    claim(app, "/26241/0/22", execute=True)
    app.handle("/app")
    caller.start("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {})
    call = app.wait_call("Execute")
    caller.close()
    call.reply()
    app.handle("/app", lambda c: c.reply())
    client.call("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {})


def test_deadline_for_a_bus_client(kit, client, make_client):
    app = make_client()
    claim(app, "/26241/0/22", "/26241/0/1", execute=True, read=True, timeout_ms=300)
    app.handle("/app")
    begin = time.monotonic()
    fails("Timeout", client.call, "Data", "Execute", "ssa{sv}", "/26241/0/22", "", {}, text="/26241/0/22")
    fails("Timeout", client.call, "Data", "Get", "sa{sv}", "/26241/0/1", {}, text="/26241/0/1")
    assert time.monotonic() - begin < 3
    app.wait_call("Execute").reply()  # too late: nobody waits any more
    app.handle("/app", lambda c: c.reply())
    client.call("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {})


@pytest.mark.parametrize("keep", [True, False])
def test_factory_reset(kit, server, make_server, client, ctl, keep):
    other = make_server()
    ctl("server", "add", other.uri, "--id", "77")
    other.wait_registered()
    assert server.write("/26241/0/1", payload="42", format="text").code == "2.04"
    client.call("Data", "Create", "sa(sv)a{sv}", "/3303/9", [["/5700", Variant("d", 1.0)]], {})
    server.take_events()
    client.call("Manager", "FactoryReset", "a{sv}", {"keep_servers": Variant("b", keep)})
    server.wait_event(None, lambda e: e.event in ("registered", "updated") and "</3303/9>" not in e.links)
    for _ in range(2):
        assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == -5  # the configuration's
        fails("NotFound", client.call, "Data", "Get", "sa{sv}", "/3303/9/5700", {})
        assert len(ctl.json("server", "list")) == (2 if keep else 1)
        assert server.read("/3/0/11").code == "2.05"
        kit.kill()
        kit.start()
        server.wait_event(None, lambda e: e.event in ("registered", "updated"))


# --- model ---

DEFINITION = """<LWM2M><Object ObjectType="MODefinition"><Name>Pump</Name><Description1/>
<ObjectID>33001</ObjectID><ObjectURN>urn:oma:lwm2m:x:33001</ObjectURN>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory><Resources>
<Item ID="0"><Name>Speed</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration>0..9</RangeEnumeration><Units>1/s</Units>
<Description>How fast</Description></Item></Resources></Object></LWM2M>"""


def test_define_at_run_time(kit, server, client):
    assert client.call("Model", "Define", "sa{sv}", DEFINITION, {"persist": Variant("b", True)}) == [[33001, "1.0"]]
    assert [33001, "1.0"] in client.call("Model", "List", "a{sv}", {})
    described = client.call("Model", "Describe", "qa{sv}", 33001, {})
    assert described["name"] == "Pump" and described["resources"][0]["range"] == "0..9"
    client.set("/33001/0/0", "x", 5, create=Variant("b", True))
    assert server.read("/33001/0/0", accept="text").text == "5"
    fails("InvalidValue", client.set, "/33001/0/0", "x", 10)
    fails("Busy", client.call, "Model", "Undefine", "qsa{sv}", 33001, "1.0", {})
    kit.stop()
    kit.start()
    assert [33001, "1.0"] in client.call("Model", "List", "a{sv}", {})
    client.call("Model", "Undefine", "qsa{sv}", 33001, "1.0", {"force": Variant("b", True)})
    assert [33001, "1.0"] not in client.call("Model", "List", "a{sv}", {})
    fails("NotDefined", client.call, "Model", "Describe", "qa{sv}", 33001, {})
    fails("InvalidValue", client.call, "Model", "Define", "sa{sv}", "<LWM2M><Object>", {}, text="1:")
    fails("NotAllowed", client.call, "Model", "Undefine", "qsa{sv}", 3, "1.0", {})


def test_claims_end_with_their_object(kit, client, make_client):
    client.call("Model", "Define", "sa{sv}", DEFINITION, {})
    client.set("/33001/0/0", "x", 5, create=Variant("b", True))
    app = make_client()
    app.handle("/app", lambda c: c.reply())
    number = claim(app, "/33001", write=True)
    other = claim(app, "/26241/0/22", execute=True)
    client.call("Model", "Undefine", "qsa{sv}", 33001, "1.0", {"force": Variant("b", True)})
    released = app.wait_call("Released")
    assert released.args[0] == number and "defined" in released.args[1]
    assert [c[0] for c in client.call("Claims", "List")] == [other]
    fails("NotFound", app.call, "Claims", "Release", "u", number)


def test_short_id_is_chosen(kit, client, make_server):
    server = make_server()
    path = client.call("Manager", "AddServer", "a{sv}", {"uri": Variant("s", server.uri)})
    assert path == f"{ROOT}/server/1"
    server.wait_registered()
    assert client.call("Manager", "AddServer", "a{sv}", {"uri": Variant("s", make_server().uri)}) == f"{ROOT}/server/2"
    fails("InvalidOption", client.call, "Manager", "AddServer", "a{sv}", {}, text="uri")
    fails("Exists", client.call, "Manager", "AddServer", "a{sv}",
          {"uri": Variant("s", server.uri), "short_id": Variant("q", 2)}, text="2")
    assert client.get("Server", "SendMuted", path) is False  # a server that was added is meant to hear


# --- rights ---

def as_nobody(argv):
    nobody = pwd.getpwnam("nobody")

    def drop():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    return subprocess.run(argv, preexec_fn=drop, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_strangers_are_refused(kit, bus, ctl, sockets):
    run = as_nobody(["busctl", f"--address={bus.address}", "call", NAME, ROOT, NAME + ".Data", "Get",
                     "sa{sv}", "/26241/0/1", "0"])
    assert run.returncode != 0 and "denied" in run.stderr.lower(), run.stderr
    run = as_nobody(["busctl", f"--address={bus.address}", "get-property", NAME, ROOT, NAME + ".Manager", "State"])
    assert run.returncode != 0, run.stdout
    # the build may be below a folder that only its owner enters
    copy = shutil.copy(ctl.argv()[0], sockets / "lwm2mctl")
    run = as_nobody([copy, *ctl.argv("get", "/26241/0/1")[1:]])
    assert run.returncode == 4, (run.returncode, run.stderr)


# --- life with the bus ---

def test_bus_goes_and_comes(kit, server, bus, make_client):
    server.take_events()
    bus.stop()
    time.sleep(0.3)
    assert server.read("/26241/0/1", accept="text").text == "-5"
    bus.start()
    end = time.monotonic() + 15
    while True:
        client = make_client()
        try:
            assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == -5
            break
        except DBusError:
            client.close()
            assert time.monotonic() < end
            time.sleep(0.1)
    assert not server.take_events("registered") and not server.take_events("deregistered")


def reconnect(bus, make_client):
    """A client of the daemon on the bus that came back; it has the unique name of an earlier one."""
    bus.start()
    end = time.monotonic() + 30
    while True:
        client = make_client()
        try:
            client.call("Claims", "List")
            return client
        except DBusError:
            client.close()
            assert time.monotonic() < end
            time.sleep(0.1)


def test_jobs_end_with_the_bus(kit, server, bus, make_client):
    options = {"timeout_ms": Variant("u", 6000)}
    server.rule("send", silent=True)
    askers = [make_client() for _ in range(3)]
    numbers = [asker.call("Data", "Send", "asa{sv}", ["/3303/0"], options) for asker in askers]
    waiting = [asker.start("Data", "Send", "asa{sv}", ["/3303/0"], {**options, "wait": Variant("b", True)})
               for asker in askers]
    askers[-1].call("Claims", "List")  # the daemon has it all
    bus.stop()
    for asker in askers:
        asker.close()
    del waiting
    # so many that they have the names whose jobs it were
    others = [reconnect(bus, make_client)] + [make_client() for _ in range(8)]
    assert others[0].get("Manager", "Stats")["sends"] == 6, "came too late to prove anything"
    end = time.monotonic() + 30
    while others[0].get("Manager", "Stats")["sends"] > 0:
        assert time.monotonic() < end
        time.sleep(0.1)
    server.clear_rules()
    fresh = others[0].call("Data", "Send", "asa{sv}", ["/3303/0"], {})
    assert others[0].wait_signal("JobDone")[:3] == [fresh, "send", "acked"] and fresh not in numbers
    for other in others:
        other.call("Claims", "List")
        assert not [m for m in other.signals if m.member == "JobDone"], other.unique_name


def test_without_a_bus(make_daemon, server):
    make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"}, use_bus=False)
    server.wait_registered()
    assert server.read("/3303/0/5700", accept="text").text == "21.5"


def test_events_are_kept(kit, client, ctl):
    ctl("wait", "registered", "--server=101")  # the server knows before the answer is there
    events = client.call("Manager", "GetEvents", "a{sv}", {})
    names = [e[1] for e in events]
    assert "registration-complete" in names
    complete = events[names.index("registration-complete")]
    assert complete[2] == 101 and abs(complete[0] - time.time_ns()) < 60e9


def test_jobs(kit, server, client):
    path = f"{ROOT}/server/101"
    number = client.call("Server", "Update", "a{sv}", {}, path=path)
    done = client.wait_signal("JobDone")
    assert done[:3] == [number, "update", "complete"] and done[3]["server"] == 101
    assert client.call("Server", "Update", "a{sv}", {"wait": Variant("b", True)}, path=path) == number + 1


def test_monitor(kit, ctl):
    monitor = ctl.start("--json", "monitor")
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(monitor.stdout.readline, "")), daemon=True)
    reader.start()
    end = time.monotonic() + 10
    while not any("reg-update" in line for line in lines):
        ctl("update")
        assert time.monotonic() < end, lines
        time.sleep(0.2)
    monitor.terminate()
    monitor.wait(10)


def test_log_level(kit, client):
    client.call("org.freedesktop.DBus.Properties", "Set", "ssv", "org.freedesktop.LogControl1", "LogLevel",
                Variant("s", "warning"), path="/org/freedesktop/LogControl1")
    level = client.call("org.freedesktop.DBus.Properties", "Get", "ss", "org.freedesktop.LogControl1", "LogLevel",
                        path="/org/freedesktop/LogControl1")
    assert level == "warning"


def test_second_daemon_on_one_state(kit, tmp_path):
    run = subprocess.run([*kit.wrapper, binary("LWM2MD", "src/daemon/lwm2md"), f"--config={kit.config}",
                          f"--state-dir={kit.state}", f"--runtime-dir={kit.runtime}", "--bus=none"],
                         capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 1 and str(kit.state) in run.stderr and "in use" in run.stderr


def test_list_is_in_the_order_of_the_paths(kit, ctl):
    ctl("create", "/3304/0")
    paths = [line.split()[0] for line in ctl("ls", "-l").splitlines()]
    key = [tuple(int(i) for i in p[1:].split("/")) for p in paths]
    assert key == sorted(set(key)) and (1,) in key and (1, 0) in key and (3304,) in key and (0,) not in key
    nodes = kit.bus.busctl("call", NAME, ROOT, NAME + ".Data", "List", "sa{sv}", "/", "1", "depth", "u", "1")[0]
    assert [node[0] for node in nodes] == [p for p in paths if p.count("/") == 1]


@pytest.mark.parametrize("args, code, text", [
    (["delete", "/3/0"], 1, "/3/0: the object's definition does not allow it"),
    (["create", "/3"], 1, "/3: all its Object Instances exist already"),
    (["exec", "/3303/0/5700"], 1, "/3303/0/5700: cannot be executed: it is not an executable resource"),
    (["exec", "/3/0/4", "bad"], 1, "/3/0/4: cannot be executed: the arguments are not like 0='a',1"),
    (["server", "remove", "77"], 3, "There is no server 77"),
    (["server", "enable", "101"], 1, "Server 101: cannot enable: "),
    (["read", "/3303/0"], 2, "expected a resource or a resource instance"),
])
def test_refusals_say_why(kit, ctl, args, code, text):
    run = ctl.run(*args)
    assert run.returncode == code and text in run.stderr, run
    assert "Operation not permitted" not in run.stderr and "endpoint" not in run.stderr
