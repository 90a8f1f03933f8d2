"""lib.py - what the integration tests share: an instance of the relay in a directory of its own, and next hops to receive its mail.

Everything is on loopback, on ports that the kernel picks, in directories below the build directory (a real file system: the relay
refuses tmpfs). Processes are ended by the pid under which they were started.
"""
import asyncio
import atexit
import datetime
import email
import email.policy
import fcntl
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import dkim
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword, SMTP as SMTPServer

SANITIZED = pathlib.Path(os.environ.get("POSTHOUSE_SANITIZED", "build-test/clang/src")).resolve()
RELEASE = pathlib.Path(os.environ.get("POSTHOUSE_RELEASE", "build-test/gcc/src")).resolve()
WORK = SANITIZED.parent.parent / "integration"
DOMAIN = "example.org"
HOST = "relay.example.org"
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={pathlib.Path(__file__).resolve().parent.parent}/support/lsan.supp:print_suppressions=0")
PASSWORD = "correct horse battery staple"


class Skip(Exception):
    pass


def needs_namespaces(*kinds):
    """Skip where unshare is not allowed to make these: "--net", "--mount" and so on."""
    if subprocess.run(["unshare", *kinds, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise Skip(f"this kernel or container gives no namespaces ({' '.join(kinds)})")


def time_limit(seconds):
    def set_limit(function):
        function.time_limit = seconds
        return function
    return set_limit


_open = []


def end_with_the_test(thing, last=False):
    """thing.end(keep) is called when the test is over; last: after all others, as it is for what they stand on."""
    _open.insert(0 if last else len(_open), thing)


def end_everything(keep=False):
    for thing in reversed(_open):
        try:
            thing.end(keep)
        except Exception as e:  # a test's verdict is known by now; say what went wrong and go on ending
            print(f"while ending {thing}: {e!r}")
    _open.clear()


_dice = random.SystemRandom()
_claims = []


def free_port(host="127.0.0.1"):
    """A port that nobody has, and that no test beside this one will get: the claim is a locked file, until the process ends.

    Below the range from which the kernel takes ports for outgoing connections: one of those could have it while a relay restarts.
    The claims are common to all test runs of the machine, so two checkouts can be tested side by side."""
    claims = pathlib.Path(tempfile.gettempdir()) / f"posthouse-test-ports-{os.getuid()}"
    claims.mkdir(mode=0o700, exist_ok=True)
    while True:
        port = _dice.randrange(10000, 32000)
        if any(port == other for other, _ in _claims):  # a lock does not keep out who holds it
            continue
        claim = open(claims / str(port), "w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
                s.bind((host, port))
        except OSError:
            claim.close()
            continue
        _claims.append((port, claim))
        return port


LIMIT = 90  # s, for what comes at once where a machine has nothing else to do


def wait_for(condition, what="condition", seconds=LIMIT, every=0.05):
    """Wait until condition() is true, and return its value. `what` is a text, or a function that gives it when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


# ---- what commands print with --json ----
def rows_of(text):
    """The documents of a listing: each begins with its kind, and the last one is the end, which has their number."""
    documents = [json.loads(line) for line in text.splitlines()]
    assert documents and all(next(iter(d)) == "kind" for d in documents), text
    end = documents.pop()
    assert end == {"kind": "end", "n": len(documents), "truncated": False}, text
    return documents


def seconds_of(time_text):
    """The time of a document, as time.time() has it."""
    return datetime.datetime.strptime(time_text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


# ---- the relay ----
def _fixture():
    """A certificate and keys, made once for all tests by `posthouse init`, which is tested with it."""
    place = WORK / "fixture"
    done = place / "done"
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "fixture.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        binary = SANITIZED / "posthouse"
        if done.exists() and done.stat().st_mtime > binary.stat().st_mtime:
            return place
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        subprocess.run([binary, "-c", place / "posthouse.conf", "init", DOMAIN, "--hostname", HOST, "--user", f"alice@{DOMAIN}",
                        "--password-stdin", "--upstream", "127.0.0.1:1", "--upstream-tls", "none", "--state-dir", place / "state", "--control",
                        place / "control.sock", "--run-as", "root" if os.geteuid() == 0 else "nobody"],
                       input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.PIPE)
        done.write_text("")
    return place


# the tests' mail servers are on this machine, where direct delivery otherwise never goes
LOOPBACK = 'allow_networks = [ "127.0.0.0/8", "::1" ];'


def role_of_program(name):
    """queue has two programs, one for each engine."""
    return name.removeprefix("posthouse-").removesuffix("-postgresql")


def name_of_line(pid):
    """What stands behind role= in the lines of a role's process: master passes on no others."""
    role = role_of_program(os.path.basename(os.readlink(f"/proc/{pid}/exe")))
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return f"submission index={words[words.index('--index') + 1]}" if role == "submission" else role


class Relay:
    """One instance. `upstream` and others are libconfig texts; see config()."""

    def __init__(self, upstream_port=None, upstream=None, users=(f"alice@{DOMAIN}",), build=SANITIZED, extra="", sign=True, retry='"1s"',
                 environment=None, listen_address="127.0.0.1", start=True, senders="", lifetime="5d", limits="", queue="", delivery="",
                 submission="", log="debug", workers=2, auth=""):
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="relay-", dir=WORK_DIR()))
        self.port = free_port()
        self.tls_port = free_port()
        self.log_path = self.dir / "log"
        self.process = None
        self.environment = environment or {}
        self.conf = self.dir / "posthouse.conf"
        fixture = _fixture()
        for f in fixture.iterdir():
            if f.is_file() and f.name not in ("posthouse.conf", "done"):
                shutil.copy2(f, self.dir / f.name)
        fixture_conf = init_text(fixture / "posthouse.conf")
        self.certificate, self.key, self.dkim_key, self.selector = _names(fixture_conf)
        self.upstream = upstream if upstream is not None else f'{{ name = "next"; host = "127.0.0.1"; port = {upstream_port}; tls = "none"; connections = 10; }}'
        self.settings = dict(extra=extra, sign=sign, retry=retry, listen_address=listen_address, senders=senders, lifetime=lifetime, limits=limits,
                             queue=queue, delivery=delivery, submission=submission, log=log, workers=workers, auth=auth)
        self.write_config()
        _open.append(self)
        for user in users:
            self.add_user(user)
        if start:
            self.start()

    def write_config(self, **changes):
        self.settings.update(changes)
        s = self.settings
        me = "root" if os.geteuid() == 0 else "nobody"
        sign = f'sign = ( {{ domain = "{DOMAIN}"; selector = "{self.selector}"; key = "{self.dkim_key}"; }} );' if s["sign"] else ""
        self.conf.write_text(f'''
hostname = "{HOST}"; postmaster = "postmaster@{DOMAIN}"; state_dir = "{self.dir}/state"; run_as = "{me}"; shutdown_grace = "10s";
listen = ( {{ address = "{s["listen_address"]}"; port = {self.port}; tls = "starttls"; }},
           {{ address = "{s["listen_address"]}"; port = {self.tls_port}; tls = "implicit"; }} );
control = "{self.dir}/control.sock";
certificates = ( {{ chain = "{self.certificate}"; key = "{self.key}"; }} );
auth = {{ realm = "{DOMAIN}"; {s["auth"]} }};
{s["senders"]}
{sign}
limits = {{ {s["limits"]} }};
upstreams = ( {self.upstream} );
queue = {{ retry = [ {s["retry"]} ]; lifetime = "{s["lifetime"]}"; min_free = "10M"; {s["queue"]} }};
delivery = {{ {s["delivery"]} {"" if "allow_networks" in s["delivery"] else LOOPBACK} }};
submission = {{ workers = {s["workers"]}; {s["submission"]} }};
log = {{ level = "{s["log"]}"; }};
{s["extra"]}
{"" if "doctor = " in s["extra"] else "doctor = { daily = false; };"}
''')

    def command(self, *arguments, input=None, check=True, timeout=60):
        """Run a posthouse command; returns the finished process."""
        done = subprocess.run([self.build / "posthouse", "-c", self.conf, *arguments], input=input, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"posthouse {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def add_user(self, name, password=PASSWORD):
        self.command("user", "add", name, input=password + "\n")

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.log_start = self.log_path.stat().st_size
        self.process = subprocess.Popen([self.build / "posthouse", "-c", self.conf, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=dict(os.environ, **self.environment))
        log.close()
        if wait:
            wait_for(self.is_ready, "relay ready")

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"relay ended with {self.process.returncode}\n{self.log_tail()}")
        return "event=master.ready" in self.log_since_start()

    def log_since_start(self):
        with open(self.log_path, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode("utf-8", "replace")

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, n=60):
        return "\n".join(self.log_text().splitlines()[-n:])

    def wait_log(self, text):
        return wait_for(lambda: text in self.log_since_start(), f"log line {text!r}")

    def log_now(self):
        """The log since the start with all that the roles have to say of what has happened by now. A role's line goes through a pipe to
        master, so it can come later than the answer that a client has had. Here each role is asked for its status, which it answers when
        it has done what it was doing; and behind its last line in the pipe comes a mark of ours, which is waited for."""
        self.command("status", check=False)
        marks = []
        for pid in self.pids():
            try:
                mark = f"time={'0' * 24} level=debug role={name_of_line(pid)} event=test.mark pid={pid} at={time.monotonic_ns()}\n"
                pipe = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY)
            except OSError:
                continue  # it has just ended
            os.write(pipe, mark.encode())
            os.close(pipe)
            marks.append(mark)
        wait_for(lambda: all(mark in self.log_since_start() for mark in marks), "the roles' lines in the log")
        return self.log_since_start()

    def stop(self, seconds=LIMIT):
        """SIGTERM; must end with 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        assert code == 0, f"exit {code}\n{self.log_tail()}"
        wait_for(lambda: not self.pids(), "all roles ended")

    def pids(self, role=None):
        """Processes of this instance's roles, by their parent and the lock that each holds open."""
        found = []
        for p in pathlib.Path("/proc").iterdir():
            if not p.name.isdigit():
                continue
            try:
                name = os.path.basename(os.readlink(p / "exe"))
                lock = os.readlink(p / "fd" / "4")
            except OSError:
                continue
            if lock == str(self.dir / "state" / "lock") and name.startswith("posthouse-") and role in (None, role_of_program(name)):
                found.append(int(p.name))
        return found

    def kill_role(self, role):
        for pid in self.pids(role):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def holders(self):
        """Every process that holds this instance's lock: master, roles, and what master has forked and is not a role yet."""
        found = []
        for p in pathlib.Path("/proc").iterdir():
            try:
                if p.name.isdigit() and os.path.basename(os.readlink(p / "exe")).startswith("posthouse") and \
                        any(os.readlink(fd) == str(self.dir / "state" / "lock") for fd in (p / "fd").iterdir()):
                    found.append(int(p.name))
            except OSError:
                continue
        return found

    def kill_all(self):
        """kill -9 of master and of every role at once: no process of this instance is left, also none that master was just starting."""
        dying = {}

        def kill(pids):
            for pid in pids:
                try:
                    if pid not in dying:
                        dying[pid] = os.pidfd_open(pid)
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return pids

        kill([self.process.pid, *self.pids()])
        self.process.wait()
        self.process = None
        wait_for(lambda: not kill(self.holders()), "all processes gone")
        for fd in dying.values():  # a process holds nothing any more while one of its threads ends a call, so wait for the last thread
            assert select.select([fd], [], [], LIMIT)[0], "a process does not end"
            os.close(fd)

    def status(self):
        """What all roles say of themselves; a busy machine may need some tries until they all answer in time."""
        def ask():
            said = self.command("status", "--json", check=False).stdout
            said = json.loads(said) if said else {"roles": [{"answers": False}]}
            return all(role["answers"] for role in said["roles"]) and said
        return wait_for(ask, "an answer of all roles", every=0.2)

    def figures(self, role):
        """What the first process of a role counts."""
        return next(r for r in self.status()["roles"] if r["role"] == role)["figures"]

    def status_text(self):
        """The same for people, when all is well."""
        def ask():
            done = self.command("status", check=False)
            return done.returncode == 0 and done.stdout
        return wait_for(ask, "all is well", every=0.2)

    def queue(self, *arguments):
        return rows_of(self.command("queue", "list", "--json", *arguments).stdout)

    def wait_empty(self):
        """Until no mail waits any more, and none is under way."""
        wait_for(lambda: self.queue() == [], lambda: f"an empty queue, there are {self.queue()}")

    def trace(self, id):
        return [json.loads(line) for line in self.command("trace", id, "--json").stdout.splitlines()]

    def events(self, id):
        """What happened to a message, without the transcript that follows it."""
        return [line for line in self.trace(id) if "event" in line]

    def retry_until(self, condition, what="after retries"):
        """Ask for a retry of everything, as an administrator in a hurry would, until the condition holds."""
        def once():
            self.command("queue", "retry", "--all", check=False)
            return condition()
        return wait_for(once, what, every=1)

    def wait_event(self, id, event):
        """The message's events of this name, when there is one."""
        return wait_for(lambda: [e for e in self.events(id) if e["event"] == event], f"{event} of {id}")

    def sanitizer_reports(self):
        lines = self.log_text().splitlines()
        # The leak checker says of itself when it could not stop a thread, whose memory then looks lost: on a busy machine, seldom.
        unsure = {m.group() for line in lines if "was not suspended. False leaks are possible" in line
                  for m in re.finditer(r" by=\S+ number=\d+ ", line)}
        return [line for line in lines if "ERROR: AddressSanitizer" in line or "runtime error:" in line
                or "ERROR: LeakSanitizer" in line and not any(by in line for by in unsure)
                or "Assertion" in line or "FORBIDDEN SYSTEM CALL" in line
                or "event=role.died" in line and "signal=31" in line]

    def tls(self):
        context = ssl.create_default_context(cafile=str(self.dir / self.certificate))
        return context

    def connect(self, implicit=False, login=True, user=f"alice@{DOMAIN}", password=PASSWORD, timeout=60):
        """A client that is connected by TLS with a verified certificate, and logged in."""
        client = Client(self.tls_port if implicit else self.port, self.tls(), implicit, timeout)
        if login:
            client.login(user, password)
        return client

    def wait_takes_mail(self):
        """Queue has its database: logins are let in when it has read limits too, and the submission roles hear of it a moment later."""
        def takes_mail():
            try:
                return self.connect().answer_to_mail() == 250
            except smtplib.SMTPAuthenticationError as e:
                assert e.smtp_code == 454, e
                return False
        wait_for(takes_mail, "250 for MAIL")

    def submit(self, message=None, to=("bob@example.net",), sender=f"alice@{DOMAIN}", client=None, **kw):
        """Send one message; returns its id."""
        own = client is None
        client = client or self.connect(**kw)
        id = client.submit(sender, to, message or simple_message())
        if own:
            client.quit()
        return id

    def end(self, keep=False):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill_all()
        reports = self.sanitizer_reports()
        if keep or reports:
            print(f"---- log of {self.dir} ----\n{self.log_tail(80)}")
        if reports:
            print("SANITIZER:", *reports, sep="\n")
            sys.stdout.flush()
            os._exit(1)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


class Client(smtplib.SMTP):
    """smtplib, told the certificate's name while it connects to 127.0.0.1."""

    def __init__(self, port, context, implicit, timeout):
        self._context, self._implicit = context, implicit
        super().__init__("127.0.0.1", port, local_hostname="client.example", timeout=timeout)
        if not implicit:
            self.ehlo()
            self._host = HOST
            self.starttls(context=context)
        self.ehlo()

    def _get_socket(self, host, port, timeout):
        raw = super()._get_socket(host, port, timeout)
        return self._context.wrap_socket(raw, server_hostname=HOST) if self._implicit else raw

    def answer_to_mail(self):
        code = self.mail(f"alice@{DOMAIN}")[0]
        self.rset()
        return code

    def submit(self, sender, to, message):
        code, text = self.mail(sender)
        if code == 421:  # the server closes
            self.close()
        elif code != 250:
            self.rset()
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, text, sender)
        for address in to:
            code, text = self.rcpt(address)
            if code != 250:
                self.rset()
                raise smtplib.SMTPRecipientsRefused({address: (code, text)})
        code, text = self.data(message)
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
        assert text.startswith(b"2.0.0 Ok: queued as "), text
        return text.split()[-1].decode()


