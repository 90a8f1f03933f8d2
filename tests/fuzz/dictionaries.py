"""Words for libFuzzer, made of the tables that the program itself is made of, so that a new row is a new word.

A target has the words of its own file tests/fuzz/ROOM/NAME.words (one a line, with escapes as in Python; none where the file is
missing), and those of the grammars that GRAMMARS names for it or for its room."""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parents[1]

QUOTED = r'"((?:[^"\\]|\\.)*)"'
# grammar: (file, expression whose groups are words) of the tables, and words that no table has
TABLES = {
    "verbs": [("src/smtp/server/commands.c", r'\{ S\("([A-Z]+)"\)')],
    "extensions": [("src/smtp/extensions.def", r'EXTENSION\("([^"]+)"')],
    "parameters": [("src/smtp/server/params.c", r'"([A-Z][A-Z0-9-]+)=?"')],
    "fields": [("src/mail/fields.def", r'FIELD\("([^"]+)"')],
    "mechanisms": [("include/posthouse/sasl.def", r'"([A-Z0-9-]+)"')],
    "replies": [("src/relay/replies.def", QUOTED)],
    "keys": [("src/config/schema.c", r'^\t\{ "([a-z_.\[\]]+)"'), ("src/config/schema_upstreams.def", r'"([a-z_.\[\]]+)"'),
             ("src/config/schema_doctor.def", r'"([a-z_.\[\]]+)"'), ("src/config/schema_local.def", r'"([a-z_.\[\]]+)"'),
             ("src/config/schema_routes.def", r'"([a-z_.\[\]]+)"'), ("src/config/schema_store.def", r'"([a-z_.\[\]]+)"')],
    "connection": [("src/config/store.c", r'^\t\{ "([a-z_]+)"'), ("src/config/store.c", r'"([a-z]+-[a-z]+)"')],
    "choices": [("src/config/choices.c", r'"([a-z0-9_.+-]+)"')],
    "variables": [("src/config/env.def", r'^(?:KEY|UPSTREAM|VALUE|PROCESS)\("([A-Z_]+)"')],
    "postfix": [("src/config/foreign.def", r'"([a-z0-9_]+)"'), ("src/cli/import.c", QUOTED), ("src/cli/import_routes.c", QUOTED),
                ("src/cli/import_numbers.c", QUOTED)],
    "metrics": [("include/posthouse/metrics.def", r'"([a-z_.]+)"')],
    "events": [("src/base/events.def", r'"([a-z_.]+)"'), ("src/base/fields.def", r'"([a-z_.]+)"')],
    "sendmail": [("src/cli/sendmail_options.def", QUOTED)],
    "commands": [("src/cli/commands.def", r'^(?:COMMAND|VERB|OPTION|GLOBAL)\("?([a-z-]+)"?')],
    "providers": [("src/vault/token_answer.c", r'\{ "([^"]+)"')],
}
WORDS = {
    "lines": ["\\r\\n", "\\r\\n.\\r\\n", "\\n", "\\r", "\\x00", "\\r\\n\\r\\n", "\\r\\n ", "..", "\\t"],
    "verbs": ["MAIL FROM:<", "RCPT TO:<", "<>", "<postmaster>", "BDAT 5 LAST", "EHLO x"],
    "parameters": ["SIZE=100", "BODY=8BITMIME", "BODY=BINARYMIME", "SMTPUTF8", "REQUIRETLS", "RET=HDRS", "ENVID=a+2B", "NOTIFY=NEVER",
                   "NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;a+40b", "ORCPT=utf-8;\\\\x{E9}", "BY=120;R", "BY=-1;NT", "HOLDFOR=60",
                   "HOLDUNTIL=2027-01-01T00:00:00Z", "MT-PRIORITY=-9", "AUTH=<>"],
    "encoded": ["=?utf-8?q?", "=?utf-8?b?", "=?iso-8859-1?Q?", "?=", "=?", "?Q?", "?B?", "=E2=82=AC", "_", "utf-7", "*0*=", "utf-8''"],
    "addresses": ["<a@b.example>", "\\\"a b\\\"@c", "(c)", "a:b@c;", "@a,@b:c@d", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--", "@", ".", "\\\\",
                  "\\xef\\xbc\\xa0", "\\xe3\\x80\\x82", "\\xc3\\xa9"],
    "mime": ["multipart/mixed; boundary=", "message/rfc822", "multipart/signed", "text/plain; charset=", "base64", "quoted-printable",
             "8bit", "binary", "\\r\\n--", "--\\r\\n"],
    "dates": ["Mon, 1 Jan 2027 00:00:00 +0000", "-0700", "GMT", "EST", " Feb ", "69", "23:59:60"],
    "connection": ["host=", " dbname=", " user=", "=''", "'", "\\\\", "\\\\'", "/run/postgresql", ",", "5432", "127.0.0.1", "::1",
                   " sslmode=verify-full", " sslrootcert=/", "postgresql://"],
    "units": ["10/1m", "100/1h", "90s", "5m", "4h", "7d", "2w", "10k", "1M", "2G", "/", "today", "yesterday"],
    "networks": ["127.0.0.0/8", "::1/128", "2001:db8::/32", "::ffff:192.0.2.1", "fe80::1%eth0", "/", "%"],
    "dkim": ["v=1;", "a=rsa-sha256;", "a=ed25519-sha256;", "c=relaxed/simple;", "d=", "s=", "h=from:to;", "i=@", "l=0;", "q=dns/txt;",
             "t=1;", "x=2;", "z=From:|", "bh=", "b=", "v=DKIM1;", "k=rsa;", "g=*;", "p=;", "t=s:y;"],
    "records": ["v=spf1 ", "include:", "redirect=", "exists:%{i}._s.%{d}", "a:", "mx/24//64", "ip4:192.0.2.0/24", "ip6:2001:db8::/32",
                "?all", "-all", "~all", "exp=", "ptr", "%{ir}", "%{l1r-}", "v=DMARC1;", "p=reject;", "sp=none;", "rua=mailto:a@b!10m", "pct=50;",
                "adkim=s;", "fo=1:d:s;", "v=TLSRPTv1;", "v=STSv1; id=1;", "v=BIMI1; l=https://", "issue ", "0 issuewild "],
    "report": ["Reporting-MTA: dns;", "Final-Recipient: rfc822;", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp;"],
    "libconfig": [" = ", ";", "( { ", " } )", "[ ", " ]", ": {", "true", "false", "0x10", "1.5", "10L", "@include \\\"", "# ", "/* ", " */",
                  "\\\"a\\\" \\\"b\\\""],
    "json": ["{\\\"", "\\\":", "null", "true", "1e9", "[", "]", "\\\\u0000", "\\\\ud800", "access_token", "refresh_token", "expires_in", "error"],
    "http": ["GET / HTTP/1.1\\r\\n", "Host: ", "?code=", "&state=", "%00", "%", "Content-Length: ", "Transfer-Encoding: chunked"],
    "proxy": ["PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN", "\\r\\n\\r\\n\\x00\\r\\nQUIT\\n", "\\x21\\x11\\x00\\x0c", "\\x20\\x00"],
    "sasl": ["n,,n=", "y,,", "p=tls-exporter,,", "p=tls-server-end-point,,", ",r=", ",s=", ",i=4096", "v=", "c=biws", "e=other-error",
             "334 ", "\\x01", "user=", "auth=Bearer "],
    "dns": ["\\xc0\\x0c", "\\x00\\x01\\x00\\x01", "\\x00\\x0f\\x00\\x01", "\\x00\\x10\\x00\\x01", "\\x00\\x1c\\x00\\x01", "\\x00\\x05",
            "\\x00\\x34\\x00\\x01"],
    "hello": ["\\x16\\x03\\x01", "\\x01\\x00\\x00", "\\x03\\x03", "\\x14\\x03\\x03\\x00\\x01\\x01", "\\x00\\x00\\x00", "\\x00\\x2b", "\\x00\\x33",
              "\\x00\\x10\\x00\\x0e", "submission", "smtp"],
    "account": ["SCRAM-SHA-256$4096:", "$", ":", " - ", "locked=", "since ", "posthouse-accounts", "alice@example.org", "/phone"],
    "aliases": [": ", ", ", ":include:", "|", "/dev/null", "\\\\", "postmaster", "root"],
}
GRAMMARS = {
    "accounts": ["account", "addresses"], "base": ["lines", "events", "dates"], "cli": ["units", "addresses", "lines"],
    "cli/browser": ["http"], "cli/send": ["fields", "addresses", "aliases", "lines", "encoded"], "cli/import": ["postfix", "networks"],
    "cli/headers": ["fields", "dkim", "records", "lines"], "cli/sendmail": ["sendmail", "parameters", "addresses"],
    "cli/events": ["events"], "cli/options": ["commands", "units"],
    "config": ["keys", "choices", "libconfig", "units", "networks"], "config/environment": ["variables", "choices", "units"],
    "config/connection": ["connection"],
    "dns": ["dns"], "doctor": ["records", "lines"], "fetch": ["json", "http"], "ipc": [], "local": ["parameters", "addresses", "lines"],
    "login": ["sasl", "mechanisms"], "login/backend": ["account", "addresses"], "mail": ["fields", "addresses", "encoded", "lines"],
    "mail/downgrade": ["fields", "mime", "encoded", "lines"], "mail/dkim": ["fields", "dkim", "lines"],
    "mail/verify": ["fields", "dkim", "lines"], "mail/mime": ["fields", "mime"], "mail/identity": ["dates", "addresses"],
    "mail/report": ["report", "fields", "lines"], "mail/export_form": ["fields", "parameters", "lines"],
    "master": ["lines", "units"], "names": ["addresses"], "net": ["proxy"], "net/hello": ["hello"], "net/certificate": ["hello", "addresses"], "net/tlsa": ["hello"],
    "policy": ["networks", "addresses"], "queue": ["report", "fields", "parameters", "events", "encoded"], "records": ["records", "dkim"],
    "relay": ["replies", "extensions"], "sasl": ["sasl", "mechanisms"], "smtp": ["verbs", "parameters", "extensions", "addresses", "lines"],
    "store": ["addresses", "units"], "vault": ["providers", "json"], "web": ["http", "metrics"],
}


def escaped(word):
    """A value of a dictionary: what is not printable as \\xAB. Words of tables are those of C, as far as that matters."""
    raw = word.encode().decode("unicode_escape").encode("latin-1", "ignore")
    return "".join(chr(c) if 0x20 <= c < 0x7f and chr(c) not in '"\\' else f"\\x{c:02x}" for c in raw[:64])


def words_of(target):
    """Of a target "ROOM/NAME", in order and each once."""
    found = {}
    own = HERE / f"{target}.words"
    if own.exists():
        found.update((escaped(line), None) for line in own.read_text().splitlines() if line)
    for grammar in GRAMMARS.get(target, GRAMMARS.get(target.split("/")[0], [])):
        for word in WORDS.get(grammar, []):
            found[escaped(word.replace('\\"', '"'))] = None
        for file, expression in TABLES.get(grammar, []):
            table = re.findall(expression, (SOURCES / file).read_text(), re.M)
            for word in table:
                # expressions of replies.def are words with "|" and "&" between them
                for part in re.split(r"[|&]", word) if grammar == "replies" else [word]:
                    if 1 < len(part) <= 64:
                        found[escaped(part)] = None
    return [word for word in found if word]


def write(target, directory):
    """The dictionary as a file; none for a target that has no words, since libFuzzer takes no empty one."""
    path, words = directory / (target.replace("/", "_") + ".dict"), words_of(target)
    path.write_text("".join(f'"{word}"\n' for word in words))
    return [path] if words else []
