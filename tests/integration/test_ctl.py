# SPDX-License-Identifier: Apache-2.0
"""lwm2mctl with the real daemon and a server: every verb, what it prints, its --json and its exit code."""
import json
import os
import pwd
import re
import subprocess
import time

import pytest

from test_bus import DEFINITION
from testserver import sha256

OK, FAILED, USAGE, NOT_FOUND, DENIED, ABSENT, TIMEOUT = range(7)


def line(process):
    """The next line of a verb that runs."""
    return process.stdout.readline().rstrip("\n")


def wait_handler(ctl, path):
    """Until somebody has claimed the path."""
    end = time.monotonic() + 10
    while path not in sum((c[3] for c in ctl.bus.busctl(
            "call", "org.lwm2md.Client1", "/org/lwm2md/Client1", "org.lwm2md.Client1.Claims", "List")[0]), []):
        assert time.monotonic() < end, f"nobody claims {path}"
        time.sleep(0.02)


@pytest.fixture(name="run")
def fixture_run(ctl):
    """Starts verbs that keep running; ends them with the test."""
    running = []

    def start(*args):
        running.append(ctl.start(*args))
        return running[-1]
    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


# --- looking ---

def test_ls(kit, ctl):
    lines = ctl("ls", "/26241").splitlines()
    assert "/26241/0/0 : hello" in lines and "/26241/0/5 : OPAQUE(3)" in lines
    assert "/26241/0/7 : 3303:0" in lines and "/26241/0/10/7 : seven" in lines
    assert ctl("ls", "/26241/0/1") == "/26241/0/1 : -5"
    everything = ctl("ls")
    assert "/3303/0/5700 : 21.5" in everything and not re.search(r"^/(0|21)/", everything, re.M)
    assert re.search(r"^/3/0/13 : \d+$", everything, re.M), "a computed value"


def test_ls_long(kit, server, ctl):
    server.write_attributes("/3303/0/5700", "pmin=5")
    server.observe("/3303/0/5700")
    lines = {text.split()[0]: text for text in ctl("ls", "-l", "/3303").splitlines()}
    assert re.search(r"R +21\.5 \(Sensor Value.*observed by 101 .*<pmin=5>", lines["/3303/0/5700"]), lines
    lines = {text.split()[0]: text for text in ctl("ls", "-l", "/3").splitlines()}
    assert re.search(r"/3/0/4 +E +\(Reboot\)", lines["/3/0/4"]), "an executable resource"
    nodes = {n["path"]: n for n in ctl.json("ls", "/3303")}
    assert nodes["/3303/0/5700"]["value"] == 21.5 and nodes["/3303/0/5700"]["observed_by"] == [101]


def test_help_as_a_verb(ctl):
    assert ctl("help") == ctl("--help")
    assert ctl("help", "set") == ctl("set", "--help")
    assert ctl("help", "server", "add") == ctl("server", "add", "--help")
    server = ctl("help", "server")
    assert server == ctl("server", "--help") and "server add URI" in server and "model" not in server
    run = ctl.run("help", "nothing")
    assert run.returncode == 2 and "unknown verb 'nothing'" in run.stderr


def test_what_next_is_in_verbs_of_lwm2mctl(kit, ctl):
    assert "lwm2mctl model add FILE" in ctl.run("get", "/9999").stderr
    assert "lwm2mctl handle PATH -- COMMAND" in ctl.run("exec", "/26241/0/22").stderr


@pytest.mark.parametrize("path, text, value", [
    ("/26241/0/0", "hello", "hello"), ("/26241/0/1", "-5", -5), ("/26241/0/3", "1.5", 1.5),
    ("/26241/0/4", "true", True), ("/26241/0/5", "00ff10", {"opaque": "AP8Q"}), ("/26241/0/7", "3303:0", {"objlnk": "3303:0"}),
    ("/26241/0/8", "18446744073709551615", 18446744073709551615), ("/26241/0/9", "</3/0>", "</3/0>"),
    ("/26241/0/10", "{0=zero,7=seven}", {"0": "zero", "7": "seven"}), ("26241/0/10/7", "seven", "seven"),
])
def test_read(kit, ctl, path, text, value):
    assert ctl("read", path) == text
    answer = ctl.json("read", path)
    assert answer == {"path": "/" + path.lstrip("/"), "value": value}


