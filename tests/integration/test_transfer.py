# SPDX-License-Identifier: Apache-2.0
"""Messages and blocks: duplicates, separate responses, Block1 and Block2 (RFC 7252, RFC 7959)."""
import pytest
from dbus_fast import Variant

import formats as fm
from testserver import fill, sha256

BLOCK2, BLOCK1 = 23, 27
PATHS = [f"/26241/{i}/5" for i in range(4)]
FOUR = {f"/26241/{i}/5": "hex:00" for i in range(4)}


def claim(client, handler=None):
    client.handle("/app", handler)
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})


@pytest.fixture(name="four")
def fixture_four(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, values=FOUR)
    server.wait_registered()
    return daemon


@pytest.mark.parametrize("kind", ["con", "non"])
def test_three_copies_execute_once(kit, server, client, kind):
    count = []
    claim(client, lambda call: (count.append(1), call.reply()))
    answer = server.execute("/26241/0/22", copies=3, delay_ms=10, collect_ms=500, type=kind)
    assert answer.code == "2.04" and len(count) == 1
    assert all(other["code"] == "2.04" for other in answer.responses or [])
    if kind == "con":
        assert len(answer.responses) == 2
    assert server.execute("/26241/0/22").code == "2.04" and len(count) == 2


def test_copies_while_the_handler_works(kit, server, client):
    claim(client)
    number = server.start("execute", "/26241/0/22", copies=3, delay_ms=50)
    call = client.wait_call("Execute")
    server.assert_quiet("notify", 0.3)
    call.reply()
    assert server.finish(number).code == "2.04"
    assert not client.calls


def test_slow_handler_gets_a_separate_response(kit, server, client):
    claim(client)
    number = server.start("execute", "/26241/0/22", timeout_ms=20000)
    call = client.wait_call("Execute")
    assert server.read("/26241/0/0", accept="text").text == "hello"  # meanwhile
    server.assert_quiet("notify", 1.5)
    call.reply()
    answer = server.finish(number)
    assert answer.code == "2.04" and answer.separate and answer.retransmits == 0


@pytest.mark.parametrize("length", [1024, 1025, 65536, 1000000])
def test_large_values_both_ways(kit, server, length):
    answer = server.call("write", "/26241/0/5", fill=length, format="opaque")
    assert answer.code == "2.04"
    answer = server.read("/26241/0/5", accept="opaque")
    assert (answer.code, answer.length, answer.sha256) == ("2.05", length, sha256(fill(length)))


@pytest.mark.parametrize("size", [16, 64, 512])
def test_block_sizes_asked_for(kit, server, size):
    assert server.call("write", "/26241/0/5", fill=3000, block=size, format="opaque").code == "2.04"
    answer = server.read("/26241/0/5", accept="opaque", block2=size)
    assert answer.sha256 == sha256(fill(3000)) and answer.blocks == (3000 + size - 1) // size


def test_four_interleaved_uploads_and_downloads(four, server):
    lengths = [50000, 50001, 60000, 20000]
    numbers = [server.start("write", p, fill=n, block=256, format="opaque")
               for p, n in zip(PATHS, lengths)]
    assert [server.finish(n).code for n in numbers] == ["2.04"] * 4
    numbers = [server.start("read", p, block2=256, accept="opaque") for p in PATHS]
    for number, length in zip(numbers, lengths):
        answer = server.finish(number)
        assert (answer.code, answer.sha256) == ("2.05", sha256(fill(length)))


def test_interleaved_transfers_of_two_servers(make_daemon, make_server):
    servers = [make_server(), make_server()]
    make_daemon({"a": servers[0].uri, "b": servers[1].uri}, values=FOUR)
    for server in servers:
        server.wait_registered()
    work = [(servers[i % 2], p, 40000 + i) for i, p in enumerate(PATHS)]
    numbers = [s.start("write", p, fill=n, block=128, format="opaque") for s, p, n in work]
    for server in servers:
        assert server.read("/3", accept="senml-json").code == "2.05"
    assert [s.finish(n).code for (s, _, _), n in zip(work, numbers)] == ["2.04"] * 4
    for server, path, length in work:
        assert server.read(path, accept="opaque").sha256 == sha256(fill(length))


