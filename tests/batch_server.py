"""The Batch API of the mock server: files, batches, and what may go wrong. Replies are those of its live half.

The `faults` are met one after the other, each at its own call or, for BATCH_FAULTS, by the next batch that is
created. `submitted` counts how often each `custom_id` was in a batch that was created and not refused.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

CALL_FAULTS = ("upload-500", "create-500", "create-drop", "create-late", "create-429", "look-500", "download-cut")
"""At `create-500`, `-drop` and `-late` the batch is made all the same; after `-late` the list shows it late."""
BATCH_FAULTS = ("expired", "cancelled", "failed", "full", "errors", "refusals", "missing")
MESSAGES = {"failed": "This batch is failed.", "full": "This batch is full of keys."}
PAGE = 2
"""Batches of one page of the list at most."""


class BatchHalf:
    """What the mock server knows of files and batches."""

    def __init__(self, completion: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.completion = completion
        self.events: Counter[str] = Counter()
        """How often something was `uploaded`, `created`, `ended`, `downloaded`."""
        self.faults: list[str] = []
        self.met: Counter[str] = Counter()
        self.submitted: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.batches: list[dict[str, Any]] = []
        self.hold = False
        """Whether no batch comes to an end."""
        self.looks = 0
        self.metadata = True
        self.hidden: str | None = None

    def take(self, *names: str) -> str | None:
        """The next fault, if it is one of these."""
        if self.faults and self.faults[0] in names:
            self.met[self.faults[0]] += 1
            return self.faults.pop(0)
        return None

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        name = self.store(form["file"].file.read())  # type: ignore[union-attr]
        self.events["uploaded"] += 1
        if self.take("upload-500"):
            return error(500, "server_error")
        return web.json_response({"id": name, "object": "file", "purpose": "batch"})

    async def content(self, request: web.Request) -> web.StreamResponse:
        found = self.files.get(request.match_info["name"])
        if found is None:
            return error(404, "no such file")
        self.events["downloaded"] += 1
        if self.take("download-cut"):
            response = web.StreamResponse(headers={"Content-Length": str(len(found))})
            await response.prepare(request)
            await response.write(found[: len(found) // 2])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=found)

    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if self.take("create-429"):
            return error(429, "rate_limit", {"Retry-After": "0"})
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all(line["url"] == asked["endpoint"] == "/v1/chat/completions" for line in lines)
        fault = self.take(*BATCH_FAULTS)
        batch = {
            "id": f"batch-{len(self.batches)}",
            "object": "batch",
            "input_file_id": asked["input_file_id"],
            "status": "failed" if fault in ("failed", "full") else "in_progress",
            "created_at": int(time.time()),
            "metadata": asked.get("metadata") if self.metadata else None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "fault": fault,
        }
        if fault in ("failed", "full"):
            code = "token_limit_exceeded" if fault == "full" else "invalid_model"
            batch["errors"] = {"data": [{"code": code, "message": MESSAGES[fault], "line": 1}]}
        else:
            self.submitted.update(line["custom_id"] for line in lines)
        self.batches.append(batch)
        self.events["created"] += 1
        lost = self.take("create-500", "create-drop", "create-late")
        if lost == "create-drop":
            assert request.transport is not None
            request.transport.abort()
        self.hidden = str(batch["id"]) if lost == "create-late" else None
        return error(500, "server_error") if lost else web.json_response(batch)

    async def look(self, request: web.Request) -> web.Response:
        self.looks += 1
        found = next((batch for batch in self.batches if batch["id"] == request.match_info["name"]), None)
        if self.take("look-500"):
            return error(500, "server_error")
        if found is None:
            return error(404, "no such batch")
        if found["status"] == "in_progress" and not self.hold:
            self.end(found)
        return web.json_response(found)

    async def list(self, request: web.Request) -> web.Response:
        hidden, self.hidden = self.hidden, None
        shown = [batch for batch in reversed(self.batches) if batch["id"] != hidden]
        after = [batch["id"] for batch in shown].index(request.query["after"]) + 1 if "after" in request.query else 0
        page = shown[after : after + PAGE]
        return web.json_response({"object": "list", "data": page, "has_more": after + PAGE < len(shown)})

    def end(self, batch: dict[str, Any]) -> None:
        """Answer a batch, as far as its fault lets it."""
        good, bad, fault = [], [], batch["fault"]
        for number, line in enumerate(self.files[batch["input_file_id"]].splitlines()):
            asked = json.loads(line)
            entry: dict[str, Any] = {"id": f"r{number}", "custom_id": asked["custom_id"], "error": None}
            if fault is None or fault in ("failed", "full") or number % 2:
                good.append(entry | {"response": {"status_code": 200, "body": self.completion(asked["body"])}})
            elif fault in ("expired", "cancelled"):
                bad.append(entry | {"response": None, "error": {"code": f"batch_{fault}", "message": "Not in time."}})
            elif fault in ("errors", "refusals"):
                status = 503 if fault == "errors" else 400
                body = {"error": {"message": "It fell over." if fault == "errors" else "Too long."}}
                bad.append(entry | {"response": {"status_code": status, "body": body}})
        batch["status"] = fault if fault in ("expired", "cancelled") else "completed"
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                batch[name] = self.store(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self.events["ended"] += 1

    def store(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{name}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.list)
        app.router.add_get("/v1/batches/{name}", self.look)


def error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": f"It was {code}."}}, status=status, headers=headers)
