#!/usr/bin/python3
"""Have Python's mail parser read what the fix-up leaves: fixup_peer.py PROGRAM (see fixup_peer.c). Fields as mail clients, scripts and
lists write them: Python must see the display names that were there, and the addresses completed and rewritten; all other bytes stay."""
import email
import email.policy
import email.utils
import os
import re
import subprocess
import sys
import tempfile

LIKE_CLIENTS = [
    # Thunderbird, Apple Mail, Outlook, Gmail, mutt, K-9
    'From: Alice Liddell <alice@old.example>\r\nTo: Bob <bob@old.example>, "Carol, Dr." <carol@example.net>\r\n',
    'From: =?UTF-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@old.example>\r\nTo: =?UTF-8?B?0JDQvdC90LA=?= <anna@old.example>\r\n',
    'From: =?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?_M=C3=BCller?=\r\n <joerg@old.example>\r\nCc: bob@old.example\r\n',
    'From: "Liddell, Alice (Sales)" <alice@old.example>\r\nReply-To: "Sales" <sales@old.example>\r\n',
    "From: alice@old.example\r\nTo: 'bob@old.example' <bob@old.example>\r\n",
    'From: "alice@old.example" <alice@old.example>\r\nTo: "bob@old.example" <bob@old.example>\r\n',
    'From: alice@old.example <alice@old.example>\r\nTo: bob@old.example <bob@old.example>, carol@example.net\r\n',
    'From: Alice Liddell <alice.liddell+work@old.example>\r\nTo: undisclosed-recipients:;\r\n',
    'From: "O\'Neil, Se\\"an\\"" <sean.o\'neil@old.example>\r\nTo: a@old.example,b@old.example , c@old.example\r\n',
    'From: Alice Q. Liddell <alice@old.example>\r\nTo: The Team <team@old.example>;\r\n',
    'From: ALICE <ALICE@OLD.EXAMPLE>\r\nTo: <bob@old.example>\r\nCc: <carol@old.example>,\r\n\t<dora@old.example>,\r\n\t<e@example.net>\r\n',
    'from: alice@old.example\r\nTO:bob@old.example\r\ncc:  "Carol"  <carol@old.example> \r\n',
    'From: Alice\tLiddell\t<alice@old.example>\r\nTo:\r\n bob@old.example\r\n',
    'From: =?iso-8859-1?Q?J=F6rg?= <j@old.example>\r\nTo: =?gb2312?B?1cXI/Q==?= <z@old.example>\r\n',
    'From: =?ISO-2022-JP?B?GyRCPEI+WxsoQg==?= <jp@old.example>\r\nTo: =?ISO-2022-JP?B?GyRCPEI+WxsoQg==?= <jp@old.example>\r\n',
    'From: "=?UTF-8?Q?J=C3=B6rg?=" <j@old.example>\r\nTo: bob@[192.0.2.1], bob@[IPv6:2001:db8::1]\r\n',
    # several authors, groups
    'From: Alice <alice@old.example>, Bob <bob@old.example>\r\nSender: Carol <carol@old.example>\r\n',
    'From: alice@old.example\r\nTo: Friends: Bob <bob@old.example>, carol@old.example;, dora@old.example\r\n',
    'From: alice@old.example\r\nTo: A:;, B: b@old.example;\r\nCc: "C, D": c@old.example, <d@old.example>;\r\n',
    # scripts, cron, devices, old programs
    'From: root (Cron Daemon)\r\nTo: root\r\n',
    'From: "(Cron Daemon)" <root>\r\nTo: alice\r\n',
    'From: www-data\r\nTo: alice, bob, Carol <carol>, dora@old.example\r\n',
    'From: www-data <www-data>\r\nTo: <alice>\r\nReply-To: root (The Root)\r\n',
    'From: alice@old.example (Alice Liddell)\r\nTo: bob@old.example (Bob), carol@old.example (Carol (from work))\r\n',
    'From: Printer <printer>\r\nTo: Scans: alice, bob;\r\n',
    'From: nobody@old.example\r\nTo: alice@old.example,\r\n',
    # lists and resending
    'From: Alice via List <list@old.example>\r\nReply-To: Alice <alice@old.example>, list@old.example\r\nSender: list@old.example\r\n',
    'From: alice@old.example\r\nResent-From: Bob <bob@old.example>\r\nResent-To: carol, "D" <dora@old.example>\r\nResent-Cc: e@old.example\r\n',
    'From: alice@old.example\r\nDisposition-Notification-To: Alice <alice@old.example>\r\nReturn-Receipt-To: alice\r\n',
    # what is nobody's address list, and text that looks like one
    'From: alice@old.example\r\nSubject: mail bob@old.example\r\nX-To: bob@old.example\r\nReferences: <1@old.example>\r\n',
    'From: alice@old.example\r\nMessage-ID: <2@old.example>\r\nIn-Reply-To: <3@old.example> (alice@old.example)\r\n',
]
TWINS = 6  # Python refuses "a@b <a@b>", which clients write, since CVE-2023-27043: in From we quote it
FIELDS = ('From', 'Sender', 'Reply-To', 'To', 'Cc', 'Resent-From', 'Resent-To', 'Resent-Cc', 'Disposition-Notification-To', 'Return-Receipt-To')