@pytest.mark.parametrize("form, path, text", [
    ("-x", "/26241/0/5", "00ff10"), ("-s", "/26241/0/0", "hello"), ("-b", "/26241/0/4", "true"),
    ("-u8", "/26241/0/2", "50"), ("-u16", "/26241/0/2", "50"), ("-u32", "/26241/0/2", "50"),
    ("-u64", "/26241/0/8", "18446744073709551615"), ("-s8", "/26241/0/1", "-5"), ("-s16", "/26241/0/1", "-5"),
    ("-s32", "/26241/0/1", "-5"), ("-s64", "/26241/0/1", "-5"), ("-f", "/26241/0/3", "1.5"),
    ("-t", "/26241/0/6", "1700000000"),
])
def test_read_forms(kit, ctl, form, path, text):
    shown = ctl("read", path, form)
    assert shown == text or (form == "-t" and shown.startswith("2023-11-14T22:13:20")), shown
    assert ctl("read", form, path) == shown


def test_read_that_does_not_fit(kit, ctl):
    run = ctl.run("read", "-u8", "/26241/0/1")
    assert run.returncode == FAILED and "/26241/0/1" in run.stderr
    assert ctl.run("read", "-b", "/26241/0/0").returncode == FAILED


def test_get(kit, ctl):
    assert ctl("get", "/26241/0/1", "/3303/0/5700").splitlines() == ["/26241/0/1=-5", "/3303/0/5700=21.5"]
    values = dict(text.split("=", 1) for text in ctl("get", "/26241/0").splitlines())
    assert values["/26241/0/10/7"] == "seven" and values["/26241/0/4"] == "true"
    (answer,) = ctl.json("get", "/26241/0/1")
    assert answer["path"] == "/26241/0/1" and answer["value"] == -5
    now = int(ctl("get", "/3/0/13").split("=")[1])
    assert abs(now - time.time()) < 5 and ctl("get", "/3/0/13").startswith("/3/0/13=")
    assert re.search(r"^/3/0/13=\d+$", ctl("get", "/3"), re.M)


# --- changing ---

@pytest.mark.parametrize("path, text, back", [
    ("/26241/0/0", "a b  c", "a b  c"), ("/26241/0/1", "-9223372036854775808", "-9223372036854775808"),
    ("/26241/0/3", "-1e-3", "-0.001"), ("/26241/0/4", "off", "false"), ("/26241/0/5", "base64:AAE=", "0001"),
    ("/26241/0/5", "text:AB", "4142"), ("/26241/0/6", "2026-01-02T03:04:05Z", "1767323045"), ("/26241/0/7", "3:0", "3:0"),
    ("/26241/0/10/3", "x", "x"), ("/26241/0/10", '{1="a,b",5=c}', '{1="a,b",5=c}'), ("/26241/0/10", "{}", "{}"),
])
def test_write_by_definition(kit, server, ctl, path, text, back):
    ctl("write", path, text)
    assert ctl("read", path) == back
    if path.count("/") == 3 and path not in ("/26241/0/5", "/26241/0/10"):
        assert server.read(path, accept="text").text == {"false": "0"}.get(back, back)


@pytest.mark.parametrize("form, path, text", [
    ("-s", "/26241/0/0", "x"), ("-b", "/26241/0/4", "0"), ("-u8", "/26241/0/2", "100"), ("-u16", "/26241/0/1", "65535"),
    ("-u32", "/26241/0/1", "1"), ("-u64", "/26241/0/8", "18446744073709551614"), ("-s8", "/26241/0/1", "-128"),
    ("-s16", "/26241/0/1", "-1"), ("-s32", "/26241/0/1", "-1"), ("-s64", "/26241/0/1", "-9223372036854775807"),
    ("-f", "/26241/0/3", "2.25"), ("-t", "/26241/0/6", "1"), ("-x", "/26241/0/5", "0aff"),
])
def test_write_forms(kit, ctl, form, path, text):
    ctl("write", path, form, text)
    assert ctl("read", path) == ("false" if form == "-b" else text)


