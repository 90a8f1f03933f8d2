/* test_spf.c - SPF (RFC 7208): what records say of addresses, and where they are wrong. The cases are those of the public test
 * suite of RFC 7208, in words of our own, and others. */
#include "unit.h"
#include "zone.h"

#include <stdio.h>

#define DEFAULT_SENDER "foo@e.example.com"

/* The record of e.example.com, who asks, and what the answer is. `more`: other records. */
static const struct row {
	const char *record, *address, *want;
	const char *more;
	const char *sender;
} rows[] = {
	/* which text is a record (4.5) */
	{ "v=spf1 -all", "1.2.3.4", "fail" },
	{ "V=sPf1 -All", "1.2.3.4", "fail" },
	{ "v=spf1", "1.2.3.4", "neutral" },
	{ "v=spf10 -all", "1.2.3.4", "none" },
	{ "v=spf1.0 -all", "1.2.3.4", "none" },
	{ " v=spf1 -all", "1.2.3.4", "none" },
	{ "spf2.0/pra -all", "1.2.3.4", "none" },
	{ "v=spf1  a:mail.e.example.com   -all ", "1.2.3.4", "pass", "mail.e.example.com A 1.2.3.4" },
	{ "v=spf1 -all", "1.2.3.4", "permerror", "e.example.com TXT v=spf1 +all" },
	{ "v=spf1 -all", "1.2.3.4", "fail", "e.example.com TXT some other text" },
	{ "SERVFAIL", "1.2.3.4", "temperror" },
	/* names that cannot be asked (4.3) */
	{ "v=spf1 -all", "1.2.3.4", "none", NULL, "foo@localhost" },
	{ "v=spf1 -all", "1.2.3.4", "none", NULL, "foo@a..example.com" },
	{ "v=spf1 -all", "1.2.3.4", "none", NULL, "foo@nothere.example.com" },
	{ "v=spf1 -all", "1.2.3.4", "none", NULL,
	  "foo@a123456789012345678901234567890123456789012345678901234567890123.example.com" },
	{ "v=spf1 exists:%{l}.ok.example.com -all", "1.2.3.4", "pass", "postmaster.ok.example.com A 127.0.0.2",
	  "@e.example.com" },
	/* syntax (4.6, 5, 6) */
	{ "v=spf1 -all moo", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.4 -all:foo", "1.2.3.4", "permerror" },
	{ "v=spf1 -all/8", "1.2.3.4", "permerror" },
	{ "v=spf1 -all.", "1.2.3.4", "permerror" },
	{ "v=spf1 -a:e.example.com\t-all", "1.2.3.4", "permerror" },
	{ "v=spf1 \x96-all", "1.2.3.4", "permerror" },
	{ "v=spf1 !all", "1.2.3.4", "permerror" },
	{ "v=spf1 a; -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.4, -all", "1.2.3.4", "permerror" },
	{ "v=spf1 =all", "1.2.3.4", "permerror" },
	{ "v=spf1 moo.cow-far_out=man:dog/cat ip4:1.2.3.4 -all", "1.2.3.4", "pass" },
	{ "v=spf1 moo.cow/far_out=man:dog/cat ip4:1.2.3.4 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 1moo=cow -all", "1.2.3.4", "permerror" },
	{ "v=spf1 default=%{z} -all", "1.2.3.4", "permerror" },
	{ "v=spf1 default=%a -all", "1.2.3.4", "permerror" },
	{ "v=spf1 default= -all", "1.2.3.4", "fail" },
	{ "v=spf1 -a=x -all", "1.2.3.4", "permerror" },
	{ "v=spf1 redirect:t.example.com", "1.2.3.4", "permerror" },
	{ "v=spf1 include -all", "1.2.3.4", "permerror" },
	{ "v=spf1 include:/24 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 include:t.example.com/24 -all", "1.2.3.4", "permerror", "t.example.com TXT v=spf1 +all" },
	{ "v=spf1 exists -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists: -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:mmm.example.com/24 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 redirect= ", "1.2.3.4", "permerror" },
	{ "v=spf1 exp= -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exp=a.example.com exp=b.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 redirect=a.example.com redirect=a.example.com", "1.2.3.4", "permerror", "a.example.com TXT v=spf1 +all" },
	{ "v=spf1 exp=not.there.example.com -all", "1.2.3.4", "fail" },
	/* a (5.3) */
	{ "v=spf1 a -all", "1.2.3.4", "pass", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a -all", "1.2.3.5", "fail", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/24 -all", "1.2.3.5", "pass", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/0 -all", "9.9.9.9", "pass", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/33 -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a//129 -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a//33 -all", "1.2.3.5", "fail", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/24//64 -all", "1.2.3.5", "pass", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/24//64 -all", "2001:db8::5", "pass", "e.example.com AAAA 2001:db8::1" },
	{ "v=spf1 a/24//64 -all", "2001:db8:0:1::5", "fail", "e.example.com AAAA 2001:db8::1" },
	{ "v=spf1 a//0 -all", "2001:db8::5", "pass", "e.example.com AAAA 1::1" },
	{ "v=spf1 a/08 -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/ -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a/24/64 -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a///64 -all", "1.2.3.4", "permerror", "e.example.com A 1.2.3.4" },
	{ "v=spf1 a: -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:museum -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:museum. -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:111.222.33.44 -all", "111.222.33.44", "permerror" },
	{ "v=spf1 a:abc.123 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:foo.-com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:foo.com- -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:foo.example.xn--zckzah -all", "1.2.3.4", "pass", "foo.example.xn--zckzah A 1.2.3.4" },
	{ "v=spf1 a:foo.1-2 -all", "1.2.3.4", "pass", "foo.1-2 A 1.2.3.4" },
	{ "v=spf1 a:foo:bar/baz.example.com -all", "1.2.3.4", "pass", "foo:bar/baz.example.com A 1.2.3.4" },
	{ "v=spf1 a:example.com:8080 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:t.example.com. -all", "1.2.3.4", "pass", "t.example.com A 1.2.3.4" },
	{ "v=spf1 a:t.example.com/24 -all", "1.2.3.9", "pass", "t.example.com A 1.2.3.4" },
	{ "v=spf1 a:t..example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ~a ?all", "1.2.3.4", "softfail", "e.example.com A 9.9.9.9\ne.example.com A 1.2.3.4" },
	{ "v=spf1 a -all", "1.2.3.4", "temperror", "e.example.com A SERVFAIL" },
	/* mx (5.4) */
	{ "v=spf1 mx -all", "1.2.3.4", "pass", "e.example.com MX m.example.com\nm.example.com A 1.2.3.4" },
	{ "v=spf1 mx/24 -all", "1.2.3.5", "pass", "e.example.com MX m.example.com\nm.example.com A 1.2.3.4" },
	{ "v=spf1 mx//64 -all", "2001:db8::5", "pass", "e.example.com MX m.example.com\nm.example.com AAAA 2001:db8::1" },
	{ "v=spf1 mx -all", "1.2.3.4", "fail", "e.example.com A 1.2.3.4" },
	{ "v=spf1 mx: -all", "1.2.3.4", "permerror" },
	{ "v=spf1 mx:abc.123 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 mx -all", "1.2.3.4", "temperror", "e.example.com MX SERVFAIL" },
	{ "v=spf1 mx -all", "1.2.3.4", "temperror", "e.example.com MX m.example.com\nm.example.com A SERVFAIL" },
	/* ptr (5.5) */
	{ "v=spf1 ptr -all", "1.2.3.4", "pass", "4.3.2.1.in-addr.arpa PTR mail.e.example.com\nmail.e.example.com A 1.2.3.4" },
	{ "v=spf1 ptr -all", "1.2.3.4", "pass", "4.3.2.1.in-addr.arpa PTR e.example.com\ne.example.com A 1.2.3.4" },
	{ "v=spf1 ptr -all", "1.2.3.4", "fail", "4.3.2.1.in-addr.arpa PTR mail.e.example.com\nmail.e.example.com A 1.2.3.5" },
	{ "v=spf1 ptr -all", "1.2.3.4", "fail", "4.3.2.1.in-addr.arpa PTR maile.example.com\nmaile.example.com A 1.2.3.4" },
	{ "v=spf1 ptr:example.com -all", "1.2.3.4", "pass", "4.3.2.1.in-addr.arpa PTR x.example.com\nx.example.com A 1.2.3.4" },
	{ "v=spf1 ptr/0 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ptr: -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ptr:abc.123 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ptr -all", "1.2.3.4", "fail", "4.3.2.1.in-addr.arpa PTR SERVFAIL" },
	{ "v=spf1 ptr -all", "2001:db8::5", "pass",
	  "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR x.e.example.com\nx.e.example.com AAAA 2001:db8::5" },
	/* ip4, ip6 (5.6) */
	{ "v=spf1 ip4:1.2.3.4 -all", "1.2.3.4", "pass" },
	{ "v=spf1 ip4:1.2.3.4 -all", "::ffff:1.2.3.4", "pass" },
	{ "v=spf1 ip4:1.2.3.0/24 -all", "1.2.3.255", "pass" },
	{ "v=spf1 ip4:1.2.3.0/25 -all", "1.2.3.255", "fail" },
	{ "v=spf1 ip4:1.2.3.4/0 -all", "9.9.9.9", "pass" },
	{ "v=spf1 ip4:1.2.3.4/32 -all", "1.2.3.4", "pass" },
	{ "v=spf1 ip4:1.2.3.4/33 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.4/032 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.4//32 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4: -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.444 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:1.2.3.4:8080 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4:2001:db8::1 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip4/1.2.3.4 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 ip6:2001:db8::/32 -all", "2001:db8:ffff::1", "pass" },
	{ "v=spf1 ip6:2001:db8::/129 -all", "2001:db8::1", "permerror" },
	{ "v=spf1 ip6::::1 -all", "2001:db8::1", "permerror" },
	{ "v=spf1 ip6:::/0 -all", "2001:db8::1", "pass" },
	{ "v=spf1 ip6:::/0 -all", "1.2.3.4", "fail" },
	{ "v=spf1 ip6:::1.1.1.1//33 -all", "1.2.3.4", "permerror" },
	{ "v=spf1 -ip6:::1.1.1.1/0 ip4:1.2.3.4 ?all", "1.2.3.4", "pass" },
	{ "v=spf1 ip6:1.2.3.4 -all", "1.2.3.4", "permerror" },
	/* exists (5.7): always A */
	{ "v=spf1 exists:x.example.com -all", "1.2.3.4", "pass", "x.example.com A 127.0.0.2" },
	{ "v=spf1 exists:x.example.com -all", "2001:db8::1", "pass", "x.example.com A 127.0.0.2" },
	{ "v=spf1 exists:x.example.com -all", "2001:db8::1", "fail", "x.example.com AAAA ::1" },
	{ "v=spf1 exists:x.example.com -all", "1.2.3.4", "temperror", "x.example.com A SERVFAIL" },
	/* include (5.2) */
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "pass", "t.example.com TXT v=spf1 +all" },
	{ "v=spf1 include:t.example.com ~all", "1.2.3.4", "softfail", "t.example.com TXT v=spf1 -all" },
	{ "v=spf1 include:t.example.com ?all", "1.2.3.4", "neutral", "t.example.com TXT v=spf1 ~all" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "fail", "t.example.com TXT v=spf1 ?all" },
	{ "v=spf1 ~include:t.example.com -all", "1.2.3.4", "softfail", "t.example.com TXT v=spf1 +all" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "permerror", "t.example.com TXT no record" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "permerror", "t.example.com TXT v=spf1 foo" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "temperror", "t.example.com TXT SERVFAIL" },
	{ "v=spf1 include:t.example.com -all", "1.2.3.4", "permerror",
	  "t.example.com TXT v=spf1 +all\nt.example.com TXT v=spf1 +all" },
	{ "v=spf1 include:e.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 include:%{d2}.t.example.com -all", "1.2.3.4", "pass", "example.com.t.example.com TXT v=spf1 +all" },
	/* redirect (6.1) */
	{ "v=spf1 redirect=t.example.com", "1.2.3.4", "softfail", "t.example.com TXT v=spf1 ~all" },
	{ "v=spf1 redirect=t.example.com", "1.2.3.4", "permerror" },
	{ "v=spf1 redirect=t.example.com -all", "1.2.3.4", "fail", "t.example.com TXT v=spf1 +all" },
	{ "v=spf1 redirect=t.example.com ip4:1.2.3.4", "1.2.3.4", "pass", "t.example.com TXT v=spf1 -all" },
	{ "v=spf1 redirect=%{d}.t.example.com", "1.2.3.4", "pass", "e.example.com.t.example.com TXT v=spf1 +all" },
	{ "v=spf1 redirect=e.example.com", "1.2.3.4", "permerror" },
	{ "v=spf1 redirect=t.example.com", "1.2.3.4", "neutral", "t.example.com TXT v=spf1" },
	/* the domain of a redirect is the current one there, that of the sender stays (6.1) */
	{ "v=spf1 redirect=t.example.com", "1.2.3.4", "pass",
	  "t.example.com TXT v=spf1 exists:%{d}.%{o}.x.example.com -all\nt.example.com.e.example.com.x.example.com A 127.0.0.2" },
	/* macros (7) */
	{ "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all", "1.2.3.4", "pass", "4.3.2.1.in-addr._spf.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{i}._spf.%{d2} -all", "2001:db8::cb01", "pass",
	  "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1._spf.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{lr-}.lp._spf.%{d2} -all", "1.2.3.4", "pass", "bad.strong.lp._spf.example.com A 127.0.0.2",
	  "strong-bad@e.example.com" },
	{ "v=spf1 exists:%{l1r-}.lp._spf.%{d2} -all", "1.2.3.4", "pass", "strong.lp._spf.example.com A 127.0.0.2",
	  "strong-bad@e.example.com" },
	{ "v=spf1 exists:%{L}.example.com -all", "1.2.3.4", "pass", "jack%26jill%3dup.example.com A 127.0.0.2",
	  "jack&jill=up@e.example.com" },
	{ "v=spf1 exists:%{p}.example.com -all", "1.2.3.4", "pass", "unknown.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{p}.x.example.com -all", "1.2.3.4", "pass",
	  "4.3.2.1.in-addr.arpa PTR mx.e.example.com\nmx.e.example.com A 1.2.3.4\nmx.e.example.com.x.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{h}.x.example.com -all", "1.2.3.4", "pass", "helo.example.com.x.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{d0}.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:%(d).example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:%{c}.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:%{x}.example.com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:%{d -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:% -all", "1.2.3.4", "permerror" },
	{ "v=spf1 exists:%{d}.e%%x.example.com -all", "1.2.3.4", "pass", "e.example.com.e%x.example.com A 127.0.0.2" },
	{ "v=spf1 exists:%{i}.%{d}com -all", "1.2.3.4", "permerror" },
	{ "v=spf1 a:%{d} -all", "1.2.3.4", "pass", "e.example.com A 1.2.3.4" },
	{ "v=spf1 exp=%{c}.example.com -all", "1.2.3.4", "permerror" },
	/* a name that a macro spoils does not match (4.8) */
	{ "v=spf1 a:%{l}.example.com ip4:1.2.3.4 -all", "1.2.3.4", "pass", NULL, "a..b@e.example.com" },
	/* limits (4.6.4) */
	{ "v=spf1 exists:a.x.example.com exists:b.x.example.com ip4:1.2.3.4 -all", "1.2.3.4", "pass" },
	{ "v=spf1 exists:a.x.example.com exists:b.x.example.com exists:c.x.example.com ip4:1.2.3.4 -all", "1.2.3.4",
	  "permerror" },
	{ "v=spf1 a a a a a a a a a a ip4:1.2.3.4 -all", "1.2.3.4", "pass", "e.example.com A 9.9.9.9" },
	{ "v=spf1 a a a a a a a a a a a ip4:1.2.3.4 -all", "1.2.3.4", "permerror", "e.example.com A 9.9.9.9" },
	{ "v=spf1 ip4:1.2.3.4 a a a a a a a a a a a -all", "1.2.3.4", "pass", "e.example.com A 9.9.9.9" },
	{ "v=spf1 include:t.example.com a ip4:1.2.3.4 -all", "1.2.3.4", "permerror",
	  "e.example.com A 9.9.9.9\nt.example.com TXT v=spf1 a:e.example.com a:e.example.com a:e.example.com a:e.example.com "
	  "a:e.example.com a:e.example.com a:e.example.com a:e.example.com a:e.example.com" },
	{ "v=spf1 mx ip4:1.2.3.4 -all", "1.2.3.4", "permerror",
	  "e.example.com MX a\ne.example.com MX b\ne.example.com MX c\ne.example.com MX d\ne.example.com MX e\n"
	  "e.example.com MX f\ne.example.com MX g\ne.example.com MX h\ne.example.com MX i\ne.example.com MX j\ne.example.com MX k" },
};

static struct spf_outcome check(struct arena *a, struct zone *z, const struct row *row)
{
	struct spf_outcome out;
	struct spf_question q = { .address = str_of(row->address),
				  .sender = str_of(row->sender ? row->sender : DEFAULT_SENDER),
				  .helo = S("helo.example.com"),
				  .lookup = zone_lookup,
				  .ctx = z };

	*z = (struct zone){ .arena = a,
			    .text = arena_printf(a, "e.example.com TXT %s\n%s", row->record, row->more ? row->more : "") };
	spf_check(a, &q, &out);
	return out;
}

static void results(void **state)
{
	unsigned bad = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena a = { 0 };
		struct zone z;
		struct spf_outcome out = check(&a, &z, &rows[i]);

		if (strcmp(spf_result_names[out.result], rows[i].want) != 0) {
			print_error("\"%s\" for %s: %s (%.*s), want %s\n", rows[i].record, rows[i].address,
				    spf_result_names[out.result], STR_ARG(out.why), rows[i].want);
			bad++;
		}
		assert_false(out.pending);
		arena_fini(&a);
	}
	assert_int_equal(bad, 0);
}

