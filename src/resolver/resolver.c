/* resolver.c - the role resolver: asks name servers, and reads what strangers' servers say, so that the role relay, which holds
 * mail, does not. It knows nothing of any message. Who takes it over can lie about the DNS, and about what DNSSEC has proved.
 *
 * Questions come from relay and tlspolicy (struct dns_query); the answers go back as they came, and these two look into them
 * (src/dns). */
#include "resolver.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <sys/stat.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define FILES_MS    10000 /* the files are looked at again after this time */

static const enum role_id askers[] = { ROLE_RELAY, ROLE_TLSPOLICY };

static struct resolver resolver;

/* The settings as one text, for a comparison. */
static struct str settings_text(struct arena *a, const struct cfg_delivery *d)
{
	struct str text = arena_printf(a, "%.*s\n%.*s\n%d%d%d", STR_ARG(d->resolver), STR_ARG(d->trust_anchor), d->ipv4, d->ipv6,
				       d->uses_dane);

	for (size_t i = 0; i < d->unsigned_zones.n; i++)
		text = arena_printf(a, "%.*s\n%.*s", STR_ARG(text), STR_ARG(d->unsigned_zones.at[i]));
	return text;
}

static struct dns_library *open_with(const struct cfg_delivery *d, struct str anchor, struct arena *a, struct verdict *why_out)
{
	struct dns_options options = { .resolver = d->resolver,
				       .trust_anchor = anchor,
				       .unsigned_zones = d->unsigned_zones,
				       .ipv4 = d->ipv4,
				       .ipv6 = d->ipv6 };

	return dns_library_open(role_loop(resolver.role), &options, a, why_out);
}

struct dns_library *resolver_open(const char *anchor, struct arena *a, struct verdict *why_out)
{
	return open_with(&role_config(resolver.role)->delivery, str_of(anchor), a, why_out);
}

/* A file that is away for a moment counts as unchanged. */
static void look_at_files(const struct cfg_delivery *d)
{
	struct stat st;

	resolver.files_at = clock_mono_ms();
	if (d->resolver.n == 0 && stat(RESOLV_CONF, &st) == 0)
		resolver.resolv_conf = st;
	if (d->uses_dane && d->trust_anchor.n == 0 && stat(DNS_ROOT_KEY, &st) == 0)
		resolver.root_key = st;
}

/* With a root key that cannot be used, answers are not validated. */
static struct dns_library *open_library(const struct cfg_delivery *d, struct arena *a, struct verdict *why_out,
					bool *by_root_key_out)
{
	struct dns_library *library = NULL;

	look_at_files(d);
	*by_root_key_out = validation_by_root_key(d);
	if (*by_root_key_out)
		library = open_with(d, S(DNS_ROOT_KEY), a, why_out);
	if (library)
		return library;
	*by_root_key_out = false;
	return open_with(d, d->trust_anchor, a, why_out);
}

/* relay and tlspolicy forget what they have heard, and ask again what they have asked. */
void resolver_use(struct dns_library *library)
{
	struct dns_library *old = resolver.library;

	resolver.library = library;
	names_drop(&resolver, NULL);
	if (old)
		dns_library_close(old);
	for (size_t i = 0; i < sizeof askers / sizeof askers[0]; i++)
		ipc_send_names_changed(role_peer(resolver.role, askers[i], 0), &(struct msg_names_changed){ 0 }, -1);
}

static void use_new(struct dns_library *library, bool by_root_key)
{
	validation_stop(&resolver);
	resolver_use(library);
	if (library)
		validation_begin(&resolver, &role_config(resolver.role)->delivery, by_root_key);
}

/* The questions that wait for the library stay, since it has none so far. */
void resolver_use_unvalidated(void)
{
	struct arena a = { 0 };
	struct verdict why;
	struct dns_library *plain = resolver_open("", &a, &why);

	if (plain) {
		dns_library_close(resolver.library);
		resolver.library = plain;
	} else {
		log_error(NULL, "resolver.failed", kv("reason", why.text));
	}
	arena_fini(&a);
}

static bool is_changed(const struct stat *old, const struct stat *now)
{
	return now->st_mtim.tv_sec != old->st_mtim.tv_sec || now->st_mtim.tv_nsec != old->st_mtim.tv_nsec ||
	       now->st_ino != old->st_ino || now->st_size != old->st_size;
}

