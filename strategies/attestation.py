"""What the env proxy attests of an agent's reward buffer (`envproxy.attestation`), read with the key it signed with."""

import hmac
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.files import read_text

_KEY_BYTES = 32


class UnattestedError(ValueError):
    """No statement of the env proxy on this seat, round and run; the text says what is wrong with it."""


@dataclass(frozen=True)
class Attestation:
    """What a statement must be about, and the key that it must be signed with."""

    key: bytes = field(repr=False)
    run: str
    arena: str
    reward_credit: str
    reward_buffer: int

    def read(self, text: object, seat: int, round_: int) -> tuple[float, int]:
        """Return R_i and the number of battles it is the sum of. Raises UnattestedError."""
        if not isinstance(text, str) or not text:
            raise UnattestedError(
                "the env proxy attests no reward: start it with --attest-key, the same key as this run's attest-key"
            )
        signature, _, statement = text.partition(" ")
        expected = hmac.digest(self.key, statement.encode(errors="replace"), "sha256").hex()
        if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            raise UnattestedError("the attested reward is not signed with the key of this run's attest-key")
        said: dict[str, Any] = json.loads(statement)  # signed: it is what the env proxy wrote
        wanted = {
            "run": self.run,
            "arena": self.arena,
            "seat": seat,
            "round": round_,
            "reward-credit": self.reward_credit,
            "reward-buffer": self.reward_buffer,
        }
        for name, value in wanted.items():
            if said.get(name) != value:
                raise UnattestedError(f"the attested reward is of {name} {said.get(name)!r}, expected {value!r}")
        reward, battles = float(said["reward"]), int(said["battles"])
        if not math.isfinite(reward):
            raise UnattestedError(f"the attested reward is {reward}, expected a finite number")
        return reward, battles


def read_key(path: Path) -> bytes:
    """Return the key that `pps-qmix envproxy --attest-key` made. Raises ValueError, saying what to do."""
    try:
        key = bytes.fromhex(read_text(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read a key in {path}: {error}; copy the file that the env proxy made") from None
    if len(key) < _KEY_BYTES:
        raise ValueError(f"{path} holds a key of {len(key)} bytes, expected {_KEY_BYTES}")
    return key
