"""Calls every tool with the official Python client, in every mode of the protocol, and checks each answer.

    call_all_tools.py PLAN.json

PLAN.json: {"command": path, "cwd": path, "env": {...}, "calls": [{"tool", "arguments", "expect": {...}}], "gate": name,
"uri": address of a resource}. Prints one line for each mode; any difference ends it with an error.
"""

import asyncio
import json
import sys
import time

from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult

MODES = ["legacy", "auto", "2026-07-28"]


def check(condition, text):
    if not condition:
        raise AssertionError(text)


async def run(plan, mode):
    shown = []

    async def show(_context, params):
        shown.append(params)
        return ElicitResult(action="accept")

    server = StdioServerParameters(command=plan["command"], cwd=plan["cwd"], env=plan["env"])
    async with Client(server, mode=mode, elicitation_callback=show) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        called = {call["tool"] for call in plan["calls"]}
        check(called == set(tools), f"the plan and the server differ: {called ^ set(tools)}")
        # A pinned client asks nobody who the server is, so it has no instructions.
        check(mode not in ("legacy", "auto") or "get_active_outcomes" in client.instructions, "no instructions")
        for call in plan["calls"]:
            began = time.monotonic()
            result = await client.call_tool(call["tool"], call["arguments"])
            took = time.monotonic() - began
            where = f"{mode} {call['tool']}"
            check(not result.is_error, f"{where}: {result.content}")
            check(json.loads(result.content[0].text) == result.structured_content, f"{where}: text differs")
            for key, value in call["expect"].items():
                check(result.structured_content.get(key) == value, f"{where}: {key} in {result.structured_content}")
            check(took < 10, f"{where}: {took:.1f} s")
        check(len(shown) == 1 and shown[0].mode == "url", f"{mode}: shown {shown}")
        wrong = await client.call_tool("get_gate", {"gate_id": "nope"})
        check(wrong.is_error and "valid" in wrong.structured_content["error"], f"{mode}: {wrong}")
        gate = (await client.call_tool("get_gate", {"gate_id": plan["gate"]})).structured_content
        check(gate["status"] == "pending" and not gate["decisions"], f"{mode}: {gate}")
        read = await client.read_resource(plan["uri"])
        check(json.loads(read.contents[0].text), f"{mode}: {plan['uri']}")
        check(len((await client.list_prompts()).prompts) == 4, f"{mode}: prompts")
        if client.protocol_version == "2026-07-28":
            async with client.listen(resources_list_changed=True, resource_subscriptions=[plan["uri"]]):
                pass
        version = client.protocol_version
        began = time.monotonic()
    took = time.monotonic() - began
    check(took < 1.5, f"{mode}: the server took {took:.1f} s to end")
    return version


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    expected = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
    for mode in MODES:
        version = await run(plan, mode)
        check(version == expected[mode], f"{mode}: {version}")
        print(f"python {mode}: {len(plan['calls'])} tools over {version}")


asyncio.run(main())
