/* places.c - where the entries of lists are in the files: the text that a configuration was read from is parsed once more. */
#include "loader.h"

#include "posthouse/secret.h"

/* The list in the tree; NULL: it is not in the files. The tree is to be destroyed in any case. */
static const config_setting_t *read_list(const struct config *c, config_t *tree, struct str path)
{
	struct loader l = { .file = c->file, .runs = c->source_runs, .runs_n = c->source_runs_n };
	struct arena a = { 0 };
	const config_setting_t *list = NULL;
	struct buf text;

	config_init(tree);
	buf_init(&text, c->source.n + 1);
	buf_add(&text, c->source);
	buf_add_char(&text, '\0');
	if (tree_read(tree, text.p + text.from, &l, NULL))
		list = config_lookup(tree, arena_cstr(&a, path));
	buf_wipe(&text);
	arena_fini(&a);
	return list && config_setting_is_aggregate(list) ? list : NULL;
}

bool config_place(const struct config *c, struct arena *a, struct str path, size_t i, struct str *file_out, unsigned *line_out)
{
	struct loader l = { .file = c->file, .runs = c->source_runs, .runs_n = c->source_runs_n };
	config_t tree;
	const config_setting_t *list = read_list(c, &tree, path),
			       *entry = list ? config_setting_get_elem(list, (unsigned)i) : NULL;
	struct source_run where = { .line = 0 };

	if (entry)
		where = source_of(&l, (unsigned)config_setting_source_line(entry));
	*file_out = arena_str(a, where.file);
	*line_out = where.line;
	wipe_tree(config_root_setting(&tree));
	config_destroy(&tree);
	return entry != NULL;
}
