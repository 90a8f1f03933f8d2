/* bounds.c - what queue does not believe of a submission process: ids and texts that no honest one sends. */
#include "intake/intake_private.h"

#define TEXT_MAX 1024 /* bytes; what a client can say is cut or refused far below */

/* Does the id come from this process, or from pickup, whose ids submission passes on? So no process can take the ids that others
 * are about to give. */
bool intake_id_is_allowed(const struct channel *ch, uint64_t id)
{
	unsigned worker = id_worker(id);

	return id != 0 && (worker == channel_peer_index(ch) || worker == ID_WORKER_PARTS || worker == ID_WORKER_PICKUP);
}

/* A control character could end a line of SMTP, or of a report. */
bool intake_text_is_allowed(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return text.n <= TEXT_MAX;
}

bool intake_recipients_are_allowed(const struct msg_recipients *m)
{
	for (size_t i = 0; i < m->recipients.n; i++) {
		const struct rec_recipient *r = &m->recipients.at[i];

		if (!intake_text_is_allowed(r->address) || r->address.n == 0 || !intake_text_is_allowed(r->orcpt))
			return false;
	}
	return true;
}
