package verbs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
	"b8s/human"
)

func status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Is everything as published? And each sub in a line",
		Long: `The first line says whether every sub serves what this dom published, yes or no
and why. Exit code 0 for yes, 1 for no.`,
		Example: "  b8s dom status\n  b8s dom status --watch\n  b8s dom status --json",
		Args:    cobra.NoArgs,
	}
	cli.JSONFlag(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "show it anew each second until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			if watch {
				return watchStatus(ctx, cmd, c)
			}
			return showStatus(ctx, cmd, c)
		})
	}
	return cmd
}

func showStatus(ctx context.Context, cmd *cobra.Command, c dom.Client) error {
	report, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if err := cli.Print(cmd, report, func(w io.Writer) { printReport(w, report) }); err != nil {
		return err
	}
	if !report.OK {
		return cli.ErrSaid
	}
	return nil
}

// clearScreen puts the cursor home and clears what is below it.
const clearScreen = "\x1b[H\x1b[2J"

func watchStatus(ctx context.Context, cmd *cobra.Command, c dom.Client) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if cli.IsTerminal(cmd.OutOrStdout()) {
			fmt.Fprint(cmd.OutOrStdout(), clearScreen)
		}
		err := showStatus(ctx, cmd, c)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err != cli.ErrSaid {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func printReport(w io.Writer, r dom.Report) {
	if r.OK {
		fmt.Fprintf(w, "as published: yes  (%s, %s%s)\n", human.Count(len(r.Subs), "sub"), human.Count(r.Zones, "zone"), geoText(r.GeoLite))
	} else {
		fmt.Fprintf(w, "as published: NO  %s\n", strings.Join(r.Why, "\n                  "))
	}
	if len(r.Subs) == 0 {
		return
	}
	rows := [][]string{{"SUB", "OK", "SEEN", "RTT", "HANDSHAKE", "SERVES", "GEOLITE", "VERSION", "UP", "DISK FREE", "MEM FREE"}}
	for _, s := range r.Subs {
		rows = append(rows, subRow(s))
	}
	cli.Table(w, rows)
	for _, s := range r.Subs {
		for _, p := range s.Problems {
			fmt.Fprintf(w, "%s: %s\n", s.Sub, p)
		}
	}
}

func geoText(g *dom.GeoReport) string {
	if g == nil {
		return ", no GeoLite data"
	}
	return ", GeoLite of " + g.Built.Format("2006-01-02")
}

func subRow(s dom.SubReport) []string {
	ok := "yes"
	if !s.OK {
		ok = "NO"
	}
	row := []string{s.Sub, ok, human.Ago(s.LastSeen), "-", human.Ago(s.LastHandshake), bucketsText(s.Buckets), "-", s.Version, "-", "-", "-"}
	if s.RoundTrip > 0 {
		row[3] = human.Span(s.RoundTrip.Duration())
	}
	if !s.GeoLite.IsZero() {
		row[6] = s.GeoLite.Format("2006-01-02")
	}
	if s.Uptime > 0 {
		row[8] = human.Span(s.Uptime.Duration())
	}
	if s.DiskFree > 0 {
		row[9] = human.Bytes(s.DiskFree)
	}
	if s.MemoryFree > 0 {
		row[10] = human.Bytes(s.MemoryFree)
	}
	return row
}

// bucketsText is the revision of each bucket that a sub serves; behind, the
// one it should and since when it isn't.
func bucketsText(buckets []dom.BucketReport) string {
	var parts []string
	for _, b := range buckets {
		text := b.Bucket + " " + strconv.FormatUint(b.Revision, 10)
		if !b.OK {
			text += " (not " + strconv.FormatUint(b.Want, 10)
			if !b.BehindSince.IsZero() {
				text += ", for " + human.Span(time.Since(b.BehindSince))
			}
			text += ")"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
