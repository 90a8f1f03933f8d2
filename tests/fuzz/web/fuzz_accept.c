/* fuzz_accept.c - the Accept field of a monitor, and the same bytes as the label of a number. */
#include "exposition.h"

#include "posthouse/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str bytes = str_make(data, n);
	struct rec_stat rows[] = { { .metric = METRIC_QUEUE_RESULTS, .label = bytes, .value = n },
				   { .metric = METRIC_QUEUE_NEXTHOP_DOWN, .label = bytes, .value = n } };
	struct role_told queue = { .state = { .role = ROLE_QUEUE }, .answers = true, .stats = rows, .stats_n = 2 };
	struct buf b;

	buf_init(&b, 4096);
	exposition_write(&b, exposition_wanted(bytes), &queue, 1);
	buf_fini(&b);
	return 0;
}
