#!/bin/bash
# Succeeds while the daemon says that it is well. For containers without curl. $1: port, 8787 when absent.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${1:-8787}"
printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
