package cli

import (
	"strings"
	"testing"
)

func TestTableLinesUp(t *testing.T) {
	var b strings.Builder
	Table(&b, [][]string{{"SUB", "RTT"}, {"são-paulo", "180 ms"}, {"x"}})
	want := "SUB        RTT\nsão-paulo  180 ms\nx\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
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
