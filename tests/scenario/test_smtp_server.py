# SPDX-License-Identifier: Apache-2.0
"""The receiving side at the wire: Exim's recorded -bh sessions, false ends of DATA over a TCP
socket (-bs as inetd calls it), chasquid's dialogues by class of reply, and local submissions
compared with Debian's exim4. Needs root (the spool belongs to the mail user), and the program:
EXIMIUS_BIN, or build/eximius."""
import difflib
import json
import os
import pathlib
import pwd
import re
import select
import shutil
import socket
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("EXIMIUS_BIN", str(ROOT / "build" / "eximius"))
SHARED = pathlib.Path(os.environ.get("EXIMIUS_SHARED", ROOT.parent / "shared")) / "conformance"
USER = pwd.getpwnam("Debian-exim")

pytestmark = pytest.mark.skipif(not os.path.exists(BIN), reason="no program at " + BIN)

CONFIG = """
spool_directory = {d}/spool
log_file_path = {d}/log/%slog
primary_hostname = mail.test.ex
qualify_domain = test.ex
exim_user = Debian-exim
exim_group = Debian-exim
timezone = UTC
keep_environment =
tls_advertise_hosts =
rfc1413_query_timeout = 0s
queue_only
never_users =
trusted_users = root
acl_smtp_rcpt = accept
{extra}
begin acl
not_smtp:
  deny message = go away
       condition = ${{if def:h_bad:}}
  accept
begin routers
all:
  driver = accept
  transport = none
begin transports
none:
  driver = appendfile
  file = /dev/null
  user = nobody
"""


class Site:
    def __init__(self, extra=""):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="eximius-smtp-"))
        for name in ("spool", "log"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, USER.pw_uid, USER.pw_gid)
        self.dir.chmod(0o755)
        self.conf = self.dir / "conf"
        self.conf.write_text(CONFIG.format(d=self.dir, extra=extra))

    def run(self, args, data=b"", program=BIN):
        return subprocess.run([program, "-C", str(self.conf)] + args, input=data, capture_output=True, timeout=60)

    def log(self, which="main"):
        path = self.dir / "log" / (which + "log")
        return path.read_text() if path.exists() else ""

    def files(self, suffix):
        return sorted((self.dir / "spool" / "input").glob("*" + suffix))

    def clean(self):
        for sub in ("spool/input", "log"):
            shutil.rmtree(self.dir / sub, ignore_errors=True)
        (self.dir / "log").mkdir()
        os.chown(self.dir / "log", USER.pw_uid, USER.pw_gid)


@pytest.fixture
def site():
    made = []

    def make(extra=""):
        made.append(Site(extra))
        return made[-1]

    yield make
    for s in made:
        shutil.rmtree(s.dir, ignore_errors=True)


