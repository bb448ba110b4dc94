# SPDX-License-Identifier: Apache-2.0
"""Private keys that stay in a token: a software TPM with tpm2-openssl, and SoftHSM with pkcs11-provider.
Each part is skipped where its packages are missing (Debian 12 has the TPM's, Debian 13 both)."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from tcpserver import TcpServer, queries
from test_security import server_of, wait_error

EP = "urn:test:1"
LIBRARIES = Path("/usr/lib") / (sysconfig.get_config_var("MULTIARCH") or "")
SOFTHSM = [p for p in (Path("/usr/lib/softhsm/libsofthsm2.so"), LIBRARIES / "softhsm/libsofthsm2.so")
           if p.exists()]


def needs(provider, *programs):
    """Skips what cannot be run here, and says what it would take."""
    missing = [p for p in programs if not shutil.which(p)]
    if not (LIBRARIES / "ossl-modules" / f"{provider}.so").exists():
        missing.append(f"OpenSSL's provider {provider}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(folder, *argv, env=None):
    done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def authority(folder):
    """ca.pem, and server.pem with server.key of it."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    run(folder, "openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    run(folder, "openssl", "req", "-x509", *key, "-keyout", "server.key", "-out", "server.pem", "-subj",
        "/CN=server", "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE")
    return folder


