"""What next hops are told of a message: BODY=BINARYMIME (RFC 3030), REQUIRETLS (RFC 8689), BY= (RFC 2852), MT-PRIORITY (RFC 6710); and what
becomes of it where they do not know that."""
import base64
import hashlib
import re
import time

from lib import *
from peers import Scripted
from test_chunking import Chunked
from test_delivery import report_of

BINARY = bytes(range(256)) + b"\r\n.\r\n..\r\n\r\r\n\n" + bytes(reversed(range(256))) + b" no end of line"
ALL = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")


def binary_message(content=BINARY, subject="binary"):
    return (f"From: alice@{DOMAIN}\r\nTo: bob@example.net\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
            "Content-Transfer-Encoding: binary\r\n\r\n").encode() + content


def send(relay, message, *options, body=None, to="bob@example.net"):
    """Submit by BDAT in two chunks; the id, or the refusal as text."""
    client = relay.connect()
    code, text = client.docmd("MAIL", " ".join([f"FROM:<alice@{DOMAIN}>", *([f"BODY={body}"] if body else []), *options]))
    if code != 250:
        return f"{code} {text.decode()}"
    assert client.rcpt(to)[0] == 250
    half = len(message) // 2
    for piece, last in ((message[:half], ""), (message[half:], " LAST")):
        client.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
        code, text = client.getreply()
        assert code == 250, (code, text)
    client.quit()
    return text.split()[-1].decode()


def body_of(bytes):
    return bytes.split(b"\r\n\r\n", 1)[1]


