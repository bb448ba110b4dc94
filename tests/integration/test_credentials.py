# SPDX-License-Identifier: Apache-2.0
"""Credentials that an application provides at each connection, over D-Bus."""
import os
import subprocess
import sys

import pytest
from dbus_fast import Message, Variant
from dbus_fast.errors import DBusError

from test_security import IDENTITY, KEY, PSK, fixture_pki, wait_error # pylint: disable=unused-import
from testserver import binary

EP = "urn:test:1"
AWAITED = {"SecurityMode": "psk", "KeyFile": "provider:"}


def provide(client, server, path="/keys", function=None, **options):
    client.handle(path, function)
    return client.call("Claims", "ProvideCredentials", "qoa{sv}", server, path, options)


def memfd(content):
    fd = os.memfd_create("keys")
    os.write(fd, content if isinstance(content, bytes) else content.encode())
    return fd


def give(call, fds=(), **credentials):
    """Answers with credentials; values are Variants, `fds` what Variants of h count."""
    call.client.send(Message.new_method_return(call.message, "a{sv}", [credentials], unix_fds=list(fds)))


def give_psk(call, key=KEY, identity=IDENTITY):
    give(call, [memfd(f"hex:{key}")], identity=Variant("s", identity), psk=Variant("h", 0))


def test_account_that_waits(make_daemon, make_dtls, server, client, make_client, ctl):
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": {"Uri": dtls.uri(), **AWAITED}}, values={"/3303/0/5700": "21.5"})
    status = wait_error(ctl, 101, "waiting for an application that provides the credentials")
    assert status["State"] == "failed" and status["LastError"][0] == "no-key"
    id_ = provide(client, 101)
    # At once, not after the back-off of the failure.
    call = client.wait_call("Load")
    assert call.args == [101, dtls.uri(), {"security": "psk", "bootstrap": False, "timeout_ms": 10000}]
    give_psk(call)
    server.wait_registered(EP)
    assert dtls.wait_handshake().identity == IDENTITY
    assert server.read("/3303/0/5700").text == "21.5"
    ctl("wait", "registered", "--server=101")
    # For that connection alone: neither a key nor a session of it is kept.
    ctl("pause")
    ctl("resume")
    give_psk(client.wait_call("Load"))
    assert not dtls.wait_handshake().resumed
    server.wait_event("updated", endpoint=EP)
    for file in daemon.state.rglob("*"):
        if file.is_file():
            assert bytes.fromhex(KEY) not in file.read_bytes() and KEY.encode() not in file.read_bytes(), file
    assert KEY not in daemon.log
    # One provider for a server; it goes when it says so, and with its connection.
    other = make_client()
    with pytest.raises(DBusError, match="AlreadyClaimed|are provided by"):
        provide(other, 101)
    with pytest.raises(DBusError, match="belongs to"):
        other.call("Claims", "WithdrawCredentials", "u", id_)
    client.call("Claims", "WithdrawCredentials", "u", id_)
    with pytest.raises(DBusError, match="no provider of credentials"):
        client.call("Claims", "WithdrawCredentials", "u", id_)
    provide(other, 101)
    other.close()
    provide(client, 65535)
    ctl("pause")
    ctl("resume")
    give_psk(client.wait_call("Load"))
    server.wait_event("updated", endpoint=EP)


def test_provider_in_place_of_the_account_s_own(make_daemon, make_dtls, server, client, tmp_path, ctl):
    """What the answer leaves out is as in the account; a file may stand for a descriptor."""
    dtls = make_dtls(server, psk=PSK)
    (tmp_path / "wrong.psk").write_text("hex:ffff")
    (tmp_path / "right.psk").write_text(f"hex:{KEY}")
    for name in ("wrong.psk", "right.psk"):
        (tmp_path / name).chmod(0o600)
    make_daemon({"main": {"Uri": dtls.uri(), "SecurityMode": "psk", "Identity": IDENTITY,
                          "KeyFile": tmp_path / "wrong.psk"}}, client={"HandshakeTimeout": "2s"})
    wait_error(ctl, 101, "another key for our identity")
    provide(client, 101)
    give(client.wait_call("Load"), psk_file=Variant("s", str(tmp_path / "right.psk")))
    server.wait_registered(EP)


