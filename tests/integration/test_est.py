# SPDX-License-Identifier: Apache-2.0
"""Security mode 4: the device makes a key, the EST server (RFC 9148) certifies it, and with that it
registers. Two authorities: the factory, which has issued the certificate the device was born with
and that of the bootstrap server, and the operator, behind the EST server and the LwM2M server."""
import subprocess
import time

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm
from testserver import binary

EP = "urn:test:1"


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(name="pki", scope="module")
def fixture_pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")

    def issue(name, issuer, subject, alt=None):
        openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alt}\n" if alt else "")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey",
                f"{issuer}.key", "-CAcreateserial", "-days", "1", "-out", f"{name}.pem",
                "-extfile", f"{name}.ext")

    for name in ("factory", "operator"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "1", "-subj",
                f"/CN={name}")
    issue("bootstrap", "factory", "bootstrap", "IP:127.0.0.1")
    issue("server", "operator", "server", "IP:127.0.0.1")
    issue("birth", "factory", "serial-4711")
    (folder / "both.pem").write_text((folder / "factory.pem").read_text() +
                                     (folder / "operator.pem").read_text())
    for file in folder.iterdir():
        file.chmod(0o600)
    return folder


def birth_keys(uri, pki, **more):
    return {"Uri": uri, "SecurityMode": "x509", "CertificateFile": pki / "birth.pem",
            "KeyFile": pki / "birth.key", "TrustFile": pki / "factory.pem", **more}


class Field:
    """An EST server that is the bootstrap server, too, and an LwM2M server, both behind DTLS."""

    def __init__(self, make_server, make_dtls, pki):
        self.pki = pki
        self.est, self.server = make_server(), make_server()
        self.est_dtls = make_dtls(self.est, certificate=pki / "bootstrap.pem",
                                  key=pki / "bootstrap.key", authority=pki / "both.pem")
        self.dtls = make_dtls(self.server, certificate=pki / "server.pem", key=pki / "server.key",
                              authority=pki / "operator.pem")
        self.set()

    def set(self, **how):
        self.est.call("est", authority=str(self.pki / "operator.pem"),
                      key=str(self.pki / "operator.key"), **how)

    def servers(self, **more):
        return {"main": {"Uri": self.dtls.uri(), "SecurityMode": "est", **more},
                "boot": birth_keys(self.est_dtls.uri(), self.pki, Bootstrap="true", ShortId=None,
                                   Lifetime=None)}

    def wait_est(self, name, timeout=15, **fields):
        return self.est.wait_event("request", timeout=timeout, path=f"/.well-known/est/{name}", **fields)


@pytest.fixture(name="field")
def fixture_field(make_server, make_dtls, pki):
    return Field(make_server, make_dtls, pki)


def accept_of(request):
    return next((int(o["hex"], 16) for o in request.options if o["number"] == 17), None)


def server_of(ctl, number=101):
    return next((s for s in ctl.json("status")["Servers"] if s["ShortId"] == number), None)


