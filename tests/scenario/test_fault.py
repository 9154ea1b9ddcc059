# SPDX-License-Identifier: Apache-2.0
"""The world fails: a full spool (blocks, inodes), name servers that are silent or refuse, hosts that
accept and say nothing, refuse, or hang up. Senders get temporary answers, messages stay with a
retry time, nothing leaks, and the daemon stops in order."""
import os
import pathlib
import socket
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from daemon_kit import Daemon, Sink, Smtp, Source, until  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# --- A full spool -------------------------------------------------------------------------------
def small_spool(dir, options):
    """A command that runs the rest with a small file system for the spool that only it sees."""
    return ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o mode=755,{options} tmpfs {dir}/spool && chown mail:mail {dir}/spool && exec "$@"', "sh"]


class Full:
    def __init__(self, options):
        self.d = d = Daemon(args=["-q1s"])
        d.wrap = small_spool(d.dir, options)
        self.sink = Sink("-t", "2", ids=d.dir / "arrived")
        d.configure(sink=self.sink.port)
        self.source = None

    def __enter__(self):
        self.d.start()
        self.spool = pathlib.Path(f"/proc/{self.d.pid('master')}/root{self.d.dir}/spool")
        return self

    def __exit__(self, *a):
        if self.source:
            self.source.close()
        self.sink.close()
        self.d.close()

    def messages(self):
        return list((self.spool / "input").glob("*-H"))

    def answer(self, size=20000):
        """The code that one message gets."""
        s = Smtp(self.d.port)
        try:
            code = s.reply()[0]
            if code == 220:
                s.say("EHLO x.test")
                code = s.send("a@test", "b@test", "Subject: x\n\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * (size // 71))[0]
            return code
        finally:
            s.close()

    def check(self, fill, free):
        assert self.answer() == 250
        self.source = Source(self.d.port, "-k", "-s", 4, "-m", 1000000, "-b", 8000, ids=self.d.dir / "ok")
        until("some load", lambda: len(self.source.ids()) > 50)
        fill(self)
        codes = {self.answer() for _ in range(20)}
        # 250 when a delivered message made room just then: it must arrive, like all others.
        assert codes - {250} and codes - {250} <= set(range(400, 500)), codes
        time.sleep(1)  # the load goes on against a full disk
        free(self)
        until("mail is taken again, by itself", lambda: self.answer() == 250)
        at = len(self.source.ids())
        until("the load goes on", lambda: len(self.source.ids()) > at + 50)
        self.source.close()
        until("all that was answered 250 at the sink, the spool empty",
              lambda: set(self.source.ids()) <= set(self.sink.ids()) and not self.messages(), 60)
        assert not [ln for ln in self.d.log("panic") if "ended by signal" in ln], self.d.log("panic")
        assert self.d.stop() == 0


def fill_blocks(f):
    f.filler = open(f.spool / "filler", "wb", buffering=0)
    def full():
        """Until nothing fits any more, also when messages go away meanwhile."""
        try:
            while True:
                f.filler.write(b"x" * 4096)
        except OSError:
            return f.answer() >= 400
    until("a full disk", full)
    f.stop = threading.Event()
    def keep_full():
        while not f.stop.wait(0.01):
            try:
                f.filler.write(b"x" * 4096)
            except OSError:
                pass
    f.keeper = threading.Thread(target=keep_full)
    f.keeper.start()


def free_blocks(f):
    f.stop.set()
    f.keeper.join()
    f.filler.close()
    (f.spool / "filler").unlink()


def fill_inodes(f):
    f.stop, f.made = threading.Event(), 0
    (f.spool / "fill").mkdir()
    def keep_full():
        while not f.stop.wait(0.002):
            try:
                while True:
                    open(f.spool / "fill" / str(f.made), "x").close()
                    f.made += 1
            except OSError:
                pass
    f.keeper = threading.Thread(target=keep_full)
    f.keeper.start()
    until("no inode left", lambda: f.answer() >= 400)


def free_inodes(f):
    f.stop.set()
    f.keeper.join()
    for i in range(f.made):
        (f.spool / "fill" / str(i)).unlink()


def test_full_disk():
    with Full("size=12m") as f:
        f.check(fill_blocks, free_blocks)


def test_no_inodes():
    with Full("size=64m,nr_inodes=600") as f:
        f.check(fill_inodes, free_inodes)


def test_the_space_check_answers_before_the_disk_is_full():
    with Full("size=12m") as f:
        f.d.configure(main="check_spool_space = 100M")
        text = f.d.conf.read_text().replace("check_spool_space = 0\n", "")
        f.d.conf.write_text(text)
        f.d.hup()
        until("the check", lambda: f.answer() == 452)


# --- Name servers -------------------------------------------------------------------------------
DNS_CONF = """
primary_hostname = mail.test
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
exim_user = mail
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
rfc1413_hosts =
tls_advertise_hosts =
smtp_accept_max = 0
dns_retrans = 1s
dns_retry = 1
dns_dnssec_ok = 0
acl_smtp_rcpt = check
begin acl
check:
  accept hosts = 127.0.0.1
begin routers
out:
  driver = dnslookup
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
begin retry
* * F,1h,10m
"""


class NameServer:
    """On an address of its own; silent, or refusing every question."""
    last = 10

    def __init__(self, refuse):
        NameServer.last += 1
        self.address = f"127.78.0.{NameServer.last}"
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((self.address, 53))
        self.sock.settimeout(0.1)
        self.refuse, self.asked, self.stop = refuse, 0, False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.stop:
            try:
                q, peer = self.sock.recvfrom(4096)
            except socket.timeout:
                continue
            self.asked += 1
            if self.refuse:
                self.sock.sendto(q[:2] + bytes([0x81, 0x85]) + q[4:6] + bytes(6) + q[12:], peer)

    def close(self):
        self.stop = True
        self.thread.join()
        self.sock.close()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def send(daemon, n, recipient):
    for i in range(n):
        s = Smtp(daemon.port)
        assert s.reply()[0] == 220 and s.say("EHLO x.test")[0] == 250
        assert s.send("a@test", recipient.format(i=i), "Subject: x\n\nx\n")[0] == 250
        s.close()


def check_deferred(d, n, reason):
    """n messages deferred for that reason; nothing leaks, retry times are set, the daemon stops."""
    until(f"{n} deferrals", lambda: len(d.logged("== ")) >= n, 60)
    wrong = [ln for ln in d.logged("== ") if not any(r in ln for r in reason)]
    assert not wrong, wrong
    assert not d.logged(r"\*\* "), "a temporary failure bounced"
    assert len(d.spool()) == n
    courier = d.pid("courier")
    until("descriptors of the courier given back", lambda: descriptors(courier) < 60)
    assert threads(courier) < 130
    before = len(d.logged("== "))
    assert d.run("-q").returncode == 0
    again = d.logged("== ")[before:]
    assert again and all("retry time not reached" in ln for ln in again), again
    assert d.stop() == 0
    until("no process left", lambda: not d.processes(), 10)
    assert len(d.spool()) == n


@pytest.mark.parametrize("refuse", [False, True], ids=["silent", "refusing"])
def test_dead_name_server(refuse):
    server = NameServer(refuse)
    d = Daemon(DNS_CONF)
    try:
        (d.dir / "resolv.conf").write_text(f"nameserver {server.address}\n")
        d.wrap = ["unshare", "-m", "sh", "-c", f'mount --bind {d.dir}/resolv.conf /etc/resolv.conf && exec "$@"', "sh"]
        d.start()
        send(d, 30, "u@host{i}.example")
        check_deferred(d, 30, ["host lookup did not complete"])
        assert server.asked > 0
    finally:
        d.close()
        server.close()


# --- Hosts --------------------------------------------------------------------------------------
class Peer:
    """An SMTP server of a bad kind."""

    def __init__(self, kind):
        self.kind, self.stop, self.open = kind, False, []
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.thread = None
        if kind == "refuses":
            self.sock.close()
            return
        self.sock.listen(200)
        self.sock.settimeout(0.1)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.stop:
            try:
                c, _ = self.sock.accept()
            except socket.timeout:
                continue
            self.open.append(c)
            if self.kind != "silent":
                threading.Thread(target=self.talk, args=[c], daemon=True).start()

    def talk(self, c):
        try:
            f = c.makefile("rb")
            c.sendall(b"220 bad peer\r\n")
            for line in f:
                verb = line[:4].upper()
                if verb == b"DATA":
                    c.sendall(b"354 go\r\n")
                    for data in f:
                        if self.kind == "closes in data" or data == b".\r\n":
                            c.shutdown(socket.SHUT_RDWR)
                            return
                c.sendall(b"250 ok\r\n")
        except OSError:
            pass

    def close(self):
        self.stop = True
        if self.thread:
            self.thread.join()
            self.sock.close()
        for c in self.open:
            c.close()


@pytest.mark.parametrize("kind,reason", [
    ("silent", ["timed out", "timeout"]),
    ("refuses", ["Connection refused"]),
    ("closes in data", ["closed connection", "reset by peer", "Broken pipe", "broken pipe"]),
    ("closes after the dot", ["closed connection", "reset by peer", "Broken pipe", "broken pipe"]),
])
def test_dead_peer(kind, reason):
    peer = Peer(kind)
    d = Daemon(sink=peer.port, retry="F,1h,10m", smtp="command_timeout = 2s\n  data_timeout = 2s\n  final_timeout = 2s\n  connect_timeout = 2s")
    try:
        d.start()
        send(d, 20, "u{i}@dead.example")
        check_deferred(d, 20, reason + ["retry time not reached"])
        assert any(any(r in ln for r in reason) for ln in d.logged("== "))
    finally:
        d.close()
        peer.close()
