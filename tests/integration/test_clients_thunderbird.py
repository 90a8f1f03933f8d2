"""Thunderbird, on a display that nobody sees, sends one message each way. Optional: it is too large to be installed for this alone.

It is driven by its own remote control (Marionette), which fills in the account and presses Send, so to speak: the message is composed, encoded,
logged in and sent by the same code as when a person does it. The authority that issued the relay's certificate is put into the profile's
certificate store; the password into its password store.
"""
import json
import pathlib
import shutil
import socket
import subprocess

from clients import *
from lib import *

PROGRAMS = ("/usr/lib/thunderbird/thunderbird-bin", "/usr/lib/thunderbird/thunderbird")

PREFERENCES = """
user_pref("marionette.port", %d);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.rights.version", 1);
user_pref("mailnews.start_page.enabled", false);
user_pref("network.dns.disableIPv6", true);
"""

SEND = """
const [port, implicit, login, password, to, subject, text, note, ca, done] = arguments;
(async () => {
	const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
	const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
	certificates.addCertFromBase64(ca, "CT,,");

	const server = MailServices.outgoingServer.createServer("smtp");
	server.QueryInterface(Ci.nsISmtpServer);
	server.hostname = "localhost";
	server.port = port;
	server.socketType = implicit ? Ci.nsMsgSocketType.SSL : Ci.nsMsgSocketType.alwaysSTARTTLS;
	server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
	server.username = login;
	const stored = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
	stored.init("smtp://localhost", null, "smtp://localhost", login, password, "", "");
	if (!(await Services.logins.searchLoginsAsync({ origin: "smtp://localhost" })).length)
		await Services.logins.addLoginAsync(stored);

	const identity = MailServices.accounts.createIdentity();
	identity.email = login;
	identity.fullName = "Alice";
	identity.smtpServerKey = server.key;
	identity.doFcc = false;
	identity.attachVCard = false;
	const account = MailServices.accounts.createAccount();
	account.incomingServer = MailServices.accounts.createIncomingServer("nobody", `local-${port}.example`, "none");
	account.addIdentity(identity);

	const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
	fields.from = `Alice <${login}>`;
	fields.to = to;
	fields.subject = subject;
	fields.body = text;
	const attachment = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
	attachment.url = "file://" + note;
	attachment.name = note.split("/").pop();
	fields.addAttachment(attachment);

	const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
	const listener = {
		QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
		onStartSending() {}, onProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() { done("not sent"); },
		onTransportSecurityError(id, status, info, location) { done("security error " + status.toString(16)); },
		onStopSending(id, status, message, file) { done(status ? "status " + status.toString(16) + " " + message : "sent"); },
	};
	send.createAndSendMessage(null, identity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, "text/plain", text,
		null, null, listener, "", "", Ci.nsIMsgCompType.New);
})().catch(error => done(String(error) + " " + error.stack));
"""


class Marionette:
    """Remote control: "LENGTH:JSON" both ways, [0, id, command, parameters] there, [1, id, error, result] back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.settimeout(120)
        self.file = self.socket.makefile("rb")
        self.id = 0
        self.receive()  # what it is

    def receive(self):
        length = b""
        while (c := self.file.read(1)) != b":":
            assert c, "Thunderbird has closed the connection"
            length += c
        return json.loads(self.file.read(int(length)))

    def call(self, command, **parameters):
        self.id += 1
        text = json.dumps([0, self.id, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self.receive()
        assert not error, f"{command}: {error}"
        return result

    def run(self, script, *arguments):
        return self.call("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox="system", newSandbox=True)["value"]


def start_display(scene):
    if not shutil.which("Xvfb"):
        raise Skip("Xvfb is not installed")
    display = scene.dir / "display"
    with open(display, "wb") as file:
        x = subprocess.Popen(["Xvfb", "-displayfd", str(file.fileno()), "-screen", "0", "1024x768x24", "-nolisten", "tcp"], pass_fds=[file.fileno()],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lib._open.append(Ending(x))
    wait_for(lambda: display.read_text().endswith("\n") or x.poll() is not None, "a display")
    if x.poll() is not None:
        raise Skip("Xvfb does not start here")
    return f":{display.read_text().strip()}"


class Ending:
    """A process that ends with the test."""

    def __init__(self, process):
        self.process = process

    def end(self, keep=False):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_thunderbird(scene, program):
    port = free_port()
    profile = scene.dir / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(PREFERENCES % port)
    environment = dict(os.environ, HOME=str(scene.home), DISPLAY=start_display(scene), LC_ALL="C.UTF-8", NO_AT_BRIDGE="1")
    log = open(scene.dir / "thunderbird.log", "wb")
    process = subprocess.Popen([program, "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access"], env=environment,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    lib._open.append(Ending(process))
    wait_for(lambda: can_connect_to_marionette(port) or process.poll() is not None, "Thunderbird's remote control")
    if process.poll() is not None:
        raise Skip("Thunderbird does not start here: " + (scene.dir / "thunderbird.log").read_text(errors="replace")[-300:])
    control = Marionette(port)
    control.call("WebDriver:NewSession", capabilities={"alwaysMatch": {"pageLoadStrategy": "none"}})
    control.call("Marionette:SetContext", value="chrome")
    control.call("WebDriver:SetTimeouts", script=90000)
    return control


def can_connect_to_marionette(port):
    """One client at a time: look without connecting."""
    ports = [line.split()[1].rsplit(":", 1)[1] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    return f"{port:04X}" in ports


def test_thunderbird():
    program = next((p for p in PROGRAMS if os.path.exists(p)), None)
    if not program:
        raise Skip("Thunderbird is not installed")
    scene = Scene()
    control = start_thunderbird(scene, program)
    ca = "".join(line for line in scene.ca.read_text().splitlines() if "CERTIFICATE" not in line)
    for implicit, port in scene.ports():
        said = control.run(SEND, port, implicit, ALICE, PASSWORD, BOB, SUBJECT, BODY, str(scene.note), ca)
        assert said == "sent", f"{said}\n{(scene.dir / 'thunderbird.log').read_text(errors='replace')[-3000:]}\n{scene.relay.log_tail(30)}"
        m = scene.expect()
        assert "Thunderbird" in m.message["User-Agent"], m.message["User-Agent"]
