# SPDX-License-Identifier: Apache-2.0
"""Who may do what: servers by object 2 and [AccessControl], users of the bus by access.d."""
import json
import os
import pwd
import shutil
import subprocess
import sys
import time

import pytest

from dbus_fast import Variant
from dbus_fast.errors import DBusError

from conftest import KIT_VALUES
from daemon import Bus, Ctl

NAME, ROOT = "org.lwm2md.Client1", "/org/lwm2md/Client1"
DENIED = 4
needs_users = pytest.mark.skipif(os.getuid() != 0, reason="needs other users")

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


def test_discover_of_what_is_permitted(make_daemon, make_server, client):
    first, second = make_server(), make_server()
    rules = {"Default": "*:R", "/3303/1": "102:R"}
    daemon = make_daemon({"a": first.uri, "b": second.uri}, values=VALUES, AccessControl=rules,
                         client={"Discover": "permitted"})
    for server, links in ((first, ["/3303", "/3303/0", "/3303/0/5700"]),
                          (second, ["/3303", "/3303/0", "/3303/0/5700", "/3303/1", "/3303/1/5700"])):
        assert "</3303/1>" in str(server.wait_registered())
        assert [link.split(">")[0] for link in server.discover("/3303").text.split("<")[1:]] == links
    refused = first.discover("/3303/1")
    assert refused.code == "4.01" and "/3303/1" in refused.text
    # read again
    daemon.config.write_text(daemon.config.read_text().replace("=permitted", "=all"))
    client.call("Manager", "Reload")
    assert first.discover("/3303/1").code == "2.05"


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


# --- users of the bus ---

@pytest.fixture(name="bus")
def fixture_bus(sockets):
    """One on which two users besides root may talk to the daemon."""
    bus = Bus(sockets, users=["nobody", "daemon"])
    yield bus
    bus.stop()


class As:
    """busctl, which hides the text of an AccessDenied, and lwm2mctl as another user."""

    def __init__(self, user, bus, sockets, groups=()):
        entry = pwd.getpwnam(user)
        self.who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": list(groups)}
        self.uid, self.bus = entry.pw_uid, bus
        # the build may be below a folder that only its owner enters
        self.program = sockets / "lwm2mctl"
        if not self.program.exists():
            shutil.copy(Ctl(bus).argv()[0], self.program)

    def _run(self, argv):
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False,
                              cwd="/", **self.who)

    def ctl(self, *args):
        return self._run([str(self.program), f"--bus={self.bus.address}", *args])

    def call(self, interface, method, signature="", *args):
        return self._run(["busctl", f"--address={self.bus.address}", "call", "--", NAME, ROOT,
                          f"{NAME}.{interface}", method, signature, *args])


@pytest.fixture(name="nobody")
def fixture_nobody(bus, sockets):
    return As("nobody", bus, sockets)


@pytest.fixture(name="other")
def fixture_other(bus, sockets):
    return As("daemon", bus, sockets)


@pytest.fixture(name="ruled")
def fixture_ruled(make_daemon, server):
    """ruled(text): a daemon with KIT_VALUES and that text in access.d."""
    def make(text, folder="access.d", **config):
        daemon = make_daemon({"main": server.uri}, values=KIT_VALUES, start=False, **config)
        write_rules(daemon, text, folder)
        daemon.start()
        server.wait_registered()
        return daemon
    return make


def write_rules(daemon, text, folder="access.d"):
    (daemon.config.parent / folder).mkdir(exist_ok=True)
    (daemon.config.parent / folder / "test.conf").write_text(text)


def allowed(run):
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def denied(run, *words):
    assert run.returncode != 0 and "denied" in run.stderr.lower(), run
    for word in words:
        assert word in run.stderr, (word, run.stderr)


SENSORD = """[sensord]
user=nobody
paths=/3303;/26241/0/1
allow=get,set,create,claim,delete
"""


@needs_users
def test_without_rules(ruled, nobody):
    ruled("# nothing")
    assert allowed(nobody.ctl("get", "/26241/0/1")) == "/26241/0/1=-5"
    allowed(nobody.ctl("set", "/26241/0/1=6"))
    denied(nobody.ctl("stop"), "allow=admin")
    denied(nobody.ctl("set", "/1/0/1=60"), "allow=admin")
    denied(nobody.call("Data", "Get", "sa{sv}", "/0/0/0", "0"))


