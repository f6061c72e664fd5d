#!/usr/bin/env python3
"""Verifies signed decisions of Outcome Runtime without using any of its code.

    outcome-runtime audit decisions NAME > decisions.jsonl
    outcome-runtime audit export > log.jsonl
    python3 verify_decision.py decisions.jsonl --root FINGERPRINT [--log log.jsonl]

Each line of the first file is a DSSE envelope of an in-toto Statement (version 1). Checked of each: the envelope's signature; that its
bytes are canonical JSON (RFC 8785); that its subjects are the commit, the difference and the plan that its predicate names; that the
key is one that decides, with certificates up to the root key whose fingerprint you know (`outcome-runtime key list`, or what `init`
printed); that the level of assurance is one that such a key can give. With the log also: that the log holds together, that the
decision was signed over a line of it and is used in a later one, that the key was not revoked before that line, and that whoever
shipped while a key that is touched counted had one. Of a signature made by touching a security key it is checked that the key says itself
that somebody touched it and, to ship, that it knew who. Whoever decided is named by their id; where the log was exported
`--with-names`, by the name and e-mail, which must be what the certificates commit to.

Needs PyPI's `securesystemslib[crypto]`. Exit code: 0 all hold, 1 one does not, 2 cannot be read.
"""

import argparse
import base64
import hashlib
import json
import math
import sys
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:outcome-runtime:decision:v2"
# What a certificate is signed with, and what it says of its member: commitments today, the e-mail before. The oldest name no version.
ENROLMENTS = {None: (b"", "email"), 2: (b"outcome-runtime enrolment v2\n", "email"), 3: (b"outcome-runtime enrolment v3\n", "commitments")}
COMMITMENT = "outcome-runtime member commitment v1"
GENESIS = "0" * 64
# What a kind of key can decide; one that is missing here decides nothing.
ASSURANCE = {"touch": "A4", "passphrase": "A3", "local": "A2"}
# What a signature of a security key is for, and the bits by which it says that it was touched, and that it knew who did it.
SIGNS_DECISION = b"decision@outcome-runtime"
SIGNS_ENROLMENT = b"enrolment@outcome-runtime"
PRESENT, VERIFIED = 0x01, 0x04


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


def texts(data, names):
    """Texts of ssh, each with its length before it; nothing may be left."""
    found = {}
    for name in names:
        length = int.from_bytes(data[:4], "big")
        need(len(data) >= 4 + length, "a part of ssh's form is cut off")
        found[name], data = data[4 : 4 + length], data[4 + length :]
    need(not data, "something stands after a part of ssh's form")
    return found


def ssh_text(data):
    return len(data).to_bytes(4, "big") + data


