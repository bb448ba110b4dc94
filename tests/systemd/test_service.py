# SPDX-License-Identifier: Apache-2.0
"""lwm2md as a service of a real systemd, in its sandbox, with the installed bus policy."""
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import testserver
from container import until

SOURCE = Path(__file__).resolve().parents[2]
NAME, ROOT = "org.lwm2md.Client1", "/org/lwm2md/Client1"
UNIT_FILE = "/usr/lib/systemd/system/lwm2md.service"
GET = ("busctl", "--json=short", "call", NAME, ROOT, f"{NAME}.Data", "Get", "sa{sv}")


# --- the unit ---

def test_the_unit_has_no_mistakes(container):
    run = container.run("systemd-analyze", "verify", "--man=no", UNIT_FILE, check=False)
    assert not run.stderr + run.stdout
    assert run.returncode == 0


def test_it_is_ready_when_it_serves(box):
    assert box.show("ActiveState") == "active"
    assert box.show("Type") == "notify"
    assert box.show("StatusText") == "Running"
    owner = box("busctl", "--json=short", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                "org.freedesktop.DBus", "GetConnectionUnixProcessID", "s", NAME)
    assert json.loads(owner)["data"] == [box.pid]


def test_it_runs_without_rights(box):
    status = dict(line.split(":\t", 1) for line in box("cat", f"/proc/{box.pid}/status")
                  .splitlines() if ":\t" in line)
    uid, gid = int(box("id", "-u", "lwm2md")), int(box("id", "-g", "lwm2md"))
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    # PrivateUsers=yes is in force, and the files still belong to the service's user.
    assert box("readlink", f"/proc/{box.pid}/ns/user") != box("readlink", "/proc/1/ns/user")
    for folder in ("/var/lib/lwm2md", "/run/lwm2md"):
        assert box("stat", "-c", "%U:%G %a", folder) == "lwm2md:lwm2md 700"
    for file in box("find", "/var/lib/lwm2md", "-type", "f").splitlines():
        assert box("stat", "-c", "%U:%G %a", file) == "lwm2md:lwm2md 600", file


def test_a_failed_start_is_said(box):
    config = box.path("/etc/lwm2md/lwm2md.conf")
    good = config.read_text()
    try:
        config.write_text(good + "[Nonsense]\nA=b\n")
        assert box.run("systemctl", "restart", "lwm2md.service", check=False).returncode != 0
        assert any("Nonsense" in e["MESSAGE"] for e in box.journal())
    finally:
        config.write_text(good)
        box("systemctl", "restart", "lwm2md.service")


def test_wrong_options_are_not_tried_again(set_up, server, container):
    container.drop_in("[Service]\nExecStart=\nExecStart=/usr/bin/lwm2md --nonsense\n")
    with pytest.raises(AssertionError):
        set_up(server.uri)
    assert container.show("ExecMainStatus") == "2"
    assert container.show("ActiveState") == "failed"  # not "activating": no restart is due


# --- the sandbox lets it work ---

def test_values_go_both_ways(box, server):
    assert server.read("/3303/0/5700", accept="text").text == "21.5"
    assert server.write("/3/0/14", "+01:00").code == "2.04"
    assert box("lwm2mctl", "read", "/3/0/14") == "+01:00"


def test_a_server_is_found_by_name(set_up, make_server, container, tmp_path):
    """The look-up is done in a thread, over UDP, by the C library."""
    server = make_server()
    answers = tmp_path / "dns.py"
    answers.write_text(
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('127.0.0.1', 53))\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    q, peer = s.recvfrom(512)\n"
        "    end = q.index(0, 12) + 5\n"
        "    is_a = q[end - 4:end - 2] == b'\\0\\1'\n"
        "    a = q[:2] + b'\\x81\\x80\\0\\1' + (b'\\0\\1' if is_a else b'\\0\\0') + b'\\0\\0\\0\\0'\n"
        "    a += q[12:end]\n"
        "    if is_a:\n"
        "        a += b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\x7f\\0\\0\\1'\n"
        "    s.sendto(a, peer)\n")
    container.path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    with subprocess.Popen(container.in_network(shutil.which("python3"), str(answers)),
                          stdout=subprocess.PIPE, text=True) as dns:
        try:
            assert dns.stdout.readline() == "up\n"
            set_up(f"coap://lwm2m.example.test:{server.port}")
            server.wait_registered("urn:test:box")
        finally:
            dns.terminate()


