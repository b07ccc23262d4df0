package verbs

import (
	"io"

	"github.com/spf13/cobra"

	"b8s/cli"
)

func token() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Let another dom adopt this sub: a new add-sub line, for 15 minutes",
		Long: `For a dom that was lost, or is replaced. The sub goes on serving all the while, and
follows its present dom until the new one's first packet.`,
		Example: "  b8s sub token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			i, err := c.Token(cmd.Context())
			if err != nil {
				return hint(c, err)
			}
			return cli.Print(cmd, i, func(w io.Writer) { printInvitation(w, i) })
		},
	}
	cli.JSONFlag(cmd)
	return cmd
}