def touched(line, purpose, message, signature):
    """Checks a signature of a security key (OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f) and gives what the key says of the touch."""
    algorithm, blob = line.encode().split(b" ")
    blob = base64.b64decode(blob, validate=True)
    need(signature[:10] == b"SSHSIG\0\0\0\1", "it is no signature of ssh")
    outer = texts(signature[10:], ("key", "purpose", "reserved", "hash", "signature"))
    need(outer["key"] == blob, "it was made with another security key")
    need(outer["purpose"] == purpose, "it was made for something else")
    need(outer["reserved"] == b"" and outer["hash"] == b"sha512", "it is over another hash")
    made = outer["signature"]
    # Algorithm and signature are texts; what the key says follows.
    end = 4 + int.from_bytes(made[:4], "big")
    end += 4 + int.from_bytes(made[end : end + 4], "big")
    inner, said = texts(made[:end], ("algorithm", "signature")), made[end:]
    need(inner["algorithm"] == algorithm and len(said) == 5, "it is a signature of another kind of key")
    data = b"SSHSIG" + ssh_text(purpose) + ssh_text(b"") + ssh_text(b"sha512") + ssh_text(hashlib.sha512(message).digest())
    names = ("algorithm", "curve", "public", "application") if b"ecdsa" in algorithm else ("algorithm", "public", "application")
    key = texts(blob, names)
    need(key["algorithm"] == algorithm and key["application"].startswith(b"ssh:"), "it is a key for something else")
    data = hashlib.sha256(key["application"]).digest() + said + hashlib.sha256(data).digest()
    try:
        if algorithm == b"sk-ssh-ed25519@openssh.com":
            Ed25519PublicKey.from_public_bytes(key["public"]).verify(inner["signature"], data)
        else:
            need(algorithm == b"sk-ecdsa-sha2-nistp256@openssh.com" and key["curve"] == b"nistp256", "it is no key that is touched")
            r, s = (int.from_bytes(part, "big") for part in texts(inner["signature"], ("r", "s")).values())
            public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key["public"])
            public.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Refused("its signature does not fit") from error
    need(said[0] & PRESENT, "nobody touched the key: the signature says so itself")
    return said[0]


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
        need(enrolment.get("version") in ENROLMENTS, "an enrolment is of another format")
        prefix, says = ENROLMENTS[enrolment.get("version")]
        need([says] == [key for key in ("email", "commitments") if key in enrolment], "an enrolment says something else of its member")
        need(enrolment["workspace"] == predicate["workspace"], "a certificate is of another workspace")
        need(enrolment["enrolled_by"] == voucher["key"], "a certificate names another voucher")
        is_own = voucher["member"] == enrolment["member"]
        may_vouch = {
            "passphrase": is_own or enrolment["kind"] != "touch",
            "recovery": is_own and enrolment["kind"] == "passphrase",
            "touch": is_own and enrolment["kind"] == "touch",
        }.get(voucher["kind"], False)
        need(may_vouch, f"a key of kind {voucher['kind']} cannot vouch for this one")
        message = prefix + canonical(enrolment).encode()
        if voucher["kind"] == "touch":
            touched(voucher["public_key"], SIGNS_ENROLMENT, message, bytes.fromhex(certificate["signature"]))
            continue
        signature = Signature(key_of(voucher).keyid, certificate["signature"])
        try:
            key_of(voucher).verify_signature(signature, message)
        except UnverifiedSignatureError as error:
            raise Refused("a certificate's signature does not fit") from error
    last = chain[-1]["enrolment"]
    need(last["kind"] == "passphrase", "its certificates end at a key that cannot be the root")
    need(key_of(last).keyid == root, "its certificates end at another root")
    return chain[0]["enrolment"]


def subjects_of(predicate):
    basis = predicate["basis"]
    named = (("commit", "gitCommit"), ("diff", "sha256"), ("plan", "sha256"))
    found = [{"name": name, "digest": {kind: basis[name]}} for name, kind in named if name in basis]
    return found or [{"name": "context", "digest": {"sha256": predicate["context_hash"]}}]


def ships(predicate):
    policy = predicate["basis"].get("policy") or {}
    return policy.get("gate_type") == "ship_approval" and predicate["verdict"] == "approve"


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
    if enrolment["kind"] == "touch":
        encoded = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        sig = base64.b64decode(data["signatures"][0]["sig"], validate=True)
        said = touched(enrolment["public_key"], SIGNS_DECISION, encoded, sig)
        need(not ships(predicate) or said & VERIFIED, "it ships with a key that did not know who touched it")
        return predicate
    try:
        Envelope.from_dict(data).verify([key_of(enrolment)], 1)
    except VerificationError as error:
        raise Refused("its signature does not fit") from error
    return predicate


def read_log(path):
    """The lines of an exported log, which must hold on to each other, and the names that it was exported with."""
    lines, openings, before = [], {}, GENESIS
    with open(path, encoding="utf-8") as file:
        for text in filter(str.strip, file):
            line = json.loads(text)
            if set(line) == {"opening"}:
                openings[line["opening"]["member"]] = line["opening"]
                continue
            content = {key: value for key, value in line.items() if key not in ("hash", "writer_signature")}
            need(line["seq"] == len(lines) + 1 and line["prev"] == before, f"line {len(lines) + 1} of the log does not follow")
            need(sha256(canonical(content).encode()) == line["hash"], f"line {line['seq']} of the log was changed")
            before = line["hash"]
            lines.append(line)
    return lines, openings


def who(enrolment, openings):
    """The member of a key: by the e-mail of a certificate of before, by one that opens the commitment, or by their id."""
    if "email" in enrolment:
        return enrolment["email"]
    member, opening = enrolment["member"], openings.get(enrolment["member"])
    if opening is None:
        return f"member {member}"
    for field in ("email", "name"):
        text = "\n".join((COMMITMENT, field, member, opening[f"{field}_salt"], opening[field]))
        need(sha256(text.encode()) == enrolment["commitments"][field], f"the {field} that is given for member {member} is another one")
    return f"{opening['name']} <{opening['email']}>"


