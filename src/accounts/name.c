/* name.c - names of accounts and of their device passwords. */
#include "internal.h"

#define NAME_MAX_BYTES   255
#define DEVICE_MAX_BYTES 64

/* UTF-8 without control characters, spaces, '/' and ':', lower case as far as ASCII goes. */
static bool word_valid(struct str word)
{
	uint32_t c;

	while (word.n) {
		if (!utf8_next(&word, &c))
			return false;
		if (c <= ' ' || (c >= 0x7f && c <= 0xa0) || c == '/' || c == ':' || (c >= 'A' && c <= 'Z'))
			return false;
	}
	return true;
}

/* A name has one '@' with something on both sides, and does not look like a comment of the file. */
bool account_name_valid(struct str name)
{
	size_t at = str_find(name, '@');

	return name.n <= NAME_MAX_BYTES && at > 0 && at + 1 < name.n && str_rfind(name, '@') == at && name.p[0] != '#' &&
	       word_valid(name);
}

/* "-" stands for no device in the file. */
bool account_device_valid(struct str device)
{
	return device.n <= DEVICE_MAX_BYTES && !str_eq(device, S("-")) && word_valid(device);
}

bool account_parse_name(struct arena *a, struct str text, struct str realm, struct str *name_out, struct str *device_out)
{
	size_t slash = str_find(text, '/');
	struct str name = str_head(text, slash), device = str_from(text, slash + 1);

	if (text.n > NAME_MAX_BYTES + 1 + DEVICE_MAX_BYTES || name.n == 0)
		return false;
	if (slash < text.n && device.n == 0)
		return false;
	name = arena_lower(a, name);
	if (str_find(name, '@') == name.n && realm.n)
		name = arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(arena_lower(a, realm)));
	device = arena_lower(a, device);
	if (!account_name_valid(name) || !account_device_valid(device))
		return false;
	*name_out = name;
	*device_out = device;
	return true;
}
