/* words.c - see tls_policy.h. */
#include "posthouse/tls_policy.h"

static const char *level_word(enum tls_level level)
{
	static const char *const words[] = {
		[TLS_LEVEL_NONE] = "none",       [TLS_LEVEL_MAY] = "opportunistic", [TLS_LEVEL_ENCRYPT] = "encrypted",
		[TLS_LEVEL_VERIFY] = "verified", [TLS_LEVEL_DANE] = "dane",         [TLS_LEVEL_PINNED] = "fingerprint",
	};

	return words[level];
}

const char *tlsa_state_word(enum tlsa_state state)
{
	static const char *const words[] = {
		[TLSA_NONE] = "none", [TLSA_USABLE] = "usable", [TLSA_UNUSABLE] = "unusable", [TLSA_FAILED] = "failed"
	};

	return words[state];
}

static const char *source_word(enum tls_source source)
{
	static const char *const words[] = {
		[TLS_SOURCE_DEFAULT] = "default",
		[TLS_SOURCE_UPSTREAM] = "upstream",
		[TLS_SOURCE_CONFIGURATION] = "configuration",
		[TLS_SOURCE_DANE] = "dane",
		[TLS_SOURCE_MTA_STS] = "mta-sts",
		[TLS_SOURCE_MESSAGE] = "message",
	};

	return words[source];
}

struct str tls_policy_words(struct arena *a, const struct tls_policy *p)
{
	const char *level = level_word(p->fell_back ? TLS_LEVEL_MAY : p->level), *source = source_word(p->source);
	bool alone = p->source == TLS_SOURCE_DEFAULT || str_eq(str_of(level), str_of(source));
	bool by_testing = p->testing && p->source == TLS_SOURCE_MTA_STS;

	return arena_printf(a, "%s%s%s%s", level, alone || by_testing ? "" : " by ", alone || by_testing ? "" : source,
			    p->testing ? ", mta-sts testing" : "");
}
