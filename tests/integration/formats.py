# SPDX-License-Identifier: Apache-2.0
"""LwM2M content formats in Python, written apart from the daemon's: TLV, CBOR, SenML, CoRE links."""
import base64
import json
import re
import struct

TEXT, LINK, OPAQUE, CBOR = 0, 40, 42, 60
SENML_JSON, SENML_CBOR, TLV, JSON, LWM2M_CBOR = 110, 112, 11542, 11543, 11544
SENML_LABELS = {-2: "bn", -3: "bt", 0: "n", 2: "v", 3: "vs", 4: "vb", 6: "t", 8: "vd", "vlo": "vlo"}


def cbor_head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise OverflowError(value)


def cbor_encode(value):
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return cbor_head(4, len(value)) + b"".join(map(cbor_encode, value))
    return cbor_head(5, len(value)) + b"".join(cbor_encode(k) + cbor_encode(v)
                                              for k, v in value.items())


def cbor_item(data, at):
    """(value, position after it); the value of a break code is Ellipsis."""
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    if major == 7 and info in (25, 26, 27):
        size = 1 << info - 24
        return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], data[at:at + size])[0], at + size
    if major == 7:
        return {20: False, 21: True, 22: None, 31: ...}[info], at
    number, endless = info, info == 31
    if 24 <= info <= 27:
        size = 1 << info - 24
        number, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major == 6:
        return cbor_item(data, at)
    if major in (2, 3) and not endless:
        part = data[at:at + number]
        assert len(part) == number, "CBOR ends early"
        return part if major == 2 else part.decode(), at + number
    items = []
    while endless or len(items) < number * (2 if major == 5 else 1):
        item, at = cbor_item(data, at)
        if item is ...:
            break
        items.append(item)
    if major in (2, 3):
        return (b"" if major == 2 else "").join(items), at
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def cbor_decode(data):
    value, end = cbor_item(data, 0)
    assert end == len(data), "bytes after the CBOR item"
    return value


def senml_record(path, value):
    if isinstance(value, bool):
        return {"n": path, "vb": value}
    if isinstance(value, (int, float)):
        return {"n": path, "v": value}
    if isinstance(value, bytes):
        return {"n": path, "vd": value}
    if isinstance(value, tuple):
        return {"n": path, "vlo": "%d:%d" % value}
    return {"n": path, "vs": value} if value is not None else {"n": path}


def senml_encode(values, fmt=SENML_JSON):
    """{path: value} as a SenML pack; bytes are Opaque, pairs are Objlnk, None is a path alone."""
    records = [senml_record(p, v) for p, v in values.items()]
    if fmt == SENML_CBOR:
        labels = {name: number for number, name in SENML_LABELS.items()}
        return cbor_encode([{labels[k]: v for k, v in r.items()} for r in records])
    for record in records:
        if "vd" in record:
            record["vd"] = base64.urlsafe_b64encode(record["vd"]).rstrip(b"=").decode()
    return json.dumps(records).encode()


def senml_decode(data, fmt=SENML_JSON):
    """{path: value} of a SenML pack with base names resolved."""
    if fmt == SENML_CBOR:
        records = [{SENML_LABELS[k]: v for k, v in r.items()} for r in cbor_decode(data)]
    else:
        records = json.loads(data)
    values, base = {}, ""
    for record in records:
        base = record.get("bn", base)
        value = next((record[k] for k in ("v", "vs", "vb", "vd", "vlo") if k in record), None)
        if "vd" in record and isinstance(value, str):
            value = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        if "vlo" in record:
            value = tuple(map(int, value.split(":")))
        values[base + record.get("n", "")] = value
    return values


INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = range(4)


def tlv(kind, number, value):
    """One TLV; a list of encoded TLVs as value is joined."""
    value = b"".join(value) if isinstance(value, list) else value
    head, length = kind << 6 | (0x20 if number > 255 else 0), len(value)
    size = 0 if length < 8 else (length.bit_length() + 7) // 8
    head |= size << 3 if size else length
    return (bytes([head]) + number.to_bytes(2 if number > 255 else 1, "big") +
            (length.to_bytes(size, "big") if size else b"") + value)


def tlv_decode(data):
    """[(kind, number, bytes or nested list)]."""
    items, at = [], 0
    while at < len(data):
        head, at = data[at], at + 1
        wide, size = 2 if head & 0x20 else 1, head >> 3 & 3
        number, at = int.from_bytes(data[at:at + wide], "big"), at + wide
        length = int.from_bytes(data[at:at + size], "big") if size else head & 7
        at += size
        value, at = data[at:at + length], at + length
        assert len(value) == length, "TLV ends early"
        kind = head >> 6
        items.append((kind, number, tlv_decode(value) if kind in (INSTANCE, MULTIPLE) else value))
    return items


def links_decode(text):
    """{path: {attribute: value or None}} of a CoRE link list."""
    links = {}
    for target, rest in re.findall(r'<([^>]*)>((?:;[^,;"]+(?:"[^"]*")?)*)', text):
        attributes = re.findall(r';([^=;]+)(?:=("[^"]*"|[^;]*))?', rest)
        links[target] = {name: value.strip('"') if value else None for name, value in attributes}
    return links


def senml_series(data, fmt=SENML_JSON):
    """[(path, seconds or None, value)] of a SenML pack, in its order, with base names and times
    resolved."""
    if fmt == SENML_CBOR:
        records = [{SENML_LABELS[k]: v for k, v in r.items()} for r in cbor_decode(data)]
    else:
        records = json.loads(data)
    found, base, base_time = [], "", 0
    for record in records:
        base, base_time = record.get("bn", base), record.get("bt", base_time)
        value = next((record[k] for k in ("v", "vs", "vb", "vd", "vlo") if k in record), None)
        found.append((base + record.get("n", ""), base_time + record.get("t", 0) or None, value))
    return found
