# SPDX-License-Identifier: Apache-2.0
"""Reload and orderly stop of the running daemon, under load: no session is dropped, nothing is lost."""
import os
import pathlib
import signal
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from daemon_kit import Daemon, Sink, Smtp, Source, free_port, until  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def relay(request):
    """A running daemon and the sink that it relays to; `relay.more` collects what else is to be closed."""
    d = Daemon(args=["-q5s"], main='smtp_banner = "first"')
    d.sink = Sink("-t", "2", ids=d.dir / "arrived")
    d.configure(sink=d.sink.port)
    d.more = [d.sink]
    try:
        yield d.start()
    finally:
        for m in reversed(d.more):
            m.close()
        d.close()


def banner(port):
    s = Smtp(port)
    text = s.reply()[1]
    s.close()
    return text


def load(daemon, *args, ids=None):
    s = Source(daemon.port, *args, ids=ids)
    daemon.more.append(s)
    return s


def test_reload_drops_no_session_and_new_ones_see_the_new_configuration(relay):
    old = Smtp(relay.port)
    assert "first" in old.reply()[1]
    assert old.say("EHLO old.test")[0] == 250
    servers = len(relay.pids("server"))
    source = load(relay, "-s", 10, "-m", 2500, "-b", 2000, ids=relay.dir / "ok")
    for i in range(5):
        relay.configure(main=f'smtp_banner = "number {i}"')
        relay.hup()
        until(f"banner {i}", lambda: f"number {i}" in banner(relay.port))
    got = source.result()
    assert (got["lost"], got["deferred"], got["failed"]) == (0, 0, 0), got
    assert old.say("NOOP")[0] == 250
    assert old.send("a@test", "b@test", "X-Bench-Id: old-session\n\nhello\n")[0] == 250
    until("all messages at the sink", lambda: set(source.ids()) | {"old-session"} <= set(relay.sink.ids()))
    until("no agent's server left of old configurations", lambda: len(relay.pids("server")) <= servers + 1 and
          len([1 for n in relay.processes().values() if n == "exm-agent"]) <= servers + 2)
    assert relay.log("panic") == []


def test_a_broken_configuration_changes_nothing_and_is_named(relay):
    relay.configure(main='smtp_banner = "second"\nno_such_option = 3')
    relay.hup()
    relay.wait_log("the configuration in use stays as it was")
    line = relay.logged("reload: ", "panic")[0]
    at = relay.conf.read_text().splitlines().index("no_such_option = 3") + 1
    assert "no_such_option" in line and f"line {at} of {relay.conf}" in line, line
    assert "first" in banner(relay.port)
    s = Smtp(relay.port)
    s.reply()
    s.say("EHLO x.test")
    assert s.send("a@test", "b@test", "X-Bench-Id: after-broken\n\nhello\n")[0] == 250
    until("the message", lambda: "after-broken" in relay.sink.ids())
    relay.configure(main='smtp_banner = "third"')
    relay.hup()
    until("the next good configuration", lambda: "third" in banner(relay.port))


def test_reload_opens_and_closes_ports(relay):
    other = free_port()
    relay.configure(main=f"daemon_smtp_ports = {relay.port} : {other}")
    text = relay.conf.read_text().replace(f"daemon_smtp_ports = {relay.port}\n", "", 1)
    relay.conf.write_text(text)
    relay.hup()
    def answers(port):
        try:
            return banner(port).startswith("220")
        except OSError:
            return False
    until("the new port", lambda: answers(other))
    assert answers(relay.port)
    relay.configure(main="")
    relay.hup()
    until("the port closed again", lambda: not answers(other))
    assert answers(relay.port)


def test_sigterm_under_load_loses_nothing(relay):
    source = load(relay, "-k", "-s", 10, "-m", 1000000, "-b", 2000, ids=relay.dir / "ok")
    for _ in range(3):
        at = len(source.ids())
        until("some load", lambda: len(source.ids()) > at + 300)
        begin = time.monotonic()
        assert relay.stop() == 0
        assert time.monotonic() - begin < 35
        until("no process left", lambda: not relay.processes(), 10)
        relay.start()
    source.close()
    until("all that was answered 250 at the sink", lambda: set(source.ids()) <= set(relay.sink.ids()) and not relay.spool(), 60)
    assert relay.log("panic") == []


def test_an_idle_session_is_told_when_the_daemon_stops(relay):
    s = Smtp(relay.port)
    s.reply()
    relay.proc.send_signal(signal.SIGTERM)
    assert s.reply()[0] == 421
    assert relay.stop() == 0


def test_the_limit_of_descriptors_is_raised(relay):
    assert relay.stop() == 0
    relay.wrap = ["prlimit", "--nofile=256:1024"]
    relay.start()
    with open(f"/proc/{relay.pids('receiver')[0]}/limits") as f:
        soft = next(ln.split()[3] for ln in f if ln.startswith("Max open files"))
    assert int(soft) in (1024, 65536)  # as much as may be had
