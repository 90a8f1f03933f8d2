"""run.py - run the integration tests: every function test_* of every test_*.py, each in a process of its own, some at a time.

A test passes when its function returns, is skipped when it raises lib.Skip, and fails otherwise or after its time limit.
"""
import argparse
import importlib
import inspect
import os
import pathlib
import random
import selectors
import signal
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


class Test:
    """A test that runs: a child of this process, which has loaded all modules, in a session of its own. Its output ends when it and all
    that it has left have closed it."""

    def __init__(self, full, limit):
        self.full, self.limit, self.output, self.killed, self.start = full, limit, b"", False, time.monotonic()
        self.pipe, write = os.pipe()  # neither is inherited by a program
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(write, 1)
            os.dup2(write, 2)
            os.close(write)
            sys.stdout.reconfigure(write_through=True)
            random.seed()  # else each test would throw the same dice
            run_one(full)
        os.close(write)

    def time_left(self):
        return self.start + self.limit - time.monotonic()

    def kill(self):
        self.killed = True
        os.killpg(self.pid, signal.SIGKILL)  # the session that we made for this test, nothing else

    def read(self):
        """Take what it has written; None at the end, with which the test is over."""
        part = os.read(self.pipe, 1 << 16)
        self.output += part
        return part or None

    def end(self):
        """(its name, exit status, output, seconds)"""
        os.close(self.pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self.killed:
            code = 1
            self.output += b"\n(time limit of %d s passed)\n" % self.limit
        return self.full, code, self.output.decode("utf-8", "replace"), time.monotonic() - self.start


def run_all(jobs, at_once):
    """The ends of these tests, as they come. Those that are allowed the most time begin first, so none of them runs alone in the end;
    they compile, so test_abuse, which measures, comes last: the others go backwards through the alphabet.
    There are no threads here: a process that is forked would have their locks."""
    running, waiting = selectors.DefaultSelector(), sorted(jobs, key=lambda job: job[1])
    while waiting or running.get_map():
        while waiting and len(running.get_map()) < at_once:
            test = Test(*waiting.pop())
            running.register(test.pipe, selectors.EVENT_READ, test)
        tests = [key.data for key in running.get_map().values()]
        for key, _ in running.select(max(0, min([test.time_left() for test in tests if not test.killed], default=1))):
            if key.data.read() is None:
                running.unregister(key.data.pipe)
                yield key.data.end()
        for test in tests:
            if not test.killed and test.pipe in running.get_map() and test.time_left() <= 0:
                test.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sanitized")
    parser.add_argument("--release")
    parser.add_argument("--results")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    os.environ["POSTHOUSE_SANITIZED"] = os.path.abspath(options.sanitized)
    os.environ["POSTHOUSE_RELEASE"] = os.path.abspath(options.release)
    counts = {0: 0, SKIPPED: 0, 1: 0}
    jobs = collect(options.words)
    for full, code, output, seconds in run_all(jobs, options.jobs):
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
