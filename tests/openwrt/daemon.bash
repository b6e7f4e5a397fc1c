# shellcheck shell=bash
# The package with a daemon that runs: it is started with the command that procd was given, on interfaces of
# this test's own.
# shellcheck source=tests/openwrt/kit.bash
. tests/openwrt/kit.bash
# shellcheck source=tests/openwrt/root.bash
. tests/openwrt/root.bash

make_root
unpack_package
config=/etc/config/picovrrp
ip link set lo up
for link in br-lan eth1; do
    ip link add "$link" type veth peer name "$link-far"
    ip link set "$link" up
    ip link set "$link-far" up
done
ip address add 192.168.1.2/24 dev br-lan
pid=

# As procd does: runs the command it was given last. Waits until the daemon answers.
run_command() {
    local command
    command=$(sed -n 's/^procd_set_param command //p' "$root/calls" | tail -n 1)
    [ -n "$command" ] || wrong "procd was given no command: $(calls)"
    # shellcheck disable=SC2086  # words
    in_root $command >"$tmp/daemon.log" 2>&1 &
    until_true "the daemon answers" daemon status
    pid=$(cat "$root/var/run/picovrrp/picovrrp.pid")
}

daemon() {
    in_root /usr/sbin/picovrrp "$@" >/dev/null 2>&1
}

until_true() { # WHAT COMMAND...
    local what=$1 n
    shift
    for ((n = 0; n < 200; n++)); do
        if "$@"; then return; fi
        sleep 0.05
    done
    wrong "$what: not within ten seconds; $(cat "$tmp/daemon.log")"
}

alive() {
    grep -qE '^State:\s+[^ZX]' "/proc/$pid/status" 2>/dev/null
}

ended() {
    ! alive
}

state_is() {
    [ "$(in_root /usr/sbin/picovrrp status --json lan | json "v['instances'][0]['state']")" = "$1" ]
}

priority_is() {
    [ "$(in_root /usr/sbin/picovrrp status --json lan | json "v['instances'][0]['priority']")" = "$1" ]
}

told() {
    grep -qxF "$1" "$root/told" 2>/dev/null
}

# The hooks: the owner's script of our own type, and one of keepalived's that is there already.
echo "echo \"ours \$TYPE \$NAME \$ACTION\" >>/told" >"$root/etc/picovrrp.user"
mkdir -p "$root/etc/hotplug.d/keepalived"
echo "echo \"keepalived \$TYPE \$NAME \$ACTION\" >>/told" >"$root/etc/hotplug.d/keepalived/01-test"

uci_file "$config" "list hotplug 'picovrrp'" "list hotplug 'keepalived'"
service start
run_command
until_true "MASTER" state_is MASTER
until_true "our hook" told "ours INSTANCE lan NOTIFY_MASTER"
until_true "keepalived's hook" told "keepalived INSTANCE lan NOTIFY_MASTER"
ok "daemon: runs with the command that procd was given; hooks of both kinds are called"

# The plugin for rpcd, and in keepalived's name.
plugin=/usr/libexec/rpcd/picovrrp
same "list" "$(in_root $plugin list | json "sorted(v)")" <<<"['dump', 'status']"
now=$(date +%s)
for call in dump status; do
    in_root $plugin call $call </dev/null >"$tmp/answer"
    same "$call: data" "$(json "[v['status'][0]['data'][k] for k in ('iname', 'ifp_ifname', 'state', 'vips')]" <"$tmp/answer")" \
        <<<"['lan', 'br-lan', 2, ['192.168.1.1/24 dev br-lan']]"
    same "$call: stats" "$(json "[v['status'][0]['stats'][k] for k in ('become_master', 'release_master', 'advert_rcvd')] + \
        [v['status'][0]['stats']['advert_sent'] > 0]" <"$tmp/answer")" <<<"[1, 0, 0, True]"
    same "$call: time" "$(json "abs(v['status'][0]['data']['last_transition'] - $now) < 60" <"$tmp/answer")" <<<True
    same "$call: notified" "$(json "v['instance'][0]['name'], v['instance'][0]['status']" <"$tmp/answer")" <<<"lan NOTIFY_MASTER"
