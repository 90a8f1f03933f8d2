/* headers.h - `posthouse doctor --headers`: a message as somebody received it, judged. */
#ifndef POSTHOUSE_CLI_HEADERS_H
#define POSTHOUSE_CLI_HEADERS_H

#include "doctor.h"

#include "posthouse/verify.h"

#define HEADERS_LINES_MAX 100

/* What DNS has for one signature of the message. */
struct headers_key {
	struct str name; /* SELECTOR._domainkey.DOMAIN */
	enum { KEY_THERE, KEY_MISSING, KEY_UNKNOWN } state;
	struct str record, why;
};

struct headers_input {
	struct header header;
	struct str body;
	struct dkim_signature signatures[DKIM_SIGNATURES_MAX];
	size_t signatures_n;
	struct headers_key keys[DKIM_SIGNATURES_MAX]; /* one for each signature */
	const struct config *config;
	uint64_t now; /* ms UTC */
};

/* One thing that was found; what to do about it, "": nothing. */
struct headers_line {
	const char *id; /* "dkim.receiver" */
	enum doctor_result result;
	struct str text, remedy;
};

/* Split a message, with whatever line ends, into fields and body, and read its signatures. False: it is no message. */
bool headers_read(struct arena *a, struct str text, struct headers_input *in);
/* The number of lines. */
size_t headers_judge(struct arena *a, const struct headers_input *in, struct headers_line lines_out[HEADERS_LINES_MAX]);

/* The command. Returns its exit code. */
int doctor_headers(const struct options *o, const char *config_path, const char *file);

#endif
