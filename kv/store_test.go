package kv

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

func TestPutValidatesFirst(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct{ bucket, key, value string }{
		{subjects.Records, "example.com", "not a zone"},
		{subjects.Records, "Example.com", string(zoneText("example.com.", 1))},
		{subjects.Hosts, "www", "{}"},
		{subjects.Hosts, "Not A Name", string(hostsValue("www.example.com"))},
		{subjects.GeoLite, "town", "{}"},
		{subjects.Certs, "www", "{}"},
		{"nothing", "www", "{}"},
	} {
		if _, err := l.store.Put(t.Context(), c.bucket, c.key, []byte(c.value)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s %s %q: %v", c.bucket, c.key, c.value, err)
		}
	}
	if h := l.store.Heads()[subjects.Hosts]; h.Last != 0 {
		t.Fatalf("something was stored: %+v", h)
	}
}

func TestUpdateIsCompareAndSwap(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	one, err := l.store.Update(ctx, subjects.Hosts, "www", hostsValue("one.example.com"), 0)
	must(t, err)
	if _, err := l.store.Update(ctx, subjects.Hosts, "www", hostsValue("two.example.com"), 0); !errors.Is(err, ErrChanged) {
		t.Fatalf("second creation: %v", err)
	}
	_, err = l.store.Update(ctx, subjects.Hosts, "www", hostsValue("two.example.com"), one.Revision)
	must(t, err)
	if _, err := l.store.Update(ctx, subjects.Hosts, "www", hostsValue("three.example.com"), one.Revision); !errors.Is(err, ErrChanged) {
		t.Fatalf("stale update: %v", err)
	}
}

func TestHistoryAndDelete(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	for serial := 1; serial <= 70; serial++ {
		l.put(subjects.Records, "example.com", zoneText("example.com.", serial))
	}
	marker, err := l.store.Delete(ctx, subjects.Records, "example.com")
	must(t, err)
	got, err := l.store.Get(ctx, subjects.Records, "example.com")
	if !errors.Is(err, ErrNotFound) || got.Revision != marker.Revision || !got.Deleted {
		t.Fatalf("get: %+v, %v", got, err)
	}
	all, err := l.store.History(ctx, subjects.Records, "example.com")
	must(t, err)
	if len(all) != 64 || !all[63].Deleted || !bytes.Equal(all[62].Value, zoneText("example.com.", 70)) || all[0].Revision != 8 {
		t.Fatalf("%d revisions, from %d", len(all), all[0].Revision)
	}
	list, err := l.store.Entries(ctx, subjects.Records)
	must(t, err)
	if len(list) != 1 || !list[0].Deleted {
		t.Fatalf("entries: %+v", list)
	}
	if _, err := l.store.Get(ctx, subjects.Records, "never.example"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a key that never was: %v", err)
	}
}

func TestNatsReadsBareValues(t *testing.T) {
	l := newLab(t)
	zone := zoneText("example.com.", 7)
	e := l.put(subjects.Records, "example.com", zone)
	js, err := l.nc.JetStream()
	must(t, err)
	kv, err := js.KeyValue(subjects.Records)
	must(t, err)
	got, err := kv.Get("example.com")
	must(t, err)
	if !bytes.Equal(got.Value(), zone) || got.Revision() != e.Revision {
		t.Fatalf("got %q at %d", got.Value(), got.Revision())
	}
	_, err = l.store.Delete(t.Context(), subjects.Records, "example.com")
	must(t, err)
	if _, err := kv.Get("example.com"); !errors.Is(err, nats.ErrKeyNotFound) {
		t.Fatalf("deleted: %v", err)
	}
	watch, err := kv.WatchAll()
	must(t, err)
	if u := <-watch.Updates(); u.Operation() != nats.KeyValueDelete {
		t.Fatalf("watch: %v", u.Operation())
	}
	must(t, watch.Stop())
	if err := kv.Purge("example.com"); err == nil {
		t.Fatal("a purge is taken, and no sub would hear of it")
	}
	m, err := js.GetLastMsg(subjects.Stream(subjects.Records), subjects.Stored(subjects.Records, "example.com"))
	must(t, err)
	if m.Header.Get(headerEpoch) != "1" || m.Header.Get(headerKey) != "example.com" {
		t.Fatalf("headers: %v", m.Header)
	}
}

