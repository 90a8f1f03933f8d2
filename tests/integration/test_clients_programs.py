"""Mail programs and libraries that people have: each sends one message with text beyond ASCII, and an attachment where it can, over STARTTLS and
over TLS from the start."""
import email.message
import smtplib
import ssl

from clients import *
from lib import *
from peers import unpack

USER_IN_URL = f"alice%40{DOMAIN}"
PASSWORD_IN_URL = PASSWORD.replace(" ", "%20")


def test_swaks():
    scene = Scene()
    for implicit, port in scene.ports():
        for mechanism in ("PLAIN", "LOGIN", None):
            scene.run(["swaks", "--server", "localhost", "--port", port, "--tls-on-connect" if implicit else "--tls", "--tls-verify",
                       "--tls-ca-path", scene.ca, *(["--auth", mechanism] if mechanism else ["--auth"]), "--auth-user", ALICE, "--auth-password", PASSWORD, "--from", ALICE,
                       "--to", BOB, "--data", "-"], input=scene.message(crlf=False))
            scene.expect(mechanism=mechanism)


def curl(scene, implicit, port, mechanism, *more, recipient=BOB):
    scheme = "smtps" if implicit else "smtp"
    return scene.run(["curl", "-sS", "-v", "--url", f"{scheme}://localhost:{port}", "--ssl-reqd", "--cacert", scene.ca, "--user",
                      f"{ALICE}:{PASSWORD}", *(["--login-options", f"AUTH={mechanism}"] if mechanism else []), "--mail-from", ALICE, "--mail-rcpt", recipient, *more])


def test_curl():
    scene = Scene()
    encoded = f"=?utf-8?B?{base64.b64encode(SUBJECT.encode()).decode()}?="
    for implicit, port in scene.ports():
        for mechanism in ("PLAIN", "LOGIN", None):
            curl(scene, implicit, port, mechanism, "-H", f"Subject: {encoded}", "-H", f"From: {ALICE}", "-H", f"To: {BOB}", "-F",
                 f"={BODY};type=text/plain;charset=utf-8;encoder=quoted-printable", "-F", f"file=@{scene.note};encoder=base64")
            scene.expect(mechanism=mechanism)


def test_curl_with_an_internationalised_recipient():
    """curl says SMTPUTF8 by itself when an address wants it and the server offers it."""
    scene = Scene()
    path = scene.file("message", f"From: {ALICE}\nTo: jörg@example.net\nSubject: {SUBJECT}\nContent-Type: text/plain; charset=utf-8\n\n{BODY}\n")
    for implicit, port in scene.ports():
        done = curl(scene, implicit, port, "PLAIN", "--crlf", "-T", path, recipient="jörg@example.net")
        assert "SMTPUTF8" in done.text, done.text
        m = scene.expect(attachment=False, recipients=("jörg@example.net",))
        assert "SMTPUTF8" in m.mail_options, m.mail_options


def test_msmtp():
    """Its password check by SCRAM never shows the password, not even to the relay."""
    scene = Scene()
    for implicit, port in scene.ports():
        for auth, mechanism in (("plain", "PLAIN"), ("login", "LOGIN"), ("scram-sha-256", "SCRAM-SHA-256"), ("on", "PLAIN")):
            rc = scene.file("msmtprc", f"""
                account default
                host localhost
                port {port}
                from {ALICE}
                tls on
                tls_starttls {"off" if implicit else "on"}
                tls_trust_file {scene.ca}
                auth {auth}
                user {ALICE}
                password {PASSWORD}
                """)
            scene.run(["msmtp", "-C", rc, "-d", "-t"], input=scene.message(crlf=False))
            scene.expect(mechanism=mechanism)


def test_smtplib():
    scene = Scene()
    context = ssl.create_default_context(cafile=str(scene.ca))
    for implicit, port in scene.ports():
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = f"Alice <{ALICE}>", BOB, SUBJECT
        message.set_content(BODY)
        message.add_attachment(NOTE_TEXT, filename=NOTE)
        with smtplib.SMTP_SSL("localhost", port, context=context) if implicit else smtplib.SMTP("localhost", port) as client:
            if not implicit:
                client.starttls(context=context)
            client.login(ALICE, PASSWORD)
            client.send_message(message)
        scene.expect()


