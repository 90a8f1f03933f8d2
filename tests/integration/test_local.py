"""Mail of programs on this machine: the socket where the kernel says which user it is, the logins and senders of users, names without
a domain, locks and limits."""
import pwd
import stat

from lib import *
from talk import LocalTalk

DAEMON = pwd.getpwnam("daemon").pw_uid
WEB = pwd.getpwnam("www-data").pw_uid
NOBODY_KNOWS = 54321
TEXT = b"Subject: note\r\n\r\nThe job is done.\r\n"
USERS = f'{{ user = "daemon"; login = "web"; sender = "robot@{DOMAIN}"; }}, {{ user = "games"; refuse = true; }}'
SENDERS = f'senders = ( {{ user = "web"; addresses = [ "web@{DOMAIN}", "robot@{DOMAIN}" ]; }} );'


def needs_root():
    if os.geteuid() != 0:
        raise Skip("only root can be several users")


def refuses(path):
    try:
        LocalTalk(path)
        return False
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        return False


class LocalRelay(Relay):
    """Its socket is where all users can come to."""

    def __init__(self, *arguments, users_of=USERS, extra="", more="", senders=SENDERS, **kw):
        needs_root()
        self.public = pathlib.Path(tempfile.mkdtemp(prefix="posthouse-local-"))
        self.public.chmod(0o755)
        atexit.register(shutil.rmtree, self.public, ignore_errors=True)
        self.submit_socket = self.public / "submit.sock"
        local = f'local = {{ socket = "{self.submit_socket}"; drop = ""; users = ( {users_of} ); {more} }};'
        super().__init__(*arguments, extra=local + extra, senders=senders, **kw)

    def talk(self, uid=0):
        t = LocalTalk(self.submit_socket, uid)
        if t.greeting.startswith("220"):
            t.ehlo()
        return t


def test_a_user_of_this_machine_is_known_without_a_password():
    sink = Sink()
    relay = LocalRelay(sink.port)
    t = LocalTalk(relay.submit_socket, DAEMON)
    words = t.ehlo()
    assert "AUTH" not in words and "STARTTLS" not in words and "SIZE" in words, words
    assert t.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==").startswith("5")
    id = t.send("daemon", "bob@example.net", TEXT)
    got = sink.wait(1)[0]
    assert got.sender == f"robot@{DOMAIN}" and got.message["From"].addresses[0].addr_spec == f"robot@{DOMAIN}", got.bytes
    assert verify_dkim(relay, got), got.bytes
    assert b"with ESMTP id" in got.bytes and b"daemon" not in got.bytes, got.bytes
    accepted = relay.wait_log("event=mail.accepted") and [line for line in relay.log_now().splitlines() if "event=mail.accepted" in line][0]
    assert f"login=web@{DOMAIN}" in accepted and "device=@local" in accepted and "client=local" in accepted and id in accepted, accepted
    assert f"uid={DAEMON} user=daemon" in [line for line in relay.log_now().splitlines() if "event=session.opened" in line][0]
    listed = relay.command("session", "list").stdout
    assert "local" in listed and f"web@{DOMAIN}" in listed, listed
    assert f"uid={DAEMON}" in relay.command("queue", "show", id).stdout or f"uid={DAEMON}" in relay.command("trace", id).stdout
    # who has no entry is his own name, or his number
    relay.talk(WEB).send("www-data", "bob@example.net", TEXT)
    relay.talk(NOBODY_KNOWS).send(str(NOBODY_KNOWS), "bob@example.net", TEXT)
    assert [r.sender for r in sink.wait(3)[1:]] == [f"www-data@{DOMAIN}", f"{NOBODY_KNOWS}@{DOMAIN}"]