def test_value_does_not_change_during_a_download(kit, server):
    """Blocks of one ETag are of one body, whatever is written meanwhile."""
    assert server.call("write", "/26241/0/5", fill=5000, format="opaque").code == "2.04"
    first = server.request("GET", "/26241/0/5", blocks="manual", options=[[BLOCK2, 2]], accept=42)
    assert server.write("/26241/0/5", hex="ff" * 5000, format="opaque").code == "2.04"
    second = server.request("GET", "/26241/0/5", blocks="manual", options=[[BLOCK2, 1 << 4 | 2]],
                            accept=42)
    assert first.body == fill(64)
    assert second.etag != first.etag or second.body == fill(128)[64:]


def put_block(server, num, more, payload, szx=2, **fields):
    return server.request("PUT", "/26241/0/5", blocks="manual", hex=payload.hex(), format=42,
                          options=[[BLOCK1, num << 4 | more << 3 | szx]], **fields)


def test_blocks_out_of_order(kit, server):
    data = fill(256)
    assert put_block(server, 1, True, data[64:128]).code == "4.08"
    assert put_block(server, 0, True, data[:64]).code == "2.31"
    assert put_block(server, 2, True, data[128:192]).code == "4.08"
    assert server.read("/26241/0/5", accept="opaque").body == b"\0\xff\x10"
    for i in range(3):
        assert put_block(server, i, True, data[64 * i:64 * i + 64]).code == "2.31"
    assert put_block(server, 3, False, data[192:]).code == "2.04"
    assert server.read("/26241/0/5", accept="opaque").body == data


def test_upload_begun_again(kit, server):
    answer = server.call("write", "/26241/0/5", fill=5000, block=512, stop_after=3,
                         format="opaque")
    assert answer.stopped and answer.code == "2.31"
    assert server.call("write", "/26241/0/5", fill=700, block=512, format="opaque").code == "2.04"
    assert server.read("/26241/0/5", accept="opaque").sha256 == sha256(fill(700))


def test_block_with_a_wrong_length(kit, server):
    assert put_block(server, 0, True, fill(63)).code in ("4.00", "4.08")
    assert put_block(server, 0, True, fill(64), szx=7).code == "4.00"
    assert server.read("/26241/0/5", accept="opaque").body == b"\0\xff\x10"


def test_block_beyond_the_end(kit, server):
    answer = server.request("GET", "/26241/0/5", blocks="manual", options=[[BLOCK2, 9 << 4 | 2]])
    assert answer.code in ("4.00", "4.02", "4.08")


def test_body_over_the_limit(make_daemon, server):
    make_daemon({"main": server.uri}, values=FOUR, Limits={"Body": "4K"})
    server.wait_registered()
    answer = server.call("write", PATHS[0], fill=10000, format="opaque")
    assert answer.code == "4.13"
    assert server.read(PATHS[0], accept="opaque").body == b"\0"
    assert server.call("write", PATHS[0], fill=4000, format="opaque").code == "2.04"


def test_large_read_composite_request(kit, server):
    paths = ["/26241/0/1"] + [f"/3303/{i}/5700" for i in range(200)]
    answer = server.call("read_composite", paths=paths, accept="senml-json", block=256)
    values = fm.senml_decode(answer.body)
    assert values == {"/26241/0/1": -5, "/3303/0/5700": 21.5}


def test_large_notification(kit, server, client):
    token = server.observe("/26241/0/5", accept="opaque").token
    client.set("/26241/0/5", "ay", fill(5000))
    event = server.wait_notify(token)
    assert event.length == 5000 and event.sha256 == sha256(fill(5000))


def test_unknown_options(kit, server):
    assert server.read("/26241/0/0", options=[[65001, 1]], accept="text").code == "4.02"
    assert server.read("/26241/0/0", options=[[65000, 1]], accept="text").code == "2.05"


def test_ping_and_nonsense(kit, server):
    server.datagram(bytes.fromhex("40001234"))
    assert server.wait_event("rst").mid == 0x1234
    for data in ("", "40", "4f011234", "40011234ff", "4001123410", "80011234", "44011234ab"):
        if data:
            server.datagram(bytes.fromhex(data))
    assert server.read("/26241/0/0", accept="text").text == "hello"


def test_strangers_are_not_served(kit, server, make_server):
    stranger = make_server()
    peer = server.call("peers").peers[0]["addr"]
    answer = stranger.finish(stranger.start("read", "/26241/0/0", to=peer, timeout_ms=500))
    assert not answer.ok or not answer.code.startswith("2.")
