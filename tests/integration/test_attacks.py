# SPDX-License-Identifier: Apache-2.0
"""Attacks on secure sessions: downgrades, repeated and forged records, floods, and servers that
refuse us for ever. Each is refused and told of in moderation, and nothing grows."""
import itertools
import random
import socket
import struct

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

from middle import (ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLIENT_HELLO, DTLS_1_0, DTLS_1_2,
                    EXTENDED_MASTER_SECRET, HANDSHAKE, HELLO_REQUEST, HELLO_VERIFY,
                    SERVER_HELLO, SERVER_HELLO_DONE, TLS_1_0, TLS_1_1, TLS_1_2,
                    BadServer, Middle, has, message, record, records, server_hello,
                    without_extension)
from test_security import (EP, KEY, PSK, fixture_pki, psk_keys, serve,  # noqa: F401
                           server_of, wait_error, x509_keys)

PSK_CCM_8, PSK_GCM, PSK_NULL_SHA, RSA_RC4 = 0xC0A8, 0x00A8, 0x002C, 0x0005
VALUES = {"/26241/0/0": "hello", "/26241/0/1": "-5"}
GROWTH = 2 << 20


@pytest.fixture(name="make_middle")
def fixture_make_middle():
    made = []

    def make(target=None):
        made.append(Middle(target))
        return made[-1]
    yield make
    for middle in made:
        middle.close()


@pytest.fixture(name="make_bad")
def fixture_make_bad():
    made = []

    def make(answer):
        made.append(BadServer(answer))
        return made[-1]
    yield make
    for bad in made:
        bad.close()


def uri_of(middle):
    return f"coaps://127.0.0.1:{middle.port}"


@pytest.fixture(name="session")
def fixture_session(server, make_dtls, make_middle, make_daemon, tmp_path, ctl):
    """A daemon registered through a man in the middle: (daemon, DTLS side, middle)."""
    dtls = make_dtls(server, psk=PSK)
    middle = make_middle(dtls.port)
    daemon = make_daemon({"main": psk_keys(uri_of(middle), tmp_path)}, values=VALUES)
    server.wait_registered(EP)
    dtls.wait_handshake()
    ctl("wait", "registered", "--server=101")
    return daemon, dtls, middle


# --- downgrades ---

BAD_HELLOS = {
    "DTLS 1.0": (DTLS_1_0, PSK_CCM_8),
    "a version of nobody": (0xFE00, PSK_CCM_8),
    "a suite that was not offered": (DTLS_1_2, PSK_GCM + 0x100),
    "a weak suite": (DTLS_1_2, RSA_RC4),
    "no encryption at all": (DTLS_1_2, PSK_NULL_SHA),
}


def test_bad_server_hellos(make_middle, make_daemon, tmp_path, ctl):
    """Each is answered with a fatal alert, and nothing goes on."""
    middles, servers = {}, {}

    def answer(middle, version, suite):
        def hook(up, data):
            if not has(data, HANDSHAKE, CLIENT_HELLO):
                return []
            hello = message(SERVER_HELLO, server_hello(version, suite))
            middle.say(record(HANDSHAKE, hello, 0) +
                       record(HANDSHAKE, message(SERVER_HELLO_DONE, b"", 1), 1))
            return []
        return hook
    for name, (version, suite) in BAD_HELLOS.items():
        middles[name] = make_middle()
        middles[name].hook = answer(middles[name], version, suite)
        servers[name.replace(" ", "-")] = psk_keys(uri_of(middles[name]), tmp_path)
    make_daemon(servers, client={"HandshakeTimeout": 20})
    for number, (name, middle) in enumerate(middles.items(), 101):
        alert = middle.wait(lambda up, data: up and has(data, ALERT))
        kind, _, _, body = records(alert)[-1]
        assert kind == ALERT and body[0] == 2, name  # fatal
        status = wait_error(ctl, number, "h")
        assert status["LastError"][0] == "handshake" and status["State"] == "failed", (name, status)
        # The key was used for nothing.
        assert not any(up and (has(d, CHANGE_CIPHER_SPEC) or has(d, APPLICATION_DATA))
                       for up, d in middle.seen), name


