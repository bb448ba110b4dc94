# SPDX-License-Identifier: Apache-2.0
"""The tools themselves: lwm2m-testserver and lwm2m-lossproxy against a CoAP endpoint in Python."""
import time

import pytest

import formats as fm
import minicoap as mc
from daemon import Daemon, make_config
from testserver import fill, sha256


@pytest.fixture(name="mini")
def fixture_mini(server, make_mini):
    client = make_mini("127.0.0.1", server.port)
    client.register("mini", "</3/0>,</3303/0>")
    server.wait_registered("mini")
    return client


def test_registration_cycle(make_server, make_mini):
    server = make_server(location="rd/abc/{n}")
    client = make_mini("127.0.0.1", server.port)
    answer = client.register("ep one", "</3/0>,</3303/0>;ver=1.1", lifetime=60)
    assert answer.code == mc.code("2.01") and client.location == "/rd/abc/1"
    event = server.wait_registered("ep one")
    assert event.params == {"ep": "ep one", "lt": "60", "lwm2m": "1.1", "b": "U"}
    assert event.links == "</3/0>,</3303/0>;ver=1.1" and event.format == 40
    assert event.location == "/rd/abc/1" and event.version == "1.1"

    assert client.request(mc.POST, client.location, ["lt=90"]).code == mc.code("2.04")
    event = server.wait_event("updated")
    assert event.links is None and event.params == {"lt": "90"} and event.endpoint == "ep one"
    assert client.request(mc.DELETE, client.location).code == mc.code("2.02")
    assert server.wait_event("deregistered").location == client.location
    assert client.request(mc.POST, client.location).code == mc.code("4.04")
    assert server.wait_event("refused").code_sent == "4.04"


def test_registration_ipv6(make_server, make_mini):
    server = make_server(bind="[::1]:0")
    client = make_mini("::1", server.port)
    client.register("six")
    assert server.wait_registered("six").addr.startswith("[::1]:")
    client.values["/3/0/0"] = b"ACME"
    assert server.read("/3/0/0").text == "ACME"


def test_registration_in_blocks(server, make_mini):
    client = make_mini("127.0.0.1", server.port)
    links = ",".join(f"</3303/{i}>" for i in range(500)).encode()
    parts = [links[i:i + 512] for i in range(0, len(links), 512)]
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        answer = client.request(mc.POST, "/rd", ["ep=blocks", "lt=60", "lwm2m=1.1"], part,
                                [(mc.BLOCK1, mc.block(i, not last, 5))])
        assert answer.code == mc.code("2.01" if last else "2.31")
    assert server.wait_registered("blocks").links == links.decode()


def test_rules(server, make_mini):
    client = make_mini("127.0.0.1", server.port)
    server.rule("register", match={"lwm2m": "1.2"}, code="4.12")
    server.rule("register", match={"ep": "lost"}, drop=True, times=1)
    server.rule("register", match={"ep": "late"}, separate=True, delay_ms=30)
    assert client.register("a", version="1.2").code == mc.code("4.12")
    assert server.wait_event("refused", on="register").params["lwm2m"] == "1.2"
    assert client.register("a", version="1.1").code == mc.code("2.01")

    assert client.register("lost", timeout=0.2) is None
    server.wait_event("dropped")
    assert client.register("lost").code == mc.code("2.01")

    answer = client.register("late")
    assert answer.kind == mc.CON and answer.code == mc.code("2.01")
    client.send(mc.Message(mc.ACK, 0, answer.mid))
    assert server.wait_event("ack").mid == answer.mid

    server.clear_rules()
    server.rule("update", silent=True, times=1)
    assert client.request(mc.POST, client.location, copies=2, timeout=0.2) is None
    server.wait_event("ignored", on="update")
    server.wait_event("duplicate")
    assert client.request(mc.POST, client.location).code == mc.code("2.04")


def test_duplicate_register_is_one(server, make_mini):
    client = make_mini("127.0.0.1", server.port)
    assert client.request(mc.POST, "/rd", ["ep=twice"], copies=3).code == mc.code("2.01")
    server.wait_registered("twice")
    for _ in range(2):
        server.wait_event("duplicate")
    assert [p["ep"] for p in server.call("peers").peers] == ["twice"]


def test_send(server, mini):
    answer = mini.request(mc.POST, "/dp", payload=b"[]", options=[(mc.CONTENT_FORMAT, b"\x6e")])
    assert answer.code == mc.code("2.04")
    event = server.wait_event("send")
    assert (event.ep, event.format, event.text) == ("mini", 110, "[]")


