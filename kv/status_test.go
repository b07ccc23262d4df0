package kv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

func TestStatusFitsWhateverItHolds(t *testing.T) {
	long := strings.Repeat("a long reason with ünïcödé and \"quotes\" and \x00 ", 200)
	s := Status{Sub: "sydney", Version: long, Platform: long, Buckets: map[string]BucketStatus{}}
	for _, b := range subjects.Buckets() {
		st := BucketStatus{Fault: long, BehindError: long, DiskError: long, Digest: Digest(nil)}
		for i := range 5000 {
			st.Faults = append(st.Faults, KeyFault{Key: fmt.Sprintf("%0250d", i), Reason: long})
		}
		s.Buckets[b.Name] = st
	}
	for i := range 1000 {
		s.Buckets[fmt.Sprint("made-up-", i)] = BucketStatus{Fault: long}
		s.Problems = append(s.Problems, long)
	}
	serials := map[string]uint32{}
	for i := range 500 {
		serials[fmt.Sprintf("%0240d.example.", i)] = uint32(i)
	}
	s.Zones = ZoneSerials(serials)
	b, err := s.Encode()
	must(t, err)
	if len(b) > MaxStatus {
		t.Fatalf("%d bytes", len(b))
	}
	got, err := DecodeStatus(b)
	must(t, err)
	records := got.Buckets[subjects.Records]
	if len(records.Faults)+records.FaultsCut != 5000 || len(got.Problems)+got.ProblemsCut != 1000 || got.Zones.Count != 500 {
		t.Fatalf("cut without a count: %d + %d faults, %d + %d problems", len(records.Faults), records.FaultsCut, len(got.Problems), got.ProblemsCut)
	}
	if len(s.Problems) != 1000 || len(s.Buckets[subjects.Records].Faults) != 5000 || s.Problems[0] != long {
		t.Fatal("Encode changed the status")
	}
}

func TestStatusOfASubInHealthIsWhole(t *testing.T) {
	s := Status{Sub: "sydney", Problems: []string{"disk is nearly full"}, Zones: ZoneSerials(map[string]uint32{"example.com.": 7}),
		Buckets: map[string]BucketStatus{subjects.Records: {Epoch: 1, Revision: 9, Faults: []KeyFault{{Key: "example.org", Reason: "no SOA"}}}}}
	b, err := s.Encode()
	must(t, err)
	got, err := DecodeStatus(b)
	must(t, err)
	if got.Zones.Serials["example.com."] != 7 || got.Problems[0] != s.Problems[0] || got.Buckets[subjects.Records].Faults[0].Reason != "no SOA" {
		t.Fatalf("got %+v", got)
	}
	many := map[string]uint32{}
	for i := range maxSerials + 1 {
		many[fmt.Sprint(i, ".example.")] = 1
	}
	if z := ZoneSerials(many); z.Serials != nil || z.Count != maxSerials+1 || z.Digest == "" {
		t.Fatalf("many zones: %+v", z)
	}
}