def test_a_large_body_goes_through_the_runtime_directory(box, server):
    box("lwm2mctl", "create", "/19/0")
    box("lwm2mctl", "create", "/19/0/0/0", "00")
    body = testserver.fill(50000)
    assert server.call("write", "/19/0/0/0", fill=len(body), format="opaque", wait=60).code == "2.04"
    assert server.read("/19/0/0/0", accept="opaque").sha256 == testserver.sha256(body)


def test_files_cross_the_bus(box, server):
    """Descriptors go into the sandbox and out of it."""
    for number, user in enumerate((None, "app")):
        path = f"/19/0/0/{number}"
        box("sh", "-c", f"lwm2mctl create /19/0; lwm2mctl create {path} 00; "
            "head -c 40000 /usr/bin/lwm2md >/var/tmp/body && chmod 644 /var/tmp/body")
        box("lwm2mctl", "put", path, "/var/tmp/body", user=user)
        box("sh", "-c", f"lwm2mctl fetch {path} | cmp - /var/tmp/body", user=user)
        assert server.read(path, accept="opaque").length == 40000


def test_definitions_stay(box, server):
    model = SOURCE / "tests" / "integration" / "objects" / "26241.xml"
    box.path("/var/lib/26241.xml").write_bytes(model.read_bytes())
    assert box.run("lwm2mctl", "create", "/26241/0", check=False).returncode != 0
    box("lwm2mctl", "model", "add", "--persist", "/var/lib/26241.xml")
    box("lwm2mctl", "create", "/26241/0")
    box("lwm2mctl", "sync")
    box("systemctl", "restart", "lwm2md.service")
    assert "</26241/0>" in server.wait_event("registered", predicate=lambda e:
                                             "26241" in (e.links or "")).links


def test_ipv6(set_up, make_server):
    server = make_server(bind="[::1]:0")
    box = set_up(server.uri)
    server.wait_registered("urn:test:box")
    assert server.read("/3/0/0", accept="text").text == "ACME"
    assert box.show("ActiveState") == "active"


def test_the_endpoint_comes_from_the_machine(box, server):
    """No interface but the loopback, so it is the machine-id, which the sandbox leaves readable."""
    config = box.path("/etc/lwm2md/lwm2md.conf")
    config.write_text(config.read_text().replace("Endpoint=urn:test:box\n", ""))
    box("systemctl", "restart", "lwm2md.service")
    machine = box("cat", "/etc/machine-id")
    assert server.wait_event("registered", predicate=lambda e: e.endpoint != "urn:test:box") \
        .endpoint.replace("-", "") == f"urn:uuid:{machine}"


# --- who may talk to it ---

def test_root_and_the_group_are_served(box):
    assert box("lwm2mctl", "read", "/3303/0/5700") == "21.5"
    assert box("lwm2mctl", "read", "/3303/0/5700", user="app") == "21.5"
    assert "registered" in box("lwm2mctl", "status", user="app")


def test_others_are_refused(box):
    run = box.run("lwm2mctl", "read", "/3303/0/5700", user="stranger", check=False)
    assert run.returncode == 4, run
    run = box.run(*GET, "/3303/0/5700", "0", user="stranger", check=False)
    assert run.returncode != 0 and "21.5" not in run.stdout
    # Nor may they, or the group, take the name.
    box("systemctl", "stop", "lwm2md.service")
    for user in ("stranger", "app"):
        run = box.run("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                      "org.freedesktop.DBus", "RequestName", "su", NAME, "0", user=user,
                      check=False)
        assert run.returncode != 0 and "denied" in run.stderr, run


def test_the_group_administers_nothing(box):
    run = box.run("lwm2mctl", "server", "remove", "101", user="app", check=False)
    assert run.returncode == 4, run
    assert "101" in box("lwm2mctl", "server", "list")


def test_applications_are_called_back(box, server):
    def is_claimed():
        return "/3/0/4" in box("busctl", "call", NAME, ROOT, f"{NAME}.Claims", "List")

    box("systemd-run", "--quiet", "--collect", "--unit=app", "-p", "User=app",
        "lwm2mctl", "handle", "/3/0/4", "--", "sh", "-c", "id -un >/tmp/ran")
    try:
        until(is_claimed)
        assert server.execute("/3/0/4").code == "2.04"
        assert box("cat", "/tmp/ran") == "app"
    finally:
        box("systemctl", "stop", "app.service")
    until(lambda: not is_claimed())
    assert server.execute("/3/0/4").code != "2.04"


