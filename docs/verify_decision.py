#!/usr/bin/env python3
"""Verifies signed decisions of Outcome Runtime without using any of its code.

    outcome-runtime audit decisions NAME > decisions.jsonl
    outcome-runtime audit export > log.jsonl
    python3 verify_decision.py decisions.jsonl --root FINGERPRINT [--log log.jsonl]

Each line of the first file is a DSSE envelope of an in-toto Statement (version 1). Checked of each: the envelope's signature; that its
bytes are canonical JSON (RFC 8785); that its subjects are the commit, the difference and the plan that its predicate names; that the
key is one that decides, with certificates up to the root key whose fingerprint you know (`outcome-runtime key list`, or what `init`
printed); that the level of assurance is one that such a key can give. With the log also: that the log holds together, that the
decision was signed over a line of it and is used in a later one, and that the key was not revoked before that line.

Needs PyPI's `securesystemslib[crypto]`. Exit code: 0 all hold, 1 one does not, 2 cannot be read.
"""

import argparse
import base64
import hashlib
import json
import math
import sys
from decimal import Decimal

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:outcome-runtime:decision:v2"
ENROLMENT = b"outcome-runtime enrolment v2\n"
GENESIS = "0" * 64
# What a kind of key can decide; one that is missing here decides nothing.
ASSURANCE = {"passphrase": "A3", "local": "A2"}


class Refused(Exception):
    """Why a decision does not hold."""


def need(holds, why):
    if not holds:
        raise Refused(why)


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
    point = len(text) + exponent
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


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def key_of(enrolment):
    """The public key of an enrolment; its name is the fingerprint."""
    public = enrolment["public_key"]
    return SSlibKey(sha256(public.encode()), "ed25519", "ed25519", {"public": public})


def check_certificates(predicate, root):
    """From the deciding key to the root, each vouched for by the next. Gives the deciding key's enrolment."""
    basis = predicate["basis"]
    chain = basis["certificates"]
    need(basis["root"] == root, "it rests on another root")
    need(chain, "it has no certificate")
    for at, certificate in enumerate(chain):
        enrolment = certificate["enrolment"]
        is_root = at == len(chain) - 1
        voucher = enrolment if is_root else chain[at + 1]["enrolment"]
        need(enrolment.get("version") == 2, "an enrolment is of another format")
        need(enrolment["workspace"] == predicate["workspace"], "a certificate is of another workspace")
        need(enrolment["enrolled_by"] == voucher["key"], "a certificate names another voucher")
        may_vouch = voucher["kind"] == "passphrase" or (
            voucher["kind"] == "recovery" and voucher["member"] == enrolment["member"] and enrolment["kind"] == "passphrase"
        )
        need(may_vouch, f"a key of kind {voucher['kind']} cannot vouch for this one")
        signature = Signature(key_of(voucher).keyid, certificate["signature"])
        try:
            key_of(voucher).verify_signature(signature, ENROLMENT + canonical(enrolment).encode())
        except UnverifiedSignatureError as error:
            raise Refused("a certificate's signature does not fit") from error
    last = chain[-1]["enrolment"]
    need(key_of(last).keyid == root, "its certificates end at another root")
    return chain[0]["enrolment"]


def subjects_of(predicate):
    basis = predicate["basis"]
    named = (("commit", "gitCommit"), ("diff", "sha256"), ("plan", "sha256"))
    found = [{"name": name, "digest": {kind: basis[name]}} for name, kind in named if name in basis]
    return found or [{"name": "context", "digest": {"sha256": predicate["context_hash"]}}]


def check_envelope(line, root):
    """Everything that needs no log. Gives the predicate."""
    data = json.loads(line)
    need(set(data) == {"payloadType", "payload", "signatures"}, "it is no envelope of format 2")
    need(data["payloadType"] == PAYLOAD_TYPE, "it is no in-toto Statement")
    need(len(data["signatures"]) == 1, "it has not exactly one signature")
    payload = base64.b64decode(data["payload"], validate=True)
    statement = json.loads(payload)
    need(canonical(statement).encode() == payload, "its statement is not written as canonical JSON")
    need(statement["_type"] == STATEMENT and statement["predicateType"] == PREDICATE, "its statement is of another type")
    predicate = statement["predicate"]
    need(predicate["version"] == 2, "its decision is of another format")
    need(statement["subject"] == subjects_of(predicate), "its subjects are not those of its predicate")
    enrolment = check_certificates(predicate, root)
    need(enrolment["key"] == predicate["key"], "it names another key than its certificate")
    need(enrolment["member"] == predicate["member"], "it names another member than its certificate")
    highest = ASSURANCE.get(enrolment["kind"])
    need(highest is not None, f"a key of kind {enrolment['kind']} decides nothing")
    need(predicate["assurance"] <= highest, f"a key of kind {enrolment['kind']} cannot give {predicate['assurance']}")
    try:
        Envelope.from_dict(data).verify([key_of(enrolment)], 1)
    except VerificationError as error:
        raise Refused("its signature does not fit") from error
    return predicate


