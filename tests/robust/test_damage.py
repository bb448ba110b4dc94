# SPDX-License-Identifier: Apache-2.0
"""Damaged, foreign and full: the daemon says what it found, keeps what it can, and starts."""
import os
import shutil
import subprocess

import pytest
from dbus_fast import Variant
from dbus_fast.errors import DBusError

import formats as fm
from busclient import ROOT
from daemon import Daemon, make_config

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
NOBODY = 65534
NUMBER, TEXT, APP = "/26241/0/1", "/3303/0/5750", "/26241/0/3"
FILES = ("accounts.cbor", "blobs.cbor", "object-26241.cbor", "object-3303.cbor", "journal")


def text(n):
    return f"text {n} " + "." * 500


def came_back(server):
    return server.wait_event(None, lambda e: e.event in ("registered", "updated"))


@pytest.fixture(name="written")
def fixture_written(make_daemon, server, client):
    """A stopped daemon with a file of each kind, former copies of them, and a journal with
    something in it."""
    daemon = make_daemon({"main": server.uri}, Persist={"Journal": 4096},
                         values={NUMBER: "0", APP: "0", TEXT: "none"})
    server.wait_registered()
    client.call("Manager", "AddServer", "a{sv}", {
        "uri": Variant("s", "coap://127.0.0.1:9"), "short_id": Variant("q", 500)})
    for n in range(1, 100):
        assert server.write(NUMBER, payload=n, format="text").code == "2.04"
        assert server.write(TEXT, payload=text(n), format="text").code == "2.04"
        assert server.write_attributes("/3303/0", [f"pmax={n + 100}"]).code == "2.04"
        assert server.write("/1/0/1", payload=300 + n % 2, format="text").code == "2.04"
        client.set(APP, "d", float(n), persist=Variant("b", True))
        client.call("Manager", "Sync")
        names = {p.name for p in daemon.state.iterdir()}
        if {f for name in FILES for f in (name, name + ".old")} <= names and \
                (daemon.state / "journal").stat().st_size > 1000:
            break
    daemon.stop()
    daemon.last = n
    server.take_events()
    return daemon


@pytest.fixture(name="restart")
def fixture_restart(written, server, tmp_path):
    """restart(change): from the same state each time, `change(folder)`, and the daemon runs until
    the next one; returns what it said."""
    saved = tmp_path / "saved"
    subprocess.run(["cp", "-a", written.state, saved], check=True)

    def restart(change=None):
        written.stop()
        server.take_events()
        shutil.rmtree(written.state)
        subprocess.run(["cp", "-a", saved, written.state], check=True)
        if change:
            change(written.state)
        written.log_file.write_text("")
        written.start()
        came_back(server)
        return written.log
    return restart


def values(server):
    return [server.read(p, accept="text").text for p in (NUMBER, TEXT, APP)]


def expected(daemon):
    return [str(daemon.last), text(daemon.last), str(daemon.last)]


def test_state_survives(restart, written, server, client):
    log = restart()
    assert values(server) == expected(written)
    assert all((p.stat().st_mode & 0o077) == 0 for p in written.state.iterdir())
    assert client.get("Server", "ShortId", f"{ROOT}/server/500") == 500
    assert f"pmax={written.last + 100}" in server.discover("/3303/0").text
    for word in ("set aside", "damaged", "lost", "former"):
        assert word not in log


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) * 2 // 3] ^= 0x10
    file.write_bytes(data)


