/* mail.h - messages as text (RFC 5322, 6409 section 8, 6376, 3464) without I/O: header parsing, fix-up, DKIM hashing, reports. */
#ifndef POSTHOUSE_MAIL_H
#define POSTHOUSE_MAIL_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/units.h"
#include "posthouse/verdict.h"

#define HEADER_MAX (256 * 1024) /* bytes of a header section; more is 552 5.3.4 */

/* ---- header.c: a header section as fields ---- */
struct header_field {
	struct str name;  /* as written, without the colon and white space before it */
	struct str value; /* raw, after the colon, with folds, without the last CRLF */
	struct str whole; /* name to last CRLF inclusive */
};
struct header {
	struct header_field *fields;
	size_t n;
};

/* Split a header section (lines with CRLF; without the blank line). PERM 550 5.6.0 when a line is neither field nor fold,
 * also for a bare CR or LF, a NUL, a last line without CRLF. The fields are views of `section`. */
struct verdict header_parse(struct arena *a, struct str section, struct header *header_out);
const struct header_field *header_find(const struct header *h, struct str name); /* the first; NULL when absent */

/* ---- subject.c: what people and programs call the message, each as one clean line in UTF-8; "": it has none ---- */

/* Subject as readers show it: unfolded, encoded words decoded (RFC 2047). U+FFFD for each character of a charset other than
 * UTF-8, ISO 8859-1, ISO 8859-15 and windows-1252, and for hidden ones; bytes that are no UTF-8 count as windows-1252. Longer
 * ones are cut, with "..." at the end. */
#define SUBJECT_KEPT 300
struct str mail_subject(struct arena *a, const struct header *h);

/* Message-ID with its angle brackets. */
#define MESSAGE_ID_KEPT 300
struct str mail_message_id(struct arena *a, const struct header *h);

/* ---- tls_required.c ---- */

/* Is there exactly one TLS-Required, with the value No (RFC 8689 3)? Another value asks for nothing, as the RFC defines none; the
 * policies of the recipients' domains hold then. */
bool mail_tls_optional(const struct header *h);
#define TLS_REQUIRED_NO "TLS-Required: No\r\n"

/* ---- header.c again ---- */

/* The addresses in an address-list field's value (To, a From that was made clear…): groups, comments, quoted strings and
 * encoded words are understood; only addr-specs come back (a quoted local part unquoted where it can be; of "A@b <a@B>" the
 * second). False when the value is no address list, and when two readers could understand it in two ways: "a@b <c@d>", a
 * comment within an address, a route, an address in a comment, an encoded word with brackets or control characters inside,
 * UTF-8 that is invisible or looks like "@" or "." (src/mail/address.c, lookalike.c). UTF-8 is compared and returned as bytes,
 * not normalised. A group can be empty: true with no address. */
bool header_addresses(struct arena *a, struct str value, struct str_list *addresses_out);
/* The same with names that have no domain ("root", "Root <root>"): recipients as a program of this machine writes them. */
bool header_recipients(struct arena *a, struct str value, struct str_list *addresses_out);

/* An RFC 5322 date for `now_ms`, in UTC: "Sat, 21 Nov 2026 19:37:54 +0000". */
struct str mail_date(struct arena *a, uint64_t now_ms);

/* ---- collector.c: buffers the header section while a message streams in, and finds its end ---- */
struct header_collector {
	struct buf section;
	bool complete;    /* the section is whole: what follows is body */
	struct str begun; /* the first bytes of the body, when they came in earlier calls: a view, until the next call */
	/* for collector.c alone */
	size_t line;   /* where the line begins that is being collected */
	bool known;    /* this line belongs to the section */
	bool any;      /* a field was seen */
	bool dropping; /* this line is dropped */
};
void header_collector_init(struct header_collector *c);
void header_collector_fini(struct header_collector *c);
/* Take bytes until the section is complete: by the blank line, which belongs to neither part, or by a line that is neither a
 * field nor its continuation, with which the body begins. The body is then `begun`, followed by *rest_out. Its stored form
 * needs a blank line before it. In front of the first field a byte order mark and the "From " line of mbox files are dropped.
 * PERM 552 5.3.4 when the section is larger than HEADER_MAX, and at every call from then on. */
struct verdict header_collector_feed(struct header_collector *c, struct str bytes, struct str *rest_out);
/* The message ends: a section that is not complete is all of it, but for a last line that is no field (`begun`). Verdicts as
 * above. */
struct verdict header_collector_end(struct header_collector *c);

/* ---- fixup.c: RFC 6409 section 8 ---- */
#define AUTHORS_MAX 100 /* mailboxes in From: more than a person would write */

