# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of enrolments: afterwards the device has the former key with its
certificate, or the new ones, and never a mixture; it registers with them, and asks again for what
it lost.

LWM2MD_KILLS is the number of kills of the tests of the state (200); this takes a tenth of it."""
import os
import random
import subprocess
import time

KILLS = max(int(os.environ.get("LWM2MD_KILLS", "200")) // 10, 3)
EP = "urn:test:1"


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)


def make_pki(folder):
    for name in ("factory", "operator"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "1", "-subj",
                f"/CN={name}")
    for name, issuer in (("est", "factory"), ("birth", "factory"), ("server", "operator")):
        openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey",
                f"{issuer}.key", "-CAcreateserial", "-days", "1", "-out", f"{name}.pem", "-extfile",
                "ext")
    (folder / "both.pem").write_text((folder / "factory.pem").read_text() +
                                     (folder / "operator.pem").read_text())
    for file in folder.iterdir():
        file.chmod(0o600)


def enrolled_until(ctl):
    return next(s for s in ctl.json("status")["Servers"] if s["ShortId"] == 101)["EnrolledUntil"]


def test_kill_while_enrolling(make_daemon, make_server, make_dtls, tmp_path, ctl):
    make_pki(tmp_path)
    rnd = random.Random(20)
    est, server = make_server(), make_server()
    front = make_dtls(est, certificate=tmp_path / "est.pem", key=tmp_path / "est.key",
                      authority=tmp_path / "both.pem")
    dtls = make_dtls(server, certificate=tmp_path / "server.pem", key=tmp_path / "server.key",
                     authority=tmp_path / "operator.pem")

    def validity(seconds):
        est.call("est", authority=str(tmp_path / "operator.pem"), key=str(tmp_path / "operator.key"),
                 valid_s=seconds)

    validity(10000)
    daemon = make_daemon({"main": {"Uri": dtls.uri(), "SecurityMode": "est"},
                          "boot": {"Uri": front.uri(), "SecurityMode": "x509", "Bootstrap": "true",
                                   "CertificateFile": tmp_path / "birth.pem",
                                   "KeyFile": tmp_path / "birth.key",
                                   "TrustFile": tmp_path / "factory.pem", "ShortId": None,
                                   "Lifetime": None}})
    server.wait_registered(EP)
    ctl("wait", "registered", "--server=101", "--timeout=20")
    est.take_events("request")
    taken = lost = 0
    for n in range(1, KILLS + 1):
        before = enrolled_until(ctl)
        validity(10000 + 100 * n)
        ctl("server", "enroll", "101")
        if n % 2:
            time.sleep(rnd.random() * 0.03)
        else: # just when the certificate is on its way
            est.wait_event("request", path="/.well-known/est/sren", code_sent="2.04")
        daemon.kill()
        dtls.call("forget") # no session is resumed
        daemon.start()
        # Whichever it is, key and certificate fit, or there would be no session.
        ctl("wait", "registered", "--server=101", "--timeout=20")
        after = enrolled_until(ctl)
        fresh = time.time() + 10000 + 100 * n
        assert after == before or abs(after / 1e9 - fresh) < 30, (before, after)
        taken, lost = taken + (after != before), lost + (after == before)
        assert not [e for e in est.take_events("request") if e.path.endswith("/sen")]
    print(f"{taken} new, {lost} former")
    assert KILLS < 20 or (taken and lost)
    for file in daemon.state.iterdir():
        assert not file.is_file() or file.stat().st_mode & 0o077 == 0, file
