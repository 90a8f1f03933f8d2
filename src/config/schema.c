/* schema.c - every key of the configuration file, once. To add one: a row here, a field in config.h, a line in
 * etc/posthouse.conf, and `POSTHOUSE_UPDATE=1 meson test config_manual` for the manual. */
#include "schema.h"

#include "posthouse/roles.h"

/* Whose slice has a key: the roles as bits. */
enum {
#define ROLE(ID, ...) ID = 1u << ROLE_##ID,
#include "posthouse/roles.def"
	EVERY = B_ROLES
};

#define AT(field)             offsetof(struct config, field), 0
#define ARRAY(field)          offsetof(struct config, field.at), offsetof(struct config, field.n)
#define COUNTED(field, n)     offsetof(struct config, field), offsetof(struct config, n)
#define IN(type, field)       offsetof(struct type, field), 0
#define ARRAY_IN(type, field) offsetof(struct type, field.at), offsetof(struct type, field.n)
#define NO_TARGET             0, 0
#define NO_BOUNDS             NULL, NULL

/* path, type, target, default, lower, upper, roles, flags, help; then by name what only some rows have. */
/* clang-format off */
const struct key config_keys[] = {
	{ "hostname", CFG_TEXT, AT(hostname), NULL, NO_BOUNDS, EVERY, REQUIRED | LOWER_CASE,
	  "This machine's full name: greeting, EHLO, Received fields, reports.", .format = &format_fqdn,
	  .example = "relay.example.org" },
	{ "postmaster", CFG_TEXT, AT(postmaster), NULL, NO_BOUNDS, SUBMISSION | QUEUE | CONSOLE | DOCTOR | PICKUP,
	  REQUIRED | RELOADABLE,
	  "The administrator's address: gets notifications, and reports that cannot be sent to a sender.",
	  .format = &format_mailbox,
	  .example = "postmaster@example.org" },
	{ "report_sender", CFG_TEXT, AT(report_sender), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR | PICKUP, RELOADABLE,
	  "The address in From of reports and notifications, and their envelope sender through upstreams; direct delivery keeps "
	  "the null sender <> (RFC 3464) until that is refused. They are signed when the domain of this address has a key in "
	  "sign. Without this key: mailer-daemon@ the first of these domains that has a key in sign (hostname, the domains "
	  "above it, the domain of postmaster), and the null sender.", .format = &format_mailbox,
	  .example = "mailer-daemon@example.org" },
	{ "state_dir", CFG_TEXT, AT(state_dir), "/var/lib/posthouse", NO_BOUNDS,
	  LOGIN | VAULT | QUEUE | CONSOLE | DOCTOR | TLSPOLICY, PATH,
	  "Queue, large messages and accounts. It must be on a disk: a tmpfs or a network file system is refused.",
	  .format = &format_path },
	{ "run_as", CFG_TEXT, AT(run_as), "posthouse", NO_BOUNDS, CONSOLE, 0,
	  "The user that the roles run as when the relay is started as root; ignored otherwise. Where the machine has them, the "
	  "user with \"-net\" behind this name takes the roles that talk to others, that with \"-key\" the one that signs, and "
	  "that with \"-login\" the one that checks passwords: see posthouse-operation(7).",
	  .format = &format_name },
	{ "sandbox", CFG_ENUM, AT(sandbox), "on", NO_BOUNDS, EVERY, 0,
	  "Whether each role gives up all that it does not need before it serves anybody: system calls, files, ports, new "
	  "programs. What the kernel or a container does not know is left out; posthouse status shows what holds. \"off\" is for "
	  "finding faults, with strace or a debugger.", .choices = sandbox_choices },
	{ "shutdown_grace", CFG_TIME, AT(shutdown_grace_ms), "8s", "0s", "10m", 0, RELOADABLE,
	  "Time that open sessions and deliveries get to finish when the relay is stopped; after it they are broken off, and "
	  "the mail is tried again later. Containers are killed after 10 s." },

	{ "listen", CFG_LIST, COUNTED(listen, listen_n),
	  "( { address = \"*\"; port = 587; tls = \"starttls\"; }, { address = \"*\"; port = 465; tls = \"implicit\"; } )",
	  NO_BOUNDS,
	  SUBMISSION | LOGIN | RELAY | DOCTOR,
	  0, "Addresses and ports where clients connect.", .element_size = sizeof(struct cfg_listen) },
	{ "listen[].address", CFG_TEXT, IN(cfg_listen, address), "*", NO_BOUNDS, SUBMISSION | DOCTOR, 0,
	  "\"*\" is every address of the machine, IPv4 and IPv6.", .format = &format_address },
	{ "listen[].port", CFG_INT, IN(cfg_listen, port), NULL, "1", "65535", SUBMISSION | RELAY | DOCTOR, REQUIRED,
	  "The TCP port.", .example = "587" },
	{ "listen[].tls", CFG_ENUM, IN(cfg_listen, tls), NULL, NO_BOUNDS, SUBMISSION | DOCTOR, REQUIRED,
	  "Whether TLS begins by the STARTTLS command (usual on 587) or at once (usual on 465).", .choices = listen_tls_choices,
	  .example = "starttls" },
	{ "listen[].max_connections", CFG_INT, IN(cfg_listen, max_connections), "0", "0", "1000000", SUBMISSION, 0,
	  "Connections to this port at once; 0: only the common limit (submission.sessions)." },
	{ "listen[].proxy_protocol", CFG_TEXTS, ARRAY_IN(cfg_listen, proxy_protocol), NULL, NO_BOUNDS, SUBMISSION | LOGIN, 0,
	  "Networks of load balancers that send the PROXY header (version 1 or 2): connections from there are served only with "
	  "the header, which gives the client's address. From other networks the header is an unknown command.",
	  .format = &format_network,
	  .example = "192.0.2.0/24" },
	{ "control", CFG_TEXT, AT(control), "/run/posthouse/control.sock", NO_BOUNDS, CONSOLE, PATH,
	  "The socket of the administration commands. root, the run_as user and members of the group posthouse-admin have "
	  "access.",
	  .format = &format_socket },
	{ "metrics", CFG_TEXT, AT(metrics), NULL, NO_BOUNDS, WEB, 0,
	  "Address and port where monitoring gets /metrics (OpenMetrics, for Prometheus), /healthz and /readyz by HTTP, without "
	  "login: see posthouse-monitoring(7). Without this key: nowhere.", .format = &format_endpoint,
	  .example = "127.0.0.1:9587" },

	{ "certificates", CFG_LIST, COUNTED(certificates, certificates_n), NULL, NO_BOUNDS, SUBMISSION | DOCTOR,
	  REQUIRED | RELOADABLE,
	  "The certificates for clients: those with the name that the client asks for (SNI), one for each kind of key; "
	  "otherwise the first. They are read again when their files change.", .element_size = sizeof(struct cfg_certificate),
	  .example = "( { chain = \"/etc/posthouse/fullchain.pem\"; key = \"/etc/posthouse/privkey.pem\"; } )" },
	{ "certificates[].chain", CFG_TEXT, IN(cfg_certificate, chain), NULL, NO_BOUNDS, SUBMISSION | DOCTOR,
	  REQUIRED | RELOADABLE | PATH,
	  "PEM file with the certificate, followed by the certificates of its issuers.", .format = &format_path,
	  .example = "/etc/posthouse/fullchain.pem" },
	{ "certificates[].key", CFG_TEXT, IN(cfg_certificate, key), NULL, NO_BOUNDS, SUBMISSION, REQUIRED | RELOADABLE | PATH,
	  "PEM file with the private key of the certificate, without passphrase.", .format = &format_path,
	  .example = "/etc/posthouse/privkey.pem" },
	{ "certificates[].chain_pem", CFG_TEXT, IN(cfg_certificate, chain_pem), NULL, NO_BOUNDS, SUBMISSION | DOCTOR,
	  RELOADABLE | FILLED,
	  "" },
	{ "certificates[].key_pem", CFG_SECRET, IN(cfg_certificate, key_pem), NULL, NO_BOUNDS, SUBMISSION, RELOADABLE | FILLED,
	  "" },
	{ "tls_minimum", CFG_ENUM, AT(tls_minimum), "1.2", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "The oldest TLS version that clients are allowed to use. Versions before 1.2 are only for hosts in devices.",
	  .choices = tls_version_choices,
	  .hint = "hosts that can do only older ones are listed in devices with tls = \"legacy\"" },

	{ "gateways", CFG_TEXTS, ARRAY(gateways), NULL, NO_BOUNDS, SUBMISSION, RELOADABLE | FILLED, "" },
	{ "tls_ticket_secret", CFG_SECRET, AT(tls_ticket_secret), NULL, NO_BOUNDS, SUBMISSION, RELOADABLE | FILLED, "" },
	{ "ticket_secret", CFG_SECRET, AT(ticket_secret), NULL, NO_BOUNDS, QUEUE, RELOADABLE | FILLED, "" },

	{ "auth", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "How clients log in.",
	  .example = "{ backend = \"accounts\"; realm = \"example.org\"; }" },
	{ "auth.mechanisms", CFG_TEXTS, ARRAY(auth.mechanisms), "PLAIN LOGIN SCRAM-SHA-256", NO_BOUNDS, SUBMISSION | LOGIN, 0,
	  "The mechanisms that AUTH offers, always under TLS only. Without this key, mechanisms that the back-end cannot do "
	  "(saslauthd: SCRAM) are not offered.", .choices = mechanism_choices },
	{ "auth.backend", CFG_TEXT, AT(auth.backend), "accounts", NO_BOUNDS, LOGIN, 0,
	  "Where passwords are checked: the account file in state_dir, or a back-end of Cyrus SASL.",
	  .choices = backend_choices },
	{ "auth.realm", CFG_TEXT, AT(auth.realm), NULL, NO_BOUNDS, SUBMISSION | LOGIN | QUEUE | CONSOLE | DOCTOR, LOWER_CASE,
	  "The domain of logins without @. Without this key: hostname.", .format = &format_domain, .example = "example.org" },
	{ "auth.options", CFG_OPTIONS, ARRAY(auth.options), NULL, NO_BOUNDS, LOGIN, 0,
	  "Options passed to Cyrus SASL as they are: { name = \"value\"; }. NAME_file = \"path\" reads the value from a file.",
	  .example = "saslauthd_path=/run/saslauthd/mux" },
	{ "auth.failures", CFG_RATE, AT(auth.failures), "10/10m", NO_BOUNDS, QUEUE, RELOADABLE,
	  "Failed logins per client network (an IPv4 address, or the /64 of an IPv6 address), and per login from networks that "
	  "it has not used lately. With more, the network or login is banned, first for the time of the rate, then each time "
	  "for twice as long: a network for a day at most, a login for an hour. The same wrong password counts once; a network "
	  "with recent successful logins is slowed down instead. \"\": no bans." },
	{ "auth.timeout", CFG_TIME, AT(auth.timeout_ms), "10s", "100ms", "1m", LOGIN, RELOADABLE,
	  "Time that the back-end gets for one step of a login; then the client gets 454 4.7.0." },
	{ "auth.old_clients", CFG_BOOL, AT(auth.old_clients), "false", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "Whether the reply to EHLO also has an AUTH= line, which clients from before 1999 need." },

	{ "senders", CFG_LIST, COUNTED(senders, senders_n), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, RELOADABLE,
	  "The sender addresses that a login is allowed to use. A login without an entry is allowed to use only itself, when it "
	  "is an address.", .element_size = sizeof(struct cfg_senders), .example = "( { user = \"alice\"; addresses = [ "
	  "\"alice@example.org\", \"info@example.org\" ]; } )" },
	{ "senders[].user", CFG_TEXT, IN(cfg_senders, user), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, REQUIRED | RELOADABLE,
	  "The login, with or without realm; \"*\": every login that has no entry of its own.", .format = &format_any_login,
	  .example = "alice" },
	{ "senders[].addresses", CFG_TEXTS, ARRAY_IN(cfg_senders, addresses), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR,
	  REQUIRED | RELOADABLE,
	  "Patterns of all sender addresses that this login is allowed to use.", .format = &format_pattern,
	  .example = "@example.org" },
	{ "senders[].resent", CFG_BOOL, IN(cfg_senders, resent), "false", NO_BOUNDS, SUBMISSION | QUEUE, RELOADABLE,
	  "Whether this login is allowed to resend messages of others (the bounce command of mutt, a helpdesk): a message with "
	  "another's address in From is then accepted when it has a Resent-From, and each Resent-From and Resent-Sender is an "
	  "address of this login. It is not signed for the domain in From." },

	{ "limits", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "Limits of what one login can send.",
	  .example = "{ messages = [ \"200/1h\", \"1000/1d\" ]; recipients_per_message = 50; }" },
	{ "limits.messages", CFG_RATES, ARRAY(limits.messages), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "Messages of a login in a given time.", .example = "200/1h 1000/1d" },
	{ "limits.recipients", CFG_RATES, ARRAY(limits.recipients), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "Recipients of a login in a given time.", .example = "500/1h" },
	{ "limits.bytes", CFG_RATES, ARRAY(limits.bytes), NULL, NO_BOUNDS, QUEUE, RELOADABLE | BYTES,
	  "Bytes of a login in a given time.", .example = "500M/1d" },
	{ "limits.new_recipients", CFG_RATES, ARRAY(limits.new_recipients), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "Recipients in a given time that the login has not written to in the last half year.", .example = "100/1d" },
	{ "limits.recipients_per_message", CFG_INT, AT(limits.recipients_per_message), "100", "1",
	  "10000", SUBMISSION | QUEUE, RELOADABLE,
	  "RCPT commands in one transaction; further ones get 452 4.5.3." },
	{ "limits.message_size", CFG_SIZE, AT(limits.message_size), "50M", "64K", "2G", SUBMISSION | QUEUE | PICKUP, RELOADABLE,
	  "The largest message; larger ones get 552 5.3.4." },
	{ "limits.messages_per_session", CFG_INT, AT(limits.messages_per_session), "0", "0", "1000000", SUBMISSION, RELOADABLE,
	  "Messages over one connection, announced by LIMITS MAILMAX; then the client gets 421. 0: no limit." },
	{ "limits.connections", CFG_INT, AT(limits.connections), "50", "0", "100000", QUEUE, RELOADABLE,
	  "Connections of a login at once; 0: no limit." },
	{ "limits.connections_per_network", CFG_INT, AT(limits.connections_per_network), "100", "0", "100000", QUEUE, RELOADABLE,
	  "Connections at once that are not logged in, per client network as in auth.failures; 0: no limit." },
	{ "limits.connections_per_site", CFG_INT, AT(limits.connections_per_site), "400", "0", "100000", QUEUE, RELOADABLE,
	  "The same per /24 of IPv4 and per /48 of IPv6, which can belong to one customer of a provider; 0: no limit." },
	{ "limits.priority", CFG_INT, AT(limits.priority), "4", "0", "9", SUBMISSION | QUEUE, RELOADABLE,
	  "The highest priority (MT-PRIORITY, RFC 6710) that a login can ask for; higher ones count as this one." },
	{ "limits.over", CFG_ENUM, AT(limits.over), "reject", NO_BOUNDS, QUEUE, RELOADABLE,
	  "What happens to mail over a limit: it is refused with 450 4.7.1 and the time to wait, or accepted and held; login and "
	  "postmaster are then notified.", .choices = over_choices },
	{ "limits.breaker", CFG_ENUM, AT(limits.breaker), "on", NO_BOUNDS, QUEUE, RELOADABLE,
	  "Whether a sudden change of a login's behaviour (see breaker) makes the relay hold its mail until an administrator has "
	  "looked at it.", .choices = breaker_choices },
	{ "limits.users", CFG_LIST, COUNTED(limits.users, limits.users_n), NULL, NO_BOUNDS, SUBMISSION | QUEUE, RELOADABLE,
	  "Limits of single logins: an entry replaces only the keys that it names.",
	  .element_size = sizeof(struct cfg_limits_user),
	  .example = "( { user = \"web\"; messages = [ \"5000/1h\" ]; } )" },
	{ "limits.users[].user", CFG_TEXT, IN(cfg_limits_user, user), NULL, NO_BOUNDS, SUBMISSION | QUEUE, RELOADABLE | REQUIRED,
	  "The login; without @ it is completed with auth.realm. With /NAME: the device password of that name, whose limits "
	  "apply together with those of its login.", .format = &format_device_login, .example = "web" },
	{ "limits.users[].messages", CFG_RATES, ARRAY_IN(cfg_limits_user, messages), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "As limits.messages.", .example = "5000/1h" },
	{ "limits.users[].recipients", CFG_RATES, ARRAY_IN(cfg_limits_user, recipients), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "As limits.recipients.", .example = "5000/1h" },
	{ "limits.users[].bytes", CFG_RATES, ARRAY_IN(cfg_limits_user, bytes), NULL, NO_BOUNDS, QUEUE, RELOADABLE | BYTES,
	  "As limits.bytes.", .example = "5G/1d" },
	{ "limits.users[].new_recipients", CFG_RATES, ARRAY_IN(cfg_limits_user, new_recipients), NULL, NO_BOUNDS, QUEUE,
	  RELOADABLE,
	  "As limits.new_recipients.", .example = "1000/1d" },
	{ "limits.users[].connections", CFG_INT, IN(cfg_limits_user, connections), "0", "0", "100000", QUEUE, RELOADABLE,
	  "As limits.connections; 0: the same." },
	{ "limits.users[].priority", CFG_INT, IN(cfg_limits_user, priority), "0", "0", "9", SUBMISSION | QUEUE, RELOADABLE,
	  "As limits.priority; 0: the same." },
	{ "limits.users[].over", CFG_ENUM, IN(cfg_limits_user, over), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "As limits.over.", .choices = user_over_choices, .example = "hold" },
	{ "limits.users[].breaker", CFG_ENUM, IN(cfg_limits_user, breaker), NULL, NO_BOUNDS, QUEUE, RELOADABLE,
	  "As limits.breaker.", .choices = user_breaker_choices, .example = "off" },

	{ "breaker", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0,
	  "What counts as a sudden change: the mail of a login that exceeds one of these is held, and login and postmaster are "
	  "notified, until \"posthouse limits reset USER\" (see limits.breaker).",
	  .example = "{ new_recipients = \"50/1h\"; bounces = 20; }" },
	{ "breaker.new_recipients", CFG_RATE, AT(breaker.new_recipients), "200/1h", NO_BOUNDS, QUEUE, RELOADABLE,
	  "Recipients that the login has not written to in the last half year. \"\": not watched." },
	{ "breaker.bounces", CFG_INT, AT(breaker.bounces), "30", "0", "100", QUEUE, RELOADABLE,
	  "Per cent of its recipients of the last hour (20 or more) that were refused permanently; 0: not watched." },
	{ "breaker.networks", CFG_RATE, AT(breaker.networks), "10/1h", NO_BOUNDS, QUEUE, RELOADABLE,
	  "Client networks that the login comes from. \"\": not watched." },

	{ "devices", CFG_LIST, COUNTED(devices, devices_n), NULL, NO_BOUNDS, SUBMISSION | LOGIN | QUEUE | DOCTOR,
	  RELOADABLE,
	  "Hosts that are allowed to send without a login: printers, scanners. Their mail has one sender, goes to the listed "
	  "recipients only, and counts as the mail of a login.", .element_size = sizeof(struct cfg_device),
	  .example = "( { networks = [ \"192.168.1.20/32\" ]; user = \"printer\"; sender = \"scanner@example.org\"; "
	  "recipients = [ \"@example.org\" ]; } )" },
	{ "devices[].networks", CFG_TEXTS, ARRAY_IN(cfg_device, networks), NULL, NO_BOUNDS, SUBMISSION | LOGIN | QUEUE | DOCTOR,
	  REQUIRED | RELOADABLE,
	  "Addresses of the devices. A network with the default gateway or a proxy in it is refused: otherwise any client "
	  "behind these would count as a device.", .format = &format_network, .example = "192.168.1.20/32" },
	{ "devices[].user", CFG_TEXT, IN(cfg_device, user), NULL, NO_BOUNDS, SUBMISSION | LOGIN | QUEUE, REQUIRED | RELOADABLE,
	  "The login that the device's mail counts for.", .format = &format_login, .example = "printer" },
	{ "devices[].sender", CFG_TEXT, IN(cfg_device, sender), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR,
	  REQUIRED | RELOADABLE,
	  "The sender of the device's mail, in the envelope and in From; it replaces the one that the device gives.",
	  .format = &format_mailbox, .example = "scanner@example.org" },
	{ "devices[].recipients", CFG_TEXTS, ARRAY_IN(cfg_device, recipients), NULL, NO_BOUNDS, SUBMISSION | QUEUE,
	  REQUIRED | RELOADABLE,
	  "Patterns of the recipients that the device is allowed to send to.", .format = &format_pattern,
	  .example = "@example.org" },
	{ "devices[].messages", CFG_RATES, ARRAY_IN(cfg_device, messages), NULL, NO_BOUNDS, SUBMISSION | QUEUE, RELOADABLE,
	  "Messages in a given time, counted for each host.", .example = "20/1d" },
	{ "devices[].tls", CFG_ENUM, IN(cfg_device, tls), "modern", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "\"modern\": the same TLS as all clients; \"legacy\": also TLS 1.0 with old ciphers; \"none\": also no TLS at all.",
	  .choices = device_tls_choices },
	{ "devices[].i_know", CFG_BOOL, IN(cfg_device, i_know), "false", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "Accepts a network with the default gateway or a proxy in it." },

#include "schema_local.def"

	{ "rewrite", CFG_LIST, COUNTED(rewrite, rewrite_n), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, RELOADABLE,
	  "Addresses to replace, before senders are checked and mail is signed: the first rule that matches.",
	  .element_size = sizeof(struct cfg_rewrite),
	  .example = "( { sender = \"root@.lan\"; to = \"alice@example.org\"; headers = "
	  "true; } )" },
	{ "rewrite[].sender", CFG_TEXT, IN(cfg_rewrite, sender), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, RELOADABLE,
	  "Pattern of the sender address; each rule has this or recipient.", .format = &format_pattern, .example = "root@.lan" },
	{ "rewrite[].recipient", CFG_TEXT, IN(cfg_rewrite, recipient), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, RELOADABLE,
	  "Pattern of the recipient address.", .format = &format_pattern, .example = "root@.lan" },
	{ "rewrite[].to", CFG_TEXT, IN(cfg_rewrite, to), NULL, NO_BOUNDS, SUBMISSION | QUEUE | DOCTOR, REQUIRED | RELOADABLE,
	  "The new address; \"@example.org\" keeps the part before the @.", .format = &format_rewritten,
	  .example = "alice@example.org" },
	{ "rewrite[].headers", CFG_BOOL, IN(cfg_rewrite, headers), "false", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "Whether addresses in the header are replaced too: From, Sender, Reply-To and the fields for receipts, or To and Cc. "
	  "Display names are kept." },

	{ "sign", CFG_LIST, COUNTED(sign, sign_n), NULL, NO_BOUNDS, SUBMISSION | QUEUE | RELAY | VAULT | DOCTOR, RELOADABLE,
	  "DKIM keys. With several keys of a domain its mail gets several signatures. A subdomain without a key of its own is "
	  "signed with those of the nearest domain above it; mail of other domains is not signed.",
	  .element_size = sizeof(struct cfg_sign), .example = "( { domain = \"example.org\"; selector = \"p1\"; key = "
	  "\"/etc/posthouse/dkim/example.org.p1.key\"; } )" },
	{ "sign[].domain", CFG_TEXT, IN(cfg_sign, domain), NULL, NO_BOUNDS, SUBMISSION | QUEUE | RELAY | VAULT | DOCTOR,
	  REQUIRED | RELOADABLE | LOWER_CASE,
	  "The domain in the From field.", .format = &format_domain, .example = "example.org" },
	{ "sign[].selector", CFG_TEXT, IN(cfg_sign, selector), NULL, NO_BOUNDS, SUBMISSION | QUEUE | RELAY | VAULT | DOCTOR,
	  REQUIRED | RELOADABLE,
	  "The public key is published as SELECTOR._domainkey.DOMAIN.", .format = &format_selector, .example = "p1r" },
	{ "sign[].key", CFG_TEXT, IN(cfg_sign, key), NULL, NO_BOUNDS, VAULT, REQUIRED | RELOADABLE | PATH,
	  "PEM file with the private key: RSA (1024 bits or more, 2048 advised) or Ed25519; the key decides the algorithm.",
	  .format = &format_path, .example = "/etc/posthouse/dkim/p1r.key" },
	{ "sign[].oversign", CFG_BOOL, IN(cfg_sign, oversign), "true", NO_BOUNDS, SUBMISSION | QUEUE | RELAY, RELOADABLE,
	  "Whether Sender, List-Unsubscribe, List-Unsubscribe-Post, Content-Disposition and Resent-* are signed as absent "
	  "when the message has none. Then the signature breaks when one is added: by a forger, but also by a mailing list, "
	  "a next hop or a user who resends the message." },
	{ "sign[].state", CFG_ENUM, IN(cfg_sign, state), "active", NO_BOUNDS, SUBMISSION | QUEUE | RELAY | VAULT | DOCTOR,
	  RELOADABLE,
	  "Only active keys sign. A pending one waits until its record is published, a retired one until no mail that it signed "
	  "waits; both are checked like active ones. `posthouse dkim` keeps state, since and seen.",
	  .choices = sign_state_choices },
	{ "sign[].since", CFG_TEXT, IN(cfg_sign, since), "", NO_BOUNDS, DOCTOR, RELOADABLE,
	  "When the key came into this state.", .format = &format_instant },
	{ "sign[].seen", CFG_TEXT, IN(cfg_sign, seen), "", NO_BOUNDS, DOCTOR, RELOADABLE,
	  "When the record of a pending key was first seen at the domain's own name servers; \"\": not at the last look.",
	  .format = &format_instant },
	{ "sign[].key_pem", CFG_SECRET, IN(cfg_sign, key_pem), NULL, NO_BOUNDS, VAULT, RELOADABLE | FILLED, "" },
	{ "sign[].record", CFG_TEXT, IN(cfg_sign, record), NULL, NO_BOUNDS, DOCTOR, RELOADABLE | FILLED, "" },
	{ "sign[].algorithm", CFG_ENUM, IN(cfg_sign, algorithm), NULL, NO_BOUNDS, SUBMISSION | QUEUE | RELAY | VAULT | DOCTOR,
	  RELOADABLE | FILLED, "", .choices = dkim_choices },

#include "schema_upstreams.def"

#include "schema_routes.def"

	{ "queue", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "How long mail waits, and how large the queue can become.",
	  .example = "{ lifetime = \"3d\"; warn_after = \"1h\"; }" },
	{ "queue.retry", CFG_TIMES, COUNTED(queue.retry_ms, queue.retry_n), "1m 5m 15m 30m 1h 2h 4h", "100ms", "1d", QUEUE,
	  RELOADABLE,
	  "Waiting times between attempts; the last one is repeated." },
	{ "queue.lifetime", CFG_TIME, AT(queue.lifetime_ms), "5d", "1s", "30d", QUEUE | PICKUP, RELOADABLE,
	  "Mail that could not be delivered in this time is returned to its sender." },
	{ "queue.warn_after", CFG_TIME, AT(queue.warn_after_ms), "4h", "0s", "30d", QUEUE, RELOADABLE,
	  "The time after which the sender is notified, once, that mail is delayed; \"0s\": never." },
	{ "queue.min_free", CFG_SIZE, AT(queue.min_free), "100M", "0", "1T", QUEUE, RELOADABLE,
	  "Space that is kept free on the disk; with less, clients get 452 4.3.1." },
	{ "queue.keep_history", CFG_TIME, AT(queue.keep_history_ms), "30d", "0s", "3650d", QUEUE, RELOADABLE,
	  "How long finished messages can be traced." },
	{ "queue.max_messages", CFG_INT, AT(queue.max_messages), "1000000", "1", "100000000", QUEUE, RELOADABLE,
	  "Messages in the queue at once; further ones get 452 4.3.1." },

	{ "delivery", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "How the relay talks to next hops.",
	  .example = "{ ipv6 = false; timeouts = { connect = \"10s\"; }; }" },
	{ "delivery.connections_per_destination", CFG_INT, AT(delivery.connections_per_destination), "10", "1", "1000",
	  QUEUE | RELAY,
	  RELOADABLE, "Connections at once to one destination." },
	{ "delivery.reuse", CFG_INT, AT(delivery.reuse), "100", "1", "100000", QUEUE | RELAY, RELOADABLE,
	  "Messages over one connection." },
	{ "delivery.warmup", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0,
	  "As upstreams.warmup, for all direct delivery of this relay together: its address is new to all receivers.",
	  .example = "{ start = 50; double_each = \"2d\"; }" },
	{ "delivery.warmup.start", CFG_INT, AT(delivery.warmup.start), "0", "0", "1000000", QUEUE, RELOADABLE,
	  "Messages on the first day; 0: no warm-up." },
	{ "delivery.warmup.double_each", CFG_TIME, AT(delivery.warmup.double_each_ms), "1d", "1h", "30d", QUEUE, RELOADABLE,
	  "After this time, counted from the first message, the number is twice as large, and so on up to a million a day." },
	{ "delivery.ipv4", CFG_BOOL, AT(delivery.ipv4), "true", NO_BOUNDS, RELAY | RESOLVER | DOCTOR | TLSPOLICY,
	  RELOADABLE,
	  "Whether to use IPv4." },
	{ "delivery.ipv6", CFG_BOOL, AT(delivery.ipv6), "true", NO_BOUNDS, RELAY | RESOLVER | DOCTOR | TLSPOLICY,
	  RELOADABLE,
	  "Whether to use IPv6." },
	{ "delivery.port", CFG_INT, AT(delivery.port), "25", "1", "65535", RELAY | DOCTOR, RELOADABLE,
	  "The port of the recipients' own servers (\"mx\")." },
	{ "delivery.mta_sts", CFG_BOOL, AT(delivery.mta_sts), "true", NO_BOUNDS, TLSPOLICY, RELOADABLE,
	  "Whether \"mx\" looks for the MTA-STS policy (RFC 8461) of each domain, which says over HTTPS what its mail servers "
	  "are called, and that their certificates have to be good. A policy is kept for as long as it says." },
	{ "delivery.uses_mta_sts", CFG_BOOL, AT(delivery.uses_mta_sts), NULL, NO_BOUNDS, RELAY | TLSPOLICY | FETCH,
	  RELOADABLE | FILLED, "" },
	{ "delivery.avoid", CFG_TEXTS, ARRAY(delivery.avoid), NULL, NO_BOUNDS, RELAY, RELOADABLE,
	  "As upstreams.avoid, for the recipients' own servers.", .choices = avoid_choices, .example = "CHUNKING" },
	{ "delivery.source", CFG_TEXTS, ARRAY(delivery.source), NULL, NO_BOUNDS, RELAY | DOCTOR, RELOADABLE,
	  "Addresses of this machine to connect from, at most one IPv4 and one IPv6. For a family without an address here, the "
	  "system chooses. The PTR record of the address should be hostname.", .format = &format_source,
	  .example = "192.0.2.1 2001:db8::1" },
	{ "delivery.allow_networks", CFG_TEXTS, ARRAY(delivery.allow_networks), NULL, NO_BOUNDS,
	  RELAY | TLSPOLICY, RELOADABLE,
	  "Networks to which \"mx\" delivers although it otherwise would not: loopback, link-local and multicast addresses, this "
	  "machine's own, and private ones (10.0.0.0/8, fd00::/8 and their like) that a user names as user@[10.0.0.1]. Private "
	  "ones from the DNS need no entry.", .format = &format_network, .example = "192.0.2.25 10.1.0.0/16" },
	{ "delivery.deny_networks", CFG_TEXTS, ARRAY(delivery.deny_networks), NULL, NO_BOUNDS,
	  RELAY | TLSPOLICY, RELOADABLE,
	  "Networks to which \"mx\" never delivers, even when allow_networks has them.", .format = &format_network,
	  .example = "10.0.0.0/8" },
	{ "delivery.resolver", CFG_TEXT, AT(delivery.resolver), NULL, NO_BOUNDS, RESOLVER | DOCTOR, RELOADABLE,
	  "The name servers to ask for mail servers and their addresses: addresses with spaces between, each with @PORT if it "
	  "is not 53; or \"recursive\": no name server; resolution starts at the root. Without this key: those of "
	  "/etc/resolv.conf.",
	  .format = &format_resolver, .example = "127.0.0.1@5353" },
	{ "delivery.trust_anchor", CFG_TEXT, AT(delivery.trust_anchor), NULL, NO_BOUNDS, RESOLVER | DOCTOR, RELOADABLE | PATH,
	  "File with the DNSKEY or DS records to begin DNSSEC validation with: then what cannot be validated counts as forged. "
	  "The run_as user must be able to read it. Without this key: the root key of Debian's package dns-root-data, where the "
	  "name servers pass on signatures (see delivery.dane).",
	  .format = &format_path,
	  .example = "/usr/share/dns/root.key" },
	{ "delivery.unsigned_zones", CFG_TEXTS, ARRAY(delivery.unsigned_zones), NULL, NO_BOUNDS, RESOLVER | DOCTOR, RELOADABLE,
	  "Domains that the name servers of your own network serve without signatures, although the public domain above them, or "
	  "of the same name, is signed (DNSSEC). Without this key their mail waits, because such answers look forged; with it "
	  "they and all below them count as not signed: there is no DANE for them. Names that end in internal, lan, local and "
	  "their like need no entry.", .format = &format_domain, .example = "corp.example.com" },
	{ "delivery.tls", CFG_ENUM, AT(delivery.tls), "opportunistic", NO_BOUNDS, RELAY | DOCTOR, RELOADABLE,
	  "TLS to the mail servers of domains that the list tls does not name. \"opportunistic\": as well as the server can, in "
	  "clear text where it has none or TLS fails, unless the domain says by DANE or MTA-STS that TLS must work. "
	  "\"encrypted\" and \"verified\" as in tls.require: mail for servers that cannot do it waits, and comes back at the "
	  "end of queue.lifetime.",
	  .choices = delivery_tls_choices },
	{ "delivery.dane", CFG_BOOL, AT(delivery.dane), "true", NO_BOUNDS, RELAY | RESOLVER, RELOADABLE,
	  "Whether to look for TLSA records of \"mx\" servers in signed zones and to deliver only to a server that has such a "
	  "certificate (DANE, RFC 7672). It needs DNSSEC: name servers that pass on signatures, and a trust anchor. Where these "
	  "are missing, the log says so once (resolver.unsigned), and mail goes as without DANE." },
	{ "delivery.uses_dane", CFG_BOOL, AT(delivery.uses_dane), NULL, NO_BOUNDS, RESOLVER | DOCTOR, RELOADABLE | FILLED, "" },
	{ "delivery.timeouts", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "Time that the next hop gets for each step (RFC 5321 "
	  "4.5.3.2).", .example = "{ connect = \"10s\"; greeting = \"1m\"; }" },
	{ "delivery.timeouts.connect", CFG_TIME, AT(delivery.timeouts.connect_ms), "30s", "100ms", "10m", RELAY, RELOADABLE,
	  "To accept the connection, per address." },
	{ "delivery.timeouts.greeting", CFG_TIME, AT(delivery.timeouts.greeting_ms), "5m", "100ms", "1h", RELAY, RELOADABLE,
	  "To greet." },
	{ "delivery.timeouts.command", CFG_TIME, AT(delivery.timeouts.command_ms), "5m", "100ms", "1h", RELAY, RELOADABLE,
	  "To answer a command." },
	{ "delivery.timeouts.data", CFG_TIME, AT(delivery.timeouts.data_ms), "10m", "100ms", "1h", RELAY, RELOADABLE,
	  "To take a block of data, and to answer after the final dot." },

	{ "https", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "Requests to HTTPS servers, for the tokens of upstreams.oauth.",
	  .example = "{ ca = \"/etc/posthouse/ca.pem\"; }" },
	{ "https.ca", CFG_TEXT, AT(https.ca), NULL, NO_BOUNDS, FETCH, RELOADABLE | PATH,
	  "PEM file with the certificates of the issuers to trust. Without this key: the system's.", .format = &format_path,
	  .example = "/etc/posthouse/ca.pem" },
	{ "https.ca_pem", CFG_TEXT, AT(https.ca_pem), NULL, NO_BOUNDS, FETCH, RELOADABLE | FILLED, "" },

#include "schema_store.def"

#include "schema_tls_report.def"

#include "schema_doctor.def"

	{ "log", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, 
	  "The log goes to standard error, one line per fact: see posthouse-log(7).",
	  .example = "{ format = \"json\"; level = \"debug\"; }" },
	{ "log.format", CFG_ENUM, AT(log.format), "logfmt", NO_BOUNDS, EVERY, RELOADABLE,
	  "key=value pairs or a JSON object per line.", .choices = log_format_choices },
	{ "log.level", CFG_ENUM, AT(log.level), "info", NO_BOUNDS, EVERY, RELOADABLE,
	  "The lowest level that is logged. info: a line for each message accepted, and one for each attempt to deliver it to a "
	  "recipient; debug: each step.",
	  .choices = log_level_choices },

	{ "submission", CFG_GROUP, NO_TARGET, NULL, NO_BOUNDS, 0, 0, "Bounds of client sessions.",
	  .example = "{ idle = \"10m\"; workers = 4; }" },
	{ "submission.idle", CFG_TIME, AT(submission.idle_ms), "5m", "1s", "1h", SUBMISSION, RELOADABLE,
	  "A client that sends nothing for this time is disconnected (RFC 5321 4.5.3.2.7 asks for five minutes)." },
	{ "submission.login_time", CFG_TIME, AT(submission.login_ms), "1m", "1s", "1h", SUBMISSION, RELOADABLE,
	  "A client that has not logged in within this time gets 421." },
	{ "submission.commands", CFG_INT, AT(submission.commands), "1000", "10", "1000000", SUBMISSION, RELOADABLE,
	  "Commands of a session that are not part of an accepted message; then the client gets 421." },
	{ "submission.errors", CFG_INT, AT(submission.errors), "20", "1", "1000", SUBMISSION, RELOADABLE,
	  "Refused commands of a session; then the client gets 421. An accepted message halves the count, and its refused "
	  "recipients do not count." },
	{ "submission.sessions", CFG_INT, AT(submission.sessions), "10000", "1", "1000000", SUBMISSION, RELOADABLE,
	  "Sessions at once, per submission process." },
	{ "submission.workers", CFG_INT, AT(submission.workers), "0", "0", "64", SUBMISSION, 0,
	  "Submission processes; 0: one per processor core." },
	{ "submission.login_delay", CFG_TIME, AT(submission.login_delay_ms), "2s", "0s", "1m", SUBMISSION | LOGIN, RELOADABLE,
	  "Delay of the reply to a failed login." },
	{ "submission.future_release", CFG_TIME, AT(submission.future_release_ms), "30d", "0s", "365d", SUBMISSION, RELOADABLE,
	  "The longest time that a client can delay a message (FUTURERELEASE, RFC 4865); \"0s\": not offered." },
	{ "submission.bare_newline", CFG_ENUM, AT(submission.bare_newline), "normalize", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "What is done with lines that end with LF alone, or with CR CR LF: they are changed to CR LF, or they are refused. In "
	  "neither case can they end a message.", .choices = bare_newline_choices },
	{ "submission.show_client", CFG_BOOL, AT(submission.show_client), "false", NO_BOUNDS, SUBMISSION, RELOADABLE,
	  "Whether the Received field, which all recipients can read, shows the client's address." },
};
/* clang-format on */
const size_t config_keys_n = sizeof(config_keys) / sizeof(config_keys[0]);
