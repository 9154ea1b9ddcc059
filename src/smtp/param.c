/* SPDX-License-Identifier: Apache-2.0
 * Paths and parameters of MAIL and RCPT (RFC 5321 4.1.1.2-3, 4.1.2), as tolerant as Exim is:
 *   path = "<" [ source-route ":" ] mailbox ">" / mailbox    parameters = *( SP name [ "=" value ] ) */
#include "smtp/server_priv.h"

#include "base/banned.h"

bool smtp_param_last(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str s = str_rtrim(*rest);
	size_t at = s.len;
	while (at > 0 && !ch_space((unsigned char)s.p[at - 1]))
		at--;
	if (at == 0 || at == s.len)
		return false;
	struct str word = str_from(s, at);
	ptrdiff_t eq = str_chr(word, '=');
	*ret_name = eq < 0 ? word : str_sub(word, 0, (size_t)eq);
	*ret_value = eq < 0 ? STR_NONE : str_from(word, (size_t)eq + 1);
	*rest = str_sub(s, 0, at);
	return true;
}

/* Length of the path in front: up to its ">" outside of quotes, or the first word. */
static size_t path_length(struct str s)
{
	bool quoted = false, angle = s.len && s.p[0] == '<';
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '\\' && quoted)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && angle && c == '>')
			return i + 1;
		else if (!quoted && !angle && ch_space((unsigned char)c))
			return i;
	}
	return s.len;
}

struct smtp_path_cmd smtp_path_parse(struct str args)
{
	struct smtp_path_cmd c = {.raw = args};
	size_t len = path_length(args);
	c.address = str_sub(args, 0, len);
	c.params = str_trim(str_from(args, len));
	if (c.address.len >= 2 && c.address.p[0] == '<' && c.address.p[c.address.len - 1] == '>')
		c.address = str_sub(c.address, 1, c.address.len - 2);
	return c;
}
