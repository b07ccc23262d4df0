package compress

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

func TestChoose(t *testing.T) {
	for accept, want := range map[string]Encoding{
		"": Identity, "gzip": Gzip, "GZIP": Gzip, "gzip, deflate, br, zstd": Zstd, "br;q=0.9, gzip;q=1": Gzip, "*": Zstd, "*;q=0": Identity,
		"zstd;q=0, *": Brotli, "identity, gzip;q=0.5": Identity, "gzip;q=0": Identity, "deflate": Identity, "gzip;q=nan": Gzip, " gzip ; q = 0.3 ,br;q=0.2, identity;q=0": Gzip,
	} {
		if got := Choose([]string{accept}, Streamed); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
}

func TestEncodings(t *testing.T) {
	text := strings.Repeat("some text that repeats ", 5000)
	readers := map[Encoding]func(io.Reader) (io.Reader, error){
		Gzip:   func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		Brotli: func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		Zstd:   func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	for e, open := range readers {
		for range 2 { // the second with a writer that was used
			var out bytes.Buffer
			w := Get(e, &out)
			io.WriteString(w, text[:100])
			w.Flush()
			if out.Len() == 0 {
				t.Errorf("%s: nothing flushed", e)
			}
			io.WriteString(w, text[100:])
			w.Close()
			Put(e, w)
			check(t, e, open, out.Bytes(), text)
		}
		whole, err := Whole(e, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		check(t, e, open, whole, text)
	}
}

func check(t *testing.T, e Encoding, open func(io.Reader) (io.Reader, error), small []byte, want string) {
	t.Helper()
	r, err := open(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if closer, ok := r.(interface{ Close() }); ok {
		closer.Close()
	}
	if err != nil || string(got) != want || len(small) > len(want)/10 {
		t.Errorf("%s: %d octets from %d, %v", e, len(got), len(small), err)
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0")
	f.Fuzz(func(t *testing.T, accept string) { Choose([]string{accept}, Stored) })
}