def wait_for(ctl, good, timeout=20):
    """Waits until the server shows what is wanted."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        server = server_of(ctl)
        if server and good(server):
            return server
        time.sleep(0.05)
    raise AssertionError(server)


def events_of(bus, *names):
    name, path = "org.lwm2md.Client1", "/org/lwm2md/Client1"
    events = bus.busctl("call", name, path, f"{name}.Manager", "GetEvents", "a{sv}", "0")[0]
    return [(e[1], {k: v["data"] for k, v in e[3].items()}) for e in events if e[1] in names]


def no_secrets_outside(daemon):
    for file in daemon.state.iterdir():
        if file.is_file():
            assert file.stat().st_mode & 0o077 == 0, file
    assert "PRIVATE" not in daemon.log


def test_enrolled_then_registered(make_daemon, field, ctl, bus):
    daemon = make_daemon(field.servers(), values={"/3303/0/5700": "21.5"})
    # With what the device was born with: authorities, attributes, certificate.
    assert "serial-4711" in field.est_dtls.wait_handshake().identity
    assert accept_of(field.wait_est("crts")) == 281
    assert field.wait_est("att").code_sent == "4.04"
    request = field.wait_est("sen")
    assert request.method == "POST" and request.format == 286 and request.code_sent == "2.04"
    assert request.subject == EP and request.curve == "prime256v1" and request.digest == "SHA256"
    # The server trusts that, and we trust the server for its authority: 0/x/4 is empty.
    field.server.wait_registered(EP)
    assert EP in field.dtls.wait_handshake().identity
    assert field.server.read("/3303/0/5700").text == "21.5"
    server = wait_for(ctl, lambda s: s["State"] == "registered")
    assert server["Security"] == "est" and server["Enrolment"] == "enrolled"
    assert server["EnrolledBy"] == "operator" and server["LastError"] == ["", ""]
    left = server["EnrolledUntil"] / 1e9 - time.time()
    assert 3400 < left <= 3600, left
    assert "by operator" in ctl("server", "list") and "operator" in ctl("status")
    [(_, details)] = events_of(bus, "est-enrolled")
    assert details["subject"] == EP and details["issuer"] == "operator"
    assert int(details["until"]) == server["EnrolledUntil"]
    no_secrets_outside(daemon)
    for path in ("/0", "/0/1/5"):
        assert ctl.run("read", path).returncode != 0
    assert "est" in ctl.json("status")["Features"]
    # A restart asks nobody for anything.
    field.est.take_events("request")
    daemon.kill()
    daemon.start()
    field.server.wait_event("updated", endpoint=EP)
    assert not field.est.take_events("request")
    assert server_of(ctl)["EnrolledUntil"] == server["EnrolledUntil"]


def test_after_a_bootstrap(make_daemon, field, ctl):
    servers = field.servers()
    del servers["main"]
    make_daemon(servers)
    field.est.wait_event("bootstrap")
    account = {"/0/7/0": field.dtls.uri(), "/0/7/1": False, "/0/7/2": 4, "/0/7/3": b"", "/0/7/4": b"",
               "/0/7/5": b"", "/0/7/10": 101}
    server = {"/1/0/0": 101, "/1/0/1": 300, "/1/0/6": True, "/1/0/7": "U"}
    for path, values in (("/0", account), ("/1", server)):
        assert field.est.write(path, hex=fm.senml_encode(values).hex(),
                               format="senml-json").code == "2.04"
    # Not before Finish, whose check of consistency takes the mode.
    assert not field.est.take_events("request")
    assert field.est.call("finish").code == "2.04"
    field.wait_est("sen")
    field.server.wait_registered(EP)
    assert server_of(ctl)["Security"] == "est"


def test_enroll_again(make_daemon, field, ctl, bus):
    daemon = make_daemon(field.servers(), values={"/3303/0/5700": "21.5"})
    field.server.wait_registered(EP)
    first = wait_for(ctl, lambda s: s["State"] == "registered")
    field.est_dtls.take_events("handshake")
    field.set(valid_s=7200)
    ctl("server", "enroll", "101")
    # With the certificate there is, and for another key.
    assert EP in field.est_dtls.wait_handshake().identity
    field.wait_est("sren", code_sent="2.04")
    second = wait_for(ctl, lambda s: s["EnrolledUntil"] > first["EnrolledUntil"])
    # The registration goes on; the next session is made with the new one, in full.
    assert second["State"] == "registered" and not field.server.take_events("deregistered")
    assert field.server.read("/3303/0/5700").text == "21.5"
    field.dtls.take_events("handshake")
    ctl("pause")
    ctl("resume")
    assert not field.dtls.wait_handshake().resumed
    field.server.wait_event("updated", endpoint=EP)
    assert [n for n, _ in events_of(bus, "est-enrolled", "est-failed")] == ["est-enrolled"] * 2
    no_secrets_outside(daemon)


def test_renewed_in_time(make_daemon, field, ctl):
    field.set(valid_s=6, from_s=0)
    make_daemon(field.servers(), Est={"RenewInterval": "1s", "RenewAt": "50"})
    field.server.wait_registered(EP)
    first = wait_for(ctl, lambda s: s["EnrolledUntil"] > 0)["EnrolledUntil"]
    field.wait_est("sren", timeout=6)
    second = wait_for(ctl, lambda s: s["EnrolledUntil"] > first)["EnrolledUntil"]
    field.wait_est("sren", timeout=6)
    wait_for(ctl, lambda s: s["EnrolledUntil"] > second)
    assert not field.server.take_events("deregistered")


def test_certificate_that_ends(make_daemon, field, ctl, bus):
    """The EST server is away: the certificate is used as long as it is valid, and then no more."""
    field.set(valid_s=4, from_s=0)
    make_daemon(field.servers(), Est={"RenewInterval": "1s", "RenewAt": "50"})
    field.server.wait_registered(EP)
    field.est_dtls.call("mute")
    server = wait_for(ctl, lambda s: s["EnrolledUntil"] and s["EnrolledUntil"] / 1e9 < time.time())
    assert server["State"] == "registered" # a session does not end with the certificate
    ctl("pause")
    ctl("resume")
    wait_for(ctl, lambda s: "no certificate that is valid" in s["LastError"][1])
    # The next one is used at once.
    field.set()
    field.est_dtls.call("unmute")
    ctl("pause")
    ctl("resume")
    wait_for(ctl, lambda s: s["State"] == "registered")


@pytest.mark.parametrize("how,text", [
    ("other-key", "for another key than ours"), ("stranger", "not one of the EST server's authorities"),
    ("past", "not valid now"), ("future", "not valid now"), ("garbage", "not a bag of certificates"),
    ("many", "100 certificates"), ("big", "EstBody"), ("empty", "without content"),
    ("no-authorities", "")])
def test_hostile_server(make_daemon, field, ctl, bus, how, text):
    field.set(answer=how)
    daemon = make_daemon(field.servers())
    server = wait_for(ctl, lambda s: s["LastError"][1] or s["LastError"][0])
    assert text in server["LastError"][1], server
    if how == "no-authorities":
        assert server["LastError"][0] == "4.04"
    assert server["State"] == "failed" and server["Enrolment"] == "retrying"
    assert server["EnrolledUntil"] == 0 and not field.server.take_events("registered")
    name, details = events_of(bus, "est-failed")[0]
    assert text in details["text"] and int(details["retry-at"]) > time.time() * 1e9
    # Put right, all goes well.
    field.set()
    ctl("server", "enroll", "101")
    field.server.wait_registered(EP)
    if how != "other-key":
        return
    # And what was there stays when the next one is of no use.
    before = wait_for(ctl, lambda s: s["State"] == "registered")["EnrolledUntil"]
    field.set(answer=how)
    ctl("server", "enroll", "101")
    wait_for(ctl, lambda s: s["Enrolment"] == "retrying")
    assert server_of(ctl)["EnrolledUntil"] == before
    daemon.kill()
    daemon.start()
    field.server.wait_event("updated", endpoint=EP)
    assert server_of(ctl)["EnrolledUntil"] == before


def test_refused(make_daemon, field, ctl, bus):
    field.est.call("rule", on="request", match={"path": "/.well-known/est/sen"}, code="4.03",
                   payload="not on the list", times=1)
    make_daemon(field.servers())
    server = wait_for(ctl, lambda s: s["LastError"][0] == "4.03")
    assert server["LastError"][1] == "not on the list"
    ctl("server", "enroll", "101")
    field.server.wait_registered(EP)
    assert server_of(ctl)["LastError"] == ["", ""]


def test_delayed(make_daemon, field, ctl, bus):
    """5.03 with Max-Age: the server has the request, and gets the same again later."""
    field.est.call("rule", on="request", match={"path": "/.well-known/est/sen"}, code="5.03", max_age=1,
                   times=2)
    daemon = make_daemon(field.servers())
    first = field.wait_est("sen", code_sent="5.03")
    server = wait_for(ctl, lambda s: s["Enrolment"] == "delayed")
    assert server["State"] == "enrolling" and server["LastError"] == ["", ""]
    daemon.kill() # the key is kept
    daemon.start()
    second = field.wait_est("sen", code_sent="5.03")
    third = field.wait_est("sen", code_sent="2.04")
    field.server.wait_registered(EP)
    # An ECDSA signature is another each time; the request up to it is the same.
    assert first.payload[8:250] == second.payload[8:250] == third.payload[8:250]
    delayed = [d for n, d in events_of(bus, "est-delayed")]
    assert delayed and int(delayed[-1]["retry-at"]) > 0


def test_attributes_and_single_certificates(make_daemon, field, ctl):
    # CsrAttrs: id-ecPublicKey with secp384r1, ecdsa-with-SHA384, challengePassword (not known here)
    field.set(answer="single", attributes="3029" "301206072a8648ce3d0201310706052b81040022"
              "06082a8648ce3d040303" "06092a864886f70d010907")
    make_daemon(field.servers())
    request = field.wait_est("sen", code_sent="2.04")
    assert request.curve == "secp384r1" and request.digest == "SHA384"
    assert accept_of(request) == 287
    field.server.wait_registered(EP)


def test_pre_shared_key(make_daemon, make_server, make_dtls, field, pki, tmp_path, ctl):
    """The bootstrap server's account is of whatever kind; what it secures is good for EST."""
    key = tmp_path / "boot.psk"
    key.write_text("hex:00112233445566778899aabbccddeeff\n")
    key.chmod(0o600)
    dtls = make_dtls(field.est, psk="boot:00112233445566778899aabbccddeeff")
    servers = field.servers()
    servers["boot"] = {"Uri": dtls.uri(), "Bootstrap": "true", "ShortId": None, "Lifetime": None,
                       "SecurityMode": "psk", "Identity": "boot", "KeyFile": key}
    make_daemon(servers)
    field.wait_est("sen", code_sent="2.04")
    field.server.wait_registered(EP)
    ctl("server", "enroll", "101")
    field.wait_est("sren", code_sent="2.04")


