"""peers.py - real mail and name servers to deliver to: nsd, Postfix, postgrey; and servers that answer what a test tells them.

The programs come out of their Debian packages, which are unpacked below the build directory and not installed: no daemon is started, no
user is made, the machine's own mail and name servers are none of our business. Each server has a private directory, listens on loopback,
and ends by the pid under which it was started.
"""
import email
import email.policy
import fcntl
import glob
import grp
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

import lib
from lib import Skip, can_connect, free_port, wait_for

NSD = ["nsd", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1"]
POSTFIX = ["postfix", "libicu72", "libnsl2", "libtirpc3", "libdb5.3", "sasl2-bin"]
POSTGREY = ["postgrey", "libberkeleydb-perl", "libnet-server-perl", "libnetaddr-ip-perl", "libnet-dns-perl", "libio-multiplex-perl",
            "libdigest-hmac-perl", "libdb5.3"]


def unpack(packages):
    """The root below which the packages lie unpacked."""
    place = lib.WORK / "peers"
    root = place / "root"
    root.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in packages:
            if (place / f"{package}.done").exists():
                continue
            fetch = tempfile.mkdtemp(dir=place)
            subprocess.run(["apt-get", "download", "-qq", package], cwd=fetch, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            [file] = glob.glob(f"{fetch}/*.deb")
            subprocess.run(["dpkg-deb", "-x", file, root], check=True)
            shutil.rmtree(fetch)
            (place / f"{package}.done").touch()
    return root


def library_path(root):
    return ":".join([f"{root}/usr/lib/postfix", *glob.glob(f"{root}/usr/lib/*-linux-gnu"), *glob.glob(f"{root}/lib/*-linux-gnu")])


class Daemon:
    """A server in a private directory that ends with its test. It is outside of the build directory, whose parents may be closed to
    the users as whom the server's processes run."""

    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"posthouse-{name}-", dir="/var/tmp"))
        self.dir.chmod(0o755)
        self.log_path = self.dir / "log"
        self.process = None
        lib._open.append(self)

    def run(self, arguments, environment=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                                            env=dict(os.environ, **(environment or {})), start_new_session=True)

    def ready(self, condition):
        def look():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}\n{self.log()}"
            return condition()
        try:
            wait_for(look, f"{self.name} in service")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log()}") from None

    def log(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-40:]) if self.log_path.exists() else ""

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.end_group()
        self.process = None

    def end_group(self):
        """Its children are in the session that we made for it: what is left of them is not needed any more."""
        try:
            if self.process:
                os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self, keep=False):
        self.stop()
        if keep:
            print(f"---- log of {self.name} ----\n{self.log()}")
        for _ in range(20):  # a process that is just dying may still have made a file
            shutil.rmtree(self.dir, ignore_errors=True)
            if not self.dir.exists():
                break
            time.sleep(0.1)


# ---- names ----
class NameServer(Daemon):
    """nsd with zones: { "example.net": "lines of records" }; lines with a SOA replace the usual ones; None: it answers SERVFAIL for that zone.
    `resolver` is what goes into delivery.resolver."""

    def __init__(self, zones, address="127.0.0.1", port=None):
        super().__init__("nsd")
        installed = pathlib.Path("/usr/sbin/nsd")
        root = pathlib.Path("/") if installed.exists() else unpack(NSD)
        self.address, self.port = address, port or free_port(address)
        self.resolver = f"{address}@{self.port}"
        self.root = root
        text = f'''server:
	ip-address: {address}@{self.port}
	username: ""
	zonesdir: "{self.dir}"
	pidfile: "{self.dir}/pid"
	database: ""
	xfrdfile: "{self.dir}/xfrd"
	xfrdir: "{self.dir}"
	zonelistfile: "{self.dir}/zones"
	server-count: 1
remote-control:
	control-enable: no
'''
        for zone, records in zones.items():
            text += f'zone:\n\tname: "{zone}"\n\tzonefile: "{zone}.zone"\n'
            if records is None:  # there is no such file
                continue
            usual = "" if " SOA " in records else f"@ SOA ns admin 1 3600 600 86400 2\n@ NS ns\nns A {address}\n"
            origin = zone if zone == "." else f"{zone}."
            (self.dir / f"{zone}.zone").write_text(f"$ORIGIN {origin}\n$TTL 2\n{usual}{records}\n")
        (self.dir / "conf").write_text(text)
        self.start()

    def start(self):
        environment = {} if self.root == pathlib.Path("/") else {"LD_LIBRARY_PATH": library_path(self.root)}
        self.run([self.root / "usr/sbin/nsd", "-d", "-c", self.dir / "conf"], environment)
        self.ready(lambda: can_connect(self.port, self.address))


