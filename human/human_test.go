package human

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 1500 * time.Microsecond: "1.5 ms", 42 * time.Second: "42 s",
		10 * time.Minute: "10 min", 30 * time.Hour: "30 h", 72 * time.Hour: "3 days",
	} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 37 << 20: "37.0 MiB", 3 << 40: "3.0 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 zones", 1: "1 zone", 2: "2 zones"} {
		if got := Count(n, "zone"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"london", "new-york", "sydney"}
	for word, want := range map[string]string{"sidney": "sydney", "Lodnon": "london", "tokyo": "", "": ""} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