def test_est_server_of_its_own(make_daemon, field, pki, ctl):
    est = birth_keys(field.est_dtls.uri() + "/.well-known/est", pki, Curve="P-384",
                     IgnoreAttributes="true")
    servers = field.servers(TrustFile=pki / "operator.pem")
    del servers["boot"]
    make_daemon(servers, Est=est)
    assert field.wait_est("sen", code_sent="2.04").curve == "secp384r1"
    field.server.wait_registered(EP)
    assert not [e for e in field.est.take_events("request") if e.path.endswith("/att")]


def test_discovery(make_daemon, field):
    """Not where it is used to be: the server tells where (RFC 9148, 4.1)."""
    field.set(path="/e/")
    field.est.call("rule", on="request", match={"path": "/.well-known/core"}, code="2.05", format=40,
                   payload='</e/crts>;rt="ace.est.crts",</e/sen>;rt="ace.est.sen",</e/sren>;rt="ace.est.sren"')
    make_daemon(field.servers())
    assert field.wait_est("crts").code_sent == "4.04"
    assert field.est.wait_event("request", path="/.well-known/core").queries == ["rt=ace.est*"]
    field.est.wait_event("request", path="/e/sen", code_sent="2.04")
    field.server.wait_registered(EP)


def test_no_est_server(make_daemon, make_server, field, ctl):
    plain = make_server()
    servers = field.servers()
    servers["boot"] = {"Uri": plain.uri, "Bootstrap": "true", "ShortId": None, "Lifetime": None}
    make_daemon(servers)
    server = wait_for(ctl, lambda s: s["LastError"][1])
    assert "without security" in server["LastError"][1] and server["Enrolment"] == "given-up"
    # Another account: it is tried again by itself.
    ctl("server", "remove", "bootstrap")
    wait_for(ctl, lambda s: "no EST server is known" in s["LastError"][1] or
             s["Enrolment"] == "given-up")
    ctl("server", "add", "--bootstrap", field.est_dtls.uri(), "--security=x509",
        f"--certificate-file={field.pki / 'birth.pem'}", f"--key-file={field.pki / 'birth.key'}",
        f"--trust-file={field.pki / 'factory.pem'}")
    field.server.wait_registered(EP)