class Client:
    """-bs with a TCP socket as its standard input and output."""

    def __init__(self, site):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.sock = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        self.proc = subprocess.Popen([BIN, "-C", str(site.conf), "-bs"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        theirs.close()
        listener.close()
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def reply(self, seconds=20):
        """One reply, all of its lines; "" when the connection ended."""
        lines = []
        while True:
            while b"\n" not in self.buffer:
                if not select.select([self.sock], [], [], seconds)[0]:
                    raise TimeoutError("no reply")
                try:
                    data = self.sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return "".join(lines)
                self.buffer += data
            line, self.buffer = self.buffer.split(b"\n", 1)
            lines.append(line.decode("latin-1").rstrip("\r") + "\n")
            if line[3:4] != b"-":
                return "".join(lines)

    def say(self, text):
        self.send(text.encode("latin-1"))
        return self.reply()

    def close(self):
        self.sock.close()
        return self.proc.wait(20)


# --- Exim's recorded sessions ---------------------------------------------------------------------

# Where Exim 4.96 is not to be followed.
KNOWN = {"smtp-0078": "BDAT: Exim doubles the octets told when the data breaks off inside of its header section"}


def sessions():
    path = SHARED / "smtp-exim" / "sessions.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("case", sessions(), ids=lambda c: c["id"])
def test_session_as_exim(case, tmp_path):
    text = (SHARED / "smtp-exim" / "exim.conf").read_text()
    spool = tmp_path / "spool"
    conf = tmp_path / "exim.conf"
    conf.write_text(text.replace("/tmp/exim-bh-spool", str(spool)))
    spool.mkdir()
    os.chown(spool, USER.pw_uid, USER.pw_gid)
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == 0 and path != pathlib.Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    p = subprocess.run([BIN, "-C", str(conf), "-bh", "10.1.2.3"], input=case["send"].encode("latin-1"), capture_output=True, timeout=60)
    lines = [line.rstrip("\r") for line in p.stdout.decode("latin-1").split("\n")]
    # RFC 9422 came with 4.98: its line is not in what 4.96 answered
    lines = [line for line in lines if re.match(r"\d{3}[ -]", line) and not line.startswith("250-LIMITS ")]
    lines = [re.sub(r"id=\S+", "id=@ID@", line) for line in lines]
    assert p.returncode == case["rc"], p.stderr.decode()
    if case["id"] in KNOWN:
        assert len(lines) == len(case["recv"])
        return
    assert lines == case["recv"], "\n".join(difflib.unified_diff(case["recv"], lines, "exim", "eximius", lineterm=""))


# --- SMTP smuggling -------------------------------------------------------------------------------

def false_ends():
    path = SHARED / "smtp-smuggling" / "sequences.json"
    return json.loads(path.read_text())["end_of_data_false"] if path.exists() else []


@pytest.mark.parametrize("mode", ["", "reject", "space", "normalize", "exim"])
@pytest.mark.parametrize("end", false_ends(), ids=repr)
def test_false_end_of_data(site, end, mode):
    s = site("smtp_bare_newline = " + mode if mode else "")
    c = Client(s)
    assert c.reply().startswith("220")
    assert c.say("EHLO client.test\r\n").startswith("250")
    assert c.say("MAIL FROM:<good@src.test>\r\n").startswith("250")
    assert c.say("RCPT TO:<a@test.ex>\r\n").startswith("250")
    assert c.say("DATA\r\n").startswith("354")
    c.send(("Subject: one\r\n\r\nbody" + end + "MAIL FROM:<evil@src.test>\r\nRCPT TO:<b@test.ex>\r\nDATA\r\n"
            "Subject: two\r\n\r\nx\r\n.\r\n").encode("latin-1"))
    answer = c.reply()
    assert answer.startswith("550 5.5.2" if mode in ("", "reject") else "250 OK id="), answer
    assert c.say("QUIT\r\n").startswith("221")
    c.close()
    assert "evil" not in s.log().split("<=")[-1].split("S=")[0]
    assert len(s.files("-H")) == (0 if mode in ("", "reject") else 1)


def test_dot_in_two_segments(site):
    s = site()
    c = Client(s)
    c.reply()
    for text in ("EHLO x\r\n", "MAIL FROM:<a@b.c>\r\n", "RCPT TO:<a@b.c>\r\n", "DATA\r\n"):
        c.say(text)
    for piece in ("S: x\r", "\n\r\nbody\r\n", ".", "\r"):
        c.send(piece.encode())
        assert not select.select([c.sock], [], [], 0.05)[0]
    assert c.say("\n").startswith("250 OK id=")
    c.say("QUIT\r\n")
    c.close()
    assert len(s.files("-H")) == 1


@pytest.mark.parametrize("steps", [
    ["EHLO x\r\n", "MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"],
    ["HELO x\r\n", "MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\n"],
], ids=["text behind DATA", "pipelining not offered"])
def test_input_too_soon(site, steps):
    s = site()
    c = Client(s)
    c.reply()
    assert c.say(steps[0]).startswith("250")
    c.send(steps[1].encode())
    heard = []
    while True:
        r = c.reply()
        if not r:
            break
        heard.append(r)
    assert heard[-1] == "554 SMTP synchronization error\n"
    c.close()
    assert "SMTP protocol synchronization error" in s.log()
    assert not s.files("-H")


# --- chasquid's dialogues -------------------------------------------------------------------------

def dialogues():
    folder = SHARED / "smtp-dialogs-chasquid"
    # those that need TLS or its users are not for this site
    return sorted(p for p in folder.glob("t-*/*.cmy") if "tls_connect" not in p.read_text() and "unix" not in p.read_text())


# Where chasquid is stricter than Exim, and we are as Exim.
TOLERATED = {"bad_data": "a line that is no header begins the body", "bad_mail_from": "xn--- is a name of letters and hyphens",
             "bad_rcpt_to": "xn--- is a name of letters and hyphens", "line_too_long": "a command may have 16384 octets"}


@pytest.mark.parametrize("path", dialogues(), ids=lambda p: p.stem)
def test_dialogue(site, path):
    """Texts are chasquid's; the class of each reply must agree."""
    if path.stem in TOLERATED:
        pytest.skip(TOLERATED[path.stem])
    s = site("message_size_limit = 1M\nacl_smtp_vrfy = accept")
    c = None
    for line in path.read_text().splitlines():
        m = re.match(r"c (tcp_connect|close|->|~>|<-|<~|<\.\.\.)\s?(.*)", line)
        if not m:
            continue
        verb, text = m.groups()
        if verb == "tcp_connect":
            c = Client(s)
        elif verb == "close":
            c.close()
        elif verb == "->":
            c.send(text.encode() + b"\r\n")
        elif verb == "~>":
            c.send(eval(text, {"__builtins__": {}}).encode())  # python text, as the format has it
        else:
            got = c.reply()
            assert got and got[0] == text[0], (line, got)
    if c:
        c.sock.close()
        c.proc.wait(20)


# --- Local submission, as Exim does it ------------------------------------------------------------

LOCAL = [
    (["foo", "bar@baz"], "Subject: x\n\nhi\n"),
    (["-t"], "To: a, b@c.d\nBcc: e\nCc: x: f, g;\n\nhi\n"),
    (["-t", "x@y"], "To: a@b, x@y\n\nhi\n"),
    (["-t", "x@y"], "To: x@y\n\nhi\n"),
    (["-t"], "Subject: nobody\n\nhi\n"),
    (["-t", "-oep"], "Subject: nobody\n\nhi\n"),
    (["-t", "-oee"], "Subject: nobody\n\nhi\n"),
    (["-f", "a@b", "foo"], "From foo@bar Fri Jan  5 12:35:33 1996\nSubject: x\nResent-To: x\n\nhi\n"),
    (["foo"], "From foo@bar Fri Jan  5 12:35:33 1996\nSubject: x\n\nhi\n"),
    (["-f", "a@b", "-F", "Foo Bar", "foo"], "Subject: x\nFrom: root\nSender: a@b\nBcc: x@y\n\nhi\n.\nmore\n"),
    (["-oep", "foo@@bar"], "x"),
    (["-f", "<>", "foo"], "Subject: x\n\nhi\n"),
    (["-oMa", "1.2.3.4.99", "-oMs", "h.n", "-oMr", "proto", "-oMt", "id", "-oMaa", "auth", "-oMai", "aid", "-oMas", "as@b",
      "-f", "<>", "-bm", "foo"], "Subject: x\n\nhi\n"),
    (["-bs"], "EHLO x\nMAIL FROM:<foo>\nRCPT TO:<bar>\nDATA\nFrom: bar\nTo: x, y@z\n\n.\nQUIT\n"),
    (["-i", "foo"], "Subject: x\n\nhi\n.\nmore\n"),
    (["foo"], "\nhi\n"),
    (["foo"], ""),
    (["foo"], "A: bcdefghijk\r\nC: d\rE: f\r\n\r\nx\ry\nz\r\n"),
    (["-t"], "From: me\nTo: a@b\nReturn-path: <a@b>\nEnvelope-to: x\nDelivery-date: x\n\nhi\n"),
    (["-t", "-bnq"], "From: me\nTo: a@b, c\n\nhi\n"),
    (["-bS"], "EHLO x\nMAIL FROM:<foo>\nRCPT TO:<bar>\nDATA\nFrom: bar\n\nx\n.\nMAIL FROM:<a@b\nQUIT\n"),
    (["-oep", "a@b"], "bad: x\n\nhi\n"),
    (["a@b"], "bad: x\n\nhi\n"),
]


def outcome(site, program, args, data):
    site.clean()
    p = site.run(args, data.encode(), program)
    out = p.stdout.decode() + "".join(x for x in p.stderr.decode().splitlines(True) if not re.match(r"20\d\d-", x))
    text = "rc=%d\n%s\n" % (p.returncode, out)
    text += "".join(line[20:] for line in site.log().splitlines(True) if "lost privilege" not in line)
    for name in site.files("-H") + site.files("-D"):
        body = name.read_text().split("\n", 1)[1]
        text += "".join(x for x in body.splitlines(True) if not x.startswith(("-received_time", "-tls_resumption")))
    text = re.sub(r"\bE?[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})\b", "ID", text)
    text = re.sub(r"Exim 4\.\d+|Eximius [\d.]+", "MTA", text)
    text = re.sub(r"\d\d:\d\d:\d\d \+0000|^\d{10} 0$", "TIME", text, flags=re.M)
    text = re.sub(r"S=\d+", "S=", text)
    return re.sub(r"^\d{3,}([A-Z* ]) ", r"NNN\1 ", text, flags=re.M)


@pytest.mark.skipif(not shutil.which("exim4"), reason="exim4 is not here")
@pytest.mark.parametrize("args,data", LOCAL, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_local_as_exim(site, args, data):
    s = site("acl_not_smtp = not_smtp")
    want = outcome(s, "exim4", args, data)
    got = outcome(s, BIN, args, data)
    assert got == want, "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "exim", "eximius", lineterm=""))


# --- Proxies, sizes, waiting ----------------------------------------------------------------------

def test_proxy_protocol(site):
    s = site("hosts_proxy = 127.0.0.1\nlog_selector = +incoming_port")
    c = Client(s)
    c.send(b"PROXY TCP4 10.1.1.1 10.2.2.2 1111 25\r\n")
    assert c.reply().startswith("220")
    assert "[10.1.1.1]" in c.say("EHLO x\r\n")
    for text in ("MAIL FROM:<a@b.c>\r\n", "RCPT TO:<a@b.c>\r\n", "DATA\r\n"):
        c.say(text)
    assert c.say("S: x\r\n\r\n.\r\n").startswith("250 OK id=")
    c.say("QUIT\r\n")
    c.close()
    assert "H=(x) [10.1.1.1]:1111 P=esmtp" in s.log()


def test_proxy_that_says_nothing_sensible(site):
    s = site("hosts_proxy = 127.0.0.1")
    c = Client(s)
    c.send(b"EHLO x\r\n")
    assert c.reply().startswith("503 Command refused, required Proxy negotiation failed")
    assert c.reply() == ""
    c.close()


def test_starttls(site):
    s = site("tls_advertise_hosts = *\nacl_smtp_mail = accept encrypted = *")
    s.conf.write_text(s.conf.read_text().replace("tls_advertise_hosts =\n", "", 1))
    c = Client(s)
    c.reply()
    assert "250-STARTTLS" in c.say("EHLO x\r\n")
    assert c.say("STARTTLS\r\n").startswith("220")
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    c.sock = context.wrap_socket(c.sock)
    c.buffer = b""
    assert c.say("MAIL FROM:<a@b.c>\r\n").startswith("503 HELO or EHLO required")
    assert "STARTTLS" not in c.say("EHLO x\r\n")
    for text in ("MAIL FROM:<a@b.c>\r\n", "RCPT TO:<a@b.c>\r\n", "DATA\r\n"):
        c.say(text)
    assert c.say("S: x\r\n\r\n.\r\n").startswith("250 OK id=")
    c.say("QUIT\r\n")
    c.close()
    assert re.search(r"P=esmtps X=TLS1\.3:TLS_AES_256_GCM_SHA384:256 CV=no S=", s.log()) or re.search(r"P=esmtps X=TLS1\.3:\S+ ", s.log())


def test_text_behind_starttls(site):
    s = site("tls_advertise_hosts = *")
    s.conf.write_text(s.conf.read_text().replace("tls_advertise_hosts =\n", "", 1))
    c = Client(s)
    c.reply()
    c.say("EHLO x\r\n")
    assert c.say("STARTTLS\r\nMAIL FROM:<evil@b.c>\r\n").startswith("554")
    assert c.reply() == ""
    c.close()


def test_size_is_checked_twice(site):
    s = site("message_size_limit = 1K")
    c = Client(s)
    c.reply()
    assert "SIZE 1024" in c.say("EHLO x\r\n")
    assert c.say("MAIL FROM:<a@b.c> SIZE=2000\r\n").startswith("552")
    assert c.say("MAIL FROM:<a@b.c> SIZE=10\r\n").startswith("250")
    c.say("RCPT TO:<a@b.c>\r\n")
    c.say("DATA\r\n")
    assert c.say("S: x\r\n\r\n" + ("x" * 70 + "\r\n") * 100 + ".\r\n").startswith("552 Message size exceeds maximum permitted")
    assert c.say("NOOP\r\n").startswith("250")
    c.close()
    assert "message too big: size=2000 max=1024" in s.log()
    assert re.search(r"message too big: read=\d+ max=1024", s.log())
    assert not s.files("-D")