/* The term that decided is told, also when a redirect led to it; an include decides as the term of the record that has it. */
static void deciding_terms(void **state)
{
	static const struct {
		struct row row;
		const char *term, *where;
	} table[] = {
		{ { "v=spf1 mx ip4:1.2.3.0/24 -all", "1.2.3.4", "pass",
		    "e.example.com MX e.example.com\ne.example.com A 9.9.9.9" },
		  "ip4:1.2.3.0/24",
		  "e.example.com" },
		{ { "v=spf1 redirect=t.example.com", "1.2.3.4", "pass", "t.example.com TXT v=spf1 ip4:1.2.3.4 -all" },
		  "ip4:1.2.3.4",
		  "t.example.com" },
		{ { "v=spf1 include:t.example.com -all", "1.2.3.4", "pass", "t.example.com TXT v=spf1 ip4:1.2.3.4 -all" },
		  "include:t.example.com",
		  "e.example.com" },
		{ { "v=spf1 include:t.example.com ~all", "1.2.3.5", "softfail", "t.example.com TXT v=spf1 ip4:1.2.3.4 -all" },
		  "~all",
		  "e.example.com" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arena a = { 0 };
		struct zone z;
		struct spf_outcome out = check(&a, &z, &table[i].row);

		assert_string_equal(spf_result_names[out.result], table[i].row.want);
		assert_non_null(out.match);
		assert_true(str_eq(out.match->text, str_of(table[i].term)));
		assert_true(str_eq(out.where, str_of(table[i].where)));
		arena_fini(&a);
	}
}

/* What is not there yet makes the outcome pending, and other questions are asked meanwhile; afterwards the result is the same. */
static void pending(void **state)
{
	static const struct row row = { "v=spf1 include:t.example.com a:u.example.com -all", "1.2.3.4", "pass",
					"t.example.com TXT v=spf1 -all\nu.example.com A 1.2.3.4" };
	static const char *const waits[] = { "e.example.com TXT", "t.example.com TXT", "u.example.com A" };
	struct arena a = { 0 };
	struct zone z;
	struct spf_outcome out = check(&a, &z, &row);
	unsigned asked = z.asked;
	struct spf_question q = { .address = S("1.2.3.4"), .sender = S(DEFAULT_SENDER), .lookup = zone_lookup, .ctx = &z };

	assert_int_equal(out.result, SPF_PASS);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		z.pending = waits[i];
		z.asked = 0;
		spf_check(&a, &q, &out);
		assert_true(out.pending);
		assert_int_equal(z.asked, i == 0 ? 1 : asked);
	}
	arena_fini(&a);
}

