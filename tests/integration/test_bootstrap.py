# SPDX-License-Identifier: Apache-2.0
"""Bootstrap (TS Core 6.1): by a server in each of its ways, from a file, and what must not happen."""
import json
import re
import socket
import time

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm

EP = "urn:test:1"
BOOT = "/org/lwm2md/Client1/server/bootstrap"


def security(uri, ssid, instance=1):
    """Object 0 for a NoSec account."""
    base = f"/0/{instance}"
    return {f"{base}/0": uri, f"{base}/1": False, f"{base}/2": 3, f"{base}/3": b"", f"{base}/4": b"",
            f"{base}/5": b"", f"{base}/10": ssid}


def server_object(ssid, lifetime=300, instance=0):
    base = f"/1/{instance}"
    return {f"{base}/0": ssid, f"{base}/1": lifetime, f"{base}/6": True, f"{base}/7": "U"}


def give(bs, path, values, code="2.04", **fields):
    answer = bs.write(path, hex=fm.senml_encode(values).hex(), format="senml-json", **fields)
    assert answer.code == code, answer
    return answer


def finish(bs, **fields):
    return bs.call("finish", **fields)


def give_account(bs, server, ssid=101, lifetime=300):
    give(bs, "/0", security(server.uri, ssid))
    give(bs, "/1", server_object(ssid, lifetime))


def boot_config(bs, **keys):
    return {"boot": {"Uri": bs.uri, "Bootstrap": "true", "ShortId": None, "Lifetime": None, **keys}}


@pytest.fixture(name="bs")
def fixture_bs(make_server):
    return make_server()


@pytest.fixture(name="make_boot")
def fixture_make_boot(make_daemon, bs):
    """make_boot(servers…): a daemon with the account of `bs`, and of servers if given."""
    def make(servers=None, boot=None, **kwargs):
        return make_daemon({**(servers or {}), **boot_config(bs, **(boot or {}))}, **kwargs)
    return make


@pytest.fixture(name="session")
def fixture_session(make_boot, bs):
    """A daemon that has asked for its first accounts."""
    daemon = make_boot(values={"/3303/0/5700": "21.5"})
    bs.wait_event("bootstrap")
    return daemon


# --- by the client

def test_first_start(make_boot, bs, server, client, ctl):
    client.match("type='signal',member='Event'")
    make_boot()
    event = bs.wait_event("bootstrap")
    assert event.method == "POST" and event.path == "/bs" and event.type == "con"
    assert event.params == {"ep": EP, "pct": "112"} and event.length == 0
    assert client.get("Manager", "State") == "bootstrapping"
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    registered = server.wait_registered(EP)
    assert registered.params["lt"] == "300"
    for name in ("bootstrap-reg-complete", "bootstrap-transfer-complete"):
        ssid, details = client.wait_told(name)
        assert ssid == 0 and details["uri"] == bs.uri
    client.wait_event("registration-complete")
    assert client.get("Manager", "State") == "online"
    status = ctl.json("status")
    assert [s["Name"] for s in status["Servers"]] == ["bootstrap", "101"]
    assert client.get("Server", "LastRegistered", BOOT) > 0
    # 1/x/12, Last Bootstrapped
    value = client.call("Data", "Get", "sa{sv}", "/1/0/12", {})
    assert abs(value - time.time()) < 60


@pytest.mark.parametrize("key, number", [("senml-json", "110"), ("tlv", "11542")])
def test_preferred_format(make_boot, bs, key, number):
    make_boot(client={"BootstrapFormat": key})
    assert bs.wait_event("bootstrap").params["pct"] == number


def test_server_without_the_preferred_format(make_boot, bs, server):
    daemon = make_boot(start=False)
    bs.rule("bootstrap", code="4.15", times=1)
    daemon.start()
    assert "pct" in bs.wait_event("bootstrap").params
    assert "pct" not in bs.wait_event("bootstrap").params
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()


def test_lwm2m_1_0(make_boot, bs, server):
    make_boot(client={"Version": "1.0"})
    assert bs.wait_event("bootstrap").params == {"ep": EP}
    assert bs.discover("/0").text.startswith("</>;lwm2m=1.0,")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    assert server.wait_registered().version == "1.0"


