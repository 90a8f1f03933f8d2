/* config.h - the validated configuration as plain structs. Only master and the command line read the file (loader.c, which
 * alone knows libconfig); a role gets its slice of these structs through a sealed memfd (slice.c). Every key is a row of the
 * one table in src/config/schema.c: type, target, default, bounds, which roles see it, whether a reload can change it, help.
 *
 * Durations are milliseconds, sizes bytes. All views point into `arena`. A text that is not set is empty. */
#ifndef POSTHOUSE_CONFIG_H
#define POSTHOUSE_CONFIG_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/config_store.h"
#include "posthouse/mail.h"
#include "posthouse/tls_policy.h"
#include "posthouse/verdict.h"

enum listen_tls { LISTEN_STARTTLS, LISTEN_IMPLICIT };
enum tls_version { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };
enum sandbox { SANDBOX_ON, SANDBOX_OFF };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum bare_newline { BARE_NEWLINE_NORMALIZE, BARE_NEWLINE_REFUSE };

struct rate {
	uint64_t amount;
	uint64_t window_ms;
};

struct rate_list {
	struct rate *at;
	size_t n;
};

struct cfg_listen {
	struct str address; /* "*" = IPv4 and IPv6 */
	uint64_t port;
	unsigned tls;             /* enum listen_tls */
	uint64_t max_connections; /* 0 = no limit of its own */
	struct str_list proxy_protocol;
};

/* The loader fills chain_pem and key_pem from the files: the roles that need them have no permission to read these files. */
struct cfg_certificate {
	struct str chain, key; /* paths */
	struct str chain_pem, key_pem;
};

struct cfg_senders {
	struct str user;
	struct str_list addresses; /* patterns */
	bool resent;               /* is allowed to resend messages of others */
};

/* A pending key is loaded, so that it can become active at any time; a retired one too, for what is being signed meanwhile. */
enum sign_state { SIGN_ACTIVE, SIGN_PENDING, SIGN_RETIRED };

struct cfg_sign {
	struct str domain; /* lower-case A-label */
	struct str selector;
	struct str key;     /* path */
	struct str key_pem; /* vault only */
	unsigned algorithm; /* enum dkim_algorithm of mail.h, found from the key by the loader */
	struct str record;  /* found from the key too: the text of the record to publish */
	unsigned state;     /* enum sign_state */
	bool oversign;      /* see struct dkim_key */
	struct str since;   /* "2027-03-02T14:02:11Z": when it came into this state; "": not known */
	struct str seen;    /* when the domain's own servers had the record first; "": not seen, or no look since it went away */
};

/* How the token for an upstream is obtained (RFC 6749). `provider` gives the values that are empty, see oauth.def. */
enum oauth_provider {
	OAUTH_NONE, /* this upstream has no OAuth */
#define OAUTH(ID, ...) OAUTH_##ID,
#include "posthouse/oauth.def"
};
enum oauth_grant { GRANT_REFRESH_TOKEN, GRANT_CLIENT_CREDENTIALS, GRANT_SERVICE_ACCOUNT, GRANT_COMMAND };
struct cfg_oauth {
	unsigned provider, grant; /* enum oauth_provider, enum oauth_grant */
	struct str client_id, client_secret, tenant, scope;
	struct str token_url, authorization_url, device_url; /* device_url "": the provider has none for this scope */
	struct str refresh_token;                            /* the first one; later ones are vault's to keep */
	struct str service_account, key, key_pem;            /* RFC 7523: issuer, path of its key, the key itself */
	struct str_list command;                             /* prints a token; run by master as the roles' user */
};

struct cfg_warmup {
	uint64_t start, double_each_ms; /* messages a day at first, 0: no warm-up; and when they are twice as many */
};