struct fixup_input {
	struct str section; /* as it came, without the blank line */
	struct str hostname;
	uint64_t id, now_ms;
	struct str envelope_sender;
	struct str domain; /* completes addresses without one (RFC 6409 8.2); "": they stay */
	/* Returns the address that replaces another one (the same view: no change), in sender fields (From, Sender,
	 * Reply-To, Resent-From, Resent-Sender, Resent-Reply-To, Disposition-Notification-To, Return-Receipt-To) or recipient
	 * fields (To, Cc, Resent-To, Resent-Cc); NULL: no change. The new address is in `a` and valid. It is not called
	 * for addresses that are added: those of the envelope, and force_from. */
	struct str (*rewrite)(void *ctx, struct arena *a, bool is_sender, struct str address);
	void *rewrite_ctx;
	/* From becomes this one address with the first display name that From had, and Sender is removed; "": no change */
	struct str force_from;
};
struct fixup_result {
	/* To be stored, in the arena: Date and Message-ID added where missing, empty or not valid (the old one is then
	 * X-Original-…); Bcc, Resent-Bcc, Return-Path and Authentication-Results in the name of this host (RFC 8601 5)
	 * removed; From added from the envelope sender where there is none with an address and it is not empty; Sender too
	 * where From has several addresses (RFC 5322 3.6.2) and the envelope sender is not empty; From and Sender in their
	 * one clear form; fields that can be there once made one; addresses completed and rewritten, of which display names,
	 * comments and folds stay; lines of more than 998 bytes folded before white space outside quoted strings and
	 * comments, where there is any (RFC 5322 2.1.1); lines of white space alone, and white space before a field's colon
	 * removed. Everything else of a field stays as it is, byte by byte: also a recipient field that is no address list,
	 * and bytes beyond ASCII, be they UTF-8 or not. */
	struct str section;
	struct header header; /* of the new section */
	/* addresses of From as stored, 1 to AUTHORS_MAX; none only when From is missing and the envelope sender empty */
	struct str_list from;
	struct str sender; /* address of Sender as stored; "" */
	/* addresses that display names and comments of From and Sender show: people take them for the author */
	struct str_list shown;
	/* The same of Resent-From and Resent-Sender: authors and shown. They are for the caller to check only when From is
	 * not the login's own (RFC 5322 3.6.6); resent_fault is not OK when one of them cannot be read. */
	struct str_list resent;
	struct verdict resent_fault;
	bool is_resent; /* there is a Resent-From with an address */
	bool has_8bit;  /* non-ASCII bytes in the section */
};
/* PERM 550 5.6.0: a line that is neither field nor fold; two From, Sender, Date, Subject … (RFC 5322 3.6), MIME-Version,
 * Content-Type … (RFC 2045) that differ; a From whose author is not clear; a Sender that is not one address. PERM
 * 552 5.3.4: the result would be larger than HEADER_MAX. PERM 554 5.4.6: more than 50 Received fields. */
struct verdict mail_fixup(struct arena *a, const struct fixup_input *in, struct fixup_result *out);

/* Is the text one field of this name, folded, of printable ASCII and tabs, with or without CRLF at the end? */
bool field_is_one(struct str text, struct str name);

/* The Received field of a submission, folded, CRLF at the end: no login, and no client address unless given (RFC 5321 4.4). */
struct received_input {
	struct str hostname;
	struct str with; /* "ESMTPSA"; RFC 3848, RFC 6531 3.7.3 */
	uint64_t id, now_ms;
	struct str for_recipient; /* only with a single recipient, else ""; a non-ASCII address is left out as well */
	struct str client;        /* address of the client; "": left out */
	struct str local_user;    /* in the place of the client: "www-data, uid 33", a user of this machine; "": none */
	struct str helo; /* the client's HELO name, shown with the address; characters of no name or literal are removed */
};
struct str mail_received(struct arena *a, const struct received_input *in);

/* ---- dkim.c: RFC 6376 relaxed/relaxed, sha-256, RFC 8463 ---- */
enum dkim_algorithm { DKIM_RSA_SHA256 = 1, DKIM_ED25519_SHA256 = 2 };
#define DKIM_KEYS_MAX    4
#define DKIM_DIGEST_SIZE 32

struct dkim_key {
	struct str domain, selector;
	enum dkim_algorithm algorithm;
	bool oversign; /* also fields that lists and people add when they forward a message, see dkim_finish() */
};
struct dkim; /* one message being hashed; heap, wiped and freed by dkim_free */

struct dkim *dkim_new(void);
void dkim_free(struct dkim *d);
/* Body bytes (any split), after the header section. Only CRLF ends a line (RFC 6376 3.4.4): a bare CR or LF and NUL, which
 * BODY=BINARYMIME allows, are bytes like others. */
