// Package scenario proves the whole of b8s: a dom and its subs as several hosts
// on this machine, with real WireGuard, real NATS, real DNS sockets and real
// state folders, driven by the scripts in testdata/scenarios. It has tests
// alone; nothing imports it.
//
// A script reads like a terminal session. Its paragraphs are commands, one a
// line, and below ---- what they print: the state that a person would see, in
// words that don't change with addresses, times and digests. A last line that
// ends with << takes the rest of the paragraph as its input. A command that
// begins with "wait" is repeated until it prints what is expected.
//
// Beside what a script asks, every scenario proves that answering never
// pauses: each sub is asked all the time while it runs, and the scenario fails
// if one question is not answered, or if a zone's serial goes back. At the end
// no goroutine of the scenario may be left.
//
// Run go test ./scenario -update to write what the commands print into the
// scripts, and read the difference.
package scenario
