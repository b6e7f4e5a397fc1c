# shellcheck shell=bash
# cross/ipk: layout, fields, modes, the same bytes twice, and what it says when it cannot.
# shellcheck source=tests/openwrt/kit.bash
. tests/openwrt/kit.bash

# Any file will do for a binary here.
printf 'not a program\n' >"$tmp/small"
export SOURCE_DATE_EPOCH=1700000000
ipk() {
    cross/ipk "$@" --binary "$tmp/small"
}

ipk mips_24kc --out "$tmp/one" >/dev/null
(umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 ipk mips_24kc --out "$tmp/two" >/dev/null)
diff -r "$tmp/one" "$tmp/two" || wrong "built twice, other bytes"
ok "ipk: built twice, under another umask and time zone, the same bytes"

names=$(cd "$tmp/one" && printf '%s ' *)
[[ $names == "picovrrp-keepalived_0.1.0-r1_all.ipk "*"picovrrp_0.1.0-r1_mips_24kc.ipk "* ]] || wrong "made: $names"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
[[ $names == *"picovrrp_$version-r1_"* ]] || wrong "the feed's version is not $version: $names"

unpack() { # FILE DIR
    mkdir -p "$2/control" "$2/data"
    tar -C "$2" -xzf "$1"
    tar -C "$2/control" -xzf "$2/control.tar.gz"
    tar -C "$2/data" -xpzf "$2/data.tar.gz"
}
listed() { # ARCHIVE: mode, owner, date and name of each
    TZ=UTC tar --numeric-owner --full-time -tvzf "$1" | awk '{ print $1, $2, $4 "T" $5, $6 }' | sed 's/:\([0-9][0-9]\)\.[0-9]*/:\1/'
}

x=$tmp/x
unpack "$tmp/one/picovrrp_$version-r1_mips_24kc.ipk" "$x"
same "the package" "$(tar -tzf "$tmp/one/picovrrp_$version-r1_mips_24kc.ipk")" <<'L'
./debian-binary
./data.tar.gz
./control.tar.gz
L
same "debian-binary" "$(cat "$x/debian-binary")" <<<2.0
same "data" "$(listed "$x/data.tar.gz" | grep -v '/$')" <<'L'
-rw------- 0/0 2023-11-14T22:13:20 ./etc/config/picovrrp
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./etc/hotplug.d/picovrrp/10-user
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./etc/init.d/picovrrp
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./etc/picovrrp.user
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./etc/uci-defaults/50-picovrrp
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./lib/upgrade/keep.d/picovrrp
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./usr/libexec/rpcd/picovrrp
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./usr/sbin/picovrrp
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./usr/share/rpcd/acl.d/picovrrp.json
L
same "directories" "$(listed "$x/data.tar.gz" | grep '/$' | cut -d' ' -f1-3 | sort -u)" <<<"drwxr-xr-x 0/0 2023-11-14T22:13:20"
same "control" "$(listed "$x/control.tar.gz")" <<'L'
drwxr-xr-x 0/0 2023-11-14T22:13:20 ./
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./conffiles
-rw-r--r-- 0/0 2023-11-14T22:13:20 ./control
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./postinst
-rwxr-xr-x 0/0 2023-11-14T22:13:20 ./prerm
L
same "conffiles" "$(cat "$x/control/conffiles")" <<'L'
/etc/config/picovrrp
/etc/picovrrp.user
L
while read -r file; do
    [ -f "$x/data$file" ] || wrong "conffile $file is not in the package"
done <"$x/control/conffiles"
size=$(gzip -dc "$x/data.tar.gz" | wc -c)
same "control fields" "$(cat "$x/control/control")" <<L
Package: picovrrp
Version: $version-r1
Depends: libc
License: MIT OR Apache-2.0
Section: net
SourceDateEpoch: 1700000000
Architecture: mips_24kc
Installed-Size: $size
Description:  Two or more routers share an address, and when one dies, loses its cable or is
 taken down for work, another answers. VRRP 2 and 3 over IPv4 and IPv6, with
 checks, hooks and OpenWrt's keepalived configuration as it is.
