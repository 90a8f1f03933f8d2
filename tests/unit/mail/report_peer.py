#!/usr/bin/python3
"""Read the reports of report_peer.c with Python's mail parser: report_peer.py PROGRAM."""
import email
import email.policy
import os
import subprocess
import sys
import tempfile


def fields(part):
    """The groups of fields of a delivery-status part. Python knows message/delivery-status; RFC 6533's type is text to it."""
    payload = part.get_payload()
    if isinstance(payload, list) and part.get_content_type() == "message/delivery-status":
        return [dict(group.items()) for group in payload]
    text = payload[0].as_bytes() if isinstance(payload, list) else part.get_payload(decode=True)
    groups = text.decode().replace("\r\n", "\n").strip().split("\n\n")
    return [dict(line.split(": ", 1) for line in group.splitlines()) for group in groups]


def check(name, text):
    message = email.message_from_bytes(text, policy=email.policy.default)
    kind, eight_bit = name.split("-")
    assert not message.defects, message.defects
    assert (max(text) > 127) == (eight_bit == "8bit"), "is_8bit"
    assert message["Content-Transfer-Encoding"] == eight_bit
    assert message["From"].addresses[0].addr_spec == "mailer-daemon@relay.example.org"
    assert message["To"].addresses[0].addr_spec == "alice@example.org"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Date"].datetime.isoformat() == "2026-11-21T19:37:54+00:00"
    assert message.get_content_type() == "multipart/report"
    prefix = "global-" if kind == "utf8" else ""
    assert message.get_param("report-type") == prefix + "delivery-status"
    parts = list(message.iter_parts())
    types = [p.get_content_type() for p in parts]
    assert types == ["text/plain", "message/%sdelivery-status" % prefix,
                     "message/global-headers" if kind == "utf8" else "text/rfc822-headers"], types
    for part in parts:
        assert not part.defects, part.defects
        encoded = part["Content-Transfer-Encoding"]
        assert encoded in (None, "8bit"), encoded
    words = parts[0].get_content()
    assert "Your message could not be delivered" in words
    assert all(len(line) <= 80 for line in words.splitlines()), words
    groups = fields(parts[1])
    assert groups[0]["Reporting-MTA"] == "dns; relay.example.org"
    assert groups[0]["Original-Envelope-Id"] == "env+id"
    assert groups[1]["Action"] == "failed" and groups[1]["Status"] == "5.1.1"
    assert not any("X-Evil" in g for g in groups) and "X-Evil" not in message
    assert len(groups) == (3 if kind == "two" else 2), groups
    if kind == "two":
        assert groups[2]["Status"] == "4.2.0" and groups[2]["Final-Recipient"] == "rfc822; carol@example.com"
        assert groups[2]["Diagnostic-Code"].startswith("smtp; 451 4.2.0 greylisted ?, come back"), groups[2]
        assert "greylisted \u20ac, come back" in words
    if kind == "utf8":
        assert groups[1]["Final-Recipient"] == "utf-8; j\u00f6rg@b\u00fccher.example", groups[1]
    if kind in ("plain", "two"):
        assert "Message-ID: <m@example.org>" in parts[2].get_content()


def main():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.argv[1], directory], check=True)
        names = sorted(os.listdir(directory))
        assert [n.split("-")[0] for n in names] == ["hostile", "plain", "two", "utf8"], names
        for name in names:
            with open(os.path.join(directory, name), "rb") as f:
                check(name, f.read())
        print("%d reports read" % len(names))


if __name__ == "__main__":
    main()
