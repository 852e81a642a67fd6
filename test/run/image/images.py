#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make images for tests: images.py CASE FOLDER [KEY=VALUE...] writes an OCI image layout.

Keys: compress=gzip|zstd|none, tag=NAME, arch=A[,B...], big=BYTES (of random data in a file).
images.py save FOLDER FILE  makes of a layout what `docker save` writes.
"""
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile

OCI = "application/vnd.oci.image."


def entry(name, data=None, **more):
    t = tarfile.TarInfo(name)
    t.mode, t.mtime = 0o644, 1000000000
    if data is not None:
        t.size = len(data)
    for key, value in more.items():
        setattr(t, key, value)
    return t, data


def folder(name, mode=0o755, **more):
    return entry(name, type=tarfile.DIRTYPE, mode=mode, **more)


def link(name, to):
    return entry(name, type=tarfile.SYMTYPE, linkname=to, mode=0o777)


def hard(name, to):
    return entry(name, type=tarfile.LNKTYPE, linkname=to)


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def noise(n, seed):
    return random.Random(seed).randbytes(n)


BASE = [
    folder("./"), folder("etc/"), entry("etc/name", b"base\n"), entry("etc/gone", b"x\n"),
    folder("old/"), entry("old/a", b"a\n"), folder("old/deep/"), entry("old/deep/b", b"b\n"),
    folder("kept/"), entry("kept/k", b"k\n"), folder("closed/", mode=0o555),
    folder("usr/"), folder("usr/lib/"), link("lib", "usr/lib"), entry("usr/lib/so", b"1\n"),
    entry("su", b"#!\n", mode=0o4755), entry("twin", b"twin\n"), hard("other", "twin"),
    entry("n\u00e4me", b"utf8\n"), entry("d" * 90 + "/" + "f" * 120, b"long\n"),
    folder("implied/", mode=0o700, uid=7, gid=8),
    entry("owned", b"o\n", uid=1234, gid=4321, mtime=1234567890.5),
    entry("attr", b"a\n", pax_headers={"SCHILY.xattr.user.colour": "red",
                                       "SCHILY.xattr.user.overlay.opaque": "y",
                                       "SCHILY.xattr.trusted.overlay.redirect": "/etc"}),
]
UPPER = [
    # what comes and what goes, in the order that is least convenient
    entry("old/new", b"new\n"), entry("old/.wh..wh..opq", b""), entry("etc/.wh.gone", b""),
    entry("etc/name", b"upper\n"), entry("lib/more", b"2\n"), entry("implied/in", b"in\n"),
    entry(".wh.nothing", b""), entry("kept", b"a file now\n"), hard("third", "twin"),
    entry(".wh..wh.plnk", b""),
]
CASES = {
    "plain": lambda o: [BASE, UPPER],
    "big": lambda o: [BASE] + [[entry("big%d" % i, noise(int(o.get("big", 1 << 20)), i))]
                               for i in range(5)],
    "dotdot": lambda o: [[entry("../escaped", b"x\n")]],
    "dotdot-in": lambda o: [[folder("a/"), entry("a/../../escaped", b"x\n")]],
    "absolute": lambda o: [[entry("/plain", b"x\n")]],
    "link-out": lambda o: [[link("out", o["to"]), entry("out/escaped", b"x\n")]],
    "link-up": lambda o: [[link("out", "../../../../../../.."), entry("out/escaped", b"x\n")]],
    "link-out-lower": lambda o: [[link("out", o["to"])], [entry("out/escaped", b"x\n")]],
    "link-file": lambda o: [[link("file", o["to"] + "/victim"), entry("file", b"x\n")]],
    "hard-out": lambda o: [[hard("inside", "../../../../../.." + o["to"] + "/victim")]],
    "hard-link": lambda o: [[link("out", o["to"]), hard("inside", "out/victim")]],
    "white-out": lambda o: [[link("out", o["to"])], [entry("out/.wh.victim", b"")]],
    "white-dots": lambda o: [[folder("a/"), entry("a/f", b"x\n")], [entry("a/.wh...", b"")]],
    "opaque-link": lambda o: [[link("out", o["to"])], [entry("out/.wh..wh..opq", b"")]],
    "chmod-link": lambda o: [[link("d", o["to"]), folder("d/", mode=0o777)]],
    "devices": lambda o: [[folder("dev/"), entry("dev/null", type=tarfile.CHRTYPE, devmajor=1,
                                                 devminor=3, mode=0o666),
                           entry("dev/disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0),
                           entry("pipe", type=tarfile.FIFOTYPE)]],
    "whiteout-device": lambda o: [[entry("w", type=tarfile.CHRTYPE, devmajor=0, devminor=0)]],
    "bomb": lambda o: [[entry("zeros", bytes(int(o.get("big", 128 << 20))))]],
    "root-file": lambda o: [[entry(".", b"x\n")]],
    "deep": lambda o: [[entry("/".join(["d"] * 300), b"x\n")]],
    # no name is too long, and each leads on from the end of the one before by a link
    "deeper": lambda o: [sum(([folder(("l%d/" % (i - 1) if i else "") + "/".join(["d"] * 190)),
                               link("l%d" % i, ("l%d/" % (i - 1) if i else "") +
                                    "/".join(["d"] * 190))] for i in range(5)), [])],
    "empty": lambda o: [],
    # programs come with -v /usr:/usr:ro
    "shell": lambda o: [[link(d, "usr/" + d) for d in ("bin", "sbin", "lib", "lib64")] +
                        [folder("usr/"), folder("etc/"), folder("kept/"), folder("tmp/", 0o1777),
                         entry("etc/passwd", b"root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/a:\n"),
                         entry("etc/group", b"root:x:0:\nstaff:x:50:\n")], [entry("top", b"t\n")]],
    # files of several users, in the lower layer and in the upper one
    "health": lambda o: CASES["shell"](o),
    "people": lambda o: [CASES["shell"](o)[0] +
                         [folder("home/"), folder("home/ann/", 0o700, uid=1000, gid=1001),
                          entry("home/ann/own", b"own\n", uid=1000, gid=1001, mode=0o600)],
                         [entry("web", b"w\n", uid=33, gid=33, mode=0o640)]],
    "truncated": lambda o: [[entry("f", noise(100000, 1))]],
}


class Layout:
    def __init__(self, path):
        self.path = path
        os.makedirs(path + "/blobs/sha256", exist_ok=True)
        with open(path + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, media, data):
        digest = hashlib.sha256(data).hexdigest()
        with open("%s/blobs/sha256/%s" % (self.path, digest), "wb") as f:
            f.write(data)
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(data)}

    def json(self, media, value):
        return self.blob(media, json.dumps(value).encode())


def packed(how, data):
    if how == "gzip":
        return "+gzip", gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return "+zstd", subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                                       check=True).stdout
    return "", data


def image(layout, layers, arch, options, case):
    config = {"os": "linux", "architecture": arch, "created": "2026-01-01T00:00:00Z",
              "config": {"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "echo hello from $0"],
                         "Env": ["A=b", "C=d"], "WorkingDir": "/kept",
                         "ExposedPorts": {"80/tcp": {}}},
              "rootfs": {"type": "layers", "diff_ids": []}}
    if case == "health":
        config["config"]["Healthcheck"] = {
            "Test": ["CMD", "/bin/sh", "-c", "echo from the image"], "Interval": 100000000,
            "Timeout": 5000000000, "Retries": 2}
    descs = []
    for one in layers:
        data = tar(one)
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(data).hexdigest())
        ends, data = packed(options.get("compress", "gzip"), data)
        if case == "truncated":
            data = data[:len(data) // 2]
        descs.append(layout.blob(OCI + "layer.v1.tar" + ends, data))
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                "config": layout.json(OCI + "config.v1+json", config), "layers": descs}
    return layout.json(OCI + "manifest.v1+json", manifest)


def make(case, path, options):
    layout = Layout(path)
    layers = CASES[case](options)
    arches = options.get("arch", "amd64").split(",")
    found = []
    for arch in arches:
        mine = layers + ([[entry("arch", arch.encode())]] if len(arches) > 1 else [])
        desc = image(layout, mine, arch, options, case)
        desc["platform"] = {"os": "linux", "architecture": arch}
        found.append(desc)
    if len(found) > 1:
        found = [layout.json(OCI + "index.v1+json", {
            "schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": found})]
    found[0]["annotations"] = {"org.opencontainers.image.ref.name": options.get("tag", "latest")}
    with open(path + "/index.json", "w") as f:
        json.dump({"schemaVersion": 2, "manifests": found}, f)
    print(found[0]["digest"])


def save(path, out):
    """One image of a layout in docker's own form, its layers bare and one of them a link."""
    def read(digest):
        with open("%s/blobs/sha256/%s" % (path, digest.split(":")[1]), "rb") as f:
            return f.read()
    with open(path + "/index.json") as f:
        manifest = json.loads(read(json.load(f)["manifests"][0]["digest"]))
    config = manifest["config"]["digest"].split(":")[1] + ".json"
    entries, names = [], []
    for i, layer in enumerate(manifest["layers"]):
        entries += [folder("l%d/" % i), entry("l%d/layer.tar" % i, gzip.decompress(read(layer["digest"])))]
        names.append("l%d/layer.tar" % i)
    entries += [folder("again/"), link("again/layer.tar", "../" + names[-1])]
    names[-1] = "again/layer.tar"
    entries.append(entry(config, read(manifest["config"]["digest"])))
    entries.append(entry("manifest.json", json.dumps([{
        "Config": config, "RepoTags": ["saved/image:v1"], "Layers": names}]).encode()))
    with open(out, "wb") as f:
        f.write(tar(entries))


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(sys.argv[2], sys.argv[3])
    else:
        make(sys.argv[1], sys.argv[2], dict(a.split("=", 1) for a in sys.argv[3:]))
