# SPDX-License-Identifier: Apache-2.0
"""lwm2mctl against a daemon that exists on the bus only (ctl_mockd.py): what it sends, how it shows
answers and failures, and its side of the Handler interface, to the exact message."""
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NAME, ROOT = "org.lwm2md.Client1", "/org/lwm2md/Client1"


class Mock:
    def __init__(self, bus, folder):
        self.bus, self.file, self.process = bus, folder / "calls", None
        self.start()

    def start(self, *args):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "ctl_mockd.py"), self.bus.address, *args, "--log", str(self.file)],
            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def calls(self, name=None):
        lines = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        return [line for line in lines if name in (None, line[0])]

    def wait_call(self, name, n=1):
        end = time.monotonic() + 10
        while len(self.calls(name)) < n:
            assert time.monotonic() < end, f"no call {name}: {self.calls()}"
            time.sleep(0.01)
        return self.calls(name)[n - 1]

    def drive(self, member, *args):
        return self.bus.busctl("call", NAME, ROOT, "test.Mock", member, *args)


@pytest.fixture(name="mock")
def fixture_mock(bus, tmp_path):
    mock = Mock(bus, tmp_path)
    yield mock
    mock.stop()


@pytest.fixture(name="handle")
def fixture_handle(ctl, mock):
    running = []

    def start(*args):
        n = len(mock.calls("Claim"))
        running.append(ctl.start("handle", *args))
        mock.wait_call("Claim", n + 1)
        return running[-1]
    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_types_come_from_the_definition(ctl, mock):
    ctl("set", "/3303/0/5700=-3", "/3/0/15=12", "/10/0/1=3:0", "/10/0/2=hex:00ff", "/10/0/3=on",
        "/10/0/4=18446744073709551615", "/3/0/13=2025-11-24T16:00:00Z", '/10/0/5={1="a,b",0=c}', "/3/0/7/1=7")
    assert mock.calls("SetMany") == [["SetMany", [
        ["/3303/0/5700", ["d", -3.0]], ["/3/0/15", ["s", "12"]], ["/10/0/1", ["(qq)", [3, 0]]],
        ["/10/0/2", ["ay", "00ff"]], ["/10/0/3", ["b", True]], ["/10/0/4", ["t", 2**64 - 1]],
        ["/3/0/13", ["x", 1764000000]], ["/10/0/5", ["a{qv}", {"0": ["s", "c"], "1": ["s", "a,b"]}]],
        ["/3/0/7/1", ["x", 7]]], {}]]
    assert ctl.json("read", "/10/0/5") == {"path": "/10/0/5", "value": {"0": "c", "1": "a,b"}}
    assert ctl("read", "/10/0/5") == '{0=c,1="a,b"}'
    assert ctl("read", "-x", "/10/0/2") == "00ff"


@pytest.mark.parametrize("args, code, text", [
    (["set", "/3303/0/5700=x"], 2, "/3303/0/5700: 'x': expected Float"),
    (["set", "/3303/0/5700=1", "/3/0/7=1"], 2, "expected {ID=VALUE"),
    (["set", "/3303/0/5700"], 2, "expected PATH=VALUE"),
    (["set", "/3303/0/9=1"], 3, "object 3303 (Temperature) has no resource 9"),
    (["set", "/77/0/9=1"], 3, "no definition"),
    (["set", "/3/0/4=1"], 2, "lwm2mctl exec /3/0/4"),
    (["set", "/3303/0/5700=1", "/3/0/15=Nowhere"], 1, "no such time zone"),
    (["write", "-u8", "/10/0/4", "256"], 2, "does not fit"),
    (["write", "-u8", "-s", "/10/0/4", "1"], 2, "Only one of"),
    (["read", "/3303/1/5700"], 3, "/3303/1/5700: no value"),
    (["read", "/0/0/0"], 4, "/0/0/0: never readable here"),
    (["delete", "/1/0"], 4, "hint: root and the group lwm2m"),
    (["read", "/3303"], 2, "is the path of an object"),
    (["read", "3303/0/x"], 2, "is not a path"),
    (["delete", "/3303/0/5700"], 2, "is the path of a resource"),
    (["create", "/10/0/5/1"], 2, "with its value"),
    (["resume"], 1, "not paused"),
    (["exec", "/3/0/4"], 1, "nobody handles it"),
    (["wait", "happy"], 2, "expected one of bootstrapping"),
    (["server", "update", "0"], 2, "is no server"),
    (["server", "add", "coap://x", "--id=65535"], 2, "expected 1 to 65534"),
    (["server", "frob"], 2, "expected one of add, remove"),
    (["frob"], 2, "unknown verb 'frob'"),
    (["read", "--frob", "/3/0/0"], 2, "unknown option '--frob'"),
    (["handle", "/3/0/4"], 2, "a command is missing"),
    (["handle", "/3/0/4", "--", "/nonexistent/reboot"], 2, "'/nonexistent/reboot' is not a program"),
    (["unlock", "now"], 2, "unexpected argument 'now'"),
    (["--timeout=never", "sync"], 2, "expected a time"),
    (["--instance=a.b", "sync"], 2, "expected letters"),
])
def test_failures(ctl, mock, args, code, text):
    run = ctl.run(*args)
    assert run.returncode == code and text in run.stderr and run.stderr.startswith("lwm2mctl: "), run
    assert run.stdout == ""
    if code == 2:
        assert not mock.calls("Set") and not mock.calls("SetMany")


