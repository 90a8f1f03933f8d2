/* list.h - intrusive doubly linked lists. The head is a struct list that points to itself when empty. */
#ifndef POSTHOUSE_LIST_H
#define POSTHOUSE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void list_prepend(struct list *head, struct list *item)
{
	list_append(head->next, item);
}

/* Take an item out; it is then a list of its own, so removing twice is harmless. */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/* The first item, or NULL. */
static inline struct list *list_first(const struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

/* Move all items to the end of another list. */
static inline void list_move_all(struct list *from, struct list *to)
{
	struct list *first;

	while ((first = list_first(from))) {
		list_remove(first);
		list_append(to, first);
	}
}

/* Walk the items; the body is allowed to remove the current one. */
#define LIST_EACH(i, head) for (struct list *i = (head)->next, *i##_next = i->next; i != (head); i = i##_next, i##_next = i->next)
/* The same with `v` as a pointer to the struct whose `member` is in the list. */
#define LIST_EACH_OF(type, v, head, member)                                                                                      \
	for (type *v = CONTAINER_OF((head)->next, type, member), *v##_next = CONTAINER_OF(v->member.next, type, member);         \
	     &v->member != (head); v = v##_next, v##_next = CONTAINER_OF(v->member.next, type, member))

#endif