def test_bad_server_hellos_over_tcp(make_bad, make_daemon, tmp_path, ctl):
    bads, servers = {}, {}
    for name, version, suite in (("tls-1.0", TLS_1_0, PSK_CCM_8), ("tls-1.1", TLS_1_1, PSK_CCM_8),
                                 ("ssl-3", 0x0300, PSK_CCM_8), ("null", TLS_1_2, PSK_NULL_SHA),
                                 ("weak", TLS_1_2, RSA_RC4), ("other", TLS_1_2, PSK_GCM + 0x100)):
        body = server_hello(version, suite)
        bads[name] = make_bad(b"\x16" + struct.pack(">HH", version, 4 + len(body)) + b"\x02" +
                              len(body).to_bytes(3, "big") + body)
        servers[name] = {**psk_keys(f"coaps+tcp://127.0.0.1:{bads[name].port}", tmp_path)}
    make_daemon(servers)
    for number, (name, bad) in enumerate(bads.items(), 101):
        status = wait_error(ctl, number, "h")
        assert status["LastError"][0] == "handshake" and status["State"] == "failed", (name, status)
        assert bad.received[:1] == b"\x15" and bad.received[5] == 2, name


# What a hello says is part of what the Finished messages protect.
TAMPERED = {
    "extended-master-secret": lambda d: without_extension(d, EXTENDED_MASTER_SECRET),
    "suites": lambda d: d.replace(struct.pack(">HH", PSK_CCM_8, PSK_GCM),
                                  struct.pack(">HH", PSK_GCM, PSK_GCM), 1),
}


@pytest.mark.parametrize("what", list(TAMPERED))
def test_hello_changed_on_the_way(server, make_dtls, make_middle, make_daemon, tmp_path, ctl, what):
    """The handshake does not succeed while somebody changes it, and does once he has gone."""
    dtls = make_dtls(server, psk=PSK)
    middle = make_middle(dtls.port)
    changed = []

    def hook(up, data):
        if up and has(data, HANDSHAKE, CLIENT_HELLO):
            changed.append(TAMPERED[what](data))
            assert changed[-1] != data
            return [changed[-1]]
        return [data]
    middle.hook = hook
    make_daemon({"main": psk_keys(uri_of(middle), tmp_path)}, client={"HandshakeTimeout": 3})
    status = wait_error(ctl, 101, "t")
    assert status["State"] == "failed" and changed
    assert not dtls.take_events("handshake") and not server.take_events("registered")
    middle.hook = lambda up, data: [data]
    ctl("server", "register", "101")
    server.wait_registered(EP)


def test_no_renegotiation(session, server, ctl):
    """Asked for in the clear it is noise; asked for within the session it ends there."""
    _, dtls, middle = session
    for sequence in range(20, 30):
        middle.say(record(HANDSHAKE, message(HELLO_REQUEST, b"", sequence), sequence))
    assert server.read("/26241/0/1").text == "-5"
    assert not any(up and has(d, HANDSHAKE, CLIENT_HELLO, epoch=1) for up, d in middle.seen)
    before = len(middle.seen)
    dtls.call("renegotiate")
    middle.wait(lambda up, data: up and has(data, ALERT, epoch=1))
    assert not any(up and has(d, HANDSHAKE, epoch=1) for up, d in middle.seen[before:])
    # The server has ended the session for it; the registration goes on in another one.
    assert not dtls.wait_handshake().resumed
    server.wait_event("updated", endpoint=EP)
    assert server.read("/26241/0/1").text == "-5"
    assert not server.take_events("registered")


# --- repeated, reordered, cut and forged records ---

@pytest.fixture(name="counter")
def fixture_counter(client):
    """How often /26241/0/22 was executed, by the arguments."""
    calls = []

    def owner(call):
        calls.append(call.args[1][0][1])
        call.reply()

    def claim():
        client.handle("/app", owner)
        client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                    {"execute": Variant("b", True)})
        return calls
    return claim


