/* SPDX-License-Identifier: Apache-2.0
 * Group commit: one flush for all threads that ask while the one before is under way.
 *
 * A request names what must reach the disk. Under `lock` it joins `waiting`. If no flush runs, its
 * owner leads: takes the whole chain, releases the lock, flushes, answers all of it, and makes one of those
 * that joined meanwhile the next leader; the others sleep, each on a semaphore of its own, until
 * they are answered or made leader (so that those that wake do not queue for the lock again). A flush never answers a request that joined after it began: the
 * chain was taken before. So what was written before spool_flush() was called is on disk when it
 * returns.
 *
 * Few requests are flushed file by file (fdatasync; fsync of each folder once); many by one
 * syncfs(2), which reports write errors of the whole file system since Linux 5.8: then all of the
 * batch fail, which is safe, since each undoes and says 451. */
#include <errno.h>
#include <semaphore.h>
#include <unistd.h>

#include "spool/spool_priv.h"

#include "base/banned.h"

/* From so many requests on, one syncfs costs less than their single flushes (bench/spool_commit.c). */
enum { SYNCFS_FROM = 3 };

struct sync_request {
	struct sync_request *next;
	const int *fd;
	unsigned n;
	bool dir;
	bool lead; /* set before the post: the owner is to lead; else it is answered */
	int error;
	sem_t changed;
};

static int flush_files(struct spool *s, const struct sync_request *q)
{
	for (unsigned i = 0; i < q->n; i++)
		if (q->fd[i] >= 0 && (q->dir ? s->ops->fsync(s->ops, q->fd[i]) : s->ops->fdatasync(s->ops, q->fd[i])))
			return errno;
	return 0;
}

/* The same folder flushed earlier in this batch gives the same answer. */
static const struct sync_request *same_folder(const struct sync_request *first, const struct sync_request *q)
{
	for (; first != q; first = first->next)
		if (q->dir && first->dir && first->fd[0] == q->fd[0])
			return first;
	return NULL;
}

static void flush_batch(struct spool *s, struct sync_request *first, unsigned count)
{
	int error = 0;
	bool all = count >= SYNCFS_FROM && !__atomic_load_n(&s->many_devices, __ATOMIC_ACQUIRE);
	if (all && s->ops->syncfs(s->ops, s->root))
		error = errno;
	for (struct sync_request *q = first; q; q = q->next) {
		const struct sync_request *same = all ? NULL : same_folder(first, q);
		q->error = all ? error : same ? same->error : flush_files(s, q);
	}
}

/* One flush for all that wait, ours among them; called and left with the lock held. */
static void lead(struct spool *s, struct sync_request *mine)
{
	struct spool_sync *y = &s->sync;
	struct sync_request *batch = y->waiting;
	unsigned count = y->count;
	y->waiting = NULL;
	y->count = 0;
	pthread_mutex_unlock(&y->lock);
	flush_batch(s, batch, count);
	pthread_mutex_lock(&y->lock);
	for (struct sync_request *q = batch, *next; q; q = next) {
		next = q->next; /* its owner may be gone as soon as it is told */
		if (q != mine)
			sem_post(&q->changed);
	}
	y->running = y->waiting != NULL;
	if (y->waiting) {
		y->waiting->lead = true;
		sem_post(&y->waiting->changed);
	}
}

enum status spool_flush(struct spool *s, const int *fd, unsigned n, bool dir)
{
	if (s->cfg.no_sync)
		return ST_OK;
	struct sync_request mine = {.fd = fd, .n = n, .dir = dir};
	struct spool_sync *y = &s->sync;
	must(sem_init(&mine.changed, 0, 0) == 0);
	pthread_mutex_lock(&y->lock);
	mine.next = y->waiting;
	y->waiting = &mine;
	y->count++;
	mine.lead = !y->running;
	y->running = true;
	if (!mine.lead) {
		pthread_mutex_unlock(&y->lock);
		while (sem_wait(&mine.changed) != 0)
			must(errno == EINTR);
		if (mine.lead)
			pthread_mutex_lock(&y->lock);
	}
	if (mine.lead) {
		lead(s, &mine);
		pthread_mutex_unlock(&y->lock);
	}
	sem_destroy(&mine.changed);
	return mine.error ? ST_ERRNO(mine.error) : ST_OK;
}
