/* remove_tree.h - what a test removes at its end: a directory with all that is in it. */
#ifndef POSTHOUSE_TEST_REMOVE_TREE_H
#define POSTHOUSE_TEST_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_tree_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline int remove_tree(const char *directory)
{
	return nftw(directory, remove_tree_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
