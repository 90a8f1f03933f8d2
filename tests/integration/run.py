"""run.py - run the integration tests: every function test_* of every test_*.py, each in a process of its own, some at a time.

A test passes when its function returns, is skipped when it raises lib.Skip, and fails otherwise or after its time limit.
"""
import argparse
import concurrent.futures
import importlib
import inspect
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
SKIPPED = 77


def collect(words):
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            full = f"{path.stem}.{name}"
            if name.startswith("test_") and function.__module__ == path.stem and (not words or any(w in full for w in words)):
                found.append((full, getattr(function, "time_limit", 400)))
    return found


def run_one(full):
    module, name = full.split(".")
    import lib
    try:
        getattr(importlib.import_module(module), name)()
        code = 0
    except lib.Skip as why:
        print(f"skipped: {why}")
        code = SKIPPED
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        lib.end_everything(keep=code == 1)
    sys.stdout.flush()
    os._exit(code)


def supervise(job):
    full, limit = job
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--one", full], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               start_new_session=True, env=dict(os.environ, PYTHONUNBUFFERED="1"))
    try:
        output, _ = process.communicate(timeout=limit)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the session that we made for this test, nothing else
        output, _ = process.communicate()
        output += b"\n(time limit of %d s passed)\n" % limit
        code = 1
    return full, code, output.decode("utf-8", "replace"), time.monotonic() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sanitized")
    parser.add_argument("--release")
    parser.add_argument("--results")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--one")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if options.one:
        run_one(options.one)
    os.environ["POSTHOUSE_SANITIZED"] = os.path.abspath(options.sanitized)
    os.environ["POSTHOUSE_RELEASE"] = os.path.abspath(options.release)
    counts = {0: 0, SKIPPED: 0, 1: 0}
    jobs = collect(options.words)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for full, code, output, seconds in pool.map(supervise, jobs):
            code = code if code in (0, SKIPPED) else 1
            counts[code] += 1
            print(f"{ {0: 'ok', SKIPPED: 'SKIP', 1: 'FAILED'}[code]:7} {full} ({seconds:.1f} s)", flush=True)
            if code == 1:
                shown = output if len(output) < 15000 else output[:5000] + "\n...\n" + output[-10000:]  # what has failed, and the end of the logs
                print("    " + shown.replace("\n", "\n    "), flush=True)
            elif code == SKIPPED:
                print("    " + output.strip().splitlines()[-1])
    if options.results:
        pathlib.Path(options.results).write_text(f"{counts[0]} {counts[1]}\n")
    sys.exit(1 if counts[1] or not counts[0] else 0)


if __name__ == "__main__":
    main()