def test_repeated_records(session, counter, server, ctl):
    """Records of each kind come again, at once and later, in order and in reverse: an Execute is
    executed once."""
    daemon, dtls, middle = session
    calls = counter()
    middle.hook = lambda up, data: [data, data, data]  # at once
    for number in range(20):
        assert server.execute("/26241/0/22", f"0='{number}'").code == "2.04"
    middle.hook = lambda up, data: [data]
    down = [d for up, d in middle.seen if not up]
    assert any(has(d, HANDSHAKE) for d in down)
    for _ in range(5):  # and later
        for data in (*down, *reversed(down)):
            middle.say(data)
    # As another datagram would be made of them: two in one, and one of the server's from our side.
    for first, second in itertools.pairwise(down):
        middle.say(first + second)
    for up, data in list(middle.seen):
        if up:
            middle.say(data)
    assert server.execute("/26241/0/22", "0='last'").code == "2.04"
    assert sorted(calls) == sorted([*map(str, range(20)), "last"])
    assert "forged, repeated or out of place" in daemon.log
    assert not dtls.take_events("handshake")
    assert server_of(ctl, 101)["State"] == "registered"


def test_verify_request_again(server, make_dtls, make_middle, make_daemon, tmp_path):
    """A HelloVerifyRequest, which anybody may send, comes in threes, and again after the handshake:
    no second ClientHello with a cookie is made for it, and no second handshake."""
    dtls = make_dtls(server, psk=PSK, cookies=True)
    middle = make_middle(dtls.port)
    middle.hook = lambda up, data: [data] if up else [data, data, data]
    make_daemon({"main": psk_keys(uri_of(middle), tmp_path)}, values=VALUES)
    server.wait_registered(EP, timeout=30)
    assert server.read("/26241/0/1").text == "-5"
    verify = middle.wait(lambda up, data: not up and has(data, HANDSHAKE, HELLO_VERIFY))
    forged = record(HANDSHAKE, message(HELLO_VERIFY, struct.pack(">HB8s", DTLS_1_2, 8, b"whatever")))
    for number in range(100):
        middle.say(verify)
        middle.say(forged[:5] + struct.pack(">HI", 0, number) + forged[11:])
    assert server.read("/26241/0/1").text == "-5"
    hellos = [d for up, d in middle.seen if up and has(d, HANDSHAKE, CLIENT_HELLO)]
    assert len(hellos) == 2
    assert len(dtls.take_events("handshake")) == 1


def test_cut_and_damaged_records(session, counter, server, ctl):
    daemon, dtls, middle = session
    calls = counter()
    rng = random.Random(1)

    def damage(up, data):
        if up:
            return [data]
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        longer = data[:11] + struct.pack(">H", 0x3FFF) + data[13:]
        return [bytes(flipped), data[:rng.randrange(len(data))], longer, data[13:],
                data[:11] + b"\0\0" + data[13:], data + b"\x17", data]
    middle.hook = damage
    for number in range(50):
        assert server.execute("/26241/0/22", f"0='{number}'").code == "2.04"
    assert sorted(calls) == sorted(map(str, range(50)))
    assert not dtls.take_events("handshake") and not dtls.take_events("closed")
    assert server_of(ctl, 101)["State"] == "registered"


# --- floods ---

def noise(rng):
    """Datagrams without end, of everything a server could say."""
    hello = message(SERVER_HELLO, server_hello(DTLS_1_2, PSK_CCM_8))
    client_hello = message(CLIENT_HELLO, rng.randbytes(120))
    for number in itertools.count():
        body = rng.randbytes(rng.randrange(1, 200))
        yield (record(HANDSHAKE, hello, number),
               record(HANDSHAKE, client_hello, number),
               record(HANDSHAKE, message(HELLO_VERIFY, struct.pack(">HB", DTLS_1_2, 32) + body[:32])),
               record(HANDSHAKE, message(number % 25, body, number % 7), number, number % 3),
               record(HANDSHAKE, body, number, 2),  # of the epoch to come
               record(ALERT, b"\x02\x28", number), record(ALERT, b"\x01\x00", number),
               record(ALERT, body, number, 1),
               record(CHANGE_CIPHER_SPEC, b"\x01", number),
               record(APPLICATION_DATA, body, number, 1), record(APPLICATION_DATA, body, number),
               record(25, body, number, 1), body, b"")[number % 14]


