# SPDX-License-Identifier: Apache-2.0
"""Three datagrams in ten are lost, and others come twice, late or broken: it takes longer, and
everything ends right."""
import pytest
from dbus_fast import Variant

from testserver import fill, sha256

BAD = {"drop": 0.3, "dup": 0.1, "reorder": 0.2, "corrupt": 0}
SEEDS = (1, 2)


@pytest.fixture(name="lossy", params=SEEDS)
def fixture_lossy(request, make_daemon, make_proxy, server):
    """(daemon, proxy): registered before the trouble begins."""
    proxy = make_proxy(f"127.0.0.1:{server.port}", seed=request.param)
    server.set(ack_timeout_ms=30, max_retransmit=12)
    daemon = make_daemon({"main": proxy.uri}, values={f"/26241/{i}/5": "hex:00" for i in range(3)} |
                         {"/26241/0/1": "0"}, Limits={"SeparateAfter": "200ms"})
    server.wait_registered()
    yield daemon, proxy
    proxy.change(drop=0, dup=0, reorder=0, corrupt=0)


def finish(server, number):
    """Patient: an answer may have to be asked for many times."""
    answer = server.finish(number, timeout=60)
    assert answer["ok"], answer
    return answer


def test_blocks_both_ways(lossy, server):
    """Uploads and downloads of several blocks, side by side."""
    _, proxy = lossy
    proxy.change(**BAD)
    numbers = [server.start("write", f"/26241/{i}/5", fill=6000 + i, block=1024, format="opaque",
                            timeout_ms=50000) for i in range(3)]
    assert [finish(server, n).code for n in numbers] == ["2.04"] * 3
    numbers = [server.start("read", f"/26241/{i}/5", accept="opaque", timeout_ms=50000)
               for i in range(3)]
    for i, number in enumerate(numbers):
        assert finish(server, number).sha256 == sha256(fill(6000 + i))


def test_executes_run_once(lossy, server, client):
    _, proxy = lossy
    ran = []
    client.handle("/app", lambda call: (ran.append(call.args[1][0][1]), call.reply()))
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})
    proxy.change(**BAD)
    numbers = [server.start("execute", "/26241/0/22", args=f"0='{i}'", timeout_ms=50000)
               for i in range(12)]
    assert [finish(server, n).code for n in numbers] == ["2.04"] * 12
    assert sorted(ran, key=int) == [str(i) for i in range(12)]


def test_the_last_notification_arrives(lossy, server, client):
    """Notifications may be lost on the way, the last value not."""
    _, proxy = lossy
    token = server.observe("/26241/0/1").token
    large = server.observe("/26241/0/5", accept="opaque").token
    proxy.change(**BAD)
    for i in range(1, 20):
        client.set("/26241/0/1", "x", i)
    client.set("/26241/0/5", "ay", fill(3000))
    server.wait_notify(token, timeout=60, predicate=lambda e: e.text and e.text.endswith("19"))
    server.wait_notify(large, timeout=60, predicate=lambda e: e.sha256 == sha256(fill(3000)))


def test_registration_goes_through(make_daemon, make_proxy, server):
    """From the first datagram on: Register, Update and De-register."""
    proxy = make_proxy(f"127.0.0.1:{server.port}", seed=5, **BAD)
    daemon = make_daemon({"main": proxy.uri}, client={"DeregisterTimeout": 60, "UpdateInterval": 0})
    server.wait_registered(timeout=60)
    proxy.change(drop=0)
    server.call("write", "/1/0/1", payload="777", format="text")
    server.wait_event("updated", lambda e: e.params.get("lt") == "777", timeout=60)
    assert daemon.pid


@pytest.mark.parametrize("seed", SEEDS)
def test_broken_bits(make_daemon, make_proxy, server, client, seed):
    """One bit of three datagrams in ten is wrong, in both directions. A bit of a value cannot be
    told from the value meant, but the daemon goes on and has all its instances."""
    proxy = make_proxy(f"127.0.0.1:{server.port}", seed=seed)
    server.set(ack_timeout_ms=200, max_retransmit=4)
    daemon = make_daemon({"main": proxy.uri}, values={"/26241/0/1": "0", "/26241/0/5": "hex:00"})
    server.wait_registered()
    proxy.change(corrupt=0.3)
    numbers = []
    for i in range(150):
        numbers.append(server.start("write", "/26241/0/1", payload=str(i), format="text",
                                    timeout_ms=3000))
        numbers.append(server.start("read", "/26241/0", timeout_ms=3000))
    numbers.append(server.start("write", "/26241/0/5", fill=5000, block=256, format="opaque",
                                timeout_ms=3000))
    for number in numbers:
        server.finish(number, timeout=60)
    proxy.change(corrupt=0)
    client.call("Data", "Get", "sa{sv}", "/26241/0/1", {})
    assert server.write("/26241/0/1", payload="4711", format="text").code == "2.04"
    assert client.call("Data", "Get", "sa{sv}", "/26241/0/1", {}) == 4711
    assert server.call("write", "/26241/0/5", fill=5000, format="opaque").code == "2.04"
    assert server.read("/26241/0/5", accept="opaque").sha256 == sha256(fill(5000))
    assert daemon.process.poll() is None
