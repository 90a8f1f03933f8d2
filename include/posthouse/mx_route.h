/* mx_route.h - the name of a next hop that is the mail servers of a domain: "mx:DOMAIN", with what the route of the mail
 * demands of their TLS, and what the message itself asks of it: "mx:DOMAIN/verified", "mx:DOMAIN/none/tls-optional". Each is a
 * next hop of its own, because its servers are judged in another way. */
#ifndef POSTHOUSE_MX_ROUTE_H
#define POSTHOUSE_MX_ROUTE_H

#include "posthouse/tls_policy.h"

struct mx_route {
	struct str domain;
	enum tls_require require; /* routes.tls; DEFAULT: the route says nothing */
	enum tls_wish wish;
};

static inline struct str mx_require_suffix(enum tls_require require)
{
	static const struct str suffixes[] = { [TLS_REQUIRE_DEFAULT] = S(""),
					       [TLS_REQUIRE_NONE] = S("/none"),
					       [TLS_REQUIRE_ENCRYPTED] = S("/encrypted"),
					       [TLS_REQUIRE_VERIFIED] = S("/verified"),
					       [TLS_REQUIRE_DANE] = S("/dane") };

	return suffixes[require];
}

static inline struct str mx_wish_suffix(enum tls_wish wish)
{
	static const struct str suffixes[] = {
		[TLS_WISH_NONE] = S(""), [TLS_WISH_REQUIRE] = S("/requiretls"), [TLS_WISH_OPTIONAL] = S("/tls-optional")
	};

	return suffixes[wish];
}

static inline struct str mx_route_name(struct arena *a, const struct mx_route *r)
{
	return arena_printf(a, "mx:%.*s%.*s%.*s", STR_ARG(r->domain), STR_ARG(mx_require_suffix(r->require)),
			    STR_ARG(mx_wish_suffix(r->wish)));
}

/* False: the name is not that of a domain's servers. The domain is a part of `name`. */
static inline bool mx_route_read(struct str name, struct mx_route *r_out)
{
	struct str rest = str_from(name, 3);

	*r_out = (struct mx_route){ .require = TLS_REQUIRE_DEFAULT };
	for (enum tls_wish w = TLS_WISH_REQUIRE; w <= TLS_WISH_OPTIONAL; w++)
		if (r_out->wish == TLS_WISH_NONE && str_ends(rest, mx_wish_suffix(w))) {
			r_out->wish = w;
			rest = str_head(rest, rest.n - mx_wish_suffix(w).n);
		}
	for (enum tls_require q = TLS_REQUIRE_NONE; q <= TLS_REQUIRE_DANE; q++)
		if (r_out->require == TLS_REQUIRE_DEFAULT && str_ends(rest, mx_require_suffix(q))) {
			r_out->require = q;
			rest = str_head(rest, rest.n - mx_require_suffix(q).n);
		}
	r_out->domain = rest;
	return str_starts(name, S("mx:")) && rest.n > 0;
}

#endif