void dkim_body(struct dkim *d, struct str bytes);
/* The body is complete: hash the header for each key (all of one domain), once. From is over-signed (listed once more than it
 * occurs), as are the other fields of RFC 6376 5.4.1 that must not be added later (Subject, Date, To, Cc, Reply-To, Sender,
 * Message-ID, MIME-Version, Content-Type, Content-Transfer-Encoding, In-Reply-To, References), and where all keys have
 * `oversign` Resent-*, Content-Disposition, List-Unsubscribe and List-Unsubscribe-Post (RFC 8058); else these, and other
 * List-* always, are signed where they are. Of one name at most the lowest 8 fields; with more it is not over-signed. Never
 * Received, DKIM-Signature, Return-Path. Digests (32 bytes each, what the signature is made over) live as long as d. */
void dkim_finish(struct dkim *d, const struct header *header, const struct dkim_key *keys, size_t n, uint64_t now_ms,
		 struct str digests_out[]);
/* The DKIM-Signature field for key i up to and including "b=", as the digest has it; it lives as long as d. */
struct str dkim_unsigned(const struct dkim *d, size_t i);
/* Is this text such a field of the key (whatever its `oversign` is), and nothing else? */
bool dkim_is_unsigned(struct str text, const struct dkim_key *key);
/* That field with its signature, folded, CRLF at the end. */
struct str dkim_signed(struct arena *a, struct str field, struct str signature);
/* The finished field for key i. */
struct str dkim_field(struct arena *a, const struct dkim *d, size_t i, struct str signature);

/* ---- report.c: delivery status notifications (RFC 3464 in RFC 6522 multipart/report), plain words first ---- */
struct report_recipient {
	struct str address, orcpt; /* orcpt as in RCPT: "rfc822;" and xtext; "" = none */
	/* Of the next hop, or of this program. REPORT_FAILURE: TEMP = time is over, and this was the last answer. REPORT_DELAY:
	 * the last answer; OK and code 0 = never tried. Else the answer that took it. */
	struct verdict verdict;
	struct str remote; /* the server that gave the verdict: "smtp.isp.example [192.0.2.1]"; "" = this program */
	uint64_t last_at;  /* ms; 0 = never tried */
	struct str advice; /* replaces the text for the code: the meaning of the verdict, and who must act; "" = not known */
};
struct report_input {
	/* not delivered; not yet; delivered; handed on to a next hop without DSN (RFC 3461 5.2.2) */
	enum { REPORT_FAILURE, REPORT_DELAY, REPORT_SUCCESS, REPORT_RELAYED } kind;
	uint64_t will_retry_until; /* REPORT_DELAY; 0 = unknown */
	struct str hostname;
	struct str from;     /* the address of "Mail Delivery System" */
	uint64_t id, now_ms; /* of the report */
	struct str to;       /* the envelope sender */
	uint64_t original_id, original_at;
	struct str envid; /* as in MAIL, xtext; "" = none */
	const struct report_recipient *recipients;
	size_t n;
	struct str original_header; /* of the message as stored, without blank line; the first 48 KiB are returned */
	bool return_full;           /* RET=FULL: the whole message comes back, with REPORT_FAILURE only (RFC 3461 4.3) */
	struct str original_body;   /* then: without bare CR or LF, NUL, overlong lines; else only the header comes back */
	struct str boundary_seed;   /* random hex, at most 50 are used: nothing in the message can contain the boundary */
};
/* The whole report split into header section and body, ready to be hashed and stored: header_out without the blank line. From
 * is "Mail Delivery System <from>", Auto-Submitted: auto-replied. 8-bit and UTF-8 safe: foreign texts are cleaned;
 * *is_8bit_out tells whether any byte is beyond ASCII (BODY=8BITMIME). A UTF-8 recipient makes it the kind of RFC 6533, and
 * an original header in UTF-8 comes back as message/global or message/global-headers. */
void mail_report(struct arena *a, const struct report_input *in, struct str *header_out, struct str *body_out, bool *is_8bit_out);

/* ---- report_again.c: another form of a report or notice that was refused: all of it with another author; or in 7 bits with at
 * most the original's header; or without the original. `from`, `id` and `now_ms` are new. A notice has no original. ---- */
struct again_input {
	struct str header, body; /* as they were stored */
	enum { AGAIN_ALL, AGAIN_HEADER, AGAIN_WORDS } returns;
	struct str hostname, from;
	uint64_t id, now_ms;
};
void mail_report_again(struct arena *a, const struct again_input *in, struct str *header_out, struct str *body_out,
		       bool *is_8bit_out);

/* ---- notification.c: a plain message to the postmaster: a report that could not be delivered, held mail ---- */
struct notification_input {
	struct str hostname, from;
	uint64_t id, now_ms; /* of the notice */
	struct str to;       /* the postmaster */
	struct str subject;  /* what is not ASCII becomes "?" */
	struct str words; /* lines with LF; each is cleaned, and wrapped with its indent; foreign text in them can do no harm */
};
/* Header section without the blank line, and body, as from mail_report(). Auto-Submitted: auto-generated. */
void mail_notification(struct arena *a, const struct notification_input *in, struct str *header_out, struct str *body_out,
		       bool *is_8bit_out);

