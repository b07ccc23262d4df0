package ticket

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seed(day int64) Seed { return Seed{Secret: bytes.Repeat([]byte{7}, SecretSize), Day: day} }

// Who began with an earlier seed, and who forgot it, have the same keys.
func TestSameKeysWheneverBegun(t *testing.T) {
	first := seed(Day(noon) - 20)
	later, err := first.At(Day(noon) - 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := first.Keys("main", noon)
	if err != nil || len(want) != 3 {
		t.Fatal(want, err)
	}
	if got, err := later.Keys("main", noon); err != nil || !slices.Equal(got, want) {
		t.Errorf("keys differ: %v", err)
	}
	if other, _ := first.Keys("other", noon); other[0] == want[0] {
		t.Error("two certificates share a key")
	}
}

func TestKeysOfNeighbouringDaysAreAccepted(t *testing.T) {
	s := seed(Day(noon) - 5)
	today, _ := s.Keys("a", noon)
	tomorrow, _ := s.Keys("a", noon.Add(24*time.Hour))
	far, _ := s.Keys("a", noon.Add(48*time.Hour))
	if !slices.Contains(today, tomorrow[0]) || !slices.Contains(tomorrow, today[0]) || slices.Contains(far, today[0]) {
		t.Error("yesterday's and tomorrow's tickets are to be read, older ones not")
	}
}

func TestForgottenDaysAreGone(t *testing.T) {
	kept, err := seed(Day(noon) - 5).Forget(noon)
	if err != nil || kept.Day != Day(noon)-1 {
		t.Fatal(kept.Day, err)
	}
	if _, err := kept.At(Day(noon) - 2); err == nil {
		t.Error("an earlier day came back")
	}
}

func TestBadSeeds(t *testing.T) {
	for name, s := range map[string]Seed{"short": {Secret: []byte("x"), Day: 1}, "negative": seed(-1), "ancient": seed(1)} {
		if _, err := s.Keys("a", noon); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	old := seed(Day(noon))
	old.Made = noon.Add(-MaxAge - time.Second)
	if !old.TooOld(noon) || seed(1).TooOld(noon) {
		t.Error("age")
	}
}
