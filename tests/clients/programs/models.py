"""Scripted models on loopback: a Messages API for Claude Code and a Responses API for Codex.

Each plays a list of steps, one for each request of the agent's loop, and keeps what it was asked. Nothing is judged here.
A step that is a string is said to the user; at the end "done" is said.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Model:
    """A server that answers with `events(step)`, and at the end with a text."""

    def __init__(self, steps):
        self.steps = list(steps)
        self.requests = []
        self.lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = json.loads(body or b"{}")
                events = model.answer(self.path, request)
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for event in events:
                    self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                self.close_connection = True

            def do_GET(self):
                text = b"{\"data\": [], \"models\": []}"
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_HEAD(self):
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, request):
        with self.lock:
            if not self.is_loop(path, request):
                return self.events(None)
            self.requests.append(request)
            return self.events(self.step(request))

    def step(self, request):
        return self.steps.pop(0) if self.steps else None

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Messages(Model):
    """Steps are (tool, input)."""

    def is_loop(self, path, request):
        return any(tool.get("name") == "Write" for tool in request.get("tools") or [])

    def events(self, step):
        if step is None or isinstance(step, str):
            start = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": step or "done"}
            stop = "end_turn"
        else:
            tool, given = step
            start = {"type": "tool_use", "id": f"call_{len(self.requests)}", "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
            stop = "tool_use"
        usage = {"input_tokens": 10, "output_tokens": 5}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]

    def results(self):
        """What came back from the tools, in order, as (text, is_error)."""
        found = []
        last = self.requests[-1]["messages"] if self.requests else []
        for message in last:
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block.get("type") == "tool_result":
                    found.append((json.dumps(block.get("content")), bool(block.get("is_error"))))
        return found


class Responses(Model):
    """Steps are items of the answer, without their ids."""

    @staticmethod
    def patch(text):
        return {"type": "custom_tool_call", "name": "apply_patch", "input": text}

    def is_loop(self, path, request):
        return path.endswith("/responses")

    def events(self, step):
        usage = {"input_tokens": 10, "input_tokens_details": None, "output_tokens": 5, "output_tokens_details": None,
                 "total_tokens": 15}
        call = f"call_{len(self.requests)}"
        if step is None or isinstance(step, str):
            item = {"type": "message", "role": "assistant", "id": f"msg_{call}",
                    "content": [{"type": "output_text", "text": step or "done", "annotations": []}]}
        else:
            item = {"id": f"item_{call}", "call_id": call, **step}
        return [
            {"type": "response.created", "response": {"id": f"resp_{call}"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": f"resp_{call}", "usage": usage}},
        ]

    def results(self):
        last = self.requests[-1].get("input", []) if self.requests else []
        return [json.dumps(item.get("output")) for item in last if item.get("type", "").endswith("_call_output")]
