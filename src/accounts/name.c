/* name.c - names of accounts and of their device passwords. */
#include "internal.h"

#define NAME_MAX_BYTES   255
#define DEVICE_MAX_BYTES 64

/* UTF-8 without control characters, spaces, '/' and ':', lower case as far as ASCII goes. */
static bool word_valid(struct str word)
{
	const unsigned char *p = (const unsigned char *)word.p;

	for (size_t i = 0; i < word.n; i++) {
		bool is_c1 = p[i] == 0xc2 && i + 1 < word.n && p[i + 1] <= 0xa0; /* and the space that does not break */

		if (p[i] <= ' ' || p[i] == 0x7f || is_c1 || p[i] == '/' || p[i] == ':' || (p[i] >= 'A' && p[i] <= 'Z'))
			return false;
	}
	return utf8_valid(word);
}

/* A name has one '@' with something on both sides, and does not look like a comment of the file. */
bool account_name_valid(struct str name)
{
	size_t at = str_find(name, '@');

	return name.n <= NAME_MAX_BYTES && at > 0 && at + 1 < name.n && str_rfind(name, '@') == at && name.p[0] != '#' &&
	       word_valid(name);
}

/* In the file, "-" means no device. */
bool account_device_valid(struct str device)
{
	return device.n <= DEVICE_MAX_BYTES && !str_eq(device, S("-")) && word_valid(device);
}

bool account_parse_name(struct arena *a, struct str text, struct str realm, struct str *name_out, struct str *device_out)
{
	size_t slash = str_find(text, '/');
	struct str name = str_head(text, slash), device = str_from(text, slash + 1);

	if (text.n > NAME_MAX_BYTES + 1 + DEVICE_MAX_BYTES || name.n == 0 || str_find(text, '\0') < text.n)
		return false;
	if (slash < text.n && device.n == 0)
		return false;
	if (str_find(name, '@') == name.n && realm.n)
		name = arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(realm));
	name = login_canonical(a, name);
	device = str_from(login_canonical(a, str_from(text, slash)), 1);
	if (!account_name_valid(name) || !account_device_valid(device))
		return false;
	*name_out = name;
	*device_out = device;
	return true;
}
