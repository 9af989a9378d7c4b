"""The service: pictures in over HTTP, digits out.

Of a picture nothing outlives its answer but three numbers for `drift`, unless `Corrections` were asked
for. Errors are JSON, ``{"detail": "one line"}``, and a bug of ours is no more than "internal error" to
the client.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnist_course import __version__
from mnist_course.data.handwriting import find_digits
from mnist_course.data.pictures import read_page, to_28
from mnist_course.deployment.corrections import Corrections, NoRoom, UnknownId
from mnist_course.deployment.drift import FEWEST, THRESHOLD, WINDOW, Measure, Window
from mnist_course.deployment.limits import Gate, Limits, Refused, TokenBuckets, network_of, receive
from mnist_course.deployment.network import SIDE, OnnxNetwork
from mnist_course.errors import InputError

TYPES = {"image/png": "PNG", "image/jpeg": "JPEG"}
"""Content types that are taken, and what the body then has to be."""

MOST_PIXELS = 2048 * 2048
"""Of a picture. The command line takes more, one picture at a time."""

MOST_SCANS = 100
"""A progressive JPEG has about ten. Each costs a pass over the whole picture, however few its bytes."""

CONTRAST = 64
"""Grey levels between the darkest and the lightest pixel, below which 28×28 pixels show nothing."""

JSON = "application/json"
CORRECTION_BYTES = 1024


class Prediction(BaseModel):
    """An answer: the class, its probability, and all of them; `id` is there when corrections are."""

    digit: str
    confidence: float
    probabilities: dict[str, float]
    model: str
    id: str | None = None


class Correction(BaseModel):
    """The `id` of an answer and what was on the picture."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    label: str


class Health(BaseModel):
    """That the service is there, what it runs, and its answers since the start, by status."""

    status: str
    model: str
    version: str
    answers: dict[str, int]


class Drift(BaseModel):
    """The newest images beside those of training; empty `measures` say that too few came."""

    drifted: list[str]
    images: int
    window: int = WINDOW
    fewest: int = FEWEST
    threshold: float = THRESHOLD
    measures: dict[str, Measure]


def read_body(body: bytes, content_type: str) -> NDArray[np.uint8]:
    """Return the one digit on a request's picture, uint8 (28, 28), light ink on black.

    A picture of 28×28 pixels is taken for one that is ready, and only inverted if its border is light.
    Any other is a page, on which `mnist_course.data.handwriting` has to find one digit.

    Raises
    ------
    InputError
        No picture of this type, one that is made to need much time or memory, or not one digit.
    """
    _check_header(body, TYPES[content_type])
    grey = read_page(BytesIO(body), "the picture")
    if grey.shape == (SIDE, SIDE):
        if int(grey.max()) - int(grey.min()) < CONTRAST:
            raise InputError("the picture is blank; expected one digit")
        return to_28(grey)
    found = find_digits(grey).images
    if len(found) != 1:
        raise InputError(f"the picture shows {len(found) or 'no'} digits; expected one")
    digit: NDArray[np.uint8] = found[0]
    return digit


