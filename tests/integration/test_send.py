# SPDX-License-Identifier: Apache-2.0
"""Send (TS Core 1.1.1, 6.4.3): what arrives, what becomes of it, and who is told."""
import json

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm
from busclient import NAME, ROOT
from conftest import KIT_VALUES
from testserver import TestServer, fill

EXIT = {"acked": 0, "timeout": 6, "muted": 4}


@pytest.fixture(name="ready")
def fixture_ready(kit, ctl):
    """The kit, once the daemon knows that it is registered."""
    ctl("wait", "registered", "--server=101", "--timeout=10")
    return kit


def wait_send(server, **fields):
    event = server.wait_event("send", **fields)
    assert event["path"] == "/dp" and event["method"] == "POST" and event["type"] == "con"
    return event


def send(ctl, *args):
    """(status, exit code, all lines) of `lwm2mctl send`."""
    run = ctl.run("send", *args)
    lines = run.stdout.splitlines()
    assert lines and lines[0].startswith("status: "), run.stdout + run.stderr
    return lines[0].removeprefix("status: "), run.returncode, lines


def call_send(client, *paths, **options):
    return client.call("Data", "Send", "asa{sv}", list(paths), options)


# --- what arrives ---
@pytest.mark.parametrize("fmt, number", [("senml-json", fm.SENML_JSON), ("senml-cbor", fm.SENML_CBOR),
                                         (None, fm.SENML_CBOR)])
def test_values_of_each_type(ready, server, ctl, fmt, number):
    status = send(ctl, *([f"--format={fmt}"] if fmt else []), "/26241/0", "/3303/0/5700")
    assert status == ("acked", 0, ["status: acked"])
    event = wait_send(server)
    assert event.format == number
    values = fm.senml_decode(event.body, number)
    assert values["/26241/0/0"] == "hello" and values["/26241/0/1"] == -5
    assert values["/26241/0/4"] is True and values["/26241/0/10/7"] == "seven"
    assert values["/26241/0/8"] == 18446744073709551615 and values["/3303/0/5700"] == 21.5
    assert values.keys() == KIT_VALUES.keys()


def test_times(ready, server, ctl):
    send(ctl, "--time", "--format=senml-json", "/3303/0/5700")
    record = json.loads(wait_send(server).body)[0]
    assert record["bt"] > 1_700_000_000 and record["v"] == 21.5
    send(ctl, "--format=senml-json", "/3303/0/5700")
    assert json.loads(wait_send(server).body) == [{"n": "/3303/0/5700", "v": 21.5}]


def test_an_application_is_asked(ready, server, client, ctl):
    client.handle("/app", lambda c: c.reply("a(svx)", [["/3303/0/5700", Variant("d", 30.5), 0]]))
    client.call("Claims", "Claim", "asoa{sv}", ["/3303/0/5700"], "/app", {"read": Variant("b", True)})
    assert send(ctl, "/3303/0/5700")[0] == "acked"
    assert fm.senml_decode(wait_send(server).body, fm.SENML_CBOR) == {"/3303/0/5700": 30.5}
    client.handle("/app", lambda c: c.fail("Busy", "sensor off"))
    status, code, lines = send(ctl, "/3303/0/5700")
    assert (status, code) == ("failed", 1) and "sensor off" in lines[1]


def test_blocks(ready, server, ctl, tmp_path):
    """One value is never cut: 100 kB go block-wise, in one Send."""
    file = tmp_path / "big"
    file.write_bytes(fill(100_000))
    ctl("put", "/26241/0/5", file)
    assert send(ctl, "/26241/0/5")[0] == "acked"
    event = wait_send(server)
    assert event["length"] > 100_000
    server.assert_quiet("send", 0.1)


