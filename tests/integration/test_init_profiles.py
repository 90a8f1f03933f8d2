"""`posthouse init DOMAIN --profile NAME`: from nothing to a delivered mail by what it prints, and what it refuses."""
import pty
import shlex
import urllib.parse
import urllib.request

from lib import *
from lib import _names
from test_oauth import ALICE as MAILBOX, Provider, TokenSink

ME = "root" if os.geteuid() == 0 else "nobody"


def place():
    """An instance without a configuration."""
    relay = Relay(1, start=False)
    relay.dir = relay.dir / "new"
    relay.conf = relay.dir / "posthouse.conf"
    return relay


def init(relay, profile, *options, check=True, tries=False):
    """Providers cannot be reached from here: the login is tried where a test plays one."""
    return relay.command("init", DOMAIN, "--profile", profile, *([] if tries else ["--no-try"]), "--user", "alice", "--address", "127.0.0.1", "--port-starttls", str(relay.port),
                         "--port-implicit", str(relay.tls_port), "--state-dir", relay.dir.parent / "new-state", "--control",
                         relay.dir.parent / "control.sock", "--run-as", ME, *options, check=check)


def secret_file(text="it is secret"):
    path = pathlib.Path(WORK_DIR()) / "secret"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def to_copy(text):
    """The lines that are meant to be copied."""
    return [line.strip() for line in text.splitlines() if line.startswith("      ") and not line.startswith("       ")]


def written(relay):
    """The upstream's lines, after `check` has taken the file without a word."""
    assert relay.command("check").stdout.strip().endswith("configuration is good"), relay.command("check")
    assert "warning" not in relay.command("check").stderr
    return relay.conf.read_text().split("upstreams = ", 1)[1]


def test_an_app_password():
    relay, file = place(), secret_file()
    said = init(relay, "Gmail", "--login", MAILBOX, "--password-file", file).stdout
    assert written(relay) == (f'( {{ name = "gmail"; profile = "gmail"; login = "{MAILBOX}";\n                password_file = "{file}"; }} );\n'
                              'routes = ( { via = [ "gmail" ]; } );\n')
    assert to_copy(said) == [f"posthouse -c {relay.conf} {words}" for words in ("check", "serve", "upstream test gmail")], said
    assert said.index("Settings for a mail client") < said.index("1. ") < said.index("4. Publish the DNS record")
    assert "go directly" not in said and "it is secret" not in said + relay.conf.read_text()


def test_oauth_at_google():
    relay, file = place(), secret_file()
    said = init(relay, "gmail", "--login", MAILBOX, "--client-id", "id-1", "--client-secret-file", file).stdout
    assert f'oauth = {{ provider = "google"; client_id = "id-1"; client_secret_file = "{file}"; }};' in written(relay)
    assert to_copy(said) == [f"posthouse -c {relay.conf} {words}" for words in ("check", "serve", "upstream login gmail", "upstream test gmail")], said
    registering = said.split("1. Register the application at Google")[1].split("2. ")[0]
    for word in ("project", "Internal", "publish", "7 days", "Desktop app", "client ID", "client secret"):
        assert word in registering, (word, registering)
    assert f"sign in as {MAILBOX}" in said


def test_microsoft365():
    relay = place()
    said = init(relay, "office365", "--login", MAILBOX, "--client-id=id-1", "--tenant=example.com").stdout
    assert 'profile = "microsoft365"' in written(relay)
    assert 'oauth = { provider = "microsoft"; client_id = "id-1"; tenant = "example.com"; };' in written(relay)
    registering = said.split("1. Register the application at Microsoft")[1].split("2. ")[0]
    for word in ("public client flows", "SMTP.Send", "offline_access", "delegated", "SMTP AUTH", "administrator"):
        assert word in registering, (word, registering)
    assert "Google" not in said and to_copy(said)[2].endswith("upstream login microsoft365")


def test_services():
    """A login that is the same word for everybody; a region; a provider that refuses the null sender; and one without a login."""
    file = secret_file()
    for profile, options, lines in (("sendgrid", ["--password-file", file], ['login = "apikey";', f'password_file = "{file}";']),
                                    ("ses", ["--region", "eu-central-1", "--login", "AKIAX", "--password-file", file],
                                     ['region = "eu-central-1";', 'login = "AKIAX";', f'report_sender = "mailer-daemon@{DOMAIN}";']),
                                    ("google-workspace-relay", [], ['profile = "google-workspace-relay"; } );'])):
        relay = place()
        init(relay, profile, *options)
        for line in lines:
            assert line in written(relay), (line, written(relay))