struct cfg_upstream {
	struct str name, host;
	uint64_t port;
	unsigned tls;        /* enum upstream_tls */
	struct str login;    /* empty: no AUTH, or as the certificate says */
	struct str password; /* vault only; also from password_file */
	struct cfg_oauth oauth;
	struct cfg_warmup warmup;
	uint64_t connections;
	struct str ca;                           /* path to a PEM bundle; empty = the system's */
	struct str ca_pem;                       /* its content, filled by the loader */
	struct str certificate, certificate_key; /* paths: our certificate there; empty: none */
	struct str certificate_pem;              /* relay only; the content, filled by the loader */
	struct str certificate_key_pem;          /* vault only; the same */
	struct str tls_name;                     /* the name that the certificate must have; empty = host */
	struct str_list tls_fingerprints;        /* "sha256:" and 64 digits, of the certificate or of its key */
	struct rate_list messages;               /* set here, or by the profile; so are the next five */
	struct rate_list recipients;
	uint64_t recipients_per_message, message_size, messages_per_connection; /* 0: no limit */
	struct str profile, region; /* values of the profile are filled in where they are not set: see profiles.h */
	struct str_list mechanisms; /* to log in with, in order; empty: all that the relay knows */
	struct str_list avoid;      /* extensions that are not used although it offers them */
	struct str report_sender;   /* of reports and notifications; "": the general one, config.report_sender */
	bool rewrite_from;          /* mail goes there from one address only: */
	struct str from_address;    /* "": the login */
	struct str_list senders;    /* patterns of the senders that it serves; the loader has made routes of them */
};

#define NULL_SENDER "<>" /* among the senders of a route: the null sender of reports */
struct cfg_route {
	struct str_list senders, recipients, users; /* patterns; empty = any. users without @ have got the realm by the loader */
	struct str_list via;                        /* entries, see via_read(); at least one, each name once */
	unsigned tls;                               /* enum tls_require, of mail to "mx"; DEFAULT: it says nothing */
	uint64_t place;                             /* in the list of the file, from 1; 0: the loader has made the route */
};

/* An entry of `via`: the name of an upstream, or "mx", and perhaps its weight: "ses", "ses:3". weight 0: it has none. */
struct via {
	struct str name;
	uint64_t weight;
};

/* The TLS that a listed host must use: the same as all clients; also TLS 1.0 and old ciphers; any of these, or none. */
enum device_tls { DEVICE_TLS_MODERN, DEVICE_TLS_LEGACY, DEVICE_TLS_NONE };

struct cfg_device {
	struct str_list networks;
	struct str user; /* with realm */
	struct str sender;
	struct str_list recipients; /* patterns */
	struct rate_list messages;  /* of each host by itself */
	unsigned tls;               /* enum device_tls */
	bool i_know;
};

#define LISTEN_LOCAL 1000000 /* in the place of an index of `listen`: the socket for programs of this machine */

struct cfg_local_user {
	struct str user;          /* a name or number of this machine, or "*" */
	struct str login, sender; /* login with realm; "": not given */
	bool refuse;
};

struct cfg_rewrite {
	struct str sender, recipient; /* patterns: one of them is given */
	struct str to;                /* an address, or "@domain": the local part stays */
	bool headers;
};

enum limit_over { OVER_UNSET, OVER_REJECT, OVER_HOLD };
enum breaker_switch { BREAKER_UNSET, BREAKER_ON, BREAKER_OFF };

struct cfg_limits_user {
	struct str user; /* with realm: "alice@example.org", or "alice@example.org/phone" */
	struct rate_list messages, recipients, bytes, new_recipients; /* empty: not named */
	uint64_t connections, priority;                               /* 0: not named */
	unsigned over, breaker;                                       /* UNSET: not named */
};

struct cfg_limits {
	struct rate_list messages, recipients, bytes, new_recipients;
	uint64_t recipients_per_message, message_size;
	uint64_t messages_per_session;    /* 0 = no limit */
	uint64_t connections;             /* of a login, at once; 0 = no limit */
	uint64_t connections_per_network; /* that are not logged in, at once; 0 = no limit */
	uint64_t connections_per_site;    /* the same of wider networks, see site_of() */
	uint64_t priority;                /* the highest MT-PRIORITY that a login can ask for */
	unsigned over;                    /* enum limit_over */
	unsigned breaker;                 /* enum breaker_switch */
	struct cfg_limits_user *users;
	size_t users_n;
};

