#!/usr/bin/env bash
# Installs what the tests need beside Go, Node, make and git, on Debian and its kin: Chromium, the PostgreSQL server
# and a C compiler for the race detector. Only what is missing; nothing is started, no database cluster is made.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | gcc -x c -o /dev/null - 2>/dev/null || missing+=(gcc libc6-dev)

for tool in go node npm git; do
	command -v "$tool" >/dev/null || { echo "$tool is not installed, and this script leaves its choice to you" >&2; exit 1; }
done
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
	{ echo "node is $(node --version), want version 20 or newer" >&2; exit 1; }

if [ ${#missing[@]} -eq 0 ]; then
	echo "Chromium, PostgreSQL and a C compiler are there"
	exit 0
fi
echo "missing: ${missing[*]}"
command -v apt-get >/dev/null ||
	{ echo "there is no apt-get here: install by hand what these Debian packages hold: ${missing[*]}" >&2; exit 1; }
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null ||
		{ echo "neither root nor sudo: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
	as_root=(sudo)
	[ -t 0 ] || as_root=(sudo -n)
fi
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o APT::Color=0 "$@" >>"$log" 2>&1 </dev/null ||
		{ tail -30 "$log" >&2; echo "apt-get $* did not work" >&2; return 1; }
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt update || echo "going on with the package lists that are here" >&2
# Debian starts a cluster as soon as PostgreSQL is installed; the tests start their own. The setting lasts as long as
# the installation.
quiet=/etc/postgresql-common/createcluster.d/hubbub-tests.conf
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
	"${as_root[@]}" mkdir -p "${quiet%/*}"
	echo 'create_main_cluster = false' | "${as_root[@]}" tee "$quiet" >/dev/null
	trap 'rm -f "$log"; "${as_root[@]}" rm -f "$quiet"' EXIT
fi
apt install --no-install-recommends "${missing[@]}"
echo "installed: ${missing[*]}"
