# SPDX-License-Identifier: Apache-2.0
"""Registration: Register, Update, De-register, versions, and servers that fail (TS Core 6.2)."""
import time

import pytest

import formats as fm

VALUES = {"/3303/0/5700": "21.5", "/3303/7/5700": "1", "/26241/0/0": "x"}


def server_instance(server, ssid=101):
    """The instance of object 1 that is our account."""
    values = fm.senml_decode(server.read("/1", accept="senml-json").body)
    return next(path.rsplit("/", 1)[0] for path, value in values.items()
                if path.endswith("/0") and path.count("/") == 3 and value == ssid)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_register_parameters(make_daemon, server, version):
    make_daemon({"main": {"Uri": server.uri, "Lifetime": 120}}, values=VALUES,
                client={"Version": version})
    event = server.wait_registered("urn:test:1")
    assert event.method == "POST" and event.path == "/rd" and event.type == "con"
    assert event.format == fm.LINK
    assert event.params == {"ep": "urn:test:1", "lt": "120", "lwm2m": version, "b": "U"}
    links = fm.links_decode(event.links)
    assert links["/"]["rt"] == "oma.lwm2m"
    assert {"/3303/0", "/3303/7", "/26241/0", "/1/0", "/3/0"} <= set(links)
    assert not any(path == "/0" or path.startswith("/0/") for path in links)
    versions = {path: a.get("ver") for path, a in links.items() if a.get("ver")}
    assert versions["/26241"] == "1.2"
    assert not any(path.count("/") > 2 for path in links)


def test_endpoint_with_any_text(make_daemon, server):
    make_daemon({"main": server.uri}, endpoint="söme näme&x=1")
    assert server.wait_registered().endpoint == "söme näme&x=1"


@pytest.mark.parametrize("pattern", ["rd/{n}", "{n}", "a/b/c/d/{n}", "rd/x y&ü/{n}"])
def test_location_of_any_shape(make_daemon, make_server, ctl, pattern):
    server = make_server(location=pattern)
    daemon = make_daemon({"main": server.uri})
    location = server.wait_registered().location
    ctl("update")
    assert server.wait_event("updated").location == location
    daemon.stop()
    assert server.wait_event("deregistered").location == location


def test_register_over_ipv6(make_daemon, make_server):
    server = make_server(bind="[::1]:0")
    make_daemon({"main": server.uri})
    server.wait_registered()
    assert server.read("/1").code == "2.05"


def test_register_by_name(make_daemon, server):
    make_daemon({"main": f"coap://localhost:{server.port}"})
    server.wait_registered()


def test_register_of_many_instances_is_sent_in_blocks(make_daemon, server):
    make_daemon({"main": server.uri}, values={f"/3303/{i}/5700": "1" for i in range(300)})
    links = fm.links_decode(server.wait_registered().links)
    assert all(f"/3303/{i}" in links for i in range(300))


def test_sigterm_deregisters(make_daemon, server):
    daemon = make_daemon({"main": server.uri})
    location = server.wait_registered().location
    daemon.stop()
    assert server.wait_event("deregistered").location == location


def test_sigterm_with_a_silent_server(make_daemon, server):
    daemon = make_daemon({"main": server.uri}, client={"DeregisterTimeout": "1s"})
    server.wait_registered()
    server.rule("any", drop=True)
    start = time.monotonic()
    daemon.stop()
    assert time.monotonic() - start < 4


def test_lost_register_is_sent_again(make_daemon, server):
    server.rule("register", drop=True, times=1)
    make_daemon({"main": server.uri})
    first = server.wait_event("dropped")
    assert server.wait_registered(timeout=8).mid == first.mid


def test_separate_answer_to_register(make_daemon, server):
    server.rule("register", separate=True, delay_ms=200, times=1)
    make_daemon({"main": server.uri})
    server.wait_registered()
    server.wait_event("ack")
    assert server.read("/1").code == "2.05"


def test_user_update(make_daemon, server, ctl):
    make_daemon({"main": server.uri})
    server.wait_registered()
    ctl("update")
    event = server.wait_event("updated")
    assert event.params == {} and event.links is None
    ctl("update")
    server.wait_event("updated")


def test_update_trigger_by_the_server(make_daemon, server):
    make_daemon({"main": server.uri})
    server.wait_registered()
    assert server.execute(f"{server_instance(server)}/8").code == "2.04"
    event = server.wait_event("updated")
    assert event.params == {} and event.links is None