/* What counts as a sudden change of a login's behaviour, see limits.breaker. */
struct cfg_breaker {
	struct rate new_recipients; /* amount 0: not watched */
	uint64_t bounces;           /* per cent of recipients; 0: not watched */
	struct rate networks;       /* amount 0: not watched */
};

struct cfg_auth {
	struct str_list mechanisms;
	struct str backend, realm;
	struct str_list options; /* "name=value", for Cyrus */
	struct rate failures;    /* amount 0: not counted */
	uint64_t timeout_ms;     /* of one step of the back-end */
	bool old_clients;        /* EHLO has an AUTH= line too */
};

struct cfg_queue {
	uint64_t *retry_ms; /* at least one; the last repeats */
	size_t retry_n;
	uint64_t warn_after_ms; /* 0 = never */
	uint64_t lifetime_ms, min_free, keep_history_ms, max_messages;
};

struct cfg_timeouts {
	uint64_t connect_ms, greeting_ms, command_ms, data_ms;
};

struct cfg_delivery {
	uint64_t connections_per_destination, reuse, port;
	bool ipv4, ipv6, dane, mta_sts;
	bool uses_dane, uses_mta_sts; /* and some route is direct; or an upstream, a route or an entry of tls needs it */
	struct cfg_warmup warmup;
	struct str_list avoid;                         /* as in cfg_upstream, of all domains' own servers */
	struct str_list source;                        /* local addresses to send from: at most one per family is used */
	struct str_list allow_networks, deny_networks; /* of mail servers: see relay/reach.c */
	struct str resolver, trust_anchor;             /* dns.h */
	struct str_list unsigned_zones;                /* dns_library.h */
	unsigned tls;                                  /* enum tls_require, of domains that no entry of `tls` is about */
	struct cfg_timeouts timeouts;
};

/* from "": there are no reports about TLS. contact: never "" when there are. */
struct cfg_tls_report {
	struct str from, org, contact;
};

struct source_run;

/* A file that holds a password or a private key, and whether its mode lets everybody read it; never where orchestrators give
 * secrets: on read-only and memory file systems, and below /run/secrets. */
struct secret_file {
	struct str path;
	bool readable;
};

/* An account that a variable asks for. */
struct environment_user {
	struct str login, password, variable;
};

/* What variables ask for that is no key: the command line makes it. */
struct environment {
	struct environment_user *users;
	size_t users_n, users_capacity;
	struct str_list domains;   /* in lower case */
	bool dkim;                 /* with keys, which are made where they are missing: */
	struct str_list selectors; /* "NAME", "DOMAIN=NAME" */
};

