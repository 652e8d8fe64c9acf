from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import masking
from tests.e2e.project import project as project
from tests.secrets.record import Record
from tests.secrets.search import Planted

# letters in an order that stands nowhere else; those that need an escape somewhere: / + & = @ ' " % space ü
PLANTED = Planted(
    {
        "userinfo": "Uq7zXw/Vk3+Jr&Lm",
        "query": "Qy9-Wb_Zc4.Nd6~Pf8Hg",
        "dsn": "Dk2p%Ts 5Ru@Xv8Mz'Ye",
        "header": "Hj3Vw8Bq6Zt1Xk9Ny4Rc",
        "exception": "Ex5Lp0Qm2Wz7Vb4Kt9Sd",
        "toml": 'Tm"8Gr\\3Zk=6Pw;Yx1Vn',
        "environment": "Ev4ü Nb7Rk2Wq9Zs5Xt",
        "data": "Da6Wv1Kz8Xp3Qt0Bm5Yr",
        "code": "Co9Xm4Zt7Bw2Kv5Pq8Jn",
    }
)


@pytest.fixture
def record(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Record]:
    """A record in an empty project, with no secret known yet."""
    monkeypatch.setattr(masking, "_known", {})
    monkeypatch.setattr(masking, "_pattern", None)
    made = Record(PLANTED, project)
    with made.listening():
        yield made
    for name, text in zip(("stdout", "stderr"), capfd.readouterr(), strict=True):
        found = PLANTED.find(text, name)
        assert not found, found


@pytest.fixture
def secrets() -> dict[str, Any]:
    """What is planted, by name."""
    return PLANTED.secrets
