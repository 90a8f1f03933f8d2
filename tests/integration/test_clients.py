"""Real clients on both ports, each verifying the certificate; the message must arrive whole, signed, once."""
import base64
import os
import smtplib
import subprocess

from lib import *


def check_arrival(relay, sink, subject, count=1):
    messages = sink.wait(count)
    m = messages[-1]
    assert m.message["Subject"] == subject, m.message["Subject"]
    assert m.sender == f"alice@{DOMAIN}" and m.recipients == ["bob@example.net"], (m.sender, m.recipients)
    assert verify_dkim(relay, m), m.bytes
    return m


def swaks(relay, mechanism, implicit):
    port = relay.tls_port if implicit else relay.port
    done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--tls-on-connect" if implicit else "--tls", "--tls-verify",
                           "--tls-ca-path", str(relay.dir / relay.certificate), "--tls-sni", HOST, "--auth", mechanism, "--auth-user", f"alice@{DOMAIN}",
                           "--auth-password", PASSWORD, "--from", f"alice@{DOMAIN}", "--to", "bob@example.net", "--header", f"Subject: swaks {mechanism}",
                           "--body", "from swaks"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done


def test_swaks_plain_and_login_on_both_ports():
    sink = Sink()
    relay = Relay(sink.port)
    count = 0
    for implicit in (False, True):
        for mechanism in ("PLAIN", "LOGIN"):
            done = swaks(relay, mechanism, implicit)
            # swaks verifies against the address that it connected to; a name of ours for it is not in the certificate
            if done.returncode != 0 and "host verification" in done.stdout.lower():
                raise Skip("this swaks cannot be told the certificate's name")
            assert done.returncode == 0, done.stdout
            count += 1
            check_arrival(relay, sink, f"swaks {mechanism}", count)


