//go:build tools

// Package tools pins the programs that b8s's tests and its README run beside
// b8s itself, in a module of their own, so that nothing of theirs reaches b8s's
// go.mod. Build them from within this folder:
//
//	go build -o ../dist/nats github.com/nats-io/natscli/nats
//	go build -o ../dist/pebble github.com/letsencrypt/pebble/v2/cmd/pebble
package tools

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
	_ "github.com/nats-io/natscli/nats"
)
