package main

import (
	"runtime"
	"runtime/debug"
)

// release is set by the linker for a release: -X main.release=1.2.3.
var release string

// version returns the release, or the revision it was built from, and the Go version.
func version() string {
	v := release
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = "development"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v += " " + s.Value[:12]
			}
		}
	}
	return v + " (" + runtime.Version() + ")"
}
