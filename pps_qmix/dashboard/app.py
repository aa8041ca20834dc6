"""The dashboard as a web application. Every request reads; none changes a run."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from operations.paths import shown
from pps_qmix.comparison import sections
from pps_qmix.comparison.compared_run import ODD_ROWS, runs_in
from pps_qmix.dashboard import overview, run_view
from pps_qmix.dashboard.recording import RecordingError, Recordings
from server.checkpoints import whole_checkpoints
from server.report.html import section
from server.report.style import framed
from server.run_directory import REPORT_PAGE, WATCH_PAGE, RunDirectoryError

Parts = Mapping[str, str]  # HTML by the id of its place

_LOOK_EVERY: Final = 1.0  # seconds
_NOTICED_WITHIN: Final = 0.2  # seconds until a stream ends with the server
_SIGN_OF_LIFE: Final = 15  # looks without a change
_FILES: Final = (REPORT_PAGE, WATCH_PAGE)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "frame-src 'self'; img-src data:"
    ),
}


def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


_STYLE: Final = sections.STYLE + _asset("dashboard.css")
_SCRIPT: Final = sections.SCRIPT + _asset("live.js")


class Dashboard:
    """The pages of a folder of runs, and the streams of what changes in them."""

    def __init__(self, folder: Path, recordings: Recordings, ending: Callable[[], bool]) -> None:
        """`ending` says that the server ends: streams end then, too."""
        self._folder = folder
        self._recordings = recordings
        self._ending = ending
        self._overview = overview.Overview(folder)
        self._views: dict[Path, run_view.RunView] = {}
        self._one = threading.Lock()  # what was read for one reader is there for all

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._overview_page),
                Route("/events", self._overview_events),
                Route("/runs/{run}/", self._run_page),
                Route("/runs/{run}/events", self._run_events),
                Route("/runs/{run}/battles/{checkpoint}", self._battles),
                Route("/runs/{run}/{file}", self._file),
            ]
        )

    def _overview_page(self, _: Request) -> Response:
        parts = self._overview_parts()
        return _page(f"Runs in {shown(self._folder)}", "", _places(overview.IDS[1:], parts), parts["count"])

    async def _overview_events(self, _: Request) -> Response:
        return self._events(self._overview_parts)

    def _run_page(self, request: Request) -> Response:
        run = self._run(request)
        try:
            title = run_view.title(run)
        except RunDirectoryError as error:
            raise HTTPException(404, shown(str(error))) from None
        *above, recorded = _places(run_view.IDS, self._run_parts(run))
        wait = '<p id="battles-wait" class="faint" role="status" hidden>The battles are played; this takes seconds.</p>'
        frame = '<iframe id="battles" name="battles" title="Recorded battles" hidden></iframe>'
        battles = section("Battles", recorded + wait + frame)
        back = f'<a href="/">All runs</a> &middot; Run <b>{escape(shown(run.name))}</b>'
        return _page(title, back, [*above, battles])

    async def _run_events(self, request: Request) -> Response:
        run = self._run(request)
        return self._events(lambda: self._run_parts(run))

    def _file(self, request: Request) -> Response:
        path = self._run(request) / request.path_params["file"]
        if path.name not in _FILES or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, headers=_HEADERS)

    async def _battles(self, request: Request) -> Response:
        run = self._run(request)
        kept = {path.name: path for path in whole_checkpoints(run)}
        checkpoint = kept.get(request.path_params["checkpoint"])
        if checkpoint is None:
            raise HTTPException(404, "this checkpoint has been removed; choose the newest one")
        try:
            page = await self._recordings.page(run, checkpoint)
        except (RecordingError, OSError) as error:
            raise HTTPException(503, shown(str(error))) from None
        return FileResponse(page, headers=_HEADERS)

    def _run(self, request: Request) -> Path:
        """Return the run that the address names. Raises HTTPException if it is none of the folder's."""
        found = self._folder / str(request.path_params["run"])
        if found not in runs_in(self._folder):
            raise HTTPException(404, f"{shown(self._folder)} has no run {shown(found.name)}")
        return found

    def _overview_parts(self) -> Parts:
        with self._one:
            return self._overview.parts()

    def _run_parts(self, run: Path) -> Parts:
        with self._one:
            try:
                return self._views.setdefault(run, run_view.RunView(run)).parts()
            except (RunDirectoryError, OSError, *ODD_ROWS) as error:
                return {"now": f'<p role="alert">This run cannot be shown: {escape(shown(str(error)))}</p>'}

    def _events(self, parts: Callable[[], Parts]) -> Response:
        return StreamingResponse(self._changes(parts), media_type="text/event-stream", headers=_HEADERS)

    async def _changes(self, parts: Callable[[], Parts]) -> AsyncIterator[str]:
        """Yield all parts, then those that have changed, as server-sent events."""
        sent: dict[str, str] = {}
        quiet = 0
        while not self._ending():
            found = await run_in_threadpool(parts)
            changed = {name: html for name, html in found.items() if sent.get(name) != html}
            quiet = 0 if changed else quiet + 1
            if changed:
                sent |= changed
                yield f"data: {json.dumps(changed)}\n\n"
            elif quiet % _SIGN_OF_LIFE == 0:
                yield ": nothing has changed\n\n"
            for _ in range(round(_LOOK_EVERY / _NOTICED_WITHIN)):
                if not self._ending():
                    await asyncio.sleep(_NOTICED_WITHIN)


def _places(ids: Sequence[str], parts: Parts) -> list[str]:
    return [f'<div id="{name}">{parts.get(name, "")}</div>' for name in ids]


def _page(title: str, notice: str, contents: Sequence[str], count: str | None = None) -> Response:
    counted = "" if count is None else f'<span id="count">{count}</span>'
    notice = f'{notice}{counted} <span id="connection" role="status">connects</span>'
    return HTMLResponse(framed(title, notice, contents, style=_STYLE, script=_SCRIPT), headers=_HEADERS)
