# shellcheck shell=bash
# Shell is what ash takes: rc.common and functions.sh use `local`, which dash has too; the rest is POSIX.
# shellcheck source=tests/openwrt/kit.bash
. tests/openwrt/kit.bash

files=cross/openwrt/picovrrp/files
shellcheck -s dash "$files/etc/init.d/picovrrp"
shellcheck -s sh "$files"/etc/uci-defaults/* "$files"/etc/hotplug.d/*/* "$files/etc/picovrrp.user" "$files"/usr/libexec/rpcd/*
shellcheck cross/debian/{postinst,prerm,postrm}
shellcheck -x -P . cross/ipk cross/deb tests/packages tests/openwrt/*.bash
shellcheck -s dash -e SC1090,SC1091,SC2013 tests/openwrt/etc/rc.common tests/openwrt/lib/functions.sh \
    tests/openwrt/lib/functions/procd.sh tests/openwrt/{bin,sbin,etc/init.d}/*
for file in "$files"/etc/init.d/* "$files"/etc/uci-defaults/* "$files"/etc/hotplug.d/*/* "$files"/usr/libexec/rpcd/*; do
    busybox ash -n "$file"
done
ok "shellcheck and busybox ash: every script"
