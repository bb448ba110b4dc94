# SPDX-License-Identifier: Apache-2.0
"""The link with the bootstrap server: its security, and what a user sees of a bootstrap."""
import json

import pytest

from test_bootstrap import BOOT, boot_config, finish, give, give_account, security, server_object
from test_security import IDENTITY, PSK, psk_keys

EP = "urn:test:1"


@pytest.fixture(name="bs")
def fixture_bs(make_server):
    return make_server()


def boot_of(ctl):
    return next(s for s in ctl.json("server", "list") if s["Name"] == "bootstrap")


def follow(ctl, *args):
    return ctl.start("--json", "bootstrap", *args)


def steps(run):
    """What `lwm2mctl --json bootstrap` has printed, by step; the exit code."""
    out = run.communicate(timeout=30)[0]
    return [json.loads(line) for line in out.splitlines()], run.returncode


# --- security

def test_session_is_kept(make_daemon, make_dtls, bs, server, tmp_path, ctl):
    dtls = make_dtls(bs, psk=PSK)
    daemon = make_daemon(boot_config(bs, **psk_keys(dtls.uri(), tmp_path)))
    bs.wait_event("bootstrap")
    full = dtls.wait_handshake()
    boot = boot_of(ctl)
    assert boot["Security"] == "psk" and boot["Cipher"] == full.cipher
    assert not full.resumed and not boot["Resumed"] and not boot["ConnectionId"]
    assert ctl("server", "list").endswith(f"  psk {full.cipher}") and "connection id  " in ctl("status")
    give_account(bs, server)
    assert finish(bs).code == "2.04"
    server.wait_registered(EP)
    for how in ("again", "kill"):
        ctl("wait", "registered", "--server=101")  # the daemon knows, and has it on disk
        if how == "kill":
            daemon.kill()
            daemon.start()
            server.wait_event("updated")
        run = follow(ctl)
        bs.wait_event("bootstrap")
        short = dtls.wait_handshake()
        assert short.resumed and short.messages < full.messages
        assert boot_of(ctl)["Resumed"] and f"psk {full.cipher} resumed" in ctl("server", "list")
        assert finish(bs).code == "2.04"
        found, status = steps(run)
        assert status == 0
        asking = next(s for s in found if s["step"] == "asking")
        assert asking["resumed"] and asking["cipher"] == full.cipher and asking["peer"]
        server.wait_event("registered")
    # It goes with its account.
    ctl("server", "remove", "bootstrap")
    ctl("server", "add", "--bootstrap", f"--identity={IDENTITY}", f"--psk-file={tmp_path / 'gw.psk'}", dtls.uri())
    ctl("bootstrap", "--no-wait")
    assert not dtls.wait_handshake().resumed


def test_alert_is_told(make_daemon, make_dtls, bs, tmp_path, ctl):
    dtls = make_dtls(bs, psk="somebody-else:00")
    make_daemon(boot_config(bs, **psk_keys(dtls.uri(), tmp_path)), start=True)
    ctl("wait", "failed", "--server=bootstrap", "--timeout=20s")
    code, text = boot_of(ctl)["LastError"]
    assert code == "credentials" and text == "the server does not know our identity (alert 115)"
    found, status = steps(follow(ctl))
    assert status == 1
    failed = found[-1]
    assert failed["step"] == "failed" and "(alert 115)" in failed["text"] and failed["retry-at"] > 0


# --- lwm2mctl bootstrap

@pytest.fixture(name="known")
def fixture_known(make_daemon, bs, server):
    """A daemon with the bootstrap server's account, registered elsewhere."""
    daemon = make_daemon({"main": server.uri, **boot_config(bs)})
    server.wait_registered(EP)
    return daemon


def test_followed_to_the_end(known, bs, server, ctl):
    run = follow(ctl)
    bs.wait_event("bootstrap")
    give(bs, "/0", security(server.uri, 7))
    refused = finish(bs)
    assert refused.code == "4.06" and "/0/1/10" in refused.text
    bs.delete("/0")
    bs.delete("/1")
    give_account(bs, server, ssid=7)
    assert finish(bs).code == "2.04"
    found, status = steps(run)
    assert status == 0
    assert [s["step"] for s in found] == ["connecting", "asking", "accepted", "rejected", "complete"]
    assert found[3]["error"] == "inconsistent" and "/0/1/10" in found[3]["text"]
    assert found[4]["servers"] == [{"server": "7", "uri": server.uri}]


def test_readable(known, bs, server, ctl):
    run = ctl.start("bootstrap")
    bs.wait_event("bootstrap")
    assert finish(bs).code == "2.04"
    out = run.communicate(timeout=30)[0]
    assert run.returncode == 0
    assert [line.split()[0] for line in out.splitlines()] == ["connecting", "asking", "accepted", "complete"]
    assert out.splitlines()[0].split() == ["connecting", bs.uri]
    assert out.splitlines()[-1].split() == ["complete", "server", "101", server.uri]


def test_timeout_and_failure(known, bs, ctl):
    late = ctl.run("--timeout=500ms", "bootstrap")
    assert late.returncode == 6 and "not over after the time given" in late.stderr
    busy = ctl.run("bootstrap")
    assert busy.returncode == 1 and "under way" in busy.stderr
    ctl("stop")
    ctl("start")
    bs.rule("bootstrap", code="4.03", times=1)
    failed = ctl.run("bootstrap")
    assert failed.returncode == 1
    assert "failed       4.03: the server refused; next attempt 20" in failed.stdout
    assert failed.stderr == "lwm2mctl: bootstrap: failed: the server refused\n"