def test_operations(server, mini):
    mini.values["/3/0/0"] = b"ACME"
    answer = server.read("/3/0/0")
    assert (answer.code, answer.text, answer.type) == ("2.05", "ACME", "ack")
    assert not answer.separate and answer.rtt_us > 0 and answer.etag == b"v1".hex()
    assert server.read("/9/9").code == "4.04"
    assert server.write("/3303/0/5700", "4.5").code == "2.04"
    assert mini.values["/3303/0/5700"] == b"4.5"
    mini.values["/3/0/4"] = b""
    assert server.execute("/3/0/4", "0='a',1").code == "2.04"
    assert mini.executed == [("/3/0/4", b"0='a',1")]
    assert server.delete("/3/0/0").code == "2.02" and "/3/0/0" not in mini.values


def test_request_options_reach_the_client(server, mini):
    seen = []
    mini.hook = lambda m: seen.append(m) or ("2.04", [], b"")
    server.write_attributes("/3303/0/5700", "pmin=1&pmax=5")
    server.call("read_composite", paths=["/3/0/0", "/1"], format="senml-cbor", accept=110)
    server.call("write_composite", payload="[]")
    server.write("/3/0", hex="c10001", format="tlv", mode="update", token="0102", mid=77)
    server.request("0.05", "/x", options=[[2053, "text"], [65001, {"hex": "00ff"}], [12, 300]],
                   payload="p", type="non")
    attributes, composite, ipatch, update, raw = seen
    assert attributes.code == mc.PUT and not attributes.payload
    assert attributes.all(mc.URI_QUERY) == [b"pmin=1", b"pmax=5"]
    assert not attributes.all(mc.CONTENT_FORMAT)
    assert composite.code == mc.FETCH and composite.path == "/"
    assert composite.payload == b"\x82\xa1\x00\x66/3/0/0\xa1\x00\x62/1"
    assert (composite.number(mc.CONTENT_FORMAT), composite.number(mc.ACCEPT)) == (112, 110)
    assert ipatch.code == mc.IPATCH and ipatch.number(mc.CONTENT_FORMAT) == 110
    assert (update.code, update.token, update.mid) == (mc.POST, b"\1\2", 77)
    assert update.payload == b"\xc1\0\1" and update.number(mc.CONTENT_FORMAT) == 11542
    assert raw.all(2053) == [b"text"] and raw.all(65001) == [b"\0\xff"]
    assert raw.kind == mc.NON and raw.number(12) == 300


def test_separate_response(server, make_mini):
    client = make_mini("127.0.0.1", server.port, separate=["/3/0/0"])
    client.register("mini")
    client.values["/3/0/0"] = b"slow"
    answer = server.read("/3/0/0")
    assert answer.separate and answer.type == "con" and answer.text == "slow"
    assert client.wait(lambda m: m.kind == mc.ACK and m.mid == answer.mid)


@pytest.mark.parametrize("length", [1024, 1025, 4096, 100000])
def test_blocks_both_ways(server, mini, length):
    answer = server.call("write", "/5/0/0", fill=length, format="opaque")
    assert answer.code == "2.04" and answer.blocks == (length + 1023) // 1024
    assert mini.values["/5/0/0"] == fill(length)
    answer = server.read("/5/0/0", block2=256)
    assert answer.length == length and answer.sha256 == sha256(fill(length))
    assert answer.blocks == (length + 255) // 256


def test_block_sizes_the_client_wants(server, make_mini, tmp_path):
    client = make_mini("127.0.0.1", server.port, block_szx=2)
    client.register("mini")
    answer = server.call("write", "/5/0/0", fill=3000, format="opaque")
    assert answer.code == "2.04" and client.values["/5/0/0"] == fill(3000)
    answer = server.read("/5/0/0", out_file=str(tmp_path / "body"))
    assert (tmp_path / "body").read_bytes() == fill(3000) and answer.blocks == 47


def test_blocks_interleaved(server, mini):
    paths = [f"/5/{i}/0" for i in range(4)]
    ids = [server.start("write", p, fill=20000 + i, block=64) for i, p in enumerate(paths)]
    assert [server.finish(n).code for n in ids] == ["2.04"] * 4
    for i, path in enumerate(paths):
        assert mini.values[path] == fill(20000 + i)
    ids = [server.start("read", p, block2=64) for p in paths]
    assert [server.finish(n).sha256 for n in ids] == [sha256(fill(20000 + i)) for i in range(4)]


def test_blocks_stop_and_wrong_number(server, mini):
    answer = server.call("write", "/5/0/0", fill=5000, block=512, stop_after=3)
    assert answer.stopped and answer.code == "2.31"
    answer = server.request("PUT", "/5/0/0", fill=64, blocks="manual",
                            options=[[mc.BLOCK1, 9 << 4 | 2]])
    assert answer.code == "4.08"