def test_pieces(make_daemon, server, ctl):
    """Many values are cut between records."""
    values = {f"/3303/{i}/5700": str(i / 4) for i in range(500)}
    make_daemon({"main": server.uri}, values=values, Limits={"SendBody": "1K"})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    assert send(ctl, "/3303")[0] == "acked"
    got, n = {}, 0
    while len(got) < len(values):
        event = wait_send(server)
        assert event["length"] <= 1024
        part = fm.senml_decode(event.body, fm.SENML_CBOR)
        assert part and not part.keys() & got.keys()
        got |= part
        n += 1
    assert got == {p: float(v) for p, v in values.items()} and n > 5


def test_too_large_for_the_server(ready, server, ctl):
    server.rule("send", code="4.13", times=1)
    assert send(ctl, "/26241")[0] == "acked"
    event = wait_send(server)
    assert event.code_sent == "4.13"
    whole, parts = [*fm.senml_decode(event.body, fm.SENML_CBOR).items()], []
    n = 0
    while len(parts) < len(whole):
        event = wait_send(server)
        assert event.code_sent == "2.04"
        parts += fm.senml_decode(event.body, fm.SENML_CBOR).items()
        n += 1
    assert whole == parts and n > 1


# --- what becomes of it ---
def test_lost_datagrams(ready, server, ctl):
    server.rule("send", drop=True, times=1)
    assert send(ctl, "/3303/0/5700")[0] == "acked"
    server.wait_event("dropped")


@pytest.mark.parametrize("code", ["4.00", "4.05", "5.00", "5.03"])
def test_refused(ready, server, ctl, code):
    server.rule("send", code=code, payload="because")
    status, exit_code, lines = send(ctl, "/3303/0/5700")
    assert (status, exit_code) == ("refused", 1)
    assert lines[1] == f"server 101: refused, {code} (because)"


def test_timeout(ready, server, ctl):
    server.rule("send", silent=True)
    status, code, _ = send(ctl, "--timeout=1", "/3303/0/5700")
    assert (status, code) == ("timeout", EXIT["timeout"])
    server.clear_rules()
    assert send(ctl, "/3303/0/5700")[0] == "acked"  # the one before does not stand in the way


def test_muted(ready, server, ctl):
    """OMA 307: the server itself switches it, and its next Send is as it says then."""
    assert server.read("/1/0/23", accept="text").text == "0"
    assert server.write("/1/0/23", "1").code == "2.04"
    assert send(ctl, "/3303/0/5700")[:2] == ("muted", EXIT["muted"])
    assert server.write("/1/0/23", "0").code == "2.04"
    assert send(ctl, "/3303/0/5700")[:2] == ("acked", 0)
    assert len(server.take_events("send")) == 1


def test_a_server_that_forgot_us(ready, server, ctl):
    """4.04 makes the daemon look whether it is still registered, and the Send goes again."""
    server.call("forget", ep="urn:test:1")
    server.rule("send", code="4.04", times=1)
    assert send(ctl, "/3303/0/5700")[0] == "acked"
    server.wait_registered("urn:test:1")
    codes = [e.code_sent for e in server.take_events("send")]
    assert codes == ["4.04", "2.04"]


def test_an_outage_loses_nothing(make_daemon, make_server, ctl, client):
    """The server is away when the Send is on its way; it comes back at the same address, without
    memory, and gets it."""
    first = TestServer()
    make_daemon({"main": first.uri}, values={"/3303/0/5700": "21.5", "/1/0/17": "20", "/1/0/18": "1"})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    first.rule("send", silent=True)
    job = call_send(client, "/3303/0/5700")
    wait_send(first)
    port = first.port
    first.close()
    # Who sends to a port that nobody owns hears of it, and does not wait for the end of the Send.
    client.call("Server", "Update", "a{sv}", {}, path=f"{ROOT}/server/101")
    second = make_server(bind=f"127.0.0.1:{port}")
    second.wait_registered("urn:test:1", timeout=60)
    assert client.wait_signal("JobDone", lambda b: b[0] == job, timeout=60)[2] == "acked"
    assert fm.senml_decode(wait_send(second).body, fm.SENML_CBOR) == {"/3303/0/5700": 21.5}


