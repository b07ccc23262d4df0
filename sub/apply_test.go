package sub

import (
	"log/slog"
	"strings"
	"testing"

	"b8s/kv"
	"b8s/state"
	"b8s/sub/nameserver"
	"b8s/subjects"
)

func newTestApply(t *testing.T) *apply {
	t.Helper()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	log := slog.New(slog.DiscardHandler)
	replica, err := kv.OpenReplica(dir.File(dirReplica), nil, log)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApply(dir, replica, nameserver.New(nameserver.Options{Log: log}), log)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func snapshot(bucket string, values map[string]string) kv.Snapshot {
	s := kv.Snapshot{Bucket: bucket, Epoch: 1, Revision: 1}
	for key, value := range values {
		s.Entries = append(s.Entries, kv.Entry{Bucket: bucket, Key: key, Value: []byte(value), Digest: kv.Digest([]byte(value))})
	}
	return s
}

const (
	exampleZone = "example.com. 300 IN SOA ns1.example.com. host.example.com. 7 7200 900 1209600 300\n" +
		"example.com. 300 IN NS ns1.example.com.\n" +
		"ns1.example.com. 300 IN A 192.0.2.1\n"
	exampleSite = `{"schema":1,"hosts":["www.example.com."],"subs":["sydney"],"ttl":60}`
	exampleSub  = `{"schema":1,"ipv4":"192.0.2.1","coordinates":"-33.87,151.21","public_key":"x","port":51820}`
)

func TestNewSubServesNoZoneBeforeItHasReadTheHosts(t *testing.T) {
	a := newTestApply(t)
	for _, step := range []struct {
		set    func(kv.Snapshot) error
		s      kv.Snapshot
		serves int
	}{
		{a.setRecords, snapshot(subjects.Records, map[string]string{"example.com": exampleZone}), 0},
		{a.setHosts, snapshot(subjects.Hosts, map[string]string{"www": exampleSite}), 0},
		{a.setSubs, snapshot(subjects.Subs, map[string]string{"sydney": exampleSub}), 1},
	} {
		if err := step.set(step.s); err != nil {
			t.Fatalf("set %s: %v", step.s.Bucket, err)
		}
		if zones, _, _ := a.Served(); zones.Count != step.serves {
			t.Fatalf("after bucket %s it serves %d zones, want %d", step.s.Bucket, zones.Count, step.serves)
		}
	}
}

func TestZoneThatAHostMadeUnservableIsAProblem(t *testing.T) {
	a := newTestApply(t)
	static := exampleZone + "www.example.com. 300 IN A 192.0.2.9\n"
	for _, set := range []error{
		a.setSubs(snapshot(subjects.Subs, map[string]string{"sydney": exampleSub})),
		a.setHosts(snapshot(subjects.Hosts, nil)),
		a.setRecords(snapshot(subjects.Records, map[string]string{"example.com": static})),
		a.setHosts(snapshot(subjects.Hosts, map[string]string{"www": exampleSite})),
	} {
		if set != nil {
			t.Fatal(set)
		}
	}
	zones, _, problems := a.Served()
	if zones.Serials["example.com"] != 7 {
		t.Fatalf("the zone is not served as before: %+v", zones)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "example.com") {
		t.Fatalf("problems: %q, want one that names the zone", problems)
	}
	if err := a.setHosts(snapshot(subjects.Hosts, nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, problems := a.Served(); len(problems) != 0 {
		t.Fatalf("problems that are over: %q", problems)
	}
}