def test_server_add(make_daemon, make_server, field, client, ctl):
    plain = make_server()
    servers = {"plain": plain.uri, "boot": field.servers()["boot"]}
    make_daemon(servers)
    plain.wait_registered(EP)
    assert "they are made here" in ctl.run("server", "add", field.dtls.uri(), "--id=9", "--security=est",
                                           f"--certificate-file={field.pki / 'birth.pem'}",
                                           f"--key-file={field.pki / 'birth.key'}").stderr
    assert ctl("server", "add", field.dtls.uri(), "--id=9", "--security=est").strip() == "9"
    field.server.wait_registered(EP)
    ctl("wait", "registered", "--server=9")
    steps = ctl.json("server", "test", "9")
    assert all(s["result"] != "failed" for s in steps), steps
    # Not for others, and what it has is gone with it.
    with pytest.raises(DBusError) as caught:
        client.call("Server", "Enroll", "a{sv}", {}, path="/org/lwm2md/Client1/server/101")
    assert "by EST" in caught.value.text
    ctl("server", "remove", "9")
    field.server.wait_event("deregistered")
    field.est.take_events("request")
    ctl("server", "add", field.dtls.uri(), "--id=9", "--security=est")
    field.wait_est("sen", code_sent="2.04")


def check(daemon):
    return subprocess.run([binary("LWM2MD", "src/daemon/lwm2md"), "--check-config",
                           f"--config={daemon.config}", f"--state-dir={daemon.state}"],
                          capture_output=True, text=True, timeout=30, check=False)


