package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Table prints rows in columns that line up, the first row as their heading.
func Table(w io.Writer, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// Bytes is a size as a person reads it: "37.2 MiB".
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, names := float64(n)/unit, "KMGTPE"
	i := 0
	for f >= unit {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, names[i])
}

// Span is a length of time as a person reads it: "3 days", "42 s", "180 ms".
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d.Microseconds())/1000)
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// Ago is the time since t, or "never" for the zero time.
func Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return Span(time.Since(t)) + " ago"
}

// IsTerminal tells whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Progress shows how long work goes on: one line rewritten in place on a
// terminal, elsewhere a plain line for each change of stage.
type Progress struct {
	W        io.Writer
	terminal bool
	started  bool
	stage    string
	drawn    int // width of what stands on the terminal's line
}

// Step shows stage, and detail behind it. A plain log gets a line only when the stage
// changes, so that a download doesn't print a line per block.
func (p *Progress) Step(stage, detail string) {
	if !p.started {
		p.started, p.terminal = true, IsTerminal(p.W)
	}
	text := stage
	if detail != "" {
		text += "  " + detail
	}
	if p.terminal {
		fmt.Fprintf(p.W, "\r%s%s", text, strings.Repeat(" ", max(0, p.drawn-utf8.RuneCountInString(text))))
		p.drawn = utf8.RuneCountInString(text)
		return
	}
	if stage != p.stage {
		p.stage = stage
		fmt.Fprintln(p.W, text)
	}
}

// Done ends the line in place, so that what is printed next starts anew.
func (p *Progress) Done() {
	if p.terminal && p.drawn > 0 {
		fmt.Fprintf(p.W, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}
