# SPDX-License-Identifier: Apache-2.0
"""Conformance sets against the whole program, where test_smtp_server.py does not drive them already
(it has the replies of Exim's recorded sessions, false ends of data to -bs, chasquid's dialogues;
tests/expand has the expansions, test_spool_exchange.py the queue files): the log lines of the recorded
sessions, and false ends of data sent to a daemon. Needs root and the build."""
import difflib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from daemon_kit import PROGRAM, ROOT, Daemon, Smtp

SETS = pathlib.Path(os.environ.get("EXIMIUS_SHARED", ROOT.parent / "shared")) / "conformance"
ID = re.compile(r"\b[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}\b")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="no program at " + str(PROGRAM))

# Cases that fail, each with its reason. This list only shrinks: one that passes must leave it.
EXPECTED_FAILURES = {
    "smtp-0062": "Exim counts octets of a message that is too big beyond those that were sent with BDAT",
}


def sessions():
    path = SETS / "smtp-exim" / "sessions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def site():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="eximius-conformance-"))
    folder.chmod(0o777)
    spool = folder / "spool"
    spool.mkdir()
    spool.chmod(0o777)
    conf = folder / "conf"
    conf.write_text((SETS / "smtp-exim" / "exim.conf").read_text().replace("/tmp/exim-bh-spool", str(spool)))
    yield conf
    shutil.rmtree(folder, ignore_errors=True)


def masked(line):
    """Our name is longer than Exim's, and so is the Received: line that S= counts."""
    return re.sub(r"\bS=\d+", "S=@SIZE@", ID.sub("@ID@", line))


@pytest.mark.parametrize("case", sessions(), ids=lambda c: c["id"])
def test_session_log(case, site):
    p = subprocess.run([str(PROGRAM), "-C", str(site), "-bh", "10.1.2.3"], input=case["send"].encode("latin-1"),
                       capture_output=True, timeout=60)
    log = [masked(line[5:]) for line in p.stderr.decode("latin-1").split("\n") if line.startswith("LOG: ")]
    expected = [masked(line) for line in case["log"]]
    assert p.returncode == case["rc"]
    difference = "\n".join(difflib.unified_diff(expected, log, "exim", "eximius", lineterm="", n=0))
    if case["id"] in EXPECTED_FAILURES:
        assert difference, "passes now: take it off EXPECTED_FAILURES"
        pytest.xfail(EXPECTED_FAILURES[case["id"]])
    assert not difference, difference
    assert not list(site.parent.glob("spool/log/*")), "-bh wrote a log file"


DAEMON = """
primary_hostname = mail.test
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
exim_user = mail
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
rfc1413_hosts =
tls_advertise_hosts =
check_spool_space = 0
check_spool_inodes = 0
queue_only
acl_smtp_rcpt = accept
{main}
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


@pytest.fixture(scope="module")
def daemon():
    with Daemon(config=DAEMON) as d:
        yield d


def false_ends():
    path = SETS / "smtp-smuggling" / "sequences.json"
    return json.loads(path.read_text())["end_of_data_false"] if path.exists() else []


@pytest.mark.parametrize("end", false_ends(), ids=repr)
def test_false_end_at_daemon(daemon, end):
    """What stands between a false end and the true one is text: no second message, one answer."""
    before, logged = len(daemon.spool()), len(daemon.log())
    c = Smtp(daemon.port)
    assert c.reply()[0] == 220
    for line, code in (("EHLO client.test", 250), ("MAIL FROM:<good@src.test>", 250), ("RCPT TO:<a@mail.test>", 250), ("DATA", 354)):
        assert c.say(line)[0] == code, line
    c.sock.sendall(("Subject: one\r\n\r\nbody" + end + "MAIL FROM:<evil@src.test>\r\nRCPT TO:<b@mail.test>\r\nDATA\r\n"
                    "Subject: two\r\n\r\nx\r\n.\r\n").encode("latin-1"))
    code, text = c.reply()
    assert code == 250 or code >= 500, text
    assert c.say("NOOP")[0] == 250        # nothing else was answered
    assert c.say("QUIT")[0] == 221
    c.sock.shutdown(socket.SHUT_WR)
    c.close()
    assert len(daemon.spool()) - before == (1 if code == 250 else 0)
    assert not [ln for ln in daemon.log()[logged:] if "<= evil@" in ln]
