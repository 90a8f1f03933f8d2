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


ACTIONS = {"delayed": ("delayed", "4.7.1", "has not been delivered yet", "could not be delivered"),
           "delivered": ("delivered", "2.1.5", "was delivered", "was delivered"),
           "relayed": ("relayed", "2.1.5", "was handed on", "was handed on")}
FAILED = ("failed", "5.1.1", "could not be delivered", "could not be delivered")


def check_notice(message):
    assert message["Auto-Submitted"] == "auto-generated" and message.get_content_type() == "text/plain"
    assert message["To"].addresses[0].addr_spec == "alice@example.org" and message["MIME-Version"] == "1.0"
    assert message.get_content().replace("\r\n", "\n") == "To: J\u00f6rg\n\n    550 no\n"


def check(name, text):
    message = email.message_from_bytes(text, policy=email.policy.default)
    kind, eight_bit = name.split("-")
    if kind == "notice":
        check_notice(message)
        return
    action, status, subject, said = ACTIONS.get(kind, FAILED)
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
                     "message/global-headers" if kind == "utf8" else "message/rfc822" if kind == "full" else "text/rfc822-headers"], types
    for part in parts:
        assert not part.defects, part.defects
        encoded = part["Content-Transfer-Encoding"]
        assert encoded in (None, "8bit"), encoded
    words = parts[0].get_content()
    assert "Your message " + said in words and message["Subject"] == "Your message " + subject
    assert all(len(line) <= 80 for line in words.splitlines()), words
    groups = fields(parts[1])
    assert groups[0]["Reporting-MTA"] == "dns; relay.example.org"
    assert groups[0]["Original-Envelope-Id"] == "env+id"
    assert groups[1]["Action"] == action and groups[1]["Status"] == status, groups
    assert groups[1].get("Will-Retry-Until") == ("Sat, 21 Nov 2026 19:38:54 +0000" if kind == "delayed" else None)
    if kind == "full":
        assert parts[2]["Content-Transfer-Encoding"] == "8bit"
        original = parts[2].get_content()
        assert original["Message-ID"] == "<m@example.org>"
        assert original.get_payload(decode=True) == "J\u00f6rg\r\n".encode()
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
        assert [n.split("-")[0] for n in names] == ["delayed", "delivered", "full", "hostile", "notice", "plain", "relayed",
                                                     "two", "utf8"], names
        for name in names:
            with open(os.path.join(directory, name), "rb") as f:
                check(name, f.read())
        print("%d reports read" % len(names))


if __name__ == "__main__":
    main()
