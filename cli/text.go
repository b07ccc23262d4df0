package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

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