L
cmp "$tmp/small" "$x/data/usr/sbin/picovrrp"
json v <"$x/data/usr/share/rpcd/acl.d/picovrrp.json" >/dev/null
for script in postinst prerm; do
    busybox ash -n "$x/control/$script"
    grep -q "^default_$script \"\$0\" \"\$@\"$" "$x/control/$script"
done
ok "ipk: files, modes, owners and dates, conffiles, fields, scripts"

unpack "$tmp/one/picovrrp-keepalived_$version-r1_all.ipk" "$tmp/k"
same "fields in keepalived's place" "$(grep -E '^(Depends|Provides|Conflicts|Architecture):' "$tmp/k/control/control")" <<'L'
Depends: libc, picovrrp
Provides: keepalived
Conflicts: keepalived
Architecture: all
L
same "files in keepalived's place" "$(cd "$tmp/k/data" && find . -type f | sort)" <<'L'
./etc/uci-defaults/50-picovrrp-keepalived
./usr/libexec/rpcd/keepalived
L
[ ! -e "$tmp/k/control/conffiles" ] || wrong "picovrrp-keepalived has conffiles"

ipk mips_24kc --maintainer "A. Person <person@example.net>" --out "$tmp/who" >/dev/null
for file in "$tmp/who"/*; do
    same "maintainer of $file" "$(tar -xzOf "$file" ./control.tar.gz | tar -xzOf - ./control | grep ^Maintainer)" <<<"Maintainer: A. Person <person@example.net>"
done

# A target's name stands for all its architectures, one of those for itself.
ipk arm926ej-s arm_cortex-a9_vfpv3-d16 --out "$tmp/more" >/dev/null
same "architectures" "$(cd "$tmp/more" && ls -A)" <<L
picovrrp-keepalived_$version-r1_all.ipk
picovrrp_$version-r1_arm_arm926ej-s.ipk
picovrrp_$version-r1_arm_cortex-a9_vfpv3-d16.ipk
picovrrp_$version-r1_arm_xscale.ipk
L
ok "ipk: a package for each architecture, and one in keepalived's place"

left() { # DIR: nothing is in it
    [ -z "$(ls -A "$1" 2>/dev/null)" ] || wrong "left behind in $1: $(ls -A "$1")"
}
try ipk sparc --out "$tmp/none"
refused "unknown target 'sparc'; known: "
try cross/ipk mips_24kc --binary "$tmp/nosuch" --out "$tmp/none"
refused "no binary '$tmp/nosuch'; build it with 'cross/build mips_24kc'"
left "$tmp/none"
try ipk mips_24kc --out /proc/nosuch
refused "cannot write to '/proc/nosuch'; choose another with --out"
try cross/ipk mips_24kc --out
refused "--out needs a value"
for who in nobody '<a@b>' $'A <a@b>\nEssential: yes'; do
    try ipk mips_24kc --maintainer "$who" --out "$tmp/none"
    refused "is no maintainer; write --maintainer 'NAME <ADDRESS@DOMAIN>'"
done
try ipk mips_24kc --what
refused "unknown option '--what'"
# The file system is full half way.
mkdir "$tmp/full"
mount -t tmpfs -o size=24k tmpfs "$tmp/full"
head -c 200000 /dev/urandom >"$tmp/big"
try cross/ipk mips_24kc --binary "$tmp/big" --out "$tmp/full"
if [ "$status" = 0 ] || [[ $(tail -n 1 <<<"$said") != *"no package was made of it"* ]]; then
    wrong "a full file system: exit status $status, and: $said"
fi
left "$tmp/full"
umount "$tmp/full"
ok "ipk: an unlisted target, a missing binary, an unwritable or full directory: a line that says so, and nothing left"
