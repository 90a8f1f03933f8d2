/* schema_slots.h - the table of the connections that nodes hold: in new databases, and in others since version 3. */
#ifndef POSTGRESQL_SCHEMA_SLOTS_H
#define POSTGRESQL_SCHEMA_SLOTS_H

/* A row counts as long as its node is in this epoch. n: connections of the next hop that the node holds; wanted: those that it
 * has work for; turn: nodes that wait come in this order. See slot_rule.h. */
#define GATE_SLOT_TABLE                                                                                                          \
	"CREATE TABLE gate_slot(gate text NOT NULL,node int8 NOT NULL,epoch int8 NOT NULL,n int8 NOT NULL,"                      \
	"wanted int8 NOT NULL,turn int8 NOT NULL,PRIMARY KEY(gate,node))"                                                        \
	" WITH(fillfactor=50,autovacuum_vacuum_scale_factor=0,autovacuum_vacuum_cost_delay=0,autovacuum_vacuum_threshold=1000)"

#endif
