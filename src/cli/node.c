/* node.c - `posthouse node list|drain|resume|remove`. */
#include "node.h"

#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/store_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static int list(struct session *s, bool json)
{
	const struct msg_nodes_are *m = &session_ask(s, MSG_node_list, &(struct msg_node_list){ 0 }, MSG_nodes_are)->nodes_are;

	for (size_t i = 0; json && i < m->rows.n; i++)
		json_print_document("node", node_json(&m->rows.at[i]));
	if (json)
		json_end(m->rows.n, false);
	else if (m->rows.n == 0)
		printf("there are no nodes: the queue is in state_dir, and of this relay alone (store.engine)\n");
	else
		node_print(stdout, &s->arena, m->rows.at, m->rows.n, clock_now_ms(), terminal_width());
	return EX_OK;
}

static const struct verb {
	const char *name;
	enum store_node_order order;
	const char *done; /* for people */
} verbs[] = {
	{ "drain", STORE_NODE_DRAIN, "takes no mail any more, and ends what it has begun" },
	{ "resume", STORE_NODE_RESUME, "works again" },
	{ "remove", STORE_NODE_REMOVE, "is removed" },
};

/* 0: the node that is asked. */
static uint64_t read_number(const struct options *o)
{
	const char *text = o->arguments_n > 0 ? o->arguments[0] : NULL;
	char *end = NULL;
	unsigned long number;

	if (!text)
		return 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || number == 0 || number > ID_CLUSTER_NODES_MAX)
		die(EX_USAGE, "\"%s\" is no node: its number in `posthouse node list` was expected", text);
	return number;
}

static int order(struct session *s, const struct verb *verb, uint64_t number, bool json)
{
	const struct msg_node_order ask = { .order = verb->order, .number = number };
	const struct msg_node_ordered *m = &session_ask(s, MSG_node_order, &ask, MSG_node_ordered)->node_ordered;

	if (json)
		json_print_document("ordered", json_pack("{s:s, s:I}", "order", verb->name, "node", (json_int_t)m->number));
	else if (m->verdict.text.n > 0)
		printf("%.*s\n", STR_ARG(utf8_shown(&s->arena, m->verdict.text)));
	else
		printf("node %llu %s\n", (unsigned long long)m->number, verb->done);
	return EX_OK;
}

int command_node(const struct options *o, const char *config_path)
{
	bool json = options_given(o, "json");
	uint64_t number = read_number(o);
	struct session s;
	int code = EX_OK;

	session_open(&s, config_path);
	if (strcmp(o->verb, "list") == 0)
		code = list(&s, json);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(o->verb, verbs[i].name) == 0)
			code = order(&s, &verbs[i], number, json);
	session_close(&s);
	return code;
}