def test_set_is_all_or_nothing(kit, server, ctl):
    server.observe("/26241/0")
    ctl("set", "/26241/0/1=1", "/26241/0/0=two words", "/26241/0/10={2=x}")
    assert server.wait_notify().code == "2.05"
    server.assert_quiet("notify", 0.4)
    run = ctl.run("set", "/26241/0/1=2", "/26241/0/2=101")
    assert run.returncode == FAILED and "/26241/0/2" in run.stderr and "0..100" in run.stderr
    assert ctl("read", "/26241/0/1") == "1"


def test_create_and_delete(kit, server, ctl):
    assert ctl("create", "/3303", "5700=3.5", "/5701=Cel") == "/3303/1"
    server.wait_event("updated", lambda e: "</3303/1>" in (e.links or ""))
    assert ctl.json("create", "/3303/9", "5700=1") == {"path": "/3303/9"}
    assert ctl("get", "/3303/1").splitlines() == ["/3303/1/5700=3.5", "/3303/1/5701=Cel"]
    assert ctl.run("create", "/3303/9", "5700=1").returncode == FAILED
    ctl("delete", "/3303/1", "/3303/9")
    assert ctl.run("read", "/3303/1/5700").returncode == NOT_FOUND
    run = ctl.run("delete", "/3303/0", "/3303/7")
    assert run.returncode == NOT_FOUND and "/3303/7" in run.stderr
    assert ctl("read", "/3303/0/5700") == "21.5", "all or nothing"
    ctl("create", "/26241/0/10/4", "four")
    ctl("delete", "/26241/0/10/4")
    assert ctl("read", "/26241/0/10") == "{0=zero,7=seven}"


def test_put_and_fetch(kit, server, ctl, tmp_path):
    image, copy = tmp_path / "image", tmp_path / "copy"
    image.write_bytes(os.urandom(200_000))
    assert ctl.json("put", "/26241/0/5", image) == {"path": "/26241/0/5", "bytes": 200_000}
    assert server.read("/26241/0/5", accept="opaque").sha256 == sha256(image.read_bytes())
    ctl("fetch", "/26241/0/5", copy)
    assert copy.read_bytes() == image.read_bytes()
    piped = subprocess.run(ctl.argv("put", "/26241/0/5"), input=b"\0small", check=True, timeout=30)
    assert piped.returncode == OK and ctl("read", "-x", "/26241/0/5") == "00736d616c6c"
    assert ctl.run("fetch", "/26241/0/1").returncode == FAILED
    assert ctl.run("fetch", "/26241/9/5", copy).returncode == NOT_FOUND


def test_persist(kit, ctl):
    ctl("set", "--persist", "/26241/0/1=77", "/26241/0/0=kept")
    ctl("set", "/26241/0/3=9.5")
    assert ctl.run("set", "--persist", "/26241/0/2=500").returncode == FAILED
    nodes = {n["path"]: n for n in ctl.json("ls", "/26241")}
    ctl("sync")
    nodes = {n["path"]: n for n in ctl.json("ls", "/26241")}
    assert nodes["/26241/0/1"]["persisted"] and not nodes["/26241/0/2"]["persisted"]
    assert re.search(r"/26241/0/1 .* kept", ctl("ls", "-l", "/26241"))
    kit.kill()
    kit.start()
    assert ctl("get", "/26241/0/1", "/26241/0/0").splitlines() == ["/26241/0/1=77", "/26241/0/0=kept"]


# --- with applications ---

def test_exec_and_handle(kit, server, ctl, run, tmp_path):
    out = tmp_path / "out"
    refused = ctl.run("exec", "/26241/0/22")
    assert refused.returncode == FAILED and "no application handles" in refused.stderr
    assert server.execute("/26241/0/22").code in ("4.05", "5.01")
    run("handle", "/26241/0/22", "--", "sh", "-c",
        f'echo "$LWM2M_SERVER $LWM2M_OP $LWM2M_PATH $LWM2M_ARGS [$LWM2M_ARG_0]" >> {out}; [ "$LWM2M_ARG_0" != bad ] || exit 64')
    wait_handler(ctl, "/26241/0/22")
    assert server.execute("/26241/0/22", "0='a-b',1").code == "2.04"
    ctl("exec", "/26241/0/22", "5")
    assert out.read_text().splitlines() == ["101 execute /26241/0/22 0='a-b',1 [a-b]", "0 execute /26241/0/22 5 []"]
    assert server.execute("/26241/0/22", "0='bad'").code == "4.00"
    assert ctl.run("exec", "/26241/0/22", "0='bad'").returncode == FAILED