def test_a_second_daemon_has_its_own_name(box):
    """With the policy that lwm2md(8) gives for its --instance=."""
    policy = box.path("/etc/dbus-1/system.d/lwm2md-second.conf")
    manual = (SOURCE / "man" / "lwm2md.8").read_text()
    found = re.search(r"^<busconfig>\n.*?^</busconfig>\n", manual, re.M | re.S)
    policy.write_text(found[0].replace("NAME", "second"))
    box("systemctl", "reload", "dbus.service")
    box("systemd-run", "--quiet", "--collect", "--unit=second", "-p", "Type=notify",
        "-p", "User=lwm2md", "-p", "StateDirectory=second", "-p", "StateDirectoryMode=0700",
        "-p", "RuntimeDirectory=second", "lwm2md", "--instance=second",
        "--state-dir=/var/lib/second", "--runtime-dir=/run/second")
    try:
        for user in (None, "app"):
            assert box("lwm2mctl", "--instance=second", "read", "/3303/0/5700", user=user) == "21.5"
        run = box.run("lwm2mctl", "--instance=second", "read", "/3303/0/5700", user="stranger",
                      check=False)
        assert run.returncode == 4, run
    finally:
        box("systemctl", "stop", "second.service")
        policy.unlink()
        box("systemctl", "reload", "dbus.service")


def test_a_call_starts_it(box, server):
    box("systemctl", "stop", "lwm2md.service")
    server.wait_event("deregistered")
    answer = json.loads(box(*GET, "/3303/0/5700", "0"))
    assert answer["data"] == [{"type": "d", "data": 21.5}]
    assert box.show("ActiveState") == "active"
    server.wait_registered("urn:test:box")


# --- systemctl ---

def test_reload(box, server):
    config = box.path("/etc/lwm2md/lwm2md.conf")
    pid, good = box.pid, config.read_text()
    config.write_text(good + "/3303/1/5700=5\n")
    box("systemctl", "reload", "lwm2md.service")
    until(lambda: box.run("lwm2mctl", "read", "/3303/1/5700", check=False).stdout.strip() == "5")
    until(lambda: box.show("ActiveState") == "active")
    config.write_text(good + "/3303/1/5700=6\nnonsense\n")
    box("systemctl", "reload", "lwm2md.service")
    until(lambda: any(e["MESSAGE"].startswith("Not reloaded") for e in box.journal()))
    until(lambda: box.show("ActiveState") == "active")
    assert box.show("StatusText") == "Running; not reloaded, see the log"
    config.write_text(good)
    box("systemctl", "reload", "lwm2md.service")
    until(lambda: box.show("StatusText") == "Running")
    assert box.pid == pid and box.show("NRestarts") == "0"
    assert not server.take_events("deregistered")


def test_reload_is_notified(box, container):
    """The manager sends the signal itself, and systemctl returns when the daemon is done."""
    version = int(box("systemctl", "--version").split()[1])
    if version < 253:
        pytest.skip(f"systemd {version} has no Type=notify-reload")
    config = box.path("/etc/lwm2md/lwm2md.conf")
    good = config.read_text()
    container.drop_in("[Service]\nType=notify-reload\nExecReload=\n")
    try:
        box("systemctl", "restart", "lwm2md.service")
        pid = box.pid
        config.write_text(good + "/3303/1/5700=5\n")
        box("systemctl", "reload", "lwm2md.service")
        assert box("lwm2mctl", "read", "/3303/1/5700") == "5"
        config.write_text(good + "nonsense\n")
        box("systemctl", "reload", "lwm2md.service")
        assert box.show("StatusText") == "Running; not reloaded, see the log"
        assert box.show("ActiveState") == "active" and box.pid == pid
    finally:
        config.write_text(good)
        container.drop_in("")
        box("systemctl", "restart", "lwm2md.service")


def test_log_level(box):
    assert box("systemctl", "service-log-level", "lwm2md.service") == "info"
    box("systemctl", "service-log-level", "lwm2md.service", "debug")
    assert box("systemctl", "service-log-level", "lwm2md.service") == "debug"
    assert box("systemctl", "service-log-target", "lwm2md.service") == "journal"
    box("lwm2mctl", "update")
    until(lambda: box.journal(f"_PID={box.pid}", "PRIORITY=7"))
    run = box.run("systemctl", "service-log-level", "lwm2md.service", "emerg", check=False)
    assert run.returncode == 0 or "not" in run.stderr
    run = box.run("busctl", "set-property", NAME, "/org/freedesktop/LogControl1",
                  "org.freedesktop.LogControl1", "LogLevel", "s", "err", user="app", check=False)
    assert run.returncode != 0, "the group changed the log's level"


