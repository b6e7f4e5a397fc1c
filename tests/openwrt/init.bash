# shellcheck shell=bash
# The init script and uci-defaults where no daemon runs: what they tell procd. The configuration is checked by
# the real binary.
# shellcheck source=tests/openwrt/kit.bash
. tests/openwrt/kit.bash
# shellcheck source=tests/openwrt/root.bash
. tests/openwrt/root.bash

make_root
unpack_package
config=/etc/config/picovrrp files="/etc/config/picovrrp /etc/config/network"

# As the package brings it: nothing runs, and procd learns what to watch.
in_root /usr/lib/opkg/info/picovrrp.postinst configure
same "calls of postinst" "$(calls)" <<L
picovrrp enable
$(idle "picovrrp network")
L
[ ! -e "$root/etc/uci-defaults/50-picovrrp" ] || wrong "uci-defaults would run again"
[ ! -s "$root/log" ] || wrong "said of a fresh package: $(cat "$root/log")"
sed -i "s/option enabled '0'/option enabled '1'/" "$root$config"
try service check
if [ "$status" != 0 ] || [[ $said == *error* ]]; then wrong "the example of $config is not right: $said"; fi
ok "init: a fresh package is off, and its example right"

uci_file "$config" "option enabled '1'"
forget
service start
same "calls of start" "$(calls)" <<<"$(started "--uci $config" "$files" "picovrrp network")
procd_set_config_changed firewall"
forget
service reload
same "calls of reload" "$(calls)" <<<"$(started "--uci $config" "$files" "picovrrp network")"
forget
service stop
same "calls of stop" "$(calls)" <<<"procd_kill picovrrp"
[ ! -s "$root/log" ] || wrong "said of a good configuration: $(cat "$root/log")"
ok "init: start, reload, stop; the firewall is told once"

# Neither the word 'enabled' nor its section is needed.
uci_file "$config"
forget
service start
same "calls without enabled" "$(calls)" <<<"$(started "--uci $config" "$files" "picovrrp network")
procd_set_config_changed firewall"
uci_file "$config" "option enabled 'off'"
forget
service reload
same "calls when switched off" "$(calls)" <<<"$(idle "picovrrp network")
procd_set_config_changed firewall"
ok "init: enabled by default, and switched off by a reload"

uci_file "$config" "option firewall '0'" "option realtime '50'" "option lock_memory '1'"
forget
service start
same "calls with options" "$(calls)" <<<"$(started "--uci $config --lock-memory --realtime 50" "$files" "picovrrp network" no-firewall)"
for wrong in 0 100 x '5 --uci /tmp/x'; do
    uci_file "$config" "option realtime '$wrong'"
    forget
    try service start
    [ "$status" = 1 ] || wrong "realtime '$wrong': exit status $status"
    same "calls with realtime '$wrong'" "$(calls)" <<<"$(idle picovrrp)"
    grep -q "^daemon.err picovrrp: $config: realtime '$wrong': expected a priority from 1 to 99$" "$root/log"
done
for wrong in '/etc/my vrrp.conf' 'picovrrp.conf'; do
    # It is right, and there for who looks from here.
    printf 'instance lan on br-lan vrid 51 priority 150\n  address 192.168.1.1/24\n' >"$root/$wrong"
    for option in config_file uci_file; do
        uci_file "$config" "option $option '$wrong'"
        forget
        try service start
        [ "$status" = 1 ] || wrong "$option '$wrong': exit status $status"
        same "calls with $option '$wrong'" "$(calls)" <<<"$(idle picovrrp)"
        grep -q "^daemon.err picovrrp: $config: '$wrong': expected a file's whole path, without blanks$" "$root/log"
    done
done
ok "init: realtime, lock_memory, firewall; a realtime or a file that is none starts nothing"

