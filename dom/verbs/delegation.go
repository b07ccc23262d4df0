package verbs

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func delegation() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delegation ZONE",
		Short:   "Print the NS and glue lines that the registrar has to be told",
		Example: "  b8s dom delegation example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDom(cmd, func(ctx context.Context, c dom.Client) error {
				d, err := c.Delegation(ctx, args[0])
				if err != nil {
					return err
				}
				return cli.Print(cmd, d, func(w io.Writer) {
					for _, line := range append(d.NS, d.Glue...) {
						fmt.Fprintln(w, line)
					}
				})
			})
		},
	}
	cli.JSONFlag(cmd)
	return cmd
}