def test_pack(make_boot, bs, server):
    pack = fm.senml_encode({**security(server.uri, 101), **server_object(101)})
    daemon = make_boot(start=False, client={"Version": "1.2"})
    bs.rule("request", match={"path": "/bspack"}, code="2.05", payload=pack.decode(), format=110)
    daemon.start()
    event = bs.wait_event("request", path="/bspack")
    assert event.method == "GET" and event.params == {"ep": EP}
    server.wait_registered()
    bs.assert_quiet("bootstrap", 0.3)


def test_no_pack(make_boot, bs, server):
    make_boot(client={"Version": "1.2"})  # the test server answers 4.04
    bs.wait_event("request", path="/bspack")
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()


def test_hold_off(make_boot, bs, ctl):
    daemon = make_boot(boot={"HoldOff": "2"}, start=False)
    start = time.monotonic()
    daemon.start()
    assert "\n  next attempt   20" in ctl("status")
    bs.wait_event("bootstrap")
    assert time.monotonic() - start >= 2


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_server_that_begins_by_itself(make_boot, make_server, bs, server):
    """LwM2M 1.0, within the hold-off time; nobody else may, and with 1.1 nobody at all."""
    port = free_port()
    daemon = make_boot(client={"Version": "1.0", "BootstrapPort": port}, boot={"HoldOff": "60"})
    to = f"127.0.0.1:{port}"
    stranger = make_server()
    stranger.fail("write", "/1", hex=fm.senml_encode(server_object(101)).hex(), format="senml-json", to=to,
                  timeout_ms=300, retransmit=False)
    give(bs, "/0", security(server.uri, 101), to=to)
    give(bs, "/1", server_object(101), to=to)
    assert finish(bs, to=to).code == "2.04"
    assert server.wait_registered().version == "1.0"
    assert "/bs" not in [e.path for e in bs.take_events("bootstrap")]
    daemon.stop()
    make_boot(client={"BootstrapPort": port}, boot={"HoldOff": "60"})
    bs.fail("discover", "/", to=to, timeout_ms=300, retransmit=False)


def test_server_that_does_not_begin(make_boot, bs, server):
    make_boot(client={"Version": "1.0", "BootstrapPort": free_port()}, boot={"HoldOff": "1"})
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()


def test_account_is_purged(make_boot, bs, server, client, ctl):
    make_boot(boot={"AccountTimeout": "2"})
    client.match("type='signal',member='InterfacesRemoved'")
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()
    client.wait_signal("InterfacesRemoved", lambda b: b[0] == BOOT)
    assert [s["Name"] for s in ctl.json("server", "list")] == ["101"]
    assert ctl.run("bootstrap").returncode == 3


def test_lost_request_and_lost_finish(make_boot, bs, server):
    daemon = make_boot(start=False)
    bs.rule("bootstrap", drop=True, times=1)
    daemon.start()
    bs.wait_event("dropped")
    bs.wait_event("bootstrap", timeout=8)
    give_account(bs, server)
    # Three copies: one Finish, answered three times.
    answer = finish(bs, copies=3, delay_ms=50, collect_ms=400)
    assert [r["code"] for r in answer.responses] == ["2.04"] * len(answer.responses)
    server.wait_registered()
    assert server.take_events("registered") == []


def test_over_ipv6_and_by_name(make_daemon, make_server, server):
    bs = make_server(bind="[::1]:0")
    make_daemon(boot_config(bs))
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()


# --- what the server may do

def test_discover_and_read(session, bs, server):
    answer = bs.discover("/")
    links = fm.links_decode(answer.text)
    assert answer.format == fm.LINK and links["/"]["lwm2m"] == "1.1"
    assert {"/0/0", "/3/0", "/3303/0", "/5"} <= set(links) and "/1/0" not in links
    assert "ssid" not in links["/0/0"]
    give_account(bs, server)
    links = fm.links_decode(bs.discover("/").text)
    assert links["/0/1"]["ssid"] == "101" and links["/0/1"]["uri"] == server.uri
    assert links["/1/0"]["ssid"] == "101"
    values = fm.senml_decode(bs.read("/1", accept="senml-cbor").body,
                             fm.SENML_CBOR)
    assert values["/1/0/0"] == 101 and values["/1/0/1"] == 300
    assert bs.read("/0").code == "4.01" and bs.read("/3/0").code == "4.05"


