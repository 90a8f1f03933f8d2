/* precis.c - the profile UsernameCaseMapped (RFC 8265 section 3.3) over the IdentifierClass (RFC 8264 section 4.2), with the
 * tables of libunistring. */
#include "posthouse/names.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#define PART_MAX 255 /* bytes */
#define ROUNDS   4   /* RFC 8264 section 7: apply the rules until nothing changes; text that still changes is no name */

/* A word as code points. */
struct word {
	uint32_t *at; /* of malloc() */
	size_t n;
};

/* ---- which code points (RFC 8264 section 8 and 9) ---- */

static bool is_one_of(uint32_t c, const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == c)
			return true;
	return false;
}

#define IS_ONE_OF(c, list) is_one_of((c), (list), sizeof(list) / sizeof((list)[0]))

/* 9.6 Exceptions; the contextual ones are in context_allows(). */
static const uint32_t exceptions_valid[] = { 0xdf, 0x3c2, 0x6fd, 0x6fe, 0xf0b, 0x3007 };
static const uint32_t exceptions_disallowed[] = { 0x640, 0x7fa, 0x302e, 0x302f, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303b };

/* 9.9 OldHangulJamo. */
static bool is_old_jamo(uint32_t c)
{
	return (c >= 0x1100 && c <= 0x11ff) || (c >= 0xa960 && c <= 0xa97c) || (c >= 0xd7b0 && c <= 0xd7fb);
}

/* 9.17 HasCompat: toNFKC(cp) is another. */
static bool has_compatible(uint32_t c)
{
	uint32_t room[32];
	size_t n = sizeof(room) / sizeof(room[0]);
	uint32_t *normal = u32_normalize(UNINORM_NFKC, &c, 1, room, &n);
	bool differs = !normal || n != 1 || normal[0] != c;

	if (normal != room)
		free(normal);
	return differs;
}

/* 9.1 LetterDigits. */
static bool is_letter_or_digit(uint32_t c)
{
	return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Lo |
							   UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
							   UC_CATEGORY_MASK_Mc);
}

static bool has_script(const struct word *w, size_t i, const char *name)
{
	const uc_script_t *script = i < w->n ? uc_script(w->at[i]) : NULL;

	return script && strcmp(script->name, name) == 0;
}

static bool any_within(const struct word *w, uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->at[i] >= from && w->at[i] <= to)
			return true;
	return false;
}

static bool any_japanese(const struct word *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->at[i] != 0x30fb &&
		    (has_script(w, i, "Hiragana") || has_script(w, i, "Katakana") || has_script(w, i, "Han")))
			return true;
	return false;
}

/* RFC 5892 appendix A: is the code point allowed beside its neighbours? False for code points that no context allows. */
static bool context_allows(const struct word *w, size_t i)
{
	uint32_t c = w->at[i];

	switch (c) {
	case 0x200c: /* joiners, behind a virama; between letters the second has no effect, and the first is rare in names */
	case 0x200d: return i > 0 && uc_combining_class(w->at[i - 1]) == UC_CCC_VR;
	case 0xb7: return i > 0 && i + 1 < w->n && w->at[i - 1] == 'l' && w->at[i + 1] == 'l';
	case 0x375: return has_script(w, i + 1, "Greek");
	case 0x5f3:
	case 0x5f4: return i > 0 && has_script(w, i - 1, "Hebrew");
	case 0x30fb: return any_japanese(w);
	default: break;
	}
	if (c >= 0x660 && c <= 0x669)
		return !any_within(w, 0x6f0, 0x6f9);
	return c >= 0x6f0 && c <= 0x6f9 && !any_within(w, 0x660, 0x669);
}

static bool is_contextual(uint32_t c)
{
	static const uint32_t single[] = { 0x200c, 0x200d, 0xb7, 0x375, 0x5f3, 0x5f4, 0x30fb };

	return IS_ONE_OF(c, single) || (c >= 0x660 && c <= 0x669) || (c >= 0x6f0 && c <= 0x6f9);
}

