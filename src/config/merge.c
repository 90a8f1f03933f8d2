/* merge.c - one tree of all parts. source.c numbers the settings that come more than once (senders, senders*2), and here each
 * becomes one again. What a variable says replaces what files say; within one layer, groups have the members of all parts, lists
 * of groups in several files are joined in the order of these files, and a value that is said twice is a fault. */
#include "loader.h"

struct merge {
	config_t *tree;
	const struct loader *places; /* where lines come from */
	struct loader *faults_of;    /* NULL: nobody is told */
};

static struct source_run place(const struct merge *m, const config_setting_t *s)
{
	return source_of(m->places, (unsigned)config_setting_source_line(s));
}

static void copy_value(config_setting_t *to, const config_setting_t *from)
{
	config_setting_set_format(to, config_setting_get_format(from));
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_STRING: config_setting_set_string(to, config_setting_get_string(from)); break;
	case CONFIG_TYPE_BOOL: config_setting_set_bool(to, config_setting_get_bool(from)); break;
	case CONFIG_TYPE_FLOAT: config_setting_set_float(to, config_setting_get_float(from)); break;
	case CONFIG_TYPE_INT: config_setting_set_int(to, config_setting_get_int(from)); break;
	case CONFIG_TYPE_INT64: config_setting_set_int64(to, config_setting_get_int64(from)); break;
	default: break;
	}
}

/* libconfig has no way to move a setting. The line stays that of the original. */
static void copy_into(config_setting_t *parent, const config_setting_t *s)
{
	config_setting_t *made = config_setting_add(parent, config_setting_name(s), config_setting_type(s));

	if (!made)
		return;
	made->line = config_setting_source_line(s);
	if (!config_setting_is_aggregate(s))
		copy_value(made, s);
	for (int i = 0; config_setting_is_aggregate(s) && i < config_setting_length(s); i++)
		copy_into(made, config_setting_get_elem(s, (unsigned)i));
}

static void report_twice(const struct merge *m, const config_setting_t *first, const config_setting_t *again, struct str name)
{
	struct source_run at = place(m, first);
	struct loader *l = m->faults_of;
	struct config_fault where = { .file = at.file, .line = at.line };
	struct str text;

	if (!l)
		return;
	text = fault_place(l->arena, &where);
	fault(l, again, "%.*s is a duplicate: expected it once, and %.*s has it already", STR_ARG(name), STR_ARG(text));
}

static bool is_list(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_LIST;
}

/* Add what `more` says to `first`. */
static void merge(const struct merge *m, config_setting_t *first, const config_setting_t *more, struct str name)
{
	struct source_run at = place(m, first), again = place(m, more);
	bool groups = config_setting_is_group(first) && config_setting_is_group(more);

	if (!groups && at.layer != again.layer)
		return;
	if (!groups && (!is_list(first) || !is_list(more) || str_eq(at.file, again.file))) {
		report_twice(m, first, more, name);
		return;
	}
	for (int i = 0; i < config_setting_length(more); i++) {
		const config_setting_t *member = config_setting_get_elem(more, (unsigned)i);
		config_setting_t *own = groups ? config_setting_get_member(first, config_setting_name(member)) : NULL;

		if (own)
			merge(m, own, member, str_of(config_setting_name(member)));
		else
			copy_into(first, member);
	}
}

/* NAME*2 into NAME, in the order of the text. */
static void merge_all(const struct merge *m)
{
	config_setting_t *root = config_root_setting(m->tree);
	unsigned i = 0;

	while (i < (unsigned)config_setting_length(root)) {
		config_setting_t *s = config_setting_get_elem(root, i);
		struct str name = str_of(config_setting_name(s)), own = str_head(name, str_find(name, '*'));
		struct arena a = { 0 };
		config_setting_t *first = own.n < name.n ? config_setting_get_member(root, arena_cstr(&a, own)) : NULL;

		if (first) {
			merge(m, first, s, own);
			wipe_tree(s);
			config_setting_remove_elem(root, i);
		} else {
			i++;
		}
		arena_fini(&a);
	}
}

bool tree_read(config_t *tree, const char *text, const struct loader *places, struct loader *faults_of)
{
	config_set_include_dir(tree, "/dev/null"); /* no include is left; if one were, it must not be found */
	if (!config_read_string(tree, text))
		return false;
	merge_all(&(struct merge){ tree, places, faults_of });
	return true;
}