def test_block_errors_are_found(server, mini):
    mini.values["/5/0/0"] = fill(3000)
    server.read("/5/0/0")
    mini.hook = lambda m: ("2.05", [(mc.ETAG, m.mid.to_bytes(2, "big")),
                                    (mc.BLOCK2, mc.block((m.number(mc.BLOCK2) or 0) >> 4, True, 6))],
                           bytes(1024))
    assert server.fail("read", "/5/0/0") == "ETag changed between blocks"
    mini.hook = lambda m: ("2.05", [(mc.BLOCK2, mc.block(0, True, 6))], bytes(1024))
    assert server.fail("read", "/5/0/0") == "Block2 of another number"
    mini.hook = lambda m: ("2.05", [(mc.BLOCK2, mc.block(0, True, 6))], bytes(1000))
    assert server.fail("read", "/5/0/0") == "Block2 with a payload of another size"


def test_duplicate_requests(server, mini):
    mini.values["/3/0/4"] = b""
    answer = server.execute("/3/0/4", "x", copies=3, delay_ms=5, collect_ms=200)
    assert answer.code == "2.04" and len(answer.responses) == 2
    assert all(r["mid"] == answer.mid for r in answer.responses)
    assert mini.executed == [("/3/0/4", b"x")]


def test_observe_and_cancel(server, mini):
    mini.values["/3303/0/5700"] = b"1"
    answer = server.observe("/3303/0/5700", token="aabb")
    assert answer.seq == 1 and answer.token == "aabb"
    mini.notify("/3303/0/5700", b"2")
    event = server.wait_notify("aabb")
    assert (event.text, event.path, event.type, event.answer) == ("2", "/3303/0/5700", "con", "ack")
    mini.notify("/3303/0/5700", b"3", kind=mc.NON)
    assert server.wait_notify("aabb").answer == "none"
    assert server.cancel(token="aabb").code == "2.05"
    assert "/3303/0/5700" not in mini.observers


def test_observe_cancel_by_reset(server, mini):
    mini.values["/3303/0/5700"] = b"1"
    server.observe("/3303/0/5700")
    server.cancel(path="/3303/0/5700", by="rst")
    sent = mini.notify("/3303/0/5700", b"2")
    assert server.wait_notify().answer == "rst"
    assert mini.wait(lambda m: m.kind == mc.RST and m.mid == sent.mid)
    sent = mini.notify("/3303/0/5700", b"3")
    server.wait_event("unknown")
    assert mini.wait(lambda m: m.kind == mc.RST and m.mid == sent.mid)


def test_notifications_left_unanswered(server, mini):
    mini.values["/3303/0/5700"] = b"1"
    server.observe("/3303/0/5700")
    server.rule("notify", silent=True)
    sent = mini.notify("/3303/0/5700", b"2")
    assert server.wait_notify().answer == "none"
    mini.send(sent)
    server.wait_event("duplicate", mid=sent.mid)
    assert mini.wait(lambda m: m.kind == mc.ACK and m.mid == sent.mid, 0.2) is None


def test_notification_in_blocks(server, mini):
    mini.values["/5/0/0"] = b"x"
    server.observe("/5/0/0")
    mini.values["/5/0/0"] = fill(5000)
    mini.hook = lambda m: None
    options = [(mc.OBSERVE, b"\2"), (mc.ETAG, b"v1"), (mc.BLOCK2, mc.block(0, True, 6))]
    mini.send(mc.Message(mc.CON, mc.code("2.05"), mini.next_mid(), mini.observers["/5/0/0"][0],
                         options, fill(5000)[:1024]))
    event = server.wait_notify()
    assert event.length == 5000 and event.sha256 == sha256(fill(5000)) and event.blocks == 5


def test_timeout_retransmission_and_reset(server, mini):
    server.set(ack_timeout_ms=20, max_retransmit=2)
    mini.silent = True
    answer = server.finish(server.start("read", "/3/0/0", timeout_ms=200))
    assert answer.error == "timeout" and answer.retransmits == 2
    mid = server.start("read", "/3/0/1")
    request = mini.wait(lambda m: m.path == "/3/0/1")
    mini.send(mc.Message(mc.RST, 0, request.mid))
    assert server.finish(mid).error == "reset"


