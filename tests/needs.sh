# Sourced by the scripts that need root, namespaces and packages.

fail() {
    echo "$1" >&2
    exit 1
}

# have COMMAND: whether it is on the path, in an sbin directory or where Debian keeps a server's own.
have() {
    command -v "$1" >/dev/null 2>&1 && return
    for dir in /usr/sbin /sbin /usr/lib/frr /usr/lib/postgresql/*/bin; do
        [ ! -x "$dir/$1" ] || return 0
    done
    return 1
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "This builds network namespaces and needs root: run it as root."
}

need_cargo() {
    have cargo || fail "This needs a Rust toolchain: cargo is not on the path (https://rustup.rs)."
}

# need COMMAND=PACKAGE …: installs the packages whose command is missing. A policy-rc.d keeps the
# packages from starting system services, where there is none already, and PostgreSQL's first
# installation makes no database of its own.
need() {
    missing=
    for pair in "$@"; do
        have "${pair%%=*}" || missing="$missing ${pair#*=}"
    done
    [ -n "$missing" ] || return 0
    have apt-get || fail "Missing:$missing, and there is no apt-get to install them with."
    echo "Installing:$missing"
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    clusters=/etc/postgresql-common/createcluster.conf
    if [ -e "$clusters" ]; then
        clusters=
    else
        mkdir -p "${clusters%/*}"
        echo "create_main_cluster = false" >"$clusters"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null 2>&1 || true
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null && installed=yes || installed=
    [ -z "$policy" ] || rm -f "$policy"
    # The file as the package has it, or none where it is not there.
    [ -z "$clusters" ] || cp /usr/share/postgresql-common/createcluster.conf "$clusters" 2>/dev/null ||
        { rm -f "$clusters" && rmdir "${clusters%/*}" 2>/dev/null; } || true
    [ -n "$installed" ] || fail "apt-get could not install:$missing"
}

need_namespaces() {
    probe="pv$$-try"
    if ip netns add "$probe" 2>/dev/null && ip -n "$probe" link add probe type veth peer name eborp 2>/dev/null &&
        ip -n "$probe" link add br0 type bridge 2>/dev/null; then
        ip netns del "$probe"
    else
        ip netns del "$probe" 2>/dev/null || true
        fail "This machine forbids network namespaces, veth pairs or bridges, and routers are set up in them here."
    fi
}