def test_daemon_absent(ctl, bus):
    for args in (["status"], ["read", "/3/0/0"], ["watch", "/3"], ["monitor"], ["log-level"], ["lock"]):
        run = ctl.run(*args)
        assert run.returncode == 5 and "org.lwm2md.Client1" in run.stderr and "hint: " in run.stderr, (args, run)
    assert ctl.run("wait", "registered", "--timeout=0.2").returncode == 6
    bus.stop()
    run = ctl.run("status")
    bus.start()
    assert run.returncode == 5 and "Cannot connect to the bus" in run.stderr


def test_slow_answer(ctl, mock, monkeypatch):
    mock.stop()
    monkeypatch.setenv("MOCK_SLOW_SYNC", "1")
    mock.start()
    assert ctl.run("--timeout=0.2", "sync").returncode == 6
    calls = len(mock.calls("Sync"))
    slow = ctl.start("sync")
    mock.wait_call("Sync", calls + 1)
    mock.stop()
    assert slow.wait(10) == 5
    slow.communicate()
    mock.start()


def test_instance(ctl, bus, mock, tmp_path):
    (tmp_path / "second").mkdir()
    second = Mock(bus, tmp_path / "second")
    second.stop()
    second.start("two")
    try:
        ctl("--instance=two", "update")
        assert second.calls("Update") and not mock.calls("Update")
        assert ctl.run("--instance=three", "update").returncode == 5
    finally:
        second.stop()


def test_output_does_not_drive_the_terminal(ctl, mock):
    assert ctl("read", "/3/0/0") == "ACME\\x1b[31m"
    assert ctl.json("read", "/3/0/0")["value"] == "ACME\x1b[31m"
    assert "ACME\\x1b[31m" in ctl("get", "/3/0") and "ACME\\x1b[31m" in ctl("ls", "-l", "/3")


def test_ls(ctl, mock):
    assert ctl("ls", "/10").splitlines() == [
        "/10/0/1 : 3303:0", "/10/0/2 : OPAQUE(5)", "/10/0/3 : true", "/10/0/4 : 18446744073709551615"]
    assert "21.5 (Sensor Value, Cel) observed by 123 <pmin=1>" in ctl("ls", "-l", "/3303")
    nodes = {node["path"]: node for node in ctl.json("ls", "/10")}
    assert nodes["/10/0/2"]["value"] == {"opaque": "AAECAwQ="} and nodes["/10/0/2"]["observed_by"] == [123]


