# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and everything that can be wrong with how the daemon is started."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from daemon import SOURCE, Daemon, make_config
from testserver import binary

LWM2MD = binary("LWM2MD", "src/daemon/lwm2md")


def run(*args):
    return subprocess.run([LWM2MD, *map(str, args)], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, check=False)


def test_version_and_help():
    assert run("--version").stdout.startswith("lwm2md ")
    for option in ("--config=", "--state-dir=", "--runtime-dir=", "--bus=", "--instance=", "--log-level=", "--check-config"):
        assert option in run("--help").stdout


@pytest.mark.parametrize("args, said", [
    (["--nonsense"], "nonsense"), (["file"], "file"), (["--log-level=loud"], "loud"), (["--config"], "config"),
])
def test_usage(args, said):
    done = run(*args)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize("text, said", [
    ("[Client]\nLifetime=long\n", ["{file}:2:", "Lifetime", "'long'"]),
    ("[Cleint]\nLifetime=1\n", ["{file}:1:", "Cleint"]),
    ("[Client]\nLifetim=1\n", ["{file}:2:", "Lifetim"]),
    ("[Server a]\nUri=coap://h\n", ["{file}:1:", "ShortId"]),
    ("garbage", ["{file}"]),
])
def test_bad_configuration(tmp_path, text, said):
    file = tmp_path / "x.conf"
    file.write_text(text)
    for args in (["--check-config"], [f"--state-dir={tmp_path}/state", f"--runtime-dir={tmp_path}/run", "--bus=none"]):
        done = run(f"--config={file}", *args)
        assert done.returncode == 1
        for words in said:
            assert words.format(file=file) in done.stderr, done.stderr
    assert not (tmp_path / "state").exists()


def test_missing_configuration(tmp_path):
    done = run(f"--config={tmp_path}/none.conf", "--check-config")
    assert done.returncode == 1 and "none.conf" in done.stderr


@pytest.mark.parametrize("values, said", [
    ({"/26241/0/1": "x"}, "/26241/0/1: 'x' is not a Integer"),
    ({"/26241/0/2": "1000"}, "/26241/0/2"), ({"/26241/0/77": "1"}, "no such resource"),
    ({"/31999/0/1": "1"}, "no definition"), ({"/26241/0/10": "x"}, "resource instance"),
    ({"/26241/0/22": "x"}, "executable"), ({"/3/1/0": "x"}, "one instance"),
])
def test_bad_seeds(make_daemon, server, values, said):
    daemon = make_daemon({"main": server.uri}, values=values, start=False)
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    assert said in daemon.log and "lwm2md.conf:" in daemon.log


def test_seeds_of_an_account(make_daemon, server):
    """Values of object 1 belong to the account that the configuration makes, and stay with it."""
    daemon = make_daemon({"main": server.uri}, values={"/1/0/2": "3", "/1/0/6": "0"})
    server.wait_registered()
    assert server.read("/1/0/0", accept="text").text == "101"
    assert server.write("/1/0/2", "4").code == "2.04"
    daemon.kill()
    daemon.start()
    server.wait_event("updated")
    assert [server.read(f"/1/0/{n}", accept="text").text for n in (0, 2, 6)] == ["101", "4", "0"]
    assert server.read("/1/1").code == "4.04"


def test_refused_seeds_leave_no_account(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, values={"/1/0/2": "x"}, start=False)
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1 and "/1/0/2: 'x' is not a Integer" in daemon.log
    daemon.config.write_text(daemon.config.read_text().replace("/1/0/2=x", "/1/0/2=5"))
    daemon.start()
    server.wait_registered()
    assert server.read("/1/0/2", accept="text").text == "5"


@pytest.mark.parametrize("version, objects", [("auto", "1.1"), ("1.0", "1.0"), ("1.1", "1.1"), ("1.2", "1.2")])
def test_versions_of_core_objects(make_daemon, server, bus, version, objects):
    make_daemon({"main": server.uri}, client={"Version": version})
    assert "ver=" not in server.wait_registered().links  # the versions that belong to that of LwM2M
    links = server.discover("/3").text
    assert (f"</3>;ver={objects}" in links) == (objects != "1.0"), links


