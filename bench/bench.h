/* SPDX-License-Identifier: Apache-2.0
 * What the bench programs share: numbers from the command line, and the loopback socket. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void bench_die(const char *what)
{
	perror(what);
	exit(1);
}

/* A decimal within bounds, or an end with a message. */
static inline long bench_number(const char *text, const char *name, long low, long high)
{
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < low || n > high) {
		fprintf(stderr, "%s: a number from %ld to %ld, not \"%s\"\n", name, low, high, text);
		exit(2);
	}
	return n;
}

/* Nothing here ever leaves the machine. */
static inline struct sockaddr_in bench_loopback(long port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void bench_nodelay(int fd)
{
	int one = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
		bench_die("TCP_NODELAY");
}