def test_delete_all(session, bs, server, client):
    give(bs, "/3303/7", {"/3303/7/5700": 1.0})
    assert bs.delete("/").code == "2.02"
    give_account(bs, server)
    assert client.call("Data", "Get", "sa{sv}", "/3303/0/5700", {}) == 21.5
    assert finish(bs).code == "2.04"
    links = fm.links_decode(server.wait_registered().links)
    assert "/3303/0" not in links and "/3303/7" not in links and "/3/0" in links
    with pytest.raises(DBusError):
        client.call("Data", "Get", "sa{sv}", "/3303/0/5700", {})


def test_a_big_body_in_blocks(session, bs, server):
    values = {f"/26241/{i}/0": "x" * 100 for i in range(100)}
    give(bs, "/26241", values, block=256)
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    assert "/26241/99" in fm.links_decode(server.wait_registered().links)
    assert server.read("/26241/99/0", accept="text").text == "x" * 100


def test_inconsistent(session, bs, server, client, ctl):
    client.match("type='signal',member='Event'")
    give(bs, "/0", security(server.uri, 101))
    give(bs, "/1", server_object(102))
    answer = finish(bs)
    assert answer.code == "4.06" and "Short Server ID 101" in answer.text
    ssid, details = client.wait_event("bootstrap-reg-failure")
    assert ssid == 0 and "Short Server ID 101" in details["text"]
    assert details["error"] == "inconsistent"
    assert "bootstrap-reg-failure: /0/" in session.log
    assert "bootstrapped   never" in ctl("status")
    server.assert_quiet("registered", 0.3)
    give(bs, "/1", server_object(101))  # put right
    assert finish(bs).code == "2.04"
    server.wait_registered()
    assert re.search(r"bootstrapped   2\d{3}-", ctl("status"))


def test_limits(make_boot, bs, server):
    make_boot(Limits={"BootstrapPaths": 100, "BootstrapBytes": "4K"})
    bs.wait_event("bootstrap")
    assert bs.write("/3/0/0", "x" * 5000, format="text").code == "4.13"
    give(bs, "/26241", {f"/26241/{i}/1": i for i in range(60)}, code="4.13")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    assert not any(p.startswith("/26241/") for p in fm.links_decode(server.wait_registered().links))


def test_session_ends_in_time(make_boot, bs, client):
    make_boot(Limits={"BootstrapTime": "1s"})
    client.match("type='signal',member='Event'")
    bs.wait_event("bootstrap")
    assert client.wait_event("bootstrap-reg-failure")[1]["error"] == "timeout"


# --- asked for by a server or a user

@pytest.fixture(name="managed")
def fixture_managed(make_boot, server):
    daemon = make_boot({"main": server.uri})
    server.wait_registered(EP)
    return daemon


def test_trigger(managed, bs, server, client):
    bs.assert_quiet("bootstrap", 0.2)
    assert server.execute("/1/0/9").code == "2.04"
    bs.wait_event("bootstrap")
    assert server.read("/1/0/0", accept="text").text == "101"  # goes on meanwhile
    assert server.execute("/1/0/9").code == "5.03"
    give(bs, "/1/0", {"/1/0/1": 600})
    assert server.read("/1/0/1", accept="text").text == "300"
    assert finish(bs).code == "2.04"
    assert server.wait_registered(EP).params["lt"] == "600"


def test_trigger_moves_to_another_server(managed, bs, server, make_server):
    other = make_server()
    assert server.execute("/1/0/9").code == "2.04"
    bs.wait_event("bootstrap")
    assert bs.delete("/0").code == "2.02" and bs.delete("/1").code == "2.02"
    give_account(bs, other, 5)
    assert finish(bs).code == "2.04"
    other.wait_registered(EP)
    server.wait_event("deregistered")


