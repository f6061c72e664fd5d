"""What a client adds, drops and changes between the model and our server, read from what both of them were sent."""

import json

from player import Search, strings
from story import Resource, Resources

RULES = ("<!-- outcome-runtime: begin", "<!-- outcome-runtime: end -->")


def facts(walk):
    """Pairs of what was asked and what was seen, in the order of the page."""
    client, model, around = walk.client, walk.model, walk.around
    started = walk.servers[0]
    asked = [message for who, message in started if who == "client"]
    answers = {message.get("id"): message.get("result") for who, message in started if who == "server"}
    hello = next(message for message in asked if message.get("method") in ("initialize", "server/discover"))
    first = strings(model.requests[0])
    listed = answers[next(message["id"] for message in asked if message.get("method") == "tools/list")]["tools"]
    names = [tool["name"] for tool in listed]
    at_once = [name for name in names if any(offer.endswith(f"__{name}") for offer in offered_first(model))]
    searches = [turn for turn in model.turns if isinstance(turn.action, Search)]
    calls = list(walk.calls())
    return [
        ("protocol", version_of(hello)),
        ("asks the server for, at its start", words(sorted({message["method"] for message in asked if "id" in message} - {"tools/call"}))),
        ("says that it can", words(sorted(capabilities_of(hello)))),
        ("a tool's name for the model", f"`{walk.ours()[0].tool}`"),
        ("tools with their arguments in the first request", words(at_once) if at_once else "none of ours"),
        ("searches until all needed tools were there", f"{len(searches)}, {sum(size(turn) for turn in searches):,} bytes"),
        ("the server's instructions in the first request", how_much(answers[hello["id"]]["instructions"], first)),
        (f"the rules that `init --client` wrote (`{client.rules}`)", rules(client, first)),
        ("asks the person before a tool of ours that only reads", "no" if walk.unasked.turns[-1].answer.text.rstrip().endswith("}")
         else "yes; with `-p`, where it cannot, it refuses"),
        ("adds to the arguments of a call", "nothing" if all(call["arguments"] == turn.given for turn, (call, _) in zip(walk.ours(), calls))
         else "something"),
        ("adds as `_meta` of a call", words(sorted({key for call, _ in calls for key in call.get("_meta", {})}))),
        ("an answer, as it reaches the model", answer_form(walk, calls)),
        ("the longest answer there is", long_answer(around)),
        ("the guard's refusal", "marked as an error" if walk.refused_edit().answer.is_error else "as the tool's output, not marked as an error"),
        ("the page of a gate that the agent asks for", offered_page(walk)),
        ("our prompts", "a command: the text reaches the model" if "Write a review of the week" in around.prompts[-1]
         else "not offered: what is typed reaches the model as it is"),
        ("our resources, in its list", words(sorted(uri_kinds(around)))),
        ("the usage guide (`skill://`)", guide(around, first)),
        ("a chart", chart(around)),
    ]


def offered_first(model):
    request, *_ = model.requests
    return [tool.get("name", "") for tool in request["tools"] if not tool.get("defer_loading")]


def version_of(hello):
    params = hello["params"]
    return params.get("protocolVersion") or params["_meta"]["io.modelcontextprotocol/protocolVersion"]


def capabilities_of(hello):
    params = hello["params"]
    all_of_them = params.get("capabilities") or params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    return [f"{key} ({', '.join(value)})" if key == "elicitation" else key for key, value in all_of_them.items()]


def how_much(text, shown):
    """How much of the text is there, from its beginning."""
    if text.strip() in shown:
        return "all of it"
    n_lines = 0
    for n, line in enumerate(text.splitlines(), 1):
        if line not in shown:
            break
        n_lines = n if line else n_lines
    return f"its first {n_lines} lines" if n_lines > 1 else "its first line" if n_lines else "nothing"


def rules(client, shown):
    text = (client.work.shop / client.rules).read_text()
    inner = text[text.index(RULES[0]):text.index(RULES[1])].split("\n", 1)[1].strip()
    lost = "" if RULES[0] in shown else ", without the comment around it"
    return f"all of it{lost}" if inner in shown else "not all of it"


def answer_form(walk, calls):
    texts = [(turn.answer.text, answered["content"][0]["text"]) for turn, (_, answered) in zip(walk.ours(), calls)]
    if all(got == sent for got, sent in texts):
        return "as it was sent"
    if all(got.endswith(sent) for got, sent in texts):
        return "as it was sent, below a line with the time that it took"
    return "the structured content, written anew (`743.0` becomes `743`)"


def size(turn):
    return sum(len(text.encode()) for text in (json.dumps(turn.given), turn.answer.text, *map(json.dumps, turn.answer.other)))


def long_answer(around):
    turn = next(turn for turn in around.turns if turn.is_ours())
    n = len(json.dumps(turn.answer.json(), separators=(",", ":"), ensure_ascii=False).encode())
    return f"whole ({round(n, -2):,} bytes)"


def offered_page(walk):
    """How the client was asked to show it, and what it said; our server does not read the answer."""
    for messages in walk.all_servers:
        for who, message in messages:
            if who == "client" and "inputResponses" in message.get("params", {}):
                [answer] = message["params"]["inputResponses"].values()
                return f"it is asked by `input_required`; with `-p` it answers `{answer['action']}` by itself, and repeats the call"
            if who == "server" and message.get("method") == "elicitation/create":
                return "it is asked by `elicitation/create`, and asks the person"
    return "it is not asked to show it"


def of(around, kind):
    return [turn for turn in around.turns if isinstance(turn.action, kind)]


def uri_kinds(around):
    [turn] = of(around, Resources)
    kinds = ("outcome", "gate", "chart", "ui", "skill", "experiment", "learning")
    return [f"{kind}://" for kind in kinds if f'"{kind}://' in turn.answer.text]


def guide(around, first):
    turn = of(around, Resource)[0]
    read = "the model can read it whole" if "it is always safe to repeat a call" in turn.answer.text else "cannot be read"
    skill = "is listed as a skill" if "How to propose, build and report experiments" in first else "not listed as a skill"
    return f"{skill}; {read} as a resource"


def chart(around):
    turn = of(around, Resource)[1]
    return "the markup of the picture, as text" if "<svg" in turn.answer.text else f"as {words(item['type'] for item in turn.answer.other)}"


def words(items):
    return ", ".join(f"`{item}`" for item in items)