/* The tree of a whole record has the terms behind a match too, and each with the count that it makes. */
static void whole_tree(void **state)
{
	static const struct row row = { "v=spf1 ip4:1.2.3.4 include:t.example.com mx exists:none.example.com -all", "1.2.3.4",
					"pass",
					"t.example.com TXT v=spf1 a:e.example.com include:u.example.com -all\n"
					"u.example.com TXT v=spf1 ip4:9.9.9.9 -all\ne.example.com A 9.9.9.9\n"
					"e.example.com MX e.example.com" };
	struct arena a = { 0 };
	struct zone z;
	struct spf_outcome out = check(&a, &z, &row);
	struct spf_question q = {
		.address = S("1.2.3.4"), .sender = S(DEFAULT_SENDER), .lookup = zone_lookup, .ctx = &z, .whole = true
	};

	assert_int_equal(out.lookups, 0);
	spf_check(&a, &q, &out);
	assert_int_equal(out.lookups, 5);
	assert_int_equal(out.voids, 1);
	assert_int_equal(out.tree->steps[1].lookups, 3);
	assert_int_equal(out.tree->steps[2].hosts, 1);
	assert_int_equal(out.tree->steps[3].voids, 1);
	assert_true(str_eq(out.tree->steps[1].child->steps[1].child->text, S("v=spf1 ip4:9.9.9.9 -all")));
	arena_fini(&a);
}