class Names:
    """A name server of our own, on UDP and TCP, whose answers may change and fail: records = { "name.example": [ ("MX", "10 mx.example.") ] }.
    An entry of `faults` ({ "name.example": "servfail", "silent", "refused" or seconds to wait }) holds for the name and all below it."""

    def __init__(self, records=None, faults=None, address="127.0.0.1", port=0):
        self.records = {name.lower(): rows for name, rows in (records or {}).items()}
        self.faults = faults or {}
        self.asked = []
        self.closing = False
        for _ in range(20):
            self.tcp = socket.create_server((address, port))
            self.port = self.tcp.getsockname()[1]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind((address, self.port))
                break
            except OSError:  # the number is taken for UDP
                self.udp.close()
                self.tcp.close()
        self.resolver = f"{address}@{self.port}"
        lib._open.append(self)
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def fault_of(self, name):
        while name:
            if name in self.faults:
                return self.faults[name]
            name = name.partition(".")[2]
        return None

    def answer(self, packet):
        """The answer, or None for silence; waits when the fault is a number of seconds."""
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        fault = self.fault_of(name)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA
        if fault == "silent":
            return None
        if fault in ("servfail", "refused"):
            reply.set_rcode(dns.rcode.SERVFAIL if fault == "servfail" else dns.rcode.REFUSED)
            return reply.to_wire()
        if fault:
            time.sleep(fault)
        self.fill(reply, name, question.rdtype)
        return reply.to_wire()

    def fill(self, reply, name, rdtype):
        for _ in range(10):  # along the CNAMEs
            rows = self.records.get(name)
            if rows is None:
                if not any(other.endswith("." + name) for other in self.records):
                    reply.set_rcode(dns.rcode.NXDOMAIN)
                break
            aliases = [value for kind, value in rows if kind == "CNAME"]
            wanted = [value for kind, value in rows if dns.rdatatype.from_text(kind) == rdtype]
            if wanted:
                reply.answer.append(dns.rrset.from_text_list(name + ".", 1, "IN", rdtype, wanted))
                return
            if not aliases:
                break
            reply.answer.append(dns.rrset.from_text(name + ".", 1, "IN", "CNAME", aliases[0]))
            name = aliases[0].rstrip(".").lower()
        zone = ".".join(name.split(".")[-2:])
        reply.authority.append(dns.rrset.from_text(zone + ".", 1, "IN", "SOA", f"ns.{zone}. admin.{zone}. 1 60 60 60 1"))

    def serve_udp(self):
        while not self.closing:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self.reply_udp, args=(packet, peer), daemon=True).start()

    def reply_udp(self, packet, peer):
        answer = self.answer(packet)
        if answer and not self.closing:
            self.udp.sendto(answer, peer)

    def serve_tcp(self):
        while not self.closing:
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.reply_tcp, args=(s,), daemon=True).start()

    def reply_tcp(self, s):
        with s, s.makefile("rwb") as f:
            while True:
                head = f.read(2)
                if len(head) < 2:
                    return
                answer = self.answer(f.read(int.from_bytes(head, "big")))
                if not answer:
                    continue
                f.write(len(answer).to_bytes(2, "big") + answer)
                f.flush()

    def end(self, keep=False):
        self.closing = True
        self.udp.close()
        self.tcp.close()
        if keep:
            print(f"---- the name server was asked {len(self.asked)} times: {self.asked[-40:]}")


