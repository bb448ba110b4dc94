# SPDX-License-Identifier: Apache-2.0
"""A server that asks for too much: limits hold, memory stays bounded, and what is right is still
answered."""
import random

import pytest
from dbus_fast import Variant

from minicoap import ACCEPT, BLOCK1, BLOCK2, CONTENT_FORMAT, GET, OBSERVE, PUT, URI_PATH, \
    URI_QUERY, CON, Message, block, uint

GROWTH = 4 << 20
N = iter(range(1, 1 << 60))


def send(server, code, path, options=(), payload=b"", n=None, kind=CON):
    """One datagram, with a token and a message id nobody had; no answer is waited for."""
    n = n or next(N)
    options = [(URI_PATH, s.encode()) for s in path.strip("/").split("/")] + list(options)
    data = Message(kind, code, n & 0xFFFF, n.to_bytes(8, "big"), options, payload).encode()
    server.start("datagram", hex=data.hex())
    if n % 64 == 0:  # not faster than it can be taken
        assert server.read("/26241/0/1", accept="text").text == "-5"


@pytest.fixture(name="bounded")
def fixture_bounded(kit, server):
    """Calls a function twice, the second time memory must not grow any more."""
    def check(function, growth=GROWTH):
        function()
        assert server.read("/26241/0/1", accept="text").text == "-5"
        before = kit.rss
        function()
        assert server.read("/26241/0/1", accept="text").text == "-5"
        assert kit.sanitized or kit.rss - before < growth, f"{kit.rss - before} bytes more"
        server.take_events()
    return check


def test_observations_without_end(make_daemon, server, client):
    """One above the limit is answered without Observe, and read as any."""
    daemon = make_daemon({"main": server.uri}, values={"/26241/0/1": "-5"},
                         Limits={"ObservationsPerServer": 500})
    server.wait_registered()
    for _ in range(500):
        send(server, GET, "/26241/0/1", [(OBSERVE, b"")])
    assert server.read("/26241/0/1", accept="text").text == "-5"
    before = daemon.rss
    for _ in range(5000):
        send(server, GET, "/26241/0/1", [(OBSERVE, b"")])
    answer = server.observe("/26241/0/1")
    assert answer.seq is None or answer.code.startswith(("4.", "5."))
    assert client.get("Manager", "Stats")["observations"] == 500
    assert daemon.sanitized or daemon.rss - before < GROWTH
    server.take_events()


def test_uploads_never_finished(bounded, server):
    """The first block of a large body, again and again, each time for another request."""
    def upload():
        for i in range(3000):
            send(server, PUT, "/26241/0/5", [(CONTENT_FORMAT, uint(42)), (URI_QUERY, b"x=%d" % i),
                                             (BLOCK1, block(0, True, 6))], bytes(1024))
    bounded(upload)


def test_an_upload_without_end(kit, server):
    """Above [Limits] Body it is refused, long before memory is."""
    before = kit.rss
    answer = server.finish(server.start("write", "/26241/0/5", fill=17 << 20, format="opaque"), 60)
    assert answer.code == "4.13", answer
    assert kit.sanitized or kit.rss - before < (16 << 20) + GROWTH
    assert server.read("/26241/0/5", accept="opaque").body == bytes.fromhex("00ff10")


def test_downloads_never_finished(bounded, kit, server):
    """Large answers of which the first block is read, each for another request."""
    assert server.call("write", "/26241/0/5", fill=200000, format="opaque").code == "2.04"

    def download():
        for i in range(2000):
            send(server, GET, "/26241/0/5", [(ACCEPT, uint(42)), (BLOCK2, block(0, False, 0)),
                                             (URI_QUERY, b"x=%d" % i)])
    bounded(download)
    for number in (1 << 19, (1 << 20) - 1):  # far behind the end
        answer = server.request("GET", "/26241/0/5", accept="opaque", blocks="manual",
                                options=[[BLOCK2, {"hex": block(number, False, 6).hex()}]])
        assert answer.code in ("4.00", "4.02", "4.08"), answer


def test_thousands_of_tokens(bounded, server):
    def ask():
        for _ in range(4000):
            send(server, GET, "/3/0")
    bounded(ask)


def test_options_of_garbage(bounded, kit, server):
    """Datagrams up to the largest UDP takes, full of options."""
    chance = random.Random(11)

    def garbage():
        for i in range(300):
            size = chance.choice((1400, 9000, 65000))
            options, length = [], 0
            while length < size:
                value = chance.randbytes(chance.choice((0, 1, 12, 200, 1000)))
                # elective numbers, critical ones, and those it knows, too often or too long
                options.append((chance.choice((2048, 65000, 2049, 11, 15, 6, 17, 23, 27, 60)),
                                value))
                length += len(value) + 3
            data = Message(CON, chance.choice((1, 2, 3, 5)), i, b"12345678", options).encode()
            server.start("datagram", hex=data[:65000].hex())
    bounded(garbage)


def test_paths_and_queries_of_any_kind(bounded, kit, server):
    chance = random.Random(12)
    odd = ["", "..", "3303", "65535", "65536", "-1", "0", "1", "999999999999999999999", "a" * 255,
           "%2f", "\x00", "ü", "rd", "bs", "dp", ".well-known", "core", "26241"]

    def ask():
        for _ in range(2000):
            path = [(URI_PATH, chance.choice(odd).encode()) for _ in range(chance.randint(0, 12))]
            query = [(URI_QUERY, chance.choice(odd).encode()) for _ in range(chance.randint(0, 4))]
            data = Message(CON, chance.randint(1, 7), chance.randrange(65536),
                           chance.randbytes(4), path + query, chance.randbytes(8)).encode()
            server.start("datagram", hex=data.hex())
    before = server.read("/26241/0", accept="senml-json").text
    ask()
    bounded(ask)
    assert server.read("/26241/0", accept="senml-json").text == before


def test_requests_that_wait_for_an_application(kit, server, client):
    """A handler that never answers: a bounded number of requests waits, the others get 5.03."""
    client.handle("/app", lambda call: None)
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True), "timeout_ms": Variant("u", 500)})
    number = [server.start("execute", "/26241/0/22", timeout_ms=8000) for _ in range(300)]
    codes = [server.finish(n).code for n in number]
    assert set(codes) == {"5.03"}
    assert server.read("/26241/0/1", accept="text").text == "-5"
