# SPDX-License-Identifier: Apache-2.0
"""OSCORE (RFC 8613): every message protected, numbers that are never used twice, replays."""
import pytest
from dbus_fast import Variant

from minicoap import ACK, BLOCK1, BLOCK2, CON, GET, PUT, Message, URI_PATH, block, code, uint
from oscoreproxy import OSCORE, SECRET, Context
from tcpserver import PING, TcpServer, frame, split
from test_bootstrap import finish, give, security, server_object
from test_security import PSK, events_of, psk_keys, server_of, wait_error
from testserver import fill, sha256

EP = "urn:test:1"
NO_RESPONSE = 258 # RFC 7967


def oscore_keys(uri, folder, secret=SECRET, name="gw.oscore", **more):
    file = folder / name
    file.write_text(f"hex:{secret.hex()}\n")
    file.chmod(0o600)
    return {"Uri": uri, "OscoreSenderId": "c", "OscoreRecipientId": "s", "OscoreSecretFile": file,
            **more}


@pytest.fixture(name="oscore")
def fixture_oscore(make_oscore, server):
    return make_oscore(server)


@pytest.fixture(name="gateway")
def fixture_gateway(make_daemon, oscore, server, tmp_path, ctl):
    """A daemon that has registered with `server` through `oscore`."""
    daemon = make_daemon({"main": oscore_keys(oscore.uri(), tmp_path)},
                         values={"/3303/0/5700": "21.5", "/26241/0/5": "hex:00"},
                         client={"Version": "1.2"})
    server.wait_registered(EP)
    ctl("wait", "registered", "--server=101")  # the daemon knows, and has it on disk
    return daemon


def assert_protected(oscore):
    """Nothing but empty messages came without OSCORE, and no number twice."""
    assert not [m for m in oscore.received if m.code and not m.all(OSCORE)]
    assert not oscore.reused


# --- what is exchanged ---

def test_registration(gateway, oscore, server, ctl):
    status = server_of(ctl, 101)
    assert status["Security"] == "oscore"
    assert "oscore" in ctl.json("status")["Features"] and "oscore" in ctl("status")
    ctl("update")
    server.wait_event("updated", endpoint=EP)
    assert SECRET.hex() not in gateway.log and SECRET.hex() not in ctl("status")
    for command in ("read", "get"):
        for path in ("/21/0/0", "/21/0", "/21", "/0/0/17"):
            assert ctl.run(command, path).returncode != 0
    for change in (("set", "/21/0/1=x"), ("create", "/21"), ("delete", "/21/0")):
        assert ctl.run(*change).returncode != 0
    test = ctl("server", "test", "101")
    assert "none with OSCORE" in test and "registration" in test
    for file in gateway.state.rglob("*"):
        assert not file.is_file() or file.stat().st_mode & 0o077 == 0, file
    for path in ("/21", "/21/0", "/21/0/0"):
        assert server.read(path).code == "4.01"
        assert server.discover(path).code == "4.01"
    gateway.stop()
    server.wait_event("deregistered", endpoint=EP)
    assert_protected(oscore)


def test_operations(gateway, oscore, server, ctl):
    assert server.read("/3303/0/5700").text == "21.5"
    assert server.write("/1/0/1", "7200").code == "2.04"
    assert ctl("get", "/1/0/1") == "/1/0/1=7200"
    assert server.read("/3303/9").code == "4.04"
    # Blocks both ways, inside.
    assert server.call("write", "/26241/0/5", fill=20000, format="opaque").code == "2.04"
    answer = server.read("/26241/0/5", accept="opaque")
    assert answer.sha256 == sha256(fill(20000)) and answer.blocks == 20
    # A method nobody knows, a critical option nobody knows, a message without a word.
    assert server.request("0.23", "/3303/0/5700").code == "4.05"
    assert server.request("GET", "/3303/0/5700", options=[[65001, "x"]]).code == "4.02"
    assert server.request("GET", "/3303/0/5700", type="non").code == "2.05"
    assert_protected(oscore)