# A file in our own language, by option.
uci_file "$config" "option config_file '/etc/picovrrp.conf'"
printf 'instance lan on br-lan vrid 51 priority 150\n  address 192.168.1.1/24\n' >"$root/etc/picovrrp.conf"
forget
service start
same "calls with a line file" "$(calls)" <<<"$(started "--file /etc/picovrrp.conf" "/etc/picovrrp.conf" "picovrrp")
procd_set_config_changed firewall"
uci_file "$config" "option uci_file '/etc/config/keepalived'"
uci_file /etc/config/keepalived "option alt_config_file '/etc/keepalived/keepalived.conf'"
forget
service start
same "calls with keepalived's file" "$(calls)" <<<"$(started "--uci /etc/config/keepalived" \
    "/etc/config/keepalived /etc/config/network /etc/keepalived/keepalived.conf" "picovrrp keepalived network")"
ok "init: a line file or another UCI file by option, with its own files and triggers"

# Broken: the daemon's own words are logged and shown, nothing is started, and a change will be heard of.
uci_file "$config"
sed -i "s/'150'/'many'/" "$root$config"
forget
try service start
[ "$status" = 1 ] || wrong "start of a broken configuration: exit status $status"
same "calls when broken" "$(calls)" <<<"$(idle "picovrrp network")
procd_set_config_changed firewall"
words=$(in_root /usr/sbin/picovrrp check --offline --uci "$config" 2>&1 || true)
[[ $words == *priority* ]] || wrong "the daemon says: $words"
same "the log" "$(sed 's/^daemon.err picovrrp: //' "$root/log")" <<<"$words"
[[ $said == *"${words%%$'\n'*}"* ]] || wrong "who typed it is told: $said"
try service check
[ "$status" = 1 ] || wrong "check of a broken configuration: exit status $status"
# A script that is not there is no reason not to run.
uci_file "$config"
printf "\toption notify '/nosuch/script'\n" >>"$root$config"
forget
service start
grep -q "^procd_set_param command " "$root/calls" || wrong "a missing hook keeps the router from starting"
ok "init: broken, the daemon's words are logged and nothing starts; a missing hook is no reason"

rm "$root$config"
forget
try service start
[ "$status" = 1 ] || wrong "start without a configuration: exit status $status"
same "calls without a configuration" "$(calls)" <<<"$(idle picovrrp)
procd_set_config_changed firewall"
same "the log" "$(cat "$root/log")" <<<"daemon.err picovrrp: there is no $config"
uci_file "$config" "option config_file '/etc/nosuch.conf'"
forget
try service start
[ "$status" = 1 ] || wrong "start without its file: exit status $status"
grep -q "^daemon.err picovrrp: .*/etc/nosuch.conf" "$root/log" || wrong "not said: $(cat "$root/log")"
ok "init: no configuration, or none of that name: said, and nothing starts"

# keepalived is left alone unless asked.
fresh() {
    umount "$root/proc" "$root/dev"
    make_root
    unpack_package
    uci_file /etc/config/keepalived "option enabled '1'"
    in_root mv /etc/uci-defaults/50-picovrrp /tmp/defaults
}
fresh
before=$(cat "$root$config")
in_root sh -c '. /tmp/defaults'
same "$config, unasked" "$(cat "$root$config")" <<<"$before"
[ -z "$(calls)" ] || wrong "uci-defaults does something unasked: $(calls)"
touch "$root/etc/picovrrp.adopt"
in_root sh -c '. /tmp/defaults'
same "calls of uci-defaults when asked" "$(calls)" <<'L'
keepalived disable
keepalived stop
L
[ ! -e "$root/etc/picovrrp.adopt" ] || wrong "the request stays"
grep -q "^daemon.notice .*/etc/config/keepalived is taken over, keepalived is switched off$" "$root/log"
forget
service start
grep -qx "procd_set_param command /usr/sbin/picovrrp run --uci /etc/config/keepalived" "$root/calls" || wrong "$(calls)"
ok "uci-defaults: nothing unasked; by /etc/picovrrp.adopt keepalived's file is used and its service switched off"

