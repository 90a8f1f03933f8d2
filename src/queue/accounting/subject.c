/* subject.c - the keys' texts. They are in released databases. */
#include "accounting/subject.h"

#define TRIED_MAX 200 /* bytes of a name that was tried */

#define WORD(literal)                                                                                                            \
	{                                                                                                                        \
		literal, sizeof(literal) - 1                                                                                     \
	}

static const struct str words[] = {
	[SUBJECT_USER] = WORD("user:"),       [SUBJECT_DEVICE] = WORD("device:"), [SUBJECT_UPSTREAM] = WORD("upstream:"),
	[SUBJECT_NETWORK] = WORD("net:"),     [SUBJECT_LOGIN] = WORD("login:"),   [SUBJECT_TURN] = WORD("at:"),
	[SUBJECT_BREAKER] = WORD("breaker:"),
};

bool subject_is(struct str key, enum subject s)
{
	return str_starts(key, words[s]);
}

struct str subject_name(struct str key)
{
	return str_from(key, str_find(key, ':') + 1);
}

static struct str key(struct arena *a, enum subject s, struct str name)
{
	return arena_printf(a, "%.*s%.*s", STR_ARG(words[s]), STR_ARG(name));
}

static struct str without_device(struct str login)
{
	return str_head(login, str_find(login, '/'));
}

static struct str with_device(struct arena *a, struct str name, struct str device)
{
	return arena_printf(a, "%.*s/%.*s", STR_ARG(name), STR_ARG(device));
}

struct str user_key(struct arena *a, struct str login)
{
	return arena_lower(a, key(a, SUBJECT_USER, without_device(login)));
}

struct str device_key(struct arena *a, struct str login, struct str device)
{
	return arena_lower(a, key(a, SUBJECT_DEVICE, with_device(a, login, device)));
}

struct str network_key(struct arena *a, struct str network)
{
	return key(a, SUBJECT_NETWORK, str_head(network, TRIED_MAX));
}

struct str login_key(struct arena *a, struct str login)
{
	return arena_lower(a, key(a, SUBJECT_LOGIN, str_head(without_device(login), TRIED_MAX)));
}

struct str password_key(struct arena *a, struct str login, struct str device)
{
	struct str name = login_key(a, login);

	return device.n > 0 ? with_device(a, name, arena_lower(a, str_head(device, TRIED_MAX))) : name;
}

struct str turn_key(struct arena *a, struct str login, struct str device, struct str network)
{
	struct str whose = subject_name(password_key(a, login, device));

	return key(a, SUBJECT_TURN, arena_printf(a, "%.*s %.*s", STR_ARG(whose), STR_ARG(str_head(network, TRIED_MAX))));
}

struct str breaker_key(struct arena *a, struct str login)
{
	return arena_lower(a, key(a, SUBJECT_BREAKER, login));
}

struct str password_keys(struct arena *a, struct str login)
{
	return with_device(a, login_key(a, login), S(""));
}

struct str device_turn_keys(struct arena *a, struct str login)
{
	return key(a, SUBJECT_TURN, subject_name(password_keys(a, login)));
}
