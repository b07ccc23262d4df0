package records

import (
	"encoding/json"
	"math"
	"testing"

	"b8s/zonefile"
)

func assembled(t *testing.T, sites []SiteHosts, zones ...*zonefile.Zone) Assembled {
	t.Helper()
	return Assembled{Zones: zones, Hosts: sites}
}

func TestPlan(t *testing.T) {
	current := assembled(t, []SiteHosts{{Name: "blog", Hosts: []string{"b."}, TTL: 60}, {Name: "www", Hosts: []string{"w."}, TTL: 60}},
		zone(t, "gone.example", "x A 192.0.2.1\n"), zone(t, "example.com", "a A 192.0.2.1\nb A 192.0.2.2\nb A 192.0.2.3\nc A 192.0.2.4\n"), zone(t, "same.example", ""))
	next := assembled(t, []SiteHosts{{Name: "shop", Hosts: []string{"s."}, TTL: 60, Subs: []string{"sydney"}}, {Name: "www", Hosts: []string{"w."}, TTL: 5, Default: "london"}},
		zone(t, "example.com", "b A 192.0.2.2\nb A 192.0.2.9\nc A 192.0.2.4\nd TXT x\n"), zone(t, "new.example", "x A 192.0.2.1\n"), zone(t, "same.example", ""))
	next = next.WithSerials(current, map[string]uint32{"new.example.": 41})
	const want = `zone example.com.: RRsets added 1, removed 1, changed 1, serial 8
  - a.example.com. 300 IN A 192.0.2.1
  - b.example.com. 300 IN A 192.0.2.3
  + b.example.com. 300 IN A 192.0.2.9
  + d.example.com. 300 IN TXT "x"
zone gone.example.: REMOVED, with its 2 RRsets
zone new.example.: new, 2 RRsets, serial 42
  + new.example. 300 IN SOA ns1.new.example. hostmaster.new.example. 42 7200 3600 1209600 60
  + x.new.example. 300 IN A 192.0.2.1
site blog: removed, was hosts b., all subs, TTL 60
site shop: new, hosts s., subs sydney, TTL 60
site www: changed
  - hosts w., all subs, TTL 60
  + hosts w., all subs, TTL 5, default london
REMOVED: no sub will answer for gone.example. any more
`
	p := Compare(current, next)
	if p.String() != want {
		t.Errorf("got\n%s\nwant\n%s", p, want)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
	if p := Compare(next, next); !p.Empty() || p.String() != "no change\n" {
		t.Errorf("nothing differs, but\n%s", p)
	}
	if b, _ := json.Marshal(Compare(next, next)); string(b) != `{"zones":[],"sites":[]}` {
		t.Errorf("JSON of no change: %s", b)
	}
}

func TestSerialOnlyWithContent(t *testing.T) {
	current := assembled(t, nil, zone(t, "example.com", "a A 192.0.2.1\n").WithSerial(100))
	same := assembled(t, nil, zone(t, "example.com", "A A 192.0.2.1\n")).WithSerials(current, map[string]uint32{"example.com.": 500})
	if got := same.Zones[0].Serial(); got != 100 {
		t.Errorf("same content: serial %d, want 100", got)
	}
	if !Compare(current, same).Empty() {
		t.Error("same content is a change")
	}
	ttl := assembled(t, nil, zone(t, "example.com", "a 5 A 192.0.2.1\n")).WithSerials(current, nil)
	if got := ttl.Zones[0].Serial(); got != 101 {
		t.Errorf("another TTL: serial %d, want 101", got)
	}
}

func TestNextSerial(t *testing.T) {
	tests := []struct {
		file      uint32
		published []uint32
		want      uint32
	}{
		{7, nil, 7},
		{7, []uint32{7}, 8},
		{7, []uint32{3}, 7},
		{2024010100, []uint32{5, 9}, 2024010100},
		{7, []uint32{20, 30}, 31},
		{7, []uint32{30, 20}, 31},
		{math.MaxUint32 - 1, []uint32{math.MaxUint32}, 0},
		{1, []uint32{math.MaxUint32}, 1},
		{1, []uint32{1<<31 + 5}, 1},
	}
	for _, tt := range tests {
		if got := NextSerial(tt.file, tt.published...); got != tt.want {
			t.Errorf("NextSerial(%d, %v) = %d, want %d", tt.file, tt.published, got, tt.want)
		}
	}
}
