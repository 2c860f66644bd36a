"""A server that plays the Hugging Face Hub: repositories with commits, uploads of large files, downloads."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"


@dataclass
class Repository:
    """Files of each commit, and the commit of each branch."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        whole = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        name = sha1(f"{len(self.commits)} {sorted(whole)}".encode()).hexdigest()
        self.commits[name], self.branches[branch] = whole, name
        self.messages.append(message)
        return name

    def at(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)


@dataclass
class Hub:
    """Stands in for the Hub; all that it has is in `repositories`."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    """Answers to requests whose method and path begin so."""


@contextmanager
def hub_server() -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.handle_one(self.post)

        def do_GET(self) -> None:
            self.handle_one(self.get)

        def do_HEAD(self) -> None:
            self.handle_one(self.get)

        def do_PUT(self) -> None:
            self.handle_one(self.put)

        def handle_one(self, act: Any) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            content = self.body()
            for start, status in hub.errors.items():
                if f"{self.command} {path}".startswith(start):
                    self.answer(status, {"error": "a bad day"})
                    return
            act(path, content)

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        @property
        def token(self) -> str:
            return self.headers.get("Authorization", "").removeprefix("Bearer ")

        def found(self, name: str, write: bool = False) -> Repository | None:
            """The repository, where the token may see it or write to it; answers otherwise."""
            if self.token not in ("", WRITER, READER):
                self.refuse(401, "", "Invalid credentials in Authorization header")
                return None
            repository = hub.repositories.get(name)
            if repository is None or (repository.private and not self.token):
                self.refuse(404 if self.token else 401, "RepoNotFound", "Repository not found")
                return None
            if repository.gated and self.token != WRITER:
                self.refuse(403, "GatedRepo", "Access to this model is restricted")
                return None
            if write and self.token != WRITER:
                self.refuse(403, "", "You don't have the rights to write here")
                return None
            return repository

        def post(self, path: str, content: bytes) -> None:
            if path == "/api/validate-yaml":
                front = json.loads(content)["content"]
                fault = [] if front.startswith("---\n") else [{"message": "no front matter"}]
                self.answer(400 if fault else 200, {"errors": fault, "warnings": []})
                return
            if path == "/api/repos/create":
                self.create(json.loads(content))
                return
            if path.endswith(".git/info/lfs/objects/batch"):
                if self.found(path[1:].removesuffix(".git/info/lfs/objects/batch"), write=True):
                    self.batch(json.loads(content)["objects"])
                return
            _, _, _, owner, name, action, revision = path.split("/", 6)
            repository = self.found(f"{owner}/{name}", write=True)
            if repository is None:
                return
            if action == "branch":
                taken = revision in repository.branches
                repository.branches.setdefault(revision, repository.branches["main"])
                self.answer(409 if taken else 200, {})
            elif repository.at(revision) is None:
                self.refuse(404, "RevisionNotFound", "Invalid rev id")
            elif action == "preupload":
                self.answer(
                    200,
                    {
                        "files": [
                            {
                                "path": file["path"],
                                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                                "shouldIgnore": False,
                            }
                            for file in json.loads(content)["files"]
                        ]
                    },
                )
            else:
                self.commit(repository, f"{owner}/{name}", revision, content)

        def create(self, question: dict[str, Any]) -> None:
            name = f"{question['organization']}/{question['name']}"
            if self.token != WRITER:
                self.refuse(401 if not self.token or self.token != READER else 403, "", "You may not create")
            elif name in hub.repositories:
                self.answer(409, {"error": "You already created this model repo", "url": f"{hub.url}/{name}"})
            else:
                made = hub.repositories[name] = Repository(private=question.get("visibility") == "private")
                made.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
                self.answer(200, {"url": f"{hub.url}/{name}"})

        def batch(self, objects: list[dict[str, Any]]) -> None:
            answers = []
            for each in objects:
                new = each["oid"] not in hub.large
                upload = {"actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}} if new else {}
                answers.append({"oid": each["oid"], "size": each["size"], **upload})
            self.answer(200, {"transfer": "basic", "objects": answers})

        def put(self, path: str, content: bytes) -> None:
            name = path.removeprefix("/lfs/")
            assert sha256(content).hexdigest() == name
            hub.large[name] = content
            self.answer(200, {})

        def commit(self, repository: Repository, name: str, branch: str, content: bytes) -> None:
            files: dict[str, bytes] = {}
            message = ""
            for line in map(json.loads, content.splitlines()):
                value = line["value"]
                if line["key"] == "header":
                    message = value["summary"]
                elif line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                else:
                    files[value["path"]] = hub.large[value["oid"]]
            made = repository.commit(branch, files, message)
            self.answer(200, {"commitUrl": f"{hub.url}/{name}/commit/{made}", "commitOid": made})

        def get(self, path: str, content: bytes) -> None:
            if path.startswith("/cdn/"):
                assert "Authorization" not in self.headers
                self.file(hub.large[path.removeprefix("/cdn/")], {})
                return
            parts = path.split("/")
            if parts[1] == "api":
                name, rest = "/".join(parts[3:5]), parts[5:]
            else:
                name, rest = "/".join(parts[1:3]), parts[3:]
            repository = self.found(name)
            if repository is None:
                return
            commit = repository.at(rest[1] if len(rest) > 1 else "main")
            if commit is None:
                self.refuse(404, "RevisionNotFound", "Invalid rev id")
                return
            files = repository.commits[commit]
            if not rest or rest[0] == "revision":
                info = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "tags": []}
                self.answer(200, info | {"siblings": [{"rfilename": file} for file in files]})
            elif rest[0] == "tree":
                self.answer(200, [entry(file, content) for file, content in files.items()])
            elif rest[2] not in files:
                self.refuse(404, "EntryNotFound", "Entry not found")
            else:
                self.resolve(files[rest[2]], rest[2], commit)

        def resolve(self, content: bytes, name: str, commit: str) -> None:
            headers = {"X-Repo-Commit": commit, "ETag": f'"{sha1(content).hexdigest()}"'}
            if not name.endswith(".safetensors"):
                self.file(content, headers)
                return
            oid = sha256(content).hexdigest()
            hub.large[oid] = content
            self.send_response(302)
            for header in headers.items():
                self.send_header(*header)
            self.send_header("X-Linked-Etag", f'"{oid}"')
            self.send_header("X-Linked-Size", str(len(content)))
            # As on the real Hub, large files lie elsewhere, where no token should go.
            self.send_header("Location", f"{hub.url.replace('127.0.0.1', 'localhost')}/cdn/{oid}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def file(self, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for header in headers.items():
                self.send_header(*header)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def refuse(self, status: int, code: str, message: str) -> None:
            self.answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

        def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for header in (headers or {}).items():
                self.send_header(*header)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def entry(name: str, content: bytes) -> dict[str, Any]:
    """A file as a tree lists it."""
    told: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": sha1(content).hexdigest(),
    }
    if name.endswith(".safetensors"):
        told["lfs"] = {"oid": sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return told
