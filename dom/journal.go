package dom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"b8s/records"
	"b8s/state"
	"b8s/zonefile"
)

// journal remembers what the operator published: for each zone, and for the
// nameservers and sites, a stack of versions with the one in force on top.
// What goes on the bus follows from the top alone, so a dom that was killed
// while it published goes on from here, and undo is to take the top away.
//
// Zone texts are files named by their SHA-256 beside the journal. Each
// change is on disk before it is acted upon.
type journal struct {
	dir  string
	book book
}

// book is the journal's file.
type book struct {
	Schema  int                      `json:"schema"`
	Publish uint64                   `json:"publish"` // number of the newest publish
	Zones   map[string][]zoneVersion `json:"zones"`   // by apex, oldest first
	Rest    []restVersion            `json:"rest"`    // oldest first
}

// zoneVersion is a zone as it was published once. An empty Digest is the
// zone's removal.
type zoneVersion struct {
	Publish uint64    `json:"publish"`
	Time    time.Time `json:"time"`
	Digest  string    `json:"digest,omitempty"`
}

// restVersion is the published configuration without its zones.
type restVersion struct {
	Publish uint64       `json:"publish"`
	Time    time.Time    `json:"time"`
	Wish    records.Wish `json:"wish"`
}

// keepVersions bounds the stack of each zone, as the bucket's history is.
const keepVersions = 64

func openJournal(dir *state.Dir) (*journal, error) {
	j := &journal{dir: dir.File("zones"), book: book{Schema: 1, Zones: map[string][]zoneVersion{}}}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, err
	}
	if err := state.Sweep(j.dir); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(j.path())
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &j.book); err != nil {
		return nil, fmt.Errorf("published configuration %s: %w: restore it from a backup, or move it away and publish again", j.path(), err)
	}
	return j, nil
}

func (j *journal) path() string { return filepath.Join(filepath.Dir(j.dir), fileJournal) }

// Wish is the configuration in force.
func (j *journal) Wish() (records.Wish, error) {
	var wish records.Wish
	if n := len(j.book.Rest); n > 0 {
		wish = j.book.Rest[n-1].Wish
	}
	for apex, versions := range j.book.Zones {
		top := versions[len(versions)-1]
		if top.Digest == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(j.dir, top.Digest))
		if err != nil {
			return wish, fmt.Errorf("published text of zone %s: %w: publish it again", apex, err)
		}
		z, err := zonefile.Options{WithoutNS: true}.Parse(apex, text, apex)
		if err != nil {
			return wish, fmt.Errorf("published text of zone %s: %w: publish it again", apex, err)
		}
		wish.Zones = append(wish.Zones, z)
	}
	slices.SortFunc(wish.Zones, func(a, b *zonefile.Zone) int { return zonefile.Compare(a.Apex, b.Apex) })
	return wish, nil
}

// Push puts wish in force. Only what differs from the version in force gets a
// new version.
func (j *journal) Push(wish records.Wish, now time.Time) error {
	next := j.clone()
	next.Publish++
	wished := map[string]bool{}
	for _, z := range wish.Zones {
		wished[z.Apex] = true
		digest, err := j.keepText(z.Text())
		if err != nil {
			return fmt.Errorf("keep the text of zone %s: %w", z.Apex, err)
		}
		next.push(z.Apex, zoneVersion{Publish: next.Publish, Time: now, Digest: digest})
	}
	for apex := range next.Zones {
		if !wished[apex] {
			next.push(apex, zoneVersion{Publish: next.Publish, Time: now})
		}
	}
	rest := withoutZones(wish)
	if n := len(next.Rest); n == 0 || !sameJSON(next.Rest[n-1].Wish, rest) {
		next.Rest = append(next.Rest, restVersion{Publish: next.Publish, Time: now, Wish: rest})
		next.Rest = next.Rest[max(0, len(next.Rest)-keepVersions):]
	}
	return j.save(next)
}

