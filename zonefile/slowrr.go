package zonefile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// slowRR reads the rdata that is f's rest by miekg/dns, any type and the form
// of RFC 3597 included. What it gives has been through the wire form, so it
// can be packed, and has one spelling.
func slowRR(h dns.RR_Header, f *fields) (dns.RR, error) {
	if f.left() == 0 {
		if h.Rrtype == dns.TypeAPL {
			return &dns.APL{Hdr: h}, nil
		}
		return nil, errors.New("rdata is missing")
	}
	if err := checkEscapes(f.e.rest(f.at)); err != nil {
		return nil, err
	}
	rr, err := parseRdata(h.Rrtype, f.e.rest(f.at), f.origin.text)
	if err != nil {
		return nil, err
	}
	if rr, err = throughWire(rr); err != nil {
		return nil, err
	}
	*rr.Header() = h
	return rr, nil
}

// parseRdata gives rdata a header that can't go wrong.
func parseRdata(rrtype uint16, rdata []byte, origin string) (dns.RR, error) {
	head := ". 0 IN TYPE" + strconv.Itoa(int(rrtype)) + " "
	text := make([]byte, 0, len(head)+len(rdata)+1)
	text = append(append(append(text, head...), rdata...), '\n')
	zp := dns.NewZoneParser(bytes.NewReader(text), origin, "")
	rr, ok := zp.Next()
	if err := zp.Err(); err != nil {
		return nil, parserError(err, len(head))
	}
	if !ok {
		return nil, errors.New("rdata is missing")
	}
	if _, more := zp.Next(); more || zp.Err() != nil {
		return nil, errGarbage
	}
	return rr, nil
}

// rdataError is miekg/dns's reason, and where in the rdata it was met.
type rdataError struct {
	reason string
	offset int
}

func (e *rdataError) Error() string { return e.reason }

var parserErrorForm = regexp.MustCompile(`(?s)^dns: (.*) at line: (\d+):(\d+)$`)

func parserError(err error, head int) error {
	m := parserErrorForm.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	column, _ := strconv.Atoi(m[3])
	reason := strings.TrimSuffix(m[1], `: "\n"`)
	return &rdataError{reason, max(0, column-head-1)}
}

// checkEscapes refuses the \DDD above 255 that miekg/dns takes modulo 256.
func checkEscapes(text []byte) error {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 < len(text) && text[i+1] == '#' {
			continue
		}
		_, n := unescape(text[i:])
		if n == 0 {
			return fmt.Errorf("%q: %w", clip(text[i:]), errBadEscape)
		}
		i += n - 1
	}
	return nil
}

// emptyRdata are the types whose rdata may have no octet.
func emptyRdata(rr dns.RR) bool {
	switch rr.(type) {
	case *dns.RFC3597, *dns.APL, *dns.NULL:
		return true
	}
	return false
}

func throughWire(rr dns.RR) (dns.RR, error) {
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		buf = make([]byte, 1<<16+64)
		if end, err = dns.PackRR(rr, buf, 0, nil, false); err != nil {
			return nil, wireError(err)
		}
	}
	back, _, err := dns.UnpackRR(buf[:end], 0)
	if err != nil {
		return nil, wireError(err)
	}
	if back.Header().Rdlength == 0 && !emptyRdata(back) {
		return nil, errors.New("rdata is missing")
	}
	return back, nil
}

func wireError(err error) error {
	return errors.New("rdata: " + strings.TrimPrefix(err.Error(), "dns: "))
}

// rdataWire is the rdata on the wire, names in their case, no compression.
func rdataWire(rr dns.RR) ([]byte, error) {
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		buf = make([]byte, 1<<16+512)
		if end, err = dns.PackRR(rr, buf, 0, nil, false); err != nil {
			return nil, wireError(err)
		}
	}
	_, off, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		return nil, wireError(err)
	}
	return buf[off+10 : end], nil
}

// unknownForm is the rdata as RFC 3597 writes it.
func unknownForm(wire []byte) string {
	if len(wire) == 0 {
		return `\# 0`
	}
	return `\# ` + strconv.Itoa(len(wire)) + " " + hex.EncodeToString(wire)
}
