# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments while a server and an application write: what was acknowledged is there
afterwards, and the daemon always starts."""
import os
import random
import threading
import time

from dbus_fast import Variant
from dbus_fast.errors import DBusError

ROUNDS = int(os.environ.get("LWM2MD_KILLS", "200"))


class Writer(threading.Thread):
    """Writes growing numbers until it is told to stop or a write fails; remembers what was
    acknowledged and what was at least tried."""

    def __init__(self, start, write):
        super().__init__(daemon=True)
        self.acknowledged = self.tried = start
        self.write, self.over = write, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.tried += 1
            if not self.write(self.tried):
                return
            self.acknowledged = self.tried


def test_nothing_acknowledged_is_lost(make_daemon, server, make_client):
    seed = int(os.environ.get("LWM2MD_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    chance = random.Random(seed)
    daemon = make_daemon({"main": server.uri}, start=False, values={
        "/26241/0/1": "0", "/26241/0/3": "0"}, client={"UpdateInterval": 0})
    by_server = by_app = created = 0

    for _ in range(ROUNDS):
        server.take_events()
        daemon.start()
        server.wait_event(None, lambda e: e.event in ("registered", "updated"))
        client = make_client()

        def server_write(n):
            answer = server.finish(server.start("write", "/26241/0/1", payload=str(n), format="text",
                                                timeout_ms=400))
            return answer["ok"] and answer.code == "2.04"

        def app_write(n):
            try:
                client.set("/26241/0/3", "d", float(n), persist=Variant("b", True))
                client.call("Manager", "Sync", timeout=5)
                return True
            except (DBusError, TimeoutError, EOFError, OSError):
                return False

        # what the former round acknowledged
        value = int(server.read("/26241/0/1", accept="text").text)
        assert value >= by_server.acknowledged if by_server else True, (value, by_server.acknowledged)
        assert not by_server or value <= by_server.tried
        level = client.call("Data", "Get", "sa{sv}", "/26241/0/3", {})
        assert not by_app or by_app.acknowledged <= level <= by_app.tried, (level, by_app.acknowledged)
        nodes = {path for path, _ in client.call("Data", "List", "sa{sv}", "/3303", {"depth": Variant("u", 1)})}
        assert len(nodes) >= created, (nodes, created)

        by_server, by_app = Writer(value, server_write), Writer(int(level), app_write)
        by_server.start()
        by_app.start()
        if chance.random() < 0.2:
            answer = server.create("/3303", payload='[{"bn":"/3303/","n":"%d/5700","v":1}]' % (created + 1),
                                   format="senml-json")
            assert answer.code == "2.01"
            created += 1
        time.sleep(chance.uniform(0, 0.08))
        daemon.kill()
        by_server.over.set()
        by_app.over.set()
        by_server.join(10)
        by_app.join(10)
        client.close()
    daemon.start()
    assert "set aside" not in daemon.log