# ---- SMTP, word by word ----
class Scripted:
    """An SMTP server that says what it is told. `answers` maps a verb ("GREETING", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END", "QUIT",
    "STARTTLS") to an answer, to a list of answers that are used up (then the usual one), or to a function of the command line. Answers are
    text such as "451 4.7.1 later" ("\\n" separates the lines of a long one), a number of seconds to wait before the usual answer, "close" or
    "silent"."""

    def __init__(self, host="127.0.0.1", port=None, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"), answers=None, tls_context=None,
                 ends=(b".\r\n",)):
        self.host, self.port = host, port or free_port(host)
        self.ends = ends  # the lines that end a text; careless servers know more than one
        self.extensions, self.answers, self.tls_context = list(extensions), dict(answers or {}), tls_context
        self.connections = self.open = self.peak = 0  # so far, now, and at most at once
        self.commands = []
        self.messages = []
        self.lock = threading.Lock()
        self.listener = None
        lib._open.append(self)
        self.start()

    def start(self):
        self.listener = socket.create_server((self.host, self.port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET, backlog=100)
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def end(self, keep=False):
        self.stop()
        if keep:
            print(f"---- next hop {self.host}: {self.connections} connections, commands {self.commands[-30:]}")

    def wait(self, n=1):
        wait_for(lambda: len(self.messages) >= n, lambda: f"{n} messages at {self.host}, there are {len(self.messages)}")
        return self.messages

    def serve(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open += 1
                self.peak = max(self.peak, self.open)
            threading.Thread(target=self.session, args=(s,), daemon=True).start()

    def session(self, s):
        try:
            Conversation(self, s).run()
        except (OSError, ssl.SSLError, EOFError):
            pass
        finally:
            s.close()
            with self.lock:
                self.open -= 1

    def choose(self, verb, line):
        with self.lock:
            answer = self.answers.get(verb)
            if isinstance(answer, list):
                return answer.pop(0) if answer else None
        return answer(line) if callable(answer) else answer


class Message:
    def __init__(self, host, sender, recipients, options, data):
        self.host, self.sender, self.recipients, self.mail_options, self.bytes = host, sender, recipients, options, data
        self.message = email.message_from_bytes(data, policy=email.policy.default)
        self.arrived = time.monotonic()


class Conversation:
    """One connection of a scripted server."""

    def __init__(self, server, s):
        self.server, self.s = server, s
        self.file = s.makefile("rwb")
        self.encrypted = False
        self.sender, self.recipients, self.options = None, [], ""

    def say(self, text):
        lines = text.split("\n")
        for i, line in enumerate(lines):
            code, rest = line[:3], line[4:]
            self.file.write(f"{code}{' ' if i == len(lines) - 1 else '-'}{rest}\r\n".encode())
        self.file.flush()

    def answer(self, verb, line, usual):
        """Say it; returns what was said, in the end."""
        answer = self.server.choose(verb, line)
        if isinstance(answer, (int, float)):
            time.sleep(answer)
            answer = None
        if answer == "close":
            raise EOFError
        if answer == "silent":
            time.sleep(600)
            raise EOFError
        self.say(answer or usual)
        return answer or usual

    def run(self):
        if not self.answer("GREETING", "", f"220 scripted.{self.server.host} ESMTP").startswith("220"):
            return
        while True:
            line = self.file.readline(4096).decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not line:
                return
            with self.server.lock:
                self.server.commands.append(line)
            if not self.command(line.split(" ")[0].split(":")[0].upper(), line):
                return

    def command(self, verb, line):
        if verb in ("EHLO", "HELO"):
            extensions = self.server.extensions + (["STARTTLS"] if self.server.tls_context and not self.encrypted else [])
            self.answer(verb, line, "\n".join(["250 scripted"] + [f"250 {e}" for e in extensions]) if verb == "EHLO" else "250 scripted")
        elif verb == "STARTTLS":
            if self.answer(verb, line, "220 2.0.0 go on").startswith("220"):
                self.s = self.server.tls_context.wrap_socket(self.s, server_side=True)
                self.file = self.s.makefile("rwb")
                self.encrypted = True
        elif verb == "MAIL":
            if self.answer(verb, line, "250 2.1.0 Ok").startswith("250"):
                self.sender, _, self.options = line[10:].strip().partition(" ")
                self.sender, self.recipients = self.sender.strip("<>"), []
        elif verb == "RCPT":
            if self.answer(verb, line, "503 5.5.1 MAIL first" if self.sender is None else "250 2.1.5 Ok").startswith("250") and self.sender is not None:
                self.recipients.append(line[8:].strip().split(" ")[0].strip("<>"))
        elif verb == "DATA":
            if self.answer(verb, line, "354 go on" if self.recipients else "554 5.5.1 no recipients").startswith("354"):
                self.take_text()
        elif verb == "QUIT":
            self.answer(verb, line, "221 2.0.0 bye")
            return False
        else:
            self.answer(verb, line, "250 2.0.0 Ok" if verb in ("RSET", "NOOP") else "502 5.5.1 what?")
        if verb in ("EHLO", "HELO", "RSET", "STARTTLS"):
            self.sender, self.recipients = None, []
        return True

    def take_text(self):
        text = b""
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError
            if line in self.server.ends:
                break
            text += line[1:] if line.startswith(b".") else line
        answer = self.server.choose("END", "")
        if isinstance(answer, (int, float)):
            time.sleep(answer)
            answer = None
        if answer == "close":
            raise EOFError
        if answer == "silent":
            time.sleep(600)
            raise EOFError
        if (answer or "250").startswith("250"):
            with self.server.lock:
                self.server.messages.append(Message(self.server.host, self.sender, list(self.recipients), self.options, text))
        self.sender, self.recipients = None, []
        self.say(answer or "250 2.0.0 Ok: taken")


class BlackHole:
    """An address that never completes a connection: a listener that nobody accepts from and whose queue is full."""

    def __init__(self, host, port):
        self.listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=0)
        self.fill = []
        lib._open.append(self)
        for _ in range(8):
            s = socket.socket(self.listener.family)
            s.setblocking(False)
            s.connect_ex((host, port))
            self.fill.append(s)
        try:
            socket.create_connection((host, port), 0.3).close()
            raise Skip("this kernel does not drop connections that do not fit the queue")
        except TimeoutError:
            pass

    def end(self, keep=False):
        for s in [*self.fill, self.listener]:
            s.close()


# ---- Postfix ----
MASTER = """smtp0 inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
# Postfix wants a user and a group for itself alone. An unpacked package has made none, so it gets two that no other daemon here uses.
OWNER, GROUP = "uucp", "irc"


class Postfix(Daemon):
    """Postfix that keeps what it takes. As MX: for `domains`. As smarthost: with `users` ({ login: password }) it demands AUTH and then
    takes everything. tls: "none", "may", "encrypt", "old" (TLS 1.0 only), or "broken" (offered, but no handshake succeeds). `greylist`: port of a policy service."""

    def __init__(self, host="127.0.0.1", port=None, domains=("example.net",), users=None, tls="none", certificate=None, greylist=None,
                 mechanisms="PLAIN LOGIN", without=(), settings=""):
        if os.geteuid() != 0:
            raise Skip("Postfix runs only when root starts it")
        super().__init__("postfix")
        self.root = unpack(POSTFIX)
        self.host, self.port = host, port or free_port(host)
        self.environment = {"LD_LIBRARY_PATH": library_path(self.root)}
        owner = pwd.getpwnam(OWNER)
        self.make_directories(owner)
        if users is not None:
            self.make_accounts(users, mechanisms, owner)
        (self.dir / "master.cf").write_text(MASTER.replace("smtp0", f"{host}:{self.port}"))
        policy = f"check_policy_service inet:127.0.0.1:{greylist}," if greylist else ""
        self.write_main_cf(f"""compatibility_level = 3.6
myhostname = postfix.example.net
mail_owner = {OWNER}
setgid_group = {GROUP}
default_privs = nobody
queue_directory = {self.dir}/queue
data_directory = {self.dir}/data
daemon_directory = {self.root}/usr/lib/postfix/sbin
command_directory = {self.root}/usr/sbin
shlib_directory = {self.root}/usr/lib/postfix
meta_directory = {self.dir}
import_environment = MAIL_CONFIG MAIL_LOGTAG LANG=C LD_LIBRARY_PATH
maillog_file = {self.dir}/log
maillog_file_prefixes = {self.dir}
inet_protocols = all
inet_interfaces = loopback-only
alias_maps =
alias_database =
local_recipient_maps =
mydestination =
mynetworks =
relay_domains =
virtual_mailbox_domains = {", ".join(domains)}
virtual_mailbox_base = {self.dir}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
default_transport = virtual
smtpd_peername_lookup = no
smtpd_relay_restrictions = {"permit_sasl_authenticated, reject" if users is not None else "reject_unauth_destination"}
smtpd_recipient_restrictions = {policy} permit
smtpd_discard_ehlo_keywords = {", ".join(without)}
smtpd_sasl_auth_enable = {"yes" if users is not None else "no"}
cyrus_sasl_config_path = {self.dir}/sasl
smtpd_sasl_local_domain = postfix
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = {"may" if tls in ("old", "broken") else tls}
smtpd_tls_auth_only = no
smtpd_tls_loglevel = 1
{self.tls_settings(tls, certificate)}
{settings}
""")
        self.start()

    def write_main_cf(self, text):
        """Of two settings of one name the later, as in Postfix; which warns of the other: in each process, into a log that nobody reads before
        postlogd runs, and ten such lines block the master for ever."""
        chosen = {}
        for line in text.splitlines():
            name = line.split("=", 1)[0].strip()
            chosen.pop(name, None)
            chosen[name] = line
        (self.dir / "main.cf").write_text("\n".join(chosen.values()) + "\n")

    def make_directories(self, owner):
        group = grp.getgrnam(GROUP).gr_gid
        for name in ("queue", "queue/pid", "data", "mail", "sasl", *(f"queue/{n}" for n in "active bounce corrupt defer deferred flush hold "
                     "incoming private saved trace maildrop public".split())):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, 0 if name in ("queue", "queue/pid", "sasl") else owner.pw_uid, 0)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            os.chown(self.dir / "queue" / name, owner.pw_uid, group)
            os.chmod(self.dir / "queue" / name, mode)
        os.chown(self.dir / "mail", owner.pw_uid, owner.pw_gid)

    def make_accounts(self, users, mechanisms, owner):
        file = self.dir / "sasl" / "sasldb2"
        (self.dir / "sasl" / "smtpd.conf").write_text(f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: {mechanisms}\nsasldb_path: {file}\n")
        for login, password in users.items():
            subprocess.run([self.root / "usr/sbin/saslpasswd2", "-p", "-c", "-u", "postfix", "-f", file, login], input=password.encode(), check=True,
                           env=dict(os.environ, **self.environment))
        os.chown(file, owner.pw_uid, owner.pw_gid)

    def tls_settings(self, tls, certificate):
        if tls == "none":
            return ""
        chain, key = certificate
        shutil.copy(chain, self.dir / "chain.pem")
        shutil.copy(key, self.dir / "key.pem")
        return (f"smtpd_tls_cert_file = {self.dir}/chain.pem\nsmtpd_tls_key_file = {self.dir}/key.pem\n"
                + ("smtpd_tls_protocols = TLSv1\n" if tls in ("old", "broken") else "")
                + ("tls_medium_cipherlist = ECDHE-RSA-AES128-SHA\n" if tls == "broken" else ""))  # for which an EC certificate is of no use

    def start(self):
        self.run([self.root / "usr/lib/postfix/sbin/master", "-d", "-c", self.dir], self.environment)
        self.ready(lambda: can_connect(self.port, self.host))

    def messages(self):
        """What was delivered, as it was stored: with CRLF again, and Postfix's own fields on top."""
        place = self.dir / "mail" / "all" / "new"
        return [p.read_bytes().replace(b"\n", b"\r\n") for p in sorted(place.iterdir(), key=lambda p: p.stat().st_mtime_ns)] if place.exists() else []

    def wait(self, n=1):
        wait_for(lambda: len(self.messages()) >= n, lambda: f"{n} messages in Postfix's mailbox, there are {len(self.messages())}")
        return self.messages()


class Postgrey(Daemon):
    """postgrey: the first attempt of a (client, sender, recipient) is refused, one after `delay` seconds passes."""

    def __init__(self, delay=2):
        super().__init__("postgrey")
        root = unpack(POSTGREY)
        self.port = free_port()
        (self.dir / "none").touch()
        db = self.dir / "db"
        db.mkdir()
        user = pwd.getpwuid(os.geteuid()).pw_name  # its modules may lie where only we may enter
        os.chown(db, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        include = [f"{root}/usr/share/perl5", *glob.glob(f"{root}/usr/lib/*-linux-gnu/perl5/5.*")]
        self.run(["perl", "-T", *(f"-I{i}" for i in include), root / "usr/sbin/postgrey", f"--inet=127.0.0.1:{self.port}", f"--dbdir={db}",
                  f"--user={user}", f"--group={grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name}", f"--pidfile={self.dir}/pid",
                  f"--delay={delay}", "--auto-whitelist-clients=0", "--hostname=postgrey.example.net",
                  f"--whitelist-clients={self.dir}/none", f"--whitelist-recipients={self.dir}/none"], {"LD_LIBRARY_PATH": library_path(root)})
        self.ready(lambda: can_connect(self.port))
