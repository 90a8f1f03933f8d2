/* values.c - from libconfig's tree into the structs, along the table. First all that is in the file is looked up in the table,
 * then all that is in the table is looked up in the file: so unknown keys and missing ones are both found. */
#include "loader.h"

#include <stdio.h>

#define ELEMENTS_MAX 100000

static bool is_group(const config_setting_t *s)
{
	return s && config_setting_type(s) == CONFIG_TYPE_GROUP;
}

static bool is_list(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_LIST || config_setting_type(s) == CONFIG_TYPE_ARRAY;
}

/* ---- first way: is all that is in the file in the table? ---- */

/* Is the row a direct member of `prefix` ("", "queue.", "listen[].")? */
static bool is_member(const struct key *k, struct str prefix)
{
	struct str path = str_of(k->path);

	return str_starts(path, prefix) && str_find(str_from(path, prefix.n), '.') == path.n - prefix.n;
}

/* The key with the most similar name in the same group, else a key of the same name in another group; NULL when there is none. */
static const struct key *nearest_key(struct str prefix, struct str name)
{
	const struct key *best = NULL;
	unsigned best_distance = name.n < 5 ? 2 : 3;

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		unsigned d = is_member(k, prefix) ? str_distance(schema_leaf(k), name) : 100;

		if (d < best_distance && !(k->flags & FILLED)) {
			best = k;
			best_distance = d;
		}
	}
	for (size_t i = 0; i < config_keys_n && !best; i++)
		if (!(config_keys[i].flags & FILLED) && str_eq(schema_leaf(&config_keys[i]), name))
			best = &config_keys[i];
	return best;
}

static void report_unknown(struct loader *l, const config_setting_t *s, struct str prefix, struct str name)
{
	const struct key *near = nearest_key(prefix, name);
	struct str path = schema_shown(l->arena, arena_printf(l->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name)));
	struct str meant = near ? schema_shown(l->arena, str_of(near->path)) : S("");
	struct str hint = near && str_ieq(schema_leaf(near), name) ? S("") : foreign_hint(l->arena, name);

	if (hint.n > 0)
		fault(l, s, "unknown key %.*s; %.*s", STR_ARG(path), STR_ARG(hint));
	else if (near)
		fault(l, s, "unknown key %.*s; did you mean %.*s?", STR_ARG(path), STR_ARG(meant));
	else
		fault(l, s, "unknown key %.*s", STR_ARG(path));
}

static void check_members(struct loader *l, const config_setting_t *group, struct str prefix);

static void check_setting(struct loader *l, const config_setting_t *s, const struct key *k)
{
	struct str shown = schema_shown(l->arena, str_of(k->path));

	if (k->type == CFG_GROUP) {
		if (is_group(s))
			check_members(l, s, arena_printf(l->arena, "%s.", k->path));
		else
			fault(l, s, "%.*s: expected a group { … }", STR_ARG(shown));
	}
	if (k->type != CFG_LIST)
		return;
	if (!is_list(s)) {
		fault(l, s, "%.*s: expected a list of groups ( { … }, { … } )", STR_ARG(shown));
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)i);

		if (is_group(element))
			check_members(l, element, arena_printf(l->arena, "%s[].", k->path));
		else
			fault(l, element, "%.*s: expected each element to be a group { … }", STR_ARG(shown));
	}
}

/* The row of a key; *as_file_out: it is the KEY_file form of a secret. */
static const struct key *row_of(struct loader *l, struct str prefix, struct str name, bool *as_file_out)
{
	struct str path = arena_printf(l->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name));
	size_t i = schema_find(path);

	*as_file_out = false;
	if (i == config_keys_n && str_ends(path, S("_file"))) {
		i = schema_find(str_head(path, path.n - 5));
		if (i < config_keys_n && config_keys[i].type != CFG_SECRET)
			i = config_keys_n;
		*as_file_out = i < config_keys_n;
	}
	return i < config_keys_n && !(config_keys[i].flags & FILLED) ? &config_keys[i] : NULL;
}

static void check_members(struct loader *l, const config_setting_t *group, struct str prefix)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		struct str name = str_of(config_setting_name(s));
		bool as_file;
		const struct key *k = row_of(l, prefix, name, &as_file);

		if (!k)
			report_unknown(l, s, prefix, name);
		else if (!as_file)
			check_setting(l, s, k);
	}
}