def test_handle_read(kit, server, ctl, run):
    process = run("handle", "--read", "/3303/0/5700", "--", "echo", "-4.5")
    wait_handler(ctl, "/3303/0/5700")
    assert server.read("/3303/0/5700", accept="text").text == "-4.5"
    assert ctl("read", "/3303/0/5700") == "-4.5"
    assert "owner :1." in ctl("ls", "-l", "/3303/0/5700")
    process.terminate()
    assert process.wait(10) == OK
    assert ctl("read", "/3303/0/5700") == "21.5"


def test_handle_write(kit, server, ctl, run, tmp_path):
    out = tmp_path / "out"
    run("handle", "--write", "/26241/0/1", "/26241/0/2", "--", "sh", "-c",
        f'v=$(cat); echo "$LWM2M_PATH $v" >> {out}; [ "$v" != 13 ] || {{ echo "unlucky" >&2; exit 65; }}')
    wait_handler(ctl, "/26241/0/1")
    assert server.write("/26241/0/1", payload="12", format="text").code == "2.04"
    assert server.write("/26241/0/1", payload="13", format="text").code == "4.00"
    assert ctl("read", "/26241/0/1") == "12"
    failed = ctl.run("write", "/26241/0/1", "13")
    assert failed.returncode == FAILED and "unlucky" in failed.stderr
    assert server.write("/26241/0/2", payload="1", format="text").code == "2.04"
    assert out.read_text().splitlines()[-1] == "/26241/0/2 1"


def test_handle_create(kit, server, ctl, run, tmp_path):
    out = tmp_path / "out"
    run("handle", "--create", "/26241", "--", "sh", "-c",
        f'echo "$LWM2M_OP $LWM2M_PATH" >> {out}; [ "$LWM2M_PATH" != /26241/3 ] || exit 77')
    wait_handler(ctl, "/26241")
    assert server.create("/26241", format="senml-json", payload='[{"n":"/26241/2/1","v":1}]').code == "2.01"
    assert server.create("/26241", format="senml-json", payload='[{"n":"/26241/3/1","v":1}]').code == "4.01"
    assert server.delete("/26241/2").code == "2.02"
    assert out.read_text().splitlines() == ["create /26241/2", "create /26241/3", "delete /26241/2"]


def test_handle_ends_with_its_object(kit, ctl, run, tmp_path):
    (tmp_path / "pump.xml").write_text(DEFINITION)
    ctl("model", "add", tmp_path / "pump.xml")
    ctl("create", "/33001/0", "0=1")
    process = run("handle", "--read", "/33001", "--", "echo", "5")
    wait_handler(ctl, "/33001")
    kit.bus.busctl("call", "org.lwm2md.Client1", "/org/lwm2md/Client1", "org.lwm2md.Client1.Model", "Undefine",
                   "qsa{sv}", "33001", "1.0", "1", "force", "b", "true")
    assert process.wait(10) == FAILED
    assert "no longer defined" in process.stderr.read()


def test_two_handlers_of_one_path(kit, ctl, run):
    run("handle", "/26241/0/22", "--", "true")
    wait_handler(ctl, "/26241/0/22")
    second = ctl.run("handle", "/26241/0/22", "--", "true")
    assert second.returncode == FAILED and "claimed by" in second.stderr


# --- events ---

def test_watch(kit, server, ctl, run):
    watch = run("watch", "--initial", "/26241/0/1")
    assert line(watch) == "/26241/0/1=-5"
    server.write("/26241/0/1", payload="42", format="text")
    assert line(watch) == "/26241/0/1=42"
    ctl("set", "/26241/0/1=43")
    assert line(watch) == "/26241/0/1=43"
    timed = run("watch", "-i", "-n", "2", "--time", "--interval=0.3s", "/26241/0/1")
    assert line(timed).endswith("/26241/0/1=43")
    ctl("set", "/26241/0/1=44")
    assert re.match(r"\d{4}-.*Z /26241/0/1=44$", line(timed)) and timed.wait(10) == OK


