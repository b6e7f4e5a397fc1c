# shellcheck shell=bash
# Shared by the scripts of this directory; sourced, never run.
# shellcheck disable=SC2034  # what is set here is used by those who source it

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CROSS=$REPO/cross
# Everything that is fetched or built on the way (zig, kernels, cargo's target directory); safe to delete.
CACHE=${PICOVRRP_CROSS_CACHE:-$REPO/target-cross}
# The zig that the targets were tried with; a newer one may rename its CPU flags.
ZIG_VERSION=0.16.0
ZIG_DIR=$CACHE/zig-$ZIG_VERSION
ZIG=$ZIG_DIR/ziglang/zig

die() { # the one line that says what is wrong and what to do
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Makes DIR where it is not there; says so in one line where it cannot be written to.
writable() { # DIR HOW-TO-CHOOSE-ANOTHER
    { mkdir -p "$1" && [ -w "$1" ]; } 2>/dev/null || die "cannot write to '$1'; choose another with $2"
}

# The value of KEY in a targets/*.toml: a string as it is, an array as words.
target_field() { # FILE KEY
    sed -n "s/^$2 *= *//p" "$1" | sed -e 's/^\[\(.*\)\]$/\1/' -e 's/", *"/ /g' -e 's/^"//' -e 's/"$//'
}

# Whether a binary wants no interpreter: it would not start on a router whose musl is another one.
is_static() { # BINARY
    local segments
    # Not into `grep -q`: where that ends first, readelf is killed and the pipe fails as if nothing had been found.
    segments=$(readelf -lW "$1") && [[ $segments != *INTERP* ]]
}

target_names() {
    local f
    for f in "$REPO"/targets/*.toml; do basename "$f" .toml; done
}

# The target file for a name: ours (mipsel_24kc) or one of OpenWrt's (arm_cortex-a9_vfpv3-d16).
target_file() { # NAME
    local f arch
    if [ -f "$REPO/targets/$1.toml" ]; then
        echo "$REPO/targets/$1.toml"
        return
    fi
    for f in "$REPO"/targets/*.toml; do
        for arch in $(target_field "$f" openwrt); do
            if [ "$arch" = "$1" ]; then
                echo "$f"
                return
            fi
        done
    done
    die "unknown target '$1'; known: $(target_names | tr '\n' ' ')and the OpenWrt names in targets/*.toml"
}

# Sets RUSTC_CROSS and CARGO_CROSS to a pair that has the sources of std: rustup's where its rust-src is
# installed, else Debian's rustc-web, cargo-web and rust-web-src. PICOVRRP_CROSS_RUSTC names another rustc.
find_rust() {
    local rustc
    for rustc in "${PICOVRRP_CROSS_RUSTC:-}" "$(rustup which rustc 2>/dev/null || true)" /usr/bin/rustc; do
        if [ -x "$rustc" ] && [ -x "${rustc%rustc}cargo" ] &&
            [ -f "$("$rustc" --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]; then
            RUSTC_CROSS=$rustc CARGO_CROSS=${rustc%rustc}cargo
            return
        fi
    done
    return 1
}

# Runs cargo for a target: with find_rust's pair, zig as the linker and these flags for rustc. Only what is set here
# reaches cargo: a developer's RUSTFLAGS would change the binary.
cross_cargo() { # TARGETFILE TARGETDIR RUSTFLAG... -- CARGO-ARGUMENT...
    local file=$1 target_dir=$2 flags=() rust var
    shift 2
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    shift
    rust=$(target_field "$file" rust)
    var=${rust//-/_}
    env -u RUSTFLAGS -u RUSTC_WRAPPER -u CARGO_BUILD_TARGET RUSTC_BOOTSTRAP=1 "RUSTC=$RUSTC_CROSS" \
        "CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")" \
        "CARGO_TARGET_${var^^}_LINKER=$CROSS/zcc" "CARGO_TARGET_DIR=$target_dir" \
        "CROSS_ZIG=$ZIG" "CROSS_ZIG_TARGET=$(target_field "$file" zig)" "CROSS_ZIG_CPU=$(target_field "$file" zig-cpu)" \
        "ZIG_GLOBAL_CACHE_DIR=$CACHE/zig-cache" "ZIG_LOCAL_CACHE_DIR=$CACHE/zig-cache" \
        "$CARGO_CROSS" "$@"
}
