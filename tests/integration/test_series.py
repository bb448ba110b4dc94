# SPDX-License-Identifier: Apache-2.0
"""Time series: samples over the bus into caches, and out of them by Read and Notify."""
import time

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm

PATH = "/3303/0/5700"
NS = 10**9


def configure(client, path=PATH, **options):
    client.call("Data", "Configure", "sa{sv}", path, options)


def push(client, samples, **options):
    """[(value, ns)] of PATH; how many were dropped."""
    return client.call("Data", "Push", "a(svx)a{sv}",
                       [[PATH, Variant("d", v), t] for v, t in samples], options)


def cached(client, path=PATH):
    """[(ns, value)] of what is in the cache."""
    return [(t, v) for _, v, t in client.call("Data", "GetMany", "asa{sv}", [path],
                                              {"samples": Variant("b", True)}) if t]


def wait_cached(client, n, path=PATH, timeout=20):
    end = time.monotonic() + timeout
    while len(cached(client, path)) != n:
        assert time.monotonic() < end, f"{len(cached(client, path))} samples, not {n}"
        time.sleep(0.02)


@pytest.fixture(name="thermometer")
def fixture_thermometer(daemon, client):
    configure(client, cache=Variant("u", 100))
    return daemon


def test_set_is_a_sample(thermometer, server, client):
    before = time.time_ns()
    for value in (1.0, 2.0, 2.0):
        client.set(PATH, "d", value)
    client.set(PATH, "d", 3.0, time=Variant("x", before - NS))
    samples = fm.senml_series(server.read(PATH, accept="senml-json").body)
    assert [v for _, _, v in samples] == [3.0, 1.0, 2.0, 2.0]
    times = [t for _, t, _ in samples]
    assert abs(times[0] - (before / NS - 1)) < 1e-6
    assert all(before / NS - 1e-6 <= t <= time.time() + 1e-6 for t in times[1:])
    assert times == sorted(times)
    # The same in CBOR; what has no time has the latest value.
    assert fm.senml_series(server.read(PATH, accept="senml-cbor").body, fm.SENML_CBOR) == samples
    assert server.read(PATH, accept="text").text == "2"
    assert len(fm.senml_series(server.read("/3303", accept="senml-json").body)) == 4
    assert [v for _, v in cached(client)] == [3.0, 1.0, 2.0, 2.0]


def test_read_latest(thermometer, server, client):
    configure(client, cache_read=Variant("s", "latest"))
    for value in (1.0, 2.0):
        client.set(PATH, "d", value)
    assert fm.senml_series(server.read(PATH, accept="senml-json").body) == [(PATH, None, 2.0)]
    configure(client, cache_read=Variant("s", "all"))
    assert len(fm.senml_series(server.read(PATH, accept="senml-json").body)) == 2


def test_push_and_notify(thermometer, server, client):
    token = server.observe(PATH, accept="senml-cbor").token
    now = time.time_ns()
    assert push(client, [(1.0, now - 3 * NS), (3.0, now - NS), (2.0, now - 2 * NS)]) == 0
    assert client.call("Data", "Get", "sa{sv}", PATH, {}) == 3.0
    event = server.wait_notify(token, timeout=20)
    assert event.type == "con"
    assert [v for _, _, v in fm.senml_series(event.body, fm.SENML_CBOR)] == [1.0, 2.0, 3.0]
    wait_cached(client, 0)
    # Late, but told; and the value stays.
    assert push(client, [(9.0, now - 10 * NS)]) == 0
    event = server.wait_notify(token, timeout=20)
    (_, t, v), = fm.senml_series(event.body, fm.SENML_CBOR)
    assert v == 9.0 and abs(t - (now / NS - 10)) < 1e-6
    assert client.call("Data", "Get", "sa{sv}", PATH, {}) == 3.0
    wait_cached(client, 0)