@needs_users
def test_paths_and_rights(ruled, nobody, other, ctl):
    ruled(SENSORD)
    assert allowed(nobody.ctl("get", "/3303/0/5700")) == "/3303/0/5700=21.5"
    allowed(nobody.ctl("set", "/3303/0/5700=22", "/26241/0/1=7"))
    allowed(nobody.ctl("create", "/3303", "5700=1"))
    allowed(nobody.ctl("delete", "/3303/1"))
    uid = str(nobody.uid)
    run = nobody.ctl("get", "/26241/0/0")
    denied(run, "/26241/0/0", f"user={uid}", "allow=get")
    assert run.returncode == DENIED
    # all or nothing, whichever of several values it is
    denied(nobody.ctl("set", "/3303/0/5700=99", "/26241/0/0=x"), "/26241/0/0", "allow=set")
    assert ctl("get", "/3303/0/5700") == "/3303/0/5700=22"
    denied(nobody.call("Data", "Apply", "a(ssv)a{sv}", "1", "create", "/26241/3", "b", "true", "0"))
    denied(nobody.call("Data", "Set", "sva{sv}", "/26241/4/1", "x", "1", "1", "create", "b", "true"))
    denied(nobody.call("Data", "Execute", "ssa{sv}", "/3303/0/5605", "", "0"))
    denied(nobody.call("Data", "GetFd", "sa{sv}", "/26241/0/5", "0"))
    denied(nobody.call("Data", "Subscribe", "asa{sv}", "1", "/26241", "0"))
    denied(nobody.call("Data", "Configure", "sa{sv}", "/3303", "1", "persist", "s", "always"))
    denied(nobody.call("Data", "Hold", "a{sv}", "0"))
    denied(nobody.call("Manager", "GetEvents", "a{sv}", "0"))
    denied(nobody.call("Claims", "Claim", "asoa{sv}", "1", "/26241/0", "/x", "0"))
    allowed(nobody.call("Claims", "Claim", "asoa{sv}", "1", "/3303/0", "/x", "0"))
    denied(nobody.ctl("create", "/26241", "2=1"), "/26241", "allow=create")
    denied(nobody.ctl("exec", "/3303/0/5605"), "allow=execute")
    denied(nobody.ctl("lock", "--", "true"), "Data.Hold", "allow=hold")
    denied(nobody.ctl("monitor", "--history"), "allow=events")
    denied(nobody.ctl("handle", "/26241/0/22", "--", "true"), "/26241/0/22", "allow=claim")
    # what a prefix has is told as far as it may be
    listed = allowed(nobody.ctl("ls", "-l"))
    assert "/3303/0/5700" in listed and "/26241/0/1" in listed and "/26241/0/0" not in listed and "/3/0" not in listed
    many = allowed(nobody.call("Data", "GetMany", "asa{sv}", "1", "/", "0"))
    assert '"/3303/0/5700"' in many and '"/26241/0/0"' not in many
    denied(nobody.call("Data", "GetMany", "asa{sv}", "1", "/3", "0"))
    # nobody else has any
    denied(other.ctl("get", "/3303/0/5700"), f"user={other.uid}")
    assert ctl("get", "/26241/0/0") == "/26241/0/0=hello"


@needs_users
def test_by_group(ruled, bus, sockets, other):
    group = next(g for g in os.getgrouplist("daemon", pwd.getpwnam("daemon").pw_gid))
    ruled(f"[g]\ngroup={group}\npaths=/\nallow=all\n")
    assert allowed(other.ctl("get", "/26241/0/0")) == "/26241/0/0=hello"
    denied(As("nobody", bus, sockets).ctl("get", "/26241/0/0"))


@needs_users
def test_administrators(ruled, nobody, other, ctl):
    ruled("[boss]\nuser=nobody\nallow=admin\n[all]\nuser=daemon\npaths=/\nallow=all\n")
    allowed(nobody.ctl("pause"))
    allowed(nobody.ctl("resume"))
    allowed(nobody.call("Manager", "Reload"))
    denied(nobody.ctl("get", "/26241/0/0"))
    denied(other.ctl("pause"), "Manager.Pause", "allow=admin", f"user {other.uid}")
    denied(other.call("Model", "Undefine", "qsa{sv}", "26241", "1.0", "0"))
    denied(other.ctl("update"))
    denied(other.ctl("set", "/1/0/1=60"))
    allowed(other.ctl("status"))
    allowed(other.ctl("sync"))
    assert ctl("status")


