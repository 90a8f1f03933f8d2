#!/usr/bin/python3
"""No From says to any reader that the mail is somebody else's: author_peer.py PROGRAM (see author_peer.c).

Generated values mix the login's own address with another's by all that the grammar of addresses, and those who do not know it, have: quotes,
brackets, comments, groups, encoded words, routes, folds, look-alikes. Each is refused, or stored in a form in which Python's parseaddr and
email.policy.default, Perl's Email::Address and Mail::Address, nodemailer's addressparser, Go's net/mail where there is a Go, and the simplest
regular expressions, before and after they decode it, see the own address and none else.

A value that follows RFC 5322 is read as Python and Perl read it: the same addresses, in the same order. We are stricter only in what STRICTER has.

By hand, with another seed and 100,000 values (some minutes):
    POSTHOUSE_VALUES=100000 POSTHOUSE_SEED=7 tests/unit/mail/author_peer.py build-test/clang/tests/unit/mail/mail_author_peer"""
import email
import email.header
import email.policy
import email.utils
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

OWN = "al@bench.test"
EVIL = "ceo@bank.com"

# What people, scripts and devices write: to be taken, with this name. None: whatever name.
ODD_BUT_CLEAR = [
    ("John @ Company <al@bench.test>", "John @ Company"), ("Shop: Sales <al@bench.test>", "Shop: Sales"), ("John Doe :) <al@bench.test>", "John Doe :)"),
    ("al@bench.test <al@bench.test>", OWN), ("'al@bench.test' <al@bench.test>", "'al@bench.test'"), ("al@bench.test (al@bench.test)", OWN),
    ("al@bench.test;", ""), ("Al.<al@bench.test>", "Al."), ("Al<al@bench.test>", "Al"), ("() , al@bench.test", ""), ("al@bench.test, ()", ""), ('"bench.test" <al@bench.test>', "bench.test"), ("Doe, John <al@bench.test>", "Doe, John"), ("Doe; John <al@bench.test>", "Doe; John"), ("[EXT] Al <al@bench.test>", "[EXT] Al"),
    ("Al [Sales] <al@bench.test>", "Al [Sales]"), ("Acme, Inc. <al@bench.test>", "Acme, Inc."), ("=?utf-8?q?Doe,_J?= <al@bench.test>", "Doe, J"),
    ("Al (Sales <al@bench.test>", "Al (Sales"), ("Al) <al@bench.test>", "Al)"), ("Al \"the man <al@bench.test>", 'Al "the man'),
    ("Al <al@bench.test", "Al"), ("<al@bench.test>,", ""), ("Al <al@bench.test.>", "Al"), ("Al <3 you <al@bench.test>", "Al \u2039" "3 you"),
    ("@al <al@bench.test>", "@al"), ("Al (@al) <al@bench.test>", "Al (@al)"), ("\u540d\u524d@\u55b6\u696d <al@bench.test>", "\u540d\u524d@\u55b6\u696d"),
    ("\u540d\u524d\uff20\u55b6\u696d <al@bench.test>", "\u540d\u524d\uff20\u55b6\u696d"), ("=?utf-8?q?Al=0A?= <al@bench.test>", "Al"),
    ("Team: al@bench.test;", "Team"), ("A: B <al@bench.test>;", "A: B"), ("Al <al@bench.test> (work)", None), ("Al <al@bench.test> work", "Al work"),
    ("", ""), ("<>", ""), ("Al", None), ("The Al", "The Al"), ("Al\t <al@bench.test>", None), ("\"Al\\\\B\" <al@bench.test>", "Al\\B"),
    ("Al\\B <al@bench.test>", "Al\\B"), (", Al <al@bench.test>", "Al"), ("Doe, Al, PhD <al@bench.test>", "Doe, Al, PhD"),
    ("=?iso-2022-jp?B?GyRCPEI+WxsoQg==?= <al@bench.test>", None), ("=?gb2312?B?1cXI/Q==?=: x <al@bench.test>", None),
    ("\"=?UTF-8?Q?J=C3=B6rg?=\" <al@bench.test>", None), ("al@bench.test, Al <al@bench.test>", None), ("Al <AL@Bench.Test>", None),
    ("\"al\"@bench.test", ""), ("Al <\"al\"@bench.test>", "Al"), ("Al < al@bench.test >", "Al"), ("(x) al@bench.test", "x"),
    ("<<al@bench.test>>", ""), ("Al (a (b) c) <al@bench.test>", "Al (a (b) c)"), ("<@relay.example:al@bench.test>", ""), ("J\u00f6rg, A <al@bench.test>", "J\u00f6rg, A"),
    ("Al Doe al@bench.test", "Al Doe"), ('"Al Doe" al@bench.test', "Al Doe"), ("x) al@bench.test", "x)"), ('"Al <al@bench.test>"', "Al"),
    ("Al <<al@bench.test>>", "Al"), ("Al <al@bench.test>>", "Al"), ('"" <al@bench.test>', ""),
    ("=?iso-8859-1?q?J=F6rg,_A(x)?= <al@bench.test>", "J\u00f6rg, A(x)"),
]

