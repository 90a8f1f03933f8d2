"""Verify the DKIM signature of a message with python3-dkim. Arguments: message, file with the DNS record's text."""
import pathlib
import sys

import dkim

message = pathlib.Path(sys.argv[1]).read_bytes()
record = pathlib.Path(sys.argv[2]).read_bytes().strip()
good = dkim.verify(message, dnsfunc=lambda name, timeout=5: record)
print("python3-dkim says: the signature is", "good" if good else "BAD")
sys.exit(0 if good else 1)
