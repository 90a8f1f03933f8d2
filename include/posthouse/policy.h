/* policy.h - what the configuration decides about an address, a network or a login. Pure functions over the validated
 * configuration: no I/O, no clock, no state. Addresses are compared in their one form (address.h). Texts that are made are in
 * the arena that is given; all other texts that are returned are views of the arguments or of the configuration. */
#ifndef POSTHOUSE_POLICY_H
#define POSTHOUSE_POLICY_H

#include "posthouse/config.h"

/* ---- pattern.c: the one pattern grammar: `a@b`, `@b`, `@.b`, `root@.lan`, `*`; the sender addresses of logins ---- */

/* Does the address match? Domains and local parts are compared without case; `a+tag@b` matches `a@b`. */
bool pattern_matches(struct str pattern, struct str address);
bool patterns_match(const struct str_list *patterns, struct str address);

/* Is the login `user` allowed to use `address` (its domain in any form) as a sender? The first entry of `senders` for that login
 * decides; without an entry, only the login itself, when it is an address. A device login `alice/phone` counts as `alice`. The
 * null sender belongs to nobody. */
bool sender_allowed(const struct config *c, struct str user, struct str address);

/* Who sends in a session, and as what. */
struct sending_user {
	struct str login;
	bool any;          /* it is root of this machine, who is allowed to use every address */
	struct str forced; /* a listed host sends as this address, and no other; "": it is none */
};

/* Is this user allowed to use the address as the sender, or as an author? */
bool sends_as(const struct config *c, const struct sending_user *u, struct str address);

/* The first address of the list that it is not allowed to use; NULL: there is none. */
const struct str *first_foreign(const struct config *c, const struct sending_user *u, const struct str_list *addresses);

/* The entry of senders that decides about a login: its own one, or that of all others, "*". NULL: none. */
const struct cfg_senders *senders_of(const struct config *c, struct str user);

/* Is that login allowed to resend (RFC 5322 3.6.6) messages with another author in From? The same entry decides; without one:
 * no. */
bool sender_may_resend(const struct config *c, struct str user);

/* ---- network.c: IP addresses ("192.0.2.1", "2001:db8::1"; IPv4 in IPv6 counts as IPv4) and networks ("192.0.2.0/24", or one
 * address) ---- */

/* Is the address in the network? False for texts that are neither. */
bool network_contains(struct str network, struct str address);
bool networks_contain(const struct str_list *networks, struct str address);

/* ---- reach.c ---- */

/* Why nothing is sent to this address ("192.0.2.1", "2001:db8::1") although a domain names it: "a loopback address"; NULL: it can
 * be used. literal: a user has named the address itself. */
const char *address_obstacle(const struct cfg_delivery *d, struct str address, bool literal);

/* Do the two have an address in common? Has the network fewer fixed bits than those? False for texts that are no network. */
bool networks_overlap(struct str a, struct str b);
/* The parts of a network that are left when this address is taken out of it, at most NETWORK_PARTS; the network itself, when the
 * address is not in it. `parts` has room for them. */
#define NETWORK_PARTS 128
void network_without(struct arena *a, struct str network, struct str address, struct str_list *parts);
bool network_wider(struct str network, unsigned v4_bits, unsigned v6_bits);

/* Has the text bits behind those that count ("192.0.2.77/24")? Then nobody knows whether the host is meant or its network. */
bool network_names_host(struct str network);

/* Can the whole Internet reach an address like this? Not so: private, shared and link-local ones, and those of documentation. */
bool address_is_public(struct str address);

/* The key under which failures and connections of a client are counted: an IPv4 address by itself, the /64 of an IPv6 address.
 * In `a`. */
struct str network_of(struct arena *a, struct str address);

/* The addresses that a provider gives to one customer, or to few: the /24 of an IPv4 address, the /48 of an IPv6 address. In
 * `a`. */
struct str site_of(struct arena *a, struct str address);

/* ---- login_limits.c: the limits of logins and devices ---- */

struct user_limits {
	struct rate_list messages, recipients, bytes, new_recipients;
	uint64_t connections, priority;
	bool hold, breaker;
};

