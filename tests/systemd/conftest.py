# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one container for all tests, its lwm2md set up anew for each."""
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import testserver  # noqa: E402
from container import Container  # noqa: E402

CONFIG = """[Client]
Endpoint=urn:test:box
DeregisterTimeout=3s

[Server main]
Uri={uri}
ShortId=101
Lifetime=300

[Values]
/3/0/0=ACME
/3303/0/5700=21.5
"""


def missing():
    """Why the suite cannot run here, or None."""
    if not os.environ.get("LWM2MD_SYSTEMD_TREE"):
        return "LWM2MD_SYSTEMD_TREE is not set"
    if os.geteuid() != 0:
        return "not root"
    for program in ("systemd-nspawn", "nsenter"):
        if not shutil.which(program):
            return f"no {program}"
    return None


@pytest.fixture(name="container", scope="session")
def fixture_container():
    folder = Path(tempfile.mkdtemp(prefix="lwm2md-systemd-", dir="/var/tmp"))
    container = Container(os.environ["LWM2MD_SYSTEMD_TREE"], folder, os.environ.get("LWM2MD_BUILD", testserver.BUILD))
    try:
        container.path("/etc/lwm2md").mkdir()
        container.boot()
        yield container
    finally:
        container.close()
        shutil.rmtree(folder)


@pytest.fixture(name="server_script", scope="session")
def fixture_server_script(tmp_path_factory):
    """Stands for lwm2m-testserver, and runs it in the network of whoever LEADER is."""
    program = testserver.binary("LWM2M_TESTSERVER", "tools/testserver/lwm2m-testserver")
    script = tmp_path_factory.mktemp("bin") / "lwm2m-testserver"
    script.write_text(f'#!/bin/sh\nexec nsenter -t "$LEADER" -n "{program}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(name="make_server")
def fixture_make_server(container, server_script, monkeypatch):
    servers = []

    def make(**kwargs):
        monkeypatch.setenv("LEADER", container.leader)
        monkeypatch.setenv("LWM2M_TESTSERVER", str(server_script))
        servers.append(testserver.TestServer(**kwargs))
        return servers[-1]
    yield make
    for server in servers:
        server.close()


@pytest.fixture(name="server")
def fixture_server(make_server):
    return make_server()


@pytest.fixture(name="set_up")
def fixture_set_up(container):
    """set_up(uri): a factory-new lwm2md with an account at `uri`, started."""
    def set_up(uri):
        container("systemctl", "stop", "lwm2md.service")
        container("systemctl", "reset-failed", "lwm2md.service")
        shutil.rmtree(container.path("/var/lib/lwm2md"), ignore_errors=True)
        container.path("/etc/lwm2md/lwm2md.conf").write_text(CONFIG.format(uri=uri))
        container("systemctl", "start", "lwm2md.service")
        return container
    yield set_up
    container.drop_in("")
    if container.nspawn:
        container("systemctl", "stop", "lwm2md.service", timeout=120)


@pytest.fixture(name="box")
def fixture_box(set_up, server):
    """The container, with lwm2md registered at `server`."""
    box = set_up(server.uri)
    server.wait_registered("urn:test:box")
    return box


def pytest_sessionstart(session):
    why = missing()
    if why:
        pytest.exit(f"skipped: {why}", returncode=77)
