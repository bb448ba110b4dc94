# SPDX-License-Identifier: Apache-2.0
"""Readers that do not read, a bus that stops or dies, applications that are killed: the daemon's
memory stays bounded, and servers are answered."""
import os
import signal
import subprocess
import sys
import time

import pytest
from dbus_fast import Variant

from busclient import ROOT

GROWTH = 4 << 20

# An application that subscribes or claims, says so, and then does nothing or what it is told.
APP = """
import asyncio, os, sys, time
from dbus_fast import Message, Variant
from dbus_fast.aio import MessageBus
async def main():
    bus = await MessageBus(bus_address=sys.argv[1]).connect()
    def call(interface, member, signature, *body):
        return bus.call(Message("org.lwm2md.Client1", "/org/lwm2md/Client1",
                                "org.lwm2md.Client1." + interface, member, signature=signature,
                                body=list(body)))
    def on_message(m):
        if m.member in ("Execute", "Read", "Prepare"):
            print(m.member, flush=True)
            time.sleep(100)  # in the middle of it
    bus.add_message_handler(on_message)
    if sys.argv[2] == "subscribe":
        answer = await call("Data", "Subscribe", "asa{sv}", ["/"], {"local": Variant("b", True)})
    else:
        answer = await call("Claims", "Claim", "asoa{sv}", ["/26241/0"], "/app", {
            k: Variant("b", True) for k in ("execute", "write", "read")})
    print("ready" if answer.message_type.value == 2 else answer.body, flush=True)
    if sys.argv[2] == "subscribe":
        time.sleep(100)  # never reads again
    await asyncio.Future()
asyncio.run(main())
"""


@pytest.fixture(name="app")
def fixture_app(bus):
    apps = []

    def start(what):
        process = subprocess.Popen([sys.executable, "-c", APP, bus.address, what],
                                   stdout=subprocess.PIPE, text=True)
        apps.append(process)
        assert process.stdout.readline() == "ready\n"
        return process
    yield start
    for process in apps:
        process.kill()
        process.wait()
        process.stdout.close()


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def flood(server, n, path="/26241/0/1", prefix="", width=16):
    """`n` writes of a server without a pause, `width` at a time."""
    numbers = []
    for i in range(n):
        numbers.append(server.start("write", path, payload=f"{prefix} {i}".strip(), format="text"))
        if len(numbers) == width:
            assert server.finish(numbers.pop(0)).code == "2.04"
    for number in numbers:
        assert server.finish(number).code == "2.04"


def set_many(client, n, batch=500):
    """`n` sets in calls of `batch` values; the newest wins, each is a change."""
    for i in range(0, n, batch):
        client.call("Data", "SetMany", "a(sv)a{sv}",
                    [["/3303/0/5700", Variant("d", float(i + k))] for k in range(batch)], {})


def test_subscriber_that_does_not_read(kit, server, client, app):
    """100,000 changes for an application that is not reading."""
    app("subscribe")
    flood(server, 500)
    set_many(client, 5000)
    before = kit.rss
    set_many(client, 95000)
    flood(server, 5000)
    assert kit.sanitized or kit.rss - before < GROWTH
    assert server.read("/26241/0/1", accept="text").text == "4999"
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == 4999


def test_subscriber_that_stops_for_a_while(kit, client, bus, ctl):
    """The bus keeps what a subscriber does not read, on our account: not much is sent to it, and
    what is newest when it reads again."""
    watch = ctl.start("watch", "--initial", "/26241/0/0")
    try:
        assert watch.stdout.readline()  # it is subscribed
        client.call("Data", "Set", "sva{sv}", "/26241/0/0", Variant("s", "first"), {})
        before = rss(bus.process.pid)
        watch.send_signal(signal.SIGSTOP)
        for i in range(1500):
            client.call("Data", "Set", "sva{sv}", "/26241/0/0", Variant("s", "x" * 30000), {})
        client.call("Data", "Set", "sva{sv}", "/26241/0/0", Variant("s", "the last"), {})
        assert rss(bus.process.pid) - before < GROWTH
        watch.send_signal(signal.SIGCONT)
        while "the last" not in watch.stdout.readline():
            pass
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def test_bus_that_does_not_read(kit, server, client, bus):
    """Nobody takes what subscriptions get: it waits, coalesced, and the newest value comes."""
    for _ in range(32):
        client.call("Data", "Subscribe", "asa{sv}", ["/26241"], {})
    flood(server, 50, "/26241/0/0", "x" * 1000)
    client.call("Data", "Get", "sa{sv}", "/26241/0/0", {})
    before = kit.rss
    os.kill(bus.process.pid, signal.SIGSTOP)
    try:
        flood(server, 1500, "/26241/0/0", "x" * 1000, width=1)
        growth = kit.rss - before
    finally:
        os.kill(bus.process.pid, signal.SIGCONT)
    assert kit.sanitized or growth < GROWTH, f"{growth} bytes more"
    for _ in range(32):
        client.wait_signal("Changed", lambda b: any(v.endswith(" 1499") for _, v, _ in b[1]))