def test_answers_that_are_of_no_use(make_daemon, make_dtls, make_server, client, make_client, ctl):
    good, bad = make_server(), make_server()
    dtls, other = make_dtls(good, psk=PSK), make_dtls(bad, psk=PSK)
    daemon = make_daemon({"bad": {"Uri": other.uri(), **AWAITED}, "good": {"Uri": dtls.uri(), **AWAITED}},
                         values={"/3303/0/5700": "21.5"}, client={"HandshakeTimeout": "2s"})
    wait_error(ctl, 101, "waiting for an application")
    wait_error(ctl, 102, "waiting for an application")
    provide(client, 102, "/good", give_psk)
    good.wait_registered(EP)
    app = make_client()
    answers = (
        (lambda c: give(c), "no PSK identity (0/x/3)"),
        (lambda c: give(c, identity=Variant("s", "x")), "no pre-shared key (0/x/5)"),
        (lambda c: give(c, identity=Variant("s", "x"), key_file=Variant("s", "provider:")), ": no key"),
        (lambda c: give(c, colour=Variant("s", "x")), "no option 'colour'"),
        (lambda c: give(c, security=Variant("s", "nosec")), "no credentials at all"),
        (lambda c: give(c, [memfd("hex:0")], identity=Variant("s", "x"), psk=Variant("h", 0)), "neither text nor hex"),
        (lambda c: give(c, identity=Variant("s", "x"), psk=Variant("s", KEY)), "psk"),
        (lambda c: give(c, identity=Variant("s", "x"), psk_file=Variant("s", "../x")), "neither an absolute path"),
        (lambda c: give(c, [memfd("no PEM")] * 3, security=Variant("s", "x509"), certificate=Variant("h", 0),
                        key=Variant("h", 1), trust=Variant("h", 2)), "0/x/5: "),
        (lambda c: c.reply("s", "nonsense"), "not the type a{sv}"),
        (lambda c: c.fail("Failed", "the vault is sealed"), f"{app.unique_name} has no credentials: the vault is sealed"),
        (give_psk_of(KEY[::-1]), "another key for our identity"),
        (lambda c: None, "has not answered with credentials in time"),
    )
    provide(app, 101, timeout_ms=Variant("u", 1000))
    for answer, text in answers:
        answer(app.wait_call("Load"))
        status = wait_error(ctl, 101, text)
        assert status["State"] == "failed", status
        assert status["LastError"][0] != "account", status  # which would not be tried again
        # Meanwhile the other server has what it wants.
        assert good.read("/3303/0/5700").text == "21.5"
        ctl("server", "register", "101")
    # Nobody is left: known at once, not after the second.
    app.wait_call("Load")
    app.close()
    wait_error(ctl, 101, "has left the bus without an answer")
    assert KEY not in daemon.log
    provide(client, 101, "/keys", give_psk)
    bad.wait_registered(EP)
    for options, error in (({"timeout_ms": Variant("u", 0)}, "timeout_ms"), ({"timeout_ms": Variant("u", 30001)}, "30000"),
                           ({"x": Variant("u", 1)}, "no option 'x'")):
        with pytest.raises(DBusError, match=error):
            provide(client, 7, **options)


def give_psk_of(key):
    return lambda call: give_psk(call, key)


def test_closing_while_asked(make_daemon, make_dtls, server, client, ctl):
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": {"Uri": dtls.uri(), **AWAITED}})
    wait_error(ctl, 101, "waiting for an application")
    provide(client, 101)
    late = client.wait_call("Load")
    ctl("pause")
    ctl("resume")
    give_psk(client.wait_call("Load"))
    server.wait_registered(EP)
    give_psk(late, "00") # nobody's any more
    ctl("pause")
    ctl("resume")
    client.wait_call("Load")
    daemon.stop()  # with a question open


def test_lwm2mctl_server_test(make_daemon, make_dtls, server, client, ctl):
    dtls = make_dtls(server, psk=PSK)
    make_daemon({})
    # An account for a provider can be made at run time as well.
    assert ctl("server", "add", dtls.uri(), "--id=9", "--security=psk", "--key-file=provider:") == "9"
    wait_error(ctl, 9, "waiting for an application")
    tested = ctl.run("server", "test", "9")
    assert tested.returncode != 0 and "waiting for an application" in tested.stdout
    provide(client, 9, "/keys", give_psk)
    server.wait_registered(EP)
    assert ctl.run("server", "test", "9").returncode == 0


