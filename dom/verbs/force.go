package verbs

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
	"b8s/subjects"
)

func force() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "force BUCKET",
		Short: "Make every sub take a bucket over as it is now on this dom",
		Long: `Subs keep what they serve when a dom offers less or older than they hold: a
wiped dom, or one restored from a backup. When what this dom holds is what you
want served all the same, force raises the bucket's epoch, and every sub takes it
over, with whatever is missing in it gone. Look first: b8s dom status.`,
		Example:   "  b8s dom force records",
		Args:      cobra.ExactArgs(1),
		ValidArgs: subjects.SubReads(),
	}
	wait := waitFlag(cmd)
	cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			show := newFollower(cmd)
			r, err := c.Force(ctx, dom.ForceRequest{Bucket: args[0], Wait: *wait}, show.event)
			show.done()
			if err != nil {
				return err
			}
			if err := cli.Print(cmd, r, func(w io.Writer) {
				fmt.Fprintf(w, "bucket %s is now of epoch %d\n", r.Bucket, r.Epoch)
				printVerdict(w, r.Verdict)
			}); err != nil {
				return err
			}
			return verdictError(r.Verdict, false)
		})
	}
	return cmd
}
