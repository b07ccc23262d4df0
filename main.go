// b8s turns a handful of cheap servers into your own content delivery network:
// container roll-out, nearest-server DNS, certificates and load balancing over
// WireGuard. See README.md.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/demo"
	domverbs "b8s/dom/verbs"
	"b8s/standalone"
	subverbs "b8s/sub/verbs"
	"b8s/version"
)

func main() { os.Exit(run()) }

// run is main for the tests, which drive the true command tree.
func run() int { return cli.Run(root(), os.Args[1:]) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "b8s",
		Short:   "Your own content delivery network, from a handful of servers",
		Version: version.String(),
	}
	cmd.AddCommand(domverbs.Command(), subverbs.Command(), standalone.Command(), demo.Command(), versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print this binary's version and platform",
		Example: "  b8s version",
		Args:    cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version.String(), version.Platform())
		},
	}
}
