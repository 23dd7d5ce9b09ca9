#!/usr/bin/env python3
"""Breaks the code one line at a time, and shows that a test turns red for each.

usage: tests/mutants.py [--list] [NAME...]

The mutants stand in tests/mutants/*.toml. Each names a file, the text that is replaced (it must stand there exactly
once), what it is replaced by, the promise that this breaks, and the test that must fail:

    [[mutant]]
    name = "believes-an-empty-200"
    promise = "A 200 is believed only after the registry's own status"
    file = "shared/src/driver/decision/mod.rs"
    find = "…"
    replace = "…"
    unit = "driver::decision::tests::asks_before_it_believes_a_200"

`unit` is the path of a unit test, `suite` that of an integration test, `local` the name of a test of the command `local`,
`conformance` the path of one of the Data API's, `model` the name of a test of the protocol's model, `corpus` of the fuzzer's,
`browser` a check of tests/browser.sh; the functions of `suite` and `local` are built with the mutant.
NAME chooses mutants by a part of their name. A file that git shows as changed is refused: the mutants are made in it.
Needs Python 3.11. One mutant takes a minute or two, most of it compiling.
"""

import pathlib
import re
import subprocess
import sys

if sys.version_info < (3, 11):
    sys.exit("tests/mutants.py needs Python 3.11 or newer")

import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CARGO = ["--locked", "--workspace", "--target-dir", "target"]


def mutants():
    for source in sorted(ROOT.glob("tests/mutants/*.toml")):
        for mutant in tomllib.loads(source.read_text())["mutant"]:
            yield mutant


def tests():
    """The files in which there is a function of each name."""
    found = {}
    for folder in ("shared", "functions", "tests"):
        for source in ROOT.glob(f"{folder}/**/*.rs"):
            for name in re.findall(r"\bfn (\w+)[(<]", source.read_text()):
                found.setdefault(name, []).append(source)
    return found


def is_there(test, found):
    """Whether there is this test: its function, in a file whose name and folders are those of its modules. What a macro makes
    of the import protocol's suite is in whichever module runs it."""
    *modules, name = test.split("::")
    named = set(modules) - {"tests"}
    places = [{source.stem, *source.parts} for source in found.get(name, [])]
    return any(named <= place or "conformance" in place for place in places)


def run(*command):
    ended = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout


def try_test(mutant):
    """What the mutant's test came to: killed, survived, or why nobody knows."""
    if "unit" in mutant:
        code, output = run("cargo", "test", *CARGO, "--lib", "--", "--exact", mutant["unit"])
    elif "model" in mutant:
        code, output = run("cargo", "test", *CARGO, "--test", "model", "--", "--exact", mutant["model"])
    elif "corpus" in mutant:
        code, output = run("cargo", "test", *CARGO, "--test", "corpus", "--", "--exact", mutant["corpus"])
    elif "conformance" in mutant:
        code, output = run("cargo", "test", *CARGO, "--test", "conformance", "--", "--exact", mutant["conformance"])
    elif "browser" in mutant:
        code, output = run("tests/browser.sh")
        if f"FAILED: the page {mutant['browser']} " in output:
            return "killed", output
        return ("SURVIVED" if code == 0 else "failed elsewhere"), output
    else:
        code, output = run("cargo", "build", *CARGO, "--bins")
        if code != 0:
            return "did not compile", output
        tests, test = ("life", mutant["local"]) if "local" in mutant else ("it", mutant["suite"])
        code, output = run(
            "env", f"FUNCTIONS_DIR={ROOT}/target/debug", "cargo", "test", *CARGO, "--test", tests, "--", "--exact", test
        )
    results = re.findall(r"test result: \w+\. (\d+) passed; (\d+) failed", output)
    passed, failed = (sum(int(result[i]) for result in results) for i in (0, 1))
    if failed:
        return "killed", output
    if passed:
        return "SURVIVED", output
    return ("no such test" if results else "did not compile"), output


def main():
    arguments = sys.argv[1:]
    unknown = [argument for argument in arguments if argument.startswith("-") and argument != "--list"]
    if unknown:
        print(__doc__)
        sys.exit(0 if unknown[0] in ("-h", "--help") else 2)
    only_list = "--list" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    chosen = [mutant for mutant in mutants() if not names or any(name in mutant["name"] for name in names)]
    if not chosen:
        sys.exit("no mutant has such a name")
    bad = 0
    found = tests()
    page = (ROOT / "tests/browser/browse.py").read_text()
    for mutant in chosen:
        path = ROOT / mutant["file"]
        before = path.read_text()
        test = next(mutant[kind] for kind in ("unit", "suite", "local", "conformance", "corpus", "model", "browser") if kind in mutant)
        if before.count(mutant["find"]) != 1:
            bad += 1
            print(f"{mutant['name']}: its text stands {before.count(mutant['find'])} times in {mutant['file']}")
            continue
        if not (f'("{test}",' in page if "browser" in mutant else is_there(test, found)):
            bad += 1
            print(f"{mutant['name']}: there is no test {test}")
            continue
        if only_list:
            print(f"{mutant['name']}: {mutant['promise']} ({test})")
            continue
        if run("git", "diff", "--quiet", "HEAD", "--", mutant["file"])[0] != 0:
            sys.exit(f"{mutant['file']} has changes that are not committed")
        try:
            path.write_text(before.replace(mutant["find"], mutant["replace"]))
            verdict, output = try_test(mutant)
        finally:
            path.write_text(before)
        print(f"{mutant['name']}: {verdict} by {test}" if verdict == "killed" else f"{mutant['name']}: {verdict}: {test}")
        sys.stdout.flush()
        if verdict != "killed":
            bad += 1
            print(output[-3000:])
    print(f"{len(chosen)} mutants, {len(chosen) - bad} killed" if not only_list else f"{len(chosen)} mutants")
    sys.exit(1 if bad else 0)


main()
