"""Enough of the hub to fetch a model from, on this machine."""

import hashlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

FIRST, SECOND = "1" * 40, "2" * 40
NAME = "somebody/tiny-xlmr"


@dataclass
class Hub:
    """Enough of the hub's protocol for one model: files by commit, branches, and what was asked of it."""

    url: str
    files: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    refusal: tuple[int, str] | None = None
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """After how many bytes the answers for a file break off, one after another."""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        commit = self.branches.get(revision, revision)
        if self.refusal:
            return self.refusal[0], {"X-Error-Code": self.refusal[1]}, b""
        if name != NAME:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if commit not in self.files:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if file not in self.files[commit]:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        body = self.files[commit][file]
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        wanted = self.headers.get("Range", "")
        self.hub.asked.append(" ".join(filter(None, (self.command, self.path, wanted))))
        status, headers, body = self.hub.answer(self.path)
        if status == 200 and wanted:
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[begin:]
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            cuts = self.hub.cuts.get(self.path.rpartition("/")[2])
            self.wfile.write(body[: cuts.pop(0)] if cuts else body)

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


def set_hub(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path, *, offline: bool = False) -> None:
    """What huggingface_hub takes from the environment when it is imported."""
    close_session()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