def read_log(path):
    """The lines of an exported log, which must hold on to each other."""
    lines, before = [], GENESIS
    with open(path, encoding="utf-8") as file:
        for text in filter(str.strip, file):
            line = json.loads(text)
            content = {key: value for key, value in line.items() if key not in ("hash", "writer_signature")}
            need(line["seq"] == len(lines) + 1 and line["prev"] == before, f"line {len(lines) + 1} of the log does not follow")
            need(sha256(canonical(content).encode()) == line["hash"], f"line {line['seq']} of the log was changed")
            before = line["hash"]
            lines.append(line)
    return lines


def names(value, envelope):
    """Whether a part of a line is this envelope."""
    if isinstance(value, dict):
        return value == envelope or any(names(part, envelope) for part in value.values())
    return isinstance(value, list) and any(names(part, envelope) for part in value)


def check_against_log(line, predicate, lines, root):
    """Where the decision stands in the log. Gives the number of the first line that uses it."""
    need(lines and lines[0]["payload"].get("root_fingerprint") == root, "the log begins with another root")
    need(lines[0]["workspace"] == predicate["workspace"], "the log is of another workspace")
    seq = predicate["log_seq"]
    need(0 < seq <= len(lines) and lines[seq - 1]["hash"] == predicate["log_head"], f"line {seq} of the log is another one")
    envelope = json.loads(line)
    used = [entry["seq"] for entry in lines if names(entry["payload"], envelope)]
    need(used and used[0] > seq, "no line of the log uses it")
    for certificate in predicate["basis"]["certificates"]:
        key = certificate["enrolment"]["key"]
        enrolled = [e for e in lines if e["kind"] == "member.enrolled" and e["subject"]["id"] == key]
        need(enrolled and enrolled[0]["payload"] == certificate, "the log enrols another key")
    own = [e for e in lines if e["kind"] == "member.key_revoked" and e["subject"]["id"] == predicate["key"]]
    for entry in own:
        revoked_by = check_envelope(json.dumps(entry["payload"]["decision"]), root)
        act = entry["payload"]["act"]
        fits = revoked_by["verdict"] == "revoke_key" and revoked_by["subject"] == {"kind": "key", "id": predicate["key"]}
        fits = fits and revoked_by["context_hash"] == sha256(canonical(act).encode())
        need(not fits or entry["seq"] > used[0], f"its key was revoked before, in line {entry['seq']} of the log")
    return used[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("decisions", help="envelopes, one a line, or - for stdin")
    parser.add_argument("--root", required=True, help="fingerprint of the workspace's root key")
    parser.add_argument("--log", help="the exported audit log")
    args = parser.parse_args()
    n_refused = 0
    try:
        lines = read_log(args.log) if args.log else None
        with open(0 if args.decisions == "-" else args.decisions, encoding="utf-8") as file:
            decisions = [line for line in file if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"REFUSED: {error}")
        return 1
    for at, line in enumerate(decisions, 1):
        try:
            predicate = check_envelope(line, args.root)
            where = ""
            if lines is not None:
                where = f", line {check_against_log(line, predicate, lines, args.root)} of the log"
        except Refused as error:
            print(f"REFUSED: decision {at}: {error}")
            n_refused += 1
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            print(f"REFUSED: decision {at}: it does not hold together: {type(error).__name__}: {error}")
            n_refused += 1
        else:
            email = predicate["basis"]["certificates"][0]["enrolment"]["email"]
            print(f"OK: `{predicate['verdict']}` by {email} ({predicate['assurance']}) at {predicate['decided_at']}{where}")
    if not decisions:
        print("there is no decision", file=sys.stderr)
        return 2
    if lines is None:
        print("not compared with the audit log: whether a key was revoked is unknown; use --log")
    return 1 if n_refused else 0


if __name__ == "__main__":
    sys.exit(main())
