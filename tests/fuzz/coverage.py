"""The lines that the corpora of a target reach in the files that it is for, by clang's own counting (llvm-cov)."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
FLAGS = "-fprofile-instr-generate -fcoverage-mapping"
QUIET = {**os.environ, "LLVM_PROFILE_FILE": "/dev/null"}  # what the build itself runs counts nothing


def parsers():
    """{target: [file]}: the table "Parsers of outside bytes" of HACKING.md."""
    table = {}
    for line in (TOP / "HACKING.md").read_text().splitlines():
        row = re.fullmatch(r"\| [^|]+ \| [^|]+ \| `([^|]+)` \| `([a-z0-9_]+/[a-z0-9_ /]+)` \|", line)
        for target in row[2].split() if row else []:
            table.setdefault(target, []).extend(TOP / "src" / file for file in row[1].split())
    return table


def tool(name):
    return shutil.which(name) or shutil.which(name + "-14") or f"/usr/lib/llvm-14/bin/{name}"


def build(directory):
    if not (directory / "build.ninja").exists():
        subprocess.run(["meson", "setup", directory, "-Dtests=enabled", "-Db_lundef=false", "--buildtype=debugoptimized"], cwd=TOP,
                       check=True, stdout=subprocess.DEVNULL, env={**QUIET, "CC": "clang", "CFLAGS": FLAGS, "LDFLAGS": FLAGS})
    subprocess.run(["ninja", "-C", directory, "fuzz"], cwd=TOP, check=True, stdout=subprocess.DEVNULL, env=QUIET)


def measure(directory, target, files):
    """{file: (lines reached, lines)}"""
    program = next(directory.glob(f"tests/fuzz/**/{target.program.name}"))
    raw, profile = (directory / f"{target.flat}.{end}" for end in ("profraw", "profdata"))
    corpora = [path for path in (target.seeds, target.found) if path.is_dir() and any(path.iterdir())]
    subprocess.run([program, *corpora], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "LLVM_PROFILE_FILE": str(raw)})
    if not raw.exists():
        return {}
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", raw, "-o", profile], check=True)
    told = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={profile}", program, *files], check=True,
                          capture_output=True).stdout
    raw.unlink()
    return {pathlib.Path(f["filename"]).resolve(): (f["summary"]["lines"]["covered"], f["summary"]["lines"]["count"])
            for f in json.loads(told)["data"][0]["files"]}


def report(directory, targets, jobs):
    table = parsers()
    build(directory)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        measured = list(pool.map(lambda target: measure(directory, target, table.get(target.name, [])), targets))
    print(f"{'target':24} {'executions':>12} {'edges':>6} {'lines':>6} {'of':>6} {'':>5}  files")
    for target, files in zip(targets, measured):
        own = {path: files[path] for path in table.get(target.name, []) if path in files}
        reached, lines = (sum(pair[n] for pair in own.values()) for n in (0, 1))
        share = f"{100 * reached // lines}%" if lines else ""
        each = ", ".join(f"{path.name} {100 * pair[0] // max(pair[1], 1)}%" for path, pair in own.items())
        print(f"{target.name:24} {target.executions:12} {target.edges:6} {reached:6} {lines:6} {share:>5}  {each}")