@pytest.mark.parametrize("uri", ["coaps://127.0.0.1:5684", "coaps+tcp://127.0.0.1", "coap+ws://127.0.0.1", "http://127.0.0.1", "coap://", "127.0.0.1",
                                 "coap://127.0.0.1:99999", "coap://127.0.0.1/x y"])
def test_bad_server_uri_is_told(make_daemon, uri):
    daemon = make_daemon({"main": uri}, start=False)
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    assert "[Server main]" in daemon.log


def test_bad_definition_is_told_and_the_rest_loads(make_daemon, server, tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "bad.xml").write_text("<LWM2M>\n<Object>\n</LWM2M>")
    daemon = make_daemon({"main": server.uri}, start=False)
    daemon.config.write_text(daemon.config.read_text().replace("[Objects]\nPath=", f"[Objects]\nPath={folder};"))
    daemon.start()
    server.wait_registered()
    assert f"{folder}/bad.xml:3:" in daemon.log


def test_check_config_reads_the_definitions(tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    (folder / "bad.xml").write_text("<LWM2M>\n<Object>\n<ObjectID>33000</ObjectID></LWM2M>")
    file = tmp_path / "x.conf"
    file.write_text(f"[Objects]\nPath={folder}\n")
    done = run(f"--config={file}", "--check-config")
    assert done.returncode == 1 and f"{folder}/bad.xml:3:" in done.stderr


def test_check_config_tries_values_and_addresses(tmp_path):
    file = tmp_path / "x.conf"
    lines = ["[Objects]", f"Path={SOURCE}/data/objects", "[Server a]", "Uri=coap://[::1:5683", "ShortId=1", "[Values]",
             "/3303/0/5700=warm", "/3303/0/5799=1", "/9999/0/0=1", "/3/0/11=0", "/3303/0/5701=Cel"]
    file.write_text("\n".join(lines))
    done = run(f"--config={file}", "--check-config")
    assert done.returncode == 1 and "OK" not in done.stdout
    for words in ("[Server a] Uri: 'coap://[::1:5683'", f"{file}:7: [Values] /3303/0/5700: 'warm' is not a Float",
                  f"{file}:8: ", f"{file}:9: ", f"{file}:10: "):
        assert words in done.stderr, done.stderr
    assert f"{file}:11:" not in done.stderr
    file.write_text("\n".join(lines[:3] + ["Uri=coap://[::1]:5683", "ShortId=1"] + lines[5:6] + lines[10:]))
    done = run(f"--config={file}", "--check-config")
    assert done.returncode == 0 and done.stdout == f"{file}: OK\n", done.stderr


def test_log_says_who_and_what_next(make_daemon, server, refusing_port, ctl):
    dead = f"coap://127.0.0.1:{refusing_port}"
    daemon = make_daemon({"main": server.uri, "dead": dead})
    server.wait_registered()
    ctl("wait", "registered", "--server=101", "--timeout=10")
    ctl("wait", "failed", "--server=102", "--timeout=10")
    assert f"server 101: registration-complete: {server.uri} as urn:test:1, location /rd/" in daemon.log
    assert re.search(f"warning: server 102: registration-failure: .* \\({dead}\\), next attempt in \\d+ s\n",
                     daemon.log), daemon.log


def test_definitions_folder_missing(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, start=False, Objects={"Path": "/nonexistent"})
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1 and "/nonexistent" in daemon.log


def test_bus_that_is_not_there_yet(sockets, tmp_path, bus, server, ctl):
    bus.stop()
    daemon = Daemon(tmp_path / "daemon", sockets, make_config("urn:test:1", {"main": server.uri}), bus)
    daemon.start(ready=False)
    server.wait_registered()  # the network does not wait for the bus
    bus.start()
    assert daemon.notify.wait("READY=1", daemon.process, 20)
    assert "registered" in ctl("status")
    daemon.stop()


def test_bad_bus_address(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, start=False)
    daemon.bus = type("Bus", (), {"address": "nonsense"})
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1 and "nonsense" in daemon.log


def test_second_instance(make_daemon, make_server, bus):
    one, two = make_server(), make_server()
    make_daemon({"main": one.uri}, endpoint="urn:test:1")
    other = make_daemon({"main": two.uri}, endpoint="urn:test:2", start=False)
    other.start("--instance=two")
    assert bus.busctl("get-property", "org.lwm2md.Client1.two", "/org/lwm2md/Client1", "org.lwm2md.Client1.Manager",
                      "Endpoint") == "urn:test:2"
    bad = make_daemon({"main": two.uri}, endpoint="urn:test:3", start=False)
    bad.start("--instance=a.b", ready=False)
    assert bad.wait_exit() == 1 and "a.b" in bad.log


def test_hangup_reloads(make_daemon, server, client):
    daemon = make_daemon({"main": server.uri}, values={"/3303/0/5700": "1"})
    server.wait_registered()
    daemon.config.write_text(daemon.config.read_text() + "\n/3303/7/5700=2\n/3303/0/5700=9\n")
    daemon.process.send_signal(signal.SIGHUP)
    server.wait_event("updated", lambda e: "</3303/7>" in (e.links or ""))
    assert client.call("Data", "Get", "sa{sv}", "/3303/0/5700", {}) == 1.0  # add-if-absent
    daemon.config.write_text("[Client]\nLifetime=bad\n")
    daemon.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while "Not reloaded" not in daemon.log:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.read("/3303/0/5700", accept="text").text == "1"


def test_watchdog_is_fed(sockets, tmp_path, server, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    daemon = Daemon(tmp_path / "daemon", sockets, make_config("urn:test:1", {"main": server.uri}))
    daemon.start()
    for _ in range(3):
        assert daemon.notify.wait("WATCHDOG=1", daemon.process, 5)
    daemon.stop()


def test_idle_means_idle(make_daemon, server):
    """No timer, no poll: a registered daemon with nothing to do does not run at all."""
    daemon = make_daemon({"main": server.uri}, values={"/3303/0/5700": "1"})
    server.wait_registered()
    time.sleep(2.5)  # what follows a registration

    def switches():
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    before = switches()
    time.sleep(10)
    assert switches() - before <= 1


def test_memory_does_not_grow_by_bad_datagrams(kit, server):
    """Broken CoAP towards the daemon: still there, still right, not larger."""
    import random
    chance = random.Random(7)
    used = set()  # a request with the message id of a broken one would rightly be met as its repetition

    def send(datagram):
        used.add(int.from_bytes(datagram[2:4], "big"))
        server.start("datagram", hex=datagram.hex())

    def read():
        mid = next(m for m in range(0x10000) if m not in used)
        used.add(mid)
        return server.read("/26241/0/1", accept="text", mid=mid).text

    for _ in range(200):
        send(chance.randbytes(chance.randint(0, 60)))
    assert read() == "-5"
    before = kit.rss
    for _ in range(3000):
        head = bytes([0x40 | chance.randint(0, 0x3f), chance.randint(0, 255), *chance.randbytes(2)])
        send(head + chance.randbytes(chance.randint(0, 60)))
    assert read() == "-5"
    assert kit.sanitized or kit.rss - before < 2 << 20


def test_port_of_a_stranger_is_not_heard(kit, server):
    """Only the server's address may talk to the daemon's socket."""
    with open(f"/proc/{kit.pid}/net/udp", encoding="ascii") as f:
        inodes = {os.readlink(f"/proc/{kit.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{kit.pid}/fd")}
        ports = [int(line.split()[1].split(":")[1], 16) for line in f.readlines()[1:]
                 if f"socket:[{line.split()[9]}]" in inodes]
    assert ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0.5)
        stranger.connect(("127.0.0.1", ports[0]))
        stranger.send(bytes([0x41, 1, 0x12, 0x34, 0x55]) + b"\xb1" + b"3")
        with pytest.raises(OSError):
            stranger.recv(2000)
