package dom

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"b8s/records"
	"b8s/state"
	"b8s/zonefile"
)

func testDir(t *testing.T) *state.Dir {
	t.Helper()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func testJournal(t *testing.T, dir *state.Dir) *journal {
	t.Helper()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// wishOf is a wish of zones, each with one TXT record: "example.com=v1".
func wishOf(t *testing.T, zones ...string) (w records.Wish) {
	t.Helper()
	for _, z := range zones {
		apex, text, _ := strings.Cut(z, "=")
		zone, err := zonefile.Options{WithoutNS: true}.Parse(apex, []byte("@ 60 IN SOA ns1 host 1 2 3 4 5\n@ 60 IN TXT "+text+"\n"), apex)
		if err != nil {
			t.Fatal(err)
		}
		w.Zones = append(w.Zones, zone)
	}
	return w
}

// wished prints the wish in force as wishOf takes it.
func wished(t *testing.T, j *journal) string {
	t.Helper()
	w, err := j.Wish()
	if err != nil {
		t.Fatal(err)
	}
	var zones []string
	for _, z := range w.Zones {
		lines := strings.Split(strings.TrimSpace(string(z.Text())), "\n")
		field := strings.Fields(lines[len(lines)-1])
		zones = append(zones, strings.TrimSuffix(z.Apex, ".")+"="+strings.Trim(field[len(field)-1], `"`))
	}
	return strings.Join(zones, " ")
}

func push(t *testing.T, j *journal, zones ...string) {
	t.Helper()
	if err := j.Push(wishOf(t, zones...), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestUndoTakesTheLastPublishAway(t *testing.T) {
	dir := testDir(t)
	j := testJournal(t, dir)
	push(t, j, "a.example=v1", "b.example=v1")
	push(t, j, "a.example=v2", "b.example=v1")
	push(t, j, "a.example=v2") // removes b.example
	for _, want := range []string{"a.example=v2 b.example=v1", "a.example=v1 b.example=v1"} {
		if _, err := j.Undo(""); err != nil {
			t.Fatal(err)
		}
		if got := wished(t, testJournal(t, dir)); got != want {
			t.Errorf("after undo and a restart: %q, want %q", got, want)
		}
	}
	if _, err := j.Undo(""); !errors.Is(err, errNothingToUndo) {
		t.Errorf("one undo too many: %v", err)
	}
	if got, want := wished(t, j), "a.example=v1 b.example=v1"; got != want {
		t.Errorf("after the refused undo: %q, want %q", got, want)
	}
}

func TestUndoTakesAZoneAwayThatThePublishBrought(t *testing.T) {
	j := testJournal(t, testDir(t))
	push(t, j, "a.example=v1")
	push(t, j, "b.example=v1") // instead of a.example
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if got, want := wished(t, j), "a.example=v1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := j.Undo("a.example."); !errors.Is(err, errNothingToUndo) {
		t.Errorf("undo of a zone that was published once: %v", err)
	}
}

func TestUndoOfOneZoneLeavesTheOthers(t *testing.T) {
	j := testJournal(t, testDir(t))
	push(t, j, "a.example=v1", "b.example=v1")
	push(t, j, "a.example=v2", "b.example=v2")
	if changed, err := j.Undo("a.example."); err != nil || len(changed) != 1 {
		t.Errorf("changed %v, %v", changed, err)
	}
	if got, want := wished(t, j), "a.example=v1 b.example=v2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPublishingTheSameAgainIsNoNewVersion(t *testing.T) {
	j := testJournal(t, testDir(t))
	push(t, j, "a.example=v1")
	push(t, j, "a.example=v2")
	push(t, j, "a.example=v2")
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if got, want := wished(t, j), "a.example=v1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextsThatNoVersionNamesAreDropped(t *testing.T) {
	dir := testDir(t)
	j := testJournal(t, dir)
	push(t, j, "a.example=v1")
	push(t, j, "a.example=v2")
	if _, err := j.Undo("a.example."); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir.File("zones")); err != nil || len(files) != 1 {
		t.Errorf("%d texts on disk (%v), want 1", len(files), err)
	}
}
