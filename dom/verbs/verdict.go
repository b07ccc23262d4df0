package verbs

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
	"b8s/human"
)

// follower shows a verb's events on stderr while it works.
type follower struct {
	progress cli.Progress
}

func newFollower(cmd *cobra.Command) *follower {
	return &follower{cli.Progress{W: cmd.ErrOrStderr()}}
}

func (f *follower) event(e dom.Event) {
	stage := e.Stage
	if e.Sub != "" {
		stage = e.Sub + ": " + stage
	}
	f.progress.Step(stage, e.Detail)
}

func (f *follower) done() { f.progress.Done() }

// printVerdict names each sub and whether it serves what was published.
func printVerdict(w io.Writer, v dom.Verdict) {
	if len(v.Subs) == 0 {
		fmt.Fprintln(w, "no subs yet: enrol one with b8s dom add-sub")
		return
	}
	rows := [][]string{{"SUB", "SERVES IT", "", "LAST SEEN"}}
	for _, s := range v.Subs {
		row := []string{s.Sub, "yes", "after " + human.Span(s.Took.Duration()), human.Ago(s.LastSeen)}
		if !s.Confirmed {
			row[1], row[2] = "no", s.Reason
		}
		rows = append(rows, row)
	}
	cli.Table(w, rows)
	if v.OK {
		fmt.Fprintf(w, "live on %d of %d subs after %s\n", len(v.Subs), len(v.Subs), human.Span(v.Took.Duration()))
		return
	}
	confirmed := 0
	for _, s := range v.Subs {
		if s.Confirmed {
			confirmed++
		}
	}
	fmt.Fprintf(w, "live on %d of %d subs; it is published, the others follow by themselves when they can\n", confirmed, len(v.Subs))
}

// verdictError is exit code 1 for a verdict that isn't whole.
func verdictError(v dom.Verdict, dryRun bool) error {
	if v.OK || dryRun {
		return nil
	}
	return cli.ErrSaid
}
