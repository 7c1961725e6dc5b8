#!/usr/bin/env bash
# services.sh COMMAND...: runs COMMAND with Chromium at hand and a PostgreSQL server of its own.
#
# The server is a throw-away cluster in a temporary folder, on a free port of 127.0.0.1, behind a random password, with
# fsync on; COMMAND finds it by the variable SOLON_TEST_DATABASE. It is stopped and removed when COMMAND ends, also
# where this script is killed. What is missing is installed by apt where root runs this; else it is named, and COMMAND
# runs all the same: what needs it is skipped with a reason. The exit code is COMMAND's.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 COMMAND..." >&2; exit 2; }
unset SOLON_TEST_DATABASE

root() { [ "$(id -u)" = 0 ]; }
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
programs() { # the folder of PostgreSQL's programs, the newest where there are several
    local found
    found=$( (ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/pgsql-*/bin || true) 2>/dev/null | sort -V | tail -1)
    [ -n "$found" ] || found=$(dirname "$(command -v initdb)") || return 1
    echo "$found"
}

need() { # PACKAGE TEST...: whether TEST finds it, after an attempt to install it
    local package=$1 log
    shift
    "$@" >/dev/null 2>&1 && return
    if root && command -v apt-get >/dev/null; then
        echo "installing $package" >&2
        log=$(mktemp)
        export DEBIAN_FRONTEND=noninteractive
        (apt-get update && apt-get install -y --no-install-recommends "$package") >"$log" 2>&1 || tail -3 "$log" >&2
        rm -f "$log"
        "$@" >/dev/null 2>&1 && return
    fi
    echo "$package is not installed (apt install $package): what needs it is skipped" >&2
    return 1
}

as_owner() { # PostgreSQL refuses to run as root
    if root; then (cd / && exec runuser -u "$owner" -- "$@"); else "$@"; fi
}

stop() {
    trap '' INT TERM HUP
    as_owner "$bin/pg_ctl" --pgdata="$place/data" --mode=immediate stop >/dev/null 2>&1 || true
    rm -rf "$place"
}

begin() {
    local password port
    place=$(mktemp -d)
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf %s "$password" >"$place/password")
    root && chown -R "$owner" "$place"
    # Not a locale of plain byte order, as people's servers have none either: nothing may hang on it.
    local locale=(--encoding=UTF8)
    "$bin/initdb" --help | grep -q icu-locale && locale+=(--locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US)
    as_owner "$bin/initdb" --pgdata="$place/data" --username=solon --pwfile="$place/password" --auth=scram-sha-256 \
        --no-sync "${locale[@]}" >"$place/log" 2>&1 || { tail -5 "$place/log" >&2; return 1; }
    for _ in 1 2 3 4 5; do # a port may be taken
        port=$((20000 + RANDOM % 12000))
        if as_owner "$bin/pg_ctl" --pgdata="$place/data" --log="$place/data/log" --wait --timeout=60 \
            --options="-h 127.0.0.1 -p $port -k '' -c fsync=on -c max_connections=200" start >/dev/null 2>&1; then
            export SOLON_TEST_DATABASE="postgresql://solon:$password@127.0.0.1:$port/postgres"
            return
        fi
    done
    tail -5 "$place/data/log" >&2
    return 1
}

watch_over() { # where this script itself is killed, nobody else would clear up
    local script=$$
    export -f root as_owner stop
    place=$place bin=$bin owner=$owner setsid bash -c \
        "while kill -0 $script; do sleep 1; done; [ ! -d \"\$place\" ] || stop" >/dev/null 2>&1 </dev/null &
    disown
}

need chromium browser || true
if need postgresql programs; then
    bin=$(programs)
    owner=$(id -un postgres 2>/dev/null || echo nobody)
    if begin; then watch_over; else echo "PostgreSQL does not start: what needs it is skipped" >&2; fi
fi

code=0
"$@" || code=$?
exit "$code"
