/* login_limits.c - the limits of a login: those of `limits`, and in their place the keys that an entry of limits.users sets. */
#include "posthouse/policy.h"

const struct cfg_device *device_at(const struct config *c, struct str address)
{
	for (size_t i = 0; i < c->devices_n; i++)
		if (networks_contain(&c->devices[i].networks, address))
			return &c->devices[i];
	return NULL;
}

/* The first entry for "name" or, with a device, for "name/device"; NULL: none. The two parts are compared without joining
 * them. */
static const struct cfg_limits_user *entry_of(const struct config *c, struct str login, struct str device)
{
	for (size_t i = 0; i < c->limits.users_n; i++) {
		struct str user = c->limits.users[i].user;
		size_t slash = str_find(user, '/');

		if (str_ieq(str_head(user, slash), login) && str_ieq(str_from(user, slash + 1), device))
			return &c->limits.users[i];
	}
	return NULL;
}

static struct rate_list named_or(struct rate_list named, struct rate_list otherwise)
{
	return named.n > 0 ? named : otherwise;
}

void limits_of_login(const struct config *c, struct str login, struct user_limits *limits_out)
{
	static const struct cfg_limits_user nothing;
	const struct cfg_limits_user *own = entry_of(c, login, S(""));
	const struct cfg_limits *all = &c->limits;

	if (!own)
		own = &nothing;
	*limits_out = (struct user_limits){
		.messages = named_or(own->messages, all->messages),
		.recipients = named_or(own->recipients, all->recipients),
		.bytes = named_or(own->bytes, all->bytes),
		.new_recipients = named_or(own->new_recipients, all->new_recipients),
		.connections = own->connections > 0 ? own->connections : all->connections,
		.priority = own->priority > 0 ? own->priority : all->priority,
		.hold = (own->over != OVER_UNSET ? own->over : all->over) == OVER_HOLD,
		.breaker = (own->breaker != BREAKER_UNSET ? own->breaker : all->breaker) == BREAKER_ON,
	};
}

void limits_of_device(const struct config *c, struct str login, struct str device, struct user_limits *limits_out)
{
	const struct cfg_limits_user *own;
	const struct cfg_device *host;

	*limits_out = (struct user_limits){ 0 };
	if (device.n == 0)
		return;
	if (device.p[0] == '@') {
		host = device_at(c, str_from(device, 1));
		if (host)
			limits_out->messages = host->messages;
		return;
	}
	own = entry_of(c, login, device);
	if (!own)
		return;
	limits_out->messages = own->messages;
	limits_out->recipients = own->recipients;
	limits_out->bytes = own->bytes;
	limits_out->new_recipients = own->new_recipients;
}