def test_observation(gateway, oscore, server, ctl):
    for confirmable in ("0", "1"):
        assert server.write_attributes("/3303/0/5700", f"con={confirmable}").code == "2.04"
        observation = server.observe("/3303/0/5700")
        for value in ("22", "23", "24"):
            ctl("set", f"/3303/0/5700={value}")
            assert server.wait_notify(observation.token).text == value
        server.cancel(token=observation.token)
    # A body in blocks: the rest is read by other requests.
    assert server.call("write", "/26241/0/5", fill=10, format="opaque").code == "2.04"
    observation = server.observe("/26241/0/5", accept="opaque")
    assert server.call("write", "/26241/0/5", fill=3000, format="opaque").code == "2.04"
    assert server.wait_notify(observation.token).sha256 == sha256(fill(3000))
    assert_protected(oscore)


def test_send(gateway, oscore, server, ctl):
    ctl("send", "--format=senml-json", "/3303/0/5700")
    assert "21.5" in server.wait_event("send").text
    # Of several blocks.
    assert server.call("write", "/26241/0/5", fill=5000, format="opaque").code == "2.04"
    ctl("send", "/26241/0/5")
    assert server.wait_event("send").length > 5000
    assert_protected(oscore)


# --- repeats and replays ---

def claim(client, handler=None):
    client.handle("/app", handler)
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})


@pytest.mark.parametrize("kind", ["con", "non"])
def test_three_copies_execute_once(gateway, oscore, server, client, kind):
    """The same datagram is the same request: one effect, and the same answer byte by byte."""
    count = []
    claim(client, lambda call: (count.append(1), call.reply()))
    answer = server.execute("/26241/0/22", copies=3, delay_ms=150, collect_ms=1000, type=kind)
    assert answer.code == "2.04" and len(count) == 1
    if kind == "con" and not answer.separate:
        assert len(answer.responses) == 2
        same = [m.encode() for m in oscore.received if m.token == bytes.fromhex(answer.token)]
        assert len(same) == 3 and len(set(same)) == 1
    assert server.execute("/26241/0/22").code == "2.04" and len(count) == 2
    assert_protected(oscore)


def test_slow_handler_gets_a_separate_response(gateway, oscore, server, client):
    claim(client)
    number = server.start("execute", "/26241/0/22", timeout_ms=20000)
    call = client.wait_call("Execute")
    assert server.read("/3303/0/5700").text == "21.5"  # meanwhile
    server.assert_quiet("notify", 1.5)
    call.reply()
    answer = server.finish(number)
    assert answer.code == "2.04" and answer.separate and answer.retransmits == 0
    assert_protected(oscore)


def test_replay(gateway, oscore, server):
    """Somebody sends an earlier request again, as a new message."""
    assert server.write("/1/0/1", "7200").code == "2.04"
    first = oscore.last_request()
    assert server.write("/1/0/1", "3600").code == "2.04"
    again = Message(CON, first.code, first.mid + 77 & 0xFFFF, b"other", first.options, first.payload)
    oscore.send_raw(again)
    answer = oscore.wait_answer(again.mid)
    assert answer.code == code("4.01") and answer.payload == b"Replay detected"
    assert not answer.all(OSCORE) and answer.token == b"other"
    assert server.read("/1/0/1").text == "3600"
    # Changed on the way.
    bad = Message(CON, first.code, again.mid + 1 & 0xFFFF, b"bad", [(OSCORE, b"\x0a\x40\x00s")],
                  first.payload)
    oscore.send_raw(bad)
    assert oscore.wait_answer(bad.mid).code == code("4.00")
    # That has not used up the number.
    oscore.number = 0x4000
    assert server.read("/1/0/1").text == "3600"