def test_factory_reset(make_daemon, field, client, ctl):
    """What is forgotten is forgotten: another key, certified anew."""
    daemon = make_daemon(field.servers())
    field.server.wait_registered(EP)
    ctl("wait", "registered", "--server=101")
    field.est.take_events("request")
    client.call("Manager", "FactoryReset", "a{sv}", {"keep_servers": Variant("b", True)})
    field.wait_est("sen", code_sent="2.04")
    field.server.wait_registered(EP)
    ctl("wait", "registered", "--server=101")
    field.est.take_events("request")
    daemon.kill()
    daemon.start()
    ctl("wait", "registered", "--server=101")
    assert not field.est.take_events("request")


def test_check_config(make_daemon, field, pki):
    for est, error in (
            ({"Uri": "coap://127.0.0.1"}, "coaps:// or coaps+tcp:// only"),
            ({"Uri": "coaps://127.0.0.1/a//b"}, "plain segments"),
            ({"Curve": "P-224"}, "not P-256, P-384 or P-521"),
            ({"RenewAt": "96"}, "out of range"),
            ({"KeyFile": pki / "birth.key", "CertificateFile": pki / "bootstrap.pem",
              "TrustFile": pki / "factory.pem", "Uri": "coaps://127.0.0.1"}, "not that of the"),
            ({}, None)):
        daemon = make_daemon(field.servers(), start=False, Est=est)
        run = check(daemon)
        assert (run.returncode == 0) == (error is None), (est, run.stderr)
        assert error is None or error in run.stderr, (est, run.stderr)
    servers = field.servers()
    servers["boot"] = {"Uri": field.est_dtls.uri(), "SecurityMode": "est", "Bootstrap": "true",
                       "ShortId": None, "Lifetime": None}
    run = check(make_daemon(servers, start=False))
    assert run.returncode != 0 and "cannot be in security mode est" in run.stderr