def test_only_root_is_allowed_to_use_any_sender():
    sink = Sink()
    relay = LocalRelay(sink.port)
    t = relay.talk(WEB)
    assert t.say(f"MAIL FROM:<alice@{DOMAIN}>").startswith("550 5.7.1")
    assert t.say("MAIL FROM:<root>").startswith("550 5.7.1"), "another name of this machine"
    t.say("MAIL FROM:<www-data>", 250)
    t.say("RCPT TO:<bob@example.net>", 250)
    assert t.text(f"From: ceo@{DOMAIN}\r\nSubject: x\r\n\r\nhi\r\n".encode(), expect=550)
    t.send("", "bob@example.net", f"From: www-data@{DOMAIN}\r\nSubject: x\r\n\r\nhi\r\n".encode())
    t = relay.talk(DAEMON)
    t.send(f"web@{DOMAIN}", "bob@example.net", TEXT)
    assert t.say(f"MAIL FROM:<daemon@{DOMAIN}>").startswith("550 5.7.1"), "it sends as web"
    root = relay.talk(0)
    root.send("shop@elsewhere.example", "bob@example.net", b"From: shop@elsewhere.example\r\nSubject: x\r\n\r\nhi\r\n")
    root.send("root", "bob@example.net", TEXT)
    assert [r.sender for r in sink.wait(4)] == ["", f"web@{DOMAIN}", "shop@elsewhere.example", f"root@{DOMAIN}"]


def test_names_without_a_domain_are_of_this_machine():
    sink = Sink()
    rules = f'rewrite = ( {{ recipient = "backup@{DOMAIN}"; to = "ops@example.net"; }} );'
    relay = LocalRelay(sink.port, extra=rules)
    t = relay.talk(0)
    expected = [("root", f"postmaster@{DOMAIN}"), ("Postmaster", f"postmaster@{DOMAIN}"), ("mailer-daemon", f"postmaster@{DOMAIN}"),
                ("daemon", f"postmaster@{DOMAIN}"), ("root@localhost", f"postmaster@{DOMAIN}"), (f"www-data@{HOST}", f"postmaster@{DOMAIN}"),
                ("backup", "ops@example.net"), ("alice", f"alice@{DOMAIN}"), ("alice@localhost", f"alice@{DOMAIN}"),
                (f"root@{DOMAIN}", f"root@{DOMAIN}"), ("root@example.net", "root@example.net")]
    for name, _ in expected:
        t.send("root", name, TEXT)
    assert [r.recipients for r in sink.wait(len(expected))] == [[address] for _, address in expected]
    t = relay.talk(0)
    t.say("MAIL FROM:<root>", 250)
    for name in ("root", "daemon", f"postmaster@{DOMAIN}", "ALICE"):
        t.say(f"RCPT TO:<{name}>", 250)
    t.text(TEXT)
    assert len(sink.wait(len(expected) + 1)[-1].recipients) == 2


def test_who_is_refused_or_locked_cannot_send():
    sink = Sink()
    relay = LocalRelay(sink.port, users=(f"alice@{DOMAIN}", f"web@{DOMAIN}"))
    assert relay.talk(pwd.getpwnam("games").pw_uid).greeting.startswith("554 5.7.1")
    relay.wait_log("event=local.refused")
    t = relay.talk(DAEMON)
    relay.command("user", "lock", "web")
    assert t.say("NOOP").startswith("421"), "the lock ends the session"
    assert relay.talk(DAEMON).greeting.startswith("554 5.7.1")
    relay.talk(WEB).send("www-data", "bob@example.net", TEXT)
    relay.command("user", "unlock", "web")
    relay.talk(DAEMON).send("daemon", "bob@example.net", TEXT)
    sink.wait(2)


def test_limits_of_the_login_hold_and_no_ban_does():
    sink = Sink()
    limits = 'messages = [ "2/1h" ]; connections = 3;'
    relay = LocalRelay(sink.port, limits=limits)
    t = relay.talk(DAEMON)
    t.send("daemon", "bob@example.net", TEXT)
    relay.talk(DAEMON).send("daemon", "bob@example.net", TEXT)
    assert t.say("MAIL FROM:<daemon>").startswith("450 4.7.1")
    others = [relay.talk(DAEMON) for _ in range(2)]
    assert relay.talk(DAEMON).greeting.startswith("421 4.7.0"), others
    # another user is not concerned
    relay.talk(WEB).send("www-data", "bob@example.net", TEXT)
    sink.wait(3)
    assert f"web@{DOMAIN}" in relay.command("limits", "show").stdout