TRICKS = [
    '"ceo@bank.com"] <al@bench.test>', '"ceo@bank.com" [x] <al@bench.test>', '=?utf-8?q?ceo=40bank.com?=] <al@bench.test>',
    '"ceo@bank.com": al@bench.test;', '"<ceo@bank.com>" <al@bench.test>', '"a\\" <ceo@bank.com>, \\"b" <al@bench.test>',
    'ceo@bank.com', 'ceo@bank.com <al@bench.test>', 'al@bench.test <ceo@bank.com>', '=?utf-8?q?ceo=40bank.com?= <al@bench.test>',
    '=?utf-8?q?ceo?= =?utf-8?q?=40bank.com?= <al@bench.test>', '=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=3D40bank.com=3F=3D?= <al@bench.test>',
    '=?utf-7?q?ceo+AEA-bank.com?= <al@bench.test>', '=?shift_jis?q?ceo=B1=40bank.com?= <al@bench.test>', 'ceo\uff20bank.com <al@bench.test>',
    'ceo\uff20bank\u3002com <al@bench.test>', '"ceo"@bank.com <al@bench.test>', '(ceo@bank.com) al@bench.test', 'al@bench.test, ceo@bank.com',
    '_al@bench.test <al@bench.test>', '.al@bench.test <al@bench.test>', 'al@bench.test@bank.com <al@bench.test>', 'ceo@al@bench.test <al@bench.test>', 'al@bench.test.bank.com <al@bench.test>',
    'ceo@bank.com:al@bench.test', 'al@bench.test ceo@bank.com', 'Al ceo@bank.com', '"ceo@bank.com" al@bench.test', '"Ceo <ceo@bank.com>"',
    '<<ceo@bank.com> al@bench.test>', '"al@bench.test <ceo@bank.com>"', '<al@bench.test> <ceo@bank.com>', 'ceo@bank.com,al@bench.test <al@bench.test>',
]

# Well-formed, and no address to us all the same: what is in it, and why.
STRICTER = [
    ("=?", "an encoded word (RFC 2047) begins so: who decodes before reading the addresses sees another one"),
    ("?=", "and ends so"),
]

PIECES = [
    OWN, OWN, EVIL, EVIL, "<al@bench.test>", "<al@bench.test>", "<ceo@bank.com>", '"ceo@bank.com"', '"<ceo@bank.com>"', '"Al"', '"al@bench.test"', "Al", "Doe", "x",
    "(", ")", "[", "]", "<", ">", '"', "\\", ",", ";", ":", "@", ".", "'", "`", " ", " ", " ", "\t", "\r\n ", "=?", "?=", "(x)", "(ceo@bank.com)", "(a (b) c)", '\\"',
    "ceo", "bank.com", "al", "bench.test", "=?utf-8?q?ceo=40bank.com?=", "=?utf-8?q?ceo?=", "=?utf-8?q?=40bank.com?=", "=?utf-8?b?Y2VvQGJhbmsuY29t?=", "=?utf-8?q?Al?=",
    "=?utf-8?q?=3Cceo=40bank.com=3E?=", "=?utf-8?q?=22?=", "=?utf-8?q?=2C?=", "=?iso-8859-1?q?J=F6rg?=", "=?iso-2022-jp?b?GyRCPEI+WxsoQg==?=", "=?utf-8?q?a?b?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=3D40bank.com=3F=3D?=", "=?utf-7?q?+AEA-?=", "=?gb2312?q?ceo=40bank.com?=", "Team:", "undisclosed:;", "@bank.com", "@bank.com:", "J\u00f6rg",
    "\uff20", "\u200b", "\u202e", "\x01", "\x7f", "$%^&*", "=?utf-8?q??=", "=?utf-8?q?=0D=0AFrom:_ceo=40bank.com?=", "\ufb01", "!", "=?x", "al@bench.test (Al)", "''",
]