/* ---- tls_report.c: the mail with a report about TLS (RFC 8460 5.3), for programs ---- */
struct tls_report_input {
	struct str hostname, from, to;
	uint64_t id, now_ms;          /* of the mail */
	struct str domain;            /* whose servers the report is about */
	struct str submitter;         /* the domain that reports */
	struct str report_id;         /* with an "@" in it */
	struct str file_name, report; /* compressed, RFC 8460 5.1 and 5.2 */
};
/* Header section without the blank line, and body, as from mail_report(). All of it is ASCII but for addresses. */
void mail_tls_report(struct arena *a, const struct tls_report_input *in, struct str *header_out, struct str *body_out);

/* ---- downgrade.c: a text as a next hop takes it, streaming, deterministic: the same text gives the same bytes in whatever
 * pieces it comes, so it is hashed in one pass and sent in another. What it does not take: */
enum {
	DOWNGRADE_7BIT = 1,    /* anything beyond 7-bit text (RFC 6152 section 3), and what the others say */
	DOWNGRADE_HEADERS = 2, /* header fields beyond ASCII (RFC 6531) */
	DOWNGRADE_LINES = 4,   /* lines over 998 bytes (RFC 5321 4.5.3.1.6) */
	DOWNGRADE_FROM = 8,    /* an author other than its own address, see downgrade_own_from() */
};
/* A body part that has some of it becomes quoted-printable or base64, whichever is shorter for its first 4 KiB (base64 when it
 * was labelled binary; quoted-printable when it is text and only its lines are in the way), and Content-Transfer-Encoding says
 * so; other body parts stay as they are, but for a label 8bit or binary, which becomes 7bit with DOWNGRADE_7BIT, as it does for
 * multiparts and messages. A message that gets an encoding and has no MIME-Version gets one, and one without Content-Type also
 * text/plain with charset utf-8 if its text is that, or else unknown-8bit (RFC 1428). Parts that are quoted-printable or base64
 * already, but have such bytes or lines, are mended. In preamble and epilogue "?" replaces such bytes. Header fields, also
 * those of parts and of messages within, get encoded words, encoded parameters and folds (RFC 2047, 2231), and addresses the
 * ASCII form of their domains.
 *
 * Never touched: multipart/signed, multipart/encrypted, application/pkcs7-mime, message/partial and external-body, parts with
 * an encoding that is not known, multiparts without a boundary that all readers would find, and parts that are 20 levels deep.
 * Their own header fields are converted, their content is not. ---- */
struct downgrade;
struct downgrade *downgrade_new(unsigned what, size_t sample_max);
void downgrade_free(struct downgrade *c);

/* DOWNGRADE_FROM, before the first byte: From becomes this address (which must live as long as `c`) with the first author's name,
 * or with the address as the name ("alice at example.org"). What From was becomes Reply-To, unless there is one. A Sender that
 * is another address is removed. Without other bits of `what` all else stays byte by byte. */
void downgrade_own_from(struct downgrade *c, struct str address);

/* The encoding of a body part is chosen from its first `sample_max` bytes, before its end is known: DOWNGRADE_SAMPLE while a text
 * streams, more when it is in memory anyway. A longer body part is encoded even when all of it is ASCII, which every reader
 * understands. */
#define DOWNGRADE_SAMPLE (4 * KIB)

/* Feed the text (header section, blank line, body) in any pieces; what is ready is appended to `out`, whose bound must allow
 * 1 MiB more than 16 times the piece (TEMP 451 4.3.0 when it does not). PERM 554 5.6.3 when something that must not be
 * touched has 8-bit content where none can be, when more than 1000 parts need encoding, or the header section is larger than
 * HEADER_MAX or becomes more than DOWNGRADED_HEADER_MAX; PERM 550 5.6.7 when an address in it has a local part beyond ASCII;
 * and from then on. The words live until downgrade_free(). */
#define DOWNGRADED_HEADER_MAX MIB
struct verdict downgrade_feed(struct downgrade *c, struct str bytes, struct buf *out);
struct verdict downgrade_end(struct downgrade *c, struct buf *out);
/* Once it is complete: the converted header section of the message, without blank line, for dkim_finish(). NULL view before;
 * complete at the latest after downgrade_end(). Lives until downgrade_free(). */
struct str downgrade_header(const struct downgrade *c);

/* address_ascii.c: an address whose only non-ASCII part is its domain, with A-labels (RFC 5891); false when its local part
 * needs UTF-8. */
bool mail_address_to_ascii(struct arena *a, struct str address, struct str *ascii_out);

#endif
