# SPDX-License-Identifier: Apache-2.0
"""Fixtures: each test has a bus, servers and daemons of its own, on ports and folders nobody else
uses, so tests run side by side."""
import itertools
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from busclient import BusClient
from daemon import Bus, Ctl, Daemon, make_config
from minicoap import MiniClient
from oscoreproxy import OscoreProxy
from testserver import DtlsProxy, LossProxy, TestServer


# One instance of the object of the tests with something of every type.
KIT_VALUES = {
    "/26241/0/0": "hello", "/26241/0/1": "-5", "/26241/0/2": "50", "/26241/0/3": "1.5",
    "/26241/0/4": "true", "/26241/0/5": "hex:00ff10", "/26241/0/6": "1700000000",
    "/26241/0/7": "3303:0", "/26241/0/8": "18446744073709551615", "/26241/0/9": "</3/0>",
    "/26241/0/10/0": "zero", "/26241/0/10/7": "seven", "/26241/0/11/0": "1",
    "/26241/0/20": "fixed", "/3303/0/5700": "21.5",
}


@pytest.fixture(name="sockets")
def fixture_sockets():
    folder = Path(tempfile.mkdtemp(prefix="lwm2md-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="bus")
def fixture_bus(sockets):
    bus = Bus(sockets)
    yield bus
    bus.stop()


@pytest.fixture(name="make_server")
def fixture_make_server():
    servers = []

    def make(**kwargs):
        servers.append(TestServer(**kwargs))
        return servers[-1]
    yield make
    for server in servers:
        server.close()


@pytest.fixture(name="server")
def fixture_server(make_server):
    return make_server()


@pytest.fixture(name="make_proxy")
def fixture_make_proxy():
    proxies = []

    def make(target, **settings):
        proxies.append(LossProxy(target, **settings))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(name="make_dtls")
def fixture_make_dtls():
    """make_dtls(server, psk=…): the test server's DTLS side."""
    proxies = []

    def make(server, **settings):
        proxies.append(DtlsProxy(f"127.0.0.1:{server.port}", **settings))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(name="make_oscore")
def fixture_make_oscore():
    """make_oscore(server, secret=…): the test server's OSCORE side."""
    proxies = []

    def make(server, **settings):
        proxies.append(OscoreProxy(server.port, **settings))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(name="make_mini")
def fixture_make_mini():
    clients = []

    def make(host, port, **kwargs):
        clients.append(MiniClient(host, port, **kwargs))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


@pytest.fixture(name="make_daemon")
def fixture_make_daemon(tmp_path, sockets, bus):
    """make_daemon(servers, values=…, client=…, start=True): a daemon that is stopped and checked
    when the test ends, unless the test has done it."""
    daemons, numbers = [], itertools.count()

    def make(servers, endpoint="urn:test:1", start=True, use_bus=True, **config):
        number = next(numbers)
        daemon = Daemon(tmp_path / f"daemon{number}", sockets,
                        make_config(endpoint, servers, **config), bus if use_bus else None)
        daemons.append(daemon)
        return daemon.start() if start else daemon
    yield make
    for daemon in daemons:
        daemon.stop()


@pytest.fixture(name="daemon")
def fixture_daemon(make_daemon, server):
    """A daemon registered with `server`, with a thermometer."""
    daemon = make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"})
    server.wait_registered("urn:test:1")
    return daemon


@pytest.fixture(name="kit")
def fixture_kit(make_daemon, server):
    """A daemon registered with `server` that holds KIT_VALUES."""
    daemon = make_daemon({"main": server.uri}, values=KIT_VALUES)
    server.wait_registered("urn:test:1")
    return daemon


@pytest.fixture(name="silent_port")
def fixture_silent_port():
    """A port whose owner never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


@pytest.fixture(name="refusing_port")
def fixture_refusing_port():
    """A port nobody owns: the kernel answers with ICMP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    return port


class Account:
    """A test server behind one of the transports, and the daemon's account with it."""
    PSK = "gw-1:000102030405060708090a0b0c0d0e0f"

    def __init__(self, name, make_server, make_dtls, folder):
        self.tcp, self.secure = name in ("tcp", "tls"), name in ("dtls", "tls")
        stream = {"tcp": True, "psk": self.PSK} if name == "tls" else {"tcp": True} if self.tcp else {}
        self.server = make_server(**stream)
        self.dtls = make_dtls(self.server, psk=self.PSK) if name == "dtls" else None
        self.keys = {"Uri": self.dtls.uri() if self.dtls else self.server.uri}
        if self.secure:
            identity, key = self.PSK.split(":")
            file = folder / "gw.psk"
            file.write_text(f"hex:{key}")
            file.chmod(0o600)
            self.keys.update(SecurityMode="psk", Identity=identity, KeyFile=file)


@pytest.fixture(name="account", params=["udp", "dtls", "tcp", "tls"])
def fixture_account(request, make_server, make_dtls, tmp_path):
    """Each transport in turn."""
    return Account(request.param, make_server, make_dtls, tmp_path)


@pytest.fixture(name="tcp_account", params=["tcp", "tls"])
def fixture_tcp_account(request, make_server, make_dtls, tmp_path):
    return Account(request.param, make_server, make_dtls, tmp_path)


@pytest.fixture(name="pki", scope="session")
def fixture_pki(tmp_path_factory):
    """ca.pem, and what it issued: server and client."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    for name in ("server", "client"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
                "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:FALSE")
        (folder / f"{name}.key").chmod(0o600)
    return folder


@pytest.fixture(name="ctl")
def fixture_ctl(bus):
    return Ctl(bus)


@pytest.fixture(name="make_client")
def fixture_make_client(bus):
    clients = []

    def make():
        clients.append(BusClient(bus.address))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


@pytest.fixture(name="client")
def fixture_client(make_client):
    return make_client()
