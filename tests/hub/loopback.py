"""A Hub on 127.0.0.1 for the genuine client: models and data sets, tokens, private repositories, cut connections."""

import contextlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

from .repository import Commit, Repository, is_lfs, object_id


WRITER, READER = "hf_writer", "hf_reader"
TOKENS = {WRITER: ("user", "write"), READER: ("user", "read"), "hf_stranger": ("stranger", "write")}
_THREADS = 8
_KINDS = {"models": "model", "datasets": "dataset"}


class _Server(HTTPServer):
    """Answers with a bounded number of threads."""

    hub: "LoopbackHub"

    def __init__(self, *args):
        super().__init__(*args)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="loopback-hub")

    def process_request(self, request, client_address):
        self._pool.submit(self._answer, request, client_address)

    def handle_error(self, request, client_address):
        """A client that went away is not the tests' concern; what the Hub should have answered is in the client's."""

    def _answer(self, request, client_address):
        try:
            self.finish_request(request, client_address)
        except OSError:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)

    def server_close(self):
        super().server_close()
        self._pool.shutdown()


class LoopbackHub:
    """A running Hub. `TOKENS` are those that it knows: two of `user`, of which one may only read, and a stranger's.

    Use it as a context manager; it takes a free port and is gone at the end.
    """

    def __init__(self):
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.requests: list[str] = []
        self._cut: tuple[re.Pattern, str] | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "LoopbackHub":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address
        return f"http://{host}:{port}"

    def create(self, name: str, kind: str = "model", private: bool = False) -> Repository:
        return self.repositories.setdefault((kind, name), Repository(name, kind, private))

    def files(self, name: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        """What a repository holds at a revision, by path."""
        return self.repositories[kind, name].find(revision).files

    def messages(self, name: str, kind: str = "model") -> list[str]:
        """Those of its commits, without the one that created it."""
        return [commit.message for commit in self.repositories[kind, name].commits[1:]]

    @contextlib.contextmanager
    def cutting(self, pattern: str, when: str = "halfway") -> Iterator[None]:
        """Break the connection of every request like `PUT /lfs/.*` (a regular expression).

        Args:
            when: `"halfway"` through the body of the request, or of the answer where the request has none;
                `"answering"` when the request has been carried out but not answered.
        """
        self._cut = re.compile(pattern), when
        try:
            yield
        finally:
            self._cut = None

    def cuts(self, request: str, when: str) -> bool:
        return self._cut is not None and self._cut[1] == when and self._cut[0].match(request) is not None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._handle()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _handle(self) -> None:
        hub = self.server.hub
        split = urlsplit(self.path)
        path, self.query = unquote(split.path), parse_qs(split.query)
        self.request_line = f"{self.command} {path}"
        hub.requests.append(self.request_line)
        size = int(self.headers.get("Content-Length") or 0)
        if size and hub.cuts(self.request_line, "halfway"):
            self.rfile.read(size // 2)
            return
        self.body = self.rfile.read(size)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in TOKENS:
            self._refuse(401, message="Invalid credentials in Authorization header")
            return
        self.user, self.role = TOKENS.get(token, (None, "none"))
        for pattern, method in _ROUTES:
            found = re.fullmatch(pattern, self.request_line)
            if found:
                method(self, **found.groupdict())
                return
        self._refuse(404, "NotFound", f"the loopback Hub has no {self.request_line}")

    # what is asked of the Hub as a whole

    def _whoami(self):
        if self.user is None:
            self._refuse(401, message="Invalid username or password.")
            return
        self._json({"name": self.user, "type": "user", "orgs": [], "auth": {"accessToken": {"role": self.role}}})

    def _create(self):
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or self.user
        name, kind = f"{owner}/{wanted['name']}", wanted.get("type") or "model"
        if self.user != owner or self.role != "write":
            self._refuse(403, message=f"You don't have the rights to create a {kind} under the namespace {owner!r}.")
            return
        exists = (kind, name) in self.server.hub.repositories
        self.server.hub.create(name, kind, wanted.get("visibility") == "private")
        url = f"{self.server.hub.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
        self._json({"url": url, "id": name, "name": name}, 409 if exists else 200)

    def _validate(self):
        self._json({"errors": [], "warnings": []})

    def _upload(self, oid: str):
        self.server.hub.stored[oid] = self.body
        self._json({})

    # what is asked of a repository

    def _repository(self, kind: str, name: str, *, write: bool = False) -> Repository | None:
        """The repository where this user may see (or change) it; otherwise the request is refused."""
        repository = self.server.hub.repositories.get((kind, name))
        if repository is None or (repository.private and self.user != repository.owner):
            if self.user is None:
                # the client infers the code from the address, where that is https
                self._refuse(401, "RepoNotFound", "Invalid username or password.")
            else:
                self._refuse(404, "RepoNotFound", "Repository not found")
            return None
        if write and (self.user != repository.owner or self.role != "write"):
            self._refuse(403, message="You have read access but not the required permissions for this operation")
            return None
        return repository

    def _at(self, kind: str, name: str, revision: str | None) -> tuple[Repository, Commit] | tuple[None, None]:
        repository = self._repository(kind, name)
        if repository is None:
            return None, None
        commit = repository.find(revision or "main")
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None, None
        return repository, commit

    def _auth_check(self, kinds: str, name: str, write: str | None):
        if self._repository(_KINDS[kinds], name, write=write is not None) is not None:
            self._json({})

    def _info(self, kinds: str, name: str, revision: str | None = None):
        repository, commit = self._at(_KINDS[kinds], name, revision)
        if commit is not None:
            self._json(repository.info(commit))

    def _tree(self, kinds: str, name: str, revision: str, below: str | None):
        repository, commit = self._at(_KINDS[kinds], name, revision)
        if commit is None:
            return
        recursive = self.query.get("recursive", ["false"])[0].lower() == "true"
        entries = repository.tree(commit, below or "", recursive)
        if below and not entries:
            self._refuse(404, "EntryNotFound", f"{below} does not exist on {revision}")
            return
        self._json(entries)

    def _paths_info(self, kinds: str, name: str, revision: str):
        repository, commit = self._at(_KINDS[kinds], name, revision)
        if commit is None:
            return
        wanted = set(parse_qs(self.body.decode()).get("paths", []))
        self._json([entry for entry in repository.tree(commit, recursive=True) if entry["path"] in wanted])

    def _refs(self, kinds: str, name: str):
        repository = self._repository(_KINDS[kinds], name)
        if repository is not None:
            branches = [
                {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": sha}
                for ref, sha in repository.branches.items()
            ]
            tags = [
                {"name": ref, "ref": f"refs/tags/{ref}", "targetCommit": sha} for ref, sha in repository.tags.items()
            ]
            self._json({"branches": branches, "tags": tags, "converts": []})

    def _branch(self, kinds: str, name: str, ref: str):
        repository = self._repository(_KINDS[kinds], name, write=True)
        if repository is None:
            return
        if ref in repository.branches:
            self._refuse(409, message=f"Reference refs/heads/{ref} already exists")
            return
        start = json.loads(self.body).get("startingPoint") or "main"
        repository.branches[ref] = repository.find(start).sha
        self._json({})

    def _tag(self, kinds: str, name: str, revision: str):
        repository = self._repository(_KINDS[kinds], name, write=True)
        if repository is not None:
            repository.tags[json.loads(self.body)["tag"]] = repository.find(revision).sha
            self._json({})

    def _preupload(self, kinds: str, name: str, revision: str):
        repository = self._repository(_KINDS[kinds], name, write=True)
        if repository is None:
            return
        there = repository.find(revision).files
        files = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            oid = object_id(path, there[path]) if path in there else None
            mode = "lfs" if is_lfs(path) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": files})

    def _lfs_batch(self, prefix: str | None, name: str):
        kind = "dataset" if prefix else "model"
        if self._repository(kind, name, write=True) is None:
            return
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.server.hub.stored:
                entry["actions"] = {"upload": {"href": f"{self.server.hub.endpoint}/lfs/{wanted['oid']}"}}
            objects.append(entry)
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, kinds: str, name: str, revision: str):
        repository = self._repository(_KINDS[kinds], name, write=True)
        if repository is None:
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        commit = repository.commit(revision, lines, self.server.hub.stored)
        if commit is None:
            self._refuse(412, message="The expected parent commit is not the newest one")
            return
        url = f"{self.server.hub.endpoint}/{'datasets/' if kinds == 'datasets' else ''}{name}/commit/{commit.sha}"
        self._json({"success": True, "commitOid": commit.sha, "commitUrl": url})

    def _resolve(self, prefix: str | None, name: str, revision: str, path: str):
        _, commit = self._at("dataset" if prefix else "model", name, revision)
        if commit is None:
            return
        if path not in commit.files:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.sha})
            return
        content = commit.files[path]
        headers = {"ETag": f'"{object_id(path, content)}"', "X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        status, asked = 200, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            status, content = 206, content[first : last + 1]
        self._send(status, content, headers)

    # answers

    def _json(self, content: object, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(
        self, status: int, code: str | None = None, message: str | None = None, headers: dict | None = None
    ) -> None:
        headers = dict(headers or {}) | {"Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        if message:
            headers["X-Error-Message"] = message
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        if self.server.hub.cuts(self.request_line, "answering"):
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            is_cut = self.server.hub.cuts(self.request_line, "halfway")
            self.wfile.write(content[: len(content) // 2] if is_cut else content)


_REPO = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kinds>models|datasets)/{_REPO}"
_FILE = rf"/(?P<prefix>datasets/)?{_REPO}"
_ROUTES = [
    (r"GET /api/whoami-v2", _Handler._whoami),
    (r"POST /api/repos/create", _Handler._create),
    (r"POST /api/validate-yaml", _Handler._validate),
    (r"PUT /lfs/(?P<oid>\w+)", _Handler._upload),
    (rf"GET {_API}/auth-check(?P<write>/write)?", _Handler._auth_check),
    (rf"GET {_API}", _Handler._info),
    (rf"GET {_API}/revision/(?P<revision>[^/]+)", _Handler._info),
    (rf"GET {_API}/tree/(?P<revision>[^/]+)(?:/(?P<below>.*))?", _Handler._tree),
    (rf"POST {_API}/paths-info/(?P<revision>[^/]+)", _Handler._paths_info),
    (rf"GET {_API}/refs", _Handler._refs),
    (rf"POST {_API}/branch/(?P<ref>[^/]+)", _Handler._branch),
    (rf"POST {_API}/tag/(?P<revision>[^/]+)", _Handler._tag),
    (rf"POST {_API}/preupload/(?P<revision>[^/]+)", _Handler._preupload),
    (rf"POST {_API}/commit/(?P<revision>[^/]+)", _Handler._commit),
    (rf"POST {_FILE}\.git/info/lfs/objects/batch", _Handler._lfs_batch),
    (rf"(?:GET|HEAD) {_FILE}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler._resolve),
]
