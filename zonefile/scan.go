package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const (
	maxInclude = 10        // files within files
	maxTTL     = 1<<31 - 1 // RFC 2181 8
	maxErrors  = 1000      // after that, one file is not looked at further
)

// Error is one thing wrong with a zone file.
type Error struct {
	File   string
	Line   int // 0 where it is the whole zone
	Reason string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Scan reads the master file at path and gives each record to fn, in the
// order of the file, with where it stands. Each record by itself is right: in
// the zone, of class IN, of a type that can be stored, with a TTL, names
// absolute, owner lower case. What records are together is not looked at.
// Memory does not grow with the file, but for what fn keeps.
//
// An error of fn ends the scan and is given back as it is. Otherwise all
// errors of the file are joined, each an *Error, and the records that are
// right go to fn nevertheless.
func Scan(apex, path string, fn func(rr dns.RR, file string, line int) error) error {
	s, err := newScanner(apex, fn)
	if err != nil {
		return err
	}
	s.include = true
	return s.result(s.open(path, path))
}

// ScanText is Scan for text that name stands for in errors. It has no
// $INCLUDE.
func ScanText(apex string, text []byte, name string, fn func(rr dns.RR, file string, line int) error) error {
	s, err := newScanner(apex, fn)
	if err != nil {
		return err
	}
	return s.result(s.file(bytes.NewReader(text), name))
}

// scanner is the state of one Scan.
type scanner struct {
	apex    name
	fn      func(rr dns.RR, file string, line int) error
	include bool
	reading []string // files, for loops of $INCLUDE
	errs    []error
	ttl     uint32 // of records that give none
	ttlFrom ttlSource
	fields  fields // of the record being read
	context
}

// context is what $INCLUDE saves and restores. A $TTL of the included file
// goes on after it, as in BIND and NSD.
type context struct {
	path   string
	origin name
	owner  name
	token  []byte // that owner stands for, under the origin
}

type ttlSource uint8

const (
	noTTL     ttlSource = iota
	lastTTL             // of the record before, RFC 1035
	directive           // $TTL, RFC 2308, or the minimum of an SOA without TTL
)

// errStop ends a scan that met too many errors.
var errStop = errors.New("too many errors")

func newScanner(apex string, fn func(dns.RR, string, int) error) (*scanner, error) {
	n, err := Name(apex)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", apex, err)
	}
	s := &scanner{apex: name{n, wireLen(n)}, fn: fn}
	s.origin = s.apex
	return s, nil
}

// result joins what was met. An error of fn comes alone.
func (s *scanner) result(err error) error {
	if stop, ok := err.(*stopped); ok {
		return stop.err
	}
	if err != nil && err != errStop {
		s.errs = append(s.errs, err)
	}
	return errors.Join(s.errs...)
}

func (s *scanner) fail(line int, format string, args ...any) error {
	s.errs = append(s.errs, &Error{s.path, line, fmt.Sprintf(format, args...)})
	if len(s.errs) < maxErrors {
		return nil
	}
	s.errs = append(s.errs, &Error{s.path, line, fmt.Sprintf("%d errors, the rest is not read", maxErrors)})
	return errStop
}

// open reads the file at path, shown as display.
func (s *scanner) open(path, display string) error {
	f, err := os.Open(path)
	if err != nil {
		return &Error{display, 0, reason(err)}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return &Error{display, 0, "is a folder, not a zone file"}
	}
	s.reading = append(s.reading, identity(path))
	defer func() { s.reading = s.reading[:len(s.reading)-1] }()
	return s.file(f, display)
}

// reason is what the system says, without the path that stands before it.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func identity(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

func (s *scanner) file(r io.Reader, display string) error {
	saved := s.context
	defer func() { s.context = saved }()
	s.path = display
	er := newEntryReader(r)
	defer er.release()
	for {
		e, err := er.next()
		if err == nil {
			err = s.entry(e)
		} else if err == io.EOF {
			return nil
		} else {
			err = s.readError(err, er.line+1)
		}
		if err != nil {
			return err
		}
	}
}

// readError reports a fault of the text, after which reading goes on, or gives
// one of the file, after which it can't.
func (s *scanner) readError(err error, line int) error {
	var lex *lexError
	if errors.As(err, &lex) {
		return s.fail(lex.line, "%s", lex.reason)
	}
	return &Error{s.path, line, reason(err)}
}

func (s *scanner) entry(e *entry) error {
	if !e.blank() && !e.tokens[0].quoted && e.text[0] == '$' {
		return s.directive(e)
	}
	return s.record(e, e.line, true)
}