def test_forgery_that_overtakes(gateway, oscore, server):
    """Somebody sees a request, and is faster with a broken one of the same message id and token."""
    plain = Message(CON, GET, 4800, b"t", [(URI_PATH, b"3303"), (URI_PATH, b"0"), (URI_PATH, b"5700")])
    genuine = oscore.context.seal(plain, b"\x50\x00")
    forged = Message(CON, genuine.code, genuine.mid, genuine.token, genuine.options,
                     bytes([genuine.payload[0] ^ 1]) + genuine.payload[1:])
    oscore.send_raw(forged)
    assert oscore.wait_answer(4800).code == code("4.00")
    oscore.send_raw(genuine)
    oscore.wait(lambda: [m for m in oscore.received if m.mid == 4800 and m.kind == ACK and m.all(OSCORE)])
    oscore.number = 0x5001
    assert server.read("/3303/0/5700").text == "21.5"
    assert not oscore.reused


def test_requests_without_protection(gateway, oscore, server):
    oscore.send_raw(Message(CON, 3, 4711, b"t", [(URI_PATH, b"1"), (URI_PATH, b"0"),
                                                 (URI_PATH, b"1")], b"60"))
    assert oscore.wait_answer(4711).code == code("4.01")
    oscore.send_raw(Message(CON, 2, 4712, b"t", [(OSCORE, b"\xe9\x01s")], b"0123456789"))
    assert oscore.wait_answer(4712).code == code("4.02")
    oscore.send_raw(Message(CON, 2, 4713, b"t", [(OSCORE, b"\x09\xf0x")], b"0123456789"))
    assert oscore.wait_answer(4713).code == code("4.01")
    # No-Response counts inside only.
    oscore.send_raw(Message(CON, 2, 4714, b"t", [(OSCORE, b"\x09\xf0x"), (NO_RESPONSE, b"\x1a")], b"0123456789"))
    assert oscore.wait_answer(4714).code == code("4.01")
    assert server.read("/3303/0/5700").text == "21.5"


# --- nothing twice, whatever happens ---

def test_killed_time_and_again(gateway, oscore, server, ctl):
    observation = server.observe("/3303/0/5700")
    for round in range(6):
        ctl("set", f"/3303/0/5700={30 + round}")
        server.wait_notify(observation.token, text=str(30 + round))
        ctl("sync")  # the observation has reached the disk
        gateway.kill()
        gateway.start()
        ctl("wait", "registered", "--server=101")
        # The registration goes on, and so do the observation and the server's numbers.
        server.wait_event("updated", endpoint=EP)
        assert server.read("/3303/0/5700").text in ("21.5", str(30 + round))
    ctl("set", "/3303/0/5700=99")
    server.wait_notify(observation.token, text="99")
    assert not server.take_events("registered")
    assert len(oscore.used) > 12
    assert_protected(oscore)


def test_killed_in_the_middle(gateway, oscore, server, ctl):
    """At any moment, with messages on their way."""
    for round in range(10):
        server.observe("/3303/0/5700")
        for value in range(1 + round):
            ctl("set", f"/3303/0/5700={100 * round + value}")
        gateway.kill()
        gateway.start()
        ctl("wait", "registered", "--server=101")
        assert server.read("/3303/0/5700").code == "2.05"
    assert len(oscore.used) > 40
    assert_protected(oscore)


def seen_files(daemon):
    return list((daemon.state / "oscore").glob("*.seen"))


def test_server_proves_freshness_after_power_loss(gateway, oscore, server, ctl):
    assert server.read("/3303/0/5700").text == "21.5"
    first = oscore.last_request()
    gateway.kill()
    assert len(seen_files(gateway)) == 1
    seen_files(gateway)[0].unlink() # what a loss of power may take
    gateway.start()
    server.wait_event("updated", endpoint=EP)
    ctl("wait", "registered", "--server=101")
    # A replay from before is asked for a proof, which it has not.
    again = Message(CON, first.code, first.mid + 77 & 0xFFFF, b"other", first.options, first.payload)
    oscore.send_raw(again)
    answer = oscore.wait_answer(again.mid)
    assert answer.all(OSCORE) and answer.all(OSCORE)[0] # with a number of its own
    for _ in range(5): # more of them do not fill the log
        again.mid += 1
        oscore.send_raw(again)
        oscore.wait_answer(again.mid)
    assert gateway.log.count("asking the server for a proof") == 1
    assert server.read("/3303/0/5700").text == "21.5"
    challenges = len([m for m in oscore.plain if m.code == code("4.01")])
    assert challenges == 1
    # Proved once, it is known from then on; and a replay is a replay again.
    assert server.read("/3303/0/5700").text == "21.5"
    assert len([m for m in oscore.plain if m.code == code("4.01")]) == challenges
    again.mid += 1
    oscore.send_raw(again)
    assert not oscore.wait_answer(again.mid).all(OSCORE)
    assert not oscore.reused


