"""Mail servers that hand their mail to the relay as a smarthost wants it: with a login, and the certificate checked. Postfix and Exim
out of their Debian packages, unpacked."""
import glob
import pwd
import re
import shutil
import subprocess
import smtplib

import peers
from clients import *
from lib import *

EXIM = ["exim4-daemon-light", "exim4-base", "libdb5.3", "libnsl2", "libtirpc3", "libgnutls-dane0", "libunbound8", "libevent-2.1-7", "libpcre2-8-0", "libidn12",
        "libnss-wrapper"]


class Postfix(peers.Postfix):
    """Takes mail from loopback and hands all of it to the relay."""

    def __init__(self, scene, port, implicit, mechanism):
        self.scene = scene
        super().__init__(domains=(), settings=f"""
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = smtp
relayhost = [localhost]:{port}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = nexthop
smtp_tls_CAfile = {scene.ca}
smtp_tls_wrappermode = {"yes" if implicit else "no"}
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{scene.file("postfix.password", f"[localhost]:{port} {ALICE}:{PASSWORD}" + chr(10), 0o644)}
smtp_sasl_security_options = noanonymous
smtp_sasl_mechanism_filter = {mechanism}
""")

    def start(self):
        with open(self.dir / "master.cf", "a") as master:
            master.write("smtp unix - - n - - smtp\n")
        super().start()


def hand_over(scene, port, message=None, options=(), recipient=BOB):
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo("program.example")
        client.sendmail(ALICE, recipient, message or scene.message(), mail_options=list(options))


def test_postfix():
    scene = Scene()
    scene.dir.chmod(0o755)
    for (implicit, port), mechanism in zip(scene.ports() * 2, ("PLAIN", "LOGIN", "SCRAM-SHA-256", "")):
        postfix = Postfix(scene, port, implicit, mechanism)
        hand_over(scene, postfix.port, options=["BODY=8BITMIME"])
        m = scene.expect(mechanism=mechanism)
        assert [r for r in m.message.get_all("Received") if "postfix.example.net" in r], m.bytes
        wait_for(lambda: "Verified TLS connection established" in postfix.log_path.read_text(), postfix.log)
        postfix.stop()


def test_postfix_with_an_internationalised_recipient():
    scene = Scene()
    scene.dir.chmod(0o755)
    postfix = Postfix(scene, scene.relay.port, False, "PLAIN")
    hand_over(scene, postfix.port, f"From: {ALICE}\r\nTo: jörg@example.net\r\nSubject: {SUBJECT}\r\nMIME-Version: 1.0\r\n"
              f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{BODY}\r\n".encode(),
              ["SMTPUTF8", "BODY=8BITMIME"], "jörg@example.net")
    scene.expect(attachment=False, recipients=("jörg@example.net",))


class Exim(peers.Daemon):
    """Exim, called for one message at a time: reads it from standard input and delivers it before it ends."""

    def __init__(self, scene, port, implicit, mechanism):
        super().__init__("exim")
        self.scene = scene
        self.root = peers.unpack(EXIM)
        for name in ("spool", "log"):
            (self.dir / name).mkdir()
            (self.dir / name).chmod(0o777)
        send = f"^{ALICE}^{PASSWORD}" if mechanism == "PLAIN" else f": {ALICE} : {PASSWORD}"
        shutil.copy(scene.ca, self.dir / "ca.pem")
        self.program = self.dir / "exim4"  # not set-uid: it is told of its user by a preloaded library
        shutil.copyfile(self.root / "usr/sbin/exim4", self.program)
        self.program.chmod(0o755)
        self.environment = {"LD_LIBRARY_PATH": str(self.copy_libraries()), **self.make_user()}
        self.conf = self.dir / "exim.conf"
        self.conf.write_text(f"""
exim_path = {self.program}
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%slog
primary_hostname = exim.example.net
keep_environment = {" : ".join(self.environment)}
trusted_users = root
never_users =
syslog_timestamp = no
dns_again_means_nonexist = *
smtputf8_advertise_hosts = *
begin routers
smarthost:
  driver = manualroute
  transport = relay
  route_list = * localhost byname
  self = send
begin transports
relay:
  driver = smtp
  port = {port}
  protocol = {"smtps" if implicit else "smtp"}
  allow_localhost
  hosts_require_auth = *
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_certificates = {self.dir}/ca.pem
begin retry
* * F,1h,1m
begin authenticators
client:
  driver = plaintext
  public_name = {mechanism}
  client_send = {send}
""")
        self.conf.chmod(0o644)

    def copy_libraries(self):
        """To where the user may read them as whom Exim delivers."""
        place = self.dir / "lib"
        place.mkdir()
        known = subprocess.run(["ldd", self.program], env=dict(os.environ, LD_LIBRARY_PATH=peers.library_path(self.root)), text=True,
                               stdout=subprocess.PIPE, check=True).stdout
        for path in re.findall(r"=> (/\S+)", known) + glob.glob(f"{self.root}/usr/lib/*/libnss_wrapper.so"):
            if path.startswith(str(self.root)):
                shutil.copy(path, place)
        return place

    def make_user(self):
        """The user whose name is compiled in; an unpacked package has not made it, so only Exim is told that there is one."""
        owner = pwd.getpwnam(peers.OWNER)
        (self.dir / "passwd").write_text(open("/etc/passwd").read() + f"Debian-exim:x:{owner.pw_uid}:{owner.pw_gid}::/nonexistent:/usr/sbin/nologin\n")
        (self.dir / "group").write_text(open("/etc/group").read() + f"Debian-exim:x:{owner.pw_gid}:\n")
        return {"LD_PRELOAD": str(self.dir / "lib" / "libnss_wrapper.so"), "NSS_WRAPPER_PASSWD": str(self.dir / "passwd"), "NSS_WRAPPER_GROUP": str(self.dir / "group")}

    def send(self, message, recipient=BOB):
        return self.scene.run([self.program, "-C", self.conf, "-odi", "-oi", "-f", ALICE, recipient], input=message,
                              environment=self.environment, check=False)

    def log(self):
        return "\n".join(open(path, errors="replace").read() for path in sorted(glob.glob(f"{self.dir}/log/*")))


def test_exim():
    """It sends by BDAT where a server offers CHUNKING, as ours does."""
    if os.geteuid() != 0:
        raise Skip("Exim runs only when root starts it")
    scene = Scene()
    for (implicit, port), mechanism in zip(scene.ports() * 2, ("PLAIN", "LOGIN", "LOGIN", "PLAIN")):
        exim = Exim(scene, port, implicit, mechanism)
        done = exim.send(scene.message(crlf=False))
        log = exim.log()
        assert done.returncode == 0 and " => " in log and "CV=yes" in log and "A=client" in log, (done.text, log)
        assert " K " in log, log
        m = scene.expect(mechanism=mechanism)
        assert [r for r in m.message.get_all("Received") if "exim.example.net" in r], m.bytes
