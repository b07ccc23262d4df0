// Package config reads b8s.yaml, in which an operator names zones,
// nameservers, sites and where GeoLite comes from, and subs.yaml, which
// stands for the enrolled subs where there is no dom.
//
// The schema is strict: an unknown key, one that stands twice and a value of
// the wrong type are errors. Each names file, line and column, shows the line
// and says what was probably meant; all of a file come together. Names are
// given back in lower case, domain names absolute with the trailing dot, and
// paths as relative to the file's folder made usable from here. Whether names
// that must fit each other do (a host and its zone, a nameserver and its sub)
// is not looked at here.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// FileName is what Find looks for.
const FileName = "b8s.yaml"

// DefaultTTL of a site's hosts, in seconds.
const DefaultTTL = 60

// File is a b8s.yaml. Lists are in the order of the file.
type File struct {
	Path        string
	Zones       []Zone
	Nameservers []Nameserver
	Sites       []Site
	GeoLite     *GeoLite // nil if the file has none
}

// Zone is a zone and its master file.
type Zone struct {
	Apex string
	Path string
	At   string // FILE:LINE:COLUMN, for errors
}

// Nameserver is the name of a nameserver and the sub that it runs on.
type Nameserver struct {
	Name, Sub, At string
}

// Site is a set of host names that are answered with the nearest of its subs.
type Site struct {
	Name    string
	Hosts   []Host
	Subs    []string // empty means all
	TTL     uint32   // seconds, 1 to 86400
	Default string   // sub for visitors whose place is unknown; "" leaves the choice to b8s
	At      string
}

// Host is a host name of a site.
type Host struct {
	Name, At string
}

// GeoLite says where the city database is downloaded. The licence key itself
// stands in a file of its own or in the environment, never here.
type GeoLite struct {
	Account uint64
	KeyFile string
	URL     string // "" means MaxMind's
	Edition string // "" means GeoLite2-City
	At      string
}

// Find gives the path of the b8s.yaml in the folder start or the nearest one
// above it. The error wraps fs.ErrNotExist if there is none.
func Find(start string) (string, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, FileName)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find %s: %w", FileName, err)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no %s in %s or above: write one, or name it with --config: %w", FileName, start, fs.ErrNotExist)
		}
		dir = up
	}
}

// Load reads the b8s.yaml at path.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse is Load for text that stands at path.
func Parse(path string, text []byte) (*File, error) {
	f := &File{Path: path}
	err := decode(path, text, func(d *decoder, root ast.Node) { f.read(d, root) })
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) read(d *decoder, root ast.Node) {
	d.object(root, FileName, fields{
		"zones":       func(n ast.Node) { f.readZones(d, n) },
		"nameservers": func(n ast.Node) { f.readNameservers(d, n) },
		"sites":       func(n ast.Node) { f.readSites(d, n) },
		"geolite":     func(n ast.Node) { f.readGeoLite(d, n) },
	})
}

func (f *File) readZones(d *decoder, n ast.Node) {
	seen := map[string]bool{}
	d.mapping(n, "zones", func(key string, at, value ast.Node) {
		apex, err := ZoneName(key)
		if err != nil {
			d.fail(at, "zone: %s", err)
			return
		}
		if seen[apex] {
			d.fail(at, "zone %s stands here a second time", apex)
		}
		seen[apex] = true
		if path, ok := d.text(value, "the file of zone "+key); ok {
			f.Zones = append(f.Zones, Zone{apex, f.path(d, value, path), d.where(at)})
		}
	})
}

// path makes a path in the file usable from here.
func (f *File) path(d *decoder, n ast.Node, path string) string {
	switch {
	case path == "":
		d.fail(n, "empty path")
	case strings.ContainsRune(path, 0):
		d.fail(n, "path with a NUL")
	case !filepath.IsAbs(path):
		return filepath.Join(filepath.Dir(f.Path), path)
	}
	return path
}

func (f *File) readNameservers(d *decoder, n ast.Node) {
	seen := map[string]bool{}
	d.mapping(n, "nameservers", func(key string, at, value ast.Node) {
		name, err := HostName(key)
		if err == nil && strings.HasPrefix(name, "*.") {
			err = fmt.Errorf("name %q: a nameserver can't be a wildcard", key)
		}
		if err != nil {
			d.fail(at, "nameserver: %s", err)
			return
		}
		if seen[name] {
			d.fail(at, "nameserver %s stands here a second time", name)
		}
		seen[name] = true
		if sub, ok := d.name(value, "the sub of nameserver "+key); ok {
			f.Nameservers = append(f.Nameservers, Nameserver{name, sub, d.where(at)})
		}
	})
}

// name reads the name of a sub or site.
func (d *decoder) name(n ast.Node, what string) (string, bool) {
	s, ok := d.text(n, what)
	if !ok {
		return "", false
	}
	if err := ValidName(s); err != nil {
		d.fail(n, "%s: %s", what, err)
		return "", false
	}
	return s, true
}

func (f *File) readGeoLite(d *decoder, n ast.Node) {
	g := &GeoLite{At: d.where(n)}
	d.object(n, "geolite", fields{
		"account": func(n ast.Node) { g.Account = d.integer(n, "account", 1, 1<<53) },
		"key_file": func(n ast.Node) {
			if s, ok := d.text(n, "key_file"); ok {
				g.KeyFile = f.path(d, n, s)
			}
		},
		"url":     func(n ast.Node) { g.URL = d.url(n, "url") },
		"edition": func(n ast.Node) { g.Edition = d.edition(n) },
	})
	f.GeoLite = g
}