def init_text(conf):
    """What `init` has written: the configuration, and the keys that it includes."""
    return conf.read_text() + (conf.parent / "dkim.conf").read_text()


def _names(conf):
    chain = re.search(r'chain\s*=\s*"([^"]*)"', conf).group(1)
    key = re.search(r'chain\s*=\s*"[^"]*"\s*;\s*key\s*=\s*"([^"]*)"', conf).group(1)
    selector = re.search(r'selector\s*=\s*"([^"]*)"', conf).group(1)
    dkim_key = re.search(r'selector\s*=\s*"[^"]*"\s*;\s*key\s*=\s*"([^"]*)"', conf).group(1)
    return os.path.basename(chain), os.path.basename(key), os.path.basename(dkim_key), selector


_work = None


def WORK_DIR():
    """This test's own directory."""
    global _work
    if _work is None:
        WORK.mkdir(parents=True, exist_ok=True)
        _work = tempfile.mkdtemp(prefix="test-", dir=WORK)
        atexit.register(lambda: None)
    return _work


_count = 0


def simple_message(subject="hello", body="Hello, Bob.\r\n", headers=""):
    global _count
    _count += 1
    return (f"From: Alice <alice@{DOMAIN}>\r\nTo: bob@example.net\r\nSubject: {subject}\r\nX-Number: {os.getpid()}-{_count}\r\n{headers}\r\n"
            f"{body}").encode()