def test_failed_bootstrap_leaves_everything(managed, bs, server, client):
    client.match("type='signal',member='Event'")
    assert server.execute("/1/0/9").code == "2.04"
    bs.wait_event("bootstrap")
    assert bs.delete("/").code == "2.02"
    assert finish(bs).code == "4.06"
    client.wait_event("bootstrap-reg-failure")
    managed.kill()
    managed.start()
    server.wait_event(None, lambda e: e.event in ("registered", "updated"))
    assert server.read("/1/0/0", accept="text").text == "101"


def test_other_servers_cannot_bootstrap(managed, server):
    assert finish(server).code in ("4.04", "4.05")
    give(server, "/0/5", security(server.uri, 5, 5), code="4.01")
    assert server.delete("/").code == "4.05"


def test_trigger_without_a_bootstrap_server(make_daemon, server):
    make_daemon({"main": server.uri})
    server.wait_registered()
    assert server.execute("/1/0/9").code == "4.05"


def test_fall_back(make_boot, bs, server, make_server):
    """Resource 16 of object 1: when the attempts of 17 to 20 are used up."""
    old = make_server()
    old.rule("register", code="4.03")
    make_boot({"main": old.uri}, values={"/1/0/17": "1", "/1/0/18": "1", "/1/0/20": "1"})
    old.wait_event("refused")
    bs.wait_event("bootstrap")
    assert bs.delete("/0").code == "2.02" and bs.delete("/1").code == "2.02"
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered(EP)


def test_kill_leaves_one_account_or_the_other(make_daemon, bs, server, make_server, ctl):
    """kill -9 while the accounts are exchanged: what is there after it is the whole of one."""
    other = make_server()
    servers = {101: (server.uri, 300), 102: (other.uri, 400)}
    daemon = make_daemon({**boot_config(bs), "main": {"Uri": server.uri, "Lifetime": 300, "ShortId": 101}})
    server.wait_registered(EP)
    seen = set()
    for n in range(12):
        ssid = 102 - n % 2
        ctl("bootstrap", "--no-wait")
        bs.wait_event("bootstrap")
        assert bs.delete("/0").code == bs.delete("/1").code == "2.02"
        give(bs, "/0", security(servers[ssid][0], ssid))
        give(bs, "/1", server_object(ssid, servers[ssid][1]))
        bs.start("finish", timeout_ms=300, retransmit=False)
        time.sleep(n * 0.0007)  # somewhere in it
        daemon.kill()
        daemon.start()
        found = [s for s in ctl.json("server", "list") if s["Name"] != "bootstrap"]
        assert len(found) == 1 and (found[0]["Uri"], found[0]["Lifetime"]) == servers[found[0]["ShortId"]]
        seen.add(found[0]["ShortId"] == ssid)
        bs.take_events()
    assert True in seen or len(seen) == 1


def test_no_fall_back_where_16_forbids_it(make_boot, bs, client, make_server):
    old = make_server()
    old.rule("register", code="4.03")
    daemon = make_boot({"main": old.uri}, start=False, values={
        "/1/0/16": "false", "/1/0/17": "1", "/1/0/18": "1", "/1/0/20": "1"})
    client.match("type='signal',member='Event'")
    daemon.start()
    client.wait_told("network-error")
    bs.assert_quiet("bootstrap", 0.5)


def test_user(managed, bs, server, ctl):
    waiting = ctl.start("bootstrap")
    bs.wait_event("bootstrap")
    run = ctl.run("bootstrap")
    assert run.returncode == 1 and "under way" in run.stderr
    give(bs, "/1/0", {"/1/0/2": 7})
    assert finish(bs).code == "2.04"
    assert waiting.wait(10) == 0
    waiting.communicate()
    server.wait_registered(EP)


def test_user_hears_of_a_refusal(managed, bs, ctl):
    bs.rule("bootstrap", code="4.00", payload="unknown endpoint")
    run = ctl.run("bootstrap")
    assert run.returncode == 1 and "unknown endpoint" in run.stderr
    assert ctl.json("status")["Servers"][0]["LastError"] == ["4.00", "unknown endpoint"]


