"""Worked vectors of the five platforms: digests the platforms print, or computed apart from this package.

``vectors.json``: ``id`` platform and row of its sheet, ``rule`` an option of `OTHER_RULES` where the row shows
one, ``normalised`` null where the key must be left out, ``sha256`` null where the platform takes clear text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from capi_lab.identity import KEY_RULES, OTHER_RULES, KeyRule


@dataclass(frozen=True)
class Vector:
    id: str
    platform: str
    key: str
    rule: str | None
    raw: str
    country: str | None
    normalised: str | None
    sha256: str | None

    @property
    def key_rule(self) -> KeyRule:
        return OTHER_RULES[self.platform][self.rule] if self.rule else KEY_RULES[self.platform][self.key]

    def __str__(self) -> str:
        return f"{self.id}-{self.key}"


VECTORS = [Vector(**row) for row in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))]
