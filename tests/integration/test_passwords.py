"""Passwords and names beyond ASCII: real clients that prepare them by SASLprep (GNU SASL, and NeoMutt with it), those that send them as they
are typed, verifiers of before, and one login under all the forms of its name."""
import re
import unicodedata

from clients import ALICE, BOB, BODY, SUBJECT, Scene
from lib import *
from test_login import Wire, login, plain, relay_with, scram, try_login

PASSWORDS = ["m²", "5µg", "´x´", "1ª2º", "½¼", "x¨y", "Ⅸx", "pässwörd", unicodedata.normalize("NFD", "pässwörd"), "a b c", "Key", "ﬁn ③",
             "soft\u00adhyphen", "日本語パスワード", "ｶﾞｷﾞ", "سلام"]


def by_gsasl(relay, mechanism, user, password):
    """Does GNU SASL get in?"""
    done = subprocess.run(["gsasl", "--smtp", "--connect", f"127.0.0.1:{relay.port}", "--hostname", HOST, "--x509-ca-file",
                           relay.dir / relay.certificate, "-m", mechanism, "--no-cb", "-a", user, "-z", "", "-p", password],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          env=dict(os.environ, LC_ALL="C.UTF-8"))
    return done.returncode == 0, done.stdout


def test_gsasl_and_bytes_as_typed():
    relay = relay_with()
    for n, password in enumerate(PASSWORDS):
        user = f"user{n}@{DOMAIN}"
        relay.add_user(user, password)
        came_in, words = by_gsasl(relay, "SCRAM-SHA-256", user, password)
        assert came_in, f"{password!r}: {words}"
        for way in (plain, login):  # as typed, and as another keyboard composes it
            for form in (password, unicodedata.normalize("NFD", password)):
                assert try_login(relay, way, user, form) == 235, f"{password!r} {form!r} {way.__name__}"
            assert try_login(relay, way, user, password + "x") == 535
    came_in, words = by_gsasl(relay, "SCRAM-SHA-256", f"user0@{DOMAIN}", "m³")
    assert not came_in, words


def test_neomutt_by_scram():
    scene = Scene(auth='mechanisms = [ "PLAIN", "LOGIN", "SCRAM-SHA-256" ];')
    for password in ("m²", "´x´", "Ⅸx"):
        scene.relay.command("user", "passwd", ALICE, input=f"{password}\n")
        rc = scene.file("neomuttrc", f"""
            set smtp_url = "smtp://alice%40{DOMAIN}@localhost:{scene.relay.port}"
            set smtp_pass = "{password}"
            set smtp_authenticators = ""
            set ssl_force_tls = yes
            set ssl_starttls = yes
            set ssl_ca_certificates_file = "{scene.ca}"
            set from = "{ALICE}"
            set realname = "Alice"
            set copy = no
            set charset = "utf-8"
            """)
        scene.run(["neomutt", "-n", "-F", rc, "-s", SUBJECT, "-a", scene.note, "--", BOB], input=BODY + "\n")
        scene.expect(mechanism="SCRAM-SHA-256")


def verifier(password, iterations=4096):
    import base64, hashlib, hmac
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    code = lambda b: base64.b64encode(b).decode()
    return f"SCRAM-SHA-256${iterations}:{code(salt)}${code(stored)}:{code(server)}"


def test_old_verifiers_and_refused_passwords():
    relay = relay_with()
    relay.add_user("first")
    old = {"square": "m²", "mixed": "שa", "micro": "5µg"}
    with open(relay.dir / "state/login/accounts", "a") as f:
        for name, password in old.items():
            f.write(f"{name}@{DOMAIN} - {verifier(password.encode())} 1\n")
    for name, password in old.items():
        assert try_login(relay, plain, name, password) == 235, name
        assert try_login(relay, login, name, password) == 235, name
        assert try_login(relay, plain, name, password + "x") == 535, name
    relay.command("user", "passwd", "square", input="m²\n")
    assert by_gsasl(relay, "SCRAM-SHA-256", f"square@{DOMAIN}", "m²")[0]
    for password, why in (("tab\there", "control"), ("שa", "right to left"), ("\u200e\u202e", "invisible")):
        done = relay.command("user", "passwd", "first", input=f"{password}\n", check=False)
        assert done.returncode == 65 and why in done.stderr, done.stderr


def test_one_name():
    """Whatever a client makes of the name: one login in accounts, senders, limits and the log."""
    relay = relay_with(extra='senders = ( { user = "ÄRGER@bücher.example"; addresses = [ "sales@shop.example" ]; } );\n')
    relay.add_user("Ärger@bücher.example", "m²")
    name = "ärger@xn--bcher-kva.example"
    assert relay.command("user", "list").stdout.startswith(name), relay.command("user", "list").stdout
    for form in ("Ärger@bücher.example", "ÄRGER@BÜCHER.example", unicodedata.normalize("NFD", "ärger@bücher.example"), "ärger@XN--BCHER-KVA.example",
                 "Äｒger@xn--bcher-kva.example"):
        wire = Wire(relay)
        assert plain(wire, form, "m²")[0] == 235, form
        assert wire.say("MAIL FROM:<sales@shop.example>")[0] == 250, form
        wire.close()
    assert by_gsasl(relay, "SCRAM-SHA-256", "Ärger@bücher.example", "m²")[0]
    wait_for(lambda: len(re.findall(rf"event=login.accepted session=\S+ login={name} ", relay.log_since_start())) == 6, what="six logins in the log")
    relay.add_user("a=b,c", "x")  # which SCRAM writes otherwise
    assert by_gsasl(relay, "SCRAM-SHA-256", f"a=b,c@{DOMAIN}", "x")[0]
    done = relay.command("user", "add", "♚", input="x\n", check=False)
    assert done.returncode == 65 and "RFC 8265" in done.stderr
    with open(relay.dir / "state/login/accounts", "a") as f:  # of before: a name that PRECIS does not know, and one with a capital
        f.write(f"♚@{DOMAIN} - {verifier(b'x')} 1\nÖl@{DOMAIN} - {verifier(b'x')} 1\n")
    assert try_login(relay, plain, f"♚@{DOMAIN}", "x") == 235
    for form in (f"Öl@{DOMAIN}", f"ÖL@{DOMAIN}", f"öl@{DOMAIN}"):
        assert try_login(relay, plain, form, "x") == 235
    own = Wire(relay)
    assert plain(own, f"öl@{DOMAIN}", "x")[0] == 235
    assert own.say(f"MAIL FROM:<Öl@{DOMAIN}> SMTPUTF8")[0] == 250
    own.close()