func TestLargeAnswersComeInParts(t *testing.T) {
	l := newLab(t)
	big := bytes.Repeat([]byte("; a comment line of a zone that is made large\n"), 10_000)
	for _, apex := range []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"} {
		l.put(subjects.Records, apex, append(bytes.Clone(big), zoneText(apex+".", 1)...))
	}
	all, err := l.store.Entries(t.Context(), subjects.Records) // 2.7 MiB: above batchBytes
	must(t, err)
	if len(all) != 6 {
		t.Fatalf("%d entries, want 6", len(all))
	}
	n := l.node("sydney")
	if s := n.awaitRevision(subjects.Records, 6); len(s.Entries) != 6 {
		t.Fatalf("%d entries on the sub, want 6", len(s.Entries))
	}
}

func TestHeadsFitInAHeartbeat(t *testing.T) {
	h := Heads{}
	for _, b := range subjects.Buckets() {
		h[b.Name] = Head{Created: time.Now().UnixNano(), Last: 1 << 50, Epoch: uint64(time.Now().Unix())}
	}
	b, err := json.Marshal(h)
	must(t, err)
	if len(b) >= 1000 {
		t.Fatalf("%d bytes", len(b))
	}
}

func TestHeadsFollowEveryPut(t *testing.T) {
	l := newLab(t)
	e := l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	if h := l.store.Heads()[subjects.Hosts]; h.Last != e.Revision || h.Epoch != 1 || h.Created == 0 {
		t.Fatalf("own put: %+v", h)
	}
	last := l.raw(subjects.Hosts, "www", hostsValue("www.example.com"), func(nats.Header) {}) // by the nats command
	for end := time.After(patience); l.store.Heads()[subjects.Hosts].Last != last; {
		select {
		case <-end:
			t.Fatalf("somebody else's put: %+v, want %d", l.store.Heads()[subjects.Hosts], last)
		case <-time.After(time.Millisecond):
		}
	}
	if _, ok := l.store.Heads()[subjects.StatusKV]; ok {
		t.Fatal("status has a head, and no sub may read it")
	}
}

func TestForceThatWasCutIsFinished(t *testing.T) {
	l := newLab(t)
	l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	n := l.node("sydney")
	n.awaitRevision(subjects.Hosts, 1)
	l.restart(func() { // killed after the file was written
		e, err := readEpochs(l.file)
		must(t, err)
		must(t, e.set(func(e *epochs) { e.Epochs[subjects.Hosts], e.Forcing[subjects.Hosts] = 1700, 1700 }))
	})
	if got := l.store.Epoch(subjects.Hosts); got != 1700 {
		t.Fatalf("epoch %d", got)
	}
	s := n.await("epoch 1700", subjects.Hosts, func(s Snapshot) bool { return s.Epoch == 1700 && s.Revision == 2 })
	if e, _ := s.Get("www"); e.Epoch != 1700 {
		t.Fatalf("entry of epoch %d", e.Epoch)
	}
	e, err := readEpochs(l.file)
	must(t, err)
	if len(e.Forcing) != 0 {
		t.Fatalf("still to be finished: %v", e.Forcing)
	}
}

func TestForceRisesAboveWhatSubsReport(t *testing.T) {
	l := newLab(t)
	far := uint64(time.Now().Unix()) + 1_000_000
	got, err := l.store.Force(t.Context(), subjects.Hosts, far)
	must(t, err)
	if got != far+1 {
		t.Fatalf("got %d, want %d", got, far+1)
	}
	again, err := l.store.Force(t.Context(), subjects.Hosts, 0)
	must(t, err)
	if again != far+2 {
		t.Fatalf("got %d, want %d", again, far+2)
	}
	if _, err := l.store.Force(t.Context(), "nothing", 0); !errors.Is(err, ErrInvalid) {
		t.Fatalf("no such bucket: %v", err)
	}
}

func TestFullBucketSaysSo(t *testing.T) {
	l := newLab(t)
	small := l.store
	st, err := small.js.Stream(t.Context(), subjects.Stream(subjects.Hosts))
	must(t, err)
	c := st.CachedInfo().Config
	c.MaxBytes = 2000
	_, err = small.js.UpdateStream(t.Context(), c)
	must(t, err)
	for i := 0; err == nil && i < 100; i++ {
		_, err = small.Put(t.Context(), subjects.Hosts, "www-"+strings.Repeat("a", i%50), hostsValue("www.example.com"))
	}
	if err == nil || !strings.Contains(err.Error(), "share of the store is full") {
		t.Fatalf("got %v", err)
	}
}
