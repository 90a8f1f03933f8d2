/* serve.h - `posthouse serve`. */
#ifndef POSTHOUSE_SERVE_H
#define POSTHOUSE_SERVE_H

/* Run the relay in the foreground until SIGTERM; the value is for exit(). */
int serve(const char *config_path);

#endif
