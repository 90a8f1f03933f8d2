"""tls_bed.py - a small Internet for mail that is to arrive encrypted at the right server, in a network namespace of the test: real names (nsd
with zones that the test signs), real mail servers (Postfix, aiosmtpd) at port 25, real hosts of policies (nginx) at port 443, and
the certificates of all of them. A test says what is there, and what has to come of a message.

    bed = TlsBed()
    mx = bed.host("mx.signed.test", bed.authority.issue("mx.signed.test"))      # the address record comes with it
    bed.add("signed.test", "MX", "10 mx.signed.test.")
    bed.start()
    bed.arrives("bob@signed.test", mx)
    bed.waits("bob@other.test", "words of the reason")

Zones: signed.test and others.test are signed, plain.test is not; example.org is ours. Their keys are the trust anchors."""
import ctypes
import json
import logging
import os
import subprocess

import peers
from authority import Authority, Certificate, self_signed
from lib import *
from peers import Daemon, NameServer, Postfix, unpack
from signed import Signer

NGINX = ["nginx", "libpcre2-8-0"]
UNBOUND = ["unbound", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1", "libpython3.11", "libnghttp2-14"]
SIGNED = ("signed.test", "others.test")
UNSIGNED = ("plain.test", DOMAIN)
NAMES, RECURSIVE, POLICIES = "127.0.0.53", "127.0.0.54", "127.0.0.80"
logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd tells of each handshake that was ended by a relay, as many here have to be
NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def own_network():
    """This process, and all that it starts from now on, are alone in a network in which every port is free."""
    needs_namespaces("--net")
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        raise Skip("only root can make network namespaces")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Nginx(Daemon):
    """Hosts of policies, and of reports by HTTPS: { name: Site }. What is posted to /report is kept."""

    def __init__(self, sites, address=POLICIES):
        super().__init__("nginx")
        self.root, self.address = unpack(NGINX), address
        for place in ("www", "body", "logs", "proxy", "other"):
            (self.dir / place).mkdir()
            (self.dir / place).chmod(0o777)
        self.write(sites)
        self.start()

    def write(self, sites):
        servers = "".join(self.server(name, site) for name, site in sites.items())
        (self.dir / "conf").write_text(f"""daemon off; pid {self.dir}/pid; error_log {self.dir}/logs/error; worker_processes 1;
events {{ }}
http {{
	log_format mine escape=json '{{"host":"$host","uri":"$request_uri","status":$status,"type":"$content_type","method":"$request_method","agent":"$http_user_agent","body":"$request_body_file"}}';
	access_log {self.dir}/logs/access mine;
	client_body_temp_path {self.dir}/body; proxy_temp_path {self.dir}/proxy;
	fastcgi_temp_path {self.dir}/other; uwsgi_temp_path {self.dir}/other; scgi_temp_path {self.dir}/other;
	default_type text/plain;
	server {{ listen {self.address}:8080; location / {{ return 201; }} }}
{servers}
}}
""")

    def server(self, name, site):
        place = self.dir / "www" / name / ".well-known"
        place.mkdir(parents=True, exist_ok=True)
        if site.text is not None:
            (place / "mta-sts.txt").write_text(site.text, newline="")
        return f"""	server {{
		listen {self.address}:443 ssl; server_name {name}; root {self.dir}/www/{name};
		ssl_certificate {site.certificate.chain}; ssl_certificate_key {site.certificate.key};
		{site.more}
		location /report {{ client_body_in_file_only on; proxy_pass http://{self.address}:8080/; }}
	}}
"""

    def start(self):
        self.run([self.root / "usr/sbin/nginx", "-p", self.dir, "-c", self.dir / "conf"], {"LD_LIBRARY_PATH": peers.library_path(self.root)})
        self.ready(lambda: can_connect(443, self.address))

    def requests(self):
        """What was asked for, in order: { host, uri, status, type, method, agent, body: file }."""
        path = self.dir / "logs" / "access"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self):
        return super().log() + "\n".join(p.read_text()[-3000:] for p in (self.dir / "logs").iterdir())


class Site:
    def __init__(self, certificate, text=None, more=""):
        self.certificate, self.text, self.more = certificate, text, more