/* The place and the words of a fault. */
static void faults(void **state)
{
	static const struct {
		const char *record;
		size_t at;
		const char *term, *why;
	} table[] = {
		{ "v=spf1 ip4:1.2.3.4 ip5:2.3.4.5 -all", 19, "ip5:2.3.4.5", "no term of SPF" },
		{ "v=spf1 mx; -all", 7, "mx;", "blanks between them" },
		{ "v=spf1 \"a\" -all", 7, "\"a\"", "quotes belong to the zone file" },
		{ "v=spf1 ip4:1.2.3.4/240 -all", 7, "ip4:1.2.3.4/240", "is no IPv4 network" },
		{ "v=spf1 ip:1.2.3.4 -all", 7, "ip:1.2.3.4", "the name of this term is ip4" },
		{ "v=spf1 a v=spf1 mx -all", 9, "v=spf1", "two records became one" },
		{ "v=spf1 include:spf.isp.example-all", 7, "include:spf.isp.example-all", "" },
		{ "v=spf1 include: -all", 7, "include:", "the name is missing" },
		{ "v=spf1 redirect:x.example", 7, "redirect:x.example", "redirect=" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arena a = { 0 };
		struct spf_record record;
		struct spf_fault fault;
		bool good = spf_parse(&a, str_of(table[i].record), &record, &fault);

		if (table[i].why[0] == 0) { /* a name can end so: it is the look-up that fails */
			assert_true(good);
		} else {
			assert_false(good);
			assert_int_equal(fault.at, table[i].at);
			assert_true(str_eq(fault.term, str_of(table[i].term)));
			if (str_search(fault.why, str_of(table[i].why)) == fault.why.n)
				fail_msg("%s: %.*s", table[i].record, STR_ARG(fault.why));
		}
		arena_fini(&a);
	}
}

static void merging(void **state)
{
	static const struct {
		const char *old, *terms, *all, *want, *dropped;
	} table[] = {
		{ "", "ip4:203.0.113.25 ip6:2001:db8::25", "~all", "v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 ~all", "" },
		{ "v=spf1 mx ~all", "ip4:203.0.113.25 ip6:2001:db8::25", "~all",
		  "v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 mx ~all", "" },
		{ "v=spf1 mx -all", "include:spf.isp.example", "~all", "v=spf1 mx include:spf.isp.example -all", "" },
		{ "v=spf1 mx redirect=_spf.example.net", "include:spf.isp.example", "~all",
		  "v=spf1 mx include:spf.isp.example redirect=_spf.example.net", "" },
		{ "v=spf1 ip4:203.0.113.25 ~all", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 ~all", "" },
		{ "v=spf1 ip4:203.0.113.25/32 ~all", "ip4:203.0.113.25", "", "v=spf1 ip4:203.0.113.25/32 ~all", "" },
		{ "v=spf1 ip4:203.0.113.0/24 ip6:2001:DB8::/32 ~all", "ip4:203.0.113.25 ip6:2001:db8::25", "",
		  "v=spf1 ip4:203.0.113.0/24 ip6:2001:DB8::/32 ~all", "" },
		{ "v=spf1 -ip4:203.0.113.0/24 ~all", "ip4:203.0.113.25", "", "v=spf1 ip4:203.0.113.25 -ip4:203.0.113.0/24 ~all",
		  "" },
		{ "v=spf1 Include:SPF.isp.example ~all", "include:spf.isp.example", "", "v=spf1 Include:SPF.isp.example ~all",
		  "" },
		{ "v=spf1 ?include:spf.isp.example ~all", "include:spf.isp.example", "", "v=spf1 include:spf.isp.example ~all",
		  "" },
		{ "v=spf1 mx", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 mx ~all", "" },
		{ "v=spf1 mx", "ip4:203.0.113.25", "", "v=spf1 ip4:203.0.113.25 mx", "" },
		{ "v=spf1 mx +all", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 mx ~all", "" },
		{ "v=spf1 mx ?all", "", "~all", "v=spf1 mx ~all", "" },
		{ "v=spf1 mx all", "", "", "v=spf1 mx all", "" },
		{ "v=spf1; mx; ~all", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 mx ~all", "" },
		{ "\"v=spf1 mx ~all\"", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 mx ~all", "" },
		{ " v=spf1 mx -all", "", "~all", "v=spf1 mx -all", "" },
		{ "v=spf1 mx ip5:1.2.3.4 -all", "", "~all", "v=spf1 mx -all", "ip5:1.2.3.4" },
		{ "v=spf1 a v=spf1 mx a -all -all", "", "~all", "v=spf1 a mx -all", "" },
		{ "v=spf1 -all exp=why.example.org", "ip4:203.0.113.25", "~all",
		  "v=spf1 ip4:203.0.113.25 -all exp=why.example.org", "" },
		{ "v=spf1 -all ip4:203.0.113.25", "ip4:203.0.113.25", "~all", "v=spf1 ip4:203.0.113.25 -all", "" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arena a = { 0 };
		struct str terms[4], rest = str_of(table[i].terms);
		struct spf_wish wish = { .terms = { terms, 0 }, .all = str_of(table[i].all) };
		struct spf_merged merged;

		while (str_split(&rest, ' ', &terms[wish.terms.n]))
			wish.terms.n++;
		spf_merge(&a, str_of(table[i].old), &wish, &merged);
		if (!str_eq(merged.text, str_of(table[i].want)) || !str_eq(merged.dropped, str_of(table[i].dropped)))
			fail_msg("%s + %s: \"%.*s\", dropped \"%.*s\"", table[i].old, table[i].terms, STR_ARG(merged.text),
				 STR_ARG(merged.dropped));
		assert_int_equal(merged.changed, !str_ieq(str_of(table[i].old), merged.text));
		arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),    cmocka_unit_test(deciding_terms), cmocka_unit_test(pending),
		cmocka_unit_test(whole_tree), cmocka_unit_test(faults),         cmocka_unit_test(merging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