def test_written_lifetime_is_told_at_once(make_daemon, server):
    make_daemon({"main": server.uri})
    server.wait_registered()
    assert server.write(f"{server_instance(server)}/1", "600").code == "2.04"
    event = server.wait_event("updated")
    assert event.params == {"lt": "600"} and event.links is None


def test_new_instances_are_told_once(make_daemon, server, client):
    make_daemon({"main": server.uri}, client={"UpdateInterval": "1"})
    server.wait_registered()
    for number in (3, 4, 5):
        client.call("Data", "Create", "sa(sv)a{sv}", f"/26241/{number}", [], {})
    event = server.wait_event("updated", lambda e: e.links and "</26241/5>" in e.links)
    assert event.params == {} and {"/26241/3", "/26241/4"} <= set(fm.links_decode(event.links))
    assert len(server.take_events("updated")) <= 1
    assert server.delete("/26241/4").code == "2.02"
    event = server.wait_event("updated", lambda e: e.links and "</26241/4>" not in e.links)
    assert "</26241/5>" in event.links


def test_instance_that_came_and_went_is_not_told(make_daemon, server, client):
    make_daemon({"main": server.uri}, client={"UpdateInterval": "0"})
    server.wait_registered()
    client.call("Data", "Create", "sa(sv)a{sv}", "/26241/3", [], {})
    assert server.delete("/26241/3").code == "2.02"
    server.assert_quiet("updated", 2)
    client.call("Data", "Create", "sa(sv)a{sv}", "/26241/3", [], {})
    assert "</26241/3>" in server.wait_event("updated").links


def test_updates_keep_the_registration_alive(make_daemon, server):
    make_daemon({"main": {"Uri": server.uri, "Lifetime": 20}},
                client={"UpdatePeriod": "1", "UpdateInterval": "0", "Lifetime": "20"})
    server.wait_registered()
    # next = min(UpdatePeriod, lifetime - early), but not under 15 s
    server.assert_quiet("updated", 3)
    assert server.wait_event("updated", timeout=16)


def test_update_refused_leads_to_register(make_daemon, server, ctl):
    make_daemon({"main": server.uri})
    first = server.wait_registered().location
    server.call("forget", ep="urn:test:1")
    ctl("update")
    assert server.wait_event("refused", on="update").code_sent == "4.04"
    assert server.wait_registered("urn:test:1").location != first
    assert server.read("/1").code == "2.05"


def test_register_drops_observations(make_daemon, server, ctl, client):
    make_daemon({"main": server.uri}, values=VALUES)
    server.wait_registered()
    token = server.observe("/3303/0/5700", accept="text").token
    server.call("forget", ep="urn:test:1")
    ctl("update")
    server.wait_registered()
    client.set("/3303/0/5700", "d", 50.0)
    server.assert_quiet("notify", 0.3, token=token)


def test_version_falls_back(make_daemon, server):
    server.rule("register", match={"lwm2m": "1.1"}, code="4.12")
    make_daemon({"main": server.uri}, client={"Version": "auto"}, values=VALUES)
    assert server.wait_event("refused").params["lwm2m"] == "1.1"
    assert server.wait_registered().version == "1.0"
    assert server.read("/3303/0").format == fm.TLV


def test_fixed_version_does_not_fall_back(make_daemon, server):
    server.rule("register", code="4.12")
    make_daemon({"main": server.uri}, client={"Version": "1.2"})
    assert server.wait_event("refused").params["lwm2m"] == "1.2"
    server.assert_quiet("refused", 1)


@pytest.mark.parametrize("code", ["4.03", "5.03", "4.00"])
def test_refused_register_is_told(make_daemon, server, client, code):
    daemon = make_daemon({"main": server.uri}, start=False, client={"Version": "1.1"})
    server.rule("register", code=code)
    daemon.start()
    server.wait_event("refused", on="register")
    client.match("type='signal',member='Event'")
    events = client.call("Manager", "GetEvents", "a{sv}", {})
    deadline = time.monotonic() + 5
    while not any(e[1] == "registration-failure" for e in events):
        assert time.monotonic() < deadline, events
        events = client.call("Manager", "GetEvents", "a{sv}", {})
    failure = next(e for e in events if e[1] == "registration-failure")
    assert failure[2] == 101 and any(code in str(v) for v in failure[3].values())