def test_hold(ready, server, client, ctl):
    """What is asked for during a hold leaves after it."""
    lock = ctl.start("lock", "--", "sh", "-c", "read x")
    job = None
    try:
        # The hold is there when a notification does not come.
        token = server.observe("/26241/0/1", accept="text").token
        for i in range(100):
            client.set("/26241/0/1", "x", 100 + i)
            try:
                server.wait_notify(token, timeout=0.3)
            except AssertionError:
                break
        job = call_send(client, "/3303/0/5700")
        server.assert_quiet("send", 0.5)
    finally:
        lock.communicate("go on\n", timeout=10)
    wait_send(server)
    assert client.wait_signal("JobDone", lambda b: b[0] == job)[2] == "acked"


# --- several servers ---
def test_two_servers(make_daemon, make_server, ctl):
    one, two = make_server(), make_server()
    make_daemon({"one": one.uri, "two": two.uri}, values={"/3303/0/5700": "21.5"})
    for ssid in (101, 102):
        ctl("wait", "registered", f"--server={ssid}", "--timeout=10")
    assert send(ctl, "/3303/0/5700") == ("acked", 0, ["status: acked", "server 101: acked",
                                                      "server 102: acked"])
    wait_send(one), wait_send(two)
    two.rule("send", code="4.05")
    assert send(ctl, "/3303/0/5700") == ("refused", 1, ["status: refused", "server 101: acked",
                                                        "server 102: refused, 4.05"])
    wait_send(one), wait_send(two)
    assert send(ctl, "--server=101", "/3303/0/5700")[0] == "acked"
    two.assert_quiet("send", 0.1)
    run = ctl.run("--json", "send", "/3303/0/5700")
    answer = json.loads(run.stdout)
    assert run.returncode == 1 and answer["status"] == "refused"
    assert answer["servers"] == {"101": "acked", "102": "refused"}
    assert answer["errors"] == {"102": "4.05"}
    ctl("server", "deregister", "102")
    two.wait_event("deregistered")
    status, code, lines = send(ctl, "/3303/0/5700")
    assert (status, code) == ("not-registered", 1) and lines[1] == "server 101: acked"


def test_not_with_lwm2m_1_0(make_daemon, server, ctl):
    make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"}, client={"Version": "1.0"})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    run = ctl.run("send", "/3303/0/5700")
    assert run.returncode == 3 and "no server that takes a Send" in run.stderr
    assert ctl.run("send", "--server=101", "/3303/0/5700").returncode == 1
    server.assert_quiet("send", 0.1)


def test_not_registered_yet(make_daemon, make_server, ctl, client):
    silent = make_server()
    silent.rule("register", silent=True)
    make_daemon({"main": silent.uri}, values={"/3303/0/5700": "21.5"})
    assert send(ctl, "/3303/0/5700")[:2] == ("not-registered", 1)
    job = call_send(client, "/3303/0/5700", queue=Variant("b", True))
    client.set("/3303/0/5700", "d", 99.0)  # what was given is sent
    silent.clear_rules()
    client.call("Manager", "Stop", "a{sv}", {"force": Variant("b", True)})
    client.call("Manager", "Start", "sa{sv}", "", {})
    assert client.wait_signal("JobDone", lambda b: b[0] == job, timeout=30)[2] == "acked"
    assert fm.senml_decode(wait_send(silent).body, fm.SENML_CBOR) == {"/3303/0/5700": 21.5}


# --- on the bus ---
def test_jobs(ready, server, client):
    number = call_send(client, "/3303/0/5700")
    assert client.wait_signal("JobDone") == [
        number, "send", "acked",
        {"server": 101, "error": "", "servers": {101: "acked"}, "errors": {}}]
    server.rule("send", code="4.05", payload="no")
    call_send(client, "/3303/0/5700")
    assert client.wait_signal("JobDone")[2:] == [
        "refused", {"server": 101, "error": "4.05 (no)", "servers": {101: "refused"},
                    "errors": {101: "4.05 (no)"}}]


