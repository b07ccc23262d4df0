package verbs

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func initialise() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Make this machine's dom: its keys and its state folder",
		Example: "  b8s dom init",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := cli.StateDir(cmd, "dom")
			if err != nil {
				return err
			}
			key, existed, err := dom.Init(dir)
			if err != nil {
				return err
			}
			result := struct {
				State   string `json:"state"`
				Key     string `json:"key"`
				Existed bool   `json:"existed"`
			}{dir, key.String(), existed}
			return cli.Print(cmd, result, func(w io.Writer) {
				if existed {
					fmt.Fprintf(w, "a dom is in %s already, nothing changed\n", dir)
				} else {
					fmt.Fprintf(w, "made a dom in %s\n", dir)
				}
				fmt.Fprintf(w, "key fingerprint %s\n", key.Fingerprint())
				fmt.Fprintf(w, "next: run it (b8s dom run), then on each server b8s sub run\n")
			})
		},
	}
	cli.JSONFlag(cmd)
	return cmd
}
