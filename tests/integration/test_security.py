# SPDX-License-Identifier: Apache-2.0
"""coaps: pre-shared keys, certificates, sessions that are resumed, and what goes wrong with them."""
import subprocess
import time

import pytest

from testserver import binary

EP = "urn:test:1"
IDENTITY = "gw:1"
KEY = "000102030405060708090a0b0c0d0e0f"
PSK = f"{IDENTITY}:{KEY}"


def psk_keys(uri, folder, key=KEY, name="gw.psk"):
    """The keys of a [Server] with a pre-shared key in a file."""
    file = folder / name
    file.write_text(f"hex:{key}\n")
    file.chmod(0o600)
    return {"Uri": uri, "SecurityMode": "psk", "Identity": IDENTITY, "KeyFile": file}


def server_of(ctl, number):
    return next(s for s in ctl.json("status")["Servers"] if s["ShortId"] == number)


def wait_error(ctl, number, text, timeout=30):
    """Waits for the server's last error to have `text`; returns the server."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        server = server_of(ctl, number)
        if text in server["LastError"][1]:
            return server
        time.sleep(0.1)
    raise AssertionError(f"no '{text}': {server}")


def events_of(bus):
    name, path = "org.lwm2md.Client1", "/org/lwm2md/Client1"
    return bus.busctl("call", name, path, f"{name}.Manager", "GetEvents", "a{sv}", "0")[0]


# --- pre-shared keys ---

def test_psk(make_daemon, make_dtls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": psk_keys(dtls.uri(), tmp_path)}, values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    handshake = dtls.wait_handshake()
    assert handshake.identity == IDENTITY
    assert handshake.cipher == "TLS_PSK_WITH_AES_128_CCM_8"
    assert not handshake.resumed
    # Both ways, large bodies, too.
    assert server.read("/3303/0/5700").text == "21.5"
    observation = server.observe("/3303/0/5700")
    ctl("set", "/3303/0/5700=22")
    assert server.wait_notify(observation.token).text == "22"
    status = server_of(ctl, 101)
    assert status["Security"] == "psk" and status["Cipher"] == handshake.cipher
    assert not status["Resumed"] and not status["ConnectionId"]
    text = ctl("status")
    assert "connection id  this build cannot: OpenSSL has none" in text and "TLS_PSK_WITH_AES_128_CCM_8" in text
    features = ctl.json("status")["Features"]
    assert {"coaps", "tls-openssl", "psk", "x509", "coap+tcp", "send", "queue-mode"} <= set(features) and "connection-id" not in features
    # The key is nowhere to be seen, and its file on disk is ours alone.
    assert KEY not in daemon.log and KEY not in text
    for command in ("read", "get"):
        assert ctl.run(command, "/0/0/5").returncode != 0
    for file in daemon.state.iterdir():
        if file.is_file():
            assert file.stat().st_mode & 0o077 == 0, file


def test_resumed_after_a_restart(make_daemon, make_dtls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": psk_keys(dtls.uri(), tmp_path)})
    server.wait_registered(EP)
    full = dtls.wait_handshake()
    ctl("wait", "registered", "--server=101") # the daemon knows, and has it on disk
    for how in ("kill", "pause"):
        if how == "kill":
            daemon.kill()
            daemon.start()
        else:
            ctl("pause")
            ctl("resume")
        # The session goes on with a short handshake, and the registration with an Update.
        short = dtls.wait_handshake()
        assert short.resumed and short.messages < full.messages
        server.wait_event("updated", endpoint=EP)
        ctl("wait", "registered", "--server=101")
        assert server_of(ctl, 101)["Resumed"]
    assert not server.take_events("registered")


def test_session_on_a_damaged_disk(make_daemon, make_dtls, server, tmp_path, ctl):
    """The session lies where keys do, for us alone; what is left of it after damage is no session,
    and costs a full handshake."""
    dtls = make_dtls(server, psk=PSK)
    daemon = make_daemon({"main": psk_keys(dtls.uri(), tmp_path)})
    server.wait_registered(EP)
    dtls.wait_handshake()
    ctl("wait", "registered", "--server=101")
    ctl("sync")
    kept = [f for f in daemon.state.rglob("*") if f.is_file() and b"session" in f.read_bytes()]
    assert kept
    for file in kept:
        assert file.stat().st_mode & 0o077 == 0, file
        assert file.parent.stat().st_mode & 0o077 == 0, file.parent
    for damage in (lambda data: data[:len(data) // 2], lambda data: bytes(len(data)),
                   lambda data: bytes(b ^ 0x55 for b in data), lambda data: b""):
        daemon.kill()
        for file in kept:
            file.write_bytes(damage(file.read_bytes()))
        daemon.start()
        assert not dtls.wait_handshake().resumed
        server.wait_event(None, lambda e: e["event"] in ("registered", "updated"))
        ctl("wait", "registered", "--server=101")
        ctl("sync")


def test_server_that_lost_the_session(make_daemon, make_dtls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    make_daemon({"main": psk_keys(dtls.uri(), tmp_path)}, values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    dtls.wait_handshake()
    ctl("wait", "registered", "--server=101")
    dtls.call("forget")
    ctl.run("update")
    # Noticed after two retransmissions, and a new handshake made with nobody's help.
    again = dtls.wait_handshake(timeout=40)
    assert not again.resumed
    server.wait_event("updated", endpoint=EP, timeout=10)
    assert not server.take_events("registered")


def test_address_that_changes(make_daemon, make_dtls, make_proxy, server, tmp_path, ctl):
    """A NAT forgets us: without a Connection ID the server cannot tell whose records those are, and
    the session goes on after a short handshake from the new address."""
    dtls = make_dtls(server, psk=PSK)
    nat = make_proxy(f"127.0.0.1:{dtls.port}")
    make_daemon({"main": psk_keys(f"coaps://127.0.0.1:{nat.port}", tmp_path)},
                values={"/3303/0/5700": "21.5"})
    server.wait_registered(EP)
    dtls.wait_handshake()
    ctl("wait", "registered", "--server=101")
    nat.rebind()
    ctl.run("update")
    assert dtls.wait_handshake(timeout=40).resumed
    server.wait_event("updated", endpoint=EP)
    assert server.read("/3303/0/5700").text == "21.5"
    assert not server.take_events("registered")


def test_server_that_closes_the_session(make_daemon, make_dtls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=PSK)
    make_daemon({"main": psk_keys(dtls.uri(), tmp_path)})
    server.wait_registered(EP)
    dtls.wait_handshake()
    ctl("wait", "registered", "--server=101")
    # What is ended in the proper way is taken up again at once.
    dtls.call("close")
    assert dtls.wait_handshake().resumed
    server.wait_event("updated", endpoint=EP)


def test_wrong_key_beside_a_good_server(make_daemon, make_dtls, make_server, tmp_path, ctl, bus):
    good, bad, silent = make_server(), make_server(), make_server()
    dtls = make_dtls(good, psk=PSK)
    other = make_dtls(bad, psk=PSK)
    mute = make_dtls(silent, psk=PSK)
    mute.call("mute")
    began = time.monotonic()
    daemon = make_daemon({"good": psk_keys(dtls.uri(), tmp_path),
                          "bad": psk_keys(other.uri(), tmp_path, "ffff", "bad.psk"),
                          "silent": psk_keys(mute.uri(), tmp_path)},
                         client={"HandshakeTimeout": 3})
    good.wait_registered(EP)
    assert time.monotonic() - began < 3 # nobody waits for the others
    status = wait_error(ctl, 102, "another key for our identity")
    assert status["State"] == "failed" and status["LastError"][0] == "credentials"
    assert wait_error(ctl, 103, "no answer to the handshake")["LastError"][0] == "timeout"
    events = [details for _, name, number, details in events_of(bus)
              if number == 102 and name == "registration-failure"]
    assert "another key for our identity" in events[0]["text"]["data"]
    assert events[0]["error"]["data"] == "credentials" and "retry-at" in events[0]
    # Once a minute in the log, however often it is tried.
    for _ in range(3):
        ctl.run("server", "register", "102")
        wait_error(ctl, 102, "another key")
    time.sleep(0.1)
    lines = [line for line in daemon.log.splitlines()
             if "warning" in line and "another key" in line and "registration-failure" in line]
    assert len(lines) == 1, lines


def test_unknown_identity_and_alert(make_daemon, make_dtls, server, tmp_path, ctl):
    dtls = make_dtls(server, psk=f"somebody:{KEY}")
    make_daemon({"main": psk_keys(dtls.uri(), tmp_path)})
    wait_error(ctl, 101, "does not know our identity")
    assert ctl("get", "/1/0/11") == "/1/0/11=115" # unknown_psk_identity


# --- certificates ---

def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(name="pki", scope="module")
def fixture_pki(tmp_path_factory):
    """An authority, another one, and what they issued: NAME.pem and NAME.key."""
    folder = tmp_path_factory.mktemp("pki")

    def issue(name, issuer, subject, alt=None, days="1"):
        openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alt}\n" if alt else "")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey",
                f"{issuer}.key", "-CAcreateserial", "-days", days, "-out", f"{name}.pem",
                "-extfile", f"{name}.ext")

    for name in ("ca", "stranger"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "1", "-subj",
                f"/CN={name}")
    issue("server", "ca", "server", "IP:127.0.0.1,DNS:localhost")
    issue("elsewhere", "ca", "elsewhere", "DNS:elsewhere.example")
    issue("expired", "ca", "server", "IP:127.0.0.1", days="0")  # OpenSSL 3.5 takes no fewer
    issue("client", "ca", EP)
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


def x509_keys(uri, pki, **more):
    return {"Uri": uri, "SecurityMode": "x509", "CertificateFile": pki / "client.pem",
            "KeyFile": pki / "client.key", "TrustFile": pki / "ca.pem", **more}


def serve(make_dtls, server, pki, name, authority="ca"):
    return make_dtls(server, certificate=pki / f"{name}.pem", key=pki / f"{name}.key",
                     authority=pki / f"{authority}.pem")


def test_x509(make_daemon, make_dtls, make_server, pki, ctl):
    good, pinned = make_server(), make_server()
    dtls = serve(make_dtls, good, pki, "server")
    other = serve(make_dtls, pinned, pki, "elsewhere")
    pin = x509_keys(other.uri(), pki, ServerFile=pki / "elsewhere.pem")
    del pin["TrustFile"]
    make_daemon({"good": x509_keys(dtls.uri("localhost"), pki), "pinned": pin},
                values={"/3303/0/5700": "21.5"})
    good.wait_registered(EP)
    pinned.wait_registered(EP)
    handshake = dtls.wait_handshake()
    assert EP in handshake.identity and handshake.sni == "localhost"
    assert handshake.cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"
    assert good.read("/3303/0/5700").text == "21.5"
    assert server_of(ctl, 101)["Security"] == "x509"


def test_certificates_that_are_refused(make_daemon, make_dtls, server, pki, ctl):
    cases = {
        "expired": (x509_keys, "expired", {}, "has expired", "expired"),
        "name": (x509_keys, "elsewhere", {}, "for another address", "credentials"),
        "authority": (x509_keys, "server", {"TrustFile": pki / "stranger.pem"},
                      "not of the authority expected", "credentials"),
        "ours": (x509_keys, "server", {}, "does not know the authority", "credentials"),
        "missing": (x509_keys, "server", {"KeyFile": pki / "nothing.key"}, "No such file", "name"),
    }
    servers = {}
    for name, (keys, certificate, more, _, _) in cases.items():
        authority = "stranger" if name == "ours" else "ca"
        dtls = serve(make_dtls, server, pki, certificate, authority)
        servers[name] = keys(dtls.uri(), pki, **more)
    make_daemon(servers)
    for number, (_, _, _, text, code) in enumerate(cases.values(), 101):
        status = wait_error(ctl, number, text)
        assert status["LastError"][0] == code and status["State"] == "failed"
    assert not server.take_events("registered")
    assert ctl("get", "/1/3/11") == "/1/3/11=48" # unknown_ca


# --- accounts at run time, and --check-config ---

def test_server_add(make_daemon, make_dtls, make_server, pki, ctl, bus):
    first, second, third = make_server(), make_server(), make_server()
    psk = make_dtls(first, psk=PSK)
    x509 = serve(make_dtls, second, pki, "server")
    named = make_dtls(third, psk=PSK)
    daemon = make_daemon({})
    # The key from the standard input, so that it stands nowhere.
    assert ctl("server", "add", psk.uri(), "--id=7", f"--identity=hex:{IDENTITY.encode().hex()}",
               "--psk-file=-", "--cipher-suite=TLS_PSK_WITH_AES_128_GCM_SHA256",
               input=f"hex:{KEY}\n") == "7"
    first.wait_registered(EP)
    assert psk.wait_handshake().cipher == "TLS_PSK_WITH_AES_128_GCM_SHA256"
    ctl("server", "add", x509.uri(), "--id=8", f"--certificate-file={pki / 'client.pem'}",
        f"--key-file={pki / 'client.key'}", f"--trust-file={pki / 'ca.pem'}")
    second.wait_registered(EP)
    # From the daemon's own folder of secrets.
    secrets = daemon.state / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "third.psk").write_text(f"hex:{KEY}")
    (secrets / "third.psk").chmod(0o600)
    name, path = "org.lwm2md.Client1", "/org/lwm2md/Client1"
    bus.busctl("call", name, path, f"{name}.Manager", "AddServer", "a{sv}", "4", "uri", "s",
               named.uri(), "short_id", "q", "9", "identity", "s", IDENTITY, "psk_file", "s",
               "third.psk")
    third.wait_registered(EP)
    for number in (7, 8, 9):
        ctl("wait", "registered", f"--server={number}")
    # They are in the state: the files are needed no more.
    (secrets / "third.psk").unlink()
    daemon.kill()
    daemon.start()
    for server in (first, second, third):
        server.wait_event("updated", endpoint=EP)
    assert KEY not in daemon.log

    for args, text in (
            (["coaps://127.0.0.1"], "the security mode is nosec"),
            (["coap://127.0.0.1", "--identity=a", "--psk-file=/dev/null"], "pre-shared key"),
            (["coaps://127.0.0.1", "--security=psk"], "no PSK identity"),
            (["coaps://127.0.0.1", "--security=wep"], "no security mode"),
            (["coaps://127.0.0.1", f"--certificate-file={pki / 'client.pem'}"], "no private key"),
            (["coaps://127.0.0.1", "--identity=hex:0"], "hexadecimal"),
            (["coaps://127.0.0.1", "--identity=base64:b*d="], "Base64"),
            (["coaps://127.0.0.1", "--identity=base64:Z3c"], "no pre-shared key")):
        run = ctl.run("server", "add", *args)
        assert run.returncode != 0 and text in run.stderr, (args, run.stderr)


def test_check_config(make_daemon, pki, tmp_path):
    good = psk_keys("coaps://localhost", tmp_path)
    cases = (
        (good, None),
        ({**good, "KeyFile": tmp_path / "none"}, "No such file"),
        ({**good, "Uri": "coap://localhost"}, "use coaps://"),
        ({**good, "Identity": "hex:6100"}, "zero byte"),
        (x509_keys("coaps://localhost", pki), None),
        (x509_keys("coaps://localhost", pki, KeyFile=pki / "server.key"), "not that of the"),
        (x509_keys("coaps://localhost", pki, TrustFile=pki / "ca.key"), "[Server main] TrustFile: not a certificate"),
        (x509_keys("coaps://localhost", pki, CipherSuites="TLS_RSA_WITH_RC4_128_MD5"),
         "no cipher suite this version has"),
    )
    for keys, problem in cases:
        daemon = make_daemon({"main": keys}, start=False)
        run = subprocess.run([binary("LWM2MD", "src/daemon/lwm2md"), "--check-config",
                              f"--config={daemon.config}", f"--state-dir={daemon.state}"],
                             capture_output=True, text=True, timeout=30, check=False)
        assert (run.returncode == 0) == (problem is None), run.stderr
        assert problem is None or problem in run.stderr, run.stderr
