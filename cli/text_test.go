package cli

import (
	"strings"
	"testing"
	"time"
)

func TestTableLinesUp(t *testing.T) {
	var b strings.Builder
	Table(&b, [][]string{{"SUB", "RTT"}, {"são-paulo", "180 ms"}, {"x"}})
	want := "SUB        RTT\nsão-paulo  180 ms\nx\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

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

func TestProgressInALogIsALineAStage(t *testing.T) {
	var b strings.Builder
	p := Progress{W: &b}
	p.Step("download", "10 %")
	p.Step("download", "20 %")
	p.Step("check", "")
	p.Done()
	if want := "download  10 %\ncheck\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
