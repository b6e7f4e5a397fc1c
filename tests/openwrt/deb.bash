# shellcheck shell=bash
# cross/deb, and the unit for systemd.
# shellcheck source=tests/openwrt/kit.bash
. tests/openwrt/kit.bash

printf 'not a program\n' >"$tmp/small"
export SOURCE_DATE_EPOCH=1700000000
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
deb() {
    cross/deb "$@" --binary "$tmp/small"
}

deb armhf --out "$tmp/deb1" >/dev/null
(umask 077 && TZ=Asia/Tokyo deb arm1176 --out "$tmp/deb2" >/dev/null)
diff -r "$tmp/deb1" "$tmp/deb2" || wrong "built twice, other bytes"
ok "deb: built twice, by either name, the same bytes"

file=$tmp/deb1/picovrrp_$version-1_armhf.deb
same "files" "$(TZ=UTC dpkg-deb -c "$file" | awk '!/\/$/ { print $1, $2, $4, $6 }')" <<'L'
-rw-r----- root/root 2023-11-14 ./etc/picovrrp.conf
-rw-r--r-- root/root 2023-11-14 ./usr/lib/systemd/system/picovrrp.service
-rwxr-xr-x root/root 2023-11-14 ./usr/sbin/picovrrp
-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/picovrrp/README.md
-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/picovrrp/configuration.md
-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/picovrrp/copyright
-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/picovrrp/keepalived.md
-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/picovrrp/status.md
L
same "fields" "$(dpkg-deb -f "$file" Package Version Architecture Maintainer Section Priority)" <<L
Package: picovrrp
Version: $version-1
Architecture: armhf
Maintainer: nobody <nobody@example.org>
Section: net
Priority: optional
L
deb arm64 --maintainer "A. Person <person@example.net>" --out "$tmp/who" >/dev/null
same "maintainer" "$(dpkg-deb -f "$tmp/who/picovrrp_$version-1_arm64.deb" Maintainer)" <<<"A. Person <person@example.net>"
same "conffiles" "$(dpkg-deb -I "$file" conffiles)" <<<"/etc/picovrrp.conf"
for script in postinst prerm postrm; do
    dpkg-deb -I "$file" "$script" | sh -n
done
ok "deb: files, modes, owners and dates, fields, conffile"

# Nothing is enabled or started by the package: the configuration is an example, and no daemon takes it.
if grep -wE 'enable|start' <<<"$(dpkg-deb -I "$file" postinst | grep -v '^#')"; then wrong "postinst enables or starts something"; fi
mkdir "$tmp/debx"
dpkg-deb -x "$file" "$tmp/debx"
try "$PACKAGES_BINARY" check -f "$tmp/debx/etc/picovrrp.conf"
[ "$status" = 1 ] || wrong "the example is taken as it is: $status, $said"
sed -i 's/^#\(instance\|  address\|  track-interface\)/\1/' "$tmp/debx/etc/picovrrp.conf"
"$PACKAGES_BINARY" check -f "$tmp/debx/etc/picovrrp.conf"
ok "deb: not started until configured; the example without its comment signs is right"

