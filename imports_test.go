package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// whoImportsWhom is the shape of b8s: every package, and all of ours that it
// imports. A line says exactly what is; a new edge is made here first. What
// lies below a feature (sub/edge/http1) is part of it and has no line.
const whoImportsWhom = `
	# leaves: they import nothing of ours
	subjects:         -
	place:            -
	state:            -
	version:          -
	human:            -
	control:          -
	probe:            -
	zonefile:         -
	citydb/mapfile:   -

	# what both roles, or a third, need
	citydb:           citydb/mapfile place
	citydb/citymake:  place
	records:          human place zonefile
	config:           human place records zonefile
	seal:             state
	cli:              control state

	# between dom and sub
	tunnel:           state
	bus:              state subjects
	kv:               place state subjects zonefile

	# features: they are handed values, and know neither bus nor tunnel
	dom/acme:         probe state
	dom/geolite:      citydb state
	sub/edge:         -
	sub/zone:         zonefile
	sub/geo:          citydb citydb/mapfile place state
	sub/nameserver:   sub/geo sub/zone

	# roles: they wire
	dom:              bus citydb control dom/geolite human kv place probe records seal state subjects tunnel version zonefile
	sub:              bus citydb control kv seal state sub/geo sub/nameserver sub/zone subjects tunnel version zonefile

	# the command line
	dom/verbs:        citydb cli config control dom dom/geolite human records subjects tunnel
	sub/verbs:        cli control human place sub tunnel
	standalone:       citydb cli config records sub/geo sub/nameserver sub/zone zonefile
	demo:             citydb/citymake cli config dom place probe sub tunnel
	b8s:              cli demo dom/verbs standalone sub/verbs version

	# tests and measurements
	scripts:          -
	scenario:         -
	bench:            config dom records state sub tunnel
`

// testsImport is what the tests of a package import of ours besides what the
// package itself does.
const testsImport = `
	b8s:              citydb/citymake place tunnel
	bench:            citydb zonefile
	citydb:           citydb/citymake
	dom/geolite:      citydb/citymake place
	kv:               bus
	scenario:         citydb citydb/citymake config control dom kv place sub subjects tunnel
	standalone:       citydb/citymake place
	sub:              place
	sub/geo:          citydb/citymake
	sub/nameserver:   zonefile
`

// homes are the outside libraries, and the packages that may import each: one,
// wherever its words can stay within one.
const homes = `
	filippo.io/age:                       seal
	github.com/go-acme/lego:              dom/acme
	github.com/andybalholm/brotli:        sub/edge
	github.com/klauspost/compress:        sub/edge
	github.com/prometheus/client_golang:  sub/edge
	github.com/quic-go/quic-go:           sub/edge
	github.com/goccy/go-yaml:             config
	github.com/maxmind/mmdbwriter:        bench citydb/citymake
	github.com/oschwald/maxminddb-golang: citydb
	github.com/nats-io/nats-server:       bus
	golang.zx2c4.com/wireguard:           tunnel
	gvisor.dev/gvisor:                    tunnel
	golang.org/x/crypto:                  bus
	golang.org/x/term:                    cli
	golang.org/x/net:                     sub/edge

	# sub and kv name the connection that bus makes
	github.com/nats-io/nats.go:           bus kv sub
	# records and resource types are its words, where zones are read, asked for, compiled
	github.com/miekg/dns:                 bench probe records standalone sub/zone zonefile
	github.com/spf13/cobra:               b8s cli demo dom/verbs standalone sub/verbs
	# flock, mmap, recvmmsg, free disk, memory
	golang.org/x/sys:                     bus citydb/mapfile kv state sub sub/edge sub/nameserver tunnel
	golang.org/x/sync:                    bench demo dom dom/acme kv probe standalone sub sub/edge
`

// testHomes are the libraries of tests, besides those of the package itself.
const testHomes = `
	go.uber.org/goleak:                   *
	github.com/miekg/dns:                 *
	github.com/spf13/cobra:               b8s
	github.com/rogpeppe/go-internal:      b8s scripts
	github.com/nats-io/nats.go:           scenario
	golang.org/x/sys:                     *
	golang.org/x/sync:                    *
`

// never are rules about everything that a package, or one below it, reaches by
// whatever way. They stand above the tables: a line there doesn't make an edge
// that breaks one.
const never = `
	# dom and sub never import each other: what both need sinks below them
	dom:              sub
	sub:              dom
	# tunnel hands out a listener and a dialler, bus takes them
	bus:              tunnel
	tunnel:           bus
	# features are handed values
	dom/acme:         bus kv tunnel
	dom/geolite:      bus kv tunnel
	sub/edge:         bus kv tunnel
	sub/geo:          bus kv tunnel
	sub/nameserver:   bus kv tunnel
	sub/zone:         bus kv tunnel
	# a zone is checked and served without a dom
	standalone:       bus dom kv tunnel
`