def _check_header(body: bytes, kind: str) -> None:
    """Refuse another format, and what is small as a file and large to decode."""
    try:
        with Image.open(BytesIO(body), formats=(kind,)) as picture:
            width, height = picture.size
    except Image.DecompressionBombError:
        raise InputError(f"the picture has more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except Exception:  # a damaged header makes Pillow raise nearly anything
        raise InputError(f"the picture is no {kind} that can be read") from None
    if width * height > MOST_PIXELS:
        raise InputError(
            f"the picture has {width}×{height} pixels, more than {MOST_PIXELS:,}; make it smaller"
        )
    if body.count(b"\xff\xda") > MOST_SCANS and kind == "JPEG":
        raise InputError(f"the picture has more than {MOST_SCANS} scans; save it again as PNG")


def create_app(
    network: OnnxNetwork, limits: Limits | None = None, corrections: Corrections | None = None
) -> FastAPI:
    """Return the service as an ASGI application.

    Parameters
    ----------
    network
        Answers the pictures.
    limits
        For everything that a client chooses.
    corrections
        Where corrected pictures are kept; without it nothing is.
    """
    limits = limits or Limits()
    gate = Gate(limits)
    buckets = TokenBuckets(limits.rate, limits.burst)
    window = None if network.reference is None else Window(network.reference)
    answers: Counter[int] = Counter()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gate.close()

    # the pages of documentation would load scripts from elsewhere; /openapi.json is enough
    app = FastAPI(
        title="mnist-course", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.add_middleware(_Counting, answers=answers)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(InputError, _unusable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _broken)

    def spend(request: Request) -> None:
        client = request.client.host if request.client else ""
        if wait := buckets.take(network_of(client)):
            raise Refused(429, f"more than {limits.rate:g} requests a second", retry_after=wait)

    def classify(body: bytes, kind: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        image = read_body(body, kind)
        return image, network.predict(image[np.newaxis])[0]

    @app.post("/predict", openapi_extra=_takes(TYPES))
    async def predict(request: Request) -> Prediction:
        """Say which digit is on a picture, the request's body."""
        spend(request)
        kind = _content_type(request, TYPES)
        with gate.admit():
            body = await receive(request.stream(), limits, limits.body_bytes)
            image, probabilities = await gate.work(classify, body, kind)
        if window is not None:
            window.add(image, probabilities)
        best = int(probabilities.argmax())
        return Prediction(
            digit=network.class_names[best],
            confidence=float(probabilities[best]),
            probabilities=dict(zip(network.class_names, probabilities.tolist(), strict=True)),
            model=network.name,
            id=None if corrections is None else corrections.remember(image),
        )

    @app.post("/correction", status_code=201, openapi_extra=_takes([JSON]))
    async def correct(request: Request) -> dict[str, str]:
        """Keep an earlier picture under its true label, to learn from."""
        spend(request)
        if corrections is None:
            raise Refused(404, "this service keeps no pictures, so there is nothing to correct")
        _content_type(request, [JSON])
        with gate.admit():
            body = await receive(request.stream(), limits, CORRECTION_BYTES)
            try:
                wish = Correction.model_validate_json(body)
            except ValidationError:
                raise Refused(
                    422, 'expected {"id": "…", "label": "…"} with the id of an answer'
                ) from None
            try:
                await gate.work(corrections.keep, wish.id, wish.label)
            except UnknownId:
                raise Refused(404, "no answer with this id waits for a correction") from None
            except (NoRoom, OSError):  # or a full disk
                raise Refused(507, "no more corrections are kept; they wait to be learned") from None
        return {"kept": wish.label}

    @app.get("/health")
    async def health() -> Health:
        """Say that the service is there."""
        counted = {str(status): count for status, count in sorted(answers.items())}
        return Health(status="ok", model=network.name, version=__version__, answers=counted)

    @app.get("/drift")
    async def drift() -> Drift:
        """Compare the newest pictures with those that the network was trained on."""
        if window is None:
            raise Refused(404, "the model's file holds no measures of its training images")
        measures = window.compare()
        drifted = [name for name, measure in measures.items() if measure.drifted]
        return Drift(drifted=drifted, images=len(window), measures=measures)

    return app


class _Counting:
    """Counts the answers by status."""

    def __init__(self, app: ASGIApp, answers: Counter[int]) -> None:
        self.app, self.answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answers[message["status"]] += 1
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:  # is answered further out, where every other application's is
            self.answers[500] += 1
            raise


def _takes(types: Iterable[str]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {} for kind in types}}}


def _content_type(request: Request, expected: Collection[str]) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in expected:
        raise Refused(415, f"the content type is {kind[:80]!a}; expected {' or '.join(expected)}")
    return kind


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return JSONResponse({"detail": error.detail}, error.status, error.headers)


async def _unusable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": " ".join(str(error).split())}, 422)


async def _gone(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "the client went away"}, 400)


async def _broken(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "internal error"}, 500)
