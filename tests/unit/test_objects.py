#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the shipped object definitions: form, legal values, and that they agree with each other.

usage: test_objects.py FILE...   (all of data/objects; files beside them that were not named fail)
"""
import os
import re
import sys
import xml.etree.ElementTree as ET

TYPES = {"String", "Integer", "Unsigned Integer", "Float", "Boolean", "Opaque", "Time", "Objlnk",
         "Corelnk"}
NUMERIC = {"Integer", "Unsigned Integer", "Float"}
SIZED = {"String", "Opaque"}
OBJECT_FIELDS = ["Name", "Description1", "ObjectID", "ObjectURN", "LWM2MVersion", "ObjectVersion",
                 "MultipleInstances", "Mandatory", "Resources", "Description2"]
ITEM_FIELDS = ["Name", "Operations", "MultipleInstances", "Mandatory", "Type", "RangeEnumeration",
               "Units", "Description"]
REUSABLE = range(2048, 26241)  # resource ids that mean the same in every object
SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
SPDX = "<!-- SPDX-License-Identifier: Apache-2.0 -->"

errors = []


def expect(condition, where, message):
    if not condition:
        errors.append(f"{where}: {message}")


def text(element, name):
    return element.findtext(name, default="").strip()


def check_range(where, kind, value):
    if value == "":
        return
    if kind in SIZED:
        ok = re.fullmatch(r"\d+(\.\.\d+)?(,\d+)*", value)
    elif kind in NUMERIC:
        ok = re.fullmatch(r"-?[\d.]+?\.\.-?[\d.]+", value)
    else:
        ok = False
    expect(ok, where, f"range '{value}' does not suit type '{kind}'")
    if ok and ".." in value:
        low, high = value.split("..")
        expect(float(low) <= float(high), where, f"range '{value}' is upside down")


def check_item(name, item, seen, reusable):
    where = f"{name}: resource {item.get('ID')}"
    expect([e.tag for e in item] == ITEM_FIELDS, where, "fields missing, doubled or out of order")
    expect(re.fullmatch(r"\d{1,5}", item.get("ID", "")) and int(item.get("ID")) < 65535, where,
           "not a resource id")
    number = int(item.get("ID"))
    expect(number not in seen, where, "appears twice")
    expect(not seen or number > max(seen), where, "out of order")
    seen.add(number)

    kind, operations = text(item, "Type"), text(item, "Operations")
    expect(operations in {"", "R", "W", "RW", "E"}, where, f"operations '{operations}'")
    if operations == "E":
        expect(kind == "", where, "an executable resource has a type")
    else:
        expect(kind in TYPES, where, f"type '{kind}'")
    expect(text(item, "MultipleInstances") in {"Single", "Multiple"}, where, "multiplicity")
    expect(text(item, "Mandatory") in {"Mandatory", "Optional"}, where, "mandatory or optional")
    expect(text(item, "Name"), where, "no name")
    expect(text(item, "Description"), where, "no description")
    check_range(where, kind, text(item, "RangeEnumeration"))

    if number in REUSABLE:
        meaning = (text(item, "Name"), kind)
        expect(reusable.setdefault(number, meaning) == meaning, where,
               f"is {meaning} here and {reusable[number]} elsewhere")


def check_file(path, versions, reusable):
    name = os.path.basename(path)
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        expect(False, name, f"not well-formed: {error}")
        return
    with open(path, encoding="utf-8") as file:
        expect(file.read().splitlines()[1] == SPDX, name, "no licence line")
    expect(root.tag == "LWM2M" and [e.tag for e in root] == ["Object"], name, "not one object")
    obj = root[0]
    expect(obj.get("ObjectType") == "MODefinition", name, "object type")
    expect([e.tag for e in obj] == OBJECT_FIELDS, name, "fields missing, doubled or out of order")

    number, version = text(obj, "ObjectID"), text(obj, "ObjectVersion")
    expect(re.fullmatch(r"\d{1,5}", number) and int(number) < 65535, name, "object id")
    expect(re.fullmatch(r"\d+\.\d+", version), name, f"object version '{version}'")
    enabler = text(obj, "LWM2MVersion")
    expect(enabler in {"1.0", "1.1", "1.2"}, name, "LwM2M version")
    # Servers choose the schema by the LwM2M version and refuse the file when the two disagree.
    expect(root.get(SCHEMA, "").endswith("/LWM2M.xsd" if enabler == "1.0" else "/LWM2M-v1_1.xsd"), name,
           f"schema '{root.get(SCHEMA)}' does not go with LwM2M {enabler}")
    expect(name in {f"{number}.xml", f"{number}-{version.replace('.', '_')}.xml"}, name,
           "file name does not tell the object")
    expect((number, version) not in versions, name, "another file has the same object and version")
    versions.add((number, version))

    suffix = "" if version == "1.0" else ":" + version
    expect(re.fullmatch(rf"urn:oma:lwm2m:(oma|ext|x):{number}{re.escape(suffix)}",
                        text(obj, "ObjectURN")), name, f"URN '{text(obj, 'ObjectURN')}'")
    expect(text(obj, "MultipleInstances") in {"Single", "Multiple"}, name, "multiplicity")
    expect(text(obj, "Mandatory") in {"Mandatory", "Optional"}, name, "mandatory or optional")
    expect(text(obj, "Name") and text(obj, "Description1"), name, "no name or description")

    seen = set()
    for item in obj.find("Resources"):
        check_item(name, item, seen, reusable)
    expect(seen, name, "no resources")


def main():
    paths = sys.argv[1:]
    folder = os.path.dirname(paths[0])
    present = {f for f in os.listdir(folder) if f.endswith(".xml")}
    named = {os.path.basename(p) for p in paths}
    expect(present == named, folder, f"not installed: {sorted(present - named)}")

    versions, reusable = set(), {}
    for path in paths:
        check_file(path, versions, reusable)
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(paths)} definitions, {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
