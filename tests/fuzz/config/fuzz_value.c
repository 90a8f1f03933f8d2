/* fuzz_value.c - the value of a key as people write it: what is accepted is printed in a form that is accepted again, as the same
 * value. The first two bytes choose the key. */
#include "fuzz.h"
#include "schema.h"

static const struct text_format *const formats[] = {
	&format_fqdn,           &format_domain, &format_host,     &format_address,   &format_mailbox,      &format_pattern,
	&format_sender_pattern, &format_via,    &format_login,    &format_any_login, &format_device_login, &format_rewritten,
	&format_user,           &format_name,   &format_selector, &format_network,   &format_source,       &format_resolver,
	&format_path,           &format_socket, &format_endpoint, &format_https,     &format_instant,      &format_local_user
};

static void check_format(struct arena *a, const struct text_format *f, struct str text)
{
	struct str form = f->canonical ? f->canonical(a, text) : text;

	if (!f->valid(form))
		return;
	assert(text_is_printable(form));
	fuzz_assert_one_line(form);
	assert(!f->canonical || str_eq(f->canonical(a, form), form));
}

static void check_parts(struct str text)
{
	struct str address;
	struct via via;
	unsigned port;

	if (endpoint_read(text, &address, &port))
		assert(port > 0 && port < 65536 && address.n > 0 && address.n < text.n);
	via = via_read(text);
	assert(via.name.n <= text.n);
	if (host_name_valid(text) || selector_valid(text))
		assert(str_is_ascii(text) && str_find(text, ' ') == text.n);
}

/* Without the quotes of a text. */
static struct str printed(struct arena *a, const struct key *k, const void *base)
{
	struct str text;
	struct buf b;

	buf_init(&b, 1 << 20);
	value_print(&b, k, base);
	text = arena_str(a, buf_view(&b));
	buf_fini(&b);
	fuzz_assert_shown(text);
	return text.n >= 2 && text.p[0] == '"' ? str_make(text.p + 1, text.n - 2) : text;
}

static void check_key(struct arena *a, const struct key *k, struct str text)
{
	struct {
		_Alignas(64) char bytes[sizeof(struct config)];
	} *one = arena_alloc(a, sizeof *one), *other = arena_alloc(a, sizeof *other);
	struct str first;

	if (key_is_array(k) || k->type == CFG_SECRET || !value_set(k, a, text, key_at(k, one)))
		return;
	first = printed(a, k, one);
	if (str_find(first, '\\') < first.n)
		return; /* it is quoted, and so is what is in it */
	assert(value_set(k, a, first, key_at(k, other)));
	assert(str_eq(printed(a, k, other), first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	unsigned row = fuzz_byte(&text) << 8 | fuzz_byte(&text);
	struct arena a = { 0 };
	struct rate rate;

	if (size > 1024)
		return 0;
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		check_format(&a, formats[i], text);
	check_parts(text);
	if (value_rate(text, row & 1, &rate))
		assert(rate.window_ms > 0);
	check_key(&a, &config_keys[row % config_keys_n], text);
	arena_fini(&a);
	return 0;
}
