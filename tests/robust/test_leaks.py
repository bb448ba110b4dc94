# SPDX-License-Identifier: Apache-2.0
"""Every verb once under valgrind: no leak, no invalid access."""
import shutil

import pytest

from daemon import Daemon, make_config
from testserver import fill

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect", "--num-callers=30"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is missing")
def test_no_leak_after_all_verbs(tmp_path, sockets, bus, server, ctl):
    config = make_config("urn:test:1", {"main": server.uri}, values={
        "/26241/0/0": "hello", "/26241/0/1": "0", "/26241/0/5": "hex:00", "/3303/0/5700": "1"})
    daemon = Daemon(tmp_path / "daemon", sockets, config, bus, wrapper=VALGRIND)
    daemon.start(timeout=60)
    server.wait_registered(timeout=60)

    handler = ctl.start("handle", "/26241/0/22", "--", "true")
    watcher = ctl.start("watch", "/26241")
    monitor = ctl.start("monitor", "--history", "--values")
    big = tmp_path / "big"
    big.write_bytes(fill(200000))
    ctl("wait", "online", "--timeout=30")
    server.observe("/26241/0")
    server.observe("/3303/0/5700")
    for args in (("ls",), ("ls", "/3"), ("read", "/26241/0/0", "-s"), ("write", "/26241/0/1", "-s32", "5"), ("get", "/26241/0/1"),
                 ("set", "/26241/0/1=6", "/3303/0/5700=2.5"), ("create", "/3303/5"), ("delete", "/3303/5"), ("obs",), ("status",),
                 ("model", "list"), ("model", "show", "3303"), ("server", "list"), ("sync",), ("update",), ("lock", "--", "true"),
                 ("put", "/26241/0/5", big), ("fetch", "/26241/0/5", tmp_path / "copy"), ("exec", "/26241/0/22"), ("create", "/26241/0/11/5", "7"), ("delete", "/26241/0/11/5"),
                 ("server", "add", "--id=500", "coap://127.0.0.1:9"), ("server", "update", "101"), ("server", "remove", "500"),
                 ("server", "disable", "101", "1"), ("server", "enable", "101"), ("server", "register", "101"), ("log-level", "debug"),
                 ("pause",), ("resume",), ("stop",)):
        ctl(*args, timeout=60)
    server.take_events()
    ctl("start", timeout=60)
    server.wait_event("registered", timeout=60)
    for op, path, fields in (("read", "/", {}), ("read", "/3", {}), ("read", "/26241/0", {"accept": "tlv"}), ("discover", "/26241", {}),
                             ("write", "/26241/0/1", {"payload": "7", "format": "text"}), ("execute", "/26241/0/22", {}),
                             ("write_attributes", "/26241/0/1", {"query": ["pmin=1", "pmax=60"]}),
                             ("write", "/26241/0/5", {"fill": 300000, "format": "opaque"}), ("read", "/26241/0/5", {"accept": "opaque"})):
        server.call(op, path, **fields)
    for process in (handler, watcher, monitor):
        process.terminate()
        process.wait(20)
        process.communicate()
    log = daemon.log_file
    try:
        daemon.stop(timeout=90)
    except AssertionError:
        raise AssertionError(log.read_text(errors="replace")) from None
    assert "definitely lost" not in log.read_text(errors="replace")
