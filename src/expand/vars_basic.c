/* SPDX-License-Identifier: Apache-2.0
 * Variables that are always there: the configuration, the process, the clock, and what items and
 * conditions leave behind (manual 11.9). */
#include "expand/tree.h"
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/banned.h"

#define GET(fn) static bool fn(struct eval *ev, void *obj, struct str *ret)

GET(get_value) { *ret = ev->value; return true; }
GET(get_item) { *ret = ev->item; return true; }
GET(get_prvs_address) { *ret = ev->prvs_address; return true; }
GET(get_prvs_keynum) { *ret = ev->prvs_keynum; return true; }
GET(get_prvs_result) { *ret = ev->prvs_result; return true; }
GET(get_srs_recipient) { *ret = ev->srs_recipient; return true; }
GET(get_runrc) { *ret = str_printf(ev->lx.arena, "%d", ev->runrc); return true; }
GET(get_pid) { *ret = str_printf(ev->lx.arena, "%d", (int)getpid()); return true; }
GET(get_version) { *ret = STR(EXIMIUS_VERSION); return true; }
GET(get_compile_number) { *ret = STR("1"); return true; }
GET(get_caller_uid) { *ret = str_printf(ev->lx.arena, "%d", ev->lx.env->real_uid); return true; }
GET(get_caller_gid) { *ret = str_printf(ev->lx.arena, "%d", ev->lx.env->real_gid); return true; }

GET(get_dnssec)
{
	*ret = ev->lx.dnssec == 0 ? STR("") : ev->lx.dnssec > 0 ? STR("yes") : STR("no");
	return true;
}

GET(get_exim_path)
{
	char buf[4096];
	ssize_t n = readlink("/proc/self/exe", buf, sizeof buf);

	*ret = n > 0 ? str_dup(ev->lx.arena, str_n(buf, (size_t)n)) : STR("");
	return true;
}

GET(get_initial_cwd)
{
	char buf[4096];

	*ret = getcwd(buf, sizeof buf) ? str_dup(ev->lx.arena, str_c(buf)) : STR("");
	return true;
}

GET(get_load_average)
{
	double load = 0;

	*ret = getloadavg(&load, 1) == 1 ? str_printf(ev->lx.arena, "%d", (int)(load * 1000)) : STR("-1");
	return true;
}

/* --- the configuration ------------------------------------------------------------------------ */
#define CONF(fn, field) GET(fn) { if (ev->lx.config) *ret = ev->lx.config->field; return true; }
CONF(get_primary_hostname, primary_hostname)
CONF(get_qualify_domain, qualify_domain)
CONF(get_qualify_recipient, qualify_recipient)
CONF(get_spool_directory, spool_directory)
CONF(get_config_file, path)

GET(get_config_dir)
{
	struct str p = ev->lx.config ? ev->lx.config->path : STR_NONE;
	ptrdiff_t at = str_rchr(p, '/');

	*ret = at < 0 ? STR(".") : str_sub(p, 0, (size_t)at);
	return true;
}

GET(get_exim_uid)
{
	*ret = str_printf(ev->lx.arena, "%d", ev->lx.config ? ev->lx.config->exim_uid : -1);
	return true;
}

GET(get_exim_gid)
{
	*ret = str_printf(ev->lx.arena, "%d", ev->lx.config ? ev->lx.config->exim_gid : -1);
	return true;
}

GET(get_localhost_number)
{
	struct str s = STR_NONE;

	if (ev->lx.config && expand(ev, &ev->lx.config->main.localhost_number, &s) != EXPAND_OK)
		return false;
	*ret = str_empty(s) ? STR("0") : s;
	return true;
}

GET(get_bounce_limit)
{
	int64_t v = ev->lx.config ? ev->lx.config->main.bounce_return_size_limit : 0;

	*ret = str_printf(ev->lx.arena, "%lld", (long long)((v + 999) / 1000 * 1000));
	return true;
}

/* Free inodes and kilobytes of the file system with the spool or the log; -1 unknown. */
static struct str space_of(struct eval *ev, struct str path, bool inodes)
{
	struct statvfs st;

	if (!path.p || statvfs(str_cstr(ev->lx.arena, path), &st) < 0)
		return STR("-1");
	if (inodes)
		return str_printf(ev->lx.arena, "%lld", st.f_files ? (long long)st.f_favail : -1LL);
	return str_printf(ev->lx.arena, "%llu", (unsigned long long)st.f_bavail * (unsigned long long)st.f_frsize / 1024);
}

static struct str log_folder(struct eval *ev)
{
	if (!ev->lx.config)
		return STR_NONE;
	return str_printf(ev->lx.arena, "%.*s/log", STR_ARG(ev->lx.config->spool_directory));
}

