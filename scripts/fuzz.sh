#!/usr/bin/env bash
# Runs each fuzz target of the module in turn, for the time or the number of runs given: 30s, 1000x. 30s if none is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-30s}
count=0
while IFS=: read -r file target; do
	echo "$target in $(dirname "$file") for $time"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
	count=$((count + 1))
done < <(git ls-files --cached --others --exclude-standard '*_test.go' |
	xargs grep -oE '^func Fuzz[A-Za-z0-9_]*' /dev/null | sed 's/:func /:/' | sort)
echo "$count fuzz targets ran"
[ "$count" -gt 0 ]
