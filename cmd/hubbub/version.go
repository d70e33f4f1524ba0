package main

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release: -X main.version=1.2.3.
var version string

// versionText returns the release, or the revision it was built from, and the Go version.
func versionText() string {
	v := version
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
