/* variants.c - rules that can be left out, one at a time. The simulation must find a fault without each of them; if it does not,
 * it looks in the wrong places, and what it says of the whole rules is worth little. */
#include "variants.h"

const struct variant variants[VARIANTS] = {
	[NO_HORIZON] = { "no-horizon", "relay sends the dot whenever it is ready" },
	[NO_EPOCH_IN_HORIZON] = { "horizon-without-epoch", "relay compares only the time" },
	[NO_NUMBER_IN_HORIZON] = { "horizon-without-number", "relay compares the epoch, but not of which number it is" },
	[ASYNCHRONOUS_TAKES] = { "asynchronous-takes", "a take does not wait for the standby" },
	[NO_FENCE] = { "no-fence", "transactions do not lock the node's row" },
	[NO_TAKE_NUMBER] = { "no-take-number", "a result settles whatever take there is" },
	[SLEEP_IN_ONE_STATEMENT] = { "sleep-in-one-statement", "a lane is locked and looked at with one snapshot" },
	[REPEAT_WITHOUT_FENCE] = { "repeat-without-fence",
				   "a repeated accept takes no lock, so it does not wait for the standby" },
	[NO_UNKNOWN_WAIT] = { "no-unknown-wait", "what a dead node had taken is due again at once" },
	[CLAIM_WITHOUT_GIVING_BACK] = { "claim-without-giving-back", "a node starts again and forgets what it had taken" },
	[TAKE_WITHOUT_ROW_LOCKS] = { "take-without-row-locks", "the owner of a shard takes without locking the due rows" },
	[NO_REREAD] = { "no-reread", "a node never looks at what is taken in its name" },
	[REREAD_ONCE] = { "reread-once", "it looks after a reconnect alone, when the lost take can still be under way" },
	[GIVE_BACK_AFTERWARDS] = { "give-back-afterwards", "declare dead, and give back in a transaction of its own" },
	[SETTLE_IN_ONE_STATEMENT] = { "settle-in-one-statement",
				      "it looks at taken and due with one snapshot, from before it has a lock" },
	[HELD_IS_STALE] = { "held-is-stale", "a late result of mail that was held meanwhile counts as stale" },
	[RELEASE_AT_ONCE] = { "release-at-once", "released mail is due at once, though its outcome was unknown" },
	[NO_TERMINATE] = { "no-terminate", "who declares a node dead does not end its backends, which hold locks" },
	[COUNT_THROUGH_OUTAGE] = { "count-through-outage", "a node counts the silence of others while it has no beat itself" },
	[IDS_ABOVE_FLOOR] = { "ids-above-floor", "a node gives ids above the floor that the database has" },
	[OFFSET_BY_WALL_CLOCK] = { "offset-by-wall-clock", "a node reckons the database's time by its own wall clock" },
};