# What its scripts call, with stand-ins that note it: what systemctl and the daemon answer is in $active, $upgrade
# and $reload.
mkdir -p "$tmp/bin" "$tmp/run/systemd/system"
cat >"$tmp/bin/systemctl" <<'S'
#!/bin/sh
echo "systemctl $*" >>"$CALLS"
case $* in *is-active*) exit "$active" ;; esac
S
cat >"$tmp/bin/picovrrp" <<'S'
#!/bin/sh
echo "picovrrp $*" >>"$CALLS"
case $1 in
upgrade) exit "$upgrade" ;;
reload) exit "$reload" ;;
esac
S
chmod 755 "$tmp/bin"/*
script_calls() { # SCRIPT ARGUMENT...: its calls, a line of them
    : >"$tmp/calls"
    dpkg-deb -I "$file" "$1" | sed "s,/run/systemd,$tmp/run/systemd," >"$tmp/script"
    env "PATH=$tmp/bin:$PATH" "CALLS=$tmp/calls" "active=$active" "upgrade=$upgrade" "reload=$reload" sh "$tmp/script" "${@:2}" 2>"$tmp/said" ||
        wrong "$*: $(cat "$tmp/said")"
    paste -sd, "$tmp/calls"
}
check=systemctl\ daemon-reload,systemctl\ --quiet\ is-active\ picovrrp.service
active=0 upgrade=0 reload=0
same "first installation" "$(script_calls postinst configure "")" <<<"systemctl daemon-reload"
same "prerm on an upgrade" "$(script_calls prerm upgrade 0.2.0-1)" <<<""
same "prerm on removal" "$(script_calls prerm remove)" <<<"systemctl --quiet disable --now picovrrp.service"
same "upgrade" "$(script_calls postinst configure 0.0.9-1)" <<<"$check,picovrrp upgrade"
upgrade=3
same "upgrade refused" "$(script_calls postinst configure 0.0.9-1)" \
    <<<"$check,picovrrp upgrade,picovrrp reload,systemctl try-restart picovrrp.service"
reload=3
same "a daemon that does not answer" "$(script_calls postinst configure 0.0.9-1)" \
    <<<"$check,picovrrp upgrade,picovrrp reload,systemctl try-restart picovrrp.service"
reload=1
same "a configuration that is refused" "$(script_calls postinst configure 0.0.9-1)" <<<"$check,picovrrp upgrade,picovrrp reload"
grep -q "goes on with the old program" "$tmp/said" || wrong "not said: $(cat "$tmp/said")"
active=3
same "no daemon" "$(script_calls postinst configure 0.0.9-1)" <<<"$check"
rmdir "$tmp/run/systemd/system"
same "without systemd" "$(script_calls postinst configure 0.0.9-1)" <<<""
ok "deb: a running daemon is upgraded in place, restarted where that is refused, left alone with a wrong configuration"

if command -v systemd-analyze >/dev/null; then
    sed -i "s,/usr/sbin/picovrrp,$PACKAGES_BINARY," "$tmp/debx/usr/lib/systemd/system/picovrrp.service"
    try systemd-analyze verify "$tmp/debx/usr/lib/systemd/system/picovrrp.service"
    [ "$status$said" = 0 ] || wrong "systemd-analyze verify: $said"
    ok "deb: systemd-analyze verify"
else
    echo "skip systemd-analyze is not here"
fi
for line in Type=exec KillMode=process StartLimitIntervalSec=0 Restart=always "RestartPreventExitStatus=1 2" TimeoutStopSec=40; do
    grep -qx "$line" cross/debian/picovrrp.service || wrong "$line is not in the unit"
done

try deb sparc --out "$tmp/debn"
refused "no Debian architecture 'sparc'; known: "
try deb mips_24kc --out "$tmp/debn"
refused "no Debian architecture 'mips_24kc'; known: "
try cross/deb arm64 --binary "$tmp/nosuch" --out "$tmp/debn"
refused "no binary '$tmp/nosuch'; build it with 'cross/build aarch64'"
try deb arm64 --out /proc/nosuch
refused "cannot write to '/proc/nosuch'"
# A file that belongs into it is not there: no package without it.
mkdir "$tmp/part"
tar -cf - --exclude=cross/out cross targets docs README.md LICENSE-MIT LICENSE-APACHE Cargo.toml | tar -C "$tmp/part" -xf -
for file in docs/status.md LICENSE-MIT cross/debian/prerm; do
    mv "$tmp/part/$file" "$tmp/gone"
    try "$tmp/part/cross/deb" armhf --binary "$tmp/small" --out "$tmp/debn"
    [ "$status" = 1 ] || wrong "made without $file: $said"
    mv "$tmp/gone" "$tmp/part/$file"
done
[ -z "$(ls -A "$tmp/debn" 2>/dev/null)" ] || wrong "left behind: $(ls -A "$tmp/debn")"
ok "deb: an unlisted architecture, a missing binary, an unwritable directory: a line that says so, and nothing left"
