# shellcheck shell=bash
# What the tests of packages share; sourced, once by each.

# The directory that is gone in the end, and the program under test.
tmp=${tmp:?} PACKAGES_BINARY=${PACKAGES_BINARY:?}

ok() {
    echo "ok   $*"
}

# Ends the test, with what there is to see.
wrong() {
    echo "FAILED: $*" >&2
    exit 1
}

# A command's stdout and stderr in $said, its exit status in $status.
try() {
    status=0
    said=$("$@" 2>&1) || status=$?
}

# Compares text with what is expected of it on stdin.
same() { # WHAT TEXT
    diff -u --label expected --label "$1" - <(printf '%s\n' "$2") >&2 || wrong "$1 is not as expected"
}

# One clear line, and a failure.
refused() { # WORDS
    if [ "$status" = 0 ] || [ "$(wc -l <<<"$said")" != 1 ] || [[ $said != *"$1"* ]]; then
        wrong "expected one line with '$1' and a failure, not exit status $status and: $said"
    fi
}

# What a script prints with a JSON value read from stdin as `v`.
json() { # EXPRESSION
    python3 -c "import json, sys; v = json.load(sys.stdin); print($1)"
}
