# SPDX-License-Identifier: Apache-2.0
"""A server that is a name with several addresses, of which the first is of no use (RFC 8305)."""
import itertools
import shutil
import socket
import ssl
import subprocess
import time

import pytest

import formats as fm
from daemon import Daemon, make_config
from minicoap import POST, PUT, uint
from tcpserver import TcpServer
from test_bootstrap import boot_config, finish, give_account, security, server_object
from test_security import PSK, psk_keys

EP = "urn:test:1"
CHANGED = 0x44
HOSTS = """::1 localhost
127.0.0.1 localhost
"""  # the first is ::1, whatever the order there (RFC 6724, section 2.1)


def namespace():
    """The start of a command that runs in a mount namespace of its own."""
    for argv in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0:
            return argv
    pytest.skip("no mount namespaces here")


@pytest.fixture(name="make_named")
def fixture_make_named(tmp_path, sockets, bus):
    """make_daemon, where HOSTS is /etc/hosts."""
    daemons, numbers = [], itertools.count()
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    wrapper = [*namespace(), "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]

    def make(servers, **config):
        folder = tmp_path / f"named{next(numbers)}"
        daemons.append(Daemon(folder, sockets, make_config(EP, servers, **config), bus, wrapper))
        return daemons[-1].start()
    yield make
    for daemon in daemons:
        daemon.stop()


@pytest.fixture(name="make_tcp")
def fixture_make_tcp():
    servers = []

    def make(**settings):
        servers.append(TcpServer(**settings))
        return servers[-1]
    yield make
    for server in servers:
        server.close()


def silent_at(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::1", int(port)))
    s.setblocking(False)
    return s


@pytest.fixture(name="silent")
def fixture_silent(server):
    """Takes what comes to ::1, and says nothing."""
    with silent_at(server.port) as s:
        yield s


@pytest.fixture(name="pki")
def fixture_pki(tmp_path):
    """A certificate of localhost that vouches for itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "1", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"],
                   cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (tmp_path / "key.pem").chmod(0o600)
    return tmp_path


def received(sock):
    """All that has come."""
    datagrams = []
    while True:
        try:
            datagrams.append(sock.recv(2048))
        except BlockingIOError:
            return datagrams


def test_refused_over_udp(server, make_named):
    start = time.monotonic()
    make_named({"main": f"coap://localhost:{server.port}"})
    server.wait_registered(EP)
    assert time.monotonic() - start < 3


def test_refused_over_dtls(server, make_dtls, make_named, tmp_path):
    dtls = make_dtls(server, psk=PSK)
    start = time.monotonic()
    make_named({"main": psk_keys(dtls.uri("localhost"), tmp_path)})
    server.wait_registered(EP)
    assert time.monotonic() - start < 3


def test_refused_over_tcp(make_tcp, make_named):
    tcp = make_tcp()
    start = time.monotonic()
    make_named({"main": tcp.uri.replace("127.0.0.1", "localhost")})
    tcp.wait_registered()
    assert time.monotonic() - start < 3


def make_tls(make_tcp, pki):
    """A server with that certificate, and what a [Server] says of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["coap"])
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
    context.set_alpn_protocols(["coap"])
    tls = make_tcp(wrap=lambda s: context.wrap_socket(s, server_side=True))
    return tls, {"Uri": tls.uri.replace("127.0.0.1", "localhost"), "SecurityMode": "x509", "CertificateFile": pki / "cert.pem",
                 "KeyFile": pki / "key.pem", "ServerFile": pki / "cert.pem"}


def test_refused_over_tls(make_tcp, make_named, pki):
    tls, keys = make_tls(make_tcp, pki)
    start = time.monotonic()
    make_named({"main": keys})
    tls.wait_registered()
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("secure", [False, True])
def test_bootstrap(make_server, make_dtls, server, make_named, tmp_path, secure):
    bs = make_server()
    uri = make_dtls(bs, psk=PSK).uri("localhost") if secure else f"coap://localhost:{bs.port}"
    start = time.monotonic()
    make_named(boot_config(bs, **(psk_keys(uri, tmp_path) if secure else {"Uri": uri})))
    bs.wait_event("bootstrap")
    assert time.monotonic() - start < 3
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered(EP)


@pytest.mark.parametrize("secure", [False, True])
def test_bootstrap_over_tcp(make_tcp, server, make_named, pki, secure):
    bs, keys = make_tls(make_tcp, pki) if secure else (make_tcp(), None)
    start = time.monotonic()
    make_named(boot_config(bs, **(keys or {"Uri": bs.uri.replace("127.0.0.1", "localhost")})))
    bs.wait(lambda m: m.code == POST and m.path == "/bs")
    assert time.monotonic() - start < 3
    for path, values in (("/0", security(server.uri, 101)), ("/1", server_object(101))):
        assert bs.ask(PUT, path, [(12, uint(fm.SENML_JSON))], fm.senml_encode(values)).code == CHANGED
    assert bs.ask(POST, "/bs").code == CHANGED
    server.wait_registered(EP)


def test_silent_over_udp(server, silent, make_named):
    """No message goes to an address that does not answer: the server sees one registration."""
    start = time.monotonic()
    make_named({"main": f"coap://localhost:{server.port}"})
    server.wait_registered(EP)
    assert time.monotonic() - start < 4
    probes = received(silent)
    assert probes and {(len(p), p[0], p[1]) for p in probes} == {(4, 0x40, 0)}
    assert server.read("/3/0/16").code == "2.05"


def test_silent_over_dtls(server, make_dtls, make_named, tmp_path):
    dtls = make_dtls(server, psk=PSK)
    with silent_at(dtls.uri().rsplit(":", 1)[1]) as silent:
        start = time.monotonic()
        make_named({"main": psk_keys(dtls.uri("localhost"), tmp_path)})
        server.wait_registered(EP)
        assert time.monotonic() - start < 4
        assert {p[13] for p in received(silent)} == {1}, "ClientHello without a cookie, nothing else"


def test_who_answered_last_is_asked_first(server, silent, make_named, ctl):
    daemon = make_named({"main": f"coap://localhost:{server.port}"})
    server.wait_registered(EP)
    received(silent)
    for _ in range(2):
        ctl("stop")
        server.wait_event("deregistered")
        ctl("start")
        server.wait_registered(EP)
    ctl("wait", "registered", "--server=101")  # it is on disk
    daemon.kill()
    daemon.start()
    server.wait_event("updated")
    assert received(silent) == []
