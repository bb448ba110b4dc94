# SPDX-License-Identifier: Apache-2.0
"""Device management: every operation, format and response code (TS Core 1.1.1, 6.3)."""
import pytest
from dbus_fast import Variant

import formats as fm

NUMBERS = {"0": "hello", "1": -5, "3": 1.5, "4": True, "5": b"\0\xff\x10", "6": 1700000000,
           "7": (3303, 0), "8": 18446744073709551615, "9": "</3/0>"}


@pytest.mark.parametrize("resource, text", [
    (0, "hello"), (1, "-5"), (3, "1.5"), (4, "1"), (5, "AP8Q"), (6, "1700000000"),
    (7, "3303:0"), (8, "18446744073709551615"), (9, "</3/0>"),
])
def test_read_text(kit, server, resource, text):
    answer = server.read(f"/26241/0/{resource}", accept="text")
    assert (answer.code, answer.format, answer.text) == ("2.05", fm.TEXT, text)


def test_read_single_value_formats(kit, server):
    answer = server.read("/26241/0/5", accept="opaque")
    assert (answer.code, answer.format, answer.body) == ("2.05", fm.OPAQUE, b"\0\xff\x10")
    assert server.read("/26241/0/0", accept="opaque").code == "4.06"
    for resource, value in NUMBERS.items():
        answer = server.read(f"/26241/0/{resource}", accept="cbor")
        assert (answer.code, answer.format) == ("2.05", fm.CBOR)
        expected = "3303:0" if resource == "7" else value
        assert fm.cbor_decode(answer.body) == expected, resource
    assert server.read("/26241/0", accept="cbor").code == "4.06"
    assert server.read("/26241/0", accept="text").code == "4.06"


@pytest.mark.parametrize("fmt", [fm.SENML_JSON, fm.SENML_CBOR])
def test_read_senml(kit, server, fmt):
    answer = server.read("/26241/0", accept=fmt)
    assert (answer.code, answer.format) == ("2.05", fmt)
    values = fm.senml_decode(answer.body, fmt)
    for resource, value in NUMBERS.items():
        assert values[f"/26241/0/{resource}"] == value, resource
    assert values["/26241/0/10/0"] == "zero" and values["/26241/0/10/7"] == "seven"
    assert "/26241/0/21" not in values and "/26241/0/22" not in values
    one = fm.senml_decode(server.read("/26241/0/10/7", accept=fmt).body, fmt)
    assert one == {"/26241/0/10/7": "seven"}


def test_read_tlv(kit, server):
    answer = server.read("/26241/0", accept="tlv")
    assert (answer.code, answer.format) == ("2.05", fm.TLV)
    items = {n: (kind, value) for kind, n, value in fm.tlv_decode(answer.body)}
    assert items[0] == (fm.RESOURCE, b"hello") and items[4] == (fm.RESOURCE, b"\1")
    assert items[1][0] == fm.RESOURCE and int.from_bytes(items[1][1], "big", signed=True) == -5
    assert items[7] == (fm.RESOURCE, b"\x0c\xe7\0\0")
    assert items[10] == (fm.MULTIPLE, [(fm.RESOURCE_INSTANCE, 0, b"zero"),
                                       (fm.RESOURCE_INSTANCE, 7, b"seven")])
    whole = fm.tlv_decode(server.read("/26241", accept="tlv").body)
    assert [(kind, n) for kind, n, _ in whole] == [(fm.INSTANCE, 0)]


@pytest.mark.parametrize("version, fmt", [("1.0", fm.TLV), ("1.1", fm.SENML_CBOR)])
def test_default_format(make_daemon, server, version, fmt):
    make_daemon({"main": server.uri}, client={"Version": version},
                values={"/3303/0/5700": "21.5"})
    assert server.wait_registered().version == version
    assert server.read("/3303/0").format == fmt


@pytest.mark.parametrize("path, fields, code", [
    ("/26241/0/99", {}, "4.04"),
    ("/26241/0/2/0", {}, "4.04"),
    ("/26241/9", {}, "4.04"),
    ("/31999", {}, "4.04"),
    ("/26241/0/21", {}, "4.05"),
    ("/26241/0/22", {}, "4.05"),
    ("/26241/0/0", {"accept": 50}, "4.06"),
    ("/0", {}, "4.01"),
    ("/0/0", {}, "4.01"),
    ("/0/0/0", {}, "4.01"),
    ("/26241/x", {}, "4.04"),
    ("/26241/0/0/0/0", {}, "4.04"),
    ("/26241/0/65536", {}, "4.04"),
])
def test_read_refused(kit, server, path, fields, code):
    assert server.read(path, **fields).code == code


