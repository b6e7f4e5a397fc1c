# shellcheck shell=bash
# A router's root directory in $root: busybox, stand-ins, and the package, installed as opkg does.

root=${tmp:?}/root

make_root() {
    local applet lib
    rm -rf --one-file-system "$root"
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc/config,proc,dev,tmp,var/run,usr/lib/opkg/info}
    chmod 1777 "$root/tmp"
    cp -L "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do ln -s busybox "$root/bin/$applet"; done
    for lib in $(ldd "$root/bin/busybox" "$PACKAGES_BINARY" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | sort -u); do
        mkdir -p "$root/${lib%/*}"
        cp -L "$lib" "$root/$lib"
    done
    (cd tests/openwrt && tar -cf - --owner=0 --group=0 etc lib bin sbin) | tar -C "$root" -xf -
    cat >"$root/etc/config/network" <<'U'
config interface 'lan'
	option device 'br-lan'

config interface 'wan'
	option device 'eth1'
U
    echo "root:x:0:0:root:/root:/bin/sh" >"$root/etc/passwd"
    echo "root:x:0:" >"$root/etc/group"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    forget
}

# What is in the package, and in opkg's list of it.
unpack_package() {
    if [ ! -d "$tmp/pkg" ]; then
        # What it weighs is measured elsewhere: a binary without its debugging part is faster to pack.
        strip -o "$tmp/picovrrp" "$PACKAGES_BINARY"
        cross/ipk x86_64 --binary "$tmp/picovrrp" --out "$tmp/pkg" >/dev/null
    fi
    tar -xzOf "$tmp"/pkg/picovrrp_*_x86_64.ipk ./data.tar.gz | tar -C "$root" -xpzf -
    tar -xzOf "$tmp"/pkg/picovrrp_*_x86_64.ipk ./data.tar.gz | tar -tzf - | sed -n 's,^\./\(.*[^/]\)$,/\1,p' \
        >"$root/usr/lib/opkg/info/picovrrp.list"
    for script in postinst prerm; do
        tar -xzOf "$tmp"/pkg/picovrrp_*_x86_64.ipk ./control.tar.gz | tar -xzOf - "./$script" \
            >"$root/usr/lib/opkg/info/picovrrp.$script"
        chmod 755 "$root/usr/lib/opkg/info/picovrrp.$script"
    done
}

in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
}

service() {
    in_root /etc/init.d/picovrrp "$@"
}

forget() {
    : >"$root/calls"
    : >"$root/log"
}

calls() {
    cat "$root/calls"
}

# What the calls of a start are, for these words of the command, files and triggers.
started() { # COMMAND FILES TRIGGERS [no-firewall]
    cat <<C
procd_open_service picovrrp /etc/init.d/picovrrp
procd_open_instance
procd_set_param command /usr/sbin/picovrrp run $1
procd_set_param file $2
procd_set_param reload_signal HUP
procd_set_param respawn 3600 5 0
procd_set_param term_timeout 30
procd_set_param limits core=0 'nofile=256 256'
procd_set_param stderr 1
C
    [ -n "${4:-}" ] || cat <<'C'
procd_open_data
json_add_array firewall
json_add_object ''
json_add_string type rule
json_add_string src *
json_add_string proto 112
json_add_string target ACCEPT
json_close_object
json_close_array
procd_close_data
C
    cat <<C
procd_close_instance
procd_add_reload_trigger $3
procd_close_service set
C
}

# The calls of a start that starts nothing.
idle() { # TRIGGERS
    cat <<C
procd_open_service picovrrp /etc/init.d/picovrrp
procd_add_reload_trigger $1
procd_close_service set
C
}

# A UCI file that is right, with these lines in its globals.
uci_file() { # FILE [LINE...]
    {
        echo "config globals 'globals'"
        [ $# = 1 ] || printf '\t%s\n' "${@:2}"
        cat <<'U'

config ipaddress
	option name 'gateway'
	option address '192.168.1.1/24'

config vrrp_instance
	option name 'lan'
	option interface 'lan'
	option virtual_router_id '51'
	option priority '150'
	option version '3'
	option advert_int '0.1'
	list virtual_ipaddress 'gateway'
U
    } >"$root$1"
}
