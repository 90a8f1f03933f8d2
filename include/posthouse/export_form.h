/* export_form.h - a queued message as a file that any mail program can read (message/rfc822): header fields "Posthouse-…"
 * with its envelope and its recipients, the last of them Posthouse-text, and behind these the message as it is stored, with
 * the fields that precede it on the wire. Reading gives exactly what was written. In values, bytes that are not printable
 * ASCII, spaces and '%' are written as %XX. Files can be put together: each says how long it is. */
#ifndef POSTHOUSE_EXPORT_FORM_H
#define POSTHOUSE_EXPORT_FORM_H

#include "posthouse/envelope.h"
#include "posthouse/verdict.h"

#define EXPORT_HEAD_MAX (8 * 1024 * 1024) /* bytes of the fields of one message: ten thousand recipients, and more */

struct export_recipient {
	struct str address, orcpt;
	struct str via; /* the way by which an administrator has sent it; "": by the routes */
	uint64_t notify;
	bool held;
};

struct exported {
	uint64_t id, token, kind, parent; /* kind: enum message_kind */
	uint64_t received_at, expires_at, warn_at;
	struct str device, origin, held;
	struct envelope envelope;
	struct export_recipient *recipients;
	size_t recipients_n;
	uint64_t prefix_size, header_size, size; /* of Received and our signatures; of the text: its header section, all of it */
};

/* Of these three, in this order, the fields consist: all but recipients and sizes; each recipient; the end. */
struct str export_write_head(struct arena *a, const struct exported *x);
struct str export_write_recipient(struct arena *a, const struct export_recipient *r);
struct str export_write_end(struct arena *a, const struct exported *x);

/* Read the fields at the beginning of `bytes`, which has all of them, or EXPORT_HEAD_MAX of it. Texts are in the arena. OK:
 * *length_out is how long they are; prefix and text follow. PERM: the text says what is wrong, and in which line. */
struct verdict export_read(struct arena *a, struct str bytes, struct exported *x_out, size_t *length_out);

#endif
