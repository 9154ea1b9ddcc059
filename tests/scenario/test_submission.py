"""Local submission by callers without privilege: through the daemon's socket, and, while no daemon
runs, through the drop folder, where the next daemon finds the message. The program is not set-uid."""
import os, pwd, re, signal, subprocess, tempfile, time
import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXIMIUS = os.environ.get("EXIMIUS_BIN", TOP + "/build/eximius")
CONF = """
primary_hostname = mail.test
qualify_domain = test
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
exim_user = mail
exim_group = mail
local_interfaces = 127.0.0.1
keep_environment =
acl_smtp_rcpt = accept
acl_not_smtp = accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  file = {dir}/mail/$local_part_data
  user = mail
"""


class Site:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="submit-")
        os.chmod(self.dir, 0o755)
        for d in ("spool", "log", "mail"):
            os.mkdir(f"{self.dir}/{d}")
            os.chown(f"{self.dir}/{d}", *pwd.getpwnam("mail")[2:4])
        os.chmod(self.dir + "/spool", 0o750)
        with open(self.dir + "/conf", "w") as f:
            f.write(CONF.format(dir=self.dir).replace("$local_part_data", "box"))
        self.daemon = None

    def start(self):
        self.daemon = subprocess.Popen([EXIMIUS, "-C", self.dir + "/conf", "-bdf", "-oX", "127.0.0.1.0"], stderr=subprocess.DEVNULL)
        self.wait(lambda: "daemon started" in self.log())

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            assert self.daemon.wait(30) == 0
            self.daemon = None

    def log(self):
        try:
            with open(self.dir + "/log/mainlog") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait(self, condition, seconds=20):
        end = time.time() + seconds
        while not condition():
            assert time.time() < end, "waited too long; log:\n" + self.log()
            time.sleep(0.02)

    def as_nobody(self, *args, data=b""):
        return subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", EXIMIUS, "-C", self.dir + "/conf", *args],
                              input=data, capture_output=True, timeout=60)


@pytest.fixture
def site():
    s = Site()
    yield s
    s.stop()
    subprocess.run(["rm", "-rf", s.dir])


def test_through_the_socket_with_recipients_as_arguments(site):
    site.start()
    r = site.as_nobody("-bm", "someone@test", data=b"Subject: hello\n\nbody\n")
    assert (r.returncode, r.stderr) == (0, b"")
    site.wait(lambda: "Completed" in site.log())
    assert re.search(r"<= nobody@test U=nobody P=local S=\d+", site.log())
    assert "=> someone <someone@test> R=all T=box" in site.log()


def test_through_the_socket_with_recipients_from_the_headers(site):
    site.start()
    r = site.as_nobody("-t", data=b"To: a@test\nBcc: b@test\nSubject: x\n\nbody\n")
    assert r.returncode == 0, r.stderr
    site.wait(lambda: "Completed" in site.log())
    assert "=> a <a@test>" in site.log() and "<b@test>" in site.log()


def test_smtp_on_standard_input(site):
    site.start()
    r = site.as_nobody("-bs", data=b"EHLO me\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<z@test>\r\nDATA\r\nSubject: s\r\n\r\nb\r\n.\r\nQUIT\r\n")
    assert r.returncode == 0
    assert b"250 OK id=" in r.stdout, r.stdout
    site.wait(lambda: "Completed" in site.log())
    assert "U=nobody P=local-esmtp" in site.log()


def test_a_caller_without_trust_cannot_set_the_sender(site):
    site.start()
    assert site.as_nobody("-f", "boss@test", "someone@test", data=b"Subject: x\n\nb\n").returncode == 0
    site.wait(lambda: "<=" in site.log())
    assert "<= nobody@test" in site.log() and "<= boss@test" not in site.log()


def test_the_drop_folder_keeps_it_until_a_daemon_runs(site):
    site.start()
    site.stop()
    r = site.as_nobody("late@test", data=b"Subject: later\n\nbody\n")
    assert r.returncode == 0, r.stderr
    kept = [f for f in os.listdir(site.dir + "/spool/drop") if f.endswith(".msg")]
    assert len(kept) == 1
    site.start()
    site.wait(lambda: "=> late <late@test>" in site.log())
    assert re.search(r"<= nobody@test U=nobody P=local", site.log())
    assert os.listdir(site.dir + "/spool/drop") == []


def test_without_daemon_and_folder_the_caller_is_told(site):
    r = site.as_nobody("late@test", data=b"Subject: later\n\nbody\n")
    assert r.returncode == 75 and b"no mail daemon is running" in r.stderr
