// Command fakeb8s stands in for b8s in the tests of the scripts: a real
// executable whose conduct is written in the last line of its own file, as in
// "b8s-test v2 mute", so that each test binary is a copy with a line of its own.
//
// Conducts: good comes up and answers; broken does not come up; mute comes up
// and doesn't answer; enrolled answers and has no enrolment open.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

func main() {
	version, conduct := self()
	switch strings.Join(os.Args[1:min(3, len(os.Args))], " ") {
	case "version":
		fmt.Println("b8s", version)
	case "sub run":
		if conduct == "broken" {
			os.Exit(1)
		}
	case "sub status":
		status(conduct)
	default:
		fmt.Fprintln(os.Stderr, "unexpected arguments:", os.Args[1:])
		os.Exit(2)
	}
}

// self reads the last line of this executable.
func self() (version, conduct string) {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	last := text[bytes.LastIndexByte(bytes.TrimSpace(text), '\n')+1:]
	fields := strings.Fields(string(last))
	if len(fields) != 3 || fields[0] != "b8s-test" {
		fmt.Fprintln(os.Stderr, "no b8s-test line at the end of", path)
		os.Exit(2)
	}
	return fields[1], fields[2]
}

// status answers only while the fake systemctl holds the sub for active.
func status(conduct string) {
	_, err := os.Stat(os.Getenv("B8S_ROOT") + "/active")
	switch {
	case err != nil || conduct == "mute":
		fmt.Fprintln(os.Stderr, "b8s: no sub runs here")
		os.Exit(1)
	case conduct == "enrolled":
		fmt.Println("sydney: serving 3 zones")
	default:
		fmt.Println("waiting to be enrolled, for 14 more minutes:")
		fmt.Println("  b8s dom add-sub 192.0.2.10:[2001:db8::10]:TOKEN:KEY -- auto NAME")
	}
}
