"""Archives with a remote one, which may lie on a local server that speaks S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from synthetic_archive import SETTINGS, make_archive

from toolkit.workspace import Workspace

_NUMBERS = count()
"""Each for one remote archive, so that it is empty."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A local server that speaks S3; dummy credentials are in the environment, as for any other."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "dummy")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        yield f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
        moto.stop()


@pytest.fixture
def bucket(server: str) -> str:
    """`[archive]` of a fresh bucket on that server."""
    import fsspec

    name = f"reports-{next(_NUMBERS)}"
    fsspec.filesystem("s3", endpoint_url=server, skip_instance_cache=True).mkdir(name)
    return f'[archive]\nremote = "s3://{name}/team"\n[archive.options]\nendpoint_url = "{server}"\n'


def in_memory() -> str:
    """`[archive]` of an empty remote archive that ends with this process."""
    return f'[archive]\nremote = "memory://remote-{next(_NUMBERS)}"\n'


def make(root: Path, remote: str, **more: Any) -> Workspace:
    """An archive, all of template `triage`, with this `[archive]`."""
    return make_archive(root, settings=SETTINGS + remote, templates=["triage"], **more)
