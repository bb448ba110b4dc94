# SPDX-License-Identifier: Apache-2.0
"""The table of verbs is the truth: help, manual and completions must tell what it has.

Usage: test_ctl_docs.py LWM2MCTL MANUAL BASH_COMPLETION ZSH_COMPLETION"""
import os
import re
import shutil
import subprocess
import sys
import unittest

LWM2MCTL, MANUAL, BASH, ZSH = sys.argv[1:5]


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=60, check=True, **kwargs).stdout


def help_of(*verb):
    return run(LWM2MCTL, *verb, "--help")


def verbs():
    section = help_of().split("\nVerbs:\n")[1].split("\n\n")[0]
    return [re.match(r"  ((?:server |model )?[a-z-]+)", line).group(1) for line in section.splitlines()]


def options_of(text):
    found = []
    for line in text.splitlines():
        match = re.match(r"  (-[^ ,]+)(?:, (-\S+))? ", line)
        if match:
            found += [o for o in match.groups() if o]
    return found


class Docs(unittest.TestCase):
    def test_verbs(self):
        self.assertGreater(len(verbs()), 30)
        self.assertEqual(len(verbs()), len(set(verbs())))
        for verb in verbs():
            self.assertTrue(help_of(*verb.split()).startswith(f"Usage: lwm2mctl {verb}"), verb)

    def test_manual(self):
        with open(MANUAL, encoding="ascii") as f:
            items = [line for line in f.read().splitlines() if line.startswith((".It", ".Op Fl", ".Fl"))]
        for verb in verbs():
            first, *second = verb.split()
            self.assertTrue(any(re.match(rf"\.It Cm (\w+ , )*{first}\b", i) and all(s in i.split() for s in second)
                                for i in items), f"{verb} is not in the manual")
        words = " ".join(items)
        for verb in verbs():
            for option in options_of(help_of(*verb.split())):
                name = option.split("=")[0][1:]
                if re.fullmatch(r"[us](8|16|32|64)", name):
                    continue  # listed in one line of text
                self.assertRegex(words, rf"Fl {re.escape(name)}(?![\w-])", f"{verb} {option} is not in the manual")

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is missing")
    def test_manual_lint(self):
        lint = subprocess.run(["mandoc", "-Tlint", MANUAL], capture_output=True, text=True, check=False)
        bad = [line for line in (lint.stdout + lint.stderr).splitlines()
               if "referenced manual not found" not in line and "mandoc.db" not in line]
        self.assertEqual(bad, [])

    def environment(self):
        path = os.path.dirname(os.path.abspath(LWM2MCTL)) + os.pathsep + os.environ["PATH"]
        return {**os.environ, "PATH": path, "LWM2MCTL_BUS": "unix:path=/nonexistent"}

    def complete_bash(self, line):
        script = f'. "{BASH}"; COMP_LINE=$1; COMP_POINT=${{#1}}; _lwm2mctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return run("bash", "-c", script, "bash", line, env=self.environment()).split()

    def complete_zsh(self, line):
        words = line.split(" ")
        # Only the builtins of zsh's completion system are replaced; what they are given is printed.
        script = ('compadd() { if [[ $1 == -a ]]; then print -l -- ${(P)2}; else print -l -- $*; fi }; _describe() { print -l -- ${(P)@[-1]%%:*} }; compdef() { };'
                  f'CURRENT=$#; words=("$@"); source "{ZSH}"')
        return run("zsh", "-f", "-c", script, "zsh", *words, env=self.environment()).split()

    def check_completion(self, complete):
        self.assertEqual(set(complete("lwm2mctl ")), {v.split()[0] for v in verbs()})
        self.assertEqual(set(complete("lwm2mctl server ")), {v.split()[1] for v in verbs() if v.startswith("server ")})
        for verb in verbs():
            want = {o.split("=")[0] for o in options_of(help_of(*verb.split()))}
            got = {o.rstrip("=") for o in complete(f"lwm2mctl --json {verb} -")}
            self.assertEqual(got, want, verb)
        self.assertIn("registered", complete("lwm2mctl wait r"))
        self.assertEqual(complete("lwm2mctl read /"), [])  # no daemon, no paths, no noise

    @unittest.skipUnless(shutil.which("bash"), "bash is missing")
    def test_bash(self):
        self.check_completion(self.complete_bash)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is missing")
    def test_zsh(self):
        self.check_completion(self.complete_zsh)


unittest.main(argv=sys.argv[:1])