# ---- next hops ----
class Received:
    def __init__(self, envelope, session, implicit_tls=False):
        self.sender = "" if envelope.mail_from in (None, "<>") else envelope.mail_from
        self.recipients = list(envelope.rcpt_tos)
        self.bytes = envelope.original_content
        self.mail_options = list(envelope.mail_options)
        self.message = email.message_from_bytes(self.bytes, policy=email.policy.default)
        self.peer = session.peer
        self.tls = implicit_tls or session.ssl is not None


class Sink:
    """An aiosmtpd next hop. `rcpt` and `data` may be functions that return an SMTP answer (None: accept)."""

    def __init__(self, port=None, rcpt=None, data=None, mail=None, tls=None, tls_context=None, require_tls=False, users=None, mechanisms=None,
                 host="127.0.0.1", delay=0, decode=False):
        self.messages = []
        self.lock = threading.Lock()
        self.rcpt, self.data, self.mail, self.delay = rcpt, data, mail, delay
        self.port = port or free_port(host)
        self.host = host
        self.logins = []
        self.options = dict(enable_SMTPUTF8=True, data_size_limit=64 * 1024 * 1024, server_hostname="sink.example.net")
        if users is not None:
            self.users = users
            self.options.update(authenticator=self.authenticate, auth_required=True, auth_require_tls=tls is not None)
            if mechanisms:
                self.options.update(auth_exclude_mechanism=[m for m in ("PLAIN", "LOGIN") if m not in mechanisms])
        kwargs = {}
        if tls == "implicit":
            kwargs["ssl_context"] = tls_context
            self.options["auth_require_tls"] = False
        elif tls == "starttls":
            self.options.update(tls_context=tls_context, require_starttls=require_tls)
        self.controller = None
        self.kwargs = kwargs
        _open.append(self)
        self.start()

    def start(self):
        self.controller = Controller(self, hostname=self.host, port=self.port, **self.kwargs, **self.options)
        self.controller.start()

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def authenticate(self, server, session, envelope, mechanism, data):
        if isinstance(data, LoginPassword):
            login, password = data.login.decode(), data.password.decode()
            self.logins.append((mechanism, login))
            return AuthResult(success=self.users.get(login) == password, handled=self.users.get(login) == password)
        return AuthResult(success=False, handled=False)

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = self.mail(address) if self.mail else None
        if answer:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.rcpt(address) if self.rcpt else None
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = self.data(envelope) if self.data else None
        if answer:
            return answer
        with self.lock:
            self.messages.append(Received(envelope, session, "ssl_context" in self.kwargs))
        return "250 2.0.0 Ok: taken"

    def wait(self, n=1):
        wait_for(lambda: len(self.messages) >= n, lambda: f"{n} messages at the next hop, there are {len(self.messages)}")
        return self.messages

    def end(self, keep=False):
        self.stop()