@pytest.mark.parametrize("resource, payload, fmt, readback", [
    (0, b"new", "text", "new"), (1, b"-9223372036854775808", "text", "-9223372036854775808"),
    (3, b"-0.25", "text", "-0.25"), (4, b"0", "text", "0"), (7, b"1:2", "text", "1:2"),
    (5, b"//8=", "text", "//8="), (5, b"\xff\xff", "opaque", "//8="),
    (1, fm.cbor_encode(1 << 40), "cbor", str(1 << 40)), (4, fm.cbor_encode(False), "cbor", "0"),
    (3, fm.cbor_encode(7), "cbor", "7"), (0, fm.cbor_encode("ü"), "cbor", "ü"),
    (1, fm.tlv(3, 1, b"\xff\xfe"), "tlv", "-2"),
    (1, fm.senml_encode({"/26241/0/1": 77}), "senml-json", "77"),
    (1, fm.senml_encode({"/26241/0/1": 78}, fm.SENML_CBOR), "senml-cbor", "78"),
])
def test_write_resource(kit, server, resource, payload, fmt, readback):
    path = f"/26241/0/{resource}"
    assert server.write(path, hex=payload.hex(), format=fmt).code == "2.04"
    assert server.read(path, accept="text").text == readback


@pytest.mark.parametrize("path, fields, code", [
    ("/26241/0/20", {"payload": "x"}, "4.05"),
    ("/26241/0/22", {"payload": "x"}, "4.05"),
    ("/26241/0/99", {"payload": "x"}, "4.04"),
    ("/26241/0/1", {"payload": "1.5"}, "4.00"),
    ("/26241/0/1", {"payload": "9223372036854775808"}, "4.00"),
    ("/26241/0/1", {"payload": "five"}, "4.00"),
    ("/26241/0/2", {"payload": "101"}, "4.00"),
    ("/26241/0/2", {"payload": "-1"}, "4.00"),
    ("/26241/0/23", {"payload": "123456789"}, "4.00"),
    ("/26241/0/4", {"payload": "2"}, "4.00"),
    ("/26241/0/5", {"payload": "*"}, "4.00"),
    ("/26241/0/1", {"hex": "c1", "format": "tlv"}, "4.00"),
    ("/26241/0/1", {"payload": "[{", "format": "senml-json"}, "4.00"),
    ("/26241/0/1", {"hex": "9f", "format": "senml-cbor"}, "4.00"),
    ("/26241/0/1", {"payload": '[{"n":"/26241/0/0","v":1}]', "format": "senml-json"}, "4.00"),
    ("/26241/0/1", {"payload": "1", "format": 50}, "4.15"),
    ("/26241/0", {"payload": "1", "format": "text"}, "4.15"),
    ("/0/0/0", {"payload": "coap://x"}, "4.01"),
    ("/0/0", {"payload": '[{"n":"/0/0/0","vs":"x"}]', "format": "senml-json"}, "4.01"),
])
def test_write_refused_changes_nothing(kit, server, path, fields, code):
    before = server.read("/26241/0", accept="senml-json").text
    assert server.write(path, **fields).code == code
    assert server.read("/26241/0", accept="senml-json").text == before


def test_write_replace_and_update(kit, server):
    body = fm.senml_encode({"/26241/0/0": "part"})
    assert server.call("write", "/26241/0", hex=body.hex(), format="senml-json",
                       mode="update").code == "2.04"
    values = fm.senml_decode(server.read("/26241/0", accept="senml-json").body)
    assert values["/26241/0/0"] == "part" and values["/26241/0/1"] == -5
    assert values["/26241/0/20"] == "fixed"

    assert server.write("/26241/0", hex=body.hex(), format="senml-json").code == "2.04"
    values = fm.senml_decode(server.read("/26241/0", accept="senml-json").body)
    assert values == {"/26241/0/0": "part", "/26241/0/20": "fixed"}


def test_write_multiple_resource(kit, server):
    body = fm.tlv(fm.MULTIPLE, 10, [fm.tlv(1, 3, b"three")])
    assert server.call("write", "/26241/0/10", hex=body.hex(), format="tlv",
                       mode="update").code == "2.04"
    values = fm.senml_decode(server.read("/26241/0/10", accept="senml-json").body)
    assert values == {"/26241/0/10/0": "zero", "/26241/0/10/3": "three", "/26241/0/10/7": "seven"}
    assert server.write("/26241/0/10", hex=body.hex(), format="tlv").code == "2.04"
    values = fm.senml_decode(server.read("/26241/0/10", accept="senml-json").body)
    assert values == {"/26241/0/10/3": "three"}