def test_job(managed, bs, client):
    client.match("type='signal',member='JobDone'")
    job = client.call("Manager", "Bootstrap", "a{sv}", {})
    bs.wait_event("bootstrap")
    assert finish(bs).code == "2.04"
    body = client.wait_signal("JobDone")
    assert body[:3] == [job, "bootstrap", "complete"]


def test_start_with_bootstrap_first(managed, bs, server, ctl):
    ctl("stop")
    server.wait_event("deregistered")
    ctl("start", "-b")
    bs.wait_event("bootstrap")
    server.assert_quiet("registered", 0.3)
    assert finish(bs).code == "2.04"
    server.wait_registered(EP)


def test_account_at_run_time(make_daemon, bs, server, ctl):
    make_daemon({})
    assert ctl.run("bootstrap").returncode == 3
    assert ctl("server", "add", "--bootstrap", "--hold-off=1", "--account-timeout=500",
               bs.uri) == "bootstrap"
    run = ctl.run("server", "add", "--bootstrap", bs.uri)
    assert run.returncode == 1 and "already" in run.stderr
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered()
    for verb in ("update", "register", "deregister", "enable"):
        run = ctl.run("server", verb, "bootstrap")
        assert run.returncode == 1 and "no registration" in run.stderr
    ctl("server", "remove", "bootstrap")
    assert [s["Name"] for s in ctl.json("server", "list")] == ["101"]


def test_state_outlives_a_restart(make_boot, bs, server):
    daemon = make_boot()
    bs.wait_event("bootstrap")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    daemon.kill()  # as soon as the server knows
    daemon.start()
    server.wait_event(None, lambda e: e.event in ("registered", "updated"))
    bs.assert_quiet("bootstrap", 0.3)


def test_applications_are_asked(session, bs, server, client):
    """What a claim covers is agreed by its owner before anything changes."""
    client.handle("/app")
    client.call("Claims", "Claim", "asoa{sv}", ["/26241"], "/app",
                {"create": Variant("b", True), "write": Variant("b", True)})
    give(bs, "/26241/3", {"/26241/3/1": 5})
    give_account(bs, server)
    number = bs.start("finish")
    call = client.wait_call("Prepare")
    assert any(op[0] == "create" and op[1] == "/26241/3" for op in call.args[1])
    call.fail("InvalidValue", "not that one")
    answer = bs.finish(number)
    assert answer.code == "4.06" and "not that one" in answer.text
    server.assert_quiet("registered", 0.2)
    number = bs.start("finish")
    client.wait_call("Prepare").reply()
    assert bs.finish(number).code == "2.04"
    server.wait_registered()
    assert client.call("Data", "Get", "sa{sv}", "/26241/3/1", {}) == 5


# --- from a file

def write_pack(path, server, extra=None):
    path.write_bytes(fm.senml_encode({**security(server.uri, 101), **server_object(101),
                                      **(extra or {})}))


def test_file(make_daemon, server, tmp_path):
    pack = tmp_path / "pack.json"
    write_pack(pack, server, {"/26241/4/1": 9})
    daemon = make_daemon({}, client={"BootstrapFile": pack})
    server.wait_registered()
    assert server.read("/26241/4/1", accept="text").text == "9"
    write_pack(pack, server, {"/26241/4/1": 10})
    daemon.stop()
    daemon.start()  # there are accounts now
    server.wait_registered()
    assert server.read("/26241/4/1", accept="text").text == "9"


def tlv_resource(number, value):
    return bytes([0xC8, number, len(value)]) + value


def tlv_instance(number, *resources):
    body = b"".join(resources)
    return bytes([0x08, number, len(body)]) + body


def tlv_account(server):
    """Objects 0 and 1."""
    return (tlv_instance(1, tlv_resource(0, server.uri.encode()), tlv_resource(1, b"\0"), tlv_resource(2, b"\3"),
                         tlv_resource(10, b"\0\x65")),
            tlv_instance(2, tlv_resource(0, b"\0\x65"), tlv_resource(1, b"\1\x2c"), tlv_resource(6, b"\1"),
                         tlv_resource(7, b"U")))


