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
same "fields" "$(dpkg-deb -f "$file" Package Version Architecture Section Priority)" <<L
Package: picovrrp
Version: $version-1
Architecture: armhf
Section: net
Priority: optional
L
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

if command -v systemd-analyze >/dev/null; then
    sed -i "s,/usr/sbin/picovrrp,$PACKAGES_BINARY," "$tmp/debx/usr/lib/systemd/system/picovrrp.service"
    try systemd-analyze verify "$tmp/debx/usr/lib/systemd/system/picovrrp.service"
    [ "$status$said" = 0 ] || wrong "systemd-analyze verify: $said"
    ok "deb: systemd-analyze verify"
else
    echo "skip systemd-analyze is not here"
fi
for line in Type=exec KillMode=process Restart=always "RestartPreventExitStatus=1 2" TimeoutStopSec=40; do
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
[ -z "$(ls -A "$tmp/debn" 2>/dev/null)" ] || wrong "left behind: $(ls -A "$tmp/debn")"
ok "deb: an unlisted architecture, a missing binary, an unwritable directory: a line that says so, and nothing left"
