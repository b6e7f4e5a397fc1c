# Stands in for OpenWrt's: reading UCI, and what a package's postinst and prerm call. A call that changes
# the system is noted in /calls instead.

# An argument with a blank, or with nothing in it, is noted in quotes.
called() {
	local line="" word
	for word; do
		case $word in
		"" | *" "*) word="'$word'" ;;
		esac
		line="$line${line:+ }$word"
	done
	echo "$line" >>/calls
}

# CONFIG_SECTION_OPTION for each option of the file's named sections.
config_load() {
	local text
	[ -f "/etc/config/$1" ] || return 1
	text=$(awk '
		function value(from,   v) {
			v = $0
			sub(/^[ \t]*[a-z]+[ \t]+[^ \t]+[ \t]*/, "", v)
			gsub(/^["'\'']|["'\'']$/, "", v)
			return v
		}
		$1 == "config" { name = value(); next }
		$1 == "option" && name != "" { printf "CONFIG_%s_%s='\''%s'\''\n", name, $2, value() }
	' "/etc/config/$1")
	eval "$text"
}

config_get() { # VARIABLE SECTION OPTION [DEFAULT]
	eval "$1=\${CONFIG_$2_$3:-\$4}"
}

config_get_bool() {
	config_get "$@"
	eval "case \$$1 in
	1 | on | true | yes | enabled) $1=1 ;;
	0 | off | false | no | disabled) $1=0 ;;
	*) $1=\$4 ;;
	esac"
}

default_postinst() {
	local i package=${1##*/}
	package=${package%.*}
	for i in $(grep "^/etc/uci-defaults/" "/usr/lib/opkg/info/$package.list"); do
		( [ -f "$i" ] && . "$i" ) && rm -f "$i"
	done
	for i in $(grep "^/etc/init.d/" "/usr/lib/opkg/info/$package.list"); do
		[ "$PKG_UPGRADE" = 1 ] || "$i" enable
		"$i" start
	done
	return 0
}

default_prerm() {
	local i package=${1##*/}
	package=${package%.*}
	for i in $(grep "^/etc/init.d/" "/usr/lib/opkg/info/$package.list"); do
		[ "$PKG_UPGRADE" = 1 ] || "$i" disable
		"$i" stop
	done
	return 0
}
