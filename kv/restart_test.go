package kv

import (
	"context"
	"testing"

	"b8s/subjects"
)

// A bus that is restarted in place (a full disk leaves it stuck) takes every
// bucket up again, and the subs follow on.
func TestRestartInPlace(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	n.awaitRevision(subjects.Records, l.put(subjects.Records, "example.com", zoneText("example.com.", 1)).Revision)
	l.put(subjects.StatusKV, "sydney", []byte(`{"sub":"sydney"}`))
	for range 2 {
		must(t, l.bus.Restart(context.Background()))
		e := l.put(subjects.Records, "example.com", zoneText("example.com.", 2))
		n.awaitRevision(subjects.Records, e.Revision)
		e = l.put(subjects.Hosts, "www", hostsValue("www.example.com."))
		n.awaitRevision(subjects.Hosts, e.Revision)
		l.put(subjects.StatusKV, "sydney", []byte(`{"sub":"sydney"}`))
	}
	for bucket, st := range n.State() {
		if st.Fault != "" {
			t.Errorf("bucket %s: %s", bucket, st.Fault)
		}
		if want, err := l.store.Digest(context.Background(), bucket); err == nil && st.Digest != want {
			t.Errorf("bucket %s: the sub serves %s, the dom has %s", bucket, st.Digest, want)
		}
	}
}