/* ---- second way: take all that is in the table from the file ---- */

static void report_value(struct loader *l, const config_setting_t *s, const struct key *k)
{
	struct str shown = schema_shown(l->arena, str_of(k->path)), expected = value_expected(k, l->arena);
	const char *text =
		config_setting_type(s) == CONFIG_TYPE_STRING && k->type != CFG_SECRET ? config_setting_get_string(s) : NULL;

	if (text && strlen(text) > 200)
		text = NULL;
	if (text)
		fault(l, s, "%.*s: expected %.*s, not \"%s\"", STR_ARG(shown), STR_ARG(expected), text);
	else
		fault(l, s, "%.*s: expected %.*s", STR_ARG(shown), STR_ARG(expected));
}

/* Values as other programs write them would be taken as names of hosts or files. */
static bool has_foreign_form(struct loader *l, const config_setting_t *s, const struct key *k)
{
	struct str hint = k->type == CFG_SECRET ? S("") : foreign_value_hint(l->arena, str_of(config_setting_get_string(s)));

	if (hint.n > 0)
		fault(l, s, "%.*s: %.*s", STR_ARG(schema_shown(l->arena, str_of(k->path))), STR_ARG(hint));
	return hint.n > 0;
}

/* One value that is no list. */
static void load_scalar(struct loader *l, const config_setting_t *s, const struct key *k, void *target)
{
	enum key_type type = key_scalar(k);
	bool good = false;
	long long number;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		if (has_foreign_form(l, s, k))
			return;
		if (type != CFG_INT && type != CFG_BOOL)
			good = value_set(k, l->arena, arena_str(l->arena, str_of(config_setting_get_string(s))), target);
		break;
	case CONFIG_TYPE_BOOL:
		good = type == CFG_BOOL;
		if (good)
			*(bool *)target = config_setting_get_bool(s) != 0;
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		number = config_setting_get_int64(s);
		good = (type == CFG_INT || type == CFG_SIZE) && number >= 0 && value_in_bounds(k, (uint64_t)number);
		if (good)
			*(uint64_t *)target = (uint64_t)number;
		break;
	default: break;
	}
	if (!good)
		report_value(l, s, k);
}

static void load_rows(struct loader *l, const config_setting_t *group, size_t skip, size_t from, size_t end, void *base);

/* An array of scalars or groups. A required key must have an element, and so must one with a
 * default, unless it can be empty. */
static void load_array(struct loader *l, const config_setting_t *s, size_t i, void *base)
{
	const struct key *k = &config_keys[i];
	size_t n = is_list(s) ? (size_t)config_setting_length(s) : 0, size = key_element_size(k);
	char *elements = n > 0 && n <= ELEMENTS_MAX ? arena_calloc(l->arena, n, size) : NULL;
	struct str shown = schema_shown(l->arena, str_of(k->path));

	if (!is_list(s)) {
		if (k->type != CFG_LIST) /* check_setting() has reported it */
			report_value(l, s, k);
		return;
	}
	if (n > ELEMENTS_MAX)
		fault(l, s, "%.*s: expected at most %d elements", STR_ARG(shown), ELEMENTS_MAX);
	else if (n == 0 && (k->fallback || k->flags & REQUIRED) && !(k->flags & EMPTY))
		fault(l, s, "%.*s: expected at least one element", STR_ARG(shown));
	if (!elements)
		return;
	for (size_t e = 0; e < n; e++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)e);

		if (k->type != CFG_LIST)
			load_scalar(l, element, k, elements + e * size);
		else if (is_group(element))
			load_rows(l, element, strlen(k->path) + 3, i + 1, schema_end(i), elements + e * size);
	}
	key_set_array(k, base, elements, n);
}

/* Words with spaces between. The texts of the table live for ever. */
static void load_default_array(struct loader *l, const struct key *k, void *base)
{
	struct str rest = str_of(k->fallback), word;
	char *elements = arena_calloc(l->arena, rest.n, key_element_size(k));
	size_t n = 0;

	while (str_split(&rest, ' ', &word))
		if (!value_set(k, l->arena, word, elements + n++ * key_element_size(k)))
			fault(l, NULL, "the default of %s is wrong", k->path);
	key_set_array(k, base, elements, n);
}