class Unbound(Daemon):
    """A recursive server that validates with the same trust anchors, and gets its answers from nsd."""

    def __init__(self, zones, anchor, address=RECURSIVE, port=53):
        super().__init__("unbound")
        self.root = unpack(UNBOUND)
        stubs = "".join(f'stub-zone:\n\tname: "{zone}"\n\tstub-addr: {NAMES}@53\n' for zone in zones)
        (self.dir / "conf").write_text(f"""server:
	interface: {address}@{port}
	access-control: 127.0.0.0/8 allow
	do-not-query-localhost: no
	do-daemonize: no
	chroot: ""
	username: ""
	directory: "{self.dir}"
	pidfile: "{self.dir}/pid"
	use-syslog: no
	logfile: ""
	module-config: "validator iterator"
	trust-anchor-file: "{anchor}"
	local-zone: "test." nodefault
	harden-below-nxdomain: no
remote-control:
	control-enable: no
{stubs}""")
        self.run([self.root / "usr/sbin/unbound", "-d", "-c", self.dir / "conf"], {"LD_LIBRARY_PATH": peers.library_path(self.root)})
        self.ready(lambda: can_connect(port, address))


class RequireTls(SMTPServer):
    """aiosmtpd with REQUIRETLS (RFC 8689 2): offered under TLS, and taken at MAIL."""

    async def smtp_MAIL(self, arg):
        asked, rest = re.subn(r"(?i) REQUIRETLS\b", "", arg or "")[::-1]
        await super().smtp_MAIL(rest)
        if asked and self.envelope.mail_from is not None:
            self.envelope.mail_options.append("REQUIRETLS")


class RequireTlsController(Controller):
    def factory(self):
        return RequireTls(self.handler, **self.SMTP_kwargs)


class RequireTlsSink(Sink):
    """A next hop with REQUIRETLS; what it got with it has that word among its mail_options."""

    def start(self):
        self.controller = RequireTlsController(self, hostname=self.host, port=self.port, **self.kwargs, **self.options)
        self.controller.start()

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [*responses[:-1], *(["250-REQUIRETLS"] if session.ssl is not None else []), responses[-1]]


def policy_of(transcript):
    """What decided about TLS when the message was sent: "verified by mta-sts"."""
    return [e for e in transcript if e.get("event") == "delivery.sent"][-1]["fields"].get("tls_policy", "")


def by_dane(transcript):
    return policy_of(transcript) in ("dane", "encrypted by dane")


def by_sts(transcript):
    return True


def policy_text(*patterns, mode="enforce", max_age=86400):
    return "".join(f"{line}\r\n" for line in ("version: STSv1", f"mode: {mode}", *(f"mx: {p}" for p in patterns), f"max_age: {max_age}"))