def test_the_socket_comes_and_goes_with_the_relay():
    sink = Sink()
    relay = LocalRelay(sink.port)
    mode = relay.submit_socket.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o666, oct(mode)
    inode = relay.submit_socket.stat().st_ino
    relay.command("reload")
    assert relay.submit_socket.stat().st_ino == inode
    # another relay goes on without it
    other = Relay(sink.port, extra=f'local = {{ socket = "{relay.submit_socket}"; drop = ""; }};')
    assert "event=socket.taken" in other.log_text()
    other.submit()
    relay.talk(0).send("root", "bob@example.net", TEXT)
    # one that was killed leaves it behind
    relay.kill_all()
    assert relay.submit_socket.exists()
    wait_for(lambda: refuses(relay.submit_socket), "nobody serves the socket")
    relay.start()
    relay.talk(0).send("root", "bob@example.net", TEXT)
    sink.wait(3)
    relay.stop()
    assert not relay.submit_socket.exists()


def test_the_default_is_beside_the_control_socket_and_can_be_switched_off():
    sink = Sink()
    relay = Relay(sink.port)
    LocalTalk(relay.dir / "submit.sock").ehlo()
    off = Relay(sink.port, extra='local = { socket = ""; };')
    assert not (off.dir / "submit.sock").exists()


def test_explain_and_find_know_users_of_this_machine():
    sink = Sink()
    relay = LocalRelay(sink.port)

    def explain(*arguments, code=0):
        done = relay.command("explain", *arguments, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout
    text = explain("--offline", "--local-user", "daemon", "--to", "root", "--to", "bob@example.net")
    for words in (f"daemon (UID {DAEMON}) sends as web@{DOMAIN} by local.users[1]", "no account, and none is needed", f"robot@{DOMAIN} allowed by senders[1]",
                  "root has no mailbox here: it is the postmaster"):
        assert words in text, (words, text)
    text = explain("--offline", "--local-user", str(NOBODY_KNOWS), "--to", "alice")
    assert f"{NOBODY_KNOWS} (UID {NOBODY_KNOWS}) sends as {NOBODY_KNOWS}@{DOMAIN}, its own name" in text and f"alice is alice@{DOMAIN}" in text, text
    assert "root is allowed to use every address" in explain("--offline", "--local-user", "root", "--from", "x@elsewhere.example", "--to", "bob@example.net")
    assert "550 5.7.1" in explain("--offline", "--local-user", "www-data", "--from", f"alice@{DOMAIN}", "--to", "bob@example.net", code=65)
    assert "is refused by local.users[2]" in explain("--offline", "--local-user", "games", "--to", "bob@example.net", code=65)
    assert relay.command("explain", "--local-user", "daemon", check=False).returncode == 64
    id = relay.talk(DAEMON).send("daemon", "bob@example.net", TEXT)
    sink.wait(1)
    assert id in relay.command("find", "--user", "web").stdout


def test_the_notice_of_a_breaker_is_about_programs():
    """A user of this machine has no password that could be stolen."""
    sink = Sink()
    relay = LocalRelay(sink.port, extra='breaker = { new_recipients = "5/1d"; };')
    t = relay.talk(DAEMON)
    for n in range(3):
        t.send("daemon", [f"user{n}{i}@example.net" for i in range(3)], TEXT)
    notices = wait_for(lambda: [r.message for r in sink.messages if r.sender == "" and "held" in r.message["Subject"]], "the notice")
    for notice in notices:
        words = " ".join(notice.get_content().split())
        assert "refuse = true" in words and "local.users" in words and "passw" not in words + notice["Subject"], words