struct config {
	struct arena arena;
	struct environment *environment; /* NULL: no variables were read; not in slices */
	struct str file;                 /* where it was read from */
	struct str source;               /* the text that was read, with its includes; not in slices */
	struct source_run *source_runs;  /* the files of its lines; private to the loader */
	size_t source_runs_n;
	struct secret_file *secret_files; /* that the configuration names; not in slices */
	size_t secret_files_n, secret_files_capacity;
	struct str_list gateways; /* default gateways of this machine, found by the loader */
	struct str hostname, postmaster, state_dir, run_as, control, metrics;
	unsigned sandbox, tls_minimum; /* enum sandbox, enum tls_version */
	struct str report_sender;      /* address of reports and notifications; "": mailer-daemon@ a domain that has a key */
	uint64_t shutdown_grace_ms;
	struct cfg_listen *listen;
	size_t listen_n;
	struct cfg_certificate *certificates;
	size_t certificates_n;
	struct str tls_ticket_secret; /* TLS_TICKET_SECRET bytes of net.h, made at each load, of all submission processes */
	struct str ticket_secret;     /* of the tickets of sessions, for queue alone; master keeps it over reloads */
	struct cfg_auth auth;
	struct cfg_senders *senders;
	size_t senders_n;
	struct cfg_limits limits;
	struct cfg_breaker breaker;
	struct cfg_device *devices;
	size_t devices_n;
	struct {
		struct str socket, drop; /* "": none */
		struct cfg_local_user *users;
		size_t users_n;
	} local;
	struct cfg_rewrite *rewrite;
	size_t rewrite_n;
	struct cfg_sign *sign;
	size_t sign_n;
	struct cfg_upstream *upstreams;
	size_t upstreams_n;
	struct cfg_route *routes; /* at least one */
	size_t routes_n;
	struct cfg_tls *tls;
	size_t tls_n;
	struct cfg_queue queue;
	struct cfg_delivery delivery;
	struct {
		struct str ca, ca_pem; /* path of a PEM bundle, empty = the system's; its content */
	} https;
	struct cfg_store store;
	struct cfg_tls_report tls_report;
	struct {
		bool daily;
		struct str_list addresses; /* that the world sees */
		struct str_list lists;     /* DNS block lists */
		struct str spamhaus_key;   /* a secret; "": lists are asked without */
		struct str_list probe;     /* domains whose mail servers are greeted */
		struct str_list ignore;    /* ids of checks, or "id:subject" */
	} doctor;
	struct {
		unsigned format; /* enum log_format */
		unsigned level;  /* enum log_level */
	} log;
	struct {
		uint64_t idle_ms, commands, errors, sessions; /* bounds of one client session; `sessions` at once per process */
		uint64_t workers;                             /* submission processes; 0 = one per core */
		uint64_t login_ms;                            /* from the connection to the login */
		uint64_t login_delay_ms;                      /* after a failed login */
		uint64_t future_release_ms;                   /* the longest FUTURERELEASE; 0: not offered */
		bool show_client;                             /* Received has the client's address */
		unsigned bare_newline;                        /* enum bare_newline */
	} submission;
};

/* One fault of a configuration. `text` says what was expected. line 0: the file as a whole. */
struct config_fault {
	struct str file;
	unsigned line;
	struct str text;
	bool warning;       /* does not prevent a start */
	bool made_at_start; /* a file is missing that `serve --env` makes */
};

struct config_faults {
	struct config_fault *at;
	size_t n;
};

/* ---- environment.c: master and command line only ---- */

#define CONFIG_ENVIRONMENT "environment" /* in place of a path: there is no file */

/* From now on this process makes configurations of the variables of its environment (posthouse-container(7)), together with the
 * file, whose values they replace. */
void config_use_environment(bool on);
bool config_uses_environment(void);

/* ---- loader.c: master and command line only ---- */

/* Read and validate `path` with everything it names (keys, certificates, password files). Always returns a config to be
 * freed with config_free(); it can be used only when faults_out has nothing but warnings; their texts live in its arena. */
struct config *config_load(const char *path, struct config_faults *faults_out);

/* The text that `old` was read from, although the files can have changed, but with keys, certificates and password files as they
 * are now. */
struct config *config_load_again(const struct config *old, struct config_faults *faults_out);

/* SHA-256 of the text that it was read from, hexadecimal, in `a`: two configurations of the same text, whatever its files hold,
 * have the same. "": nothing was read. */
struct str config_fingerprint(const struct config *c, struct arena *a);

/* ---- foreign.c: names that people bring from other programs ---- */

/* What takes the place of such a name, in any capitals, as the end of a sentence in `a`; "": it is none of theirs. */
struct str foreign_hint(struct arena *a, struct str name);

/* ---- places.c: command line only ---- */

/* Where the entry `i` (from 0) of a list ("routes") is, in `a`; false: it is not in the files. */
bool config_place(const struct config *c, struct arena *a, struct str list, size_t i, struct str *file_out, unsigned *line_out);

/* ---- source.c: master and command line only ---- */

