/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/banned.h"

static int64_t system_wall_us(struct clock *c)
{
	(void)c;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_mono_ms(struct clock *c)
{
	(void)c;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const struct clock clock_system = {.wall_us = system_wall_us, .mono_ms = system_mono_ms};

static void split(time_t t, bool utc, struct tm *ret)
{
	if (utc)
		gmtime_r(&t, ret);
	else
		localtime_r(&t, ret);
}

static struct str zone_text(struct arena *a, const struct tm *tm)
{
	long off = tm->tm_gmtoff / 60;
	return str_printf(a, "%c%02ld%02ld", off < 0 ? '-' : '+', labs(off) / 60, labs(off) % 60);
}

struct str clock_rfc5322(struct arena *a, time_t t, bool utc)
{
	static const char *const day[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const month[] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;
	split(t, utc, &tm);
	return str_printf(a, "%s, %02d %s %04d %02d:%02d:%02d %.*s", day[tm.tm_wday % 7], tm.tm_mday,
	    month[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    STR_ARG(zone_text(a, &tm)));
}

struct str clock_log(struct arena *a, time_t t, bool utc, bool zone)
{
	struct tm tm;
	split(t, utc, &tm);
	struct str z = zone ? zone_text(a, &tm) : STR("");
	return str_printf(a, "%04d-%02d-%02d %02d:%02d:%02d%s%.*s", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, zone ? " " : "", STR_ARG(z));
}

static const struct {
	char letter;
	int64_t seconds;
} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

/* Manual 6.16: numbers each followed by w, d, h, m or s; no white space; any order. */
int64_t interval_parse(struct str s)
{
	int64_t total = 0;
	uint32_t i = 0;
	if (s.len == 0)
		return -1;
	while (i < s.len) {
		int64_t n = 0;
		uint32_t from = i;
		while (i < s.len && ch_digit((unsigned char)s.p[i]))
			if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, s.p[i++] - '0', &n))
				return -1;
		if (i == from || i == s.len)
			return -1;
		size_t u = 0;
		while (u < countof(units) && units[u].letter != s.p[i])
			u++;
		if (u == countof(units) || __builtin_mul_overflow(n, units[u].seconds, &n) ||
		    __builtin_add_overflow(total, n, &total))
			return -1;
		i++;
	}
	return total;
}

struct str interval_format(struct arena *a, int64_t t)
{
	char text[80];
	size_t at = 0;
	if (t < 0) {
		text[at++] = '-';
		t = -t;
	}
	for (size_t u = 0; u < countof(units); u++) {
		int64_t n = t / units[u].seconds;
		t %= units[u].seconds;
		if (n || (units[u].letter == 's' && (at == 0 || text[at - 1] == '-')))
			at += (size_t)snprintf(text + at, sizeof text - at, "%lld%c", (long long)n, units[u].letter);
	}
	return str_dup(a, str_n(text, at));
}
