#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/ to its layers: check_layers.py SOURCE-FOLDER | --self-test

util < codec < model < lwm2m < coap and bus < daemon; ctl uses util alone. A file includes from its
own layer and from those below it, always with the folder. The folders of lwm2m have an order, too. libcoap is seen in coap/ only, sd-bus in
bus/ and ctl/ (and the clean-up header), GMainLoop in util/loop only, and gio and sd-event nowhere.
A .c file has under 700 lines of code, and every file begins with its licence."""
import re
import sys
import tempfile
from pathlib import Path

LAYERS = {
    "util": set(),
    "codec": {"util"},
    "model": {"util", "codec"},
    "lwm2m": {"util", "codec", "model"},
    "coap": {"util", "codec", "model", "lwm2m"},
    "bus": {"util", "codec", "model", "lwm2m"},
    "daemon": {"util", "codec", "model", "lwm2m", "coap", "bus"},
    "ctl": {"util"},
}
# Folders of lwm2m, each with those it may include from beside its own; what lies in lwm2m itself
# belongs to none and is for all. dm, observe and send are one machine in three parts.
MACHINE = {"account", "access", "dm", "observe", "send"}
PARTS = {
    "": set(),
    "account": set(),
    "access": {"account"},
    "dm": MACHINE,
    "observe": MACHINE,
    "send": MACHINE,
    "server": MACHINE,
    "bootstrap": MACHINE | {"server"},
    "est": MACHINE | {"server", "bootstrap"},
    "client": MACHINE | {"server", "bootstrap", "est"},
}
# What is included or named, and the places that may: a folder, or a file without its suffix.
# util/cleanup has macros for the types of every library; it names them only if they were included.
RESERVED = [
    (re.compile(r'#\s*include\s*<coap'), "libcoap", {"coap"}),
    (re.compile(r'#\s*include\s*<(systemd|elogind|basu)/sd-bus'), "sd-bus", {"bus", "ctl"}),
    (re.compile(r'#\s*include\s*<(systemd|elogind|basu)/sd-(event|daemon)'), "sd-event", set()),
    (re.compile(r'\b(GMainLoop|GMainContext|g_main_(loop|context)_\w+|g_(timeout|idle)_add\w*)\b'),
     "GMainLoop", {"util/loop"}),
    (re.compile(r'#\s*include\s*<gio/'), "gio", set()),
]
LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */"
CODE_LINES_MAX = 700
HEADER_LINES, HEADER_FUNCTIONS = 80, 12  # warned about only
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.S)
PROTOTYPE = re.compile(r'^(?!static|typedef|#|\s)[A-Za-z_][^;{}]*\([^;{}]*\)[^;{}]*;', re.M)


def without_comments(text):
    """Strings stay; a comment becomes as many line ends as it had."""
    return COMMENT.sub(lambda m: m[1] or "\n" * m[0].count("\n"), text)


def code_lines(text):
    return sum(1 for line in without_comments(text).split("\n") if line.strip())


def part_of(name):
    """The folder of lwm2m a file lies in; "" for one in lwm2m itself."""
    return name.split("/")[1] if name.count("/") > 1 else ""


def check_part(where, line, name, errors):
    part, other = part_of(where), part_of(name)
    if part not in PARTS:
        errors.append(f"{where}:{line}: not in a known folder of lwm2m ({', '.join(filter(None, PARTS))})")
    elif other and other != part and other not in PARTS[part]:
        errors.append(f"{where}:{line}: lwm2m/{part or '*'} may not include '{name}'")


def check_includes(where, layer, text, errors):
    for match in INCLUDE.finditer(text):
        name, line = match[1], text.count("\n", 0, match.start()) + 1
        if "/" not in name:
            if name != "config.h":
                errors.append(f"{where}:{line}: '{name}' is included without its folder")
            continue
        other = name.split("/")[0]
        if other not in LAYERS:
            errors.append(f"{where}:{line}: '{name}' belongs to no layer")
        elif other != layer and other not in LAYERS[layer]:
            errors.append(f"{where}:{line}: {layer}/ may not include '{name}'")
        elif layer == other == "lwm2m":
            check_part(where, line, name, errors)


def check_reserved(where, layer, text, errors):
    stem = where.rsplit(".", 1)[0]
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, name, places in RESERVED:
            if pattern.search(line) and not places & {layer, stem}:
                allowed = ", ".join(sorted(places)) or "nothing"
                errors.append(f"{where}:{number}: {name} belongs to {allowed}")


def check(root):
    """Errors and warnings about the files below root."""
    errors, warnings, n = [], [], 0
    for file in sorted(root.rglob("*.[ch]")):
        where, n = file.relative_to(root).as_posix(), n + 1
        layer, raw = where.split("/")[0], file.read_text(encoding="utf-8")
        if layer not in LAYERS or "/" not in where:
            errors.append(f"{where}: not in the folder of a layer ({', '.join(LAYERS)})")
            continue
        if raw.split("\n", 1)[0] != LICENCE:
            errors.append(f"{where}:1: the first line is not '{LICENCE}'")
        text = without_comments(raw)
        check_includes(where, layer, text, errors)
        if where != "util/cleanup.h":
            check_reserved(where, layer, text, errors)
        if file.suffix == ".c" and (lines := code_lines(raw)) >= CODE_LINES_MAX:
            errors.append(f"{where}: {lines} lines of code, must be under {CODE_LINES_MAX}")
        if file.suffix == ".h":
            lines, functions = len(raw.split("\n")) - 1, len(PROTOTYPE.findall(text))
            if lines > HEADER_LINES or functions > HEADER_FUNCTIONS:
                warnings.append(f"{where}: {lines} lines, {functions} functions; aim for "
                                f"{HEADER_LINES} and {HEADER_FUNCTIONS}")
    if n == 0:
        errors.append(f"{root}: no source files")
    return errors, warnings


GOOD = {
    "util/loop.c": '#include <glib.h>\n#include "util/loop.h"\nstatic GMainLoop *l;\n',
    "util/loop.h": "int f(void); /* a GMainLoop inside */\n",
    "coap/a.c": '#include <coap3/coap.h>\n#include "lwm2m/x.h"\n// #include "bus/b.h"\n',
    "bus/b.c": '#include <systemd/sd-bus.h>\nconst char *s = "/* no comment";\n'
               '#include "codec/x.h"\n',
    "lwm2m/client/a.c": '#include "lwm2m/bootstrap/b.h"\n#include "lwm2m/x.h"\n#include "util/x.h"\n',
    "lwm2m/dm/a.c": '#include "lwm2m/observe/b.h"\n#include "lwm2m/dm/b.h"\n',
    "daemon/main.c": '#include "coap/a.h"\n#include "bus/b.h"\n',
    "ctl/c.c": '#include <systemd/sd-bus.h>\n#include "util/loop.h"\n' + "int x;\n" * 600,
    "model/comments.c": "/* text */\n" * 1000,
}
BAD = {  # file: (text below the licence, part of the one error it must give)
    "codec/a.c": ('#include "model/tree.h"\n', "codec/a.c:2: codec/ may not include"),
    "util/a.c": ('  #  include "codec/path.h"\n', "util/a.c:2: util/ may not include"),
    "coap/a.c": ('/* two\nlines */ int i;\n#include "bus/bus.h"\n', "coap/a.c:4: coap/ may not include"),
    "bus/a.c": ('#include "coap/x.h"\n', "bus/a.c:2: bus/ may not include"),
    "lwm2m/a.h": ('#include "daemon/x.h"\n', "lwm2m/a.h:2: lwm2m/ may not include"),
    "ctl/a.c": ('#include "codec/path.h"\n', "ctl/a.c:2: ctl/ may not include"),
    "util/b.c": ('#include "parse.h"\n', "util/b.c:2: 'parse.h' is included without"),
    "util/c.c": ('#include "misc/parse.h"\n', "util/c.c:2: 'misc/parse.h' belongs to no layer"),
    "lwm2m/d.h": ('#include "lwm2m/dm/x.h"\n', "lwm2m/d.h:2: lwm2m/* may not include"),
    "lwm2m/dm/a.c": ('#include "lwm2m/server/x.h"\n', "lwm2m/dm/a.c:2: lwm2m/dm may not include"),
    "lwm2m/misc/a.c": ('#include "lwm2m/x.h"\n', "lwm2m/misc/a.c:2: not in a known folder"),
    "lwm2m/b.c": ('#include <coap3/coap.h>\n', "lwm2m/b.c:2: libcoap belongs to coap"),
    "lwm2m/c.c": ('#include <systemd/sd-bus.h>\n', "lwm2m/c.c:2: sd-bus belongs to bus, ctl"),
    "coap/b.c": ('#include <basu/sd-bus.h>\n', "coap/b.c:2: sd-bus belongs to"),
    "bus/b.c": ('#include <systemd/sd-event.h>\n', "bus/b.c:2: sd-event belongs to nothing"),
    "daemon/a.c": ('\nstatic GMainLoop *l;\n', "daemon/a.c:3: GMainLoop belongs to util/loop"),
    "util/looper.c": ('void *p = g_main_loop_new;\n', "util/looper.c:2: GMainLoop belongs to"),
    "bus/c.c": ('#include <gio/gio.h>\n', "bus/c.c:2: gio belongs to nothing"),
    "model/long.c": ("int x;\n" * 700, "model/long.c: 700 lines of code"),
    "extra/a.c": ("", "extra/a.c: not in the folder of a layer"),
    "stray.c": ("", "stray.c: not in the folder of a layer"),
}


def run_on(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return check(Path(folder))


def self_test():
    """Each breach is found, where it is and once; what is allowed is not reported."""
    head = LICENCE + "\n"
    errors, warnings = run_on({name: head + text for name, text in GOOD.items()})
    assert not errors and not warnings, errors + warnings
    for name, (text, expected) in BAD.items():
        errors, _ = run_on({name: head + text})
        assert len(errors) == 1 and errors[0].startswith(expected), (expected, errors)
    for text in ("int x;\n", "\n" + head, " " + head, head.replace("Apache-2.0", "MIT")):
        errors, _ = run_on({"util/a.c": text})
        assert len(errors) == 1 and "the first line is not" in errors[0], errors
    for text in ("int f(void);\n" * 13, "\n" * 90):
        errors, warnings = run_on({"util/a.h": head + text})
        assert not errors and len(warnings) == 1, (errors, warnings)
    errors, _ = run_on({})
    assert len(errors) == 1, errors
    print(f"{len(BAD) + 5} breaches found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    errors, warnings = check(Path(sys.argv[1]))
    for warning in warnings:
        print(f"warning: {warning}")
    for error in errors:
        print(f"error: {error}")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
