"""One repository of the loopback Hub: commits, branches and tags, all in memory."""

import base64
import hashlib
import json
from dataclasses import dataclass, field


LFS_SUFFIXES = (".safetensors", ".parquet", ".png")


@dataclass(frozen=True)
class Commit:
    """A state of the repository: its files by path."""

    sha: str
    message: str
    files: dict[str, bytes]


def is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def object_id(path: str, content: bytes) -> str:
    """How git (or git LFS) names that content, and the Hub its version of a file."""
    if is_lfs(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """What is pushed under one name.

    Args:
        name: `user/name`.
        kind: `"model"` or `"dataset"`.
    """

    name: str
    kind: str = "model"
    private: bool = False
    commits: list[Commit] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.add("main", "initial commit", {".gitattributes": b"* text\n"})

    @property
    def owner(self) -> str:
        return self.name.split("/")[0]

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or a sha names."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        return next((commit for commit in self.commits if commit.sha == sha), None)

    def add(self, branch: str, message: str, files: dict[str, bytes]) -> Commit:
        """A commit with exactly these files on top of the branch."""
        seed = json.dumps([self.name, branch, message, len(self.commits), sorted(files)])
        sha = hashlib.sha1(seed.encode() + b"".join(files.values())).hexdigest()
        commit = Commit(sha, message, files)
        self.commits.append(commit)
        self.branches[branch] = sha
        return commit

    def commit(self, branch: str, lines: list[dict], stored: dict[str, bytes]) -> Commit | None:
        """What the body of a commit request asks for; `None` where its parent is no longer the newest.

        Args:
            lines: the request's JSON lines.
            stored: contents that were uploaded before, by their SHA-256.
        """
        parent = self.find(branch)
        files, message = dict(parent.files), ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, parent.sha):
                    return None
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = stored[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                assert line["key"] == "deletedFolder", line
                files = {path: content for path, content in files.items() if not path.startswith(value["path"])}
        return self.add(branch, message, files)

    def info(self, commit: Commit) -> dict:
        return {
            "id": self.name,
            "sha": commit.sha,
            "private": self.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        }

    def tree(self, commit: Commit, below: str = "", recursive: bool = False) -> list[dict]:
        """Files and folders below a path, as the Hub lists them."""
        entries: dict[str, dict] = {}
        prefix = f"{below}/" if below else ""
        for path in sorted(commit.files):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts)):
                folder = prefix + "/".join(parts[:depth])
                if depth == 1 or recursive:
                    entries[folder] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            if len(parts) == 1 or recursive:
                entries[path] = self.entry(commit, path)
        return list(entries.values())

    def entry(self, commit: Commit, path: str) -> dict:
        content = commit.files[path]
        entry = {"type": "file", "oid": object_id(path, content), "size": len(content), "path": path}
        if is_lfs(path):
            entry["lfs"] = {"oid": entry["oid"], "size": entry["size"], "pointerSize": 130}
        return entry
