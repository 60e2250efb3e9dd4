#!/bin/sh
# Waits until Kong's routes are served: wait.sh [URL [SECONDS]]
#
# Kong starts the plugin server after itself, and answers 500 until that is up.
# This asks for URL, a route with the plugin, once a second until there is an answer
# below 500 (without a token it is 401), and gives up after SECONDS.
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
        echo "$url does not answer, or with $status" >&2
        exit 1
    fi
    left=$((left - 1))
    sleep 1
done
