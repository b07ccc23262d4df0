# shellcheck shell=bash
# What init-sub and update-sub share; sourced by both, and it travels with them.
#
# Every check is made before the first change. Files are written beside their
# target, synced and renamed, so that a kill leaves the old one or the new one
# whole. B8S_ROOT, if set, is put before every path: a trial run in a folder of
# its own, for which the caller needn't be root.
#
# shellcheck disable=SC2034 # what is set here is used by those that source it

export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022

root=${B8S_ROOT:-}
unit=b8s-sub
bin=$root/usr/local/bin/b8s
unit_file=$root/etc/systemd/system/$unit.service
env_file=$root/etc/b8s/sub.env
state=$root/var/lib/b8s/sub
pending=$bin.pending # there while an update is not proved yet
due=$root/etc/b8s/restart-due # there while the sub runs with what was before

dry_run=
changes=0
stale=
wait_for=30 # seconds that a started sub has to answer

# The terminal may be gone (a dropped SSH connection): talk never ends a run.
say() { printf '%s\n' "$*" 2>/dev/null || true; }

# fail TEXT [NEXT STEP] ends with exit code 1, wrong_usage with 2.
fail() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2 || true
	if (($# > 1)); then printf '  %s\n' "${@:2}" >&2 || true; fi
	exit 1
}
wrong_usage() {
	printf '%s: %s\n  see %s --help\n' "${0##*/}" "$1" "$0" >&2
	exit 2
}

# usage prints the comment at the head of the script.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# change TEXT COMMAND... makes one change and counts it; a dry run tells only.
change() {
	local text=$1
	shift
	changes=$((changes + 1))
	if [[ $dry_run ]]; then
		say "would $text"
		return
	fi
	say "$text"
	"$@"
}

need_root() {
	[[ $root || $EUID == 0 ]] && return
	command -v sudo >/dev/null || fail "needs root, and there is no sudo here" "run it again in a root shell"
	# sudo drops SSH_CONNECTION, by which the port is known that must stay open.
	exec sudo -- bash "$0" ${SSH_CONNECTION:+"--ssh-port=${SSH_CONNECTION##* }"} "$@"
}

digest() {
	local sum
	sum=$(sha256sum <"$1")
	printf '%s' "${sum%% *}"
}

# check_binary FILE HEX refuses one that is not what was sent, or that was
# built for another platform.
check_binary() {
	[[ -f $1 ]] || fail "binary $1: no such file" "give it by --binary=FILE"
	[[ $2 =~ ^[0-9a-f]{64}$ ]] || fail "binary $1: no SHA-256 to check it against" "give it by --sha256=HEX, 64 digits"
	local got want
	got=$(digest "$1")
	[[ $got == "$2" ]] || fail "binary $1: its SHA-256 is $got, not $2; nothing was changed" "fetch it again; if it differs again, somebody else's file is at that address"
	case $(uname -m) in
	x86_64) want=3e00 ;;
	aarch64) want=b700 ;;
	*) fail "no b8s is built for $(uname -m)" ;;
	esac
	# Bytes 18 and 19 of an ELF file name the machine.
	got=$(od -An -tx1 -j18 -N2 "$1" | tr -d ' ')
	[[ $(head -c4 "$1" | od -An -tx1 | tr -d ' ') == 7f454c46 && $got == "$want" ]] ||
		fail "binary $1: built for another platform than this $(uname -m); nothing was changed" "send-sub --platform=linux/amd64 or linux/arm64 makes the right one"
}

# write SOURCE TARGET MODE replaces TARGET whole, durably.
write() {
	mkdir -p "${2%/*}"
	install -m "$3" "$1" "$2.new"
	sync "$2.new"
	mv -f "$2.new" "$2"
	sync "${2%/*}"
}

# put SOURCE TARGET MODE writes TARGET where it differs, and sets stale: what a
# running sub was started with has changed. A mark keeps that through a kill.
# Call it plainly: behind if or || the shell would pass over a failed write.
put() {
	if [[ -f $2 ]] && cmp -s "$1" "$2"; then return; fi
	change "write $2" write_due "$@"
	stale=yes
}
write_due() {
	mkdir -p "${due%/*}"
	: >"$due"
	write "$@"
}

version_of() { "$1" version 2>/dev/null | head -n1; }

status() { "$bin" sub status --state "$state"; }

# answering waits until the sub's status is told, for wait_for seconds at most.
answering() {
	local end=$((SECONDS + wait_for))
	until status >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}

last_words() { journalctl --unit="$unit" --lines=20 --no-pager 2>/dev/null || true; }
