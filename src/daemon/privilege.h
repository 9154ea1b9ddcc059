/* SPDX-License-Identifier: Apache-2.0
 * Who calls, who we are, and giving privilege up (manual 5.2, 56.2). The program is not installed
 * set-uid; where a site makes it so, the real uid is the caller and the environment is not trusted. */
#pragma once
#include "base/env.h"
#include "config/config.h"

struct identity {
	int32_t real_uid, real_gid; /* the caller */
	bool root;       /* effective uid 0: can become others */
	bool set_id;     /* effective differs from real */
	bool admin, trusted; /* after identity_judge */
	struct str login, gecos, home;
};
/* Facts of this process; login from the password file. */
void identity_read(struct identity *id, struct arena *a);
/* admin and trusted by the configuration (manual 5.2). */
void identity_judge(struct identity *id, const struct config *cfg);
bool identity_in_group(const struct identity *id, int32_t gid);
/* For good: become the mail user with its groups / the caller. False with why if the kernel refuses. */
bool privilege_become(int32_t uid, int32_t gid, bool init_groups, struct why *why);
/* A clean start: descriptors 0 to 2 open, all others closed, SIGPIPE ignored, umask 022... */
void privilege_clean_process(void);
/* keep_environment / add_environment (manual 14). */
bool privilege_clean_environment(const struct config *cfg, struct env *env, struct why *why);
