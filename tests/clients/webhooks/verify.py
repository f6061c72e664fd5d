"""Reads a JSON list of requests {secret, id, timestamp, signature, body, fresh} from stdin, checks each with the reference
implementation of Standard Webhooks, and prints the list of their bodies as it read them."""
import datetime
import json
import sys

from standardwebhooks import Webhook

out = []
for request in json.load(sys.stdin):
    webhook = Webhook(request["secret"])
    at = datetime.datetime.fromtimestamp(int(request["timestamp"]), tz=datetime.timezone.utc)
    expected = webhook.sign(request["id"], at, request["body"])
    if expected not in request["signature"].split(" "):
        sys.exit(f"{request['signature']} has not {expected}")
    # Its clock is the machine's, so that only a request of now is accepted by it.
    if request["fresh"]:
        headers = {f"webhook-{name}": request[name] for name in ["id", "timestamp", "signature"]}
        webhook.verify(request["body"], headers)
    out.append(json.loads(request["body"]))
json.dump(out, sys.stdout)
