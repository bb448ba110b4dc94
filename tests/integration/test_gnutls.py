# SPDX-License-Identifier: Apache-2.0
"""coaps with a libcoap on GnuTLS, which Debian has beside the one on OpenSSL: same version, same
interface, so that the daemon of this build runs with it when it finds it under the other's name."""
import re
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from daemon import Daemon, make_config
from minicoap import GET
from tcpserver import TcpServer
from test_security import (EP, IDENTITY, PSK, fixture_pki, psk_keys, serve,  # noqa: F401
                           server_of, wait_error, x509_keys)
from testserver import binary

VALUES = {"/3303/0/5700": "21.5"}


@pytest.fixture(name="on_gnutls")
def fixture_on_gnutls(tmp_path, sockets, bus, ctl):
    """on_gnutls(servers, client=…): a daemon that is stopped and checked when the test ends."""
    linked = subprocess.run(["ldd", binary("LWM2MD", "src/daemon/lwm2md")], capture_output=True,
                            text=True, check=True).stdout
    found = re.search(r"(libcoap-3-openssl\.so\.\d+) => (\S+)", linked)
    wrapper = ()
    if found:
        other = Path(found[2]).with_name(found[1].replace("openssl", "gnutls"))
        if not other.exists():
            pytest.skip(f"no {other}")
        folder = tmp_path / "libraries"
        folder.mkdir()
        (folder / found[1]).symlink_to(other)
        wrapper = ("env", f"LD_LIBRARY_PATH={folder}")
    elif "libcoap-3-gnutls" not in linked:
        pytest.skip("the daemon has neither libcoap-3-openssl nor libcoap-3-gnutls")
    daemons = []

    def make(servers, **config):
        config = make_config(EP, servers, values=VALUES, **config)
        daemons.append(Daemon(tmp_path / f"daemon{len(daemons)}", sockets, config, bus, wrapper))
        daemons[-1].start()
        assert "tls-gnutls" in ctl.json("status")["Features"]
        return daemons[-1]
    yield make
    for daemon in daemons:
        daemon.stop()


def test_psk(server, make_dtls, on_gnutls, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    on_gnutls({"main": psk_keys(dtls.uri(), tmp_path)})
    server.wait_registered(EP)
    handshake = dtls.wait_handshake()
    assert handshake.identity == IDENTITY and "PSK" in handshake.cipher
    assert server.read("/3303/0/5700").text == "21.5"
    observation = server.observe("/3303/0/5700")
    ctl("set", "/3303/0/5700=22")
    assert server.wait_notify(observation.token).text == "22"
    assert server.write("/3303/0/5750", "x" * 3000).code == "2.04"  # in blocks
    assert server.read("/3303/0/5750").text == "x" * 3000
    ctl("wait", "registered", "--server=101")
    status = server_of(ctl, 101)
    assert status["Security"] == "psk" and "PSK" in status["Cipher"]
    assert "connection id  this build cannot: GnuTLS has none" in ctl("status")
    # No session is kept with this library, and nobody says so: the next one is a new one.
    ctl("pause")
    ctl("resume")
    assert not dtls.wait_handshake().resumed
    server.wait_event("updated", endpoint=EP)


def test_certificates(make_server, make_dtls, on_gnutls, pki, ctl):
    """By a trust anchor, with the server's name; and by the certificate itself or its digest, with
    any name and date."""
    keys, sides = {}, []
    for name, certificate in (("anchor", "server"), ("named", "server"), ("pinned", "elsewhere"),
                              ("old", "expired")):
        server = make_server()
        dtls = serve(make_dtls, server, pki, certificate)
        sides.append((server, dtls))
        keys[name] = x509_keys(dtls.uri("localhost" if name == "named" else "127.0.0.1"), pki)
        if name in ("pinned", "old"):
            del keys[name]["TrustFile"]
            keys[name]["ServerFile"] = pki / f"{certificate}.pem"
    on_gnutls(keys)
    for number, (server, dtls) in enumerate(sides, 101):
        server.wait_registered(EP)
        assert EP in dtls.wait_handshake().identity
        assert server.read("/3303/0/5700").text == "21.5"
        ctl("wait", "registered", f"--server={number}")
        assert server_of(ctl, number)["Cipher"]


def test_certificates_that_are_refused(make_dtls, on_gnutls, server, pki, ctl):
    cases = {
        "name": ("elsewhere", {}, "for another address", "credentials"),
        "other": ("elsewhere", {"TrustFile": None, "ServerFile": pki / "server.pem"},
                  "not the one expected", "credentials"),
        "authority": ("server", {"TrustFile": pki / "stranger.pem"}, "does not tell why", "handshake"),
        "expired": ("expired", {}, "does not tell why", "handshake"),
        "suites": ("server", {"CipherSuites": "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"},
                   "a libcoap with OpenSSL, this one has GnuTLS", "not-supported"),
        "constraint": ("server", {"TrustFile": None, "ServerFile": pki / "server.pem",
                                  "CertificateUsage": "service"},
                       "a libcoap with OpenSSL, this one has GnuTLS", "not-supported"),
    }
    # To GnuTLS a certificate is valid to the end of its last second.
    while time.time() < (pki / "expired.pem").stat().st_mtime + 1.5:
        time.sleep(0.05)
    servers = {}
    for name, (certificate, more, _, _) in cases.items():
        servers[name] = x509_keys(serve(make_dtls, server, pki, certificate).uri(), pki, **more)
    on_gnutls(servers, client={"HandshakeTimeout": 5})
    for number, (name, (_, _, text, code)) in enumerate(cases.items(), 101):
        status = wait_error(ctl, number, text)
        assert status["LastError"][0] == code and status["State"] == "failed", (name, status)
    assert not server.take_events("registered")


def test_wrong_psk(make_dtls, on_gnutls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    on_gnutls({"main": psk_keys(dtls.uri(), tmp_path, "ffff")}, client={"HandshakeTimeout": 3})
    wait_error(ctl, 101, "handshake")
    assert not server.take_events("registered")


def test_tls_over_tcp(request, on_gnutls, pki):
    """There libcoap has no part: all that OpenSSL can is there, cipher suites and resumption, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["coap"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pki / "server.pem", pki / "server.key")
    context.load_verify_locations(pki / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["coap"])
    tls = TcpServer(wrap=lambda s: context.wrap_socket(s, server_side=True))
    request.addfinalizer(tls.close)
    on_gnutls({"tls": x509_keys(tls.uri, pki, CipherSuites="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")})
    tls.wait_registered()
    assert tls.ask(GET, "/3303/0/5700").payload == b"21.5"
    assert tls.connection.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    tls.drop()
    tls.wait_connection(2)
    assert tls.wait_updated()[0] == 2
    assert tls.connection.session_reused
