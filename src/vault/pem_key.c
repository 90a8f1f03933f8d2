/* pem_key.c - see pem_key.h. */
#include "pem_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>

EVP_PKEY *pem_key(struct str pem)
{
	static char no_phrase[] = "";
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_phrase) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}
