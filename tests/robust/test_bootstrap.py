# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of a bootstrap: afterwards the device has the former accounts or the
new ones, whole, and everything that came with them; and a bootstrap server that means harm.

LWM2MD_KILLS is the number of kills of the tests of the state (200); this takes a fifth of it."""
import os
import random
import threading
import time

import pytest

import formats as fm

KILLS = max(int(os.environ.get("LWM2MD_KILLS", "200")) // 5, 3)
EP = "urn:test:1"


def account(uri, ssid, generation):
    """Two accounts' worth of changes: every part says which generation it is of."""
    return {
        "/0": {"/0/7/0": uri, "/0/7/1": False, "/0/7/2": 3, "/0/7/3": b"", "/0/7/4": b"",
               "/0/7/5": b"", "/0/7/10": ssid},
        "/1": {"/1/7/0": ssid, "/1/7/1": 1000 + generation, "/1/7/6": True, "/1/7/7": "U"},
        "/26241": {f"/26241/{i}/1": generation for i in range(5)},
        "/3303": {f"/3303/{generation % 7}/5701": f"g{generation}"},
    }


def bootstrap(bs, uri, ssid, generation):
    """The whole session; what it was answered, as far as it came."""
    answers = [bs.start("delete", path, timeout_ms=600, retransmit=False)
               for path in ("/0", "/1", "/26241", "/3303")]
    for path, values in account(uri, ssid, generation).items():
        answers.append(bs.start("write", path, hex=fm.senml_encode(values).hex(),
                                format="senml-json", timeout_ms=600, retransmit=False))
    for number in answers:
        if not bs.finish(number)["ok"]:
            return None
    return bs.finish(bs.start("finish", timeout_ms=600, retransmit=False)).code


def state(client, ctl):
    """(short id, uri, lifetime, generation of the values): one of two, never a mixture."""
    servers = [s for s in ctl.json("server", "list") if s["Name"] != "bootstrap"]
    assert len(servers) == 1, servers
    instances = sorted(p for p, _ in client.call("Data", "List", "sa{sv}", "/26241",
                                                 {}) if p.count("/") == 2)
    values = {client.call("Data", "Get", "sa{sv}", f"{p}/1", {}) for p in instances}
    temperatures = [p for p, _ in client.call("Data", "List", "sa{sv}", "/3303", {})
                    if p.count("/") == 2]
    assert len(values) <= 1 and len(temperatures) <= 1, (values, temperatures)
    generation = values.pop() if values else 0
    if generation:
        assert len(instances) == 5
        assert temperatures == [f"/3303/{generation % 7}"]
        assert client.call("Data", "Get", "sa{sv}", f"{temperatures[0]}/5701", {}) == \
            f"g{generation}"
    return servers[0]["ShortId"], servers[0]["Uri"], servers[0]["Lifetime"], generation


def test_kill_at_random_moments(make_daemon, make_server, client, ctl):
    seed = int(os.environ.get("LWM2MD_SEED", random.randrange(1 << 30)))
    print(f"LWM2MD_SEED={seed}")
    chance = random.Random(seed)
    bs, servers = make_server(), [make_server(), make_server()]
    daemon = make_daemon({"first": {"Uri": servers[0].uri, "ShortId": 10, "Lifetime": 1000},
                          "boot": {"Uri": bs.uri, "Bootstrap": "true", "ShortId": None,
                                   "Lifetime": None}})
    servers[0].wait_registered(EP)
    known = (10, servers[0].uri, 1000, 0)
    outcomes = {"former": 0, "new": 0}
    spread = 0.02
    for generation in range(1, KILLS + 1):
        server, ssid = servers[generation % 2], 10 + generation % 2
        wanted = (ssid, server.uri, 1000 + generation, generation)
        client.call("Manager", "Bootstrap", "a{sv}", {})
        bs.wait_event("bootstrap")
        moment = chance.uniform(0, spread)
        begun = time.monotonic()
        number = bs.start("discover", "/", timeout_ms=600, retransmit=False)
        killer = threading.Timer(moment, daemon.process.kill)
        killer.start()
        bs.finish(number)
        code = bootstrap(bs, server.uri, ssid, generation)
        killer.join()
        spread = max(0.005, min(0.2, (time.monotonic() - begun) * 1.2 if code else spread * 1.1))
        daemon.process.wait()
        daemon.notify.close()
        daemon.start()
        found = state(client, ctl)
        assert found in (known, wanted), (generation, code, found, known, wanted)
        if code == "2.04":
            assert found == wanted, "it was acknowledged"
        outcomes["new" if found == wanted else "former"] += 1
        known = found
        for s in (bs, *servers):
            s.take_events()
    print(outcomes)
    assert KILLS < 20 or (outcomes["former"] and outcomes["new"]), outcomes


@pytest.fixture(name="session")
def fixture_session(make_daemon, make_server):
    """A bootstrap server in a session with a daemon that has one account."""
    bs, server = make_server(), make_server()
    daemon = make_daemon({"main": server.uri, "boot": {"Uri": bs.uri, "Bootstrap": "true",
                                                       "ShortId": None, "Lifetime": None}})
    server.wait_registered(EP)
    assert server.execute("/1/0/9").code == "2.04"
    bs.wait_event("bootstrap")
    return daemon, bs, server


def test_hostile_bootstrap_server(session):
    """Whatever comes, nothing changes, memory stays bounded, and the other server is served."""
    daemon, bs, server = session
    chance = random.Random(7)
    before = daemon.rss
    big = "x" * 200_000
    for i in range(60):
        values = {f"/26241/{chance.randrange(65000)}/{chance.randrange(12)}": i for _ in range(50)}
        bs.call("write", "/26241", hex=fm.senml_encode(values).hex(), format="senml-json")
        bs.call("write", f"/26241/{i}/0", payload=big, format="text")
        bs.call("request", f"/{chance.randrange(70000)}/{i}", method=chance.choice(
            ["GET", "PUT", "POST", "DELETE", "FETCH", "iPATCH"]),
            hex=chance.randbytes(chance.randrange(60)).hex(),
            format=chance.choice([0, 42, 60, 110, 112, 11542, 11544]))
    bs.call("discover", "/")
    assert bs.call("write", "/1/0", hex=fm.senml_encode({"/1/0/0": 77}).hex(),
                   format="senml-json").code == "2.04"
    assert bs.call("finish").code == "4.06"
    assert daemon.sanitized or daemon.rss - before < 24 << 20
    assert server.read("/1/0/0", accept="text").text == "101"
    assert server.read("/1/0/1", accept="text").text == "300"
