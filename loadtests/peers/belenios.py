"""Holds the same election with Debian's `belenios-tool` and measures what its audit costs.

One question with yes, no and abstain of which each voter chooses exactly one, three trustees of whom two open
the box, plus no server key, group BELENIOS-2048 (the one that Debian's 2.0 knows). The steps are those of the
tool's own manual (tool.md in its package); every value comes out of the tool itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

TOOL = "belenios-tool"
GROUP = ("--group", "BELENIOS-2048")
TRUSTEES, THRESHOLD = 3, 2
STEP_S = 600  # a minute at most for a thousand ballots, but on a busy machine
QUESTIONS = {
    "description": "One question, as in the election beside it.",
    "name": "Audit",
    "questions": [
        {"answers": ["yes", "no", "abstain"], "min": 1, "max": 1, "question": "Shall the budget be adopted?"}
    ],
    "administrator": "nobody",
    "credential_authority": "nobody",
}


class PeerMissing(RuntimeError):
    """`belenios-tool` is not installed (Debian package belenios-tool)."""


def version() -> str:
    """Return what the tool calls itself.

    Raises:
        PeerMissing: the tool is not installed.
    """
    if shutil.which(TOOL) is None:
        raise PeerMissing("belenios-tool is missing: apt-get install belenios-tool")
    return subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout.strip()


class Election:
    """An election in a folder of its own, held and opened by the tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {**os.environ, "BELENIOS_USE_URANDOM": "1"}

    def hold(self, choices: Sequence[int]) -> list[int]:
        """Set up, cast one ballot per choice (0 yes, 1 no, 2 abstain), open the box, return the counts."""
        self._set_up(len(choices))
        self._cast(choices)
        self._event("EndBallots", b"")
        self._event("EncryptedTally", self._run("election", "compute-encrypted-tally"))
        keys = sorted(self.folder.glob("*.key"))
        for index, key in enumerate(keys[:THRESHOLD], 1):
            share = self._run(
                *("election", "decrypt-threshold", "--key", key.name),
                *("--decryption-key", key.with_suffix(".dkey").name, "--trustee-id", str(index)),
            )
            self._event("PartialDecryption", share)
        result = self._run("election", "compute-result")
        self._event("Result", result)
        counts: list[int] = json.loads(result)["result"][0]
        return counts

    def audit_cpu_s(self) -> float:
        """Run `election verify` and return its CPU seconds (user and system), as the kernel counts them."""
        command = [TOOL, "election", "verify"]
        child = subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"belenios-tool does not verify its own election: {said.decode()[-300:]}")
        return usage.ru_utime + usage.ru_stime

    def size(self) -> int:
        """Return the bytes of the tool's archive."""
        return next(self.folder.glob("*.bel")).stat().st_size

    def damage(self) -> None:
        """Change one digit of the first ballot in the archive; its audit must fail then."""
        path = next(self.folder.glob("*.bel"))
        raw = bytearray(path.read_bytes())
        place = raw.index(b'"alpha":"') + 20
        raw[place] = ord("1") if raw[place] != ord("1") else ord("2")
        path.write_bytes(bytes(raw))

    def _set_up(self, voters: int) -> None:
        uuid = self._run("setup", "generate-token").decode().strip()
        self._run("setup", "generate-credentials", "--uuid", uuid, *GROUP, "--count", str(voters))
        next(self.folder.glob("*.pubcreds")).rename(self.folder / "public_creds.json")
        next(self.folder.glob("*.privcreds")).rename(self.folder / "private_creds.txt")
        self._make_key()
        self._write("public_keys.jsons", b"")  # no key beside the trustees' own
        self._run("setup", "make-trustees")
        (self.folder / "threshold.json").unlink()
        (self.folder / "questions.json").write_text(json.dumps(QUESTIONS))
        self._run("setup", "make-election", "--uuid", uuid, *GROUP, "--template", "questions.json")
        self._run("archive", "init")
        for name in ("election.json", "trustees.json", "public_creds.json"):
            (self.folder / name).unlink(missing_ok=True)

    def _make_key(self) -> None:
        def step(*arguments: str, given: bytes = b"") -> bytes:
            return self._run("setup", "generate-trustee-key-threshold", *GROUP, *arguments, given=given)

        for _ in range(TRUSTEES):
            step("--step", "1")
        keys = sorted(self.folder.glob("*.key"))
        self._write("certs.jsons", b"".join(path.with_suffix(".cert").read_bytes() for path in keys))
        certs = ("--certs", "certs.jsons")
        step(*certs, "--step", "2")
        drawn = [step(*certs, "--key", key.name, "--step", "3", "--threshold", str(THRESHOLD)) for key in keys]
        self._write("polynomials.jsons", b"".join(drawn))
        step(*certs, "--step", "4", "--polynomials", "polynomials.jsons")
        outputs = [
            step(*certs, "--key", key.name, "--step", "5", given=key.with_suffix(".vinput").read_bytes())
            for key in keys
        ]
        joined = step(*certs, "--step", "6", "--polynomials", "polynomials.jsons", given=b"".join(outputs))
        self._write("threshold.json", joined)

    def _cast(self, choices: Sequence[int]) -> None:
        lines = (self.folder / "private_creds.txt").read_text().split("\n")
        for choice, line in zip(choices, lines, strict=False):
            self._write("credential", line.split()[-1].encode())
            self._write("choice", json.dumps([[int(choice == option) for option in range(3)]]).encode())
            ballot = self._run("election", "generate-ballot", "--privcred", "credential", "--ballot", "choice")
            self._event("Ballot", ballot)

    def _event(self, kind: str, content: bytes) -> None:
        self._run("archive", "add-event", f"--type={kind}", given=content)

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [TOOL, *arguments],
            cwd=self.folder,
            env=self._environment,
            input=given,
            capture_output=True,
            timeout=STEP_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"belenios-tool {' '.join(arguments[:2])}: {done.stderr.decode()[-300:]}")
        return done.stdout