def test_what_does_not_fit():
    relay, file = place(), secret_file()
    for profile, options, words in (("gmial", [], "the nearest names are gmail;"), ("google", [], "google-workspace"), ("nonsense", [], "upstream profiles"),
                                    ("gmail", ["--mx"], "one of --upstream, --profile and --mx"), ("gmail", ["--upstream=x"], "one of --upstream"),
                                    ("gmail", ["--upstream-login=x"], "those of --profile are --login"), ("gmail", ["--login", "me"], "whole address"),
                                    ("gmail", ["--tenant", "x"], "belong to --client-id"), ("gmail", ["--region", "x"], "expected no --region"),
                                    ("gmail", ["--client-id=x", "--password-file", file], "one of --password-file and --client-id"),
                                    ("sendgrid", ["--login", "me@example.org"], "the word apikey"), ("sendgrid", ["--client-id=x"], "not known to take OAuth"),
                                    ("ses", [], "expected --region"), ("proton-bridge", [], "expected --ca"),
                                    ("outlook.com", ["--login", MAILBOX, "--password-file", file], "takes no password, only OAuth"),
                                    ("outlook.com", ["--login", MAILBOX], "--login LOGIN --client-id ID")):
        done = init(relay, profile, *options, check=False)
        assert done.returncode == 64 and words in done.stderr and not done.stdout, (profile, options, done)
    done = init(relay, "gmail", "--login", MAILBOX, "--password-file", "/nowhere", check=False)
    assert done.returncode == 66 and "/nowhere" in done.stderr, done
    assert not relay.dir.exists()


def at_terminal(command, dialogue):
    """The command with a terminal of its own: to each question its answer. Returns what was shown, and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], [str(word) for word in command])
    shown = ""
    try:
        for question, answer in [*dialogue, (None, None)]:
            while question is None or question not in shown:
                try:
                    piece = os.read(terminal, 4096).decode()
                except OSError:  # the terminal's end
                    piece = ""
                if not piece:
                    assert question is None, (question, shown)
                    break
                shown += piece
            if question:
                os.write(terminal, answer.encode() + b"\n")
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return shown, os.waitstatus_to_exitcode(status)


def test_at_a_terminal_it_asks():
    relay = place()
    shown, code = at_terminal([relay.build / "posthouse", "-c", relay.conf, "init", DOMAIN, "--profile", "gmail", "--state-dir", relay.dir.parent / "new-state",
                               "--control", relay.dir.parent / "control.sock", "--run-as", ME, "--no-try"],
                              [("Login at gmail (the whole address): ", MAILBOX), ("(app password): ", "abcd efgh")])
    assert code == 0 and "2-step login" in shown and "abcd" not in shown, shown
    file = relay.dir / "gmail.password"
    assert file.read_text() == "abcd efgh\n" and file.stat().st_mode & 0o777 == 0o600
    assert f'login = "{MAILBOX}";' in written(relay) and f'password_file = "{file}";' in written(relay) and f"  {file}" in shown


def init_where_names_lead_here(relay, host, address, *options):
    """`init --profile gmail` where that provider's host has this address."""
    hosts = pathlib.Path(WORK_DIR()) / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {host}\n")
    script = f"mount --bind {hosts} /etc/hosts && exec \"$@\""
    arguments = [relay.build / "posthouse", "-c", relay.conf, "init", DOMAIN, "--yes", "--profile", "gmail", "--resolver", "127.0.0.1@1", "--address", "127.0.0.1",
                 "--state-dir", relay.dir.parent / "new-state", "--control", relay.dir.parent / "control.sock", "--run-as", ME, *options]
    return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT)


def test_the_login_is_tried_first():
    """With a password, `init DOMAIN --profile NAME` logs in before it writes; a refusal leaves nothing behind."""
    needs_namespaces("--mount")
    host, address = "smtp.gmail.com", f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 250}.7"
    context, certificate = tls_context(WORK_DIR(), host)
    sink = Sink(port=587, host=address, tls="starttls", tls_context=context, require_tls=True, users={MAILBOX: "it is secret"})
    relay, file = place(), secret_file("a wrong one")
    options = ["--login", MAILBOX, "--password-file", file, "--ca", certificate]
    done = init_where_names_lead_here(relay, host, address, *options)
    assert done.returncode == 69 and f"{host}:587: failed at the login: 535 5.7.8" in done.stderr and "Nothing was written" in done.stderr, done
    assert not relay.dir.exists() and not (relay.dir.parent / "new-state").exists()
    secret_file()
    done = init_where_names_lead_here(relay, host, address, *options)
    assert done.returncode == 0 and f"Tried: {host}:587, TLS 1.3 good, login good." in done.stdout and sink.logins[-1] == ("PLAIN", MAILBOX), done
    assert [line.split("posthouse.conf ")[1] for line in to_copy(done.stdout)] == ["check", "serve"], done.stdout  # `upstream test` was done
    assert relay.conf.exists()
    sink.stop()
    other = place()
    done = init_where_names_lead_here(other, host, address, *options)
    assert done.returncode == 75 and "failed at the connection" in done.stderr and not other.dir.exists(), done


