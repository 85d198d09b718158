"""A loopback photo host that costs as little as possible: `python -m bench.photo_host`.

Answers `GET /photos/<number>/large.jpg` with a photograph of about 33 KB; no two numbers have the same bytes. Below
`/same/` all numbers have the same small photograph. It speaks just the HTTP that well-behaved clients need, so that
what is measured is the client.
"""

import argparse
import asyncio
import io
import re
import struct
from typing import Final, cast

import numpy as np
from PIL import Image

KINDS: Final = 64
"""Different pictures; each photograph is one of them with its number in a comment segment."""
SIZE: Final = (500, 375)
"""Width and height in pixels."""
_NUMBER: Final = re.compile(rb"GET (?:http://[^/]+)?/(photos|same)/(\d+)/")


def picture(seed: int, *, size: tuple[int, int] = SIZE) -> bytes:
    """A JPEG with the spectrum of a natural photograph (amplitude falling as frequency to the power 1.6)."""
    random = np.random.default_rng(seed)
    width, height = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    planes = []
    for _ in range(3):
        spectrum = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
        plane = np.fft.irfft2(spectrum / frequency**1.6, s=(height, width))
        planes.append((plane - plane.mean()) / plane.std())
    luma, blue, red = planes[0], planes[1] / 4, planes[2] / 4
    colour = np.stack([luma + red, luma - 0.3 * red - 0.3 * blue, luma + blue], axis=-1)
    stream = io.BytesIO()
    Image.fromarray(np.clip(128 + 50 * colour, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def photograph(kinds: list[bytes], number: int) -> bytes:
    """Photograph `number`: a picture with a comment segment (marker FFFE) that holds the number."""
    base = kinds[number % len(kinds)]
    return b"\xff\xd8\xff\xfe" + struct.pack(">HQ", 10, number) + base[2:]


class Host(asyncio.Protocol):
    """One connection."""

    def __init__(self, kinds: list[bytes]) -> None:
        """Serve photographs made of `kinds`, whose first is the small one."""
        self._kinds = kinds
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            request, self._waiting = self._waiting[:end], self._waiting[end + 4 :]
            found = _NUMBER.match(request)
            if found is None:
                self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                continue
            same = found.group(1) == b"same"
            body = self._kinds[0] if same else photograph(self._kinds[1:], int(found.group(2)))
            close = b"connection: close" in request.lower()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n%s\r\n" % (
                len(body),
                b"Connection: close\r\n" if close else b"",
            )
            self._transport.writelines([head, body])
            if close:
                self._transport.close()


async def serve(port: int) -> None:
    """Listen on the loopback until killed; print the port when ready."""
    kinds = [picture(0, size=(64, 48)), *(picture(seed) for seed in range(KINDS))]
    server = await asyncio.get_running_loop().create_server(lambda: Host(kinds), "127.0.0.1", port, backlog=1024)
    mean = sum(map(len, kinds[1:])) / KINDS
    print(f"ready {server.sockets[0].getsockname()[1]} mean {mean:.0f} bytes", flush=True)
    await server.serve_forever()


def main() -> None:
    """Parse arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
