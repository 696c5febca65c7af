"""The trace: raw bytes and readings to bounded files, for debugging, golden tests and replay.

Here: `trace.jsonl` (CONTRACT section 6), `raw/<device>.bin`, their bounds. May lose its last
second; the authority is the journal. Not here: what is done with a trace (`replay`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.reading import Reading
from gateway.domain.wire import TraceHead, reading_line
from gateway.registry import Link

TRACE_BYTES_MAX: Final = 512 * 1_048_576
RAW_BYTES_MAX: Final = 64 * 1_048_576
"""Per device."""
TRACE_FILE: Final = "trace.jsonl"


class Trace:
    """A folder that takes down what is said, until it is full."""

    def __init__(self, folder: Path, store: str, config_sha256: str) -> None:
        """Raises OSError, FileExistsError when the folder holds a trace already."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "raw").mkdir(exist_ok=True)
        self._folder = folder
        self._file = (folder / TRACE_FILE).open("xb")
        self._raw: dict[str, RawFile] = {}
        head = msgspec.json.encode(TraceHead(1, store, config_sha256)) + b"\n"
        self._file.write(head)
        self._bytes = len(head)
        self.readings_total = 0
        self.dropped_total = 0

    def keep_config(self, *files: Path) -> None:
        """Copies the configuration beside the trace, so that it can be replayed anywhere."""
        for file in files:
            shutil.copyfile(file, self._folder / file.name)

    def write(self, readings: list[Reading]) -> None:
        """Takes readings down; counts what no longer fits."""
        lines = b"".join(reading_line(reading) + b"\n" for reading in readings)
        if self._bytes + len(lines) > TRACE_BYTES_MAX:
            self.dropped_total += len(readings)
            return
        self._bytes += len(lines)
        self.readings_total += len(readings)
        self._file.write(lines)

    def tap(self, device: str, link: Link) -> Link:
        """A link whose bytes are taken down on their way to the driver."""
        raw = self._raw.get(device)
        if raw is None:
            raw = self._raw[device] = RawFile(self._folder / "raw" / f"{device}.bin")
        return TappedLink(link, raw)

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self._file.flush()
        for raw in self._raw.values():
            raw.file.flush()

    def close(self) -> None:
        """Ends the trace."""
        self._file.close()
        for raw in self._raw.values():
            raw.file.close()


class RawFile:
    """The bytes of one device, up to RAW_BYTES_MAX."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self._left = RAW_BYTES_MAX

    def write(self, chunk: bytes) -> None:
        """Takes bytes down while there is room."""
        part = chunk[: self._left]
        self._left -= len(part)
        self.file.write(part)


class TappedLink:
    """A link that somebody listens to."""

    def __init__(self, link: Link, raw: RawFile) -> None:
        self._link, self._raw = link, raw

    async def read(self) -> bytes:
        """See `drivers.base.Link`."""
        chunk = await self._link.read()
        self._raw.write(chunk)
        return chunk

    async def read_within(self, timeout_ms: int) -> bytes | None:
        """See `drivers.base.Link`."""
        chunk = await self._link.read_within(timeout_ms)
        if chunk is not None:
            self._raw.write(chunk)
        return chunk

    def write(self, data: bytes) -> None:
        """See `drivers.base.Link`."""
        self._link.write(data)

    async def pause(self, duration_ms: int) -> None:
        """See `drivers.base.Link`."""
        await self._link.pause(duration_ms)

    def close(self) -> None:
        """See `drivers.base.Link`."""
        self._link.close()
