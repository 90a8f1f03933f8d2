/* profiles.c - providers with limits that people often reach. The rates are those of free or ordinary accounts; for a better
 * account the administrator sets upstreams.messages. A provider blocks a mailbox that exceeds a limit, so each rate here is half
 * of what the provider allows: a full burst and the mail after it can be twice the rate within one period. */
#include "profiles.h"

#define MINUTE_AND_DAY "15/1m 5000/1d"

/* name, host, port, tls, messages, connections. For a provider that publishes no number of connections, the number is what its
 * rate needs; mail.ru accepts one message in a minute. */
#define PROFILES(X)                                                                                                              \
	X("gmail", "smtp.gmail.com", 587, UPSTREAM_STARTTLS, "250/1d", 3)                                                        \
	X("outlook365", "smtp.office365.com", 587, UPSTREAM_STARTTLS, MINUTE_AND_DAY, 3)                                         \
	X("office365", "smtp.office365.com", 587, UPSTREAM_STARTTLS, MINUTE_AND_DAY, 3)                                          \
	X("yandex", "smtp.yandex.ru", 465, UPSTREAM_IMPLICIT, "75/1d", 2)                                                        \
	X("mail.ru", "smtp.mail.ru", 465, UPSTREAM_IMPLICIT, "1/1m", 1)                                                          \
	X("rambler", "smtp.rambler.ru", 465, UPSTREAM_IMPLICIT, "100/1h", 2)                                                     \
	X("ukr.net", "smtp.ukr.net", 465, UPSTREAM_IMPLICIT, "125/1d", 2)                                                        \
	X("meta.ua", "smtp.meta.ua", 465, UPSTREAM_IMPLICIT, "100/1d", 2)                                                        \
	X("brevo", "smtp-relay.brevo.com", 587, UPSTREAM_STARTTLS, "100/1d 4500/30d", 5)                                         \
	X("sendinblue", "smtp-relay.brevo.com", 587, UPSTREAM_STARTTLS, "100/1d 4500/30d", 5)                                    \
	X("unisender", "smtp.go1.unisender.ru", 587, UPSTREAM_STARTTLS, "750/30d", 5)

#define AS_PROFILE(name, host, port, tls, messages, connections) { name, host, port, tls, messages, connections },
#define AS_CHOICE(name, host, port, tls, messages, connections)  { name },

/* clang-format off */
const struct profile profiles[] = { PROFILES(AS_PROFILE) };
const struct choice profile_choices[] = { PROFILES(AS_CHOICE) { NULL } };
/* clang-format on */
const size_t profiles_n = sizeof(profiles) / sizeof(profiles[0]);

const struct profile *profile_find(struct str name)
{
	for (size_t i = 0; i < profiles_n; i++)
		if (str_eq(name, str_of(profiles[i].name)))
			return &profiles[i];
	return NULL;
}