fresh
sed -i "s,#option config_file,option config_file," "$root$config"
service adopt
same "calls of adopt" "$(grep -v '^procd_\|^json_' "$root/calls")" <<'L'
keepalived disable
keepalived stop
picovrrp enable
L
grep -qx "procd_set_param command /usr/sbin/picovrrp run --uci /etc/config/keepalived" "$root/calls" || wrong "$(calls)"
ok "init: adopt, by hand"

# What cannot be used is not adopted, and keepalived goes on.
fresh
for how in broken off missing; do
    uci_file /etc/config/keepalived "option enabled '1'"
    case $how in
    broken) sed -i "s/'51'/'0'/" "$root/etc/config/keepalived" ;;
    off) sed -i "s/enabled '1'/enabled '0'/" "$root/etc/config/keepalived" ;;
    missing) rm "$root/etc/config/keepalived" ;;
    esac
    before=$(cat "$root$config")
    touch "$root/etc/picovrrp.adopt"
    forget
    try in_root sh -c '. /tmp/defaults'
    if [ "$status" = 0 ] || [ ! -e "$root/etc/picovrrp.adopt" ]; then wrong "$how: the request is forgotten"; fi
    same "$config, $how" "$(cat "$root$config")" <<<"$before"
    [ -z "$(calls)" ] || wrong "$how: adopted all the same: $(calls)"
    grep -q "^daemon.err picovrrp: .*keepalived" "$root/log" || wrong "$how: not said: $(cat "$root/log")"
done
ok "uci-defaults: a keepalived that is broken, switched off or not there is not adopted, and the request stays"

# rpcd looks for plugins when told.
fresh
echo rpcd >"$root/running"
in_root sh -c '. /tmp/defaults'
same "calls where rpcd runs" "$(calls)" <<<"rpcd reload"

forget
in_root /usr/lib/opkg/info/picovrrp.prerm remove
same "calls of prerm" "$(calls)" <<'L'
picovrrp disable
procd_kill picovrrp
L
try service help
for word in check adopt yield resume; do
    [[ $said == *$'\t'$word$'\t'* ]] || wrong "help says nothing of $word: $said"
done
ok "init: prerm, rpcd's reload, help"

# An upgrade where no daemon runs: nothing is stopped or switched off, and the start is that of every package.
upgrade_script() { # SCRIPT ARGUMENT...
    in_root env PKG_UPGRADE=1 "/usr/lib/opkg/info/picovrrp.$1" "${@:2}"
}
fresh
uci_file "$config"
forget
upgrade_script prerm upgrade 0.2.0-r1
same "calls of prerm on an upgrade" "$(calls)" <<<""
in_root env PKG_UPGRADE=1 /etc/init.d/picovrrp restart
grep -qx "procd_kill picovrrp" "$root/calls" || wrong "restart is kept from stopping: $(calls)"
service stop
forget
upgrade_script postinst configure
same "calls of postinst on an upgrade" "$(calls)" <<<"$(started "--uci $config" "$files" "picovrrp network")
procd_set_config_changed firewall"
[ ! -s "$root/log" ] || wrong "said of an upgrade without a daemon: $(cat "$root/log")"
ok "init: an upgrade stops and switches off nothing, and starts as the first installation does"

# The commands that are handed on, as they were typed and with the status that came back.
cat >"$root/usr/sbin/picovrrp" <<'S'
#!/bin/sh
for word; do printf "<%s>" "$word"; done >>/calls
exit 4
S
forget
for command in yield resume status; do
    try service $command lan for 30m
    [ "$status" = 4 ] || wrong "$command: exit status $status, $said"
done
same "commands" "$(calls)" <<<"<yield><lan><for><30m><resume><lan><for><30m><status><lan><for><30m>"
umount "$root/proc" "$root/dev"
ok "init: yield, resume and status are the program's"