def test_watch_server_only(kit, server, ctl, run):
    watch = run("--json", "watch", "--server-only", "--initial", "-n", "2", "/26241/0/1")
    assert json.loads(line(watch))["value"] == -5
    ctl("set", "/26241/0/1=43")
    server.write("/26241/0/1", payload="44", format="text")
    event = json.loads(line(watch))
    assert event["path"] == "/26241/0/1" and event["value"] == 44
    assert watch.wait(10) == OK


def test_wait(make_daemon, make_server, ctl, run):
    server = make_server()
    waiting = run("wait", "online", "--timeout=20")
    daemon = make_daemon({"main": server.uri})
    assert waiting.wait(20) == OK, "also before the daemon is there"
    ctl("wait", "registered", "--server=101", "--timeout=10")
    assert ctl.run("wait", "stopped", "--timeout=0.2").returncode == TIMEOUT
    stopped = run("wait", "stopped")
    ctl("stop")
    assert stopped.wait(10) == OK
    assert ctl.run("wait", "registered", "--server=9", "--timeout=0.2").returncode in (NOT_FOUND, TIMEOUT)
    assert daemon.process.poll() is None


def test_monitor(kit, server, ctl, run):
    monitor, values = run("monitor", "--history"), run("--json", "monitor", "--values")
    while "registration-complete" not in (text := line(monitor)):
        assert text
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z registration-complete server=101 ", text)
    server.observe("/26241/0/1")
    while "observer-added" not in (text := line(monitor)):
        assert text
    assert "server=101" in text and "/26241/0/1" in text
    seen = []
    while not seen or seen[-1]["event"] != "set":
        ctl("set", "/26241/0/1=6")
        seen.append(json.loads(line(values)))
    assert seen[-1]["path"] == "/26241/0/1"


def test_obs(kit, server, ctl):
    assert ctl("obs") == "" or "no" in ctl("obs").lower()
    server.write_attributes("/3303/0/5700", "pmin=1&pmax=60")
    note = server.observe("/3303/0/5700")
    text = ctl("obs")
    assert "/3303/0/5700" in text and "101" in text and "pmin=1" in text
    (seen,) = ctl.json("obs")
    assert seen["paths"] == ["/3303/0/5700"]
    server.cancel(token=note.token)
    assert ctl.json("obs") == []


def test_lock_with_a_command(kit, server, ctl):
    server.observe("/3303/0/5700")
    again = " ".join(ctl.argv("set", "/3303/0/5700=$i"))
    assert ctl.run("lock", "--", "sh", "-c", f"for i in 1 2 3; do {again}; done; exit 7").returncode == 7
    assert "3" in server.wait_notify().text
    server.assert_quiet("notify", 0.4)


