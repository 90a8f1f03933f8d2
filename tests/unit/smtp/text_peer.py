#!/usr/bin/python3
"""The text that a client sends, by the server machine and by a second, naive reading of RFC 5321 4.1.1.4 and 4.5.2 and RFC 3030 2, written
from them and not from the machine: text_peer.py PROGRAM (see text_peer.c). Generated texts are rich in dots, line ends and their halves, and
come in pieces of one byte and more.

By hand, with another seed and more values:
    POSTHOUSE_VALUES=1000000 POSTHOUSE_SEED=7 tests/unit/smtp/text_peer.py build-test/clang/tests/unit/smtp/text_peer"""
import os
import random
import re
import subprocess
import sys

PIECES = [b"\r\n", b"\r\n", b"\r\n", b".", b".", b"..", b"\r", b"\n", b"\r\n.\r\n", b"\r\n..", b".\r", b".\n", b"\r\r\n", b"a", b"hello", b" ", b"\x00", b"\xff", b"x" * 1100,
          b"QUIT\r\n", b"BDAT 1 LAST\r\n"]


def mended(text):
    """Whatever ends a line, CRLF goes on. None: refused, for a CR that ends no line, or a NUL."""
    if b"\0" in text or re.search(rb"\r(?!\r*\n)", text):
        return None
    return re.sub(rb"\r*\n", b"\r\n", text)


def data(stream):
    """The text ends at the first CRLF "." CRLF, and that of DATA counts. A dot behind a CRLF goes, unless it is all that its line has, which
    then ends in another way than by CRLF."""
    stream = b"\r\n" + stream
    end = stream.find(b"\r\n.\r\n")
    if end < 0:
        return "open"
    text = mended(re.sub(rb"(?<=\r\n)\.(?!\n|\r\r)", b"", stream[:end + 2])[2:])
    return "refused" if text is None else text.hex()


def chunks(sizes, octets, binary):
    """All octets as they are; a text of lines gets the line ends, also the last one."""
    if binary:
        return octets.hex()
    text = mended(octets)
    if text is None:
        return "refused"
    return (text if text == b"" or text.endswith(b"\r\n") else text + b"\r\n").hex()


def some(rng):
    return b"".join(rng.choice(PIECES) for _ in range(rng.randint(0, 12)))


def case(rng):
    """What the client says, and what it is by the naive reading."""
    step = rng.choice([1, 1, 2, 3, 7, 50, 4000])
    if rng.random() < .6:
        stream = some(rng) + rng.choice([b"", b"\r\n.\r\n", b"\r\n.\r\n", b".\r\n"]) + some(rng)
        return "data %d %s" % (step, stream.hex()), data(stream)
    binary = rng.random() < .3
    parts = [some(rng) for _ in range(rng.randint(1, 5))]
    stream = b"".join(b"BDAT %d%s\r\n" % (len(p), b" LAST" if i == len(parts) - 1 else b"") + p for i, p in enumerate(parts))
    return "%s %d %s" % ("binary" if binary else "chunks", step, stream.hex()), chunks(parts, b"".join(parts), binary)


def main():
    rng = random.Random(int(os.environ.get("POSTHOUSE_SEED", "1")))
    cases = [case(rng) for _ in range(int(os.environ.get("POSTHOUSE_VALUES", "20000")))]
    said = "".join(line + "\n" for line, _ in cases)
    done = subprocess.run([sys.argv[1]], input=said, stdout=subprocess.PIPE, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(cases), (len(answers), len(cases))
    failures = [(line, answer, naive) for (line, naive), answer in zip(cases, answers) if answer != naive]
    for line, answer, naive in failures[:20]:
        how, step, stream = line.split(" ")
        print("FAILED", how, "in pieces of", step, bytes.fromhex(stream), "is", answer, "and not", naive)
    kinds = {kind: sum(answer == kind for answer in answers) for kind in ("refused", "open")}
    print("%d texts, %s, %d failures" % (len(cases), kinds, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