/* RFC 8264 section 8, in its order. */
static bool is_allowed(const struct word *w, size_t i)
{
	uint32_t c = w->at[i];

	if (c > ' ' && c < 0x7f)
		return true;
	if (IS_ONE_OF(c, exceptions_valid))
		return true;
	if (is_contextual(c))
		return context_allows(w, i);
	return !IS_ONE_OF(c, exceptions_disallowed) && !is_old_jamo(c) && !uc_is_property_default_ignorable_code_point(c) &&
	       !uc_is_property_not_a_character(c) && is_letter_or_digit(c) && !has_compatible(c);
}

/* ---- directions (RFC 5893 section 2) ---- */

/* The classes of the rule, a bit each. Any other class makes a name with letters from right to left malformed. */
#define BIT(class) (1u << UC_BIDI_##class)
enum {
	L = BIT(L),
	R = BIT(R),
	AL = BIT(AL),
	AN = BIT(AN),
	EN = BIT(EN),
	NSM = BIT(NSM),
	NEUTRAL = BIT(ES) | BIT(CS) | BIT(ET) | BIT(ON) | BIT(BN),
};

static unsigned direction(uint32_t c)
{
	return 1u << uc_bidi_category(c);
}

static bool directions_agree(const struct word *w)
{
	unsigned seen = 0, first = direction(w->at[0]), last = 0;
	bool from_right = (first & (R | AL)) != 0;

	for (size_t i = 0; i < w->n; i++) {
		unsigned d = direction(w->at[i]);

		seen |= d;
		last = d == NSM ? last : d;
	}
	if (!(seen & (R | AL | AN)))
		return true; /* the rule is about names with letters from right to left */
	if (!from_right)
		return first == L && !(seen & ~(L | EN | NEUTRAL | NSM)) && (last & (L | EN));
	return !(seen & ~(R | AL | AN | EN | NEUTRAL | NSM)) && (last & (R | AL | EN | AN)) && (seen & (EN | AN)) != (EN | AN);
}

/* ---- the rules, in the order of RFC 8265 section 3.3.2 ---- */

/* Full-width and half-width characters become those that they stand for. */
static void map_width(struct word *w)
{
	for (size_t i = 0; i < w->n; i++) {
		ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
		int tag, n = uc_decomposition(w->at[i], &tag, parts);

		if (n == 1 && (tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW))
			w->at[i] = parts[0];
	}
}

/* toLowerCase(), then form C; false: no memory. */
static bool map_case(struct word *w)
{
	size_t n = 0;
	uint32_t *lower = u32_tolower(w->at, w->n, NULL, UNINORM_NFC, NULL, &n);

	free(w->at);
	*w = (struct word){ lower, n };
	return lower != NULL;
}

static bool enforce(struct word *w)
{
	map_width(w);
	for (size_t i = 0; i < w->n; i++)
		if (!is_allowed(w, i))
			return false;
	return map_case(w) && w->n > 0 && directions_agree(w);
}

/* The rules until they change nothing. */
static bool settle(struct word *w)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct word before = { xcalloc(w->n + 1, sizeof(uint32_t)), w->n };
		bool allowed, same;

		memcpy(before.at, w->at, w->n * sizeof(uint32_t));
		allowed = enforce(w);
		same = allowed && u32_cmp2(before.at, before.n, w->at, w->n) == 0;
		free(before.at);
		if (!allowed || same)
			return allowed;
	}
	return false;
}

bool precis_username(struct arena *a, struct str part, struct str *name_out)
{
	struct word w = { 0 };
	uint8_t *text = NULL;
	size_t n = 0;
	bool allowed;

	if (part.n == 0 || part.n > PART_MAX || !utf8_valid(part))
		return false;
	w.at = u8_to_u32((const uint8_t *)part.p, part.n, NULL, &w.n);
	allowed = w.at && settle(&w);
	if (allowed)
		text = u32_to_u8(w.at, w.n, NULL, &n);
	if (text)
		*name_out = arena_str(a, str_make(text, n));
	free(text);
	free(w.at);
	return text != NULL;
}
