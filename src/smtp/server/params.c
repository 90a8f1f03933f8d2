/* params.c - the parameters of MAIL and RCPT, a row per parameter that we offer (see extensions.def). */
#include "grammar.h"

#include "posthouse/address.h"
#include "posthouse/buf.h"
#include "posthouse/date.h"
#include "posthouse/utf8.h"

#define ENVID_MAX 100 /* RFC 3461 4.4 */
#define ORCPT_MAX 500 /* RFC 3461 4.2 */

#define HOLD_DIGITS 9 /* RFC 4865 section 4: future-release-integer */
#define BY_DIGITS   9 /* RFC 2852 section 4 */

enum when { ALWAYS, WHEN_FUTURE_RELEASE, WHEN_TLS };

/* Where the values go: `mail` for MAIL, `rcpt` for RCPT; the other is NULL. */
struct target {
	struct smtp_mail_params *mail;
	struct smtp_rcpt_params *rcpt;
};

struct param {
	struct str keyword;
	bool bare; /* it has no value */
	enum when when;
	bool (*parse)(const struct smtp_offer *offer, struct str value, struct target to); /* false: the value is malformed */
	struct str syntax, about;                                                          /* for HELP */
};

/* RFC 1870 section 4: one to twenty digits; what a number of 64 bits cannot hold is too large in any case. */
static bool parse_size(const struct smtp_offer *offer, struct str value, struct target to)
{
	if (value.n == 0 || value.n > 20)
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
	if (!str_to_u64(value, &to.mail->size))
		to.mail->size = UINT64_MAX;
	return true;
}

/* RFC 6152 section 2, RFC 3030 section 3. */
static bool parse_body(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.mail->body = str_ieq(value, S("BINARYMIME")) ? BODY_BINARYMIME
			: str_ieq(value, S("8BITMIME")) ? BODY_8BITMIME
							: BODY_7BIT;
	return to.mail->body != BODY_7BIT || str_ieq(value, S("7BIT"));
}

/* RFC 6531 section 3.4. */
static bool parse_smtputf8(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.mail->utf8 = true;
	return true;
}

/* RFC 4954 section 5: a server with the AUTH extension accepts the parameter. The value is what another server says about the
 * sender. It is not trusted, so it is checked and dropped. */
static bool parse_auth(const struct smtp_offer *offer, struct str value, struct target to)
{
	return value.n > 0 && (str_eq(value, S("<>")) || smtp_xtext_valid(value));
}

/* RFC 3461 4.3. */
static bool parse_ret(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.mail->ret = str_ieq(value, S("FULL")) ? RET_FULL : RET_HDRS;
	return to.mail->ret == RET_FULL || str_ieq(value, S("HDRS"));
}

/* RFC 3461 4.2 and 4.4: the decoded text comes back in a report, so it must be printable ASCII; a code for any other character is
 * malformed. */
static bool printable_xtext(struct str text)
{
	if (text.n == 0 || !smtp_xtext_valid(text))
		return false;
	for (size_t i = 0; i + 2 < text.n; i++)
		if (text.p[i] == '+' &&
		    (text.p[i + 1] < '2' || text.p[i + 1] > '7' || (text.p[i + 1] == '7' && text.p[i + 2] == 'F')))
			return false;
	return true;
}

static bool parse_envid(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.mail->envid = value;
	return value.n <= ENVID_MAX && printable_xtext(value);
}

/* Take the release time. RFC 4865 section 4: it is an error of syntax to give both HOLDFOR and HOLDUNTIL, a time in the past, or
 * a time later than EHLO has offered. */
static bool set_release(const struct smtp_offer *offer, struct smtp_mail_params *p, uint64_t at_ms)
{
	if (p->release_at != 0 || at_ms <= offer->now_ms || at_ms - offer->now_ms > offer->future_release_s * 1000)
		return false;
	p->release_at = at_ms;
	return true;
}

static bool parse_holdfor(const struct smtp_offer *offer, struct str value, struct target to)
{
	uint64_t seconds;

	return value.n <= HOLD_DIGITS && str_to_u64(value, &seconds) && value.p[0] != '0' &&
	       set_release(offer, to.mail, offer->now_ms + seconds * 1000);
}

static bool parse_holduntil(const struct smtp_offer *offer, struct str value, struct target to)
{
	uint64_t at_ms;

	return date_parse(value, &at_ms) && set_release(offer, to.mail, at_ms);
}

/* RFC 2852 section 4: by-time ";" by-mode [by-trace]. A time that is over already can come with a message between
 * relays, never with a submission. */
