/* SPDX-License-Identifier: Apache-2.0
 * IP addresses, networks and the text forms Exim uses ("10.0.0.1", "2001:db8::1", "10.0.0.1.25"). */
#pragma once
#include "base/str.h"
#include <netinet/in.h>
#include <sys/socket.h>

struct ip_addr {
	uint8_t family; /* AF_INET, AF_INET6; 0 = unset */
	uint8_t byte[16]; /* network order; 4 used for AF_INET */
	uint32_t scope; /* IPv6 zone index, 0 = none */
};

/* Parse a literal, without brackets; "::ffff:1.2.3.4" stays IPv6. False if it is none. */
bool ip_parse(struct str s, struct ip_addr *ret);
struct str ip_text(struct arena *a, const struct ip_addr *ip);
bool ip_eq(const struct ip_addr *a, const struct ip_addr *b);
/* Keep the first `bits` bits, clear the others. */
void ip_mask(struct ip_addr *ip, unsigned bits);
/* "10.0.0.0/8", or a plain address (all bits). False if malformed. */
bool ip_net_parse(struct str s, struct ip_addr *ret_ip, unsigned *ret_bits);
bool ip_in_net(const struct ip_addr *ip, const struct ip_addr *net, unsigned bits);
void ip_from_sockaddr(const struct sockaddr *sa, struct ip_addr *ret, int *ret_port);
socklen_t ip_to_sockaddr(const struct ip_addr *ip, int port, struct sockaddr_storage *ret);
/* "1.0.0.10" reversed, for in-addr.arpa and DNS lists; nibbles for IPv6 ("1.0.0.…"), no suffix. */
struct str ip_reverse(struct arena *a, const struct ip_addr *ip);
