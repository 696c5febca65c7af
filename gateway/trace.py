"""The trace: raw bytes and readings to bounded files, for debugging, golden tests and replay.

Here: `trace.jsonl` (CONTRACT section 6), `raw/<device>.bin`, their bounds. May lose its last
second, and what a full disk refuses; the authority is the journal. Not here: what is done with a
trace (`replay`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

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
        self._readings = BoundedFile((folder / TRACE_FILE).open("xb"), TRACE_BYTES_MAX)
        self._raw: dict[str, BoundedFile] = {}
        self._readings.write(msgspec.json.encode(TraceHead(1, store, config_sha256)) + b"\n")
        self.readings_total = 0
        self.dropped_total = 0

    def keep_config(self, config: Path, sheets: Iterable[str]) -> None:
        """Copies the configuration beside the trace, so that it can be replayed anywhere.

        It is `store.toml` there; sheets keep their place relative to it, where they have one.
        """
        shutil.copyfile(config, self._folder / "store.toml")
        for sheet in map(Path, sheets):
            inside = sheet.is_relative_to(config.parent)
            copy = self._folder / (sheet.relative_to(config.parent) if inside else sheet.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sheet, copy)

    def write(self, readings: list[Reading]) -> None:
        """Takes readings down while they fit: a trace ends, it has no holes. Never raises."""
        if self._readings.write(b"".join(reading_line(reading) + b"\n" for reading in readings)):
            self.readings_total += len(readings)
        else:
            self.dropped_total += len(readings)

    def tap(self, device: str, link: Link) -> Link:
        """A link whose bytes are taken down on their way to the driver."""
        raw = self._raw.get(device)
        if raw is None:
            file = (self._folder / "raw" / f"{device}.bin").open("wb")
            raw = self._raw[device] = BoundedFile(file, RAW_BYTES_MAX)
        return TappedLink(link, raw)

    def flush(self) -> None:
        """Hands everything to the operating system. Never raises."""
        for file in (self._readings, *self._raw.values()):
            file.flush()

    def close(self) -> None:
        """Ends the trace. Never raises."""
        for file in (self._readings, *self._raw.values()):
            file.close()


class BoundedFile:
    """A file that takes what fits, then nothing more: a full disk must not stop the shop."""

    def __init__(self, file: BinaryIO, bytes_max: int) -> None:
        self._file, self._left = file, bytes_max
        self._full = False

    def write(self, data: bytes) -> bool:
        """Whether it was taken; once not, never again. Never raises."""
        self._full = self._full or len(data) > self._left
        if not self._full:
            self._left -= len(data)
            self._try(lambda: self._file.write(data))
        return not self._full

    def flush(self) -> None:
        """Hands what was taken to the operating system. Never raises."""
        if not self._full:
            self._try(self._file.flush)

    def close(self) -> None:
        """Gives the file back. Never raises."""
        self._try(self._file.close)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except OSError:
            self._full = True


class TappedLink:
    """A link that somebody listens to."""

    def __init__(self, link: Link, raw: BoundedFile) -> None:
        self._link, self._raw = link, raw

    @property
    def identity(self) -> str:
        """See `drivers.base.Link`."""
        return self._link.identity

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