def test_lock_and_unlock(kit, server, ctl, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    server.observe("/3303/0/5700")
    ctl("lock")
    assert ctl.run("lock").returncode == FAILED
    ctl("set", "/3303/0/5700=1")
    ctl("set", "/3303/0/5700=2")
    server.assert_quiet("notify", 0.4)
    assert server.read("/3303/0/5700", accept="text").text == "2", "the value itself is there at once"
    ctl("unlock")
    assert "2" in server.wait_notify().text
    server.assert_quiet("notify", 0.4)
    assert ctl.run("unlock").returncode == NOT_FOUND


# --- the client ---

def test_status(kit, ctl, server):
    text = ctl("status")
    assert re.search(r"^lwm2md \S+  online", text) and "urn:test:1" in text
    assert re.search(r"^server 101  registered", text, re.M) and server.uri in text
    assert re.search(r"LwM2M version +1\.1", text) and re.search(r"location +/", text)
    status = ctl.json("status")
    assert status["State"] == "online" and status["Servers"][0]["ShortId"] == 101


def test_update(kit, server, ctl):
    server.take_events()
    ctl("update")
    assert server.wait_event("updated").endpoint == "urn:test:1"


def test_stop_and_start(kit, server, ctl):
    ctl("stop")
    server.wait_event("deregistered")
    assert ctl.json("status")["State"] == "stopped"
    for verb in ("stop", "update", "pause"):
        failed = ctl.run(verb)
        assert failed.returncode == FAILED and failed.stderr.startswith("lwm2mctl: "), verb
    ctl("start", "urn:test:other")
    server.wait_registered("urn:test:other")
    failed = ctl.run("start")
    assert failed.returncode == FAILED and "running already, as urn:test:other" in failed.stderr
    ctl("stop", "-f")
    server.assert_quiet("deregistered", 0.5)
    ctl("start")
    server.wait_registered("urn:test:1")


def test_pause_and_resume(kit, server, ctl):
    server.observe("/3303/0/5700")
    assert ctl.run("resume").returncode == FAILED
    server.take_events()
    ctl("pause")
    assert ctl.json("status")["State"] == "paused"
    assert "engine-suspended" in ctl.run("monitor", "--history", "--timeout=0.2").stdout
    ctl("set", "/3303/0/5700=30")
    server.assert_quiet("notify", 0.5)
    ctl("pause")  # once more changes nothing
    ctl("resume")
    server.wait_event("updated")
    assert "30" in server.wait_notify().text
    assert not server.take_events("registered"), "inside the lifetime it goes on with an Update"


def test_servers(kit, server, make_server, ctl):
    second = make_server()
    assert ctl("server", "add", "--lifetime=600", second.uri) == "1", "the lowest free id"
    assert "lt=600" in str(second.wait_registered("urn:test:1"))
    assert ctl.json("server", "add", "--id=7", "--binding=U", make_server().uri) == {"server": "7"}
    lines = ctl("server", "list").splitlines()
    assert [text.split()[0] for text in lines] == ["1", "7", "101"] and second.uri in lines[0]
    assert [s["ShortId"] for s in ctl.json("server", "list")] == [1, 7, 101]
    ctl("server", "update", "1")
    second.wait_event("updated")
    ctl("server", "register", "1")
    second.wait_registered()
    ctl("server", "deregister", "1")
    second.wait_event("deregistered")
    ctl("server", "register", "1")
    second.wait_registered()
    ctl("server", "disable", "1", "3600")
    second.wait_event("deregistered")
    ctl("wait", "disabled", "--server=1", "--timeout=10")
    ctl("server", "enable", "1")
    second.wait_registered()
    ctl("server", "remove", "1")
    second.wait_event("deregistered")
    assert ctl.run("server", "update", "1").returncode == NOT_FOUND
    assert ctl.run("server", "remove", "1").returncode == NOT_FOUND
    again = ctl.run("server", "add", "--id=7", second.uri)
    assert again.returncode == FAILED and "7" in again.stderr
    for uri, what in (("http://x", "http"), ("coap://", "coap://"), ("coap://host:99999", "99999")):
        failed = ctl.run("server", "add", uri)
        assert failed.returncode in (FAILED, USAGE) and what in failed.stderr, failed
    failed = ctl.run("server", "add", "coaps://127.0.0.1:9", "--identity=x")
    assert failed.stderr == "lwm2mctl: coaps://127.0.0.1:9: no pre-shared key (0/x/5)\n"
    failed = ctl.run("server", "add", "coaps://127.0.0.1:9")
    assert failed.returncode == FAILED and "hint: coaps:// and coaps+tcp:// need --identity" in failed.stderr
    # The account hangs on its short id; what would cut the server off is refused.
    failed = ctl.run("set", "/1/0/0=10")
    assert failed.returncode == FAILED and "/1/0/0: stays as it is" in failed.stderr
    ctl("set", f"/1/0/0={ctl('read', '/1/0/0')}")
    assert not server.take_events("deregistered"), "the others do not notice"


def test_models(kit, ctl, tmp_path):
    pump = tmp_path / "pump.xml"
    pump.write_text(DEFINITION)
    assert "33001" in ctl("model", "add", "--persist", pump)
    assert re.search(r"^33001 +1\.0 +Pump", ctl("model", "list"), re.M)
    shown = ctl("model", "show", "33001")
    assert "Pump" in shown and "Speed" in shown and "0..9" in shown
    assert ctl.json("model", "show", "33001")["resources"][0]["range"] == "0..9"
    assert {"id": 33001, "version": "1.0"}.items() <= next(
        m for m in ctl.json("model", "list") if m["id"] == 33001).items()
    kit.stop()
    kit.start()
    assert "Pump" in ctl("model", "show", "33001")
    pump.write_text("<LWM2M><Object>\n<Name>")
    failed = ctl.run("model", "add", pump)
    assert failed.returncode == FAILED and f"{pump}:2" in failed.stderr, failed.stderr
    assert ctl.run("model", "add", tmp_path / "none.xml").returncode in (FAILED, NOT_FOUND)
    assert ctl.run("model", "show", "31999").returncode == NOT_FOUND


def test_sync_and_log_level(kit, ctl):
    ctl("sync")
    assert ctl("log-level") == "debug"
    ctl("log-level", "info")
    assert ctl.json("log-level") == {"level": "info"}
    failed = ctl.run("log-level", "loud")
    assert failed.returncode != OK and "loud" in failed.stderr


# --- what goes wrong ---

@pytest.mark.parametrize("args, code, text", [
    (["read", "/26241/0/99"], NOT_FOUND, "/26241/0/99"), (["read", "/26241/5/1"], NOT_FOUND, "no Object Instance /26241/5"),
    (["read", "/31999/0/1"], NOT_FOUND, "31999"), (["read", "/26241/0/21"], NOT_FOUND, "/26241/0/21"),
    (["read", "/26241/0"], USAGE, "is the path of"), (["read", "x"], USAGE, "is not a path"),
    (["get", "/26241/5"], NOT_FOUND, "/26241/5"), (["ls", "/26241/5"], NOT_FOUND, "/26241/5"),
    (["get", "/0"], DENIED, "/0"), (["ls", "/21"], DENIED, "/21"), (["write", "/0/0/0", "-s", "x"], DENIED, "/0/0/0"),
    (["write", "/26241/0/2", "101"], FAILED, "allowed is 0..100"), (["write", "/26241/0/1", "1.5"], USAGE, "expected Integer"),
    (["write", "/26241/0/1", "-s", "abc"], FAILED, "Integer expected, got String"),
    (["write", "/26241/0/23", "123456789"], FAILED, "/26241/0/23"),
    (["set", "/26241/0/10=x"], USAGE, "{ID=VALUE"), (["exec", "/26241/0/1"], FAILED, "/26241/0/1"),
    (["exec", "/26241/9/22"], NOT_FOUND, "/26241/9/22"),
    (["create", "/3/0"], FAILED, "/3/0"), (["create", "/3/1"], FAILED, "/3/1"), (["delete", "/3/0"], FAILED, "/3/0"),
    (["create", "/31999"], NOT_FOUND, "31999"), (["create", "/3303", "99=1"], NOT_FOUND, "no resource 99"),
    (["server", "update", "9"], NOT_FOUND, "9"), (["frobnicate"], USAGE, "frobnicate"), ([], USAGE, ""),
])
def test_failures(kit, ctl, args, code, text):
    failed = ctl.run(*args)
    assert failed.returncode == code and text in failed.stderr and not failed.stdout, failed
    if args:
        assert failed.stderr.startswith("lwm2mctl: ") and failed.stderr.count("\n") <= 2, failed.stderr


def test_absent_and_slow(ctl, kit):
    os.kill(kit.pid, 19)  # SIGSTOP
    try:
        slow = ctl.run("--timeout=0.3", "read", "/26241/0/1")
        assert slow.returncode == TIMEOUT and "0.3" in slow.stderr, slow
    finally:
        os.kill(kit.pid, 18)
    kit.stop()
    gone = ctl.run("status")
    assert gone.returncode == ABSENT and "lwm2md" in gone.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_denied(kit, ctl):
    nobody = pwd.getpwnam("nobody")
    for args in (["read", "/26241/0/1"], ["set", "/26241/0/1=1"], ["status"], ["stop"]):
        run = subprocess.run(ctl.argv(*args), user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
                             capture_output=True, text=True, timeout=30, check=False)
        assert run.returncode == DENIED and "hint: " in run.stderr, (args, run)
    assert ctl("read", "/26241/0/1") == "-5"


def test_help_names_every_verb(ctl):
    text = ctl("--help")
    for verb in ("ls", "read", "write", "exec", "create", "delete", "get", "set", "put", "fetch", "watch", "handle", "wait",
                 "monitor", "status", "update", "start", "stop", "pause", "resume", "lock", "unlock", "obs", "model add",
                 "server add", "sync"):
        assert f"\n  {verb} " in text, verb
        assert ctl(*verb.split(), "--help").startswith(f"Usage: lwm2mctl {verb}")
