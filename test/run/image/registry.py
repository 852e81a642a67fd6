#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry for tests: registry.py FOLDER [KEY=VALUE...] serves the OCI layouts FOLDER/NAME on a free port
of 127.0.0.1, by as much of OCI-Dist 1.1 as pulling needs. It writes the port to FOLDER/port, and what was
asked for to FOLDER/log: "GET PATH RANGE". Keys:

  cut=N       the first answer of each blob ends after N bytes, with the connection
  flip=HEX    one byte of the blob whose digest begins so is changed
  noranges=1  Range is not understood
  token=U:P   a token is needed, which user U gets for password P
  basic=U:P   the same without tokens
  busy=N      every path answers 503 the first N times
  slow=S      a blob comes in two halves with S seconds between
  moved=1     blobs are somewhere else, which takes no password
"""
import base64
import http.server
import json
import os
import socket
import sys
import threading
import time
import urllib.parse

ROOT = sys.argv[1]
HOW = dict(a.split("=", 1) for a in sys.argv[2:])
SEEN, LOCK = {}, threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self):
        with LOCK, open(ROOT + "/log", "a") as f:
            f.write("GET %s %s\n" % (self.path, self.headers.get("Range", "-")))
            n = SEEN[self.path] = SEEN.get(self.path, 0) + 1
        return n

    def say(self, status, body=b"", kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, **headers):
        self.say(status, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode(),
                 **headers)

    def base(self):
        return "http://127.0.0.1:%d" % self.server.server_port

    def allowed(self, url):
        sent = self.headers.get("Authorization", "")
        if url.path == "/token":
            want = "Basic " + base64.b64encode(HOW["token"].encode()).decode()
            query = urllib.parse.parse_qs(url.query)
            if sent != want or query.get("service") != ["tests"]:
                self.refuse(401, "UNAUTHORIZED")
            else:
                self.say(200, json.dumps({"token": "t-" + query["scope"][0]}).encode())
            return False
        if url.path.startswith("/elsewhere/"):
            if sent:
                self.refuse(400, "PASSWORD_FOR_ANOTHER")
            return not sent
        if "token" in HOW:
            scope = "repository:%s:pull" % url.path.split("/")[2]
            if sent == "Bearer t-" + scope:
                return True
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="%s/token",'
                        'service="tests",scope="%s"' % (self.base(), scope))
            return False
        if "basic" in HOW and sent != "Basic " + base64.b64encode(HOW["basic"].encode()).decode():
            self.refuse(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="tests"')
            return False
        return True

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        n = self.note()
        if n <= int(HOW.get("busy", 0)):
            return self.refuse(503, "BUSY")
        if not self.allowed(url):
            return None
        parts = url.path.strip("/").split("/")
        if parts[0] == "elsewhere":
            return self.blob(parts[1], parts[2], n)
        if len(parts) != 4 or parts[0] != "v2" or not os.path.isdir(ROOT + "/" + parts[1]):
            return self.refuse(404, "NAME_UNKNOWN")
        if parts[2] == "manifests":
            return self.manifest(parts[1], parts[3])
        if "moved" in HOW:
            return self.say(307, Location="http://localhost:%d/elsewhere/%s/%s" %
                            (self.server.server_port, parts[1], parts[3]))
        return self.blob(parts[1], parts[3], n)

    def manifest(self, name, which):
        if not which.startswith("sha256:"):
            with open("%s/%s/index.json" % (ROOT, name)) as f:
                found = [d for d in json.load(f)["manifests"] if
                         d["annotations"]["org.opencontainers.image.ref.name"] == which]
            if not found:
                return self.refuse(404, "MANIFEST_UNKNOWN")
            which = found[0]["digest"]
        try:
            with open("%s/%s/blobs/sha256/%s" % (ROOT, name, which.split(":")[1]), "rb") as f:
                data = f.read()
        except OSError:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        return self.say(200, data, json.loads(data).get("mediaType"))

    def blob(self, name, digest, n):
        try:
            with open("%s/%s/blobs/sha256/%s" % (ROOT, name, digest.split(":")[1]), "rb") as f:
                data = bytearray(f.read())
        except OSError:
            return self.refuse(404, "BLOB_UNKNOWN")
        if "flip" in HOW and digest.startswith("sha256:" + HOW["flip"]):
            data[len(data) // 2] ^= 1
        asked, begin = self.headers.get("Range"), 0
        if asked and "noranges" not in HOW:
            begin = int(asked[6:].split("-")[0])
        if begin >= len(data):
            return self.refuse(416, "RANGE")
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))
        self.end_headers()
        cut = int(HOW.get("cut", 0))
        if cut and n == 1 and len(data) > cut:
            self.wfile.write(data[:cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        half = begin + (len(data) - begin) // 2
        self.wfile.write(data[begin:half])
        if "slow" in HOW and len(data) > 10000:
            self.wfile.flush()
            time.sleep(float(HOW["slow"]))
        self.wfile.write(data[half:])
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    with open(ROOT + "/port.new", "w") as f:
        f.write(str(server.server_port))
    os.rename(ROOT + "/port.new", ROOT + "/port")
    server.serve_forever()