def test_dead_servers_beside_a_good_one(make_daemon, server, silent_port, refusing_port):
    daemon = make_daemon({
        "black": f"coap://127.0.0.1:{silent_port}",
        "refusing": f"coap://127.0.0.1:{refusing_port}",
        "nameless": "coap://no-such-host.invalid",
        "good": server.uri,
    }, start=False)
    start = time.monotonic()
    daemon.start()
    server.wait_registered(timeout=5)
    assert time.monotonic() - start < 1
    answer = server.read("/1", accept="senml-json")
    assert answer.code == "2.05" and answer.rtt_us < 500_000


def test_two_servers_know_only_their_own(make_daemon, make_server, ctl):
    first, second = make_server(), make_server(location="other/{n}")
    daemon = make_daemon({"a": {"Uri": first.uri, "ShortId": 1, "Lifetime": 100},
                          "b": {"Uri": second.uri, "ShortId": 2, "Lifetime": 200}})
    assert first.wait_registered().params["lt"] == "100"
    assert second.wait_registered().params["lt"] == "200"
    assert second.write(f"{server_instance(second, 2)}/1", "300").code == "2.04"
    assert second.wait_event("updated").params == {"lt": "300"}
    first.assert_quiet("updated", 0.3)
    daemon.stop()
    first.wait_event("deregistered")
    second.wait_event("deregistered")


def test_disable_and_come_back(make_daemon, server):
    make_daemon({"main": server.uri})
    server.wait_registered()
    account = server_instance(server)
    assert server.write(f"{account}/5", "2").code == "2.04"
    assert server.execute(f"{account}/4").code == "2.04"
    gone = server.wait_event("deregistered")
    back = server.wait_registered(timeout=10)
    assert 1_500_000 < back.t - gone.t < 6_000_000


def test_bootstrap_trigger_is_not_there(make_daemon, server):
    make_daemon({"main": server.uri})
    server.wait_registered()
    assert server.execute(f"{server_instance(server)}/9").code in ("5.01", "4.05")


def test_start_stop_pause_resume(make_daemon, server, ctl):
    make_daemon({"main": server.uri})
    server.wait_registered()
    ctl("stop")
    server.wait_event("deregistered")
    ctl("start")
    server.wait_registered()
    ctl("pause")
    ctl("resume")
    server.wait_event("updated")
    ctl("stop", "-f")
    server.assert_quiet("deregistered", 0.3)


def test_restart_continues_with_an_update(make_daemon, server):
    daemon = make_daemon({"main": server.uri})
    location = server.wait_registered().location
    server.read("/3/0/0")  # the daemon has seen the answer to its Register
    daemon.kill()
    daemon.start()
    assert server.wait_event("updated").location == location


def test_loss(make_daemon, server, make_proxy):
    """A quarter of all datagrams lost and some doubled: it takes longer and ends well."""
    proxy = make_proxy(f"127.0.0.1:{server.port}", seed=4, drop=0.25, dup=0.2, reorder=0.2)
    make_daemon({"main": proxy.uri}, values=VALUES)
    server.wait_registered(timeout=60)
    server.set(ack_timeout_ms=200, max_retransmit=8)
    for i in range(10):
        assert server.write("/26241/0/0", f"loss {i}", timeout_ms=60000, wait=70).code == "2.04"
    assert server.read("/26241/0/0", accept="text", timeout_ms=60000, wait=70).text == "loss 9"


def test_address_of_the_socket(make_daemon, make_server):
    """[Client] Bind= for all, and a server's own."""
    servers = [make_server(), make_server()]
    make_daemon({"a": servers[0].uri, "b": {"Uri": servers[1].uri, "Bind": "127.0.0.10"}},
                client={"Bind": "127.0.0.9", "Interface": "lo", "Dscp": "46"})
    addresses = [s.wait_registered().addr.rsplit(":", 1)[0] for s in servers]
    assert addresses == ["127.0.0.9", "127.0.0.10"]
    assert servers[0].read("/1").code == servers[1].read("/1").code == "2.05"


def test_interface_that_is_not_there(make_daemon, server, ctl):
    make_daemon({"main": {"Uri": server.uri, "Interface": "none0"}})
    for _ in range(100):
        status = ctl("status")
        if "last error" in status:
            break
        time.sleep(0.05)
    assert "Interface=none0: there is no such interface" in status
