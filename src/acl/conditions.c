/* SPDX-License-Identifier: Apache-2.0
 * The table of conditions and modifiers, from conditions.def. */
#include "acl/conditions.h"
#include "base/banned.h"

#define WHERE_MESSAGE (ACL_W(MAIL) | ACL_W(RCPT) | ACL_W(PREDATA) | ACL_W(DATA) | ACL_W(MIME) | ACL_W(DKIM) | ACL_W(PRDR))
#define WHERE_SENDER \
	(~(ACL_W(AUTH) | ACL_W(CONNECT) | ACL_W(HELO) | ACL_W(MAILAUTH) | ACL_W(QUIT) | ACL_W(ETRN) | ACL_W(EXPN) | \
	    ACL_W(STARTTLS) | ACL_W(VRFY) | ACL_W(ATRN) | ACL_W(WELLKNOWN)))

#define CONDITION(n, how, in) {.name = #n, .flags = (how), .where = (in), .run = acl_cond_##n},
#define MODIFIER(n, how, in) {.name = #n, .flags = (how) | ROW_MODIFIER, .where = (in), .run = acl_cond_##n},
#define REFUSED(n) {.name = #n, .flags = ROW_REFUSED},
const struct acl_row acl_rows[] = {
#include "acl/conditions.def"
	{0}
};

const struct acl_row *acl_row_find(struct str name)
{
	for (const struct acl_row *row = acl_rows; row->name; row++)
		if (str_eqc(name, row->name))
			return row;
	return NULL;
}
