/* SPDX-License-Identifier: Apache-2.0
 * The files of one message, as Exim writes them (manual 57; lines that the chapter does not list
 * were seen in real files), and what must hold of them at every instant.
 *
 *   input/ID-D           body. Line 1 is "ID-D"; the bytes 0..len(line 1) carry the fcntl lock
 *   input/ID-H           envelope, facts, header lines; line 1 is "ID-H"
 *   input/ID-J           addresses done in this attempt, one a line
 *   input/hdr.ID         a -H being written
 *   msglog/ID            the message's own log
 * With split_spool_directory they lie in input/C/ and msglog/C/, C being the sixth character of
 * the id; both places are always searched. A named queue Q has Q/input and Q/msglog.
 *
 * -H, line by line:
 *   ID-H | login uid gid | <sender> | seconds warnings | variables... | tree | count |
 *   recipients... | empty line | header lines
 *   variable    -name[ value] ; --name when the value is tainted ; --(lookup)name when quoted
 *   -aclc, -aclm  name length NEWLINE value NEWLINE
 *   tree        "XX", or nodes in preorder: Y/N (left follows) Y/N (right follows) space address
 *   recipient   address
 *               address orcpt olen,dsn errors_to elen,parent#3     bit 2: orcpt and dsn are there
 *               address errors_to elen,parent#1                    bit 1: errors_to and parent
 *   dsn         2 never, 4 success, 8 failure, 16 delay
 *   header      3 or more digits (bytes of the text), kind, space, text
 *
 * Invariants. (1) and (2) hold after a crash at any instruction, with or without loss of power.
 *   1  A name ID-H never stands for a file with a part of its bytes: it comes into being by
 *      rename of hdr.ID after that file's bytes and those of ID-D are on disk.
 *   2  spool_commit returns ST_OK only after the directory that holds both names is on disk too.
 *   3  From before ID-H exists until spool_commit returns, the writer holds the lock on ID-D: nobody
 *      delivers a message whose sender may still be told "451".
 *   4  ID-D without ID-H is not a message: it is being received (locked) or debris.
 *   5  Removing: ID-H goes first. What is left is debris by 4.
 *   6  ID-J is removed only after an ID-H that holds its addresses is on disk.
 *   7  Moving to another queue makes the new names before it takes the old ones away: at no time
 *      is there none, at worst two that share one lock.
 *   8  A last line of ID-J without a newline was torn and does not count: its delivery may be
 *      repeated, never taken for done.
 *   9  What cannot be read is left as it is and reported. */
#pragma once
#include "message/message.h"
#include "base/status.h"

/* How the -H file looked that a message was read from, where the format leaves freedom: so that a
 * message read and written back unchanged gives the same bytes. */
struct spool_memory {
	struct str tree;       /* the non-recipients, as long as their number stays the same */
	uint32_t tree_count;
	const struct spool_acl_line *acl; /* in order of the file */
	size_t acl_count;
};
struct spool_acl_line {
	struct str prefix;     /* "-", "--" or "--(lookup)" */
	char kind;             /* c or m */
	struct str name;
	const struct str *value; /* written with `prefix` while the variable still has it */
};

enum {
	SPOOL_MAX_RECIPIENTS = 500000, /* most of one -H file that are read back */
	SPOOL_MAX_HEADERS = 500000,
	SPOOL_MAX_DONE = 500000,
	SPOOL_MAX_ACL_VARS = 10000
};

/* The variable lines that are a fixed name and a simple value; format_rows.c has them in the order
 * that Exim writes. Read and written from the same rows. */
enum spool_row_type {
	ROW_STR,      /* struct str; a newline in it is written as a blank */
	ROW_PEM,      /* struct str; newlines are written as \n */
	ROW_FLAG,     /* bool */
	ROW_INT,      /* int, written when not 0 */
	ROW_INT_ALWAYS,
	ROW_TIME,     /* int64_t seconds, when not 0 */
	ROW_ENDPOINT, /* struct str address and int port: [address]:port */
	ROW_USEC,     /* received_us, fraction */
	ROW_DONE_TIME,/* received_done_us */
	ROW_ACL,      /* both maps */
	ROW_LINES,    /* body_linecount, or spool_file_wireformat in its place */
	ROW_LETTER,   /* int as A, B, ... */
	ROW_DOWNCONVERT,
	ROW_DSN_RET
};
struct spool_row {
	const char *name;
	enum spool_row_type type;
	size_t at, at2; /* offsets in struct message */
};
extern const struct spool_row spool_rows[];
extern const size_t spool_row_count;

/* As spool_parse_header, without copying: `text` must live as long as the message. */
must_check enum status spool_parse_in_place(struct str text, struct arena *a, struct message **ret, struct why *why);