def test_what_does_not_fit_is_asked_again():
    relay = place()
    shown, code = at_terminal([relay.build / "posthouse", "-c", relay.conf, "init", DOMAIN, "--offline", "--state-dir",
                               relay.dir.parent / "new-state", "--control", relay.dir.parent / "control.sock", "--run-as", ME],
                              [("Name of this relay [", "not a host"), ("such as relay.example.org.\r\nName of this relay [", "out.example.com"),
                               ("Who takes the mail?", "gmial"), ("names are gmail; `posthouse upstream profiles` lists them\r\nWho takes the mail?", "smtp.example.net:0"),
                               ("smtp.example.net:465.\r\nWho takes the mail?", "smtp.example.net:2525"), ("Login at smtp.example.net [none]: ", ""),
                               ("First user [user]: ", "a b"), ("such as alice.\r\nFirst user [user]: ", "carol")])
    assert code == 0 and 'hostname = "out.example.com";' in relay.conf.read_text() and "port = 2525;" in written(relay), shown


def browse(page, provider):
    """What the browser of a person does who signs in: the provider leads it to the command."""
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page).query))
    assert page.startswith(provider.url("authorize")) and asked["client_id"] == "id-1" and asked["code_challenge_method"] == "S256", page
    answer = urllib.parse.urlencode({"code": "code-1", "state": asked["state"]})
    with urllib.request.urlopen(f"{asked['redirect_uri']}?{answer}", timeout=LIMIT) as got:
        assert got.status == 200


def sign_in(command, provider):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    while not (page := re.search(r"^ +(https://\S+)$", said, re.M)):
        line = process.stdout.readline()
        assert line, said
        said += line
    browse(page.group(1), provider)
    said += process.communicate(timeout=LIMIT)[0]
    assert process.returncode == 0, said


def setting(said, name):
    return re.search(rf"^  {name} +(\S+)", said, re.M).group(1)


def test_a_new_user_needs_only_what_is_printed():
    """From `init DOMAIN --profile gmail` to a delivered mail. Only the provider's host and URLs are not the real ones."""
    relay = place()
    provider = Provider(WORK_DIR())
    provider.answer = lambda form: (200, dict(provider.grant(form)[1], refresh_token="refresh-of-a-person"))
    sink = TokenSink(WORK_DIR(), provider)
    done = init(relay, "gmail", check=False)
    assert done.returncode == 64 and not relay.conf.exists(), done
    instructions = to_copy(done.stderr.split("The other way in is OAuth")[1])
    for line in instructions[:-1]:
        subprocess.run(["sh", "-ec", line], input="client-secret-1\n", text=True, check=True)
    options = instructions[-1].replace("LOGIN", MAILBOX).replace("ID", "id-1")
    said = init(relay, "gmail", *shlex.split(options)).stdout
    conf = relay.conf.read_text()
    conf = conf.replace('profile = "gmail";', f'profile = "gmail"; host = "127.0.0.1"; port = {sink.port}; tls_name = "sink.example.net"; ca = "{sink.certificate}";')
    conf = conf.replace('provider = "google";', f'provider = "google"; token_url = "{provider.url()}"; authorization_url = "{provider.url("authorize")}";')
    relay.conf.write_text(conf + provider.extra() + f"delivery = {{ {LOOPBACK} }};\n")
    relay.certificate, relay.key, relay.dkim_key, relay.selector = _names(init_text(relay.conf))
    check, serve, login, test = [[relay.build / line.split()[0], *line.split()[1:]] for line in to_copy(said)]
    subprocess.run(check, check=True)
    assert serve[1:] == ["-c", str(relay.conf), "serve"]
    relay.start()
    sign_in(login, provider)
    assert subprocess.run(test, stdout=subprocess.PIPE, text=True).returncode == 0
    user = setting(said, "login")
    client = relay.connect(user=user, password=setting(said, "password"))
    relay.submit(client=client, sender=user)
    [got] = sink.wait()
    assert got.recipients == ["bob@example.net"] and verify_dkim(relay, got)
    assert sink.tokens and set(sink.tokens) <= set(provider.issued)
    assert provider.forms[0][1]["grant_type"] == "authorization_code" and provider.forms[0][1]["code"] == "code-1"
    relay.stop()
