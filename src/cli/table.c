/* table.c - the table of commands. */
#include "options.h"

#define GLOBAL COMMAND_ROWS_GLOBAL
#define COMMAND_AS(NAME, WORD, DEFAULT, WORDS, HELP)                                                                             \
	{ .kind = ROW_COMMAND, .name = (WORD), .words = (WORDS), .verbs = (DEFAULT), .help = (HELP), .run = command_##NAME },
#define COMMAND(NAME, DEFAULT, WORDS, HELP) COMMAND_AS(NAME, #NAME, DEFAULT, WORDS, HELP)
#define VERB                                COMMAND_ROWS_VERB
#define OPTION                              COMMAND_ROWS_OPTION
#define JSON                                COMMAND_ROWS_JSON
#define CHOICES                             COMMAND_ROWS_CHOICES
#define NOTE                                COMMAND_ROWS_NOTE
const struct command_row commands[] = {
#include "commands.def"
	{ .kind = ROW_END },
};
