#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The crash tester: kill -9 of each process of the daemon at random moments under load.

usage: tests/scenario/crash.py [--rounds N] [--seed N] [--seconds LIMIT] [--keep]

Two loads run all the time: messages relayed by SMTP to a sink, and messages delivered by the agent
into a file as another user; each carries an id, and the source notes the id when it is answered
250. A round kills one process: the master, a receiver, the courier, the agent or one of the
agent's servers. What must hold:
  - every message answered 250 is in the sink or the file at least once;
  - at the end the spool holds no message;
  - sessions in receivers that were not killed go on (but for the master's death, which ends all);
  - the log names the cause; another process takes the place of the one that died;
  - when the daemon has stopped no process of it is left.
After the master's death the test sees the others end and starts the daemon again, as an init
system would."""
import argparse
import glob
import os
import pathlib
import random
import re
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from daemon_kit import Daemon, Sink, Smtp, Source, name_of, state_of, until  # noqa: E402

VICTIMS = ["receiver", "courier", "agent", "server", "receiver", "courier", "master"]
BACKLOG_MAX, BACKLOG_LOW = 1500, 300
IDLE_SESSIONS = 6
WAIT = 60  # a killed process whose threads wait for a busy disk takes its time to end

ROUTERS = """
local:
  driver = accept
  domains = local.test
  transport = box
"""
TRANSPORTS = """
box:
  driver = appendfile
  directory = {dir}/box
  maildir_format
  user = nobody
  group = nogroup
"""


class Load:
    """A source that is held when too much waits, so that the queue stays bounded."""

    def __init__(self, port, arrived, ids, *args):
        self.arrived, self.held = arrived, False
        self.source = Source(port, "-k", "-m", 10000000, *args, ids=ids)

    def balance(self):
        waiting = len(self.source.ids()) - len(self.arrived())
        if not self.held and waiting > BACKLOG_MAX:
            self.source.signal(signal.SIGSTOP)
            self.held = True
        elif self.held and waiting < BACKLOG_LOW:
            self.source.signal(signal.SIGCONT)
            self.held = False


class Crash:
    def __init__(self, rounds, seed, keep=False):
        self.rounds, self.random, self.keep = rounds, random.Random(seed), keep
        self.killed = {}
        self.sink = None
        self.loads = []
        self.daemon = Daemon(args=["-q2s"], routers=ROUTERS, transports="", main="queue_run_max = 5\nretry_interval_max = 2s",
                             retry="F,1h,1s")
        d = self.daemon.dir
        (d / "box").mkdir()
        os.chmod(d / "box", 0o777)
        self.sink = Sink("-t", "2", ids=d / "arrived")
        self.daemon.configure(sink=self.sink.port, transports=TRANSPORTS.format(dir=d))
        self.box_seen, self.box_ids = set(), []

    # --- what has arrived
    def relayed(self):
        return self.sink.ids()

    def boxed(self):
        new = self.daemon.dir / "box/new"
        for name in set(os.listdir(new) if new.exists() else []) - self.box_seen:
            self.box_seen.add(name)
            with open(new / name) as f:
                found = re.search(r"^X-Bench-Id: (\S+)$", f.read(), re.M)
            assert found, f"half a message in the Maildir: {name}"
            self.box_ids.append(found[1])
        return self.box_ids

    def start(self):
        self.daemon.start()
        d, port = self.daemon.dir, self.daemon.port
        self.loads = [Load(port, self.relayed, d / "ok-relay", "-s", 12, "-b", 2000, "-x", "r"),
                      Load(port, self.boxed, d / "ok-local", "-s", 3, "-b", 1000, "-x", "l", "-t", "user@local.test")]

    def balance(self):
        for load in self.loads:
            load.balance()

    # --- sessions that must live on
    def idle_sessions(self):
        """Sessions with the pid of the receiver that holds each."""
        out = []
        for _ in range(IDLE_SESSIONS):
            s = Smtp(self.daemon.port)
            assert s.reply()[0] == 220 and s.say("EHLO idle.test")[0] == 250
            out.append((s, s.sock.getsockname()[1]))
        return [(s, self.holder(port)) for s, port in out]

    def holder(self, client_port):
        want = None
        with open("/proc/net/tcp") as f:
            for ln in f:
                w = ln.split()
                if w[1].endswith(f":{self.daemon.port:04X}") and w[2].endswith(f":{client_port:04X}"):
                    want = f"socket:[{w[9]}]"
        for pid in self.daemon.pids("receiver"):
            for path in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    if os.readlink(path) == want:
                        return pid
                except OSError:
                    continue
        raise AssertionError(f"no receiver holds the session from port {client_port}")

    # --- one round
    def victim(self, i):
        return VICTIMS[i % len(VICTIMS)]

    def kill_child(self, name):
        pids = self.daemon.pids(name)
        if not pids:
            return False
        pid = self.random.choice(pids)
        sessions = self.idle_sessions()
        before = len(self.daemon.log("panic"))
        time.sleep(self.random.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
        if name != "server":
            until(f"the log line on the {name}'s death",
                  lambda: any(f"{name} process" in ln and "signal 9 (KILL)" in ln for ln in self.daemon.log("panic")[before:]), WAIT)
            until(f"another {name}", lambda: len(self.daemon.pids(name)) == len(pids) and pid not in self.daemon.pids(name), WAIT)
        for s, holder in sessions:
            if holder != pid:
                try:
                    code, text = s.say("NOOP")
                except OSError as e:
                    code, text = 0, str(e)
                assert code == 250, f"a session of receiver {holder} gives {code} {text} after the {name} {pid} was killed"
            s.close()
        return True

    def kill_master(self):
        old = self.daemon.processes()
        os.kill(self.daemon.pid("master"), signal.SIGKILL)
        self.daemon.proc.wait()
        until("the end of all processes of a dead master", lambda: not (set(old) & set(self.daemon.processes())), 30)
        self.daemon.output.close()
        self.daemon.start()
        return True

    def round(self, i):
        name = self.victim(i)
        end = time.monotonic() + self.random.uniform(0.05, 0.8)
        while time.monotonic() < end:
            self.balance()
            time.sleep(0.05)
        done = self.kill_master() if name == "master" else self.kill_child(name)
        if done:
            self.killed[name] = self.killed.get(name, 0) + 1

    # --- the end
    def stop_load(self):
        for load in self.loads:
            load.source.close()

    def missing(self):
        there = [set(self.relayed()), set(self.boxed())]
        return [i for load, got in zip(self.loads, there) for i in load.source.ids() if i not in got]

    def drain(self, seconds=90):
        until("an empty spool", lambda: not self.daemon.spool("H") and not self.missing(), seconds, 0.2)

    def check(self):
        lost = self.missing()
        assert not lost, f"{len(lost)} messages answered 250 never arrived: {lost[:10]}"
        left = self.daemon.spool("H") + self.daemon.spool("J")
        assert not left, f"the spool is not empty: {left[:10]}"
        status = self.daemon.stop()
        assert status == 0, f"the daemon ended with status {status}"
        until("no process left over", lambda: not self.daemon.processes(), 10)

    def summary(self):
        ok = [len(load.source.ids()) for load in self.loads]
        twice = sum(len(got) - len(set(got)) for got in (self.relayed(), self.boxed()))
        return (f"rounds {self.rounds}: " + ", ".join(f"{n} {c}" for n, c in sorted(self.killed.items())) +
                f"; answered 250: {ok[0]} relayed, {ok[1]} local; arrived twice: {twice}; "
                f"data files left by unfinished messages: {len(self.daemon.spool('D'))}")

    def run(self, limit):
        begin = time.monotonic()
        self.start()
        for i in range(self.rounds):
            if time.monotonic() - begin > limit:
                raise AssertionError(f"{i} rounds took longer than {limit} s")
            self.round(i)
        self.stop_load()
        self.drain()
        self.check()
        return self.summary() + f"; {time.monotonic() - begin:.0f} s"

    def close(self):
        if self.keep:
            return
        self.stop_load()
        if self.sink:
            self.sink.close()
        self.daemon.close()


def wchan(pid, task):
    try:
        with open(f"/proc/{pid}/task/{task}/wchan") as f:
            return f.read()
    except OSError:
        return "?"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=200)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--keep", action="store_true", help="leave the folder and what runs when a check fails")
    args = p.parse_args()
    if os.geteuid():
        sys.exit("the crash tester needs root")
    signal.signal(signal.SIGTERM, lambda *a: sys.exit("stopped"))
    c = Crash(args.rounds, args.seed)
    try:
        print(c.run(args.seconds))
        return 0
    except AssertionError as e:
        c.keep = args.keep
        for pid in c.daemon.processes():
            print(pid, name_of(pid), [(state_of(f"{pid}/task/{t}"), wchan(pid, t)) for t in os.listdir(f"/proc/{pid}/task")][:12])
        print("\n".join(c.daemon.log("panic")[-4:] + c.daemon.log()[-4:]))
        traceback.print_exc()
        print(f"FAILED: {e}\n{c.summary()}" + (f"\nfolder: {c.daemon.dir}" if args.keep else ""))
        return 1
    finally:
        c.close()


if __name__ == "__main__":
    sys.exit(main())
