package verbs

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/human"
	"b8s/sub"
)

func status() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "What this sub serves, from its own side, without the dom",
		Example: "  b8s sub status\n  b8s sub status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			v, err := c.Status(cmd.Context())
			if err != nil {
				return hint(c, err)
			}
			return cli.Print(cmd, v, func(w io.Writer) { printView(w, v) })
		},
	}
	cli.JSONFlag(cmd)
	return cmd
}

func printView(w io.Writer, v sub.View) {
	printLink(w, v.Link)
	s := v.Status
	fmt.Fprintf(w, "serving: %s at %s, up %s, version %s\n", human.Count(s.Zones.Count, "zone"), addresses(len(s.DNS)), human.Span(time.Duration(s.Uptime)*time.Second), s.Version)
	if s.GeoLite.Digest == "" {
		fmt.Fprintln(w, "geolite: none, every visitor gets a site's default sub")
	} else {
		fmt.Fprintf(w, "geolite: of %s\n", s.GeoLite.Built.Format("2006-01-02"))
	}
	fmt.Fprintf(w, "machine: %s of disk and %s of memory free, %s used by b8s\n", human.Bytes(s.DiskFree), human.Bytes(s.MemoryFree), human.Bytes(s.MemoryUsed))
	rows := [][]string{{"BUCKET", "EPOCH", "REVISION", "STATE"}}
	for _, name := range slices.Sorted(maps.Keys(s.Buckets)) {
		b := s.Buckets[name]
		state := "ok"
		switch {
		case b.Fault != "":
			state = "stands still, for " + human.Span(time.Since(b.FaultSince)) + ": " + b.Fault
		case !b.BehindSince.IsZero():
			state = "behind, for " + human.Span(time.Since(b.BehindSince))
		case len(b.Faults) > 0:
			state = fmt.Sprintf("%d keys not taken", len(b.Faults)+b.FaultsCut)
		}
		rows = append(rows, []string{name, strconv.FormatUint(b.Epoch, 10), strconv.FormatUint(b.Revision, 10), state})
	}
	cli.Table(w, rows)
	for _, name := range slices.Sorted(maps.Keys(s.Buckets)) {
		for _, f := range s.Buckets[name].Faults {
			fmt.Fprintf(w, "%s %s: revision %d not taken, for %s: %s\n", name, f.Key, f.Revision, human.Span(time.Since(f.Since)), f.Reason)
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintln(w, "problem:", p)
	}
	if v.Invitation != nil {
		fmt.Fprintln(w)
		printInvitation(w, *v.Invitation)
		if v.Invitation.Diagnosis != "" {
			fmt.Fprintln(w, "so far:", v.Invitation.Diagnosis)
		}
	}
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

func printLink(w io.Writer, l sub.LinkState) {
	switch {
	case l.Name == "":
		fmt.Fprintln(w, "dom: none yet, this sub is not enrolled")
	case l.Connected:
		fmt.Fprintf(w, "dom: connected as %s, last heard %s, at %s\n", l.Name, human.Ago(l.LastBeat), l.Endpoint)
	default:
		fmt.Fprintf(w, "dom: away (this sub is %s), last heard %s; serving what is on disk\n", l.Name, human.Ago(l.LastBeat))
	}
	if l.Err != "" {
		fmt.Fprintln(w, "tunnel:", l.Err)
	}
}
