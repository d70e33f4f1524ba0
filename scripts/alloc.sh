#!/usr/bin/env bash
# Runs the allocation tests, which count what the race detector would add to: the tests named TestAlloc... or
# Test...Alloc..., in the packages that use testing.AllocsPerRun.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t packages < <(git ls-files --cached --others --exclude-standard '*_test.go' |
	xargs grep -l 'testing\.AllocsPerRun' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
go test -count=1 -run 'Alloc' "${packages[@]}"
