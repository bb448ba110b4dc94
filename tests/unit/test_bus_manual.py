#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares org.lwm2md.Client1(5) with the interfaces: test_bus_manual.py MANUAL.5 SRC/BUS XML...

Every method and signal stands in the manual with its arguments, every property with its type, every
error the daemon can name in the list of errors; and nothing else does."""
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

SECTIONS = ("Manager", "Data", "Claims", "Handler", "CredentialProvider", "Model", "Server")
# What only the applications' side uses.
FROM_APPLICATIONS = {"NotMine", "AccessDenied"}


def from_xml(files):
    members = set()
    for file in files:
        for interface in ET.parse(file).getroot().iter("interface"):
            name = interface.get("name").rsplit(".", 1)[1]
            for member in interface:
                if member.tag == "property":
                    members.add((name, member.get("name"), member.get("type")))
                elif member.tag in ("method", "signal"):
                    args = [(a.get("direction", "in"), f"{a.get('type')} {a.get('name')}")
                            for a in member.iter("arg")]
                    if member.tag == "signal":
                        args = [("in", text) for _, text in args]
                    members.add((name, member.get("name"),
                                 " ".join(t for d, t in args if d == "in") + " -> " +
                                 " ".join(t for d, t in args if d == "out")))
    return members


def from_manual(text):
    members, errors, section = set(), set(), None
    for line in text.split("\n"):
        if line.startswith(".Sh "):
            section = line[4:].title()
            section = "CredentialProvider" if section == "Credential Provider" else section
        elif section in SECTIONS and line.startswith(".It Fn "):
            name, *rest = re.findall(r'"[^"]*"|\S+', line[7:])
            split = rest.index("No") if "No" in rest else len(rest)
            before = " ".join(word.strip('"') for word in rest[:split])
            after = " ".join(word.strip('"') for word in rest[split:] if word.startswith('"'))
            members.add((section, name, f"{before} -> {after}"))
        elif (section in SECTIONS and " Ta " not in line and
              (found := re.match(r"\.It Li ([A-Z].*)", line))):
            for item in found[1].split(" , "):
                name, kind = item.split()
                members.add((section, name, kind))
        elif section == "Error Names" and line.startswith(".It Li "):
            errors |= set(line[7:].split(" , "))
    return members, errors


def errors_of(folder):
    found = set()
    for file in sorted(folder.glob("*.[ch]")):
        found |= set(re.findall(r'ERROR_PREFIX "(\w+)"', file.read_text(encoding="utf-8")))
    return found - FROM_APPLICATIONS


def difference(truth, manual):
    lines = [f"not in the manual: {item}" for item in truth - manual]
    return sorted(lines + [f"only in the manual: {item}" for item in manual - truth])


def main():
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    members, errors = from_manual(text)
    truth, known = from_xml(sys.argv[3:]), errors_of(Path(sys.argv[2]))
    assert len(truth) > 60 and len(known) > 10, "the sources were not understood"
    found = difference(truth, members) + difference(known, errors)
    print("\n".join(found) or f"{len(members)} members and {len(errors)} errors agree")
    if found:
        sys.exit(1)
    # It must be able to fail: a member less, another argument.
    assert difference(truth, members - {next(iter(members))})
    changed, _ = from_manual(text.replace('Fn Release "u id"', 'Fn Release "q id"'))
    assert len(difference(truth, changed)) == 2


main()
