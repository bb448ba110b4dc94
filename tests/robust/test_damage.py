# SPDX-License-Identifier: Apache-2.0
"""Damaged, foreign and full: the daemon says what it found, keeps what it can, and starts."""
import os
import shutil
import subprocess

import pytest
from dbus_fast import Variant

KEPT = "/26241/0/1"


@pytest.fixture(name="written")
def fixture_written(make_daemon, server, client):
    """A stopped daemon whose state holds a value of a server and one of an application."""
    daemon = make_daemon({"main": server.uri}, values={"/26241/0/1": "0", "/3303/0/5700": "0"})
    server.wait_registered()
    assert server.write(KEPT, payload="77", format="text").code == "2.04"
    client.set("/3303/0/5700", "d", 5.5, persist=Variant("b", True))
    client.call("Manager", "Sync")
    daemon.stop()
    server.take_events()
    return daemon


def state_files(daemon):
    return sorted(p for p in daemon.state.iterdir() if p.is_file() and p.stat().st_size and p.name != "lock")


def came_back(server):
    return server.wait_event(None, lambda e: e.event in ("registered", "updated"))


def test_state_survives(written, server):
    written.start()
    came_back(server)
    assert server.read(KEPT, accept="text").text == "77"
    assert server.read("/3303/0/5700", accept="text").text == "5.5"
    assert all((p.stat().st_mode & 0o077) == 0 for p in written.state.iterdir())


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "garbage"])
def test_each_file_damaged(written, server, tmp_path, damage):
    saved = tmp_path / "saved"
    shutil.copytree(written.state, saved)
    for name in [p.name for p in state_files(written)]:
        shutil.rmtree(written.state)
        shutil.copytree(saved, written.state)
        file = written.state / name
        data = bytearray(file.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 0x10
        elif damage == "truncate":
            data = data[:len(data) // 2]
        elif damage == "empty":
            data = b""
        else:
            data = os.urandom(len(data))
        file.write_bytes(data)
        written.log_file.write_text("")
        written.start()
        came_back(server)
        assert name in written.log, f"{name} was {damage}ed and nothing said"
        assert server.read(KEPT, accept="text").code == "2.05"
        written.stop()
        server.take_events()


def test_state_directory_of_somebody_else(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, start=False)
    daemon.state.rmdir()
    daemon.state.write_text("a file")
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    assert str(daemon.state) in daemon.log


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
def test_full_disk(make_daemon, server, client):
    daemon = make_daemon({"main": server.uri}, start=False, values={"/26241/0/5": "hex:00", KEPT: "0"})
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "none", daemon.state],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount")
    try:
        daemon.start()
        server.wait_registered()
        assert server.write(KEPT, payload="1", format="text").code == "2.04"
        filler = daemon.state / "filler"
        with filler.open("wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
                    f.flush()
            except OSError:
                pass
        answer = server.write("/26241/0/5", hex="55" * 60000, format="opaque")
        assert answer.code == "5.00"
        assert server.read("/26241/0/5", accept="opaque").body == b"\0", "a refused write changed the value"
        assert server.read(KEPT, accept="text").text == "1"
        filler.unlink()
        assert server.write(KEPT, payload="2", format="text").code == "2.04"
        daemon.kill()
        daemon.start()
        came_back(server)
        assert server.read(KEPT, accept="text").text == "2"
    finally:
        daemon.stop()
        subprocess.run(["umount", daemon.state], check=True)
