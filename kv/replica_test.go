package kv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"b8s/subjects"
)

func TestPutReachesReplica(t *testing.T) {
	l := newLab(t)
	l.put(subjects.Records, "example.com", zoneText("example.com.", 1))
	n := l.node("sydney")
	s := n.awaitRevision(subjects.Records, 1)
	if e, ok := s.Get("example.com"); !ok || string(e.Value) != string(zoneText("example.com.", 1)) {
		t.Fatalf("got %+v", e)
	}
	e := l.put(subjects.Records, "example.org", zoneText("example.org.", 1))
	n.awaitRevision(subjects.Records, e.Revision)
	want, err := l.store.Digest(t.Context(), subjects.Records)
	must(t, err)
	got := n.awaitState("the dom's digest", subjects.Records, func(st BucketStatus) bool { return st.Digest == want })
	if got.Revision != e.Revision || got.Epoch != 1 || got.Created != l.store.Heads()[subjects.Records].Created {
		t.Fatalf("state: %+v", got)
	}
}

func TestReplicaBootsFromDiskAlone(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	e := l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	n.awaitRevision(subjects.Hosts, e.Revision)
	n.stop()
	l.stop()
	n.open()
	if got, ok := n.seen[subjects.Hosts].Get("www"); !ok || got.Revision != e.Revision || string(got.Value) != string(e.Value) {
		t.Fatalf("from disk: %+v", got)
	}
	if st := n.State()[subjects.Hosts]; st.Revision != e.Revision || st.Fault != "" {
		t.Fatalf("state: %+v", st)
	}
}

func TestDamagedSnapshotIsSetAside(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	e := l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	n.awaitRevision(subjects.Hosts, e.Revision)
	n.stop()
	path := filepath.Join(n.dir, "buckets", subjects.Hosts)
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, text[:len(text)/2], 0o600))
	n.open()
	if st := n.State()[subjects.Hosts]; !strings.Contains(st.Fault, "damaged") {
		t.Fatalf("state: %+v", st)
	}
	n.start()
	n.awaitRevision(subjects.Hosts, e.Revision)
	n.awaitState("no fault", subjects.Hosts, func(st BucketStatus) bool { return st.Fault == "" })
}

// withoutLive runs act while the stream repeats nothing: each live message of
// it is lost.
func (l *lab) withoutLive(bucket string, act func()) {
	l.t.Helper()
	st, err := l.store.js.Stream(l.t.Context(), subjects.Stream(bucket))
	must(l.t, err)
	c := st.CachedInfo().Config
	live := c.RePublish
	c.RePublish = nil
	_, err = l.store.js.UpdateStream(l.t.Context(), c)
	must(l.t, err)
	act()
	c.RePublish = live
	_, err = l.store.js.UpdateStream(l.t.Context(), c)
	must(l.t, err)
}

func TestLostLastMessageIsFoundByHeads(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", hostsValue("www.example.com")).Revision)
	var lost Entry
	l.withoutLive(subjects.Hosts, func() { lost = l.put(subjects.Hosts, "www", hostsValue("new.example.com")) })
	n.beat()
	if st := n.State()[subjects.Hosts]; st.Revision >= lost.Revision || st.BehindSince.IsZero() {
		t.Fatalf("after one beat: %+v, want behind %d", st, lost.Revision)
	}
	n.beat()
	n.awaitRevision(subjects.Hosts, lost.Revision)
	n.awaitState("caught up", subjects.Hosts, func(st BucketStatus) bool { return st.BehindSince.IsZero() })
}

func TestLostMessageIsFoundByTheNext(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", hostsValue("www.example.com")).Revision)
	l.withoutLive(subjects.Hosts, func() { l.put(subjects.Hosts, "blog", hostsValue("blog.example.com")) })
	last := l.put(subjects.Hosts, "www", hostsValue("new.example.com"))
	if _, ok := n.awaitRevision(subjects.Hosts, last.Revision).Get("blog"); !ok {
		t.Fatal("the lost key is not there")
	}
}

func (n *node) awaitFault(bucket, words string) {
	n.lab.t.Helper()
	n.awaitState("fault "+words, bucket, func(st BucketStatus) bool { return strings.Contains(st.Fault, words) })
}

// stands checks that the sub serves host under key and not what the dom has
// now, and that live changes don't reach it.
func (n *node) stands(key string, value []byte) {
	n.lab.t.Helper()
	n.lab.put(subjects.Hosts, "other", hostsValue("other.example.com"))
	n.beat()
	n.beat()
	must(n.lab.t, n.nc.FlushTimeout(patience))
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.seen[subjects.Hosts]
	if e, ok := s.Get(key); !ok || string(e.Value) != string(value) {
		n.lab.t.Fatalf("key %s: %+v", key, e)
	}
	if _, ok := s.Get("other"); ok {
		n.lab.t.Fatal("a live change was applied in a fault")
	}
}

func (l *lab) force(bucket string, n *node) uint64 {
	l.t.Helper()
	epoch, err := l.store.Force(l.t.Context(), bucket, n.State()[bucket].Epoch)
	must(l.t, err)
	return epoch
}

