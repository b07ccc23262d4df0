package verbs

import (
	"context"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func undoRecords() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "records [ZONE]",
		Short: "Go back one revision: of a zone, or of all that the last publish changed",
		Example: "  b8s dom undo records example.com\n" +
			"  b8s dom undo records",
		Args: cobra.MaximumNArgs(1),
	}
	wait := waitFlag(cmd)
	cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := dom.UndoRequest{Wait: *wait}
		if len(args) == 1 {
			req.Zone = args[0]
		}
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			show := newFollower(cmd)
			result, err := c.UndoRecords(ctx, req, show.event)
			show.done()
			return printPublish(cmd, result, false, err)
		})
	}
	return cmd
}