/* A list's default is written in the file's syntax and read like the file. */
static void load_default_list(struct loader *l, size_t i, void *base)
{
	struct str text = arena_printf(l->arena, "value = %s;", config_keys[i].fallback);
	config_t tree;

	config_init(&tree);
	if (config_read_string(&tree, arena_cstr(l->arena, text)))
		load_array(l, config_lookup(&tree, "value"), i, base);
	else
		fault(l, NULL, "the default of %s is wrong", config_keys[i].path);
	config_destroy(&tree);
}

static void load_default(struct loader *l, const config_setting_t *group, size_t i, void *base)
{
	const struct key *k = &config_keys[i];
	const char *variable = environment_variable(k->path);
	struct str shown;

	if (k->fallback && k->type == CFG_LIST) {
		load_default_list(l, i, base);
	} else if (k->fallback && key_is_array(k)) {
		load_default_array(l, k, base);
	} else if (k->fallback) {
		if (!value_set(k, l->arena, str_of(k->fallback), key_at(k, base)))
			fault(l, NULL, "the default of %s is wrong", k->path);
	} else if (k->flags & REQUIRED) {
		shown = schema_shown(l->arena, str_of(k->path));
		fault(l, config_setting_is_root(group) ? NULL : group, "expected the key %.*s%s%s: it is needed. %s",
		      STR_ARG(shown), variable ? " or the variable " : "", variable ? variable : "", k->help);
	}
}

/* The setting of a path below `group` ("timeouts.connect"), through groups only; NULL when it is not there. */
static const config_setting_t *setting_of(const config_setting_t *group, struct str path, const char *suffix)
{
	struct str part;
	char name[128];

	while (is_group(group) && str_split(&path, '.', &part)) {
		snprintf(name, sizeof(name), "%.*s%s", STR_ARG(part), path.n == 0 ? suffix : "");
		group = config_setting_get_member(group, name);
		if (path.n == 0)
			return group;
	}
	return NULL;
}

static void load_row(struct loader *l, const config_setting_t *group, size_t skip, size_t i, void *base)
{
	const struct key *k = &config_keys[i];
	struct str path = str_from(str_of(k->path), skip), *text = key_at(k, base);
	const config_setting_t *s = setting_of(group, path, ""),
			       *file = k->type == CFG_SECRET ? setting_of(group, path, "_file") : NULL;

	if (k->type == CFG_GROUP || k->flags & FILLED)
		return;
	if (s && file)
		fault(l, file, "expected one of %.*s and %.*s_file, not both", STR_ARG(schema_leaf(k)), STR_ARG(schema_leaf(k)));
	else if (file)
		secret_file_load(l, file, schema_shown(l->arena, str_of(k->path)), S(""), text);
	else if (!s)
		load_default(l, group, i, base);
	else if (k->type == CFG_OPTIONS)
		options_load(l, s, k, base);
	else if (key_is_array(k))
		load_array(l, s, i, base);
	else
		load_scalar(l, s, k, key_at(k, base));
	if (k->flags & PATH)
		*text = path_resolve(l, *text);
}

/* `skip` bytes of the rows' paths are those of the list that `group` is an element of. */
static void load_rows(struct loader *l, const config_setting_t *group, size_t skip, size_t from, size_t end, void *base)
{
	for (size_t i = from; i < end; i = schema_end(i))
		load_row(l, group, skip, i, base);
}

void values_load(struct loader *l)
{
	const config_setting_t *root = config_root_setting(&l->tree);

	check_members(l, root, S(""));
	load_rows(l, root, 0, 0, config_keys_n, l->config);
}

void rates_check(struct loader *l, const config_setting_t *s, const char *name, const struct rate_list *rates)
{
	for (size_t k = 1; k < rates->n; k++)
		for (size_t m = 0; m < k; m++)
			if (rates->at[k].window_ms != 0 && rates->at[k].window_ms == rates->at[m].window_ms) {
				fault(l, s && is_list(s) ? config_setting_get_elem(s, (unsigned)k) : s,
				      "%s: expected one rate for each time; element %zu of the list has the same", name, m + 1);
				break;
			}
}