PERL = """
use Email::Address; use Mail::Address; use JSON::PP; binmode STDOUT, ":raw"; $| = 1;
while (my $line = <STDIN>) {
    my $value = pack("H*", $line =~ s/\\s//gr);
    my @a = map { $_->address } Email::Address->parse($value);
    my @m = map { $_->address } Mail::Address->parse($value);
    print JSON::PP->new->latin1->encode([ \\@a, \\@m ]), "\\n";
}
"""
NODE = """
const parse = require("nodemailer/lib/addressparser");
const flat = list => list.flatMap(a => a.group ? flat(a.group) : [ a.address ]);
const lines = require("fs").readFileSync(0, "latin1").split("\\n").filter(line => line.length);
for (const line of lines) console.log(JSON.stringify(flat(parse(Buffer.from(line.trim(), "hex").toString("utf8")))));
"""
GO = """
package main
import ("bufio"; "encoding/hex"; "encoding/json"; "fmt"; "net/mail"; "os")
func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1 << 20)
	for in.Scan() {
		value, _ := hex.DecodeString(in.Text())
		list, _ := mail.ParseAddressList(string(value))
		found := []string{}
		for _, a := range list { found = append(found, a.Address) }
		out, _ := json.Marshal(found)
		fmt.Println(string(out))
	}
}
"""

failures = 0


def check(good, *what):
    global failures
    if not good:
        failures += 1
        if failures < 20:
            print("FAILED", *what)


def ask(command, values, **kwargs):
    """What a program says to each value."""
    done = subprocess.run(command, input="".join(v.hex() + "\n" for v in values), stdout=subprocess.PIPE, text=True, encoding="latin1", check=True, **kwargs)
    lines = done.stdout.splitlines()
    assert len(lines) == len(values), (command, len(lines), len(values))
    return lines


def program(values):
    """The stored value of each, or why there is none."""
    return [line if line.startswith("refused ") else bytes.fromhex(line) for line in ask([sys.argv[1]], [v.encode("utf-8") for v in values])]


def decoded(text):
    """As those see it who decode first."""
    return str(email.header.make_header([(part, charset if charset != "unknown-8bit" else "latin1") for part, charset in email.header.decode_header(text)]))


def seen_by_python(stored):
    text = stored.decode("utf-8", "surrogateescape")
    message = email.message_from_bytes(b"From:" + stored + b"\r\n\r\n", policy=email.policy.default)
    yield "policy.default", [a.addr_spec for a in message["From"].addresses]
    for how, what in (("folded", text), ("unfolded", text.replace("\r\n", ""))):
        yield "getaddresses, " + how, [a for _, a in email.utils.getaddresses([what])]
        if len(message["From"].addresses) == 1:  # it takes no list
            yield "parseaddr, " + how, [email.utils.parseaddr(what)[1]]
    try:
        first = decoded(text.replace("\r\n", ""))
    except (LookupError, UnicodeError):
        first = text
    for how, what in (("raw", text), ("decoded", first)):
        angle = re.search("<([^>]*)>", what)
        if angle:
            yield "first brackets, " + how, [angle.group(1)]
            yield "last brackets, " + how, [re.findall("<([^<>]*)>", what)[-1]]
        yield "anything with @, " + how, [a.rstrip(".") for a in re.findall(r"[\w.+-]+@[\w-]+\.[\w.-]+", what)]


def others(values):
    """The same by other programs, in one run each."""
    unfolded = [v.replace(b"\r\n", b"") for v in values]
    for line, value in zip(ask(["perl", "-e", PERL], unfolded), values):
        by_email, by_mail = json.loads(line)
        yield value, "Email::Address", by_email
        yield value, "Mail::Address", by_mail
    environment = dict(os.environ, NODE_PATH="/usr/share/nodejs")
    for line, value in zip(ask(["node", "-e", NODE], unfolded, env=environment), values):
        yield value, "addressparser", json.loads(line)
    if shutil.which("go"):
        with tempfile.TemporaryDirectory() as place:
            with open(place + "/main.go", "w") as f:
                f.write(GO)
            for line, value in zip(ask(["go", "run", place + "/main.go"], unfolded), values):
                yield value, "net/mail", json.loads(line)
    else:
        print("no Go here: net/mail is not asked")


def check_readers(pairs):
    """Pairs of what was sent and what is stored."""
    for sent, stored in pairs:
        for reader, addresses in seen_by_python(stored):
            check(addresses and all(a.lower() == OWN for a in addresses), reader, "sees", addresses, "in", stored, "made of", repr(sent))
    sent_of = {stored: sent for sent, stored in pairs}
    for stored, reader, addresses in others(list(sent_of)):
        check(addresses and all(a.lower() == OWN for a in addresses), reader, "sees", addresses, "in", stored, "made of", repr(sent_of[stored]))


