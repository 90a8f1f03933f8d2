/* import_numbers.c - `posthouse import postfix`: limits, times and addresses to send from. What is beyond the bounds of a key
 * becomes the bound, and what means something else here is said behind its line. */
#include "import.h"

#include "posthouse/units.h"

#define GIB (1024 * MIB)

/* Duration: in ms; a number alone has the unit that Postfix gives it. */
enum kind { NUMBER, BYTES, DURATION };

/* A setting that is a key of the same meaning. */
struct number {
	const char *name, *key;
	enum kind kind;
	char unit;
	uint64_t least, most;
	uint64_t zero;      /* what 0 means here */
	const char *remark; /* NULL: it is equal */
};

static const struct number of_limits[] = {
	{ "message_size_limit", "message_size", BYTES, 0, 64 * KIB, 2 * GIB, 2 * GIB, NULL },
	{ "smtpd_recipient_limit", "recipients_per_message", NUMBER, 0, 1, 10000, 10000, NULL },
	{ "smtpd_client_connection_count_limit", "connections_per_network", NUMBER, 0, 0, 100000, 0,
	  "until the login; limits.connections counts those of a login" },
};

static const struct number of_submission[] = {
	{ "smtpd_timeout", "idle", DURATION, 's', SECOND_MS, HOUR_MS, HOUR_MS, NULL },
	{ "smtpd_hard_error_limit", "errors", NUMBER, 0, 1, 1000, 1, NULL },
};

static const struct number of_queue[] = {
	{ "maximal_queue_lifetime", "lifetime", DURATION, 'd', SECOND_MS, 30 * DAY_MS, SECOND_MS, NULL },
	{ "delay_warning_time", "warn_after", DURATION, 'h', 0, 30 * DAY_MS, 0, NULL },
	{ "queue_minfree", "min_free", BYTES, 0, 0, 1024 * GIB, 0, NULL },
};

static const struct number of_delivery[] = {
	{ "default_destination_concurrency_limit", "connections_per_destination", NUMBER, 0, 1, 1000, 1000, NULL },
	{ "smtp_destination_concurrency_limit", "connections_per_destination", NUMBER, 0, 1, 1000, 1000, NULL },
	{ "smtp_connection_reuse_count_limit", "reuse", NUMBER, 0, 1, 100000, 100000, NULL },
};

static const struct number of_timeouts[] = {
	{ "smtp_connect_timeout", "connect", DURATION, 's', 100, 10 * MINUTE_MS, 10 * MINUTE_MS, NULL },
	{ "smtp_helo_timeout", "greeting", DURATION, 's', 100, HOUR_MS, HOUR_MS, "also for EHLO: timeouts.command" },
	{ "smtp_mail_timeout", "command", DURATION, 's', 100, HOUR_MS, HOUR_MS, "for every command" },
	{ "smtp_data_done_timeout", "data", DURATION, 's', 100, HOUR_MS, HOUR_MS, NULL },
};

/* The value of a setting as a number or in ms; false: it is not set, or not understood, which is said. */
static bool read_number(struct import *t, const char *name, enum kind kind, char unit, uint64_t *n_out)
{
	struct str value = import_value(t, name), text = value;

	if (value.n == 0)
		return false;
	if (kind != DURATION && str_to_u64(value, n_out))
		return true;
	if (value.p[value.n - 1] >= '0' && value.p[value.n - 1] <= '9')
		text = arena_printf(&t->arena, "%.*s%c", STR_ARG(value), unit);
	if (kind == DURATION && read_duration(text, 36500 * DAY_MS, n_out))
		return true;
	import_lost(t, LOSS_OTHER, "%s = %.*s: not understood", name, STR_ARG(value));
	return false;
}

