/* names.h - logins and passwords as people type them, in the canonical form that is stored and compared: passwords and the
 * names that SCRAM carries by SASLprep (RFC 4013), logins by PRECIS UsernameCaseMapped (RFC 8265 section 3.3). Pure
 * functions. */
#ifndef POSTHOUSE_NAMES_H
#define POSTHOUSE_NAMES_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"
#include "posthouse/utf8.h"
#include "posthouse/verdict.h"

/* RFC 4013 with its normalisation (form KC), by the tables of libidn, which clients with SASLprep use too. Characters newer than
 * Unicode 3.2 stay as they are: section 2.5 forbids them in stored passwords, but people use emojis. *prepared_out is replaced.
 * PERM 550 5.5.2: empty, not UTF-8, or with characters that RFC 4013 forbids; the text says which. */
struct verdict saslprep(struct str text, struct secret *prepared_out);

/* Normalise width, case and composition of one part of a login, without '@' and '/'. False: PRECIS does not allow the name. */
bool precis_username(struct arena *a, struct str part, struct str *name_out);

/* A login ("name", "name@realm", or either with "/device") in the form that the whole program uses: the name by PRECIS, the realm
 * as A-labels in lower case, the device with ASCII letters in lower case. A name that PRECIS does not allow, as old accounts can
 * have, also gets only its ASCII letters in lower case. */
struct str login_canonical(struct arena *a, struct str login);

/* A domain, with U-labels or A-labels, as A-labels in lower case (IDNA2008, RFC 5891 5: "straße" is not "strasse") and without a
 * dot at its end. Only capitals are mapped, so two domains that look different stay different. A domain that IDNA does not
 * allow comes back with its ASCII letters in lower case. */
struct str domain_canonical(struct arena *a, struct str domain);

/* A domain as DNS and next hops take it: A-labels in lower case, after the mapping of UTS 46 (non-transitional, RFC 5891 5:
 * "straße" is not "strasse"). The syntax of ASCII names is not checked. False: IDNA does not allow it, the mapping has made
 * characters of it that no name has, or it has a NUL. */
bool domain_to_ascii(struct arena *a, struct str domain, struct str *name_out);

/* A text in the form in which people compare: without case (Unicode's full folding), in form KC, so that neither composition nor
 * width matters. Of what is no UTF-8 only ASCII letters change. */
struct str text_folded(struct arena *a, struct str text);

/* Is a login in the form of login_canonical(), with a name that PRECIS allows? */
bool login_is_proper(struct str login);

#endif
