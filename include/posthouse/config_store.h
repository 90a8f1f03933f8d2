/* config_store.h - the part of the configuration that says what keeps the queue. */
#ifndef POSTHOUSE_CONFIG_STORE_H
#define POSTHOUSE_CONFIG_STORE_H

#include "posthouse/str.h"

enum cfg_engine { ENGINE_SQLITE, ENGINE_POSTGRESQL };
enum durability { DURABILITY_STANDBY, DURABILITY_LOCAL };

/* All but `engine` is of PostgreSQL. */
struct cfg_store {
	unsigned engine;          /* enum cfg_engine */
	struct str connection;    /* words of libpq, judged by the loader: no password, nothing that queue sets by itself */
	struct str_list hosts;    /* that it leads to: names, addresses and directories of sockets; filled in by the loader */
	struct str_list places;   /* files that it names, and directories of sockets: whole paths; filled in too */
	struct str_list ports;    /* as digits: at least one; filled in too */
	struct str password;      /* "": none */
	unsigned durability;      /* enum durability */
	uint64_t node_timeout_ms; /* without a beat for this time a node is declared dead */
	uint64_t agreement;       /* a hash of what all nodes are to have the same; filled in */
	uint64_t patience_ms;     /* that a message at its end waits for a database that is away */
	bool i_know;              /* that who answers as the database need not be it */
};

#endif