def check_clear():
    stored = program([" " + value for value, _ in ODD_BUT_CLEAR])
    for (value, name), answer in zip(ODD_BUT_CLEAR, stored):
        check(isinstance(answer, bytes), repr(value), answer)
        if isinstance(answer, bytes) and name is not None:
            [shown] = email.message_from_bytes(b"From:" + answer + b"\r\n\r\n", policy=email.policy.default)["From"].addresses
            read = shown.display_name.encode("utf-8", "surrogateescape").decode("utf-8")
            check(read == name, repr(value), "has the name", repr(read))
    again = program([a.decode() for a in stored if isinstance(a, bytes)])
    check(again == [a for a in stored if isinstance(a, bytes)], "a clear form is changed")
    return [(value, answer) for (value, _), answer in zip(ODD_BUT_CLEAR, stored) if isinstance(answer, bytes)]


ATEXT = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+-/=?^_`{|}~"


def dot_atom(rng, letters):
    return ".".join("".join(rng.choice(letters) for _ in range(rng.randint(1, 8))) for _ in range(rng.randint(1, 3)))


def white(rng):
    return rng.choice(["", "", " ", "\t", "\r\n ", " \r\n\t"])


def quoted(rng):
    return '"' + "".join(rng.choice(["a", "B", "7", " ", ",", ";", ":", "<", ">", "(", ")", "[", "]", ".", "'", "\\\\", '\\"']) for _ in range(rng.randint(1, 10))) + '"'


def comment(rng, depth=0):
    inside = "".join(rng.choice(["a", "b", " ", ",", "<", ">", '"', ";", "\\(", "\\)"]) for _ in range(rng.randint(0, 6)))
    return "(" + inside + (comment(rng, depth + 1) if depth < 2 and rng.random() < .2 else "") + ")"


def well_formed(rng):
    """A mailbox-list of RFC 5322 3.4, without its obsolete forms, and without "@" in names: who that shows is another test. And its addresses."""
    address = dot_atom(rng, ATEXT) + "@" + dot_atom(rng, "abcdefghijkl0123456789").replace("..", ".") + ".test"
    name = rng.choice([lambda: "", lambda: dot_atom(rng, "abcDEF").replace(".", " "), lambda: quoted(rng), lambda: quoted(rng) + " " + quoted(rng)])()
    if name or rng.random() < .5:
        text = name + white(rng) + "<" + address + ">"
    else:
        text = address
    if rng.random() < .2:
        text += " " + comment(rng)
    return text, address


def addresses_by_python(value):
    message = email.message_from_bytes(b"From: " + value + b"\r\n\r\n", policy=email.policy.default)
    return [a.addr_spec for a in message["From"].addresses]


def check_well_formed(number, rng):
    lists = [[well_formed(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))] for _ in range(number)]
    values = [("," + white(rng)).join(text for text, _ in one).encode() for one in lists]
    ours = ask([sys.argv[1], "addresses"], [b" " + v for v in values])
    perl = [json.loads(line) for line in ask(["perl", "-e", PERL], [v.replace(b"\r\n", b"") for v in values])]
    agreed = 0
    for one, value, answer, (by_email, by_mail) in zip(lists, values, ours, perl):
        written = [address.lower() for _, address in one]
        if any(part in address for address in written for part, _ in STRICTER):
            continue
        if answer.startswith("refused "):
            check(False, "well-formed, but", answer, value)
            continue
        read = [bytes.fromhex(a).decode().lower() for a in answer.split(" ")]
        check(read == written, "we see", read, "in", value)
        for reader, seen in (("policy.default", addresses_by_python(value)), ("Email::Address", by_email), ("Mail::Address", by_mail)):
            agreed += [a.lower() for a in seen] == read
    return agreed


def main():
    number, seed = int(os.environ.get("POSTHOUSE_VALUES", "4000")), int(os.environ.get("POSTHOUSE_SEED", "1"))
    check_readers(check_clear())
    for value, answer in zip(TRICKS, program([" " + value for value in TRICKS])):
        check(isinstance(answer, str), repr(value), "is taken as", answer)
    rng = random.Random(seed)
    values = ["".join(rng.choice(PIECES) + rng.choice(["", "", " "]) for _ in range(rng.randint(1, 9))) for _ in range(number)]
    values = [v + rng.choice(["", " <al@bench.test>", " <al@bench.test>", ", al@bench.test"]) for v in values]
    stored = program([" " + v for v in values])
    taken = [(sent, answer) for sent, answer in zip(values, stored) if isinstance(answer, bytes)]
    check(len(taken) > number / 20, "too few were taken to mean anything:", len(taken))
    check_readers(taken)
    agreed = check_well_formed(number // 4, rng)
    check(agreed > number // 2, "others agree with us too seldom:", agreed)
    print("%d times of %d others saw the same addresses in what is well-formed" % (agreed, 3 * (number // 4)))
    print("%d values of seed %d, %d taken, %d failures" % (number, seed, len(taken), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
