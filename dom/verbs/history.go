package verbs

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func historyRecords() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "records ZONE",
		Short:   "List the published revisions of a zone, newest first",
		Example: "  b8s dom history records example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDom(cmd, func(ctx context.Context, c dom.Client) error {
				history, err := c.HistoryRecords(ctx, args[0])
				if err != nil {
					return err
				}
				return cli.Print(cmd, history, func(w io.Writer) { printHistory(w, history) })
			})
		},
	}
	cli.JSONFlag(cmd)
	return cmd
}

func printHistory(w io.Writer, history []dom.HistoryEntry) {
	rows := [][]string{{"REVISION", "PUBLISHED", "SERIAL", "RECORDS", "CHANGE"}}
	for _, h := range history {
		serial, revision := "-", strconv.FormatUint(h.Revision, 10)
		if h.Serial != 0 {
			serial = strconv.FormatUint(uint64(h.Serial), 10)
		}
		if h.Current {
			revision += " *"
		}
		rows = append(rows, []string{revision, h.Time.Local().Format("2006-01-02 15:04:05"), serial, strconv.Itoa(h.Records), h.Change})
	}
	cli.Table(w, rows)
	fmt.Fprintln(w, "* is served now; b8s dom undo records ZONE goes back one")
}
