package verbs

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func run() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Run the dom until it is told to end",
		Example: "  b8s dom run\n  systemctl start b8s-dom",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := cli.StateDir(cmd, "dom")
			if err != nil {
				return err
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			return dom.Run(cmd.Context(), dom.Options{
				State: dir,
				Log:   logger(cmd.ErrOrStderr(), level),
				Ready: func() {
					fmt.Fprintf(cmd.OutOrStdout(), "dom runs on %s\n", dir)
					if err := cli.NotifyReady(); err != nil {
						fmt.Fprintln(os.Stderr, "b8s: tell systemd:", err)
					}
				},
			})
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log each step")
	return cmd
}