def test_curl_on_both_ports():
    sink = Sink()
    relay = Relay(sink.port)
    count = 0
    for scheme, port in (("smtp", relay.port), ("smtps", relay.tls_port)):
        for mechanism in ("PLAIN", "LOGIN"):
            done = subprocess.run(["curl", "-sS", "-v", "--url", f"{scheme}://{HOST}:{port}", "--resolve", f"{HOST}:{port}:127.0.0.1", "--ssl-reqd",
                                   "--cacert", relay.dir / relay.certificate, "--user", f"alice@{DOMAIN}:{PASSWORD}", "--login-options",
                                   f"AUTH={mechanism}", "--mail-from", f"alice@{DOMAIN}", "--mail-rcpt", "bob@example.net", "-T", "-"],
                                  input=f"From: alice@{DOMAIN}\r\nSubject: curl {scheme} {mechanism}\r\n\r\nfrom curl\r\n".encode(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout.decode()
            count += 1
            check_arrival(relay, sink, f"curl {scheme} {mechanism}", count)


def test_smtplib_on_both_ports_with_both_mechanisms_and_tls_versions():
    sink = Sink()
    relay = Relay(sink.port)
    count = 0
    for implicit in (False, True):
        for mechanism in ("PLAIN", "LOGIN"):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = relay.tls()
                context.minimum_version = context.maximum_version = version
                client = Client(relay.tls_port if implicit else relay.port, context, implicit, 60)
                client.user, client.password = f"alice@{DOMAIN}", PASSWORD
                code, _ = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"), initial_response_ok=version == ssl.TLSVersion.TLSv1_3)
                assert code == 235
                client.submit(f"alice@{DOMAIN}", ["bob@example.net"], simple_message(f"smtplib {mechanism}"))
                client.quit()
                count += 1
                check_arrival(relay, sink, f"smtplib {mechanism}", count)


def test_ipv6():
    sink = Sink(host="::1")
    relay = Relay(upstream=f'{{ name = "next"; host = "::1"; port = {sink.port}; tls = "none"; }}', listen_address="*")
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_connection((host, relay.port), 60) as s:
            assert s.family == family and s.recv(200).startswith(b"220 ")
    relay.submit()
    sink.wait(1)


def test_old_tls_is_refused():
    relay = Relay(1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with socket.create_connection(("127.0.0.1", relay.tls_port), 60) as s:
            context.wrap_socket(s)
    except (ssl.SSLError, ConnectionResetError):
        return
    raise AssertionError("TLS 1.1 was accepted")


def test_messages_of_every_shape_arrive_unchanged_and_verify():
    sink = Sink()
    relay = Relay(sink.port)
    big = base64.encodebytes(os.urandom(5 * 1024 * 1024 * 3 // 4)).replace(b"\n", b"\r\n")
    attachment = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\nContent-Type: text/plain\r\n\r\nsee attachment\r\n"
                  b"--zz\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + big + b"--zz--\r\n")
    head = f"From: Alice <alice@{DOMAIN}>\r\nTo: bob@example.net\r\n".encode()
    shapes = {
        "plain": head + b"Subject: plain\r\n\r\nHello\r\n",
        "8-bit": head + "Subject: 8bit\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n".encode(),
        "5 MB attachment": head + b"Subject: big\r\n" + attachment,
        "empty body": head + b"Subject: empty\r\n\r\n",
        "only blank lines": head + b"Subject: blank\r\n\r\n\r\n\r\n\r\n",
        "trailing blanks": head + b"Subject: trailing\r\n\r\nline  \t \r\n  \t\r\nend \r\n\r\n\r\n",
        "odd folds": head + b"Subject: one\r\n two\r\n\tthree   four\t five \r\nX-Odd:nospace\r\nX-Empty:\r\n\r\nbody\r\n",
        "dots": head + b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nend\r\n",
        "long lines": head + b"Subject: long\r\n\r\n" + b"x" * 990 + b"\r\n",  # aiosmtpd takes 1,000
        "64 KiB exactly around the inline bound": head + b"Subject: edge\r\n\r\n" + (b"y" * 98 + b"\r\n") * 655 + b"\r\n",
    }
    client = relay.connect()
    for count, (name, message) in enumerate(shapes.items(), 1):
        client.submit(f"alice@{DOMAIN}", ["bob@example.net"], message)
        got = sink.wait(count)[-1]
        sent_body = message.split(b"\r\n\r\n", 1)[1]
        assert got.bytes.split(b"\r\n\r\n", 1)[1] == sent_body, f"{name}: body changed"
        assert verify_dkim(relay, got), f"{name}: {got.bytes[:2000]}"
    client.quit()


def test_header_fix_up():
    sink = Sink()
    relay = Relay(sink.port)
    id = relay.submit(f"From: alice@{DOMAIN}\r\nTo: bob@example.net\r\nBcc: secret@example.com\r\n  , other@example.com\r\nSubject: x\r\n\r\nhi\r\n".encode())
    m = sink.wait(1)[0]
    assert b"secret" not in m.bytes and b"other@" not in m.bytes
    assert m.message["Date"] and m.message["Message-ID"].strip().startswith("<")
    received = m.message.get_all("Received")
    assert len(received) == 1 and "ESMTPSA" in received[0] and id in received[0] and HOST in received[0] and "for <bob@example.net>" in received[0]
    assert "127.0.0.1" not in received[0] and "alice" not in received[0], received
    assert m.bytes.index(b"Received:") < m.bytes.index(b"From:")
    # two recipients: no `for`; what is there stays as it is
    relay.submit(f"From: alice@{DOMAIN}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0100\r\nMessage-ID: <mine@x>\r\n\r\nhi\r\n".encode(),
                 to=["bob@example.net", "carol@example.net"])
    m = sink.wait(2)[1]
    assert m.message["Message-ID"] == "<mine@x>" and m.message["Date"] == "Sat, 21 Nov 2026 10:00:00 +0100"
    assert " for " not in m.message.get_all("Received")[0]
    assert sorted(m.recipients) == ["bob@example.net", "carol@example.net"]