static bool parse_by(const struct smtp_offer *offer, struct str value, struct target to)
{
	size_t semicolon = str_find(value, ';');
	struct str time = str_head(value, semicolon), mode = str_from(value, semicolon + 1);

	if (time.n > 0 && time.p[0] == '+')
		time = str_from(time, 1);
	if (time.n > BY_DIGITS || !str_to_u64(time, &to.mail->by_s) || to.mail->by_s == 0 || mode.n < 1 || mode.n > 2)
		return false;
	to.mail->by_mode = ascii_lower(mode.p[0]) == 'r' ? BY_RETURN : BY_NOTIFY;
	if (to.mail->by_mode == BY_NOTIFY && ascii_lower(mode.p[0]) != 'n')
		return false;
	if (mode.n == 2)
		to.mail->by_mode |= BY_TRACE;
	return mode.n == 1 || ascii_lower(mode.p[1]) == 't';
}

/* RFC 6710 section 5: "0", or a digit of 1 to 9 that can have a minus. */
static bool parse_priority(const struct smtp_offer *offer, struct str value, struct target to)
{
	bool minus = value.n == 2 && value.p[0] == '-';
	char digit = value.n == 1 + (size_t)minus ? value.p[minus] : 'x';

	if (digit < '0' || digit > '9' || (minus && digit == '0'))
		return false;
	to.mail->priority = minus ? PRIORITY_NORMAL - (unsigned)(digit - '0') : PRIORITY_NORMAL + (unsigned)(digit - '0');
	return true;
}

/* RFC 8689 section 2. */
static bool parse_requiretls(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.mail->require_tls = true;
	return true;
}

static const struct param mail_params[] = {
	{ S("SIZE"), false, ALWAYS, parse_size, S("SIZE=octets"), S("how large the message is") },
	{ S("BODY"), false, ALWAYS, parse_body, S("BODY=7BIT, 8BITMIME or BINARYMIME"),
	  S("what bytes it is made of; BINARYMIME by BDAT only") },
	{ S("SMTPUTF8"), true, ALWAYS, parse_smtputf8, S("SMTPUTF8"), S("addresses or header fields are in UTF-8") },
	{ S("AUTH"), false, ALWAYS, parse_auth, S("AUTH=xtext"), S("is read and not used") },
	{ S("RET"), false, ALWAYS, parse_ret, S("RET=FULL or HDRS"), S("how much of the message comes back in a report") },
	{ S("ENVID"), false, ALWAYS, parse_envid, S("ENVID=xtext"), S("comes back in a report") },
	{ S("HOLDFOR"), false, WHEN_FUTURE_RELEASE, parse_holdfor, S("HOLDFOR=seconds"), S("keep the message back for so long") },
	{ S("HOLDUNTIL"), false, WHEN_FUTURE_RELEASE, parse_holduntil, S("HOLDUNTIL=2031-05-30T08:00:00Z"),
	  S("keep it back until then") },
	{ S("BY"), false, ALWAYS, parse_by, S("BY=seconds;R or seconds;N"),
	  S("if it is not delivered so soon, return it or tell of the delay") },
	{ S("MT-PRIORITY"), false, ALWAYS, parse_priority, S("MT-PRIORITY=-9 to 9"),
	  S("what is higher goes first; 0 is normal") },
	{ S("REQUIRETLS"), true, WHEN_TLS, parse_requiretls, S("REQUIRETLS"), S("send it over verified TLS or not at all") },
};
#define MAIL_PARAMS (sizeof(mail_params) / sizeof(mail_params[0]))

/* RFC 3461 4.1: NEVER alone, or a list of the others with commas. */
static bool parse_notify(const struct smtp_offer *offer, struct str value, struct target to)
{
	static const struct {
		struct str word;
		unsigned bit;
	} words[] = {
		{ S("NEVER"), NOTIFY_NEVER },
		{ S("SUCCESS"), NOTIFY_SUCCESS },
		{ S("FAILURE"), NOTIFY_FAILURE },
		{ S("DELAY"), NOTIFY_DELAY },
	};
	size_t n = sizeof(words) / sizeof(words[0]);

	for (bool more = true; more;) {
		size_t comma = str_find(value, ','), i = 0;

		while (i < n && !str_ieq(str_head(value, comma), words[i].word))
			i++;
		if (i == n)
			return false;
		to.rcpt->notify |= words[i].bit;
		more = comma < value.n;
		value = str_from(value, comma + 1);
	}
	return (to.rcpt->notify & NOTIFY_NEVER) == 0 || to.rcpt->notify == NOTIFY_NEVER;
}

/* RFC 6533 section 3: the ASCII form of utf-8-addr-unitext, which every server can pass on: each character beyond ASCII becomes
 * "\\x{HEXPOINT}". `plain`: the text is an address that has no escapes, so characters that would begin one are escaped too. */
static struct str ascii_form(struct arena *a, struct str text, bool plain)
{
	struct buf b;
	struct str form;

	buf_init(&b, 8 * ORCPT_MAX);
	while (text.n > 0) {
		uint32_t c;
		size_t n = utf8_char(text, &c);

		if (c < 0x80 && !(plain && (c == '+' || c == '=' || c == '\\')))
			buf_add_char(&b, (char)c);
		else
			buf_printf(&b, "\\x{%X}", c);
		text = str_from(text, n);
	}
	form = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return form;
}