func TestWipedStoreIsRefusedUntilForced(t *testing.T) {
	for _, file := range []string{"kept", "lost"} {
		t.Run("epoch file "+file, func(t *testing.T) {
			l := newLab(t)
			n := l.node("sydney")
			value := hostsValue("www.example.com")
			n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", value).Revision)
			l.restart(func() {
				must(t, os.RemoveAll(l.dir))
				if file == "lost" {
					must(t, os.Remove(l.file))
				}
			})
			if got := l.store.Epoch(subjects.Hosts); got != 1 {
				t.Fatalf("epoch of a store made anew: %d, want 1", got)
			}
			n.awaitFault(subjects.Hosts, "key www is held at revision 1, and the dom does not have it")
			n.stands("www", value)
			epoch := l.force(subjects.Hosts, n)
			n.beat()
			s := n.await("forced epoch", subjects.Hosts, func(s Snapshot) bool { return s.Epoch == epoch })
			if _, ok := s.Get("www"); ok {
				t.Fatal("a key that the dom doesn't have is served after force")
			}
			n.awaitState("no fault", subjects.Hosts, func(st BucketStatus) bool { return st.Fault == "" })
			n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", value).Revision)
		})
	}
}

func TestOldStoreIsRefusedUntilEachKeyOvertook(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	l.put(subjects.Hosts, "www", hostsValue("one.example.com"))
	backup := filepath.Join(t.TempDir(), "backup")
	l.restart(func() { copyDir(t, l.dir, backup) })
	value := hostsValue("three.example.com")
	l.put(subjects.Hosts, "www", hostsValue("two.example.com"))
	n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", value).Revision)
	l.restart(func() {
		must(t, os.RemoveAll(l.dir))
		copyDir(t, backup, l.dir)
	})
	n.awaitFault(subjects.Hosts, "key www is held at revision 3, and the dom offers 1")
	n.stands("www", value)
	for l.store.Heads()[subjects.Hosts].Last < 6 { // the sequence overtakes, the key does not
		l.put(subjects.Hosts, "blog", hostsValue("blog.example.com"))
	}
	n.beat()
	n.awaitFault(subjects.Hosts, "key www is held at revision 3, and the dom offers 1")
	n.stands("www", value)
	last := l.put(subjects.Hosts, "www", hostsValue("four.example.com"))
	n.beat()
	n.awaitRevision(subjects.Hosts, last.Revision)
	n.awaitState("no fault", subjects.Hosts, func(st BucketStatus) bool { return st.Fault == "" })
}

func TestOldStoreForced(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	old := hostsValue("one.example.com")
	l.put(subjects.Hosts, "www", old)
	backup := filepath.Join(t.TempDir(), "backup")
	l.restart(func() { copyDir(t, l.dir, backup) })
	n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", hostsValue("two.example.com")).Revision)
	l.restart(func() {
		must(t, os.RemoveAll(l.dir))
		copyDir(t, backup, l.dir)
	})
	n.awaitFault(subjects.Hosts, "offers 1")
	epoch := l.force(subjects.Hosts, n)
	s := n.await("forced epoch", subjects.Hosts, func(s Snapshot) bool {
		e, _ := s.Get("www")
		return s.Epoch == epoch && e.Epoch == epoch
	})
	if e, _ := s.Get("www"); string(e.Value) != string(old) {
		t.Fatalf("after force: %s", e.Value)
	}
	// The forced store is now itself replaced by the old one: a lower epoch.
	l.restart(func() {
		must(t, os.RemoveAll(l.dir))
		copyDir(t, backup, l.dir)
	})
	n.awaitFault(subjects.Hosts, "the dom offers epoch 1")
	if again := l.force(subjects.Hosts, n); again <= epoch {
		t.Fatalf("second force: epoch %d, want above %d", again, epoch)
	}
	n.awaitState("no fault", subjects.Hosts, func(st BucketStatus) bool { return st.Fault == "" })
}

func TestStreamMadeAnewUnderAConnectedSub(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	value := hostsValue("www.example.com")
	for range 3 {
		l.put(subjects.Hosts, "www", value)
	}
	n.awaitRevision(subjects.Hosts, 3)
	must(t, l.store.js.DeleteStream(t.Context(), subjects.Stream(subjects.Hosts)))
	b, _ := subjects.LookupBucket(subjects.Hosts)
	must(t, l.store.openBucket(t.Context(), b))
	l.put(subjects.Hosts, "blog", hostsValue("blog.example.com"))
	must(t, l.store.Refresh(t.Context()))
	n.beat()
	n.awaitFault(subjects.Hosts, "key www is held at revision 3, and the dom does not have it")
	n.stands("www", value)
}

func TestLiveChangesThatGoBackwardsAreFoundWithoutAHeartbeat(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	n.await("the empty bucket", subjects.Hosts, func(s Snapshot) bool { return s.Epoch == 1 })
	for range 3 {
		n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", hostsValue("www.example.com")).Revision)
	}
	must(t, l.store.js.DeleteStream(t.Context(), subjects.Stream(subjects.Hosts)))
	b, _ := subjects.LookupBucket(subjects.Hosts)
	must(t, l.store.openBucket(t.Context(), b))
	l.put(subjects.Hosts, "blog", hostsValue("blog.example.com"))
	n.awaitFault(subjects.Hosts, "the dom does not have it")
}

func TestDeleteWhileAway(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	l.put(subjects.Records, "example.com", zoneText("example.com.", 1))
	e := l.put(subjects.Records, "example.org", zoneText("example.org.", 1))
	n.awaitRevision(subjects.Records, e.Revision)
	n.stop()
	_, err := l.store.Delete(t.Context(), subjects.Records, "example.com")
	must(t, err)
	n.open()
	n.start()
	s := n.await("the deletion", subjects.Records, func(s Snapshot) bool { return len(s.Entries) == 1 })
	if s.Entries[0].Key != "example.org" || s.Revision != e.Revision+1 {
		t.Fatalf("got %+v", s)
	}
}
