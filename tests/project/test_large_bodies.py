"""Bodies up to the limits, of every shape that has cost more than its length: each is answered in bounded time."""

import os
import time
from collections.abc import Callable

import pytest
from django.conf import settings
from rest_framework.test import APIClient

FULL = "FUZZ_EXAMPLES" in os.environ  # `make fuzz`
LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE - 1000
SIZES = (LIMIT // 40, LIMIT // 4, LIMIT) if FULL else (LIMIT // 20,)
# Seconds of CPU in the server for each MB of body. The slowest shape, half a million lists a MB, takes about 3. Those
# that took the square of their length took more than 60.
SECONDS_PER_MB = 5.0
# A collection of the garbage of this process, which has all modules of the tests, can fall into any request.
COLLECTION_SECONDS = 1.0


def _event(data: str, metadata: str = "{}") -> str:
    return f'{{"aggregate_id": "a-1", "type": "T", "data": {data}, "metadata": {metadata}}}'


def _repeated(part: str, size: int, separator: str = ",") -> str:
    return separator.join([part] * max(1, size // (len(part) + len(separator))))


def _names(size: int, last: str) -> str:
    names = ",".join(f'"name{number}":1' for number in range(size // 14))
    return f"{{{names},{last}}}"


SHAPES: dict[str, Callable[[int], str]] = {
    "names, the last of them twice": lambda size: _event(_names(size, '"name0":2')),
    "names, the last two equal": lambda size: _event(_names(size, '"twice":1,"twice":2')),
    "names in metadata": lambda size: _event("{}", _names(size, '"name0":2')),
    "names of the event itself": lambda size: _names(size, '"aggregate_id":"a-1"'),
    "names of the body": lambda size: _names(size, '"events":[]'),
    "objects with two equal names": lambda size: _event('{{"v":[{}]}}'.format(_repeated('{"a":1,"a":2}', size))),
    "expected versions": lambda size: '{{"events": [], "expected_version": {}}}'.format(_names(size, '"a-1":-1')),
    "small parts": lambda size: _event('{{"v":[{}]}}'.format(_repeated("[0]", size))),
    "floats": lambda size: _event('{{"v":[{}]}}'.format(_repeated("1.5e-300", size))),
    "small floats, large integers": lambda size: _event(
        '{{"v":[{}]}}'.format(_repeated("1e-300,98765432109876543210", size))
    ),
    "one long integer": lambda size: _event('{"v":%s}' % ("9" * size)),
    "integers of 4,300 digits": lambda size: _event('{{"v":[{}]}}'.format(_repeated("9" * 4300, size))),
    "a number that never ends": lambda size: _event('{"v":0.%s}' % ("3" * size)),
    "zeros before an exponent": lambda size: _event('{"v":1e-%s1}' % ("0" * size)),
    "deep lists": lambda size: _event('{"v":%s}' % ("[" * (size // 2) + "]" * (size // 2))),
    "deep objects": lambda size: _event('{"v":' * (size // 6) + "1" + "}" * (size // 6)),
    "depth of 250, side by side": lambda size: _event('{{"v":[{}]}}'.format(_repeated("[" * 250 + "]" * 250, size))),
    "never closed": lambda size: "[" * size,
    "a long string": lambda size: _event('{"v":"%s"}' % ("x" * size)),
    "escapes": lambda size: _event('{"v":"%s"}' % ("\\u00e9" * (size // 6))),
    "half of surrogate pairs": lambda size: _event('{"v":"%s"}' % ("\\ud800" * (size // 6))),
    "backslashes": lambda size: _event('{"v":"%s"}' % ("\\\\" * (size // 2))),
    "quotes that never close": lambda size: '{"v":"' + "\\" * size,
    "spaces": lambda size: _event("{%s}" % (" " * size)),
    "line ends": lambda size: "\n" * size,
    "events": lambda size: f"[{_repeated(_event('{}'), size)}]",
    "events with one id": lambda size: f"[{_repeated(_event('{}')[:-1] + IDENTIFIED, size)}]",
    "a long aggregate id": lambda size: _event("{}").replace("a-1", "-" * size),
    "a long type of control characters": lambda size: _event("{}").replace('"T"', '"%s"' % ("\\u0007" * (size // 6))),
    "a long timestamp": lambda size: _event("{}")[:-1] + ',"timestamp":"%s"}' % ("2026-" * (size // 5)),
    "a long correlation id": lambda size: _event("{}", '{{"correlation_id":[{}]}}'.format(_repeated("1e-300", size))),
    "a CloudEvent's source": lambda size: (
        '{"specversion":"1.0","id":"1","type":"T","subject":"a-1","source":"%s"}' % ("a:/%41" * (size // 6))
    ),
    "attributes of a CloudEvent": lambda size: _names(size, '"specversion":"1.0","id":"1","source":"/a","type":"T"'),
    "columns": lambda size: "a,b\n" + '"' + "x" * size,
}
IDENTIFIED = ',"event_id":"018fd2c3-7a9e-7cc0-a7a0-1d2e3f4a5b6c"}'
DOORS = {
    "/api/events/": ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json"),
    "/api/aggregates/a-1/events/": ("application/json",),
    "/api/events/import/": ("application/x-ndjson",),
}


@pytest.mark.django_db
@pytest.mark.usefixtures("no_subscribers")  # the statements of INLINE projections are no matter of the body
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_body_is_answered_in_time_that_its_length_allows(api: APIClient, path: str, shape: str) -> None:
    for media_type in DOORS[path]:
        for size in SIZES:
            body = SHAPES[shape](size).encode()
            started = time.process_time()
            response = api.generic("POST", path, body, content_type=media_type)
            seconds = time.process_time() - started
            assert response.status_code < 500, (path, media_type, shape, size)
            allowed = COLLECTION_SECONDS + SECONDS_PER_MB * len(body) / 1_000_000
            assert seconds < allowed, f"{path} {media_type} {shape}: {len(body):,} bytes took {seconds:.1f} s of CPU"


@pytest.mark.django_db
@pytest.mark.parametrize("shape", SHAPES)
def test_body_of_a_stranger_is_not_even_read(shape: str) -> None:
    """Authentication and permission come first."""
    body = SHAPES[shape](SIZES[-1]).encode()
    for path, media_types in DOORS.items():
        for media_type in media_types:
            APIClient().post(path, {})  # imports what the first request needs
            started = time.process_time()
            response = APIClient().generic("POST", path, body, content_type=media_type)
            assert response.status_code in (401, 403)
            assert time.process_time() - started < 0.2, (path, media_type, shape)