/* Postfix sends UTF-8 as xtext, which RFC 6533 does not define: the address in the form of RFC 6533; "" when the xtext is not
 * UTF-8. */
static struct str utf8_from_xtext(struct arena *a, struct str xtext)
{
	struct str text = smtp_xtext_valid(xtext) ? xtext_decode(a, xtext) : S("");

	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
			return S("");
	return text.n > 0 && utf8_valid(text) ? arena_printf(a, "utf-8;%.*s", STR_ARG(ascii_form(a, text, true))) : S("");
}

/* RFC 3461 4.2: the type (an atom, "rfc822" as a rule), a semicolon, and the address as xtext. RFC 6533 section 3: the type
 * "utf-8", with UTF-8 where the message has SMTPUTF8. "" when it is malformed. */
static struct str read_orcpt(const struct smtp_offer *offer, struct str value)
{
	size_t semicolon = str_find(value, ';');

	if (value.n > ORCPT_MAX || semicolon == value.n)
		return S("");
	if (!smtp_atom_valid(str_head(value, semicolon)) ||
	    !smtp_xtext_valid(str_head(value, semicolon))) /* an atom can have '=', no value can */
		return S("");
	if (offer->utf8 && str_ieq(str_head(value, semicolon), S("utf-8")) && utf8_valid(value))
		value = ascii_form(offer->arena, value, false);
	else if (offer->utf8 && !printable_xtext(str_from(value, semicolon + 1)))
		value = utf8_from_xtext(offer->arena, str_from(value, semicolon + 1));
	semicolon = str_find(value, ';');
	return value.n <= ORCPT_MAX && printable_xtext(str_from(value, semicolon + 1)) ? value : S("");
}

/* ORCPT is only used in reports: a malformed one is dropped, and the recipient is accepted. */
static bool parse_orcpt(const struct smtp_offer *offer, struct str value, struct target to)
{
	to.rcpt->orcpt = read_orcpt(offer, value);
	return true;
}

static const struct param rcpt_params[] = {
	{ S("NOTIFY"), false, ALWAYS, parse_notify, S("NOTIFY=NEVER, or of SUCCESS,FAILURE,DELAY"),
	  S("when a report is wanted") },
	{ S("ORCPT"), false, ALWAYS, parse_orcpt, S("ORCPT=rfc822;xtext"), S("the recipient as it was first, for a report") },
};
#define RCPT_PARAMS (sizeof(rcpt_params) / sizeof(rcpt_params[0]))

static bool offered(const struct param *row, const struct smtp_offer *offer)
{
	return row->when == ALWAYS || (row->when == WHEN_TLS ? offer->tls : offer->future_release_s > 0);
}

static struct verdict bad_value(const struct smtp_offer *offer, const struct param *row)
{
	return perm(501, S("5.5.4"), arena_printf(offer->arena, "Bad value; right would be %.*s", STR_ARG(row->syntax)));
}

static struct verdict parse_params(struct str rest, const struct smtp_offer *offer, const struct param *table, size_t n,
				   struct target to)
{
	struct str word;
	uint64_t seen = 0;

	while (smtp_next_word(&rest, &word)) {
		size_t equals = str_find(word, '='), i = 0;

		while (i < n && !str_ieq(str_head(word, equals), table[i].keyword))
			i++;
		if (i < n && table[i].when == WHEN_TLS && !offered(&table[i], offer))
			return perm(530, S("5.7.10"), S("This parameter needs TLS"));
		if (i == n || !offered(&table[i], offer))
			return perm(555, S("5.5.4"), S("Parameter not recognized or not offered"));
		if ((seen & 1ull << i) != 0)
			return perm(501, S("5.5.4"), S("Parameter given twice"));
		seen |= 1ull << i;
		if (table[i].bare != (equals == word.n) || !table[i].parse(offer, str_from(word, equals + 1), to))
			return bad_value(offer, &table[i]);
	}
	return ok();
}

struct verdict smtp_mail_params(struct str rest, const struct smtp_offer *offer, struct smtp_mail_params *params_out)
{
	*params_out = (struct smtp_mail_params){ .priority = PRIORITY_NORMAL };
	return parse_params(rest, offer, mail_params, MAIL_PARAMS, (struct target){ .mail = params_out });
}

struct verdict smtp_rcpt_params(struct str rest, const struct smtp_offer *offer, struct smtp_rcpt_params *params_out)
{
	*params_out = (struct smtp_rcpt_params){ 0 };
	return parse_params(rest, offer, rcpt_params, RCPT_PARAMS, (struct target){ .rcpt = params_out });
}

void smtp_params_help(struct buf *b, const struct smtp_offer *offer, bool of_rcpt)
{
	const struct param *table = of_rcpt ? rcpt_params : mail_params;
	size_t n = of_rcpt ? RCPT_PARAMS : MAIL_PARAMS;

	for (size_t i = 0; i < n; i++)
		if (offered(&table[i], offer))
			buf_printf(b, "\n  %.*s: %.*s", STR_ARG(table[i].syntax), STR_ARG(table[i].about));
}
