"""A registry's storage (docker/registry/v2) with many small images: one image under many names."""

import hashlib
import json
import pathlib

TAGS = ("1.0", "1.1", "latest")


def write(storage, repositories):
    """Writes so many container repositories, of a dozen teams, with three tags each."""
    root = pathlib.Path(storage) / "docker/registry/v2"

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        folder = root / "blobs/sha256" / digest[:2] / digest
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(data)
        return digest

    def link(folder, digest):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(f"sha256:{digest}")

    layer, config = blob(b"a layer"), blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
    described = [("application/vnd.docker.container.image.v1+json", config, 78), ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer, 7)]
    described = [{"mediaType": kind, "size": size, "digest": f"sha256:{digest}"} for kind, digest, size in described]
    manifest = blob(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": described[0], "layers": described[1:],
    }).encode())
    for number in range(repositories):
        repository = root / "repositories" / f"team-{number % 12:02}/service-{number:04}/image"
        for digest in (layer, config):
            link(repository / "_layers/sha256" / digest, digest)
        link(repository / "_manifests/revisions/sha256" / manifest, manifest)
        for tag in TAGS:
            link(repository / "_manifests/tags" / tag / "current", manifest)
            link(repository / "_manifests/tags" / tag / "index/sha256" / manifest, manifest)