def cpu(daemon):
    with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_flood_of_a_session(session, server, ctl):
    """100,000 datagrams in the server's name, and as many from others."""
    daemon, dtls, middle = session
    datagrams = noise(random.Random(2))
    middle.flood(itertools.islice(datagrams, 10000), daemon)
    assert server.read("/26241/0/1").text == "-5"
    before, used = daemon.rss, cpu(daemon)
    middle.flood(itertools.islice(datagrams, 100000), daemon)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in itertools.islice(datagrams, 100000):
            stranger.sendto(data, middle.client)
    assert server.read("/26241/0/1").text == "-5"
    assert daemon.sanitized or daemon.rss - before < GROWTH, daemon.rss - before
    assert daemon.sanitized or cpu(daemon) - used < 20
    # Told of, but not each one: a line a minute.
    assert 1 <= daemon.log.count("forged, repeated or out of place") <= 3
    assert len(daemon.log) < 100000
    assert not dtls.take_events("handshake")
    ctl("update")
    server.wait_event("updated", endpoint=EP)


def test_flood_of_a_handshake(server, make_dtls, make_middle, make_daemon, tmp_path, ctl):
    """While a handshake is under way whatever comes might be the server's: it may have to be made
    again, and in the end it is."""
    dtls = make_dtls(server, psk=PSK)
    middle = make_middle(dtls.port)
    middle.hook = lambda up, data: []
    daemon = make_daemon({"main": psk_keys(uri_of(middle), tmp_path)}, values=VALUES,
                         client={"HandshakeTimeout": 3})
    middle.wait(lambda up, data: up and has(data, HANDSHAKE, CLIENT_HELLO))
    datagrams = noise(random.Random(3))
    before = daemon.rss
    for _ in range(50):
        middle.flood(itertools.islice(datagrams, 1000), daemon)
        ctl.run("server", "register", "101")
    assert daemon.sanitized or daemon.rss - before < 2 * GROWTH, daemon.rss - before
    assert len(daemon.log) < 200000
    middle.hook = lambda up, data: [data]
    ctl.run("server", "register", "101")
    server.wait_registered(EP, timeout=30)
    assert server.read("/26241/0/1").text == "-5"


# --- servers that refuse us for ever ---

@pytest.mark.parametrize("why", ["identity", "authority", "expired", "name"])
def test_refused_a_thousand_times(server, make_dtls, make_daemon, pki, tmp_path, ctl, client, why):
    """One line in the log, the same reason each time, and no memory."""
    path = "/org/lwm2md/Client1/server/101"
    client.match("type='signal',interface='org.lwm2md.Client1.Manager',member='Event'")
    if why == "identity":
        dtls = make_dtls(server, psk=f"somebody:{KEY}")
        keys, text, rounds = psk_keys(dtls.uri(), tmp_path), "does not know our identity", 1000
    else:
        name = {"authority": "server", "expired": "expired", "name": "elsewhere"}[why]
        trust = "stranger" if why == "authority" else "ca"
        dtls = serve(make_dtls, server, pki, name)
        keys = x509_keys(dtls.uri(), pki, TrustFile=pki / f"{trust}.pem")
        text, rounds = {"authority": "not of the authority expected", "expired": "has expired",
                        "name": "for another address"}[why], 300
    daemon = make_daemon({"main": keys})
    before = None
    wait_error(ctl, 101, text) # the first time perhaps before the bus was there
    for number in range(rounds):
        try:
            client.call("Server", "Register", "a{sv}", {}, path=path)
        except DBusError: # one is under way: the last event was that of the attempt before
            pass
        _, details = client.wait_event("registration-failure", timeout=20)
        assert text in details["text"]
        if not before and number >= rounds // 5:
            before = daemon.rss
    assert daemon.sanitized or daemon.rss - before < GROWTH, daemon.rss - before
    # One for each of the two events that there are of it: registration-failure and network-error.
    warnings = [line for line in daemon.log.splitlines() if line.startswith("warning")]
    assert 1 <= len(warnings) <= 2, warnings
    assert not server.take_events("registered")