// errNothingToUndo is returned by Undo when there is no earlier version.
var errNothingToUndo = errors.New("there is no earlier version")

// Undo takes one version of the zone away, or, with an empty apex, all that
// the newest publish still in force brought. It returns the zones that changed.
func (j *journal) Undo(apex string) (changed []string, err error) {
	next := j.clone()
	newest, older := next.newest(apex), false
	for a, versions := range next.Zones {
		top := versions[len(versions)-1]
		older = older || versions[0].Publish < newest
		if (apex != "" && a != apex) || top.Publish != newest {
			continue
		}
		if changed = append(changed, a); len(versions) > 1 {
			next.Zones[a] = versions[:len(versions)-1]
		} else {
			delete(next.Zones, a) // that publish brought the zone
		}
	}
	if n := len(next.Rest); apex == "" && n > 1 && next.Rest[n-1].Publish == newest {
		next.Rest = next.Rest[:n-1]
		changed, older = append(changed, "nameservers and sites"), true
	}
	if _, left := next.Zones[apex]; len(changed) == 0 || !older || apex != "" && !left {
		return nil, errNothingToUndo
	}
	slices.Sort(changed)
	return changed, j.save(next)
}

// newest is the number of the newest publish in force, of a zone or, with an
// empty apex, of all.
func (b *book) newest(apex string) (n uint64) {
	for a, versions := range b.Zones {
		if apex == "" || a == apex {
			n = max(n, versions[len(versions)-1].Publish)
		}
	}
	if last := len(b.Rest); apex == "" && last > 0 {
		n = max(n, b.Rest[last-1].Publish)
	}
	return n
}

func (b *book) push(apex string, v zoneVersion) {
	versions := b.Zones[apex]
	if n := len(versions); n > 0 && versions[n-1].Digest == v.Digest {
		return
	}
	versions = append(versions, v)
	b.Zones[apex] = versions[max(0, len(versions)-keepVersions):]
}

// clone is a book that can be changed, and dropped when it can't be saved.
func (j *journal) clone() *book {
	next := j.book
	next.Zones = map[string][]zoneVersion{}
	for apex, versions := range j.book.Zones {
		next.Zones[apex] = slices.Clone(versions)
	}
	next.Rest = slices.Clone(j.book.Rest)
	return &next
}

// save puts the book on disk, then in force, then drops texts that no version
// names any more.
func (j *journal) save(next *book) error {
	text, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return err
	}
	if err := state.WriteFile(j.path(), text, 0o600); err != nil {
		return fmt.Errorf("save the published configuration: %w", err)
	}
	j.book = *next
	return j.dropTexts()
}

func (j *journal) keepText(text []byte) (digest string, err error) {
	sum := sha256.Sum256(text)
	digest = hex.EncodeToString(sum[:])
	path := filepath.Join(j.dir, digest)
	if _, err := os.Stat(path); err == nil {
		return digest, nil
	}
	return digest, state.WriteFile(path, text, 0o600)
}

func (j *journal) dropTexts() error {
	used := map[string]bool{}
	for _, versions := range j.book.Zones {
		for _, v := range versions {
			used[v.Digest] = true
		}
	}
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !used[f.Name()] {
			if err := os.Remove(filepath.Join(j.dir, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutZones is the rest of a wish. Where things stood in the operator's file
// is left out: a line that moved is no new version.
func withoutZones(wish records.Wish) records.Wish {
	rest := wish
	rest.Zones = nil
	rest.Nameservers = slices.Clone(wish.Nameservers)
	for i := range rest.Nameservers {
		rest.Nameservers[i].At = ""
	}
	rest.Sites = slices.Clone(wish.Sites)
	for i := range rest.Sites {
		rest.Sites[i].At = ""
		rest.Sites[i].Hosts = slices.Clone(rest.Sites[i].Hosts)
		for k := range rest.Sites[i].Hosts {
			rest.Sites[i].Hosts[k].At = ""
		}
	}
	return rest
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
