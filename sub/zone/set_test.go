package zone

import (
	"fmt"
	"strings"
	"testing"
)

func TestSetFindsTheDeepest(t *testing.T) {
	root := compile(t, ".", "@ 300 IN SOA ns1. h. 1 1 1 1 1\n@ 300 NS ns1.\nns1. 300 A 192.0.2.1\n")
	com := compile(t, "example.com.", soa)
	sub := compile(t, "a.b.example.com.", soa)
	deep := compile(t, strings.Repeat("x.", 80)+"example.com.", soa)
	s := NewSet(com, sub, deep)
	for _, test := range []struct {
		set   *Set
		name  string
		want  *Zone
		label int
	}{
		{s, "www.example.com.", com, 1}, {s, "EXAMPLE.com.", com, 0}, {s, "b.example.com.", com, 1}, {s, "a.b.example.com.", sub, 0},
		{s, "x.y.a.b.example.com.", sub, 2}, {s, "com.", nil, 0}, {s, ".", nil, 0}, {s, "example.org.", nil, 0},
		{s, strings.Repeat("x.", 90) + "example.com.", deep, 10}, {s, strings.Repeat("x.", 70) + "example.com.", com, 70},
		{s.With(root), "example.org.", root, 2}, {s.With(root), ".", root, 0}, {s.With(root), "www.example.com.", com, 1},
		{s.Without("a.b.example.com."), "a.b.example.com.", com, 2}, {nil, "example.com.", nil, 0}, {new(Set), "example.com.", nil, 0},
	} {
		if z, label := test.set.Find(name(t, test.name)); z != test.want || label != test.label {
			t.Errorf("%.40s: got %v at %d, want %v at %d", test.name, z, label, test.want, test.label)
		}
	}
	if z, label := s.FindFrom(name(t, "a.b.example.com."), 1); z != com || label != 2 {
		t.Errorf("above the child: got %v at %d", z, label)
	}
	if s.Len() != 3 || s.With(root).Len() != 4 || s.Get("example.com.") != com || len(s.Zones()) != 3 {
		t.Error("a set was changed")
	}
}

func TestSetOfThousands(t *testing.T) {
	var zones []*Zone
	for i := range 3000 {
		zones = append(zones, compile(t, fmt.Sprintf("z%d.example.", i), soa))
	}
	s := NewSet(zones...)
	for i, z := range zones {
		if got, _ := s.Find(name(t, fmt.Sprintf("www.z%d.example.", i))); got != z {
			t.Fatalf("zone %d: got %v", i, got)
		}
	}
	changed := compile(t, "z7.example.", soa+"new 1 A 192.0.2.1\n")
	if s.With(changed).Get("z7.example.") != changed || s.Get("z7.example.") != zones[7] {
		t.Error("With changed the old set, or not the new one")
	}
}
