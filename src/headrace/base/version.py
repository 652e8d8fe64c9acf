"""The version of headrace, where every room can see it without asking the installer's records, which takes 15 ms."""

from __future__ import annotations

VERSION = "0.1.0"