/* "90m": as a key takes it, in the largest unit that is exact. */
static struct str duration(struct arena *a, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = { { DAY_MS, "d" }, { HOUR_MS, "h" }, { MINUTE_MS, "m" }, { SECOND_MS, "s" }, { 1, "ms" } };
	size_t i = ms == 0 ? 3 : 0;

	while (ms % units[i].ms != 0)
		i++;
	return arena_printf(a, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
}

static struct str value_text(struct arena *a, enum kind kind, uint64_t n)
{
	if (kind == DURATION)
		return arena_printf(a, "\"%.*s\"", STR_ARG(duration(a, n)));
	return arena_printf(a, kind == BYTES ? "\"%llu\"" : "%llu", (unsigned long long)n);
}

/* Is a later row for the same key set? That one counts. */
static bool is_replaced(struct import *t, const struct number *row, const struct number *end)
{
	for (const struct number *other = row + 1; other < end; other++)
		if (strcmp(other->key, row->key) == 0 && import_value(t, other->name).n > 0)
			return true;
	return false;
}

static void import_rows(struct import *t, const char *indent, const struct number *rows, size_t n)
{
	for (const struct number *row = rows; row < rows + n; row++) {
		uint64_t value, wanted;

		if (!read_number(t, row->name, row->kind, row->unit, &wanted) || is_replaced(t, row, rows + n))
			continue;
		value = wanted == 0 ? row->zero : wanted < row->least ? row->least : wanted > row->most ? row->most : wanted;
		import_origin(t, row->name);
		buf_printf(&t->config, "%s%s = %.*s;%s%s\n", indent, row->key, STR_ARG(value_text(&t->arena, row->kind, value)),
			   row->remark ? " # " : "", row->remark ? row->remark : "");
		if (value != wanted && wanted != 0)
			import_lost(t, LOSS_OTHER, "%s = %.*s: %s takes %.*s at %s", row->name,
				    STR_ARG(import_value(t, row->name)), row->key,
				    STR_ARG(value_text(&t->arena, row->kind, value)), value < wanted ? "most" : "least");
	}
}

#define IMPORT_ROWS(t, indent, rows) import_rows((t), (indent), (rows), sizeof(rows) / sizeof((rows)[0]))

/* Postfix counts by client address, and in the time of anvil. */
static void import_rate(struct import *t, const char *name, const char *key)
{
	uint64_t n, per = MINUTE_MS;

	if (!read_number(t, name, NUMBER, 0, &n) || n == 0)
		return;
	read_number(t, "anvil_rate_time_unit", DURATION, 's', &per);
	import_origin(t, name);
	buf_printf(&t->config, "  %s = [ \"%llu/%.*s\" ]; # of a login, where Postfix counts by client address\n", key,
		   (unsigned long long)n, STR_ARG(duration(&t->arena, per ? per : MINUTE_MS)));
}

/* Postfix waits twice as long each time, from the smallest time to the largest. */
static void import_retry(struct import *t)
{
	uint64_t least = 300 * SECOND_MS, most = 4000 * SECOND_MS;
	bool set = read_number(t, "minimal_backoff_time", DURATION, 's', &least);

	set |= read_number(t, "maximal_backoff_time", DURATION, 's', &most);
	import_value(t, "queue_run_delay"); /* there are no queue runs: each recipient has a time of its own */
	if (!set)
		return;
	import_origin(t, "minimal_backoff_time");
	import_origin(t, "maximal_backoff_time");
	least = least < SECOND_MS ? SECOND_MS : least > DAY_MS ? DAY_MS : least;
	most = most < least ? least : most > DAY_MS ? DAY_MS : most;
	buf_printf(&t->config, "  retry = [");
	for (uint64_t wait = least; wait < most; wait *= 2)
		buf_printf(&t->config, " \"%.*s\",", STR_ARG(duration(&t->arena, wait)));
	buf_printf(&t->config, " \"%.*s\" ];\n", STR_ARG(duration(&t->arena, most)));
}

static void import_bounce_lifetime(struct import *t)
{
	uint64_t lifetime = 5 * DAY_MS, bounces;

	if (!read_number(t, "bounce_queue_lifetime", DURATION, 'd', &bounces))
		return;
	read_number(t, "maximal_queue_lifetime", DURATION, 'd', &lifetime);
	if (bounces != lifetime)
		import_lost(t, LOSS_OTHER, "bounce_queue_lifetime: reports wait as long as other mail (queue.lifetime)");
}

static void import_addresses(struct import *t)
{
	struct str v4 = import_value(t, "smtp_bind_address"), v6 = import_value(t, "smtp_bind_address6");
	struct str protocols = import_value(t, "inet_protocols");

	import_origin(t, "smtp_bind_address");
	import_origin(t, "smtp_bind_address6");
	if (v4.n > 0 || v6.n > 0)
		buf_printf(&t->config, "  source = [%s%.*s%s%s%s%.*s%s ];\n", v4.n ? " \"" : "", STR_ARG(v4), v4.n ? "\"" : "",
			   v4.n && v6.n ? "," : "", v6.n ? " \"" : "", STR_ARG(v6), v6.n ? "\"" : "");
	if (!str_eq(protocols, S("ipv4")) && !str_eq(protocols, S("ipv6")))
		return;
	import_origin(t, "inet_protocols");
	buf_printf(&t->config, "  %s = false;\n", str_eq(protocols, S("ipv4")) ? "ipv6" : "ipv4");
}

void import_numbers(struct import *t)
{
	buf_printf(&t->config, "submission = {\n");
	IMPORT_ROWS(t, "  ", of_submission);
	buf_printf(&t->config, "};\nlimits = {\n");
	IMPORT_ROWS(t, "  ", of_limits);
	import_rate(t, "smtpd_client_message_rate_limit", "messages");
	import_rate(t, "smtpd_client_recipient_rate_limit", "recipients");
	import_value(t, "anvil_rate_time_unit");
	buf_printf(&t->config, "};\nqueue = {\n");
	IMPORT_ROWS(t, "  ", of_queue);
	import_retry(t);
	import_bounce_lifetime(t);
	buf_printf(&t->config, "};\ndelivery = {\n");
	IMPORT_ROWS(t, "  ", of_delivery);
	import_addresses(t);
	buf_printf(&t->config, "  timeouts = {\n");
	IMPORT_ROWS(t, "    ", of_timeouts);
	buf_printf(&t->config, "  };\n};\n");
}