def names(value, envelope):
    """Whether a part of a line is this envelope."""
    if isinstance(value, dict):
        return value == envelope or any(names(part, envelope) for part in value.values())
    return isinstance(value, list) and any(names(part, envelope) for part in value)


def revocations(lines, key, root):
    """The lines that revoke a key, with the decisions behind them."""
    for entry in lines:
        if entry["kind"] != "member.key_revoked" or entry["subject"]["id"] != key:
            continue
        revoked_by = check_envelope(json.dumps(entry["payload"]["decision"]), root)
        shown = sha256(canonical(entry["payload"]["act"]).encode())
        fits = revoked_by["verdict"] == "revoke_key" and revoked_by["subject"] == {"kind": "key", "id": key}
        if fits and revoked_by["context_hash"] == shown:
            yield entry["seq"], revoked_by


def may_take_away(predicate):
    """Whether it was signed with a touch, or with the passphrase that came with a recovery code."""
    certificates = predicate["basis"]["certificates"]
    with_code = len(certificates) > 1 and certificates[1]["enrolment"]["kind"] == "recovery"
    return predicate["assurance"] == "A4" or with_code


def must_not_rename(enrolment, before):
    """A member is called what their first certificates say, and a certificate of the older format after one of today's says something else."""
    for said in ("email", "commitments"):
        first = next((other[said] for other in before if other["member"] == enrolment["member"] and said in other), None)
        is_same = first is None or enrolment.get(said) == first or (said == "email" and said not in enrolment)
        need(is_same, "a certificate calls its member something else than an earlier one")


def check_against_log(line, predicate, lines, root):
    """Where the decision stands in the log. Gives the number of the first line that uses it."""
    need(lines and lines[0]["payload"].get("root_fingerprint") == root, "the log begins with another root")
    need(lines[0]["workspace"] == predicate["workspace"], "the log is of another workspace")
    seq = predicate["log_seq"]
    need(0 < seq <= len(lines) and lines[seq - 1]["hash"] == predicate["log_head"], f"line {seq} of the log is another one")
    envelope = json.loads(line)
    used = [entry["seq"] for entry in lines if names(entry["payload"], envelope)]
    need(used and used[0] > seq, "no line of the log uses it")
    if ships(predicate) and predicate["assurance"] != "A4":
        before = lines[: used[0] - 1]
        kinds = ((e["subject"]["id"], e["payload"]["enrolment"]["kind"]) for e in before if e["kind"] == "member.enrolled")
        for key in (key for key, kind in kinds if kind == "touch"):
            gone = any(may_take_away(revoked_by) for _, revoked_by in revocations(before, key, root))
            need(gone, "it ships with a passphrase, past a key that is touched")
    for certificate in predicate["basis"]["certificates"]:
        key = certificate["enrolment"]["key"]
        enrolled = [e for e in lines if e["kind"] == "member.enrolled" and e["subject"]["id"] == key]
        need(enrolled and enrolled[0]["payload"] == certificate, "the log enrols another key")
        before = [e["payload"]["enrolment"] for e in lines[: enrolled[0]["seq"] - 1] if e["kind"] == "member.enrolled"]
        must_not_rename(certificate["enrolment"], before)
    for seq, _ in revocations(lines, predicate["key"], root):
        need(seq > used[0], f"its key was revoked before, in line {seq} of the log")
    return used[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("decisions", help="envelopes, one a line, or - for stdin")
    parser.add_argument("--root", required=True, help="fingerprint of the workspace's root key")
    parser.add_argument("--log", help="the exported audit log")
    args = parser.parse_args()
    n_refused = 0
    try:
        lines, openings = read_log(args.log) if args.log else (None, {})
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
            by = who(predicate["basis"]["certificates"][0]["enrolment"], openings)
        except Refused as error:
            print(f"REFUSED: decision {at}: {error}")
            n_refused += 1
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            print(f"REFUSED: decision {at}: it does not hold together: {type(error).__name__}: {error}")
            n_refused += 1
        else:
            print(f"OK: `{predicate['verdict']}` by {by} ({predicate['assurance']}) at {predicate['decided_at']}{where}")
    if not decisions:
        print("there is no decision", file=sys.stderr)
        return 2
    if lines is None:
        print("not compared with the audit log: whether a key was revoked is unknown; use --log")
    return 1 if n_refused else 0


if __name__ == "__main__":
    sys.exit(main())