def test_events_for_a_bus_that_does_not_read(kit, server, client, bus):
    """Events, property changes and Touched signals are dropped, too; the state is told later."""
    for _ in range(32):
        client.call("Data", "Subscribe", "asa{sv}", ["/26241/0/0"], {})
    os.kill(bus.process.pid, signal.SIGSTOP)
    try:
        flood(server, 400, "/26241/0/0", "x" * 1000, width=1)  # the socket is full now
        before = kit.rss
        for _ in range(4000):
            server.cancel(token=server.observe("/26241/0/1").token)
        growth = kit.rss - before
    finally:
        os.kill(bus.process.pid, signal.SIGCONT)
    assert kit.sanitized or growth < GROWTH // 4, f"{growth} bytes more"
    assert client.get("Manager", "State") == "online"


def test_monitor_that_does_not_read(kit, server, client, make_client):
    from dbus_fast import Message
    bus = client.bus
    reply = client.run(bus.call(Message(
        "org.lwm2md.Client1", ROOT, "org.lwm2md.Client1.Manager", "Monitor", signature="asa{sv}",
        body=[["value"], {}])))
    fd = reply.unix_fds[0]
    flood(server, 2000)
    before = kit.rss
    flood(server, 10000)
    assert kit.sanitized or kit.rss - before < GROWTH
    text = b""
    os.set_blocking(fd, False)
    while True:
        try:
            text += os.read(fd, 1 << 16)
        except BlockingIOError:
            break
    flood(server, 1)
    os.set_blocking(fd, True)
    last = os.read(fd, 1 << 16)
    assert b'"lost":' in last, last
    os.close(fd)
    flood(server, 10)  # nor does a closed one disturb


@pytest.mark.parametrize("op", ["execute", "write", "read"])
def test_application_killed_in_its_handler(kit, server, app, op):
    """The server hears 5.03 at once, and a new application can take its place at once."""
    for _ in range(3):
        process = app("claim")
        fields = {"payload": "1", "format": "text"} if op == "write" else {}
        number = server.start(op, "/26241/0/22" if op == "execute" else "/26241/0/1",
                              timeout_ms=20000, **fields)
        assert process.stdout.readline().strip() in ("Execute", "Prepare", "Read")
        begin = time.monotonic()
        process.send_signal(signal.SIGKILL)
        answer = server.finish(number)
        assert answer.code == "5.03", answer
        assert time.monotonic() - begin < 2
    assert server.read("/26241/0/2", accept="text").code in ("2.05", "5.03")


def test_bus_killed_again_and_again(kit, server, bus, ctl, make_client):
    """SIGKILL for the bus while calls of both directions are under way; the registration stays."""
    for round in range(5):
        client = make_client()
        client.handle("/app")
        client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                    {"execute": Variant("b", True)})
        client.call("Data", "Subscribe", "asa{sv}", ["/26241"], {})
        number = server.start("execute", "/26241/0/22", timeout_ms=20000)
        client.wait_call("Execute")
        pending = [client.start("Data", "Get", "sa{sv}", "/26241/0/1", {}) for _ in range(20)]
        bus.process.kill()
        bus.process.wait()
        bus.process.stdout.close()
        assert server.finish(number).code == "5.03"
        assert server.write("/26241/0/1", payload=round, format="text").code == "2.04"
        assert pending
        bus.start()
        end = time.monotonic() + 20
        while ctl.run("status").returncode != 0:
            assert time.monotonic() < end, kit.log
            time.sleep(0.1)
    assert not server.take_events("deregistered")
    assert not server.take_events("registered")