def test_clean_stop_needs_no_proof(gateway, oscore, server, ctl):
    assert server.read("/3303/0/5700").text == "21.5"
    gateway.stop()
    seen_files(gateway)[0].unlink()
    gateway.start()
    server.wait_registered(EP)
    assert server.read("/3303/0/5700").text == "21.5"
    assert not [m for m in oscore.plain if m.code == code("4.01")]
    assert_protected(oscore)


def test_server_wants_a_proof(make_daemon, oscore, server, tmp_path):
    oscore.demands_echo = True
    make_daemon({"main": oscore_keys(oscore.uri(), tmp_path)})
    server.wait_registered(EP)
    assert oscore.proved
    assert_protected(oscore)


# --- what goes wrong ---

@pytest.mark.parametrize("settings,text", [
    ({"secret": bytes(16)}, "could not decrypt our request"),
    ({"recipient": b"x"}, "does not know our OSCORE Sender ID"),
    ({"id_context": b"x"}, "does not know our OSCORE Sender ID"),
    ({"sender": b"x"}, "cannot be decrypted"),
])
def test_wrong_keys(make_daemon, make_oscore, server, tmp_path, ctl, bus, settings, text):
    oscore = make_oscore(server, **settings)
    make_daemon({"main": oscore_keys(oscore.uri(), tmp_path)})
    status = wait_error(ctl, 101, text)
    assert status["State"] == "failed" and status["LastError"][0] == "credentials"
    events = [details for _, name, number, details in events_of(bus)
              if number == 101 and name == "registration-failure"]
    assert text in events[0]["text"]["data"]
    test = ctl.run("server", "test", "101")
    assert text in test.stdout + test.stderr


def test_server_without_oscore(make_daemon, server, tmp_path, ctl):
    make_daemon({"main": oscore_keys(server.uri, tmp_path)})
    assert wait_error(ctl, 101, "without OSCORE")["LastError"][0] == "credentials"


def test_damaged_numbers(gateway, oscore, server, ctl):
    gateway.kill()
    file = next(f for f in (gateway.state / "oscore").iterdir() if f.suffix != ".seen")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    used = dict(oscore.used)
    gateway.start()
    assert "new keys are needed" in wait_error(ctl, 101, "damaged")["LastError"][1]
    assert oscore.used == used # rather nothing than a number twice


# --- accounts ---

def test_account_at_run_time(make_daemon, oscore, server, tmp_path, ctl):
    make_daemon({})
    file = tmp_path / "secret"
    file.write_text(f"hex:{SECRET.hex()}\n")
    file.chmod(0o600)
    assert ctl("server", "add", "--oscore-sender-id=hex:63", "--oscore-recipient-id=s",
               f"--oscore-secret-file={file}", "--oscore-aead=10", oscore.uri()) == "1"
    server.wait_registered(EP)
    assert server_of(ctl, 1)["Security"] == "oscore"
    ctl("server", "remove", "1")
    assert ctl.run("server", "add", "--oscore-sender-id=c", oscore.uri()).returncode != 0
    bad = ctl.run("server", "add", "--oscore-sender-id=c", "--oscore-recipient-id=c",
                  f"--oscore-secret-file={file}", oscore.uri())
    assert "are the same" in bad.stderr
    # The same keys come back: the numbers go on.
    ctl("server", "add", "--oscore-sender-id=c", "--oscore-recipient-id=s",
        f"--oscore-secret-file={file}", oscore.uri())
    server.wait_registered(EP)
    assert_protected(oscore)


