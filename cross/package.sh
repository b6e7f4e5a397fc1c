# shellcheck shell=bash
# Shared by cross/ipk and cross/deb; sourced behind lib.sh, never run.
# shellcheck disable=SC2154  # what lib.sh sets

umask 022

# The date of all that is packed, so that the same sources give the same bytes.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$REPO" log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=0
fi
export SOURCE_DATE_EPOCH

# Reads --out DIR, --binary FILE, --maintainer WHO and the names of targets into out, binary, maintainer and names.
package_arguments() { # usage is the caller's; ARGUMENT...
    out=$CROSS/out/packages binary='' maintainer='' names=()
    while [ $# -gt 0 ]; do
        case $1 in
        --out | --binary | --maintainer)
            [ $# -gt 1 ] || die "$1 needs a value"
            case $1 in --out) out=$2 ;; --binary) binary=$2 ;; --maintainer) maintainer=$2 ;; esac
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        -*) die "unknown option '$1'; see cross/${0##*/} --help" ;;
        *) names+=("$1") ;;
        esac
        shift
    done
    [ ${#names[@]} -gt 0 ] || { usage >&2; exit 2; }
    # A line of a control file, and a word of make's.
    [[ -z $maintainer || $maintainer =~ ^[^\$\<\>[:cntrl:]]+\ \<[^\$\<\>@[:space:]]+@[^\$\<\>@[:space:]]+\>$ ]] ||
        die "'${maintainer%%$'\n'*}' is no maintainer; write --maintainer 'NAME <ADDRESS@DOMAIN>'"
    { mkdir -p "$out" && [ -w "$out" ]; } 2>/dev/null || die "cannot write to '$out'; choose another with --out"
    out=$(cd "$out" && pwd)
}

# The binary for a target file: the one given, or the one that cross/build made.
package_binary() { # TARGETFILE
    local name file
    name=$(basename "$1" .toml)
    file=${binary:-$CROSS/out/$name/picovrrp}
    [ -f "$file" ] || die "no binary '$file'; build it with 'cross/build $name', or name another with --binary"
    echo "$file"
}

# All that is made on the way, in a directory beside the result, so that the result is moved into place whole.
package_workdir() {
    tmp=$(mktemp -d "$out/.package.XXXXXX") || die "cannot write to '$out'; choose another with --out"
    trap 'rm -rf "$tmp"' EXIT
}

# A compressed archive of a directory, on stdout: sorted, owned by root, of one date.
archive() { # DIR [NAME...]
    local dir=$1
    shift
    tar -C "$dir" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        -cf - "${@:-.}" | gzip -9n
}
