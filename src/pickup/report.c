/* report.c - what is written to the owner of a file that the relay has refused. */
#include "pickup.h"

#include "posthouse/clock.h"
#include "posthouse/file.h"
#include "posthouse/mail.h"
#include "posthouse/policy.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Those who do not get the message, each with the reason. */
static size_t failed_of(struct reading *r, struct verdict v, struct str held, struct report_recipient *out)
{
	struct str advice =
		held.n == 0
			? S("")
			: arena_printf(
				  &r->arena,
				  "The file is kept on the machine of the relay, where its administrator can see to it:\n%.*s",
				  STR_ARG(held));
	size_t n = 0;

	for (size_t i = 0; i < r->message.recipients_n; i++) {
		struct local_recipient *to = &r->message.recipients[i];
		struct verdict why = v.class != OK ? v : to->verdict;

		if (v.class != OK && to->verdict.class == PERM)
			why = to->verdict;
		if (why.class == PERM)
			out[n++] = (struct report_recipient){ .address = to->address, .verdict = why, .advice = advice };
	}
	if (n == 0) /* its head could not be read */
		out[n++] = (struct report_recipient){ .address = S("unknown"), .verdict = v, .advice = advice };
	return n;
}

int report_write(struct reading *r, const struct config *c, const struct taken *t, struct verdict v, struct str to,
		 struct str held)
{
	struct arena *a = &r->arena;
	struct report_recipient *failed = ARENA_ARRAY(a, struct report_recipient, r->message.recipients_n + 1);
	struct report_input in = { .kind = REPORT_FAILURE,
				   .hostname = c->hostname,
				   .from = local_report_sender(c, a),
				   .id = t->id,
				   .now_ms = clock_now_ms(),
				   .to = to,
				   .original_id = t->id,
				   .original_at = t->dropped_at,
				   .recipients = failed,
				   .original_header = r->header,
				   .boundary_seed = arena_printf(a, "%016llx%016llx", (unsigned long long)random_u64(),
								 (unsigned long long)random_u64()) };
	struct str header, body, parts[3];
	bool is_8bit, written = true;
	int fd = memfd_create("report", MFD_CLOEXEC);

	in.n = failed_of(r, v, held, failed);
	mail_report(a, &in, &header, &body, &is_8bit);
	parts[0] = header;
	parts[1] = S("\r\n");
	parts[2] = body;
	for (size_t i = 0; i < 3 && fd >= 0; i++)
		written = written && file_write(fd, parts[i]);
	if (fd >= 0 && !written) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void on_told(void *ctx, struct verdict v, const struct msg_postmaster_told *m, int fd)
{
}

void report_to_postmaster(struct file *f, struct str why)
{
	struct arena *a = &f->reading.arena;
	const char *held = held_path(a, f->pickup->path, &f->t);
	struct msg_tell_postmaster m = {
		.subject = S("Mail of a program on this machine could not be sent"),
		.words = arena_printf(
			a,
			"A message that the user with the number %llu has dropped was refused. %.*s.\n\nThe answer to the "
			"message:\n    %.*s\nThe answer to the report:\n    %.*s\n\nThe message is kept in:\n    %s\n",
			(unsigned long long)f->t.uid, STR_ARG(why),
			STR_ARG(f->verdict.class != OK ? f->verdict.text : S("some recipients were refused")),
			STR_ARG(f->report_verdict.text), held),
	};

	ipc_call_tell_postmaster(role_peer(f->pickup->role, ROLE_QUEUE, 0), &m, -1, on_told, NULL);
}