# Not to be understood by us; Python may think what it likes.
UNREADABLE = [
    'To: bob@old.example <x@y>, z',
    'To: bob@old.example carol@old.example',
    'To: <bob@old.example',
    'To: Bob Builder',
    'To: Bob Builder, alice@old.example',
    'To: bob @ old.example',
    'To: <@route.example:bob@old.example>',
    'Cc: "bob@old.example',
    'Cc: (bob@old.example',
    'Reply-To: bob@old.example; carol@old.example',
    'Reply-To: <>',
    'Cc:',
]

failures = 0


def check(good, *what):
    global failures
    if not good:
        failures += 1
        print("FAILED", *what)


def wanted(address):
    """What must become of an address."""
    if '@' not in address:
        address += '@example.org'
    return re.sub('@old.example$', '@new.example', address, flags=re.I)


def by_new_parser(text, name):
    field = email.message_from_string(text, policy=email.policy.default)[name]
    if not hasattr(field, 'addresses'):
        return []
    if field.defects:
        return None  # it says itself that it does not know
    return [(a.display_name, a.addr_spec) for a in field.addresses if a.addr_spec]


def by_old_parser(text, name):
    field = email.message_from_string(text)[name]
    return [p for p in email.utils.getaddresses([field or '']) if p[1]]


def check_like_clients(number, before, answer):
    told, after = answer.split('\n', 1)
    check(told.startswith('from '), number, told)
    for parser in (by_old_parser, by_new_parser):
        for name in FIELDS:
            was, now = parser(before, name), parser(after, name)
            if number == TWINS and name == 'From':
                was = [('alice@old.example', 'alice@old.example')]
            # an address that From shows as a name is rewritten too
            check(was is None or now == [(wanted(n) if name == 'From' and '@' in n else n, wanted(a)) for n, a in was], number, name, now, 'instead of', was)
        authors = parser(after, 'From')
        check(not authors or told.split()[1:] == [a for _, a in authors], number, 'the caller was told', told)
    check(by_old_parser(after, 'From') or by_new_parser(after, 'From'), number, 'Python sees no author')
    # nothing but addresses is different
    bare = [re.sub('@(old|new|example)\\.(example|org)', '', text, flags=re.I) for text in (before, after[:after.index('Date: ')])]
    check(bare[0] == bare[1] or number == TWINS, number, bare[1])


def main():
    with tempfile.TemporaryDirectory() as directory:
        def write(name, text):
            with open(os.path.join(directory, name + '.eml'), 'w', newline='') as f:
                f.write(text)

        def read(name):
            with open(os.path.join(directory, name + '.eml.fixed'), newline='') as f:
                return f.read()

        for i, text in enumerate(LIKE_CLIENTS):
            write('like%d' % i, text)
        for i, field in enumerate(UNREADABLE):
            write('odd%d' % i, 'From: alice@example.org\r\n' + field + '\r\n')
        subprocess.run([sys.argv[1], directory], check=True)
        for i, text in enumerate(LIKE_CLIENTS):
            check_like_clients(i, text, read('like%d' % i))
        for i, field in enumerate(UNREADABLE):
            check('\r\n' + field + '\r\n' in read('odd%d' % i), 'odd', field)
    print("%d headers, %d failures" % (len(LIKE_CLIENTS) + len(UNREADABLE), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