done
same "an unknown call" "$(in_root $plugin call what </dev/null | json v)" <<<"{'error': 'invalid call'}"
tar -xzOf "$tmp"/pkg/picovrrp-keepalived_*_all.ipk ./data.tar.gz | tar -C "$root" -xpzf -
same "keepalived's name" "$(in_root /usr/libexec/rpcd/keepalived call dump </dev/null | json "v['status'][0]['data']['iname']")" <<<lan
try service status
if [ "$status" != 0 ] || [[ $said != *MASTER* ]]; then wrong "status: $status, $said"; fi
metrics=$(in_root /usr/sbin/picovrrp status --prometheus)
grep -q '^picovrrp_instance_state{instance="lan",interface="br-lan",vrid="51",family="ipv4"} 2$' <<<"$metrics" || wrong "$metrics"
try in_root /usr/sbin/picovrrp status --json --prometheus
[ "$status" = 2 ] || wrong "two forms at once: exit status $status, $said"
try in_root /usr/sbin/picovrrp status --keepalived-json nosuch
[ "$status" = 4 ] || wrong "no such instance: exit status $status"
ok "rpcd: list, dump, status, of a real daemon; status --prometheus"

# A reload is a signal, and the daemon goes on.
sed -i "s/'150'/'140'/" "$root$config"
forget
service reload
same "calls of reload" "$(calls)" <<<"$(started "--uci $config" "$config /etc/config/network" "picovrrp network")"
kill -HUP "$pid"
until_true "priority 140" priority_is 140
alive || wrong "the daemon is gone after a reload"

# A broken file: whatever the command, procd is told nothing, the daemon goes on, and its words are in the log.
cp "$root$config" "$tmp/good"
sed -i "s/'140'/'many'/" "$root$config"
for command in reload start restart; do
    forget
    try service $command
    [ "$status" = 1 ] || wrong "$command with a broken file: exit status $status"
    same "calls of $command with a broken file" "$(grep -v '^procd_open_service' "$root/calls" || true)" <<<""
    grep -q "^daemon.err picovrrp: $config:.*priority" "$root/log" || wrong "$command: not said: $(cat "$root/log")"
    alive || wrong "$command with a broken file ends the daemon"
done
rm "$root$config"
try service restart
if [ "$status" != 1 ] || ! alive; then wrong "restart without a file: $status"; fi
cp "$tmp/good" "$root$config"
state_is MASTER || wrong "no longer MASTER"
ok "init: with a broken file reload, start and restart leave the daemon as it is, and say why"

# The daemon refuses a reload for a hook that is not there; a start does not ask.
cp "$root$config" "$tmp/good"
printf "\toption notify '/nosuch/script'\n" >>"$root$config"
forget
try service reload
[ "$status" = 1 ] || wrong "reload with a missing hook: exit status $status"
grep -q "^daemon.err picovrrp: .*/nosuch does not exist" "$root/log" || wrong "not said: $(cat "$root/log")"
cp "$tmp/good" "$root$config"

# Another file: HUP would read the old one again, so the daemon is stopped, and procd starts it anew.
printf 'script-user root\ninstance lan on br-lan vrid 51 priority 130 version 3 advert 100ms\n  address 192.168.1.1/24\n' \
    >"$root/etc/picovrrp.conf"
sed -i "s,^config globals.*,&\n\toption config_file '/etc/picovrrp.conf'," "$root$config"
forget
service reload
if alive; then wrong "the daemon still runs with its old file"; fi
run_command
until_true "priority 130" priority_is 130
until_true "MASTER" state_is MASTER
ok "init: another file is another daemon"