def truncate(file):
    data = file.read_bytes()
    file.write_bytes(data[:len(data) * 2 // 3])


def empty(file):
    file.write_bytes(b"")


def garbage(file):
    file.write_bytes(os.urandom(file.stat().st_size))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def later_version(file):
    """The file's first frame is [1a CRC] [5a LENGTH] PAYLOAD; PAYLOAD is "lwm2md", version, …"""
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[7:11], "big")
    assert data[12:18] == b"lwm2md" and data[18] < 23
    data[18] = 23
    data[2:6] = crc32c(data[7:11 + length]).to_bytes(4, "big")
    file.write_bytes(data)


def foreign(file):
    os.chown(file, NOBODY, NOBODY)


def folder(file):
    file.unlink()
    file.mkdir()


def link(file):
    target = file.with_name("elsewhere")
    file.rename(target)
    file.symlink_to(target)


def fifo(file):
    file.unlink()
    os.mkfifo(file)


SAYS = {flip: "damaged", truncate: "", empty: "", garbage: "damaged",
        later_version: "later version", foreign: "another user", folder: "no regular file",
        link: "no regular file", fifo: "no regular file"}


@pytest.mark.parametrize("damage", SAYS, ids=lambda f: f.__name__)
def test_each_file_damaged(restart, written, server, client, damage):
    if damage is foreign and os.getuid() != 0:
        pytest.skip("needs root")
    for name in FILES:
        log = restart(lambda state: damage(state / name))
        lines = [t for t in log.splitlines() if name in t and SAYS[damage] in t]
        assert lines, f"nothing said about {name}:\n{log}"
        now, then = values(server), expected(written)
        for file, i in (("object-26241.cbor", 0), ("object-3303.cbor", 1), ("object-26241.cbor", 2)):
            if name not in (file, "journal"):
                assert now[i] == then[i], f"{name} was damaged, and {now[i]} is there, not {then[i]}"
            else:  # the former copies, or what the configuration says
                assert now[i] != "", (name, i)
        if name != "accounts.cbor":
            assert client.get("Server", "ShortId", f"{ROOT}/server/500") == 500
        if name == "object-26241.cbor":
            assert int(now[0]) > 0, "the former copy was not used"
        # and it can be written again, and does not complain twice
        assert server.write(NUMBER, payload="5", format="text").code == "2.04"
        written.kill()
        written.log_file.write_text("")
        written.start()
        came_back(server)
        assert values(server)[0] == "5"
        assert not [t for t in written.log.splitlines() if name in t and "set aside" in t]


def test_everything_damaged(restart, server):
    """Nothing is left but the configuration."""
    def all_of_it(state):
        for file in state.iterdir():
            garbage(file)
    log = restart(all_of_it)
    assert values(server) == ["0", "none", "0"]
    for name in FILES:
        assert f"{name}: is damaged, set aside" in log


def test_state_directory_is_a_file(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, start=False)
    daemon.state.rmdir()
    daemon.state.write_text("a file")
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    assert f"'{daemon.state}': Not a directory" in daemon.log or "File exists" in daemon.log


def test_state_directory_in_use(make_daemon, server):
    one = make_daemon({"main": server.uri})
    two = make_daemon({"main": server.uri}, start=False, use_bus=False)
    two.state.rmdir()
    two.state.symlink_to(one.state)
    two.start(ready=False)
    assert two.wait_exit() == 1 and "in use by another lwm2md" in two.log


@ROOT_ONLY
@pytest.mark.parametrize("state", ["new", "used"])
def test_state_directory_not_writable(sockets, server, state):
    """As a user who may look into the folder but not write there."""
    daemon = Daemon(sockets / "daemon", sockets, make_config("urn:test:1", {"main": server.uri},
                                                             values={NUMBER: "0"}),
                    wrapper=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                             "--clear-groups"])
    for path in (daemon.config, daemon.runtime, daemon.log_file, daemon.state):
        os.chown(path, NOBODY, NOBODY)
    if state == "used":
        daemon.start()
        server.wait_registered()
        assert server.write(NUMBER, payload="7", format="text").code == "2.04"
        daemon.stop()
        assert list(daemon.state.iterdir())
    daemon.state.chmod(0o500)
    daemon.log_file.write_text("")
    daemon.start(ready=False)
    assert daemon.wait_exit() == 1
    lines = [t for t in daemon.log.splitlines() if str(daemon.state) in t]
    assert any("Permission denied" in t for t in lines), daemon.log
    if state == "used":  # nothing was touched
        daemon.state.chmod(0o700)
        daemon.start()
        came_back(server)
        assert server.read(NUMBER, accept="text").text == "7"
        daemon.stop()


@ROOT_ONLY
def test_full_disk(make_daemon, server, client):
    daemon = make_daemon({"main": server.uri}, start=False,
                         values={"/26241/0/5": "hex:00", NUMBER: "0", APP: "0"})
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "none",
                              daemon.state], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount")
    try:
        daemon.start()
        server.wait_registered()
        assert server.write(NUMBER, payload="1", format="text").code == "2.04"
        filler = daemon.state / "filler"
        fill_up(filler)
        refused = [server.write("/26241/0/5", hex="55" * 60000, format="opaque"),
                   server.create("/26241", hex=fm.tlv(fm.RESOURCE, 5, b"x" * 9000).hex()),
                   server.write("/26241/0/0", payload="x" * 9000, format="text")]
        assert [a.code for a in refused] == ["5.00"] * 3
        assert server.read("/26241/0/5", accept="opaque").body == b"\0", "a refused write is there"
        assert server.read("/26241/1").code == "4.04"
        assert server.read(NUMBER, accept="text").text == "1"
        # the last page of the journal has room for a few small ones
        made = 0
        with pytest.raises(DBusError) as error:
            for made in range(100, 1000):
                client.call("Data", "Create", "sa(sv)a{sv}", f"/26241/{made}", [], {})
        assert error.value.type.endswith("StorageFailed") and f"/26241/{made}" in str(error.value)
        assert server.read(f"/26241/{made}").code == "4.04"
        client.set(APP, "d", 4.0, persist=Variant("b", True))  # in memory it is welcome
        filler.unlink()
        client.call("Manager", "Sync")
        assert server.write(NUMBER, payload="2", format="text").code == "2.04"
        daemon.kill()
        daemon.start()
        came_back(server)
        assert server.read(NUMBER, accept="text").text == "2"
        assert server.read(APP, accept="text").text == "4"
        assert server.read(f"/26241/{made}").code == "4.04"
        assert all(server.read(f"/26241/{i}").code == "2.05" for i in range(100, made))
        # nor does a full disk keep it from starting
        fill_up(filler)
        daemon.kill()
        daemon.start()
        came_back(server)
        assert server.read(NUMBER, accept="text").text == "2"
        filler.unlink()
        assert server.write(NUMBER, payload="3", format="text").code == "2.04"
    finally:
        try:
            daemon.stop()
        finally:
            subprocess.run(["umount", daemon.state], check=True)


def fill_up(file):
    with file.open("ab", buffering=0) as f:
        for size in (4096, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass
