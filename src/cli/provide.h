/* provide.h - `--env`: what variables ask for and is no part of the configuration. */
#ifndef POSTHOUSE_CLI_PROVIDE_H
#define POSTHOUSE_CLI_PROVIDE_H

#include "posthouse/accounts.h"
#include "posthouse/config.h"

#define PROVIDED     "env" /* beside the account file: the accounts as the variables had them at the last start */
#define PROVIDE_LOCK "no variable names it any more"

/* Make the certificate, the DKIM keys and the accounts that are missing, as the relay's user. Dies when the configuration has
 * faults, or something cannot be made. serving: what it says goes where the relay's log goes, in the log's format. */
void provide(const char *config_path, bool serving);

/* ---- provide_accounts.c ---- */

/* Accounts follow the variables: a password that has changed there since the last start is set, an account that is named no more
 * is locked. What a person has changed stays. */
void provide_accounts(const struct config *c);

/* ---- provide_check.c ---- */

/* Names that no account can have, and those that are there twice: said by the names of their variables. How many there are. */
unsigned provide_check_accounts(const struct config *c);

#endif