@needs_users
def test_read_again(ruled, nobody, make_client, client):
    daemon = ruled(SENSORD)
    allowed(nobody.ctl("get", "/3303/0/5700"))
    write_rules(daemon, SENSORD.replace("/3303;", ""))
    client.call("Manager", "Reload")
    denied(nobody.ctl("get", "/3303/0/5700"))
    # a mistake leaves the rules as they are
    write_rules(daemon, SENSORD.replace("allow=get", "allow=got"))
    with pytest.raises(DBusError, match=r"test.conf:4: \[sensord\] allow: 'got' is not get"):
        client.call("Manager", "Reload")
    allowed(nobody.ctl("get", "/26241/0/1"))
    daemon.stop()
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1 and "test.conf:4" in daemon.log


@needs_users
def test_claim_is_taken_back(ruled, nobody, client):
    daemon = ruled(SENSORD)
    handler = subprocess.Popen([str(nobody.program), f"--bus={nobody.bus.address}", "handle", "/26241/0/1", "--", "true"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", **nobody.who)
    try:
        end = time.monotonic() + 10
        while not client.call("Claims", "List"):
            assert time.monotonic() < end
            time.sleep(0.02)
        write_rules(daemon, SENSORD.replace("claim,", ""))
        client.call("Manager", "Reload")
        assert not client.call("Claims", "List")
    finally:
        handler.terminate()
        handler.communicate(timeout=10)


@needs_users
def test_providers_of_credentials(ruled, nobody, other):
    ruled("[keys]\nuser=nobody\nallow=credentials\n[all]\nuser=daemon\npaths=/\nallow=all\n")
    arguments = ("Claims", "ProvideCredentials", "qoa{sv}", "9", "/keys", "0")
    denied(other.call(*arguments))
    allowed(nobody.call(*arguments))
    denied(nobody.ctl("pause"))


@needs_users
def test_reserved_paths(ruled, nobody, other, make_client):
    ruled("[com.example.Sensors1]\npaths=/3303/0\n", folder="apps.d")
    denied(nobody.call("Claims", "Claim", "asoa{sv}", "1", "/3303/0", "/x", "0"))
    denied(nobody.call("Claims", "Claim", "asoa{sv}", "1", "/3303", "/x", "0"))  # it would take a part of it
    denied(nobody.ctl("handle", "/3303/0/5605", "--", "true"), "reserved for", "com.example.Sensors1")
    allowed(nobody.call("Claims", "Claim", "asoa{sv}", "1", "/26241/0", "/x", "0"))
    # root, who may do everything else, too: the name counts
    client = make_client()
    with pytest.raises(DBusError, match="com.example.Sensors1"):
        client.call("Claims", "Claim", "asoa{sv}", ["/3303/0"], "/x", {})
    assert client.call("org.freedesktop.DBus", "RequestName", "su", "com.example.Sensors1", 0,
                       name="org.freedesktop.DBus", path="/org/freedesktop/DBus") == 1
    assert client.call("Claims", "Claim", "asoa{sv}", ["/3303/0"], "/x", {})


APP = """
import asyncio, os, sys
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

async def main(address, log):
    bus = await MessageBus(bus_address=address).connect()
    def on_message(m):
        if m.message_type != MessageType.METHOD_CALL or m.path != "/com/example/fota":
            return None
        with open(log, "a") as f:
            f.write(f"{m.member} {m.body[0]}\\n")
        if m.member == "Prepare":
            with open(log, "a") as f:
                f.write("".join(f"  {op[0]} {op[1]} {op[2].value}\\n" for op in m.body[1]) +
                        f"  final {m.body[2]['final'].value} server {m.body[2]['server'].value}\\n")
            if any(op[2].value == "silence" for op in m.body[1]):
                return True  # and no answer
            if any(op[2].value == "bad" for op in m.body[1]):
                return Message.new_error(m, "org.lwm2md.Client1.Error.InvalidValue", "bad, says the app")
        if m.member != "Read":
            return Message.new_method_return(m)
        values = [[p, Variant("s", "started"), 0] for p in m.body[0]]
        return Message.new_method_return(m, "a(svx)", [values])
    bus.add_message_handler(on_message)
    await bus.request_name("com.example.Fota1")
    # what it sets itself it is not asked about, though it has claimed nothing
    answer = await bus.call(Message(destination="org.lwm2md.Client1", path="/org/lwm2md/Client1",
        interface="org.lwm2md.Client1.Data", member="Set", signature="sva{sv}",
        body=["/26241/0/9", Variant("s", "</own>"), {}]))
    with open(log, "a") as f:
        f.write(f"own {answer.message_type.name}\\n")
    await bus.wait_for_disconnect()

with open(sys.argv[2], "a") as f:
    f.write("start\\n")
asyncio.run(main(*sys.argv[1:]))
"""
STARTED = """[com.example.Fota1]
paths=/26241/0
activate=yes
handler=/com/example/fota
handles=execute,read
timeout=20s
"""


@needs_users
def test_application_is_started(ruled, bus, server, tmp_path, make_client, ctl):
    log = service(bus, tmp_path)
    ruled(STARTED, folder="apps.d")
    assert not log.exists()
    assert server.execute("/26241/0/22", wait=60).code == "2.04"
    assert log.read_text().startswith("start\n") and "Execute /26241/0/22\n" in log.read_text()
    assert server.read("/26241/0/0", accept="text").text == "started"
    assert "com.example.Fota1" in ctl("ls", "-l", "/26241/0/0")
    # whoever owns the name may claim the paths, and is asked then
    assert server.write("/26241/0/1", "7").code == "2.04"
    # the name belongs to the one that was started
    with pytest.raises(DBusError, match="com.example.Fota1"):
        make_client().call("Claims", "Claim", "asoa{sv}", ["/26241/0"], "/x", {})


def wait_log(log, text):
    end = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


def service(bus, tmp_path):
    """The file to which the application writes what it is asked; the bus can start it."""
    script, log = tmp_path / "app.py", tmp_path / "app.log"
    script.write_text(APP)
    bus.stop()
    (bus.services / "com.example.Fota1.service").write_text(
        f"[D-BUS Service]\nName=com.example.Fota1\nExec={sys.executable} {script} {bus.address} {log}\n")
    bus.start()
    return log


@needs_users
def test_application_is_started_by_a_write(ruled, bus, server, tmp_path, ctl):
    """Without handles= it is started for all that must not succeed with nobody told."""
    log = service(bus, tmp_path)
    ruled(STARTED.replace("handles=execute,read\n", "").replace("timeout=20s", "timeout=15s"), folder="apps.d")
    assert server.read("/26241/0/1", accept="text").text == "-5" and not log.exists()
    assert server.write("/26241/0/1", "7", wait=60).code == "2.04"
    wait_log(log, "own ")
    text = log.read_text()
    assert text.startswith("start\n") and "  set /26241/0/1 7\n  final True server 101\n" in text
    assert "own METHOD_RETURN" in text and "</own>" not in text, text
    assert ctl("get", "/26241/0/1", "/26241/0/9") == "/26241/0/1=7\n/26241/0/9=</own>"
    refused = server.write("/26241/0/0", "bad")
    assert refused.code == "4.00" and "bad, says the app" in refused.text
    # on the bus as well
    ctl("set", "/26241/0/1=8")
    assert "  set /26241/0/1 8\n  final True server 0\n" in log.read_text()
    assert ctl.run("set", "/26241/0/0=bad").returncode != 0
    assert ctl("get", "/26241/0/0") == "/26241/0/0=hello"


@needs_users
def test_application_is_started_by_a_create(ruled, bus, server, tmp_path):
    log = service(bus, tmp_path)
    ruled(STARTED.replace("paths=/26241/0", "paths=/26241").replace("execute,read", "create"), folder="apps.d")
    body = [{"bn": "/26241/5/", "n": "0", "vs": "new"}, {"n": "2", "v": 1}]
    assert server.write("/26241/0/1", "7").code == "2.04" and not log.exists()
    assert server.create("/26241", payload=json.dumps(body), format="senml-json", wait=60).code == "2.01"
    assert "  create /26241/5 True\n" in log.read_text()
    assert server.delete("/26241/5").code == "2.02"
    assert "  delete /26241/5 True\n" in log.read_text()


@needs_users
def test_started_application_is_silent(ruled, bus, server, tmp_path, ctl):
    service(bus, tmp_path)
    ruled(STARTED.replace("handles=execute,read\n", "").replace("timeout=20s", "timeout=5s"), folder="apps.d")
    late = server.write("/26241/0/0", "silence", wait=60)
    assert late.code == "5.03" and "did not answer in 5 s" in late.text
    assert server.read("/26241/0/0", accept="text").text == "hello"


@needs_users
@pytest.mark.parametrize("kind", ["execute", "read", "write", "create"])
def test_application_cannot_be_started(ruled, server, kind):
    ruled(STARTED.replace("execute,read", kind).replace("/26241/0", "/26241"), folder="apps.d")
    body = [{"bn": "/26241/5/", "n": "0", "vs": "new"}, {"n": "2", "v": 1}]
    answer = {"execute": lambda: server.execute("/26241/0/22", wait=60),
              "read": lambda: server.read("/26241/0/0", wait=60),
              "write": lambda: server.write("/26241/0/1", "7", wait=60),
              "create": lambda: server.create("/26241", payload=json.dumps(body), format="senml-json", wait=60)}[kind]()
    assert answer.code == "5.03", answer
    assert server.discover("/26241/5").code == "4.04"
    assert "-5" in server.request("GET", "/26241/0/1", accept=0).text or kind == "read"


# --- quotas ---

def test_values_in_a_second(make_daemon, server, client):
    make_daemon({"main": server.uri}, values=KIT_VALUES, Limits={"ValuesPerUser": 10})
    values = [["/26241/0/1", Variant("x", n)] for n in range(10)]
    # a second may end between two calls, but not in each of ten pairs
    refused = 0
    for _ in range(10):
        client.call("Data", "SetMany", "a(sv)a{sv}", values[:10], {}) if not refused else None
        try:
            client.set("/26241/0/1", "x", 5)
        except DBusError as error:
            assert "ValuesPerUser" in str(error), error
            refused += 1
            break
    assert refused
    with pytest.raises(DBusError, match="ValuesPerUser"):
        client.call("Data", "SetMany", "a(sv)a{sv}", values + values[:1], {})


@needs_users
def test_bytes_of_caches(ruled, nobody, other, client):
    """Full for one user, not for another. Whose a cache is, is who made it."""
    ruled("[all]\nuser=nobody,daemon\npaths=/\nallow=all\n", Limits={"CacheBytes": "1M", "CacheBytesPerUser": 4096})
    for path in ("/3303/0/5700", "/26241/0/1"):
        allowed(nobody.call("Data", "Configure", "sa{sv}", path, "1", "cache", "u", "10000"))
    def series(who, path, n):
        return int(allowed(who.call("Data", "PushSeries", "svxxa{sv}", path, "ad" if "5700" in path else "ax", str(n),
                                    *["1"] * n, str((time.time_ns() // 10**9 - 10 * n) * 10**9), "1000000000", "0")).split()[1])
    assert series(nobody, "/3303/0/5700", 250) == 0
    assert series(nobody, "/3303/0/5700", 100) == 94  # 256 of 16 bytes
    assert series(nobody, "/26241/0/1", 1) == 1
    allowed(nobody.ctl("set", "/26241/0/1=5"))  # the value is set all the same
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == 5
    assert series(other, "/26241/0/1", 200) == 0
    assert series(other, "/3303/0/5700", 10) == 10
    assert client.get("Manager", "Stats")["cache-bytes"] < 3 * 4096


def test_waiting_calls(make_daemon, server, client, make_client):
    make_daemon({"main": server.uri}, values=KIT_VALUES, Limits={"CallsPerUser": 3})
    server.wait_registered()
    app = make_client()
    app.handle("/app")
    app.call("Claims", "Claim", "asoa{sv}", ["/26241/0"], "/app",
             {k: Variant("b", True) for k in ("read", "execute", "write")})
    waiting = [client.start("Data", "Get", "sa{sv}", "/26241/0/1", {}),
               client.start("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {}),
               client.start("Data", "Set", "sva{sv}", "/26241/0/1", Variant("x", 1), {})]
    calls = [app.wait_call(member) for member in ("Read", "Execute", "Prepare")]
    for method, signature, *args in (("Get", "sa{sv}", "/26241/0/1", {}),
                                     ("Execute", "ssa{sv}", "/26241/0/22", "", {}),
                                     ("Set", "sva{sv}", "/26241/0/1", Variant("x", 1), {}),
                                     ("Send", "asa{sv}", ["/3303/0"], {})):
        with pytest.raises(DBusError, match="CallsPerUser"):
            client.call("Data", method, signature, *args)
    calls[0].reply("a(svx)", [["/26241/0/1", Variant("x", 1), 0]])
    calls[1].reply()
    calls[2].reply()
    assert all(w.result(10).message_type.name == "METHOD_RETURN" for w in waiting)
    app.handle("/app", lambda call: call.reply())
    client.call("Data", "Execute", "ssa{sv}", "/26241/0/22", "", {})


def test_claims_are_listed_in_order(make_daemon, server, client):
    make_daemon({"main": server.uri}, values=KIT_VALUES)
    for round_ in range(3):
        numbers = [client.call("Claims", "Claim", "asoa{sv}", [f"/3303/{n}"], "/x", {}) for n in range(20)]
        assert [c[0] for c in client.call("Claims", "List")] == numbers == sorted(numbers), round_
        for number in numbers:
            client.call("Claims", "Release", "u", number)