def test_push_series(thermometer, server, client):
    def series(values, start, step, signature="ad"):
        return client.call("Data", "PushSeries", "svxxa{sv}", PATH, Variant(signature, values), start,
                           step, {})
    now = time.time_ns()
    assert series([0.5, 1.5, 2.5], now - 10 * NS, NS // 1000) == 0
    assert [t - (now - 10 * NS) for t, _ in cached(client)] == [0, NS // 1000, 2 * NS // 1000]
    assert series([7, 8], 0, NS, "ai") == 0  # the last one is of now
    assert [v for _, v in cached(client)] == [0.5, 1.5, 2.5, 7.0, 8.0]
    assert abs(cached(client)[-1][0] - time.time_ns()) < 20 * NS
    assert series([1.0] * 150, now - 100 * NS, 1000) == 55  # more than there is room for
    for values, start, step, signature in (([1.0, 2.0], now, 0, "ad"), ([1.0, 2.0], now, -5, "ad"),
                                           ([1.0] * 3, now, 100 * NS, "ad"), ("text", now, 1, "s"),
                                           ([True, False], now - NS, 1, "ab"),
                                           ([1.0, 2.0], 2**63 - 2, 5, "ad")):
        with pytest.raises(DBusError) as e:
            series(values, start, step, signature)
        assert e.value.type.endswith(".InvalidValue") and PATH in e.value.text


def test_more_than_a_message(thermometer, server, client):
    configure(client, cache=Variant("u", 5000))
    token = server.observe(PATH, accept="senml-cbor").token
    now = time.time_ns()
    values = [float(i) for i in range(3000)]
    client.call("Data", "PushSeries", "svxxa{sv}", PATH, Variant("ad", values), now - 10 * NS,
                NS // 1000, {})
    got = []
    while len(got) < 3000:
        event = server.wait_notify(token, timeout=20)
        assert event.length <= 1024 and event.blocks in (None, 1)
        got += fm.senml_series(event.body, fm.SENML_CBOR)
    assert [v for _, _, v in got] == values
    assert [round((t - (now / NS - 10)) * 1000) for _, t, _ in got] == list(range(3000))
    wait_cached(client, 0)


def test_refusals(daemon, client):
    now = time.time_ns()

    def refused(name, text, method, signature, *args):
        with pytest.raises(DBusError) as e:
            client.call("Data", method, signature, *args)
        assert e.value.type.endswith("." + name) and text in e.value.text, e.value.text
    refused("NotAllowed", "no cache", "Push", "a(svx)a{sv}", [[PATH, Variant("d", 1), now]], {})
    for path, text in (("/3/0/0", "String"), ("/3303/0/5605", "executable"), ("/3303/0/1", "resource 1")):
        refused("InvalidValue", text, "Configure", "sa{sv}", path, {"cache": Variant("u", 5)})
    refused("InvalidValue", "at most 10000000", "Configure", "sa{sv}", PATH,
            {"cache": Variant("u", 10**8)})
    refused("InvalidOption", "oldest or newest", "Configure", "sa{sv}", PATH,
            {"cache": Variant("u", 5), "cache_full": Variant("s", "both")})
    refused("InvalidOption", "number of samples", "Configure", "sa{sv}", PATH,
            {"cache_full": Variant("s", "oldest")})
    configure(client, cache=Variant("u", 10))
    for t, text in ((now + 120 * NS, "future"), (now // NS, "before 2000"), (-1, "before 2000")):
        refused("InvalidValue", text, "Push", "a(svx)a{sv}", [[PATH, Variant("d", 1), t]], {})
        refused("InvalidValue", text, "Set", "sva{sv}", PATH, Variant("d", 1),
                {"time": Variant("x", t)})
    refused("InvalidValue", "Float expected", "Push", "a(svx)a{sv}",
            [[PATH, Variant("d", 1), 0], [PATH, Variant("s", "warm"), 0]], {})
    assert cached(client) == []  # all or nothing


def test_boot_times(thermometer, client):
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    assert push(client, [(1.0, boot - 5 * NS)], boottime=Variant("b", True)) == 0
    (t, _), = cached(client)
    assert abs(t - (wall - 5 * NS)) < NS


@pytest.mark.parametrize("rule, left", [("newest", [0, 1, 2]), ("oldest", [2, 3, 4])])
def test_full(daemon, client, ctl, rule, left):
    configure(client, cache=Variant("u", 3), cache_full=Variant("s", rule))
    now = time.time_ns()
    assert push(client, [(float(i), now + i) for i in range(5)]) == 2
    assert [v for _, v in cached(client)] == left
    (_, node), = client.call("Data", "List", "sa{sv}", PATH, {})
    assert (node["cached"], node["cache"], node["cache_full"], node["cache_dropped"]) == \
        (3, 3, rule, 2)
    assert "cache 3/3" in ctl("ls", "-l", PATH)
    stats = client.get("Manager", "Stats")
    assert stats["samples-dropped"] == 2 and stats["cache-bytes"] > 0


def test_owner_filters(thermometer, client, make_client):
    """The application that claimed the path has a word on each sample of others."""
    owner = make_client()

    def prepare(call):
        if any(op[2] > 50 for op in call.args[1]):
            call.fail("InvalidValue", "too hot")
        else:
            call.reply()
    owner.handle("/app", prepare)
    owner.call("Claims", "Claim", "asoa{sv}", ["/3303/0"], "/app", {"write": Variant("b", True)})
    assert push(client, [(20.0, 0), (21.0, 0)]) == 0
    with pytest.raises(DBusError) as e:
        push(client, [(22.0, 0), (99.0, 0)])
    assert "too hot" in e.value.text
    with pytest.raises(DBusError):
        client.call("Data", "PushSeries", "svxxa{sv}", PATH, Variant("ad", [23.0, 99.0]), 0, 1, {})
    assert [v for _, v in cached(client)] == [20.0, 21.0]


def test_reader_is_not_asked(thermometer, server, client, make_client):
    owner = make_client()
    owner.handle("/app", lambda call: call.fail("Failed", "asked"))
    owner.call("Claims", "Claim", "asoa{sv}", ["/3303/0"], "/app", {"read": Variant("b", True)})
    owner.set(PATH, "d", 5.0)
    (_, t, v), = fm.senml_series(server.read(PATH, accept="senml-json").body)
    assert v == 5.0 and t
    assert not owner.calls


def test_write_of_a_server(kit, server, client):
    configure(client, "/26241", cache=Variant("u", 10))
    for value in "123":
        assert server.write("/26241/0/2", value).code == "2.04"
    assert [v for _, v in cached(client, "/26241/0/2")] == [1, 2, 3]
    assert server.write("/26241/0/0", "text").code == "2.04"  # not cached


def test_two_servers(make_server, make_daemon, client):
    """Each gets each sample once; the slower one decides when it leaves."""
    first, second = make_server(), make_server()
    make_daemon({"one": first.uri, "two": second.uri}, values={PATH: "1"},
                Cache={"/3303": "100 oldest"})
    tokens = []
    for server in (first, second):
        server.wait_registered()
        tokens.append(server.observe(PATH, accept="senml-json").token)
    second.rule("notify", drop=True)
    for i in range(10):
        client.set(PATH, "d", float(i))
    got = []
    while len(got) < 10:
        got += fm.senml_series(first.wait_notify(tokens[0]).body)
    assert [v for _, _, v in got] == [float(i) for i in range(10)]
    assert len(cached(client)) == 10
    second.clear_rules()
    other = []
    while len(other) < 10:
        other += fm.senml_series(second.wait_notify(tokens[1], timeout=30).body)
    assert other == got
    wait_cached(client, 0)
    first.assert_quiet("notify", 0.3)


def test_ctl(thermometer, ctl, tmp_path):
    assert ctl("cache", PATH) == ""
    run = ctl.run("push", PATH, input="# a comment\n\n20.5\n1700000000.25 21\n"
                  "2023-11-14T22:13:21Z,21.5\nnow;22\n")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    lines = ctl("cache", PATH).splitlines()
    assert lines[:2] == ["1700000000.250000000 21", "1700000001.000000000 21.5"]
    assert [line.split()[1] for line in lines[2:]] == ["20.5", "22"]
    assert ctl("read", PATH) == "22"
    # What is printed can be pushed again.
    (tmp_path / "samples").write_text("\n".join(lines) + "\n")
    ctl("cache", "--full=oldest", PATH, 5)
    assert ctl.json("push", PATH, tmp_path / "samples") == {"pushed": 4, "dropped": 3}
    items = ctl.json("cache", "/3303")
    assert len(items) == 4 and items[0] == {"path": PATH, "value": 21, "time_ns": 1700000000250000000}
    bad = ctl.run("push", PATH, input="1\nyesterday 5\n3\n")
    assert bad.returncode == 2 and "line 2: 'yesterday' is not a time" in bad.stderr
    assert ctl.run("push", PATH, input="warm\n").returncode == 2
    assert ctl.run("cache", "--full=some", PATH, 5).returncode == 2
    assert ctl.run("cache", PATH, "many").returncode == 2
    assert ctl.run("cache", "/3/0/0", 5).returncode == 1
    ctl("cache", PATH, 0)
    assert ctl.run("push", PATH, input="1\n").returncode == 1


def test_ctl_push_of_a_pipe(thermometer, ctl, client):
    """Lines are pushed as they come."""
    process = ctl.start("push", PATH)
    for i in range(3):
        process.stdin.write(f"{i}\n")
        process.stdin.flush()
        wait_cached(client, i + 1)
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()
    process.stderr.close()


def wait_sample(server, token):
    """The samples of the next notification that has any: after a kill the value is told once more,
    without a time."""
    while True:
        samples = fm.senml_series(server.wait_notify(token, timeout=30).body)
        if samples[0][1]:
            return samples


def test_kept(make_daemon, server, client, ctl):
    """Samples, what was acknowledged of them, and the cache itself outlive kill -9."""
    daemon = make_daemon({"main": server.uri}, values={PATH: "21.5"},
                         client={"SettleTime": "500ms", "StopAction": "keep"})
    server.wait_registered()
    ctl("cache", "--persist", "--full=oldest", PATH, 50)
    token = server.observe(PATH, accept="senml-json").token
    client.call("Manager", "Sync")
    now = time.time_ns()
    assert push(client, [(1.0, now - 2 * NS), (2.0, now - NS)]) == 0
    assert len(wait_sample(server, token)) == 2
    wait_cached(client, 0)
    server.rule("notify", drop=True)
    assert push(client, [(3.0, now)]) == 0
    server.wait_event("dropped")
    daemon.kill()
    server.clear_rules()
    daemon.start()
    (_, t, v), = wait_sample(server, token)
    assert v == 3.0 and abs(t - now / NS) < 1e-6
    wait_cached(client, 0)
    client.set(PATH, "d", 4.0)
    assert [v for _, _, v in wait_sample(server, token)] == [4.0]
    wait_cached(client, 0)
    server.rule("notify", drop=True)
    client.set(PATH, "d", 5.0)
    daemon.stop()
    assert (daemon.state / "samples").stat().st_mode & 0o777 == 0o600
    server.clear_rules()
    daemon.start()
    assert [v for _, _, v in wait_sample(server, token)] == [5.0]
    assert client.call("Data", "List", "sa{sv}", PATH, {})[0][1]["cache_full"] == "oldest"
    assert client.call("Data", "Get", "sa{sv}", PATH, {}) == 5.0
    assert not server.take_events("registered")


def test_not_kept(daemon, client):
    """Without persist nothing goes to the disk."""
    configure(client, cache=Variant("u", 50))
    client.set(PATH, "d", 4.0)
    client.call("Manager", "Sync")
    assert not (daemon.state / "samples").exists()


def test_factory_reset(daemon, client):
    configure(client, cache=Variant("u", 50), persist=Variant("s", "always"))
    client.set(PATH, "d", 4.0)
    client.call("Manager", "FactoryReset", "a{sv}", {"keep_servers": Variant("b", True)})
    assert cached(client) == []
    assert "cache" not in client.call("Data", "List", "sa{sv}", PATH, {})[0][1]
    daemon.kill()
    daemon.start()
    assert cached(client) == []
