/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "queue/destination.h"

static void limits_hold_for_each_and_in_all(void)
{
	struct destinations *d = destinations_new(&(struct destination_limits){.connections = 2, .total = 3});
	check_int(destination_acquire(d, STR("a"), 0), DESTINATION_GO);
	check_int(destination_acquire(d, STR("A"), 0), DESTINATION_GO);
	check_int(destination_acquire(d, STR("a"), 0), DESTINATION_FULL);
	check_int(destination_acquire(d, STR("b"), 0), DESTINATION_GO);
	check_int(destination_acquire(d, STR("c"), 0), DESTINATION_FULL);
	destination_release(d, STR("b"));
	check_int(destination_acquire(d, STR("c"), 0), DESTINATION_GO);
	destination_release(d, STR("c"));
	destination_set_limit(d, STR("a"), 3);
	check_int(destination_acquire(d, STR("a"), 0), DESTINATION_GO);
	check_int((long long)destination_count(d).running, 3);
	for (int i = 0; i < 3; i++)
		destination_release(d, STR("a"));
	check_int((long long)destination_count(d).destinations, 1); /* "a" has a limit of its own */
	destinations_free(d);
}

struct job {
	struct destination_waiter w;
	char name;
};

static char turn(struct destinations *d, int64_t now)
{
	struct destination_waiter *w = destination_next(d, now, NULL);
	return w ? container_of(w, struct job, w)->name : '-';
}

static void destinations_and_senders_take_turns(void)
{
	struct destinations *d = destinations_new(&(struct destination_limits){.connections = 100});
	struct job j[6] = {{.name = '1'}, {.name = '2'}, {.name = '3'}, {.name = '4'}, {.name = '5'}, {.name = '6'}};
	destination_wait(d, STR("big"), STR("bulk"), &j[0].w);
	destination_wait(d, STR("big"), STR("bulk"), &j[1].w);
	destination_wait(d, STR("big"), STR("bulk"), &j[2].w);
	destination_wait(d, STR("big"), STR("ann"), &j[3].w);
	destination_wait(d, STR("small"), STR("bulk"), &j[4].w);
	destination_wait(d, STR("small"), STR("bulk"), &j[5].w);
	check_int(destination_acquire(d, STR("big"), 0), DESTINATION_FULL); /* no passing those who wait */
	destination_cancel(d, &j[5].w);
	check_int(turn(d, 0), '1');
	check_int(turn(d, 0), '5');
	check_int(turn(d, 0), '4'); /* ann before bulk's second */
	check_int(turn(d, 0), '2');
	check_int(turn(d, 0), '3');
	check_int(turn(d, 0), '-');
	check_int((long long)destination_count(d).waiting, 0);
	check_int((long long)destination_count(d).running, 5);
	for (int i = 0; i < 4; i++)
		destination_release(d, STR("big"));
	destination_release(d, STR("small"));
	check_int((long long)destination_count(d).destinations, 0);
	destinations_free(d);
}

static void held_and_spaced_destinations_wait_for_their_time(void)
{
	struct destinations *d = destinations_new(&(struct destination_limits){.connections = 9, .spacing_ms = 100});
	struct job j = {.name = 'x'}, k = {.name = 'y'};
	check_int(destination_acquire(d, STR("a"), 1000), DESTINATION_GO);
	check_int(destination_acquire(d, STR("a"), 1099), DESTINATION_HELD);
	destination_wait(d, STR("a"), STR(""), &j.w);
	check_int(turn(d, 1099), '-');
	check_int(destination_next_ms(d), 1100);
	check_int(turn(d, 1100), 'x');
	destination_hold(d, STR("b"), 5000);
	destination_wait(d, STR("b"), STR(""), &k.w);
	check_int(destination_next_ms(d), 5000);
	check_int(turn(d, 4999), '-');
	destination_hold(d, STR("b"), 0);
	check_int(turn(d, 4999), 'y');
	destination_release(d, STR("a"));
	destination_release(d, STR("a"));
	destination_release(d, STR("b"));
	destination_sweep(d, 1100);
	check_int((long long)destination_count(d).destinations, 2);
	destination_sweep(d, 9000);
	check_int((long long)destination_count(d).destinations, 0);
	destinations_free(d);
}

TEST_MAIN({"limits hold for each and in all", limits_hold_for_each_and_in_all},
    {"destinations and senders take turns", destinations_and_senders_take_turns},
    {"held and spaced destinations wait for their time", held_and_spaced_destinations_wait_for_their_time})
