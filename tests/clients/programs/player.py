"""Plays a story on a model's server: as Claude Code and as Codex offer their tools.

Each class turns what the story does into calls of the tools that the client offers, and what came back into an `Answer`. A tool that
the client has deferred is searched for first, with the client's own search.
"""

import json
import re
from dataclasses import dataclass

from models import Messages, Responses
from story import Answer, Edit, Read, Resource, Resources, Say, Shell, Tool


@dataclass
class Turn:
    """A call as the client was asked to make it."""
    session: int
    tool: str
    given: object
    why: str
    answer: Answer | None = None
    action: object = None

    def is_ours(self):
        return isinstance(self.action, Tool)


@dataclass
class Search:
    """For a tool that is deferred; the call that needs it follows."""
    name: str
    why: str = "the client has deferred the tool"


def strings(value):
    """All texts in a document, one below the other."""
    if isinstance(value, str):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return "\n".join(filter(None, map(strings, inner)))


class Player:
    """Mixed into a server of `models`."""

    def __init__(self, story, folder):
        self.folder, self.turns, self.said, self.prompts = folder, [], [], []
        self.failure = self.open = self.after_search = None
        super().__init__([])
        self.story = story(self)

    def step(self, request):
        try:
            return self.do(request)
        except Exception as error:  # the client would ask again and again
            self.failure = self.failure or f"{type(error).__name__}: {error}"
            return "I am lost."

    def do(self, request):
        if isinstance(self.open, Turn):
            back = self.open.answer = self.back(request, f"call_{len(self.requests) - 1}")
        else:
            self.prompts.append(self.prompt(request))
            back = None if self.open is None else self.prompts[-1]
        if self.after_search:
            action, self.after_search = self.after_search, None
            assert self.found(action), f"the search did not bring what is needed for {action}: {back}"
        else:
            try:
                action = self.story.send(back)
            except StopIteration:
                return None
        if isinstance(action, Say):
            self.open = action
            self.said.append(action.text)
            return action.text
        name = self.found(action)
        if name is None:
            self.after_search, action = action, Search(self.wanted(action))
            name = self.found(action)
        given, step = self.call(name, action)
        self.open = Turn(len(self.prompts), name, given, action.why, action=action)
        self.turns.append(self.open)
        return step

    def texts(self):
        """Everything that the client has shown."""
        return strings(self.requests[-1])

    def found(self, action):
        """The name of the client's tool for it, if it is offered now."""
        return next((name for name in self.offered() if name.endswith(self.wanted(action))), None)


class ClaudeModel(Player, Messages):
    """Claude Code: `Read`, `Edit`, `Bash`, and `ToolSearch` for what is deferred."""

    def offered(self):
        return [tool["name"] for tool in self.requests[-1]["tools"]]

    def wanted(self, action):
        match action:
            case Tool():
                return f"__{action.name}"
            case Search():
                return "ToolSearch"
            case Read() | Edit():
                return type(action).__name__
            case Shell():
                return "Bash"
            case Resources():
                return "ListMcpResourcesTool"
            case Resource():
                return "ReadMcpResourceTool"

    def call(self, name, action):
        match action:
            case Tool():
                given = action.arguments
            case Search():
                [full] = set(re.findall(rf"[\w-]*{re.escape(action.name)}\b", self.texts()))
                given = {"query": f"select:{full}"}
            case Read():
                given = {"file_path": f"{self.folder}/{action.path}"}
            case Edit():
                given = {"file_path": f"{self.folder}/{action.path}", "old_string": action.old, "new_string": action.new}
            case Shell():
                given = {"command": action.command, "description": action.why}
            case Resources():
                given = {"server": "outcome-runtime"}
            case Resource():
                given = {"server": "outcome-runtime", "uri": action.uri}
        return given, (name, given)

    def back(self, request, call):
        [block] = [block for message in request["messages"] if isinstance(message["content"], list)
                   for block in message["content"] if block.get("tool_use_id") == call]
        content = block["content"] if isinstance(block["content"], list) else [{"type": "text", "text": block["content"]}]
        text = "\n".join(item["text"] for item in content if item["type"] == "text")
        return Answer(text, bool(block.get("is_error")), [item for item in content if item["type"] != "text"])

    def prompt(self, request):
        content = request["messages"][-1]["content"]
        return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


class CodexModel(Player, Responses):
    """Codex: `exec_command`, `apply_patch`, and `tool_search` for what is deferred."""

    def namespaces(self):
        """Each tool's namespace; an empty one for the client's own."""
        request = self.requests[-1]
        lists = [request["tools"], *(item["tools"] for item in request["input"] if item["type"] == "tool_search_output")]
        for tool in (tool for tools in lists for tool in tools):
            for inner in tool.get("tools", [tool]):
                yield inner.get("name") or inner["type"], tool["name"] if "tools" in tool else ""

    def offered(self):
        return ["__".join(filter(None, (namespace, name))) for name, namespace in self.namespaces()]

    def wanted(self, action):
        match action:
            case Tool():
                return f"__{action.name}"
            case Search():
                return "tool_search"
            case Edit():
                return "apply_patch"
            case Read() | Shell():
                return "exec_command"
            case Resources():
                return "list_mcp_resources"
            case Resource():
                return "read_mcp_resource"

    def call(self, name, action):
        match action:
            case Tool():
                namespace = dict(self.namespaces())[action.name]
                return self.function(action.name, action.arguments, namespace=namespace)
            case Search():
                given = {"query": action.name.strip("_")}
                return given, {"type": "tool_search_call", "execution": "client", "arguments": given}
            case Edit():
                changed = [*(f"-{line}" for line in action.old.splitlines()), *(f"+{line}" for line in action.new.splitlines())]
                patch = "\n".join(["*** Begin Patch", f"*** Update File: {action.path}", "@@", *changed, "*** End Patch", ""])
                return patch, self.patch(patch)
            case Read():
                return self.function(name, {"cmd": f"cat {action.path}"})
            case Shell():
                asks = {"sandbox_permissions": "require_escalated", "justification": f"May I {action.command}?"}
                return self.function(name, {"cmd": action.command, **(asks if action.asks else {})})
            case Resources():
                return self.function(name, {"server": "outcome-runtime"})
            case Resource():
                return self.function(name, {"server": "outcome-runtime", "uri": action.uri})

    @staticmethod
    def function(name, given, **more):
        return given, {"type": "function_call", "name": name, "arguments": json.dumps(given), **more}

    def back(self, request, call):
        [item] = [item for item in request["input"] if item.get("call_id") == call and item["type"].endswith("_output")]
        if item["type"] == "tool_search_output":
            return Answer(json.dumps(item["tools"]))
        output = item["output"]
        if isinstance(output, str):
            return Answer(output)
        text = "\n".join(part["text"] for part in output if part["type"] == "input_text")
        return Answer(text, other=[part for part in output if part["type"] != "input_text"])

    def prompt(self, request):
        return request["input"][-1]["content"][-1]["text"]
