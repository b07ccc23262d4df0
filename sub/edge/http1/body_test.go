package http1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChunkedBody(t *testing.T) {
	for _, tc := range []struct {
		text, body, rest string
		err              error
	}{
		{"5\r\nhello\r\n0\r\n\r\nNEXT", "hello", "NEXT", nil},
		{"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\nNEXT", "hello!", "NEXT", nil},
		{"0\r\n\r\n", "", "", nil},
		{"5\r\nhel", "hel", "", io.ErrUnexpectedEOF},
		{"5\r\nhello\r\n", "hello", "", io.ErrUnexpectedEOF},
		{"5\r\nhelloX\r\n0\r\n\r\n", "hello", "", errChunk},
		{"-5\r\nhello\r\n0\r\n\r\n", "", "", errChunk},
		{"5\nhello\r\n0\r\n\r\n", "", "", errLineEnd},
		{"0\r\nA b: c\r\n\r\n", "", "", errTrailer},
		{"1000000000000000\r\n", "", "", errChunk},
	} {
		for name, src := range map[string]io.Reader{"at once": strings.NewReader(tc.text), "by octets": iotest.OneByteReader(strings.NewReader(tc.text))} {
			r := NewReader(src, Limits{})
			var b Body
			b.Begin(r, Framing{Chunked: true})
			got, err := io.ReadAll(&b)
			if string(got) != tc.body || !errors.Is(err, tc.err) && err != tc.err {
				t.Errorf("%q %s: %q, %v; want %q, %v", tc.text, name, got, err, tc.body, tc.err)
			}
			if tc.err != nil {
				continue
			}
			rest, _ := io.ReadAll(io.MultiReader(bytes.NewReader(r.Take()), src))
			if string(rest) != tc.rest || !b.Done() {
				t.Errorf("%q %s: left %q, want %q", tc.text, name, rest, tc.rest)
			}
		}
	}
}

func TestTrailersThatRouteAreDropped(t *testing.T) {
	var b Body
	b.Begin(NewReader(strings.NewReader("0\r\nX-Sum: 1\r\nContent-Length: 5\r\nHost: x\r\nX-Forwarded-For: y\r\n\r\n"), Limits{}), Framing{Chunked: true})
	if _, err := io.ReadAll(&b); err != nil {
		t.Fatal(err)
	}
	if h := b.Trailer(); len(h) != 1 || h.Get("X-Sum") != "1" {
		t.Errorf("trailers %v", h)
	}
}

// FuzzChunked: what is taken reads the same with net/http, whatever the size of
// the reads.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{"5\r\nhello\r\n0\r\n\r\n", "5;a\r\nhello\r\n0\r\nX: y\r\n\r\n", "a\r\n0123456789\r\n00\r\n\r\nx", "0\r\n"} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		var b Body
		b.Begin(NewReader(bytes.NewReader(text), Limits{}), Framing{Chunked: true})
		got, err := readBy(&b, min(max(size, 1), 5000))
		if err != nil {
			return
		}
		other, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(text)))
		if err == nil && !bytes.Equal(got, other) {
			t.Fatalf("%q: %q, but net/http reads %q", text, got, other)
		}
	})
}

func readBy(r io.Reader, size int) ([]byte, error) {
	var out []byte
	buf := make([]byte, size)
	for {
		n, err := r.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func TestCopyChunked(t *testing.T) {
	for _, size := range []int{0, 1, 51, 52, 1000} {
		var out bytes.Buffer
		want := strings.Repeat("x", size)
		trailer := func() http.Header { return http.Header{"X-Sum": {"1"}} }
		if readErr, writeErr := CopyChunked(&out, strings.NewReader(want), trailer, make([]byte, 64), func() {}); readErr != nil || writeErr != nil {
			t.Fatal(readErr, writeErr)
		}
		var b Body
		b.Begin(NewReader(&out, Limits{}), Framing{Chunked: true})
		if got, err := io.ReadAll(&b); string(got) != want || err != nil || b.Trailer().Get("X-Sum") != "1" {
			t.Errorf("%d octets: %d, %v, trailers %v", size, len(got), err, b.Trailer())
		}
	}
}