@pytest.fixture(name="keys")
def fixture_keys(bus):
    """keys(SERVER, SCRIPT): `lwm2mctl handle-credentials` with a shell script, until the end."""
    running = []

    def run(server, script, *options):
        running.append(subprocess.Popen(
            [binary("LWM2MCTL", "src/ctl/lwm2mctl"), f"--bus={bus.address}", "handle-credentials", *options,
             server, "--", "sh", "-c", script], stderr=subprocess.PIPE, text=True))
        return running[-1]
    yield run
    for process in running:
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0 or "is no server" in errors, errors


def test_shell_with_a_pre_shared_key(make_daemon, make_dtls, server, keys, ctl):
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": {"Uri": dtls.uri(), **AWAITED}}, client={"HandshakeTimeout": "2s"})
    wait_error(ctl, 101, "waiting for an application")
    keys("101", f'[ "$LWM2M_SERVER $LWM2M_URI $LWM2M_SECURITY" = "101 {dtls.uri()} psk" ] || exit 1\n'
         f'echo identity=hex:{IDENTITY.encode().hex()}; echo psk=hex:{KEY}')
    server.wait_registered(EP)
    ctl("wait", "registered", "--server=101")
    # Over a restart of the daemon it claims again.
    daemon.stop()
    daemon.start()
    server.wait_registered(EP)
    assert KEY not in daemon.log


def test_shell_that_fails(make_daemon, make_dtls, server, keys, ctl):
    dtls = make_dtls(server, psk=PSK)
    make_daemon({"main": {"Uri": dtls.uri(), **AWAITED}})
    wait_error(ctl, 101, "waiting for an application")
    for script, text in (("echo the card is not there >&2; exit 69", "has no credentials: the card is not there"),
                         ("exit 1", "the command failed"),
                         ("echo pin=1234", "the command's line 1: expected NAME=VALUE"),
                         ("echo; echo 1234", "the command's line 2: expected NAME=VALUE"),
                         ("echo identity=base64:x*x=", "the command's line identity: its value cannot be used"),
                         ("echo psk-file=/nothing/there", "the command's line psk-file: its value cannot be used"),
                         ("sleep 60", "the command took too long")):
        process = keys("all", script, "--timeout-ms=900")
        wait_error(ctl, 101, text)
        process.terminate()
        process.wait(10)
    ctl("server", "register", "101")
    wait_error(ctl, 101, "waiting for an application")
    assert keys("0", "true").wait(10) == 2


def test_shell_with_a_certificate(make_daemon, make_dtls, server, keys, pki, ctl):
    dtls = make_dtls(server, certificate=pki / "server.pem", key=pki / "server.key", authority=pki / "ca.pem")
    make_daemon({"main": {"Uri": dtls.uri(), "SecurityMode": "x509", "KeyFile": "provider:",
                          "TrustFile": pki / "ca.pem"}})
    wait_error(ctl, 101, "waiting for an application")
    keys("101", f"echo certificate-file={pki / 'client.pem'}; echo key-file=store:file:{pki / 'client.key'}")
    server.wait_registered(EP)


PROVIDER = """
import asyncio, os, sys
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

async def main(address):
    bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
    def answer(m):
        if m.message_type != MessageType.METHOD_CALL or m.member != "Load":
            return None
        fd = os.memfd_create("psk")
        os.write(fd, b"hex:%s")
        asyncio.ensure_future(bus.send(Message.new_method_return(
            m, "a{sv}", [{"identity": Variant("s", "%s"), "psk": Variant("h", 0)}], unix_fds=[fd])))
        return True
    bus.add_message_handler(answer)
    await bus.request_name("com.example.Keys1")
    await bus.wait_for_disconnect()

asyncio.run(main(sys.argv[1]))
"""


def test_provider_that_the_bus_starts(make_daemon, make_dtls, server, bus, tmp_path):
    dtls = make_dtls(server, psk=PSK)
    script = tmp_path / "keys.py"
    script.write_text(PROVIDER % (KEY, IDENTITY))
    bus.stop()
    (bus.services / "com.example.Keys1.service").write_text(
        f"[D-BUS Service]\nName=com.example.Keys1\nExec={sys.executable} {script} {bus.address}\n")
    bus.start()
    daemon = make_daemon({"main": {"Uri": dtls.uri(), **AWAITED}}, start=False)
    apps = daemon.config.parent / "apps.d"
    apps.mkdir()
    (apps / "keys.conf").write_text("[com.example.Keys1]\ncredentials=101\nactivate=yes\nhandler=/keys\ntimeout=20s\n")
    daemon.start()
    server.wait_registered(EP)