def enrol(folder, name, key, provider, env, *more):
    """A certificate NAME.pem for a key in a token."""
    run(folder, "openssl", "req", "-new", "-provider", "default", "-provider", provider, "-propquery",
        f"?provider={provider}", "-key", key, "-subj", f"/CN={EP}", "-out", f"{name}.csr", *more, env=env)
    run(folder, "openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "1", "-out", f"{name}.pem")


def free_ports():
    """Two ports one behind the other, as swtpm's TCTI wants them."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


class Tpm:
    """A software TPM with persistent keys: 0x81000001, and 0x81000002 and 3 with the password `secret`."""

    def __init__(self, folder):
        self.folder = authority(folder)
        (folder / "tpm").mkdir()
        self.process = None
        self.port = free_ports()
        self.tcti = f"swtpm:host=127.0.0.1,port={self.port}"
        self.env = {"TPM2TOOLS_TCTI": self.tcti, "TPM2OPENSSL_TCTI": self.tcti}
        self.start()
        self.tool("createprimary", "-C", "o", "-G", "ecc", "-c", "primary")
        self.tool("flushcontext", "-t")
        self.add("0x81000001")
        self.add("0x81000002", "-p", "secret")
        self.add("0x81000003", "-p", "secret")
        enrol(folder, "plain", "handle:0x81000001", "tpm2", self.env)
        for name, handle in (("locked", "0x81000002"), ("other", "0x81000003")):
            enrol(folder, name, f"handle:{handle}?pass", "tpm2", self.env, "-passin", "pass:secret")

    def start(self):
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'tpm'}", "--server",
             f"type=tcp,port={self.port},bindaddr=127.0.0.1", "--ctrl",
             f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1", "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port + 1)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < end, "swtpm does not listen"
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(20)

    def tool(self, name, *args):
        run(self.folder, f"tpm2_{name}", *args, env=self.env)

    def add(self, handle, *password):
        self.tool("create", "-C", "primary", "-G", "ecc:ecdsa", "-u", "pub", "-r", "priv", "-a",
                  "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", *password)
        self.tool("flushcontext", "-t")
        self.tool("load", "-C", "primary", "-u", "pub", "-r", "priv", "-c", "key")
        self.tool("evictcontrol", "-C", "o", "-c", "key", handle)
        self.tool("flushcontext", "-t")

    def keys(self, uri, handle="handle:0x81000001", certificate="plain"):
        return {"Uri": uri, "SecurityMode": "x509", "KeyFile": f"store:{handle}", "CertificateFile":
                self.folder / f"{certificate}.pem", "TrustFile": self.folder / "ca.pem"}

    def security(self, **more):
        return {"Providers": "tpm2", "Tcti": self.tcti, **more}

    def serve(self, make_dtls, server):
        return make_dtls(server, certificate=self.folder / "server.pem", key=self.folder / "server.key",
                         authority=self.folder / "ca.pem")


@pytest.fixture(name="tpm")
def fixture_tpm(tmp_path):
    needs("tpm2", "swtpm", "tpm2_create")
    (tmp_path / "pki").mkdir()
    tpm = Tpm(tmp_path / "pki")
    yield tpm
    tpm.stop()


def test_dtls_with_a_key_in_the_tpm(tpm, make_daemon, make_dtls, server, ctl):
    dtls = tpm.serve(make_dtls, server)
    daemon = make_daemon({"main": tpm.keys(dtls.uri())}, values={"/3303/0/5700": "21.5"}, Security=tpm.security())
    server.wait_registered(EP)
    handshake = dtls.wait_handshake()
    assert EP in handshake.identity and handshake.cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"
    assert server.read("/3303/0/5700").text == "21.5"
    assert server_of(ctl, 101)["Security"] == "x509"
    ctl("wait", "registered", "--server=101")
    # Over a restart, with a session that needs no signature, and with the TPM away.
    tpm.stop()
    daemon.kill()
    daemon.start()
    wait_error(ctl, 101, "cannot be loaded")
    tpm.start()
    tested = ctl.run("server", "test", "101")
    assert tested.returncode == 0, tested.stdout
    server.wait_event("updated", endpoint=EP)


def test_tls_with_a_key_in_the_tpm(tpm, make_daemon, ctl):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["coap"])
    context.load_cert_chain(tpm.folder / "server.pem", tpm.folder / "server.key")
    context.load_verify_locations(tpm.folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["coap"])
    tls = TcpServer(wrap=lambda s: context.wrap_socket(s, server_side=True))
    try:
        make_daemon({"tls": tpm.keys(tls.uri)}, Security=tpm.security())
        assert "b=T" in queries(tls.wait_registered()[1])
        assert server_of(ctl, 101)["Security"] == "x509"
    finally:
        tls.close()


def test_what_goes_wrong_with_a_tpm(tpm, make_daemon, make_dtls, make_server, tmp_path, ctl):
    good = make_server()
    dtls = tpm.serve(make_dtls, good)
    (tmp_path / "pin").write_text("secret\n")
    (tmp_path / "wrong").write_text("guess\n")
    for name in ("pin", "wrong"):
        (tmp_path / name).chmod(0o600)
    locked = "handle:0x81000002?pass"
    cases = {
        # Each has the text that LastError, `server test` and the log have.
        "none": ("handle:0x81000009", "plain", "'handle:0x81000009': there is no such private key"),
        "other": ("handle:0x81000001", "locked", "is not that of the certificate"),
        "no-pin": ("handle:0x81000003?pass", "other", "'handle:0x81000003' asks for a PIN, and there is none"),
        "wrong-pin": (f"handle:0x81000003?pass&pin-source=file:{tmp_path / 'wrong'}", "other",
                      "'handle:0x81000003' cannot sign, the PIN may be wrong"),
        "pkcs11": ("pkcs11:token=gw;object=dev", "plain", "no provider knows such URIs (Providers of [Security]: tpm2)"),
        "pin": (f"{locked}&pin-source=file:{tmp_path / 'pin'}", "locked", None),
    }
    servers = {name: tpm.keys(dtls.uri(), handle, certificate)
               for name, (handle, certificate, _) in cases.items()}
    daemon = make_daemon(servers, Security=tpm.security())
    good.wait_registered(EP)
    for number, (name, (_, _, text)) in enumerate(cases.items(), 101):
        if text:
            assert wait_error(ctl, number, text)["State"] == "failed", name
            tested = ctl.run("server", "test", str(number))
            if name == "wrong-pin": # it is not given again, for a TPM locks itself
                text = "'handle:0x81000003': the PIN was refused; it is not tried again"
            assert tested.returncode != 0 and text in tested.stdout, (name, tested.stdout)
    assert "guess" not in daemon.log and "secret" not in daemon.log
    (tmp_path / "wrong").write_text("secret\n")
    ctl("server", "test", "104")
    good.wait_registered(EP)


def test_a_tpm_that_does_not_answer(tpm, make_daemon, make_dtls, make_server, ctl):
    slow, other = make_server(), make_server()
    dtls = tpm.serve(make_dtls, slow)
    os.kill(tpm.process.pid, signal.SIGSTOP)
    make_daemon({"tpm": tpm.keys(dtls.uri()), "other": other.uri}, values={"/3303/0/5700": "21.5"},
                client={"HandshakeTimeout": "2s"}, Security=tpm.security())
    # Nobody else waits for it.
    other.wait_registered(EP, timeout=2)
    assert other.read("/3303/0/5700").text == "21.5"
    status = wait_error(ctl, 101, "the token has not answered in time")
    assert status["LastError"][0] == "timeout"
    os.kill(tpm.process.pid, signal.SIGCONT)
    tested = ctl.run("server", "test", "101")
    assert tested.returncode == 0, tested.stdout
    slow.wait_registered(EP)


def test_a_tpm_key_over_the_bus(tpm, make_daemon, make_dtls, server, ctl):
    dtls = tpm.serve(make_dtls, server)
    make_daemon({}, Security=tpm.security())
    assert ctl("server", "add", dtls.uri(), "--id=7", "--key-file=store:handle:0x81000001",
               f"--certificate-file={tpm.folder / 'plain.pem'}", f"--trust-file={tpm.folder / 'ca.pem'}").strip() == "7"
    server.wait_registered(EP)
    for uri in ("store:", "store:x", "store:handle:0x8 1"):
        bad = ctl.run("server", "add", dtls.uri(), f"--key-file={uri}", "--certificate-file",
                      str(tpm.folder / "plain.pem"), f"--trust-file={tpm.folder / 'ca.pem'}")
        assert bad.returncode != 0 and "needs a URI" in bad.stderr, bad.stderr


# --- PKCS#11 ---

class Hsm:
    """A SoftHSM token `gw` with the PIN 1234 and the key `dev`."""

    def __init__(self, folder):
        self.folder = authority(folder)
        (folder / "tokens").mkdir()
        (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
        (folder / "pin").write_text("1234")
        (folder / "pin").chmod(0o600)
        self.env = {"SOFTHSM2_CONF": str(folder / "softhsm.conf"), "PKCS11_PROVIDER_MODULE": str(SOFTHSM[0])}
        run(folder, "softhsm2-util", "--init-token", "--free", "--label", "gw", "--pin", "1234", "--so-pin", "5678",
            env=self.env)
        run(folder, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256", "-out", "dev.key")
        run(folder, "softhsm2-util", "--import", "dev.key", "--token", "gw", "--label", "dev", "--id", "01", "--pin",
            "1234", env=self.env)
        # With the key itself: openssl 3.5 may crash at its end with SoftHSM, which uses OpenSSL, too.
        run(folder, "openssl", "req", "-x509", "-key", "dev.key", "-out", "dev.pem", "-days", "1", "-subj", f"/CN={EP}",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
        (folder / "dev.key").unlink()

    def keys(self, uri, key="pkcs11:token=gw;object=dev;type=private"):
        return {"Uri": uri, "SecurityMode": "x509", "KeyFile": key, "CertificateFile": self.folder / "dev.pem",
                "TrustFile": self.folder / "ca.pem"}


@pytest.fixture(name="hsm")
def fixture_hsm(tmp_path, monkeypatch):
    needs("pkcs11", "softhsm2-util")
    if not SOFTHSM:
        pytest.skip("not installed: libsofthsm2.so")
    (tmp_path / "pki").mkdir()
    hsm = Hsm(tmp_path / "pki")
    monkeypatch.setenv("SOFTHSM2_CONF", hsm.env["SOFTHSM2_CONF"])
    return hsm


def test_keys_in_a_pkcs11_token(hsm, make_daemon, make_dtls, make_server, tmp_path, ctl):
    good, other = make_server(), make_server()
    dtls = make_dtls(good, certificate=hsm.folder / "server.pem", key=hsm.folder / "server.key",
                     authority=hsm.folder / "ca.pem")
    (tmp_path / "wrong").write_text("9999")
    (tmp_path / "wrong").chmod(0o600)
    cases = {
        "wrong-pin": (f"pkcs11:token=gw;object=dev;type=private?pin-source=file:{tmp_path / 'wrong'}",
                      "the PIN was refused"),
        "in-uri": ("pkcs11:token=gw;object=dev?pin-value=1234", "a PIN in the URI (pin-value) is not taken"),
        "token": ("pkcs11:token=none;object=dev;type=private", "'pkcs11:token=none;object=dev;type=private': no such token"),
        "handle": ("store:handle:0x81000001", "no provider knows such URIs (Providers of [Security]: pkcs11)"),
        "good": ("pkcs11:token=gw;object=dev;type=private", None),
    }
    servers = {name: hsm.keys(dtls.uri(), uri) for name, (uri, _) in cases.items()}
    daemon = make_daemon({**servers, "plain": other.uri}, values={"/3303/0/5700": "21.5"}, Security={
        "Providers": "pkcs11", "Pkcs11Module": SOFTHSM[0], "PinFile": hsm.folder / "pin"})
    good.wait_registered(EP)
    assert EP in dtls.wait_handshake().identity
    for number, (name, (_, text)) in enumerate(cases.items(), 101):
        if text:
            assert wait_error(ctl, number, text)["State"] == "failed", name
    assert "9999" not in daemon.log and "1234" not in daemon.log
    missing = ctl.run("server", "add", dtls.uri(), "--id=9", "--key-file=pkcs11:token=gw;object=no;type=private",
                      f"--certificate-file={hsm.folder / 'dev.pem'}", f"--trust-file={hsm.folder / 'ca.pem'}")
    assert missing.returncode == 0
    wait_error(ctl, 9, "there is no such private key")
