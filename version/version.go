// Package version names this build.
package version

import (
	"runtime"
	"runtime/debug"
)

// stamp is set by the linker for a release: -ldflags "-X b8s/version.stamp=v1.2.3".
var stamp string

// String is the release's name, or else the revision that the binary was
// built from, or "devel".
func String() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if revision == "" {
		return "devel"
	}
	return revision + dirty
}

// Platform is what the binary was built for, as in "linux/amd64".
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