@pytest.mark.parametrize("rule, name, text", [
    (None, None, None),
    ({"code": "4.05"}, f"{NAME}.Error.ServerRefused", "Server 101: send: refused: 4.05"),
    ({"silent": True}, f"{NAME}.Error.Timeout", "Server 101: send: timeout: its time is over"),
])
def test_wait(ready, server, client, rule, name, text):
    if rule:
        server.rule("send", **rule)
    options = {"wait": Variant("b", True), "timeout_ms": Variant("u", 1000)}
    if not name:
        assert call_send(client, "/3303/0/5700", **options) == 1
        return
    with pytest.raises(DBusError) as error:
        call_send(client, "/3303/0/5700", **options)
    assert (error.value.type, error.value.text) == (name, text)


@pytest.mark.parametrize("paths, options, name, text", [
    ([], {}, "InvalidPath", "There is no path to send"),
    (["/"], {}, "InvalidPath", "'/': this takes /Object to"),
    (["/3/0/0", "nonsense"], {}, "InvalidPath", "'nonsense' is not"),
    (["/0/0/0"], {}, "org.freedesktop.DBus.Error.AccessDenied", "/0/0/0"),
    (["/3303/5"], {}, "NotFound", "/3303/5: there is nothing"),
    (["/26241/0/21"], {}, "NotAllowed", "/26241/0/21: it is not readable"),
    (["/3303/0"], {"format": Variant("s", "tlv")}, "NotSupported", "TLV is not a format of Send"),
    (["/3303/0"], {"format": Variant("s", "xml")}, "InvalidOption", "format: 'xml'"),
    (["/3303/0"], {"time": Variant("x", 5)}, "InvalidOption", "time: 5"),
    (["/3303/0"], {"server": Variant("q", 7)}, "NotFound", "There is no server 7"),
    (["/3303/0"], {"sever": Variant("q", 7)}, "InvalidOption", "no option 'sever'"),
])
def test_errors(ready, server, client, paths, options, name, text):
    with pytest.raises(DBusError) as error:
        call_send(client, *paths, **options)
    assert error.value.type == (name if "." in name else f"{NAME}.Error.{name}")
    assert text in error.value.text
    server.assert_quiet("send", 0.05)


def test_a_full_queue(make_daemon, server, client, ctl):
    make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"}, Limits={"Sends": "2"})
    ctl("wait", "registered", "--server=101", "--timeout=10")
    server.rule("send", silent=True)
    jobs = [call_send(client, "/3303/0/5700", timeout_ms=Variant("u", 2000)) for _ in range(2)]
    assert client.get("Manager", "Stats")["sends"] == 2
    with pytest.raises(DBusError) as error:
        call_send(client, "/3303/0/5700")
    assert error.value.type == f"{NAME}.Error.LimitReached" and "[Limits] Sends" in error.value.text
    for job in jobs:
        assert client.wait_signal("JobDone", lambda b, j=job: b[0] == j)[2] == "timeout"
    assert client.get("Manager", "Stats")["sends"] == 0


def test_the_caller_leaves(ready, server, make_client, ctl):
    """Nobody waits any more: it is sent all the same, and the daemon goes on."""
    client = make_client()
    server.rule("send", delay_ms=300, separate=True)
    call_send(client, "/3303/0/5700")
    client.close()
    wait_send(server)
    server.clear_rules()
    assert send(ctl, "/3303/0/5700")[0] == "acked"


def test_the_daemon_ends(ready, server, client, ctl):
    server.rule("send", silent=True)
    process = ctl.start("send", "/3303/0/5700")
    wait_send(server)
    call_send(client, "/3303/0/5700")
    ready.stop()
    out, error = process.communicate(timeout=10)
    assert process.returncode == 5 and not out and "left the bus" in error
