#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""engine.py SOCKET FOLDER: a stand-in for Docker's API on a unix socket, for tests of one program
alone. It answers what the programs ask, does next to nothing, and writes down every request.

In FOLDER it keeps
  log              a line a request: METHOD PATH BODY, the path without the API's version
  images           a line for each image that is here: ID [NAME]; /images/load adds loaded ones
  inspect.json     if it is there: a container that exists from the start, with its volumes; if
                   it has a TestCgroup, pause and unpause freeze and thaw that, and it is running
                   as long as its process is; at-unpause is that one's status then, and the nft
                   tables of its network namespace
  layers, volumes  the folders of containers and volumes that are made
It reads $DM_DAEMON_JSON when it gets SIGHUP, as the engine does: runtimes are replaced if the
file has any, else they stay; before the first SIGHUP there is docker-migrate, as /nowhere.
At each request it reads
  version          the engine's version, if it is another one than 26.1.5
  rootfs           lines ID LAYER...: the layers of images, the lowest first
  history          the sizes of the steps that made an image, the first one first
  archive          what /images/.../get answers
  fail             lines METHOD PATTERN STATUS MESSAGE: requests that fail
  start            what POST .../start does: fail (default), cold (say yes and do nothing), or a
                   word, which is decided in the record, as dm-runtime would; "WORD fail" decides
                   it and fails all the same
