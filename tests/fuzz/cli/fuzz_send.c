/* fuzz_send.c - a message that a program hands in, and /etc/aliases: the input is both, with a line "%%" between them. */
#include "send.h"

#include "posthouse/mail.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The lines as mail has them: no byte is left that a relay would refuse. */
static struct str lines_of(struct arena *a, struct str text, bool dot_ends)
{
	struct send_lines l = { .dot_ends = dot_ends };
	size_t half = text.n / 2;
	struct str out;
	struct buf b;

	buf_init(&b, 3 * text.n + 10);
	send_lines_feed(&l, str_head(text, half), &b);
	send_lines_feed(&l, str_from(text, half), &b);
	send_lines_end(&l, &b);
	out = arena_str(a, buf_view(&b));
	buf_fini(&b);
	for (size_t i = 0; i < out.n; i++) {
		assert(out.p[i] != '\0' && (out.p[i] != '\n' || (i > 0 && out.p[i - 1] == '\r')));
		assert(out.p[i] != '\r' || (i + 1 < out.n && out.p[i + 1] == '\n'));
	}
	assert(out.n == 0 || str_ends(out, S("\r\n")));
	return out;
}

/* No address can break a command, or a line of a drop file. */
static void check_addresses(const struct str_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		assert(list->at[i].n > 0);
		for (size_t k = 0; k < list->at[i].n; k++)
			assert((unsigned char)list->at[i].p[k] >= ' ' && list->at[i].p[k] != 0x7f);
	}
}

static void read_message(struct arena *a, struct str text, struct str_list *recipients)
{
	const struct send_header_wishes wishes = { .recipients = true, .author = S("alice"), .now_ms = 1795289874000 };
	struct header_collector c;
	struct str rest, section;
	struct header h;

	header_collector_init(&c);
	if (header_collector_feed(&c, text, &rest).class == OK && (c.complete || header_collector_end(&c).class == OK) &&
	    !send_header(a, buf_view(&c.section), &wishes, &section, recipients)) {
		assert(header_parse(a, section, &h).class == OK);
		assert(!header_find(&h, S("Bcc")) && !header_find(&h, S("Resent-Bcc")) && header_find(&h, S("From")));
	}
	header_collector_fini(&c);
	check_addresses(recipients);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = str_make((const char *)data, size), separator = S("\n%%\n");
	size_t end = str_search(all, separator);
	struct str_list recipients = { NULL, 0 };
	struct arena a = { 0 };

	if (size > 65536)
		return 0;
	lines_of(&a, all, true);
	read_message(&a, lines_of(&a, str_head(all, end), false), &recipients);
	send_aliases_expand(&a, send_aliases_read(&a, str_from(all, end + separator.n)), &recipients, NULL, NULL);
	arena_fini(&a);
	return 0;
}