def test_raw_datagrams(server, mini):
    server.datagram(bytes.fromhex("40000102"))
    ping = mini.wait(lambda m: m.kind == mc.CON and m.code == 0)
    mini.send(mc.Message(mc.RST, 0, ping.mid))
    assert server.wait_event("rst").mid == 0x102
    mini.socket.send(b"\x00garbage")
    assert server.wait_event("malformed").hex == b"\x00garbage".hex()


@pytest.mark.parametrize("command, text", [
    ({"op": "nothing"}, "there is no command 'nothing'"),
    ({"op": "read", "colour": 1}, "'read' takes no \"colour\""),
    ({"op": "read", "mid": 65536}, "\"mid\" is of another type or out of range"),
    ({"op": "read", "ep": "nobody"}, "no endpoint 'nobody' is registered"),
    ({"op": "read", "block2": 100}, "a block size is a power of two, or over TCP a multiple of 1024"),
    ({"op": "write", "hex": "abc"}, "the payload cannot be read"),
    ({"op": "write", "payload": "a", "fill": 3}, "the payload cannot be read"),
    ({"op": "rule", "on": "breakfast"}, "\"on\" is not a kind of message"),
    ({"op": "rule", "on": "any", "code": "9.99"}, "'9.99' is not a code"),
])
def test_bad_commands(server, mini, command, text):
    server.put({"id": "x", **command})
    answer = server._wait(lambda: server.answers.pop("x", None), 5, "answer")
    assert not answer.ok and answer.error == text


def test_proxy_is_seeded(make_server, make_proxy, make_mini):
    arrived = []
    for seed in (7, 7, 8):
        server = make_server()
        proxy = make_proxy(f"127.0.0.1:{server.port}", seed=seed, drop=0.3)
        client = make_mini("127.0.0.1", proxy.port)
        for i in range(40):
            client.send(mc.Message(mc.NON, mc.POST, i, b"", [(mc.URI_PATH, b"dp")]))
        client.mid = 1000
        last = client.request(mc.POST, "/dp", copies=30)  # behind all others
        assert last
        server.wait_event("send", type="con")  # its answer may be here before the report of it
        arrived.append([e.mid for e in server.take_events("send") if e.type == "non"])
    assert arrived[0] == arrived[1] != arrived[2]
    assert 10 < len(arrived[0]) < 40


def test_proxy_rebind_and_black_hole(server, make_proxy, make_mini):
    proxy = make_proxy(f"127.0.0.1:{server.port}", delay_ms=5)
    client = make_mini("127.0.0.1", proxy.port)
    client.register("nat")
    before = server.wait_registered("nat").addr
    proxy.rebind()
    assert client.request(mc.POST, client.location).code == mc.code("2.04")
    assert server.wait_event("updated").addr != before
    proxy.change(drop=1)
    assert client.request(mc.POST, client.location, timeout=0.2) is None
    proxy.change(drop=0, corrupt=0, reorder=0)
    assert client.request(mc.POST, client.location).code == mc.code("2.04")


def test_proxy_reorders_and_corrupts(server, make_proxy, make_mini):
    proxy = make_proxy(f"127.0.0.1:{server.port}", reorder=1)
    client = make_mini("127.0.0.1", proxy.port)
    for i in (1, 2):
        client.send(mc.Message(mc.NON, mc.POST, i, b"", [(mc.URI_PATH, b"dp")]))
    assert [server.wait_event("send").mid for _ in range(2)] == [2, 1]
    proxy.change(reorder=0, corrupt=1)
    data = mc.Message(mc.NON, mc.POST, 3, b"", [(mc.URI_PATH, b"dp")], b"x" * 50).encode()
    client.socket.send(data)
    deadline = time.monotonic() + 5
    while not proxy.change().corrupted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxy.change().corrupted >= 1


def test_bus_denies_by_default(bus, client):
    assert client.unique_name in bus.busctl("call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus", "ListNames")[0]
    with pytest.raises(Exception, match="not allowed to own"):
        client.call("org.freedesktop.DBus", "RequestName", "su", "org.example.Other", 0,
                    path="/org/freedesktop/DBus", name="org.freedesktop.DBus")


def test_handler_and_signal(make_client):
    owner, caller = make_client(), make_client()
    owner.call("org.freedesktop.DBus", "RequestName", "su", "org.lwm2md.Client1", 0,
               path="/org/freedesktop/DBus", name="org.freedesktop.DBus")
    owner.handle("/org/lwm2md/Client1")
    pending = caller.start("Handler", "Execute", "s", "/3/0/4")
    call = owner.wait_call("Execute")
    assert call.args == ["/3/0/4"] and not pending.done()
    call.reply("s", "done")
    assert pending.result(5).body == ["done"]
    pending = caller.start("Handler", "Execute", "s", "/3/0/5")
    owner.wait_call("Execute").fail("Busy", "later")
    assert pending.result(5).error_name == "org.lwm2md.Client1.Error.Busy"


