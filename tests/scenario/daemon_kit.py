# SPDX-License-Identifier: Apache-2.0
"""What scenarios against a running daemon share: a daemon in a folder of its own, on a free port,
with a given configuration; bench/sink and bench/source beside it; waiting for events with a limit.
Needs root and the build (EXIMIUS_BUILD)."""
import glob
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("EXIMIUS_BUILD", ROOT / "build"))
PROGRAM = BUILD / "eximius"

RELAY = """
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
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 512
check_spool_space = 0
check_spool_inodes = 0
{main}
acl_smtp_rcpt = check
begin acl
check:
  accept hosts = 127.0.0.1
begin routers
{routers}
out:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  {smtp}
{transports}
begin retry
* * {retry}
"""


def until(what, condition, seconds=20.0, every=0.02):
    """Wait for a condition; its value. Fails by name when it does not come true in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def argv_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().split(b"\0")
    except OSError:
        return []


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class Smtp:
    """A client that sends lines and reads whole replies."""

    def __init__(self, port, timeout=20.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rb")

    def reply(self):
        text = b""
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("the server closed the connection after " + repr(text))
            text += line
            if line[3:4] != b"-":
                return int(line[:3]), text.decode("utf-8", "replace")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, sender, recipient, text, end=True):
        """One message; the code of the last answer."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
            code, answer = self.say(line)
            if code >= 400:
                return code, answer
        self.sock.sendall(text.replace("\n", "\r\n").encode() + (b"\r\n.\r\n" if end else b""))
        return self.reply() if end else (0, "")

    def close(self):
        self.file.close()
        self.sock.close()


class Daemon:
    """The daemon, `-bdf`, with `config` (RELAY with what `fields` say, or a whole text)."""

    def __init__(self, config=RELAY, args=(), wrap=(), folder=None, **fields):
        self.dir = pathlib.Path(folder or tempfile.mkdtemp(prefix="eximius-scenario-"))
        os.chmod(self.dir, 0o755)
        for d in ("spool", "log"):
            (self.dir / d).mkdir(exist_ok=True)
            shutil.chown(self.dir / d, "mail", "mail")
        self.port = free_port()
        self.fields = {"main": "", "routers": "", "transports": "", "smtp": "", "retry": "F,1h,2s", "sink": 9, **fields}
        self.config, self.args, self.wrap = config, list(args), list(wrap)
        self.conf = self.dir / "conf"
        self.proc = None
        self.configure()

    def configure(self, config=None, **fields):
        self.config = config or self.config
        self.fields.update(fields)
        self.conf.write_text(self.config.format(dir=self.dir, port=self.port, **self.fields))

    # --- life
    def start(self):
        self.output = open(self.dir / "output", "ab")
        begun = len(self.log())
        self.proc = subprocess.Popen([*self.wrap, str(PROGRAM), "-C", str(self.conf), "-bdf", *self.args],
                                     stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL)
        def up():
            if self.proc.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.proc.returncode}: " + (self.dir / "output").read_text() + "\n".join(self.log()))
            return any("daemon started" in ln for ln in self.log()[begun:]) and self.answers()
        until("the daemon", up)
        return self

    def answers(self):
        try:
            s = Smtp(self.port, 2)
        except OSError:
            return False
        try:
            return s.reply()[0] == 220
        except (OSError, ConnectionError):
            return False
        finally:
            s.close()

    def hup(self):
        os.kill(self.pid("master"), signal.SIGHUP)

    def stop(self, seconds=45):
        """Orderly: SIGTERM; its exit status."""
        if self.proc is None:
            return 0
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            status = self.proc.wait(seconds)
        except subprocess.TimeoutExpired as e:
            raise AssertionError("the daemon does not stop: " + str(self.processes())) from e
        finally:
            self.output.close()
        self.proc = None
        return status

    def close(self):
        """Whatever happened: nothing stays."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.proc is not None:
            self.proc.wait()
            self.output.close()
            self.proc = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *a):
        self.close()

    # --- what is seen of it
    def processes(self):
        """All living processes that were started with this configuration: pid -> name."""
        mark = str(self.conf).encode()
        out = {}
        for p in os.listdir("/proc"):
            if p.isdigit() and mark in argv_of(p) and state_of(p) not in "ZX":
                out[int(p)] = name_of(p)
        return out

    def pids(self, name):
        """master, receiver, courier, agent (the hub), server (a fork of the hub)."""
        master = self.proc.pid if self.proc else 0
        found = self.processes()
        if name == "master":
            return [p for p, n in found.items() if n == "exm-master"]
        if name == "server":
            hubs = [p for p, n in found.items() if n == "exm-agent" and parent_of(p) == master]
            return [p for p, n in found.items() if n == "exm-agent" and parent_of(p) in hubs]
        return [p for p, n in found.items() if n == "exm-" + name and parent_of(p) == master]

    def pid(self, name):
        return until(name, lambda: (self.pids(name) or [0])[0])

    def log(self, which="main"):
        return lines_of(self.dir / "log" / (which + "log"))

    def logged(self, pattern, which="main"):
        return [ln for ln in self.log(which) if re.search(pattern, ln)]

    def wait_log(self, pattern, seconds=20.0, which="main"):
        return until(f"log line {pattern}", lambda: self.logged(pattern, which), seconds)[0]

    def spool(self, kind="H"):
        return glob.glob(f"{self.dir}/spool/input/*-{kind}") + glob.glob(f"{self.dir}/spool/input/?/*-{kind}")

    def run(self, *args, **kw):
        return subprocess.run([*self.wrap, str(PROGRAM), "-C", str(self.conf), *args], capture_output=True, text=True, timeout=60, **kw)


class Sink:
    def __init__(self, *args, ids=None):
        self.ids_path = ids
        self.proc = subprocess.Popen([str(BUILD / "bench/sink"), "-p", "0", *(["-i", str(ids)] if ids else []), *args],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.proc.stdout.readline().split()[1])

    def ids(self):
        return lines_of(self.ids_path)

    def close(self):
        self.proc.terminate()
        self.proc.communicate(timeout=20)


class Source:
    """bench/source in the background; args as of the program."""

    def __init__(self, port, *args, ids=None):
        self.ids_path = ids
        self.proc = subprocess.Popen([str(BUILD / "bench/source"), "-p", str(port), *(["-i", str(ids)] if ids else []), *map(str, args)],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ids(self):
        """Whole lines only: the last one may be half written when the program was stopped."""
        try:
            with open(self.ids_path) as f:
                text = f.read()
        except FileNotFoundError:
            return []
        return text[:text.rfind("\n") + 1].splitlines()

    def signal(self, sig):
        self.proc.send_signal(sig)

    def result(self, seconds=120):
        """Wait for the end: the numbers it printed, by name."""
        out, _ = self.proc.communicate(timeout=seconds)
        words = out.split()
        return {words[i]: float(words[i + 1]) for i in range(0, len(words) - 1, 2)}

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
