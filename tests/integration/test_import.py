"""import postfix: a configuration that `check` takes, the origin of each part, and what is lost."""
from lib import *


def postfix(place, main, master="", **files):
    """A folder as /etc/postfix is; {dir} in the texts is the folder."""
    place.mkdir()
    for name, text in {"main.cf": main, "master.cf": master, **files}.items():
        (place / name).write_text(text.replace("{dir}", str(place)))
    return place


def imported(relay, place, *arguments):
    done = subprocess.run([relay.build / "posthouse", "import", "postfix", place, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_relay_behind_a_provider():
    relay = Relay(1, start=False, users=())
    place = postfix(relay.dir / "postfix", f"""# a comment
myhostname = {HOST}
mydomain = {DOMAIN}
mydestination = $myhostname, localhost.$mydomain,
  localhost
relayhost = [smtp.isp.example]:submission
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:{{dir}}/sasl_passwd
smtp_tls_security_level = encrypt
smtpd_tls_cert_file = {relay.dir}/{relay.certificate}
smtpd_tls_key_file = {relay.dir}/{relay.key}
transport_maps = hash:{{dir}}/transport
sender_dependent_relayhost_maps = texthash:{{dir}}/senders
sender_canonical_maps = inline:{{ web@nas.lan=web@{DOMAIN} }}
smtpd_sender_login_maps = hash:{{dir}}/logins
message_size_limit = 20480000
maximal_queue_lifetime = 3d
mynetworks = 127.0.0.0/8 192.168.1.0/24
smtpd_milters = inet:localhost:8891
""", """smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o smtpd_tls_security_level=encrypt
smtps     inet  n       -       y       -       -       smtpd
pickup    unix  n       -       y       60      1       pickup
""", sasl_passwd="[smtp.isp.example]:submission me@isp.example:secret:word\n", transport="corp.test  smtp:\n.lab.test relay:[10.0.0.9]:2525\n",
                    senders="@shop.test [smtp.shop.test]:587\n", logins=f"shop.test web\nalice@{DOMAIN} alice\ninfo@{DOMAIN} alice\n")
    keytable = relay.dir / "KeyTable"
    keytable.write_text(f"main {DOMAIN}:{relay.selector}:{relay.dir}/{relay.dkim_key}\n")
    code, text, said = imported(relay, place, "--keytable", keytable)
    assert code == 0 and said == "", (code, text, said)
    assert "secret" not in text, text
    for words in ("# main.cf:6: relayhost", f'hostname = "{HOST}";', 'host = "smtp.isp.example"; port = 587; tls = "starttls";', 'login = "me@isp.example"',
                  '{ recipients = [ "@corp.test" ]; via = [ "mx" ]; }', '{ recipients = [ "@.lab.test" ]; via = [ "upstream1" ]; }',
                  '{ senders = [ "@shop.test" ]; via = [ "upstream2" ]; }', '{ via = [ "upstream3" ]; }', "# master.cf:2: submission",
                  'port = 465; tls = "implicit"', f'addresses = [ "alice@{DOMAIN}", "info@{DOMAIN}" ]', f'to = "web@{DOMAIN}"; headers = true;',
                  "# - mynetworks = 127.0.0.0/8 192.168.1.0/24", "# - smtpd_milters: it is Postfix's, and has no key here: DKIM is built in",
                  "port 25: Posthouse takes no mail of other servers"):
        assert words in text, (words, text)
    (place / "posthouse.conf").write_text(text + f'\nstate_dir = "{relay.dir}/state"; control = "{relay.dir}/c.sock"; run_as = "{"root" if os.geteuid() == 0 else "nobody"}";\n')
    for i in (1, 2, 3):
        (place / f"upstream{i}.password").write_text("x\n")
        (place / f"upstream{i}.password").chmod(0o600)
    done = subprocess.run([relay.build / "posthouse", "-c", place / "posthouse.conf", "check", "--dump"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "recipients" in done.stdout, done


def test_what_decides_where_mail_goes_must_be_understood():
    relay = Relay(1, start=False, users=())
    for i, (line, words) in enumerate((("transport_maps = pcre:/etc/postfix/t", "only one table of text"), ("mydestination = corp.test", "mail to corp.test was delivered here"),
                                       ("virtual_mailbox_domains = a.test", "no mailboxes"), ("transport_maps = inline:{ a.test=lmtp:unix:x }", "has no equal"),
                                       ("virtual_alias_maps = inline:{ {a@b.test = c@d.test e@f.test} }", "one target"), ("transport_maps = hash:/nowhere", "No such file"))):
        code, text, said = imported(relay, postfix(relay.dir / f"postfix{i}", f"myhostname = {HOST}\n{line}\n"))
        assert code == 65 and words in text and "not all understood" in said, (line, code, text, said)
        assert "# Mail would go another way" in text, text
    assert imported(relay, relay.dir / "nowhere")[0] == 66
    code, text, _ = imported(relay, postfix(relay.dir / "plain", f"myhostname = {HOST}\n"))
    assert code == 0 and 'via = [ "mx" ]' in text and f'realm = "{HOST.split(".", 1)[1]}"' in text, text


def test_limits_and_times():
    """Numbers become keys within their bounds, and what is counted otherwise, or not at all, is said."""
    relay = Relay(1, start=False, users=())
    place = postfix(relay.dir / "postfix", f"""myhostname = {HOST}
smtpd_tls_cert_file = {relay.dir}/{relay.certificate}
smtpd_tls_key_file = {relay.dir}/{relay.key}
message_size_limit = 0
smtpd_recipient_limit = 20000
smtpd_client_message_rate_limit = 100
smtpd_client_recipient_rate_limit = 0
anvil_rate_time_unit = 2h
smtpd_client_connection_rate_limit = 10
smtpd_timeout = ${{stress?{{10}}:{{300}}}}s
smtpd_hard_error_limit = 15
maximal_queue_lifetime = 2w
bounce_queue_lifetime = 1d
delay_warning_time = 2
minimal_backoff_time = 300
maximal_backoff_time = 1h
queue_minfree = 300000000
default_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 5
smtp_connect_timeout = 20s
smtp_data_done_timeout = 2h
smtp_bind_address = 192.0.2.1
inet_protocols = ipv4
confirm_delay_cleared = yes
""")
    code, text, said = imported(relay, place)
    assert code == 0 and said == "", (code, text, said)
    for words in ('# main.cf:4: message_size_limit\n  message_size = "2147483648";', "  recipients_per_message = 10000;", "# - smtpd_recipient_limit = 20000: recipients_per_message takes 10000 at most",
                  '  messages = [ "100/2h" ]; # of a login', "# - smtpd_client_connection_rate_limit: it is Postfix's, and has no key here", "# - smtpd_timeout = ", "  errors = 15;",
                  '  lifetime = "14d";', "# - bounce_queue_lifetime: reports wait as long", '  warn_after = "2h";', '  retry = [ "5m", "10m", "20m", "40m", "1h" ];', '  min_free = "300000000";',
                  "  connections_per_destination = 5;", '    connect = "20s";', '    data = "1h";', "data takes \"1h\" at most", '  source = [ "192.0.2.1" ];', "  ipv6 = false;",
                  "# - confirm_delay_cleared: "):
        assert words in text, (words, text)
    for words in ("recipients = [", "= 20;", "idle ="):
        assert words not in text, (words, text)
    assert not [line for line in text.splitlines() if "_limit: what" in line or "_time: what" in line], text
    conf = place / "posthouse.conf"
    conf.write_text(text + f'\nstate_dir = "{relay.dir}/state"; control = "{relay.dir}/c.sock"; run_as = "{"root" if os.geteuid() == 0 else "nobody"}";\n')
    done = subprocess.run([relay.build / "posthouse", "-c", conf, "check", "--dump"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "100/2h" in done.stdout, done
