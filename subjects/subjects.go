// Package subjects names everything that is on the bus: the buckets and their
// keys, the object stores, the subjects of live changes, of status and of
// commands, and what a sub may touch. It holds no other code, so that one
// reading of it tells what a sub that was broken into can reach.
//
// Buckets are KV_ streams and object kinds are OBJ_ streams, as the nats
// command expects them: `nats kv get records example.com` works.
//
// Access is per bucket, never per key: what lists the keys of a bucket lists
// all of them. What one sub may not read is sealed, or in another bucket.
package subjects

import (
	"fmt"
	"regexp"
	"strings"
)

// Live is the subject on which a bucket's change of key is repeated once it is
// stored. Delivery is at most once.
func Live(bucket, key string) string { return "b8s.live." + bucket + "." + key }

// LiveAll matches every live change of a bucket.
func LiveAll(bucket string) string { return Live(bucket, ">") }

// Stored is the subject that a bucket's stream stores key under.
func Stored(bucket, key string) string { return "$KV." + bucket + "." + key }

// StoredAll matches every key of a bucket.
func StoredAll(bucket string) string { return Stored(bucket, ">") }

// StoredKey is the inverse of Stored; ok is false for a subject that is not
// of the bucket.
func StoredKey(bucket, subject string) (key string, ok bool) {
	return strings.CutPrefix(subject, "$KV."+bucket+".")
}

// LiveKey is the inverse of Live.
func LiveKey(bucket, subject string) (key string, ok bool) {
	return strings.CutPrefix(subject, "b8s.live."+bucket+".")
}

// Stream is the name of a bucket's stream.
func Stream(bucket string) string { return "KV_" + bucket }

// ObjectStream is the name of an object kind's stream.
func ObjectStream(kind string) string { return "OBJ_" + kind }

// Status is where a sub says what it serves: core NATS, nothing stores it
// but the dom.
func Status(sub string) string { return "b8s.status." + sub }

// StatusAll matches the status of every sub. Only the dom can subscribe it.
func StatusAll() string { return Status("*") }

// StatusSub is the inverse of Status.
func StatusSub(subject string) (sub string, ok bool) {
	return strings.CutPrefix(subject, "b8s.status.")
}

// Command is where a sub answers one verb of the dom.
func Command(sub, verb string) string { return "b8s.cmd." + sub + "." + verb }

// CommandAll matches every verb of one sub.
func CommandAll(sub string) string { return Command(sub, "*") }

// DirectGet reads messages of a stream, without a consumer.
func DirectGet(stream string) string { return "$JS.API.DIRECT.GET." + stream }

// StreamInfo tells a stream's state and its keys.
func StreamInfo(stream string) string { return "$JS.API.STREAM.INFO." + stream }

var name = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidName says whether s can name a sub, a site or a certificate:
// [a-z0-9][a-z0-9-]{0,62}.
func ValidName(s string) error {
	if !name.MatchString(s) {
		return fmt.Errorf("name %q: want 1 to 63 of a-z, 0-9 and -, the first not a -", s)
	}
	return nil
}