def test_smtplib_with_smtputf8():
    scene = Scene()
    message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    message["From"], message["To"], message["Subject"] = ALICE, "jörg@example.net", SUBJECT
    message.set_content(BODY, cte="8bit")
    with smtplib.SMTP_SSL("localhost", scene.relay.tls_port, context=ssl.create_default_context(cafile=str(scene.ca))) as client:
        client.login(ALICE, PASSWORD)
        client.send_message(message)
    m = scene.expect(attachment=False, recipients=("jörg@example.net",))
    assert SUBJECT.encode() in m.bytes, m.bytes


NODEMAILER = """
const nodemailer = require("nodemailer");
const [port, secure, ca, user, pass, to, subject, text, note, method] = process.argv.slice(2);
nodemailer.createTransport({
	host: "127.0.0.1", port: Number(port), secure: secure === "true", requireTLS: true,
	tls: { ca: require("fs").readFileSync(ca), servername: "localhost" }, auth: { user, pass }, authMethod: method || undefined,
}).sendMail({ from: `Alice <${user}>`, to, subject, text, attachments: [ { path: note } ] }).then(
	info => { console.log(info.response); },
	error => { console.error(error); process.exit(1); });
"""


def test_nodemailer():
    scene = Scene()
    script = scene.file("send.js", NODEMAILER)
    modules = unpack(["node-nodemailer"]) / "usr/share/nodejs"
    for implicit, port in scene.ports():
        for mechanism in ("PLAIN", "LOGIN", ""):
            done = scene.run(["node", script, port, "true" if implicit else "false", scene.ca, ALICE, PASSWORD, BOB, SUBJECT, BODY, scene.note,
                              mechanism], environment={"NODE_PATH": str(modules)})
            assert "queued as" in done.text, done.text
            scene.expect(mechanism=mechanism)


def neomutt(scene, mechanisms):
    for implicit, port in scene.ports():
        for mechanism in mechanisms:
            rc = scene.file("neomuttrc", f"""
                set smtp_url = "{"smtps" if implicit else "smtp"}://{USER_IN_URL}@localhost:{port}"
                set smtp_pass = "{PASSWORD}"
                set smtp_authenticators = "{mechanism.lower() if mechanism in ("PLAIN", "LOGIN") else ""}"
                set ssl_force_tls = yes
                set ssl_starttls = yes
                set ssl_verify_host = yes
                set ssl_ca_certificates_file = "{scene.ca}"
                set from = "{ALICE}"
                set realname = "Alice"
                set copy = no
                set charset = "utf-8"
                set send_charset = "utf-8"
                """)
            scene.run(["neomutt", "-n", "-F", rc, "-s", SUBJECT, "-a", scene.note, "--", BOB], input=BODY + "\n")
            scene.expect(mechanism=mechanism)


def test_neomutt():
    neomutt(Scene(), ("PLAIN", "LOGIN"))


def test_neomutt_by_scram():
    """Left to itself it takes the strongest mechanism. Debian 12's takes SCRAM-SHA-256-PLUS, which it then cannot do, so that must not be offered."""
    neomutt(Scene(auth='mechanisms = [ "PLAIN", "LOGIN", "SCRAM-SHA-256" ];'), ("SCRAM-SHA-256",))


def test_s_nail():
    scene = Scene()
    for implicit, port in scene.ports():
        for mechanism in ("plain", "login", None):
            scene.run(["s-nail", "-:/", "-Sv15-compat", "-Sttycharset=utf-8", "-Ssendwait", f"-Sfrom=Alice <{ALICE}>", "-Snosave", "-S",
                       f"mta={'smtps' if implicit else 'smtp'}://{USER_IN_URL}:{PASSWORD_IN_URL}@localhost:{port}",
                       *([] if implicit else ["-Ssmtp-use-starttls"]), *([f"-Ssmtp-auth={mechanism}"] if mechanism else []), "-Stls-verify=strict",
                       f"-Stls-ca-file={scene.ca}", "-Stls-ca-no-defaults", "-s", SUBJECT, "-a", scene.note, BOB], input=BODY + "\n")
            scene.expect(mechanism=mechanism and mechanism.upper())