/* resolv.conf can change while the relay runs: a laptop moves, the network of a container is set up late. So can the root key,
 * with an update of its package. */
static void follow_files(void)
{
	const struct cfg_delivery *d = &role_config(resolver.role)->delivery;
	struct stat conf = resolver.resolv_conf, key = resolver.root_key;
	struct dns_library *next;
	struct arena a = { 0 };
	struct verdict why;
	bool by_root_key;

	if (!resolver.library || clock_mono_ms() - resolver.files_at < FILES_MS)
		return;
	look_at_files(d);
	if (!is_changed(&conf, &resolver.resolv_conf) && !is_changed(&key, &resolver.root_key))
		return;
	next = open_library(d, &a, &why, &by_root_key);
	if (next) {
		log_info(NULL, "resolver.changed");
		use_new(next, by_root_key);
	} else {
		log_error(NULL, "resolver.failed", kv("reason", why.text));
	}
	arena_fini(&a);
}

struct dns_library *resolver_library(struct arena *a, struct verdict *why_out)
{
	struct dns_library *library;
	bool by_root_key;

	follow_files();
	if (!resolver.library) {
		library = open_library(&role_config(resolver.role)->delivery, a, why_out, &by_root_key);
		if (library)
			use_new(library, by_root_key);
		else
			log_error(NULL, "resolver.failed", kv("reason", why_out->text));
	}
	validation_look_again(&resolver);
	return validation_decides(&resolver) ? NULL : resolver.library;
}

/* ---- configuration ---- */

/* A configured resolver is opened at once, to find faults, and so is one for DANE, so that the log says at the start whether that
 * is possible. The default one is opened at its first use, because it takes memory that is wasted without direct delivery. */
static struct verdict configure(struct role *r, const struct config *c)
{
	const struct cfg_delivery *d = &c->delivery;
	struct verdict why = ok();

	resolver.role = r;
	arena_reset(&resolver.scratch);
	resolver.same = str_eq(settings_text(&resolver.scratch, d), resolver.settings);
	if (resolver.same || (d->resolver.n == 0 && d->trust_anchor.n == 0 && !d->uses_dane))
		return ok();
	resolver.next = open_library(d, &resolver.scratch, &why, &resolver.next_by_root_key);
	if (resolver.next)
		return ok();
	why.text = arena_printf(&resolver.scratch, "delivery.resolver: %.*s", STR_ARG(why.text));
	return why;
}

static void apply(struct role *r)
{
	struct dns_library *next = resolver.next;

	if (resolver.same)
		return;
	resolver.next = NULL;
	resolver.same = true;
	arena_reset(&resolver.arena);
	resolver.settings = settings_text(&resolver.arena, &role_config(r)->delivery);
	use_new(next, resolver.next_by_root_key);
}

static void abandon(struct role *r)
{
	if (resolver.next)
		dns_library_close(resolver.next);
	resolver.next = NULL;
}

/* ---- messages ---- */

static void handle_resolve(void *ctx, struct channel *ch, const struct msg_resolve *m, int fd)
{
	name_ask(&resolver, ch, m);
}

static void handle_find_host(void *ctx, struct channel *ch, const struct msg_find_host *m, int fd)
{
	host_ask(&resolver, ch, m);
}

static void peer_down(struct role *r, struct channel *ch)
{
	names_drop(&resolver, ch);
	hosts_drop(&resolver, ch);
}

static struct verdict start(struct role *r)
{
	list_init(&resolver.names);
	list_init(&resolver.hosts);
	role_set_data(r, &resolver);
	return ok();
}

static void stats(struct role *r)
{
	role_stat(r, METRIC_RESOLVER_QUESTIONS, resolver.questions);
	role_stat(r, METRIC_RESOLVER_FAILURES, resolver.failures);
	role_stat(r, METRIC_RESOLVER_WAITING, resolver.waiting);
	role_stat(r, METRIC_RESOLVER_VALIDATES, resolver.validation.state == VALIDATION_ON);
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers handlers = { .resolve = handle_resolve, .find_host = handle_find_host };
	static const struct role_ops ops = { .id = ROLE_RESOLVER,
					     .start = start,
					     .configure = configure,
					     .apply = apply,
					     .abandon = abandon,
					     .peer_down = peer_down,
					     .stats = stats,
					     .handlers = &handlers };

	return role_main(argc, argv, &ops);
}