func TestImportsAreThoseOfTheTable(t *testing.T) {
	tree := readTree(t)
	allowed, inTests := table(whoImportsWhom), table(testsImport)
	for _, pkg := range slices.Sorted(maps.Keys(tree)) {
		may, listed := allowed[pkg]
		if !listed {
			t.Errorf("package %s is not in the table: say there what it imports: %s", pkg, strings.Join(tree[pkg].code.ours(), " "))
			continue
		}
		for _, to := range tree[pkg].code.ours() {
			if !slices.Contains(may, to) {
				t.Errorf("%s imports %s (%s): a new edge", pkg, to, tree[pkg].code[to])
			}
		}
		for _, to := range may {
			if _, used := tree[pkg].code[to]; !used {
				t.Errorf("%s does not import %s any more: take it out of the table", pkg, to)
			}
		}
		for _, to := range tree[pkg].tests.ours() {
			if !slices.Contains(may, to) && !slices.Contains(inTests[pkg], to) {
				t.Errorf("the tests of %s import %s (%s): a new edge", pkg, to, tree[pkg].tests[to])
			}
		}
	}
}

func TestLibrariesAreImportedAtHomeOnly(t *testing.T) {
	tree := readTree(t)
	code, tests := table(homes), table(testHomes)
	for _, pkg := range slices.Sorted(maps.Keys(tree)) {
		for lib, file := range tree[pkg].code {
			if isLibrary(lib) && !lives(code, lib, pkg) {
				t.Errorf("%s imports %s (%s): its home is elsewhere", pkg, lib, file)
			}
		}
		for lib, file := range tree[pkg].tests {
			if isLibrary(lib) && !lives(code, lib, pkg) && !lives(tests, lib, pkg) {
				t.Errorf("the tests of %s import %s (%s): its home is elsewhere", pkg, lib, file)
			}
		}
	}
}

func TestWhatNeverReachesWhat(t *testing.T) {
	tree := readTree(t)
	for from, targets := range table(never) {
		for pkg := range tree {
			for _, to := range targets {
				if way := reach(tree, pkg, to, map[string]bool{}); way != nil && within(pkg, from) {
					t.Errorf("%s must never reach %s, and does by %s", pkg, to, strings.Join(way, " → "))
				}
			}
		}
	}
}

// reach is a way from pkg to target or something below it, nil without one.
// What is in seen was tried.
func reach(tree map[string]imports, pkg, target string, seen map[string]bool) []string {
	seen[pkg] = true
	for _, to := range tree[pkg].code.ours() {
		if within(to, target) {
			return []string{pkg, to}
		}
		if seen[to] {
			continue
		}
		if way := reach(tree, to, target, seen); way != nil {
			return append([]string{pkg}, way...)
		}
	}
	return nil
}

func within(pkg, of string) bool { return pkg == of || strings.HasPrefix(pkg, of+"/") }

// lives says whether pkg is a home of the library.
func lives(homes map[string][]string, lib, pkg string) bool {
	for root, pkgs := range homes {
		if within(lib, root) && (slices.Contains(pkgs, pkg) || slices.Contains(pkgs, "*")) {
			return true
		}
	}
	return false
}

// table reads lines of "NAME: WORD…", "-" for none.
func table(text string) map[string][]string {
	t := map[string][]string{}
	for line := range strings.Lines(text) {
		name, words, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || strings.HasPrefix(name, "#") {
			continue
		}
		t[name] = slices.DeleteFunc(strings.Fields(words), func(w string) bool { return w == "-" })
	}
	return t
}

// imports of one package: of its code and of its tests.
type imports struct{ code, tests edges }

// edges are import paths, ours without the module's name, and a file that
// has each.
type edges map[string]string

// ours are the edges to packages of this module, sorted.
func (e edges) ours() (list []string) {
	for to := range e {
		if !isLibrary(to) && !isStandard(to) {
			list = append(list, to)
		}
	}
	slices.Sort(list)
	return list
}

// std marks an import of the standard library.
const std = "std:"

func isStandard(path string) bool { return strings.HasPrefix(path, std) }

func isLibrary(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".")
}

// readTree parses the imports of every Go file, whatever platform it is for.
func readTree(t *testing.T) map[string]imports {
	t.Helper()
	tree := map[string]imports{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && name != "." && (name == "testdata" || name == "tools" || name == "dist" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(file) != ".go" || file == "deps.go" {
			return nil
		}
		pkg := ours(filepath.ToSlash(filepath.Dir(file)))
		if tree[pkg].code == nil {
			tree[pkg] = imports{edges{}, edges{}}
		}
		into := tree[pkg].code
		if strings.HasSuffix(file, "_test.go") {
			into = tree[pkg].tests
		}
		return readImports(pkg, file, into)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) < 20 {
		t.Fatalf("found %d packages only", len(tree))
	}
	return tree
}

// ours is the package as the table knows it: "b8s" for the root, the feature
// for what lies below one.
func ours(dir string) string {
	if dir == "." {
		return "b8s"
	}
	if parts := strings.Split(dir, "/"); len(parts) > 2 {
		return strings.Join(parts[:2], "/")
	}
	return dir
}

func readImports(pkg, file string, into edges) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range f.Imports {
		to, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if of, ok := strings.CutPrefix(to, "b8s/"); ok {
			to = ours(of)
		} else if !isLibrary(to) {
			to = std + to
		}
		if to != pkg {
			into[to] = file
		}
	}
	return nil
}