def test_git_send_email():
    scene = Scene()
    git = ["git", "-c", "user.name=Alice", "-c", f"user.email={ALICE}", "-c", "init.defaultBranch=main", "-C", scene.home]
    scene.run([*git, "init", "-q"])
    (scene.home / "file").write_text(BODY + "\n")
    scene.run([*git, "add", "file"])
    scene.run([*git, "commit", "-q", "-m", f"{SUBJECT}\n\n{BODY}"])
    scene.run([*git, "format-patch", "--root", "-1", "-o", scene.dir / "patches"])
    [patch] = (scene.dir / "patches").iterdir()
    for (implicit, port), mechanism in zip(scene.ports() * 2, ("PLAIN", "LOGIN", None, None)):
        scene.run([*git, "-c", "sendemail.smtpServer=localhost", "-c", f"sendemail.smtpServerPort={port}", "-c",
                   f"sendemail.smtpEncryption={'ssl' if implicit else 'tls'}", "-c", f"sendemail.smtpSSLCertPath={scene.ca}", "-c",
                   f"sendemail.smtpUser={ALICE}", "-c", f"sendemail.smtpPass={PASSWORD}", *(["-c", f"sendemail.smtpAuth={mechanism}"] if mechanism else []), "-c",
                   f"sendemail.from=Alice <{ALICE}>", "-c", "sendemail.confirm=never", "send-email", "--suppress-cc=all", f"--to={BOB}", patch])
        scene.expect(attachment=False, mechanism=mechanism, subject=f"[PATCH] {SUBJECT}")


PHPMAILER = """<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
[, $port, $secure, $ca, $user, $password, $to, $subject, $text, $note, $method] = $argv;
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->isSMTP();
$mail->Host = "localhost";
$mail->Port = (int)$port;
$mail->SMTPSecure = $secure;
$mail->SMTPAuth = true;
$mail->AuthType = $method;
$mail->Username = $user;
$mail->Password = $password;
$mail->SMTPOptions = ["ssl" => ["cafile" => $ca, "verify_peer" => true, "verify_peer_name" => true, "peer_name" => "localhost"]];
$mail->CharSet = "utf-8";
$mail->setFrom($user, "Alice");
$mail->addAddress($to);
$mail->Subject = $subject;
$mail->Body = $text;
$mail->addAttachment($note);
$mail->send();
"""


def test_phpmailer():
    scene = Scene()
    script = scene.file("send.php", PHPMAILER)
    for implicit, port in scene.ports():
        for mechanism in ("PLAIN", "LOGIN", ""):
            scene.run(["php", script, port, "ssl" if implicit else "tls", scene.ca, ALICE, PASSWORD, BOB, SUBJECT, BODY, scene.note, mechanism])
            scene.expect(mechanism=mechanism)


NET_SMTP = """
use strict;
use warnings;
use Net::SMTP;
use Authen::SASL;
my ($port, $implicit, $ca, $user, $password, $to, $file, $mechanism) = @ARGV;
my $text = do { local (@ARGV, $/) = ($file); <> };
my %tls = (SSL_ca_file => $ca, SSL_verifycn_name => "localhost", SSL_verifycn_scheme => "smtp");
my $smtp = Net::SMTP->new("localhost", Port => $port, SSL => $implicit, %tls) or die "no connection: $@";
$implicit or $smtp->starttls(%tls) or die "no TLS: " . $smtp->message;
my $sasl = Authen::SASL->new(mechanism => $mechanism, callback => { user => $user, authname => $user, pass => $password });
($mechanism ? $smtp->auth($sasl) : $smtp->auth($user, $password)) or die "no login: " . $smtp->message;
$smtp->mail($user) or die "sender: " . $smtp->message;
$smtp->to($to) or die "recipient: " . $smtp->message;
$smtp->data($text) or die "text: " . $smtp->message;
$smtp->quit;
"""


def test_perl_net_smtp():
    scene = Scene()
    script = scene.file("send.pl", NET_SMTP)
    message = scene.dir / "message"
    message.write_bytes(scene.message(crlf=False))
    for implicit, port in scene.ports():
        for mechanism in ("PLAIN", "LOGIN", ""):
            scene.run(["perl", script, port, 1 if implicit else 0, scene.ca, ALICE, PASSWORD, BOB, message, mechanism])
            scene.expect(mechanism=mechanism)


def test_a_client_that_does_not_trust_the_certificate_sends_nothing():
    """That the tests above trust by the file, and not because nobody looks."""
    scene = Scene()
    _, other = tls_context(scene.dir, "other.example")
    for implicit, port in scene.ports():
        rc = scene.file("msmtprc", f"account default\nhost localhost\nport {port}\nfrom {ALICE}\ntls on\ntls_starttls {'off' if implicit else 'on'}\n"
                        f"tls_trust_file {other}\nauth plain\nuser {ALICE}\npassword {PASSWORD}\n")
        done = scene.run(["msmtp", "-C", rc, BOB], input=scene.message(crlf=False), check=False)
        assert done.returncode != 0 and "certificate" in done.text.lower(), done.text
    assert not scene.sink.messages and not scene.mechanisms()
