"""Mutants of files: bytes, numbers, stretches and members changed, the same ones for the same seed and number."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**64 - 1)
TOKENS = (
    b"NaN", b"-1", b"1e999", b"null", b"[]", b"[[", b"{}", b'"', b",", b"...", b"nan", b"inf", b"-0.", b"True",
    b"(", b")", b"\n", b"\x00", b"\xff", b"array(", b"tensor(", b"'descr'", b"'|O'", b"'>f8'", b"'<f2'", b"-",
    b"9" * 30, b"shape", b"BF16", b"lengths", b"..", b"/", b"#", b"\xef\xbb\xbf", b"1_0", b"0x1", b"\\u0000",
)  # fmt: skip
MOST = 1 << 20  # bytes of a mutant

Change: TypeAlias = Callable[[bytearray, Random, Sequence[bytes]], None]


@dataclass(frozen=True)
class Mutator:
    """`seeds`: whole files, at least one; `seed` of the run."""

    seeds: Sequence[bytes]
    seed: int

    def mutant(self, number: int) -> bytes:
        """The mutant of that number: one of the files after one change or several."""
        rng = Random(self.seed << 40 | number)
        raw = rng.choice(self.seeds)
        change = within if rng.random() < 0.6 else changed
        return change(raw, rng, self.seeds)[:MOST]


def within(raw: bytes, rng: Random, seeds: Sequence[bytes]) -> bytes:
    """A member of a zip changed and its sums put right, or a header whose length is; else the bytes changed."""
    if raw.startswith(b"PK"):
        return _rezipped(raw, rng, seeds)
    if raw[8:9] == b"{":
        size = struct.unpack("<Q", raw[:8])[0]
        header = changed(raw[8 : 8 + size], rng, (json.dumps({"x": 1}).encode(),))
        return struct.pack("<Q", len(header)) + header + raw[8 + size :]
    return changed(raw, rng, seeds)


def _rezipped(raw: bytes, rng: Random, seeds: Sequence[bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    chosen = rng.randrange(len(members))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, (info, held) in enumerate(members):
            plain = zipfile.ZipInfo(info.filename)
            plain.compress_type = info.compress_type
            # what counts lies in a header: the first bytes are changed more often
            cut = rng.choice((len(held), 256)) if number == chosen else 0
            archive.writestr(plain, changed(held[:cut], rng, seeds) + held[cut:] if cut else held)
    return file.getvalue()


def changed(raw: bytes, rng: Random, seeds: Sequence[bytes]) -> bytes:
    """The bytes after one change or a few."""
    mutant = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(CHANGES)(mutant, rng, seeds)
    return bytes(mutant)


def _place(mutant: bytearray, rng: Random) -> int:
    """A place in the mutant, the first bytes more often than others."""
    return rng.randrange(min(len(mutant), rng.choice((64, 512, len(mutant) + 1))) + 1)


def _bit(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if mutant:
        mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)


def _byte(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = _place(mutant, rng)
    mutant[at : at + 1] = bytes([rng.randrange(256)])


def _edge(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at, size = _place(mutant, rng), rng.choice((1, 2, 4, 8))
    edge = rng.choice(EDGES) % (1 << 8 * size)
    mutant[at : at + size] = edge.to_bytes(size, rng.choice(("little", "big")))


def _digit(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = _place(mutant, rng)
    digits = [i for i in range(at, min(at + 64, len(mutant))) if 48 <= mutant[i] <= 57]
    if digits:
        mutant[rng.choice(digits)] = 48 + rng.randrange(10)


def _token(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at, token = _place(mutant, rng), rng.choice(TOKENS)
    mutant[at : at + rng.choice((0, len(token)))] = token


def _removed(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at = _place(mutant, rng)
    del mutant[at : at + rng.choice((1, 2, 8, 64))]


def _cut(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del mutant[rng.randrange(len(mutant) + 1) :]


def _doubled(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at, size = _place(mutant, rng), rng.choice((1, 4, 16, 128))
    mutant[at:at] = mutant[at : at + size] * rng.choice((1, 1, 1, 50))


def _moved(mutant: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    at, to, size = _place(mutant, rng), _place(mutant, rng), rng.choice((1, 4, 16, 128))
    mutant[to : to + size] = mutant[at : at + size]


def _joined(mutant: bytearray, rng: Random, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    mutant[_place(mutant, rng) :] = other[rng.randrange(len(other) + 1) :]


CHANGES: tuple[Change, ...] = (
    _bit, _byte, _edge, _digit, _token, _removed, _cut, _doubled, _moved, _joined, _bit, _edge, _digit, _token,
)  # fmt: skip
