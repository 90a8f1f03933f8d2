/* keys.h - key.pem and chain.pem in a directory: a certificate for relay.example.org that signs itself. */
#ifndef POSTHOUSE_FUZZ_KEYS_H
#define POSTHOUSE_FUZZ_KEYS_H

void keys_make(const char *directory);

#endif