GET(get_spool_space) { *ret = space_of(ev, ev->lx.config ? ev->lx.config->spool_directory : STR_NONE, false); return true; }
GET(get_spool_inodes) { *ret = space_of(ev, ev->lx.config ? ev->lx.config->spool_directory : STR_NONE, true); return true; }
GET(get_log_space) { *ret = space_of(ev, log_folder(ev), false); return true; }
GET(get_log_inodes) { *ret = space_of(ev, log_folder(ev), true); return true; }

/* --- the clock -------------------------------------------------------------------------------- */
static time_t now(struct eval *ev)
{
	return clock_s(&ev->lx.env->clock);
}

static bool utc(struct eval *ev)
{
	return ev->lx.config && str_ieqc(ev->lx.config->main.timezone.text, "UTC");
}

enum tod { TOD_MBOX, TOD_LOGFILE, TOD_ZONE, TOD_ZULU };
static struct str format(struct eval *ev, enum tod which, bool in_utc)
{
	time_t t = now(ev);
	struct tm tm;
	char buf[64];
	size_t n = 0;

	if (in_utc)
		gmtime_r(&t, &tm);
	else
		localtime_r(&t, &tm);
	switch (which) {
	case TOD_MBOX: n = strftime(buf, sizeof buf, "%a %b %d %H:%M:%S %Y", &tm); break;
	case TOD_LOGFILE: n = strftime(buf, sizeof buf, "%Y%m%d", &tm); break;
	case TOD_ZONE: n = strftime(buf, sizeof buf, "%z", &tm); break;
	case TOD_ZULU: n = strftime(buf, sizeof buf, "%Y%m%d%H%M%SZ", &tm); break;
	}
	return str_dup(ev->lx.arena, str_n(buf, n));
}

GET(get_tod_bsdinbox) { *ret = format(ev, TOD_MBOX, utc(ev)); return true; }
GET(get_tod_logfile) { *ret = format(ev, TOD_LOGFILE, utc(ev)); return true; }
GET(get_tod_zone) { *ret = utc(ev) ? STR("+0000") : format(ev, TOD_ZONE, false); return true; }
GET(get_tod_zulu) { *ret = format(ev, TOD_ZULU, true); return true; }
GET(get_tod_epoch) { *ret = str_printf(ev->lx.arena, "%lld", (long long)now(ev)); return true; }
GET(get_tod_epoch_l) { *ret = str_printf(ev->lx.arena, "%lld", (long long)clock_us(&ev->lx.env->clock)); return true; }
GET(get_tod_full) { *ret = clock_rfc5322(ev->lx.arena, now(ev), utc(ev)); return true; }
GET(get_tod_log)
{
	*ret = clock_log(ev->lx.arena, now(ev), utc(ev), ev->lx.config && ev->lx.config->main.log_timezone);
	return true;
}

#define FN(n, fn) {.name = (n), .space = SPACE_NONE, .kind = VAR_FN, .get = (fn)}
const struct expand_var vars_basic[] = {
    FN("bounce_return_size_limit", get_bounce_limit),
    FN("caller_gid", get_caller_gid),
    FN("caller_uid", get_caller_uid),
    FN("compile_number", get_compile_number),
    FN("config_dir", get_config_dir),
    FN("config_file", get_config_file),
    FN("exim_gid", get_exim_gid),
    FN("exim_path", get_exim_path),
    FN("exim_uid", get_exim_uid),
    FN("exim_version", get_version),
    FN("initial_cwd", get_initial_cwd),
    FN("item", get_item),
    FN("load_average", get_load_average),
    FN("localhost_number", get_localhost_number),
    FN("log_inodes", get_log_inodes),
    FN("log_space", get_log_space),
    FN("lookup_dnssec_authenticated", get_dnssec),
    FN("pid", get_pid),
    FN("primary_hostname", get_primary_hostname),
    FN("prvscheck_address", get_prvs_address),
    FN("prvscheck_keynum", get_prvs_keynum),
    FN("prvscheck_result", get_prvs_result),
    FN("qualify_domain", get_qualify_domain),
    FN("qualify_recipient", get_qualify_recipient),
    FN("return_size_limit", get_bounce_limit),
    FN("runrc", get_runrc),
    FN("spool_directory", get_spool_directory),
    FN("spool_inodes", get_spool_inodes),
    FN("spool_space", get_spool_space),
    FN("srs_recipient", get_srs_recipient),
    FN("tod_bsdinbox", get_tod_bsdinbox),
    FN("tod_epoch", get_tod_epoch),
    FN("tod_epoch_l", get_tod_epoch_l),
    FN("tod_full", get_tod_full),
    FN("tod_log", get_tod_log),
    FN("tod_logfile", get_tod_logfile),
    FN("tod_zone", get_tod_zone),
    FN("tod_zulu", get_tod_zulu),
    FN("value", get_value),
    FN("version_number", get_version),
    {0},
};
