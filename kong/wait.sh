#!/bin/sh
# Waits until Kong and the plugin answer: wait.sh [URL [SECONDS]]
#
# Kong starts the plugin after itself, and answers 500 until the plugin is ready. This
# script requests URL, a route with the plugin, once a second until the status is below
# 500 (401, since it sends no token). It gives up after SECONDS.
set -eu

url=${1:-http://127.0.0.1:8000/private}
left=${2:-60}

while :; do
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$url" || true)
    case $status in
    [1-4]??)
        echo "$url answers $status"
        exit 0
        ;;
    esac
    if [ "$left" -le 0 ]; then
        echo "$url is not ready: the last status was $status (000: no answer)" >&2
        exit 1
    fi
    left=$((left - 1))
    sleep 1
done
