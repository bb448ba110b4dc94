# SPDX-License-Identifier: Apache-2.0
"""System sleep: logind is asked to wait, the state is saved, and after the wake-up comes an
Update."""
import pytest
from dbus_fast import Message

from busclient import BusClient
from logind import DBUS, NAME, PATH, Logind


@pytest.fixture(name="make_logind")
def fixture_make_logind(bus):
    made = []

    def make():
        made.append(Logind(bus.address))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture(name="slept")
def fixture_slept(make_logind, make_daemon, server, make_client):
    """A daemon that has gone to sleep with an observation; (daemon, logind, token)."""
    logind = make_logind()
    daemon = make_daemon({"main": server.uri}, values={"/3303/0/5700": "21.5"},
                         client={"SettleTime": "500ms"})
    logind.wait_inhibited()
    server.wait_registered()
    token = server.observe("/3303/0/5700", accept="text").token
    logind.prepare_for_sleep(True)
    logind.wait_released()
    assert make_client().get("Manager", "State") == "paused"
    return daemon, logind, token


def test_wakes_with_an_update(slept, server, client):
    _, logind, token = slept
    client.set("/3303/0/5700", "d", 22.5)
    server.assert_quiet("notify", 0.3)  # nothing leaves any more
    logind.prepare_for_sleep(False)
    server.wait_event("updated")
    assert server.wait_notify(token).text == "22.5"
    assert not server.take_events("registered")
    logind.wait_inhibited()  # for the next time
    assert client.get("Manager", "State") == "online"


def test_state_is_saved_before(slept, server):
    """A box whose battery ran out in its sleep goes on where it was."""
    daemon, _, token = slept
    daemon.kill()
    daemon.start()
    server.wait_event("updated")
    assert server.wait_notify(token, timeout=20).text == "21.5"


def test_paused_stays_paused(make_logind, daemon, server, client):
    logind = make_logind()
    logind.wait_inhibited()
    client.call("Manager", "Pause", "a{sv}", {})
    logind.prepare_for_sleep(True)
    logind.wait_released()
    logind.prepare_for_sleep(False)
    logind.wait_inhibited()
    assert client.get("Manager", "State") == "paused"
    client.call("Manager", "Resume", "a{sv}", {})
    server.wait_event("updated")


def test_logind_comes_and_goes(make_logind, daemon, server):
    first = make_logind()
    first.wait_inhibited()
    first.prepare_for_sleep(True)
    first.wait_released()
    first.close()  # nobody will say that the sleep is over
    server.wait_event("updated")
    second = make_logind()
    second.wait_inhibited()
    second.prepare_for_sleep(True)
    second.wait_released()
    second.prepare_for_sleep(False)
    server.wait_event("updated")


def test_bus_is_lost_while_asleep(slept, bus, server):
    bus.stop()
    server.wait_event("updated")
    bus.start()


def test_others_are_not_believed(make_logind, daemon, client, bus):
    """Anybody may send the daemon a signal; only logind's counts."""
    logind = make_logind()
    logind.wait_inhibited()
    stranger = BusClient(bus.address)
    signal = Message.new_signal(PATH, f"{NAME}.Manager", "PrepareForSleep", "b", [True])
    signal.destination = stranger.call("org.freedesktop.DBus", "GetNameOwner", "s",
                                       "org.lwm2md.Client1", **DBUS)
    stranger.send(signal)
    stranger.call("Manager", "Sync")  # behind the signal, on the same connection
    assert logind.is_held() and client.get("Manager", "State") == "online"
    stranger.close()


def test_without_logind(daemon, client, server):
    server.assert_quiet("updated", 0.2)
    assert client.get("Manager", "State") == "online"
    assert "Cannot hold back" not in daemon.log
