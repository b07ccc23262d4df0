//go:build tools

// Package tools pins the programs that b8s's tests and its README run beside
// b8s itself, in a module of their own, so that nothing of theirs reaches b8s's
// go.mod. Build them from within this folder:
//
//	go build -o ../dist/nats github.com/nats-io/natscli/nats
package tools

import _ "github.com/nats-io/natscli/nats"
