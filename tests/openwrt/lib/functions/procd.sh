# Stands in for procd's functions: each call is noted. What is published of the firewall is known to ubus once
# the service is closed.

for f in procd_open_instance procd_set_param procd_close_instance procd_open_data \
	procd_close_data procd_add_reload_trigger procd_set_config_changed json_add_array json_close_array \
	json_add_object json_close_object; do
	eval "$f() { called $f \"\$@\"; }"
done

procd_open_service() {
	called procd_open_service "$@"
	published=
}

json_add_string() {
	called json_add_string "$@"
	published="$published $1=$2"
}

procd_close_service() {
	service_triggers
	called procd_close_service "$@"
	rm -f /ubus
	case $published in
	*proto=112*) echo '{"picovrrp":{"instance1":{"firewall":[{"type":"rule","proto":"112"}]}}}' >/ubus ;;
	esac
}

procd_kill() {
	called procd_kill "$@"
	rm -f /ubus
}
