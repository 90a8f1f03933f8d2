/* profiles.h - what is known of providers that many people send through (src/config/profiles.def). The loader fills the values in
 * where the file has none; the manual and the command line show them. Static data: nothing here is freed. */
#ifndef POSTHOUSE_PROFILES_H
#define POSTHOUSE_PROFILES_H

#include "posthouse/arena.h"

#define PROFILES_DATE "2026-11" /* when the facts were collected */

/* What a login looks like there. */
enum profile_form {
	FORM_FREE,    /* not known */
	FORM_ADDRESS, /* a mail address */
	FORM_WORD,    /* the same word for everybody */
	FORM_ID,      /* a key or a number, but no address */
};
enum profile_null { NULL_UNKNOWN, NULL_TAKEN, NULL_REFUSED };

/* Texts that are NULL and numbers that are 0 are not known, or there is no limit. */
struct profile {
	const char *name;
	const char *host;                  /* "REGION" in it is replaced by upstreams.region … */
	const char *region;                /* … or by this region; NULL: there must be one in the file */
	unsigned port;                     /* 465: TLS from the start; otherwise STARTTLS */
	const char *mechanisms;            /* in the order of use, with blanks between */
	unsigned form;                     /* enum profile_form */
	const char *login;                 /* what the login is, in words; FORM_WORD: the login */
	const char *password;              /* what the provider calls it; NULL: it takes none, only tokens */
	bool open;                         /* an address of ours that is registered there is enough: no login is needed */
	const char *from;                  /* what From can be */
	bool only_own_from;                /* it refuses every other From than the address of the account */
	unsigned null_sender;              /* enum profile_null: is the sender <> of reports taken? */
	unsigned oauth;                    /* enum oauth_provider: whose tokens it takes */
	const char *tenant;                /* for upstreams.oauth.tenant */
	bool own_ca;                       /* its certificate is not of a public issuer: the key ca is needed */
	const char *messages, *recipients; /* rates with blanks between */
	uint64_t recipients_per_message, message_size, connections, messages_per_connection;
	const char *spf;   /* what the sender's SPF record includes for it; "REGION" as in host; NULL: nothing, or not known */
	bool own_envelope; /* it sends with an envelope sender of its own domain: SPF of the sender's domain is not asked */
	bool signs;        /* with a key for the sender's domain, when the records that it asks for are published there */
	const char *hint;  /* the sentence for those who do this for the first time */
	char confidence;   /* 'A', 'B', 'C': see profiles.def */
};

extern const struct profile profiles[];
extern const size_t profiles_n;

/* By its name or another name of it. NULL: there is none. */
const struct profile *profile_find(struct str name);
/* The other names, with blanks between; "": none. */
struct str profile_aliases(const struct profile *p, struct arena *a);

/* Is it a domain in which everybody can have a mailbox? *profile_out: of its provider; NULL: none is known. */
bool mailbox_domain(struct str domain, const struct profile **profile_out);

bool profile_wants_region(const struct profile *p);
/* The host in a region (""; the profile's own); "": the region is needed. */
struct str profile_host(const struct profile *p, struct arena *a, struct str region);
/* The domain that the sender's SPF record includes, in a region (""; the profile's own); "": none is known. */
struct str profile_spf(const struct profile *p, struct arena *a, struct str region);
unsigned profile_tls(const struct profile *p);                      /* enum upstream_tls */
bool profile_login_fits(const struct profile *p, struct str login); /* has it the form that logins have there? */

/* All that is known, for people: "host", "smtp.gmail.com". Returns how many facts there are; what is not known is left out. */
#define PROFILE_FACTS_MAX 24
struct profile_fact {
	const char *label;
	struct str value;
};
size_t profile_facts(const struct profile *p, struct arena *a, struct profile_fact facts_out[PROFILE_FACTS_MAX]);

#endif