def as_submitted(messages):
    """In the order in which they were submitted, which ids keep; over several connections they can arrive in another one."""
    return sorted(messages, key=lambda m: re.search(rb"^Received: .*(?:\r\n[ \t].*)* id ([0-9a-z]{13})", m.bytes, re.M).group(1))


def verify_dkim(relay, received, domain=DOMAIN):
    """Verify by python3-dkim with the public half of the instance's key."""
    public = subprocess.run(["openssl", "pkey", "-in", relay.dir / relay.dkim_key, "-pubout", "-outform", "DER"], check=True,
                            stdout=subprocess.PIPE).stdout
    import base64
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record

    good = dkim.verify(received.bytes, dnsfunc=dns)
    assert asked == [f"{relay.selector}._domainkey.{domain}.".encode()], asked
    return good


def tls_context(directory, name="sink.example.net", days=2):
    """A self-signed certificate for a next hop: (server context, path of the certificate)."""
    directory = pathlib.Path(directory)
    key, cert = directory / f"{name}.key", directory / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


# ---- other programs ----
class Process:
    def __init__(self, arguments, env=None):
        self.log = open(pathlib.Path(WORK_DIR()) / f"{os.path.basename(arguments[0])}.log", "ab")
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=dict(os.environ, **(env or {})))
        _open.append(self)

    def poll(self):
        return self.process.poll()

    def end(self, keep=False):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        if keep:
            print(pathlib.Path(self.log.name).read_text(errors="replace")[-3000:])


def start_process(arguments, env=None):
    return Process(arguments, env)


def can_connect(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def pass_on(a, b, change=lambda some: some):
    """What comes from one socket goes to the other, until one of them ends; then both have ended."""
    try:
        while some := a.recv(65536):
            b.sendall(change(some))
    except OSError:
        pass
    for end in (a, b):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def smtp_sink_binary():
    """Postfix's smtp-sink out of its package, which is unpacked, not installed: a mail server of the machine is none of our business."""
    place = WORK / "postfix"
    binary = place / "usr/sbin/smtp-sink"
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "postfix.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            place.mkdir(exist_ok=True)
            subprocess.run(["apt-get", "download", "-qq", "postfix", "libicu72"], cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
            for package in place.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, place], check=True)
    return binary


def sink_environment(binary):
    root = binary.parent.parent.parent
    return {"LD_LIBRARY_PATH": f"{root}/usr/lib/postfix:{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu"}