/* Is the file (its whole path) the configuration itself, or included by it? */
bool config_includes(const struct config *c, struct str path);

/* ---- faults.c: master and command line only ---- */

/* "FILE:LINE: text", as people know it of compilers. */
struct str fault_text(struct arena *a, const struct config_fault *f);

/* Is there one that is no warning? */
bool faults_serious(const struct config_faults *faults);

/* Prints all of them on standard error. Returns the number of those that are not warnings. */
unsigned faults_print(const struct config_faults *faults);

/* ---- text.c ---- */

/* Is it a full host name: at least two labels of letters, digits and inner hyphens (RFC 1123 2.1)? */
bool host_name_valid(struct str name);
/* Of DKIM: letters, digits, '-' and '_', dots between. */
bool selector_valid(struct str s);
/* "recursive", or name servers as delivery.resolver has them: "192.0.2.53 127.0.0.1@5353". */
bool resolver_valid(struct str s);

/* "127.0.0.1:9587", "[::1]:9587", "*:9587": the address without brackets, and the port. False: it is nothing of the kind. */
bool endpoint_read(struct str s, struct str *address_out, unsigned *port_out);

struct via via_read(struct str entry);

/* ---- clients.c: master and command line only ---- */

/* A login in its full form: a name without @ gets the realm, before the '/' of a device. In `a`; "" stays. */
struct str login_complete(struct arena *a, struct str login, struct str realm);

/* ---- machine.c: master and command line only ---- */

/* Checks whether the relay would work on this machine as the run_as user: directories, their permissions, and other programs
 * that logins need. Tells each fault and warning: `text` goes on behind "KEY: PATH". Returns the number of faults. */
typedef void (*machine_fault_fn)(void *ctx, const struct config *c, const char *key, const char *path, const char *text,
				 bool warning);
unsigned machine_look(struct config *c, machine_fault_fn told, void *ctx);
/* The same, printed on standard error. */
unsigned machine_check(struct config *c);

/* ---- config.c, dump.c, slice.c: every role ---- */

void config_free(struct config *c); /* wipes secrets; NULL is allowed */

/* The keys that mail of the domain is signed with today, at most DKIM_KEYS_MAX: its own, or else those of the nearest domain
 * above it that has some; copies in the arena. The number. */
size_t config_dkim_keys(struct arena *a, const struct config *c, struct str domain, struct dkim_key *keys_out);
bool config_signs(const struct config *c, struct str domain); /* has it any? */

/* The same for a message with these authors: the keys of the first of them whose domain has some. Where others send it on
 * (RFC 5322 3.6.6; NULL: nobody does), those of the first of `resenders`, but none that could seem to be an author's. */
size_t config_author_keys(struct arena *a, const struct config *c, const struct str_list *authors,
			  const struct str_list *resenders, struct dkim_key *keys_out);

const struct cfg_upstream *config_upstream(const struct config *c, struct str name); /* NULL: no upstream has this name */
/* What the upstream has to log in with: enum sasl_needs, as bits. With OAuth never a password. */
unsigned config_credentials(const struct cfg_upstream *u);

/* The value of an option in auth.options; "" when the option is not there. */
struct str auth_option(const struct cfg_auth *auth, struct str name);

/* The name of the first key that differs between the two and that only a restart can change ("listen[].port"); NULL when there is
 * none. The name is static. */
const char *config_needs_restart(const struct config *old, const struct config *new);

/* The configuration in effect in the file's syntax, with all defaults, without secrets and keys not built yet. False: `b` is
 * full. */
bool config_dump(const struct config *c, struct buf *b);

/* Write the part of `c` that `role` (enum role_id of ipc.h) is allowed to see. False: it does not fit in `b` (16 MiB are
 * enough). */
bool config_slice_encode(const struct config *c, unsigned role, struct buf *b);

/* Read such a slice. Keys that are not in it have their zero value. NULL when it is damaged. */
struct config *config_slice_decode(unsigned role, struct str bytes);

#endif