// record reads one record. line is where errors say it stands; inside is
// whether offsets within the entry may refine it.
func (s *scanner) record(e *entry, line int, inside bool) error {
	f := &s.fields
	*f = fields{e: e}
	h, err := s.header(f)
	if err == nil {
		err = s.check(f, &h)
	}
	var rr dns.RR
	if err == nil {
		f.origin = s.origin
		rr, err = readRR(h, f)
	}
	if err == nil {
		err = s.setTTL(f, rr)
	}
	if err != nil {
		if inside {
			line = errorLine(e, f, err)
		}
		return s.fail(line, "%s", err)
	}
	if err := s.fn(rr, s.path, line); err != nil {
		return &stopped{err}
	}
	return nil
}

// stopped is an error of fn on its way out, which no $INCLUDE takes for its own.
type stopped struct{ err error }

func (e *stopped) Error() string { return e.err.Error() }

// errorLine is the line that err is about: that of the word read last.
func errorLine(e *entry, f *fields, err error) int {
	var re *rdataError
	if errors.As(err, &re) {
		return e.lineAt(e.tokens[min(f.at, len(e.tokens)-1)].start + re.offset)
	}
	return e.lineAt(e.tokens[max(0, min(f.at, len(e.tokens))-1)].start)
}

func readRR(h dns.RR_Header, f *fields) (dns.RR, error) {
	if f.left() > 0 && !f.e.tokens[f.at].quoted && string(f.e.word(f.at)) == `\#` {
		return slowRR(h, f)
	}
	rr, ok := fastRR(h, f)
	if !ok {
		return slowRR(h, f)
	}
	return rr, f.err
}

// explicitTTL in Rdlength says that the record itself gives a TTL; it is
// cleared before the record is handed out.
const explicitTTL = 1

// header reads owner, TTL, class and type.
func (s *scanner) header(f *fields) (dns.RR_Header, error) {
	h := dns.RR_Header{Class: dns.ClassINET}
	if !f.e.blank() {
		if err := s.setOwner(f.word("owner")); err != nil {
			return h, err
		}
	} else if s.owner.text == "" {
		return h, errors.New("the first record has no owner name")
	}
	h.Name = s.owner.text
	var class bool
	for {
		if f.left() == 0 {
			return h, errors.New("the record has no type")
		}
		w := f.word("type")
		if t, ok := rrType(w); ok {
			h.Rrtype = t
			return h, nil
		}
		if c, ok := rrClass(w); ok && !class {
			if class = true; c != dns.ClassINET {
				return h, fmt.Errorf("class %s: b8s serves class IN only", strings.ToUpper(string(w)))
			}
			continue
		}
		ttl, ok := parseTTL(w)
		if !ok || h.Rdlength == explicitTTL {
			return h, fmt.Errorf("%q is no type, class or TTL", clip(w))
		}
		if ttl > maxTTL {
			return h, fmt.Errorf("TTL %s is above %d (68 years)", clip(w), maxTTL)
		}
		h.Ttl, h.Rdlength = uint32(ttl), explicitTTL
	}
}

// setOwner makes w the current owner; the same word as before costs nothing.
func (s *scanner) setOwner(w []byte) error {
	if len(s.token) > 0 && bytes.Equal(w, s.token) {
		return nil
	}
	n, err := parseName(w, s.origin, true)
	if err != nil {
		return nameError("owner", w, err)
	}
	s.owner, s.token = n, append(s.token[:0], w...)
	return nil
}

// check refuses what no zone may hold.
func (s *scanner) check(f *fields, h *dns.RR_Header) error {
	if t := h.Rrtype; t == 0 || t == dns.TypeOPT || t >= 128 && t <= 255 || t == math.MaxUint16 {
		return fmt.Errorf("type %s can't be stored in a zone", typeName(t))
	}
	if within(h.Name, s.apex.text) {
		return nil
	}
	hint := ""
	if w := s.token; len(w) > 0 && w[len(w)-1] != '.' {
		hint = fmt.Sprintf("; %q is taken under the origin %s", clip(w), s.origin.text)
	}
	return fmt.Errorf("%s %s is outside of the zone %s%s", h.Name, typeName(h.Rrtype), s.apex.text, hint)
}

// setTTL fills in a TTL that was left out: that of $TTL, else the one before,
// else, for an SOA, its minimum, which then stands for all, as in BIND.
func (s *scanner) setTTL(f *fields, rr dns.RR) error {
	h := rr.Header()
	explicit := h.Rdlength == explicitTTL
	h.Rdlength = 0
	switch {
	case explicit:
		if s.ttlFrom != directive {
			s.ttl, s.ttlFrom = h.Ttl, lastTTL
		}
	case s.ttlFrom != noTTL:
		h.Ttl = s.ttl
	default:
		soa, ok := rr.(*dns.SOA)
		if !ok {
			return errors.New("no TTL: the record has none, and there is no $TTL nor a record before it")
		}
		h.Ttl = min(soa.Minttl, maxTTL)
		s.ttl, s.ttlFrom = h.Ttl, directive
	}
	return nil
}

// included reports whether path is being read already.
func (s *scanner) included(path string) bool { return slices.Contains(s.reading, identity(path)) }
