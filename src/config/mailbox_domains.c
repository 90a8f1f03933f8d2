/* mailbox_domains.c - domains in which everybody can have a mailbox, with the profile of their provider. */
#include "posthouse/profiles.h"

/* A name without a dot stands for all top-level domains ("yahoo": yahoo.com, yahoo.co.uk); the first row counts. */
static const struct {
	const char *domain, *profile; /* "": there is no profile */
} rows[] = {
	{ "gmail.com", "gmail" },
	{ "googlemail.com", "gmail" },
	{ "outlook", "outlook.com" },
	{ "hotmail", "outlook.com" },
	{ "live", "outlook.com" },
	{ "msn.com", "outlook.com" },
	{ "yahoo", "yahoo" },
	{ "ymail.com", "yahoo" },
	{ "rocketmail.com", "yahoo" },
	{ "aol", "aol" },
	{ "aim.com", "aol" },
	{ "gmx.com", "gmx.com" },
	{ "gmx.us", "gmx.com" },
	{ "gmx.co.uk", "gmx.com" },
	{ "gmx", "gmx" },
	{ "web.de", "web.de" },
	{ "t-online.de", "t-online" },
	{ "magenta.de", "t-online" },
	{ "icloud.com", "icloud" },
	{ "me.com", "icloud" },
	{ "mac.com", "icloud" },
	{ "mail.ru", "mail.ru" },
	{ "inbox.ru", "mail.ru" },
	{ "list.ru", "mail.ru" },
	{ "bk.ru", "mail.ru" },
	{ "internet.ru", "mail.ru" },
	{ "yandex", "yandex" },
	{ "ya.ru", "yandex" },
	{ "proton.me", "proton-bridge" },
	{ "protonmail.com", "proton-bridge" },
	{ "pm.me", "proton-bridge" },
	{ "fastmail.com", "fastmail" },
	{ "fastmail.fm", "fastmail" },
	{ "zoho.com", "zoho" },
	{ "zohomail.com", "zoho" },
	{ "zohomail.eu", "zoho" },
	{ "rambler.ru", "rambler" },
	{ "lenta.ru", "rambler" },
	{ "ukr.net", "ukr.net" },
	{ "meta.ua", "meta.ua" },
	{ "seznam.cz", "seznam" },
	{ "email.cz", "seznam" },
	{ "post.cz", "seznam" },
	{ "mailbox.org", "mailbox.org" },
	{ "posteo.de", "posteo" },
	{ "posteo.net", "posteo" },
	{ "ik.me", "infomaniak" },
	{ "qq.com", "qq" },
	{ "foxmail.com", "qq" },
	{ "163.com", "163" },
	{ "126.com", "126" },
	{ "yeah.net", "163" },
	{ "freenet.de", "" },
	{ "wp.pl", "" },
	{ "o2.pl", "" },
	{ "libero.it", "" },
	{ "orange.fr", "" },
	{ "free.fr", "" },
	{ "laposte.net", "" },
	{ "naver.com", "" },
	{ "tutanota.com", "" },
	{ "tuta.com", "" },
	{ "mail.com", "" },
	{ "comcast.net", "" },
	{ "btinternet.com", "" },
	{ "virginmedia.com", "" },
	{ "bluewin.ch", "" },
	{ "telenet.be", "" },
};

/* "yahoo.com", "yahoo.co.uk", never "yahoo.example.org" */
static bool is_of(struct str name, struct str domain)
{
	if (str_find(name, '.') < name.n)
		return str_ieq(domain, name);
	return str_ieq(str_head(domain, str_find(domain, '.')), name) && domain.n - name.n <= sizeof ".com.br" - 1;
}

bool mailbox_domain(struct str domain, const struct profile **profile_out)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_of(str_of(rows[i].domain), domain)) {
			*profile_out = profile_find(str_of(rows[i].profile));
			return true;
		}
	*profile_out = NULL;
	return false;
}
