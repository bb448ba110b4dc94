#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares lwm2md.conf(5) with the keys of the daemon: test_conf_manual.py CONFIG.c MANUAL.5

Every key stands in the manual under its group, with the default that holds, and no other does."""
import re
import sys
from pathlib import Path

ROW = re.compile(r'\{\s*"(\w+)",\s*"(\w+)",\s*AT\(\w+\),\s*(.+?),\s*KEY_(\w+)\s*\}', re.S)
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def number(expression):
    """The value of a constant as the table writes it: 5 * USEC_PER_SEC, 256U << 20."""
    text = re.sub(r"(\d)U?L*\b", r"\1", expression.replace("USEC_PER_SEC", "1000000"))
    assert re.fullmatch(r"[\d*<+\s]+", text), f"cannot read '{expression}'"
    return eval(text)  # digits and operators only, as just checked


def table(source):
    """{(group, key): default, or None for text}, from the table and from the texts about others."""
    keys = {}
    for group, key, numbers, kind in ROW.findall(source):
        preset = number(numbers.split(",")[0])
        if kind == "DURATION":
            preset /= 1000000
        words = ("TEXT", "VERSION", "FORMAT", "QUEUE_SOCKET", "STOP", "NOTIFICATIONS", "DISCOVER", "ADDRESS",
                 "INTERFACE", "MARK")
        keys[group, key] = None if kind in words else preset
    assert len(keys) == source.count("AT(") - source.count("#define AT("), "a row was not understood"
    # A long text is several literals side by side.
    server = re.search(r"known: (Uri, (?:\w+, )+\w+)\)\"\);", re.sub(r'"\n\s*"', "", source))
    assert set(re.findall(r'\{ "Server", "(\w+)", OF\(', source)) <= set(server[1].split(", "))
    for key in server[1].split(", "):
        keys["Server NAME", key] = None
    assert 'strcmp(group, "Objects") == 0 && strcmp(name, "Path") == 0' in source
    keys["Objects", "Path"] = None
    assert 'strcmp(group, "Objects") == 0 && strcmp(name, "Offer") == 0' in source
    keys["Objects", "Offer"] = None
    keys["AccessControl", "Default"] = None
    for key in ("Paused", "MaxSamples", "MaxAge", "FlushOnUpdate"):
        keys["SendScheduler", key] = None
    return keys


def manual_value(text):
    if text in ("true", "false"):
        return text == "true"
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(found[1]) * UNITS[found[2]] if found else text


def manual(source):
    keys, group, key, default = {}, None, None, False
    for line in source.split("\n"):
        if found := re.match(r"\.Sh \[(.+)\]", line):
            group = found[1]
        elif line.startswith(".Sh"):
            group = None
        elif group and line.startswith(".It Cm ") and (names := re.findall(r"Cm (\w+) Ns =", line)):
            for name in names:  # several keys may share a text
                key = group, name
                assert key not in keys, f"{key} twice"
                keys[key] = None
        elif default and (found := re.match(r"\.Li (\S+)", line)):
            keys[key] = manual_value(found[1])
        default = line.endswith("Default:")
    return keys


def compare(table_keys, manual_keys):
    errors = [f"[{g}] {k}: not in the manual" for g, k in table_keys.keys() - manual_keys.keys()]
    errors += [f"[{g}] {k}: the daemon does not know it"
               for g, k in manual_keys.keys() - table_keys.keys()]
    for key in table_keys.keys() & manual_keys.keys():
        want, got = table_keys[key], manual_keys[key]
        # Where the default is 0, the text may say in words what 0 means.
        if want is not None and want != got and not (want == 0 and got is None):
            errors.append(f"[{key[0]}] {key[1]}: the default is {want}, the manual says {got}")
    return sorted(errors)


def self_test(keys, man):
    """A test that cannot fail shows nothing: each kind of difference is found."""
    some = ("Limits", "Servers")
    assert compare(keys, {k: v for k, v in man.items() if k != some})
    assert compare({k: v for k, v in keys.items() if k != some}, man)
    assert compare({**keys, some: 17}, man)


def main():
    source = Path(sys.argv[1])
    entries = source.with_name("config_entries.c")  # the groups whose keys are paths
    keys = table(source.read_text(encoding="utf-8") + entries.read_text(encoding="utf-8"))
    man = manual(Path(sys.argv[2]).read_text(encoding="utf-8"))
    errors = compare(keys, man)
    print("\n".join(errors) or f"{len(keys)} keys agree")
    if errors:
        sys.exit(1)
    self_test(keys, man)


main()