// keeper runs a StatusKeeper for the length of the test.
func (l *lab) keeper() *StatusKeeper {
	k := NewStatusKeeper(l.store, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	l.t.Cleanup(func() { cancel(); running.Wait() })
	for end := time.After(patience); l.nc.NumSubscriptions() == 0; {
		select {
		case <-end:
			l.t.Fatal("the keeper does not listen")
		case <-time.After(time.Millisecond):
		}
	}
	return k
}

func (k *StatusKeeper) await(t testing.TB, ok func(map[string]SubStatus) bool) {
	t.Helper()
	end := time.After(patience)
	for {
		changed := k.Changed()
		if ok(k.All()) {
			return
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("status did not come: %+v", k.All())
		}
	}
}

// say publishes until the dom's subscription is there to hear it.
func say(t testing.TB, nc *nats.Conn, subject string, b []byte, header nats.Header) {
	t.Helper()
	must(t, nc.PublishMsg(&nats.Msg{Subject: subject, Data: b, Header: header}))
	must(t, nc.FlushTimeout(patience))
}

func TestStatusIsKeptUnderTheOwnNameOnly(t *testing.T) {
	l := newLab(t)
	k := l.keeper()
	must(t, l.nc.FlushTimeout(patience))
	sydney, london := l.node("sydney"), l.node("london")
	for _, n := range []*node{sydney, london} {
		n.await("connection", subjects.Hosts, func(s Snapshot) bool { return s.Epoch == 1 })
	}
	encode := func(sub, version string) []byte {
		b, err := Status{Sub: sub, Version: version, Buckets: map[string]BucketStatus{subjects.Hosts: {Epoch: 77}}}.Encode()
		must(t, err)
		return b
	}
	say(t, london.nc, subjects.Status("london"), encode("london", "1"), nil)
	k.await(t, func(all map[string]SubStatus) bool { return all["london"].Version == "1" })
	// sydney is hostile: another's name in the subject, in the value, headers
	// that mean something to a stream, too large, not JSON.
	say(t, sydney.nc, subjects.Status("london"), encode("london", "forged"), nil)
	say(t, sydney.nc, subjects.Status("sydney"), encode("london", "forged"), nil)
	say(t, sydney.nc, subjects.Status("sydney"), make([]byte, MaxStatus+1), nil)
	say(t, sydney.nc, subjects.Status("sydney"), []byte("{"), nil)
	say(t, sydney.nc, subjects.Status("sydney"), encode("sydney", "2"), nats.Header{
		"Nats-Rollup": {"all"}, "Nats-TTL": {"1s"}, "KV-Operation": {"DEL"}, "Nats-Expected-Last-Sequence": {"9"}, headerEpoch: {"9"}})
	k.await(t, func(all map[string]SubStatus) bool { return all["sydney"].Version == "2" })
	if got := k.All(); got["london"].Version != "1" || len(got) != 2 || got["london"].Received.IsZero() {
		t.Fatalf("got %+v", got)
	}
	for end := time.After(patience); ; {
		all, err := l.store.Entries(t.Context(), subjects.StatusKV)
		must(t, err)
		if len(all) == 2 {
			if all[0].Key != "london" || all[1].Key != "sydney" || all[1].Epoch != 1 || all[1].Deleted {
				t.Fatalf("bucket: %+v", all)
			}
			break
		}
		select {
		case <-end:
			t.Fatalf("bucket: %+v", all)
		case <-time.After(time.Millisecond):
		}
	}
	if got := k.HighestEpoch(subjects.Hosts); got != 77 {
		t.Fatalf("highest epoch %d", got)
	}
	must(t, k.Forget(t.Context(), "london"))
	if _, ok := k.Get("london"); ok {
		t.Fatal("forgotten and there")
	}
	if _, err := l.store.Get(t.Context(), subjects.StatusKV, "london"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("forgotten: %v", err)
	}
}

func TestFloodOfStatusesIsLimited(t *testing.T) {
	l := newLab(t)
	k := l.keeper()
	n := l.node("sydney")
	n.await("connection", subjects.Hosts, func(s Snapshot) bool { return s.Epoch == 1 })
	began := time.Now()
	for i := range 2000 {
		b, _ := Status{Sub: "sydney", Uptime: int64(i)}.Encode()
		must(t, n.nc.Publish(subjects.Status("sydney"), b))
	}
	must(t, n.nc.FlushTimeout(patience))
	k.await(t, func(all map[string]SubStatus) bool { return all["sydney"].Uptime == 1999 })
	js, err := l.nc.JetStream()
	must(t, err)
	info, err := js.StreamInfo(subjects.Stream(subjects.StatusKV))
	must(t, err)
	if limit := uint64(time.Since(began).Seconds()*maxStatusRate) + 3; info.State.LastSeq > limit {
		t.Fatalf("%d puts in %v, at most %d", info.State.LastSeq, time.Since(began), limit)
	}
}