def test_files(ctl, mock, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(bytes(range(256)) * 1000)
    assert ctl.json("put", "/10/0/2", source) == {"path": "/10/0/2", "bytes": 256000}
    ctl("fetch", "/10/0/2", target)
    assert target.read_bytes() == source.read_bytes() and not list(tmp_path.glob("out.*"))
    with source.open() as pipe:
        cat = subprocess.run(["sh", "-c", "cat | \"$@\"", "sh", *ctl.argv("put", "/10/0/2")], stdin=pipe, check=True)
    assert cat.returncode == 0
    assert ctl.run("put", "/10/0/2", tmp_path).returncode == 1
    assert ctl.run("put", "/10/0/2", tmp_path / "none").returncode == 1


def test_watch_over_a_restart(ctl, mock):
    watch = ctl.start("watch", "--initial", "/3303")
    assert watch.stdout.readline() == "/3303/0/5700=21.5\n"
    assert watch.stdout.readline() == "/3303/0/5701=Cel\n"
    ctl("set", "/3303/0/5700=1")
    assert watch.stdout.readline() == "/3303/0/5700=1\n"
    mock.stop()
    assert "left the bus" in watch.stderr.readline()
    mock.start()
    mock.wait_call("Subscribe", 2)
    ctl("set", "/3303/0/5700=2")
    assert watch.stdout.readline() == "/3303/0/5700=2\n"
    watch.kill()
    watch.communicate()


def test_wait(ctl, mock):
    assert ctl.run("wait", "registered", "--timeout=0.2").returncode == 6
    wait = ctl.start("wait", "registered")
    ctl("start")
    assert wait.wait(10) == 0
    wait.communicate()
    ctl("wait", "registered", "--server=123")


def test_monitor(ctl, mock):
    assert ctl.run("monitor", "--history", "--timeout=0.2").stdout == \
        "2025-11-24T16:00:00.000Z registration-failure server=123 reason=4.03\n"
    monitor = ctl.start("monitor", "--history")
    monitor.stdout.readline()
    ctl("start")
    assert monitor.stdout.readline().endswith("Z registration-complete server=123 code=2.01\n")
    monitor.kill()
    monitor.communicate()
    run = ctl.run("--json", "monitor", "--history", "--values")
    assert run.returncode == 5  # the mock ends the stream
    assert [json.loads(line)["event"] for line in run.stdout.splitlines()] == ["registration-failure", "set"]
    assert ctl.run("--json", "monitor").stdout == ctl.run("--json", "monitor", "--values").stdout
    assert mock.calls("Monitor") == [["Monitor", ["registration", "observation", "value"], {}],
                                     ["Monitor", ["registration", "observation"], {}],
                                     ["Monitor", ["registration", "observation", "value"], {}]]


def test_persist(ctl, mock):
    ctl("set", "--persist", "/3303/0/5700=1", "/3/0/15=UTC")
    ctl("write", "/10/0/3", "--persist", "true")
    assert mock.calls("Configure") == [["Configure", p, {"persist": ["s", "always"]}]
                                       for p in ("/3303/0/5700", "/3/0/15", "/10/0/3")]
    assert ctl.run("set", "--persist", "/3/0/15=Nowhere").returncode == 1
    assert len(mock.calls("Configure")) == 3


def test_create_resource_instance(ctl, mock):
    ctl("create", "/10/0/5/3", "hello")
    assert mock.calls("Set") == [["Set", "/10/0/5/3", ["s", "hello"], {}]]
    run = ctl.run("create", "/10/0/5/3", "again")
    assert run.returncode == 1 and "exists already" in run.stderr and len(mock.calls("Set")) == 1


def test_lock(ctl, mock, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert ctl.run("lock", "--", "sh", "-c", "exit 3").returncode == 3
    mock.wait_call("HoldEnded")
    assert ctl.run("lock", "--", "/nonexistent").returncode == 127
    ctl("lock", "--max=10min")
    assert mock.calls("Hold")[-1][1] == {"max_ms": ["u", 600000]}
    assert "already locked" in ctl.run("lock").stderr
    ended = len(mock.calls("HoldEnded"))
    ctl("unlock")
    mock.wait_call("HoldEnded", ended + 1)
    assert ctl.run("unlock").returncode == 3


def test_handle_execute(ctl, mock, handle, tmp_path):
    out = tmp_path / "out"
    script = f'env | grep -E "^LWM2M_(ARG|OP|PATH|PHASE|SERVER)" | sort > {out}; cat >> {out}; [ "$LWM2M_ARG_0" != no ] || {{ echo "not now" >&2; exit 75; }}'
    handle("/3/0/4", "--timeout-ms=500", "--", "sh", "-c", script)
    assert mock.calls("Claim") == [["Claim", ["/3/0/4"], "/org/lwm2md/Handler",
                                    {"execute": ["b", True], "timeout_ms": ["u", 500]}]]
    ctl("exec", "/3/0/4", "0='a b',1")
    assert out.read_text() == ("LWM2M_ARGS=0='a b',1\nLWM2M_ARG_0=a b\nLWM2M_ARG_1=\nLWM2M_OP=execute\n"
                               "LWM2M_PATH=/3/0/4\nLWM2M_PHASE=final\nLWM2M_SERVER=123\n0='a b',1")
    run = ctl.run("exec", "/3/0/4", "0='no'")
    assert run.returncode == 1 and "not now" in run.stderr


def test_handle_timeout_and_missing_command(ctl, mock, handle, tmp_path):
    handle("/3/0/4", "--timeout-ms=100", "--", "sleep", "30")
    begun = time.monotonic()
    run = ctl.run("exec", "/3/0/4")
    assert run.returncode == 6 and "longer than 100 ms" in run.stderr and time.monotonic() - begun < 5
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    handle("/3303/0/5605", "--", str(program))
    program.unlink()
    assert f"cannot run '{program}'" in ctl.run("exec", "/3303/0/5605").stderr


def test_handle_calls_run_side_by_side(ctl, mock, handle):
    handle("/3/0/4", "--", "sleep", "0.5")
    begun = time.monotonic()
    calls = [ctl.start("exec", "/3/0/4") for _ in range(4)]
    assert [call.wait(10) for call in calls] == [0] * 4
    assert time.monotonic() - begun < 1.8
    for call in calls:
        call.communicate()


def test_handle_read(ctl, mock, handle):
    handle("/3303", "--read", "--", "sh", "-c", 'case $LWM2M_PATH in *5700) echo 4.5;; *5701) printf "%s" "";; *) exit 66;; esac')
    assert mock.calls("Claim")[0][3] == {"read": ["b", True], "timeout_ms": ["u", 10000]}
    assert json.loads(mock.drive("Read", "s", "/3303/0/5700")[0]) == [[["/3303/0/5700", ["d", 4.5], 0]]]
    assert json.loads(mock.drive("Read", "s", "/3303/0/5701")[0]) == [[["/3303/0/5701", ["s", ""], 0]]]
    with pytest.raises(AssertionError, match="exited with 66"):
        mock.drive("Read", "s", "/3303/0/9")


def test_handle_read_of_another_type(ctl, mock, handle):
    handle("/3303", "--read", "--", "echo", "warm")
    with pytest.raises(AssertionError, match="no value of the resource's type"):
        mock.drive("Read", "s", "/3303/0/5700")
    handle("/10", "--read", "--", "head", "-c", "70000", "/dev/zero")
    with pytest.raises(AssertionError, match="more than 65536 bytes"):
        mock.drive("Read", "s", "/10/0/2")


def test_handle_write(ctl, mock, handle, tmp_path):
    out = tmp_path / "out"
    handle("/3/0/15", "--write", "--", "sh", "-c",
           f'read v; [ "$v" != Mars ] || {{ echo "no zone $v" >&2; exit 1; }}; echo "$LWM2M_OP $LWM2M_PHASE $v" >> {out}')
    mock.drive("Prepare", "ssvb", "set", "/3/0/15", "s", "UTC", "true")
    assert out.read_text() == "write final UTC\n"
    with pytest.raises(AssertionError, match="no zone Mars"):
        mock.drive("Prepare", "ssvb", "set", "/3/0/15", "s", "Mars", "true")
    mock.drive("Prepare", "ssvb", "set", "/3/0/15", "s", "CET", "false")
    assert out.read_text() == "write final UTC\nwrite prepare CET\n"


def test_handle_write_in_phases(ctl, mock, handle, tmp_path):
    out = tmp_path / "out"
    handle("/3/0/15", "--write", "--phases", "--", "sh", "-c", f'echo "$LWM2M_PHASE $(cat)" >> {out}')
    mock.drive("Prepare", "ssvb", "set", "/3/0/15", "s", "CET", "false")
    mock.drive("Prepare", "ssvb", "set", "/3/0/15", "s", "abort", "false")
    assert out.read_text() == "prepare CET\ncommit CET\nprepare abort\nabort abort\n"


def test_handle_over_a_restart(ctl, mock, handle):
    process = handle("/3/0/4", "--", "true")
    mock.stop()
    assert "left the bus" in process.stderr.readline()
    mock.start()
    mock.wait_call("Claim", 2)
    ctl("exec", "/3/0/4")
    process.terminate()
    assert process.wait(10) == 0
    assert mock.calls("Release")


def test_handle_waits_for_the_daemon(ctl, mock):
    mock.stop()
    process = ctl.start("handle", "/3/0/4", "--", "true")
    assert "waiting for it" in process.stderr.readline()
    mock.start()
    mock.wait_call("Claim")
    ctl("exec", "/3/0/4")
    process.terminate()
    assert process.wait(10) == 0
    process.communicate()


def test_bus_ends(ctl, bus, mock):
    verbs = (["watch", "/3303"], ["monitor"], ["wait", "stopped"], ["handle", "/3/0/4", "--", "true"])
    running = [ctl.start(*verb) for verb in verbs]
    mock.wait_call("Claim")
    mock.wait_call("Subscribe")
    bus.stop()
    try:
        assert [process.wait(10) for process in running] == [5] * 4
    finally:
        bus.start()
        for process in running:
            process.communicate()


def test_handler_is_for_the_daemon_alone(ctl, bus, mock, handle):
    handle("/3/0/4", "--", "true")
    stranger = subprocess.run(
        ["busctl", f"--address={bus.address}", "list", "--json=short"], capture_output=True, text=True, check=True)
    names = [row["name"] for row in json.loads(stranger.stdout) if row["process"] == "lwm2mctl"]
    assert names
    run = subprocess.run(["dbus-send", f"--bus={bus.address}", "--print-reply", f"--dest={names[0]}",
                          "/org/lwm2md/Handler", f"{NAME}.Handler.Released", "uint32:1", "string:go"],
                         capture_output=True, text=True, check=False)
    assert run.returncode != 0 and "only lwm2md may call" in run.stderr
    ctl("exec", "/3/0/4")