/* Of a login (with realm): `limits`, and in their place what the first entry of limits.users for that login sets. */
void limits_of_login(const struct config *c, struct str login, struct user_limits *limits_out);

/* Further limits that count for one device of the login: a device password ("phone": the entry "alice@example.org/phone"), or a
 * listed host, whose device is "@" and its address ("@192.168.1.20": the `messages` of its entry in devices). Only rates; empty
 * ones when there are none. */
void limits_of_device(const struct config *c, struct str login, struct str device, struct user_limits *limits_out);

/* The entry of devices that lists this host; NULL: none. */
const struct cfg_device *device_at(const struct config *c, struct str address);

/* ---- route.c: the conditions of routes ---- */

/* Does a login match one of the `users` of a route? They are names; where they look like patterns, they are taken as such. A
 * device login counts as its account. */
bool route_users_match(const struct str_list *users, struct str login);

/* The first condition of the route that does not hold for such mail; ROUTE_APPLIES: all hold. */
enum route_condition { ROUTE_APPLIES, ROUTE_SENDERS, ROUTE_RECIPIENTS, ROUTE_USERS };
enum route_condition route_unmet(const struct cfg_route *r, struct str login, struct str sender, struct str recipient);

/* ---- tls.c: TLS to the mail servers of a domain (lower case, A-labels) ---- */

/* The entry of `tls` that counts: the first one that fits. NULL: there is none. */
const struct cfg_tls *tls_entry_of(const struct config *c, struct str domain);
/* What the route of the mail says (route; DEFAULT: nothing), else that entry; without one, what delivery.tls says, which is not
 * about mail with "TLS-Required: No". `ca` and `names` of the entry count for "verified", whoever says it. */
struct cfg_tls_demand tls_demand_of(const struct config *c, struct str domain, enum tls_require route, enum tls_wish wish);

/* ---- rewrite.c: the `rewrite` rules ---- */

/* The address that the first matching rule puts in the place of `address`, as a sender or as a recipient; the very view
 * `address` when no rule matches. `in_header`: only rules with headers = true. */
struct str rewrite_address(const struct config *c, struct arena *a, bool is_sender, bool in_header, struct str address);

/* ---- local.c: users of this machine, and the names that they use for addresses ---- */

#define LOCAL_SELF   "*"      /* as the address of MAIL: the sender of my login; no user is called so */
#define LOCAL_DEVICE "@local" /* the device of all that is sent from this machine without a password */

struct local_user {
	struct str name; /* of the user on this machine; its number, when it has no name */
	uint64_t uid;
	struct str login, sender; /* login with realm; sender of mail that names none: "" when there is none */
	size_t entry;             /* of local.users; local.users_n: none */
	bool refused;
};

/* What local.users says about the user. `name` can be "". Texts are in `a` or those of the configuration. */
void local_user_of(const struct config *c, struct arena *a, struct str name, uint64_t uid, struct local_user *u_out);

/* Is the address a name of this machine ("root", "root@localhost", or at the host's name where that is not the realm)?
 * *name_out is what is before the @. */
bool local_name(const struct config *c, struct str address, struct str *name_out);

/* The sender that a local user means, before rewriting: LOCAL_SELF, its own name and its number stand for u->sender, other
 * names of the machine are in the realm. "": it has none. */
struct str local_sender(const struct config *c, struct arena *a, const struct local_user *u, struct str address);

/* An address in a field of the header section, where programs write names of users other than the one as whom they run (cron:
 * "From: root (Cron Daemon)"): in a field of senders it stands for the user's own sender. For root, and in a field of recipients,
 * it is NAME in the realm. The same view: it is no name of this machine. */
struct str local_field(const struct config *c, struct arena *a, const struct local_user *u, bool is_sender, struct str address);

/* The author of reports of pickup, which are about files of users. */
struct str local_report_sender(const struct config *c, struct arena *a);

/* The recipient that is meant, after rewriting: by the rules for NAME in the realm, then the postmaster for root, postmaster,
 * mailer-daemon and `system_users` (names, with spaces between). *postmaster_out: it is for the postmaster as such. An address
 * elsewhere is rewritten only. */
struct str local_recipient(const struct config *c, struct arena *a, struct str system_users, struct str address,
			   bool *postmaster_out);

#endif
