/* secrets.c - values that can be passwords: those in files of their own, and groups of options for Cyrus. */
#include "loader.h"

#include "posthouse/secret.h"

#include <inttypes.h>
#include <sys/stat.h>

#define SECRET_MAX 65536

/* Without the one newline that editors put at the end. */
static struct str without_newline(struct str text)
{
	if (!str_ends(text, S("\n")))
		return text;
	return str_head(text, text.n - (str_ends(text, S("\r\n")) ? 2 : 1));
}

bool secret_note(struct loader *l, struct str path, unsigned mode)
{
	bool readable = mode & 0004 && !file_is_given(arena_cstr(l->arena, path));
	struct config *c = l->config;

	ARENA_GROW(l->arena, c->secret_files, c->secret_files_n, c->secret_files_capacity);
	c->secret_files[c->secret_files_n++] = (struct secret_file){ arena_str(l->arena, path), readable };
	return readable;
}

void secret_file_load(struct loader *l, const config_setting_t *s, struct str shown, struct str before, struct str *target)
{
	struct str path, secret;
	const char *why;
	unsigned mode;
	struct buf b;

	if (config_setting_type(s) != CONFIG_TYPE_STRING || config_setting_get_string(s)[0] == '\0') {
		fault(l, s, "%.*s_file: expected the path of a file", STR_ARG(shown));
		return;
	}
	path = path_resolve(l, str_of(config_setting_get_string(s)));
	why = file_read(arena_cstr(l->arena, path), SECRET_MAX, &b, &mode);
	secret = without_newline(buf_view(&b));
	if (!why && (secret.n == 0 || str_find(secret, '\n') < secret.n || memchr(secret.p, 0, secret.n)))
		why = "expected one line of text";
	if (why)
		fault(l, s, "%.*s_file: %.*s: %s", STR_ARG(shown), STR_ARG(path), why);
	else
		*target = arena_printf(l->arena, "%.*s%.*s", STR_ARG(before), STR_ARG(secret));
	if (!why && secret_note(l, path, mode))
		warning(l, s, "%.*s_file: everybody can read %.*s; expected mode 0600", STR_ARG(shown), STR_ARG(path));
	buf_wipe(&b);
}

void secret_place_check(struct loader *l, const config_setting_t *s, const char *group)
{
	struct source_run where;
	struct stat st;

	if (!is_given(s))
		return;
	where = source_of(l, (unsigned)config_setting_source_line(s));
	if (where.layer == LAYER_FILES && stat(arena_cstr(l->arena, where.file), &st) == 0 &&
	    secret_note(l, where.file, st.st_mode))
		warning(l, s, "%s: everybody can read this file and the password in it; expected mode 0600, or password_file",
			group);
}

/* The name that the option has for Cyrus: NAME_file is NAME. */
static struct str option_name(struct str key)
{
	return key.n > 5 && str_ends(key, S("_file")) ? str_head(key, key.n - 5) : key;
}

/* An option as "name=value" into *target; a fault when it is neither text, whole number, true nor false. */
static void load_option(struct loader *l, const config_setting_t *s, struct str group, struct str *target)
{
	struct str key = str_of(config_setting_name(s)), name = option_name(key), before;
	struct str shown = arena_printf(l->arena, "%.*s.%.*s", STR_ARG(group), STR_ARG(name));

	before = arena_printf(l->arena, "%.*s=", STR_ARG(name));
	if (name.n < key.n) {
		secret_file_load(l, s, shown, before, target);
		return;
	}
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING: *target = arena_printf(l->arena, "%.*s%s", STR_ARG(before), config_setting_get_string(s)); break;
	case CONFIG_TYPE_BOOL:
		*target = arena_printf(l->arena, "%.*s%s", STR_ARG(before), config_setting_get_bool(s) ? "true" : "false");
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64: *target = arena_printf(l->arena, "%.*s%lld", STR_ARG(before), config_setting_get_int64(s)); break;
	default: fault(l, s, "%.*s: expected a text, a whole number, true or false", STR_ARG(shown)); break;
	}
}

void options_load(struct loader *l, const config_setting_t *s, const struct key *k, void *base)
{
	struct str group = schema_shown(l->arena, str_of(k->path));
	size_t n = config_setting_type(s) == CONFIG_TYPE_GROUP ? (size_t)config_setting_length(s) : 0, used = 0;
	struct str *options = n > 0 ? ARENA_ARRAY(l->arena, struct str, n) : NULL;

	if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
		struct str expected = value_expected(k, l->arena);

		fault(l, s, "%.*s: expected %.*s", STR_ARG(group), STR_ARG(expected));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *option = config_setting_get_elem(s, (unsigned)i);
		struct str name = option_name(str_of(config_setting_name(option)));

		if (config_setting_get_member(s, arena_cstr(l->arena, name)) &&
		    !str_eq(name, str_of(config_setting_name(option)))) {
			fault(l, option, "expected one of %.*s and %.*s_file, not both", STR_ARG(name), STR_ARG(name));
			continue;
		}
		load_option(l, option, group, &options[used]);
		used += options[used].n > 0;
	}
	key_set_array(k, base, options, used);
}
