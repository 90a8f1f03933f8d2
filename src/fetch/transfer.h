/* transfer.h - one request in libcurl. Only for files that know libcurl. */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include "client.h"
#include "posthouse/buf.h"

#include <curl/curl.h>

struct transfer {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers, *addresses;
	char host[256]; /* for sentences */
	char error[CURL_ERROR_SIZE];
	struct buf body;
	size_t head_n; /* bytes of the answer's head */
	bool too_large;
	transfer_fn done;
	void *ctx;
};

/* See transfer_new(). */
struct transfer *transfer_begin(CURLM *multi, const struct transfer_request *request, transfer_fn done, void *ctx);

/* libcurl is done with it: tell the user, and free it. */
void transfer_finish(struct transfer *t, CURLcode code);

/* Why there is no answer: a sentence that names the host, in the arena. */
struct str transfer_failure(struct transfer *t, CURLcode code, struct arena *a);

#endif