"""

import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

LOCK = threading.Lock()
LOADED = "sha256:" + "1" * 64


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def freeze(cgroup, frozen):
    """Freeze or thaw a cgroup, v1 or v2, and wait until it is."""
    if not cgroup:
        return
    v1 = os.path.join(cgroup, "freezer.state")
    if os.path.exists(v1):
        control, status, want = v1, v1, "FROZEN" if frozen else "THAWED"
        value = want
    else:
        control, value = os.path.join(cgroup, "cgroup.freeze"), "1" if frozen else "0"
        status, want = os.path.join(cgroup, "cgroup.events"), "frozen " + value
    with open(control, "w", encoding="utf-8") as f:
        f.write(value)
    for _ in range(500):
        with open(status, encoding="utf-8") as f:
            if want in f.read():
                return
        time.sleep(0.01)
    raise Refusal(500, "the cgroup does not change")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return ") Z " not in f.read()
    except FileNotFoundError:
        return False


class Engine:
    def __init__(self, folder):
        self.folder = folder
        self.containers = {}
        self.volumes = {}
        self.made = 0
        self.runtimes = {"docker-migrate": {"path": "/nowhere"}}
        self.default = "runc"
        given = self.read("inspect.json")
        if given:
            c = json.loads(given)
            self.containers[c["Id"]] = c
            for m in c.get("Mounts", []):
                self.volumes[m["Name"]] = {"Name": m["Name"], "Mountpoint": m["Source"]}

    def reload(self, *_):
        with open(os.environ["DM_DAEMON_JSON"], encoding="utf-8") as f:
            config = json.load(f)
        self.runtimes = config.get("runtimes", self.runtimes)
        self.default = config.get("default-runtime", self.default)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def note(self, method, path, body):
        with open(self.path("log"), "a", encoding="utf-8") as f:
            f.write(f"{method} {path} {body}".rstrip() + "\n")
        for line in self.read("fail").splitlines():
            how, pattern, status, message = line.split(" ", 3)
            if how == method and re.search(pattern, path):
                raise Refusal(int(status), message)

    def image(self, name):
        for line in self.read("images").splitlines():
            if name in line.split():
                return line.split()[0]
        raise Refusal(404, f"No such image: {name}")

    def tags(self, ident):
        return [tag for line in self.read("images").splitlines() if line.split()[0] == ident
                for tag in line.split()[1:]]

    def layers(self, ident):
        for line in self.read("rootfs").splitlines():
            if line.split()[0] == ident:
                return line.split()[1:]
        return []

    def archive(self):
        try:
            with open(self.path("archive"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b"what docker save says\n"

    def container(self, name):
        for c in self.containers.values():
            if name in (c["Id"], c["Name"].lstrip("/")):
                return c
        raise Refusal(404, f"No such container: {name}")

    def create(self, name, body):
        if any(c["Name"] == "/" + name for c in self.containers.values()):
            raise Refusal(409, f'Conflict. The container name "/{name}" is already in use')
        self.made += 1
        ident = f"{self.made:064x}"
        upper = self.path("layers", ident, "diff")
        os.makedirs(upper, 0o700)
        self.containers[ident] = {
            "Id": ident,
            "Name": "/" + name,
            "State": {"Running": False, "Paused": False, "Pid": 0},
            "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": upper}},
            "HostConfig": body.get("HostConfig", {}),
        }
        return 201, {"Id": ident, "Warnings": []}

    def start(self, c):
        how = (self.read("start") or "fail").split()
        if how[0] not in ("fail", "cold"):
            plan = os.path.join(os.environ["DM_RUN"], "restore", c["Id"], "plan.json")
            with open(plan, encoding="utf-8") as f:
                plan = json.load(f)
            record = os.path.join(plan["state"], "target", plan["migration"])
            with open(self.path("plan"), "w", encoding="utf-8") as f:
                json.dump(plan, f)
            shutil.copytree(plan["images"] + "/..", self.path("staged"), symlinks=True,
                            dirs_exist_ok=True)
            with open(os.path.join(record, "choice"), "w", encoding="utf-8") as f:
                f.write(how[0] + "\n")
            os.link(os.path.join(record, "choice"), os.path.join(record, "decision"))
            os.unlink(os.path.join(record, "choice"))
        if "fail" in how:
            raise Refusal(500, "the start failed, as it was told to")
        c["State"]["Running"] = True
        return 204, None

    def on_container(self, method, name, verb, query, body):
        c = self.container(name)
        state = c["State"]
        if method == "DELETE":
            shutil.rmtree(self.path("layers", c["Id"]), ignore_errors=True)
            del self.containers[c["Id"]]
            return 204, None
        if verb == "json":
            if c.get("TestCgroup") and not alive(state["Pid"]):
                state["Running"] = state["Paused"] = False
            return 200, c
        if verb == "start":
            return self.start(c)
        if verb in ("pause", "unpause"):
            if state["Paused"] == (verb == "pause"):
                raise Refusal(409, f"the container is {'' if state['Paused'] else 'not '}paused")
            state["Paused"] = verb == "pause"
            if verb == "unpause" and c.get("TestCgroup"):
                with open(self.path("at-unpause"), "wb") as f:
                    with open(f"/proc/{state['Pid']}/status", "rb") as status:
                        f.write(status.read())
                    f.write(subprocess.check_output(
                        ["nsenter", "-n", "-t", str(state["Pid"]), "nft", "list", "tables"]))
            freeze(c.get("TestCgroup"), state["Paused"])
            return 204, None
        if verb == "update":
            c.setdefault("HostConfig", {})["RestartPolicy"] = body["RestartPolicy"]
            return 200, {"Warnings": []}
        if verb == "rename":
            c["Name"] = "/" + query["name"][0]
            return 204, None
        raise Refusal(404, "page not found")

    def on_volume(self, method, name, body):
        if method == "POST":
            where = self.path("volumes", body["Name"], "_data")
            os.makedirs(where, 0o700)
            self.volumes[body["Name"]] = dict(body, Mountpoint=where)
            return 201, self.volumes[body["Name"]]
        if name not in self.volumes:
            raise Refusal(404, f"get {name}: no such volume")
        if method == "DELETE":
            shutil.rmtree(self.path("volumes", name), ignore_errors=True)
            del self.volumes[name]
            return 204, None
        return 200, self.volumes[name]

    def answer(self, method, path, query, body):
        parts = path.strip("/").split("/")
        if parts == ["version"]:
            return 200, {"Version": self.read("version").strip() or "26.1.5", "ApiVersion": "1.45"}
        if parts == ["info"]:
            return 200, {"ID": "stand-in", "Driver": "overlay2", "CgroupVersion": "1",
                         "Runtimes": self.runtimes, "DefaultRuntime": self.default}
        if parts == ["images", "json"]:
            return 200, [{"Id": line.split()[0], "RepoTags": line.split()[1:]}
                         for line in self.read("images").splitlines()]
        if parts[0] == "images" and parts[-1] == "get":
            self.image("/".join(parts[1:-1]))
            return 200, self.archive()
        if parts[0] == "images" and parts[-1] == "json":
            ident = self.image("/".join(parts[1:-1]))
            return 200, {"Id": ident, "RepoTags": self.tags(ident), "Size": 1000,
                         "RootFS": {"Type": "layers", "Layers": self.layers(ident)}}
        if parts[0] == "images" and parts[-1] == "history":
            return 200, [{"Size": int(size)} for size in reversed(self.read("history").split())]
        if parts == ["images", "load"]:
            with open(self.path("images"), "a", encoding="utf-8") as f:
                f.write(LOADED + " tiny:1\n")
            return 200, {"stream": "Loaded image: tiny:1\n"}
        if parts == ["containers", "json"]:
            return 200, [{"Id": c["Id"], "Names": [c["Name"]]} for c in self.containers.values()]
        if parts == ["containers", "create"]:
            return self.create(query["name"][0], body)
        if parts[0] == "containers" and len(parts) in (2, 3):
            return self.on_container(method, parts[1], parts[2] if len(parts) > 2 else "", query,
                                     body)
        if parts == ["volumes"]:
            return 200, {"Volumes": list(self.volumes.values())}
        if parts == ["volumes", "create"]:
            return self.on_volume("POST", "", body)
        if parts[0] == "volumes" and len(parts) == 2:
            return self.on_volume(method, parts[1], body)
        if parts == ["networks"]:
            return 200, [{"Name": "bridge"}, {"Name": "none"}]
        if parts[0] == "networks" and parts[-1] == "disconnect":
            return 200, None
        raise Refusal(404, "page not found")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = None

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while True:
            line = self.rfile.readline()
            size = int(line, 16)  # an upload that breaks off ends this thread here
            chunk = self.rfile.read(size + 2)
            if size == 0:
                return whole
            whole += chunk[:-2]

    def handle_one(self):
        url = urlsplit(self.path)
        path = unquote(re.sub(r"^/v[0-9.]+/", "/", url.path))
        query = parse_qs(url.query)
        try:
            raw = self.body()
        except ValueError:
            self.close_connection = True
            with LOCK:
                self.engine.note(self.command, path, "broken off")
            return
        shown = path + ("?" + url.query if url.query else "")
        with LOCK:
            try:
                self.engine.note(self.command, shown, raw.decode("utf-8", "replace").rstrip())
                body = json.loads(raw) if raw[:1] == b"{" else {}
                status, value = self.engine.answer(self.command, path, query, body)
            except Refusal as e:
                status, value = e.status, {"message": str(e)}
        if value is None:
            value = b""
        out = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    do_GET = do_POST = do_DELETE = handle_one


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that goes away early is what some tests are about


def follow(parent):
    """End with the test that started this, however it ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main():
    socket, folder = sys.argv[1:]
    threading.Thread(target=follow, args=(os.getppid(),), daemon=True).start()
    Handler.engine = Engine(folder)
    signal.signal(signal.SIGHUP, Handler.engine.reload)
    server = Server(socket + ".new", Handler)
    os.rename(socket + ".new", socket)  # who sees it can connect to it
    server.serve_forever()


if __name__ == "__main__":
    main()