def test_formats_know_the_published_bytes():
    # RFC 8949 appendix A, RFC 8428 figures and the examples of TS Core 1.1.1 section 7.4.3
    assert fm.cbor_decode(bytes.fromhex("fb3ff199999999999a")) == 1.1
    assert fm.cbor_decode(bytes.fromhex("f93c00")) == 1.0
    assert fm.cbor_decode(bytes.fromhex("5f42010243030405ff")) == b"\1\2\3\4\5"
    assert fm.cbor_decode(bytes.fromhex("bf61610161629f0203ffff")) == {"a": 1, "b": [2, 3]}
    for value in (0, 23, 24, -1, -500, 1 << 40, True, None, 1.5, "ü", b"\0", [1, {"a": -1}]):
        assert fm.cbor_decode(fm.cbor_encode(value)) == value
    values = {"/1/0": 5, "/1/1": "x", "/1/2": b"\xff\xfe", "/1/3": True, "/1/4": (1, 65535)}
    for fmt in (fm.SENML_JSON, fm.SENML_CBOR):
        assert fm.senml_decode(fm.senml_encode(values, fmt), fmt) == values
    assert fm.senml_decode(b'[{"bn":"/3/0/","n":"0","vs":"a"},{"n":"9","v":5}]') == \
        {"/3/0/0": "a", "/3/0/9": 5}
    maker = bytes.fromhex("c800144f70656e204d6f62696c6520416c6c69616e6365")
    assert fm.tlv(fm.RESOURCE, 0, b"Open Mobile Alliance") == maker
    power = bytes.fromhex("8606410001410105")
    assert fm.tlv(fm.MULTIPLE, 6, [fm.tlv(1, 0, b"\1"), fm.tlv(1, 1, b"\5")]) == power
    assert fm.tlv_decode(maker + power) == [(3, 0, b"Open Mobile Alliance"),
                                            (2, 6, [(1, 0, b"\1"), (1, 1, b"\5")])]
    assert fm.links_decode('</>;rt="oma.lwm2m";ct="60 110",</1/0>,</3/0>;ver=1.1;pmin=5') == {
        "/": {"rt": "oma.lwm2m", "ct": "60 110"}, "/1/0": {}, "/3/0": {"ver": "1.1", "pmin": "5"}}


STAND_IN = """#!/usr/bin/env python3
import os, signal, socket, sys, time
settings = dict(line.strip().split("=", 1) for line in open(
    [a.split("=", 1)[1] for a in sys.argv if a.startswith("--config=")][0]) if "=" in line)
def end(*_):
    print(settings.get("Say", ""), file=sys.stderr, flush=True)
    time.sleep(float(settings.get("Linger", 0)))
    sys.exit(int(settings.get("Exit", 0)))
signal.signal(signal.SIGTERM, end)
if settings.get("Ready", "1") == "1":
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b"STATUS=here\\nREADY=1", os.environ["NOTIFY_SOCKET"])
if settings.get("Ready") == "crash":
    sys.exit(3)
while True:
    signal.pause()
"""


@pytest.fixture(name="stand_in")
def fixture_stand_in(tmp_path, sockets, monkeypatch):
    """A program in the daemon's place: how the kit judges it must be right."""
    program = tmp_path / "stand-in"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("LWM2MD", str(program))
    return lambda **keys: Daemon(tmp_path / "d", sockets, make_config("ep", {}, client=keys))


def test_daemon_that_behaves(stand_in):
    daemon = stand_in().start()
    daemon.stop()
    daemon.start().kill()


@pytest.mark.parametrize("keys, text", [
    ({"Exit": "1"}, "exit status 1"),
    ({"Say": "==7==ERROR: AddressSanitizer: heap-use-after-free"}, "sanitizer report"),
    ({"Say": "x.c:3:1: runtime error: shift"}, "sanitizer report"),
    ({"Linger": "3"}, "still there"),
])
def test_daemon_that_ends_badly(stand_in, keys, text):
    daemon = stand_in(**keys).start()
    with pytest.raises(AssertionError, match=text):
        daemon.stop(timeout=1)


@pytest.mark.parametrize("ready", ["0", "crash"])
def test_daemon_that_is_never_ready(stand_in, ready):
    daemon = stand_in(Ready=ready)
    with pytest.raises(AssertionError, match="no READY=1"):
        daemon.start(timeout=1)
    if ready == "0":
        daemon.stop()
    else:
        assert daemon.wait_exit() == 3