def body_hash(body):
    """The bh= of RFC 6376 3.4.4 (relaxed); python3-dkim takes a bare LF for the end of a line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    text = re.sub(rb"(\r\n)*$", b"", b"\r\n".join(lines))
    return base64.b64encode(hashlib.sha256(text + b"\r\n" if text else b"").digest()).decode()


def signed_hash(message):
    return re.search(r"bh=([A-Za-z0-9+/=\s]*);", message.message["DKIM-Signature"]).group(1).replace(" ", "")


def test_binary_text_arrives_byte_by_byte():
    """Small, and large enough for a file and several chunks; signed as it is."""
    sink = Chunked(extensions=ALL)
    relay = Relay(sink.port)
    for content in (BINARY, BINARY * 800):
        send(relay, binary_message(content), body="BINARYMIME")
        got = sink.wait(1)[0]
        assert "BODY=BINARYMIME" in got.mail_options, got.mail_options
        assert body_of(got.bytes) == content
        assert signed_hash(got) == body_hash(content)
        sink.messages.clear()
    assert "DATA" not in sink.commands and len(sink.chunks()) > 3, sink.commands


def test_binary_text_is_converted_for_others():
    """Whatever a next hop lacks: base64 with a fresh signature, and the same bytes when it is decoded."""
    for extensions in (("PIPELINING", "8BITMIME"), ("8BITMIME", "BINARYMIME"), ("8BITMIME", "CHUNKING"), ()):
        sink = Chunked(extensions=extensions)
        relay = Relay(sink.port)
        send(relay, binary_message(), body="BINARYMIME")
        got = sink.wait(1)[0]
        assert all(c < 128 for c in got.bytes) and "BODY=" not in got.mail_options, (extensions, got.mail_options)
        assert got.message["Content-Transfer-Encoding"] == "base64" and got.message.get_payload(decode=True) == BINARY
        assert verify_dkim(relay, got), extensions
        relay.wait_empty()
        relay.end()
        sink.end()


def test_binary_parts_are_converted():
    sink = Chunked(extensions=("8BITMIME",))
    relay = Relay(sink.port)
    message = (f"From: alice@{DOMAIN}\r\nTo: bob@example.net\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
               "Content-Type: multipart/mixed; boundary=b1\r\nContent-Transfer-Encoding: binary\r\n\r\n"
               "--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
               "--b1\r\nContent-Type: image/x-any\r\nContent-Transfer-Encoding: binary\r\n\r\n").encode() + BINARY + b"\r\n--b1--\r\n"
    send(relay, message, body="BINARYMIME")
    got = sink.wait(1)[0]
    words, image = got.message.iter_parts()
    assert words.get_content().strip() == "Grüße" and image.get_payload(decode=True) == BINARY
    assert verify_dkim(relay, got)


def test_a_next_hop_that_does_not_know_bdat_after_all():
    sink = Scripted(extensions=ALL)
    relay = Relay(sink.port)
    send(relay, binary_message(), body="BINARYMIME")
    got = sink.wait(1)[0]
    assert got.message.get_payload(decode=True) == BINARY and "BODY=" not in got.mail_options
    assert "DATA" in sink.commands and verify_dkim(relay, got)


def test_text_said_to_be_binary_is_not():
    """Without NUL, bare CR or LF it needs no BINARYMIME: it goes as the 8-bit text that it is."""
    sink = Chunked(extensions=("8BITMIME",))
    relay = Relay(sink.port)
    text = "Grüße\r\n".encode()
    send(relay, binary_message(text), body="BINARYMIME")
    got = sink.wait(1)[0]
    assert "BODY=8BITMIME" in got.mail_options and body_of(got.bytes) == text, got.mail_options


# ---- demands ----
def over_tls(sink, cert):
    return f'{{ name = "next"; host = "127.0.0.1"; port = {sink.port}; tls = "starttls"; ca = "{cert}"; tls_name = "sink.example.net"; }}'


def failure(relay, id, sink):
    """The report that came back, as the fields of its recipient."""
    wait_for(lambda: any(m.sender == "" for m in sink.messages), f"a report of {id}")
    return report_of([m for m in sink.messages if m.sender == ""][0])[2][0]


def test_requiretls_is_passed_on():
    context, cert = tls_context(WORK_DIR())
    sink = Chunked(extensions=("8BITMIME", "REQUIRETLS"), tls_context=context)
    relay = Relay(upstream=over_tls(sink, cert))
    send(relay, simple_message("by TLS only"), "REQUIRETLS")
    assert "REQUIRETLS" in sink.wait(1)[0].mail_options.split()
    send(relay, simple_message("as you like"))
    assert "REQUIRETLS" not in sink.wait(2)[1].mail_options.split()


def test_requiretls_comes_back_where_it_is_not_offered():
    context, cert = tls_context(WORK_DIR())
    sink = Chunked(extensions=("8BITMIME",), tls_context=context)
    relay = Relay(upstream=over_tls(sink, cert))
    id = send(relay, simple_message("by TLS only"), "REQUIRETLS")
    assert failure(relay, id, sink)["Status"] == "5.7.30"
    assert [m.sender for m in sink.messages] == [""], sink.commands


def test_requiretls_without_tls():
    sink = Chunked(extensions=("8BITMIME", "REQUIRETLS"))
    relay = Relay(sink.port)
    id = send(relay, simple_message("by TLS only"), "REQUIRETLS")
    assert failure(relay, id, sink)["Status"] == "5.7.10"


def test_deliverby_is_passed_on():
    sink = Chunked(extensions=("8BITMIME", "DELIVERBY 30"))
    relay = Relay(sink.port)
    for mode in ("R", "N", "RT"):
        send(relay, simple_message("in time"), f"BY=600;{mode}")
        by = re.search(r"BY=(\d+);(\w+)", sink.wait(1)[0].mail_options)
        assert by and 500 <= int(by[1]) <= 600 and by[2] == mode, sink.messages[0].mail_options
        sink.messages.clear()


def test_deliverby_where_it_is_not_offered():
    """BY=…;R may not go there and comes back; BY=…;N goes without."""
    sink = Chunked(extensions=("8BITMIME",))
    relay = Relay(sink.port)
    id = send(relay, simple_message("or back"), "BY=600;R")
    assert failure(relay, id, sink)["Status"] == "5.4.7"
    send(relay, simple_message("or tell me"), "BY=600;N")
    got = wait_for(lambda: [m for m in sink.messages if m.sender], "the second message")
    assert len(got) == 1 and "BY=" not in got[0].mail_options and got[0].message["Subject"] == "or tell me"


def test_deliverby_is_over_before_it_could_be_delivered():
    """The next hop is busy for all of its time: then the message comes back at once, long before its lifetime ends."""
    sink = Chunked(extensions=("8BITMIME", "DELIVERBY"), answers={"MAIL": lambda line: "451 4.3.2 later" if "alice" in line else None})
    relay = Relay(sink.port)
    begun = time.monotonic()
    id = send(relay, simple_message("or back"), "BY=3;R")
    fields = failure(relay, id, sink)
    assert fields["Status"] == "5.4.7" and time.monotonic() - begun >= 2.5, fields
    assert [m.sender for m in sink.messages] == [""]


def test_priority_is_passed_on():
    sink = Chunked(extensions=("8BITMIME", "MT-PRIORITY MIXER"))
    relay = Relay(sink.port, limits="priority = 5;")
    for asked, said in (("-3", "-3"), ("4", "4"), ("0", None)):
        send(relay, simple_message("priority"), f"MT-PRIORITY={asked}")
        found = re.search(r"MT-PRIORITY=(\S+)", sink.wait(1)[0].mail_options)
        assert (found[1] if found else None) == said, sink.messages[0].mail_options
        sink.messages.clear()