class TlsBed:
    def __init__(self, unbound=False):
        unpack(peers.POSTFIX + NGINX + (UNBOUND if unbound else []))  # while there is a network to get them by
        own_network()
        self.authority = Authority()
        self.signer = Signer(*SIGNED)
        self.with_unbound = unbound
        self.records = {}  # (name, type): [ value ]
        self.failing = []  # zones for which the name server answers SERVFAIL
        self.spoilt = []   # (name, type) of records whose signature does not hold
        self.sites = {}    # name: Site
        self.hosts = []
        self.names = self.web = self.relay = self.unbound = None
        self.serial = 1

    # ---- names ----
    def add(self, name, kind, *values):
        self.records.setdefault((name, kind), []).extend(values)

    def set(self, name, kind, *values):
        """In place of the records of this name and type."""
        self.records[name, kind] = list(values)

    def tlsa(self, host, *records, port=25):
        self.add(f"_{port}._tcp.{host}", "TLSA", *records)

    def zones(self):
        texts = {zone: None for zone in self.failing}
        for zone in (*SIGNED, *UNSIGNED):
            lines = [f"@ SOA ns.{zone}. admin.{zone}. {self.serial} 3600 600 86400 2", f"@ NS ns.{zone}.", f"ns A {NAMES}"]
            for (name, kind), values in self.records.items():
                if name == zone or name.endswith("." + zone):
                    lines += [f"{name}. {kind} {value}" for value in values]
            texts[zone] = "\n".join(lines)
            if zone in SIGNED:
                texts[zone] = self.spoil(self.signer.sign(zone, texts[zone]))
        return texts

    def spoil(self, text):
        """The records are changed after they were signed: their last hexadecimal digit, or digit of the address."""
        lines = text.splitlines()
        for name, kind in self.spoilt:
            for i, line in enumerate(lines):
                if line.startswith(name + ". ") and f" IN {kind} " in line:
                    lines[i] = line[:-1] + ("1" if line[-1] != "1" else "2")
        return "\n".join(lines)

    # ---- servers ----
    def address(self, name):
        """A new one, with its record."""
        address = f"127.0.1.{len(self.hosts) + 1}"
        self.hosts.append(name)
        self.add(name, "A", address)
        return address

    def host(self, name, certificate=None, domains=None, tls=None, **settings):
        """Postfix at an address of its own; without a certificate it has no TLS."""
        return Postfix(host=self.address(name), port=25, domains=domains or [name.split(".", 1)[1]], tls=tls or ("may" if certificate else "none"),
                       certificate=certificate and certificate.files(), settings="smtpd_tls_received_header = yes\n" + settings.pop("settings", ""), **settings)

    def sink(self, name, certificate=None, kind=Sink, **options):
        """aiosmtpd at an address of its own; without a certificate it has no TLS. kind: Sink, RequireTlsSink."""
        if certificate:
            options.update(tls="starttls", tls_context=options.get("tls_context") or certificate.context())
        return kind(host=self.address(name), port=25, **options)

    def policy(self, domain, text, id="1", certificate=None, more=""):
        """The domain has an MTA-STS policy; text None: nothing is at its place."""
        host = f"mta-sts.{domain}"
        self.set(f"_mta-sts.{domain}", "TXT", f'"v=STSv1; id={id};"')
        self.set(host, "A", POLICIES)
        self.sites[host] = Site(certificate or self.authority.issue(host), text, more)

    # ---- a run ----
    def start(self, delivery="", extra="", **settings):
        if self.sites:
            self.web = Nginx(self.sites)
        self.names = NameServer(self.zones(), address=NAMES, port=53)
        if self.with_unbound:
            self.unbound = Unbound((*SIGNED, *UNSIGNED), self.signer.anchor)
        resolver = RECURSIVE if self.with_unbound else NAMES
        settings.setdefault("environment", {"SSL_CERT_FILE": str(self.authority.alone)})  # the system's authorities, as the relay sees it
        self.relay = Relay(upstream="", delivery=f'resolver = "{resolver}"; trust_anchor = "{self.signer.anchor}"; {delivery}',
                           extra=f'{"" if "routes = " in extra else MX} https = {{ ca = "{self.authority.alone}"; }}; {extra}', **settings)
        return self.relay

    def names_again(self):
        """The names as they are now. What the resolver remembers is gone within the two seconds that all records live."""
        self.names.end()
        self.serial += 1
        self.names = NameServer(self.zones(), address=NAMES, port=53)

    # ---- what comes of a message ----
    def arrives(self, to, server, word=b"ESMTPS", message=None):
        """By the first attempt, and as the server says, with that word of RFC 3848. Returns the transcript and all events."""
        id = self.relay.submit(message, to=[to])
        self.arrived(to, server, word)
        wait_for(lambda: any(e["event"] == "delivery.sent" for e in self.relay.events(id)), lambda: f"the end of {id}: {self.relay.trace(id)}")
        return self.relay.trace(id)

    def arrived(self, to, server, word=b"ESMTPS"):
        if isinstance(server, Postfix):
            find = lambda: [m for m in server.messages() if f"Delivered-To: {to}".encode() in m]
            received = wait_for(find, f"mail for {to}")[0].split(b"Received: ")[1]
            assert b"with " + word + b" id" in received, received
        else:
            message = wait_for(lambda: [m for m in server.messages if m.recipients == [to]], f"mail for {to}")[0]
            assert message.tls == (word == b"ESMTPS"), (message.peer, message.tls)

    def waits(self, to, *words, servers=(), message=None):
        """It is deferred with these words of a reason, and these servers have not seen it. Returns the id."""
        id = self.relay.submit(message, to=[to])
        ends = lambda: [e for e in self.relay.events(id) if e["event"] in ("delivery.deferred", "delivery.sent", "delivery.failed")]
        first = wait_for(ends, f"what comes of {id}")[0]
        assert first["event"] == "delivery.deferred", self.relay.trace(id)
        for word in words:
            assert word in json.dumps(first), first
        for server in servers:
            got = server.messages() if isinstance(server, Postfix) else [m.bytes for m in server.messages if to in m.recipients]
            assert not any(to.encode() in m for m in got), got
        return id

    def explain(self, to):
        """What explain says, in one line."""
        return " ".join(self.relay.command("explain", "--user", "alice", "--from", f"alice@{DOMAIN}", "--to", to, check=False).stdout.split())


MX = 'routes = ( { via = [ "mx" ]; } );'