# An upgrade by opkg: the old package's prerm, new files in place of the removed old ones, the new one's postinst.
upgrade_script() { # SCRIPT ARGUMENT...
    in_root env PKG_UPGRADE=1 "/usr/lib/opkg/info/picovrrp.$1" "${@:2}"
}
program() { # FILE: it is the new one
    rm "$root/usr/sbin/picovrrp"
    install -m755 "$1" "$root/usr/sbin/picovrrp"
}
runs_from() {
    [ "$(stat -L -c %i "/proc/$pid/exe")" = "$(stat -c %i "$root/usr/sbin/$1")" ]
}
command="--file /etc/picovrrp.conf"
forget
upgrade_script prerm upgrade 0.2.0-r1
same "calls of prerm" "$(calls)" <<<""
alive || wrong "prerm of an upgrade ends the daemon"
program "$tmp/picovrrp"
if runs_from picovrrp; then wrong "the daemon runs the new program before it was told to"; fi
upgrade_script postinst configure
same "calls of postinst" "$(calls)" <<<"$(started "$command" /etc/picovrrp.conf picovrrp)"
runs_from picovrrp || wrong "the daemon runs the old program: $(cat "$root/log" "$tmp/daemon.log")"
same "the process" "$(cat "$root/var/run/picovrrp/picovrrp.pid")" <<<"$pid"
state_is MASTER || wrong "no longer MASTER"
same "times that it became MASTER" "$(in_root /usr/sbin/picovrrp status --keepalived-json | json "v['status'][0]['stats']['become_master']")" <<<1
[ ! -s "$root/log" ] || wrong "said of an upgrade: $(cat "$root/log")"
forget
service reload
if ! alive || ! runs_from picovrrp; then wrong "a reload behind an upgrade ends the daemon"; fi
ok "upgrade: the daemon goes on as the new program, in the same process and without a change of state"

# With a configuration that the new program refuses nothing is stopped.
cp "$root/etc/picovrrp.conf" "$tmp/good"
echo nonsense >>"$root/etc/picovrrp.conf"
forget
program "$tmp/picovrrp"
upgrade_script postinst configure
same "calls with a broken file" "$(grep -v '^procd_open_service' "$root/calls" || true)" <<<""
grep -q "^daemon.warning picovrrp: the running daemon goes on with the old program" "$root/log" || wrong "$(cat "$root/log")"
if ! alive || runs_from picovrrp; then wrong "a broken file does not keep the daemon as it is"; fi
cp "$tmp/good" "$root/etc/picovrrp.conf"

# A daemon that will not be upgraded is started anew, handing over; so is one that does not understand the new
# program's words.
cat >"$tmp/refuses" <<'S'
#!/bin/sh
[ "$1" != upgrade ] || { echo "not today" >&2; exit 3; }
[ "$1" != stop ] || [ ! -e /deaf ] || exit 3
exec /usr/sbin/picovrrp.real "$@"
S
for deaf in "" yes; do
    [ -z "$deaf" ] || touch "$root/deaf"
    install -m755 "$tmp/picovrrp" "$root/usr/sbin/picovrrp.real"
    program "$tmp/refuses"
    forget
    upgrade_script postinst configure
    same "calls of postinst" "$(calls)" <<<"$(started "$command" /etc/picovrrp.conf picovrrp)"
    grep -q "^daemon.warning picovrrp: no upgrade of the running daemon, it is started anew: not today$" "$root/log" || wrong "$(cat "$root/log")"
    until_true "the old daemon ends" ended
    [[ $(ip -o address show br-lan) != *192.168.1.1/24* ]] || wrong "the address stays"
    program "$tmp/picovrrp"
    run_command
    until_true "MASTER" state_is MASTER
done
ok "upgrade: refused, the daemon is started anew; with a broken file it goes on as it is"

# Stopped, when the script returns: the farewell is sent and the address is gone.
[[ $(ip -o address show br-lan) == *192.168.1.1/24* ]] || wrong "the address is not there"
forget
service stop
same "calls of stop" "$(calls)" <<<"procd_kill picovrrp"
if alive; then wrong "the daemon runs on behind 'stop'"; fi
[[ $(ip -o address show br-lan) != *192.168.1.1/24* ]] || wrong "the address stays"
same "dump without a daemon" "$(in_root $plugin call dump </dev/null | json v)" <<<"{'status': [], 'instance': [], 'group': []}"
umount "$root/proc" "$root/dev"
ok "init: stop returns when the addresses are handed over; rpcd's answer is empty then"