def test_file_of_the_command_line_in_tlv(make_daemon, server, tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    for number, tlv in enumerate(tlv_account(server)):
        (folder / f"{number}.tlv").write_bytes(tlv)
    daemon = make_daemon({}, start=False)
    daemon.start(f"--bootstrap-file={folder}")
    assert server.wait_registered().params["lt"] == "300"


def card(*objects):
    """EF(LwM2M_Bootstrap): (object, version, TLV)…, and what an erased card has behind it."""
    body = b"".join(number.to_bytes(2, "big") + version + len(tlv).to_bytes(2, "big") + tlv
                    for number, version, tlv in objects)
    return len(objects).to_bytes(2, "big") + len(body).to_bytes(2, "big") + body + b"\xff" * 40


@pytest.mark.parametrize("version", [b"\0", b"\1\1"])
def test_file_of_a_smartcard(make_daemon, server, tmp_path, version):
    security_tlv, server_tlv = tlv_account(server)
    file = tmp_path / "ef"
    file.write_bytes(card((0, version, security_tlv), (1, version, server_tlv), (31000, b"\0", tlv_instance(0)),
                          (3303, b"\7\0", tlv_instance(0))))
    daemon = make_daemon({}, client={"BootstrapFile": file})
    assert server.wait_registered().params["lt"] == "300"
    for what in ("object 31000 in version 0.0", "object 3303 in version 7.0"):
        assert f"{what} is not known, leaving it out" in daemon.log


@pytest.mark.parametrize("content, why", [
    (b"", "neither SenML JSON"), (b"hello", "neither SenML JSON"), (b"[{", "malformed SenML JSON"),
    (b"\0\1\0\7\0\0\0\0\4", "its lengths do not fit together"), (b"\0\0\0\0", "no server"),
    (card((1, b"\0", b"\x08")), "object 1: malformed TLV"), (card((1, b"\0", b""), (1, b"\0", b"")), "an object twice"),
    (b'[{"n":"/1/0/0","v":5}]', "missing"), (b'[{"n":"/31000/0/0","v":5}]', "not supported"),
])
def test_bad_file(make_daemon, tmp_path, content, why):
    pack = tmp_path / "pack"
    pack.write_bytes(content)
    daemon = make_daemon({}, client={"BootstrapFile": pack}, start=False)
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    assert why in daemon.log and str(pack) in daemon.log


# --- server test

def steps(ctl, name):
    run = ctl.run("--json", "server", "test", name)
    return run.returncode, {s["step"]: (s["result"], s["text"]) for s in json.loads(run.stdout)}


def test_server_test(managed, server, ctl):
    code, found = steps(ctl, "101")
    assert code == 0
    assert found["account"][0] == found["route"][0] == found["answer"][0] == "ok"
    assert found["name"][0] == found["handshake"][0] == "skipped"
    assert found["registration"][0] == "ok" and "Update" in found["registration"][1]
    server.wait_event("updated")
    code, found = steps(ctl, "bootstrap")
    assert code == 0 and found["answer"][0] == "ok" and found["registration"][0] == "skipped"


def test_server_test_says_what_fails(make_daemon, make_server, refusing_port, ctl):
    strict = make_server()
    strict.rule("register", code="4.03", payload="not you")
    make_daemon({"gone": {"Uri": f"coap://127.0.0.1:{refusing_port}", "ShortId": 1},
                 "nameless": {"Uri": "coap://no-such-host.invalid", "ShortId": 2},
                 "strict": {"Uri": strict.uri, "ShortId": 3}})
    code, found = steps(ctl, "1")
    assert code == 1 and found["answer"][0] == "failed" and "nobody listens" in found["answer"][1]
    code, found = steps(ctl, "2")
    assert code == 1 and found["name"][0] == "failed" and list(found)[-1] == "name"
    code, found = steps(ctl, "3")
    assert code == 1 and found["answer"][0] == "ok"
    assert found["registration"] == ("failed", "4.03 not you")