def test_journal_fields(box):
    entry = box.journal("LWM2M_EVENT=registration-complete")[-1]
    assert entry["LWM2M_SERVER"] == "101" and entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "lwm2md"
    assert len(entry["MESSAGE_ID"]) == 32 and int(entry["MESSAGE_ID"], 16)
    assert entry in box.journal(f"MESSAGE_ID={entry['MESSAGE_ID']}")
    text = box("journalctl", "-x", "--no-pager", f"MESSAGE_ID={entry['MESSAGE_ID']}")
    assert "This device is registered with an LwM2M server" in text
    assert entry["MESSAGE"].startswith("server 101: registration-complete")
    # The priority is the entry's own: no line came through the standard error.
    assert all(e["_TRANSPORT"] == "journal" for e in box.journal(f"_PID={box.pid}"))


def test_stop_deregisters(box, server):
    box("systemctl", "stop", "lwm2md.service")
    server.wait_event("deregistered", timeout=1)
    assert box.show("Result") == "success" and box.show("ExecMainStatus") == "0"


def test_stop_is_bounded(box, server):
    server.rule("deregister", silent=True)
    begin = time.monotonic()
    box("systemctl", "stop", "lwm2md.service")
    assert 2 < time.monotonic() - begin < 8
    assert box.show("Result") == "success"


# --- what goes wrong ---

def test_a_crash_goes_unnoticed(box, server):
    """It goes on with an Update, and values that a server wrote are still there."""
    assert server.write("/3/0/14", "+02:00").code == "2.04"
    pid = box.pid
    box.signal("KILL")
    server.wait_event("updated", timeout=20)
    until(lambda: box.show("ActiveState") == "active")
    assert box.pid != pid and box.show("NRestarts") == "1"
    assert server.read("/3/0/14", accept="text").text == "+02:00"
    assert not server.take_events("registered")


def test_the_watchdog(set_up, server, container):
    container.drop_in("[Service]\nWatchdogSec=2\n")
    box = set_up(server.uri)
    server.wait_registered("urn:test:box")
    pid = box.pid
    time.sleep(5)  # it is fed
    assert box.pid == pid
    box.signal("STOP")
    server.wait_event("updated", timeout=30)
    until(lambda: box.show("ActiveState") == "active")
    assert box.pid != pid and box.show("NRestarts") == "1"


def test_the_bus_restarts(box, server):
    pid = box.pid
    box("systemctl", "restart", "dbus.service")
    until(lambda: box.run("lwm2mctl", "read", "/3303/0/5700", check=False).stdout == "21.5\n", 40)
    assert box.pid == pid and box.show("NRestarts") == "0"
    assert server.read("/3303/0/5700", accept="text").text == "21.5"
    assert not server.take_events("deregistered") and not server.take_events("registered")


def test_the_system_restarts(box, make_server, server):
    assert server.write("/3/0/14", "+03:00").code == "2.04"
    port = server.port
    box.power_off()
    server.wait_event("deregistered")
    box.boot()
    box.wait_active()
    again = make_server(bind=f"127.0.0.1:{port}")
    box("lwm2mctl", "server", "register", "101")  # nobody was there at the first attempt
    again.wait_registered("urn:test:box")
    assert again.read("/3/0/14", accept="text").text == "+03:00"


@pytest.mark.parametrize("owner", ["root", "app"])
def test_state_of_another_owner(box, server, owner):
    """As after a backup was put back by hand: it starts, says what is wrong, and keeps the file."""
    folder = box.path("/var/lib/lwm2md")
    box("systemctl", "stop", "lwm2md.service")
    server.take_events()
    for file in folder.iterdir():
        if file.is_file():
            shutil.chown(file, int(box("id", "-u", owner)))
    since = box("date", "+%s.%N")
    box("systemctl", "start", "lwm2md.service")
    said = [e["MESSAGE"] for e in box.journal("--since", f"@{since}")]
    assert "/var/lib/lwm2md/journal: Permission denied, set aside as journal.bad-0" in said
    assert (folder / "journal.bad-0").exists()
    server.wait_registered("urn:test:box")
