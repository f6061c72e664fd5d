#!/usr/bin/env python3
"""Verifies an exported audit log of Outcome Runtime without using any of its code.

    outcome-runtime audit export [--with-names] > log.jsonl
    python3 verify_audit_export.py log.jsonl [--head HASH] [--anchor anchors.jsonl]

Each line is a JSON object. Its `hash` is the SHA-256, in hexadecimal, of the canonical JSON (RFC 8785) of all its other
fields but `writer_signature`, which is the writer's signature of the hash. Its `prev` is the hash of the line before, 64
zeros for the first; `seq` counts from 1 without gaps. A changed, removed or reordered line breaks the chain. A completely
rewritten log is found by comparing it with a head that was kept elsewhere: `--head`, or the lines of an anchor file. The
ed25519 signatures of anchors and of lines are checked by `outcome-runtime audit verify`, since Python's standard library
cannot. The log names members by their ids and commits to what they are called; names that were exported after it must be what
it commits to.

Only Python's standard library is used. Exit code: 0 intact, 1 broken, 2 cannot be read.
"""

import argparse
import hashlib
import json
import math
import sys
from decimal import Decimal

GENESIS = "0" * 64
COMMITMENT = "outcome-runtime member commitment v1"


def number(value):
    """A number as ECMAScript writes it, which RFC 8785 asks for."""
    if isinstance(value, int) and abs(value) <= 2**53:
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(text)
    point = len(text) + exponent  # the value is 0.text * 10^point
    if 0 < point <= 21:
        out = text + "0" * exponent if exponent >= 0 else text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        out = "0." + "0" * -point + text
    else:
        power = point - 1
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        out = f"{mantissa}e{'+' if power >= 0 else '-'}{abs(power)}"
    return ("-" if sign else "") + out


def canonical(value):
    """Canonical JSON: no spaces, keys by their UTF-16 code units, numbers as ECMAScript writes them."""
    if value is None or isinstance(value, bool) or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(value[key]) for key in keys) + "}"


def unique(pairs):
    """An object; a duplicate key is refused, because programs disagree on what it means."""
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key occurs twice")
    return out


def digest(entry):
    fields = {key: value for key, value in entry.items() if key not in ("hash", "writer_signature")}
    return hashlib.sha256(canonical(fields).encode("utf-8")).hexdigest()


def check_opening(opening, commitments):
    """Whether a member's name and e-mail are those that the log commits to."""
    member = opening["member"]
    for field in ("email", "name"):
        text = "\n".join((COMMITMENT, field, member, opening[f"{field}_salt"], opening[field]))
        if commitments.get(member, {}).get(field) != hashlib.sha256(text.encode("utf-8")).hexdigest():
            raise ValueError(f"the {field} that is given for member {member} is not what the log commits to")


def verify(lines):
    """Walks the log. Returns (hashes by seq, workspace, names); raises ValueError at the first line that does not hold."""
    hashes, previous, workspace = {}, None, None
    openings, commitments = {}, {}
    for line in lines:
        if not line.strip():
            continue
        entry = json.loads(line, object_pairs_hook=unique)
        if set(entry) == {"opening"}:
            openings[entry["opening"]["member"]] = entry["opening"]
            continue
        seq = entry["seq"]
        if previous is None:
            workspace = entry["workspace"]
            if seq == 1 and entry["prev"] != GENESIS:
                raise ValueError("line 1 does not begin a log")
        elif seq != previous["seq"] + 1:
            raise ValueError(f"line {previous['seq'] + 1} is missing; {seq} follows")
        elif entry["prev"] != previous["hash"]:
            raise ValueError(f"line {seq} does not follow line {previous['seq']}: one of them was changed")
        if entry["workspace"] != workspace:
            raise ValueError(f"line {seq} belongs to another workspace")
        if digest(entry) != entry["hash"]:
            raise ValueError(f"line {seq} was changed: its content does not fit its hash")
        hashes[seq] = entry["hash"]
        if entry["kind"] == "member.enrolled":
            enrolment = entry["payload"]["enrolment"]
            if "commitments" in enrolment:
                commitments.setdefault(enrolment["member"], enrolment["commitments"])
        previous = entry
    if previous is None:
        raise ValueError("the log is empty")
    if min(hashes) == 1:
        for opening in openings.values():
            check_opening(opening, commitments)
    return hashes, workspace, sorted(f"{it['member']}: {it['name']} <{it['email']}>" for it in openings.values())


def check_anchors(path, hashes, workspace):
    n_checked = 0
    with open(path, encoding="utf-8") as file:
        for line in filter(str.strip, file):
            anchor = json.loads(line)["anchor"]
            if anchor["workspace"] != workspace:
                continue
            if min(hashes) <= anchor["seq"] and hashes.get(anchor["seq"]) != anchor["head"]:
                raise ValueError(f"the anchor of {anchor['at']} says that line {anchor['seq']} had another hash")
            n_checked += 1
    return n_checked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", help="the exported log, or - for stdin")
    parser.add_argument("--head", help="hash that the last line must have")
    parser.add_argument("--anchor", help="file of anchors that was kept elsewhere")
    args = parser.parse_args()
    try:
        with open(0 if args.log == "-" else args.log, encoding="utf-8") as file:
            hashes, workspace, names = verify(file)
        first, last = min(hashes), max(hashes)
        if args.head and hashes[last] != args.head:
            raise ValueError(f"the log ends with {hashes[last]}, not with the given head")
        n_anchors = check_anchors(args.anchor, hashes, workspace) if args.anchor else 0
    except OSError as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    except (ValueError, KeyError, TypeError) as error:
        print(f"BROKEN: {error}", file=sys.stderr)
        return 1
    print(f"intact: lines {first} to {last}, {n_anchors} anchors, head {hashes[last]}")
    for name in names:
        print(f"member {name}" if first == 1 else f"member {name} (not checked: earlier lines are needed)")
    if first > 1:
        print(f"the export begins at line {first}: earlier lines were not checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
