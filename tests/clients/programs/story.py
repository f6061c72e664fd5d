"""The scripts that play the model.

`the_whole_path` goes from an empty client to a reported build. It knows what a client shows it and nothing else: the rules name the
first tool, and each answer proposes the next one. Only `IDEA` and the new code are its own. `a_look_around` asks for what a client
offers besides tools.
"""

import json
import re
from dataclasses import dataclass, field


@dataclass
class Tool:
    """A tool of our server."""
    name: str
    arguments: dict
    why: str


@dataclass
class Read:
    path: str
    why: str = "an editor wants a file read before it changes it"


@dataclass
class Edit:
    path: str
    old: str
    new: str
    why: str


@dataclass
class Shell:
    command: str
    why: str
    asks: bool = False  # the person is asked to let it run outside of the client's sandbox


@dataclass
class Resources:
    why: str = "which resources are there?"


@dataclass
class Resource:
    uri: str
    why: str = "reads one"


@dataclass
class Say:
    """The end of a turn; the next prompt of the person is what comes back."""
    text: str


@dataclass
class Answer:
    """What the client gave to the model."""
    text: str
    is_error: bool = False
    other: list = field(default_factory=list)  # content that is not text

    def json(self):
        """The JSON in it; a client may write something before and behind it."""
        start = self.text.find("{")
        assert start >= 0, f"no JSON in {self.text!r}"
        return json.JSONDecoder().raw_decode(self.text[start:])[0]


SLUG = "fewer-fields"
GATE = f"portfolio-{SLUG}"
IDEA = {
    "title": "Fewer fields",
    "statement": "If the form asks for two fields instead of five, more visitors finish it",
    "mechanism": "Most visitors leave at the phone number",
    "intervention_description": "Remove phone, company and job title from the form",
    "flag_key": SLUG,
}
FORM, MIGRATION = "src/signup/form.js", "migrations/001_visitors.sql"
FILES = [
    (FORM, "export const fields = () => ['name', 'email', 'phone', 'company', 'job'];\n"),
    (MIGRATION, "create table visitors (id integer primary key);\n"),
    ("src/record.js", "export const record = (db) => (visitor, flag, variant) =>\n"
     "  db.run('INSERT INTO exposures VALUES (?, ?, ?, CURRENT_TIMESTAMP)', visitor, flag, variant);\n"),
]
NEW_CODE = """\
export const fields = (flags, visitor, record) => {
  const short = flags.getBooleanValue('FLAG', false, { targetingKey: visitor });
  record(visitor, 'FLAG', short ? 'treatment' : 'control');
  return short ? ['name', 'email'] : ['name', 'email', 'phone', 'company', 'job'];
};
"""
NEXT = "proposed by the answer before"


def filled(value, known):
    """The arguments with each open place, `<...>`, filled in by its key."""
    if isinstance(value, dict):
        return {key: known.get(key, inner) if is_open(inner) else filled(inner, known) for key, inner in value.items()}
    return [filled(inner, known) for inner in value] if isinstance(value, list) else value


def is_open(value):
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, str) and first.startswith("<")


def proposed(answer, known=None, why=NEXT):
    """The call that an answer proposes first."""
    action = answer.json()["next_actions"][0]
    return Tool(action["tool"], filled(action["arguments"], known or {}), why)


def shell(command, why):
    """Once more, with the person asked, where the client's sandbox keeps git from writing."""
    answer = yield Shell(command, why)
    if "Read-only file system" in answer.text:
        answer = yield Shell(command, "again: the sandbox keeps `.git` read-only, so the person is asked", asks=True)
    return answer


def the_whole_path(model):
    """Yields what the model does and is sent what came back; `model.texts()` is everything that the client has shown it."""
    listed = (yield from shell("git ls-files", "looks at the repository")).text
    [code] = re.findall(r"\S*signup\S*", listed)
    first = re.search(r"[Ss]tart with `?(\w+)", model.texts()).group(1)
    start = yield Tool(first, {}, "the rules say: start with it")
    order = yield proposed(start)
    submitted = yield proposed(order, {**IDEA, "touched_paths": [code]}, "proposed, with the open places of the example filled in")
    gate = (yield proposed(submitted)).json()
    assert gate["is_pending"], gate
    yield Say(f"I propose an experiment. It waits for you: {gate['review_url']}")

    gate = yield proposed(submitted, why="the person says that it is decided; only this answer counts")
    brief = yield proposed(gate)
    told = brief.json()
    yield from shell(f"git checkout -q -b {told['experiment']} {told['base_commit']}", "a branch from the brief's base")
    [forbidden] = told["scope"]["forbidden_paths"]
    [outside] = re.findall(rf"{re.escape(forbidden)}\S+", listed)
    old = text_of((yield Read(outside)))
    yield Edit(outside, old, old + "\n-- and sign-ups", "out of scope, on purpose")
    old = text_of((yield Read(code)))
    yield Edit(code, old, NEW_CODE.replace("FLAG", told["flag_key"]).rstrip("\n"), "the change, behind its flag")
    yield from shell(f"git commit -q -m 'Ask for two fields behind a flag' {code}", "the brief asks for a commit")
    head = yield Shell("git rev-parse HEAD", "the report asks for its name")
    [commit] = re.findall(r"\b[0-9a-f]{40}\b", head.text)
    assert commit != told["base_commit"], "nothing was committed"
    summary = "Two fields instead of five, behind the flag; nothing else changes."
    built = yield proposed(brief, {"head": commit, "files_changed": [code], "implementation_summary": summary}, "proposed by the brief")
    yield Say(f"It is built. It waits for you: {built.json()['review_url']}")


def text_of(read):
    """The file's only line, without its number and without what a client writes around it."""
    [line] = [line for line in read.text.splitlines() if line.rstrip().endswith(";")]
    return re.sub(r"^\s*\d+[\t→]", "", line)


def a_look_around(experiment):
    """Asks for what a client offers besides the path; `experiment` has a portfolio gate with many words."""
    def play(model):
        yield Tool("get_gate", {"gate_id": f"portfolio-{experiment}", "detail": "full"}, "how much of a long answer arrives?")
        asked = {"experiment_id": experiment, "gate_type": "escalation", "question": "May I change the migrations?"}
        yield Tool("request_human_gate", asked, "is the person shown the page?")
        yield Resources()
        for uri in ("skill://outcome-runtime/SKILL.md", "chart://signup-rate"):
            yield Resource(uri)
        yield Say("I have looked around.")
        yield Say("I have read the prompt.")
    return play


def one_call(model):
    """Is the person asked before a tool that only reads?"""
    yield Tool("get_active_outcomes", {}, "looks around")
    yield Say("I have looked.")