def test_another_recipient_id(make_daemon, make_oscore, oscore, server, tmp_path, ctl):
    """Our key stays the same and its numbers go on; the server's key is another, from number 0."""
    gateway = make_daemon({"main": oscore_keys(oscore.uri(), tmp_path)},
                          values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    for _ in range(70):
        assert server.read("/3303/0/5700").text == "21.5"
    other = make_oscore(server, sender=b"t")
    file = tmp_path / "gw.oscore"
    keys = ("--oscore-sender-id=c", f"--oscore-secret-file={file}")
    # Both at once would count alike.
    number = ctl("server", "add", *keys, "--oscore-recipient-id=t", other.uri())
    error = wait_error(ctl, int(number), "another Recipient ID")
    assert error["State"] == "failed" and error["LastError"][0] == "credentials"
    assert not other.received and server.read("/3303/0/5700").text == "21.5"
    ctl("server", "remove", "101")
    server.wait_event("deregistered", endpoint=EP)
    gateway.stop()
    gateway.start()
    server.wait_registered(EP)
    assert server.read("/3303/0/5700").text == "21.5"
    numbers = [{int.from_bytes(n, "big") for n in o.used} for o in (oscore, other)]
    assert max(numbers[0]) < min(numbers[1])
    assert_protected(other)


def test_salt_and_context(make_daemon, make_oscore, server, tmp_path):
    oscore = make_oscore(server, salt=b"pepper", id_context=b"\x00\x01\x02")
    make_daemon({"main": oscore_keys(oscore.uri(), tmp_path, OscoreSalt="pepper",
                                     OscoreIdContext="hex:000102")},
                values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    assert server.read("/3303/0/5700").text == "21.5"
    assert_protected(oscore)


def test_inside_dtls(make_daemon, make_dtls, make_oscore, server, tmp_path, ctl):
    oscore = make_oscore(server)
    dtls = make_dtls(oscore, psk=PSK)
    keys = {**oscore_keys(dtls.uri(), tmp_path), **psk_keys(dtls.uri(), tmp_path)}
    make_daemon({"main": keys}, values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    assert server.read("/3303/0/5700").text == "21.5"
    assert server_of(ctl, 101)["Security"] == "psk+oscore"
    assert_protected(oscore)


class SealedTcpServer(TcpServer):
    """A server over TCP with the other side of the daemon's context."""

    def __init__(self, **settings):
        self.context, self.sent, self.asked, self.unprotected = Context(SECRET, b"s", b"c"), 0, {}, []
        self.largest = 0
        super().__init__(**settings)

    def _take(self, connection, number, message):
        if message.code >= 0xE0:
            return super()._take(connection, number, message)
        if not message.all(OSCORE):
            self.unprotected.append(message)
            return None
        self.largest = max(self.largest, len(message.encode()))
        inner = self.context.open(message, self.asked.get(message.token))
        if message.code < 0x40:
            connection = Sealing(connection, self.context, self.context.split(message)[0])
        return super()._take(connection, number, inner)

    def ask(self, code, path, options=(), payload=b"", token=None):
        token = token or bytes([next(self.tokens)])
        number, self.sent = bytes([self.sent]), self.sent + 1
        plain = [(URI_PATH, s.encode()) for s in path.strip("/").split("/")] + list(options)
        sealed = self.context.seal(Message(CON, code, 0, token, plain, payload), number)
        self.asked[token] = number
        self.connection.sendall(frame(sealed.code, token, sealed.options, sealed.payload))
        return self.wait(lambda m: m.token == token and 0x40 <= m.code < PING)[1]


class Sealing:
    """What is written answers the request of that number."""

    def __init__(self, connection, context, number):
        self.connection, self.context, self.number = connection, context, number

    def sendall(self, data):
        sealed = self.context.seal(split(data)[0], None, self.number)
        self.connection.sendall(frame(sealed.code, sealed.token, sealed.options, sealed.payload))


@pytest.fixture(name="sealed_tcp")
def fixture_sealed_tcp(request):
    server = SealedTcpServer(**getattr(request, "param", {}))
    yield server
    server.close()


def test_over_tcp(sealed_tcp, make_daemon, tmp_path, ctl):
    tcp = sealed_tcp
    make_daemon({"main": oscore_keys(tcp.uri, tmp_path)}, values={"/3303/0/5700": "21.5"})
    tcp.wait_registered()
    ctl("wait", "registered", "--server=101")
    assert tcp.ask(GET, "/3303/0/5700").payload == b"21.5"
    assert tcp.observe("/3303/0/5700", b"T").payload == b"21.5"
    ctl("set", "/3303/0/5700=22")
    assert tcp.wait(lambda m: m.token == b"T")[1].payload == b"22"
    assert not tcp.unprotected


@pytest.mark.parametrize("sealed_tcp, szx", [({"max_message": 1152}, 6), ({"max_message": 16384}, 7)],
                         indirect=["sealed_tcp"])
def test_large_bodies_over_tcp(sealed_tcp, make_daemon, tmp_path, szx):
    """Blocks are inside, of several KiB (BERT) where the CSM allows it, and what is sealed fits a message."""
    tcp, part = sealed_tcp, 1024 if szx == 6 else 8192
    make_daemon({"main": oscore_keys(tcp.uri, tmp_path)}, values={"/26241/0/5": "hex:00"})
    tcp.wait_registered()
    body, got = fill(20_000), b""
    for at in range(0, len(body), part):
        more = at + part < len(body)
        answer = tcp.ask(PUT, "/26241/0/5", [(12, uint(42)), (BLOCK1, block(at // 1024, more, szx))],
                         body[at:at + part])
        assert answer.code == (0x5F if more else 0x44)
    while len(got) < len(body):
        options = [(17, uint(42))] + ([(BLOCK2, block(len(got) // 1024, False, szx))] if got else [])
        answer = tcp.ask(GET, "/26241/0/5", options)
        assert answer.number(BLOCK2) & 7 == szx and answer.number(BLOCK2) >> 4 == len(got) // 1024
        got += answer.payload
    assert got == body
    assert not tcp.unprotected and part < tcp.largest <= tcp.max_message


# --- bootstrap ---

def oscore_object(instance, sender, recipient, secret=SECRET):
    base = f"/21/{instance}"
    return {f"{base}/0": secret, f"{base}/1": sender, f"{base}/2": recipient}


def test_bootstrap(make_daemon, make_server, make_oscore, oscore, server, tmp_path, ctl):
    """Over OSCORE, and with an account of OSCORE."""
    bs = make_server()
    sealed = make_oscore(bs, secret=bytes(16), sender=b"B", recipient=b"C")
    keys = oscore_keys(sealed.uri(), tmp_path, bytes(16))
    keys.update(OscoreSenderId="C", OscoreRecipientId="B", Bootstrap="true", ShortId=None,
                Lifetime=None)
    daemon = make_daemon({"boot": keys}, values={"/3303/0/5700": "21.5"})
    bs.wait_event("bootstrap")
    account = security(oscore.uri(), 101)
    give(bs, "/1", server_object(101))
    give(bs, "/0/1", account)
    # What the account links to must be there and be of use.
    assert bs.write("/0/1/17", "21:7").code == "2.04"
    assert finish(bs).code == "4.06"
    give(bs, "/21/7", oscore_object(7, b"c", b"c"))
    assert finish(bs).code == "4.06"
    assert bs.read("/21/7").code == "4.01"
    give(bs, "/21/7", oscore_object(7, b"c", b"s"))
    assert finish(bs).code == "2.04"
    server.wait_registered(EP)
    assert server.read("/3303/0/5700").text == "21.5"
    servers = {s["Name"]: s for s in ctl.json("status")["Servers"]}
    assert servers["101"]["Security"] == "oscore"
    assert_protected(oscore)
    assert_protected(sealed)
    daemon.stop()
    daemon.start()
    server.wait_registered(EP)
    assert_protected(oscore)
