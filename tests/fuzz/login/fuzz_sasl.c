/* fuzz_sasl.c - what a client says in its AUTH dialogue: the first line names the mechanism, each further one is an answer. "%r" stands
 * for the nonce that the server gave, without which nobody gets to the end of SCRAM. Nobody gets in but by the password. */
#include "cyrus.h"
#include "gs2.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

/* Of "pencil", with as few iterations as may be (RFC 7677 section 3). */
#define VERIFIER                                                                                                                 \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

#define ANSWERS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[] = "/tmp/posthouse-fuzz-XXXXXX";
static struct directory *directory;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	return remove(path);
}

static void clean_up(void)
{
	cyrus_stop();
	directory_free(directory);
	nftw(place, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
	struct accounts *accounts;
	struct verdict v;

	assert(mkdtemp(place));
	accounts = accounts_open(place, &v);
	assert(accounts && accounts_change(accounts, ACCOUNT_ADD, S("alice@example.org"), S(""), S(VERIFIER), 0).class == OK);
	accounts_close(accounts);
	directory = directory_new(place);
	assert(directory_refresh(directory).class == OK);
	assert(cyrus_start(directory, &(struct cfg_auth){ 0 }).class == OK);
	atexit(clean_up);
}

static struct str nonce_of(struct str challenge)
{
	struct str part;

	while (str_split(&challenge, ',', &part))
		if (str_starts(part, S("r=")))
			return str_from(part, 2);
	return str_of("");
}

static struct str with_nonce(struct arena *a, struct str answer, struct str nonce)
{
	size_t at = str_search(answer, S("%r"));

	if (at == answer.n)
		return answer;
	return arena_printf(a, "%.*s%.*s%.*s", STR_ARG(str_head(answer, at)), STR_ARG(nonce), STR_ARG(str_from(answer, at + 2)));
}

/* What a step may come to, and nothing else. */
static void check(struct conversation_result r, bool *goes_on)
{
	switch (r.verdict.code) {
	case 334: *goes_on = true; return;
	case 235: assert(str_eq(r.name, S("alice@example.org")) && r.device.n == 0); break;
	case 535:
	case 501:
	case 504: assert(r.verdict.class == PERM); break;
	default: assert(!"a fault of ours");
	}
	assert(r.fault.n == 0);
	*goes_on = false;
}

static void talk(struct conversation *c, struct arena *a, struct str mechanism, struct str answers)
{
	struct str answer = { NULL, 0 }, nonce = str_of("");
	bool goes_on = false, has_initial = str_split(&answers, '\n', &answer);
	struct conversation_result r;

	if (str_eq(mechanism, S("LOGIN"))) {
		struct str user = answer.p ? answer : str_of("");

		str_split(&answers, '\n', &answer);
		check(conversation_check(c, user, answer.p ? answer : str_of("")), &goes_on);
		assert(!goes_on);
		return;
	}
	r = conversation_start(c, arena_cstr(a, mechanism), has_initial ? answer : (struct str){ NULL, 0 });
	check(r, &goes_on);
	for (int i = 0; goes_on && i < ANSWERS_MAX && str_split(&answers, '\n', &answer); i++) {
		if (r.challenge.n)
			nonce = arena_str(a, nonce_of(r.challenge));
		r = conversation_step(c, with_nonce(a, answer, nonce));
		check(r, &goes_on);
	}
}

/* Others do not get as far as Cyrus: exchange_start.c refuses what is not configured. */
static bool configured(struct str mechanism)
{
	return str_eq(mechanism, S("PLAIN")) || str_eq(mechanism, S("LOGIN")) || str_eq(mechanism, S("SCRAM-SHA-256")) ||
	       str_eq(mechanism, S("SCRAM-SHA-256-PLUS"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make(data, size), mechanism = str_of(""), type;
	struct conversation_config config = { .service = "smtp",
					      .hostname = "relay.example.org",
					      .realm = S("example.org"),
					      .tls_bits = 256,
					      .exporter = S("0123456789abcdef0123456789abcdef"),
					      .end_point = S("fedcba9876543210fedcba9876543210"),
					      .offers_binding = size % 2 };
	struct conversation *c;
	struct arena a = { 0 };

	if (!directory)
		set_up();
	gs2_read(input, &type);
	str_split(&input, '\n', &mechanism);
	if (!configured(mechanism))
		return 0;
	c = conversation_new(directory, &config);
	assert(c);
	talk(c, &a, mechanism, input);
	conversation_free(c);
	arena_fini(&a);
	return 0;
}
