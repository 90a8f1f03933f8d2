/* pages.h - what the role answers: /metrics, /healthz and /readyz, made from what was collected. */
#ifndef POSTHOUSE_WEB_PAGES_H
#define POSTHOUSE_WEB_PAGES_H

#include "collect.h"
#include "http.h"

bool page_is(struct str path);

/* Is the page about master alone, so that it can be answered as soon as master has answered? */
bool page_is_of_master(struct str path);

/* Answer a request for such a page. roles: all that have told their numbers, master among them. */
void page_answer(struct http_request *q, const struct collected *is, const struct role_told *roles, size_t n);

#endif