def test_create_and_delete(kit, server):
    body = fm.tlv(fm.RESOURCE, 0, b"mine")
    answer = server.create("/26241", hex=body.hex())
    assert (answer.code, answer.location) == ("2.01", "/26241/1")
    body = fm.tlv(fm.INSTANCE, 9, [fm.tlv(fm.RESOURCE, 1, b"\x09")])
    answer = server.create("/26241", hex=body.hex())
    assert answer.code == "2.01" and server.read("/26241/9/1", accept="text").text == "9"
    assert server.create("/26241", hex=body.hex()).code == "4.00"
    body = fm.senml_encode({"/26241/12/0": "senml"})
    assert server.create("/26241", hex=body.hex(), format="senml-json").code == "2.01"
    assert server.read("/26241/12/0", accept="text").text == "senml"
    assert server.create("/31999", hex=body.hex(), format="senml-json").code == "4.04"
    assert server.create("/3", hex=fm.tlv(fm.INSTANCE, 1, []).hex()).code in ("4.00", "4.05")
    for number in (1, 9, 12):
        assert server.delete(f"/26241/{number}").code == "2.02"
        assert server.read(f"/26241/{number}").code == "4.04"
    assert server.delete("/26241/1").code == "4.04"


@pytest.mark.parametrize("path, code", [("/3/0", "4.05"), ("/0/0", "4.01"), ("/26241/0/0", "4.05"),
                                        ("/26241", "4.05"), ("/", "4.05")])
def test_delete_refused(kit, server, path, code):
    assert server.delete(path).code == code
    assert server.read("/26241/0/0", accept="text").text == "hello"


def test_execute_without_owner_is_an_error(kit, server):
    assert server.execute("/26241/0/22").code in ("5.01", "4.05")
    assert server.execute("/26241/0/0").code == "4.05"
    assert server.execute("/26241/0/99").code == "4.04"
    assert server.execute("/0/0/0").code == "4.01"


def test_execute_arguments_reach_the_owner(kit, server, client):
    client.handle("/app")
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})
    number = server.start("execute", "/26241/0/22", args="0='a',1,2='b-c'")
    call = client.wait_call("Execute")
    assert call.args[0] == "/26241/0/22"
    assert call.args[1] == [[0, "a"], [1, ""], [2, "b-c"]]
    assert call.args[2]["server"] == 101
    call.reply()
    assert server.finish(number).code == "2.04"
    for bad in ("10", "0=a", "a", "0='a'1", "0='a',", "0='unended"):
        assert server.execute("/26241/0/22", bad).code == "4.00", bad
    assert not client.calls


@pytest.mark.parametrize("error, code", [("NotFound", "4.04"), ("NotAllowed", "4.05"),
                                         ("InvalidValue", "4.00"), ("Busy", "5.03"),
                                         ("NotSupported", "5.01"), ("org.example.Other", "5.00"),
                                         ("org.freedesktop.DBus.Error.AccessDenied", "4.01")])
def test_owner_errors_become_codes(kit, server, client, error, code):
    client.handle("/app", lambda call: call.fail(error, "no"))
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})
    assert server.execute("/26241/0/22").code == code


def test_owner_that_vanishes(kit, server, make_client):
    owner = make_client()
    owner.handle("/app")
    owner.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
               {"execute": Variant("b", True)})
    number = server.start("execute", "/26241/0/22")
    owner.wait_call("Execute")
    owner.close()
    answer = server.finish(number)
    assert answer.code == "5.03" and answer.rtt_us < 5_000_000


def test_owner_refuses_a_write(kit, server, client):
    def prepare(call):
        if call.args[1][0][2] == "bad":
            call.fail("InvalidValue", "not this")
        else:
            call.reply()
    client.handle("/app", prepare)
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/0"], "/app",
                {"write": Variant("b", True)})
    assert server.write("/26241/0/0", "bad").code == "4.00"
    assert server.read("/26241/0/0", accept="text").text == "hello"
    assert server.write("/26241/0/0", "good").code == "2.04"
    assert server.read("/26241/0/0", accept="text").text == "good"


def test_attributes(kit, server):
    assert server.write_attributes("/26241/0", "pmin=5&pmax=50").code == "2.04"
    assert server.write_attributes("/26241/0/3", "gt=2.5&lt=1&st=0.5").code == "2.04"
    links = fm.links_decode(server.discover("/26241/0").text)
    assert links["/26241/0"] == {"pmin": "5", "pmax": "50"}
    assert links["/26241/0/3"] == {"gt": "2.5", "lt": "1", "st": "0.5"}
    links = fm.links_decode(server.discover("/26241/0/3").text)
    assert links["/26241/0/3"] == {"pmin": "5", "pmax": "50", "gt": "2.5", "lt": "1", "st": "0.5"}
    assert server.write_attributes("/26241/0", "pmax").code == "2.04"
    assert fm.links_decode(server.discover("/26241/0").text)["/26241/0"] == {"pmin": "5"}


