package zonefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// Report is what there is to say about a zone file that can be served.
type Report struct {
	Apex     string         `json:"apex"`
	File     string         `json:"file"`
	Serial   uint32         `json:"serial"`
	Records  int            `json:"records"`
	RRsets   int            `json:"rrsets"`
	Types    map[string]int `json:"types"` // records by type
	Warnings []string       `json:"warnings"`
}

// Check reads the zone apex from path as Read does, but for NS at the apex,
// which a warning tells of. With apex "" the file itself names the zone: by the
// owner of its SOA, else by its file name, as in example.com.zone.
func Check(apex, path string) (*Report, error) {
	if apex == "" {
		var err error
		if apex, err = apexOf(path); err != nil {
			return nil, err
		}
	}
	z, err := Options{WithoutNS: true}.Read(apex, path)
	if err != nil {
		return nil, err
	}
	r := &Report{Apex: z.Apex, File: path, Serial: z.Serial(), Records: len(z.Records),
		Types: map[string]int{}, Warnings: append([]string{}, z.Warnings...)}
	for set := range z.RRsets {
		r.RRsets++
		r.Types[typeName(set.Type)] += len(set.Records)
	}
	r.warnNameservers(z)
	return r, nil
}

// warnNameservers tells of nameservers that can't be found or reached.
func (r *Report) warnNameservers(z *Zone) {
	_, err := z.Delegation()
	for _, e := range unjoin(err) {
		r.Warnings = append(r.Warnings, r.File+": "+e.Error()+"; b8s adds what nameservers in b8s.yaml name")
	}
	set, _ := z.Find(z.Apex, dns.TypeNS)
	if len(set.Records) == 1 {
		r.Warnings = append(r.Warnings, r.File+": zone "+z.Apex+" has one nameserver only")
	}
}

func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return list.Unwrap()
	}
	return []error{err}
}

// String shows the report for a terminal.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s: %d records in %d RRsets, serial %d\n", r.Apex, r.Records, r.RRsets, r.Serial)
	types := make([]string, 0, len(r.Types))
	for t := range r.Types {
		types = append(types, t)
	}
	sort.Strings(types)
	for i, t := range types {
		types[i] = fmt.Sprintf("%s %d", t, r.Types[t])
	}
	fmt.Fprintf(&b, "types: %s\n", strings.Join(types, ", "))
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// apexOf finds the zone that a file is about.
func apexOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &Error{path, 0, reason(err)}
	}
	defer f.Close()
	if apex := soaOwner(f); apex != "" {
		return apex, nil
	}
	base := filepath.Base(path)
	for _, ext := range []string{".zone", ".db", ".txt"} {
		base = strings.TrimSuffix(base, ext)
	}
	if strings.Contains(base, ".") {
		return Name(base)
	}
	return "", &Error{path, 0, "neither an absolute SOA owner nor the file's name tells the zone: name it with --apex"}
}

// soaOwner is the owner of the first SOA if the file makes it absolute, else
// "".
func soaOwner(r io.Reader) string {
	s := &scanner{}
	er := newEntryReader(r)
	defer er.release()
	for range maxErrors {
		e, err := er.next()
		var lex *lexError
		if errors.As(err, &lex) {
			continue
		}
		if err != nil {
			return ""
		}
		if !e.blank() && strings.EqualFold(string(e.word(0)), "$ORIGIN") {
			s.setOrigin(e) // a bad one leaves the origin as it was
			continue
		}
		f := &fields{e: e}
		if h, err := s.header(f); err == nil && h.Rrtype == dns.TypeSOA {
			return h.Name
		}
	}
	return ""
}