@pytest.mark.parametrize("path, query, code", [
    ("/26241/0", "pmin=10&pmax=5", "4.00"), ("/26241/0/1", "pmin=x", "4.00"),
    ("/26241/0/1", "pmin=-1", "4.00"), ("/26241/0/0", "gt=3", "4.00"), ("/26241/0", "gt=3", "4.00"),
    ("/26241/0/3", "lt=5&gt=1", "4.00"), ("/26241/0/3", "lt=1&gt=2&st=3", "4.00"),
    ("/26241/9", "pmin=1", "4.04"), ("/0/0", "pmin=1", "4.01"),
])
def test_attributes_refused(kit, server, path, query, code):
    before = server.discover("/26241").text
    assert server.write_attributes(path, query).code == code
    assert server.discover("/26241").text == before


def test_discover(kit, server, client):
    client.call("Claims", "Claim", "asoa{sv}", ["/26241/0/22"], "/app",
                {"execute": Variant("b", True)})
    answer = server.discover("/26241")
    assert (answer.code, answer.format) == ("2.05", fm.LINK)
    links = fm.links_decode(answer.text)
    assert links["/26241"] == {"ver": "1.2"}
    assert {"/26241/0", "/26241/0/0", "/26241/0/22"} <= set(links)
    assert not any(path.count("/") > 3 for path in links)
    links = fm.links_decode(server.discover("/26241/0").text)
    assert links["/26241/0/10"] == {"dim": "2"} and links["/26241/0/0"] == {}
    assert "/26241" not in links
    links = fm.links_decode(server.discover("/26241/0/10").text)
    assert links["/26241/0/10"] == {"dim": "2"}
    for path, code in (("/26241/9", "4.04"), ("/0", "4.01"), ("/31999", "4.04")):
        assert server.discover(path).code == code


@pytest.mark.parametrize("fmt", [fm.SENML_JSON, fm.SENML_CBOR])
def test_read_composite(kit, server, fmt):
    answer = server.call("read_composite", paths=["/26241/0/1", "/3303", "/26241/0/10/7", "/9999"],
                         format=fmt, accept=fmt)
    assert (answer.code, answer.format) == ("2.05", fmt)
    values = fm.senml_decode(answer.body, fmt)
    assert values["/26241/0/1"] == -5 and values["/3303/0/5700"] == 21.5
    assert values["/26241/0/10/7"] == "seven" and "/26241/0/0" not in values


def test_read_composite_hides_object_0(kit, server):
    answer = server.call("read_composite", paths=["/0", "/26241/0/0"], accept="senml-json")
    assert answer.code == "4.01" or not any(path.startswith("/0/") for path in
                                            fm.senml_decode(answer.body))
    answer = server.call("read_composite", paths=["/"], accept="senml-json")
    assert answer.code == "2.05"
    values = fm.senml_decode(answer.body)
    assert "/26241/0/0" in values and not any(path.startswith("/0/") for path in values)


@pytest.mark.parametrize("fmt", [fm.SENML_JSON, fm.SENML_CBOR])
def test_write_composite(kit, server, fmt):
    body = fm.senml_encode({"/26241/0/0": "both", "/26241/0/2": 60}, fmt)
    assert server.call("write_composite", hex=body.hex(), format=fmt).code == "2.04"
    assert server.read("/26241/0/0", accept="text").text == "both"
    assert server.read("/26241/0/2", accept="text").text == "60"


@pytest.mark.parametrize("path, value, code", [
    ("/26241/0/2", 101, "4.00"), ("/26241/0/20", "x", "4.05"), ("/26241/0/99", 1, "4.04"),
    ("/0/0/0", "coap://x", "4.01"), ("/26241/9/0", "x", "4.04"),
])
def test_write_composite_is_all_or_nothing(kit, server, path, value, code):
    body = fm.senml_encode({"/26241/0/0": "changed", path: value})
    assert server.call("write_composite", hex=body.hex()).code == code
    assert server.read("/26241/0/0", accept="text").text == "hello"


def test_other_methods_and_bootstrap_paths(kit, server):
    assert server.request("PATCH", "/26241/0/0", payload="x", format=0).code == "4.05"
    assert server.request("0.31", "/26241/0/0").code in ("4.05", "5.01")
    assert server.request("POST", "/bs").code in ("4.04", "4.05")


@pytest.mark.parametrize("kind", ["con", "non"])
def test_message_types(kit, server, kind):
    answer = server.read("/26241/0/0", type=kind, accept="text")
    assert answer.text == "hello" and answer.type == ("ack" if kind == "con" else "non")
